//! Questions to a block whose index is damaged; its chunks are those of `fuzz/seeds/block`.
//!
//! ```text
//! input = question(u8) index                      question: which matchers, hints and windows
//! index = as the input of the target `index`
//! ```
//!
//! Holds: questions have an answer or an error that says that the block is at fault; series and strings ascend.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use prometheus_model::TimeRange;
use prometheus_queryable::{ErrorKind, LabelHints, MatchOp, Matcher, Queryable, Result, SelectHints};
use prometheus_tsdb_block::{BlockFile, MemoryBlock, ReadOptions};
use prometheus_tsdb_query::{BlockQueryOptions, BlockQueryable};
use tokio::runtime::{Builder, Runtime};

use crate::index;

const META: &[u8] =
    br#"{"ulid":"01JGFSEP80VHQAZ8FEAQD9QWMS","minTime":-9000000000000000000,"maxTime":9000000000000000000,"version":1}"#;
const CHUNKS: &[u8] = include_bytes!("../../seeds/block/chunks/000001");

/// Matchers that are looked up, tried, excluded, left for labels; of names that the seeds have.
const MATCHERS: &[&[(&str, MatchOp, &str)]] = &[
    &[],
    &[("__name__", MatchOp::Equal, "up")],
    &[("__name__", MatchOp::Regex, ".+")],
    &[("__name__", MatchOp::NotEqual, ""), ("job", MatchOp::NotRegex, "a.*")],
    &[("job", MatchOp::Regex, "a|b|"), ("a", MatchOp::NotEqual, "1")],
    &[("__name__", MatchOp::Regex, ".*[a-m].*"), ("instance", MatchOp::Equal, "")],
    &[("a", MatchOp::Regex, "[0-9]+"), ("b", MatchOp::Regex, ".*"), ("job", MatchOp::Equal, "a")],
    &[("pod", MatchOp::NotRegex, "x|y")],
];

pub(crate) fn run(input: &[u8]) {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let Some((&question, rest)) = input.split_first() else { return };
    let Some(index) = index::bytes_of(rest) else { return };
    let runtime = RUNTIME.get_or_init(|| Builder::new_current_thread().build().expect("a runtime"));
    if let Err(error) = runtime.block_on(ask(question, index)) {
        let expected = [ErrorKind::Corrupt, ErrorKind::Unsupported, ErrorKind::LimitExceeded];
        assert!(expected.contains(&error.kind()) && !error.to_string().is_empty(), "{error}");
    }
}

async fn ask(question: u8, index: Bytes) -> Result<()> {
    let files = [
        (BlockFile::Meta, Bytes::from_static(META)),
        (BlockFile::Index, index),
        (BlockFile::Segment(0), Bytes::from_static(CHUNKS)),
    ];
    let small = question & 64 != 0;
    let reads = match small {
        true => ReadOptions { max_gap_bytes: 0, max_run_bytes: 100, estimated_bytes: 20 },
        false => ReadOptions::default(),
    };
    let store = BlockQueryable::open_with(Arc::new(MemoryBlock::new("fuzzed", files)), reads).await?;
    let options = BlockQueryOptions::default();
    let window_series = if small { std::num::NonZeroUsize::MIN } else { options.window_series };
    let store = store.with_options(BlockQueryOptions { window_series, ..options });
    let matchers = MATCHERS.get(usize::from(question & 7)).copied().unwrap_or_default();
    let matchers: Vec<_> =
        matchers.iter().map(|(name, op, value)| Matcher::new(*name, *op, *value)).collect::<Result<_>>()?;
    let querier = store.querier(TimeRange::ALL).await?;
    let hints = SelectHints { series_only: question & 8 != 0, ..SelectHints::new(TimeRange::ALL) };

    // Each question, whatever became of the others.
    let select = async {
        let mut set = querier.select(&matchers, &hints).await?;
        let mut last = None;
        while let Some(batch) = set.next().await? {
            assert!(!batch.is_empty());
            for series in batch {
                assert!(last.as_ref().is_none_or(|last| *last < series.labels), "{} after {last:?}", series.labels);
                drop(series.samples());
                last = Some(series.labels);
            }
        }
        Ok(())
    };
    let strings = async {
        let names = querier.label_names(&matchers, &LabelHints::default()).await?.strings;
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
        let name = if question & 32 == 0 { "__name__" } else { "job" };
        let values = querier.label_values(name, &matchers, &LabelHints::default()).await?.strings;
        assert!(values.is_sorted_by(|a, b| a < b) && values.iter().all(|value| !value.is_empty()), "{values:?}");
        Ok(())
    };
    let (select, strings) = (select.await, strings.await);
    select.and(strings)
}
