package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// request is one line of evaluate's input. Without a step it is an instant query at its start. Times are milliseconds.
type request struct {
	Query string `json:"query"`
	Start int64  `json:"start"`
	End   int64  `json:"end"`
	Step  int64  `json:"step"`
	engineSettings
}

// engineSettings are those of an engine's options that requests choose.
type engineSettings struct {
	Experimental       bool  `json:"experimental"` // all four groups of features of the language
	DelayedNameRemoval bool  `json:"delayed_name_removal"`
	TypeAndUnitLabels  bool  `json:"type_and_unit_labels"`
	StartTimestamps    bool  `json:"start_timestamps"`
	Lookback           int64 `json:"lookback"`
	MaxSamples         int   `json:"max_samples"`
}

// evaluation is one line of evaluate's output. Floats are given as the integers of their bits.
type evaluation struct {
	ErrorClass string      `json:"error_class"`
	Error      string      `json:"error"`
	Type       string      `json:"type"`
	Text       string      `json:"text"`
	Series     []seriesOut `json:"series"`
	Warnings   []string    `json:"warnings"`
	Infos      []string    `json:"infos"`
	Samples    int64       `json:"samples"` // those looked at, and of these at each step
	Steps      []int64     `json:"steps"`
}

type seriesOut struct {
	Labels     [][2]string    `json:"labels"`
	Floats     [][2]uint64    `json:"floats"` // time and value
	Histograms []histogramOut `json:"histograms"`
}

type histogramOut struct {
	Time          int64    `json:"time"`
	Schema        int32    `json:"schema"`
	Hint          byte     `json:"hint"`
	Count         uint64   `json:"count"`
	Sum           uint64   `json:"sum"`
	ZeroThreshold uint64   `json:"zero_threshold"`
	ZeroCount     uint64   `json:"zero_count"`
	Positive      []bucket `json:"positive"`
	Negative      []bucket `json:"negative"`
	Bounds        []uint64 `json:"bounds"`
}

// bucket is one that is not empty.
type bucket struct {
	Index int32  `json:"index"`
	Count uint64 `json:"count"`
}

// evaluate answers requests from standard input with Prometheus' engine over a block, one line for each.
func evaluate(blockDir string) error {
	block, done, err := openBlock(blockDir)
	if err != nil {
		return err
	}
	defer done()
	reader := storage.QueryableFunc(func(mint, maxt int64) (storage.Querier, error) {
		return tsdb.NewBlockQuerier(block, mint, maxt)
	})
	engines := map[engineSettings]*promql.Engine{}
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	encoder, decoder := json.NewEncoder(out), json.NewDecoder(bufio.NewReader(os.Stdin))
	for {
		var r request
		if err := decoder.Decode(&r); errors.Is(err, io.EOF) {
			return out.Flush()
		} else if err != nil {
			return err
		}
		engine := engines[r.engineSettings]
		if engine == nil {
			engine = engineOf(r.engineSettings)
			engines[r.engineSettings] = engine
		}
		if err := encoder.Encode(ask(engine, reader, r)); err != nil {
			return err
		}
	}
}

// openBlock opens a copy: Prometheus writes into directories that it opens.
func openBlock(dir string) (*tsdb.Block, func(), error) {
	copied, err := os.MkdirTemp("", "evaluate-")
	if err != nil {
		return nil, nil, err
	}
	remove := func() { os.RemoveAll(copied) }
	here := filepath.Join(copied, filepath.Base(dir))
	if err := os.CopyFS(here, os.DirFS(dir)); err != nil {
		remove()
		return nil, nil, err
	}
	block, err := tsdb.OpenBlock(slog.New(slog.DiscardHandler), here, chunkenc.NewPool(), nil)
	if err != nil {
		remove()
		return nil, nil, err
	}
	return block, func() {
		block.Close()
		remove()
	}, nil
}

func engineOf(s engineSettings) *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		Logger:                   slog.New(slog.DiscardHandler),
		MaxSamples:               s.MaxSamples,
		Timeout:                  time.Minute,
		LookbackDelta:            time.Duration(s.Lookback) * time.Millisecond,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
		EnablePerStepStats:       true,
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		EnableDelayedNameRemoval: s.DelayedNameRemoval,
		EnableTypeAndUnitLabels:  s.TypeAndUnitLabels,
		UseStartTimestamps:       s.StartTimestamps,
		Parser: parser.NewParser(parser.Options{
			EnableExperimentalFunctions:  s.Experimental,
			ExperimentalDurationExpr:     s.Experimental,
			EnableExtendedRangeSelectors: s.Experimental,
			EnableBinopFillModifiers:     s.Experimental,
		}),
	})
}

