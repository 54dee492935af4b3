//! Random questions, of which two stores must give the same answers. All follows from a seed, which failures name.

use std::{collections::BTreeSet, num::NonZeroU64};

use prometheus_model::{Labels, TimeRange};
use prometheus_queryable::{LabelHints, MatchOp, Matcher, Queryable, SelectHints, Sharding, conformance::same_sample};
use promparquet_query::{Options, ParquetQueryable, Pruning};
use promparquet_shard::Shard;

use crate::shards::{Series, matcher, queryable, select};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as usize % n.max(1)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// What questions are made of.
pub(crate) struct Corpus {
    pairs: Vec<(String, String)>,
    names: Vec<String>,
    times: TimeRange,
    /// Whether names and values of labels are compared: some stores know those of deleted series, too.
    pub(crate) strings: bool,
}

impl Corpus {
    pub(crate) fn of<'a>(labels: impl IntoIterator<Item = &'a Labels>, times: TimeRange) -> Self {
        let pairs: BTreeSet<_> = labels
            .into_iter()
            .flat_map(|labels| labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect::<Vec<_>>())
            .collect();
        let names: BTreeSet<_> = pairs.iter().map(|(name, _)| name.clone()).collect();
        Self { pairs: pairs.into_iter().collect(), names: names.into_iter().collect(), times, strings: true }
    }

    pub(crate) fn of_series(series: &Series) -> Self {
        let times = series.values().flatten().map(|sample| sample.timestamp);
        let (min, max) = times.fold((i64::MAX, i64::MIN), |(min, max), t| (min.min(t), max.max(t)));
        Self::of(series.keys(), TimeRange::new(min, max + 1).unwrap())
    }

    fn matcher(&self, random: &mut Random) -> Matcher {
        let (name, value) = random.pick(&self.pairs);
        let quoted = |value: &str| {
            let quote = |c: char| {
                if c.is_alphanumeric() { c.to_string() } else { format!("\\x{{{:x}}}", u32::from(c)) }
            };
            value.chars().map(quote).collect::<String>()
        };
        let cut = value.char_indices().nth(random.below(value.chars().count())).map_or(0, |(at, _)| at);
        let (before, after) = value.split_at(cut);
        let other = &random.pick(&self.pairs).1;
        let (is_regex, text) = match random.below(14) {
            0..=2 => (false, value.clone()),
            3 => (false, String::new()),
            4 => (false, other.clone()),
            5 => (true, format!("{}.*", quoted(before))),
            6 => (true, format!(".*{}", quoted(after))),
            7 => (true, format!(".*{}.*", quoted(after))),
            8 => (true, format!("{}|{}|no such value", quoted(value), quoted(other))),
            9 => (true, format!("|{}", quoted(value))),
            10 => (true, ".+".into()),
            11 => (true, ".*".into()),
            12 => (true, format!("(?i){}", quoted(value))),
            _ => (true, "[a-m].*[0-9]?".into()),
        };
        let op = match (is_regex, random.below(4) == 0) {
            (true, false) => MatchOp::Regex,
            (true, true) => MatchOp::NotRegex,
            (false, false) => MatchOp::Equal,
            (false, true) => MatchOp::NotEqual,
        };
        let name = if random.below(12) == 0 { "no such label" } else { name };
        matcher(name, op, &text)
    }

    /// Matchers that some series fits, as a rule.
    fn matchers(&self, random: &mut Random) -> Vec<Matcher> {
        (0..random.below(4)).map(|_| self.matcher(random)).collect()
    }

    fn range(&self, random: &mut Random) -> TimeRange {
        let span = self.times.end().abs_diff(self.times.start());
        let edge = span / 10 + 1;
        let at = |random: &mut Random| {
            let offset = random.below(usize::try_from(span + 2 * edge).unwrap()) as i64;
            self.times.start() - edge as i64 + offset
        };
        match random.below(4) {
            0 => TimeRange::ALL,
            _ => {
                let (a, b) = (at(random), at(random));
                TimeRange::new(a.min(b), a.max(b).max(a.min(b) + 1)).unwrap()
            }
        }
    }
}

/// Asks both stores `count` questions.
pub(crate) async fn compare(found: &dyn Queryable, expected: &dyn Queryable, corpus: &Corpus, seed: u64, count: usize) {
    let (mut answers, mut series) = (0, 0);
    for number in 0..count {
        let seed = seed.wrapping_mul(1_000_003).wrapping_add(number as u64);
        let random = &mut Random(seed);
        let matchers = corpus.matchers(random);
        let what = format!("seed {seed}: {matchers:?}");
        match random.below(if corpus.strings { 6 } else { 4 }) {
            4 => {
                let ask = async |store: &dyn Queryable| {
                    let querier = store.querier(TimeRange::ALL).await.unwrap();
                    querier.label_names(&matchers, &LabelHints::default()).await.unwrap().strings
                };
                assert_eq!(ask(found).await, ask(expected).await, "names, {what}");
            }
            5 => {
                let name = random.pick(&corpus.names);
                let ask = async |store: &dyn Queryable| {
                    let querier = store.querier(TimeRange::ALL).await.unwrap();
                    querier.label_values(name, &matchers, &LabelHints::default()).await.unwrap().strings
                };
                assert_eq!(ask(found).await, ask(expected).await, "values of {name}, {what}");
            }
            kind => {
                let mut hints = SelectHints::new(corpus.range(random));
                if kind == 0 {
                    let n = NonZeroU64::new(2 + random.below(3) as u64).unwrap();
                    hints.sharding = Some(Sharding { index: random.below(n.get() as usize) as u64, count: n });
                }
                if random.below(6) == 0 {
                    // Whether chunks reach into a part of the range is the store's own affair.
                    hints.series_only = true;
                    hints.range = TimeRange::ALL;
                }
                let what = format!("{what}, {hints:?}");
                let a = select(found, &matchers, &hints).await.unwrap_or_else(|e| panic!("{what}: {e}"));
                let b = select(expected, &matchers, &hints).await.unwrap();
                let names = |series: &Series| series.keys().map(ToString::to_string).collect::<Vec<_>>();
                assert_eq!(names(&a), names(&b), "{what}");
                for (labels, expected) in &b {
                    let found = &a[labels];
                    assert_eq!(found.len(), expected.len(), "{labels}, {what}");
                    for (found, expected) in found.iter().zip(expected) {
                        assert!(same_sample(found, expected, false), "{labels}, {what}: {found:?}, not {expected:?}");
                    }
                }
                answers += usize::from(!b.is_empty());
                series += b.len();
            }
        }
    }
    // Questions without answers prove nothing.
    assert!(answers * 8 > count && series > count, "{answers} answers of {series} series to {count} questions");
}

/// Asks shards, with all pruning and with none, in large windows and in tiny ones.
pub(crate) async fn compare_shards(
    shards: &[std::sync::Arc<Shard>],
    expected: &dyn Queryable,
    corpus: &Corpus,
    seed: u64,
    count: usize,
) {
    let mut small = Options::default();
    small.window_bytes = NonZeroU64::new(5000).unwrap();
    small.window_series = std::num::NonZeroU32::new(3).unwrap();
    let mut plain = Options::default();
    plain.pruning = Pruning::NONE;
    for (number, options) in (0..).zip([Options::default(), small, plain]) {
        let store: ParquetQueryable = queryable(shards.to_vec(), options);
        compare(&store, expected, corpus, seed * 3 + number, count).await;
    }
}
