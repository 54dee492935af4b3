// Command gateway writes TSDB blocks into the bucket layout of thanos-parquet-gateway, versions 0, 1 and 2, by what
// schema-spec/day.md says: with Prometheus' own reader of blocks and with parquet-go, the library that the gateway writes
// with. It has nothing in common with the crates that read the result.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

const dayMs = 24 * 60 * 60 * 1000

type options struct {
	bucket      string
	version     int
	rowGroup    int
	rowGroups   int
	labelPage   int
	chunkPage   int
	external    map[string]string
	withoutHash bool
	longChunks  int
}

func main() {
	var o options
	var blocks, external string
	flag.StringVar(&blocks, "block", "", "TSDB block directories, comma separated (required)")
	flag.StringVar(&o.bucket, "bucket", "", "directory that stands for the bucket (required)")
	flag.IntVar(&o.version, "version", 2, "version of the layout: 0, 1 or 2")
	flag.IntVar(&o.rowGroup, "row-group-size", 1_000_000, "rows per row group")
	flag.IntVar(&o.rowGroups, "row-group-count", 6, "row groups per shard")
	flag.IntVar(&o.labelPage, "label-page", 256<<10, "bytes of a page of the labels file")
	flag.IntVar(&o.chunkPage, "chunk-page", 2<<20, "bytes of a page of the chunks file")
	flag.StringVar(&external, "external", "", "external labels: name=value, comma separated")
	flag.BoolVar(&o.withoutHash, "without-hash", false, "put the stream without external labels where it was once: not below 0/")
	flag.IntVar(&o.longChunks, "long-chunks", 0, "samples of a chunk of floats, however long that is; 0: chunks as they are in the block")
	flag.Parse()
	o.external = map[string]string{}
	for pair := range strings.SplitSeq(external, ",") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			o.external[name] = value
		}
	}
	if blocks == "" || o.bucket == "" || o.version < 0 || o.version > 2 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(strings.Split(blocks, ","), o); err != nil {
		fmt.Println("FAIL gateway:", err)
		os.Exit(1)
	}
}

func run(dirs []string, o options) (err error) {
	var blocks []*tsdb.Block
	defer func() {
		for _, block := range blocks {
			err = errors.Join(err, block.Close())
		}
	}()
	first, end := int64(1<<62), int64(-1<<62)
	for _, dir := range dirs {
		block, err := tsdb.OpenBlock(slog.New(slog.DiscardHandler), dir, chunkenc.NewPool(), nil)
		if err != nil {
			return err
		}
		blocks = append(blocks, block)
		first, end = min(first, block.Meta().MinTime), max(end, block.Meta().MaxTime)
	}
	if first < 0 {
		return errors.New("days before 1970 are not written")
	}
	stream := streamOf(o.external)
	for day := first - first%dayMs; day < end; day += dayMs {
		rows, err := rowsOf(blocks, day, o.longChunks)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			continue
		}
		if err := writeDay(o, stream, day, rows); err != nil {
			return fmt.Errorf("day %d: %w", day, err)
		}
	}
	if stream == 0 && o.withoutHash {
		return nil
	}
	return writeStream(o.bucket, stream, o.external)
}

// streamOf is what a stream's directory is called by.
func streamOf(external map[string]string) uint64 {
	if len(external) == 0 {
		return 0
	}
	hash := xxhash.New()
	for _, name := range slices.Sorted(maps.Keys(external)) {
		hash.WriteString(name)
		hash.WriteString(external[name])
	}
	return hash.Sum64()
}

// row is a series of one day.
type row struct {
	labels labels.Labels
	chunks []chunks.Meta
}

// rowsOf reads what the blocks have in [day, day + 24h], the next midnight included, as the gateway's converter does.
func rowsOf(blocks []*tsdb.Block, day int64, longChunks int) ([]row, error) {
	var queriers []storage.ChunkQuerier
	for _, block := range blocks {
		querier, err := tsdb.NewBlockChunkQuerier(block, day, day+dayMs)
		if err != nil {
			return nil, err
		}
		queriers = append(queriers, querier)
	}
	merged := storage.NewMergeChunkQuerier(queriers, nil, storage.NewCompactingChunkSeriesMerger(storage.ChainedSeriesMerge))
	defer merged.Close()
	set := merged.Select(context.Background(), true, nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".*"))
	var rows []row
	var err error
	for set.Next() {
		series := set.At()
		next := row{labels: series.Labels()}
		it := series.Iterator(nil)
		for it.Next() {
			meta := it.At()
			if meta.Chunk.NumSamples() == 0 {
				continue
			}
			// What it lies in may be used again.
			own, err := chunkenc.FromData(meta.Chunk.Encoding(), slices.Clone(meta.Chunk.Bytes()))
			if err != nil {
				return nil, err
			}
			meta.Chunk = own
			next.chunks = append(next.chunks, meta)
		}
		if err := it.Err(); err != nil {
			return nil, err
		}
		if len(next.chunks) > 0 {
			slices.SortStableFunc(next.chunks, func(a, b chunks.Meta) int { return int(a.MinTime - b.MinTime) })
			if longChunks > 0 {
				if next.chunks, err = joined(next.chunks, longChunks); err != nil {
					return nil, err
				}
			}
			rows = append(rows, next)
		}
	}
	if err := set.Err(); err != nil {
		return nil, err
	}
	slices.SortFunc(rows, func(a, b row) int {
		if c := strings.Compare(a.labels.Get("__name__"), b.labels.Get("__name__")); c != 0 {
			return c
		}
		return labels.Compare(a.labels, b.labels)
	})
	return rows, nil
}

// joined makes long chunks of short ones, as they come of compacting blocks that overlap. Histograms stay as they are.
func joined(short []chunks.Meta, samples int) ([]chunks.Meta, error) {
	var long []chunks.Meta
	var open chunkenc.Appender
	var it chunkenc.Iterator
	for _, meta := range short {
		if meta.Chunk.Encoding() != chunkenc.EncXOR {
			long, open = append(long, meta), nil
			continue
		}
		for it = meta.Chunk.Iterator(it); it.Next() != chunkenc.ValNone; {
			t, v := it.At()
			if open == nil || long[len(long)-1].Chunk.NumSamples() >= samples {
				chunk := chunkenc.NewXORChunk()
				appender, err := chunk.Appender()
				if err != nil {
					return nil, err
				}
				long, open = append(long, chunks.Meta{Chunk: chunk, MinTime: t}), appender
			}
			open.Append(t, v)
			long[len(long)-1].MaxTime = t
		}
		if err := it.Err(); err != nil {
			return nil, err
		}
	}
	return long, nil
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }
