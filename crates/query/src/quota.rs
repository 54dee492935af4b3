//! What a question has taken of its limits.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    error::{Error, Result},
    options::Limits,
};

/// Counts what a question takes, or several of one query, in all shards together.
#[derive(Debug, Default)]
pub struct Quota {
    limits: Limits,
    rows: AtomicU64,
    label_name_rows: AtomicU64,
    label_value_rows: AtomicU64,
    chunk_bytes: AtomicU64,
    data_bytes: AtomicU64,
    series: AtomicU64,
    samples: AtomicU64,
}

impl Quota {
    /// Nothing taken yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Texts are those that users of parquet-common, Cortex and Prometheus know.
    fn take(
        counter: &AtomicU64,
        n: u64,
        limit: Option<std::num::NonZeroU64>,
        text: impl Fn(u64) -> String,
    ) -> Result<()> {
        let Some(limit) = limit.map(std::num::NonZeroU64::get) else { return Ok(()) };
        let before = counter.fetch_add(n, Ordering::Relaxed);
        if before.saturating_add(n) > limit { Err(Error::limit(text(limit))) } else { Ok(()) }
    }

    pub(crate) fn rows(&self, n: u64) -> Result<()> {
        Self::take(&self.rows, n, self.limits.rows, too_many_rows)
    }

    pub(crate) fn label_name_rows(&self, n: u64) -> Result<()> {
        Self::take(&self.label_name_rows, n, self.limits.label_name_rows, too_many_rows)
    }

    pub(crate) fn label_value_rows(&self, n: u64) -> Result<()> {
        Self::take(&self.label_value_rows, n, self.limits.label_value_rows, too_many_rows)
    }

    pub(crate) fn chunk_bytes(&self, n: u64) -> Result<()> {
        Self::take(&self.chunk_bytes, n, self.limits.chunk_bytes, |limit| {
            format!("would fetch too many chunk bytes: resource exhausted (used {limit})")
        })
    }

    pub(crate) fn data_bytes(&self, n: u64) -> Result<()> {
        Self::take(&self.data_bytes, n, self.limits.data_bytes, |limit| {
            format!("would fetch too many data bytes: resource exhausted (used {limit})")
        })
    }

    pub(crate) fn series(&self, n: u64) -> Result<()> {
        Self::take(&self.series, n, self.limits.series, |limit| {
            format!("the query hit the max number of series limit (limit: {limit} series)")
        })
    }

    pub(crate) fn samples(&self, n: u64) -> Result<()> {
        Self::take(&self.samples, n, self.limits.samples, |limit| {
            format!(
                "query processing would load too many samples into memory in query execution (limit: {limit} samples)"
            )
        })
    }

    pub(crate) fn shards(&self, n: u64) -> Result<()> {
        match self.limits.shards {
            Some(limit) if n > limit.get() => {
                Err(Error::limit(format!("the query would read {n} shards (limit: {limit} shards)")))
            }
            _ => Ok(()),
        }
    }
}

fn too_many_rows(limit: u64) -> String {
    format!("would fetch too many rows: resource exhausted (used {limit})")
}
