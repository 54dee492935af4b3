package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

var protocol thrift.CompactProtocol

// indexes are the parts of a file that rewrite lets a test change.
type indexes struct {
	meta    *format.FileMetaData
	columns []format.ColumnIndex
	offsets []format.OffsetIndex
}

func (x *indexes) column(t *testing.T, name string) int {
	t.Helper()
	for i, element := range x.meta.Schema[1:] {
		if element.Name == name {
			return i
		}
	}
	t.Fatalf("no column %s", name)
	return 0
}

// rewrite keeps the pages and bloom filters of a file and writes changed page indexes and a changed footer.
func rewrite(t *testing.T, path string, change func(*indexes)) {
	t.Helper()
	data := read(t, path)
	pf, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	x := &indexes{pf.Metadata(), pf.ColumnIndexes(), pf.OffsetIndexes()}
	body := bytes.Clone(data[:x.meta.RowGroups[0].Columns[0].ColumnIndexOffset])
	encode := func(v any) []byte {
		b, err := thrift.Marshal(&protocol, v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	// Offsets first, so that a change can break them.
	place := func(each func(c *format.ColumnChunk, i int) []byte) {
		i := 0
		for g := range x.meta.RowGroups {
			for c := range x.meta.RowGroups[g].Columns {
				body = append(body, each(&x.meta.RowGroups[g].Columns[c], i)...)
				i++
			}
		}
	}
	change(x)
	place(func(c *format.ColumnChunk, i int) []byte {
		b := encode(&x.columns[i])
		if c.ColumnIndexOffset > 0 {
			c.ColumnIndexOffset, c.ColumnIndexLength = int64(len(body)), int32(len(b))
		}
		return b
	})
	place(func(c *format.ColumnChunk, i int) []byte {
		b := encode(&x.offsets[i])
		if c.OffsetIndexOffset > 0 {
			c.OffsetIndexOffset, c.OffsetIndexLength = int64(len(body)), int32(len(b))
		}
		return b
	})
	footer := encode(x.meta)
	body = append(body, footer...)
	body = binary.LittleEndian.AppendUint32(body, uint32(len(footer)))
	body = append(body, "PAR1"...)
	write(t, path, body)
}

// patchPage changes the body of a data page of an uncompressed file, and repairs the page's checksum.
func patchPage(t *testing.T, path, column string, page int, change func(body []byte)) {
	t.Helper()
	data := read(t, path)
	pf, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	x := &indexes{pf.Metadata(), pf.ColumnIndexes(), pf.OffsetIndexes()}
	location := x.offsets[x.column(t, column)].PageLocations[page]
	whole := data[location.Offset:][:location.CompressedPageSize]
	reader := protocol.NewReaderFromBytes(whole)
	var header format.PageHeader
	if err := thrift.NewDecoder(reader).Decode(&header); err != nil {
		t.Fatal(err)
	}
	body := whole[reader.BytesRead():]
	change(body)
	before := binary.AppendVarint(nil, int64(header.CRC))
	after := binary.AppendVarint(nil, int64(int32(crc32.ChecksumIEEE(body))))
	at := bytes.Index(whole[:reader.BytesRead()], before)
	if at < 0 || len(before) != len(after) {
		t.Fatalf("the new checksum does not fit in place of the old: choose another change")
	}
	copy(whole[at:], after)
	write(t, path, data)
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// firstRecord finds the first cell record with an encoding in the page of cells: it gives the offset of the record's
// encoding byte, and of its chunk bytes.
func firstRecord(t *testing.T, body []byte, encoding byte) (int, int) {
	t.Helper()
	for i := range body {
		if body[i] != encoding {
			continue
		}
		at := i + 1
		var fields [3]uint64
		ok := true
		for f := range fields {
			v, n := binary.Uvarint(body[at:])
			ok = ok && n > 0
			fields[f], at = v, at+max(n, 0)
		}
		// The fixtures' times have 13 digits; nothing else in a page looks like that.
		if ok && fields[0] > 1_735_689_000_000 && fields[0] < 1_735_697_000_000 && fields[1] >= fields[0] && fields[1] < 1_735_697_000_000 {
			return i, at
		}
	}
	t.Fatalf("no record with encoding %d", encoding)
	return 0, 0
}

func TestDamageIsFound(t *testing.T) {
	root := fixtures(t)
	const labelsFile, chunksFile = "0.labels.parquet", "0.chunks.parquet"
	flipBit := func(file, column string, where func(t *testing.T, body []byte) (int, byte)) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			patchPage(t, filepath.Join(dir, file), column, 0, func(body []byte) {
				at, bit := where(t, body)
				body[at] ^= bit
			})
		}
	}
	index := func(file, column string, change func(x *indexes, col int)) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			rewrite(t, filepath.Join(dir, file), func(x *indexes) { change(x, x.column(t, column)) })
		}
	}
	footer := func(file string, change func(meta *format.FileMetaData)) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			rewrite(t, filepath.Join(dir, file), func(x *indexes) { change(x.meta) })
		}
	}
	const name, data = "l___name__", "s_data_0"
	for _, c := range []struct {
		title   string
		variant string
		damage  func(t *testing.T, dir string)
		verify  string // what verify must say; empty: it cannot see it
		inspect string
	}{
		{"nothing, rewritten", "uncompressed", footer(labelsFile, func(*format.FileMetaData) {}), "", ""},
		{"chunks files swapped", "2shards", func(t *testing.T, dir string) {
			for _, move := range [][2]string{{"0.chunks.parquet", "x"}, {"1.chunks.parquet", "0.chunks.parquet"}, {"x", "1.chunks.parquet"}} {
				if err := os.Rename(filepath.Join(dir, move[0]), filepath.Join(dir, move[1])); err != nil {
					t.Fatal(err)
				}
			}
		}, "sample 0 of", ""},
		{"labels file truncated", "default", func(t *testing.T, dir string) {
			path := filepath.Join(dir, labelsFile)
			write(t, path, read(t, path)[:9000])
		}, "open shard 0", "invalid magic"},
		{"a surplus shard", "default", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "1.labels.parquet"), nil)
		}, "more than 1 shards", "more than 1 shards"},
		{"page flipped, checksum left", "default", func(t *testing.T, dir string) {
			path := filepath.Join(dir, chunksFile)
			file := read(t, path)
			file[len(file)/2] ^= 0x10
			write(t, path, file)
		}, "more labels than chunks", "checksum"},
		{"one bit of one float", "uncompressed", flipBit(chunksFile, data, func(t *testing.T, body []byte) (int, byte) {
			_, chunk := firstRecord(t, body, 1)
			return chunk + 2 + 6 + 7, 0x01 // count, then the first time in 6 bytes, then the first value
		}), "sample 0 of", ""},
		{"one timestamp", "uncompressed", flipBit(chunksFile, data, func(t *testing.T, body []byte) (int, byte) {
			_, chunk := firstRecord(t, body, 1)
			return chunk + 2, 0x02
		}), "sample 0 of", "first sample at"},
		{"counter reset claimed wrongly", "uncompressed", flipBit(chunksFile, data, func(t *testing.T, body []byte) (int, byte) {
			_, chunk := firstRecord(t, body, 2)
			// The top bits are 00 unknown, 10 reset, 01 no reset, 11 gauge. From any of them to a wrong claim:
			return chunk + 2, []byte{0x80, 0xc0, 0xc0, 0x40}[body[chunk+2]>>6]
		}), "is a wrong claim", ""},
		{"encoding of a record", "uncompressed", flipBit(chunksFile, data, func(t *testing.T, body []byte) (int, byte) {
			record, _ := firstRecord(t, body, 1)
			return record, 0x05
		}), "invalid chunk encoding", "none of 1, 2, 3"},
		{"start of a record", "uncompressed", flipBit(chunksFile, data, func(t *testing.T, body []byte) (int, byte) {
			record, _ := firstRecord(t, body, 1)
			return record + 1, 0x01
		}), "", "minimum time"},
		{"a series hash", "uncompressed", func(t *testing.T, dir string) {
			patchPage(t, filepath.Join(dir, labelsFile), "s_series_hash", 0, func(body []byte) { body[len(body)-3] ^= 4 })
		}, "", "s_series_hash"},
		{"a row's column indexes", "uncompressed", func(t *testing.T, dir string) {
			patchPage(t, filepath.Join(dir, labelsFile), "s_col_indexes", 0, func(body []byte) { body[len(body)-1] ^= 2 })
		}, "", "s_col_indexes"},
		{"an upper bound too low", "default", index(labelsFile, name, func(x *indexes, col int) { x.columns[col].MaxValues[0] = []byte("b") }), "all shards", "do not hold"},
		{"a lower bound too high", "default", index(labelsFile, name, func(x *indexes, col int) { x.columns[col].MinValues[0] = []byte("b") }), "all shards", "do not hold"},
		{"a bound of a data column", "default", index(chunksFile, data, func(x *indexes, col int) { x.columns[col].MaxValues[0] = []byte("b") }), "", "want empty ones"},
		{"a null page flag", "default", index(labelsFile, name, func(x *indexes, col int) { x.columns[col].NullPages[0] = true }), "", "null page false"},
		{"a null count", "default", index(labelsFile, name, func(x *indexes, col int) { x.columns[col].NullCounts[0]++ }), "", "nulls, the column index says"},
		{"a boundary order", "smallpages", index(labelsFile, "l_instance", func(x *indexes, col int) { x.columns[col].BoundaryOrder = format.Ascending }), "", "boundary order"},
		{"a first row", "smallpages", index(labelsFile, name, func(x *indexes, col int) { x.offsets[col].PageLocations[1].FirstRowIndex++ }), "", "offset index of page 1"},
		{"no column index for a column", "default", index(labelsFile, name, func(x *indexes, col int) {
			x.meta.RowGroups[0].Columns[col].ColumnIndexOffset = 0
			x.meta.RowGroups[0].Columns[col].ColumnIndexLength = 0
		}), "panic", "no column index"},
		{"no bloom filter", "default", index(labelsFile, name, func(x *indexes, col int) {
			x.meta.RowGroups[0].Columns[col].MetaData.BloomFilterOffset = 0
		}), "", "no bloom filter"},
		{"an emptied bloom filter", "default", func(t *testing.T, dir string) {
			path := filepath.Join(dir, labelsFile)
			file := read(t, path)
			pf, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
			if err != nil {
				t.Fatal(err)
			}
			meta := pf.Metadata().RowGroups[0].Columns[0].MetaData
			end := meta.BloomFilterOffset + int64(meta.BloomFilterLength)
			clear(file[end-32 : end])
			write(t, path, file)
		}, "", "the bloom filter denies"},
		{"a label that is no string", "default", footer(labelsFile, func(meta *format.FileMetaData) { meta.Schema[1].LogicalType.Reset() }), "", "logical type STRING false"},
		{"metadata missing", "default", footer(labelsFile, func(meta *format.FileMetaData) { meta.KeyValueMetadata = meta.KeyValueMetadata[1:] }), "schema of shard 0", "metadata must have"},
		{"metadata that differs", "default", footer(chunksFile, func(meta *format.FileMetaData) { meta.KeyValueMetadata[1].Value = "1735696799169" }), "", "the labels file has"},
		{"a wider column duration", "30m", func(t *testing.T, dir string) {
			for _, file := range []string{labelsFile, chunksFile} {
				rewrite(t, filepath.Join(dir, file), func(x *indexes) { x.meta.KeyValueMetadata[0].Value = "3600000" })
			}
		}, "samples, want", "columns [\"s_data_0\""},
		{"sorting columns forgotten", "sorted", footer(labelsFile, func(meta *format.FileMetaData) { meta.RowGroups[0].SortingColumns = nil }), "", "sorting columns []"},
		{"an encoding not listed", "default", index(labelsFile, name, func(x *indexes, col int) {
			x.meta.RowGroups[0].Columns[col].MetaData.Encoding = []format.Encoding{format.Plain}
		}), "", "does not list"},
		{"a column order forgotten", "default", footer(labelsFile, func(meta *format.FileMetaData) { meta.ColumnOrders = nil }), "", "column orders"},
	} {
		t.Run(c.title, func(t *testing.T) {
			t.Parallel()
			var v variant
			for _, one := range variants() {
				if one.dir == "parquet-"+c.variant {
					v = one
				}
			}
			bucket := t.TempDir()
			if err := copyDir(filepath.Join(root, v.dir), bucket); err != nil {
				t.Fatal(err)
			}
			c.damage(t, filepath.Join(bucket, v.name))

			options := v.verify(root)
			options.bucket = bucket
			options.selects = c.verify == "all shards"
			_, err := verify(context.Background(), options)
			expectError(t, "verify", err, c.verify)
			inspected := v.inspect(root)
			inspected.bucket = bucket
			_, err = inspect(inspected)
			expectError(t, "inspect", err, c.inspect)
		})
	}
	t.Run("other tombstones", func(t *testing.T) {
		v := variants()[0]
		v.block = "tsdb-small-tombstones"
		_, err := verify(context.Background(), v.verify(root))
		expectError(t, "verify", err, "surplus")
	})
	t.Run("other sort order", func(t *testing.T) {
		v := variants()[0]
		v.sort = []string{"namespace"}
		_, err := inspect(v.inspect(root))
		expectError(t, "inspect", err, "must not stand after")
	})
	t.Run("too many samples in a chunk", func(t *testing.T) {
		v := variants()[0]
		v.maxSamples = 119
		_, err := inspect(v.inspect(root))
		expectError(t, "inspect", err, "120 samples, want 1 to 119")
	})
	t.Run("strict finds what the reference leaves wrong", func(t *testing.T) {
		options := variants()[0].inspect(root)
		options.strict = true
		_, err := inspect(options)
		expectError(t, "inspect", err, "the sorting column says they come last")
		expectError(t, "inspect", err, "chunks are not sorted")
	})
}

func expectError(t *testing.T, judge string, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err == nil:
	case want == "":
		t.Errorf("%s: %v", judge, err)
	case err == nil:
		t.Errorf("%s passes, want an error with %q", judge, want)
	case !strings.Contains(err.Error(), want):
		t.Errorf("%s: want an error with %q, got %v", judge, want, err)
	}
}
