package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"unicode/utf8"
)

// writePrintable writes the ranges of characters that strconv.IsPrint is true of.
func writePrintable() error {
	out := bufio.NewWriter(os.Stdout)
	fmt.Fprintln(out, "//! Characters that Go prints as they are. Written by `testdata/interop/promql`; do not edit.")
	fmt.Fprintln(out)
	fmt.Fprintln(out, "/// First and last of each range, ascending.")
	fmt.Fprintln(out, "#[rustfmt::skip]")
	fmt.Fprintln(out, "pub(crate) const PRINTABLE: &[(u32, u32)] = &[")
	column, start := 0, rune(-1)
	for r := rune(0); r <= utf8.MaxRune+1; r++ {
		printed := r <= utf8.MaxRune && strconv.IsPrint(r)
		switch {
		case printed && start < 0:
			start = r
		case !printed && start >= 0:
			text := fmt.Sprintf("(0x%x, 0x%x),", start, r-1)
			if column > 0 && column+1+len(text) > 116 {
				fmt.Fprintln(out)
				column = 0
			}
			if column == 0 {
				fmt.Fprint(out, "    ", text)
			} else {
				fmt.Fprint(out, " ", text)
			}
			column += 1 + len(text)
			start = -1
		}
	}
	fmt.Fprintln(out, "\n];")
	return out.Flush()
}
