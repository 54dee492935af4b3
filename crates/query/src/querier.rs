//! The traits of `prometheus-queryable`, over shards.

use std::{collections::BTreeSet, fmt, sync::Arc};

use async_trait::async_trait;
use futures::future::try_join_all;
use prometheus_model::TimeRange;
use prometheus_queryable::{
    self as queryable, LabelHints, LabelStrings, Matcher, Querier, Queryable, SelectHints, Series, SeriesSet,
    merge_sets,
};
use promparquet_shard::Shard;
use tokio::sync::Semaphore;

use crate::{
    cache::RowCache,
    constraint::Constraint,
    error::Result,
    explain::{Explain, Recorder},
    observe::{Observe, Operation},
    options::{Options, ReadCosts},
    question::{Held, Question},
    quota::Quota,
    row_memory::RowMemory,
    select::Select,
    strings,
};

/// Knows which shards there are.
#[async_trait]
pub trait ShardSource: fmt::Debug + Send + Sync {
    /// The shards that may have samples in `range`, half-open, opened. They need not overlap it.
    ///
    /// # Errors
    /// If they cannot be found out or opened.
    async fn shards(&self, range: TimeRange) -> queryable::Result<Vec<Arc<Shard>>>;
}

/// A fixed list of shards.
#[async_trait]
impl ShardSource for Vec<Arc<Shard>> {
    async fn shards(&self, _: TimeRange) -> queryable::Result<Vec<Arc<Shard>>> {
        Ok(self.clone())
    }
}

/// Parquet shards as a store of series. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ParquetQueryable {
    source: Arc<dyn ShardSource>,
    options: Options,
    cache: Option<Arc<RowCache>>,
    quota: Option<Arc<Quota>>,
    observer: Option<Arc<dyn Observe>>,
}

impl ParquetQueryable {
    /// Asks the shards that `source` knows.
    #[must_use]
    pub fn new(source: Arc<dyn ShardSource>, options: Options) -> Self {
        Self { source, options, cache: None, quota: None, observer: None }
    }

    /// Remembers which rows fitted.
    #[must_use]
    pub fn with_row_cache(self, cache: Arc<RowCache>) -> Self {
        Self { cache: Some(cache), ..self }
    }

    /// Counts what all selects and questions take against one quota, other than each against its own of
    /// [`Options::limits`].
    #[must_use]
    pub fn with_quota(self, quota: Arc<Quota>) -> Self {
        Self { quota: Some(quota), ..self }
    }

    /// Tells somebody of each question to a shard.
    #[must_use]
    pub fn with_observer(self, observer: Arc<dyn Observe>) -> Self {
        Self { observer: Some(observer), ..self }
    }

    /// A view on the shards of these times, as [`Queryable::querier`] gives, with its own type.
    ///
    /// # Errors
    /// Those of the source.
    pub async fn parquet_querier(&self, range: TimeRange) -> queryable::Result<ParquetQuerier> {
        let mut shards = self.source.shards(range).await?;
        shards.retain(|shard| {
            let data = shard.data_columns();
            range.overlaps_closed(data.min_time(), data.max_time())
        });
        Ok(ParquetQuerier {
            shards,
            range,
            options: self.options,
            cache: self.cache.clone(),
            quota: self.quota.clone(),
            observer: self.observer.clone(),
        })
    }
}

#[async_trait]
impl Queryable for ParquetQueryable {
    async fn querier(&self, range: TimeRange) -> queryable::Result<Box<dyn Querier>> {
        Ok(Box::new(self.parquet_querier(range).await?))
    }
}

/// A view on some shards.
#[derive(Clone, Debug)]
pub struct ParquetQuerier {
    shards: Vec<Arc<Shard>>,
    range: TimeRange,
    options: Options,
    cache: Option<Arc<RowCache>>,
    quota: Option<Arc<Quota>>,
    observer: Option<Arc<dyn Observe>>,
}

impl ParquetQuerier {
    /// The shards that it asks.
    #[must_use]
    pub fn shards(&self) -> &[Arc<Shard>] {
        &self.shards
    }

