//! A select in one shard: a task that finds the rows, then gives series window by window.

use std::{ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use prometheus_chunks::{Encoding, sample_count};
use prometheus_model::{LabelsBuilder, TimeRange};
use prometheus_queryable::{
    self as queryable, Chunk, Projection, SelectHints, Series, SeriesData, SeriesSet, Sharding,
};
use promparquet_shard::{FileKind, Page, ReadPlan, ValuePage};
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    cache::Key,
    compute::with_decoder,
    constraint::Constraint,
    error::{Detail, Error, Result},
    explain::Stage,
    labels::{self, LabelTable},
    question::Question,
    search::{self, Found},
    windows::{ChunkPages, PageKey, Place, Window, WindowSize},
};

/// What a select wants of a shard.
#[derive(Clone, Debug)]
pub(crate) struct Select {
    pub(crate) question: Question,
    pub(crate) constraints: Arc<[Constraint]>,
    pub(crate) range: TimeRange,
    pub(crate) series_only: bool,
    pub(crate) sharding: Option<Sharding>,
    pub(crate) projection: Option<Arc<Projection>>,
    pub(crate) window: WindowSize,
}

impl Select {
    pub(crate) fn new(
        question: Question,
        constraints: Arc<[Constraint]>,
        range: TimeRange,
        hints: &SelectHints,
    ) -> Self {
        // Without hashes in the file, they must be worked out from all labels.
        let can_project = question.options.honor_projection && question.shard.series_hash_position().is_some();
        let window =
            WindowSize { bytes: question.options.window_bytes.get(), series: question.options.window_series.get() };
        Self {
            question,
            constraints,
            range,
            series_only: hints.series_only,
            sharding: hints.sharding,
            projection: hints.projection.clone().filter(|_| can_project).map(Arc::new),
            window,
        }
    }

