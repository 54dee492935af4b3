package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/prometheus/prometheus/model/labels"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	labelPrefix = "___cf_meta_label_"
	chunkPrefix = "___cf_meta_chunk_"
	indexColumn = "___cf_meta_index"
	hashColumn  = "___cf_meta_hash"
)

func writeDay(o options, stream uint64, day int64, rows []row) error {
	date := time.UnixMilli(day).UTC().Format(time.DateOnly)
	files, meta := filepath.Join(decimal(stream), date), filepath.Join(decimal(stream), date)
	if stream == 0 {
		meta = date
		if o.withoutHash {
			files = date
		}
	}
	shards := 0
	for part := range slices.Chunk(rows, o.rowGroup*o.rowGroups) {
		base := filepath.Join(o.bucket, files, fmt.Sprint(shards))
		if err := writeLabels(o, base+".labels.parquet", part); err != nil {
			return err
		}
		if err := writeChunks(o, base+".chunks.parquet", part); err != nil {
			return err
		}
		shards++
	}
	return put(filepath.Join(o.bucket, meta, "meta.pb"), metaOf(o.version, day, shards, rows))
}

func metaOf(version int, day int64, shards int, rows []row) []byte {
	var out []byte
	number := func(field protowire.Number, value int64) {
		if value != 0 {
			out = protowire.AppendVarint(protowire.AppendTag(out, field, protowire.VarintType), uint64(value))
		}
	}
	text := func(to []byte, field protowire.Number, value []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(to, field, protowire.BytesType), value)
	}
	number(1, day)
	number(2, day+dayMs)
	number(3, int64(shards))
	if version == 0 {
		columns := map[string]map[string]bool{}
		for _, row := range rows {
			name := row.labels.Get("__name__")
			if columns[name] == nil {
				columns[name] = map[string]bool{}
			}
			row.labels.Range(func(l labels.Label) {
				if l.Name != "__name__" {
					columns[name][labelPrefix+l.Name] = true
				}
			})
		}
		for _, name := range slices.Sorted(maps.Keys(columns)) {
			var list []byte
			for _, column := range slices.Sorted(maps.Keys(columns[name])) {
				list = text(list, 1, []byte(column))
			}
			out = text(out, 4, text(text(nil, 1, []byte(name)), 2, list))
		}
	}
	number(5, int64(version))
	return text(out, 6, []byte("01JGN8HQ40QG66SXHTZK11MHRA"))
}

func writeStream(bucket string, stream uint64, external map[string]string) error {
	var out []byte
	for _, name := range slices.Sorted(maps.Keys(external)) {
		pair := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), name)
		pair = protowire.AppendString(protowire.AppendTag(pair, 2, protowire.BytesType), external[name])
		out = protowire.AppendBytes(protowire.AppendTag(out, 1, protowire.BytesType), pair)
	}
	return put(filepath.Join(bucket, decimal(stream), "stream.pb"), out)
}

func put(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}

func compressed(node parquet.Node) parquet.Node {
	return parquet.Compressed(node, &zstd.Codec{Level: zstd.SpeedBetterCompression})
}

func bytesNode() parquet.Node {
	return compressed(parquet.Encoded(parquet.Leaf(parquet.ByteArrayType), &parquet.DeltaLengthByteArray))
}

