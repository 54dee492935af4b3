package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"unicode"

	"github.com/grafana/regexp/syntax"
)

// writeClasses writes for each class that has a name, and for ranges that ignore case, which characters Go says are in it:
// how many, and the FNV-1a hash of their code points as four bytes each, the lowest first.
func writeClasses(w io.Writer) error {
	var patterns []string
	add := func(format string, args ...any) {
		class := fmt.Sprintf(format, args...)
		patterns = append(patterns, class, "(?i)"+class)
	}
	var names []string
	for name := range unicode.Categories {
		names = append(names, name)
	}
	for name := range unicode.Scripts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range append(names, "Any") {
		add(`\p{%s}`, name)
		add(`[^\P{%s}a]`, name)
	}
	for _, class := range []string{"alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word", "xdigit"} {
		add(`[[:%s:]]`, class)
		add(`[[:^%s:]]`, class)
	}
	for _, class := range "dDsSwW" {
		add(`\%c`, class)
		add(`[^\%c]`, class)
	}
	for low := rune(0); low <= 0x1ffff; low += 0x400 {
		add(`[\x{%x}-\x{%x}]`, low, low+0x3ff)
		add(`[^\x{%x}-\x{%x}]`, low+1, low+0x3fe)
	}
	out := bufio.NewWriter(w)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for _, pattern := range patterns {
		re, err := syntax.Parse(pattern, syntax.Perl|syntax.DotNL)
		if err != nil {
			return err
		}
		in := make([]bool, unicode.MaxRune+1)
		switch {
		case re.Op == syntax.OpLiteral && len(re.Rune) == 1:
			in[re.Rune[0]] = true
			if re.Flags&syntax.FoldCase != 0 {
				for r := unicode.SimpleFold(re.Rune[0]); r != re.Rune[0]; r = unicode.SimpleFold(r) {
					in[r] = true
				}
			}
		case re.Op == syntax.OpCharClass:
			for i := 0; i < len(re.Rune); i += 2 {
				for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
					in[r] = true
				}
			}
		case re.Op == syntax.OpAnyChar:
			for r := range in {
				in[r] = true
			}
		default:
			return fmt.Errorf("%s is no class: %v", pattern, re.Op)
		}
		count, hash := 0, fnv.New64a()
		for r, in := range in {
			if in {
				count++
				hash.Write([]byte{byte(r), byte(r >> 8), byte(r >> 16), 0})
			}
		}
		if err := encoder.Encode([]any{pattern, count, fmt.Sprintf("%016x", hash.Sum64())}); err != nil {
			return err
		}
	}
	return out.Flush()
}
