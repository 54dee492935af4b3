use std::path::Path;

use futures::executor::block_on;
use prometheus_model::{CounterResetHint, FloatHistogram, Histogram, Labels, Sample, Value};

use super::*;
use crate::{
    ErrorKind, MatchOp, MemoryQueryable,
    conformance::{self, Options, SeriesList},
    memory::tests::chunked,
};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

fn float(timestamp: i64, value: f64) -> Sample {
    Sample { timestamp, start_timestamp: 0, value: Value::Float(value) }
}

/// Samples of the vectors: differences in time, `f`, `h` or `H`, and the value or the count as bits.
fn parse(text: &str) -> Vec<Sample> {
    let mut timestamp = 0;
    let sample = |word: &str| {
        let kind = word.find(|c: char| !c.is_ascii_digit()).unwrap();
        timestamp += word[..kind].parse::<i64>().unwrap();
        let count = f64::from_bits(u64::from_str_radix(&word[kind + 1..], 16).unwrap());
        let value = match &word[kind..=kind] {
            "f" => Value::Float(count),
            "h" => Value::Histogram(Box::new(Histogram { count: count as u64, ..Histogram::default() })),
            _ => Value::FloatHistogram(Box::new(FloatHistogram { count, ..FloatHistogram::default() })),
        };
        Sample { timestamp, start_timestamp: 0, value }
    };
    text.split_whitespace().map(sample).collect()
}

