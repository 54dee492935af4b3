package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	promstorage "github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/thanos-io/objstore/providers/filesystem"
	thanosengine "github.com/thanos-io/promql-engine/engine"
)

// promqlResult is the one JSON line that promql prints; benches read it. The other side prints the same.
type promqlResult struct {
	Side    string        `json:"side"`
	Queries []promqlQuery `json:"queries"`
}

// promqlQuery is what one query answered and cost.
type promqlQuery struct {
	Name string `json:"name"`
	valueSummary
	times
	RSSMiB float64 `json:"rss_mib"`
}

// valueSummary says what an answer holds: exactly but for the finite values. Of these it has weighted sums of inverse
// hyperbolic sines, which differ a little if values do, and hardly if they are rounded otherwise.
type valueSummary struct {
	Series   int     `json:"series"`
	Samples  int     `json:"samples"`
	Checksum string  `json:"checksum"`
	Sum      float64 `json:"sum"`
	// Scale is the same sum of absolute values: differences are relative to it.
	Scale float64 `json:"scale"`
}

type promqlOptions struct {
	selectOptions
	engine string
	step   time.Duration
}

func promqlCommand(args []string) error {
	var o promqlOptions
	fs := flag.NewFlagSet("promql", flag.ContinueOnError)
	fs.StringVar(&o.engine, "engine", "prometheus", "prometheus or thanos")
	fs.StringVar(&o.dir, "dir", "", "directory that stands for the bucket of the Parquet shards")
	fs.StringVar(&o.tsdb, "tsdb", "", "instead of -dir: directory of a TSDB block, which is mapped into memory")
	fs.StringVar(&o.name, "name", "block", "name of the shards inside the bucket")
	fs.IntVar(&o.shards, "shards", 1, "how many shards there are")
	fs.StringVar(&o.queries, "queries", "", "file of queries (required)")
	fs.StringVar(&o.only, "only", "", "run only the query of this name")
	fs.Int64Var(&o.mint, "mint", 0, "first time of evaluation (ms)")
	fs.Int64Var(&o.maxt, "maxt", 0, "last time of evaluation (ms)")
	fs.DurationVar(&o.step, "step", time.Minute, "time between evaluations")
	fs.DurationVar(&o.budget, "budget", 500*time.Millisecond, "time to spend on repetitions of a query")
	fs.StringVar(&o.preset, "options", "cortex", "how shards are opened and queried; see select")
	if err := parse(fs, args); err != nil {
		return err
	}
	if (o.dir == "") == (o.tsdb == "") || o.queries == "" || o.maxt < o.mint {
		return fmt.Errorf("%w: -queries, -mint, -maxt and one of -dir and -tsdb are required", errUsage)
	}
	engine, err := newEngine(o.engine)
	if err != nil {
		return err
	}
	reader, done, err := openReader(context.Background(), o)
	if err != nil {
		return err
	}
	defer done()
	result, err := runPromQL(context.Background(), o, engine, reader)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

// newEngine makes an engine as a querier of its project has it.
func newEngine(name string) (promql.QueryEngine, error) {
	opts := promql.EngineOpts{
		Logger:                   slog.New(slog.DiscardHandler),
		MaxSamples:               50_000_000,
		Timeout:                  5 * time.Minute,
		LookbackDelta:            5 * time.Minute,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
	}
	switch name {
	case "prometheus":
		return promql.NewEngine(opts), nil
	case "thanos":
		return thanosengine.New(thanosengine.Opts{EngineOpts: opts}), nil
	}
	return nil, fmt.Errorf("%w: engine %q is none of prometheus, thanos", errUsage, name)
}

// openReader opens the shards, or the block.
func openReader(ctx context.Context, o promqlOptions) (promstorage.Queryable, func(), error) {
	if o.tsdb == "" {
		files, err := filesystem.NewBucket(o.dir)
		if err != nil {
			return nil, nil, err
		}
		shards, err := openQueryable(ctx, o.selectOptions, newCountingBucket(files, 0))
		if err != nil {
			return nil, nil, err
		}
		return shards.reader, func() { closeShards(shards.shards) }, nil
	}
	dir, err := linkBlock(o.tsdb)
	if err != nil {
		return nil, nil, err
	}
	block, err := tsdb.OpenBlock(slog.New(slog.DiscardHandler), dir, chunkenc.NewPool(), nil)
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	reader := promstorage.QueryableFunc(func(mint, maxt int64) (promstorage.Querier, error) {
		return tsdb.NewBlockQuerier(block, mint, maxt)
	})
	return reader, func() {
		block.Close()
		os.RemoveAll(dir)
	}, nil
}

func runPromQL(ctx context.Context, o promqlOptions, engine promql.QueryEngine, reader promstorage.Queryable) (promqlResult, error) {
	result := promqlResult{Side: o.engine}
	text, err := os.ReadFile(o.queries)
	if err != nil {
		return result, err
	}
	var file struct {
		Queries []struct{ Name, Query string }
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return result, fmt.Errorf("%s: %w", o.queries, err)
	}
	for _, q := range file.Queries {
		if o.only != "" && q.Name != o.only {
			continue
		}
		one := promqlQuery{Name: q.Name}
		debug.FreeOSMemory()
		if err := forgetPeak(); err != nil {
			return result, err
		}
		one.times, err = repeat(o.budget, func() error {
			query, err := engine.NewRangeQuery(ctx, reader, nil, q.Query, time.UnixMilli(o.mint), time.UnixMilli(o.maxt), o.step)
			if err != nil {
				return fmt.Errorf("%s: %w", q.Name, err)
			}
			defer query.Close()
			answer := query.Exec(ctx)
			if answer.Err != nil {
				return fmt.Errorf("%s: %w", q.Name, answer.Err)
			}
			matrix, err := answer.Matrix()
			one.valueSummary = summarizeMatrix(matrix)
			return err
		})
		if err != nil {
			return result, err
		}
		if one.RSSMiB, err = peakMiB(); err != nil {
			return result, err
		}
		result.Queries = append(result.Queries, one)
	}
	return result, nil
}

func summarizeMatrix(matrix promql.Matrix) valueSummary {
	var s valueSummary
	var checksum uint64
	for _, series := range matrix {
		hash := hashLabels(series.Metric)
		s.Series++
		s.Samples += len(series.Floats) + len(series.Histograms)
		add := func(t int64, v float64) {
			kind := uint64(0)
			switch {
			case math.IsNaN(v):
				kind = 1
			case math.IsInf(v, 1):
				kind = 2
			case math.IsInf(v, -1):
				kind = 3
			}
			bits := mixed(hash, t)
			checksum += (bits ^ kind) * 0x9E37_79B1_85EB_CA87
			if kind == 0 {
				weighted := math.Asinh(v) * (1 + float64(bits>>40)/(1<<24))
				s.Sum += weighted
				s.Scale += math.Abs(weighted)
			}
		}
		for _, point := range series.Floats {
			add(point.T, point.F)
		}
		for _, point := range series.Histograms {
			add(point.T, summarizeHistogram(point.H))
		}
	}
	s.Checksum = fmt.Sprintf("%016x", checksum)
	return s
}

func summarizeHistogram(h *histogram.FloatHistogram) float64 { return h.Count + h.Sum }

func mixed(hash uint64, t int64) uint64 {
	bits := (hash ^ uint64(t)) * 0xC2B2_AE3D_27D4_EB4F
	return bits ^ bits>>29
}

func hashLabels(ls labels.Labels) uint64 {
	hash := fnv.New64a()
	ls.Range(func(l labels.Label) { fmt.Fprintf(hash, "%s\xff%s\xff", l.Name, l.Value) })
	return hash.Sum64()
}

// forgetPeak makes peakMiB begin anew.
func forgetPeak() error { return os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// peakMiB is the most memory that this process has had resident.
func peakMiB() (float64, error) {
	file, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if kib, found := strings.CutPrefix(lines.Text(), "VmHWM:"); found {
			var n float64
			_, err := fmt.Sscan(kib, &n)
			return n / 1024, err
		}
	}
	return 0, cmp.Or(lines.Err(), errors.New("no VmHWM in /proc/self/status"))
}
