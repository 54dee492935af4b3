package main

import (
	"fmt"
	"math"
	"sort"

	"github.com/prometheus/prometheus/model/histogram"
)

// model is a histogram as a set of buckets, from which histograms of any layout are made.
type model struct {
	hint               histogram.CounterResetHint
	schema             int32
	zeroThreshold, sum float64
	zero               uint64
	positive, negative map[int]int64
	custom             []float64
}

func newModel() model {
	return model{
		schema: 3, zeroThreshold: 0x1p-128, zero: 2, sum: 18.5,
		positive: map[int]int64{-2: 3, -1: 1, 0: 4, 3: 2, 4: 6, 9: 5},
		negative: map[int]int64{1: 2, 2: 7, 5: 1},
	}
}

func (m model) histogram() *histogram.Histogram {
	h := &histogram.Histogram{
		CounterResetHint: m.hint, Schema: m.schema, ZeroThreshold: m.zeroThreshold, ZeroCount: m.zero,
		Count: m.zero, Sum: m.sum, CustomValues: m.custom,
	}
	if m.schema == histogram.CustomBucketsSchema { // These have nothing but positive buckets; copying drops the rest.
		h.ZeroThreshold, h.ZeroCount, h.Count, m.negative = 0, 0, 0, nil
	}
	layout := func(buckets map[int]int64) (spans []histogram.Span, deltas []int64) {
		indexes := make([]int, 0, len(buckets))
		for i := range buckets {
			indexes = append(indexes, i)
		}
		sort.Ints(indexes)
		next, before := 0, int64(0)
		for k, i := range indexes {
			if k > 0 && i == next {
				spans[len(spans)-1].Length++
			} else {
				spans = append(spans, histogram.Span{Offset: int32(i - next), Length: 1})
			}
			deltas = append(deltas, buckets[i]-before)
			next, before = i+1, buckets[i]
			h.Count += uint64(buckets[i])
		}
		return spans, deltas
	}
	h.PositiveSpans, h.PositiveBuckets = layout(m.positive)
	h.NegativeSpans, h.NegativeBuckets = layout(m.negative)
	return h
}

// observe adds to some of the buckets that there are.
func (m *model) observe(r *random) {
	for _, buckets := range []map[int]int64{m.positive, m.negative} {
		for i := -40; i < 40; i++ {
			if _, ok := buckets[i]; ok && r.below(3) == 0 {
				buckets[i] += r.below(1 << r.below(12))
			}
		}
	}
	m.zero += uint64(r.below(3))
	m.sum += float64(r.between(-100, 1000)) / 8
}

func (m model) clone() model {
	positive, negative := map[int]int64{}, map[int]int64{}
	for i, v := range m.positive {
		positive[i] = v
	}
	for i, v := range m.negative {
		negative[i] = v
	}
	m.positive, m.negative = positive, negative
	return m
}

// builder collects the samples of a shape; the model is changed between them.
type builder struct {
	model
	r     random
	t, st int64
	steps []step
}

func build(name string, seed int, make func(b *builder)) histogramShape {
	b := &builder{model: newModel(), r: random(seed), t: start}
	make(b)
	return histogramShape{name: name, steps: b.steps}
}

// push adds the model as it is.
func (b *builder) push() { b.raw(b.histogram()) }

func (b *builder) raw(h *histogram.Histogram) {
	b.steps = append(b.steps, step{st: b.st, t: b.t, h: h})
	b.t += interval
}

func (b *builder) run(n int) {
	for range n {
		b.push()
		b.observe(&b.r)
	}
}

func (b *builder) cut() { b.steps = append(b.steps, step{}) }

func (b *builder) stale() {
	sum := b.sum
	b.sum = math.Float64frombits(staleNaN)
	b.push()
	b.sum = sum
}

