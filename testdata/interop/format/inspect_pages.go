package main

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
	"github.com/prometheus-community/parquet-common/schema"
)

// pageInfo is one data page as it lies in the file.
type pageInfo struct {
	offset   int64
	size     int64 // header and body
	rows     int64
	firstRow int64
	nulls    int64 // -1 where the header does not say
	stats    format.Statistics
}

// columnChunk is one column of one row group.
type columnChunk struct {
	what  string
	name  string
	meta  *format.ColumnMetaData
	rows  int64
	chunk parquet.ColumnChunk
	ci    *format.ColumnIndex
	oi    *format.OffsetIndex
	pages []pageInfo
	// sorting is what the row group claims to be sorted by.
	sorting []format.SortingColumn
}

func isLabelColumn(name string) bool { return strings.HasPrefix(name, schema.LabelColumnPrefix) }

func dataEncoding(name string) format.Encoding {
	switch {
	case isLabelColumn(name):
		return format.RLEDictionary
	case name == schema.ColIndexesColumn:
		return format.DeltaByteArray
	default:
		return format.DeltaLengthByteArray
	}
}

// openColumn walks the pages of a column chunk byte by byte, then checks footer, offset index and the parts of the
// column index that need no values.
func (in *inspector) openColumn(f *shardFile, rg, col int) (*columnChunk, error) {
	group := &f.meta.RowGroups[rg]
	c := &columnChunk{
		what:    fmt.Sprintf("%s: row group %d: %s", f.what, rg, f.cols[col]),
		name:    f.cols[col],
		meta:    &group.Columns[col].MetaData,
		rows:    group.NumRows,
		chunk:   f.pf.RowGroups()[rg].ColumnChunks()[col],
		sorting: group.SortingColumns,
	}
	in.counts.columns++
	if path := c.meta.PathInSchema; len(path) != 1 || path[0] != c.name {
		in.fail("%s: path %q", c.what, path)
	}
	if c.meta.Type != format.ByteArray || c.meta.NumValues != c.rows {
		in.fail("%s: type %v, %d values of %d rows", c.what, c.meta.Type, c.meta.NumValues, c.rows)
	}
	index := rg*len(f.cols) + col
	columnIndexes, offsetIndexes := f.pf.ColumnIndexes(), f.pf.OffsetIndexes()
	if index >= len(columnIndexes) || index >= len(offsetIndexes) {
		return nil, fmt.Errorf("%s: no column index or offset index", c.what)
	}
	c.ci, c.oi = &columnIndexes[index], &offsetIndexes[index]
	if err := in.walkPages(f, c); err != nil {
		return nil, fmt.Errorf("%s: %w", c.what, err)
	}
	in.counts.pages += len(c.pages)
	in.checkOffsetIndex(c)
	in.checkColumnIndexShape(c)
	return c, nil
}

