//! Reads all rows of a shard, one batch after another.
//!
//! Both files are read through the offset indexes, some pages of each column at a time, so that memory does not depend on
//! the size of row groups, but for the dictionaries of label columns.

use std::{collections::VecDeque, ops::Range};

use bytes::Bytes;
use prometheus_model::Labels;
use promparquet_objstore::Object;
use promparquet_schema::{Column, row_index};

use crate::{
    error::{Detail, Error, Fault, Place, Result},
    fetch::{self, Coalescing, FileKind},
    file::{Page, ShardFile},
    labels::LabelPage,
    page::PageDecoder,
    plan::{self, PagedColumn},
    shard::{Limits, Shard},
    values::{Dictionary, ValuePage},
};

/// How to scan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScanOptions {
    /// Whether to read the chunks file; without it, rows have no cells.
    pub cells: bool,
    /// Bytes of pages that are read at once, as they are in the files, from both files together. One page of each column
    /// is read in any case.
    pub window_bytes: u64,
    /// Most rows in a batch.
    pub batch_rows: u32,
    /// How reads are joined.
    pub coalescing: Coalescing,
}

impl Default for ScanOptions {
    /// 8 MiB at once, 1024 rows in a batch.
    fn default() -> Self {
        Self { cells: true, window_bytes: 8 << 20, batch_rows: 1024, coalescing: Coalescing::default() }
    }
}

/// Some consecutive rows. Holds the pages that its cells lie in.
#[derive(Debug)]
pub struct RowBatch {
    row_group: usize,
    first_row: u64,
    labels: Vec<Labels>,
    hashes: Vec<u64>,
    /// For each data column, its pages: where each begins in the batch, and at which of its values.
    cells: Vec<Vec<(usize, usize, ValuePage)>>,
}

impl RowBatch {
    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none; no batch of a scan is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The row group that the rows are in. A batch never spans two.
    #[must_use]
    pub const fn row_group(&self) -> usize {
        self.row_group
    }

    /// The first row, counted from the start of the shard.
    #[must_use]
    pub const fn first_row(&self) -> u64 {
        self.first_row
    }

    /// Labels of each row.
    #[must_use]
    pub fn labels(&self) -> &[Labels] {
        &self.labels
    }

    /// Moves the labels out.
    #[must_use]
    pub fn take_labels(&mut self) -> Vec<Labels> {
        std::mem::take(&mut self.labels)
    }

    /// Stable hash of each row's labels.
    #[must_use]
    pub fn series_hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// The cell of a row of this batch in a data column, given by its place in [`Shard::data_positions`]; see
    /// [`Layout::records`](promparquet_schema::Layout::records). Empty beyond the rows and columns there are.
    #[must_use]
    pub fn cell(&self, row: usize, data_column: usize) -> &[u8] {
        let pages = self.cells.get(data_column).map_or(&[][..], Vec::as_slice);
        let page = pages.partition_point(|(first, ..)| *first <= row).checked_sub(1).and_then(|i| pages.get(i));
        let cell = page.and_then(|(first, at, page)| {
            page.get(row.checked_sub(*first)?.checked_add(*at)?).filter(|_| row < self.hashes.len())
        });
        cell.unwrap_or_default()
    }
}

/// Reads the rows of a shard; see [`Shard::scan`]. Decoding happens where it is polled.
#[derive(Debug)]
pub struct RowScan<'a> {
    shard: &'a Shard,
    limits: Limits,
    options: ScanOptions,
    decoder: PageDecoder,
    row_group: usize,
    /// Next row of the row group.
    row: u32,
    /// First row of the row group in the shard.
    rows_before: u64,
    /// Columns of the labels file, then those of the chunks file that are read, in order of time.
    columns: Vec<ColumnScan<'a>>,
    indexes: Vec<u32>,
    failed: bool,
}

/// One column of the row group that is being read.
#[derive(Debug)]
struct ColumnScan<'a> {
    file: &'a ShardFile,
    row_group: usize,
    column: usize,
    /// The page to be read next.
    next_page: usize,
    /// Rows before this one have been read.
    end: u32,
    dictionary: Dictionary,
    pages: VecDeque<(Page, Content)>,
}

#[derive(Debug)]
enum Content {
    Labels(LabelPage),
    Values(ValuePage),
}

impl Content {
    fn memory_size(&self) -> u64 {
        match self {
            Self::Labels(page) => page.memory_size(),
            Self::Values(page) => page.memory_size(),
        }
    }
}

impl PagedColumn for ColumnScan<'_> {
    fn end(&self) -> u32 {
        self.end
    }

    fn page_ahead(&self, n: usize) -> Option<(u64, u32)> {
        let page = self.file.page(self.row_group, self.column, self.next_page.checked_add(n)?)?;
        Some((page.bytes.end.saturating_sub(page.bytes.start), page.rows.end))
    }
}