    /// Starts it. Dropping the set cancels it.
    pub(crate) fn start(self) -> ShardSeriesSet {
        // One window waits here, while the next one is made.
        let (sender, batches) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            if let Err(error) = self.run(&sender).await {
                // Where nobody listens any more, nobody misses it.
                let _ = sender.send(Err(error)).await;
            }
        });
        ShardSeriesSet { batches, task: Some(task) }
    }

    async fn run(self, sender: &mpsc::Sender<Result<Vec<Series>>>) -> Result<()> {
        let row_groups: Vec<usize> = (0..self.question.shard.row_groups()).collect();
        let found = self.search(&row_groups).await?;
        // Their order, and their numbers while it is made.
        let rows: u64 = found.iter().map(|found| found.rows.count()).sum();
        let _lease = self.question.row_memory.take(rows.saturating_mul(12))?;
        let (row_groups, found): (Vec<_>, Vec<_>) =
            row_groups.into_iter().zip(found).filter(|(_, found)| !found.rows.is_empty()).unzip();
        if found.is_empty() {
            self.question.recorder.update(|explain| explain.in_order = true);
            return Ok(());
        }
        let columns = self.data_columns();
        let materialized = (columns.len() as u64).saturating_mul(row_groups.len() as u64);
        self.question.recorder.update(|explain| explain.chunk_columns = materialized);
        let pages = Arc::new(ChunkPages::new(&self.question.shard, &row_groups, &columns));

        // Rows are in label order as a rule: so begin to read chunks in the order of the file.
        let guess = Answer::in_file_order(&found, &pages, self.window);
        let first = guess.windows.first().filter(|_| self.sharding.is_none()).map(|window| window.pages.clone());
        let keys: Vec<_> = first.clone().unwrap_or_default();
        // No other order reads less.
        let certain = if first.is_some() { guess.chunk_bytes } else { 0 };
        self.take_bytes(certain)?;
        let (tables, ahead) = futures::future::try_join(
            self.labels(&row_groups, found),
            self.read_pages(&columns, &row_groups, &pages, &keys),
        )
        .await?;

        self.question.held.clear();
        let answer = self.order(&tables, &pages, guess);
        self.take_bytes(answer.chunk_bytes.saturating_sub(certain))?;
        let is_as_guessed = first.is_some() && answer.windows.first().map(|window| &window.pages) == first.as_ref();
        let ahead = if is_as_guessed { Some(ahead) } else { None };
        let tables: Arc<[LabelTable]> = tables.into();
        let stream = Stream { select: self, row_groups, columns, pages, tables, answer: Arc::new(answer) };
        stream.run(ahead, sender).await
    }

    fn take_bytes(&self, chunk_bytes: u64) -> Result<()> {
        self.question.quota.chunk_bytes(chunk_bytes)?;
        self.question.quota.data_bytes(chunk_bytes)
    }

    async fn search(&self, row_groups: &[usize]) -> Result<Vec<Found>> {
        let text = Key::text(&self.constraints);
        let searches = row_groups
            .iter()
            .map(|row_group| Box::pin(search::search(&self.question, *row_group, &self.constraints, &text, true)));
        let searches: Vec<_> = searches.collect();
        let found: Vec<Found> =
            stream::iter(searches).buffered(self.question.options.concurrency.get()).try_collect().await?;
        let rows = found.iter().map(|found| found.rows.count()).sum();
        self.question.quota.rows(rows)?;
        self.question.quota.series(rows)?;
        Ok(found)
    }

    async fn labels(&self, row_groups: &[usize], found: Vec<Found>) -> Result<Vec<LabelTable>> {
        let wanted = labels::Wanted {
            projection: self.projection.clone(),
            hashes: self.projection.is_some() || self.sharding.is_some(),
        };
        let reads = row_groups
            .iter()
            .zip(found)
            .map(|(row_group, found)| Box::pin(labels::read(&self.question, *row_group, found, wanted.clone())));
        let reads: Vec<_> = reads.collect();
        stream::iter(reads).buffered(self.question.options.concurrency.get()).try_collect().await
    }

    /// Positions of the data columns that must be read, in order of time.
    fn data_columns(&self) -> Vec<usize> {
        let shard = &self.question.shard;
        let data = shard.data_columns();
        let covers_all = self.range.contains_closed(data.min_time(), data.max_time());
        if self.series_only && covers_all {
            return Vec::new();
        }
        let holding = data.holding(self.range);
        let columns = shard.data_positions().iter().filter(|(index, _)| holding.contains(index));
        columns.map(|(_, position)| *position).collect()
    }

    /// Puts the rows found into label order, leaves out those of other parts, and plans the windows anew if need be.
    fn order(&self, tables: &[LabelTable], pages: &ChunkPages, guess: Answer) -> Answer {
        let sharding = self.sharding;
        let by_hash = self.projection.is_some();
        let hash_of = |(t, n): Place| tables.get(t as usize).map_or(0, |table| table.hash(n));
        let compare = |a: &Place, b: &Place| {
            let (Some(x), Some(y)) = (tables.get(a.0 as usize), tables.get(b.0 as usize)) else {
                return std::cmp::Ordering::Equal;
            };
            let order = x.compare(a.1, y, b.1);
            if by_hash { order.then_with(|| hash_of(*a).cmp(&hash_of(*b))) } else { order }
        };
        let mut order = guess.order;
        let before = order.len();
        if let Some(sharding) = sharding {
            order.retain(|place| sharding.contains_hash(hash_of(*place)));
        }
        let mut in_order = true;
        let mut duplicates = Vec::new();
        for (n, pair) in order.windows(2).enumerate() {
            let [a, b] = pair else { continue };
            match compare(a, b) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => duplicates.push(n + 1),
                std::cmp::Ordering::Greater => {
                    in_order = false;
                    break;
                }
            }
        }
        self.question.recorder.update(|explain| explain.in_order = in_order);
        if in_order && duplicates.is_empty() && order.len() == before {
            return Answer { order, ..guess };
        }
        if !in_order {
            order.par_sort_by(compare);
            let pairs = order.windows(2).enumerate();
            let equal = pairs.filter(|(_, pair)| matches!(pair, [a, b] if compare(a, b).is_eq()));
            duplicates = equal.map(|(n, _)| n + 1).collect();
        }
        let row_of = |(t, n): Place| tables.get(t as usize).map_or(0, |table| table.row(n));
        Answer::new(order, duplicates, pages, self.window, row_of)
    }

    /// Reads chunk pages.
    async fn read_pages(
        &self,
        columns: &[usize],
        row_groups: &[usize],
        pages: &ChunkPages,
        keys: &[PageKey],
    ) -> Result<Vec<EncodedPage>> {
        let mut plan = ReadPlan::default();
        let mut slots = Vec::with_capacity(keys.len());
        for key in keys.iter().copied() {
            let column = columns.get(key.column as usize).zip(row_groups.get(key.row_group as usize));
            if let (Some(page), Some((column, row_group))) = (pages.page(key), column) {
                let slot = plan.add(FileKind::Chunks, page.bytes.clone());
                slots.push((key, *row_group, *column, page.clone(), slot));
            }
        }
        let bytes = self.question.read(Stage::Chunks, &plan).await?;
        let encoded = slots.into_iter().map(|(key, row_group, column, page, slot)| EncodedPage {
            key,
            row_group,
            column,
            page,
            bytes: bytes.get(slot),
        });
        Ok(encoded.collect())
    }
}

