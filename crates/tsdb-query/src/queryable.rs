//! A block as a store.

use std::{fmt, num::NonZeroUsize, sync::Arc};

use async_trait::async_trait;
use prometheus_model::{Labels, TimeRange};
use prometheus_queryable::{
    Error, ErrorKind, LabelHints, LabelStrings, Matcher, Querier, Queryable, Result, SelectHints, Series, SeriesSet,
};
use prometheus_tsdb_block::{BlockFiles, BlockReader, ReadOptions};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use crate::{
    error::{Lost, corrupt, of_block},
    names::{label_names, label_values},
    options::BlockQueryOptions,
    postings::{Candidates, Costs, candidates},
    window::{Progress, Selection},
};

/// A TSDB block as a store of series.
///
/// Symbols and the table of postings lists are read when they are first needed and stay in memory, a few dozen bytes for
/// each label and value; so keep the store for further questions. A select holds the references of the series that fit, and
/// two windows of series with their chunks.
///
/// Deleted samples are left out. Names and values of labels are those of the whole block, also of deleted series.
/// Projections are ignored. External labels are not added, see [`external_labels`](Self::external_labels). Blocks that Thanos downsampled are refused when their chunks are read.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use prometheus_model::TimeRange;
/// use prometheus_queryable::{Matcher, Queryable, SelectHints};
/// use prometheus_tsdb_block::LocalBlock;
/// use prometheus_tsdb_query::BlockQueryable;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let files = LocalBlock::open("data/01JGFSEP80VHQAZ8FEAQD9QWMS")?;
/// let store = BlockQueryable::open(Arc::new(files)).await?;
/// let querier = store.querier(TimeRange::ALL).await?;
/// let mut set = querier.select(&[Matcher::equal("__name__", "up")], &SelectHints::new(TimeRange::ALL)).await?;
/// while let Some(batch) = set.next().await? {
///     for series in batch {
///         println!("{}: {} samples", series.labels, series.samples()?.len());
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct BlockQueryable {
    block: Arc<BlockReader>,
    options: BlockQueryOptions,
    costs: Costs,
}

impl fmt::Debug for BlockQueryable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BlockQueryable").field(&self.block.files().location()).finish()
    }
}

impl BlockQueryable {
    /// A store of an open block.
    #[must_use]
    pub fn new(block: Arc<BlockReader>) -> Self {
        Self { block, options: BlockQueryOptions::default(), costs: Costs::default() }
    }

    /// Opens a block on a thread for blocking work, with the reads for local files.
    ///
    /// # Errors
    /// Those of [`BlockReader::open`].
    pub async fn open(files: Arc<dyn BlockFiles>) -> Result<Self> {
        Self::open_with(files, ReadOptions::default()).await
    }

    /// Opens a block; for buckets, with options that read larger gaps than the default ones.
    ///
    /// # Errors
    /// Those of [`BlockReader::open`].
    pub async fn open_with(files: Arc<dyn BlockFiles>, reads: ReadOptions) -> Result<Self> {
        let location = files.location().to_owned();
        let open = spawn_blocking(move || BlockReader::open_with(files, reads).map_err(of_block));
        Ok(Self::new(Arc::new(finished(&location, open).await?)))
    }

    /// Sets limits and windows.
    #[must_use]
    pub fn with_options(self, options: BlockQueryOptions) -> Self {
        Self { options, ..self }
    }

    /// The block.
    #[must_use]
    pub fn block(&self) -> &Arc<BlockReader> {
        &self.block
    }

    /// Labels that Thanos' `meta.json` gives to all series of the block; the series here do not have them. A store around
    /// this one adds them, such as [`ExternalLabelsQueryable`](prometheus_queryable::ExternalLabelsQueryable).
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if they are no label set.
    pub fn external_labels(&self) -> Result<Labels> {
        let labels = Labels::from_pairs(self.block.meta().external_labels());
        labels.map_err(|e| corrupt(self.block.files().location(), "external labels in meta.json", e.to_string()))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&BlockReader) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let block = Arc::clone(&self.block);
        finished(self.block.files().location(), spawn_blocking(move || work(&block))).await
    }
}

/// What a thread for blocking work found out.
async fn finished<T>(location: &str, work: impl Future<Output = Result<Result<T>, JoinError>>) -> Result<T> {
    match work.await {
        Ok(result) => result,
        Err(e) if e.is_panic() => {
            Err(Error::new(ErrorKind::Internal, Lost::Panicked { location: location.to_owned() }))
        }
        Err(_) => Err(Error::new(ErrorKind::Cancelled, Lost::Shutdown { location: location.to_owned() })),
    }
}

