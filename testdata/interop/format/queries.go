package main

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/prometheus-community/parquet-common/queryable"
	"github.com/prometheus-community/parquet-common/schema"
	"github.com/prometheus-community/parquet-common/storage"
	"github.com/prometheus/prometheus/model/labels"
	promstorage "github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// liveSeries is a series with at least one sample in the converted range, and the shard that holds it.
type liveSeries struct {
	labels labels.Labels
	shard  int
}

// Above this many series a query compares labels only.
const maxSeriesWithSamples = 5_000

// Above this many label names a query compares the values of chosen names only.
const maxNamesForValues = 300

// At most this many queries for one queryable.
const maxQueries = 400

type query struct {
	matchers   []*labels.Matcher
	mint, maxt int64
}

func (q query) String() string {
	var parts []string
	for _, m := range q.matchers {
		parts = append(parts, m.String())
	}
	return fmt.Sprintf("{%s} [%d, %d]", strings.Join(parts, ", "), q.mint, q.maxt)
}

func (q query) selects(lset labels.Labels) bool {
	return !slices.ContainsFunc(q.matchers, func(m *labels.Matcher) bool { return !m.Matches(lset.Get(m.Name)) })
}

// queryScope is what one queryable serves: all shards, or a single one.
type queryScope struct {
	name   string
	shards []storage.ParquetShard
	live   []liveSeries // in label order
	has    map[string]bool
}

func verifyQueries(ctx context.Context, r *report, truth *blockSet, shards []*storage.ParquetShardOpener, live []liveSeries) (int, error) {
	all := queryScope{name: "all shards", live: live}
	scopes := []queryScope{}
	for _, shard := range shards {
		all.shards = append(all.shards, shard)
	}
	scopes = append(scopes, all)
	if len(shards) > 1 {
		for i, shard := range shards {
			one := queryScope{name: fmt.Sprintf("shard %d", i), shards: []storage.ParquetShard{shard}}
			for _, s := range live {
				if s.shard == i {
					one.live = append(one.live, s)
				}
			}
			scopes = append(scopes, one)
		}
	}
	ran := 0
	for _, scope := range scopes {
		scope.has = map[string]bool{}
		for _, s := range scope.live {
			scope.has[string(s.labels.Bytes(nil))] = true
		}
		reader, err := queryable.NewParquetQueryable(
			func(context.Context, int64, int64) ([]storage.ParquetShard, error) { return scope.shards, nil },
			nil, schema.NewPrometheusParquetChunksDecoder(chunkenc.NewPool()))
		if err != nil {
			return ran, err
		}
		names := chooseNames(scope.live)
		for _, q := range chooseQueries(scope.live, names, truth.mint, truth.maxt) {
			ran++
			r.guard(fmt.Sprintf("%s: %s", scope.name, q), func() error { return verifySelect(ctx, truth, scope, reader, q) })
			r.guard(fmt.Sprintf("%s: label names, %s", scope.name, q), func() error { return verifyLabelNames(ctx, truth, scope, reader, q) })
			for _, name := range names[:min(3, len(names))] {
				r.guard(fmt.Sprintf("%s: values of %q, %s", scope.name, name, q), func() error { return verifyLabelValues(ctx, truth, scope, reader, q, name) })
			}
		}
		whole := query{mint: truth.mint, maxt: truth.maxt}
		r.guard(scope.name+": label names", func() error { return verifyLabelNames(ctx, truth, scope, reader, whole) })
		for _, name := range append(names, "no such label") {
			ran++
			r.guard(fmt.Sprintf("%s: values of %q", scope.name, name), func() error { return verifyLabelValues(ctx, truth, scope, reader, whole, name) })
		}
	}
	return ran, nil
}

// chooseNames picks the label names to query by: the metric name, common, rare and odd ones; all if there are few.
func chooseNames(live []liveSeries) []string {
	counts := map[string]int{}
	for _, s := range live {
		s.labels.Range(func(l labels.Label) { counts[l.Name]++ })
	}
	names := make([]string, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(counts[b]-counts[a], strings.Compare(a, b)) })
	if len(names) <= maxNamesForValues {
		return names
	}
	chosen := slices.Concat(names[:20], names[len(names)-20:])
	odd := regexp.MustCompile(`[^a-zA-Z0-9_]`)
	for _, name := range names[20 : len(names)-20] {
		if odd.MatchString(name) && len(chosen) < 60 {
			chosen = append(chosen, name)
		}
	}
	return chosen
}

// chooseValues gives the most and least common, the first, the last and the longest value of a label.
func chooseValues(live []liveSeries, name string) []string {
	counts := map[string]int{}
	for _, s := range live {
		if v := s.labels.Get(name); v != "" {
			counts[v]++
		}
	}
	if len(counts) == 0 {
		return nil
	}
	values := make([]string, 0, len(counts))
	for v := range counts {
		values = append(values, v)
	}
	slices.Sort(values)
	least := slices.MinFunc(values, func(a, b string) int { return cmp.Or(counts[a]-counts[b], strings.Compare(a, b)) })
	most := slices.MaxFunc(values, func(a, b string) int { return cmp.Or(counts[a]-counts[b], strings.Compare(b, a)) })
	longest := slices.MaxFunc(values, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(b, a)) })
	chosen := []string{most, least, values[0], values[len(values)-1], longest, values[len(values)/2]}
	slices.Sort(chosen)
	return slices.Compact(chosen)
}

