//! Days as thanos-parquet-gateway lays them out: the conformance suite, and chunks that reach over columns and days.

use std::sync::Arc;

use prometheus_model::{Labels, Sample, TimeRange, Value};
use prometheus_queryable::{
    LabelHints, Matcher, Projection, Queryable, SelectHints,
    conformance::{self, check},
};
use promparquet_objstore::Bucket;
use promparquet_query::{Options, Pruning};
use promparquet_schema::{
    Layout,
    day::{self, DayMeta},
};
use promparquet_shard::{ErrorKind, Limits, OpenOptions, Shard};
use promparquet_testkit::days::{DayOptions, stream};
use proptest::prelude::*;

use crate::shards::{Series, memory_bucket, queryable, runtime, select};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// Writes the days and opens their shards.
async fn days(series: &[(Labels, Vec<Sample>)], options: &DayOptions) -> (Bucket, Vec<Arc<Shard>>) {
    let bucket = memory_bucket();
    let objects = stream(series, &Labels::default(), options);
    let mut shards = Vec::new();
    for (key, bytes) in &objects {
        bucket.put(key, bytes.clone()).await.unwrap();
    }
    for (key, bytes) in &objects {
        let Some(date) = key.strip_suffix("/meta.pb") else { continue };
        let meta = DayMeta::decode(bytes, day::start_of_directory(date).unwrap()).unwrap();
        for index in 0..meta.shards {
            let options = OpenOptions { layout: Layout::Day(meta.day), ..OpenOptions::default() };
            let shard = Shard::open_with(&bucket, &format!("0/{date}"), index, options).await.unwrap();
            shards.push(Arc::new(shard));
        }
    }
    (bucket, shards)
}

