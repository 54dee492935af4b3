//! What the cache did so far.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters of a [`Cache`](super::Cache) since it was opened, and how full it is. Taken one after the other: they may be
/// off by what happened meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct CacheStatistics {
    /// Subranges in memory.
    pub memory: TierStatistics,
    /// Subranges on the local disk, if there is that tier; asked only for what is not in memory.
    pub disk: Option<TierStatistics>,
    /// What is known of objects, absent keys and listings.
    pub metadata: TierStatistics,
    /// Bytes that callers were given, other than of requests passed on.
    pub served_bytes: u64,
    /// Bytes that were fetched from the buckets to be kept.
    pub fetched_bytes: u64,
    /// Requests made to the buckets to fill the cache, those of metadata among them.
    pub fetches: u64,
    /// Subranges and requests that waited for the fetch of another caller.
    pub coalesced: u64,
    /// Reads that were passed on because they are not cached.
    pub passed_on: u64,
    /// Requests of [`fetches`](Self::fetches) that failed.
    pub errors: u64,
}

/// Counters of one tier of a cache.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct TierStatistics {
    /// Lookups that found something.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Bytes found: whole subranges, also where a part is asked for.
    pub hit_bytes: u64,
    /// Items put in.
    pub insertions: u64,
    /// Items put out to make room, those that were too large to be put in at all among them.
    pub evictions: u64,
    /// Items that were not put in, because the disk does not keep up.
    pub dropped: u64,
    /// Files that could not be read or written, or were damaged and removed.
    pub errors: u64,
    /// Items now.
    pub items: u64,
    /// What they take now, in bytes, their management included.
    pub bytes: u64,
    /// What they may take.
    pub max_bytes: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) served_bytes: Count,
    pub(super) fetched_bytes: Count,
    pub(super) fetches: Count,
    pub(super) coalesced: Count,
    pub(super) passed_on: Count,
    pub(super) errors: Count,
}

impl Counters {
    pub(super) fn snapshot(
        &self,
        memory: TierStatistics,
        disk: Option<TierStatistics>,
        metadata: TierStatistics,
    ) -> CacheStatistics {
        CacheStatistics {
            memory,
            disk,
            metadata,
            served_bytes: self.served_bytes.get(),
            fetched_bytes: self.fetched_bytes.get(),
            fetches: self.fetches.get(),
            coalesced: self.coalesced.get(),
            passed_on: self.passed_on.get(),
            errors: self.errors.get(),
        }
    }
}

/// The counters of one tier.
#[derive(Default)]
pub(super) struct TierCounters {
    pub(super) hits: Count,
    pub(super) misses: Count,
    pub(super) hit_bytes: Count,
    pub(super) insertions: Count,
    pub(super) evictions: Count,
    pub(super) dropped: Count,
    pub(super) errors: Count,
}

impl TierCounters {
    pub(super) fn found(&self, bytes: Option<u64>) {
        match bytes {
            Some(bytes) => {
                self.hits.add(1);
                self.hit_bytes.add(bytes);
            }
            None => self.misses.add(1),
        }
    }

    pub(super) fn snapshot(&self, items: usize, bytes: u64, max_bytes: u64) -> TierStatistics {
        TierStatistics {
            hits: self.hits.get(),
            misses: self.misses.get(),
            hit_bytes: self.hit_bytes.get(),
            insertions: self.insertions.get(),
            evictions: self.evictions.get(),
            dropped: self.dropped.get(),
            errors: self.errors.get(),
            items: items as u64,
            bytes,
            max_bytes,
        }
    }
}

/// A counter that orders nothing.
#[derive(Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