func chooseQueries(live []liveSeries, names []string, mint, maxt int64) []query {
	var queries []query
	add := func(matchers ...*labels.Matcher) {
		queries = append(queries, query{matchers, mint, maxt})
	}
	match := func(kind labels.MatchType, name, value string) *labels.Matcher {
		return labels.MustNewMatcher(kind, name, value)
	}

	add(match(labels.MatchRegexp, labels.MetricName, ".*"))
	metrics := chooseValues(live, labels.MetricName)
	for i, metric := range metrics {
		equal := match(labels.MatchEqual, labels.MetricName, metric)
		add(equal)
		// Parts of the range: the first and last tenth, the middle, a single millisecond.
		if i < 3 {
			span := maxt - mint
			for _, part := range [][2]int64{{mint, mint + span/10}, {maxt - span/10, maxt}, {mint + span/3, mint + span/2}, {mint + span/2, mint + span/2}} {
				queries = append(queries, query{[]*labels.Matcher{equal}, part[0], part[1]})
			}
		}
	}
	for i, name := range names {
		if i >= 12 && i < len(names)-6 && utf8.RuneCountInString(name) == len(name) && !strings.ContainsAny(name, ". /-") {
			continue // plain names in the middle teach nothing new
		}
		for _, v := range chooseValues(live, name) {
			add(match(labels.MatchEqual, name, v))
			if !utf8.ValidString(v) {
				continue
			}
			head, tail := v, v
			for i := range v {
				if i >= (len(v)+1)/2 {
					head, tail = v[:i], v[i:]
					break
				}
			}
			add(match(labels.MatchRegexp, name, regexp.QuoteMeta(head)+".*"))
			add(match(labels.MatchRegexp, name, ".*"+regexp.QuoteMeta(tail)))
			add(match(labels.MatchNotRegexp, name, regexp.QuoteMeta(head)+".+"))
			add(match(labels.MatchNotEqual, name, v))
			for _, metric := range metrics[:min(2, len(metrics))] {
				equal := match(labels.MatchEqual, labels.MetricName, metric)
				add(equal, match(labels.MatchEqual, name, v))
				add(equal, match(labels.MatchNotEqual, name, v))
				add(equal, match(labels.MatchRegexp, name, regexp.QuoteMeta(v)+"|"+regexp.QuoteMeta(head)))
				add(equal, match(labels.MatchRegexp, name, regexp.QuoteMeta(v)+"|"))
			}
		}
		add(match(labels.MatchEqual, name, ""))
		add(match(labels.MatchNotEqual, name, ""))
		add(match(labels.MatchRegexp, name, ".+"))
		add(match(labels.MatchNotRegexp, name, ".+"))
		add(match(labels.MatchRegexp, name, ""))
		add(match(labels.MatchNotRegexp, name, ".*"))
	}
	add(match(labels.MatchEqual, "no such label", "x"))
	add(match(labels.MatchEqual, "no such label", ""))
	add(match(labels.MatchEqual, labels.MetricName, "no such metric"))
	// An upper bound on work: with many series every query is expensive, so keep a spread of them.
	limit := min(maxQueries, max(40, 2_000_000/max(1, len(live))))
	if len(queries) > limit {
		var kept []query
		for i := range limit {
			kept = append(kept, queries[i*len(queries)/limit])
		}
		queries = kept
	}
	return queries
}

type answer struct {
	labels  labels.Labels
	samples []sample
}

// answers drains a querier; series without a sample in the range are left out, because the TSDB and Parquet prune by
// chunk, and their chunks are cut differently.
func answers(ctx context.Context, querier promstorage.Querier, q query, labelsOnly bool) ([]answer, error) {
	hints := &promstorage.SelectHints{Start: q.mint, End: q.maxt}
	if labelsOnly {
		hints.Func = "series"
	}
	set := querier.Select(ctx, true, hints, q.matchers...)
	var out []answer
	var it chunkenc.Iterator
	for set.Next() {
		series := set.At()
		one := answer{labels: series.Labels()}
		if !labelsOnly {
			it = series.Iterator(it)
			samples, err := appendSamples(nil, it)
			if err != nil {
				return nil, fmt.Errorf("series %s: %w", series.Labels(), err)
			}
			if one.samples = within(samples, q.mint, q.maxt); len(one.samples) == 0 {
				continue
			}
		}
		out = append(out, one)
	}
	return out, set.Err()
}