fn conforms(seed: u64, days_options: &DayOptions, query: Options) {
    let options = conformance::Options {
        seed,
        stores: 4,
        questions: 40,
        start_timestamps: false,
        ..conformance::Options::default()
    };
    let result = runtime().block_on(check(&options, async |series| {
        let (_, shards) = days(&series, days_options).await;
        Box::new(queryable(shards, query)) as Box<dyn Queryable>
    }));
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn conforms_in_version_2() {
    conforms(1, &DayOptions::default(), Options::default());
    let small = DayOptions { row_group_rows: 7, shard_rows: 20, page_rows: 2, ..DayOptions::default() };
    conforms(2, &small, Options::default());
}

#[test]
fn conforms_in_version_1_without_pruning() {
    let mut query = Options::default();
    query.pruning = Pruning::NONE;
    conforms(3, &DayOptions { version: 1, sort_label: "job".into(), page_rows: 3, ..DayOptions::default() }, query);
}

#[test]
fn conforms_in_version_0_without_row_indexes() {
    conforms(4, &DayOptions { version: 0, ..DayOptions::default() }, Options::default());
    conforms(
        5,
        &DayOptions { version: 0, row_group_rows: 5, page_rows: 2, ..DayOptions::default() },
        Options::default(),
    );
}

fn labels(n: usize) -> Labels {
    Labels::from_pairs([("__name__", "m"), ("n", &*n.to_string())]).unwrap()
}

fn float(timestamp: i64) -> Sample {
    Sample { timestamp, start_timestamp: 0, value: Value::Float(timestamp as f64) }
}

/// Gaps between samples that make chunks of minutes and of days, from some time on.
fn series() -> impl Strategy<Value = Vec<(Labels, Vec<Sample>)>> {
    let gap = prop_oneof![8 => Just(HOUR / 60), 4 => Just(HOUR), 1 => 1..9 * HOUR, 1 => Just(8 * HOUR)];
    let samples = (prop_oneof![Just(0), 0..DAY, Just(DAY - HOUR)], prop::collection::vec(gap, 0..150));
    prop::collection::vec(samples, 1..5).prop_map(|all| {
        let of = |(start, gaps): (i64, Vec<i64>)| {
            let mut t = 19_000 * DAY + start;
            let mut samples = vec![float(t)];
            for gap in gaps {
                t += gap;
                samples.push(float(t));
            }
            samples
        };
        (0..).map(labels).zip(all.into_iter().map(of)).collect()
    })
}

/// Opens and asks files of which bytes were changed.
async fn ask_damaged(
    files: &[(String, Vec<u8>)],
    version: u32,
    start: i64,
) -> Result<Series, Box<dyn std::error::Error>> {
    let bucket = memory_bucket();
    for (key, bytes) in files {
        bucket.put(key, bytes.clone().into()).await?;
    }
    let layout = Layout::Day(day::Day::new(version.into(), start)?);
    let directory = files[0].0.rsplit_once('/').unwrap().0.to_owned();
    let limits = Limits { page_bytes: 1 << 20, scan_bytes: 1 << 20, footer_bytes: 1 << 20, row_group_rows: 1 << 16 };
    let shard =
        Shard::open_with(&bucket, &directory, 0, OpenOptions { layout, limits, ..OpenOptions::default() }).await?;
    let store = queryable(vec![Arc::new(shard)], Options::default());
    Ok(select(&store, &[Matcher::equal("__name__", "m")], &SelectHints::new(TimeRange::ALL)).await?)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Nothing panics, whatever the bytes are.
    #[test]
    fn damage_does_not_panic(
        version in 0_u32..3, of_labels: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), near_end: bool,
    ) {
        let start = 19_000 * DAY;
        let series: Vec<_> = (0..6).map(|n| (labels(n), (0..5).map(|i| float(start + i * HOUR)).collect())).collect();
        let options = DayOptions { version, page_rows: 2, ..DayOptions::default() };
        let mut files: Vec<_> = stream(&series, &Labels::default(), &options)
            .into_iter()
            .filter(|(key, _)| key.contains("2022-01-08/0."))
            .map(|(key, bytes)| (key, bytes.to_vec()))
            .collect();
        prop_assert_eq!(files.len(), 2);
        let file = files.iter_mut().find(|(key, _)| key.contains("labels") == of_labels).unwrap();
        for (index, value) in changes {
            let length = file.1.len();
            // Footers are the smaller part, and the more dangerous one.
            let at = if near_end { length - 1 - index.index(length.min(600)) } else { index.index(length) };
            file.1[at] = value;
        }
        let _ = runtime().block_on(ask_damaged(&files, version, start));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// The oracle is the samples themselves.
    #[test]
    fn every_range_has_its_samples(
        series in series(), version in 0_u32..3, chunk_samples in prop_oneof![Just(120_u16), 1_u16..20],
        ranges in prop::collection::vec((0..60_i64, prop_oneof![Just(1_i64), 1..12 * HOUR, Just(8 * HOUR), Just(48 * HOUR)]), 1..8),
    ) {
        let options = DayOptions { version, chunk_samples, ..DayOptions::default() };
        runtime().block_on(async {
            let (_, shards) = days(&series, &options).await;
            let store = queryable(shards, Options::default());
            for (hour, length) in ranges {
                let start = 19_000 * DAY + hour * HOUR;
                let range = TimeRange::new(start, start + length).unwrap();
                let found = select(&store, &[Matcher::equal("__name__", "m")], &SelectHints::new(range)).await.unwrap();
                let expected = series.iter().filter_map(|(labels, samples)| {
                    let samples: Vec<_> = samples.iter().filter(|s| range.contains(s.timestamp)).cloned().collect();
                    (!samples.is_empty()).then(|| (labels.clone(), samples))
                });
                prop_assert_eq!(found, expected.collect::<Series>(), "{:?} of version {}", range, version);
            }
            Ok(())
        })?;
    }
}

/// Where the Go gateway loses samples: a query that begins in the column after that of the chunk, and the sample of
/// midnight, which it puts before all others.
#[test]
fn chunks_reach_over_columns_and_midnight() {
    let start = 19_000 * DAY;
    // One chunk from 7:00 to 23:30, and one of the next midnight alone.
    let mut samples: Vec<_> = (14..48).map(|n| float(start + n * HOUR / 2)).collect();
    samples.push(float(start + DAY));
    let options = DayOptions { chunk_samples: 34, ..DayOptions::default() };
    let series = [(labels(0), samples.clone())];
    runtime().block_on(async {
        let (_, shards) = days(&series, &options).await;
        assert_eq!(shards.len(), 2);
        for shards in [shards.clone(), shards[..1].to_vec()] {
            let store = queryable(shards, Options::default());
            for (from, to) in [(0, 48), (9, 10), (17, 18), (17, 25), (24, 25), (23, 24)] {
                let range = TimeRange::new(start + from * HOUR, start + to * HOUR).unwrap();
                let found = select(&store, &[], &SelectHints::new(range)).await.unwrap();
                let expected: Vec<_> = samples.iter().filter(|s| range.contains(s.timestamp)).cloned().collect();
                assert!(!expected.is_empty());
                assert_eq!(found.into_values().next().unwrap(), expected, "{from} to {to}");
            }
        }
    });
}

/// Its hash differs between builds, so series are told apart by their labels.
#[test]
fn projections_are_not_honoured() {
    let series = [(labels(0), vec![float(5)]), (labels(1), vec![float(5)])];
    runtime().block_on(async {
        let (_, shards) = days(&series, &DayOptions::default()).await;
        let querier = queryable(shards, Options::default()).querier(TimeRange::ALL).await.unwrap();
        assert!(!querier.honours_projection());
        let mut hints = SelectHints::new(TimeRange::ALL);
        hints.projection = Some(Projection::Include(["__name__".to_owned()].into()));
        let mut set = querier.select(&[], &hints).await.unwrap();
        let found: Vec<_> = set.next().await.unwrap().unwrap().into_iter().map(|series| series.labels).collect();
        assert_eq!(found, [labels(0), labels(1)]);
        let values = querier.label_values("n", &[], &LabelHints::default()).await.unwrap();
        assert_eq!(values.strings, ["0", "1"]);
    });
}

/// A file is read as what `meta.pb` says, or not at all.
#[test]
fn what_is_missing_is_refused() {
    let series = [(labels(0), vec![float(5)])];
    runtime().block_on(async {
        for (written, said) in [(0, 1), (1, 2), (0, 2)] {
            let (bucket, _) = days(&series, &DayOptions { version: written, ..DayOptions::default() }).await;
            let open = |layout| {
                let (bucket, options) = (bucket.clone(), OpenOptions { layout, ..OpenOptions::default() });
                async move { Shard::open_with(&bucket, "0/1970-01-01", 0, options).await }
            };
            let error = open(Layout::Day(day::Day::new(said, 0).unwrap())).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().contains("___cf_meta_"), "{error}");
            assert_eq!(open(Layout::Block).await.unwrap_err().kind(), ErrorKind::Corrupt);
        }
    });
}
