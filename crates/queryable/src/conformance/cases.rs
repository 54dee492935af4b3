//! Questions whose answers are known.

use std::num::{NonZeroU64, NonZeroUsize};

use prometheus_model::TimeRange;

use super::{
    EPOCH, Failure, Options, SeriesList, Verdict,
    corpus::STEP,
    demand,
    question::{Ask, Question, collect},
};
use crate::{
    error::ErrorKind,
    hints::{Grouping, LabelHints, Projection, SelectHints, Sharding},
    matcher::{MatchOp, Matcher},
    querier::Queryable,
};

type Selector = &'static [(&'static str, MatchOp, &'static str)];

/// Selectors, and how many series of the fixture fit (of those without native histograms and start timestamps).
const SELECTORS: &[(Selector, usize)] = {
    use MatchOp::{Equal, NotEqual, NotRegex, Regex};
    const NAME: &str = "__name__";
    &[
        (&[], 34),
        (&[(NAME, Equal, "up")], 5),
        (&[(NAME, Equal, "u")], 0),
        (&[(NAME, Equal, "no_such_metric")], 0),
        (&[(NAME, Equal, "up"), ("job", Equal, "api")], 2),
        (&[(NAME, Equal, "up"), ("job", NotEqual, "api")], 3),
        (&[(NAME, Equal, "up"), ("job", Equal, "")], 1),
        (&[(NAME, Equal, "up"), ("job", NotEqual, "")], 4),
        (&[(NAME, Equal, "up"), ("no_such_label", Equal, "")], 5),
        (&[(NAME, Equal, "up"), ("no_such_label", NotEqual, "")], 0),
        (&[(NAME, Equal, "up"), ("no_such_label", NotEqual, "x")], 5),
        (&[(NAME, Equal, "up"), ("job", Regex, ".*")], 5),
        (&[(NAME, Equal, "up"), ("job", Regex, ".+")], 4),
        (&[(NAME, Equal, "up"), ("job", NotRegex, ".*")], 0),
        (&[(NAME, Equal, "up"), ("job", NotRegex, ".+")], 1),
        (&[(NAME, Equal, "up"), ("job", Regex, "")], 1),
        (&[(NAME, Equal, "up"), ("job", NotRegex, "")], 4),
        (&[(NAME, Equal, "up"), ("job", Regex, "|web")], 3),
        (&[(NAME, Equal, "up"), ("job", NotRegex, "|web")], 2),
        (&[(NAME, Equal, "up"), ("job", Regex, "api|web|other")], 4),
        (&[(NAME, Equal, "up"), ("job", NotRegex, "api|web")], 1),
        // Anchored at both ends.
        (&[(NAME, Equal, "up"), ("job", Regex, "ap")], 0),
        (&[(NAME, Equal, "up"), ("job", Regex, "p.*")], 0),
        (&[(NAME, Equal, "up"), ("job", Regex, "a.*")], 2),
        (&[(NAME, Regex, "up.?")], 6),
        (&[(NAME, Regex, ".*")], 34),
        (&[(NAME, Regex, ".+")], 33),
        (&[(NAME, Equal, "")], 1),
        (&[(NAME, NotEqual, "")], 33),
        (&[("job", Equal, "nameless")], 1),
        (&[("job", Regex, ".*e.*")], 3),
        // Several matchers of one label, also such that contradict each other.
        (&[("job", Regex, "a.*|w.*"), ("job", NotEqual, "web")], 2),
        (&[("job", Equal, "api"), ("job", Equal, "web")], 0),
        (&[("job", NotEqual, ""), ("job", Equal, "")], 0),
        (&[("instance", NotEqual, "a"), ("instance", NotEqual, "b")], 32),
        // Only matchers that series without the label fit, too.
        (&[("code", NotRegex, "2..|4.."), ("job", Equal, "")], 19),
        (&[(NAME, Equal, "http_requests_total"), ("code", Regex, "5..")], 10),
        (&[(NAME, Equal, "http_requests_total"), ("code", Regex, "500|503|600")], 10),
        (&[(NAME, Equal, "http_requests_total"), ("path", Equal, "/a.b")], 4),
        (&[(NAME, Equal, "http_requests_total"), ("path", Regex, "/a.b")], 16),
        (&[(NAME, Equal, "http_requests_total"), ("path", Regex, r"/a\.b")], 4),
        (&[(NAME, Equal, "http_requests_total"), ("path", NotRegex, r"/a[+.]b"), ("code", Equal, "200")], 3),
        (&[("http.status", Equal, "ok")], 1),
        (&[("café", Regex, "(?s)naïve.*")], 1),
        (&[(NAME, Regex, "名.*")], 1),
        (&[("Zone", NotEqual, "")], 1),
        (&[("value", Regex, "(long)+x")], 1),
        (&[("value", Regex, "(long)+")], 1),
        (&[("value", Regex, "long.*[xy]")], 2),
    ]
};

