package main

import (
	"cmp"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// plainCommand writes blocks again as one, with the three encodings that every reader knows, without start timestamps:
// the format's reference is built with a Prometheus that does not know the others. Where blocks overlap, samples are
// merged by time, and the first block given wins.
func plainCommand(args []string) error {
	var dir, out string
	fs := flag.NewFlagSet("plain", flag.ContinueOnError)
	fs.StringVar(&dir, "block", "", "TSDB block directories, comma separated (required)")
	fs.StringVar(&out, "out", "", "directory that gets the new block's directory (required)")
	if err := parse(fs, args); err != nil {
		return err
	}
	if dir == "" || out == "" {
		return fmt.Errorf("%w: -block and -out are required", errUsage)
	}
	written, err := plainBlock(strings.Split(dir, ","), out)
	if err != nil {
		return err
	}
	fmt.Println(written)
	return nil
}

func plainBlock(dirs []string, out string) (string, error) {
	sources := map[string][]storage.Series{}
	var all []series
	kind := "plain"
	for _, dir := range dirs {
		block, err := openCopy(dir)
		if err != nil {
			return "", err
		}
		defer block.Close()
		kind += " " + block.Meta().ULID.String()
		set, err := block.selectAll()
		if err != nil {
			return "", err
		}
		for set.Next() {
			lset := set.At().Labels()
			key := lset.String()
			if sources[key] == nil {
				all = append(all, series{lset, func() ([]chunks.Meta, error) {
					points, err := mergedPoints(sources[key])
					if err != nil {
						return nil, err
					}
					return encode(points, never)
				}})
			}
			sources[key] = append(sources[key], set.At())
		}
		if err := set.Err(); err != nil {
			return "", err
		}
	}
	return writeBlock(makeOptions{kind: kind, out: out}, 0, all)
}

func mergedPoints(sources []storage.Series) ([]point, error) {
	taken := map[int64]bool{}
	var merged []point
	for _, source := range sources {
		points, err := pointsOf(source.Iterator(nil))
		if err != nil {
			return nil, err
		}
		for _, p := range points {
			if !taken[p.t] {
				merged = append(merged, p)
				taken[p.t] = true
			}
		}
	}
	slices.SortFunc(merged, func(a, b point) int { return cmp.Compare(a.t, b.t) })
	return merged, nil
}

func pointsOf(it chunkenc.Iterator) ([]point, error) {
	var points []point
	for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
		p := point{t: it.AtT()}
		switch kind {
		case chunkenc.ValFloat:
			_, p.v = it.At()
		case chunkenc.ValHistogram:
			_, h := it.AtHistogram(nil)
			p.h = h.Copy()
		case chunkenc.ValFloatHistogram:
			_, fh := it.AtFloatHistogram(nil)
			p.fh = fh.Copy()
		default:
			return nil, fmt.Errorf("value type %v is unknown", kind)
		}
		points = append(points, p)
	}
	return points, it.Err()
}
