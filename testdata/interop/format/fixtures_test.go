package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
)

const blockULID = "01JGFSEP80VHQAZ8FEAQD9QWMS"

// fixtures gives the directory of files that the Go library wrote, or skips the test loudly.
func fixtures(t *testing.T) string {
	t.Helper()
	shared := os.Getenv("PROMPARQUET_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "..", "shared")
	}
	dir := filepath.Join(shared, "fixtures", "parquet-common-go")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("SKIPPED: no fixtures at %s; set PROMPARQUET_SHARED", dir)
	}
	return dir
}

type variant struct {
	dir, name  string
	shards     int
	block      string
	sort       []string
	maxSamples int
}

func variants() []variant {
	plain := func(dir string) variant {
		return variant{dir, "block", 1, "tsdb-small", []string{"__name__"}, 120}
	}
	all := []variant{}
	for _, dir := range []string{"default", "30m", "snappy", "uncompressed", "smallpages"} {
		all = append(all, plain("parquet-"+dir))
	}
	shards2, sorted, cortex, maxcols, spc40, stones := plain("parquet-2shards"), plain("parquet-sorted"), plain("parquet-cortex"), plain("parquet-maxcols"), plain("parquet-spc40"), plain("parquet-tombstones")
	shards2.shards, maxcols.shards = 2, 3
	sorted.sort = []string{"__name__", "namespace", "pod"}
	cortex.name = blockULID
	spc40.maxSamples = 40
	stones.block = "tsdb-small-tombstones"
	return append(all, shards2, sorted, cortex, maxcols, spc40, stones)
}

func (v variant) verify(root string) verifyOptions {
	return verifyOptions{
		shardFlags: shardFlags{filepath.Join(root, v.dir), v.name, v.shards},
		blocks:     []string{filepath.Join(root, v.block, blockULID)},
		tombstones: true, mint: -1 << 63, maxt: 1<<63 - 1, limit: 5,
	}
}

func (v variant) inspect(root string) inspectOptions {
	return inspectOptions{
		shardFlags: shardFlags{filepath.Join(root, v.dir), v.name, v.shards},
		sort:       v.sort, bloom: []string{"__name__"}, maxSamples: v.maxSamples, limit: 5,
	}
}

func TestReferenceFilesPass(t *testing.T) {
	root := fixtures(t)
	for _, v := range variants() {
		t.Run(v.dir, func(t *testing.T) {
			t.Parallel()
			options := v.verify(root)
			options.selects = v.dir == "parquet-smallpages" || v.dir == "parquet-2shards" || v.dir == "parquet-tombstones"
			counts, err := verify(context.Background(), options)
			if err != nil {
				t.Error(err)
			}
			inspected, err := inspect(v.inspect(root))
			if err != nil {
				t.Error(err)
			}
			if counts.samples == 0 || counts.samples != inspected.samples || counts.series != inspected.rows {
				t.Errorf("verify saw %+v, inspect %+v", counts, inspected)
			}
		})
	}
}

// TestConvert converts the small block with the reference and judges the result.
func TestConvert(t *testing.T) {
	root := fixtures(t)
	bucket := t.TempDir()
	stdout := os.Stdout
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout = w
	err = convertCommand([]string{"-block", filepath.Join(root, "tsdb-small", blockULID), "-bucket", bucket, "-num-row-groups", "2", "-row-group-size", "150", "-compression", "snappy"})
	os.Stdout = stdout
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	line, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	var result convertResult
	if err := json.Unmarshal(line, &result); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	if result.Shards != 2 || result.Samples != 138222 || result.WallSeconds <= 0 || result.CPUSeconds <= 0 || result.PeakRSSBytes < 1<<20 || result.OutputBytes == 0 {
		t.Errorf("%+v", result)
	}
	v := variant{dir: ".", name: blockULID, shards: 2, block: "tsdb-small", sort: []string{"__name__"}, maxSamples: 120}
	options := v.verify(root)
	options.bucket = bucket
	if _, err := verify(context.Background(), options); err != nil {
		t.Error(err)
	}
}
