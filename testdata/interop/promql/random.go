package main

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
)

// random makes inputs; the same seed makes the same ones.
type random struct {
	*rand.Rand
	functions []string
}

func newRandom(seed uint64) random {
	var names []string
	for _, name := range sortedKeys(parser.Functions) {
		names = append(names, name)
	}
	return random{rand.New(rand.NewPCG(seed, 0x70726f6d)), names}
}

func (r random) pick(list ...string) string { return list[r.IntN(len(list))] }

func (r random) odds(n int) bool { return r.IntN(n) == 0 }

var metricNames = []string{
	"foo", "bar", "http_requests_total", "a:b:c", ":x", "sum", "avg", "start", "end", "by", "offset", "step", "range", "max_of", "min_of", "and", "or",
	"unless", "fill", "fill_left", "FILL_right", "anchored", "smoothed", "limitk", "group", "count_values", "without", "SUM", "Topk", "x", "_", "_1",
}

var labelNames = []string{
	"a", "job", "instance", "le", "__name__", "on", "sum", "by", "bool", "start", "atan2", "limit_ratio", "fill", `"label.x"`, `"a b"`, `"é"`, `'q'`, "`raw`",
	"group_left", "inf", "nan", "without", `""`, `"without"`, `"\u00ad"`,
}

func (r random) label() string { return r.pick(labelNames...) }

func (r random) stringLiteral() string {
	if !r.odds(6) {
		return r.pick(`"v"`, `"a.*"`, `".+"`, `'it"s'`, `"é✓"`, `"(a|b)c"`, `"\n\t\\\""`)
	}
	return r.pick(
		`"v"`, `"a.*"`, `".+"`, `""`, `'it''s'`, "`r\\aw`", `"\n\t\\\""`, `'\''`, `"\x41\u00e9\U0001F600\101"`, `"é✓"`, `"(a|b)c"`, `"["`, `"a**"`, `"\\"`,
		`"\u200b\u00a0"`, `"x{1001}"`, `"#no comment"`, `"\q"`, `"\x4"`, `"\xff"`, `"\ud800"`, `"\ufffd"`, `"unterminated`, `"(?i)A"`, `"a{,2}"`, `"\\d"`,
	)
}

func (r random) number() string {
	if !r.odds(6) {
		return r.pick("0", "1", "2", "3.5", "1e3", "0x1F", "Inf", "017", "1_000")
	}
	return r.pick(
		"0", "1", "2", "3.5", ".5", "5.", "1e3", "1E-3", "1e+21", "0x1F", "0X_1f", "0b101", "0o17", "017", "08", "1_000", "1_0.5", "Inf", "inf", "NaN", "nan",
		"123456789012345678901234567890", "9223372036854775807", "9223372036854775808", "1e308", "1e309", "0x", "0x1p3", "1__0", "5e", "4.9e-324", "1e-400",
		"00", "0.1", "1.7976931348623157e308", "0e0",
	)
}

func (r random) durationLiteral() string {
	if !r.odds(6) {
		return r.pick("5m", "1h30m", "1s", "10ms", "2w", "1y2w3d4h5m6s7ms", "60", "0.5", "90d")
	}
	return r.pick(
		"5m", "1h30m", "1s", "10ms", "2w", "1y", "1y2w3d4h5m6s7ms", "0s", "300y", "9ms", "1m1d", "5hs", "1h1h", "1d1w", "99999999999999999999s", "1.5m", "5mm",
		"292y", "1009ms", "90d", "12w6d", "0", "60", "0.5", "1.0005", "1e300", "9223372036.854775807", "1e-10",
	)
}

func (r random) metric() string { return r.pick(metricNames...) }

func (r random) matcher() string {
	if r.odds(8) {
		return r.stringLiteral()
	}
	return r.label() + r.pick("=", "=", "!=", "=~", "!~") + r.stringLiteral()
}

func (r random) selector() string {
	var matchers []string
	for r.odds(2) && len(matchers) < 4 {
		matchers = append(matchers, r.matcher())
	}
	braces := "{" + strings.Join(matchers, r.pick(",", ", ")) + r.pick("", "", "", ",") + "}"
	switch r.IntN(6) {
	case 0:
		return braces
	case 1:
		return r.metric() + braces
	case 2:
		return `{"my.metric", ` + r.matcher() + "}"
	default:
		return r.metric()
	}
}