// changes that a sample may bring relative to the one before.
var changes = []struct {
	name string
	make func(b *builder)
}{
	{"nothing", func(*builder) {}},
	{"bucket-before", func(b *builder) { b.positive[-9] = 1 }},
	{"bucket-between", func(b *builder) { b.positive[6] = 3 }},
	{"bucket-bridging", func(b *builder) { b.positive[1], b.positive[2] = 3, 0 }},
	{"bucket-after", func(b *builder) { b.positive[10], b.positive[30] = 3, 2 }},
	{"bucket-negative", func(b *builder) { b.negative[0], b.negative[3], b.negative[4], b.negative[9] = 1, 2, 3, 0 }},
	{"buckets-on-both-sides", func(b *builder) { b.positive[7], b.negative[-3] = 3, 1 }},
	{"bucket-gone", func(b *builder) { delete(b.positive, 3); b.positive[4] += 50 }},
	{"buckets-all-gone", func(b *builder) { b.positive, b.negative, b.zero = map[int]int64{}, map[int]int64{}, 1000 }},
	{"empty-gone", func(b *builder) { delete(b.positive, -1); b.positive[0]++ }},
	{"empty-negative-gone", func(b *builder) { delete(b.negative, 2); b.negative[5]++ }},
	{"empty-gone-and-new", func(b *builder) { delete(b.positive, -1); b.positive[5] = 2 }},
	{"empty-gone-and-new-elsewhere", func(b *builder) { delete(b.positive, -1); b.negative[3] = 2 }},
	{"empty-both-gone-and-new", func(b *builder) {
		delete(b.positive, -1)
		delete(b.negative, 2)
		b.positive[-30], b.negative[0], b.negative[20] = 1, 2, 0
	}},
	{"count-falls", func(b *builder) { b.positive[9]-- }},
	{"bucket-falls", func(b *builder) { b.positive[9]--; b.positive[4] += 5 }},
	{"negative-falls", func(b *builder) { b.negative[5]--; b.positive[4] += 5 }},
	{"zero-falls", func(b *builder) { b.zero--; b.positive[4] += 5 }},
	{"all-fall", func(b *builder) { m := newModel(); m.hint = b.hint; m.zero = 0; b.model = m }},
	{"schema", func(b *builder) { b.schema = 4 }},
	{"schema-and-falls", func(b *builder) { b.schema = -4; b.zero = 0; b.positive = map[int]int64{1: 1} }},
	{"zero-threshold", func(b *builder) { b.zeroThreshold = 0.001 }},
	{"stale", func(b *builder) { b.stale() }},
	{"stale-twice", func(b *builder) { b.stale(); b.stale() }},
	{"to-gauge", func(b *builder) { b.hint = histogram.GaugeType }},
	{"to-counter", func(b *builder) { b.hint = histogram.UnknownCounterReset }},
	{"hint-reset", func(b *builder) { b.hint = histogram.CounterReset; b.push(); b.hint = histogram.NotCounterReset }},
	{"hint-no-reset", func(b *builder) { b.hint = histogram.NotCounterReset; b.positive[9]-- }},
	{"stale-with-other-hint", func(b *builder) {
		hint := b.hint
		b.hint = histogram.GaugeType - hint
		b.stale()
		b.hint = hint
	}},
}

