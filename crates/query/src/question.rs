//! One question to one shard: what all of its stages need.

use std::{sync::Arc, time::Instant};

use promparquet_schema::Column;
use promparquet_shard::{ColumnChunk, FileKind, ReadBytes, ReadPlan, Shard};
use tokio::sync::Semaphore;

use crate::{
    cache::RowCache,
    compute,
    error::Result,
    explain::{Recorder, Stage},
    options::{Options, ReadCosts},
    quota::Quota,
};

/// One question to one shard. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) shard: Arc<Shard>,
    pub(crate) options: Options,
    pub(crate) costs: ReadCosts,
    pub(crate) quota: Arc<Quota>,
    pub(crate) cache: Option<Arc<RowCache>>,
    pub(crate) recorder: Recorder,
    /// Reads under way for the question in all shards.
    pub(crate) reads: Arc<Semaphore>,
}

impl Question {
    /// Reads what was planned, if the limits allow it.
    pub(crate) async fn read(&self, stage: Stage, plan: &ReadPlan) -> Result<ReadBytes> {
        if plan.is_empty() {
            return Ok(ReadBytes::default());
        }
        let wanted = |kind| plan.ranges(kind).iter().map(|r| r.end.saturating_sub(r.start)).sum::<u64>();
        let wanted_bytes = wanted(FileKind::Labels).saturating_add(wanted(FileKind::Chunks));
        if stage != Stage::Chunks {
            // Bytes of chunks are counted when all windows are planned.
            self.quota.data_bytes(wanted_bytes)?;
        }
        // The semaphore is never closed.
        let _permit = self.reads.acquire().await;
        let begin = Instant::now();
        let bytes = self.shard.read(plan, self.costs.coalescing).await?;
        let requests = plan.requests(self.costs.coalescing);
        let time = begin.elapsed();
        let read = crate::explain::ReadExplain { stage, requests, wanted_bytes, time };
        self.recorder.update(|explain| explain.reads.push(read));
        Ok(bytes)
    }

    /// Runs `f` on the compute threads, and takes down how long it took there.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        stage: Stage,
        bytes: u64,
        f: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let recorder = self.recorder.clone();
        compute::run(bytes, move || {
            let begin = Instant::now();
            let result = f();
            recorder.computed(stage, begin.elapsed());
            result
        })
        .await
    }

    /// The column of a label in a row group, if the shard has one.
    pub(crate) fn label_column(&self, row_group: usize, label: &str) -> Option<ColumnChunk<'_>> {
        let file = self.shard.labels_file();
        let position = file.position(&Column::Label(label.to_owned()))?;
        Some(file.column_chunk(row_group, position))
    }

    /// A column of the labels file.
    pub(crate) fn labels_chunk(&self, row_group: usize, column: usize) -> ColumnChunk<'_> {
        self.shard.labels_file().column_chunk(row_group, column)
    }

    pub(crate) fn page_bytes(&self) -> u64 {
        self.shard.limits().page_bytes
    }
}
