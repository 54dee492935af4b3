package main

import (
	"fmt"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// sample is one sample of any type; exactly one of f, h and fh is meant, as kind says.
type sample struct {
	t    int64
	f    uint64 // bits of the float
	h    *histogram.Histogram
	fh   *histogram.FloatHistogram
	kind chunkenc.ValueType
	// header is what the chunk that starts with this histogram claims of the histogram before it. Iterators hide it:
	// their hint for the first sample of a chunk is always "unknown" (or "gauge").
	header chunkenc.CounterResetHeader
}

// appendChunk drains a chunk behind dst.
func appendChunk(dst []sample, chunk chunkenc.Chunk, it chunkenc.Iterator) ([]sample, chunkenc.Iterator, error) {
	it = chunk.Iterator(it)
	first := len(dst)
	dst, err := appendSamples(dst, it)
	if c, ok := chunk.(interface {
		GetCounterResetHeader() chunkenc.CounterResetHeader
	}); ok && first < len(dst) {
		dst[first].header = c.GetCounterResetHeader()
	}
	return dst, it, err
}

// appendSamples drains it behind dst.
func appendSamples(dst []sample, it chunkenc.Iterator) ([]sample, error) {
	for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
		s := sample{kind: kind}
		switch kind {
		case chunkenc.ValFloat:
			t, v := it.At()
			s.t, s.f = t, math.Float64bits(v)
		case chunkenc.ValHistogram:
			t, h := it.AtHistogram(nil)
			s.t, s.h = t, h.Copy()
		case chunkenc.ValFloatHistogram:
			t, h := it.AtFloatHistogram(nil)
			s.t, s.fh = t, h.Copy()
		default:
			return dst, fmt.Errorf("value type %v is unknown", kind)
		}
		dst = append(dst, s)
	}
	return dst, it.Err()
}

func (s sample) String() string {
	switch s.kind {
	case chunkenc.ValFloat:
		return fmt.Sprintf("float %v (bits %016x) at %d", math.Float64frombits(s.f), s.f, s.t)
	case chunkenc.ValHistogram:
		return fmt.Sprintf("histogram %s (hint %d) at %d", s.h, s.h.CounterResetHint, s.t)
	default:
		return fmt.Sprintf("float histogram %s (hint %d) at %d", s.fh, s.fh.CounterResetHint, s.t)
	}
}

// float gives a histogram sample as a float histogram without a hint.
func (s sample) float() *histogram.FloatHistogram {
	var fh *histogram.FloatHistogram
	switch s.kind {
	case chunkenc.ValHistogram:
		fh = s.h.ToFloat(nil)
	case chunkenc.ValFloatHistogram:
		fh = s.fh.Copy()
	default:
		return nil
	}
	fh.CounterResetHint = histogram.UnknownCounterReset
	return fh
}

func (s sample) hint() histogram.CounterResetHint {
	switch s.kind {
	case chunkenc.ValHistogram:
		return s.h.CounterResetHint
	case chunkenc.ValFloatHistogram:
		return s.fh.CounterResetHint
	}
	return histogram.UnknownCounterReset
}

// sameValue compares everything but the timestamp and the counter-reset hint.
func sameValue(got, want sample) bool {
	if got.kind != want.kind {
		return false
	}
	switch got.kind {
	case chunkenc.ValFloat:
		return got.f == want.f
	case chunkenc.ValHistogram:
		a, b := got.h, want.h
		if value.IsStaleNaN(a.Sum) || value.IsStaleNaN(b.Sum) {
			return math.Float64bits(a.Sum) == math.Float64bits(b.Sum)
		}
		return a.Schema == b.Schema && sameBits(a.ZeroThreshold, b.ZeroThreshold) && a.ZeroCount == b.ZeroCount &&
			a.Count == b.Count && sameBits(a.Sum, b.Sum) && sameAllBits(a.CustomValues, b.CustomValues) &&
			slices.Equal(intBuckets(a.PositiveSpans, a.PositiveBuckets), intBuckets(b.PositiveSpans, b.PositiveBuckets)) &&
			slices.Equal(intBuckets(a.NegativeSpans, a.NegativeBuckets), intBuckets(b.NegativeSpans, b.NegativeBuckets))
	default:
		a, b := got.fh, want.fh
		if value.IsStaleNaN(a.Sum) || value.IsStaleNaN(b.Sum) {
			return math.Float64bits(a.Sum) == math.Float64bits(b.Sum)
		}
		return a.Schema == b.Schema && sameBits(a.ZeroThreshold, b.ZeroThreshold) && sameBits(a.ZeroCount, b.ZeroCount) &&
			sameBits(a.Count, b.Count) && sameBits(a.Sum, b.Sum) && sameAllBits(a.CustomValues, b.CustomValues) &&
			slices.Equal(floatBuckets(a.PositiveSpans, a.PositiveBuckets), floatBuckets(b.PositiveSpans, b.PositiveBuckets)) &&
			slices.Equal(floatBuckets(a.NegativeSpans, a.NegativeBuckets), floatBuckets(b.NegativeSpans, b.NegativeBuckets))
	}
}