    /// Selects, and takes down in `explain` what is done for it. Work begins at once, and needs a Tokio runtime around.
    ///
    /// # Errors
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) if there are too many shards.
    pub fn select_explained(
        &self,
        matchers: &[Matcher],
        hints: &SelectHints,
        explain: &Explain,
    ) -> queryable::Result<Box<dyn SeriesSet>> {
        let Some(range) = self.range.intersect(hints.range) else { return Ok(Box::new(Nothing)) };
        let constraints: Arc<[Constraint]> = Constraint::of(matchers).into();
        let questions = self.questions(range, Operation::Select, explain)?;
        // Each shard has windows of its own, which together are no larger than one shard's alone.
        let share = questions.len().max(1) as u64;
        let mut sets: Vec<Box<dyn SeriesSet>> = Vec::with_capacity(questions.len());
        for question in questions {
            let mut select = Select::new(question, Arc::clone(&constraints), range, hints);
            select.window.bytes /= share;
            sets.push(Box::new(select.start()));
        }
        Ok(match sets.len() {
            1 => sets.remove(0),
            _ => merge_sets(sets),
        })
    }

    /// One for each shard that overlaps the range.
    fn questions(&self, range: TimeRange, operation: Operation, explain: &Explain) -> Result<Vec<Question>> {
        let quota = self.quota.clone().unwrap_or_else(|| Arc::new(Quota::new(self.options.limits)));
        let row_memory = Arc::new(RowMemory::new(self.options.row_bytes.get()));
        let reads = Arc::new(Semaphore::new(self.options.concurrency.get()));
        let overlapping = self.shards.iter().filter(|shard| {
            let data = shard.data_columns();
            range.overlaps_closed(data.min_time(), data.max_time())
        });
        let questions = overlapping.map(|shard| {
            let observation = self.observer.as_ref().map(|observer| observer.begin(operation));
            let recorder = Recorder::new(format!("{}/{}", shard.name(), shard.index()), shard.rows(), observation);
            explain.add(recorder.clone());
            Question {
                shard: Arc::clone(shard),
                options: self.options,
                costs: self.options.read_costs.unwrap_or_else(|| ReadCosts::of(shard.bucket())),
                quota: Arc::clone(&quota),
                row_memory: Arc::clone(&row_memory),
                cache: self.cache.clone(),
                recorder,
                reads: Arc::clone(&reads),
                held: Held::default(),
            }
        });
        let questions: Vec<_> = questions.collect();
        quota.shards(questions.len() as u64)?;
        Ok(questions)
    }
}

fn limited(sets: Vec<BTreeSet<String>>, hints: &LabelHints) -> LabelStrings {
    let all: BTreeSet<String> = sets.into_iter().flatten().collect();
    let limit = hints.limit.map_or(usize::MAX, std::num::NonZeroUsize::get);
    LabelStrings { strings: all.into_iter().take(limit).collect(), warnings: Vec::new() }
}

#[async_trait]
impl Querier for ParquetQuerier {
    fn honours_projection(&self) -> bool {
        self.options.honor_projection && self.shards.iter().all(|shard| shard.series_hash_position().is_some())
    }

    async fn select(&self, matchers: &[Matcher], hints: &SelectHints) -> queryable::Result<Box<dyn SeriesSet>> {
        let mut hints = hints.clone();
        if !self.honours_projection() {
            hints.projection = None;
        }
        self.select_explained(matchers, &hints, &Explain::default())
    }

    async fn label_names(&self, matchers: &[Matcher], hints: &LabelHints) -> queryable::Result<LabelStrings> {
        let constraints: Arc<[Constraint]> = Constraint::of(matchers).into();
        let questions = self.questions(self.range, Operation::LabelNames, &Explain::default())?;
        let names = questions.iter().map(|question| strings::names(question, &constraints));
        Ok(limited(try_join_all(names).await?, hints))
    }

    async fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        hints: &LabelHints,
    ) -> queryable::Result<LabelStrings> {
        let constraints: Arc<[Constraint]> = Constraint::of(matchers).into();
        let questions = self.questions(self.range, Operation::LabelValues, &Explain::default())?;
        let values = questions.iter().map(|question| strings::values(question, name, &constraints));
        Ok(limited(try_join_all(values).await?, hints))
    }
}

/// No series.
#[derive(Debug)]
struct Nothing;

#[async_trait]
impl SeriesSet for Nothing {
    async fn next(&mut self) -> queryable::Result<Option<Vec<Series>>> {
        Ok(None)
    }
}
