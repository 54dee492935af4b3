use std::num::NonZeroU64;

use futures::executor::block_on;
use prometheus_model::{Sample, Value};

use super::*;
use crate::{
    ErrorKind, MatchOp, MemoryQueryable, Sharding,
    conformance::{self, check},
};

type SeriesList = Vec<(Labels, Vec<Sample>)>;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

fn sample(timestamp: i64, value: f64) -> Sample {
    Sample { timestamp, start_timestamp: 0, value: Value::Float(value) }
}

fn store(mut series: SeriesList, external: Labels) -> ExternalLabelsQueryable {
    series.sort_by(|a, b| a.0.cmp(&b.0));
    ExternalLabelsQueryable::new(Arc::new(MemoryQueryable::new(series).unwrap()), external)
}

async fn select(store: &dyn Queryable, matchers: &[Matcher], hints: &SelectHints) -> SeriesList {
    let querier = store.querier(TimeRange::ALL).await.unwrap();
    let mut set = querier.select(matchers, hints).await.unwrap();
    let mut all = Vec::new();
    while let Some(batch) = set.next().await.unwrap() {
        all.extend(batch.into_iter().map(|series| (series.labels.clone(), series.samples().unwrap())));
    }
    assert!(all.windows(2).all(|pair| pair[0].0 < pair[1].0), "series in label order");
    all
}

/// The slow and obvious way: labels are added to each series, all are sorted, samples of equal ones are merged.
fn oracle(series: &SeriesList, external: &Labels) -> SeriesList {
    let mut all: std::collections::BTreeMap<Labels, std::collections::BTreeMap<i64, Sample>> = Default::default();
    let mut series = series.clone();
    series.sort_by(|a, b| a.0.cmp(&b.0));
    for (own, samples) in series {
        let kept = own.iter().filter(|(name, _)| external.get(name).is_none());
        let extended = Labels::from_pairs(kept.chain(external.iter())).unwrap();
        let merged = all.entry(extended).or_default();
        for sample in samples {
            merged.entry(sample.timestamp).or_insert(sample);
        }
    }
    all.into_iter().map(|(labels, samples)| (labels, samples.into_values().collect())).collect()
}

/// Names before, between and after those of the external labels; label sets that begin as others do.
fn odd_series() -> SeriesList {
    let mut all = Vec::new();
    for name in ["up", "down"] {
        for pairs in [
            &[][..],
            &[("a", "1")],
            &[("a", "1"), ("c", "1")],
            &[("a", "1"), ("c", "1"), ("zone", "x")],
            &[("a", "1"), ("c", "2")],
            &[("cluster", "other"), ("a", "1"), ("c", "2")],
            &[("cluster", "third"), ("a", "1"), ("c", "2")],
            &[("zone", "x")],
            &[("A", "1"), ("zone", "x")],
            &[("DC", "1"), ("zone", "x")],
        ] {
            let own = labels(&[&[("__name__", name)], pairs].concat());
            let t = all.len() as i64;
            all.push((own, vec![sample(t, t as f64), sample(t + 5, t as f64)]));
        }
    }
    all.push((labels(&[("DC", "0")]), vec![sample(1, 1.0)]));
    all.push((labels(&[("b", "0")]), vec![sample(1, 1.0)]));
    all
}

#[test]
fn equals_the_oracle() {
    block_on(async {
        for external in [
            &[("cluster", "eu")][..],
            &[("DC", "1")],
            &[("b", "x"), ("cluster", "eu")],
            &[("zz", "1")],
            &[("DC", "2"), ("a", "9")],
        ] {
            let external = labels(external);
            let store = store(odd_series(), external.clone());
            let hints = SelectHints::new(TimeRange::ALL);
            let expected = oracle(&odd_series(), &external);
            assert_eq!(select(&store, &[], &hints).await, expected, "{external}");
            // Shards are cut by all labels, and together they are everything.
            let mut parts = Vec::new();
            for index in 0..3 {
                let sharding = Sharding { index, count: NonZeroU64::new(3).unwrap() };
                let part = select(&store, &[], &SelectHints { sharding: Some(sharding), ..hints.clone() }).await;
                assert!(part.iter().all(|(labels, _)| sharding.contains(labels)));
                parts.extend(part);
            }
            parts.sort_by(|a, b| a.0.cmp(&b.0));
            assert_eq!(parts, expected);
        }
    });
}

#[test]
fn matchers_and_labels_see_external_labels() {
    block_on(async {
        let store = store(odd_series(), labels(&[("cluster", "eu")]));
        let hints = SelectHints::new(TimeRange::ALL);
        let all = select(&store, &[], &hints).await.len();
        let matcher = |name: &str, op, value: &str| Matcher::new(name, op, value).unwrap();
        for (matchers, expected) in [
            (vec![matcher("cluster", MatchOp::Equal, "eu")], all),
            (vec![matcher("cluster", MatchOp::NotEqual, "eu")], 0),
            (vec![matcher("cluster", MatchOp::Equal, "")], 0),
            (vec![matcher("cluster", MatchOp::Regex, "e.|us")], all),
            (vec![matcher("cluster", MatchOp::Equal, "other")], 0),
            (vec![matcher("cluster", MatchOp::Equal, "eu"), matcher("b", MatchOp::Equal, "0")], 1),
        ] {
            assert_eq!(select(&store, &matchers, &hints).await.len(), expected, "{matchers:?}");
            let querier = store.querier(TimeRange::ALL).await.unwrap();
            let names = querier.label_names(&matchers, &LabelHints::default()).await.unwrap().strings;
            assert_eq!(names.contains(&"cluster".to_owned()), expected > 0, "{matchers:?}");
            let values = querier.label_values("cluster", &matchers, &LabelHints::default()).await.unwrap().strings;
            assert_eq!(values, if expected > 0 { vec!["eu"] } else { vec![] }, "{matchers:?}");
        }
        let querier = store.querier(TimeRange::ALL).await.unwrap();
        let none = vec![matcher("b", MatchOp::Equal, "nothing")];
        assert!(querier.label_names(&none, &LabelHints::default()).await.unwrap().strings.is_empty());
        assert!(querier.label_values("cluster", &none, &LabelHints::default()).await.unwrap().strings.is_empty());
    });
}

#[test]
fn holds_no_more_than_allowed() {
    block_on(async {
        let store = store(odd_series(), labels(&[("cluster", "eu")])).with_max_held_bytes(600);
        let querier = store.querier(TimeRange::ALL).await.unwrap();
        let mut set = querier.select(&[], &SelectHints::new(TimeRange::ALL)).await.unwrap();
        let error = loop {
            match set.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it held everything"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert!(set.next().await.unwrap().is_none());
    });
}

/// A store whose series all have the external labels anyway is the same store.
#[test]
fn conforms() {
    block_on(async {
        let external = || labels(&[]);
        check(&conformance::Options::default(), async |series| {
            Box::new(store(series, external())) as Box<dyn Queryable>
        })
        .await
        .unwrap();
    });
}
