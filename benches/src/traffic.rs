//! A store that is far away, and what was asked of it.

use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use object_store::Result;
use promparquet_testkit::stores::{Call, Tap};
use serde::Serialize;

/// What a store was asked for.
#[derive(Serialize, Clone, Copy, PartialEq, Default, Debug)]
pub struct Traffic {
    /// How many requests.
    pub requests: u64,
    /// How many bytes they gave.
    pub bytes: u64,
    /// The longest chain of requests of which each began after the one before it had ended.
    pub rounds: u64,
    /// Milliseconds, by the clock of whoever asked.
    pub ms: f64,
}

/// A tap that counts reads of files in a directory, and lets each request wait.
#[derive(Debug)]
pub struct Far {
    root: PathBuf,
    latency: Duration,
    seen: Mutex<Traffic>,
}

impl Far {
    /// For a store over the directory `root`.
    pub fn new(root: impl Into<PathBuf>, latency: Duration) -> Self {
        Self { root: root.into(), latency, seen: Mutex::default() }
    }

    /// What was seen since the last time.
    pub fn take(&self) -> Traffic {
        std::mem::take(&mut *self.seen())
    }

    fn seen(&self) -> MutexGuard<'_, Traffic> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bytes(&self, call: &Call) -> u64 {
        let size = || std::fs::metadata(self.root.join(&call.key)).map_or(0, |meta| meta.len());
        let length = |range: &std::ops::Range<u64>| match range.end {
            // The last bytes of the object, as many as it has.
            u64::MAX => (u64::MAX - range.start).min(size()),
            end => end.saturating_sub(range.start),
        };
        call.ranges.iter().map(length).sum()
    }
}

impl Tap for Far {
    fn before(&self, call: &Call) -> BoxFuture<'_, Result<()>> {
        let (requests, bytes) = (call.ranges.len().max(1) as u64, self.bytes(call));
        async move {
            let round = {
                let mut seen = self.seen();
                seen.requests += requests;
                seen.bytes += bytes;
                seen.rounds + 1
            };
            if !self.latency.is_zero() {
                tokio::time::sleep(self.latency).await;
            }
            let mut seen = self.seen();
            seen.rounds = seen.rounds.max(round);
            Ok(())
        }
        .boxed()
    }
}