/// A page as it was read.
struct EncodedPage {
    key: PageKey,
    row_group: usize,
    column: usize,
    page: Page,
    bytes: Bytes,
}

/// The rows of an answer, in its order, and how they are read.
#[derive(Debug)]
struct Answer {
    order: Vec<Place>,
    /// Positions of rows with the same labels as the row before.
    duplicates: Vec<usize>,
    windows: Vec<Window>,
    /// Bytes of all chunk pages that will be read.
    chunk_bytes: u64,
}

impl Answer {
    fn new(
        order: Vec<Place>,
        duplicates: Vec<usize>,
        pages: &ChunkPages,
        size: WindowSize,
        row_of: impl Fn(Place) -> u32,
    ) -> Self {
        let windows = pages.windows(&order, size, row_of, |n| duplicates.binary_search(&n).is_ok());
        let chunk_bytes = pages.total_bytes(&windows);
        Self { order, duplicates, windows, chunk_bytes }
    }

    fn in_file_order(found: &[Found], pages: &ChunkPages, size: WindowSize) -> Self {
        let rows: Vec<Vec<u32>> = found.iter().map(|found| found.rows.iter().collect()).collect();
        let places = (0_u32..).zip(&rows).flat_map(|(t, rows)| (0_u32..).zip(rows).map(move |(n, _)| (t, n)));
        let row_of = |(t, n): Place| rows.get(t as usize).and_then(|rows| rows.get(n as usize)).copied().unwrap_or(0);
        Self::new(places.collect(), Vec::new(), pages, size, row_of)
    }
}

/// A select of which all is known but the chunks.
struct Stream {
    select: Select,
    row_groups: Vec<usize>,
    columns: Vec<usize>,
    pages: Arc<ChunkPages>,
    tables: Arc<[LabelTable]>,
    answer: Arc<Answer>,
}

type DecodedPages = FxHashMap<PageKey, ValuePage>;

impl Stream {
    /// Gives window after window; while one is decoded and waits to be taken, the next one is read.
    async fn run(self, ahead: Option<Vec<EncodedPage>>, sender: &mpsc::Sender<Result<Vec<Series>>>) -> Result<()> {
        let windows = &self.answer.windows;
        let mut read = match (ahead, windows.first()) {
            (Some(pages), _) => pages,
            (None, Some(window)) => self.read(&window.pages).await?,
            (None, None) => return Ok(()),
        };
        let mut decoded = DecodedPages::default();
        for (n, window) in windows.iter().enumerate() {
            let next = match windows.get(n + 1) {
                Some(next) => {
                    next.pages.iter().filter(|key| window.pages.binary_search(key).is_err()).copied().collect()
                }
                None => Vec::new(),
            };
            decoded.retain(|key, _| window.pages.binary_search(key).is_ok());
            let give = async {
                let (series, pages) = self.series(n, std::mem::take(&mut read), std::mem::take(&mut decoded)).await?;
                let is_heard = series.is_empty() || sender.send(Ok(series)).await.is_ok();
                Ok::<_, Error>((pages, is_heard))
            };
            let ((pages, is_heard), next) = futures::future::try_join(give, self.read(&next)).await?;
            if !is_heard {
                return Ok(());
            }
            (decoded, read) = (pages, next);
        }
        Ok(())
    }

