//! What a question holds for the rows that it found.
//!
//! A few bytes of a page can stand for any number of rows, so what is held for rows bears no relation to what was read.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::error::{Error, Result};

/// How much memory the rows of one question take, in all shards together, and how much they may.
#[derive(Debug)]
pub(crate) struct RowMemory {
    limit: u64,
    used: AtomicU64,
}

/// Memory that was counted; no longer when this is dropped.
#[derive(Debug)]
pub(crate) struct RowLease {
    of: Arc<RowMemory>,
    bytes: u64,
}

impl RowMemory {
    pub(crate) const fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0) }
    }

    /// Counts memory before it is taken.
    pub(crate) fn take(self: &Arc<Self>, bytes: u64) -> Result<RowLease> {
        let lease = RowLease { of: Arc::clone(self), bytes };
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.limit { Err(self.exceeded()) } else { Ok(lease) }
    }

    /// Checks memory that grows bit by bit, so that it is not counted yet, and of which there are a few copies.
    pub(crate) fn check(&self, bytes: usize) -> Result<()> {
        if (bytes as u64).saturating_mul(4) > self.limit { Err(self.exceeded()) } else { Ok(()) }
    }

    #[cold]
    fn exceeded(&self) -> Error {
        Error::limit(format!("the rows found take more than {} bytes of memory: ask for fewer series", self.limit))
    }
}

impl Drop for RowLease {
    fn drop(&mut self) {
        self.of.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_can_be_taken_again() {
        let memory = Arc::new(RowMemory::new(100));
        let lease = memory.take(60).unwrap();
        assert!(memory.take(41).is_err() && memory.take(u64::MAX / 2).is_err());
        memory.take(40).unwrap();
        drop(lease);
        memory.take(100).unwrap();
        assert!(memory.check(25).is_ok() && memory.check(26).is_err());
    }
}
