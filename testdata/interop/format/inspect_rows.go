package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/prometheus-community/parquet-common/schema"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// cellOf is a label of a row: the column, and the value's place in the column's dictionary.
type cellOf struct {
	column, symbol int32
}

// labelsRowGroup checks one row group of a labels file and gives the labels of its last row.
func (in *inspector) labelsRowGroup(f *shardFile, rg int, last labels.Labels) (labels.Labels, error) {
	group := f.meta.RowGroups[rg]
	rows := make([][]cellOf, group.NumRows)
	dictionaries := make([][]string, len(f.cols))
	indexes := make([][]byte, group.NumRows)
	hashes := make([]uint64, group.NumRows)
	sortLabels := in.sortingColumns(f, rg)

	for col, name := range f.cols {
		c, err := in.openColumn(f, rg, col)
		if err != nil {
			return last, err
		}
		switch {
		case isLabelColumn(name):
			first := len(sortLabels) > 0 && name == schema.LabelToColumn(sortLabels[0])
			dictionaries[col], err = in.labelColumn(c, first, func(row int, symbol int32) {
				rows[row] = append(rows[row], cellOf{int32(col), symbol})
			})
		case name == schema.ColIndexesColumn:
			err = in.eachValue(c, func(row int, value []byte) { indexes[row] = bytes.Clone(value) })
		default:
			err = in.eachValue(c, func(row int, value []byte) {
				if len(value) != 8 {
					in.fail("%s: row %d: a hash of %d bytes", c.what, row, len(value))
					return
				}
				hashes[row] = binary.BigEndian.Uint64(value)
			})
		}
		if err != nil {
			return last, err
		}
	}

	var builder labels.ScratchBuilder
	var columns []int
	for row, cells := range rows {
		builder.Reset()
		columns = columns[:0]
		for _, cell := range cells {
			builder.Add(strings.TrimPrefix(f.cols[cell.column], schema.LabelColumnPrefix), dictionaries[cell.column][cell.symbol])
			columns = append(columns, int(cell.column))
		}
		lset := builder.Labels()
		if want := schema.EncodeIntSlice(columns); !bytes.Equal(indexes[row], want) {
			decoded, err := schema.DecodeUintSlice(indexes[row])
			in.fail("%s: row group %d: row %d: s_col_indexes %x = %v (%v), want %x = %v", f.what, rg, row, indexes[row], decoded, err, want, columns)
		}
		if want := labels.StableHash(lset); hashes[row] != want {
			in.fail("%s: row group %d: row %d: s_series_hash %016x, want %016x of %s", f.what, rg, row, hashes[row], want, lset)
		}
		if rg > 0 || row > 0 {
			if order := compareRows(last, lset, in.sort); order >= 0 {
				in.fail("%s: row group %d: row %d: %s must not stand after %s", f.what, rg, row, lset, last)
			}
		}
		last = lset
	}
	return last, nil
}

// compareRows orders rows by the sort labels, then by all labels. A missing label sorts like an empty one.
func compareRows(a, b labels.Labels, sortLabels []string) int {
	for _, name := range sortLabels {
		if order := strings.Compare(a.Get(name), b.Get(name)); order != 0 {
			return order
		}
	}
	return labels.Compare(a, b)
}

// sortingColumns checks the sorting columns that a row group claims and gives those sort labels that are columns.
func (in *inspector) sortingColumns(f *shardFile, rg int) []string {
	// A label that no row has is no column, and does not disturb the order of the rest.
	want := slices.DeleteFunc(slices.Clone(in.sort), func(name string) bool {
		return !slices.Contains(f.cols, schema.LabelToColumn(name))
	})
	var got []string
	for _, s := range f.meta.RowGroups[rg].SortingColumns {
		if s.ColumnIdx < 0 || int(s.ColumnIdx) >= len(f.cols) {
			in.fail("%s: row group %d: sorting column %d of %d columns", f.what, rg, s.ColumnIdx, len(f.cols))
			continue
		}
		if s.Descending {
			in.fail("%s: row group %d: sorting column %s is descending", f.what, rg, f.cols[s.ColumnIdx])
		}
		got = append(got, strings.TrimPrefix(f.cols[s.ColumnIdx], schema.LabelColumnPrefix))
	}
	if !slices.Equal(got, want) {
		in.fail("%s: row group %d: sorting columns %q, want %q", f.what, rg, got, want)
	}
	return want
}

