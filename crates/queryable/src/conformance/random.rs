//! Random stores and random questions. The oracle is in [`Question::put`]: the matchers' own word on every series.

use std::{
    collections::BTreeMap,
    num::{NonZeroU64, NonZeroUsize},
};

use prometheus_model::{Labels, TimeRange};

use super::{
    EPOCH, Failure, Options, SeriesList,
    corpus::{STEP, sample},
    question::{Ask, Question},
};
use crate::{
    hints::{LabelHints, Projection, SelectHints, Sharding},
    matcher::{MatchOp, Matcher},
    querier::Queryable,
};

const NAMES: [&str; 6] = ["__name__", "a", "b", "job", "é.z", "A"];
const VALUES: [&str; 9] = ["a", "b", "ab", "abc", "b.c", "bXc", "é", "\n", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"];
const PATTERNS: [&str; 20] = [
    "",
    ".*",
    ".+",
    "a",
    "a|b",
    "a|",
    "|b|no",
    "a.*",
    ".*c",
    ".*X.*",
    "ab?c?",
    "(a|b).c",
    "[a-b]+",
    "(?i)AB",
    "b.c",
    "b\\.c",
    "[^a].*",
    "a{1,40}b",
    "(a|ab)(c|)",
    "é|ab",
];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number less than `n`, or 0.
    fn below(&mut self, n: u64) -> u64 {
        self.next().checked_rem(n).unwrap_or(0)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from.get(self.below(from.len() as u64) as usize).copied().unwrap_or_default()
    }
}

pub(super) async fn check(
    options: &Options,
    build: impl AsyncFn(SeriesList) -> Box<dyn Queryable>,
) -> Result<(), Failure> {
    for number in 0..options.stores as u64 {
        let seed = options.seed.wrapping_add(number);
        let mut random = Random(seed);
        let series = series(&mut random, options);
        if series.is_empty() && !options.empty {
            continue;
        }
        let store = build(series.clone()).await;
        for _ in 0..options.questions {
            let question = question(&mut random);
            if let Err(complaint) = question.put(&*store, options, &series).await {
                let question = format!("random store (seed {seed}) of {} series, {question}", series.len());
                return Err(Failure { question, complaint });
            }
        }
    }
    Ok(())
}

fn series(random: &mut Random, options: &Options) -> SeriesList {
    let mut all = BTreeMap::new();
    let most = random.below(60);
    for _ in 0..most {
        let mut pairs = BTreeMap::new();
        for _ in 0..random.below(5) {
            pairs.insert(random.pick(&NAMES), random.pick(&VALUES));
        }
        let Ok(labels) = Labels::from_pairs(pairs) else { continue };
        if labels.is_empty() {
            continue;
        }
        let mut t = EPOCH + random.below(100) as i64 * STEP;
        let mut kind = 0;
        let mut start = 0;
        let mut samples = Vec::new();
        for n in 0..1 + random.below(200) {
            if options.native_histograms && random.one_in(40) {
                kind = random.below(3);
            }
            if options.start_timestamps && random.one_in(60) {
                start = if random.one_in(2) { 0 } else { t - random.below(100_000) as i64 };
            }
            let counted = if random.one_in(50) { 0 } else { n };
            samples.push(prometheus_model::Sample { start_timestamp: start, ..sample(kind, t, counted) });
            t += if random.one_in(20) { 1 + random.below(600_000) as i64 } else { STEP };
            if t >= EPOCH + 7_200_000 {
                break;
            }
        }
        all.insert(labels, samples);
    }
    // Not in order: stores may be given series as they come.
    let mut all: Vec<_> = all.into_iter().collect();
    for i in (1..all.len()).rev() {
        all.swap(i, random.below(i as u64 + 1) as usize);
    }
    all
}

fn range(random: &mut Random) -> TimeRange {
    if random.one_in(3) {
        return TimeRange::ALL;
    }
    let t = |random: &mut Random| {
        let t = EPOCH - 600_000 + random.below(560) as i64 * STEP;
        if random.one_in(3) { t + random.below(3) as i64 - 1 } else { t }
    };
    let (a, b) = (t(random), t(random));
    TimeRange::new(a.min(b), a.max(b)).unwrap_or(TimeRange::ALL)
}

fn matcher(random: &mut Random) -> Matcher {
    let name = if random.one_in(10) { "absent" } else { random.pick(&NAMES) };
    let (op, value) = match random.below(4) {
        0 => (MatchOp::Equal, random.pick(&VALUES)),
        1 => (MatchOp::NotEqual, random.pick(&VALUES)),
        2 => (MatchOp::Regex, random.pick(&PATTERNS)),
        _ => (MatchOp::NotRegex, random.pick(&PATTERNS)),
    };
    let value = if random.one_in(8) { "" } else { value };
    // The patterns above are all good.
    Matcher::new(name, op, value).unwrap_or_else(|_| Matcher::equal(name, value))
}

fn question(random: &mut Random) -> Question {
    let range_of_querier = range(random);
    let matchers = (0..random.below(4)).map(|_| matcher(random)).collect();
    let limit = |random: &mut Random| match random.below(4) {
        0 => NonZeroUsize::new(1 + random.below(20) as usize),
        _ => None,
    };
    let ask = match random.below(6) {
        0 => Ask::Names(LabelHints { limit: limit(random) }),
        1 => Ask::Values(random.pick(&NAMES).into(), LabelHints { limit: limit(random) }),
        _ => {
            let mut hints = SelectHints::new(range(random));
            hints.series_only = random.one_in(5);
            if random.one_in(4) {
                let count = NonZeroU64::new(1 + random.below(5)).unwrap_or(NonZeroU64::MIN);
                hints.sharding = Some(Sharding { index: random.below(count.get()), count });
            }
            if random.one_in(4) {
                let labels = (0..random.below(3)).map(|_| random.pick(&NAMES).to_owned()).collect();
                let include = random.one_in(2);
                hints.projection =
                    Some(if include { Projection::Include(labels) } else { Projection::Exclude(labels) });
            }
            hints.limit = limit(random);
            Ask::Select(hints)
        }
    };
    Question { range: range_of_querier, matchers, ask }
}
