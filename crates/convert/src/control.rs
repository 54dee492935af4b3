//! How a caller watches a conversion and stops it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::{CancelledSnafu, Error};

/// Shared between a conversion and whoever watches it.
#[derive(Debug, Default)]
pub struct Control {
    cancelled: AtomicBool,
    /// A thread of the conversion failed: the others need not go on.
    failed: AtomicBool,
    series_total: AtomicU64,
    series_done: AtomicU64,
    bytes_out: AtomicU64,
}

/// How far a conversion is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// Series to write; 0 until they are counted.
    pub series_total: u64,
    /// Series whose chunks are written.
    pub series_done: u64,
    /// Bytes handed to storage.
    pub bytes_out: u64,
}

impl Control {
    /// Asks the conversion to stop; it does so within one batch of rows, with an error of kind
    /// [`Cancelled`](crate::ErrorKind::Cancelled).
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
            series_total: self.series_total.load(Ordering::Relaxed),
            series_done: self.series_done.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.cancelled.load(Ordering::Relaxed) || self.failed.load(Ordering::Relaxed) {
            return Err(CancelledSnafu.build().into());
        }
        Ok(())
    }

    /// Runs one of several threads of a conversion; if it fails, the others are told.
    pub(crate) fn guard<T>(&self, thread: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let result = thread();
        if result.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        result
    }

    /// A new conversion begins.
    pub(crate) fn begin(&self) {
        self.failed.store(false, Ordering::Relaxed);
    }

    pub(crate) fn set_series_total(&self, series: u64) {
        self.series_done.store(0, Ordering::Relaxed);
        self.series_total.store(series, Ordering::Relaxed);
    }

    pub(crate) fn add_series_done(&self, series: u64) {
        self.series_done.fetch_add(series, Ordering::Relaxed);
    }

    pub(crate) fn add_bytes_out(&self, bytes: u64) {
        self.bytes_out.fetch_add(bytes, Ordering::Relaxed);
    }
}
