package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/prometheus-community/parquet-common/convert"
	"github.com/prometheus-community/parquet-common/schema"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/thanos-io/objstore/providers/filesystem"
)

// convertResult is the one JSON line that convert prints; benches read it.
type convertResult struct {
	Converter     string  `json:"converter"`
	Name          string  `json:"name"`
	Shards        int     `json:"shards"`
	Series        uint64  `json:"series"`
	Samples       uint64  `json:"samples"`
	WallSeconds   float64 `json:"wall_seconds"`
	CPUSeconds    float64 `json:"cpu_seconds"`
	PeakRSSBytes  int64   `json:"peak_rss_bytes"`
	LabelsBytes   int64   `json:"labels_bytes"`
	ChunksBytes   int64   `json:"chunks_bytes"`
	OutputBytes   int64   `json:"output_bytes"`
	CPUs          int     `json:"cpus"`
	ColumnSeconds float64 `json:"column_seconds"`
}

func convertCommand(args []string) error {
	var blocks, bucketDir, name, sort, compression, pageBuffers string
	var colDuration time.Duration
	var rowGroupSize, numRowGroups, maxColumns, samplesPerChunk, cpus int
	fs := flag.NewFlagSet("convert", flag.ContinueOnError)
	fs.StringVar(&blocks, "block", "", "TSDB block directories, comma separated (required)")
	fs.StringVar(&bucketDir, "bucket", "", "directory that stands for the bucket (required)")
	fs.StringVar(&name, "name", "", "name of the shards; default: the first block's ULID, as Cortex names them")
	fs.StringVar(&sort, "sort", labels.MetricName, "sort labels, comma separated")
	fs.DurationVar(&colDuration, "col-duration", 8*time.Hour, "time that one data column spans")
	fs.IntVar(&rowGroupSize, "row-group-size", 1_000_000, "rows per row group")
	fs.IntVar(&numRowGroups, "num-row-groups", 0, "row groups per shard; 0: all series in one shard, as Cortex does")
	fs.StringVar(&compression, "compression", "zstd", "zstd, snappy or none")
	fs.IntVar(&maxColumns, "max-num-columns", 0, "columns per labels file; 0: the library's limit")
	fs.IntVar(&samplesPerChunk, "samples-per-chunk", 120, "samples per chunk")
	fs.StringVar(&pageBuffers, "page-buffers", "file", "where pages of an open row group wait: file (as Cortex does) or memory (the library's default)")
	fs.IntVar(&cpus, "cpus", runtime.NumCPU(), "CPUs to use")
	if err := parse(fs, args); err != nil {
		return err
	}
	if blocks == "" || bucketDir == "" {
		return fmt.Errorf("%w: -block and -bucket are required", errUsage)
	}
	runtime.GOMAXPROCS(cpus)

	truth, err := openBlocks(splitList(blocks), true)
	if err != nil {
		return err
	}
	defer truth.close()
	if name == "" {
		name = truth.blocks[0].block.Meta().ULID.String()
	}
	bucket, err := filesystem.NewBucket(bucketDir)
	if err != nil {
		return err
	}
	options := []convert.ConvertOption{
		convert.WithName(name),
		convert.WithSortBy(splitList(sort)...),
		convert.WithColDuration(colDuration),
		convert.WithRowGroupSize(rowGroupSize),
		convert.WithReadConcurrency(cpus),
		convert.WithMaxSamplesPerChunk(samplesPerChunk),
	}
	if numRowGroups > 0 {
		options = append(options, convert.WithNumRowGroups(numRowGroups))
	}
	if maxColumns > 0 {
		options = append(options, convert.WithMaxNumColumns(maxColumns))
	}
	switch compression {
	case "zstd":
	case "snappy":
		options = append(options, convert.WithCompression(schema.WithCompressionCodec(schema.CompressionSnappy)))
	case "none":
		options = append(options, convert.WithCompression(schema.WithCompressionEnabled(false)))
	default:
		return fmt.Errorf("%w: compression %q is none of zstd, snappy, none", errUsage, compression)
	}
	switch pageBuffers {
	case "memory":
	case "file":
		dir, err := os.MkdirTemp("", "interop-pages-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		options = append(options, convert.WithColumnPageBuffers(parquet.NewFileBufferPool(dir, "buffers.*")))
	default:
		return fmt.Errorf("%w: page buffers %q are none of file, memory", errUsage, pageBuffers)
	}

	result := convertResult{Converter: "parquet-common", Name: name, CPUs: cpus, ColumnSeconds: colDuration.Seconds()}
	var convertibles []convert.Convertible
	for i, open := range truth.blocks {
		meta := open.block.Meta()
		if i == 0 {
			truth.mint, truth.maxt = meta.MinTime, meta.MaxTime
		}
		truth.mint, truth.maxt = min(truth.mint, meta.MinTime), max(truth.maxt, meta.MaxTime)
		result.Series += meta.Stats.NumSeries
		result.Samples += meta.Stats.NumSamples
		convertibles = append(convertibles, open.block)
	}
	before, err := usageOf()
	if err != nil {
		return err
	}
	start := time.Now()
	// The block's exclusive maxTime goes in as it is, like in Cortex.
	result.Shards, err = convert.ConvertTSDBBlock(context.Background(), bucket, truth.mint, truth.maxt, convertibles, slog.New(slog.DiscardHandler), options...)
	if err != nil {
		return err
	}
	result.WallSeconds = time.Since(start).Seconds()
	after, err := usageOf()
	if err != nil {
		return err
	}
	result.CPUSeconds = cpuSeconds(after) - cpuSeconds(before)
	result.PeakRSSBytes = after.Maxrss * 1024 // Linux counts in KiB
	for shard := range result.Shards {
		for file, total := range map[string]*int64{
			schema.LabelsPfileNameForShard(name, shard): &result.LabelsBytes,
			schema.ChunksPfileNameForShard(name, shard): &result.ChunksBytes,
		} {
			info, err := os.Stat(filepath.Join(bucketDir, file))
			if err != nil {
				return err
			}
			*total += info.Size()
		}
	}
	result.OutputBytes = result.LabelsBytes + result.ChunksBytes
	return json.NewEncoder(os.Stdout).Encode(result)
}

func usageOf() (syscall.Rusage, error) {
	var usage syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return usage, err
}

func cpuSeconds(usage syscall.Rusage) float64 {
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}