    async fn read(&self, keys: &[PageKey]) -> Result<Vec<EncodedPage>> {
        self.select.read_pages(&self.columns, &self.row_groups, &self.pages, keys).await
    }

    /// Makes the series of the `n`-th window; gives back its pages, which the next one may share.
    async fn series(
        &self,
        n: usize,
        read: Vec<EncodedPage>,
        mut decoded: DecodedPages,
    ) -> Result<(Vec<Series>, DecodedPages)> {
        let Some(window) = self.answer.windows.get(n) else { return Ok((Vec::new(), decoded)) };
        let rows = window.rows.clone();
        let bytes = read.iter().map(|page| page.bytes.len() as u64).sum::<u64>().max(rows.len() as u64 * 512);
        let maker = SeriesMaker {
            select: self.select.clone(),
            pages: Arc::clone(&self.pages),
            tables: Arc::clone(&self.tables),
            answer: Arc::clone(&self.answer),
            columns: self.columns.len() as u32,
            row_groups: self.row_groups.clone(),
            positions: self.columns.clone(),
        };
        self.select
            .question
            .compute(Stage::Chunks, bytes, move || {
                let question = &maker.select.question;
                let decode = |page: &EncodedPage| {
                    let column = question.shard.chunks_file().column_chunk(page.row_group, page.column);
                    with_decoder(question.page_bytes(), |decoder| {
                        Ok((page.key, column.decode_values(decoder, &page.page, &page.bytes)?))
                    })
                };
                let pages: Vec<_> = match &read[..] {
                    [] => Vec::new(),
                    [page] => vec![decode(page)?],
                    many => many.par_iter().map(decode).collect::<Result<_>>()?,
                };
                drop(read);
                decoded.extend(pages);
                let series = maker.make(rows, &decoded)?;
                Ok((series, decoded))
            })
            .await
    }
}

/// Makes series from labels and pages that are there.
struct SeriesMaker {
    select: Select,
    pages: Arc<ChunkPages>,
    tables: Arc<[LabelTable]>,
    answer: Arc<Answer>,
    columns: u32,
    row_groups: Vec<usize>,
    positions: Vec<usize>,
}

/// Rows that one thread makes series of at a time.
const ROWS_AT_ONCE: usize = 256;

impl SeriesMaker {
    fn make(&self, rows: Range<usize>, decoded: &DecodedPages) -> Result<Vec<Series>> {
        let order = self.answer.order.get(rows.clone()).unwrap_or_default();
        let some = |places: &[Place]| -> Result<(Vec<Series>, u64)> {
            let mut builder = LabelsBuilder::default();
            let mut series = Vec::with_capacity(places.len());
            for place in places {
                series.extend(self.one(*place, decoded, &mut builder)?);
            }
            let samples = series.iter().map(count_samples).sum();
            Ok((series, samples))
        };
        let (mut series, mut samples) = if order.len() <= ROWS_AT_ONCE {
            some(order)?
        } else {
            let parts = order.par_chunks(ROWS_AT_ONCE).map(some).collect::<Result<Vec<_>>>()?;
            let samples = parts.iter().map(|(_, samples)| samples).sum();
            let mut series = Vec::with_capacity(order.len());
            parts.into_iter().for_each(|(part, _)| series.extend(part));
            (series, samples)
        };
        if !self.answer.duplicates.is_empty() {
            series = self.merge_equal(series)?;
            samples = series.iter().map(count_samples).sum();
        }
        self.select.question.quota.samples(samples)?;
        let given = series.len() as u64;
        self.select.question.recorder.update(|explain| {
            explain.series = explain.series.saturating_add(given);
            explain.samples = explain.samples.saturating_add(samples);
        });
        Ok(series)
    }

