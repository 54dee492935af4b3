// Command dedup writes what Thanos' deduplication makes of the samples of several replicas.
//
//	go run . write <directory>
package main

import (
	"bufio"
	"fmt"
	"math"
	"math/rand"
	"os"
	"path/filepath"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/thanos-io/thanos/pkg/compact/downsample"
	"github.com/thanos-io/thanos/pkg/dedup"
)

func main() {
	if len(os.Args) != 3 || os.Args[1] != "write" {
		fmt.Fprintln(os.Stderr, "usage: dedup write <directory>")
		os.Exit(2)
	}
	if err := write(os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "dedup:", err)
		os.Exit(1)
	}
}

type sample struct {
	t    int64
	kind byte // f, h, H
	v    float64
}

func (s sample) T() int64                      { return s.t }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.v }
func (s sample) H() *histogram.Histogram       { return &histogram.Histogram{Count: uint64(s.v)} }
func (s sample) FH() *histogram.FloatHistogram { return &histogram.FloatHistogram{Count: s.v} }
func (s sample) Copy() chunks.Sample           { return s }
func (s sample) Type() chunkenc.ValueType {
	switch s.kind {
	case 'h':
		return chunkenc.ValHistogram
	case 'H':
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}

func (s sample) String() string {
	return fmt.Sprintf("%d%c%x", s.t, s.kind, math.Float64bits(s.v))
}

type list []sample

func (l list) Get(i int) chunks.Sample { return l[i] }
func (l list) Len() int                { return len(l) }

// replica is a series whose iterator is that of a Thanos querier: for functions of counters, resets are made good.
type replica struct {
	samples list
	counter bool
}

func (replica) Labels() labels.Labels { return labels.EmptyLabels() }
func (r replica) Iterator(chunkenc.Iterator) chunkenc.Iterator {
	it := storage.NewListSeriesIterator(r.samples)
	if r.counter {
		return downsample.NewApplyCounterResetsIterator(it)
	}
	return it
}

type set struct {
	replicas []replica
	i        int
}

func (s *set) Next() bool                      { s.i++; return s.i <= len(s.replicas) }
func (s *set) At() storage.Series              { return s.replicas[s.i-1] }
func (*set) Err() error                        { return nil }
func (*set) Warnings() annotations.Annotations { return nil }

func dedupe(replicas []list, function, algorithm string) []sample {
	in := &set{}
	for _, r := range replicas {
		in.replicas = append(in.replicas, replica{r, function == "rate" && algorithm == dedup.AlgorithmPenalty})
	}
	out := dedup.NewSeriesSet(in, function, algorithm)
	var found []sample
	for out.Next() {
		it := out.At().Iterator(nil)
		for {
			switch it.Next() {
			case chunkenc.ValFloat:
				t, v := it.At()
				found = append(found, sample{t, 'f', v})
				continue
			case chunkenc.ValHistogram:
				t, h := it.AtHistogram(nil)
				found = append(found, sample{t, 'h', float64(h.Count)})
				continue
			case chunkenc.ValFloatHistogram:
				t, h := it.AtFloatHistogram(nil)
				found = append(found, sample{t, 'H', h.Count})
				continue
			}
			break
		}
	}
	return found
}

// shape is how the replicas of a case are made.
type shape struct {
	name     string
	replicas int
	interval int64
	jitter   int64
	missing  float64 // part of scrapes that a replica misses
	outage   float64 // chance of each scrape to begin an outage of ten
	reset    float64 // chance of each step to reset the counter
	stale    float64
	kinds    string
	aligned  bool
}

func (s shape) make(r *rand.Rand, steps int) []list {
	var values []float64
	total := 100.0
	for range steps {
		total += float64(r.Intn(20))
		if r.Float64() < s.reset {
			total = float64(r.Intn(5))
		}
		values = append(values, total)
	}
	var out []list
	for i := range s.replicas {
		var samples list
		phase := r.Int63n(s.interval)
		if s.aligned {
			phase = 0
		}
		down := 0
		kind := byte('f')
		for step := range steps {
			if down > 0 {
				down--
				continue
			}
			if r.Float64() < s.outage {
				down = 10
			}
			if r.Float64() < s.missing {
				continue
			}
			if r.Intn(8) == 0 {
				kind = s.kinds[r.Intn(len(s.kinds))]
			}
			t := 1_700_000_000_000 + int64(step)*s.interval + phase
			if s.jitter > 0 {
				t += r.Int63n(s.jitter)
			}
			v := values[step] + float64(i)
			if kind == 'f' && r.Float64() < s.stale {
				v = math.Float64frombits(value.StaleNaN)
			}
			samples = append(samples, sample{t, kind, v})
		}
		out = append(out, samples)
	}
	return out
}

func write(dir string) error {
	file, err := os.Create(filepath.Join(dir, "penalty.txt"))
	if err != nil {
		return err
	}
	w := bufio.NewWriter(file)
	fmt.Fprintln(w, "# Written by ../interop/dedup with Thanos' own deduplication; see README.md.")
	shapes := []shape{
		{name: "steady", replicas: 2, interval: 15_000, jitter: 40, kinds: "f"},
		{name: "aligned", replicas: 2, interval: 15_000, kinds: "f", aligned: true, missing: 0.2},
		{name: "outages", replicas: 2, interval: 30_000, jitter: 40, outage: 0.1, kinds: "f"},
		{name: "resets", replicas: 2, interval: 15_000, jitter: 400, outage: 0.08, reset: 0.1, kinds: "f"},
		{name: "stale", replicas: 2, interval: 15_000, jitter: 40, missing: 0.1, stale: 0.1, reset: 0.05, kinds: "f"},
		{name: "quick", replicas: 2, interval: 1_000, jitter: 100, missing: 0.3, kinds: "f"},
		{name: "three", replicas: 3, interval: 15_000, jitter: 40, outage: 0.1, reset: 0.05, kinds: "f"},
		{name: "five", replicas: 5, interval: 60_000, jitter: 4_000, outage: 0.15, missing: 0.2, stale: 0.05, kinds: "f"},
		{name: "histograms", replicas: 2, interval: 15_000, jitter: 40, outage: 0.1, kinds: "hH"},
		{name: "mixed", replicas: 3, interval: 15_000, jitter: 40, outage: 0.1, missing: 0.1, reset: 0.05, kinds: "fhH"},
	}
	for _, s := range shapes {
		for seed := range int64(5) {
			r := rand.New(rand.NewSource(seed))
			replicas := s.make(r, 25+r.Intn(15))
			fmt.Fprintf(w, "case %s-%d\n", s.name, seed)
			for _, samples := range replicas {
				print(w, "replica", samples)
			}
			print(w, "penalty", dedupe(replicas, "", dedup.AlgorithmPenalty))
			print(w, "rate", dedupe(replicas, "rate", dedup.AlgorithmPenalty))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return file.Close()
}

func print(w *bufio.Writer, what string, samples []sample) {
	fmt.Fprint(w, what)
	previous := int64(0)
	for _, s := range samples {
		t := s.t
		s.t -= previous
		previous = t
		fmt.Fprint(w, " ", s)
	}
	fmt.Fprintln(w)
}
