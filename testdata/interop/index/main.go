// Command index reads and writes indexes with Prometheus' own library, to check ours against it.
//
//	index dump <index>             everything that index.Reader finds, as JSON lines
//	index rewrite <index> <new>    the same content, written by index.Writer
//	index generate <dir>           the corpus of testdata/index
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/index"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) < 3 {
		log.Fatal("usage: index dump|rewrite|generate <path> [<path>]")
	}
	var err error
	switch os.Args[1] {
	case "dump":
		err = dump(os.Args[2], os.Stdout)
	case "rewrite":
		err = rewrite(os.Args[2], os.Args[3])
	case "generate":
		err = generate(os.Args[2])
	default:
		err = fmt.Errorf("unknown command %q", os.Args[1])
	}
	if err != nil {
		log.Fatal(err)
	}
}

// eachSeries calls f with all series, in the order of the list of all of them.
func eachSeries(r *index.Reader, f func(storage.SeriesRef, labels.Labels, []chunks.Meta) error) error {
	name, value := index.AllPostingsKey()
	all, err := r.Postings(context.Background(), name, value)
	if err != nil {
		return err
	}
	var builder labels.ScratchBuilder
	var metas []chunks.Meta
	for all.Next() {
		if err := r.Series(all.At(), &builder, &metas); err != nil {
			return err
		}
		if err := f(all.At(), builder.Labels(), metas); err != nil {
			return err
		}
	}
	return all.Err()
}

func dump(path string, to io.Writer) error {
	r, err := index.NewFileReader(path, index.DecodePostingsRaw)
	if err != nil {
		return err
	}
	defer r.Close()
	out := bufio.NewWriter(to)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)

	symbols := r.Symbols()
	for symbols.Next() {
		if err := encoder.Encode([]any{"symbol", symbols.At()}); err != nil {
			return err
		}
	}
	if symbols.Err() != nil {
		return symbols.Err()
	}
	err = eachSeries(r, func(ref storage.SeriesRef, ls labels.Labels, metas []chunks.Meta) error {
		pairs := [][]string{}
		ls.Range(func(l labels.Label) { pairs = append(pairs, []string{l.Name, l.Value}) })
		times := [][]any{}
		for _, m := range metas {
			times = append(times, []any{m.MinTime, m.MaxTime, uint64(m.Ref)})
		}
		return encoder.Encode([]any{"series", ref, pairs, times})
	})
	if err != nil {
		return err
	}
	ctx := context.Background()
	names, err := r.LabelNames(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		values, err := r.SortedLabelValues(ctx, name, nil)
		if err != nil {
			return err
		}
		for _, value := range values {
			list, err := r.Postings(ctx, name, value)
			if err != nil {
				return err
			}
			refs := []storage.SeriesRef{}
			for list.Next() {
				refs = append(refs, list.At())
			}
			if list.Err() != nil {
				return list.Err()
			}
			if err := encoder.Encode([]any{"postings", name, value, refs}); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

func rewrite(from, to string) error {
	r, err := index.NewFileReader(from, index.DecodePostingsRaw)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := index.NewWriter(context.Background(), to)
	if err != nil {
		return err
	}
	symbols := r.Symbols()
	for symbols.Next() {
		if err := w.AddSymbol(strings.Clone(symbols.At())); err != nil {
			return err
		}
	}
	err = eachSeries(r, func(ref storage.SeriesRef, ls labels.Labels, metas []chunks.Meta) error {
		return w.AddSeries(ref, ls, metas...)
	})
	if err != nil {
		return err
	}
	return w.Close()
}

type series struct {
	labels labels.Labels
	chunks []chunks.Meta
}

func generate(dir string) error {
	corpora := map[string][]series{"empty": nil, "mixed": mixed()}
	for name, all := range corpora {
		path := filepath.Join(dir, name+".index")
		if err := write(path, all); err != nil {
			return err
		}
		f, err := os.Create(filepath.Join(dir, name+".jsonl"))
		if err != nil {
			return err
		}
		if err := dump(path, f); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// mixed returns series with awkward strings, times and references: around the borders of varints, negative, extreme.
func mixed() []series {
	rng := rand.New(rand.NewSource(1))
	values := []string{
		"a", "http.status/code", "名前", "with \"quotes\" and \n", "\x00", "\U0010ffff",
		strings.Repeat("x", 127), strings.Repeat("x", 128), strings.Repeat("é", 200),
	}
	seen := map[string]labels.Labels{}
	for i := range 90 {
		pairs := []string{"__name__", fmt.Sprintf("metric_%d", i%7), "id", fmt.Sprint(i / 2)}
		if i%3 == 0 {
			pairs = append(pairs, "UPPER", values[rng.Intn(len(values))])
		}
		if i%4 == 0 {
			pairs = append(pairs, "http.method", values[rng.Intn(len(values))])
		}
		if i%11 == 0 {
			pairs = append(pairs, "zone", "a")
		}
		ls := labels.FromStrings(pairs...)
		seen[ls.String()] = ls
	}
	all := []series{}
	for _, ls := range seen {
		all = append(all, series{labels: ls})
	}
	slices.SortFunc(all, func(a, b series) int { return labels.Compare(a.labels, b.labels) })

	ref := uint64(8)
	for i := range all {
		t := int64(1_735_689_602_884)
		switch i % 5 {
		case 1:
			t = -rng.Int63()
		case 2:
			t = math.MinInt64
		}
		for range i % 6 {
			d := rng.Int63() >> (20 + rng.Intn(43))
			all[i].chunks = append(all[i].chunks, chunks.Meta{MinTime: t, MaxTime: t + d, Ref: chunks.ChunkRef(ref)})
			t += d + 1 + int64(rng.Intn(2)*15_000)
			ref += uint64(rng.Intn(300))
			if rng.Intn(20) == 0 {
				ref = (ref>>32+1)<<32 + 8
			}
		}
	}
	// The whole of time in one chunk.
	all[len(all)-1].chunks = []chunks.Meta{{MinTime: math.MinInt64, MaxTime: math.MaxInt64, Ref: chunks.ChunkRef(ref)}}
	return all
}

func write(path string, all []series) error {
	w, err := index.NewWriter(context.Background(), path)
	if err != nil {
		return err
	}
	symbols := map[string]struct{}{"": {}}
	for _, s := range all {
		s.labels.Range(func(l labels.Label) {
			symbols[l.Name] = struct{}{}
			symbols[l.Value] = struct{}{}
		})
	}
	sorted := make([]string, 0, len(symbols))
	for s := range symbols {
		sorted = append(sorted, s)
	}
	slices.Sort(sorted)
	for _, s := range sorted {
		if err := w.AddSymbol(s); err != nil {
			return err
		}
	}
	for i, s := range all {
		if err := w.AddSeries(storage.SeriesRef(i), s.labels, s.chunks...); err != nil {
			return err
		}
	}
	return w.Close()
}