// duration makes what may stand between brackets or behind offset.
func (r random) duration(depth int) string {
	if depth <= 0 || r.odds(2) {
		return r.pick(r.durationLiteral(), "5m", "1h", "step()", "range()")
	}
	switch r.IntN(8) {
	case 0, 1, 2:
		return r.duration(depth-1) + r.pick("+", " - ", "*", " / ", " % ", "^") + r.duration(depth-1)
	case 3:
		return "(" + r.duration(depth-1) + ")"
	case 4:
		return r.pick("-", "+", "- ") + r.duration(depth-1)
	case 5:
		return r.pick("max_of", "min_of") + "(" + r.duration(depth-1) + ", " + r.duration(depth-1) + ")"
	case 6:
		return "-(" + r.duration(depth-1) + ")"
	default:
		return r.durationLiteral()
	}
}

func (r random) modifiers(depth int) string {
	var b strings.Builder
	for r.odds(4) {
		switch r.IntN(6) {
		case 0, 1:
			b.WriteString(" offset " + r.duration(depth))
		case 2:
			b.WriteString(" @ " + r.pick("start()", "end()", "1.5", "-7", "1609746000", "start()", "end()", "5m", "+3", r.pick("1e19", "Inf", "NaN", "start", "1e16")))
		case 3:
			b.WriteString(" anchored")
		case 4:
			b.WriteString(" smoothed")
		default:
			b.WriteString(" offset -" + r.durationLiteral())
		}
	}
	return b.String()
}

func (r random) grouping() string {
	var labels []string
	for r.odds(2) && len(labels) < 4 {
		labels = append(labels, r.label())
	}
	return "(" + strings.Join(labels, ", ") + r.pick("", "", "", ",") + ")"
}

func (r random) vectorMatching() string {
	var b strings.Builder
	if r.odds(4) {
		b.WriteString(" bool")
	}
	if r.odds(3) {
		b.WriteString(" " + r.pick("on", "ignoring") + r.grouping())
		if r.odds(2) {
			b.WriteString(" " + r.pick("group_left", "group_right") + r.pick("", r.grouping()))
		}
	}
	if r.odds(5) {
		value := func() string { return r.pick(" (", "(") + r.pick("", "-", "+") + r.number() + ")" }
		switch r.IntN(3) {
		case 0:
			b.WriteString(" fill" + value())
		case 1:
			b.WriteString(" fill_left" + value() + r.pick("", " fill_right"+value()))
		default:
			b.WriteString(" fill_right" + value() + r.pick("", " fill_left"+value()))
		}
	}
	return b.String()
}

var aggregations = []string{
	"sum", "avg", "count", "min", "max", "group", "stddev", "stdvar", "topk", "bottomk", "count_values", "quantile", "limitk", "limit_ratio",
}

// kinds of expression asked for; the wrong one is made now and then.
const (
	vector = iota
	matrix
	scalar
	text
)

func (r random) expr(kind, depth int) string {
	if r.odds(60) {
		kind = r.IntN(4)
	}
	if depth <= 0 {
		switch kind {
		case vector:
			return r.selector() + r.modifiers(0)
		case matrix:
			return r.selector() + "[" + r.duration(1) + "]" + r.modifiers(0)
		case scalar:
			return r.pick(r.number(), r.number(), r.durationLiteral(), "time()", "pi()", "-1")
		default:
			return r.stringLiteral()
		}
	}
	switch kind {
	case vector:
		switch r.IntN(10) {
		case 0, 1:
			return r.aggregation(depth)
		case 2, 3, 4:
			op := r.pick("+", "-", "*", "/", "%", "^", "atan2", "==", "!=", "<", "<=", ">", ">=", "and", "or", "unless", "</", ">/", "AND")
			return r.expr(r.pickKind(vector, vector, scalar), depth-1) + " " + op + r.vectorMatching() + " " + r.expr(r.pickKind(vector, vector, scalar), depth-1)
		case 5, 6:
			return r.call(depth)
		case 7:
			return "(" + r.expr(vector, depth-1) + ")"
		case 8:
			return r.pick("-", "+", "- ") + r.expr(vector, depth-1)
		default:
			return r.selector() + r.modifiers(2)
		}
	case matrix:
		if r.odds(2) {
			step := r.pick("", "", r.duration(2))
			return r.expr(vector, depth-1) + "[" + r.duration(2) + ":" + step + "]" + r.modifiers(2)
		}
		return r.selector() + r.pick("", "", " anchored", " smoothed") + "[" + r.duration(2) + "]" + r.modifiers(2)
	case scalar:
		switch r.IntN(4) {
		case 0:
			return "-" + r.expr(scalar, depth-1)
		case 1:
			return r.expr(scalar, depth-1) + r.pick(" + ", "*", " ^ ", " == bool ", " < ", " % ") + r.expr(scalar, depth-1)
		case 2:
			return "scalar(" + r.expr(vector, depth-1) + ")"
		default:
			return r.number()
		}
	default:
		return r.pick(r.stringLiteral(), "("+r.stringLiteral()+")")
	}
}

