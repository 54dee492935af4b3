//! Opened shards, as many as memory allows.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use promparquet_objstore::Bucket;
use promparquet_schema::Layout;
use promparquet_shard::{OpenOptions, Shard};
use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};

use crate::error::Result;

/// A shard of which the ends in time are known, whether it is open or not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Slot {
    /// No other slot of this process has it, not even one of the same shard written anew.
    id: u64,
    /// Directory of its set.
    directory: Arc<str>,
    layout: Layout,
    index: u32,
    /// Time that its data columns cover, as [`DataColumns`](promparquet_schema::DataColumns) says it.
    pub(crate) min_time: i64,
    pub(crate) max_time: i64,
    pub(crate) rows: u64,
}

/// Keeps footers and page indexes of shards up to a bound of memory; those that make room are opened again when they are
/// asked for.
pub(crate) struct ShardCache {
    bucket: Bucket,
    opened: Cache<u64, Arc<Shard>, ByMemory>,
}

#[derive(Clone)]
struct ByMemory;

impl Weighter<u64, Arc<Shard>> for ByMemory {
    fn weight(&self, _: &u64, shard: &Arc<Shard>) -> u64 {
        shard.memory_size().max(1) as u64
    }
}

impl fmt::Debug for ShardCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardCache").field("bucket", &self.bucket).field("bytes", &self.bytes()).finish()
    }
}

impl ShardCache {
    pub(crate) fn new(bucket: Bucket, max_bytes: u64) -> Self {
        // A part of a cache keeps nothing that is larger than the part, so there is one. It is asked once per shard and query.
        let mut options = OptionsBuilder::new();
        options.shards(1).estimated_items_capacity(256).weight_capacity(max_bytes);
        let opened = match options.build() {
            Ok(options) => {
                Cache::with_options(options, ByMemory, DefaultHashBuilder::default(), DefaultLifecycle::default())
            }
            Err(_) => Cache::with_weighter(256, max_bytes, ByMemory),
        };
        Self { bucket, opened }
    }

    pub(crate) const fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Opens a shard for the first time.
    pub(crate) async fn open(&self, directory: &Arc<str>, layout: Layout, index: u32) -> Result<Slot> {
        static IDS: AtomicU64 = AtomicU64::new(0);
        let shard = self.read(directory, layout, index).await?;
        let data = shard.data_columns();
        let slot = Slot {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            directory: Arc::clone(directory),
            layout,
            index,
            min_time: data.min_time(),
            max_time: data.max_time(),
            rows: shard.rows(),
        };
        self.opened.insert(slot.id, shard);
        Ok(slot)
    }

    /// The shard, opened again if it had to make room.
    pub(crate) async fn get(&self, slot: &Slot) -> Result<Arc<Shard>> {
        let open = self.read(&slot.directory, slot.layout, slot.index);
        self.opened.get_or_insert_async(&slot.id, open).await
    }

    async fn read(&self, directory: &str, layout: Layout, index: u32) -> Result<Arc<Shard>> {
        let options = OpenOptions { layout, ..OpenOptions::default() };
        Ok(Arc::new(Shard::open_with(&self.bucket, directory, index, options).await?))
    }

    /// Forgets a shard. Queries that read it keep it.
    pub(crate) fn close(&self, slot: &Slot) {
        self.opened.remove(&slot.id);
    }

    /// How many shards are open.
    pub(crate) fn len(&self) -> usize {
        self.opened.len()
    }

    /// About what they take.
    pub(crate) fn bytes(&self) -> u64 {
        self.opened.weight()
    }
}
