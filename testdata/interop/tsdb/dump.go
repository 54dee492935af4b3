package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

func dumpCommand(args []string) error {
	var dir string
	var startTimes, promtool bool
	fs := flag.NewFlagSet("dump", flag.ContinueOnError)
	fs.StringVar(&dir, "block", "", "TSDB block directory (required)")
	fs.BoolVar(&startTimes, "st", true, "print start timestamps")
	fs.BoolVar(&promtool, "promtool", false, "print as promtool tsdb dump does")
	if err := parse(fs, args); err != nil {
		return err
	}
	if dir == "" {
		return fmt.Errorf("%w: -block is required", errUsage)
	}
	block, err := openCopy(dir)
	if err != nil {
		return err
	}
	defer block.Close()
	out := bufio.NewWriter(os.Stdout)
	if promtool {
		if err := block.promtoolLines(out); err != nil {
			return err
		}
		return out.Flush()
	}
	err = block.each(func(lset labels.Labels, lines func() (string, bool, error)) error {
		fmt.Fprintln(out, lset)
		for {
			line, ok, err := lines()
			if err != nil || !ok {
				return err
			}
			fmt.Fprintln(out, " ", line)
		}
	}, startTimes)
	if err != nil {
		return err
	}
	return out.Flush()
}

func compareCommand(args []string) error {
	var a, b string
	var startTimes bool
	fs := flag.NewFlagSet("compare", flag.ContinueOnError)
	fs.StringVar(&a, "a", "", "one TSDB block directory (required)")
	fs.StringVar(&b, "b", "", "the other TSDB block directory (required)")
	fs.BoolVar(&startTimes, "st", true, "compare start timestamps too")
	if err := parse(fs, args); err != nil {
		return err
	}
	if a == "" || b == "" {
		return fmt.Errorf("%w: -a and -b are required", errUsage)
	}
	series, samples, err := compareBlocks(a, b, startTimes)
	if err != nil {
		return err
	}
	fmt.Printf("PASS compare %s %s: %d series, %d samples\n", a, b, series, samples)
	return nil
}

// compareBlocks walks both blocks in label order and stops at the first difference.
func compareBlocks(a, b string, startTimes bool) (series, samples int, err error) {
	left, err := openCopy(a)
	if err != nil {
		return 0, 0, err
	}
	defer left.Close()
	right, err := openCopy(b)
	if err != nil {
		return 0, 0, err
	}
	defer right.Close()
	other, err := right.selectAll()
	if err != nil {
		return 0, 0, err
	}
	err = left.each(func(lset labels.Labels, lines func() (string, bool, error)) error {
		if !other.Next() {
			return fmt.Errorf("series %s is only in %s: %w", lset, a, orMismatch(other.Err()))
		}
		if got := other.At().Labels(); !labels.Equal(lset, got) {
			return fmt.Errorf("series %d: %s in %s, %s in %s", series, lset, a, got, b)
		}
		series++
		otherLines := sampleLines(other.At().Iterator(nil), startTimes)
		for i := 0; ; i++ {
			x, more, err := lines()
			if err != nil {
				return fmt.Errorf("%s: %s: %w", a, lset, err)
			}
			y, otherMore, err := otherLines()
			if err != nil {
				return fmt.Errorf("%s: %s: %w", b, lset, err)
			}
			if more != otherMore || x != y {
				return fmt.Errorf("series %s, sample %d: %q in %s, %q in %s", lset, i, x, a, y, b)
			}
			if !more {
				return nil
			}
			samples++
		}
	}, startTimes)
	if err != nil {
		return series, samples, err
	}
	if other.Next() {
		return series, samples, fmt.Errorf("series %s is only in %s", other.At().Labels(), b)
	}
	return series, samples, other.Err()
}

func orMismatch(err error) error {
	if err == nil {
		return fmt.Errorf("the other block ends")
	}
	return err
}

// blockCopy is a private copy of a block, opened by Prometheus, which writes into directories that it opens.
type blockCopy struct {
	*tsdb.Block
	dir     string
	querier storage.Querier
}

func openCopy(dir string) (*blockCopy, error) {
	tmp, err := os.MkdirTemp("", "interop-tsdb-")
	if err != nil {
		return nil, err
	}
	copied := filepath.Join(tmp, filepath.Base(filepath.Clean(dir)))
	err = os.CopyFS(copied, os.DirFS(dir))
	var block *tsdb.Block
	if err == nil {
		block, err = tsdb.OpenBlock(slog.New(slog.DiscardHandler), copied, chunkenc.NewPool(), nil)
	}
	if err != nil {
		os.RemoveAll(tmp)
		return nil, fmt.Errorf("open block %s: %w", dir, err)
	}
	return &blockCopy{Block: block, dir: tmp}, nil
}