func histogramShapes() []histogramShape {
	var out []histogramShape
	for _, n := range []int{1, 2, 3, 60} {
		out = append(out, build(fmt.Sprintf("counter-%d", n), n, func(b *builder) { b.run(n) }))
	}
	out = append(out, build("gauge-30", 1, func(b *builder) {
		b.hint = histogram.GaugeType
		for range 30 {
			b.run(1)
			b.positive[b.pick()] = b.r.below(40)
			delete(b.negative, b.pick())
			if b.r.below(4) == 0 {
				delete(b.positive, b.pick())
				b.negative[b.pick()] = b.r.below(40)
			}
		}
	}))
	// Every change, after samples of a counter or gauge, within a chunk or across a cut.
	for i, change := range changes {
		for j, hint := range []histogram.CounterResetHint{histogram.UnknownCounterReset, histogram.GaugeType} {
			for _, cut := range []bool{false, true} {
				name := [...]string{"counter-", "gauge-"}[j] + change.name
				if cut {
					name = "cut-" + name
				}
				out = append(out, build(name, 100+i, func(b *builder) {
					b.hint = hint
					b.positive[-1], b.negative[2] = 0, 0
					b.zero = 5
					for range 2 {
						b.push()
						b.positive[0] += b.r.below(9)
						b.st = b.t - 1
					}
					if cut {
						b.cut()
					}
					change.make(b)
					b.push()
					b.positive[0] += 3
					b.push()
				}))
			}
		}
	}
	out = append(out, build("stale-first", 1, func(b *builder) { b.stale(); b.stale(); b.run(3); b.stale() }))
	out = append(out, build("empty", 1, func(b *builder) {
		b.model = model{positive: map[int]int64{}}
		b.run(5)
		b.positive = map[int]int64{0: 1}
		b.run(2)
	}))
	out = append(out, build("sums", 1, func(b *builder) {
		for _, sum := range []uint64{0, 1 << 63, 0x7ff8000000000001, 0x7ff0000000000000, 0xfff8000000000000, 1, math.MaxUint64} {
			b.sum = math.Float64frombits(sum)
			b.push()
		}
	}))
	out = append(out, build("zero-thresholds", 1, func(b *builder) {
		for _, threshold := range []float64{
			0, math.Copysign(0, -1), 0x1p-243, 0x1p-244, 0x1p10, 0x1p11, 0x1p-1074, 0.1, -1, math.Inf(1), math.NaN(), 3,
		} {
			b.zeroThreshold = threshold
			b.push()
			b.push()
		}
	}))
	out = append(out, build("schemas", 1, func(b *builder) {
		for schema := int32(-9); schema <= 8; schema++ {
			b.schema = schema
			b.push()
			b.push()
		}
	}))
	out = append(out, build("read-only-schemas", 1, func(b *builder) {
		for schema := int32(9); schema <= 52; schema += 1 + schema/20*3 {
			b.schema = schema
			b.positive[int(schema)-20], b.negative[-int(schema)] = 2, 3
			b.run(2)
		}
	}))
	out = append(out, customShapes()...)
	out = append(out, rawShapes()...)
	out = append(out, startTimestampShapes()...)
	for i := range 26 {
		out = append(out, randomShape(fmt.Sprintf("random-%d", i), 3000+i))
	}
	return out
}

func (b *builder) pick() int { return int(b.r.between(-12, 12)) }

func customShapes() []histogramShape {
	bounds := []float64{-5, -0.001, math.Copysign(0, -1), 0.001, 0.0015, 0.25, 1, 33554.430, 33554.431, 1e9, 0x1p-60, math.Pi}
	sort.Float64s(bounds)
	return []histogramShape{
		build("custom", 1, func(b *builder) {
			b.schema = histogram.CustomBucketsSchema
			b.custom, b.positive = bounds, map[int]int64{0: 4, 3: 1, 12: 2}
			b.run(10)
			b.positive[5] = 3
			b.run(4)
			b.custom = append([]float64(nil), bounds...)
			b.custom[4] *= 2
			b.positive[5]++
			b.run(3)
			b.custom = b.custom[:10]
			b.run(2)
			b.custom = nil
			b.run(2)
			b.cut()
			b.custom = bounds[:3]
			b.run(2)
			b.stale()
			b.schema = 2
			b.custom = nil
			b.run(2)
		}),
		build("custom-gauge", 2, func(b *builder) {
			b.schema, b.hint, b.custom = histogram.CustomBucketsSchema, histogram.GaugeType, bounds
			b.run(3)
			b.positive[7] = 1
			delete(b.positive, 0)
			b.run(3)
			b.custom = bounds[1:]
			b.run(3)
		}),
		build("custom-nan", 3, func(b *builder) {
			b.schema, b.custom = histogram.CustomBucketsSchema, []float64{1, math.NaN()}
			b.run(2)
		}),
	}
}

