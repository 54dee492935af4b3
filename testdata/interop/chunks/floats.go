package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

const staleNaN = 0x7ff0000000000002

// sample is a float with its time and, for the encodings that keep it, the time since when it counts.
type sample struct {
	st, t int64
	bits  uint64
}

type shape struct {
	name    string
	samples []sample
}

// writeFloats writes xor.txt and xor2.txt.
func writeFloats(dir string) error {
	shapes := floatShapes()
	if err := writeFloatFile(filepath.Join(dir, "xor.txt"), chunkenc.EncXOR, withoutST(shapes)); err != nil {
		return err
	}
	return writeFloatFile(filepath.Join(dir, "xor2.txt"), chunkenc.EncXOR2, append(shapes, stShapes()...))
}

func withoutST(shapes []shape) []shape {
	out := make([]shape, 0, len(shapes))
	for _, s := range shapes {
		s.samples = append([]sample(nil), s.samples...)
		for i := range s.samples {
			s.samples[i].st = 0
		}
		out = append(out, s)
	}
	return out
}

func writeFloatFile(path string, enc chunkenc.Encoding, shapes []shape) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	fmt.Fprintf(w, "# Written by testdata/interop/chunks with Prometheus' own encoder; see README.md.\n")
	for _, s := range shapes {
		data, err := encode(enc, s.samples)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Fprintf(w, "chunk %s %d %x\n", s.name, enc, data)
		var before sample
		for _, x := range s.samples {
			fmt.Fprint(w, x.t-before.t)
			if x.bits != before.bits || x.st != before.st {
				fmt.Fprintf(w, " %x", x.bits)
			}
			if x.st != before.st {
				fmt.Fprintf(w, " %d", x.st-before.st)
			}
			fmt.Fprintln(w)
			before = x
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// encode appends the samples and checks that Prometheus' own decoder returns them.
func encode(enc chunkenc.Encoding, samples []sample) ([]byte, error) {
	chunk, err := chunkenc.NewEmptyChunk(enc)
	if err != nil {
		return nil, err
	}
	app, err := chunk.Appender()
	if err != nil {
		return nil, err
	}
	for _, x := range samples {
		app.Append(x.st, x.t, math.Float64frombits(x.bits))
	}
	it := chunk.Iterator(nil)
	for i, x := range samples {
		if it.Next() != chunkenc.ValFloat {
			return nil, fmt.Errorf("sample %d of %d is missing: %w", i, len(samples), it.Err())
		}
		t, v := it.At()
		if t != x.t || math.Float64bits(v) != x.bits || it.AtST() != x.st {
			return nil, fmt.Errorf("sample %d is (%d, %x, %d), not %+v", i, t, math.Float64bits(v), it.AtST(), x)
		}
	}
	return chunk.Bytes(), nil
}

// series makes n samples from a function of their index.
func series(name string, n int, at func(i int) (t int64, v float64)) shape {
	s := shape{name: name}
	for i := range n {
		t, v := at(i)
		s.samples = append(s.samples, sample{t: t, bits: math.Float64bits(v)})
	}
	return s
}

// bitSeries likewise, with the bits of the value.
func bitSeries(name string, n int, at func(i int) (t int64, bits uint64)) shape {
	s := shape{name: name}
	for i := range n {
		t, bits := at(i)
		s.samples = append(s.samples, sample{t: t, bits: bits})
	}
	return s
}

const (
	start    = int64(1_700_000_000_000)
	interval = int64(15_000)
)

func regular(i int) int64 { return start + int64(i)*interval }

func floatShapes() []shape {
	var out []shape
	for _, n := range []int{0, 1, 2, 3, 120} {
		out = append(out,
			series(fmt.Sprintf("constant-%d", n), n, func(i int) (int64, float64) { return regular(i), 1 }),
			series(fmt.Sprintf("zero-%d", n), n, func(i int) (int64, float64) { return regular(i), 0 }),
		)
		r, v := random(n), 0.0
		out = append(out, series(fmt.Sprintf("counter-%d", n), n, func(i int) (int64, float64) {
			v += float64(r.below(100))
			return regular(i), v
		}))
		out = append(out, series(fmt.Sprintf("counter-jittered-%d", n), n, func(i int) (int64, float64) {
			v += float64(r.below(1000))
			return regular(i) + r.between(-5, 5), v
		}))
		out = append(out, series(fmt.Sprintf("gauge-%d", n), n, func(i int) (int64, float64) {
			return regular(i) + r.between(-2, 2), float64(r.below(1_000_000)) / 1000
		}))
		out = append(out, bitSeries(fmt.Sprintf("noise-%d", n), n, func(i int) (int64, uint64) {
			return regular(i) + r.between(-9000, 9000), r.next()
		}))
	}
	r := random(42)
	out = append(out, series("long-1000", 1000, func(i int) (int64, float64) {
		if r.below(4) == 0 {
			return regular(i), 3
		}
		return regular(i) + r.between(-30_000, 30_000)*r.below(2), float64(r.below(50))
	}))
	out = append(out, series("alternating", 120, func(i int) (int64, float64) { return regular(i), float64(i % 2) }))
	out = append(out, series("alternating-wide", 120, func(i int) (int64, float64) {
		return regular(i), []float64{1, math.Pi, -math.MaxFloat64}[i%3]
	}))
	out = append(out, series("reset", 120, func(i int) (int64, float64) { return regular(i), float64(i % 40 * 17) }))

	// Windows of every leading and trailing count, first narrowing and then widening.
	out = append(out, bitSeries("windows", 400, func(i int) (int64, uint64) {
		lead, trail := i*7%64, i*11%64
		if lead+trail >= 64 {
			return regular(i), 0
		}
		return regular(i), ^uint64(0) >> (lead + trail) << trail
	}))
	// One bit after the other.
	out = append(out, bitSeries("single-bits", 130, func(i int) (int64, uint64) { return regular(i), 1 << (i / 2 % 64) * uint64(i%2) }))

	special := []uint64{
		staleNaN, 0x7ff8000000000001, 0x7ff8000000000000, 0xfff8000000000000, 0x7ff0000000000001, 0xffffffffffffffff,
		0x7ff0000000000003, 0x7ff4dead_beef0000, 0x7ff0000000000000, 0xfff0000000000000, 0, 0x8000000000000000, 1,
		0x000fffffffffffff, 0x0010000000000000, 0x7fefffffffffffff, 0xffefffffffffffff, 0x3ff0000000000000, staleNaN,
		staleNaN, 0x3ff0000000000000, 0x3ff0000000000000, staleNaN, 0x3ff0000000000000,
	}
	out = append(out, bitSeries("special", len(special), func(i int) (int64, uint64) { return regular(i), special[i] }))
	out = append(out, bitSeries("special-pairs", len(special)*len(special)*2, func(i int) (int64, uint64) {
		if i%2 == 0 {
			return regular(i), special[i/2/len(special)]
		}
		return regular(i), special[i/2%len(special)]
	}))
	out = append(out, bitSeries("special-jittered", len(special)*2, func(i int) (int64, uint64) {
		return regular(i) + int64(i%3), special[i/2]
	}))
	for _, at := range []int{0, 1, 2, 5, 9} {
		out = append(out, bitSeries(fmt.Sprintf("stale-at-%d", at), 10, func(i int) (int64, uint64) {
			if i == at {
				return regular(i), staleNaN
			}
			return regular(i), math.Float64bits(7.25)
		}))
	}
	out = append(out, bitSeries("stale-only", 30, func(i int) (int64, uint64) { return regular(i) + int64(i/10*i), staleNaN }))

	// Every border of a bucket of the difference of differences, in XOR as in XOR2, on both sides.
	var dods []int64
	for _, n := range []int{12, 13, 14, 16, 17, 18, 19, 20, 21, 31, 32, 40} {
		for _, d := range []int64{-2, -1, 0, 1, 2} {
			dods = append(dods, 1<<n+d, -(1<<n + d))
		}
	}
	for _, changing := range []bool{false, true} {
		t, delta, v := start, int64(0), 1.0
		name := "dods"
		if changing {
			name = "dods-changing"
		}
		out = append(out, series(name, len(dods)+1, func(i int) (int64, float64) {
			if i > 0 {
				delta += dods[i-1]
				t += delta
			}
			if changing {
				v += float64(i % 5)
			}
			return t, v
		}))
	}
	out = append(out, series("negative", 60, func(i int) (int64, float64) { return -1000 + int64(i*i), float64(i / 7) }))
	out = append(out, series("descending", 20, func(i int) (int64, float64) { return 1000 - int64(i*i), float64(i) }))
	out = append(out, series("equal-times", 10, func(i int) (int64, float64) { return 5, float64(i) }))
	extremes := []int64{math.MinInt64, -1, 0, 1, math.MaxInt64}
	out = append(out, series("extreme-times", len(extremes), func(i int) (int64, float64) { return extremes[i], float64(i) }))
	for i, t := range extremes {
		out = append(out, series(fmt.Sprintf("first-time-%d", i), 1, func(int) (int64, float64) { return t, 1 }))
	}
	for i := range 30 {
		out = append(out, mixture(fmt.Sprintf("mixture-%d", i), random(1000+i), false))
	}
	return out
}

// mixture takes a different turn at every sample.
func mixture(name string, r random, st bool) shape {
	s := shape{name: name}
	n := int(r.between(1, 200))
	t, delta, bits, since := r.between(-start, start), interval, uint64(0), int64(0)
	calm := r.between(1, 20)
	for range n {
		if r.below(calm) == 0 {
			delta += r.between(-1, 1) << r.below(24)
		}
		t += delta
		switch r.below(8) {
		case 0:
			bits = staleNaN
		case 1:
			bits = r.next()
		case 2:
			bits ^= r.next() >> r.below(64)
		case 3:
			bits ^= r.next() << r.below(64)
		case 4:
			bits = math.Float64bits(float64(r.below(1000)))
		}
		if st && r.below(calm) == 0 {
			since = t - r.next2(40)
		}
		s.samples = append(s.samples, sample{st: since, t: t, bits: bits})
	}
	return s
}

// next2 returns an integer of at most n bits, small ones as often as large ones.
func (r *random) next2(n int64) int64 {
	return int64(r.next()&(1<<n-1)) >> r.below(n)
}

// stShapes have start timestamps.
func stShapes() []shape {
	var out []shape
	counter := func(name string, n int, st func(i int, t int64) int64) {
		r, v := random(n), 0.0
		s := series(name, n, func(i int) (int64, float64) {
			v += float64(r.below(3))
			return regular(i) + r.below(2), v
		})
		for i := range s.samples {
			s.samples[i].st = st(i, s.samples[i].t)
		}
		out = append(out, s)
	}
	for _, n := range []int{1, 2, 3, 4, 120, 127, 128, 130} {
		counter(fmt.Sprintf("st-never-%d", n), n, func(int, int64) int64 { return 0 })
		counter(fmt.Sprintf("st-constant-%d", n), n, func(int, int64) int64 { return start - 1234 })
		counter(fmt.Sprintf("st-zero-then-known-%d", n), n, func(i int, _ int64) int64 { return min(int64(i), 1) * (start - 5) })
		counter(fmt.Sprintf("st-known-then-zero-%d", n), n, func(i int, _ int64) int64 { return (1 - min(int64(i), 1)) * (start - 5) })
		counter(fmt.Sprintf("st-previous-%d", n), n, func(i int, _ int64) int64 { return regular(i - 1) })
		counter(fmt.Sprintf("st-just-before-%d", n), n, func(_ int, t int64) int64 { return t - 1 })
		counter(fmt.Sprintf("st-resets-%d", n), n, func(i int, _ int64) int64 { return regular(i/7*7) - 1 })
		counter(fmt.Sprintf("st-in-the-future-%d", n), n, func(_ int, t int64) int64 { return t + 100_000 })
	}
	for _, at := range []int{1, 2, 3, 50, 125, 126, 127, 128, 129} {
		counter(fmt.Sprintf("st-from-%d", at), 135, func(i int, _ int64) int64 {
			if i < at {
				return 0
			}
			return start
		})
		counter(fmt.Sprintf("st-changes-at-%d", at), 135, func(i int, _ int64) int64 {
			if i < at {
				return start
			}
			return regular(at) - 1
		})
	}
	counter("st-extreme", 12, func(i int, _ int64) int64 {
		return []int64{math.MinInt64, math.MaxInt64, 0, 1, -1}[i%5]
	})
	for i := range 30 {
		out = append(out, mixture(fmt.Sprintf("st-mixture-%d", i), random(2000+i), true))
	}
	return out
}
