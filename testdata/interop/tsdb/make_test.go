package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

func make1(t *testing.T, o makeOptions) []string {
	t.Helper()
	o.out = t.TempDir()
	dirs, err := makeBlocks(o)
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

func small(kind string) makeOptions {
	return makeOptions{kind: kind, labelNames: 300, series: 50, perLabel: 20, samples: 240}
}

// encodingsOf counts the chunks of a block by encoding.
func encodingsOf(t *testing.T, dir string) map[chunkenc.Encoding]int {
	t.Helper()
	block, err := openCopy(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer block.Close()
	index, err := block.Index()
	if err != nil {
		t.Fatal(err)
	}
	defer index.Close()
	reader, err := block.Chunks()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	postings, err := index.Postings(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	counts := map[chunkenc.Encoding]int{}
	var builder labels.ScratchBuilder
	var metas []chunks.Meta
	for postings.Next() {
		if err := index.Series(postings.At(), &builder, &metas); err != nil {
			t.Fatal(err)
		}
		for _, meta := range metas {
			chunk, _, err := reader.ChunkOrIterable(meta)
			if err != nil {
				t.Fatal(err)
			}
			counts[chunk.Encoding()]++
		}
	}
	return counts
}

func TestBlocksHoldTheEncodingsOfTheirKind(t *testing.T) {
	for kind, want := range map[string][]chunkenc.Encoding{
		"xor2":    {chunkenc.EncXOR2},
		"st":      {chunkenc.EncXOR2, chunkenc.EncHistogramST, chunkenc.EncFloatHistogramST},
		"mixed":   {chunkenc.EncXOR, chunkenc.EncXOR2, chunkenc.EncHistogram, chunkenc.EncHistogramST, chunkenc.EncFloatHistogram, chunkenc.EncFloatHistogramST},
		"overlap": {chunkenc.EncXOR, chunkenc.EncHistogram},
		"ha":      {chunkenc.EncXOR},
		"wide":    {chunkenc.EncXOR},
		"deep":    {chunkenc.EncXOR},
	} {
		dirs := make1(t, small(kind))
		counts := encodingsOf(t, dirs[0])
		if len(counts) != len(want) {
			t.Errorf("%s: %v, want %v", kind, counts, want)
		}
		for _, encoding := range want {
			if counts[encoding] == 0 {
				t.Errorf("%s: no chunk is encoded %v", kind, encoding)
			}
		}
	}
}

func TestSameOptionsSameBytes(t *testing.T) {
	for kind := range kinds {
		a, b := make1(t, small(kind)), make1(t, small(kind))
		for i := range a {
			for _, file := range []string{"index", "meta.json", "chunks/000001"} {
				left, err := os.ReadFile(filepath.Join(a[i], file))
				if err != nil {
					t.Fatal(err)
				}
				right, err := os.ReadFile(filepath.Join(b[i], file))
				if err != nil {
					t.Fatal(err)
				}
				if string(left) != string(right) {
					t.Errorf("%s: %s differs", kind, file)
				}
			}
		}
	}
}

func TestCompareFindsDifferences(t *testing.T) {
	dirs := make1(t, small("overlap"))
	if _, _, err := compareBlocks(dirs[0], dirs[0], true); err != nil {
		t.Error(err)
	}
	if _, _, err := compareBlocks(dirs[0], dirs[1], true); err == nil {
		t.Error("different blocks compare equal")
	}
	fewer := small("xor2")
	fewer.samples--
	_, _, err := compareBlocks(make1(t, small("xor2"))[0], make1(t, fewer)[0], true)
	if err == nil || !strings.Contains(err.Error(), "sample 239") {
		t.Errorf("a missing last sample: %v", err)
	}
}

func TestPlainKeepsAllButStartTimes(t *testing.T) {
	for _, kind := range []string{"st", "mixed"} {
		dir := make1(t, small(kind))[0]
		plain, err := plainBlock([]string{dir}, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		for encoding := range encodingsOf(t, plain) {
			if encoding > chunkenc.EncFloatHistogram {
				t.Errorf("%s: a chunk is still encoded %v", kind, encoding)
			}
		}
		if _, _, err := compareBlocks(dir, plain, false); err != nil {
			t.Error(err)
		}
		if _, _, err := compareBlocks(dir, plain, true); err == nil {
			t.Errorf("%s: start timestamps are not compared", kind)
		}
	}
}
