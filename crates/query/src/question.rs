//! One question to one shard: what all of its stages need.

use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use promparquet_schema::Column;
use promparquet_shard::{ColumnChunk, Dictionary, FileKind, PageDecoder, ReadBytes, ReadPlan, ReadSlot, Shard};
use tokio::sync::Semaphore;

use crate::{
    cache::RowCache,
    compute,
    error::Result,
    explain::{Recorder, Stage},
    options::{Options, ReadCosts},
    quota::Quota,
    row_memory::RowMemory,
};

/// One question to one shard. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) shard: Arc<Shard>,
    pub(crate) options: Options,
    pub(crate) costs: ReadCosts,
    pub(crate) quota: Arc<Quota>,
    pub(crate) row_memory: Arc<RowMemory>,
    pub(crate) cache: Option<Arc<RowCache>>,
    pub(crate) recorder: Recorder,
    /// Reads under way for the question in all shards.
    pub(crate) reads: Arc<Semaphore>,
    /// What was read of the labels file.
    pub(crate) held: Held,
}

/// Bytes that were read, by where they lie; few.
#[derive(Default, Debug)]
struct Buffers(Vec<(Range<u64>, Bytes)>);

impl Buffers {
    fn get(&self, range: &Range<u64>) -> Option<Bytes> {
        let (of, bytes) = self.0.iter().find(|(of, _)| of.start <= range.start && range.end <= of.end)?;
        let at = |offset: u64| usize::try_from(offset.checked_sub(of.start)?).ok().filter(|at| *at <= bytes.len());
        let (start, end) = (at(range.start)?, at(range.end)?);
        (start <= end).then(|| bytes.slice(start..end))
    }
}

/// What a question has read of the labels file, for its later stages.
#[derive(Clone, Default, Debug)]
pub(crate) struct Held(Arc<Mutex<Buffers>>);

impl Held {
    fn get(&self, range: &Range<u64>) -> Option<Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(range)
    }

    fn add(&self, range: Range<u64>, bytes: Bytes) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.push((range, bytes));
    }

    /// Labels are known: nothing will be asked for again.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.clear();
    }
}

/// A dictionary that some stage needs.
pub(crate) enum NeededDictionary {
    /// The column has none.
    None,
    /// The shard has kept it.
    Kept(Arc<Dictionary>),
    /// It was planned to be read.
    Planned(ReadSlot),
}

impl NeededDictionary {
    /// Plans to read the column's dictionary, unless it is known.
    pub(crate) fn plan(column: ColumnChunk<'_>, plan: &mut ReadPlan) -> Self {
        match column.dictionary() {
            None => Self::None,
            Some(range) => match column.kept_dictionary() {
                Some(dictionary) => Self::Kept(dictionary),
                None => Self::Planned(plan.add(FileKind::Labels, range)),
            },
        }
    }

    /// The dictionary, given what the plan brought.
    pub(crate) fn get(
        self,
        column: ColumnChunk<'_>,
        decoder: &mut PageDecoder,
        bytes: &ReadBytes,
    ) -> Result<Arc<Dictionary>> {
        Ok(match self {
            Self::None => Arc::default(),
            Self::Kept(dictionary) => dictionary,
            Self::Planned(slot) => column.decode_dictionary(decoder, &bytes.get(slot))?,
        })
    }
}

impl Question {
    /// Reads what was planned, if the limits allow it. What earlier reads brought of the labels file is not read again.
    pub(crate) async fn read(&self, stage: Stage, plan: &ReadPlan) -> Result<ReadBytes> {
        if plan.is_empty() {
            return Ok(ReadBytes::default());
        }
        let length = |range: &Range<u64>| range.end.saturating_sub(range.start);
        let wanted = |kind| plan.ranges(kind).iter().map(length).sum::<u64>();
        let wanted_bytes = wanted(FileKind::Labels).saturating_add(wanted(FileKind::Chunks));
        if stage != Stage::Chunks {
            // Bytes of chunks are counted when all windows are planned.
            self.quota.data_bytes(wanted_bytes)?;
        }
        let mut missing = ReadPlan::default();
        for range in plan.ranges(FileKind::Labels).iter().filter(|range| self.held.get(range).is_none()) {
            missing.add(FileKind::Labels, range.clone());
        }
        for range in plan.ranges(FileKind::Chunks) {
            missing.add(FileKind::Chunks, range.clone());
        }
        let mut read = Buffers::default();
        if !missing.is_empty() {
            let requests = self.requests(&missing);
            let mut whole = ReadPlan::default();
            let slots: Vec<_> = requests.iter().map(|(file, range)| whole.add(*file, range.clone())).collect();
            // The semaphore is never closed.
            let _permit = self.reads.acquire().await;
            let begin = Instant::now();
            let bytes = self.shard.read(&whole, self.costs.coalescing).await?;
            let time = begin.elapsed();
            for ((file, range), slot) in requests.iter().zip(slots) {
                match file {
                    FileKind::Labels => self.held.add(range.clone(), bytes.get(slot)),
                    FileKind::Chunks => read.0.push((range.clone(), bytes.get(slot))),
                }
            }
            let read = crate::explain::ReadExplain { stage, requests, wanted_bytes, time };
            self.recorder.update(|explain| explain.reads.push(read));
        }
        let labels = plan.ranges(FileKind::Labels).iter().map(|range| self.held.get(range).unwrap_or_default());
        let chunks = plan.ranges(FileKind::Chunks).iter().map(|range| read.get(range).unwrap_or_default());
        Ok(ReadBytes::new(labels.collect(), chunks.collect()))
    }

    /// The requests that bring what is missing. All labels come at once where that takes less than a round trip, because
    /// another one is to follow as a rule.
    fn requests(&self, missing: &ReadPlan) -> Vec<(FileKind, Range<u64>)> {
        let mut requests = missing.requests(self.costs.coalescing);
        let file = self.shard.labels_file();
        let is_small = file.size() <= self.costs.round_trip_bytes / 2;
        let of_labels = requests.iter().filter(|(file, _)| *file == FileKind::Labels);
        let span = of_labels.fold(None, |span: Option<Range<u64>>, (_, range)| match span {
            Some(span) => Some(span.start.min(range.start)..span.end.max(range.end)),
            None => Some(range.clone()),
        });
        if let Some(span) = span.filter(|_| is_small) {
            let pages = file.pages_end();
            requests.retain(|(file, _)| *file != FileKind::Labels);
            requests.insert(0, (FileKind::Labels, span.start.min(4)..span.end.max(pages)));
        }
        requests
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
