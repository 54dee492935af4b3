//! Keeps up with a bucket.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use prometheus_model::{Labels, TimeRange, TimestampMs};
use prometheus_queryable::{self as queryable, PartialResponse, Querier, Queryable};
use promparquet_objstore::Bucket;
use promparquet_query::{Observe, Options, RowCache};

use crate::{
    error::{Error, ErrorKind, Result},
    layout::{self, Found, Source, Status, Wanted},
    shard_cache::ShardCache,
    snapshot::{KnownSet, SetInfo, SetState, Snapshot},
};

/// Shards of one set opened at a time.
const SHARDS_AT_A_TIME: usize = 4;

/// How a [`Catalog`] works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CatalogOptions {
    /// Names of the sets that are looked for, as [`SetInfo`] has them; all of the bucket if empty. These are read whether anything
    /// says that they are complete or not, and also if they are marked for deletion. The name of a stream stands for its days
    /// that are complete.
    pub sets: Vec<String>,
    /// Sets without samples in this time, as their names or metas say, are not opened.
    pub times: TimeRange,
    /// How queries read. The limits are those of a whole query: of all that one querier is asked.
    pub query: Options,
    /// What becomes of queries that touch a set which cannot be read.
    pub partial_response: PartialResponse,
    /// Taken for the external labels of every set, if given.
    pub external_labels: Option<Labels>,
    /// About how much memory the footers and page indexes of opened shards may take.
    pub footer_bytes: u64,
    /// About how much memory is used to remember which rows fitted.
    pub row_cache_bytes: u64,
    /// Sets opened at the same time.
    pub concurrency: NonZeroUsize,
    /// For how long a set is still queried after it was marked for deletion, in milliseconds.
    pub deletion_delay_ms: u64,
}

impl Default for CatalogOptions {
    /// 256 MiB for footers, 32 MiB for rows, four sets at a time, no delay; damage fails queries.
    fn default() -> Self {
        Self {
            sets: Vec::new(),
            times: TimeRange::ALL,
            query: Options::default(),
            partial_response: PartialResponse::Fail,
            external_labels: None,
            footer_bytes: 256 << 20,
            row_cache_bytes: 32 << 20,
            concurrency: NonZeroUsize::new(4).unwrap_or(NonZeroUsize::MIN),
            deletion_delay_ms: 0,
        }
    }
}

/// What a [`Catalog::sync`] did.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SyncReport {
    /// Sets that are queried now.
    pub open: usize,
    /// Sets that were opened.
    pub opened: usize,
    /// Sets that are no longer queried.
    pub closed: usize,
    /// Sets that cannot be read.
    pub failed: usize,
}

/// Keeps up with the shard sets of a bucket.
#[derive(Debug)]
pub struct Catalog {
    snapshot: RwLock<Arc<Snapshot>>,
    /// Held by the one sync at a time.
    syncing: tokio::sync::Mutex<()>,
}

impl Catalog {
    /// Knows nothing of the bucket before the first [`sync`](Self::sync).
    #[must_use]
    pub fn new(bucket: Bucket, options: CatalogOptions) -> Self {
        let snapshot = Snapshot {
            sets: Vec::new(),
            is_complete: false,
            elsewhere: None,
            cache: Arc::new(ShardCache::new(bucket, options.footer_bytes)),
            rows: Arc::new(RowCache::new(options.row_cache_bytes)),
            options: Arc::new(options),
            observer: Arc::default(),
        };
        Self { snapshot: RwLock::new(Arc::new(snapshot)), syncing: tokio::sync::Mutex::new(()) }
    }

    /// Tells somebody of each question to a shard from now on; the first to be told stays.
    pub fn observe(&self, observer: Arc<dyn Observe>) {
        let _ = self.snapshot().observer.set(observer);
    }

    /// Leaves sets that lie within these times, first and last millisecond, to somebody else from now on: they are known, and not
    /// queried. With `None`, all are.
    pub fn leave_elsewhere(&self, times: Option<(TimestampMs, TimestampMs)>) {
        self.change(|snapshot| Snapshot { elsewhere: times, ..snapshot });
    }

    fn change(&self, change: impl FnOnce(Snapshot) -> Snapshot) {
        let mut snapshot = self.snapshot.write().unwrap_or_else(PoisonError::into_inner);
        *snapshot = Arc::new(change(Snapshot::clone(&snapshot)));
    }

