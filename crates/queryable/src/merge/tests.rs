use std::sync::atomic::{AtomicUsize, Ordering};

use futures::executor::block_on;
use prometheus_chunks::Encoding;
use prometheus_model::{CounterResetHint, Histogram, Labels, Sample, Value};

use super::*;
use crate::{
    MemoryQueryable,
    conformance::{self, Options, SeriesList},
    hints::Projection,
    memory::tests::chunked,
    series::{Series, SeriesData},
};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

fn float(timestamp: i64, value: f64) -> Sample {
    Sample { timestamp, start_timestamp: 0, value: Value::Float(value) }
}

fn memory(series: SeriesList, chunks: bool) -> Arc<dyn Queryable> {
    let store = match chunks {
        false => MemoryQueryable::new(series).unwrap(),
        true => MemoryQueryable::from_chunks(series.into_iter().map(|(l, s)| (l, chunked(&s)))).unwrap(),
    };
    Arc::new(store.with_batch(3.try_into().unwrap()))
}

/// Three stores that hold a part of the samples each, as `belongs` says of a series' hash and a sample's number.
fn conforms(chunks: bool, belongs: impl Fn(u64, usize, u64) -> bool) {
    let build = async |series: SeriesList| {
        let part = |number: u64| {
            let of = |(labels, samples): &(Labels, Vec<Sample>)| {
                let hash = labels.stable_hash();
                let kept = samples.iter().enumerate().filter(|(i, _)| belongs(hash, *i, number));
                let kept: Vec<_> = kept.map(|(_, sample)| sample.clone()).collect();
                (!kept.is_empty()).then(|| (labels.clone(), kept))
            };
            memory(series.iter().filter_map(of).collect(), chunks)
        };
        let parts = (0..3).map(part).collect();
        Box::new(MergedQueryable::new(parts)) as Box<dyn Queryable>
    };
    block_on(conformance::check(&Options { seed: 5, ..Options::default() }, build)).unwrap();
}

#[test]
fn parts_of_a_store_are_the_store() {
    for chunks in [false, true] {
        // Each series in one part; in all, one time after the other; all samples twice; samples here and there.
        conforms(chunks, |hash, _, part| hash % 3 == part);
        conforms(chunks, |_, i, part| (i as u64 / 40).min(2) == part);
        conforms(chunks, |hash, _, part| (hash + part) % 3 != 1);
        conforms(chunks, |hash, i, part| (hash.rotate_left(i as u32 % 64) + part) % 3 < 2);
    }
    let build = async |_: SeriesList| Box::new(MergedQueryable::new(vec![])) as Box<dyn Queryable>;
    let none = Options { stores: 0, ..Options::default() };
    assert!(block_on(conformance::check(&none, build)).unwrap_err().complaint.contains("is missing"));
}

fn part(data: SeriesData) -> Series {
    Series { labels: labels(&[("a", "b")]), hash: None, range: TimeRange::ALL, data }
}

fn native(count: i64) -> Vec<Sample> {
    let histogram = |i: i64| Histogram { count: i as u64, zero_count: i as u64, ..Histogram::default() };
    (1..=count).map(|i| Sample { value: Value::Histogram(Box::new(histogram(i))), ..float(i, 0.0) }).collect()
}

