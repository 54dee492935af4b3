package main

import (
	"math/rand/v2"
	"regexp/syntax"
	"strings"
	"unicode"
)

// Values that are near misses of many patterns.
var commonValues = []string{
	"", "\n", "a", "b", "ab", "A", "foo", "bar", "foo\n", "\nfoo", "foobar", "FOO", "k", "K", "\u212a", "s", "ſ", "é", "日本", "-", "a-b", "a b", "_", "0",
	"10.0.0.1", "\x00", "\ufffd", "😀", "a\nb", "|", "ǅ", "ß", "İ", "i", "µ", "μ", "Ω", "Ω",
}

// valuesFor makes values of which some match the pattern and others nearly do.
func valuesFor(re *syntax.Regexp, random *rand.Rand, most int) []string {
	seen := map[string]bool{}
	var values []string
	add := func(value string) {
		if len(value) <= 300 && !seen[value] && len(values) < most {
			seen[value] = true
			values = append(values, value)
		}
	}
	for range most / 4 {
		value := sample(re, random, 40)
		add(value)
		add(mutateValue(random, value))
	}
	for range most {
		if random.IntN(2) == 0 {
			add(commonValues[random.IntN(len(commonValues))])
		} else {
			add(mutateValue(random, sample(re, random, 40)))
		}
	}
	return values
}

// sample makes a string that re matches, conditions such as \b aside.
func sample(re *syntax.Regexp, random *rand.Rand, budget int) string {
	var out strings.Builder
	emit(re, random, &out, budget)
	return strings.ToValidUTF8(out.String(), "?")
}

func emit(re *syntax.Regexp, random *rand.Rand, out *strings.Builder, budget int) {
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			if re.Flags&syntax.FoldCase != 0 {
				for range random.IntN(4) {
					r = unicode.SimpleFold(r)
				}
			}
			out.WriteRune(r)
		}
	case syntax.OpCharClass:
		if len(re.Rune) > 0 {
			i := random.IntN(len(re.Rune)/2) * 2
			low, high := re.Rune[i], re.Rune[i+1]
			switch random.IntN(3) {
			case 0:
				out.WriteRune(low)
			case 1:
				out.WriteRune(high)
			default:
				out.WriteRune(low + random.Int32N(min(high-low+1, 64)))
			}
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		out.WriteRune([]rune("a\nb é日😀-")[random.IntN(8)])
	case syntax.OpCapture:
		emit(re.Sub[0], random, out, budget)
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		low, high := re.Min, re.Max
		switch re.Op {
		case syntax.OpStar:
			low, high = 0, -1
		case syntax.OpPlus:
			low, high = 1, -1
		case syntax.OpQuest:
			low, high = 0, 1
		}
		if high < 0 {
			high = low + 3
		}
		for i := 0; i < low || i < high && random.IntN(2) == 0; i++ {
			if out.Len() > 300 {
				return
			}
			emit(re.Sub[0], random, out, budget)
		}
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			emit(sub, random, out, budget)
		}
	case syntax.OpAlternate:
		emit(re.Sub[random.IntN(len(re.Sub))], random, out, budget)
	case syntax.OpBeginLine, syntax.OpEndLine:
		if random.IntN(2) == 0 {
			out.WriteByte('\n')
		}
	}
}

func mutateValue(random *rand.Rand, value string) string {
	runes := []rune(value)
	at := random.IntN(len(runes) + 1)
	extra := []rune("ab\nA-_.é日ſK0 ")
	switch random.IntN(6) {
	case 0:
		return value + "\n"
	case 1:
		return string(runes[:at]) + string(extra[random.IntN(len(extra))]) + string(runes[at:])
	case 2:
		if at < len(runes) {
			return string(runes[:at]) + string(runes[at+1:])
		}
	case 3:
		if at < len(runes) {
			runes[at] = unicode.SimpleFold(runes[at])
			return string(runes)
		}
	case 4:
		return value + value
	case 5:
		return "x" + value
	}
	return string(extra[random.IntN(len(extra))]) + value
}