// labelColumn checks a label column, visits its values and gives its dictionary. first: it is the first sort label,
// which the reference reader searches by bisection where the column index says "ascending".
func (in *inspector) labelColumn(c *columnChunk, first bool, visit func(row int, symbol int32)) ([]string, error) {
	var dictionary []string
	var used []bool
	var least, greatest []byte
	nulls := int64(0)
	nullAfterValue, valueAfterNull := false, false
	err := eachPage(c, func(i int, page parquet.Page) error {
		d := page.Dictionary()
		if d == nil {
			return fmt.Errorf("no dictionary")
		}
		if dictionary == nil {
			dictionary = make([]string, d.Len())
			for s := range dictionary {
				dictionary[s] = string(d.Index(int32(s)).ByteArray())
			}
			used = make([]bool, len(dictionary))
		}
		data := page.Data()
		levels, symbols := page.DefinitionLevels(), data.Int32()
		if int64(len(levels)) != c.pages[i].rows {
			return fmt.Errorf("%d definition levels of %d rows", len(levels), c.pages[i].rows)
		}
		next := 0
		var low, high, before string
		for row, level := range levels {
			value := ""
			if level == 0 {
				nullAfterValue = nullAfterValue || next > 0
			} else {
				if next >= len(symbols) || symbols[next] < 0 || int(symbols[next]) >= len(dictionary) {
					return fmt.Errorf("row %d: no symbol, or none of the dictionary's %d", row, len(dictionary))
				}
				symbol := symbols[next]
				value = dictionary[symbol]
				used[symbol] = true
				if next == 0 || value < low {
					low = value
				}
				if next == 0 || value > high {
					high = value
				}
				next++
				valueAfterNull = valueAfterNull || next <= row || nulls > 0
				visit(int(c.pages[i].firstRow)+row, symbol)
			}
			if first && in.strict && row > 0 && value < before {
				in.fail("%s: page %d: row %d: %q after %q in the first sort column", c.what, i, row, value, before)
			}
			before = value
		}
		if next != len(symbols) {
			return fmt.Errorf("%d symbols of %d values", len(symbols), next)
		}
		var lowest, highest []byte
		if next > 0 {
			lowest, highest = []byte(low), []byte(high)
		}
		pageNulls := int64(len(levels) - next)
		in.checkPageBounds(c, i, pageNulls, lowest, highest)
		nulls += pageNulls
		least, greatest = lower(least, lowest), higher(greatest, highest)
		return nil
	})
	if err != nil {
		return nil, err
	}
	in.checkStatistics(c, "column statistics", c.meta.Statistics, nulls, least, greatest)
	// Label values are listed from the dictionary: an entry that no row uses would be listed too.
	seen := map[string]bool{}
	for symbol, value := range dictionary {
		switch {
		case value == "":
			in.fail("%s: the dictionary holds an empty value: a missing label is null", c.what)
		case seen[value]:
			in.fail("%s: the dictionary holds %q twice", c.what, value)
		case !used[symbol]:
			in.fail("%s: the dictionary holds %q, which no row has", c.what, value)
		}
		seen[value] = true
	}
	in.bloomFilter(c, dictionary)
	in.nullsFirst(c, nulls, nullAfterValue, valueAfterNull)
	return dictionary, nil
}

func (in *inspector) bloomFilter(c *columnChunk, dictionary []string) {
	filter := c.chunk.BloomFilter()
	present := filter != nil && c.meta.BloomFilterOffset > 0
	wanted := slices.Contains(in.bloom, strings.TrimPrefix(c.name, schema.LabelColumnPrefix))
	if wanted && !present {
		in.fail("%s: no bloom filter", c.what)
	}
	if !present {
		return
	}
	for _, value := range dictionary {
		if ok, err := filter.Check(parquet.ValueOf(value)); err != nil || !ok {
			in.fail("%s: the bloom filter denies %q (%v)", c.what, value, err)
		}
	}
	// A filter that says yes to everything would pass; ten bits per value give about one false yes in a hundred.
	yes := 0
	const strangers = 1000
	for i := range strangers {
		if ok, _ := filter.Check(parquet.ValueOf(fmt.Sprintf("no row has this value %d", i))); ok {
			yes++
		}
	}
	if yes > strangers/10 {
		in.fail("%s: the bloom filter says yes to %d of %d values that no row has", c.what, yes, strangers)
	}
}

// nullsFirst checks where the claimed order puts nulls. A missing label sorts like an empty one: first.
func (in *inspector) nullsFirst(c *columnChunk, nulls int64, nullAfterValue, valueAfterNull bool) {
	if !in.strict || nulls == 0 || nulls == c.rows {
		return
	}
	for _, s := range c.sorting {
		if int(s.ColumnIdx) == c.chunk.Column() && !s.NullsFirst && valueAfterNull && !nullAfterValue {
			in.fail("%s: rows without the label come first, the sorting column says they come last", c.what)
		}
	}
}

