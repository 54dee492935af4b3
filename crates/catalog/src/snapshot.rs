//! What a catalog knows at one time.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use prometheus_model::{Labels, TimeRange, TimestampMs};
use prometheus_queryable::{
    self as queryable, ExternalLabelsQueryable, MergedQueryable, PartialResponse, Querier, Queryable,
};
use promparquet_query::{Observe, ParquetQueryable, Quota, RowCache};
use promparquet_shard::Shard;

use crate::{
    catalog::CatalogOptions,
    error::{Detail, Error, Result},
    listing::Stamp,
    shard_cache::{ShardCache, Slot},
};

/// Shards opened at a time by one query.
const OPEN_CONCURRENCY: usize = 16;

/// What a shard set is in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SetState {
    /// It is queried, unless it [is elsewhere](Snapshot::is_elsewhere).
    Open,
    /// It should be queried, and cannot be read. Queries of its times fail, or say that they lack it.
    Failed(Error),
    /// It was not opened, because it has no samples in [the time asked for](CatalogOptions::times). Queries of its times fail.
    OutOfTime,
    /// It is not queried, because nothing says that it is complete.
    Unmarked,
    /// It is not queried, because it is marked for deletion.
    Deleted,
    /// It is a TSDB block, which has no shards yet, and is not queried.
    Unconverted,
}

/// A shard set that the catalog knows.
#[derive(Clone, Debug)]
pub struct SetInfo {
    /// Its directory.
    pub name: String,
    /// Whether it is queried.
    pub state: SetState,
    /// How many shards it has; 0 if it is not open.
    pub shards: usize,
    /// How many rows they have; of a TSDB block, how many series.
    pub rows: u64,
    /// Size of all its files.
    pub bytes: u64,
    /// When its samples are, if that is known: first and last millisecond.
    pub times: Option<(TimestampMs, TimestampMs)>,
    /// Labels that all its series have besides their own.
    pub external_labels: Labels,
}

/// A set with what the catalog needs of it.
#[derive(Clone, Debug)]
pub(crate) struct KnownSet {
    pub(crate) info: SetInfo,
    pub(crate) stamp: Stamp,
    pub(crate) slots: Vec<Slot>,
}

/// What a catalog knows at one time: a store of series that stays the same.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) sets: Vec<Arc<KnownSet>>,
    pub(crate) is_complete: bool,
    /// First and last millisecond of what somebody else answers for.
    pub(crate) elsewhere: Option<(TimestampMs, TimestampMs)>,
    pub(crate) cache: Arc<ShardCache>,
    pub(crate) rows: Arc<RowCache>,
    pub(crate) options: Arc<CatalogOptions>,
    pub(crate) observer: Arc<OnceLock<Arc<dyn Observe>>>,
}

