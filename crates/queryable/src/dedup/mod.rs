//! Replicas that scraped the same targets, seen as one.

mod penalty;

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use async_trait::async_trait;
use prometheus_model::{Labels, LabelsBuilder, LabelsError, TimeRange};
use snafu::Snafu;

use crate::{
    error::{Error, ErrorKind, Result},
    hints::{LabelHints, SelectHints, Sharding},
    matcher::Matcher,
    merge::merge,
    querier::{LabelStrings, Querier, Queryable, SeriesSet, Warning},
    series::{Series, SeriesData},
};

/// How the samples of replicas become those of one series.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum DedupAlgorithm {
    /// Thanos' `penalty`: follows one replica, and changes to another when it has nothing for longer than twice the time
    /// between its last two samples. So samples are as far apart as those of one replica.
    ///
    /// For `rate`, `irate` and `increase` resets of each replica's counter are made good first, and a replica that lags
    /// behind is lifted when it takes over, so that the change does not look like a reset: values are then not those that
    /// were scraped. (Thanos does so for `resets`, too, which then finds none; this does not.) Native histograms are taken
    /// as they are; what they claim about counter resets is withdrawn at changes.
    #[default]
    Penalty,
    /// Thanos' `chain`: all samples of all replicas; of those with the same timestamp that of the first replica. Right for
    /// replicas whose timestamps agree, such as those that rules make, or receivers of the same remote write.
    FirstWins,
}

/// Sees series that differ in replica labels only as one series, without these labels.
///
/// Replicas are ordered by the values of their labels. A series that has no other labels keeps them. Matchers see replica
/// labels; label names do not, and replica labels have no values.
///
/// Without a label in their midst, series may come in another order. So all series with the same first label, which is
/// the metric's name as a rule, are held and sorted: their labels, and their samples as the inner store gives them, which
/// is encoded chunks as a rule. A limit on that memory makes larger selects fail. Of the series that are put together, at
/// most 64 have their samples decoded at a time.
///
/// Projections and limits are not passed on to the inner store, shards are those of the series without replica labels.
#[derive(Clone, Debug)]
pub struct DedupQueryable {
    inner: Arc<dyn Queryable>,
    replica_labels: Arc<BTreeSet<String>>,
    algorithm: DedupAlgorithm,
    max_held_bytes: usize,
}

/// How much of the series of one metric is held, unless set otherwise.
const MAX_HELD_BYTES: usize = 1 << 30;

/// Most series that are given at a time.
const BATCH: usize = 64;

#[derive(Debug, Snafu)]
enum Refused {
    #[snafu(display(
        "deduplication holds more than {limit} bytes of the series with {first}; ask for fewer series, for a shorter time, \
         or raise the limit of held bytes"
    ))]
    TooMuch { limit: usize, first: String },
    #[snafu(display("cannot drop the replica labels of {labels}"))]
    Labels { labels: Labels, source: LabelsError },
}

impl DedupQueryable {
    /// Sees `inner` without `replica_labels`.
    #[must_use]
    pub fn new(
        inner: Arc<dyn Queryable>,
        replica_labels: impl IntoIterator<Item = impl Into<String>>,
        algorithm: DedupAlgorithm,
    ) -> Self {
        let replica_labels = Arc::new(replica_labels.into_iter().map(Into::into).collect());
        Self { inner, replica_labels, algorithm, max_held_bytes: MAX_HELD_BYTES }
    }

    /// How many bytes of labels and samples are held for the series with the same first label; 1 GiB unless set.
    #[must_use]
    pub fn with_max_held_bytes(self, max_held_bytes: usize) -> Self {
        Self { max_held_bytes, ..self }
    }
}

#[async_trait]
impl Queryable for DedupQueryable {
    async fn querier(&self, range: TimeRange) -> Result<Box<dyn Querier>> {
        let inner = self.inner.querier(range).await?;
        Ok(Box::new(DedupQuerier { store: self.clone(), inner }))
    }
}

#[derive(Debug)]
struct DedupQuerier {
    store: DedupQueryable,
    inner: Box<dyn Querier>,
}

#[async_trait]
impl Querier for DedupQuerier {
    async fn select(&self, matchers: &[Matcher], hints: &SelectHints) -> Result<Box<dyn SeriesSet>> {
        let wanted = SelectHints { sharding: None, projection: None, limit: None, ..hints.clone() };
        let adjusts = matches!(hints.function.as_deref(), Some("rate" | "irate" | "increase"));
        Ok(Box::new(DedupSeriesSet {
            store: self.store.clone(),
            inner: self.inner.select(matchers, &wanted).await?,
            sharding: hints.sharding,
            adjusts_counters: adjusts,
            rest: VecDeque::new(),
            ended: false,
            held: VecDeque::new(),
        }))
    }

    async fn label_names(&self, matchers: &[Matcher], hints: &LabelHints) -> Result<LabelStrings> {
        let more = self.store.replica_labels.len();
        let limit = hints.limit.map(|limit| limit.saturating_add(more));
        let mut names = self.inner.label_names(matchers, &LabelHints { limit }).await?;
        names.strings.retain(|name| !self.store.replica_labels.contains(name));
        if let Some(limit) = hints.limit {
            names.strings.truncate(limit.get());
        }
        Ok(names)
    }

