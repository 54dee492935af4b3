package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/tombstones"
)

// blockSet is the source of truth: one or more TSDB blocks, opened by Prometheus from private copies.
type blockSet struct {
	dir    string
	blocks []*openBlock
	series map[string][]seriesRef // by labels.Labels.Bytes; filled by listSeries
	mint   int64                  // closed range of samples that count
	maxt   int64
}

type openBlock struct {
	block  *tsdb.Block
	index  tsdb.IndexReader
	chunks tsdb.ChunkReader
	stones tombstones.Reader
}

type seriesRef struct {
	block int
	ref   storage.SeriesRef
}

// openBlocks copies and opens the blocks. Prometheus writes into directories that it opens, hence the copy.
func openBlocks(dirs []string, withTombstones bool) (_ *blockSet, err error) {
	tmp, err := os.MkdirTemp("", "interop-blocks-")
	if err != nil {
		return nil, err
	}
	set := &blockSet{dir: tmp}
	defer func() {
		if err != nil {
			set.close()
		}
	}()
	for i, dir := range dirs {
		copied := filepath.Join(tmp, fmt.Sprint(i), filepath.Base(filepath.Clean(dir)))
		if err := copyDir(dir, copied); err != nil {
			return nil, fmt.Errorf("copy block %s: %w", dir, err)
		}
		if !withTombstones {
			if err := os.Remove(filepath.Join(copied, tombstones.TombstonesFilename)); err != nil && !os.IsNotExist(err) {
				return nil, err
			}
		}
		block, err := tsdb.OpenBlock(slog.New(slog.DiscardHandler), copied, chunkenc.NewPool(), nil)
		if err != nil {
			return nil, fmt.Errorf("open block %s: %w", dir, err)
		}
		open := &openBlock{block: block}
		set.blocks = append(set.blocks, open)
		if open.index, err = block.Index(); err != nil {
			return nil, err
		}
		if open.chunks, err = block.Chunks(); err != nil {
			return nil, err
		}
		if open.stones, err = block.Tombstones(); err != nil {
			return nil, err
		}
		meta := block.Meta()
		// A block's maxTime is exclusive.
		if i == 0 || meta.MinTime < set.mint {
			set.mint = meta.MinTime
		}
		if i == 0 || meta.MaxTime-1 > set.maxt {
			set.maxt = meta.MaxTime - 1
		}
	}
	return set, nil
}

// listSeries fills series from the blocks' indexes.
func (b *blockSet) listSeries() error {
	b.series = map[string][]seriesRef{}
	for i := range b.blocks {
		if err := b.listSeriesOf(i); err != nil {
			return fmt.Errorf("list the block's series: %w", err)
		}
	}
	return nil
}

func (b *blockSet) listSeriesOf(block int) error {
	postings, err := b.blocks[block].index.Postings(context.Background(), "", "") // the list of all series
	if err != nil {
		return err
	}
	var builder labels.ScratchBuilder
	var metas []chunks.Meta
	var buf []byte
	for postings.Next() {
		if err := b.blocks[block].index.Series(postings.At(), &builder, &metas); err != nil {
			return err
		}
		buf = builder.Labels().Bytes(buf[:0])
		b.series[string(buf)] = append(b.series[string(buf)], seriesRef{block, postings.At()})
	}
	return postings.Err()
}

func (b *blockSet) close() {
	for _, open := range b.blocks {
		for _, closer := range []io.Closer{open.index, open.chunks, open.stones} {
			if closer != nil {
				_ = closer.Close()
			}
		}
		_ = open.block.Close()
	}
	_ = os.RemoveAll(b.dir)
}

// expected gives the samples of one series: the union of the blocks' live samples, in time order.
func (b *blockSet) expected(key string) (labels.Labels, []sample, error) {
	var union []sample
	var lset labels.Labels
	for _, ref := range b.series[key] {
		got, one, err := b.read(ref)
		if err != nil {
			return lset, nil, err
		}
		lset = got
		union = append(union, one...)
	}
	if increasing(union) != "" {
		// Stable: of samples at the same time the earliest block's comes first, and is kept.
		slices.SortStableFunc(union, func(a, b sample) int {
			switch {
			case a.t < b.t:
				return -1
			case a.t > b.t:
				return 1
			}
			return 0
		})
		union = slices.CompactFunc(union, func(a, b sample) bool { return a.t == b.t })
	}
	return lset, within(union, b.mint, b.maxt), nil
}

func (b *blockSet) read(ref seriesRef) (labels.Labels, []sample, error) {
	open := b.blocks[ref.block]
	var builder labels.ScratchBuilder
	var metas []chunks.Meta
	if err := open.index.Series(ref.ref, &builder, &metas); err != nil {
		return labels.EmptyLabels(), nil, err
	}
	deleted, err := open.stones.Get(ref.ref)
	if err != nil {
		return labels.EmptyLabels(), nil, err
	}
	var out []sample
	var it chunkenc.Iterator
	for _, meta := range metas {
		chunk, iterable, err := open.chunks.ChunkOrIterable(meta)
		if err != nil {
			return labels.EmptyLabels(), nil, err
		}
		if iterable != nil {
			return labels.EmptyLabels(), nil, fmt.Errorf("series %d: a chunk that is no chunk", ref.ref)
		}
		if out, it, err = appendChunk(out, chunk, it); err != nil {
			return labels.EmptyLabels(), nil, fmt.Errorf("chunk %d: %w", meta.Ref, err)
		}
	}
	out = slices.DeleteFunc(out, func(s sample) bool {
		return slices.ContainsFunc(deleted, func(i tombstones.Interval) bool { return i.InBounds(s.t) })
	})
	return builder.Labels(), out, nil
}

// querier is Prometheus' own querier over all blocks.
func (b *blockSet) querier(mint, maxt int64) (storage.Querier, error) {
	var queriers []storage.Querier
	for _, open := range b.blocks {
		q, err := tsdb.NewBlockQuerier(open.block, mint, maxt)
		if err != nil {
			return nil, err
		}
		queriers = append(queriers, q)
	}
	return storage.NewMergeQuerier(queriers, nil, storage.ChainedSeriesMerge), nil
}

func copyDir(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		in, err := os.Open(path)
		if err != nil {
			return err
		}
		defer in.Close()
		out, err := os.Create(target)
		if err != nil {
			return err
		}
		if _, err := io.Copy(out, in); err != nil {
			out.Close()
			return err
		}
		return out.Close()
	})
}
