package main

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser/posrange"
)

// What is random in the corpus of histograms.
const (
	histogramSeed  = 20261121
	histogramCases = 12000
)

// floatBits is a float by its bits. NaNs are one, but for stale markers.
func floatBits(f float64) string {
	if math.IsNaN(f) && !value.IsStaleNaN(f) {
		return "NaN"
	}
	return fmt.Sprintf("%016x", math.Float64bits(f))
}

func allBits(fs []float64) []string {
	out := make([]string, len(fs))
	for i, f := range fs {
		out[i] = floatBits(f)
	}
	return out
}

func spanPairs(spans []histogram.Span) [][2]int64 {
	out := make([][2]int64, len(spans))
	for i, s := range spans {
		out[i] = [2]int64{int64(s.Offset), int64(s.Length)}
	}
	return out
}

// wire is hint, schema, zero threshold, zero count, count, sum, positive spans and buckets, negative ones, custom values.
func wire(h *histogram.FloatHistogram) []any {
	return []any{
		int(h.CounterResetHint), h.Schema, floatBits(h.ZeroThreshold), floatBits(h.ZeroCount), floatBits(h.Count), floatBits(h.Sum),
		spanPairs(h.PositiveSpans), allBits(h.PositiveBuckets), spanPairs(h.NegativeSpans), allBits(h.NegativeBuckets),
		allBits(h.CustomValues),
	}
}

func wireInt(h *histogram.Histogram) []any {
	return []any{
		int(h.CounterResetHint), h.Schema, floatBits(h.ZeroThreshold), h.ZeroCount, h.Count, floatBits(h.Sum),
		spanPairs(h.PositiveSpans), h.PositiveBuckets, spanPairs(h.NegativeSpans), h.NegativeBuckets,
		allBits(h.CustomValues),
	}
}

func wireBuckets(it histogram.BucketIterator[float64]) [][]any {
	out := [][]any{}
	for it.Next() {
		b := it.At()
		out = append(out, []any{floatBits(b.Lower), floatBits(b.Upper), b.LowerInclusive, b.UpperInclusive, floatBits(b.Count)})
	}
	return out
}

// histogramCase is an operation, what it is given, and what comes of it.
type histogramCase struct {
	Op string `json:"op"`
	In []any  `json:"in"`
	// Absent if Prometheus refuses.
	Out []any `json:"out,omitempty"`
}

type histograms struct{ *rand.Rand }

func (r histograms) oneOf(fs ...float64) float64 { return fs[r.IntN(len(fs))] }

func (r histograms) count() float64 {
	switch r.IntN(24) {
	case 0, 1, 2, 3:
		return 0
	case 4:
		return math.Copysign(0, -1)
	case 5:
		return r.oneOf(math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, 5e-324, 1e300)
	case 6, 7:
		return -r.Float64() * 10
	case 8, 9, 10:
		return math.Ldexp(r.Float64(), r.IntN(120)-60)
	case 11, 12, 13, 14:
		return r.Float64() * 100
	}
	return float64(r.IntN(50))
}

// spans makes spans and the number of their buckets. Spans without buckets only if odd.
func (r histograms) spans(first, reach int, odd bool) ([]histogram.Span, int) {
	var (
		spans []histogram.Span
		total int
	)
	for range r.IntN(5) {
		length := 1 + r.IntN(reach)
		if odd && r.IntN(6) == 0 {
			length = 0
		}
		offset := r.IntN(4)
		if r.IntN(8) == 0 {
			offset = r.IntN(40)
		}
		if len(spans) == 0 {
			offset = first
		}
		spans = append(spans, histogram.Span{Offset: int32(offset), Length: uint32(length)})
		total += length
	}
	return spans, total
}

func (r histograms) counts(n int) []float64 {
	var out []float64
	calm := r.IntN(3) > 0
	for range n {
		c := r.count()
		if calm {
			c = float64(r.IntN(9))
		}
		out = append(out, c)
	}
	return out
}

func (r histograms) custom() []float64 {
	var out []float64
	bound := r.oneOf(-20, -3, 0, 0.25, 1, 5)
	for range r.IntN(9) {
		out = append(out, bound)
		bound += r.oneOf(0.5, 1, 1, 2, 2.5, 10, 100)
	}
	return out
}