    async fn label_values(&self, name: &str, matchers: &[Matcher], hints: &LabelHints) -> Result<LabelStrings> {
        if self.store.replica_labels.contains(name) {
            return Ok(LabelStrings::default());
        }
        self.inner.label_values(name, matchers, hints).await
    }
}

#[derive(Debug)]
struct DedupSeriesSet {
    store: DedupQueryable,
    inner: Box<dyn SeriesSet>,
    sharding: Option<Sharding>,
    adjusts_counters: bool,
    /// Series of the inner set that are not held yet.
    rest: VecDeque<Series>,
    ended: bool,
    /// Series with the same first label, by their labels without those of replicas, then with them.
    held: VecDeque<Held>,
}

#[derive(Debug)]
struct Held {
    labels: Labels,
    series: Series,
}

impl DedupSeriesSet {
    /// The label that tells which series are held together: all with another one stand before or after them in both
    /// orders, since no label before it is dropped.
    fn first_label<'a>(&self, labels: &'a Labels) -> Option<(&'a str, &'a str)> {
        let first_replica = self.store.replica_labels.first()?;
        labels.iter().next().filter(|(name, _)| *name < first_replica.as_str())
    }

    fn strip(&self, labels: &Labels, builder: &mut LabelsBuilder) -> Result<Labels> {
        let kept = labels.iter().filter(|(name, _)| !self.store.replica_labels.contains(*name));
        for (name, value) in kept {
            builder.push(name, value).map_err(|source| {
                Error::new(ErrorKind::Internal, Refused::Labels { labels: labels.clone(), source })
            })?;
        }
        let stripped = builder.finish();
        // If nothing is left it would come first, which is too late to know when the last series is read.
        Ok(if stripped.is_empty() { labels.clone() } else { stripped })
    }

    /// Reads the series with the next first label, and sorts them.
    async fn hold(&mut self) -> Result<()> {
        let mut builder = LabelsBuilder::default();
        let mut held: Vec<Held> = Vec::new();
        let mut bytes = 0_usize;
        loop {
            while let Some(series) = self.rest.pop_front() {
                if let Some(first) = held.first()
                    && self.first_label(&first.series.labels) != self.first_label(&series.labels)
                {
                    self.rest.push_front(series);
                    break;
                }
                let labels = self.strip(&series.labels, &mut builder)?;
                bytes = bytes.saturating_add(memory_of(&series));
                if bytes > self.store.max_held_bytes {
                    let first = self.first_label(&series.labels).map(|(name, value)| format!("{name}={value:?}"));
                    let first = first.unwrap_or_else(|| "no label before the replicas'".into());
                    let limit = self.store.max_held_bytes;
                    return Err(Error::new(ErrorKind::LimitExceeded, Refused::TooMuch { limit, first }));
                }
                if self.sharding.is_none_or(|sharding| sharding.contains(&labels)) {
                    held.push(Held { labels, series });
                }
            }
            if self.ended || !self.rest.is_empty() {
                break;
            }
            match self.inner.next().await? {
                Some(batch) => self.rest.extend(batch),
                None => self.ended = true,
            }
        }
        // Stable: the inner order, which is that of the replicas' labels, stays among equals.
        held.sort_by(|a, b| a.labels.cmp(&b.labels));
        self.held = held.into();
        Ok(())
    }

    async fn next_batch(&mut self) -> Result<Option<Vec<Series>>> {
        while self.held.is_empty() {
            if self.ended && self.rest.is_empty() {
                return Ok(None);
            }
            self.hold().await?;
        }
        let mut batch = Vec::new();
        while batch.len() < BATCH
            && let Some(Held { labels, series }) = self.held.pop_front()
        {
            let mut replicas = vec![series];
            while let Some(replica) = self.held.pop_front_if(|next| next.labels == labels) {
                replicas.push(replica.series);
            }
            let series = match self.store.algorithm {
                DedupAlgorithm::Penalty => penalty::select(replicas, self.adjusts_counters)?,
                DedupAlgorithm::FirstWins => merge(replicas)?,
            };
            batch.extend(series.map(|series| Series { labels, hash: None, ..series }));
        }
        Ok(Some(batch))
    }
}

/// About what a series takes while it is held.
fn memory_of(series: &Series) -> usize {
    let labels: usize = series.labels.iter().map(|(name, value)| name.len() + value.len() + 2 * size_of::<u32>()).sum();
    let data = match &series.data {
        SeriesData::Labels => 0,
        SeriesData::Chunks(chunks) => {
            chunks.iter().map(|chunk| chunk.data.len() + size_of_val(chunk)).fold(0, usize::saturating_add)
        }
        SeriesData::Samples(samples) => size_of_val(samples.as_slice()),
    };
    // The labels twice: with and without those of replicas.
    data.saturating_add(2 * labels + size_of::<Held>())
}

#[async_trait]
impl SeriesSet for DedupSeriesSet {
    async fn next(&mut self) -> Result<Option<Vec<Series>>> {
        let batch = self.next_batch().await;
        if batch.is_err() {
            self.ended = true;
            self.rest.clear();
            self.held.clear();
        }
        batch
    }

    fn warnings(&self) -> &[Warning] {
        self.inner.warnings()
    }
}

#[cfg(test)]
mod tests;