func (r random) pickKind(list ...int) int { return list[r.IntN(len(list))] }

func (r random) aggregation(depth int) string {
	op := r.pick(aggregations...)
	args := r.expr(vector, depth-1)
	switch op {
	case "topk", "bottomk", "quantile", "limitk", "limit_ratio":
		args = r.expr(scalar, depth-1) + ", " + args
	case "count_values":
		args = r.stringLiteral() + ", " + args
	}
	modifier := r.pick("by", "without", "BY") + " " + r.grouping()
	switch r.IntN(3) {
	case 0:
		return op + " " + modifier + " (" + args + ")"
	case 1:
		return op + "(" + args + ") " + modifier
	default:
		return op + "(" + args + ")"
	}
}

func (r random) call(depth int) string {
	name := r.functions[r.IntN(len(r.functions))]
	function := parser.Functions[name]
	var args []string
	for i, t := range function.ArgTypes {
		if function.Variadic != 0 && i == len(function.ArgTypes)-1 && r.odds(2) {
			break
		}
		kind := map[parser.ValueType]int{parser.ValueTypeVector: vector, parser.ValueTypeMatrix: matrix, parser.ValueTypeScalar: scalar, parser.ValueTypeString: text}[t]
		args = append(args, r.expr(kind, depth-1))
	}
	if r.odds(15) {
		args = append(args, r.expr(r.IntN(4), 0))
	}
	return name + "(" + strings.Join(args, ", ") + ")"
}

var fragments = []string{
	"(", ")", "[", "]", "{", "}", ",", ":", "=", "==", "!=", "=~", "!~", "<", ">", "</", ">/", "+", "-", "*", "/", "%", "^", "@", " ", "\n", "# c\n", "bool",
	"on", "ignoring", "group_left", "group_right", "fill(0)", "fill_left", "offset", "by", "without", "sum", "start()", "end", "step()", "range(", "max_of(",
	"5m", "1", "foo", `"s"`, "'", "`", "anchored", "smoothed", "{{", "}}", "x", "_", ";", "!", "~", "$", "é", "\\", "0x", "5mm", "[5m]", "[5m:]", "{a=", "1e", "\t",
	"and", "unless", "atan2", "topk", "limitk", "=~\"a(\"", "inf", "\u00a0", "abs(", "\"\\", "::", "a:b",
}

// mutate damages an input in a few places.
func (r random) mutate(s string, other string) string {
	for n := 1 + r.IntN(3); n > 0; n-- {
		tokens := cut(s)
		if len(tokens) == 0 {
			return r.pick(fragments...)
		}
		i, j := r.IntN(len(tokens)), r.IntN(len(tokens))
		switch r.IntN(8) {
		case 0:
			tokens = append(tokens[:i:i], tokens[i+1:]...)
		case 1:
			tokens[i] = r.pick(fragments...)
		case 2, 3:
			tokens = append(tokens[:i:i], append([]string{r.pick(fragments...)}, tokens[i:]...)...)
		case 4:
			tokens[i], tokens[j] = tokens[j], tokens[i]
		case 5:
			tokens = append(tokens[:i:i], append([]string{tokens[j]}, tokens[i:]...)...)
		case 6:
			tokens = tokens[:i+1]
		case 7:
			if others := cut(other); len(others) > 0 {
				k := r.IntN(len(others))
				tokens = append(tokens[:i:i], others[k:min(len(others), k+1+r.IntN(5))]...)
			}
		}
		s = strings.Join(tokens, "")
	}
	return s
}