#[test]
fn penalty_selects_what_thanos_does() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/dedup/penalty.txt");
    let vectors = std::fs::read_to_string(vectors).unwrap();
    let (mut cases, mut name, mut replicas) = (0, "", Vec::new());
    for line in vectors.lines().filter(|line| !line.starts_with('#')) {
        let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
        match what {
            "case" => (name, replicas) = (rest, Vec::new()),
            "replica" => replicas.push(parse(rest)),
            "penalty" | "rate" => {
                let found = penalty::dedup(replicas.clone(), what == "rate");
                assert_eq!(found, parse(rest), "{name} {what}");
                cases += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(cases, 100);
}

/// Two replicas of a store are the store.
fn conforms(algorithm: DedupAlgorithm, replica: &'static str, chunks: bool) {
    let build = async |series: SeriesList| {
        let mut twice = Vec::new();
        for (labels, samples) in series {
            // A replica without the label is in the same shard as the series that is seen.
            for value in if chunks { &["a", "b", ""][..] } else { &["a", "b"] } {
                let pairs = labels.iter().filter(|(name, _)| *name != replica).chain([(replica, *value)]);
                twice.push((Labels::from_pairs(pairs).unwrap(), samples.clone()));
            }
        }
        let store = match chunks {
            false => MemoryQueryable::new(twice).unwrap(),
            true => MemoryQueryable::from_chunks(twice.into_iter().map(|(l, s)| (l, chunked(&s)))).unwrap(),
        };
        let store = Arc::new(store.with_batch(5.try_into().unwrap()));
        Box::new(DedupQueryable::new(store, [replica], algorithm)) as Box<dyn Queryable>
    };
    block_on(conformance::check(
        &Options { seed: 3, counters_as_scraped: algorithm == DedupAlgorithm::FirstWins, ..Options::default() },
        build,
    ))
    .unwrap();
}

#[test]
fn replicas_of_a_store_are_the_store() {
    for (algorithm, replica, chunks) in [
        (DedupAlgorithm::Penalty, "replica", true),
        (DedupAlgorithm::Penalty, "__aa__", false),
        (DedupAlgorithm::FirstWins, "replica", false),
        (DedupAlgorithm::FirstWins, "__replica__", true),
        (DedupAlgorithm::FirstWins, "zzz", true),
    ] {
        conforms(algorithm, replica, chunks);
    }
}

#[test]
fn without_replica_labels_it_is_the_store() {
    let build = async |series: SeriesList| {
        let store = MemoryQueryable::new(series).unwrap().with_batch(5.try_into().unwrap());
        // Nothing is held to be sorted, so that no limit applies.
        let none: [&str; 0] = [];
        let store = DedupQueryable::new(Arc::new(store), none, DedupAlgorithm::Penalty).with_max_held_bytes(0);
        Box::new(store) as Box<dyn Queryable>
    };
    block_on(conformance::check(&Options::default(), build)).unwrap();
}

async fn all(store: &dyn Queryable, hints: &SelectHints) -> Result<Vec<Series>> {
    let querier = store.querier(TimeRange::ALL).await?;
    let mut set = querier.select(&[], hints).await?;
    let mut found = Vec::new();
    while let Some(batch) = set.next().await? {
        found.extend(batch);
    }
    Ok(found)
}

#[test]
fn series_come_in_the_new_order() {
    // In the inner store `{a, r}` comes after `{a, b, r}`, and `{r}` last.
    let series = [
        &[("a", "1"), ("b", "1"), ("r", "2"), ("z", "1")][..],
        &[("a", "1"), ("b", "1"), ("r", "1"), ("z", "2")],
        &[("a", "1"), ("r", "1")],
        &[("a", "1"), ("r", "2"), ("s", "1")],
        &[("a", "2"), ("r", "1")],
        &[("r", "1")],
        &[("r", "1"), ("z", "1")],
        &[("z", "1")],
    ];
    let inner = MemoryQueryable::new(series.map(|pairs| (labels(pairs), vec![float(1, 1.0)]))).unwrap();
    let store = DedupQueryable::new(Arc::new(inner), ["r"], DedupAlgorithm::Penalty);
    let found = block_on(all(&store, &SelectHints::new(TimeRange::ALL))).unwrap();
    let found: Vec<_> = found.iter().map(|series| series.labels.to_string()).collect();
    let expected = [
        r#"{a="1"}"#,
        r#"{a="1", b="1", z="1"}"#,
        r#"{a="1", b="1", z="2"}"#,
        r#"{a="1", s="1"}"#,
        r#"{a="2"}"#,
        r#"{r="1"}"#,
        r#"{z="1"}"#,
    ];
    assert_eq!(found, expected);

    let tight = store.clone().with_max_held_bytes(500);
    let error = block_on(all(&tight, &SelectHints::new(TimeRange::ALL))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.to_string().contains(r#"500 bytes of the series with a="1""#), "{error}");

    block_on(async {
        let querier = store.querier(TimeRange::ALL).await.unwrap();
        let names = querier.label_names(&[], &LabelHints { limit: 2.try_into().ok() }).await.unwrap();
        assert_eq!(names.strings, ["a", "b"]);
        assert_eq!(querier.label_names(&[], &LabelHints::default()).await.unwrap().strings, ["a", "b", "s", "z"]);
        assert!(querier.label_values("r", &[], &LabelHints::default()).await.unwrap().strings.is_empty());
        let one = [Matcher::new("r", MatchOp::Equal, "2").unwrap()];
        assert_eq!(querier.label_values("s", &one, &LabelHints::default()).await.unwrap().strings, ["1"]);
    });
}

#[test]
fn counters_are_adjusted_for_rates_only() {
    // The second replica lags behind by 5, and takes over when the first one is gone.
    let first: Vec<_> = (0..10).map(|i| float(i * 1000, 100.0 + i as f64)).collect();
    let second: Vec<_> = (0..20).map(|i| float(i * 1000 + 500, 95.0 + i as f64)).collect();
    let series = [("1", first), ("2", second)].map(|(r, samples)| (labels(&[("a", "b"), ("r", r)]), samples));
    let store = DedupQueryable::new(Arc::new(MemoryQueryable::new(series).unwrap()), ["r"], DedupAlgorithm::Penalty);
    let falls = |function: Option<&str>| {
        let hints = SelectHints { function: function.map(str::to_owned), ..SelectHints::new(TimeRange::ALL) };
        let found = block_on(all(&store, &hints)).unwrap();
        let samples = found[0].samples().unwrap();
        assert_eq!((found.len(), samples.len()), (1, 19));
        samples
            .array_windows()
            .filter(|[a, b]| match (&a.value, &b.value) {
                (Value::Float(a), Value::Float(b)) => a > b,
                _ => false,
            })
            .count()
    };
    assert_eq!(["rate", "irate", "increase", "resets", "delta"].map(|f| falls(Some(f))), [0, 0, 0, 1, 1]);
    assert_eq!(falls(None), 1);
}

#[test]
fn claims_about_resets_are_withdrawn_at_changes() {
    let histogram = |timestamp: i64| {
        let histogram =
            Histogram { counter_reset_hint: CounterResetHint::NotCounterReset, count: 1, ..Histogram::default() };
        Sample { timestamp, start_timestamp: 0, value: Value::Histogram(Box::new(histogram)) }
    };
    let first: Vec<_> = (0..5).map(|i| histogram(i * 1000)).collect();
    let second: Vec<_> = (0..9).map(|i| histogram(i * 1000 + 500)).collect();
    let found = penalty::dedup(vec![first, second], false);
    let hints = found.iter().map(|sample| match &sample.value {
        Value::Histogram(h) => (sample.timestamp, h.counter_reset_hint == CounterResetHint::Unknown),
        _ => panic!("{sample:?}"),
    });
    let unknown: Vec<_> = hints.filter(|(_, unknown)| *unknown).map(|(t, _)| t).collect();
    assert_eq!(unknown, [0, 6500]);
}