fn matcher(name: &str, op: MatchOp, value: &str) -> Result<Matcher, Failure> {
    Matcher::new(name, op, value)
        .map_err(|e| Failure { question: format!("{name}{op}{value:?}"), complaint: e.to_string() })
}

fn range(start: i64, end: i64) -> TimeRange {
    TimeRange::new(start, end).unwrap_or(TimeRange::ALL)
}

/// A store without series.
pub(super) async fn empty(store: &dyn Queryable, options: &Options) -> Result<(), Failure> {
    let series = SeriesList::new();
    for matchers in [vec![], vec![Matcher::equal("a", "")], vec![Matcher::equal("a", "b")]] {
        for ask in [
            Ask::Select(SelectHints::new(TimeRange::ALL)),
            Ask::Select(SelectHints::series_only(TimeRange::ALL)),
            Ask::Names(LabelHints::default()),
            Ask::Values("a".into(), LabelHints::default()),
        ] {
            put(Question { range: TimeRange::ALL, matchers: matchers.clone(), ask }, store, options, &series).await?;
        }
    }
    Ok(())
}

/// Puts a question about the fixture.
async fn put(question: Question, store: &dyn Queryable, options: &Options, series: &SeriesList) -> Result<(), Failure> {
    let verdict = question.put(store, options, series).await;
    verdict.map_err(|complaint| Failure { question: question.to_string(), complaint })
}

/// The store of the fixture.
pub(super) async fn known(store: &dyn Queryable, options: &Options, series: SeriesList) -> Result<(), Failure> {
    let more = series.len().saturating_sub(34);
    for (selector, fitting) in SELECTORS {
        let matchers: Vec<_> = selector.iter().map(|(n, op, v)| matcher(n, *op, v)).collect::<Result<_, _>>()?;
        // Series with native histograms and start timestamps fit only what is not about their two labels.
        let fits = |(labels, _): &&(_, _)| matchers.iter().all(|m| m.matches_labels(labels));
        let count = series.iter().filter(fits).count();
        let question = Question { range: TimeRange::ALL, matchers, ask: Ask::Select(SelectHints::new(TimeRange::ALL)) };
        if count != *fitting && count != fitting + more {
            let complaint = format!("{count} series fit by the matchers' own word, not {fitting}");
            return Err(Failure { question: question.to_string(), complaint });
        }
        let matchers = question.matchers.clone();
        put(question, store, options, &series).await?;
        for ask in [
            Ask::Select(SelectHints::series_only(TimeRange::ALL)),
            Ask::Names(LabelHints::default()),
            Ask::Values("__name__".into(), LabelHints::default()),
            Ask::Values("job".into(), LabelHints::default()),
            Ask::Values("path".into(), LabelHints { limit: NonZeroUsize::new(2) }),
        ] {
            put(Question { range: TimeRange::ALL, matchers: matchers.clone(), ask }, store, options, &series).await?;
        }
    }
    times(store, options, &series).await?;
    hints(store, options, &series).await?;
    behaviour(store, options, &series).await
}

/// Ranges, of queriers and of selects.
async fn times(store: &dyn Queryable, options: &Options, series: &SeriesList) -> Result<(), Failure> {
    let hour = 3_600_000;
    let ranges = [
        TimeRange::ALL,
        range(EPOCH, EPOCH + 2 * hour),
        // One sample each, and none just before and after it.
        range(EPOCH, EPOCH + 1),
        range(EPOCH - 1, EPOCH),
        range(EPOCH + STEP - 1, EPOCH + STEP),
        range(EPOCH + STEP, EPOCH + STEP + 1),
        range(EPOCH + STEP + 1, EPOCH + STEP + 2),
        // Inside of chunks, across them, and between samples.
        range(EPOCH + 10 * STEP, EPOCH + 17 * STEP),
        range(EPOCH + 100 * STEP + 7, EPOCH + 250 * STEP),
        range(EPOCH + hour, EPOCH + hour + STEP),
        range(EPOCH + 6_000_000, EPOCH + 8_000_000),
        range(EPOCH + 2 * hour - 1, EPOCH + 2 * hour),
        // Nothing.
        range(EPOCH - 10 * hour, EPOCH - hour),
        range(EPOCH + 2 * hour, EPOCH + 3 * hour),
        range(i64::MIN, i64::MIN + 1),
        range(i64::MAX - 1, i64::MAX),
    ];
    for querier in ranges {
        for select in ranges {
            for ask in [Ask::Select(SelectHints::new(select)), Ask::Select(SelectHints::series_only(select))] {
                put(Question { range: querier, matchers: vec![], ask }, store, options, series).await?;
            }
        }
        for ask in [Ask::Names(LabelHints::default()), Ask::Values("job".into(), LabelHints::default())] {
            put(Question { range: querier, matchers: vec![], ask }, store, options, series).await?;
        }
    }
    // A store knows the times of its chunks: in years without any there are no series.
    let before = range(0, 1_000_000);
    let verdict = async {
        let querier = store.querier(TimeRange::ALL).await.map_err(|e| e.to_string())?;
        let set = querier.select(&[], &SelectHints::series_only(before)).await;
        let found = collect(&mut *set.map_err(|e| e.to_string())?).await?;
        demand!(found.is_empty(), "{} series", found.len());
        Ok(())
    };
    verdict.await.map_err(|complaint| Failure { question: format!("series without samples in {before:?}"), complaint })
}