func verifySelect(ctx context.Context, truth *blockSet, scope queryScope, reader promstorage.Queryable, q query) error {
	var want []answer
	for _, s := range scope.live {
		if q.selects(s.labels) {
			want = append(want, answer{labels: s.labels})
		}
	}
	wholeRange := q.mint == truth.mint && q.maxt == truth.maxt
	labelsOnly := len(want) > maxSeriesWithSamples
	if labelsOnly && !wholeRange {
		return nil // which series have samples in a part of the range is not known without reading them
	}
	got, err := ask(reader, q.mint, q.maxt, func(querier promstorage.Querier) ([]answer, error) {
		return answers(ctx, querier, q, labelsOnly)
	})
	if err != nil {
		return err
	}
	if !labelsOnly {
		source, err := truth.querier(q.mint, q.maxt)
		if err != nil {
			return err
		}
		defer source.Close()
		fromBlock, err := answers(ctx, source, q, false)
		if err != nil {
			return fmt.Errorf("the block's querier: %w", err)
		}
		fromBlock = slices.DeleteFunc(fromBlock, func(a answer) bool { return !scope.has[string(a.labels.Bytes(nil))] })
		if wholeRange && len(fromBlock) != len(want) {
			return fmt.Errorf("the block's querier finds %d series, its index %d: the judge is wrong", len(fromBlock), len(want))
		}
		want = fromBlock
	}
	for i := range min(len(got), len(want)) {
		if !labels.Equal(got[i].labels, want[i].labels) {
			return fmt.Errorf("series %d of %d (expected %d): got %s, want %s", i, len(got), len(want), got[i].labels, want[i].labels)
		}
		if len(truth.blocks) > 1 {
			// Prometheus does not say whose value wins where blocks overlap: compare times only.
			if !slices.EqualFunc(got[i].samples, want[i].samples, func(a, b sample) bool { return a.t == b.t }) {
				return fmt.Errorf("series %s: timestamps differ", got[i].labels)
			}
			continue
		}
		if diff := difference(got[i].samples, want[i].samples); diff != "" {
			return fmt.Errorf("series %s: %s", got[i].labels, diff)
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("%d series, want %d", len(got), len(want))
	}
	return nil
}

func ask[T any](from promstorage.Queryable, mint, maxt int64, question func(promstorage.Querier) (T, error)) (T, error) {
	querier, err := from.Querier(mint, maxt)
	if err != nil {
		var none T
		return none, err
	}
	defer querier.Close()
	return question(querier)
}

// between checks must ⊆ got ⊆ may. A block also lists labels of series whose samples are all deleted or outside the
// converted range; a converter may keep or drop those.
func between(got, must, may []string) error {
	if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
		return fmt.Errorf("the answer is not sorted and unique: %q", got)
	}
	for _, s := range must {
		if _, ok := slices.BinarySearch(got, s); !ok {
			return fmt.Errorf("%q is missing", s)
		}
	}
	for _, s := range got {
		if _, ok := slices.BinarySearch(may, s); !ok {
			return fmt.Errorf("%q is surplus", s)
		}
	}
	return nil
}

func verifyLabelNames(ctx context.Context, truth *blockSet, scope queryScope, reader promstorage.Queryable, q query) error {
	got, err := ask(reader, truth.mint, truth.maxt, func(querier promstorage.Querier) ([]string, error) {
		names, _, err := querier.LabelNames(ctx, nil, q.matchers...)
		return names, err
	})
	if err != nil {
		return err
	}
	must := map[string]bool{}
	for _, s := range scope.live {
		if q.selects(s.labels) {
			s.labels.Range(func(l labels.Label) { must[l.Name] = true })
		}
	}
	source, err := truth.querier(truth.mint, truth.maxt)
	if err != nil {
		return err
	}
	defer source.Close()
	may, _, err := source.LabelNames(ctx, nil, q.matchers...)
	if err != nil {
		return fmt.Errorf("the block's querier: %w", err)
	}
	return between(got, sortedKeys(must), may)
}

func verifyLabelValues(ctx context.Context, truth *blockSet, scope queryScope, reader promstorage.Queryable, q query, name string) error {
	got, err := ask(reader, truth.mint, truth.maxt, func(querier promstorage.Querier) ([]string, error) {
		values, _, err := querier.LabelValues(ctx, name, nil, q.matchers...)
		return values, err
	})
	if err != nil {
		return err
	}
	if len(q.matchers) > 0 {
		// The reference reader returns "" for a matching series without the label; the TSDB does not.
		got = slices.DeleteFunc(got, func(v string) bool { return v == "" })
	}
	must := map[string]bool{}
	for _, s := range scope.live {
		if v := s.labels.Get(name); v != "" && q.selects(s.labels) {
			must[v] = true
		}
	}
	source, err := truth.querier(truth.mint, truth.maxt)
	if err != nil {
		return err
	}
	defer source.Close()
	may, _, err := source.LabelValues(ctx, name, nil, q.matchers...)
	if err != nil {
		return fmt.Errorf("the block's querier: %w", err)
	}
	slices.Sort(may)
	return between(got, sortedKeys(must), may)
}

func sortedKeys(set map[string]bool) []string {
	keys := make([]string, 0, len(set))
	for key := range set {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
