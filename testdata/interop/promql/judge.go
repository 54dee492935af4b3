package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Entry points.
const (
	entryExpr     = "expr"
	entrySeries   = "series"
	entrySelector = "selector"
	entryMetric   = "metric"
)

// Bits of Case.Options.
const (
	optFunctions = 1 << iota
	optDurationExpr
	optExtendedRange
	optFill
	optAll = 1<<iota - 1
)

// Case is a question to the parser and its answer.
type Case struct {
	// From says where the input comes from.
	From    string `json:"f,omitempty"`
	Entry   string `json:"e"`
	Options int    `json:"o"`
	Input   string `json:"i"`
	// Errors: message, start, end. Error is what the error's text is, with the position.
	Errors [][3]any `json:"errs,omitempty"`
	Error  string   `json:"err,omitempty"`
	// Panic is set if the parser panicked.
	Panic bool `json:"panic,omitempty"`
	// Binary is set if a string of the answer is not UTF-8.
	Binary bool   `json:"bin,omitempty"`
	String string `json:"s,omitempty"`
	// Pretty is left out where it is String.
	Pretty string `json:"p,omitempty"`
	Type   string `json:"t,omitempty"`
	// AST, matchers, labels and values, see dump*.
	AST any `json:"a,omitempty"`
}

func judgeStdin() error {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in.Scan() {
		var c Case
		if err := json.Unmarshal(in.Bytes(), &c); err != nil {
			return err
		}
		if err := writeCase(out, judge(c.From, c.Entry, c.Options, c.Input)); err != nil {
			return err
		}
	}
	return in.Err()
}

func writeCase(out *bufio.Writer, c Case) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(c)
}

// binary is set when a dumped string is not UTF-8.
type dumper struct{ binary bool }

func judge(from, entry string, options int, input string) Case {
	c := Case{From: from, Entry: entry, Options: options, Input: input}
	p := parser.NewParser(parser.Options{
		EnableExperimentalFunctions:  options&optFunctions != 0,
		ExperimentalDurationExpr:     options&optDurationExpr != 0,
		EnableExtendedRangeSelectors: options&optExtendedRange != 0,
		EnableBinopFillModifiers:     options&optFill != 0,
	})
	var d dumper
	var err error
	switch entry {
	case entryExpr:
		var expr parser.Expr
		if expr, err = p.ParseExpr(input); err == nil {
			c.String = expr.String()
			if pretty := expr.Pretty(0); pretty != c.String {
				c.Pretty = pretty
			}
			c.Type = string(expr.Type())
			c.AST = d.expr(expr)
		}
	case entrySelector:
		var matchers []*labels.Matcher
		if matchers, err = p.ParseMetricSelector(input); err == nil {
			c.AST = d.matchers(matchers)
		}
	case entryMetric:
		var metric labels.Labels
		if metric, err = p.ParseMetric(input); err == nil {
			c.AST = d.labels(metric)
		}
	case entrySeries:
		var metric labels.Labels
		var values []parser.SequenceValue
		if metric, values, err = p.ParseSeriesDesc(input); err == nil {
			c.AST = []any{d.labels(metric), d.values(values)}
		}
	}
	c.Binary = d.binary
	if err != nil {
		c.Error = err.Error()
		var errs parser.ParseErrors
		if errors.As(err, &errs) {
			for _, e := range errs {
				c.Errors = append(c.Errors, [3]any{e.Err.Error(), int(e.PositionRange.Start), int(e.PositionRange.End)})
			}
		} else {
			c.Panic = errors.Is(err, parser.ErrUnexpected)
		}
	}
	return c
}

func (d *dumper) text(s string) string {
	if !utf8.ValidString(s) {
		d.binary = true
	}
	return s
}

func (d *dumper) texts(list []string) []string {
	out := []string{}
	for _, s := range list {
		out = append(out, d.text(s))
	}
	return out
}

// float gives the bits, in hexadecimal, but for NaN, whose bits say nothing, except that staleness has its own.
func float(f float64) string {
	bits := math.Float64bits(f)
	if math.IsNaN(f) && bits != 0x7ff0000000000002 {
		return "NaN"
	}
	return fmt.Sprintf("%016x", bits)
}

func optionalFloat(f *float64) any {
	if f == nil {
		return nil
	}
	return float(*f)
}

func (d *dumper) matchers(list []*labels.Matcher) any {
	out := []any{}
	for _, m := range list {
		out = append(out, []any{d.text(m.Name), m.Type.String(), d.text(m.Value)})
	}
	return out
}

func (d *dumper) labels(l labels.Labels) any {
	out := []any{}
	l.Range(func(l labels.Label) { out = append(out, []any{d.text(l.Name), d.text(l.Value)}) })
	return out
}

