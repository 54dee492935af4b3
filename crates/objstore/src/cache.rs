//! A cache between a bucket and those who read immutable objects from it by ranges.
//!
//! ```text
//! range ─► aligned subranges ─► memory ─► local disk ─► bucket, one request per gap
//! head, the end of an object, one level of keys ─► metadata, for a time
//! ```
//!
//! Objects are cut into aligned subranges, so that queries which join the same pages to different reads share them. A
//! subrange belongs to one version of an object: bucket, key, size and entity tag. Every answer of the bucket says which
//! version it is of, so subranges of two versions are never mixed, and what is on disk is valid after any restart.
//!
//! **What is assumed**: a changed object has another entity tag, and a read may be answered from the version that was
//! current up to [`CacheConfig::attributes_ttl`] ago. For objects that are written once this is always the current one.
//! What is written, copied, renamed or deleted through a cached store is seen at once by its readers; what others do is
//! seen when the time is over or a missing subrange is fetched, whichever is first. What the bucket says of absent keys
//! and of listings is remembered only where configured.
//!
//! **What is not cached** but passed on: whole objects and ranges without end, which are as large as the object; ranges
//! above 64 MiB; conditional requests and those for a version; objects without entity tag; recursive listings; failures.
//! The bucket's errors reach the caller unchanged.
//!
//! Requests for what is being fetched wait for it. Fetches are tasks of the tokio runtime, which go on if who asked
//! first goes away. Without a runtime nothing is cached.
//!
//! **Memory** beyond [`CacheConfig::memory_bytes`] and [`CacheConfig::metadata_bytes`]: what is being fetched, at most
//! 32 MiB on their way to the disk, and about 200 bytes for each subrange on disk.

mod config;
mod disk;
mod flight;
mod memory;
mod metadata;
mod object;
mod read;
mod statistics;
mod store;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use object_store::{ListResult, ObjectStore};

pub use self::{
    config::{CacheConfig, DiskCacheConfig},
    statistics::{CacheStatistics, TierStatistics},
};
use self::{
    disk::Disk,
    flight::Flights,
    memory::Memory,
    metadata::{Epoch, Key, Metadata},
    object::{Block, Object},
    read::{Cold, ColdAnswer},
    statistics::Counters,
    store::CachedStore,
};
use crate::{bucket::Bucket, error::Result};

/// A cache that buckets share. Cheap to clone; the clones are one cache.
///
/// ```
/// use promparquet_objstore::{Bucket, Cache, CacheConfig};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let cache = Cache::open(&CacheConfig::default())?;
/// # let memory = std::sync::Arc::new(object_store::memory::InMemory::new());
/// let bucket = Bucket::new(memory, "memory://").cached(&cache);
/// bucket.put("shard", "columns and rows".into()).await?;
/// for _ in 0..2 {
///     assert_eq!(bucket.get_range("shard", 12..16).await?, "rows");
/// }
/// let statistics = cache.statistics();
/// assert_eq!((statistics.fetches, statistics.memory.hits), (1, 1));
/// # Ok::<(), promparquet_objstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Cache(Arc<Core>);

struct Core {
    block_bytes: u64,
    memory: Memory,
    disk: Option<Disk>,
    metadata: Metadata,
    /// Subranges that are being fetched.
    blocks: Arc<Flights<Block, Bytes>>,
    /// Reads of objects that nothing is known of yet.
    cold: Arc<Flights<Cold, Arc<ColdAnswer>>>,
    heads: Arc<Flights<(Key, Epoch), Arc<Object>>>,
    listings: Arc<Flights<(Key, Epoch), Arc<ListResult>>>,
    counters: Counters,
    /// The buckets' identities, numbered.
    stores: Mutex<HashMap<Arc<str>, u32>>,
}

impl Cache {
    /// Makes the cache. With a disk tier it reads the directory's listing, which may take seconds for a large one.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a configuration that makes no sense,
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if another cache, of this process or another, has the
    /// directory open; [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied) and
    /// [`ErrorKind::StorageFull`](crate::ErrorKind::StorageFull) if it cannot be used.
    pub fn open(config: &CacheConfig) -> Result<Self> {
        config.check()?;
        let disk = config.disk.as_ref().map(|disk| Disk::open(disk, config.subrange_bytes)).transpose()?;
        Ok(Self(Arc::new(Core {
            block_bytes: config.subrange_bytes,
            memory: Memory::new(config.memory_bytes, config.subrange_bytes),
            disk,
            metadata: Metadata::new(config),
            blocks: Arc::default(),
            cold: Arc::default(),
            heads: Arc::default(),
            listings: Arc::default(),
            counters: Counters::default(),
            stores: Mutex::default(),
        })))
    }

    /// `inner`, read through this cache. `identity` tells its objects from those of other stores that share the cache,
    /// also after a restart: an endpoint, bucket and prefix. [`Bucket::cached`] does this with the right identity.
    #[must_use]
    pub fn layer(&self, inner: Arc<dyn ObjectStore>, identity: &str) -> Arc<dyn ObjectStore> {
        let mut stores = self.0.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let next = u32::try_from(stores.len()).unwrap_or(u32::MAX);
        let number = *stores.entry(identity.into()).or_insert(next);
        drop(stores);
        Arc::new(CachedStore::new(Arc::clone(&self.0), inner, identity.into(), number))
    }

    /// The counters now.
    #[must_use]
    pub fn statistics(&self) -> CacheStatistics {
        let core = &self.0;
        core.counters.snapshot(
            core.memory.statistics(),
            core.disk.as_ref().map(Disk::statistics),
            core.metadata.statistics(),
        )
    }

    /// Waits until what was read so far is on the local disk. What is not yet is lost when the last clone is dropped.
    pub async fn flush(&self) {
        if let Some(disk) = &self.0.disk {
            disk.flush().await;
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cache").field(&self.statistics()).finish()
    }
}

impl Bucket {
    /// The same bucket, its ranges and metadata read through `cache`. [`local_path`](Self::local_path) passes it by.
    #[must_use]
    pub fn cached(self, cache: &Cache) -> Self {
        let identity = self.identity().to_owned();
        self.layered(|store| cache.layer(store, &identity))
    }
}
