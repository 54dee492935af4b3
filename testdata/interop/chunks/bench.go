package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

const (
	benchChunks  = 1000
	benchSamples = 120
)

// benchShapes are the same as in benches/benches/chunk_decode.rs: keep both in step.
var benchShapes = []struct {
	name string
	next func(r *random, v float64) float64
	// jitter is the most milliseconds by which a sample is late.
	jitter int64
}{
	{"constant", func(_ *random, v float64) float64 { return v }, 0},
	{"regular_gauge", func(r *random, _ float64) float64 { return float64(r.below(100_000)) / 1000 }, 0},
	{"regular_counter", func(r *random, v float64) float64 { return v + float64(r.below(100)) }, 0},
	{"jittered_gauge", func(r *random, _ float64) float64 { return float64(r.below(100_000)) / 1000 }, 5},
	{"jittered_counter", func(r *random, v float64) float64 { return v + float64(r.below(100)) }, 5},
	{"jittered_sparse_counter", func(r *random, v float64) float64 { return v + float64(max(r.below(10)-6, 0)) }, 5},
	{"random", func(r *random, _ float64) float64 { return math.Float64frombits(r.next()) }, 100},
}

// bench prints the millions of samples per second that Prometheus decodes and encodes, in the best pass over all chunks.
func bench(args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	seconds := flags.Float64("seconds", 1, "how long to measure each shape")
	segments := flags.String("segments", "", "directory of chunk segments to decode, instead of shapes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	measure := func(name string, samples int, pass func() error) error {
		if flags.NArg() > 0 && !slices.Contains(flags.Args(), name) {
			return nil
		}
		best := time.Duration(math.MaxInt64)
		for begin := time.Now(); time.Since(begin).Seconds() < *seconds; {
			start := time.Now()
			if err := pass(); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			best = min(best, time.Since(start))
		}
		fmt.Printf("%s %.1f M samples/s\n", name, float64(samples)/best.Seconds()/1e6)
		return nil
	}
	if *segments != "" {
		chunks, samples, err := readSegments(*segments)
		if err != nil {
			return err
		}
		return measure("decode/XOR/segments", samples, func() error { return decodeAll(chunks) })
	}
	for _, enc := range []chunkenc.Encoding{chunkenc.EncXOR, chunkenc.EncXOR2} {
		for _, s := range benchShapes {
			chunks := make([]chunkenc.Chunk, benchChunks)
			all := make([][]sample, benchChunks)
			for c := range chunks {
				r, v := random(c), 1000.0
				all[c] = series(s.name, benchSamples, func(i int) (int64, float64) {
					v = s.next(&r, v)
					return regular(i) + r.below(s.jitter+1), v
				}).samples
				data, err := encode(enc, all[c])
				if err != nil {
					return err
				}
				if chunks[c], err = chunkenc.FromData(enc, data); err != nil {
					return err
				}
			}
			name := fmt.Sprintf("%s/%s", enc, s.name)
			if err := measure("decode/"+name, benchChunks*benchSamples, func() error { return decodeAll(chunks) }); err != nil {
				return err
			}
			err := measure("encode/"+name, benchChunks*benchSamples, func() error {
				for _, samples := range all {
					chunk, err := chunkenc.NewEmptyChunk(enc)
					if err != nil {
						return err
					}
					app, err := chunk.Appender()
					if err != nil {
						return err
					}
					for _, x := range samples {
						app.Append(x.st, x.t, math.Float64frombits(x.bits))
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return benchHistograms(measure)
}

// decodeAll reads every float and adds them up.
func decodeAll(chunks []chunkenc.Chunk) error {
	var it chunkenc.Iterator
	var sum float64
	for _, c := range chunks {
		it = c.Iterator(it)
		for it.Next() != chunkenc.ValNone {
			_, v := it.At()
			sum += v
		}
		if it.Err() != nil {
			return it.Err()
		}
	}
	sink += sum
	return nil
}

// sink keeps what is computed from being optimised away.
var sink float64

// benchHistograms uses the same histograms as benches/benches/chunk_decode.rs: 30 buckets in two spans.
func benchHistograms(measure func(name string, samples int, pass func() error) error) error {
	const series = benchChunks / 10
	encodings := []chunkenc.Encoding{chunkenc.EncHistogram, chunkenc.EncFloatHistogram}
	for _, enc := range encodings {
		all := make([][]step, series)
		chunks := make([]chunkenc.Chunk, series)
		for c := range all {
			r := random(c)
			counts, zero, sum := make([]int64, 30), int64(0), 0.0
			for i := range benchSamples {
				h := &histogram.Histogram{
					Schema: 3, ZeroThreshold: 0x1p-128,
					PositiveSpans: []histogram.Span{{Offset: -4, Length: 20}, {Offset: 5, Length: 10}},
				}
				zero += r.below(2)
				sum += float64(r.below(1000)) / 1000
				h.ZeroCount, h.Count, h.Sum = uint64(zero), uint64(zero), sum
				last := int64(0)
				for b := range counts {
					counts[b] += r.below(3)
					h.Count += uint64(counts[b])
					h.PositiveBuckets = append(h.PositiveBuckets, counts[b]-last)
					last = counts[b]
				}
				x := step{t: regular(i), h: h}
				if enc == chunkenc.EncFloatHistogram {
					x = step{t: regular(i), fh: h.ToFloat(nil)}
				}
				all[c] = append(all[c], x)
			}
			done, err := encodeHistograms(enc, all[c])
			if err != nil || len(done) != 1 {
				return fmt.Errorf("%d chunks: %w", len(done), err)
			}
			chunks[c] = done[0]
		}
		err := measure(fmt.Sprintf("decode/%s", enc), series*benchSamples, func() error {
			var it chunkenc.Iterator
			var h histogram.Histogram
			var fh histogram.FloatHistogram
			for _, c := range chunks {
				it = c.Iterator(it)
				for t := it.Next(); t != chunkenc.ValNone; t = it.Next() {
					if t == chunkenc.ValHistogram {
						it.AtHistogram(&h)
					} else {
						it.AtFloatHistogram(&fh)
					}
				}
				if it.Err() != nil {
					return it.Err()
				}
			}
			sink += h.Sum + fh.Sum
			return nil
		})
		if err != nil {
			return err
		}
		err = measure(fmt.Sprintf("encode/%s", enc), series*benchSamples, func() error {
			for _, steps := range all {
				chunk, err := chunkenc.NewEmptyChunk(enc)
				if err != nil {
					return err
				}
				app, err := chunk.Appender()
				if err != nil {
					return err
				}
				for _, x := range steps {
					if x.h != nil {
						_, _, app, err = app.AppendHistogram(nil, 0, x.t, x.h, false)
					} else {
						_, _, app, err = app.AppendFloatHistogram(nil, 0, x.t, x.fh, false)
					}
					if err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// readSegments reads the XOR chunks of chunk segments.
func readSegments(dir string) ([]chunkenc.Chunk, int, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return nil, 0, err
	}
	var chunks []chunkenc.Chunk
	samples := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, 0, err
		}
		for at := 8; at < len(data); {
			length, n := binary.Uvarint(data[at:])
			at += n
			if enc := chunkenc.Encoding(data[at]); enc == chunkenc.EncXOR {
				chunk, err := chunkenc.FromData(enc, data[at+1:at+1+int(length)])
				if err != nil {
					return nil, 0, err
				}
				chunks, samples = append(chunks, chunk), samples+chunk.NumSamples()
			}
			at += 1 + int(length) + 4
		}
	}
	return chunks, samples, nil
}
