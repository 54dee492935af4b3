package promqltest_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// queries makes queries and data for them at random.
type queries struct{ *rand.Rand }

func (r queries) of(texts ...string) string { return texts[r.IntN(len(texts))] }

func (r queries) chance(percent int) bool { return r.IntN(100) < percent }

// loads makes load commands: counters that are reset, gauges, native histograms, classic ones, series of several kinds.
func (r queries) loads() string {
	var out strings.Builder
	step := r.of("10s", "15s", "30s", "1m")
	fmt.Fprintf(&out, "load %s\n", step)
	const many = 60
	line := func(metric string, value func(i int) string) {
		values := make([]string, many)
		gap := 0
		for i := range values {
			switch {
			case gap > 0:
				gap--
				values[i] = "_"
			case r.chance(1):
				gap = r.IntN(30)
				values[i] = "_"
			case r.chance(1):
				values[i] = "stale"
			default:
				values[i] = value(i)
			}
		}
		fmt.Fprintf(&out, "  %s %s\n", metric, strings.Join(values, " "))
	}
	number := func(f float64) string { return strconv.FormatFloat(f, 'g', 6, 64) }
	counter := func() func(int) string {
		total, by := float64(r.IntN(50)), float64(1+r.IntN(20))
		return func(int) string {
			if r.chance(3) {
				total = 0
			}
			total += float64(r.IntN(int(by)+1)) * []float64{1, 1, 0.5, 0}[r.IntN(4)]
			return number(total)
		}
	}
	for _, job := range []string{"api", "db", "web"} {
		for instance := range 1 + r.IntN(3) {
			set := fmt.Sprintf(`{job="%s",instance="%d",zone="%s"}`, job, instance, r.of("a", "b"))
			metric := "requests_total" + set
			if r.chance(40) {
				offset := r.of("-1m", "-10s", "0s", "-5m")
				fmt.Fprintf(&out, "  %s@st %sx%d\n", metric, offset, many-1)
			}
			line(metric, counter())
			line("errors_total"+set, counter())
			line("temperature"+set, func(int) string {
				if r.chance(2) {
					return r.of("NaN", "Inf", "-Inf", "0", "1e300", "-1e-300")
				}
				return number(r.NormFloat64() * 10)
			})
		}
		line(fmt.Sprintf(`build_info{job="%s",version="v%d"}`, job, r.IntN(3)), func(int) string { return "1" })
		line(fmt.Sprintf(`target_info{job="%s",instance="0",os="%s"}`, job, r.of("linux", "plan9")), func(int) string { return "1" })
	}
	for _, path := range []string{"/", "/a", "/b"} {
		schema, gauge := r.IntN(4)-1, r.chance(20)
		var counts [4]int
		line(fmt.Sprintf(`latency{path="%s"}`, path), func(int) string {
			if r.chance(3) {
				counts = [4]int{}
				schema = r.IntN(4) - 1
			}
			total, zero := 0, r.IntN(3)
			for i := range counts {
				counts[i] += r.IntN(5)
				total += counts[i]
			}
			hint := ""
			if gauge {
				hint = " counter_reset_hint:gauge"
			}
			// Now and then a width that differs.
			width, offset := "0.001", r.IntN(3)-1
			if r.chance(3) {
				width, offset = r.of("0.5", "1", "0.01"), 1+r.IntN(2)
			}
			return fmt.Sprintf("{{schema:%d count:%d sum:%d z_bucket:%d z_bucket_w:%s%s offset:%d buckets:[%d %d %d] n_offset:%d n_buckets:[%d]}}",
				schema, total+zero, r.IntN(500), zero, width, hint, offset, counts[0], counts[1], counts[2], max(offset, 0), counts[3])
		})
		bounds := r.of("1 2 5", "1 2 5", "0.5 1 2 5", "1 5 10", "-1 0 1")
		line(fmt.Sprintf(`nhcb{path="%s"}`, path), func(int) string {
			if r.chance(2) {
				counts = [4]int{}
			}
			if r.chance(2) {
				bounds = r.of("1 2 5", "0.5 1 2 5", "1 5 10")
			}
			total := 0
			for i := range 3 {
				counts[i] += r.IntN(4)
				total += counts[i]
			}
			return fmt.Sprintf("{{schema:-53 count:%d sum:%d custom_values:[%s] buckets:[%d %d %d]}}",
				total, total*2, bounds, counts[0], counts[1], counts[2])
		})
		line(fmt.Sprintf(`mixed{path="%s"}`, path), func(i int) string {
			if (i/7)%2 == 0 {
				return number(float64(r.IntN(20)))
			}
			return fmt.Sprintf("{{schema:0 count:%d sum:%d buckets:[1 %d]}}", 1+i, i*2, i)
		})
		sums := make([]func(int) string, 0, 4)
		for range 4 {
			sums = append(sums, counter())
		}
		for i, le := range []string{"0.1", "1", "10", "+Inf"} {
			line(fmt.Sprintf(`duration_bucket{path="%s",le="%s"}`, path, le), func(n int) string {
				total := 0.0
				for _, sum := range sums[:i+1] {
					f, _ := strconv.ParseFloat(sum(n), 64)
					total += f
				}
				return number(total)
			})
		}
	}
	return out.String()
}

