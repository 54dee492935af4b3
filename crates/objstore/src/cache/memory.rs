//! Subranges in memory.

use std::sync::Arc;

use bytes::Bytes;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter, sync};

use super::{
    object::Block,
    statistics::{TierCounters, TierStatistics},
};

/// What an entry takes besides its bytes. The table keeps up to three slots of 93 bytes per entry (half as many keys
/// again as entries, rounded up to a power of two); the rest is the allocator's and `Bytes`' own.
const OVERHEAD_BYTES: u64 = 384;

/// Parts of the table that have a lock each.
const SHARDS: u64 = 16;

/// Bounded, and resistant to scans: what is seen once makes room for what is seen again.
pub(super) struct Memory {
    blocks: sync::Cache<Block, Bytes, Weight, DefaultHashBuilder, Evictions>,
    counters: Arc<TierCounters>,
    max_bytes: u64,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Block, Bytes> for Weight {
    fn weight(&self, _: &Block, bytes: &Bytes) -> u64 {
        OVERHEAD_BYTES.saturating_add(bytes.len() as u64)
    }
}

#[derive(Clone)]
struct Evictions(Arc<TierCounters>);

impl Lifecycle<Block, Bytes> for Evictions {
    /// Dropped once the lock is open.
    type RequestState = Vec<Bytes>;

    fn on_evict(&self, evicted: &mut Vec<Bytes>, _: Block, bytes: Bytes) {
        self.0.evictions.add(1);
        evicted.push(bytes);
    }
}

impl Memory {
    pub(super) fn new(max_bytes: u64, block_bytes: u64) -> Self {
        let counters = Arc::<TierCounters>::default();
        let items = max_bytes / block_bytes.saturating_add(OVERHEAD_BYTES).max(1);
        let mut options = OptionsBuilder::new();
        // The capacity is divided among the shards, rounded up.
        options.shards(SHARDS as usize).weight_capacity(max_bytes / SHARDS * SHARDS);
        options.estimated_items_capacity(usize::try_from(items).unwrap_or(usize::MAX));
        #[expect(clippy::expect_used, reason = "both settings that it asks for are there")]
        let options = options.build().expect("complete options");
        let lifecycle = Evictions(Arc::clone(&counters));
        Self {
            blocks: sync::Cache::with_options(options, Weight, DefaultHashBuilder::default(), lifecycle),
            counters,
            max_bytes,
        }
    }

    pub(super) fn get(&self, block: &Block) -> Option<Bytes> {
        let found = self.blocks.get(block);
        self.counters.found(found.as_ref().map(|bytes| bytes.len() as u64));
        found
    }

    /// Looks again, for one that missed just now.
    pub(super) fn peek(&self, block: &Block) -> Option<Bytes> {
        self.blocks.peek(block)
    }

    /// `bytes` must be an allocation of its own: a slice would keep alive, uncounted, what it is a slice of.
    pub(super) fn insert(&self, block: Block, bytes: Bytes) {
        self.counters.insertions.add(1);
        self.blocks.insert(block, bytes);
    }

    pub(super) fn statistics(&self) -> TierStatistics {
        self.counters.snapshot(self.blocks.len(), self.blocks.weight(), self.max_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::object::ObjectId;

    fn block(index: u64) -> Block {
        Block { object: ObjectId([7; 32]), index }
    }

    fn bytes(length: usize) -> Bytes {
        vec![1; length].into()
    }

    #[test]
    fn never_above_the_budget() {
        for max_bytes in [0, 1, 5000, 100_000, 1_000_003] {
            let memory = Memory::new(max_bytes, 4096);
            for index in 0..1000 {
                memory.insert(block(index), bytes(if index % 3 == 0 { 4096 } else { 100 }));
                let now = memory.statistics();
                assert!(now.bytes <= max_bytes, "{} of {max_bytes}", now.bytes);
                assert_eq!(now.insertions, now.items + now.evictions);
            }
            assert_eq!(memory.statistics().items > 0, max_bytes >= 5000, "{max_bytes}");
        }
    }

    /// The allocations themselves, against what is accounted for.
    #[test]
    fn overhead_is_not_understated() {
        let memory = Memory::new(1 << 20, 64);
        (0..20_000).for_each(|index| memory.insert(block(index), bytes(1)));
        let table = memory.blocks.memory_used().total() as u64;
        let items = memory.statistics().items;
        assert!(items > 2000, "{items}");
        // Besides: 24 bytes of `Bytes`' count and two allocations' headers.
        assert!(table / items + 24 + 48 <= OVERHEAD_BYTES, "{} bytes each", table / items);
    }

    #[test]
    fn scans_do_not_wash_out_what_is_used_often() {
        let memory = Memory::new(1 << 20, 4096);
        let hot = 0..50;
        for _ in 0..5 {
            hot.clone().for_each(|index| {
                if memory.get(&block(index)).is_none() {
                    memory.insert(block(index), bytes(4096));
                }
            });
        }
        (1000..6000).for_each(|index| memory.insert(block(index), bytes(4096)));
        let left = hot.filter(|index| memory.get(&block(*index)).is_some()).count();
        assert!(left >= 45, "{left} of 50");
    }
}