    /// What is known now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lists the bucket, opens what is new or was replaced, and lets go of what is gone. What cannot be read becomes
    /// [`Failed`](SetState::Failed), and is tried again by the next sync if that may help. `now` is the time.
    ///
    /// # Errors
    /// If the bucket cannot be listed; what is known stays as it was then.
    pub async fn sync(&self, now: TimestampMs) -> Result<SyncReport> {
        let _one_at_a_time = self.syncing.lock().await;
        let before = self.snapshot();
        let (cache, options) = (&before.cache, &before.options);
        let delay = i64::try_from(options.deletion_delay_ms).unwrap_or(i64::MAX);
        let found = layout::discover(cache.bucket(), &Wanted::new(&options.sets), now.saturating_sub(delay)).await?;

        let known: HashMap<&str, &Arc<KnownSet>> = before.sets.iter().map(|set| (&*set.info.name, set)).collect();
        // Boxed, because closures over borrows in `buffered` defeat the compiler's proof that the future is `Send`.
        let looks: Vec<_> = found
            .into_iter()
            .map(|found| {
                let kept = known.get(&*found.name).filter(|set| can_stay(set, &found)).map(|set| Arc::clone(set));
                Box::pin(async move {
                    match kept {
                        Some(set) => (set, false),
                        None => (Arc::new(look(cache, options, found).await), true),
                    }
                })
            })
            .collect();
        let looked: Vec<(Arc<KnownSet>, bool)> =
            stream::iter(looks).buffered(options.concurrency.get()).collect().await;

        let mut report = SyncReport::default();
        for (set, is_new) in &looked {
            match set.info.state {
                SetState::Open => {
                    report.open += 1;
                    report.opened += usize::from(*is_new);
                }
                SetState::Failed(_) => report.failed += 1,
                SetState::OutOfTime | SetState::Unmarked | SetState::Deleted | SetState::Unconverted => {}
            }
        }
        let sets: Vec<_> = looked.into_iter().map(|(set, _)| set).collect();
        for gone in before.sets.iter().filter(|set| !sets.iter().any(|now| Arc::ptr_eq(now, set))) {
            report.closed += usize::from(matches!(gone.info.state, SetState::Open));
            gone.slots.iter().for_each(|slot| cache.close(slot));
        }
        self.change(|snapshot| Snapshot { sets, is_complete: true, ..snapshot });
        Ok(report)
    }
}

#[async_trait]
impl Queryable for Catalog {
    async fn querier(&self, range: TimeRange) -> queryable::Result<Box<dyn Querier>> {
        self.snapshot().querier(range).await
    }
}

/// Whether what is known of a set is what another look at it would find.
fn can_stay(known: &KnownSet, found: &Found) -> bool {
    known.stamp == found.stamp
        && match (&known.info.state, &found.status) {
            (SetState::Open | SetState::OutOfTime, Status::Complete(_)) => true,
            // The same bytes will not be better.
            (SetState::Failed(error), Status::Complete(_)) => {
                matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported)
            }
            (SetState::Unmarked, Status::Unmarked) | (SetState::Deleted, Status::Deleted) => true,
            // Its meta may be read next time.
            (SetState::Unconverted, Status::Unconverted) => known.info.times.is_some(),
            _ => false,
        }
}

async fn look(cache: &ShardCache, options: &CatalogOptions, found: Found) -> KnownSet {
    let info = SetInfo {
        name: found.name,
        state: SetState::Unmarked,
        shards: 0,
        rows: 0,
        bytes: found.bytes,
        times: found.times,
        external_labels: Labels::default(),
    };
    let mut set = KnownSet { info, stamp: found.stamp, slots: Vec::new() };
    set.info.state = match found.status {
        Status::Unmarked => SetState::Unmarked,
        Status::Deleted => SetState::Deleted,
        Status::Unconverted => {
            // Nobody queries it: without its meta, less is known of it.
            if let Ok(meta) = layout::block_meta(cache.bucket(), &set.info.name).await {
                set.info.times = meta.time_range().ok().map(|range| (range.start(), range.last()));
                set.info.rows = meta.stats.num_series;
                set.info.external_labels = Labels::from_pairs(meta.external_labels()).unwrap_or_default();
            }
            SetState::Unconverted
        }
        Status::Complete(_) if is_out_of_time(options, &set) => SetState::OutOfTime,
        Status::Complete(source) => open(cache, options, &mut set, &source).await.unwrap_or_else(SetState::Failed),
    };
    set
}

fn is_out_of_time(options: &CatalogOptions, set: &KnownSet) -> bool {
    set.info.times.is_some_and(|(first, last)| !options.times.overlaps_closed(first, last))
}

async fn open(
    cache: &ShardCache,
    options: &CatalogOptions,
    set: &mut KnownSet,
    source: &Source,
) -> Result<SetState, Error> {
    let described = source.describe(cache.bucket(), &set.info.name).await?;
    set.info.external_labels = options.external_labels.clone().unwrap_or(described.external_labels);
    set.info.times = described.range.map(|range| (range.start(), range.last()));
    if is_out_of_time(options, set) {
        return Ok(SetState::OutOfTime);
    }
    let (directory, layout): (Arc<str>, _) = (described.directory.into(), described.layout);
    // However many shards a mark claims, only so many are opened before the first that is missing is noticed.
    let opens = stream::iter(0..described.shards).map(|index| {
        let directory = Arc::clone(&directory);
        Box::pin(async move { cache.open(&directory, layout, index).await })
    });
    set.slots = opens.buffered(SHARDS_AT_A_TIME).try_collect().await?;
    let ends = set.slots.iter().map(|slot| (slot.min_time, slot.max_time));
    set.info.times = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    set.info.shards = set.slots.len();
    set.info.rows = set.slots.iter().map(|slot| slot.rows).sum();
    Ok(SetState::Open)
}

#[cfg(test)]
mod tests;
