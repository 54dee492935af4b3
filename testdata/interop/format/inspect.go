package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
	"github.com/prometheus-community/parquet-common/schema"
	"github.com/prometheus/prometheus/model/labels"
)

type inspectOptions struct {
	shardFlags
	sort       []string
	bloom      []string
	maxSamples int
	strict     bool
	limit      int
}

type inspectCounts struct {
	rowGroups, rows, columns, pages, records, samples int
}

func inspectCommand(args []string) error {
	var o inspectOptions
	var sort, bloom string
	fs := flag.NewFlagSet("inspect", flag.ContinueOnError)
	o.register(fs)
	fs.StringVar(&sort, "sort", labels.MetricName, "sort labels that the converter was given, comma separated")
	fs.StringVar(&bloom, "bloom", labels.MetricName, "labels that must have a bloom filter, comma separated")
	fs.IntVar(&o.maxSamples, "max-samples", 120, "samples that a chunk may hold")
	fs.BoolVar(&o.strict, "strict", false, "also demand what the reference writer itself gets wrong or leaves open; for our own files")
	fs.IntVar(&o.limit, "limit", 20, "how many findings to print")
	if err := parse(fs, args); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	o.sort, o.bloom = splitList(sort), splitList(bloom)
	counts, err := inspect(o)
	if err != nil {
		return err
	}
	fmt.Printf("PASS inspect %s/%s: %d shards, %d row groups, %d rows, %d columns, %d pages, %d chunks, %d samples\n",
		o.bucket, o.name, o.shards, counts.rowGroups, counts.rows, counts.columns, counts.pages, counts.records, counts.samples)
	return nil
}

// inspector checks the files of one shard.
type inspector struct {
	*report
	inspectOptions
	counts *inspectCounts
	shard  int
}

// shardFile is one open Parquet file, with its footer as it is written.
type shardFile struct {
	what string // "shard 0 labels", for messages
	raw  *os.File
	pf   *parquet.File
	meta *format.FileMetaData
	cols []string
}

// tsdbMetadata is what the three metadata keys say.
type tsdbMetadata struct {
	mint, maxt, colDuration int64
}

func (m tsdbMetadata) dataColumns() int { return int((m.maxt-m.mint)/m.colDuration) + 1 }

func inspect(o inspectOptions) (inspectCounts, error) {
	var counts inspectCounts
	if err := exactlyShards(o.shardFlags); err != nil {
		return counts, err
	}
	r := newReport(o.limit)
	var first tsdbMetadata
	for shard := range o.shards {
		in := &inspector{report: r, inspectOptions: o, counts: &counts, shard: shard}
		r.guard(fmt.Sprintf("shard %d", shard), func() error {
			md, err := in.inspectShard()
			if shard == 0 {
				first = md
			} else if err == nil && md != first {
				in.fail("shard %d: metadata %+v, shard 0 has %+v", shard, md, first)
			}
			return err
		})
	}
	return counts, r.err()
}

func (in *inspector) inspectShard() (tsdbMetadata, error) {
	labelsFile, err := openShardFile(fmt.Sprintf("shard %d labels", in.shard), filepath.Join(in.bucket, schema.LabelsPfileNameForShard(in.name, in.shard)))
	if err != nil {
		return tsdbMetadata{}, err
	}
	defer labelsFile.raw.Close()
	chunksFile, err := openShardFile(fmt.Sprintf("shard %d chunks", in.shard), filepath.Join(in.bucket, schema.ChunksPfileNameForShard(in.name, in.shard)))
	if err != nil {
		return tsdbMetadata{}, err
	}
	defer chunksFile.raw.Close()

	md, err := in.metadata(labelsFile)
	if err != nil {
		return md, err
	}
	if other, err := in.metadata(chunksFile); err != nil {
		return md, err
	} else if other != md {
		in.fail("%s: metadata %+v, the labels file has %+v", chunksFile.what, other, md)
	}
	in.schemaOf(labelsFile)
	in.schemaOf(chunksFile)
	in.labelsColumns(labelsFile)
	in.chunksColumns(chunksFile, md)
	in.footer(labelsFile)
	in.footer(chunksFile)

	if l, c := labelsFile.meta.NumRows, chunksFile.meta.NumRows; l != c {
		in.fail("shard %d: %d rows in the labels file, %d in the chunks file", in.shard, l, c)
	}
	if l, c := len(labelsFile.meta.RowGroups), len(chunksFile.meta.RowGroups); l != c {
		return md, fmt.Errorf("%d row groups in the labels file, %d in the chunks file", l, c)
	}
	if labelsFile.meta.NumRows == 0 {
		in.fail("shard %d: no rows", in.shard)
	}
	var last labels.Labels // of the row before, across row groups
	for rg := range labelsFile.meta.RowGroups {
		if l, c := labelsFile.meta.RowGroups[rg].NumRows, chunksFile.meta.RowGroups[rg].NumRows; l != c {
			in.fail("shard %d: row group %d has %d rows in the labels file, %d in the chunks file", in.shard, rg, l, c)
		}
		in.counts.rowGroups++
		in.counts.rows += int(labelsFile.meta.RowGroups[rg].NumRows)
		in.guard(fmt.Sprintf("%s: row group %d", labelsFile.what, rg), func() (err error) {
			last, err = in.labelsRowGroup(labelsFile, rg, last)
			return err
		})
		in.guard(fmt.Sprintf("%s: row group %d", chunksFile.what, rg), func() error {
			return in.chunksRowGroup(chunksFile, rg, md)
		})
	}
	return md, nil
}