#[test]
fn chunks_side_by_side_stay_as_they_are() {
    let chunks = chunked(&native(120));
    assert_eq!(chunks.len(), 4);
    let claims = |chunks: &[crate::Chunk]| -> Vec<_> {
        chunks.iter().map(|c| prometheus_chunks::counter_reset_header(c.encoding, &c.data).unwrap()).collect()
    };
    use CounterResetHint::{NotCounterReset, Unknown};
    assert_eq!(claims(&chunks), [Unknown, NotCounterReset, NotCounterReset, NotCounterReset]);
    // Two parts that take turns, one chunk in both.
    let of = |places: &[usize]| part(SeriesData::Chunks(places.iter().map(|i| chunks[*i].clone()).collect()));
    let merged = merge(vec![of(&[1, 2]), of(&[0, 2, 3])]).unwrap().unwrap();
    let SeriesData::Chunks(found) = &merged.data else { panic!("{merged:?}") };
    // The second comes after one of the other part, the third follows it in the same, the fourth does not.
    assert_eq!(claims(found), [Unknown, Unknown, NotCounterReset, Unknown]);
    assert_eq!(merged.samples().unwrap().len(), 120);
    assert!(found.iter().all(|c| c.encoding == Encoding::Histogram));

    // One millisecond of overlap, and the series is decoded.
    let late = chunked(&native(120)[89..]);
    let merged = merge(vec![of(&[0, 1, 2]), part(SeriesData::Chunks(late))]).unwrap().unwrap();
    assert!(matches!(&merged.data, SeriesData::Samples(samples) if samples.len() == 120), "{merged:?}");
}

#[test]
fn the_first_part_wins() {
    let stale = prometheus_model::stale_nan();
    let a = vec![float(1, 1.0), float(3, stale)];
    let b = vec![float(1, 9.0), float(2, 2.0), float(3, 3.0), float(4, 4.0)];
    let found = merge(vec![part(SeriesData::Samples(a.clone())), part(SeriesData::Samples(b))]).unwrap().unwrap();
    assert_eq!(found.samples().unwrap(), [a[0].clone(), float(2, 2.0), a[1].clone(), float(4, 4.0)]);
    let found = merge(vec![part(SeriesData::Labels), part(SeriesData::Samples(a.clone()))]).unwrap().unwrap();
    assert_eq!(found.samples().unwrap(), a);
    assert!(merge(vec![]).unwrap().is_none());
}

#[test]
fn histograms_forget_predecessors_that_are_none_any_more() {
    let claims = |timestamps: &[i64]| {
        let histogram =
            Histogram { counter_reset_hint: CounterResetHint::NotCounterReset, count: 1, ..Histogram::default() };
        let sample = |t: &i64| Sample { value: Value::Histogram(Box::new(histogram.clone())), ..float(*t, 0.0) };
        part(SeriesData::Samples(timestamps.iter().map(sample).collect()))
    };
    let merged = merge(vec![claims(&[1, 2, 4, 5]), claims(&[2, 3])]).unwrap().unwrap();
    let samples = merged.samples().unwrap();
    let unknown = samples.iter().filter(|sample| match &sample.value {
        Value::Histogram(histogram) => histogram.counter_reset_hint == CounterResetHint::Unknown,
        _ => false,
    });
    assert_eq!((samples.len(), unknown.map(|s| s.timestamp).collect::<Vec<_>>()), (5, vec![1, 3, 4]));
}

/// A store that fails from some point on, or never answers.
#[derive(Clone, Debug)]
struct Troubled {
    inner: Arc<dyn Queryable>,
    fails_at: Step,
    kind: ErrorKind,
    /// How many batches were asked for.
    batches: Arc<AtomicUsize>,
    warns: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Step {
    Querier,
    Select,
    Batch(usize),
}

impl Troubled {
    fn at(&self, step: Step) -> Result<()> {
        if self.fails_at == step {
            let broken = std::io::Error::other("wire cut");
            return Err(Error::new(self.kind, broken));
        }
        Ok(())
    }
}

#[async_trait]
impl Queryable for Troubled {
    async fn querier(&self, range: TimeRange) -> Result<Box<dyn Querier>> {
        self.at(Step::Querier)?;
        Ok(Box::new(TroubledQuerier(self.clone(), self.inner.querier(range).await?)))
    }
}

#[derive(Debug)]
struct TroubledQuerier(Troubled, Box<dyn Querier>);

#[async_trait]
impl Querier for TroubledQuerier {
    async fn select(&self, matchers: &[Matcher], hints: &SelectHints) -> Result<Box<dyn SeriesSet>> {
        self.0.at(Step::Select)?;
        let warning = Warning { message: "slow disk".into() };
        let warnings = if self.0.warns { vec![warning] } else { Vec::new() };
        Ok(Box::new(TroubledSet(self.0.clone(), self.1.select(matchers, hints).await?, 0, warnings)))
    }

    async fn label_names(&self, matchers: &[Matcher], hints: &LabelHints) -> Result<LabelStrings> {
        self.0.at(Step::Select)?;
        self.1.label_names(matchers, hints).await
    }

    async fn label_values(&self, name: &str, matchers: &[Matcher], hints: &LabelHints) -> Result<LabelStrings> {
        self.0.at(Step::Select)?;
        self.1.label_values(name, matchers, hints).await
    }
}

#[derive(Debug)]
struct TroubledSet(Troubled, Box<dyn SeriesSet>, usize, Vec<Warning>);

#[async_trait]
impl SeriesSet for TroubledSet {
    async fn next(&mut self) -> Result<Option<Vec<Series>>> {
        self.0.batches.fetch_add(1, Ordering::Relaxed);
        self.0.at(Step::Batch(self.2))?;
        self.2 += 1;
        self.1.next().await
    }

    fn warnings(&self) -> &[Warning] {
        &self.3
    }
}

fn many(prefix: &str, count: usize) -> SeriesList {
    let series = |i| (labels(&[("a", &format!("{prefix}{i:04}"))]), vec![float(1, 1.0)]);
    (0..count).map(series).collect()
}

fn troubled(fails_at: Step, kind: ErrorKind) -> Troubled {
    Troubled { inner: memory(many("b", 30), false), fails_at, kind, batches: Arc::default(), warns: false }
}

async fn ask(store: &MergedQueryable) -> Result<(usize, Vec<Warning>)> {
    let querier = store.querier(TimeRange::ALL).await?;
    let names = querier.label_names(&[], &LabelHints::default()).await?;
    assert_eq!(names.strings, ["a"]);
    let mut set = querier.select(&[], &SelectHints::new(TimeRange::ALL)).await?;
    let mut count = 0;
    while let Some(batch) = set.next().await? {
        count += batch.len();
    }
    Ok((count, set.warnings().to_vec()))
}

#[test]
fn errors_fail_or_become_warnings_but_are_never_lost() {
    let whole = memory(many("a", 10), false);
    for (step, found) in [(Step::Querier, 10), (Step::Select, 10), (Step::Batch(0), 10), (Step::Batch(2), 16)] {
        let store = |kind| MergedQueryable::new(vec![Arc::clone(&whole), Arc::new(troubled(step, kind))]);
        let error = block_on(ask(&store(ErrorKind::Unavailable))).unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::Unavailable, "wire cut".into()));

        let tolerant = |kind| store(kind).with_partial_response(PartialResponse::Warn);
        let (count, warnings) = block_on(ask(&tolerant(ErrorKind::Unavailable))).unwrap();
        let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!((count, &*warnings), (found, &["the answer is incomplete: wire cut".to_owned()][..]), "{step:?}");
        for kind in [ErrorKind::Invalid, ErrorKind::LimitExceeded, ErrorKind::Cancelled] {
            assert_eq!(block_on(ask(&tolerant(kind))).unwrap_err().kind(), kind);
        }
    }
}

#[test]
fn warnings_are_united() {
    let warning = || Arc::new(Troubled { warns: true, ..troubled(Step::Batch(100), ErrorKind::Internal) });
    let store = MergedQueryable::new(vec![warning(), memory(many("a", 10), false), warning()]);
    let (count, warnings) = block_on(ask(&store)).unwrap();
    assert_eq!((count, &*warnings), (40, &[Warning { message: "slow disk".into() }][..]));
}

#[test]
fn reads_one_batch_ahead_and_no_more() {
    let store = troubled(Step::Batch(100), ErrorKind::Internal);
    let batches = Arc::clone(&store.batches);
    let merged = MergedQueryable::new(vec![memory(many("a", 1000), false), Arc::new(store)]);
    block_on(async {
        let querier = merged.querier(TimeRange::ALL).await.unwrap();
        let mut set = querier.select(&[], &SelectHints::new(TimeRange::ALL)).await.unwrap();
        assert_eq!(batches.load(Ordering::Relaxed), 0);
        for _ in 0..20 {
            set.next().await.unwrap().unwrap();
            assert_eq!(batches.load(Ordering::Relaxed), 2);
        }
    });
}

/// Projections are passed on only if all parts honour them: otherwise the same series would have different labels.
#[test]
fn projections_are_honoured_by_all_parts_or_by_none() {
    #[derive(Debug)]
    struct Projecting(MemoryQueryable);
    #[async_trait]
    impl Queryable for Projecting {
        async fn querier(&self, range: TimeRange) -> Result<Box<dyn Querier>> {
            Ok(Box::new(ProjectingQuerier(self.0.querier(range).await?)))
        }
    }
    #[derive(Debug)]
    struct ProjectingQuerier(Box<dyn Querier>);
    #[async_trait]
    impl Querier for ProjectingQuerier {
        fn honours_projection(&self) -> bool {
            true
        }
        async fn select(&self, matchers: &[Matcher], hints: &SelectHints) -> Result<Box<dyn SeriesSet>> {
            let mut set = self.0.select(matchers, hints).await?;
            let Some(projection) = &hints.projection else { return Ok(set) };
            let mut all = Vec::new();
            while let Some(batch) = set.next().await? {
                all.extend(batch.into_iter().map(|series| {
                    let pairs = series.labels.iter().filter(|(name, _)| projection.keeps(name));
                    let labels = Labels::from_pairs(pairs).unwrap();
                    Series { hash: Some(series.labels.stable_hash()), labels, ..series }
                }));
            }
            all.sort_by(|a, b| (&a.labels, a.hash).cmp(&(&b.labels, b.hash)));
            Ok(Box::new(Once(Some(all).filter(|all| !all.is_empty()))))
        }
        async fn label_names(&self, matchers: &[Matcher], hints: &LabelHints) -> Result<LabelStrings> {
            self.0.label_names(matchers, hints).await
        }
        async fn label_values(&self, name: &str, matchers: &[Matcher], hints: &LabelHints) -> Result<LabelStrings> {
            self.0.label_values(name, matchers, hints).await
        }
    }
    #[derive(Debug)]
    struct Once(Option<Vec<Series>>);
    #[async_trait]
    impl SeriesSet for Once {
        async fn next(&mut self) -> Result<Option<Vec<Series>>> {
            Ok(self.0.take())
        }
    }
    let projecting = |series| Arc::new(Projecting(MemoryQueryable::new(series).unwrap()));
    // Every part has half of the samples of each series.
    let half = |series: &SeriesList, odd: usize| -> SeriesList {
        let of = |(labels, samples): &(Labels, Vec<Sample>)| {
            let samples = samples.iter().enumerate().filter(|(i, _)| i % 2 == odd).map(|(_, s)| s.clone());
            (labels.clone(), samples.collect())
        };
        series.iter().map(of).collect()
    };
    for both in [true, false] {
        let build = async |series: SeriesList| {
            let first: Arc<dyn Queryable> = projecting(half(&series, 0));
            let second = half(&series, 1);
            let second = if both { projecting(second) } else { memory(second, false) };
            Box::new(MergedQueryable::new(vec![first, second])) as Box<dyn Queryable>
        };
        block_on(conformance::check(&Options { seed: 11, ..Options::default() }, build)).unwrap();
    }
    let one = MergedQueryable::new(vec![projecting(many("a", 3))]);
    let projection = Projection::Include(["b".to_owned()].into());
    let hints = SelectHints { projection: Some(projection), ..SelectHints::new(TimeRange::ALL) };
    let querier = block_on(one.querier(TimeRange::ALL)).unwrap();
    let mut set = block_on(querier.select(&[], &hints)).unwrap();
    let found = block_on(set.next()).unwrap().unwrap();
    assert!(found.len() == 3 && found.iter().all(|s| s.labels.is_empty() && s.hash.is_some()));
}