func (r queries) number() string {
	return r.of("0", "1", "2", "0.5", "-1", "3.7", "100", "1e3", "NaN", "Inf", "-Inf", "0.95", "10", "60")
}

func (r queries) duration() string { return r.of("30s", "1m", "2m", "5m", "90s", "10m", "7m30s") }

func (r queries) matchers() string {
	if r.chance(40) {
		return ""
	}
	return "{" + r.of(
		`job="api"`, `job!="api"`, `job=~"a.*|db"`, `job!~"d.*"`, `instance="0"`, `zone="a"`, `path="/"`, `path=~"/.+"`, `nope=""`,
		`nope="x"`, `job=~".+",zone!="b"`, `instance=~"[01]"`,
	) + "}"
}

func (r queries) modifiers() string {
	out := ""
	if r.chance(12) {
		out += " offset " + r.of("1m", "-1m", "5m", "30s", "-90s")
	}
	if r.chance(8) {
		out += " @ " + r.of("300", "600.5", "0", "start()", "end()", "-60")
	}
	return out
}

func (r queries) metric() string {
	return r.of(
		"requests_total", "requests_total", "errors_total", "temperature", "temperature", "latency", "latency", "nhcb", "mixed",
		"duration_bucket", "build_info", `{__name__=~"requests_total|errors_total"}`, "absent_metric",
	)
}

func (r queries) selector() string {
	metric := r.metric()
	if strings.HasPrefix(metric, "{") {
		return metric
	}
	return metric + r.matchers()
}

func (r queries) scalar(depth int) string {
	if depth <= 0 || r.chance(50) {
		return r.of(r.number(), r.number(), r.number(), "time()", "pi()", "step()", "start()", "end()", "range()")
	}
	switch r.IntN(5) {
	case 0:
		return "scalar(" + r.vector(depth-1) + ")"
	case 1:
		return r.of("min_of", "max_of") + "(" + r.scalar(depth-1) + ", " + r.scalar(depth-1) + ")"
	case 2:
		return "-" + "(" + r.scalar(depth-1) + ")"
	case 3:
		return "(" + r.scalar(depth-1) + " " + r.of("==", "!=", "<", ">", "<=", ">=") + " bool " + r.scalar(depth-1) + ")"
	}
	return "(" + r.scalar(depth-1) + " " + r.of("+", "-", "*", "/", "%", "^", "atan2") + " " + r.scalar(depth-1) + ")"
}

func (r queries) matrix(depth int) string {
	if depth > 0 && r.chance(20) {
		step := r.of("", "30s", "1m", "45s")
		return "(" + r.vector(depth-1) + ")[" + r.duration() + ":" + step + "]" + r.modifiers()
	}
	return r.selector() + "[" + r.duration() + "]" + r.modifiers()
}

var labelNames = []string{"job", "instance", "zone", "path", "le", "version", "nope"}

func (r queries) labels() string {
	var out []string
	for _, name := range labelNames {
		if r.chance(25) {
			out = append(out, name)
		}
	}
	return "(" + strings.Join(out, ", ") + ")"
}