#[async_trait]
impl Queryable for BlockQueryable {
    async fn querier(&self, range: TimeRange) -> Result<Box<dyn Querier>> {
        Ok(Box::new(BlockQuerier { store: self.clone(), range }))
    }
}

#[derive(Debug)]
struct BlockQuerier {
    store: BlockQueryable,
    range: TimeRange,
}

impl BlockQuerier {
    /// Whether the block can have samples in a range. Its end is taken to be inclusive, which some writers think.
    fn overlaps(&self, range: TimeRange) -> bool {
        let meta = self.store.block.meta();
        range.overlaps_closed(meta.min_time, meta.max_time)
    }
}

fn count(limit: Option<NonZeroUsize>) -> usize {
    limit.map_or(usize::MAX, NonZeroUsize::get)
}

#[async_trait]
impl Querier for BlockQuerier {
    async fn select(&self, matchers: &[Matcher], hints: &SelectHints) -> Result<Box<dyn SeriesSet>> {
        let range = self.range.intersect(hints.range).filter(|range| self.overlaps(*range));
        let Some(range) = range else { return Ok(Box::new(BlockSeriesSet::ended())) };
        let (matchers, costs) = (matchers.to_vec(), self.store.costs);
        let candidates: Candidates = self.store.blocking(move |block| candidates(block, &matchers, costs)).await?;
        let selection = Selection {
            block: Arc::clone(&self.store.block),
            options: self.store.options,
            candidates,
            range,
            series_only: hints.series_only,
            sharding: hints.sharding,
            limit: count(hints.limit),
        };
        Ok(Box::new(BlockSeriesSet { selection: Some((Arc::new(selection), Progress::default())), ahead: None }))
    }

    async fn label_names(&self, matchers: &[Matcher], hints: &LabelHints) -> Result<LabelStrings> {
        if !self.overlaps(self.range) {
            return Ok(LabelStrings::default());
        }
        let (matchers, limit, costs) = (matchers.to_vec(), count(hints.limit), self.store.costs);
        let strings = self.store.blocking(move |block| label_names(block, &matchers, limit, costs)).await?;
        Ok(LabelStrings { strings, warnings: Vec::new() })
    }

    async fn label_values(&self, name: &str, matchers: &[Matcher], hints: &LabelHints) -> Result<LabelStrings> {
        if !self.overlaps(self.range) {
            return Ok(LabelStrings::default());
        }
        let (name, matchers) = (name.to_owned(), matchers.to_vec());
        let (limit, costs) = (count(hints.limit), self.store.costs);
        let strings = self.store.blocking(move |block| label_values(block, &name, &matchers, limit, costs)).await?;
        Ok(LabelStrings { strings, warnings: Vec::new() })
    }
}

type Window = (Arc<Selection>, Progress, Vec<Series>);

/// The series of a select. A set that is dropped lets the window that is being read come to its end.
#[derive(Debug)]
struct BlockSeriesSet {
    /// What is left, unless it is being read or nothing is.
    selection: Option<(Arc<Selection>, Progress)>,
    /// The window being read.
    ahead: Option<(String, JoinHandle<Result<Window>>)>,
}

impl BlockSeriesSet {
    fn ended() -> Self {
        Self { selection: None, ahead: None }
    }

    /// Starts to read the next window, unless that is under way.
    fn read_ahead(&mut self) {
        if let Some((selection, mut progress)) = self.selection.take() {
            let location = selection.block.files().location().to_owned();
            let work = move || selection.next(&mut progress).map(|series| (selection, progress, series));
            self.ahead = Some((location, spawn_blocking(work)));
        }
    }
}

#[async_trait]
impl SeriesSet for BlockSeriesSet {
    async fn next(&mut self) -> Result<Option<Vec<Series>>> {
        self.read_ahead();
        let Some((location, work)) = &mut self.ahead else { return Ok(None) };
        // By reference, so that nothing is lost if this call is given up and made again.
        let window = finished(location, work).await;
        self.ahead = None;
        let (selection, progress, series) = window?;
        if series.is_empty() {
            return Ok(None);
        }
        self.selection = Some((selection, progress));
        self.read_ahead();
        Ok(Some(series))
    }
}

#[cfg(test)]
mod tests;
