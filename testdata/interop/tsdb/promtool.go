package main

import (
	"fmt"
	"io"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// promtoolLines prints each sample as `promtool tsdb dump` of Prometheus 3 does.
func (b *blockCopy) promtoolLines(out io.Writer) error {
	set, err := b.selectAll()
	if err != nil {
		return err
	}
	for set.Next() {
		lset, it := set.At().Labels(), set.At().Iterator(nil)
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			switch kind {
			case chunkenc.ValFloat:
				t, v := it.At()
				fmt.Fprintf(out, "%s %g %d\n", lset, v, t)
			case chunkenc.ValHistogram:
				t, h := it.AtHistogram(nil)
				fmt.Fprintf(out, "%s %s %d\n", lset, h, t)
			case chunkenc.ValFloatHistogram:
				t, h := it.AtFloatHistogram(nil)
				fmt.Fprintf(out, "%s %s %d\n", lset, h, t)
			default:
				return fmt.Errorf("value type %v is unknown", kind)
			}
		}
		if err := it.Err(); err != nil {
			return err
		}
	}
	return set.Err()
}
