package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/prometheus-community/parquet-common/queryable"
	"github.com/prometheus-community/parquet-common/schema"
	"github.com/prometheus-community/parquet-common/storage"
	"github.com/prometheus/prometheus/model/labels"
	promstorage "github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/thanos-io/objstore/providers/filesystem"
)

// selectResult is the one JSON line that select prints; benches read it. The other side prints the same.
type selectResult struct {
	Side    string        `json:"side"`
	Open    queryCost     `json:"open"`
	Queries []queryResult `json:"queries"`
}

// queryResult is what one query answered and cost.
type queryResult struct {
	Name string `json:"name"`
	answerSummary
	queryCost
}

type queryCost struct {
	// Cold includes the opening of the shards, Warm does not.
	Cold times `json:"cold"`
	Warm times `json:"warm"`
	// Far is what the store saw of one query on open shards, and its wall time with the latency injected.
	Far *traffic `json:"far"`
}

// times are milliseconds of one repetition: the median, the shortest, and the average processor time of all threads.
type times struct {
	MS      float64 `json:"ms"`
	LeastMS float64 `json:"least_ms"`
	CPUMS   float64 `json:"cpu_ms"`
}

// answerSummary is what both sides must agree on.
type answerSummary struct {
	Series   int    `json:"series"`
	Samples  int    `json:"samples"`
	Checksum string `json:"checksum"`
}

// selectQuery is one entry of the query file.
type selectQuery struct {
	Name        string      `json:"name"`
	Block       string      `json:"block"`
	Kind        string      `json:"kind"` // samples, series, label_values
	Label       string      `json:"label"`
	Matchers    [][3]string `json:"matchers"` // name, operator, value
	LastMinutes int64       `json:"last_minutes"`
}

type selectOptions struct {
	dir, tsdb, name, block, only, preset string
	queries                              string
	shards, concurrency, decoders        int
	mint, maxt                           int64
	latency, budget                      time.Duration
}