func (r histograms) next(odd bool) *histogram.FloatHistogram {
	h := &histogram.FloatHistogram{
		CounterResetHint: histogram.CounterResetHint(r.IntN(4)),
		Count:            r.count(),
		Sum:              r.count(),
	}
	if r.IntN(12) == 0 {
		h.Sum = r.oneOf(math.NaN(), math.Inf(1), math.Float64frombits(value.StaleNaN))
	}
	if r.IntN(4) == 0 {
		h.Schema = histogram.CustomBucketsSchema
		h.CustomValues = r.custom()
		at := 0
		n := 0
		for at <= len(h.CustomValues) && r.IntN(5) > 0 {
			offset := r.IntN(len(h.CustomValues) + 1 - at)
			if r.IntN(2) == 0 {
				offset = min(offset, r.IntN(2))
			}
			length := 1 + r.IntN(len(h.CustomValues)+1-at-offset)
			h.PositiveSpans = append(h.PositiveSpans, histogram.Span{Offset: int32(offset), Length: uint32(length)})
			at += offset + length
			n += length
		}
		h.PositiveBuckets = r.counts(n)
		r.settle(h)
		return h
	}
	h.Schema = int32(r.IntN(13)) - 4
	if r.IntN(3) > 0 {
		h.Schema = int32(r.IntN(4)) - 1
	}
	first := func() int {
		if r.IntN(12) == 0 {
			// The ends of what floats are.
			end := r.oneOf(-1074, -1022, 1020, 1024) / math.Exp2(-float64(h.Schema))
			return int(end) + r.IntN(6) - 4
		}
		return r.IntN(12) - 6
	}
	var n int
	h.PositiveSpans, n = r.spans(first(), 4, odd)
	h.PositiveBuckets = r.counts(n)
	if r.IntN(2) == 0 {
		h.NegativeSpans, n = r.spans(first(), 4, odd)
		h.NegativeBuckets = r.counts(n)
	}
	h.ZeroThreshold = r.oneOf(0, 0, 0.001, 0.001, 1e-128, 2.938735877055719e-39, 0.125, 0.5, 1, 1.3, 2, 4, 1000)
	h.ZeroCount = max(r.count(), 0)
	r.settle(h)
	return h
}

// settle makes the count what the buckets say, often.
func (r histograms) settle(h *histogram.FloatHistogram) {
	if r.IntN(4) == 0 {
		return
	}
	h.Count = h.ZeroCount
	for _, c := range h.PositiveBuckets {
		h.Count += c
	}
	for _, c := range h.NegativeBuckets {
		h.Count += c
	}
	if math.IsNaN(h.Sum) && r.IntN(2) == 0 {
		h.Count += float64(r.IntN(5))
	}
}

// like makes a histogram that has something to do with h.
func (r histograms) like(h *histogram.FloatHistogram) *histogram.FloatHistogram {
	if r.IntN(3) == 0 {
		return r.next(false)
	}
	o := h.Copy()
	o.CounterResetHint = histogram.CounterResetHint(r.IntN(4))
	for i := range o.PositiveBuckets {
		if r.IntN(2) == 0 {
			o.PositiveBuckets[i] += float64(r.IntN(4))
		}
	}
	o.Sum += r.count()
	o.Count += float64(r.IntN(3))
	switch {
	case o.UsesCustomBuckets():
		if r.IntN(2) == 0 {
			n := r.next(false)
			for !n.UsesCustomBuckets() {
				n = r.next(false)
			}
			return n
		}
	case r.IntN(3) == 0 && o.Schema > -4:
		hint := o.CounterResetHint
		o = o.CopyToSchema(o.Schema - 1 - int32(r.IntN(int(o.Schema+4))))
		o.CounterResetHint = hint
	case r.IntN(3) == 0:
		o.ZeroThreshold = r.oneOf(0, 0.001, 0.01, 0.3, 0.5, 1, 3, 4, 1e6)
	case r.IntN(3) == 0:
		var n int
		o.PositiveSpans, n = r.spans(r.IntN(8)-4, 3, false)
		o.PositiveBuckets = r.counts(n)
	}
	return o
}

func (r histograms) integer() *histogram.Histogram {
	f := r.next(true)
	h := &histogram.Histogram{
		CounterResetHint: f.CounterResetHint, Schema: f.Schema, ZeroThreshold: f.ZeroThreshold, Sum: f.Sum,
		ZeroCount: r.Uint64() >> r.IntN(64), Count: r.Uint64() >> r.IntN(64),
		PositiveSpans: f.PositiveSpans, NegativeSpans: f.NegativeSpans, CustomValues: f.CustomValues,
		PositiveBuckets: []int64{}, NegativeBuckets: []int64{},
	}
	for range f.PositiveBuckets {
		h.PositiveBuckets = append(h.PositiveBuckets, int64(r.Uint64()>>(2+r.IntN(62)))-2)
	}
	for range f.NegativeBuckets {
		h.NegativeBuckets = append(h.NegativeBuckets, int64(r.IntN(9))-2)
	}
	return h
}

