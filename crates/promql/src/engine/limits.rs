//! What a query holds in memory, and how much it may.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::error::{Repr, Result};

/// Bytes of all queries of an engine.
#[derive(Debug)]
pub(crate) struct Total {
    max_bytes: u64,
    bytes: AtomicU64,
}

impl Total {
    pub(crate) fn new(max_bytes: u64) -> Arc<Self> {
        Arc::new(Self { max_bytes, bytes: AtomicU64::new(0) })
    }

    pub(crate) fn in_use(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Samples and bytes of a query.
#[derive(Debug)]
pub(crate) struct Budget {
    total: Arc<Total>,
    max_samples: u64,
    max_bytes: u64,
    samples: AtomicU64,
    bytes: AtomicU64,
    peak_samples: AtomicU64,
    peak_bytes: AtomicU64,
}

/// A part of a budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct Reserved {
    budget: Arc<Budget>,
    samples: u64,
    bytes: u64,
}

impl Budget {
    pub(crate) fn new(total: Arc<Total>, max_samples: u64, max_bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            total,
            max_samples,
            max_bytes,
            samples: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            peak_samples: AtomicU64::new(0),
            peak_bytes: AtomicU64::new(0),
        })
    }

    /// Reserves nothing yet.
    pub(crate) fn reserve(self: &Arc<Self>) -> Reserved {
        Reserved { budget: Arc::clone(self), samples: 0, bytes: 0 }
    }

    /// The most samples and bytes that were in use at once.
    pub(crate) fn peaks(&self) -> (u64, u64) {
        (self.peak_samples.load(Ordering::Relaxed), self.peak_bytes.load(Ordering::Relaxed))
    }

    fn take(&self, what: &'static str, samples: u64, bytes: u64) -> Result<()> {
        let in_use = self.samples.fetch_add(samples, Ordering::Relaxed).saturating_add(samples);
        let bytes_in_use = self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let total_in_use = self.total.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let refused = if in_use > self.max_samples {
            Repr::TooManySamples { limit: self.max_samples }
        } else if bytes_in_use > self.max_bytes {
            Repr::TooMuchMemory { what, bytes: bytes_in_use, limit: self.max_bytes }
        } else if total_in_use > self.total.max_bytes {
            Repr::NoMemoryLeft { what, bytes: bytes_in_use, limit: self.total.max_bytes }
        } else {
            self.peak_samples.fetch_max(in_use, Ordering::Relaxed);
            self.peak_bytes.fetch_max(bytes_in_use, Ordering::Relaxed);
            return Ok(());
        };
        self.give_back(samples, bytes);
        Err(refused.into())
    }

    fn give_back(&self, samples: u64, bytes: u64) {
        self.samples.fetch_sub(samples, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.total.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Reserved {
    /// Reserves more.
    ///
    /// # Errors
    /// If that is more than the query may hold.
    pub(crate) fn grow(&mut self, what: &'static str, samples: u64, bytes: u64) -> Result<()> {
        self.budget.take(what, samples, bytes)?;
        self.samples += samples;
        self.bytes += bytes;
        Ok(())
    }

    /// Takes over what another part holds.
    pub(crate) fn absorb(&mut self, mut other: Self) {
        self.samples += std::mem::take(&mut other.samples);
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.budget.give_back(self.samples, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn what_is_dropped_can_be_reserved_again() {
        let total = Total::new(150);
        let budget = Budget::new(Arc::clone(&total), 10, 100);
        let mut first = budget.reserve();
        first.grow("a", 6, 60).unwrap();
        let mut second = budget.reserve();
        assert_eq!(second.grow("b", 5, 1).unwrap_err().kind(), ErrorKind::LimitExceeded);
        assert_eq!(second.grow("b", 1, 41).unwrap_err().kind(), ErrorKind::LimitExceeded);
        second.grow("b", 4, 40).unwrap();
        first.absorb(second);
        drop(first);
        assert_eq!(budget.peaks(), (10, 100));
        budget.reserve().grow("c", 10, 100).unwrap();
        assert_eq!(budget.samples.load(Ordering::Relaxed), 0);
        assert_eq!(total.in_use(), 0);
    }

    #[test]
    fn queries_share_what_there_is() {
        let total = Total::new(150);
        let [mut one, mut other] = [0, 1].map(|_| Budget::new(Arc::clone(&total), 10, 100).reserve());
        one.grow("a", 0, 100).unwrap();
        assert_eq!(other.grow("b", 0, 51).unwrap_err().kind(), ErrorKind::Overloaded);
        other.grow("b", 0, 50).unwrap();
        drop(one);
        other.grow("b", 0, 50).unwrap();
        assert_eq!(total.in_use(), 100);
    }
}
