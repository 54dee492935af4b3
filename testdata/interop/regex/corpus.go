package main

import (
	"bufio"
	"encoding/json"
	"io"
	"math/rand/v2"
	"reflect"
	stdregexp "regexp"
	stdsyntax "regexp/syntax"
	"slices"
	"strings"

	"github.com/grafana/regexp"
	"github.com/prometheus/prometheus/model/labels"
)

// A line of the corpus: a pattern, and what Prometheus and Go make of it.
type line struct {
	Pattern string `json:"p"`
	// Error is what Prometheus refuses the pattern with.
	Error  string   `json:"e,omitempty"`
	Values []string `json:"v,omitempty"`
	// Matches has a byte for each value: 1 if Go's own regexp matches.
	Matches string `json:"m,omitempty"`
	// Fast is the same by Prometheus' FastRegexMatcher, where that differs.
	Fast string `json:"f,omitempty"`
	// Grafana is the same by the fork of regexp that Prometheus uses, where that differs from Go's.
	Grafana string   `json:"g,omitempty"`
	Set     []string `json:"s,omitempty"`
	// Prefix and Suffix are what every match begins and ends with, where case matters.
	Prefix   string   `json:"x,omitempty"`
	Suffix   string   `json:"y,omitempty"`
	Contains []string `json:"c,omitempty"`
	// Groups is how many groups it has as label_replace's pattern, and Expanded what the template becomes for each value,
	// null where that does not match.
	GroupsError string    `json:"ge,omitempty"`
	Groups      int       `json:"gn,omitempty"`
	Template    string    `json:"t,omitempty"`
	Expanded    []*string `json:"ex,omitempty"`
}

// writeCorpus writes hand-made patterns and as many random ones, each with values to match, as lines of JSON.
func writeCorpus(w io.Writer, count int) error {
	out := bufio.NewWriter(w)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	random := rand.New(rand.NewPCG(1, 2))
	seen := map[string]bool{}
	write := func(pattern string, most int) error {
		if seen[pattern] {
			return nil
		}
		seen[pattern] = true
		return encoder.Encode(judge(pattern, random, most))
	}
	for _, pattern := range handMade() {
		if err := write(pattern, 40); err != nil {
			return err
		}
	}
	for len(seen) < count {
		pattern := ""
		switch random.IntN(8) {
		case 0:
			pattern = soup(random)
		case 1, 2:
			pattern = mutate(random, patterns[random.IntN(len(patterns))])
		default:
			pattern = grammar(random, 4)
		}
		if err := write(pattern, 8); err != nil {
			return err
		}
	}
	return out.Flush()
}

func judge(pattern string, random *rand.Rand, most int) line {
	l := line{Pattern: pattern}
	judgeGroups(&l, random)
	fast, err := labels.NewFastRegexMatcher(pattern)
	if err != nil {
		l.Error = err.Error()
		return l
	}
	parsed, err := stdsyntax.Parse(pattern, stdsyntax.Perl|stdsyntax.DotNL)
	if err != nil {
		panic(err)
	}
	std, err := stdregexp.Compile("^(?s:" + pattern + ")$")
	if err != nil {
		// Its end is quoted by a \Q without a \E.
		std = stdregexp.MustCompile("^(?s:" + parsed.String() + ")$")
	}
	grafana := regexp.MustCompile(std.String())
	l.Values = valuesFor(parsed, random, most)
	var matches, byFast, byGrafana strings.Builder
	bit := map[bool]byte{false: '0', true: '1'}
	for _, value := range l.Values {
		matches.WriteByte(bit[std.MatchString(value)])
		byFast.WriteByte(bit[fast.MatchString(value)])
		byGrafana.WriteByte(bit[grafana.MatchString(value)])
	}
	l.Matches = matches.String()
	if byFast.String() != l.Matches {
		l.Fast = byFast.String()
	}
	if byGrafana.String() != l.Matches {
		l.Grafana = byGrafana.String()
	}
	l.Set = fast.SetMatches()
	slices.Sort(l.Set)
	l.Set = slices.Compact(l.Set)
	// There is no other way to learn of these.
	matcher := reflect.ValueOf(fast).Elem()
	if !matcher.FieldByName("caseInsensitivePrefix").Bool() {
		l.Prefix = matcher.FieldByName("prefix").String()
	}
	l.Suffix = matcher.FieldByName("suffix").String()
	contains := matcher.FieldByName("contains")
	for i := range contains.Len() {
		l.Contains = append(l.Contains, contains.Index(i).String())
	}
	if l.GroupsError == "" && l.Groups > 0 {
		for _, value := range l.Values {
			var expanded *string
			if indexes := grafana.FindStringSubmatchIndex(value); indexes != nil {
				text := string(grafana.ExpandString(nil, l.Template, value, indexes))
				expanded = &text
			}
			l.Expanded = append(l.Expanded, expanded)
		}
	} else {
		l.Template = ""
	}
	return l
}

func judgeGroups(l *line, random *rand.Rand) {
	// As label_replace compiles it, which takes some patterns that matchers do not, such as `a)(b`.
	grouped, err := regexp.Compile("^(?s:" + l.Pattern + ")$")
	if err != nil {
		l.GroupsError = err.Error()
		return
	}
	l.Groups = grouped.NumSubexp()
	l.Template = "$1|$2|$3|${0}|" + templates[random.IntN(len(templates))]
}

var templates = []string{
	"$$1", "$name", "${name}x", "$1x", "${1}x", "$x1", "${", "$", "${1", "${}", "$10", "$01", "${001}", "$é", "$name_1", "$-1", "a$b", "$$$$$",
	"$999999999999", "$日1", "${n}$n", "$ 1", "\n$2\n", "$²", "$a$A",
}