func (in *inspector) walkPages(f *shardFile, c *columnChunk) error {
	start := c.meta.DataPageOffset
	if c.meta.DictionaryPageOffset > 0 {
		start = c.meta.DictionaryPageOffset
		if start >= c.meta.DataPageOffset {
			in.fail("%s: dictionary at %d, data at %d", c.what, start, c.meta.DataPageOffset)
		}
	}
	data := make([]byte, c.meta.TotalCompressedSize)
	if _, err := f.raw.ReadAt(data, start); err != nil {
		return fmt.Errorf("read %d bytes at %d: %w", len(data), start, err)
	}
	var protocol thrift.CompactProtocol
	var uncompressed, row int64
	encodings := map[format.Encoding]bool{}
	dictionaries := 0
	stats := map[format.PageEncodingStats]int32{}
	for pos := 0; pos < len(data); {
		reader := protocol.NewReaderFromBytes(data[pos:])
		var header format.PageHeader
		if err := thrift.NewDecoder(reader).Decode(&header); err != nil {
			return fmt.Errorf("page header at %d: %w", start+int64(pos), err)
		}
		headerSize := reader.BytesRead()
		end := pos + headerSize + int(header.CompressedPageSize)
		if header.CompressedPageSize < 0 || end > len(data) {
			return fmt.Errorf("page at %d: %d bytes run over the end of the column chunk", start+int64(pos), header.CompressedPageSize)
		}
		body := data[pos+headerSize : end]
		uncompressed += int64(headerSize) + int64(header.UncompressedPageSize)
		// A checksum of zero and none at all look alike here; an empty body has the checksum zero.
		switch sum := crc32.ChecksumIEEE(body); {
		case header.CRC == 0 && sum != 0:
			in.fail("%s: page at %d has no checksum", c.what, start+int64(pos))
		case uint32(header.CRC) != sum:
			in.fail("%s: page at %d: checksum %08x, want %08x", c.what, start+int64(pos), uint32(header.CRC), sum)
		}
		page := pageInfo{offset: start + int64(pos), size: int64(end - pos), firstRow: row, nulls: -1}
		var encoding format.Encoding
		switch header.Type {
		case format.DictionaryPage:
			if pos != 0 || dictionaries > 0 {
				in.fail("%s: dictionary page at %d is not the first page", c.what, page.offset)
			}
			dictionaries++
			encoding = header.DictionaryPageHeader.V.Encoding
			if encoding != format.Plain {
				in.fail("%s: the dictionary is encoded %v, want PLAIN", c.what, encoding)
			}
		case format.DataPageV2:
			h := header.DataPageHeaderV2.V
			encoding, page.rows, page.nulls, page.stats = h.Encoding, int64(h.NumRows), int64(h.NumNulls), h.Statistics
			if h.NumRows != h.NumValues || h.RepetitionLevelsByteLength != 0 {
				in.fail("%s: page at %d: %d rows, %d values, %d bytes of repetition levels in a flat column", c.what, page.offset, h.NumRows, h.NumValues, h.RepetitionLevelsByteLength)
			}
			if !isLabelColumn(c.name) && (h.NumNulls != 0 || h.DefinitionLevelsByteLength != 0) {
				in.fail("%s: page at %d: nulls or definition levels in a required column", c.what, page.offset)
			}
		case format.DataPage:
			h := header.DataPageHeader.V
			encoding, page.rows, page.stats = h.Encoding, int64(h.NumValues), h.Statistics
			if in.strict {
				in.fail("%s: page at %d is of version 1, want version 2", c.what, page.offset)
			}
		default:
			in.fail("%s: page at %d has type %v", c.what, page.offset, header.Type)
		}
		if header.Type != format.DictionaryPage {
			if want := dataEncoding(c.name); encoding != want {
				in.fail("%s: page at %d is encoded %v, want %v", c.what, page.offset, encoding, want)
			}
			if page.rows <= 0 {
				in.fail("%s: page at %d has %d rows", c.what, page.offset, page.rows)
			}
			if len(c.pages) == 0 && page.offset != c.meta.DataPageOffset {
				in.fail("%s: first data page at %d, the footer says %d", c.what, page.offset, c.meta.DataPageOffset)
			}
			c.pages = append(c.pages, page)
			row += page.rows
		}
		encodings[encoding] = true
		stats[format.PageEncodingStats{PageType: header.Type, Encoding: encoding}]++
		pos = end
	}
	if row != c.rows {
		in.fail("%s: pages hold %d rows, the row group %d", c.what, row, c.rows)
	}
	if isLabelColumn(c.name) != (dictionaries == 1) {
		in.fail("%s: %d dictionary pages", c.what, dictionaries)
	}
	if uncompressed != c.meta.TotalUncompressedSize {
		in.fail("%s: pages have %d bytes uncompressed, the footer says %d", c.what, uncompressed, c.meta.TotalUncompressedSize)
	}
	for encoding := range encodings {
		if !slices.Contains(c.meta.Encoding, encoding) {
			in.fail("%s: the footer does not list the encoding %v", c.what, encoding)
		}
	}
	if in.strict && len(c.meta.EncodingStats) == 0 {
		in.fail("%s: no encoding statistics: readers cannot know that all pages are dictionary encoded", c.what)
	}
	for _, s := range c.meta.EncodingStats {
		if n := stats[format.PageEncodingStats{PageType: s.PageType, Encoding: s.Encoding}]; n != s.Count {
			in.fail("%s: encoding statistics say %d pages of %v %v, there are %d", c.what, s.Count, s.PageType, s.Encoding, n)
		}
	}
	return nil
}

func (in *inspector) checkOffsetIndex(c *columnChunk) {
	if len(c.oi.PageLocations) != len(c.pages) {
		in.fail("%s: the offset index has %d pages, the column %d", c.what, len(c.oi.PageLocations), len(c.pages))
		return
	}
	for i, page := range c.pages {
		got := c.oi.PageLocations[i]
		if got.Offset != page.offset || int64(got.CompressedPageSize) != page.size || got.FirstRowIndex != page.firstRow {
			in.fail("%s: offset index of page %d: %+v, want offset %d, size %d, first row %d", c.what, i, got, page.offset, page.size, page.firstRow)
		}
	}
}

func (in *inspector) checkColumnIndexShape(c *columnChunk) {
	n := len(c.pages)
	if len(c.ci.NullPages) != n || len(c.ci.MinValues) != n || len(c.ci.MaxValues) != n || (len(c.ci.NullCounts) != n && (len(c.ci.NullCounts) != 0 || in.strict)) {
		in.fail("%s: the column index has %d null pages, %d minima, %d maxima, %d null counts; the column has %d pages", c.what,
			len(c.ci.NullPages), len(c.ci.MinValues), len(c.ci.MaxValues), len(c.ci.NullCounts), n)
		// The value checks index by page.
		c.ci = &format.ColumnIndex{NullPages: make([]bool, n), MinValues: make([][]byte, n), MaxValues: make([][]byte, n)}
		return
	}
	// Null pages have no bounds; the order is claimed of the others.
	var minima, maxima [][]byte
	for i, null := range c.ci.NullPages {
		if !null {
			minima, maxima = append(minima, c.ci.MinValues[i]), append(maxima, c.ci.MaxValues[i])
		}
	}
	backwards := func(a, b []byte) int { return bytes.Compare(b, a) }
	ordered := true
	switch c.ci.BoundaryOrder {
	case format.Unordered:
	case format.Ascending:
		ordered = slices.IsSortedFunc(minima, bytes.Compare) && slices.IsSortedFunc(maxima, bytes.Compare)
	case format.Descending:
		ordered = slices.IsSortedFunc(minima, backwards) && slices.IsSortedFunc(maxima, backwards)
	default:
		ordered = false
	}
	if !ordered {
		in.fail("%s: the boundary order %v does not hold", c.what, c.ci.BoundaryOrder)
	}
}

