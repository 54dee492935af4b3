//! Questions to a shard whose files are damaged.
//!
//! ```text
//! input    = question(u8) shard                   shard: as the input of the target `shard_pages`
//! question = bits 0-3: which matchers; bit 4: labels only; bit 5: which label's values; bit 6: small windows
//! ```
//!
//! Checksums of pages are computed anew.
//!
//! Holds: questions have an answer or an error that says that the shard is at fault; series and strings ascend. Where a scan
//! finds the shard good, a select without pruning gives the series that the scan does of which the matchers hold, and
//! names and values are those of these series. Pruning believes bounds and filters, which nothing checks.

use std::{
    collections::BTreeSet,
    num::{NonZeroU32, NonZeroU64},
    sync::{Arc, OnceLock},
};

use prometheus_model::{Labels, TimeRange};
use prometheus_queryable::{ErrorKind, LabelHints, MatchOp, Matcher, Querier, Queryable, Result, SelectHints};
use promparquet_query::{Options, ParquetQueryable, Pruning, RowRanges};
use promparquet_shard::{ScanOptions, Shard};
use tokio::runtime::{Builder, Runtime};

use crate::shard::{self, Files, MOST_ROWS};

const MATCHERS: &[&[(&str, MatchOp, &str)]] = &[
    &[],
    &[("__name__", MatchOp::Equal, "up")],
    &[("__name__", MatchOp::Regex, ".+")],
    &[("__name__", MatchOp::NotEqual, ""), ("job", MatchOp::NotRegex, "a.*")],
    &[("job", MatchOp::Regex, "a|b|"), ("a", MatchOp::NotEqual, "1")],
    &[("__name__", MatchOp::Regex, ".*[a-m].*"), ("instance", MatchOp::Equal, "")],
    &[("a", MatchOp::Regex, "[0-9]+"), ("b", MatchOp::Regex, ".*"), ("job", MatchOp::Equal, "a")],
    &[("pod", MatchOp::NotRegex, "x|y")],
    &[("instance", MatchOp::Regex, ".*0")],
    &[("job", MatchOp::Equal, "")],
    &[("job", MatchOp::NotEqual, "")],
    &[("__name__", MatchOp::Regex, "u.*"), ("__name__", MatchOp::NotEqual, "up")],
    &[("__name__", MatchOp::Equal, "no such name")],
    &[("__name__", MatchOp::Regex, "up|no such name|"), ("job", MatchOp::Regex, ".+")],
    &[("no such label", MatchOp::Equal, "")],
    &[("no such label", MatchOp::NotEqual, "")],
];

pub(crate) fn run(input: &[u8]) {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let Some((&question, rest)) = input.split_first() else { return };
    let Some(mut files) = Files::split(rest) else { return };
    let Ok(shard) = files.open() else { return };
    files.fix(&shard);
    let shard = files.open().expect("opening reads no pages");
    if shard.rows() > MOST_ROWS as u64 {
        return;
    }
    let (rows, result) = shard::scan(&shard, ScanOptions { cells: false, ..ScanOptions::default() });
    let rows = result.ok().map(|()| rows.into_iter().map(|row| row.labels).collect::<Vec<_>>());
    let shard = Arc::new(shard);
    let runtime = RUNTIME.get_or_init(|| Builder::new_current_thread().build().expect("a runtime"));
    for pruning in [Pruning::NONE, Pruning::default()] {
        let truth = rows.as_deref().filter(|_| pruning == Pruning::NONE);
        if let Err(error) = runtime.block_on(ask(question, &shard, pruning, truth)) {
            let expected = [ErrorKind::Corrupt, ErrorKind::Unsupported, ErrorKind::LimitExceeded];
            assert!(expected.contains(&error.kind()) && !error.to_string().is_empty(), "{error}");
        }
    }
}

