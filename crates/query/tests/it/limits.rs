//! Limits fail before what they limit is read, in the words that users know.

use std::num::NonZeroU64;

use prometheus_model::{Labels, Sample, TimeRange, Value};
use prometheus_queryable::{ErrorKind, LabelHints, Matcher, Queryable as _, SelectHints};
use promparquet_convert::Options as ConvertOptions;
use promparquet_query::{Explain, Limits, Options, Stage};

use crate::shards::{NAME, collect, converted, queryable, runtime};

fn series() -> Vec<(Labels, Vec<Sample>)> {
    let samples: Vec<_> =
        (0..200).map(|t| Sample { timestamp: t * 1000, start_timestamp: 0, value: Value::Float(t as f64) }).collect();
    let mut series: Vec<_> = (0..20)
        .map(|i| {
            let i = i.to_string();
            (Labels::from_pairs([("__name__", "up"), ("i", i.as_str())]).unwrap(), samples.clone())
        })
        .collect();
    series.sort_by(|a, b| a.0.cmp(&b.0));
    series
}

#[test]
fn each_limit() {
    let exactly = |n| NonZeroU64::new(n);
    type Set = fn(&mut Limits, Option<NonZeroU64>);
    let cases: [(Set, u64, &str, &[Stage]); 4] = [
        (|l, n| l.rows = n, 20, "would fetch too many rows: resource exhausted (used 19)", &[Stage::Search]),
        (|l, n| l.series = n, 20, "the query hit the max number of series limit (limit: 19 series)", &[Stage::Search]),
        (
            |l, n| l.samples = n,
            4000,
            "query processing would load too many samples into memory in query execution (limit: 3999 samples)",
            &[Stage::Search, Stage::Labels, Stage::Chunks],
        ),
        (|l, n| l.shards = n, 2, "the query would read 2 shards (limit: 1 shards)", &[]),
    ];
    runtime().block_on(async {
        let mut layout = ConvertOptions::default();
        layout.name = NAME.into();
        layout.row_group_rows = std::num::NonZeroU32::new(10).unwrap();
        let one = converted(series(), layout.clone()).await;
        layout.row_groups_per_shard = std::num::NonZeroU32::new(1);
        let two = converted(series(), layout).await;
        assert_eq!((one.len(), two.len()), (1, 2));
        let matchers = [Matcher::equal("__name__", "up")];
        let ask = async |set: Set, limit| {
            let mut options = Options::default();
            set(&mut options.limits, limit);
            let shards = if options.limits.shards.is_some() { &two } else { &one };
            let querier = queryable(shards.clone(), options).parquet_querier(TimeRange::ALL).await.unwrap();
            let explain = Explain::default();
            let set = querier.select_explained(&matchers, &SelectHints::new(TimeRange::ALL), &explain);
            let result = match set {
                Ok(set) => collect(set).await,
                Err(error) => Err(error),
            };
            (result, explain)
        };
        for (set, used, text, stages) in cases {
            let (result, _) = ask(set, exactly(used)).await;
            assert_eq!(result.unwrap().len(), 20, "{text}");
            let (result, explain) = ask(set, exactly(used - 1)).await;
            let error = result.unwrap_err();
            assert_eq!((error.kind(), error.to_string()), (ErrorKind::LimitExceeded, text.to_owned()));
            for read in explain.shards().iter().flat_map(|shard| &shard.reads) {
                assert!(stages.contains(&read.stage), "{text}: {read:?}");
            }
        }
        // Bytes: what a select takes is enough, one less is not.
        let cases: [(Set, &str); 2] =
            [(|l, n| l.chunk_bytes = n, "chunk bytes"), (|l, n| l.data_bytes = n, "data bytes")];
        for (set, what) in cases {
            let (mut fails, mut passes) = (1_u64, 1_u64 << 20);
            while passes - fails > 1 {
                let middle = fails.midpoint(passes);
                let passed = ask(set, exactly(middle)).await.0.is_ok();
                if passed { passes = middle } else { fails = middle }
            }
            let (result, explain) = ask(set, exactly(passes)).await;
            result.unwrap();
            let wanted = |explain: &Explain, stage: Option<Stage>| -> u64 {
                let shards = explain.shards();
                let reads = shards.iter().flat_map(|shard| &shard.reads);
                reads.filter(|read| stage.is_none_or(|stage| stage == read.stage)).map(|read| read.wanted_bytes).sum()
            };
            if what == "chunk bytes" {
                assert_eq!(passes, wanted(&explain, Some(Stage::Chunks)));
            } else {
                assert!(passes >= wanted(&explain, None), "{passes} {explain:?}");
            }
            let (result, explain) = ask(set, exactly(fails)).await;
            let text = format!("would fetch too many {what}: resource exhausted (used {fails})");
            assert_eq!(result.unwrap_err().to_string(), text);
            assert_eq!(wanted(&explain, Some(Stage::Chunks)), 0, "{what}: chunks were read in spite of the limit");
        }
        // Questions for labels have bounds of their own.
        for (values, names) in [(19, 20), (20, 19)] {
            let mut options = Options::default();
            options.limits.rows = exactly(1);
            (options.limits.label_value_rows, options.limits.label_name_rows) = (exactly(values), exactly(names));
            let querier = queryable(two.clone(), options).querier(TimeRange::ALL).await.unwrap();
            let kind = |answer: prometheus_queryable::Result<_>| answer.err().map(|error| error.kind());
            let hints = LabelHints::default();
            let exceeded = |limit| (limit < 20).then_some(ErrorKind::LimitExceeded);
            assert_eq!(kind(querier.label_values("i", &matchers, &hints).await), exceeded(values));
            assert_eq!(kind(querier.label_names(&matchers, &hints).await), exceeded(names));
            assert_eq!(querier.label_values("i", &[], &hints).await.unwrap().strings.len(), 20);
        }
    });
}
