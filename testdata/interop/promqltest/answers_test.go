package promqltest_test

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/teststorage"
)

func openStorage(t testing.TB) *teststorage.TestStorage {
	return teststorage.New(t, func(o *tsdb.Options) {
		o.EnableSTStorage = true
		o.FloatChunkEncoding = chunkenc.EncXOR2
		o.EnableHistogramSTEncoding = true
	})
}

// kept is a storage that outlives the script that fills it.
type kept struct{ *teststorage.TestStorage }

func (kept) Close() error { return nil }

// loaded is a storage with what load commands say.
func loaded(t testing.TB, loads string) storage.Storage {
	s := openStorage(t)
	t.Cleanup(func() { s.Close() })
	promqltest.RunTestWithStorage(t, loads, nil, func(testing.TB) storage.Storage { return kept{s} })
	return s
}

var (
	plainName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	position  = regexp.MustCompile(` \(\d+:\d+\)$`)
	detail    = regexp.MustCompile(`, from buckets .*$`)
)

func seriesText(m labels.Labels) string {
	name := m.Get(labels.MetricName)
	if name == "" || !plainName.MatchString(name) {
		return m.String()
	}
	rest := labels.NewBuilder(m).Del(labels.MetricName).Labels()
	return name + rest.String()
}

func floatText(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 0):
		return fmt.Sprintf("%+v", f)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

func pointText(f float64, h *histogram.FloatHistogram) string {
	if h != nil {
		return h.TestExpression()
	}
	return floatText(f)
}

// query is a query with its times; an instant query has no step.
type query struct {
	text             string
	start, end, step time.Duration
}

func (q query) command() string {
	d := func(d time.Duration) string { return model.Duration(d).String() }
	if q.step == 0 {
		return fmt.Sprintf("eval instant at %s %s", d(q.start), q.text)
	}
	return fmt.Sprintf("eval range from %s to %s step %s %s", d(q.start), d(q.end), d(q.step), q.text)
}

// answer is what is expected of a query, as lines of a script; false if no script can say it.
func answer(t testing.TB, engine *promql.Engine, s storage.Storage, q query) ([]string, bool) {
	var (
		at  = func(d time.Duration) time.Time { return time.Unix(0, 0).UTC().Add(d) }
		run promql.Query
		err error
	)
	if q.step == 0 {
		run, err = engine.NewInstantQuery(t.Context(), s, nil, q.text, at(q.start))
	} else {
		run, err = engine.NewRangeQuery(t.Context(), s, nil, q.text, at(q.start), at(q.end), q.step)
	}
	if err != nil {
		return nil, false
	}
	defer run.Close()
	res := run.Exec(t.Context())
	if res.Err != nil {
		// What follows may depend on the order of maps.
		text, _, cut := strings.Cut(res.Err.Error(), "{")
		if cut || strings.Contains(text, "expanding series") {
			return []string{"expect fail regex:^" + regexp.QuoteMeta(text)}, true
		}
		return []string{"expect fail msg:" + text}, true
	}
	lines := []string{}
	warnings, infos := res.Warnings.AsStrings(q.text, 0, 0)
	for kind, texts := range map[string][]string{"warn": warnings, "info": infos} {
		for _, text := range texts {
			short := detail.ReplaceAllString(position.ReplaceAllString(text, ""), "")
			if q.step != 0 && short == position.ReplaceAllString(text, "") {
				lines = append(lines, "expect "+kind+" msg:"+text)
			} else {
				lines = append(lines, "expect "+kind+" regex:^"+regexp.QuoteMeta(short))
			}
		}
		if len(texts) == 0 {
			lines = append(lines, "expect no_"+kind)
		}
	}
	slices.Sort(lines)
	switch v := res.Value.(type) {
	case promql.Scalar:
		lines = append(lines, floatText(v.V))
	case promql.String:
		lines = append(lines, "expect string "+strconv.Quote(v.V))
	case promql.Vector:
		for _, sample := range v {
			line := seriesText(sample.Metric) + " " + pointText(sample.F, sample.H)
			if !canSay(line) || (sample.H != nil && sample.H.UsesCustomBuckets() && sample.H.ZeroCount != 0) {
				return nil, false
			}
			lines = append(lines, line)
		}
	case promql.Matrix:
		if q.step == 0 {
			return nil, false
		}
		for _, series := range v {
			values := make([]string, 0, int((q.end-q.start)/q.step)+1)
			for d := q.start; d <= q.end; d += q.step {
				value, ms := "_", d.Milliseconds()
				for _, p := range series.Floats {
					if p.T == ms {
						value = floatText(p.F)
					}
				}
				for _, p := range series.Histograms {
					if p.H.UsesCustomBuckets() && p.H.ZeroCount != 0 {
						// What was multiplied by NaN has what no script can say.
						return nil, false
					}
					if p.T == ms {
						value = p.H.TestExpression()
					}
				}
				values = append(values, value)
			}
			line := seriesText(series.Metric) + " " + strings.Join(values, " ")
			if !canSay(line) {
				return nil, false
			}
			lines = append(lines, line)
		}
	}
	return lines, true
}

