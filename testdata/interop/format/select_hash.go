package main

import (
	"fmt"
	"math"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	promstorage "github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// The checksum of an answer is a sum over its samples, so that their order does not count: of each sample
// (value bits XOR rotate(timestamp × prime1 XOR hash of the labels, 29)) × prime2. The other side sums the same.
const (
	checksumPrime1 = 0x9E3779B185EBCA87
	checksumPrime2 = 0xC2B2AE3D27D4EB4F
)

func sampleChecksum(series uint64, t int64, value uint64) uint64 {
	return (value ^ bits.RotateLeft64(uint64(t)*checksumPrime1^series, 29)) * checksumPrime2
}

func summary(series, samples int, sum uint64) answerSummary {
	return answerSummary{series, samples, fmt.Sprintf("%016x", sum)}
}

// summarizeStrings counts strings as series.
func summarizeStrings(values []string) answerSummary {
	var sum uint64
	for _, v := range values {
		sum += labels.StableHash(labels.FromStrings("value", v))
	}
	return summary(len(values), 0, sum)
}

func summarizeLabels(set promstorage.SeriesSet) (answerSummary, error) {
	var sum uint64
	series := 0
	for set.Next() {
		sum += labels.StableHash(set.At().Labels())
		series++
	}
	return summary(series, 0, sum), set.Err()
}

// summarizeSamples decodes all samples in the closed range. Series without any do not count.
func summarizeSamples(set promstorage.SeriesSet, mint, maxt int64, decoders int) (answerSummary, error) {
	var all []promstorage.Series
	for set.Next() {
		all = append(all, set.At())
	}
	if err := set.Err(); err != nil {
		return answerSummary{}, err
	}
	const batch = 16
	var series, samples atomic.Int64
	var sum atomic.Uint64
	var failed atomic.Pointer[error]
	inParallel((len(all)+batch-1)/batch, decoders, func(i int) {
		var it chunkenc.Iterator
		for _, one := range all[i*batch : min(len(all), (i+1)*batch)] {
			it = one.Iterator(it)
			n, s := summarizeSeries(labels.StableHash(one.Labels()), it, mint, maxt)
			if err := it.Err(); err != nil {
				failed.Store(&err)
			}
			if n > 0 {
				series.Add(1)
				samples.Add(int64(n))
				sum.Add(s)
			}
		}
	})
	if err := failed.Load(); err != nil {
		return answerSummary{}, *err
	}
	return summary(int(series.Load()), int(samples.Load()), sum.Load()), nil
}

func summarizeSeries(hash uint64, it chunkenc.Iterator, mint, maxt int64) (samples int, sum uint64) {
	for kind := it.Seek(mint); kind != chunkenc.ValNone; kind = it.Next() {
		var t int64
		switch kind {
		case chunkenc.ValFloat:
			var v float64
			if t, v = it.At(); t <= maxt {
				sum += sampleChecksum(hash, t, math.Float64bits(v))
			}
		case chunkenc.ValHistogram, chunkenc.ValFloatHistogram:
			// The other parts of a histogram are compared by the conversion's judges.
			if h, fh := (*histogram.Histogram)(nil), (*histogram.FloatHistogram)(nil); kind == chunkenc.ValHistogram {
				if t, h = it.AtHistogram(nil); t <= maxt {
					sum += sampleChecksum(hash, t, math.Float64bits(h.Sum)) + sampleChecksum(hash, t, h.Count)
				}
			} else if t, fh = it.AtFloatHistogram(nil); t <= maxt {
				sum += sampleChecksum(hash, t, math.Float64bits(fh.Sum)) + sampleChecksum(hash, t, math.Float64bits(fh.Count))
			}
		}
		if t > maxt {
			break
		}
		samples++
	}
	return samples, sum
}

// inParallel calls f for 0..n-1 from several goroutines.
func inParallel(n, goroutines int, f func(i int)) {
	var next atomic.Int64
	var done sync.WaitGroup
	for range min(n, max(1, goroutines)) {
		done.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	done.Wait()
}