    /// The series of a row; `None` if it has no chunk in range.
    fn one(&self, place: Place, decoded: &DecodedPages, builder: &mut LabelsBuilder) -> Result<Option<Series>> {
        let Some(table) = self.tables.get(place.0 as usize) else { return Ok(None) };
        let data = if self.columns == 0 {
            SeriesData::Labels
        } else {
            let chunks = self.chunks(place, table.row(place.1), decoded)?;
            if chunks.is_empty() {
                return Ok(None);
            }
            if self.select.series_only { SeriesData::Labels } else { SeriesData::of_chunks(chunks, self.select.range)? }
        };
        let labels = table.labels(place.1, builder)?;
        let hash = self.select.projection.as_ref().map(|_| table.hash(place.1));
        Ok(Some(Series { labels, hash, range: self.select.range, data }))
    }

    fn chunks(&self, place: Place, row: u32, decoded: &DecodedPages) -> Result<Vec<Chunk>> {
        // As many as in eight hours of a minute's samples, two hours each; a guess that spares copies.
        let mut chunks = Vec::with_capacity(4 * self.columns as usize);
        for column in 0..self.columns {
            let key = self.pages.locate(place.0, column, row);
            let page = key.and_then(|key| Some((self.pages.page(key)?, decoded.get(&key)?)));
            let cell = page.and_then(|(page, values)| values.share(row.saturating_sub(page.rows.start) as usize));
            let Some(cell) = cell else {
                return Err(self.damaged(place, column, row, "a cell", "none".into()));
            };
            let damaged = |e: &str| self.damaged(place, column, row, "records of chunks", e.to_owned());
            for record in self.select.question.shard.layout().records(&cell) {
                let record = record.map_err(|e| damaged(&e.to_string()))?;
                if !self.select.range.overlaps_closed(record.min_time, record.max_time) {
                    continue;
                }
                let encoding = Encoding::try_from(record.encoding)
                    .map_err(|e| queryable::Error::new(queryable::ErrorKind::Unsupported, e))?;
                chunks.push(Chunk {
                    encoding,
                    min_time: record.min_time,
                    max_time: record.max_time,
                    data: cell.slice_ref(record.data),
                });
            }
        }
        Ok(chunks)
    }

    #[cold]
    fn damaged(&self, place: Place, column: u32, row: u32, expected: &str, found: String) -> Error {
        let row_group = self.row_groups.get(place.0 as usize).copied().unwrap_or_default();
        let position = self.positions.get(column as usize).copied().unwrap_or_default();
        let column = self.select.question.shard.chunks_file().column_chunk(row_group, position);
        column.corrupt(Some(row), expected, found).into()
    }

    /// Joins neighbours of the same labels.
    fn merge_equal(&self, series: Vec<Series>) -> Result<Vec<Series>> {
        let mut merged = Vec::with_capacity(series.len());
        for next in series {
            match merged.pop_if(|last: &mut Series| last.labels == next.labels && last.hash == next.hash) {
                Some(last) => merged.extend(Series::merge(vec![last, next])?),
                None => merged.push(next),
            }
        }
        Ok(merged)
    }
}

/// Samples of a series, as its chunks' headers say.
fn count_samples(series: &Series) -> u64 {
    match &series.data {
        SeriesData::Labels => 0,
        SeriesData::Samples(samples) => samples.len() as u64,
        SeriesData::Chunks(chunks) => {
            chunks.iter().map(|chunk| sample_count(chunk.encoding, &chunk.data).map_or(0, u64::from)).sum()
        }
    }
}

/// The series of one shard.
#[derive(Debug)]
pub(crate) struct ShardSeriesSet {
    batches: mpsc::Receiver<Result<Vec<Series>>>,
    /// Until it is over.
    task: Option<JoinHandle<()>>,
}

impl Drop for ShardSeriesSet {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

#[async_trait]
impl SeriesSet for ShardSeriesSet {
    async fn next(&mut self) -> queryable::Result<Option<Vec<Series>>> {
        match self.batches.recv().await {
            Some(Ok(series)) => Ok(Some(series)),
            Some(Err(error)) => Err(error.into()),
            // The task is over: by its end, or by a panic, which must not look like one.
            None => match self.task.take() {
                Some(task) => task.await.map(|()| None).map_err(|_| Error::from(Detail::Panicked).into()),
                None => Ok(None),
            },
        }
    }
}