func openShardFile(what, path string) (*shardFile, error) {
	raw, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := raw.Stat()
	if err != nil {
		return nil, err
	}
	pf, err := parquet.OpenFile(raw, info.Size())
	if err != nil {
		raw.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	file := &shardFile{what: what, raw: raw, pf: pf, meta: pf.Metadata()}
	for _, element := range file.meta.Schema[1:] {
		file.cols = append(file.cols, element.Name)
	}
	return file, nil
}

func (in *inspector) metadata(f *shardFile) (tsdbMetadata, error) {
	found := map[string]int64{}
	for _, kv := range f.meta.KeyValueMetadata {
		switch kv.Key {
		case schema.MinTMd, schema.MaxTMd, schema.DataColSizeMd:
			if _, twice := found[kv.Key]; twice {
				return tsdbMetadata{}, fmt.Errorf("%s: metadata key %s stands twice", f.what, kv.Key)
			}
			n, err := strconv.ParseInt(kv.Value, 10, 64)
			if err != nil || strconv.FormatInt(n, 10) != kv.Value {
				return tsdbMetadata{}, fmt.Errorf("%s: metadata %s = %q is no plain decimal number", f.what, kv.Key, kv.Value)
			}
			found[kv.Key] = n
		}
	}
	if len(found) != 3 {
		return tsdbMetadata{}, fmt.Errorf("%s: metadata must have %s, %s and %s, has %v", f.what, schema.MinTMd, schema.MaxTMd, schema.DataColSizeMd, found)
	}
	md := tsdbMetadata{mint: found[schema.MinTMd], maxt: found[schema.MaxTMd], colDuration: found[schema.DataColSizeMd]}
	if md.maxt < md.mint || md.colDuration <= 0 {
		return md, fmt.Errorf("%s: metadata %+v makes no sense", f.what, md)
	}
	return md, nil
}

// schemaOf checks the flat schema: bytewise order of columns, types, repetition, logical types.
func (in *inspector) schemaOf(f *shardFile) {
	root := f.meta.Schema[0]
	if n := int(root.NumChildren.V); n != len(f.cols) {
		in.fail("%s: the schema is not flat: the root has %d children, there are %d elements below it", f.what, n, len(f.cols))
	}
	if !slices.IsSorted(f.cols) || len(slices.Compact(slices.Clone(f.cols))) != len(f.cols) {
		in.fail("%s: columns are not in strict bytewise order: %q", f.what, f.cols)
	}
	for _, e := range f.meta.Schema[1:] {
		isLabel := strings.HasPrefix(e.Name, schema.LabelColumnPrefix)
		repetition := format.Required
		if isLabel {
			repetition = format.Optional
		}
		if e.NumChildren.Valid && e.NumChildren.V != 0 {
			in.fail("%s: column %s has %d children", f.what, e.Name, e.NumChildren.V)
		}
		if !e.Type.Valid || e.Type.V != format.ByteArray {
			in.fail("%s: column %s has type %v, want BYTE_ARRAY", f.what, e.Name, e.Type)
		}
		if !e.RepetitionType.Valid || e.RepetitionType.V != repetition {
			in.fail("%s: column %s has repetition %v, want %v", f.what, e.Name, e.RepetitionType, repetition)
		}
		isString := e.LogicalType.Valid && e.LogicalType.V.UTF8 != nil
		isUTF8 := e.ConvertedType.Valid && e.ConvertedType.V == deprecated.UTF8
		if isString != isLabel || isUTF8 != isLabel {
			in.fail("%s: column %s: logical type STRING %v, converted type UTF8 %v, want both %v", f.what, e.Name, isString, isUTF8, isLabel)
		}
		if !isLabel && (e.LogicalType.Valid && !isString || e.ConvertedType.Valid && !isUTF8) {
			in.fail("%s: column %s has a logical or converted type, want plain BYTE_ARRAY", f.what, e.Name)
		}
	}
}

func (in *inspector) labelsColumns(f *shardFile) {
	for _, c := range f.cols {
		switch {
		case c == schema.ColIndexesColumn, c == schema.SeriesHashColumn:
		case strings.HasPrefix(c, schema.LabelColumnPrefix) && len(c) > len(schema.LabelColumnPrefix):
		default:
			in.fail("%s: column %q does not belong here", f.what, c)
		}
	}
	for _, c := range []string{schema.ColIndexesColumn, schema.SeriesHashColumn} {
		if !slices.Contains(f.cols, c) {
			in.fail("%s: column %s is missing", f.what, c)
		}
	}
}

func (in *inspector) chunksColumns(f *shardFile, md tsdbMetadata) {
	var want []string
	for i := range md.dataColumns() {
		want = append(want, schema.DataColumn(i))
	}
	slices.Sort(want)
	if !slices.Equal(f.cols, want) {
		in.fail("%s: columns %q, want %q for %+v", f.what, f.cols, want, md)
	}
}

// footer checks what the footer says of the file as a whole.
func (in *inspector) footer(f *shardFile) {
	total := int64(0)
	for i, rg := range f.meta.RowGroups {
		total += rg.NumRows
		if rg.NumRows <= 0 {
			in.fail("%s: row group %d has %d rows", f.what, i, rg.NumRows)
		}
		if len(rg.Columns) != len(f.cols) {
			in.fail("%s: row group %d has %d column chunks of %d columns", f.what, i, len(rg.Columns), len(f.cols))
		}
		if int(rg.Ordinal) != i {
			in.fail("%s: row group %d has ordinal %d", f.what, i, rg.Ordinal)
		}
		var compressed, uncompressed int64
		for _, c := range rg.Columns {
			compressed += c.MetaData.TotalCompressedSize
			uncompressed += c.MetaData.TotalUncompressedSize
		}
		if rg.TotalByteSize != uncompressed || (rg.TotalCompressedSize != 0 && rg.TotalCompressedSize != compressed) {
			in.fail("%s: row group %d: sizes %d and %d, its columns sum to %d uncompressed and %d compressed", f.what, i, rg.TotalByteSize, rg.TotalCompressedSize, uncompressed, compressed)
		}
	}
	if total != f.meta.NumRows {
		in.fail("%s: %d rows in the footer, %d in its row groups", f.what, f.meta.NumRows, total)
	}
	if n := len(f.meta.ColumnOrders); n != len(f.cols) {
		in.fail("%s: %d column orders for %d columns: bounds mean nothing to other readers", f.what, n, len(f.cols))
	}
	in.indexSections(f)
}

// indexSections checks that all column indexes, and all offset indexes, lie back to back in column order, as the
// reference reader takes for granted: it loads each section in one piece and slices it.
func (in *inspector) indexSections(f *shardFile) {
	var columnEnd, offsetEnd int64
	for i, rg := range f.meta.RowGroups {
		for j, c := range rg.Columns {
			what := fmt.Sprintf("%s: row group %d: %s", f.what, i, f.cols[j])
			if c.ColumnIndexOffset <= 0 || c.ColumnIndexLength <= 0 {
				in.fail("%s: no column index", what)
			}
			if c.OffsetIndexOffset <= 0 || c.OffsetIndexLength <= 0 {
				in.fail("%s: no offset index", what)
			}
			if columnEnd != 0 && c.ColumnIndexOffset != columnEnd {
				in.fail("%s: column index at %d, the one before ends at %d", what, c.ColumnIndexOffset, columnEnd)
			}
			if offsetEnd != 0 && c.OffsetIndexOffset != offsetEnd {
				in.fail("%s: offset index at %d, the one before ends at %d", what, c.OffsetIndexOffset, offsetEnd)
			}
			columnEnd = c.ColumnIndexOffset + int64(c.ColumnIndexLength)
			offsetEnd = c.OffsetIndexOffset + int64(c.OffsetIndexLength)
		}
	}
}