// rawShapes have layouts that the model does not make: split and empty spans, extreme numbers.
func rawShapes() []histogramShape {
	split := func(spans []histogram.Span, hint histogram.CounterResetHint, deltas ...int64) *histogram.Histogram {
		h := &histogram.Histogram{CounterResetHint: hint, PositiveSpans: spans, PositiveBuckets: deltas, Count: 1000}
		h.NegativeSpans, h.NegativeBuckets = spans, deltas
		return h
	}
	type S = []histogram.Span
	whole, parted := S{{Offset: 2, Length: 3}}, S{{Offset: 2, Length: 1}, {Offset: 0, Length: 0}, {Offset: 0, Length: 2}}
	longer := S{{Offset: 0, Length: 0}, {Offset: 2, Length: 2}, {Offset: 0, Length: 1}, {Offset: 3, Length: 0}, {Offset: 1, Length: 1}, {Offset: 4, Length: 0}}
	var out []histogramShape
	for i, hint := range []histogram.CounterResetHint{histogram.UnknownCounterReset, histogram.GaugeType} {
		name := [...]string{"counter", "gauge"}[i]
		out = append(out, build("split-spans-"+name, 1, func(b *builder) {
			b.raw(split(whole, hint, 1, 0, 0))
			b.raw(split(parted, hint, 1, 0, 0))
			b.raw(split(whole, hint, 1, 0, 1))
			b.raw(split(longer, hint, 1, 0, 2, 1))
			b.raw(split(parted, hint, 1, 0, 3))
			b.raw(split(longer, hint, 1, 0, 2, 1))
			b.cut()
			b.raw(split(longer, hint, 1, 0, 2, -3))
			b.raw(split(parted, hint, 1, 0, 3))
			b.raw(split(S{{Offset: 1, Length: 4}}, hint, 5, 0, 0, 3))
			b.raw(split(S{{Offset: 3, Length: 1}}, hint, 5))
		}))
		// One side lacks a bucket and brings another, the spans of the other side are split without need.
		out = append(out, build("split-spans-one-side-"+name, 1, func(b *builder) {
			changed := S{{Offset: 2, Length: 1}, {Offset: 1, Length: 0}, {Offset: 0, Length: 2}}
			h := split(whole, hint, 1, -1, 1)
			b.raw(h)
			h = h.Copy()
			h.PositiveSpans, h.PositiveBuckets, h.NegativeSpans = changed, []int64{1, 0, 2}, parted
			b.raw(h)
			b.cut()
			h = split(whole, hint, 1, -1, 1)
			b.raw(h)
			h = h.Copy()
			h.PositiveSpans, h.NegativeSpans, h.NegativeBuckets = parted, changed, []int64{1, 0, 2}
			b.raw(h)
		}))
		out = append(out, build("far-apart-"+name, 1, func(b *builder) {
			b.raw(split(S{{Offset: math.MinInt32, Length: 1}, {Offset: math.MaxInt32 - 1, Length: 2}}, hint, 0, 3, 1))
			b.raw(split(S{{Offset: math.MinInt32, Length: 2}, {Offset: math.MaxInt32 - 2, Length: 1}}, hint, 0, 3, 1))
			b.raw(split(S{{Offset: math.MaxInt32, Length: 1}}, hint, 4))
		}))
	}
	out = append(out, build("extremes", 1, func(b *builder) {
		for i, v := range []int64{0, math.MaxInt64, math.MinInt64, -1, 1, 1 << 55, -1 << 55, 1<<55 + 1} {
			h := split(whole, histogram.GaugeType, v, ^v, v-7)
			h.Count, h.ZeroCount = uint64(v), uint64(^v)
			b.st, b.t = []int64{0, math.MinInt64, math.MaxInt64}[i%3], []int64{-1, math.MaxInt64, math.MinInt64, 0}[i%4]
			b.raw(h)
		}
	}))
	out = append(out, build("widths", 1, func(b *builder) {
		var v int64
		for n := range 62 {
			for _, d := range []int64{-1, 0, 1} {
				v += 1<<n + d
				h := split(S{{Offset: 0, Length: 1}}, histogram.UnknownCounterReset, v)
				h.Count = uint64(v)
				h.NegativeBuckets = []int64{1}
				b.raw(h)
			}
		}
	}))
	return out
}

