package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/prometheus-community/parquet-common/schema"
	"github.com/prometheus-community/parquet-common/search"
	"github.com/prometheus-community/parquet-common/storage"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/thanos-io/objstore/providers/filesystem"
)

type verifyOptions struct {
	shardFlags
	blocks       []string
	tombstones   bool
	mint, maxt   int64
	anyDuplicate bool
	selects      bool
	limit        int
}

type verifyCounts struct {
	series, samples, floats, histograms, floatHistograms, chunks, queries int
}

func verifyCommand(args []string) error {
	var o verifyOptions
	var blocks string
	fs := flag.NewFlagSet("verify", flag.ContinueOnError)
	o.register(fs)
	fs.StringVar(&blocks, "block", "", "TSDB block directories, comma separated: the truth (required)")
	fs.BoolVar(&o.tombstones, "tombstones", true, "the blocks' tombstones were applied by the converter; -tombstones=false: they were ignored")
	fs.Int64Var(&o.mint, "mint", math.MinInt64, "first timestamp (ms, inclusive) that was converted; default: the blocks' first")
	fs.Int64Var(&o.maxt, "maxt", math.MaxInt64, "last timestamp (ms, inclusive) that was converted; default: the blocks' last")
	fs.BoolVar(&o.anyDuplicate, "any-duplicate", false, "where blocks differ at one timestamp accept any block's value, not only that of the first block given")
	fs.BoolVar(&o.selects, "selects", true, "also run Select, LabelNames and LabelValues queries")
	fs.IntVar(&o.limit, "limit", 10, "how many differences to print")
	if err := parse(fs, args); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	o.blocks = splitList(blocks)
	if len(o.blocks) == 0 {
		return fmt.Errorf("%w: -block is required", errUsage)
	}
	counts, err := verify(context.Background(), o)
	if err != nil {
		return err
	}
	fmt.Printf("PASS verify %s/%s: %d shards, %d series, %d chunks, %d samples (%d float, %d histogram, %d float histogram), %d queries\n",
		o.bucket, o.name, o.shards, counts.series, counts.chunks, counts.samples, counts.floats, counts.histograms, counts.floatHistograms, counts.queries)
	return nil
}

// verify compares the shards with the blocks: every series and every sample, and the answers to many queries.
func verify(ctx context.Context, o verifyOptions) (verifyCounts, error) {
	var counts verifyCounts
	if err := exactlyShards(o.shardFlags); err != nil {
		return counts, err
	}
	truth, err := openBlocks(o.blocks, o.tombstones)
	if err != nil {
		return counts, err
	}
	defer truth.close()
	if err := truth.listSeries(); err != nil {
		return counts, err
	}
	truth.mint, truth.maxt = max(truth.mint, o.mint), min(truth.maxt, o.maxt)

	shards, err := openShards(ctx, o.shardFlags)
	if err != nil {
		return counts, err
	}
	defer closeShards(shards)

	r := newReport(o.limit)
	seen := map[string]int{} // series key -> shard
	for i, shard := range shards {
		r.guard(fmt.Sprintf("shard %d", i), func() error {
			return verifyShard(ctx, r, truth, o.anyDuplicate, shard, seen, &counts)
		})
	}
	var live []liveSeries
	for key := range truth.series {
		shard, ok := seen[key]
		lset, want, err := truth.expected(key)
		if err != nil {
			return counts, fmt.Errorf("read the block: %w", err)
		}
		if len(want) == 0 {
			continue
		}
		if !ok {
			r.fail("series %s with %d samples is in no shard", lset, len(want))
			continue
		}
		live = append(live, liveSeries{lset, shard})
	}
	if o.selects && r.total == 0 {
		slices.SortFunc(live, func(a, b liveSeries) int { return labels.Compare(a.labels, b.labels) })
		r.guard("queries", func() error {
			n, err := verifyQueries(ctx, r, truth, shards, live)
			counts.queries = n
			return err
		})
	}
	return counts, r.err()
}

// exactlyShards refuses a shard beyond the last: readers would never see it.
func exactlyShards(s shardFlags) error {
	for _, file := range []string{schema.LabelsPfileNameForShard(s.name, s.shards), schema.ChunksPfileNameForShard(s.name, s.shards)} {
		if _, err := os.Stat(filepath.Join(s.bucket, file)); err == nil {
			return fmt.Errorf("there are more than %d shards: %s exists", s.shards, file)
		}
	}
	return nil
}

func openShards(ctx context.Context, s shardFlags) (_ []*storage.ParquetShardOpener, err error) {
	bucket, err := filesystem.NewBucket(s.bucket)
	if err != nil {
		return nil, err
	}
	opener := storage.NewParquetBucketOpener(bucket)
	var shards []*storage.ParquetShardOpener
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("open shard %d: panic: %v", len(shards), p)
		}
		if err != nil {
			closeShards(shards)
		}
	}()
	for i := range s.shards {
		shard, err := storage.NewParquetShardOpener(ctx, s.name, opener, opener, i)
		if err != nil {
			return nil, fmt.Errorf("open shard %d: %w", i, err)
		}
		shards = append(shards, shard)
		// Only the first call reports an error.
		if _, err := shard.TSDBSchema(); err != nil {
			return nil, fmt.Errorf("schema of shard %d: %w", i, err)
		}
	}
	return shards, nil
}

