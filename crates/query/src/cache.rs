//! Remembers which rows fit.

use std::sync::Arc;

use quick_cache::{Weighter, sync::Cache};

use crate::{constraint::Constraint, rows::RowRanges};

/// Rows that fit constraints, by shard, row group and constraints; bounded in bytes. May be shared by all queryables.
///
/// A shard is told from others by its being open: one that is opened again, perhaps because it was written anew, has no
/// rows here.
#[derive(Debug)]
pub struct RowCache(Cache<Key, Arc<RowRanges>, ByBytes>);

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key {
    instance: u64,
    row_group: usize,
    constraints: Arc<str>,
}

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<Key, Arc<RowRanges>> for ByBytes {
    fn weight(&self, key: &Key, rows: &Arc<RowRanges>) -> u64 {
        const OVERHEAD: usize = 128;
        key.constraints.len().saturating_add(rows.memory_size()).saturating_add(OVERHEAD) as u64
    }
}

impl RowCache {
    /// Holds at most `bytes`, about.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        const TYPICAL_ENTRY: u64 = 512;
        let entries = usize::try_from(bytes / TYPICAL_ENTRY).unwrap_or(usize::MAX).clamp(16, 1 << 20);
        Self(Cache::with_weighter(entries, bytes, ByBytes))
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<RowRanges>> {
        self.0.get(key)
    }

    pub(crate) fn insert(&self, key: Key, rows: Arc<RowRanges>) {
        self.0.insert(key, rows);
    }
}

impl Key {
    pub(crate) fn new(instance: u64, row_group: usize, constraints: &Arc<str>) -> Self {
        Self { instance, row_group, constraints: Arc::clone(constraints) }
    }

    /// The text of constraints: names and values are quoted, so that no two differ and look the same.
    pub(crate) fn text(constraints: &[Constraint]) -> Arc<str> {
        constraints.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ").into()
    }
}
