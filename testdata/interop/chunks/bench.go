package main

import (
	"flag"
	"fmt"
	"math"
	"slices"
	"time"

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
}

// bench prints the millions of samples per second that Prometheus' iterators decode in the best pass over all chunks.
func bench(args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	seconds := flags.Float64("seconds", 1, "how long to measure each shape")
	if err := flags.Parse(args); err != nil {
		return err
	}
	for _, enc := range []chunkenc.Encoding{chunkenc.EncXOR, chunkenc.EncXOR2} {
		for _, s := range benchShapes {
			name := fmt.Sprintf("%s/%s", enc, s.name)
			if flags.NArg() > 0 && !slices.Contains(flags.Args(), name) {
				continue
			}
			chunks := make([]chunkenc.Chunk, benchChunks)
			bytes := 0
			for c := range chunks {
				r, v := random(c), 1000.0
				var samples []sample
				one := series(name, benchSamples, func(i int) (int64, float64) {
					v = s.next(&r, v)
					return regular(i) + r.below(s.jitter+1), v
				})
				samples = one.samples
				data, err := encode(enc, samples)
				if err != nil {
					return err
				}
				if chunks[c], err = chunkenc.FromData(enc, data); err != nil {
					return err
				}
				bytes += len(data)
			}
			var it chunkenc.Iterator
			var sum float64
			var last int64
			best := time.Duration(math.MaxInt64)
			begin := time.Now()
			for time.Since(begin).Seconds() < *seconds {
				pass := time.Now()
				for _, c := range chunks {
					it = c.Iterator(it)
					for it.Next() != chunkenc.ValNone {
						t, v := it.At()
						last, sum = t, sum+v
					}
					if it.Err() != nil {
						return it.Err()
					}
				}
				best = min(best, time.Since(pass))
			}
			rate := benchChunks * benchSamples / best.Seconds() / 1e6
			fmt.Printf("%s %.1f M samples/s, %.2f bytes/sample (%d %g)\n",
				name, rate, float64(bytes)/benchChunks/benchSamples, last, sum)
		}
	}
	return nil
}
