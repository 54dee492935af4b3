package main

import (
	"fmt"
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

const (
	firstTime       = int64(1735689600000) // 2025-01-01T00:00:00Z
	interval        = int64(15_000)
	samplesPerChunk = 120
)

// kinds makes the blocks of each kind: one list of series per block.
var kinds = map[string]func(makeOptions) [][]series{
	"xor2":    xor2Blocks,
	"st":      startTimeBlocks,
	"mixed":   mixedBlocks,
	"overlap": overlapBlocks,
	"ha":      haBlocks,
	"wide":    wideBlocks,
	"deep":    deepBlocks,
}

// point is one sample; h and fh are nil for a float.
type point struct {
	st, t int64
	v     float64
	h     *histogram.Histogram
	fh    *histogram.FloatHistogram
}

func (p point) kind() chunkenc.ValueType {
	switch {
	case p.h != nil:
		return chunkenc.ValHistogram
	case p.fh != nil:
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}

// encode cuts points into chunks as Prometheus' head does: at the sample limit, when the type changes, and where a
// histogram does not fit. useST gives, for the n-th chunk, whether to use the encodings with start timestamps.
func encode(points []point, useST func(chunk int) bool) ([]chunks.Meta, error) {
	var out []chunks.Meta
	var app chunkenc.Appender
	var kind chunkenc.ValueType
	for _, p := range points {
		if len(out) == 0 || p.kind() != kind || out[len(out)-1].Chunk.NumSamples() >= samplesPerChunk {
			var previous chunkenc.Appender
			if len(out) > 0 && p.kind() == kind {
				previous = app
			}
			kind = p.kind()
			st := useST(len(out))
			chunk, err := kind.NewChunk(st, st)
			if err != nil {
				return nil, err
			}
			if app, err = chunk.Appender(); err != nil {
				return nil, err
			}
			out = append(out, chunks.Meta{Chunk: chunk, MinTime: p.t})
			if app, err = appendPoint(&out, app, compatible(previous, app), p); err != nil {
				return nil, err
			}
			continue
		}
		var err error
		if app, err = appendPoint(&out, app, nil, p); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// compatible drops an appender of another concrete type, which cannot tell of counter resets.
func compatible(previous, app chunkenc.Appender) chunkenc.Appender {
	if previous == nil || fmt.Sprintf("%T", previous) != fmt.Sprintf("%T", app) {
		return nil
	}
	return previous
}

func appendPoint(out *[]chunks.Meta, app, previous chunkenc.Appender, p point) (chunkenc.Appender, error) {
	var replaced chunkenc.Chunk
	var recoded bool
	var err error
	switch {
	case p.h != nil:
		replaced, recoded, app, err = app.AppendHistogram(previous, p.st, p.t, p.h.Copy(), false)
	case p.fh != nil:
		replaced, recoded, app, err = app.AppendFloatHistogram(previous, p.st, p.t, p.fh.Copy(), false)
	default:
		app.Append(p.st, p.t, p.v)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case replaced == nil:
	case recoded:
		(*out)[len(*out)-1].Chunk = replaced
	default:
		*out = append(*out, chunks.Meta{Chunk: replaced, MinTime: p.t})
	}
	(*out)[len(*out)-1].MaxTime = p.t
	return app, nil
}

func always(int) bool       { return true }
func never(int) bool        { return false }
func everyOther(n int) bool { return n%2 == 1 }

func lset(pairs ...string) labels.Labels { return labels.FromStrings(pairs...) }

// random is SplitMix64.
type random uint64

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (r *random) below(n int64) int64 { return int64(r.next() % uint64(n)) }

// floatShapes are values and times that drive every branch of the float encodings.
var floatShapes = []struct {
	name string
	next func(r *random, i int, t int64, v float64) (int64, float64)
}{
	{"constant", func(_ *random, _ int, t int64, _ float64) (int64, float64) { return t + interval, 42 }},
	{"counter", func(r *random, _ int, t int64, v float64) (int64, float64) {
		return t + interval, v + float64(r.below(100))
	}},
	{"counter_with_resets", func(r *random, i int, t int64, v float64) (int64, float64) {
		if i%37 == 0 {
			return t + interval, 0
		}
		return t + interval, v + float64(r.below(100))
	}},
	{"jittered_gauge", func(r *random, _ int, t int64, _ float64) (int64, float64) {
		return t + interval + r.below(9) - 4, float64(r.below(100_000)) / 1000
	}},
	{"gaps", func(r *random, i int, t int64, _ float64) (int64, float64) {
		if i%50 == 0 {
			return t + interval*40, float64(i)
		}
		return t + interval, float64(i / 7)
	}},
	{"stale_markers", func(r *random, i int, t int64, _ float64) (int64, float64) {
		if i%11 == 3 || i%11 == 4 {
			return t + interval + r.below(2), math.Float64frombits(value.StaleNaN)
		}
		return t + interval, float64(r.below(5))
	}},
	{"special_values", func(_ *random, i int, t int64, _ float64) (int64, float64) {
		special := []float64{
			math.Inf(1), math.Inf(-1), math.NaN(), math.Copysign(0, -1), 0, math.SmallestNonzeroFloat64, math.MaxFloat64,
			-math.MaxFloat64, 1<<53 + 1, math.Float64frombits(0x7ff8000000000abc), math.Float64frombits(value.StaleNaN), 1,
		}
		return t + interval, special[i%len(special)]
	}},
	{"every_bucket_of_time", func(r *random, _ int, t int64, v float64) (int64, float64) {
		return t + 1 + int64(r.next()>>(64-1-uint(r.below(22)))), v + float64(r.below(2))
	}},
}

func floats(shape int, n int, start int64) []point {
	r := random(shape + 1)
	var points []point
	t, v := start+r.below(interval)-interval, 0.0
	for i := range n {
		t, v = floatShapes[shape].next(&r, i, t, v)
		points = append(points, point{t: t, v: v})
	}
	return points
}

// withStartTimes gives points start timestamps: shape 0 none, 1 one for all, 2 a new one at times, 3 that of the sample
// before, 4 from the middle of the first chunk on, 5 none after the first, 6 only ever at the 127th sample and beyond.
func withStartTimes(points []point, shape int) []point {
	started := points[0].t - 1234
	for i := range points {
		switch shape {
		case 1:
			points[i].st = started
		case 2:
			if i%41 == 40 {
				started = points[i].t - 77
			}
			points[i].st = started
		case 3:
			if i > 0 {
				points[i].st = points[i-1].t
			}
		case 4:
			if i >= samplesPerChunk/2 {
				points[i].st = started
			}
		case 5:
			if i == 0 {
				points[i].st = started
			}
		case 6:
			if i%samplesPerChunk == samplesPerChunk-1 {
				points[i].st = points[i].t - 1
			}
		}
	}
	return points
}

const startTimeShapes = 7

func xor2Blocks(o makeOptions) [][]series {
	var all []series
	for i, shape := range floatShapes {
		all = append(all, series{lset("__name__", "xor2_"+shape.name, "job", "make"), func() ([]chunks.Meta, error) {
			return encode(floats(i, o.samples, firstTime), always)
		}})
	}
	return [][]series{all}
}

func startTimeBlocks(o makeOptions) [][]series {
	var all []series
	for st := range startTimeShapes {
		label := fmt.Sprint(st)
		for i, shape := range floatShapes {
			all = append(all, series{lset("__name__", "st_"+shape.name, "st", label), func() ([]chunks.Meta, error) {
				return encode(withStartTimes(floats(i, o.samples, firstTime), st), always)
			}})
		}
		for _, shape := range histogramShapes {
			for _, float := range []bool{false, true} {
				all = append(all, series{lset("__name__", "st_histogram_"+shape, "st", label, "float", fmt.Sprint(float)), func() ([]chunks.Meta, error) {
					return encode(withStartTimes(histograms(shape, float, o.samples, firstTime), st), always)
				}})
			}
		}
	}
	return [][]series{all}
}

func mixedBlocks(o makeOptions) [][]series {
	var all []series
	for i, shape := range floatShapes {
		for name, useST := range map[string]func(int) bool{"xor": never, "alternating": everyOther, "xor2": always} {
			all = append(all, series{lset("__name__", "mixed_"+shape.name, "encoding", name), func() ([]chunks.Meta, error) {
				return encode(withStartTimes(floats(i, o.samples, firstTime), i%startTimeShapes), useST)
			}})
		}
	}
	for _, shape := range histogramShapes {
		for name, useST := range map[string]func(int) bool{"plain": never, "alternating": everyOther, "st": always} {
			// Floats, histograms and float histograms take turns within one series.
			all = append(all, series{lset("__name__", "mixed_types_"+shape, "encoding", name), func() ([]chunks.Meta, error) {
				kinds := [][]point{floats(1, o.samples, firstTime), histograms(shape, false, o.samples, firstTime), histograms(shape, true, o.samples, firstTime)}
				var points []point
				for i := range o.samples {
					p := kinds[i/20%3][i]
					p.t = firstTime + int64(i)*interval
					points = append(points, p)
				}
				return encode(withStartTimes(points, 2), useST)
			}})
		}
	}
	return [][]series{all}
}

var histogramShapes = []string{"counter", "resets", "layouts", "gauge", "custom", "stale"}

func histograms(shape string, float bool, n int, start int64) []point {
	r := random(len(shape))
	h := &histogram.Histogram{
		Schema: 1, ZeroThreshold: 1e-128, ZeroCount: 2,
		PositiveSpans:   []histogram.Span{{Offset: 0, Length: 2}, {Offset: 3, Length: 2}},
		NegativeSpans:   []histogram.Span{{Offset: -1, Length: 1}},
		PositiveBuckets: []int64{3, 1, -2, 5}, NegativeBuckets: []int64{4},
	}
	if shape == "custom" {
		h = &histogram.Histogram{
			Schema: histogram.CustomBucketsSchema, CustomValues: []float64{0.005, 0.1, 1, 2.5, math.Pi},
			PositiveSpans: []histogram.Span{{Offset: 0, Length: 3}, {Offset: 1, Length: 2}}, PositiveBuckets: []int64{1, 1, 0, -1, 3},
		}
	}
	var points []point
	for i := range n {
		next := h.Copy()
		switch {
		case shape == "gauge":
			next.CounterResetHint = histogram.GaugeType
			next.PositiveBuckets[0] = 3 + r.below(20)
		case shape == "resets" && i%29 == 28:
			for b := range next.PositiveBuckets {
				next.PositiveBuckets[b] = 0
			}
			next.ZeroCount = 0
		case shape == "layouts" && i%31 == 30:
			// Another populated bucket: earlier samples of the chunk are recoded.
			last := &next.PositiveSpans[len(next.PositiveSpans)-1]
			last.Length++
			next.PositiveBuckets = append(next.PositiveBuckets, 1)
		default:
			next.PositiveBuckets[0] += r.below(5) // raises all of them: the others are deltas
		}
		if next.Schema != histogram.CustomBucketsSchema && shape != "gauge" && !(shape == "resets" && i%29 == 28) {
			next.ZeroCount += uint64(r.below(2))
		}
		next.Count = next.ZeroCount
		var absolute int64
		for _, d := range next.PositiveBuckets {
			absolute += d
			next.Count += uint64(absolute)
		}
		absolute = 0
		for _, d := range next.NegativeBuckets {
			absolute += d
			next.Count += uint64(absolute)
		}
		next.Sum = h.Sum + float64(r.below(1000))/8
		h = next
		p := point{t: start + int64(i)*interval + r.below(3), h: next.Copy()}
		if shape == "stale" && i%23 == 22 {
			p.h = &histogram.Histogram{Sum: math.Float64frombits(value.StaleNaN)}
		}
		if float {
			p.fh, p.h = p.h.ToFloat(nil), nil
			if shape == "counter" && !value.IsStaleNaN(p.fh.Sum) {
				p.fh.Count += 0.5
				p.fh.ZeroCount += 0.5
			}
		}
		points = append(points, p)
	}
	return points
}

// overlapBlocks makes two blocks that overlap: the second repeats, contradicts and interleaves samples of the first.
func overlapBlocks(o makeOptions) [][]series {
	var blocks [2][]series
	half := int64(o.samples/2) * interval
	for i, shape := range floatShapes[:6] {
		blocks[0] = append(blocks[0], series{lset("__name__", "overlap_"+shape.name), func() ([]chunks.Meta, error) {
			return encode(floats(i, o.samples, firstTime), never)
		}})
		for _, how := range []string{"repeated", "contradicted", "interleaved", "between_chunks"} {
			name := lset("__name__", "overlap_"+shape.name, "second", how)
			blocks[0] = append(blocks[0], series{name, func() ([]chunks.Meta, error) { return encode(floats(i, o.samples, firstTime), never) }})
			blocks[1] = append(blocks[1], series{name, func() ([]chunks.Meta, error) {
				points := floats(i, o.samples, firstTime)
				switch how {
				case "contradicted":
					for j := range points {
						points[j].v = -1 - float64(j)
					}
				case "interleaved":
					for j := range points {
						points[j].t += half/2 + 3
					}
				case "between_chunks":
					// A few samples that arrived late and lie inside one chunk of the first block.
					points = points[10:14]
					for j := range points {
						points[j].t++
					}
				}
				return encode(points, never)
			}})
		}
		blocks[1] = append(blocks[1], series{lset("__name__", "overlap_"+shape.name, "only", "second"), func() ([]chunks.Meta, error) {
			return encode(floats(i, o.samples, firstTime+half), never)
		}})
	}
	for _, shape := range histogramShapes {
		for b := range blocks {
			blocks[b] = append(blocks[b], series{lset("__name__", "overlap_histogram_"+shape), func() ([]chunks.Meta, error) {
				return encode(histograms(shape, false, o.samples, firstTime+int64(b)*(half+7)), never)
			}})
		}
	}
	return blocks[:]
}

// haBlocks makes the blocks of two replicas that scraped the same targets, each at its own, jittered times.
func haBlocks(o makeOptions) [][]series {
	var blocks [2][]series
	for b := range blocks {
		for i := range 20 {
			blocks[b] = append(blocks[b], series{lset("__name__", "ha_counter", "instance", fmt.Sprint(i)), func() ([]chunks.Meta, error) {
				r := random(i*2 + b)
				var points []point
				for n := range o.samples {
					if (n+b*30)%97 < 5 {
						continue // a replica restarts
					}
					t := firstTime + int64(n)*interval + int64(b)*4321 + r.below(40)
					points = append(points, point{t: t, v: float64((t - firstTime) / 100 * int64(i+1))})
				}
				return encode(points, never)
			}})
		}
	}
	return blocks[:]
}

// wideBlocks spreads many label names over series that have ten of them each.
func wideBlocks(o makeOptions) [][]series {
	const each = 10
	var all []series
	for first := 0; first < o.labelNames; first += each {
		pairs := []string{"__name__", fmt.Sprintf("wide_%d", first/each%50)}
		for n := first; n < min(first+each, o.labelNames); n++ {
			pairs = append(pairs, fmt.Sprintf("label_%06d", n), fmt.Sprintf("value_%d", n%7))
		}
		all = append(all, series{lset(pairs...), func() ([]chunks.Meta, error) { return encode(floats(1, max(1, o.samples/10), firstTime), never) }})
	}
	return [][]series{all}
}

// deepBlocks makes many series with many labels each. Label n has n+1 values; "id" is unique.
func deepBlocks(o makeOptions) [][]series {
	var all []series
	builder := labels.NewScratchBuilder(o.perLabel)
	names, values := make([]string, o.perLabel), make([]string, o.perLabel)
	for n := range names {
		names[n], values[n] = fmt.Sprintf("label_%03d", n), fmt.Sprintf("value_%d", n)
	}
	for s := range o.series {
		builder.Reset()
		builder.Add(labels.MetricName, fmt.Sprintf("deep_%d", s%100))
		builder.Add("id", fmt.Sprintf("%08d", s))
		for n := range o.perLabel - 2 {
			builder.Add(names[n], values[s%(n+1)])
		}
		builder.Sort()
		all = append(all, series{builder.Labels(), func() ([]chunks.Meta, error) { return encode(floats(1, max(1, o.samples/10), firstTime), never) }})
	}
	return [][]series{all}
}