func writeLabels(o options, path string, rows []row) error {
	used := map[string]bool{}
	for _, row := range rows {
		row.labels.Range(func(l labels.Label) { used[l.Name] = true })
	}
	group := parquet.Group{}
	for name := range used {
		group[labelPrefix+name] = compressed(parquet.Optional(parquet.Encoded(parquet.String(), &parquet.RLEDictionary)))
	}
	settings := []parquet.WriterOption{
		parquet.PageBufferSize(o.labelPage),
		parquet.BloomFilters(parquet.SplitBlockFilter(10, labelPrefix+"__name__")),
		parquet.SortingWriterConfig(parquet.SortingColumns(parquet.Ascending(labelPrefix + "__name__"))),
	}
	if o.version >= 1 {
		group[indexColumn] = bytesNode()
		settings = append(settings, parquet.SkipPageBounds(indexColumn))
	}
	return writeFile(o, path, group, rows, settings, func(row row, columns map[string]int) parquet.Row {
		values := make(parquet.Row, len(columns))
		for name, i := range columns {
			values[i] = parquet.Value{}.Level(0, 0, i)
			if name == indexColumn {
				values[i] = parquet.ByteArrayValue(indexOf(row.labels, columns)).Level(0, 0, i)
			}
		}
		row.labels.Range(func(l labels.Label) {
			i := columns[labelPrefix+l.Name]
			values[i] = parquet.ByteArrayValue([]byte(l.Value)).Level(0, 1, i)
		})
		return values
	})
}

// indexOf lists the columns that a row uses.
func indexOf(of labels.Labels, columns map[string]int) []byte {
	var used []int
	of.Range(func(l labels.Label) { used = append(used, columns[labelPrefix+l.Name]) })
	slices.Sort(used)
	out := binary.AppendVarint(nil, int64(len(used)))
	for _, column := range used {
		out = binary.AppendVarint(out, int64(column))
	}
	return out
}

func writeChunks(o options, path string, rows []row) error {
	group := parquet.Group{}
	settings := []parquet.WriterOption{parquet.PageBufferSize(o.chunkPage)}
	for i := range 3 {
		name := fmt.Sprint(chunkPrefix, i)
		group[name] = bytesNode()
		settings = append(settings, parquet.SkipPageBounds(name))
	}
	if o.version >= 2 {
		group[hashColumn] = compressed(parquet.Encoded(parquet.Leaf(parquet.Int64Type), &parquet.Plain))
		settings = append(settings, parquet.SkipPageBounds(hashColumn))
	}
	return writeFile(o, path, group, rows, settings, func(row row, columns map[string]int) parquet.Row {
		cells := [3][]byte{}
		for _, chunk := range row.chunks {
			column := time.UnixMilli(chunk.MinTime).UTC().Hour() / 8
			cell := binary.BigEndian.AppendUint32(cells[column], uint32(chunk.Chunk.Encoding()))
			cell = binary.BigEndian.AppendUint64(cell, protowire.EncodeZigZag(chunk.MinTime))
			cell = binary.BigEndian.AppendUint64(cell, protowire.EncodeZigZag(chunk.MaxTime))
			cell = binary.BigEndian.AppendUint32(cell, uint32(len(chunk.Chunk.Bytes())))
			cells[column] = append(cell, chunk.Chunk.Bytes()...)
		}
		values := make(parquet.Row, len(columns))
		for i, cell := range cells {
			position := columns[fmt.Sprint(chunkPrefix, i)]
			values[position] = parquet.ByteArrayValue(cell).Level(0, 0, position)
		}
		if position, ok := columns[hashColumn]; ok {
			values[position] = parquet.Int64Value(int64(row.labels.Hash())).Level(0, 0, position)
		}
		return values
	})
}

func writeFile(
	o options, path string, group parquet.Group, rows []row, settings []parquet.WriterOption,
	valuesOf func(row, map[string]int) parquet.Row,
) error {
	schema := parquet.NewSchema("compressed", group)
	columns := map[string]int{}
	for i, column := range schema.Columns() {
		columns[column[0]] = i
	}
	var out bytes.Buffer
	settings = append(settings, schema, parquet.MaxRowsPerRowGroup(int64(o.rowGroup)))
	writer := parquet.NewGenericWriter[any](&out, settings...)
	for _, row := range rows {
		if _, err := writer.WriteRows([]parquet.Row{valuesOf(row, columns)}); err != nil {
			return err
		}
	}
	if err := writer.Close(); err != nil {
		return err
	}
	return put(path, out.Bytes())
}