/// Bytes of a column to be read.
struct Wanted {
    column: usize,
    bytes: Range<u64>,
    /// None for the dictionary.
    page: Option<Page>,
}

impl<'a> ColumnScan<'a> {
    fn place(&self, row: Option<u64>, offset: Option<u64>) -> Place {
        Place { row, offset, ..self.file.place_of(self.column, Some(self.row_group)) }
    }

    fn is_label(&self) -> bool {
        matches!(self.file.columns().get(self.column), Some(Column::Label(_)))
    }

    fn memory_size(&self) -> u64 {
        self.pages.iter().fold(self.dictionary.memory_size(), |sum, (_, page)| sum.saturating_add(page.memory_size()))
    }

    /// Drops pages that end before `row`.
    fn retire(&mut self, row: u32) -> Result<()> {
        while let Some((page, content)) = self.pages.front_mut().filter(|(page, _)| page.rows.end <= row) {
            if let Content::Labels(labels) = content
                && let Err(fault) = labels.finish()
            {
                let offset = page.bytes.start;
                return Err(fault.at(self.place(None, Some(offset))));
            }
            self.pages.pop_front();
        }
        Ok(())
    }

    /// Which of the pages that have been read holds `row`.
    fn page_at(&self, row: u32) -> Option<usize> {
        let at = self.pages.partition_point(|(page, _)| page.rows.end <= row);
        self.pages.get(at).filter(|(page, _)| page.rows.start <= row).map(|_| at)
    }

    fn decode(&mut self, decoder: &mut PageDecoder, wanted: Wanted, bytes: &Bytes) -> Result<()> {
        let codec = self.file.codec(self.row_group, self.column);
        let offset = wanted.bytes.start;
        let failed = |fault: Fault, column: &Self| fault.at(column.place(None, Some(offset)));
        let Some(page) = wanted.page else {
            self.dictionary = decoder.dictionary(bytes, codec).map_err(|e| failed(e, self))?;
            return Ok(());
        };
        let rows = page.rows.end.saturating_sub(page.rows.start);
        let content = if self.is_label() {
            decoder.labels(bytes, codec, rows).map(Content::Labels)
        } else {
            decoder.values(bytes, codec, rows).map(Content::Values)
        };
        let content = content.map_err(|e| failed(e, self))?;
        self.next_page = self.next_page.saturating_add(1);
        self.end = page.rows.end;
        self.pages.push_back((page, content));
        Ok(())
    }

    /// The label's value in `row`, which it has if `is_certain`. Rows are asked for in ascending order, and those between have
    /// none.
    fn label(&mut self, row: u32, is_certain: bool) -> Result<Option<&str>> {
        let at = self.page_at(row);
        let Some((page, content)) = at.and_then(|at| self.pages.get_mut(at)) else { return Err(self.missing(row)) };
        let (offset, in_page) = (page.bytes.start, row.saturating_sub(page.rows.start));
        let index = match content {
            Content::Labels(labels) => labels.advance(in_page).and_then(|()| labels.take()),
            Content::Values(_) => Ok(None),
        };
        let index = match index {
            Ok(index) => index,
            Err(fault) => return Err(fault.at(self.place(Some(row.into()), Some(offset)))),
        };
        let corrupt = |expected: String, found: String| {
            Error::corrupt(self.place(Some(row.into()), Some(offset)), expected, found)
        };
        let Some(index) = index else {
            let missing = || corrupt("a value, as the row index says".into(), "none".into());
            return if is_certain { Err(missing()) } else { Ok(None) };
        };
        let Some(value) = self.dictionary.get(index) else {
            let entries = self.dictionary.len();
            return Err(corrupt(format!("an index into a dictionary of {entries} entries"), index.to_string()));
        };
        let value = std::str::from_utf8(value).map_err(|e| corrupt("a label value in UTF-8".into(), e.to_string()));
        value.map(Some)
    }

    fn value(&self, row: u32) -> Result<&[u8]> {
        let page = self.page_at(row).and_then(|at| self.pages.get(at));
        let value = page.and_then(|(page, content)| match content {
            Content::Values(values) => values.get(row.checked_sub(page.rows.start)? as usize),
            Content::Labels(_) => None,
        });
        value.ok_or_else(|| self.missing(row))
    }

    #[cold]
    fn missing(&self, row: u32) -> Error {
        Error::corrupt(self.place(Some(row.into()), None), "a value", "none")
    }
}