func (r queries) vector(depth int) string {
	if depth <= 0 || r.chance(12) {
		return r.selector() + r.modifiers()
	}
	d := depth - 1
	switch r.IntN(17) {
	case 0, 1:
		return r.of("abs", "ceil", "floor", "exp", "ln", "log2", "log10", "sqrt", "sgn", "sin", "cos", "tan", "asin", "acos", "atan",
			"sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "deg", "rad", "round", "timestamp", "absent", "day_of_month",
			"day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month", "year", "sort", "sort_desc",
			"histogram_count", "histogram_sum", "histogram_avg", "histogram_stddev", "histogram_stdvar", "start_timestamp",
		) + "(" + r.vector(d) + ")"
	case 2:
		switch r.IntN(5) {
		case 0:
			return "clamp(" + r.vector(d) + ", " + r.scalar(d) + ", " + r.scalar(d) + ")"
		case 1:
			return r.of("clamp_min", "clamp_max", "round") + "(" + r.vector(d) + ", " + r.scalar(d) + ")"
		case 2:
			return "vector(" + r.scalar(d) + ")"
		case 3:
			return `label_replace(` + r.vector(d) + `, "` + r.of("job", "new", "path", "__name__") + `", "` + r.of("$1", "x-$1", "", "$2") +
				`", "` + r.of("job", "path", "instance", "__name__", "nope") + `", "` + r.of("(.*)", "(a)(.*)", "/(.+)", "") + `")`
		}
		return `label_join(` + r.vector(d) + `, "` + r.of("job", "new", "__name__") + `", "-", "job", "` + r.of("zone", "path", "nope") + `")`
	case 3:
		v := r.of("latency", "nhcb", "mixed", "duration_bucket", "rate(latency[5m])", "rate(nhcb[5m])", "rate(duration_bucket[5m])",
			"sum by (le) (rate(duration_bucket[5m]))", r.vector(d))
		switch r.IntN(3) {
		case 0:
			return "histogram_fraction(" + r.number() + ", " + r.scalar(d) + ", " + v + ")"
		case 1:
			return `histogram_quantiles(` + v + `, "q", 0.5, 0.9)`
		}
		return "histogram_quantile(" + r.of("0.5", "0.9", "0.99", "0", "1", "-1", "1.5", "NaN") + ", " + v + ")"
	case 4, 5, 6, 7:
		m := r.matrix(d)
		switch r.IntN(12) {
		case 0:
			return "quantile_over_time(" + r.of("0.5", "0.9", "-1", "1.1", "0", "1", "NaN") + ", " + m + ")"
		case 1:
			return "predict_linear(" + m + ", " + r.of("60", "-100", "3600") + ")"
		case 2:
			return "double_exponential_smoothing(" + m + ", " + r.of("0.5, 0.5", "0.1, 0.9", "0.3, 0.2") + ")"
		case 3:
			// What may be anchored or smoothed.
			f, how := "rate", "smoothed"
			if r.chance(50) {
				f, how = r.of("resets", "changes", "rate", "increase", "delta"), "anchored"
			} else {
				f = r.of("rate", "increase", "delta")
			}
			return f + "(" + r.selector() + "[" + r.duration() + "] " + how + r.modifiers() + ")"
		case 4, 5, 6:
			return r.of("rate", "increase", "rate", "irate", "delta", "idelta") + "(" + m + ")"
		}
		return r.of("changes", "resets", "deriv", "avg_over_time", "min_over_time", "max_over_time", "sum_over_time",
			"count_over_time", "stddev_over_time", "stdvar_over_time", "last_over_time", "first_over_time", "present_over_time",
			"absent_over_time", "mad_over_time", "ts_of_min_over_time", "ts_of_max_over_time", "ts_of_last_over_time",
			"ts_of_first_over_time") + "(" + m + ")"
	case 8, 9, 10:
		op := r.of("sum", "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "quantile", "count_values", "topk", "bottomk",
			"limit_ratio")
		param := ""
		switch op {
		case "quantile":
			param = r.of("0.5", "0.9", "-1", "2", r.scalar(d)) + ", "
		case "count_values":
			param = `"` + r.of("value", "job") + `", `
		case "topk", "bottomk":
			// Which of equal ones it is, nothing says.
			param = r.of("0", "100", "-1", "NaN") + ", "
		case "limit_ratio":
			param = r.of("0.5", "-0.5", "1", "0", "0.3") + ", "
		}
		return op + r.of("", " by "+r.labels()+" ", " without "+r.labels()+" ", " by (job) ") + "(" + param + r.vector(d) + ")"
	case 11:
		return "-" + r.selector()
	case 12:
		return "(" + r.vector(d) + " " + r.of("+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<=", "</", ">/", "atan2", "> bool", "== bool") +
			" " + r.scalar(d) + ")"
	case 13:
		return "(" + r.scalar(d) + " " + r.of("+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">= bool", "atan2") + " " + r.vector(d) + ")"
	case 14:
		return "(" + r.vector(d) + " " + r.of("and", "or", "unless") + r.of("", " on "+r.labels(), " ignoring "+r.labels(), " on (job)") + " " + r.vector(d) + ")"
	case 15:
		return "info(" + r.vector(d) + r.of("", `, {os="linux"}`, `, {os=~".+"}`, `, {__name__="build_info"}`) + ")"
	}
	op := r.of("+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<=", "atan2", "> bool", "== bool", "!= bool")
	left, right := r.vector(d), r.vector(d)
	if r.chance(60) {
		// Such that there are matches.
		left = r.of("requests_total", "errors_total", "temperature", "rate(requests_total[5m])", "latency", "nhcb")
		right = r.of("errors_total", "requests_total", "temperature", "sum by (job) (errors_total)", "build_info", "latency", "nhcb")
	}
	match := r.of("", " on "+r.labels(), " ignoring "+r.labels(), " on (job, instance, zone)", " on (job)", " on (path)")
	if match != "" && r.chance(40) {
		match += r.of(" group_left ", " group_left (version)", " group_right ", " group_right (zone)")
	}
	if r.chance(15) {
		match += r.of(" fill (0)", " fill_left (1)", " fill_right (2)", " fill_left (1) fill_right (3)")
	}
	return "(" + left + " " + op + match + " " + right + ")"
}

