//! Thanos' parts of all series, by which its query frontend cuts a query: by a hash of those labels that its result keeps.

use std::{collections::BTreeSet, sync::Arc};

use prometheus_model::{Labels, TimeRange, stable_hash};
use prometheus_queryable::{
    LabelHints, LabelStrings, Matcher, Querier, Queryable, Result, SelectHints, Series, SeriesSet, Warning,
};

use crate::grpc::proto::ShardInfo;

/// One part.
#[derive(Clone, Debug)]
pub(crate) struct Shard {
    index: u64,
    count: u64,
    /// Whether the labels are those that count, or those that do not.
    by: bool,
    labels: BTreeSet<String>,
}

impl Shard {
    /// `None` if that is all series.
    pub(crate) fn of(info: &ShardInfo) -> Option<Self> {
        let count = u64::try_from(info.total_shards).ok().filter(|count| *count > 0)?;
        // No series is in a part of a negative number.
        let index = u64::try_from(info.shard_index).unwrap_or(u64::MAX);
        Some(Self { index, count, by: info.by, labels: info.labels.iter().cloned().collect() })
    }

    /// Whether a series of these labels is in the part.
    pub(crate) fn contains(&self, labels: &Labels) -> bool {
        let counts = labels.iter().filter(|(name, _)| self.labels.contains(*name) == self.by);
        stable_hash(counts.map(|(name, value)| (name.as_bytes(), value.as_bytes()))) % self.count == self.index
    }
}

/// The series of a store that are in one part. Names and values of labels are those of all.
#[derive(Clone, Debug)]
pub(crate) struct ShardQueryable {
    inner: Arc<dyn Queryable>,
    shard: Arc<Shard>,
}

impl ShardQueryable {
    pub(crate) fn new(inner: Arc<dyn Queryable>, shard: Shard) -> Self {
        Self { inner, shard: Arc::new(shard) }
    }
}

#[tonic::async_trait]
impl Queryable for ShardQueryable {
    async fn querier(&self, range: TimeRange) -> Result<Box<dyn Querier>> {
        let inner = self.inner.querier(range).await?;
        Ok(Box::new(ShardQuerier { inner, shard: Arc::clone(&self.shard) }))
    }
}

#[derive(Debug)]
struct ShardQuerier {
    inner: Box<dyn Querier>,
    shard: Arc<Shard>,
}

#[tonic::async_trait]
impl Querier for ShardQuerier {
    async fn select(&self, matchers: &[Matcher], hints: &SelectHints) -> Result<Box<dyn SeriesSet>> {
        // The labels that count must be there.
        let wanted = SelectHints { projection: None, limit: None, ..hints.clone() };
        let inner = self.inner.select(matchers, &wanted).await?;
        Ok(Box::new(ShardSet { inner, shard: Arc::clone(&self.shard) }))
    }

    async fn label_names(&self, matchers: &[Matcher], hints: &LabelHints) -> Result<LabelStrings> {
        self.inner.label_names(matchers, hints).await
    }

    async fn label_values(&self, name: &str, matchers: &[Matcher], hints: &LabelHints) -> Result<LabelStrings> {
        self.inner.label_values(name, matchers, hints).await
    }
}

#[derive(Debug)]
struct ShardSet {
    inner: Box<dyn SeriesSet>,
    shard: Arc<Shard>,
}

#[tonic::async_trait]
impl SeriesSet for ShardSet {
    async fn next(&mut self) -> Result<Option<Vec<Series>>> {
        while let Some(mut batch) = self.inner.next().await? {
            batch.retain(|series| self.shard.contains(&series.labels));
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    fn warnings(&self) -> &[Warning] {
        self.inner.warnings()
    }
}