async fn ask(question: u8, shard: &Arc<Shard>, pruning: Pruning, rows: Option<&[Labels]>) -> Result<()> {
    let mut options = Options::default();
    options.pruning = pruning;
    if question & 64 != 0 {
        options.window_bytes = NonZeroU64::MIN;
        options.window_series = NonZeroU32::MIN;
    }
    let store = ParquetQueryable::new(Arc::new(vec![Arc::clone(shard)]), options);
    let matchers = MATCHERS.get(usize::from(question & 15)).copied().unwrap_or_default();
    let matchers: Vec<_> =
        matchers.iter().map(|(name, op, value)| Matcher::new(*name, *op, *value)).collect::<Result<_>>()?;
    let querier = store.querier(TimeRange::ALL).await?;
    // Shards that claim a range without any time have no answer.
    let data = shard.data_columns();
    let is_asked = TimeRange::ALL.overlaps_closed(data.min_time(), data.max_time());
    let fitting: Option<BTreeSet<&Labels>> = rows.filter(|_| is_asked).map(|rows| {
        rows.iter().filter(|labels| matchers.iter().all(|matcher| matcher.matches_labels(labels))).collect()
    });
    let labels_only = question & 16 != 0;

    // Each question, whatever became of the others.
    let select = select(&*querier, &matchers, labels_only).await;
    if let (Some(fitting), true) =
        (&fitting, labels_only && TimeRange::ALL.contains_closed(data.min_time(), data.max_time()))
    {
        let found = select.as_ref().expect("a scan was possible").iter().collect::<BTreeSet<_>>();
        assert_eq!(&found, fitting);
    }
    let names = querier.label_names(&matchers, &LabelHints::default()).await.map(|names| names.strings);
    let name = if question & 32 == 0 { "__name__" } else { "job" };
    let values = querier.label_values(name, &matchers, &LabelHints::default()).await.map(|values| values.strings);
    for strings in [&names, &values].into_iter().flatten() {
        assert!(strings.is_sorted_by(|a, b| a < b) && strings.iter().all(|s| !s.is_empty()), "{strings:?}");
    }
    if let (Some(fitting), false) = (&fitting, matchers.is_empty()) {
        let expected: BTreeSet<_> = fitting.iter().filter_map(|labels| labels.get(name)).collect();
        assert!(values.as_ref().expect("a scan was possible").iter().eq(expected), "{values:?}");
    }
    select.map(drop).and(names.map(drop)).and(values.map(drop))
}

async fn select(querier: &dyn Querier, matchers: &[Matcher], labels_only: bool) -> Result<Vec<Labels>> {
    let hints = SelectHints { series_only: labels_only, ..SelectHints::new(TimeRange::ALL) };
    let mut set = querier.select(matchers, &hints).await?;
    let mut all: Vec<Labels> = Vec::new();
    while let Some(batch) = set.next().await? {
        assert!(!batch.is_empty());
        for series in batch {
            assert!(all.last().is_none_or(|last| *last < series.labels), "{} after {:?}", series.labels, all.last());
            drop(series.samples());
            all.push(series.labels);
        }
    }
    Ok(all)
}

/// Sets of rows, by the bits of words.
///
/// ```text
/// input = from(u8) to(u8) length(u8) a b          a, b: a bit for each row; a has so many bytes
/// ```
///
/// Holds: the algebra is that of sets; ranges ascend and do not touch.
pub(crate) fn run_rows(input: &[u8]) {
    let [from, to, length, rest @ ..] = input else { return };
    let Some((a, b)) = rest.split_at_checked(usize::from(*length)) else { return };
    let set = |bits: &[u8]| -> BTreeSet<u32> {
        (0..)
            .zip(bits)
            .flat_map(|(n, byte)| (0..8_u32).filter(move |bit| byte >> bit & 1 != 0).map(move |bit| n * 8 + bit))
            .collect()
    };
    let ranges = |set: &BTreeSet<u32>| {
        let mut rows = RowRanges::default();
        set.iter().for_each(|row| rows.push(*row..row + 1));
        rows
    };
    let (a, b) = (set(a), set(b));
    let (x, y) = (ranges(&a), ranges(&b));
    for (rows, set) in [(&x, &a), (&y, &b)] {
        assert!(rows.iter().eq(set.iter().copied()));
        assert_eq!((rows.count(), rows.is_empty()), (set.len() as u64, set.is_empty()));
        assert!(rows.ranges().iter().all(|range| range.start < range.end));
        assert!(rows.ranges().array_windows().all(|[p, q]| p.end < q.start));
    }
    assert_eq!(x.intersect(&y), ranges(&(&a & &b)));
    assert_eq!(x.union(&y), ranges(&(&a | &b)));
    assert_eq!(x.without(&y), ranges(&(&a - &b)));
    assert_eq!(x.without(&y).union(&x.intersect(&y)), x);
    let window = u32::from(*from) * 4..u32::from(*to) * 4;
    assert!(x.within(window.clone()).flatten().eq(a.iter().copied().filter(|row| window.contains(row))));
}
