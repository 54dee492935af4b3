package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
)

// The larger categories, which are made of the smaller ones in order not to write them twice.
var unions = map[string][]string{
	"C":  {"Cc", "Cf", "Cn", "Co", "Cs"},
	"L":  {"Ll", "Lm", "Lo", "Lt", "Lu"},
	"LC": {"Ll", "Lt", "Lu"},
	"M":  {"Mc", "Me", "Mn"},
	"N":  {"Nd", "Nl", "No"},
	"P":  {"Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps"},
	"S":  {"Sc", "Sk", "Sm", "So"},
	"Z":  {"Zl", "Zp", "Zs"},
}

// writeTables writes Go's Unicode tables as a Rust module.
func writeTables(w io.Writer) error {
	if err := checkTables(); err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "//! Unicode %s as Go knows it. Made by `testdata/interop/regex`, do not edit.\n\n", unicode.Version)
	fmt.Fprintf(out, "/// Two-letter general categories by name: ranges, both ends inclusive, one after the other.\n")
	categories := map[string]*unicode.RangeTable{}
	for name, table := range unicode.Categories {
		if _, union := unions[name]; !union {
			categories[name] = table
		}
	}
	writeRanges(out, "CATEGORIES", categories)
	fmt.Fprintf(out, "\n/// Scripts by name, in the same form.\n")
	writeRanges(out, "SCRIPTS", unicode.Scripts)
	fmt.Fprintf(out, "\n/// Long names of categories, capitalized and without underscores, with the short ones.\n")
	fmt.Fprintf(out, "pub(super) static ALIASES: &[(&str, &str)] = &[\n")
	var aliases []string
	for long, short := range unicode.CategoryAliases {
		long = strings.ReplaceAll(long, "_", "")
		aliases = append(aliases, fmt.Sprintf("(%q, %q),\n", strings.ToUpper(long[:1])+strings.ToLower(long[1:]), short))
	}
	slices.Sort(aliases)
	fmt.Fprintf(out, "%s];\n", strings.Join(aliases, ""))
	fmt.Fprintf(out, "\n/// Each character that has others of the same simple folding, followed by the next of these; a cycle.\n")
	fmt.Fprintf(out, "pub(super) static FOLDS: &[u32] = &[")
	for r := range unicode.MaxRune + 1 {
		if next := unicode.SimpleFold(r); next != r {
			fmt.Fprintf(out, "%#x,%#x,", r, next)
		}
	}
	fmt.Fprintf(out, "];\n")
	return out.Flush()
}

func writeRanges(out *bufio.Writer, name string, tables map[string]*unicode.RangeTable) {
	fmt.Fprintf(out, "pub(super) static %s: &[(&str, &[u32])] = &[\n", name)
	names := make([]string, 0, len(tables))
	for name := range tables {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(out, "(%q,&[", name)
		start := rune(-1)
		for r := range unicode.MaxRune + 2 {
			in := r <= unicode.MaxRune && unicode.Is(tables[name], r)
			switch {
			case in && start < 0:
				start = r
			case !in && start >= 0:
				fmt.Fprintf(out, "%#x,%#x,", start, r-1)
				start = -1
			}
		}
		fmt.Fprintf(out, "]),\n")
	}
	fmt.Fprintf(out, "];\n")
}

// checkTables says whether what the Rust side takes for granted is so: that the larger categories are unions, and that
// ignoring case adds to a table just what folds into it.
func checkTables() error {
	for name, parts := range unions {
		for r := range unicode.MaxRune + 1 {
			in := slices.ContainsFunc(parts, func(part string) bool { return unicode.Is(unicode.Categories[part], r) })
			if in != unicode.Is(unicode.Categories[name], r) {
				return fmt.Errorf("category %s is not the union of %v: %#x", name, parts, r)
			}
		}
	}
	check := func(kind, name string, table, fold *unicode.RangeTable) error {
		for r := range unicode.MaxRune + 1 {
			in := unicode.Is(table, r)
			closed := in
			for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
				closed = closed || unicode.Is(table, other)
			}
			// Go forgets U+0345 here, and the Rust side does so, too.
			if name == "LC" && r == 0x345 {
				closed = false
			}
			if closed != (in || fold != nil && unicode.Is(fold, r)) {
				return fmt.Errorf("%s %s is not closed: %#x", kind, name, r)
			}
		}
		return nil
	}
	for name, table := range unicode.Categories {
		if err := check("category", name, table, unicode.FoldCategory[name]); err != nil {
			return err
		}
	}
	for name, table := range unicode.Scripts {
		if err := check("script", name, table, unicode.FoldScript[name]); err != nil {
			return err
		}
	}
	return nil
}