func sameBits(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }

func sameAllBits(a, b []float64) bool { return slices.EqualFunc(a, b, sameBits) }

// bucket is a populated bucket: its index and the bits of its absolute count. Empty buckets are layout, not
// meaning: chunks in which layouts change are padded with them.
type bucket struct {
	index int32
	count uint64
}

func intBuckets(spans []histogram.Span, deltas []int64) []bucket {
	var out []bucket
	var index int32
	var count int64
	next := 0
	for _, span := range spans {
		index += span.Offset
		for range span.Length {
			count += deltas[next]
			next++
			if count != 0 {
				out = append(out, bucket{index, uint64(count)})
			}
			index++
		}
	}
	return out
}

func floatBuckets(spans []histogram.Span, counts []float64) []bucket {
	var out []bucket
	var index int32
	next := 0
	for _, span := range spans {
		index += span.Offset
		for range span.Length {
			if counts[next] != 0 {
				out = append(out, bucket{index, math.Float64bits(counts[next])})
			}
			next++
			index++
		}
	}
	return out
}

// claim is what a histogram sample says of the histogram of its type before it.
func (s sample) claim() histogram.CounterResetHint {
	switch s.header {
	case chunkenc.CounterReset:
		return histogram.CounterReset
	case chunkenc.NotCounterReset:
		return histogram.NotCounterReset
	}
	return s.hint()
}

func (s sample) stale() bool {
	switch s.kind {
	case chunkenc.ValHistogram:
		return value.IsStaleNaN(s.h.Sum)
	case chunkenc.ValFloatHistogram:
		return value.IsStaleNaN(s.fh.Sum)
	}
	return false
}

// claimHolds says whether the counter-reset claim that was read is no wrong one. "Unknown" claims nothing. "No reset"
// must be true of the values, "reset" true of the values or said by the source. Without a sample before it, or around
// stale markers, only the source can say.
func claimHolds(got, want sample, previous *sample) bool {
	g, w := got.claim(), want.claim()
	if (g == histogram.GaugeType) != (w == histogram.GaugeType) {
		return false // counter or gauge is a property of the sample, not of its place
	}
	switch {
	case g == histogram.UnknownCounterReset || g == histogram.GaugeType:
		return true
	case previous == nil || previous.stale() || got.stale():
		return g == w
	case g == histogram.CounterReset && w == g:
		return true
	}
	return got.float().DetectReset(previous.float()) == (g == histogram.CounterReset)
}

// difference describes the first place where got is not want, or is empty.
func difference(got, want []sample) string {
	last := map[chunkenc.ValueType]*sample{}
	for i := range min(len(got), len(want)) {
		g, w := got[i], want[i]
		if g.t != w.t || !sameValue(g, w) {
			return fmt.Sprintf("sample %d of %d (expected %d): got %s, want %s", i, len(got), len(want), g, w)
		}
		if g.kind != chunkenc.ValFloat {
			if !claimHolds(g, w, last[g.kind]) {
				return fmt.Sprintf("sample %d: counter-reset hint %d at %d is a wrong claim, the source says %d", i, g.claim(), g.t, w.claim())
			}
			last[g.kind] = &got[i]
		}
	}
	if len(got) != len(want) {
		missing, from := want, len(got)
		word := "missing"
		if len(got) > len(want) {
			missing, from, word = got, len(want), "surplus"
		}
		return fmt.Sprintf("%d samples, want %d; first %s: %s", len(got), len(want), word, missing[from])
	}
	return ""
}

// increasing describes the first timestamp that does not lie after its predecessor, or is empty.
func increasing(samples []sample) string {
	for i := 1; i < len(samples); i++ {
		if samples[i].t <= samples[i-1].t {
			word := "backward"
			if samples[i].t == samples[i-1].t {
				word = "duplicate"
			}
			return fmt.Sprintf("%s timestamp: %s after %s", word, samples[i], samples[i-1])
		}
	}
	return ""
}

// within keeps the samples in the closed range.
func within(samples []sample, mint, maxt int64) []sample {
	return slices.DeleteFunc(samples, func(s sample) bool { return s.t < mint || s.t > maxt })
}