func startTimestampShapes() []histogramShape {
	var out []histogramShape
	shape := func(name string, n int, st func(i int, t int64) int64) {
		out = append(out, build(name, n, func(b *builder) {
			b.positive, b.negative = map[int]int64{0: 1}, nil
			for i := range n {
				b.t += b.r.below(3)
				b.st = st(i, b.t)
				b.push()
				b.positive[0] += b.r.below(2)
				if i == n-2 && n%2 == 0 {
					b.positive[3] = 1 // recodes the chunk
				}
			}
		}))
	}
	for _, n := range []int{1, 3, 4, 132} {
		shape(fmt.Sprintf("st-constant-%d", n), n, func(int, int64) int64 { return start - 1234 })
		shape(fmt.Sprintf("st-known-then-zero-%d", n), n, func(i int, _ int64) int64 { return (1 - min(int64(i), 1)) * (start - 5) })
		shape(fmt.Sprintf("st-just-before-%d", n), n, func(_ int, t int64) int64 { return t - 1 })
		shape(fmt.Sprintf("st-resets-%d", n), n, func(i int, _ int64) int64 { return regular(i/7*7) - 1 })
	}
	for _, at := range []int{1, 126, 127, 128} {
		shape(fmt.Sprintf("st-from-%d", at), 129, func(i int, _ int64) int64 {
			if i < at {
				return 0
			}
			return start
		})
	}
	shape("st-never", 131, func(int, int64) int64 { return 0 })
	return out
}

// randomShape takes a different turn at every sample.
func randomShape(name string, seed int) histogramShape {
	return build(name, seed, func(b *builder) {
		calm := b.r.between(1, 10)
		for range b.r.between(5, 40) {
			b.run(1)
			b.t += b.r.between(-1, 1) << b.r.below(12)
			if b.r.below(calm) > 0 {
				continue
			}
			switch b.r.below(16) {
			case 0, 1:
				b.positive[b.pick()] += b.r.below(2)
			case 2:
				b.negative[b.pick()] += b.r.below(2)
			case 3, 4, 5:
				for i, v := range b.positive {
					if v == 0 {
						delete(b.positive, i)
					}
				}
			case 6:
				delete(b.positive, b.pick())
			case 7:
				b.stale()
			case 8:
				b.cut()
			case 9:
				b.hint = histogram.CounterResetHint(b.r.below(4))
			case 10:
				b.hint = histogram.GaugeType - b.hint
			case 11:
				b.schema = int32(b.r.between(-4, 8))
			case 12:
				b.model = newModel()
			default:
				b.st = b.t - b.r.next2(20)
			}
		}
	})
}

// floatHistograms makes float histograms of the integer ones, but for some of the long ones.
func floatHistograms(shapes []histogramShape) []histogramShape {
	var out []histogramShape
	for i, s := range shapes {
		if i >= len(shapes)-13 {
			break
		}
		steps := make([]step, len(s.steps))
		for i, x := range s.steps {
			steps[i] = step{st: x.st, t: x.t}
			if x.h != nil {
				// Powers of two more or less keep the numbers different from integers, and short.
				steps[i].fh = x.h.ToFloat(nil)
				steps[i].fh.Mul(0.375)
				steps[i].fh.Sum = x.h.Sum
				steps[i].fh.CounterResetHint = x.h.CounterResetHint
			}
		}
		out = append(out, histogramShape{name: s.name, steps: steps})
	}
	return out
}

// floatHistogramShapes have counts that integers cannot be.
func floatHistogramShapes() []histogramShape {
	var out []histogramShape
	values := []float64{
		0, math.Copysign(0, -1), 0.1, math.Pi, math.Inf(1), math.NaN(), math.Float64frombits(staleNaN), -1,
		math.SmallestNonzeroFloat64, math.MaxFloat64,
	}
	for i, hint := range []histogram.CounterResetHint{histogram.UnknownCounterReset, histogram.GaugeType} {
		s := histogramShape{name: [...]string{"float-counts-counter", "float-counts-gauge"}[i]}
		t := start
		for _, a := range values {
			for _, b := range values {
				h := &histogram.FloatHistogram{
					CounterResetHint: hint, Count: a, ZeroCount: b, Sum: 3,
					PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []float64{a, b},
				}
				if t%(2*interval) == start%(2*interval) {
					h.PositiveBuckets = []float64{b, a}
				}
				s.steps = append(s.steps, step{t: t, fh: h})
				t += interval
				other := h.Copy()
				other.PositiveSpans, other.PositiveBuckets = []histogram.Span{{Offset: 1, Length: 1}}, []float64{b}
				s.steps = append(s.steps, step{t: t, fh: other})
				t += interval
			}
		}
		out = append(out, s)
	}
	return out
}
