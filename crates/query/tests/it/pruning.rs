//! Pruning never changes an answer.

use std::{
    num::{NonZeroU32, NonZeroU64},
    sync::{Arc, OnceLock},
};

use prometheus_model::{Sample, TimeRange};
use prometheus_queryable::{MatchOp, MemoryQueryable, SelectHints};
use promparquet_convert::Options as ConvertOptions;
use promparquet_query::{Options, Pruning, ReadCosts};
use promparquet_shard::{Coalescing, Shard};
use promparquet_testkit::blocks::{BlockSpec, canonical};
use proptest::prelude::*;

use crate::shards::{NAME, convert_block, matcher, memory_bucket, open_all, queryable, runtime, select};

struct Store {
    runtime: tokio::runtime::Runtime,
    layouts: Vec<Vec<Arc<Shard>>>,
    memory: MemoryQueryable,
    labels: Vec<(String, String)>,
    range: TimeRange,
}

/// A generated block, in several layouts.
fn store() -> &'static Store {
    static STORE: OnceLock<Store> = OnceLock::new();
    STORE.get_or_init(|| {
        let runtime = runtime();
        let spec =
            BlockSpec::new(300).duration_ms(3_600_000).interval_ms(60_000).odd_series(true).native_histograms(0.1);
        let dir = tempfile::tempdir().unwrap();
        let block = spec.write(dir.path()).unwrap();
        let layouts = runtime.block_on(async {
            let mut layouts = Vec::new();
            for (sort, page_bytes, row_group_rows) in
                [("__name__", 512, 1 << 20), ("pod", 300, 70), ("__name__", 1 << 18, 64)]
            {
                let bucket = memory_bucket();
                let mut options = ConvertOptions::default();
                options.sort_labels = vec![sort.into()];
                options.bloom_filter_labels = vec!["__name__".into(), "pod".into(), "namespace".into()];
                options.page_bytes = NonZeroU32::new(page_bytes).unwrap();
                options.chunk_page_bytes = NonZeroU32::new(4096).unwrap();
                options.row_group_rows = NonZeroU32::new(row_group_rows).unwrap();
                options.data_column_duration_ms = NonZeroU64::new(1_200_000).unwrap();
                convert_block(&bucket, &block, options).await;
                layouts.push(open_all(&bucket, NAME).await);
            }
            layouts
        });
        let series: Vec<_> = spec.oracle().filter(|(_, samples)| !samples.is_empty()).collect();
        let mut labels: Vec<_> = series
            .iter()
            .flat_map(|(labels, _)| labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect::<Vec<_>>())
            .collect();
        labels.sort();
        labels.dedup();
        let times = series.iter().flat_map(|(_, samples)| samples.iter().map(|s| s.timestamp));
        let (min, max) = times.fold((i64::MAX, i64::MIN), |(min, max), t| (min.min(t), max.max(t)));
        let memory = MemoryQueryable::new(series).unwrap();
        Store { runtime, layouts, memory, labels, range: TimeRange::new(min, max + 1).unwrap() }
    })
}

#[derive(Clone, Debug)]
struct Condition {
    label: prop::sample::Index,
    other: prop::sample::Index,
    kind: usize,
    op: usize,
}

prop_compose! {
    fn condition()(label: prop::sample::Index, other: prop::sample::Index, kind in 0_usize..9, op in 0_usize..4) -> Condition {
        Condition { label, other, kind, op }
    }
}

fn of(condition: &Condition, labels: &[(String, String)]) -> prometheus_queryable::Matcher {
    let (name, value) = condition.label.get(labels);
    let quote = |value: &str| {
        value
            .chars()
            .map(|c| if c.is_alphanumeric() { c.to_string() } else { format!("\\x{{{:x}}}", u32::from(c)) })
            .collect::<String>()
    };
    let cut = value.char_indices().nth(value.chars().count() / 2).map_or("", |(at, _)| &value[..at]);
    let other = &condition.other.get(labels).1;
    let (is_regex, text) = match condition.kind {
        0 | 1 => (false, value.clone()),
        2 => (false, String::new()),
        3 => (true, format!("{}.*", quote(cut))),
        4 => (true, format!("{}|{}", quote(value), quote(other))),
        5 => (true, ".+".into()),
        6 => (true, format!(".*{}", quote(&value[cut.len()..]))),
        7 => (true, format!("|{}", quote(value))),
        _ => (false, "no such value".into()),
    };
    let op = match (is_regex, condition.op == 0) {
        (true, false) => MatchOp::Regex,
        (true, true) => MatchOp::NotRegex,
        (false, false) => MatchOp::Equal,
        (false, true) => MatchOp::NotEqual,
    };
    let name = if condition.kind == 8 && condition.op > 1 { "no_such_label" } else { name };
    matcher(name, op, &text)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn all_pruning_and_none_and_memory_agree(
        conditions in prop::collection::vec(condition(), 0..4), from in 0.0..1.2_f64, length in 0.0..1.2_f64,
        layout in 0_usize..3, round_trip_bytes in prop::sample::select(vec![0_u64, 2000, 1 << 20]), series_only: bool,
    ) {
        let store = store();
        let matchers: Vec<_> = conditions.iter().map(|c| of(c, &store.labels)).collect();
        let span = store.range.duration_ms() as f64;
        let start = store.range.start() - 600_000 + (from * span) as i64;
        let mut hints = SelectHints::new(TimeRange::new(start, start + 1 + (length * span) as i64).unwrap());
        hints.series_only = series_only;
        if series_only {
            // Whether chunks reach into a part of the range is the store's own affair.
            hints.range = TimeRange::ALL;
        }
        let mut pruned = Options::default();
        pruned.read_costs = Some(ReadCosts { coalescing: Coalescing::LOCAL, round_trip_bytes });
        pruned.window_bytes = NonZeroU64::new(20_000).unwrap();
        let mut plain = Options::default();
        plain.pruning = Pruning::NONE;
        let shards = &store.layouts[layout];
        store.runtime.block_on(async {
            let expected = select(&store.memory, &matchers, &hints).await.unwrap();
            let a = select(&queryable(shards.clone(), pruned), &matchers, &hints).await.unwrap();
            let b = select(&queryable(shards.clone(), plain), &matchers, &hints).await.unwrap();
            let names = |series: &crate::shards::Series| series.keys().map(ToString::to_string).collect::<Vec<_>>();
            prop_assert_eq!(names(&a), names(&expected), "{:?}", matchers);
            prop_assert_eq!(names(&b), names(&expected), "{:?}", matchers);
            if !series_only {
                let same = |a: &[Sample], b: &[Sample]| {
                    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| canonical(a.clone()) == canonical(b.clone()))
                };
                for (labels, samples) in &expected {
                    prop_assert!(same(&a[labels], samples), "{labels}");
                    prop_assert!(same(&b[labels], samples), "{labels}, without pruning");
                }
            }
            Ok(())
        })?;
    }
}