// canSay tells whether a line is valid: the notation has no infinite sums of histograms.
func canSay(line string) bool {
	_, _, err := parser.NewParser(promqltest.TestParserOpts).ParseSeriesDesc(line)
	return err == nil
}

func newEngine(t testing.TB) *promql.Engine {
	return promqltest.NewTestEngine(t, false, 5*time.Minute, 1_000_000)
}

var (
	evalInstant = regexp.MustCompile(`^eval instant at (\S+) (.+)$`)
	evalRange   = regexp.MustCompile(`^eval range from (\S+) to (\S+) step (\S+) (.+)$`)
)

func duration(t testing.TB, text string) time.Duration {
	d, err := model.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(d)
}

func isExpectation(line string) bool { return strings.TrimSpace(line) != "expect ordered" }

// TestFill writes what Prometheus answers below evaluations that expect nothing yet: PROMQL_FILL names the scripts.
func TestFill(t *testing.T) {
	list := os.Getenv("PROMQL_FILL")
	if list == "" {
		t.Skip("PROMQL_FILL is not set")
	}
	engine := newEngine(t)
	for _, path := range strings.Split(list, string(os.PathListSeparator)) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var (
			loads string
			s     storage.Storage
			out   []string
		)
		for _, block := range strings.Split(strings.TrimRight(string(text), "\n"), "\n\n") {
			lines := strings.Split(block, "\n")
			commands := slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return strings.HasPrefix(strings.TrimSpace(l), "#") })
			switch {
			case len(commands) == 0:
			case strings.HasPrefix(commands[0], "clear"):
				loads, s = "", nil
				if len(commands) > 1 {
					loads = strings.Join(commands[1:], "\n") + "\n\n"
				}
			case strings.HasPrefix(commands[0], "load"):
				loads, s = loads+strings.Join(commands, "\n")+"\n\n", nil
			case strings.HasPrefix(commands[0], "eval") && !slices.ContainsFunc(commands[1:], isExpectation):
				if s == nil {
					s = loaded(t, loads)
				}
				var q query
				if p := evalInstant.FindStringSubmatch(commands[0]); p != nil {
					q = query{text: p[2], start: duration(t, p[1])}
				} else if p := evalRange.FindStringSubmatch(commands[0]); p != nil {
					q = query{p[4], duration(t, p[1]), duration(t, p[2]), duration(t, p[3])}
				}
				answered, ok := answer(t, engine, s, q)
				if !ok {
					t.Errorf("%s: no answer to %s", path, commands[0])
				}
				for _, line := range answered {
					block += "\n  " + line
				}
			}
			out = append(out, block)
		}
		if err := os.WriteFile(path, []byte(strings.Join(out, "\n\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