impl Snapshot {
    /// Whether the bucket was looked through once at least; before that, queries fail.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.is_complete
    }

    /// All sets of the bucket, by name.
    pub fn sets(&self) -> impl ExactSizeIterator<Item = &SetInfo> {
        self.sets.iter().map(|set| &set.info)
    }

    /// The times, first and last millisecond, for which somebody else answers: sets that lie within are not queried.
    #[must_use]
    pub const fn elsewhere(&self) -> Option<(TimestampMs, TimestampMs)> {
        self.elsewhere
    }

    /// Whether a set is not queried because somebody else answers for all of its times.
    #[must_use]
    pub fn is_elsewhere(&self, set: &SetInfo) -> bool {
        let is_readable = matches!(set.state, SetState::Open | SetState::Failed(_));
        let within = |(from, to): (TimestampMs, TimestampMs), times: (TimestampMs, TimestampMs)| {
            from <= times.0 && times.1 <= to
        };
        is_readable && self.elsewhere.zip(set.times).is_some_and(|(elsewhere, times)| within(elsewhere, times))
    }

    /// First and last millisecond of all sets that are queried.
    #[must_use]
    pub fn times(&self) -> Option<(TimestampMs, TimestampMs)> {
        let open = self.open().filter_map(|set| set.info.times);
        open.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// Different external labels of the sets that are queried, each with first and last millisecond of the sets that have them.
    #[must_use]
    pub fn external_labels(&self) -> BTreeMap<Labels, (TimestampMs, TimestampMs)> {
        let mut all: BTreeMap<Labels, (TimestampMs, TimestampMs)> = BTreeMap::new();
        for set in self.open() {
            let Some((first, last)) = set.info.times else { continue };
            let times = all.entry(set.info.external_labels.clone()).or_insert((first, last));
            *times = (times.0.min(first), times.1.max(last));
        }
        all
    }

    /// How many shards are open in memory, and about how many bytes their footers take.
    #[must_use]
    pub fn opened(&self) -> (usize, u64) {
        (self.cache.len(), self.cache.bytes())
    }

    /// All shards of the set `name`, in order.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if no such set is open; why a set that failed did; those of opening shards again
    /// that had to make room.
    pub async fn shards(&self, name: &str) -> Result<Vec<Arc<Shard>>> {
        let found = self.sets.iter().find(|set| set.info.name == name);
        let slots = match found.map(|set| (&set.info.state, set)) {
            Some((SetState::Open, set)) => &set.slots,
            Some((SetState::Failed(error), _)) => return Err(error.clone()),
            _ => return Err(Detail::NotOpen { bucket: self.cache.bucket().to_string(), name: name.to_owned() }.into()),
        };
        // Boxed, because closures over borrows in `buffered` defeat the compiler's proof that the future is `Send`.
        let opens: Vec<_> = slots.iter().map(|slot| Box::pin(self.cache.get(slot))).collect();
        stream::iter(opens).buffered(OPEN_CONCURRENCY).try_collect().await
    }

    fn open(&self) -> impl Iterator<Item = &KnownSet> {
        let sets = self.sets.iter().map(AsRef::as_ref);
        sets.filter(|set| matches!(set.info.state, SetState::Open) && !self.is_elsewhere(&set.info))
    }

    /// Opens what a query of `range` reads; parts that cannot be opened answer with their error.
    async fn parts(&self, range: TimeRange) -> queryable::Result<Vec<Arc<dyn Queryable>>> {
        let overlaps = |times: (TimestampMs, TimestampMs)| range.overlaps_closed(times.0, times.1);
        let wanted: Vec<(&KnownSet, &Slot)> = self
            .open()
            .flat_map(|set| set.slots.iter().map(move |slot| (set, slot)))
            .filter(|(_, slot)| overlaps((slot.min_time, slot.max_time)))
            .collect();
        if let Some(limit) = self.options.query.limits.shards.filter(|limit| wanted.len() as u64 > limit.get()) {
            return Err(Error::from(Detail::TooManyShards { shards: wanted.len(), limit: limit.get() }).into());
        }
        // Boxed, because closures over borrows in `buffered` defeat the compiler's proof that the future is `Send`.
        let opens: Vec<_> = wanted.iter().map(|(_, slot)| Box::pin(self.cache.get(slot))).collect();
        let opened: Vec<_> = stream::iter(opens).buffered(OPEN_CONCURRENCY).collect().await;

        let mut broken: Vec<Error> = Vec::new();
        for set in &self.sets {
            if let SetState::Failed(error) = &set.info.state
                && set.info.times.is_none_or(overlaps)
                && !self.is_elsewhere(&set.info)
            {
                broken.push(error.clone());
            }
            if matches!(set.info.state, SetState::OutOfTime) && set.info.times.is_none_or(overlaps) {
                let (bucket, name) = (self.cache.bucket().to_string(), set.info.name.clone());
                broken.push(Detail::NotOpen { bucket, name }.into());
            }
        }
        // Where a part may be missing, each set is one, so that no more is missing than must be.
        let apart = self.options.partial_response == PartialResponse::Warn;
        let mut groups: BTreeMap<(&Labels, Option<&str>), Vec<Arc<Shard>>> = BTreeMap::new();
        for ((set, _), shard) in wanted.iter().zip(opened) {
            match shard {
                Ok(shard) => {
                    let name = apart.then_some(set.info.name.as_str());
                    groups.entry((&set.info.external_labels, name)).or_default().push(shard);
                }
                Err(error) => broken.push(error),
            }
        }
        let quota = Arc::new(Quota::new(self.options.query.limits));
        let mut parts: Vec<Arc<dyn Queryable>> = Vec::with_capacity(groups.len() + broken.len());
        for ((external_labels, _), shards) in groups {
            let mut shards = ParquetQueryable::new(Arc::new(shards), self.options.query)
                .with_row_cache(Arc::clone(&self.rows))
                .with_quota(Arc::clone(&quota));
            if let Some(observer) = self.observer.get() {
                shards = shards.with_observer(Arc::clone(observer));
            }
            parts.push(if external_labels.is_empty() {
                Arc::new(shards)
            } else {
                Arc::new(ExternalLabelsQueryable::new(Arc::new(shards), external_labels.clone()))
            });
        }
        parts.extend(broken.into_iter().map(|error| Arc::new(Broken(error)) as Arc<dyn Queryable>));
        Ok(parts)
    }
}

/// What one querier takes, in all its selects together, is held against the limits once.
#[async_trait]
impl Queryable for Snapshot {
    async fn querier(&self, range: TimeRange) -> queryable::Result<Box<dyn Querier>> {
        if !self.is_complete {
            return Err(Error::from(Detail::NotReady).into());
        }
        let mut parts = self.parts(range).await?;
        match parts.len() {
            1 if self.options.partial_response == PartialResponse::Fail => parts.remove(0).querier(range).await,
            _ => {
                let merged = MergedQueryable::new(parts).with_partial_response(self.options.partial_response);
                merged.querier(range).await
            }
        }
    }
}

/// Stands for what cannot be read.
#[derive(Debug)]
struct Broken(Error);

#[async_trait]
impl Queryable for Broken {
    async fn querier(&self, _: TimeRange) -> queryable::Result<Box<dyn Querier>> {
        Err(self.0.clone().into())
    }
}