// place is a number that is often a bound of h or near one.
func (r histograms) place(h *histogram.FloatHistogram) float64 {
	var bounds []float64
	for it := h.AllBucketIterator(); it.Next(); {
		b := it.At()
		bounds = append(bounds, b.Lower, b.Upper, (b.Lower+b.Upper)/2, b.Lower*0.3+b.Upper*0.7)
	}
	if len(bounds) > 0 && r.IntN(4) > 0 {
		return bounds[r.IntN(len(bounds))]
	}
	return r.oneOf(math.Inf(-1), math.Inf(1), math.NaN(), 0, 0.0001, -0.0001, 1, -1, 3.3, -7.7, 1e9)
}

func (r histograms) classic() promql.Buckets {
	var (
		out   promql.Buckets
		total float64
	)
	bound := r.oneOf(-5, -0.5, 0, 0.1, 1)
	for range r.IntN(8) {
		total += float64(r.IntN(5)) * r.oneOf(1, 1, 1, 0.3)
		c := total
		switch r.IntN(12) {
		case 0:
			c -= float64(r.IntN(4))
		case 1:
			c *= 1 + r.oneOf(1e-13, -1e-13, 1e-11, -1e-11)
		case 2:
			if r.IntN(8) == 0 {
				c = r.oneOf(math.NaN(), math.Inf(1))
			}
		}
		out = append(out, promql.Bucket{UpperBound: bound, Count: c})
		if r.IntN(8) > 0 {
			bound += r.oneOf(0.5, 1, 2, 10)
		}
	}
	if r.IntN(10) > 0 || len(out) == 0 {
		out = append(out, promql.Bucket{UpperBound: math.Inf(1), Count: total + float64(r.IntN(3))})
	}
	// Not in order, but with equal bounds in theirs: what sorting makes of these is not said.
	if r.IntN(3) == 0 && len(out) > 1 && out[len(out)-1].UpperBound != out[0].UpperBound {
		out[0], out[len(out)-1] = out[len(out)-1], out[0]
	}
	return out
}

func wireClassic(bs promql.Buckets) [][2]string {
	out := make([][2]string, len(bs))
	for i, b := range bs {
		out[i] = [2]string{floatBits(b.UpperBound), floatBits(b.Count)}
	}
	return out
}

func (r histograms) quantile() float64 {
	if r.IntN(10) == 0 {
		return r.oneOf(0, 1, -0.1, 1.1, math.NaN(), 0.5)
	}
	return r.Float64()
}

// combined is the outcome of an addition or subtraction, none if it is refused.
func combined(h *histogram.FloatHistogram, collision, reconciled bool, err error) []any {
	if err != nil {
		return nil
	}
	return []any{wire(h), collision, reconciled}
}

