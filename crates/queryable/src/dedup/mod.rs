//! Replicas that scraped the same targets, seen as one.

mod penalty;

use std::sync::Arc;

use async_trait::async_trait;
use prometheus_model::TimeRange;

use crate::{
    error::Result,
    hints::{LabelHints, SelectHints},
    matcher::Matcher,
    merge::merge,
    querier::{LabelStrings, Querier, Queryable, SeriesSet, Warning},
    relabelled::{MAX_HELD_BYTES, Relabelled, Relabelling},
    series::Series,
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
/// Series are held to be sorted as [`Relabelled`] says. Of those that are put together, at most 64 have their samples decoded
/// at a time.
///
/// Projections and limits are not passed on to the inner store, shards are those of the series without replica labels.
#[derive(Clone, Debug)]
pub struct DedupQueryable {
    inner: Arc<dyn Queryable>,
    relabelling: Relabelling,
    algorithm: DedupAlgorithm,
    max_held_bytes: usize,
}

/// Most series that are given at a time.
const BATCH: usize = 64;

impl DedupQueryable {
    /// Sees `inner` without `replica_labels`.
    #[must_use]
    pub fn new(
        inner: Arc<dyn Queryable>,
        replica_labels: impl IntoIterator<Item = impl Into<String>>,
        algorithm: DedupAlgorithm,
    ) -> Self {
        let relabelling = Relabelling::dropping("deduplication", replica_labels);
        Self { inner, relabelling, algorithm, max_held_bytes: MAX_HELD_BYTES }
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
        let inner = self.inner.select(matchers, &wanted).await?;
        let groups = Relabelled::new(inner, self.store.relabelling.clone())
            .with_sharding(hints.sharding)
            .with_max_held_bytes(self.store.max_held_bytes);
        Ok(Box::new(DedupSeriesSet { groups, algorithm: self.store.algorithm, adjusts_counters: adjusts }))
    }

    async fn label_names(&self, matchers: &[Matcher], hints: &LabelHints) -> Result<LabelStrings> {
        let more = self.store.relabelling.dropped().len();
        let limit = hints.limit.map(|limit| limit.saturating_add(more));
        let mut names = self.inner.label_names(matchers, &LabelHints { limit }).await?;
        names.strings.retain(|name| !self.store.relabelling.dropped().contains(name));
        if let Some(limit) = hints.limit {
            names.strings.truncate(limit.get());
        }
        Ok(names)
    }

    async fn label_values(&self, name: &str, matchers: &[Matcher], hints: &LabelHints) -> Result<LabelStrings> {
        if self.store.relabelling.dropped().contains(name) {
            return Ok(LabelStrings::default());
        }
        self.inner.label_values(name, matchers, hints).await
    }
}

/// Series that have the same labels now, as one.
#[derive(Debug)]
pub(crate) struct DedupSeriesSet {
    pub(crate) groups: Relabelled,
    pub(crate) algorithm: DedupAlgorithm,
    pub(crate) adjusts_counters: bool,
}

impl DedupSeriesSet {
    async fn next_batch(&mut self) -> Result<Option<Vec<Series>>> {
        let mut batch = Vec::new();
        while batch.len() < BATCH
            && let Some(replicas) = self.groups.next_group().await?
        {
            batch.extend(match self.algorithm {
                DedupAlgorithm::Penalty => penalty::select(replicas, self.adjusts_counters)?,
                DedupAlgorithm::FirstWins => merge(replicas)?,
            });
        }
        Ok((!batch.is_empty()).then_some(batch))
    }
}

#[async_trait]
impl SeriesSet for DedupSeriesSet {
    async fn next(&mut self) -> Result<Option<Vec<Series>>> {
        let batch = self.next_batch().await;
        if batch.is_err() {
            self.groups.end();
        }
        batch
    }

    fn warnings(&self) -> &[Warning] {
        self.groups.warnings()
    }
}

#[cfg(test)]
mod tests;