impl<'a> RowScan<'a> {
    pub(crate) fn new(shard: &'a Shard, limits: Limits, options: ScanOptions) -> Self {
        let mut scan = Self {
            shard,
            limits,
            options,
            decoder: PageDecoder::new(limits.page_bytes),
            row_group: 0,
            row: 0,
            rows_before: 0,
            columns: Vec::new(),
            indexes: Vec::new(),
            failed: false,
        };
        scan.begin_row_group();
        scan
    }

    fn begin_row_group(&mut self) {
        let row_group = self.row_group;
        let column = |file, column| ColumnScan {
            file,
            row_group,
            column,
            next_page: 0,
            end: 0,
            dictionary: Dictionary::default(),
            pages: VecDeque::new(),
        };
        let (labels, chunks) = (self.shard.labels_file(), self.shard.chunks_file());
        let cells = if self.options.cells { self.shard.data_positions() } else { &[] };
        let labels = (0..labels.columns().len()).map(|i| column(labels, i));
        self.columns = labels.chain(cells.iter().map(|(_, i)| column(chunks, *i))).collect();
    }

    /// The next rows; `None` after the last.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) if a page is damaged, or if row index, labels and series hash of a row do not
    /// agree; [`LimitExceeded`](crate::ErrorKind::LimitExceeded) if pages take more memory than the shard's limits allow; and
    /// those of the bucket. The scan ends after an error.
    pub async fn next(&mut self) -> Result<Option<RowBatch>> {
        if self.failed {
            return Ok(None);
        }
        // Also if this future is dropped half-way.
        self.failed = true;
        let batch = self.next_batch().await?;
        self.failed = false;
        Ok(batch)
    }

    async fn next_batch(&mut self) -> Result<Option<RowBatch>> {
        let file = self.shard.labels_file();
        while self.row_group < file.row_groups() {
            let rows = file.rows_of(self.row_group);
            if self.row == rows {
                self.columns.iter_mut().try_for_each(|column| column.retire(rows))?;
                self.rows_before = self.rows_before.saturating_add(rows.into());
                self.row_group = self.row_group.saturating_add(1);
                self.row = 0;
                self.begin_row_group();
                continue;
            }
            if self.loaded_end() <= self.row {
                self.load().await?;
            }
            let end = self.loaded_end().min(self.row.saturating_add(self.options.batch_rows.max(1)));
            if end <= self.row {
                let place = Place { row_group: Some(self.row_group), ..file.place() };
                return Err(Error::corrupt(place, format!("pages for row {}", self.row), "none"));
            }
            return self.batch(end).map(Some);
        }
        Ok(None)
    }

    /// All columns have the rows before this one.
    fn loaded_end(&self) -> u32 {
        self.columns.iter().map(|column| column.end).min().unwrap_or(0)
    }

    /// Reads some pages of the columns that are behind.
    async fn load(&mut self) -> Result<()> {
        let row = self.row;
        self.columns.iter_mut().try_for_each(|column| column.retire(row))?;
        let ahead = plan::pages_ahead(&self.columns, row, self.options.window_bytes);
        let mut of_labels = Vec::new();
        let mut of_chunks = Vec::new();
        let label_columns = self.shard.labels_file().columns().len();
        for (i, (column, ahead)) in self.columns.iter().zip(ahead).enumerate() {
            let wanted = if i < label_columns { &mut of_labels } else { &mut of_chunks };
            if column.next_page == 0
                && ahead > 0
                && column.is_label()
                && let Some(bytes) = column.file.dictionary(self.row_group, column.column)
            {
                self.check_page(column, &bytes)?;
                wanted.push(Wanted { column: i, bytes, page: None });
            }
            for n in (column.next_page..).take(ahead) {
                let Some(page) = column.file.page(self.row_group, column.column, n) else { break };
                self.check_page(column, &page.bytes)?;
                wanted.push(Wanted { column: i, bytes: page.bytes.clone(), page: Some(page) });
            }
        }
        let coalescing = self.options.coalescing;
        let fetched = futures::future::try_join(
            fetch_all(self.shard.object(FileKind::Labels), &of_labels, coalescing),
            fetch_all(self.shard.object(FileKind::Chunks), &of_chunks, coalescing),
        );
        let (labels_bytes, chunks_bytes) = fetched.await?;
        let mut held = self.columns.iter().fold(0_u64, |sum, column| sum.saturating_add(column.memory_size()));
        let all = of_labels.into_iter().zip(labels_bytes).chain(of_chunks.into_iter().zip(chunks_bytes));
        for (wanted, bytes) in all {
            let Some(column) = self.columns.get_mut(wanted.column) else { continue };
            let before = column.memory_size();
            column.decode(&mut self.decoder, wanted, &bytes)?;
            held = held.saturating_sub(before).saturating_add(column.memory_size());
            if held > self.limits.scan_bytes {
                let (place, limit) = (column.place(None, None), self.limits.scan_bytes);
                return Err(Detail::TooLarge { place, what: "the open pages", needed: held, limit }.into());
            }
        }
        Ok(())
    }