func (r histograms) nextCase() histogramCase {
	h := r.next(false)
	switch op := []string{
		"to_float", "copy_to_schema", "mul", "div", "add", "add", "add", "sub", "sub", "kahan_add", "kahan_add", "kahan_add",
		"compact", "equals", "measure", "detect_reset", "detect_reset", "trim", "trim", "trim", "buckets",
		"quantile", "quantile", "fraction", "fraction", "classic_quantile", "classic_fraction",
	}[r.IntN(27)]; op {
	case "to_float":
		i := r.integer()
		return histogramCase{op, []any{wireInt(i)}, []any{wire(i.ToFloat(nil))}}
	case "copy_to_schema":
		for h.UsesCustomBuckets() {
			h = r.next(true)
		}
		to := h.Schema - int32(r.IntN(int(h.Schema+5)))
		return histogramCase{op, []any{wire(h), to}, []any{wire(h.CopyToSchema(to))}}
	case "mul", "div":
		in, f := wire(h), r.count()
		if op == "mul" {
			return histogramCase{op, []any{in, floatBits(f)}, []any{wire(h.Mul(f))}}
		}
		return histogramCase{op, []any{in, floatBits(f)}, []any{wire(h.Div(f))}}
	case "add", "sub":
		o := r.like(h)
		in := []any{wire(h), wire(o)}
		f := h.Add
		if op == "sub" {
			f = h.Sub
		}
		_, collision, reconciled, err := f(o)
		return histogramCase{op, in, combined(h, collision, reconciled, err)}
	case "kahan_add":
		in := []any{wire(h)}
		var (
			c         *histogram.FloatHistogram
			out, step []any
		)
		for range 1 + r.IntN(4) {
			o := r.like(h)
			in = append(in, wire(o))
			updated, collision, reconciled, err := h.KahanAdd(o, c)
			if step = combined(h, collision, reconciled, err); step == nil {
				return histogramCase{op, in, nil}
			}
			c = updated
			out = append(out, append(step, wire(c)))
		}
		return histogramCase{op, in, out}
	case "compact":
		h = r.next(true)
		in, many := wire(h), []int{0, 0, 1, 2, 5}[r.IntN(5)]
		return histogramCase{op, []any{in, many}, []any{wire(h.Compact(many))}}
	case "equals":
		h = r.next(true)
		o := h.Copy()
		switch r.IntN(6) {
		case 0:
			o = r.next(true)
		case 1:
			o.Compact(0)
		case 2:
			o.CounterResetHint = 0
		case 3:
			if len(o.PositiveSpans) > 0 {
				o.PositiveSpans = append(o.PositiveSpans, histogram.Span{Offset: 3})
			}
		case 4:
			if !math.IsNaN(o.ZeroCount) {
				o.ZeroCount = math.Copysign(o.ZeroCount, -1)
			}
		}
		return histogramCase{op, []any{wire(h), wire(o)}, []any{h.Equals(o)}}
	case "measure":
		return histogramCase{op, []any{wire(h)}, []any{h.Size(), h.HasOverflow()}}
	case "detect_reset":
		previous := r.next(true)
		h := r.like(previous)
		if r.IntN(2) == 0 {
			h.CounterResetHint = []histogram.CounterResetHint{histogram.UnknownCounterReset, histogram.GaugeType}[r.IntN(2)]
		}
		return histogramCase{op, []any{wire(h), wire(previous)}, []any{h.DetectReset(previous)}}
	case "trim":
		in, at, below := wire(h), r.place(h), r.IntN(2) == 0
		return histogramCase{op, []any{in, floatBits(at), below}, []any{wire(h.TrimBuckets(at, below))}}
	case "buckets":
		h = r.next(true)
		return histogramCase{op, []any{wire(h)}, []any{
			wireBuckets(h.AllBucketIterator()), wireBuckets(h.AllReverseBucketIterator()),
			wireBuckets(h.PositiveBucketIterator()), wireBuckets(h.NegativeBucketIterator()),
		}}
	case "quantile":
		q := r.quantile()
		v, notes := promql.HistogramQuantile(q, h, "m", posrange.PositionRange{})
		texts := []string{}
		for _, err := range notes {
			texts = append(texts, err.Error())
		}
		return histogramCase{op, []any{floatBits(q), wire(h)}, []any{floatBits(v), texts}}
	case "fraction":
		from, to := r.place(h), r.place(h)
		if from > to && r.IntN(8) > 0 {
			from, to = to, from
		}
		v, notes := promql.HistogramFraction(from, to, h, "m", posrange.PositionRange{})
		return histogramCase{op, []any{floatBits(from), floatBits(to), wire(h)}, []any{floatBits(v), len(notes) > 0}}
	case "classic_quantile":
		q, bs := r.quantile(), r.classic()
		in := []any{floatBits(q), wireClassic(bs)}
		v, forced, _, low, high, diff := promql.BucketQuantile(q, bs)
		out := []any{floatBits(v), forced}
		if forced {
			out = append(out, floatBits(low), floatBits(high), floatBits(diff))
		}
		return histogramCase{op, in, out}
	default:
		bs := r.classic()
		from, to := r.oneOf(math.Inf(-1), -1, 0, 0.3, 1, 2.2), r.oneOf(math.Inf(1), math.NaN(), 1, 3, 7, 11.5)
		in := []any{floatBits(from), floatBits(to), wireClassic(bs)}
		return histogramCase{op, in, []any{floatBits(promql.BucketFraction(from, to, bs))}}
	}
}

// writeHistograms writes the corpus of arithmetic of histograms.
func writeHistograms(out string, seed uint64, count int) error {
	if out == "" {
		return fmt.Errorf("-out is missing")
	}
	path := filepath.Join(out, "operations.jsonl.gz")
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(z)
	r := histograms{rand.New(rand.NewPCG(seed, 0))}
	panics := 0
	for range count {
		c, err := func() (c *histogramCase, err error) {
			defer func() {
				// What Prometheus does not survive is nobody's reference.
				if recover() != nil {
					c = nil
					panics++
				}
			}()
			next := r.nextCase()
			return &next, nil
		}()
		if err != nil {
			return err
		}
		if c != nil {
			if err := encoder.Encode(c); err != nil {
				return err
			}
		}
	}
	if err := z.Close(); err != nil {
		return err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	manifest, err := json.MarshalIndent(map[string]any{
		"prometheus": "v0.315.0", "seed": seed, "name": "operations.jsonl.gz", "cases": count - panics,
		"sha256": fmt.Sprintf("%x", sha256.Sum256(content)),
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "manifest.json"), append(manifest, '\n'), 0o644); err != nil {
		return err
	}
	fmt.Printf("PASS histograms: %d cases, %d that made Prometheus panic left out: %s\n", count-panics, panics, path)
	return f.Close()
}