func closeShards(shards []*storage.ParquetShardOpener) {
	for _, shard := range shards {
		_ = shard.Close()
	}
}

// verifyShard reads all rows through constraints, filter and materializer, below the queryable: the queryable's
// merging iterators would hide duplicate and backward timestamps.
func verifyShard(ctx context.Context, r *report, truth *blockSet, anyDuplicate bool, shard *storage.ParquetShardOpener, seen map[string]int, counts *verifyCounts) error {
	tsdbSchema, err := shard.TSDBSchema()
	if err != nil {
		return err
	}
	everything := labels.MustNewMatcher(labels.MatchNotEqual, "a label that no series has", "x")
	materializer, err := search.NewMaterializer(tsdbSchema, schema.NewPrometheusParquetChunksDecoder(chunkenc.NewPool()), shard, runtime.GOMAXPROCS(0),
		search.UnlimitedQuota(), search.UnlimitedQuota(), search.UnlimitedQuota(),
		search.NoopMaterializedSeriesFunc, search.NoopMaterializedLabelsFilterCallback, false)
	if err != nil {
		return err
	}
	for rg, group := range shard.LabelsFile().RowGroups() {
		constraints, err := search.MatchersToConstraints(everything)
		if err != nil {
			return err
		}
		if err := search.Initialize(shard.LabelsFile(), constraints...); err != nil {
			return err
		}
		ranges, err := search.Filter(ctx, shard, rg, nil, constraints...)
		if err != nil {
			return fmt.Errorf("row group %d: filter: %w", rg, err)
		}
		set, err := materializer.Materialize(ctx, nil, rg, tsdbSchema.MinTs, tsdbSchema.MaxTs, false, ranges)
		if err != nil {
			return fmt.Errorf("row group %d: materialize: %w", rg, err)
		}
		rows := int64(0)
		for set.Next() {
			rows++
			series := set.At()
			verifySeries(r, truth, anyDuplicate, shard.ShardIdx(), series.Labels(), series.Iterator(nil), seen, counts)
		}
		if err := errors.Join(set.Err(), set.Close()); err != nil {
			return fmt.Errorf("row group %d: row %d: %w", rg, rows, err)
		}
		if rows != group.NumRows() {
			r.fail("shard %d, row group %d: the reader yields %d series of %d rows", shard.ShardIdx(), rg, rows, group.NumRows())
		}
	}
	return nil
}

func verifySeries(r *report, truth *blockSet, anyDuplicate bool, shard int, lset labels.Labels, it chunks.Iterator, seen map[string]int, counts *verifyCounts) {
	key := string(lset.Bytes(nil))
	if other, ok := seen[key]; ok {
		r.fail("series %s: two rows, in shards %d and %d", lset, other, shard)
		return
	}
	seen[key] = shard
	counts.series++

	byKind := map[chunkenc.ValueType][]sample{}
	var got []sample
	for it.Next() {
		counts.chunks++
		meta := it.At()
		one, _, err := appendChunk(nil, meta.Chunk, nil)
		if err != nil {
			r.fail("series %s: chunk [%d, %d]: %v", lset, meta.MinTime, meta.MaxTime, err)
			return
		}
		if len(one) == 0 {
			r.fail("series %s: empty chunk", lset)
			continue
		}
		kind := one[0].kind
		byKind[kind] = append(byKind[kind], one...)
		got = append(got, one...)
	}
	if err := it.Err(); err != nil {
		r.fail("series %s: chunks: %v", lset, err)
		return
	}
	// A cell holds its records by encoding, so only the samples of one type stand in time order as they are read.
	for kind, samples := range byKind {
		if bad := increasing(samples); bad != "" {
			r.fail("series %s: %v chunks: %s", lset, kind, bad)
			return
		}
	}
	slices.SortStableFunc(got, func(a, b sample) int { return cmp.Compare(a.t, b.t) })
	if bad := increasing(got); bad != "" {
		r.fail("series %s: %s", lset, bad)
		return
	}

	counts.samples += len(got)
	counts.floats += len(byKind[chunkenc.ValFloat])
	counts.histograms += len(byKind[chunkenc.ValHistogram])
	counts.floatHistograms += len(byKind[chunkenc.ValFloatHistogram])
	if _, ok := truth.series[key]; !ok {
		r.fail("series %s is in shard %d but in no block", lset, shard)
		return
	}
	_, want, err := truth.expected(key)
	if err != nil {
		r.fail("series %s: read the block: %v", lset, err)
		return
	}
	if anyDuplicate {
		if want, err = truth.chooseLike(key, got, want); err != nil {
			r.fail("series %s: read the block: %v", lset, err)
			return
		}
	}
	if diff := difference(got, want); diff != "" {
		r.fail("series %s (shard %d): %s", lset, shard, diff)
	}
}

// chooseLike replaces expected samples by another block's sample of the same time if that is the one that was read.
func (b *blockSet) chooseLike(key string, got, want []sample) ([]sample, error) {
	all := map[int64][]sample{}
	for _, ref := range b.series[key] {
		_, one, err := b.read(ref)
		if err != nil {
			return nil, err
		}
		for _, s := range one {
			all[s.t] = append(all[s.t], s)
		}
	}
	for i := range min(len(got), len(want)) {
		for _, s := range all[want[i].t] {
			if s.t == got[i].t && sameValue(s, got[i]) {
				want[i] = s
				break
			}
		}
	}
	return want, nil
}