func selectCommand(args []string) error {
	var o selectOptions
	fs := flag.NewFlagSet("select", flag.ContinueOnError)
	fs.StringVar(&o.dir, "dir", "", "directory that stands for the bucket of the Parquet shards")
	fs.StringVar(&o.tsdb, "tsdb", "", "instead of -dir: directory of a TSDB block, which is mapped into memory")
	fs.StringVar(&o.name, "name", "block", "name of the shards inside the bucket")
	fs.IntVar(&o.shards, "shards", 1, "how many shards there are")
	fs.StringVar(&o.queries, "queries", "", "file of queries (required)")
	fs.StringVar(&o.block, "block", "", "run only queries for the block of this name")
	fs.StringVar(&o.only, "only", "", "run only the query of this name")
	fs.Int64Var(&o.mint, "mint", 0, "first timestamp of the block (ms, inclusive)")
	fs.Int64Var(&o.maxt, "maxt", 0, "end of the block (ms, exclusive)")
	fs.DurationVar(&o.latency, "latency", 0, "also run every query with this latency for each request to the bucket")
	fs.DurationVar(&o.budget, "budget", 500*time.Millisecond, "time to spend on repetitions of a query")
	fs.StringVar(&o.preset, "options", "cortex", "how shards are opened and queried: cortex (read buffers of 100 KiB, concurrency 4) or library (its defaults)")
	fs.IntVar(&o.decoders, "decoders", runtime.NumCPU(), "goroutines that decode samples")
	if err := parse(fs, args); err != nil {
		return err
	}
	if (o.dir == "") == (o.tsdb == "") || o.queries == "" || o.maxt <= o.mint {
		return fmt.Errorf("%w: -queries, -mint, -maxt and one of -dir and -tsdb are required", errUsage)
	}
	queries, err := readQueries(o)
	if err != nil {
		return err
	}
	var result selectResult
	if o.tsdb != "" {
		result, err = selectTSDB(context.Background(), o, queries)
	} else {
		result, err = selectParquet(context.Background(), o, queries)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

func readQueries(o selectOptions) ([]selectQuery, error) {
	text, err := os.ReadFile(o.queries)
	if err != nil {
		return nil, err
	}
	var file struct {
		Queries []selectQuery `json:"queries"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", o.queries, err)
	}
	return slices.DeleteFunc(file.Queries, func(q selectQuery) bool {
		return (o.block != "" && q.Block != o.block) || (o.only != "" && q.Name != o.only)
	}), nil
}

// openedShards are shards and the queryable over them.
type openedShards struct {
	shards []*storage.ParquetShardOpener
	reader promstorage.Queryable
}

// openQueryable opens all shards at the same time, as Cortex does.
func openQueryable(ctx context.Context, o selectOptions, bucket *countingBucket) (*openedShards, error) {
	opener := storage.NewParquetBucketOpener(bucket)
	var fileOptions []storage.FileOption
	var queryOptions []queryable.QueryableOpts
	switch o.preset {
	case "cortex":
		fileOptions = append(fileOptions, storage.WithFileOptions(
			parquet.SkipMagicBytes(true), parquet.ReadBufferSize(100<<10), parquet.SkipBloomFilters(true), parquet.OptimisticRead(true)))
		queryOptions = append(queryOptions, queryable.WithConcurrency(4))
	case "library":
	default:
		return nil, fmt.Errorf("%w: options %q are none of cortex, library", errUsage, o.preset)
	}
	opened := &openedShards{shards: make([]*storage.ParquetShardOpener, o.shards)}
	errs := make([]error, o.shards)
	inParallel(o.shards, o.shards, func(i int) {
		shard, err := storage.NewParquetShardOpener(ctx, o.name, opener, opener, i, fileOptions...)
		if err == nil {
			_, err = shard.TSDBSchema() // only the first call reports an error
		}
		opened.shards[i], errs[i] = shard, err
	})
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	shards := make([]storage.ParquetShard, o.shards)
	for i, shard := range opened.shards {
		shards[i] = shard
	}
	var err error
	opened.reader, err = queryable.NewParquetQueryable(
		func(context.Context, int64, int64) ([]storage.ParquetShard, error) { return shards, nil },
		nil, schema.NewPrometheusParquetChunksDecoder(chunkenc.NewPool()), queryOptions...)
	return opened, err
}

func selectParquet(ctx context.Context, o selectOptions, queries []selectQuery) (selectResult, error) {
	result := selectResult{Side: "parquet-common"}
	files, err := filesystem.NewBucket(o.dir)
	if err != nil {
		return result, err
	}
	near := newCountingBucket(files, 0)
	open := func() (*openedShards, error) { return openQueryable(ctx, o, near) }
	if result.Open.Warm, err = repeat(o.budget, func() error {
		shards, err := open()
		if err == nil {
			closeShards(shards.shards)
		}
		return err
	}); err != nil {
		return result, err
	}
	kept, err := open()
	if err != nil {
		return result, err
	}
	defer closeShards(kept.shards)
	far, remote := (*countingBucket)(nil), (*openedShards)(nil)
	if o.latency > 0 {
		far = newCountingBucket(files, o.latency)
		start := time.Now()
		if remote, err = openQueryable(ctx, o, far); err != nil {
			return result, err
		}
		defer closeShards(remote.shards)
		seen := far.take(time.Since(start))
		result.Open.Far = &seen
	}
	for _, q := range queries {
		one := queryResult{Name: q.Name}
		answer := func(from *openedShards, want *answerSummary) error {
			got, err := run(ctx, o, from.reader, q)
			if err != nil {
				return fmt.Errorf("%s: %w", q.Name, err)
			}
			if want.Checksum != "" && *want != got {
				return fmt.Errorf("%s: two runs answer differently: %v and %v", q.Name, *want, got)
			}
			*want = got
			return nil
		}
		if one.Warm, err = repeat(o.budget, func() error { return answer(kept, &one.answerSummary) }); err != nil {
			return result, err
		}
		if one.Cold, err = repeat(o.budget, func() error {
			shards, err := open()
			if err != nil {
				return err
			}
			defer closeShards(shards.shards)
			return answer(shards, &one.answerSummary)
		}); err != nil {
			return result, err
		}
		if far != nil {
			start := time.Now()
			if err := answer(remote, &one.answerSummary); err != nil {
				return result, err
			}
			seen := far.take(time.Since(start))
			one.Far = &seen
		}
		result.Queries = append(result.Queries, one)
	}
	return result, nil
}

func selectTSDB(ctx context.Context, o selectOptions, queries []selectQuery) (selectResult, error) {
	result := selectResult{Side: "tsdb"}
	dir, err := linkBlock(o.tsdb)
	if err != nil {
		return result, err
	}
	defer os.RemoveAll(dir)
	open := func() (*tsdb.Block, error) {
		return tsdb.OpenBlock(slog.New(slog.DiscardHandler), dir, chunkenc.NewPool(), nil)
	}
	if result.Open.Warm, err = repeat(o.budget, func() error {
		block, err := open()
		if err == nil {
			err = block.Close()
		}
		return err
	}); err != nil {
		return result, err
	}
	kept, err := open()
	if err != nil {
		return result, err
	}
	defer kept.Close()
	for _, q := range queries {
		one := queryResult{Name: q.Name}
		answer := func(block *tsdb.Block) (err error) {
			reader := promstorage.QueryableFunc(func(mint, maxt int64) (promstorage.Querier, error) {
				return tsdb.NewBlockQuerier(block, mint, maxt)
			})
			one.answerSummary, err = run(ctx, o, reader, q)
			return err
		}
		if one.Warm, err = repeat(o.budget, func() error { return answer(kept) }); err != nil {
			return result, err
		}
		if one.Cold, err = repeat(o.budget, func() error {
			block, err := open()
			if err != nil {
				return err
			}
			defer block.Close()
			return answer(block)
		}); err != nil {
			return result, err
		}
		result.Queries = append(result.Queries, one)
	}
	return result, nil
}

// linkBlock makes a directory of links to a block's large files: Prometheus writes into directories that it opens, and
// copying takes too long.
func linkBlock(block string) (string, error) {
	block, err := filepath.Abs(block)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "select-block-")
	if err != nil {
		return "", err
	}
	for _, name := range []string{"index", "chunks"} {
		err = errors.Join(err, os.Symlink(filepath.Join(block, name), filepath.Join(dir, name)))
	}
	for _, name := range []string{"meta.json", "tombstones"} {
		text, readErr := os.ReadFile(filepath.Join(block, name))
		if os.IsNotExist(readErr) {
			continue
		}
		err = errors.Join(err, readErr, os.WriteFile(filepath.Join(dir, name), text, 0o644))
	}
	return dir, err
}

// run asks one query and looks at every sample of the answer.
func run(ctx context.Context, o selectOptions, reader promstorage.Queryable, q selectQuery) (answerSummary, error) {
	var matchers []*labels.Matcher
	for _, m := range q.Matchers {
		kind := slices.Index([]string{"=", "!=", "=~", "!~"}, m[1])
		if kind < 0 {
			return answerSummary{}, fmt.Errorf("%w: operator %q", errUsage, m[1])
		}
		matcher, err := labels.NewMatcher(labels.MatchType(kind), m[0], m[2])
		if err != nil {
			return answerSummary{}, err
		}
		matchers = append(matchers, matcher)
	}
	mint, maxt := o.mint, o.maxt-1
	if q.LastMinutes > 0 {
		mint = o.maxt - q.LastMinutes*60_000
	}
	return ask(reader, mint, maxt, func(querier promstorage.Querier) (answerSummary, error) {
		switch q.Kind {
		case "label_values":
			values, _, err := querier.LabelValues(ctx, q.Label, nil, matchers...)
			return summarizeStrings(values), err
		case "series":
			hints := &promstorage.SelectHints{Start: mint, End: maxt, Func: "series"}
			return summarizeLabels(querier.Select(ctx, true, hints, matchers...))
		case "samples":
			hints := &promstorage.SelectHints{Start: mint, End: maxt}
			return summarizeSamples(querier.Select(ctx, true, hints, matchers...), mint, maxt, o.decoders)
		}
		return answerSummary{}, fmt.Errorf("%w: kind of query %q", errUsage, q.Kind)
	})
}

// repeat runs a function once to warm up, then until the budget is spent (at least 3 times, at most 100).
func repeat(budget time.Duration, run func() error) (times, error) {
	runtime.GC()
	if err := run(); err != nil {
		return times{}, err
	}
	cpu, err := cpuMilliseconds()
	if err != nil {
		return times{}, err
	}
	var all []time.Duration
	for spent := time.Duration(0); len(all) < 3 || (spent < budget && len(all) < 100); {
		start := time.Now()
		if err := run(); err != nil {
			return times{}, err
		}
		all = append(all, time.Since(start))
		spent += all[len(all)-1]
	}
	after, err := cpuMilliseconds()
	slices.Sort(all)
	return times{milliseconds(all[len(all)/2]), milliseconds(all[0]), (after - cpu) / float64(len(all))}, err
}

// cpuMilliseconds is the processor time that the threads of this process have used, from Linux's scheduler.
func cpuMilliseconds() (float64, error) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0, err
	}
	total := 0.0
	for _, thread := range threads {
		text, err := os.ReadFile(filepath.Join("/proc/self/task", thread.Name(), "schedstat"))
		if err != nil {
			continue // it has ended
		}
		var nanoseconds float64
		if _, err := fmt.Sscan(string(text), &nanoseconds); err != nil {
			return 0, err
		}
		total += nanoseconds / 1e6
	}
	return total, nil
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }
