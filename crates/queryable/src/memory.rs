//! A store in memory: for tests, for documentation, and as the oracle that other stores are compared with.

use std::{collections::BTreeSet, fmt, num::NonZeroUsize, sync::Arc};

use async_trait::async_trait;
use prometheus_model::{Labels, Sample, TimeRange, TimestampMs};
use snafu::Snafu;

use crate::{
    error::{Error, ErrorKind, Result},
    hints::{LabelHints, SelectHints},
    matcher::Matcher,
    querier::{LabelStrings, Querier, Queryable, SeriesSet},
    series::{Chunk, Series, SeriesData},
};

/// How many series [`SeriesSet::next`] gives at a time, unless set otherwise.
const BATCH: NonZeroUsize = NonZeroUsize::new(64).expect("64 > 0");

/// Series in memory. Cheap to clone.
///
/// Slow and obvious: a question looks at every series. It ignores projections and gives no chunk that has no sample in
/// range.
///
/// ```
/// use prometheus_model::{Labels, Sample, TimeRange, Value};
/// use prometheus_queryable::{Matcher, MemoryQueryable, Queryable, SelectHints};
///
/// # futures::executor::block_on(async {
/// let up = Labels::from_pairs([("__name__", "up"), ("job", "api")])?;
/// let samples = vec![Sample { timestamp: 1_000, start_timestamp: 0, value: Value::Float(1.0) }];
/// let store = MemoryQueryable::new([(up.clone(), samples)])?;
///
/// let querier = store.querier(TimeRange::ALL).await?;
/// let mut set = querier.select(&[Matcher::equal("job", "api")], &SelectHints::new(TimeRange::ALL)).await?;
/// let series = set.next().await?.expect("one series");
/// assert_eq!((series[0].labels.clone(), series[0].samples()?.len()), (up, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemoryQueryable {
    /// Ascending by labels.
    series: Arc<[Stored]>,
    batch: NonZeroUsize,
}

#[derive(Debug)]
struct Stored {
    labels: Labels,
    data: Data,
}

#[derive(Debug)]
enum Data {
    Samples(Vec<Sample>),
    Chunks(Vec<Chunk>),
}

/// What cannot be stored.
#[derive(Debug, Snafu)]
enum Refused {
    #[snafu(display("the series {labels} is given twice"))]
    Twice { labels: Labels },
    #[snafu(display("series {labels}: the sample at {found} comes after that at {previous}"))]
    Samples { labels: Labels, previous: TimestampMs, found: TimestampMs },
    #[snafu(display("series {labels}: the chunk from {found} on comes after one until {previous}"))]
    Chunks { labels: Labels, previous: TimestampMs, found: TimestampMs },
    #[snafu(display("series {labels}: a chunk is said to be from {min_time} to {max_time}, but its samples are not"))]
    Bounds { labels: Labels, min_time: TimestampMs, max_time: TimestampMs },
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::new(ErrorKind::Invalid, refused)
    }
}

impl MemoryQueryable {
    /// A store of series, in any order, with their samples, in order of time.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) if a series is given twice, or its samples do not ascend in time.
    pub fn new(series: impl IntoIterator<Item = (Labels, Vec<Sample>)>) -> Result<Self> {
        let stored = |(labels, samples): (Labels, Vec<Sample>)| {
            if let Some([a, b]) = samples.array_windows().find(|[a, b]| a.timestamp >= b.timestamp) {
                return Err(Refused::Samples { labels, previous: a.timestamp, found: b.timestamp }.into());
            }
            Ok(Stored { labels, data: Data::Samples(samples) })
        };
        Self::from_stored(series.into_iter().map(stored))
    }

    /// A store of series, in any order, with their chunks, in order of time. All chunks are decoded once, to see whether
    /// they are what they are said to be.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) if a series is given twice, its chunks overlap or do not ascend, or one has no
    /// samples, or at other times than it says; and those of [`Series::decode_into`].
    pub fn from_chunks(series: impl IntoIterator<Item = (Labels, Vec<Chunk>)>) -> Result<Self> {
        let stored = |(labels, chunks): (Labels, Vec<Chunk>)| {
            if let Some([a, b]) = chunks.array_windows().find(|[a, b]| a.max_time >= b.min_time) {
                return Err(Refused::Chunks { labels, previous: a.max_time, found: b.min_time }.into());
            }
            for chunk in &chunks {
                let (min_time, max_time) = (chunk.min_time, chunk.max_time);
                let data = SeriesData::Chunks(vec![chunk.clone()]);
                let series = Series { labels: labels.clone(), hash: None, range: TimeRange::ALL, data };
                let samples = series.samples()?;
                let found = samples.first().zip(samples.last()).map(|(a, b)| (a.timestamp, b.timestamp));
                if found != Some((min_time, max_time)) || !samples.is_sorted_by(|a, b| a.timestamp < b.timestamp) {
                    return Err(Refused::Bounds { labels, min_time, max_time }.into());
                }
            }
            Ok(Stored { labels, data: Data::Chunks(chunks) })
        };
        Self::from_stored(series.into_iter().map(stored))
    }

    fn from_stored(series: impl Iterator<Item = Result<Stored>>) -> Result<Self> {
        let mut series = series.collect::<Result<Vec<_>>>()?;
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        if let Some([twice, _]) = series.array_windows().find(|[a, b]| a.labels == b.labels) {
            return Err(Refused::Twice { labels: twice.labels.clone() }.into());
        }
        Ok(Self { series: series.into(), batch: BATCH })
    }

    /// How many series [`SeriesSet::next`] gives at a time.
    #[must_use]
    pub fn with_batch(self, series: NonZeroUsize) -> Self {
        Self { batch: series, ..self }
    }

    /// How many series there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }
}

impl fmt::Debug for MemoryQueryable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryQueryable").field("series", &self.series.len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Queryable for MemoryQueryable {
    async fn querier(&self, range: TimeRange) -> Result<Box<dyn Querier>> {
        Ok(Box::new(MemoryQuerier { store: self.clone(), range }))
    }
}

#[derive(Debug)]
struct MemoryQuerier {
    store: MemoryQueryable,
    range: TimeRange,
}

impl MemoryQuerier {
    fn matching(&self, matchers: &[Matcher]) -> impl Iterator<Item = &Labels> {
        let fits = move |labels: &&Labels| matchers.iter().all(|matcher| matcher.matches_labels(labels));
        self.store.series.iter().map(|stored| &stored.labels).filter(fits)
    }
}

#[async_trait]
impl Querier for MemoryQuerier {
    async fn select(&self, matchers: &[Matcher], hints: &SelectHints) -> Result<Box<dyn SeriesSet>> {
        let store = self.store.clone();
        let (matchers, hints) = (matchers.to_vec(), hints.clone());
        Ok(Box::new(MemorySeriesSet { store, range: self.range.intersect(hints.range), matchers, hints, at: 0 }))
    }

    async fn label_names(&self, matchers: &[Matcher], hints: &LabelHints) -> Result<LabelStrings> {
        let names: BTreeSet<_> =
            self.matching(matchers).flat_map(|labels| labels.iter().map(|(name, _)| name)).collect();
        Ok(first(names, hints))
    }

    async fn label_values(&self, name: &str, matchers: &[Matcher], hints: &LabelHints) -> Result<LabelStrings> {
        let values: BTreeSet<_> = self.matching(matchers).filter_map(|labels| labels.get(name)).collect();
        Ok(first(values, hints))
    }
}

fn first(strings: BTreeSet<&str>, hints: &LabelHints) -> LabelStrings {
    let limit = hints.limit.map_or(usize::MAX, NonZeroUsize::get);
    LabelStrings { strings: strings.into_iter().take(limit).map(str::to_owned).collect(), warnings: Vec::new() }
}

#[derive(Debug)]
struct MemorySeriesSet {
    store: MemoryQueryable,
    /// `None` if nothing can be in range.
    range: Option<TimeRange>,
    matchers: Vec<Matcher>,
    hints: SelectHints,
    /// The next series to look at.
    at: usize,
}

#[async_trait]
impl SeriesSet for MemorySeriesSet {
    async fn next(&mut self) -> Result<Option<Vec<Series>>> {
        let Some(range) = self.range else { return Ok(None) };
        let mut batch = Vec::new();
        while let Some(stored) = self.store.series.get(self.at) {
            self.at += 1;
            let labels = &stored.labels;
            let in_shard = self.hints.sharding.is_none_or(|sharding| sharding.contains(labels));
            if !in_shard || !self.matchers.iter().all(|matcher| matcher.matches_labels(labels)) {
                continue;
            }
            let Some(data) = stored.data.within(range) else { continue };
            let data = if self.hints.series_only { SeriesData::Labels } else { data };
            batch.push(Series { labels: labels.clone(), hash: None, range, data });
            if batch.len() == self.store.batch.get() {
                break;
            }
        }
        Ok(Some(batch).filter(|batch| !batch.is_empty()))
    }
}

impl Data {
    /// What may be in range; nothing if there is nothing.
    fn within(&self, range: TimeRange) -> Option<SeriesData> {
        match self {
            Self::Samples(samples) => {
                let samples: Vec<_> = samples.iter().filter(|s| range.contains(s.timestamp)).cloned().collect();
                (!samples.is_empty()).then_some(SeriesData::Samples(samples))
            }
            Self::Chunks(chunks) => {
                let overlaps = |chunk: &&Chunk| range.overlaps_closed(chunk.min_time, chunk.max_time);
                let chunks: Vec<_> = chunks.iter().filter(overlaps).cloned().collect();
                (!chunks.is_empty()).then_some(SeriesData::Chunks(chunks))
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