// TestRandom writes random scripts with Prometheus' answers: PROMQL_RANDOM is the directory, PROMQL_SEED and PROMQL_COUNT say
// which and how many; PROMQL_INSTANT makes all queries instant, which also Prometheus need not pass when their time is pinned.
func TestRandom(t *testing.T) {
	out := os.Getenv("PROMQL_RANDOM")
	if out == "" {
		t.Skip("PROMQL_RANDOM is not set")
	}
	number := func(name string, otherwise int) int {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return n
		}
		return otherwise
	}
	seed, count := number("PROMQL_SEED", 1), number("PROMQL_COUNT", 10)
	engine := newEngine(t)
	for n := range count {
		r := queries{rand.New(rand.NewPCG(uint64(seed), uint64(n)))}
		loads := r.loads()
		s := loaded(t, loads)
		var text strings.Builder
		fmt.Fprintf(&text, "# Random, seed %d/%d; the answers are those of Prometheus 3.15.\n\n%s", seed, n, loads)
		for evals := 0; evals < 60; {
			start := time.Duration(r.IntN(20)) * 30 * time.Second
			step := []time.Duration{15 * time.Second, time.Minute, 37 * time.Second, 5 * time.Minute}[r.IntN(4)]
			q := query{r.vector(1 + r.IntN(4)), start, start + step*time.Duration(r.IntN(6)), step}
			if os.Getenv("PROMQL_INSTANT") != "" {
				q.end, q.step = q.start, 0
			}
			if len(q.text) > 300 {
				continue
			}
			lines, ok := answer(t, engine, s, q)
			// Answers to which there is nothing are rarely kept.
			if !ok || (len(lines) <= 2 && !strings.HasPrefix(lines[0], "expect fail") && r.chance(90)) || (strings.HasPrefix(lines[0], "expect fail") && r.chance(60)) {
				continue
			}
			evals++
			fmt.Fprintf(&text, "\n%s\n", q.command())
			for _, line := range lines {
				fmt.Fprintf(&text, "  %s\n", line)
			}
		}
		if err := os.WriteFile(filepath.Join(out, fmt.Sprintf("random-%d-%03d.test", seed, n)), []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