// checkPageBounds compares what is said of page i with the values that are in it. least and greatest are nil in a page
// of nulls. Label columns have true bounds; the others have empty ones.
func (in *inspector) checkPageBounds(c *columnChunk, i int, nulls int64, least, greatest []byte) {
	page := c.pages[i]
	if page.nulls >= 0 && page.nulls != nulls {
		in.fail("%s: page %d: %d nulls, its header says %d", c.what, i, nulls, page.nulls)
	}
	if len(c.ci.NullCounts) > 0 && c.ci.NullCounts[i] != nulls {
		in.fail("%s: page %d: %d nulls, the column index says %d", c.what, i, nulls, c.ci.NullCounts[i])
	}
	if null := nulls == page.rows; c.ci.NullPages[i] != null {
		in.fail("%s: page %d: null page %v, the column index says %v", c.what, i, null, c.ci.NullPages[i])
	}
	low, high := c.ci.MinValues[i], c.ci.MaxValues[i]
	if !isLabelColumn(c.name) || least == nil {
		if len(low) != 0 || len(high) != 0 {
			in.fail("%s: page %d: bounds %q and %q, want empty ones", c.what, i, low, high)
		}
	} else if bytes.Compare(low, least) > 0 || bytes.Compare(high, greatest) < 0 {
		in.fail("%s: page %d: bounds %q and %q do not hold %q to %q", c.what, i, low, high, least, greatest)
	}
	in.checkStatistics(c, fmt.Sprintf("page %d header", i), page.stats, nulls, least, greatest)
}

// checkStatistics checks optional statistics, which other readers prune by.
func (in *inspector) checkStatistics(c *columnChunk, where string, s format.Statistics, nulls int64, least, greatest []byte) {
	if s.MinValue != nil && least != nil && bytes.Compare(s.MinValue, least) > 0 {
		in.fail("%s: %s: minimum %q above %q", c.what, where, s.MinValue, least)
	}
	if s.MaxValue != nil && greatest != nil && bytes.Compare(s.MaxValue, greatest) < 0 {
		in.fail("%s: %s: maximum %q below %q", c.what, where, s.MaxValue, greatest)
	}
	// An absent null count reads as zero.
	if s.NullCount != 0 && s.NullCount != nulls {
		in.fail("%s: %s: null count %d, want %d", c.what, where, s.NullCount, nulls)
	}
}

// eachPage decodes the pages of a column through parquet-go.
func eachPage(c *columnChunk, visit func(i int, page parquet.Page) error) error {
	pages := c.chunk.Pages()
	defer pages.Close()
	for i := 0; ; i++ {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			if i != len(c.pages) {
				return fmt.Errorf("%s: the reader yields %d pages of %d", c.what, i, len(c.pages))
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: page %d: %w", c.what, i, err)
		}
		if i >= len(c.pages) {
			return fmt.Errorf("%s: the reader yields more than %d pages", c.what, len(c.pages))
		}
		err = visit(i, page)
		parquet.Release(page)
		if err != nil {
			return fmt.Errorf("%s: page %d: %w", c.what, i, err)
		}
	}
}

// eachValue visits the values of a required column in row order; a value is valid during the visit only.
func (in *inspector) eachValue(c *columnChunk, visit func(row int, value []byte)) error {
	var least, greatest []byte
	err := eachPage(c, func(i int, page parquet.Page) error {
		data := page.Data()
		values, offsets := data.ByteArray()
		if int64(len(offsets)-1) != c.pages[i].rows {
			return fmt.Errorf("%d values of %d rows", len(offsets)-1, c.pages[i].rows)
		}
		var low, high []byte
		for v := range len(offsets) - 1 {
			value := values[offsets[v]:offsets[v+1]]
			if low == nil || bytes.Compare(value, low) < 0 {
				low = value
			}
			if high == nil || bytes.Compare(value, high) > 0 {
				high = value
			}
			visit(int(c.pages[i].firstRow)+v, value)
		}
		in.checkPageBounds(c, i, 0, low, high)
		least, greatest = lower(least, low), higher(greatest, high)
		return nil
	})
	in.checkStatistics(c, "column statistics", c.meta.Statistics, 0, least, greatest)
	return err
}

func lower(a, b []byte) []byte {
	if b == nil || (a != nil && bytes.Compare(a, b) <= 0) {
		return a
	}
	return append([]byte{}, b...)
}

func higher(a, b []byte) []byte {
	if b == nil || (a != nil && bytes.Compare(a, b) >= 0) {
		return a
	}
	return append([]byte{}, b...)
}
