package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/index"
	"github.com/prometheus/prometheus/tsdb/tombstones"
)

type makeOptions struct {
	kind, out                    string
	labelNames, series, perLabel int
	samples                      int
}

func makeCommand(args []string) error {
	var o makeOptions
	fs := flag.NewFlagSet("make", flag.ContinueOnError)
	fs.StringVar(&o.kind, "kind", "", "xor2, st, mixed, overlap, ha, wide or deep (required)")
	fs.StringVar(&o.out, "out", "", "directory that gets the block directories, each named by its ULID (required)")
	fs.IntVar(&o.labelNames, "labels", 60_000, "wide: how many label names")
	fs.IntVar(&o.series, "series", 100_000, "deep: how many series")
	fs.IntVar(&o.perLabel, "labels-per-series", 200, "deep: how many labels a series has")
	fs.IntVar(&o.samples, "samples", 240, "samples per series; wide and deep make a tenth of them")
	if err := parse(fs, args); err != nil {
		return err
	}
	if o.kind == "" || o.out == "" {
		return fmt.Errorf("%w: -kind and -out are required", errUsage)
	}
	dirs, err := makeBlocks(o)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		fmt.Println(dir)
	}
	return nil
}

// makeBlocks writes the blocks of a kind and gives their directories. The same options give the same bytes.
func makeBlocks(o makeOptions) ([]string, error) {
	generate, ok := kinds[o.kind]
	if !ok {
		names := []string{}
		for name := range kinds {
			names = append(names, name)
		}
		slices.Sort(names)
		return nil, fmt.Errorf("%w: kind %q is none of %q", errUsage, o.kind, names)
	}
	var dirs []string
	for i, block := range generate(o) {
		dir, err := writeBlock(o, i, block)
		if err != nil {
			return nil, fmt.Errorf("write block %d of kind %s: %w", i, o.kind, err)
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

// series is one series to be: its labels, and what makes its chunks when its turn comes.
type series struct {
	labels labels.Labels
	chunks func() ([]chunks.Meta, error)
}

// writeBlock writes a block with Prometheus' chunk and index writers. Chunks are made one series at a time, so that
// large blocks fit into memory.
func writeBlock(o makeOptions, number int, all []series) (string, error) {
	slices.SortFunc(all, func(a, b series) int { return labels.Compare(a.labels, b.labels) })
	dir := filepath.Join(o.out, blockID(o.kind, number).String())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	chunkWriter, err := chunks.NewWriter(filepath.Join(dir, "chunks"))
	if err != nil {
		return "", err
	}
	indexWriter, err := index.NewWriter(context.Background(), filepath.Join(dir, "index"))
	if err != nil {
		return "", errors.Join(err, chunkWriter.Close())
	}
	meta := tsdb.BlockMeta{ULID: blockID(o.kind, number), Version: 1, MinTime: 1<<63 - 1, MaxTime: -1 << 63}
	meta.Compaction = tsdb.BlockMetaCompaction{Level: 1, Sources: []ulid.ULID{meta.ULID}}
	err = func() error {
		for _, symbol := range symbolsOf(all) {
			if err := indexWriter.AddSymbol(symbol); err != nil {
				return err
			}
		}
		for ref, s := range all {
			metas, err := s.chunks()
			if err != nil {
				return fmt.Errorf("series %s: %w", s.labels, err)
			}
			if err := chunkWriter.WriteChunks(metas...); err != nil {
				return err
			}
			if err := indexWriter.AddSeries(storage.SeriesRef(ref), s.labels, metas...); err != nil {
				return err
			}
			meta.Stats.NumSeries++
			for _, c := range metas {
				meta.MinTime, meta.MaxTime = min(meta.MinTime, c.MinTime), max(meta.MaxTime, c.MaxTime+1)
				n := uint64(c.Chunk.NumSamples())
				meta.Stats.NumChunks++
				meta.Stats.NumSamples += n
				if e := c.Chunk.Encoding(); e == chunkenc.EncXOR || e == chunkenc.EncXOR2 {
					meta.Stats.NumFloatSamples += n
				} else {
					meta.Stats.NumHistogramSamples += n
				}
			}
		}
		return nil
	}()
	if err := errors.Join(err, indexWriter.Close(), chunkWriter.Close()); err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(meta, "", "\t")
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "meta.json"), text, 0o644); err != nil {
		return "", err
	}
	_, err = tombstones.WriteFile(slog.New(slog.DiscardHandler), dir, tombstones.NewMemTombstones())
	return dir, err
}

// blockID is made of the kind, so that blocks are the same bytes each time.
func blockID(kind string, number int) ulid.ULID {
	var id ulid.ULID
	_ = id.SetTime(uint64(firstTime))
	h := fnv.New64a()
	fmt.Fprintf(h, "%s/%d", kind, number)
	binary.BigEndian.PutUint64(id[6:14], h.Sum64())
	return id
}

func symbolsOf(all []series) []string {
	set := map[string]struct{}{}
	for _, s := range all {
		s.labels.Range(func(l labels.Label) {
			set[l.Name] = struct{}{}
			set[l.Value] = struct{}{}
		})
	}
	symbols := make([]string, 0, len(set))
	for symbol := range set {
		symbols = append(symbols, symbol)
	}
	slices.SortFunc(symbols, cmp.Compare[string])
	return symbols
}