    fn check_page(&self, column: &ColumnScan<'_>, bytes: &Range<u64>) -> Result<()> {
        let needed = bytes.end.saturating_sub(bytes.start);
        if needed <= self.limits.page_bytes {
            return Ok(());
        }
        let (place, limit) = (column.place(None, Some(bytes.start)), self.limits.page_bytes);
        Err(Detail::TooLarge { place, what: "a page", needed, limit }.into())
    }

    /// The rows up to `end`, whose pages have been read.
    fn batch(&mut self, end: u32) -> Result<RowBatch> {
        let rows = end.saturating_sub(self.row) as usize;
        let first_row = self.rows_before.saturating_add(self.row.into());
        let mut batch = RowBatch {
            row_group: self.row_group,
            first_row,
            labels: Vec::with_capacity(rows),
            hashes: Vec::with_capacity(rows),
            cells: Vec::new(),
        };
        for row in self.row..end {
            let (labels, hash) = self.row(row)?;
            batch.labels.push(labels);
            batch.hashes.push(hash);
        }
        let label_columns = self.shard.labels_file().columns().len();
        for column in self.columns.get(label_columns..).unwrap_or_default() {
            let of_batch = column.pages.iter().filter(|(page, _)| page.rows.end > self.row && page.rows.start < end);
            let pages = of_batch.filter_map(|(page, content)| match content {
                Content::Values(values) => {
                    let before = page.rows.start.saturating_sub(self.row) as usize;
                    let at = self.row.saturating_sub(page.rows.start) as usize;
                    Some((before, at, values.clone()))
                }
                Content::Labels(_) => None,
            });
            batch.cells.push(pages.collect());
        }
        self.row = end;
        Ok(batch)
    }

    fn row(&mut self, row: u32) -> Result<(Labels, u64)> {
        let file = self.shard.labels_file();
        let in_shard = self.rows_before.saturating_add(row.into());
        let place = |column| Place { row: Some(in_shard), ..file.place_of(column, Some(self.row_group)) };
        let mut indexes = std::mem::take(&mut self.indexes);
        let index_column = self.shard.row_index_position();
        match index_column {
            Some(position) => {
                let cell = self.columns.get(position).map_or(Ok(&[][..]), |column| column.value(row))?;
                let count = u32::try_from(file.columns().len()).unwrap_or(u32::MAX);
                row_index::decode(cell, count, &mut indexes)
                    .map_err(|source| Error::from(Detail::Layout { place: place(position), source }))?;
            }
            // All are asked.
            None => {
                indexes.clear();
                let columns = (0_u32..).zip(file.columns());
                indexes.extend(columns.filter(|(_, column)| matches!(column, Column::Label(_))).map(|(i, _)| i));
            }
        }
        // Only of these can something be wrong.
        let index_place = || place(index_column.unwrap_or(0));
        let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(indexes.len());
        let mut rest = self.columns.as_mut_slice();
        let mut passed = 0_usize;
        for &index in &indexes {
            let index = index as usize;
            let Some(Column::Label(name)) = file.columns().get(index) else {
                let found = file.columns().get(index).map_or_else(String::new, Column::name);
                return Err(Error::corrupt(index_place(), "label columns", format!("{found:?}")));
            };
            // Indexes ascend, so that each column is borrowed once.
            let ahead = std::mem::take(&mut rest).get_mut(index.saturating_sub(passed)..).unwrap_or_default();
            let Some((column, after)) = ahead.split_first_mut() else { break };
            pairs.extend(column.label(row, index_column.is_some())?.map(|value| (&**name, value)));
            (rest, passed) = (after, index.saturating_add(1));
        }
        let labels =
            Labels::from_pairs(pairs).map_err(|e| Error::corrupt(index_place(), "a label set", e.to_string()))?;
        self.indexes = indexes;
        let hash = labels.stable_hash();
        if let Some(column) = self.shard.series_hash_position() {
            let found = match self.columns.get(column) {
                Some(column) => column.value(row)?,
                None => &[],
            };
            let expected = promparquet_schema::series_hash_cell(hash);
            if found != expected {
                let expected = format!("the hash {hash:016x} of the labels {labels}");
                return Err(Error::corrupt(place(column), expected, found.escape_ascii().to_string()));
            }
        }
        Ok((labels, hash))
    }
}

async fn fetch_all(object: &Object, wanted: &[Wanted], coalescing: Coalescing) -> Result<Vec<Bytes>> {
    let ranges: Vec<_> = wanted.iter().map(|wanted| wanted.bytes.clone()).collect();
    fetch::ranges(object, &ranges, coalescing).await
}