// chunksRowGroup checks one row group of a chunks file, down to every sample's place.
func (in *inspector) chunksRowGroup(f *shardFile, rg int, md tsdbMetadata) error {
	group := f.meta.RowGroups[rg]
	if in.strict && len(group.SortingColumns) > 0 {
		in.fail("%s: row group %d: sorting columns %v: chunks are not sorted", f.what, rg, group.SortingColumns)
	}
	filled := make([]bool, group.NumRows)
	for col, name := range f.cols {
		c, err := in.openColumn(f, rg, col)
		if err != nil {
			return err
		}
		var column int
		if _, err := fmt.Sscanf(name, schema.DataColumnPrefix+"%d", &column); err != nil {
			return fmt.Errorf("column %s: %w", name, err)
		}
		low := md.mint + int64(column)*md.colDuration
		high := min(low+md.colDuration-1, md.maxt)
		err = in.eachValue(c, func(row int, value []byte) {
			if len(value) > 0 {
				filled[row] = true
			}
			if err := in.cell(value, low, high); err != nil {
				in.fail("%s: row %d: %v", c.what, row, err)
			}
		})
		if err != nil {
			return err
		}
	}
	if row := slices.Index(filled, false); row >= 0 {
		in.fail("%s: row group %d: row %d has no samples at all", f.what, rg, row)
	}
	return nil
}

// cell checks the records of a chunk cell, whose samples must lie in the closed range.
func (in *inspector) cell(data []byte, low, high int64) error {
	encodings := []chunkenc.Encoding{chunkenc.EncXOR, chunkenc.EncHistogram, chunkenc.EncFloatHistogram}
	var lastEncoding chunkenc.Encoding
	lastMax := int64(math.MinInt64)
	for record := 0; len(data) > 0; record++ {
		var fields [4]uint64
		for i := range fields {
			v, n := binary.Uvarint(data)
			if n <= 0 {
				return fmt.Errorf("record %d: bad varint", record)
			}
			fields[i], data = v, data[n:]
		}
		encoding, mint, maxt := chunkenc.Encoding(fields[0]), int64(fields[1]), int64(fields[2])
		if fields[3] > uint64(len(data)) {
			return fmt.Errorf("record %d: %d bytes of %d left", record, fields[3], len(data))
		}
		body := data[:fields[3]]
		data = data[fields[3]:]
		if fields[0] > 255 || !slices.Contains(encodings, encoding) {
			return fmt.Errorf("record %d: encoding %d is none of 1, 2, 3", record, fields[0])
		}
		if encoding != lastEncoding {
			if encoding < lastEncoding {
				return fmt.Errorf("record %d: encoding %d after %d", record, encoding, lastEncoding)
			}
			lastEncoding, lastMax = encoding, math.MinInt64
		}
		chunk, err := chunkenc.FromData(encoding, body)
		if err != nil {
			return fmt.Errorf("record %d: %w", record, err)
		}
		n := chunk.NumSamples()
		if n == 0 || n > in.maxSamples {
			return fmt.Errorf("record %d: %d samples, want 1 to %d", record, n, in.maxSamples)
		}
		it := chunk.Iterator(nil)
		read, first, last := 0, int64(0), int64(math.MinInt64)
		for it.Next() != chunkenc.ValNone {
			t := it.AtT()
			if read == 0 {
				first = t
			} else if t <= last {
				return fmt.Errorf("record %d: sample %d at %d is not after %d", record, read, t, last)
			}
			last = t
			read++
		}
		if err := it.Err(); err != nil {
			return fmt.Errorf("record %d: %w", record, err)
		}
		in.counts.records++
		in.counts.samples += read
		switch {
		case read != n:
			return fmt.Errorf("record %d: %d samples, its header says %d", record, read, n)
		case mint != first:
			return fmt.Errorf("record %d: minimum time %d, first sample at %d", record, mint, first)
		case maxt != last && (in.strict || maxt != 0 || last >= 0):
			// The reference writer never sets a maximum below zero.
			return fmt.Errorf("record %d: maximum time %d, last sample at %d", record, maxt, last)
		case first < low || last > high:
			return fmt.Errorf("record %d: samples %d to %d are outside the column's %d to %d", record, first, last, low, high)
		case first <= lastMax:
			return fmt.Errorf("record %d: starts at %d, the one before ends at %d", record, first, lastMax)
		}
		lastMax = last
	}
	return nil
}