func (b *blockCopy) Close() {
	if b.querier != nil {
		b.querier.Close()
	}
	b.Block.Close()
	os.RemoveAll(b.dir)
}

func (b *blockCopy) selectAll() (storage.SeriesSet, error) {
	querier, err := tsdb.NewBlockQuerier(b.Block, math.MinInt64, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	b.querier = querier
	return querier.Select(context.Background(), true, nil, labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, ".*")), nil
}

// each visits all series in label order; lines gives the samples of the visited series, one by one.
func (b *blockCopy) each(visit func(lset labels.Labels, lines func() (string, bool, error)) error, startTimes bool) error {
	set, err := b.selectAll()
	if err != nil {
		return err
	}
	for set.Next() {
		series := set.At()
		if err := visit(series.Labels(), sampleLines(series.Iterator(nil), startTimes)); err != nil {
			return err
		}
	}
	return set.Err()
}

// sampleLines gives the canonical text of each sample: time, start time, then the value's bits. Layout that means
// nothing (empty buckets, chunk borders, counter-reset hints, which depend on chunk borders) is left out; gauge
// histograms are marked, for that is a property of the sample.
func sampleLines(it chunkenc.Iterator, startTimes bool) func() (string, bool, error) {
	return func() (string, bool, error) {
		kind := it.Next()
		if kind == chunkenc.ValNone {
			return "", false, it.Err()
		}
		var line strings.Builder
		fmt.Fprintf(&line, "%d", it.AtT())
		if st := it.AtST(); startTimes && st != 0 {
			fmt.Fprintf(&line, " st=%d", st)
		}
		switch kind {
		case chunkenc.ValFloat:
			_, v := it.At()
			fmt.Fprintf(&line, " float %016x %v", math.Float64bits(v), v)
		case chunkenc.ValHistogram:
			_, h := it.AtHistogram(nil)
			line.WriteString(" histogram")
			if value.IsStaleNaN(h.Sum) {
				line.WriteString(" stale")
				break
			}
			writeHeader(&line, h.CounterResetHint, h.Schema, h.ZeroThreshold, h.Sum, h.CustomValues)
			fmt.Fprintf(&line, " count=%d zero=%d", h.Count, h.ZeroCount)
			writeBuckets(&line, "positive", h.PositiveSpans, absolute(h.PositiveBuckets))
			writeBuckets(&line, "negative", h.NegativeSpans, absolute(h.NegativeBuckets))
		case chunkenc.ValFloatHistogram:
			_, h := it.AtFloatHistogram(nil)
			line.WriteString(" float_histogram")
			if value.IsStaleNaN(h.Sum) {
				line.WriteString(" stale")
				break
			}
			writeHeader(&line, h.CounterResetHint, h.Schema, h.ZeroThreshold, h.Sum, h.CustomValues)
			fmt.Fprintf(&line, " count=%016x zero=%016x", math.Float64bits(h.Count), math.Float64bits(h.ZeroCount))
			writeBuckets(&line, "positive", h.PositiveSpans, bits(h.PositiveBuckets))
			writeBuckets(&line, "negative", h.NegativeSpans, bits(h.NegativeBuckets))
		default:
			return "", false, fmt.Errorf("value type %v is unknown", kind)
		}
		return line.String(), true, nil
	}
}

func writeHeader(w io.Writer, hint histogram.CounterResetHint, schema int32, threshold, sum float64, custom []float64) {
	if hint == histogram.GaugeType {
		fmt.Fprint(w, " gauge")
	}
	fmt.Fprintf(w, " schema=%d threshold=%016x sum=%016x", schema, math.Float64bits(threshold), math.Float64bits(sum))
	if len(custom) > 0 {
		fmt.Fprintf(w, " custom=%016x", bits(custom))
	}
}

func writeBuckets(w io.Writer, name string, spans []histogram.Span, counts []uint64) {
	index, next, any := int32(0), 0, false
	for _, span := range spans {
		index += span.Offset
		for range span.Length {
			if counts[next] != 0 {
				if !any {
					fmt.Fprintf(w, " %s", name)
					any = true
				}
				fmt.Fprintf(w, " %d:%x", index, counts[next])
			}
			index++
			next++
		}
	}
}

func absolute(deltas []int64) []uint64 {
	out, count := make([]uint64, len(deltas)), int64(0)
	for i, d := range deltas {
		count += d
		out[i] = uint64(count)
	}
	return out
}

func bits(values []float64) []uint64 {
	out := make([]uint64, len(values))
	for i, v := range values {
		out[i] = math.Float64bits(v)
	}
	return out
}
