use futures::executor::block_on;
use prometheus_chunks::{RechunkOptions, Rechunker};
use prometheus_model::Value;

use super::*;
use crate::{
    MatchOp,
    conformance::{self, Options, SeriesList},
};

/// The samples in chunks of 30.
pub(crate) fn chunked(samples: &[Sample]) -> Vec<Chunk> {
    let options = RechunkOptions { max_samples_per_chunk: 30.try_into().unwrap(), start_timestamps: true };
    let mut rechunker = Rechunker::new(options);
    let mut chunks: Vec<_> = samples.iter().filter_map(|sample| rechunker.push(sample).unwrap()).collect();
    chunks.extend(rechunker.finish());
    let chunk = |c: prometheus_chunks::EncodedChunk| Chunk {
        encoding: c.encoding,
        min_time: c.min_time,
        max_time: c.max_time,
        data: c.data.into(),
    };
    chunks.into_iter().map(chunk).collect()
}

#[test]
fn conforms_with_samples() {
    let build = async |series: SeriesList| Box::new(MemoryQueryable::new(series).unwrap()) as Box<dyn Queryable>;
    block_on(conformance::check(&Options::default(), build)).unwrap();
}

#[test]
fn conforms_with_chunks() {
    for batch in [1, 3, 1000] {
        let build = async |series: SeriesList| {
            let series = series.into_iter().map(|(labels, samples)| (labels, chunked(&samples)));
            let store = MemoryQueryable::from_chunks(series).unwrap().with_batch(batch.try_into().unwrap());
            Box::new(store) as Box<dyn Queryable>
        };
        block_on(conformance::check(&Options { seed: 7, ..Options::default() }, build)).unwrap();
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

fn float(timestamp: i64, value: f64) -> Sample {
    Sample { timestamp, start_timestamp: 0, value: Value::Float(value) }
}

#[test]
fn refuses_what_is_out_of_order() {
    let (a, b) = (labels(&[("a", "1")]), labels(&[("b", "1")]));
    let error = |series: Vec<(Labels, Vec<Sample>)>| MemoryQueryable::new(series).unwrap_err().to_string();
    assert_eq!(
        error(vec![(a.clone(), vec![]), (b.clone(), vec![]), (a.clone(), vec![])]),
        r#"the series {a="1"} is given twice"#
    );
    let twice = vec![float(1, 0.0), float(1, 0.0)];
    assert_eq!(error(vec![(a.clone(), twice)]), r#"series {a="1"}: the sample at 1 comes after that at 1"#);

    let good = chunked(&[float(1, 1.0), float(5, 2.0)]);
    let error = |chunks: Vec<Chunk>| MemoryQueryable::from_chunks([(a.clone(), chunks)]).unwrap_err();
    assert_eq!(
        error([good.clone(), good.clone()].concat()).to_string(),
        r#"series {a="1"}: the chunk from 1 on comes after one until 5"#
    );
    let mut wrong = good.clone();
    wrong[0].max_time = 6;
    assert_eq!(
        error(wrong).to_string(),
        r#"series {a="1"}: a chunk is said to be from 1 to 6, but its samples are not"#
    );
    let mut wrong = good;
    wrong[0].data = wrong[0].data.slice(..3);
    assert_eq!(error(wrong).kind(), ErrorKind::Corrupt);
}

/// The answers spelled out, since the suite's own oracle is as simple as the store.
#[test]
fn absent_labels_are_empty() {
    let series = [&[("a", "1")][..], &[("a", "2"), ("b", "x")], &[("b", "y")]];
    let store = MemoryQueryable::new(series.map(|pairs| (labels(pairs), vec![float(1, 1.0)]))).unwrap();
    let found = |name: &str, op, value: &str| {
        let matcher = Matcher::new(name, op, value).unwrap();
        block_on(async {
            let querier = store.querier(TimeRange::ALL).await.unwrap();
            let mut set = querier.select(&[matcher], &SelectHints::new(TimeRange::ALL)).await.unwrap();
            let found = set.next().await.unwrap().unwrap_or_default();
            found.iter().map(|s| series.iter().position(|pairs| labels(pairs) == s.labels).unwrap()).collect::<Vec<_>>()
        })
    };
    use MatchOp::{Equal, NotEqual, NotRegex, Regex};
    assert_eq!(found("b", Equal, ""), [0]);
    assert_eq!(found("b", NotEqual, ""), [1, 2]);
    assert_eq!(found("b", NotEqual, "x"), [0, 2]);
    assert_eq!(found("b", Regex, ".*"), [0, 1, 2]);
    assert_eq!(found("b", Regex, "|x"), [0, 1]);
    assert_eq!(found("b", NotRegex, "x|y"), [0]);
    assert_eq!(found("b", NotRegex, ".*"), []);
    assert_eq!(found("c", Equal, ""), [0, 1, 2]);
    assert_eq!(found("a", Regex, "[0-9]"), [0, 1]);
}