async fn hints(store: &dyn Queryable, options: &Options, series: &SeriesList) -> Result<(), Failure> {
    let plain = SelectHints::new(TimeRange::ALL);
    let mut all = Vec::new();
    for count in [1, 2, 3, 16] {
        let count = NonZeroU64::new(count).unwrap_or(NonZeroU64::MIN);
        let parts = (0..count.get()).map(|index| Sharding { index, count });
        all.extend(parts.map(|part| SelectHints { sharding: Some(part), ..plain.clone() }));
    }
    for labels in [&["__name__"][..], &[], &["job"], &["__name__", "code", "http.status", "no_such_label"], &["Zone"]] {
        let labels = || labels.iter().map(|name| (*name).to_owned()).collect();
        for projection in [Projection::Include(labels()), Projection::Exclude(labels())] {
            all.push(SelectHints { projection: Some(projection.clone()), ..plain.clone() });
            all.push(SelectHints { projection: Some(projection), series_only: true, ..plain.clone() });
        }
    }
    all.extend([1, 2, 7, 33, 1000].map(|limit| SelectHints { limit: NonZeroUsize::new(limit), ..plain.clone() }));
    // What engines say besides must not change anything.
    all.push(SelectHints {
        step_ms: 60_000,
        function: Some(if options.counters_as_scraped { "rate" } else { "delta" }.into()),
        grouping: Some(Grouping { labels: vec!["job".into()], without: true }),
        selector_range_ms: 300_000,
        ..plain.clone()
    });
    for hints in all {
        for matchers in [vec![], vec![Matcher::equal("__name__", "http_requests_total")]] {
            let ask = Ask::Select(hints.clone());
            put(Question { range: TimeRange::ALL, matchers, ask }, store, options, series).await?;
        }
    }
    for limit in [1, 2, 5, 1000] {
        let hints = LabelHints { limit: NonZeroUsize::new(limit) };
        let selective = vec![Matcher::equal("__name__", "up")];
        for ask in [Ask::Names(hints), Ask::Values("__name__".into(), hints), Ask::Values("job".into(), hints)] {
            let matchers = if limit % 2 == 0 { selective.clone() } else { vec![] };
            put(Question { range: TimeRange::ALL, matchers, ask }, store, options, series).await?;
        }
    }
    for name in ["no_such_label", "", "café"] {
        let ask = Ask::Values(name.into(), LabelHints::default());
        put(Question { range: TimeRange::ALL, matchers: vec![], ask }, store, options, series).await?;
    }
    Ok(())
}

/// Sets that are dropped early, read side by side, and outlive their querier.
async fn behaviour(store: &dyn Queryable, options: &Options, series: &SeriesList) -> Result<(), Failure> {
    let hints = SelectHints::new(TimeRange::ALL);
    let verdict = async {
        let failed = |e: crate::Error| e.to_string();
        let querier = store.querier(TimeRange::ALL).await.map_err(failed)?;
        drop(querier.select(&[], &hints).await.map_err(failed)?);
        let mut set = querier.select(&[], &hints).await.map_err(failed)?;
        set.next().await.map_err(failed)?;
        drop(set);

        let wrong = Matcher::new("job", MatchOp::Regex, "(").err().map(|e| e.kind());
        demand!(wrong == Some(ErrorKind::Invalid), "a broken regular expression gives {wrong:?}");

        let mut left = querier.select(&[], &hints).await.map_err(failed)?;
        let mut right = querier.select(&[], &hints).await.map_err(failed)?;
        drop(querier);
        let (mut of_left, mut of_right) = (Vec::new(), Vec::new());
        loop {
            let (l, r) = (left.next().await.map_err(failed)?, right.next().await.map_err(failed)?);
            if l.is_none() && r.is_none() {
                break;
            }
            of_left.extend(l.into_iter().flatten().map(|s| s.labels));
            of_right.extend(r.into_iter().flatten().map(|s| s.labels));
        }
        demand!(of_left == of_right, "two sets side by side differ");
        demand!(of_left.len() == series.len(), "{} series instead of {}", of_left.len(), series.len());
        Ok(()) as Verdict
    };
    verdict.await.map_err(|complaint| Failure { question: "several sets of one querier".into(), complaint })?;
    let ask = Ask::Select(hints.clone());
    put(Question { range: TimeRange::ALL, matchers: vec![], ask }, store, options, series).await
}