func ask(engine *promql.Engine, reader storage.Queryable, r request) evaluation {
	ctx := context.Background()
	var query promql.Query
	var err error
	options := promql.NewPrometheusQueryOpts(true, 0)
	if r.Step > 0 {
		query, err = engine.NewRangeQuery(ctx, reader, options, r.Query, time.UnixMilli(r.Start), time.UnixMilli(r.End), time.Duration(r.Step)*time.Millisecond)
	} else {
		query, err = engine.NewInstantQuery(ctx, reader, options, r.Query, time.UnixMilli(r.Start))
	}
	if err != nil {
		return evaluation{ErrorClass: "parse", Error: err.Error()}
	}
	defer query.Close()
	result := query.Exec(ctx)
	var a evaluation
	a.Warnings, a.Infos = result.Warnings.AsStrings(r.Query, 0, 0)
	if result.Err != nil {
		a.ErrorClass, a.Error = class(result.Err), result.Err.Error()
		return a
	}
	a.Type = string(result.Value.Type())
	samples := query.Stats().Samples
	a.Samples, a.Steps = samples.TotalSamples, samples.TotalSamplesPerStep
	switch value := result.Value.(type) {
	case promql.Scalar:
		a.Series = []seriesOut{{Floats: [][2]uint64{{uint64(value.T), math.Float64bits(value.V)}}}}
	case promql.String:
		a.Text = value.V
	case promql.Vector:
		for _, s := range value {
			one := seriesOut{Labels: pairs(s.Metric)}
			if s.H == nil {
				one.Floats = [][2]uint64{{uint64(s.T), math.Float64bits(s.F)}}
			} else {
				one.Histograms = []histogramOut{histogramOf(s.T, s.H)}
			}
			a.Series = append(a.Series, one)
		}
	case promql.Matrix:
		for _, s := range value {
			one := seriesOut{Labels: pairs(s.Metric)}
			for _, p := range s.Floats {
				one.Floats = append(one.Floats, [2]uint64{uint64(p.T), math.Float64bits(p.F)})
			}
			for _, p := range s.Histograms {
				one.Histograms = append(one.Histograms, histogramOf(p.T, p.H))
			}
			a.Series = append(a.Series, one)
		}
	}
	return a
}

// class is what Prometheus' API makes of an error.
func class(err error) string {
	var timeout promql.ErrQueryTimeout
	var samples promql.ErrTooManySamples
	var storage promql.ErrStorage
	switch {
	case errors.As(err, &timeout):
		return "timeout"
	case errors.As(err, &samples):
		return "limit"
	case errors.As(err, &storage):
		return "storage"
	}
	return "execution"
}

func pairs(ls labels.Labels) [][2]string {
	var all [][2]string
	ls.Range(func(l labels.Label) { all = append(all, [2]string{l.Name, l.Value}) })
	return all
}

func histogramOf(t int64, h *histogram.FloatHistogram) histogramOut {
	return histogramOut{
		Time: t, Schema: h.Schema, Hint: byte(h.CounterResetHint),
		Count: math.Float64bits(h.Count), Sum: math.Float64bits(h.Sum),
		ZeroThreshold: math.Float64bits(h.ZeroThreshold), ZeroCount: math.Float64bits(h.ZeroCount),
		Positive: buckets(h.PositiveSpans, h.PositiveBuckets), Negative: buckets(h.NegativeSpans, h.NegativeBuckets),
		Bounds: bitsOf(h.CustomValues),
	}
}

func buckets(spans []histogram.Span, counts []float64) []bucket {
	var out []bucket
	index, i := int32(0), 0
	for _, span := range spans {
		index += span.Offset
		for range span.Length {
			if counts[i] != 0 {
				out = append(out, bucket{index, math.Float64bits(counts[i])})
			}
			index++
			i++
		}
	}
	return out
}

func bitsOf(values []float64) []uint64 {
	var out []uint64
	for _, v := range values {
		out = append(out, math.Float64bits(v))
	}
	return out
}
