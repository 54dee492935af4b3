package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// step is a histogram with its times, or, without one, a cut between the chunks of the samples around it.
type step struct {
	st, t int64
	h     *histogram.Histogram
	fh    *histogram.FloatHistogram
}

type histogramShape struct {
	name  string
	steps []step
}

// writeHistograms writes histogram.txt and float_histogram.txt.
func writeHistograms(dir string) error {
	shapes := histogramShapes()
	encodings := []chunkenc.Encoding{chunkenc.EncHistogram, chunkenc.EncHistogramST}
	if err := writeHistogramFile(filepath.Join(dir, "histogram.txt"), encodings, shapes); err != nil {
		return err
	}
	encodings = []chunkenc.Encoding{chunkenc.EncFloatHistogram, chunkenc.EncFloatHistogramST}
	floats := append(floatHistograms(shapes), floatHistogramShapes()...)
	return writeHistogramFile(filepath.Join(dir, "float_histogram.txt"), encodings, floats)
}

func writeHistogramFile(path string, encodings []chunkenc.Encoding, shapes []histogramShape) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	fmt.Fprintf(w, "# Written by testdata/interop/chunks with Prometheus' own encoder; see README.md.\n")
	for _, s := range shapes {
		fmt.Fprintf(w, "series %s\n", s.name)
		fields := make([][]string, 0, len(s.steps))
		var last step
		var before []string
		for _, x := range s.steps {
			if x.h == nil && x.fh == nil {
				fmt.Fprintln(w, "cut")
				continue
			}
			fields = append(fields, x.fields())
			now := x.fields()
			now[0], now[1] = fmt.Sprint(x.t-last.t), fmt.Sprint(x.st-last.st)
			fmt.Fprintln(w, abbreviate(now, before))
			before, last = now, x
		}
		for _, enc := range encodings {
			if err := writeHistogramChunks(w, enc, s, fields); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// writeHistogramChunks writes the chunks of the samples and what Prometheus reads from them.
func writeHistogramChunks(w *bufio.Writer, enc chunkenc.Encoding, s histogramShape, fields [][]string) error {
	chunks, err := encodeHistograms(enc, s.steps)
	if err != nil {
		return err
	}
	i := 0
	for _, c := range chunks {
		fmt.Fprintf(w, "chunk %d %x\n", enc, c.Bytes())
		asWritten := "" // The hints of samples that are, but for the hint, as they were written.
		flush := func() {
			if asWritten != "" {
				fmt.Fprintln(w, "as-written", asWritten)
			}
			asWritten = ""
		}
		it := c.Iterator(nil)
		for typ := it.Next(); typ != chunkenc.ValNone; typ = it.Next() {
			var x step
			if typ == chunkenc.ValHistogram {
				x.t, x.h = it.AtHistogram(nil)
			} else {
				x.t, x.fh = it.AtFloatHistogram(nil)
			}
			x.st = it.AtST()
			got, want := x.fields(), append([]string(nil), fields[i]...)
			if enc == chunkenc.EncHistogram || enc == chunkenc.EncFloatHistogram {
				want[1] = "0"
			}
			want[2] = got[2] // The hint is never that of the sample written.
			i++
			if reflect.DeepEqual(got, want) {
				asWritten += got[2]
				continue
			}
			flush()
			fmt.Fprintln(w, "read", strings.Join(got, " "))
		}
		flush()
		if it.Err() != nil {
			return it.Err()
		}
	}
	if i != len(fields) {
		return fmt.Errorf("%d samples came back of %d", i, len(fields))
	}
	return nil
}

// encodeHistograms does what Prometheus' head does: a chunk begun after a cut is told of the appender before.
func encodeHistograms(enc chunkenc.Encoding, steps []step) ([]chunkenc.Chunk, error) {
	var (
		done      []chunkenc.Chunk
		open      chunkenc.Chunk
		app, prev chunkenc.Appender
	)
	for _, x := range steps {
		if x.h == nil && x.fh == nil {
			if open != nil {
				done, open, prev = append(done, open), nil, app
			}
			continue
		}
		if open == nil {
			var err error
			if open, err = chunkenc.NewEmptyChunk(enc); err != nil {
				return nil, err
			}
			if app, err = open.Appender(); err != nil {
				return nil, err
			}
		}
		var (
			chunk   chunkenc.Chunk
			recoded bool
			err     error
		)
		if x.h != nil {
			chunk, recoded, app, err = app.AppendHistogram(prev, x.st, x.t, x.h.Copy(), false)
		} else {
			chunk, recoded, app, err = app.AppendFloatHistogram(prev, x.st, x.t, x.fh.Copy(), false)
		}
		if err != nil {
			return nil, err
		}
		prev = nil
		if chunk != nil {
			if !recoded {
				done = append(done, open)
			}
			open = chunk
		}
	}
	if open != nil {
		done = append(done, open)
	}
	return done, nil
}

// fields of a sample: t st hint schema zero-threshold zero-count count sum spans+ spans- buckets+ buckets- bounds.
func (x step) fields() []string {
	out := []string{fmt.Sprint(x.t), fmt.Sprint(x.st)}
	if h := x.h; h != nil {
		return append(out, hint(h.CounterResetHint), fmt.Sprint(h.Schema), bits(h.ZeroThreshold),
			fmt.Sprint(h.ZeroCount), fmt.Sprint(h.Count), bits(h.Sum), spans(h.PositiveSpans), spans(h.NegativeSpans),
			list(h.PositiveBuckets, decimal), list(h.NegativeBuckets, decimal), list(h.CustomValues, bits))
	}
	h := x.fh
	return append(out, hint(h.CounterResetHint), fmt.Sprint(h.Schema), bits(h.ZeroThreshold),
		bits(h.ZeroCount), bits(h.Count), bits(h.Sum), spans(h.PositiveSpans), spans(h.NegativeSpans),
		list(h.PositiveBuckets, bits), list(h.NegativeBuckets, bits), list(h.CustomValues, bits))
}

// abbreviate writes a dot for a field that is as before, and nothing for such fields at the end.
func abbreviate(now, before []string) string {
	out := append([]string(nil), now...)
	for i := range before {
		if now[i] == before[i] {
			out[i] = "."
		}
	}
	for len(out) > 1 && out[len(out)-1] == "." {
		out = out[:len(out)-1]
	}
	return strings.Join(out, " ")
}

func hint(h histogram.CounterResetHint) string { return "urng"[h : h+1] }
func decimal(v int64) string                   { return fmt.Sprint(v) }

// bits of a float in hexadecimal, without zeros at the end.
func bits(v float64) string {
	digits := fmt.Sprintf("%016x", math.Float64bits(v))
	return digits[:1] + strings.TrimRight(digits[1:], "0")
}

func spans(s []histogram.Span) string {
	return list(s, func(s histogram.Span) string { return fmt.Sprintf("%d:%d", s.Offset, s.Length) })
}

func list[T any](items []T, text func(T) string) string {
	if len(items) == 0 {
		return "-"
	}
	out := make([]string, len(items))
	for i, x := range items {
		out[i] = text(x)
	}
	return strings.Join(out, ",")
}