func (d *dumper) values(list []parser.SequenceValue) any {
	out := []any{}
	for _, v := range list {
		switch {
		case v.Omitted:
			out = append(out, nil)
		case v.Histogram != nil:
			out = append(out, []any{dumpHistogram(v.Histogram), v.CounterResetHintSet})
		default:
			out = append(out, float(v.Value))
		}
	}
	return out
}

func dumpHistogram(h *histogram.FloatHistogram) any {
	spans := func(list []histogram.Span) any {
		out := []any{}
		for _, s := range list {
			out = append(out, []any{s.Offset, s.Length})
		}
		return out
	}
	floats := func(list []float64) any {
		out := []any{}
		for _, f := range list {
			out = append(out, float(f))
		}
		return out
	}
	return []any{
		h.CounterResetHint, h.Schema, float(h.ZeroThreshold), float(h.ZeroCount), float(h.Count), float(h.Sum),
		spans(h.PositiveSpans), floats(h.PositiveBuckets), spans(h.NegativeSpans), floats(h.NegativeBuckets), floats(h.CustomValues),
	}
}

func startOrEnd(t parser.ItemType) any {
	switch t {
	case parser.START:
		return "start"
	case parser.END:
		return "end"
	}
	return nil
}

func timestamp(t *int64) any {
	if t == nil {
		return nil
	}
	return *t
}

func (d *dumper) duration(e *parser.DurationExpr) any {
	if e == nil {
		return nil
	}
	return d.durationNode(e)
}

func (d *dumper) durationNode(e parser.Expr) any {
	switch e := e.(type) {
	case nil:
		return nil
	case *parser.NumberLiteral:
		return d.expr(e)
	case *parser.DurationExpr:
		if e.LHS == nil && e.Op == parser.ADD && !e.Wrapped {
			// A plus that says nothing and is not printed.
			return d.durationNode(e.RHS)
		}
		at := e.PositionRange()
		return []any{"dur", e.Op.String(), d.durationNode(e.LHS), d.durationNode(e.RHS), e.Wrapped, at.Start, at.End}
	}
	panic(fmt.Sprintf("a duration made of %T", e))
}

func (d *dumper) expr(e parser.Expr) any {
	at := e.PositionRange()
	var node []any
	switch e := e.(type) {
	case *parser.NumberLiteral:
		node = []any{"num", float(e.Val), e.Duration}
	case *parser.StringLiteral:
		node = []any{"str", d.text(e.Val)}
	case *parser.ParenExpr:
		node = []any{"par", d.expr(e.Expr)}
	case *parser.UnaryExpr:
		node = []any{"un", e.Op.String(), d.expr(e.Expr)}
	case *parser.VectorSelector:
		node = []any{
			"vec", e.Name, d.matchers(e.LabelMatchers), int64(e.OriginalOffset), d.duration(e.OriginalOffsetExpr), timestamp(e.Timestamp),
			startOrEnd(e.StartOrEnd), e.Anchored, e.Smoothed, e.BypassEmptyMatcherCheck,
		}
	case *parser.MatrixSelector:
		node = []any{"mat", d.expr(e.VectorSelector), int64(e.Range), d.duration(e.RangeExpr)}
	case *parser.SubqueryExpr:
		node = []any{
			"sub", d.expr(e.Expr), int64(e.Range), d.duration(e.RangeExpr), int64(e.Step), d.duration(e.StepExpr),
			int64(e.OriginalOffset), d.duration(e.OriginalOffsetExpr), timestamp(e.Timestamp), startOrEnd(e.StartOrEnd),
		}
	case *parser.AggregateExpr:
		var param any
		if e.Param != nil {
			param = d.expr(e.Param)
		}
		node = []any{"agg", e.Op.String(), d.expr(e.Expr), param, d.texts(e.Grouping), e.Without}
	case *parser.BinaryExpr:
		var matching any
		if m := e.VectorMatching; m != nil {
			matching = []any{
				m.Card.String(), d.texts(m.MatchingLabels), m.On, d.texts(m.Include), optionalFloat(m.FillValues.LHS),
				optionalFloat(m.FillValues.RHS),
			}
		}
		node = []any{"bin", e.Op.String(), d.expr(e.LHS), d.expr(e.RHS), e.ReturnBool, matching}
	case *parser.Call:
		args := []any{}
		for _, arg := range e.Args {
			args = append(args, d.expr(arg))
		}
		node = []any{"call", e.Func.Name, args}
	default:
		panic(fmt.Sprintf("an expression of type %T", e))
	}
	return append(node, at.Start, at.End)
}