// cut cuts an input into words, runs of digits and single characters.
func cut(s string) []string {
	class := func(c rune) int {
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_':
			return 1
		case c >= '0' && c <= '9':
			return 2
		}
		return 0
	}
	var tokens []string
	last := 0
	for _, c := range s {
		k := class(c)
		if k != 0 && k == last {
			tokens[len(tokens)-1] += string(c)
		} else {
			tokens = append(tokens, string(c))
		}
		last = k
	}
	return tokens
}

func (r random) sequenceValue() string {
	switch r.IntN(6) {
	case 0:
		return "_" + r.pick("", "x3", "x0", "x1")
	case 1:
		return r.pick("stale", "NaN", "Inf", "-Inf", "stale x", "nope")
	case 2, 3:
		return r.pick("", "-", "+") + r.seriesNumber() + r.pick("", "x3", "x0", "+1x4", "-0.5x2", "+1e3x2", "+Infx2", "x1.5", "x-1")
	default:
		h := r.histogram()
		return h + r.pick("", "", "x2", "x0", "+"+h+"x2", "-"+h+"x1", "+"+r.histogram()+"x1")
	}
}

func (r random) seriesNumber() string {
	return r.pick("0", "1", "2.5", "1e3", ".5", "1_000", "5m", "0x1F", "0x3", "10", "-1", "1e", "1e309", "007")
}

func (r random) histogram() string {
	var items []string
	for r.odds(4) == false && len(items) < 6 {
		set := func() string {
			var list []string
			for n := 1 + r.IntN(3); n > 0; n-- {
				list = append(list, r.pick("1", "2", "0.5", "-3", "Inf", "10", "NaN", "1e2"))
			}
			return "[" + strings.Join(list, " ") + r.pick("", "", "", " ") + "]"
		}
		items = append(items, r.pick(
			"schema:"+r.pick("0", "1", "-53", "3", "-1", "1.5"), "sum:"+r.pick("1", "-2.5", "Inf", "NaN"), "count:"+r.pick("3", "7.5", "-1"), "z_bucket:2",
			"z_bucket_w:"+r.pick("0.001", "-1"), "offset:"+r.pick("-1", "2", "x"), "n_offset:3", "buckets:"+set(), "n_buckets:"+set(), "custom_values:"+set(),
			"counter_reset_hint:"+r.pick("unknown", "reset", "not_reset", "gauge", "Gauge", "other"), "Sum:3", "bogus:1", "sum 3",
		))
	}
	return "{{" + r.pick("", "", " ") + strings.Join(items, " ") + r.pick("", "", " ") + "}}"
}

func (r random) series() string {
	metric := r.pick("foo", `foo{a="b"}`, `{a="b"}`, `{"my.metric", "x.y"="z"}`, "", `foo{a="b",}`, `foo{a="1", b='2'}`, "sum", `fill{a="b"}`, `foo{}`, `a:b{c="\n"}`)
	var values []string
	for n := r.IntN(5); n > 0; n-- {
		values = append(values, r.sequenceValue())
	}
	return metric + " " + strings.Join(values, r.pick(" ", " ", "  "))
}

// options are all of them mostly, so that what is behind them is reached.
func (r random) options() int {
	if r.odds(8) {
		return r.IntN(optAll + 1)
	}
	return optAll
}

// next makes an input; some are made of seeds.
func (r random) next(seeds []input) (input, int) {
	options := r.options()
	if r.odds(8) {
		text := r.series()
		if r.odds(2) {
			text = r.mutate(text, r.series())
		}
		return input{"", entrySeries, text}, options
	}
	if r.odds(30) {
		return input{"", r.pick(entrySelector, entryMetric), r.mutate(r.selector(), r.selector())}, options
	}
	if r.odds(3) {
		return input{"", entryExpr, r.expr(r.IntN(4), r.IntN(5))}, options
	}
	if r.odds(2) || len(seeds) == 0 {
		return input{"", entryExpr, r.mutate(r.expr(r.IntN(4), r.IntN(4)), r.expr(vector, 2))}, options
	}
	a, b := seeds[r.IntN(len(seeds))], seeds[r.IntN(len(seeds))]
	if len(a.text) > 300 {
		a.text = a.text[:0] + fmt.Sprintf("%.200s", a.text)
	}
	return input{"", a.entry, r.mutate(a.text, b.text)}, options
}
