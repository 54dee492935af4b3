//! The sequential part: pages go out in order, the footer follows.

use std::{
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
    sync::Arc,
};

use parquet::{basic::Encoding, bloom_filter::Sbbf, file::writer::TrackedWrite};
use promparquet_schema::{Column, DataColumns, Encoding as ColumnEncoding};
use snafu::ResultExt;

use super::{
    Compression, Page,
    column_chunk::{ColumnChunk, PageFacts},
    footer::{FileFacts, Footer, RowGroup},
};
use crate::{
    error::{Error, InternalSnafu, ParquetSnafu, SpillSnafu, WriteSnafu},
    output::Output,
};

pub(super) const MAGIC: &[u8; 4] = b"PAR1";

/// A column of the file to be written.
#[derive(Clone, Debug)]
pub(crate) struct FileColumn {
    pub(crate) column: Column,
    pub(crate) compression: Compression,
}

/// Writes one Parquet file, row group by row group.
///
/// Column chunks follow one another, so that pages must wait until the columns before theirs, and their own dictionary,
/// are complete; they are kept in memory, and beyond [`Spill::after_bytes`] in an unnamed temporary file. Only pages of a
/// first column without a dictionary go out at once.
pub(crate) struct FileWriter<'a> {
    out: TrackedWrite<&'a mut Output>,
    root: &'a str,
    columns: Vec<FileColumn>,
    sorting: Vec<usize>,
    key_values: Vec<(&'static str, String)>,
    footer: Footer<'a>,
    spill: Spill<'a>,
    current: OpenGroup,
}

/// Where pages of a row group wait for the columns before them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spill<'a> {
    /// So many bytes wait in memory.
    pub(crate) after_bytes: usize,
    /// The rest waits in a file of this directory.
    pub(crate) dir: &'a Path,
}

/// The row group that is being written.
struct OpenGroup {
    /// The first column, if its pages go out at once.
    first: Option<ColumnChunk>,
    /// For each column its pages that wait, in order.
    waiting: Vec<Vec<Waiting>>,
    /// Columns that are complete: these and none after them.
    finished: usize,
    /// With the columns that they belong to.
    bloom_filters: Vec<(usize, Box<Sbbf>)>,
    offset: Option<u64>,
    compressed: u64,
    uncompressed: u64,
    in_memory: usize,
    spill: Option<std::fs::File>,
    spilled: u64,
}

enum Waiting {
    Memory(Box<Page>),
    Spilled(PageFacts, u64),
    /// The same page so many times.
    Repeated(Arc<Page>, u32),
}

impl<'a> FileWriter<'a> {
    /// Begins a file with `columns` (in byte order of their names) under a schema root called `root`; `sorting` are
    /// indexes of the columns by which rows are sorted.
    pub(crate) fn new(
        out: &'a mut Output,
        root: &'a str,
        columns: Vec<FileColumn>,
        sorting: &[usize],
        data_columns: DataColumns,
        spill: Spill<'a>,
    ) -> Result<Self, Error> {
        let mut writer = Self {
            out: TrackedWrite::new(out),
            root,
            sorting: sorting.to_vec(),
            key_values: data_columns.to_metadata().to_vec(),
            footer: Footer::new(spill.dir),
            spill,
            current: OpenGroup::new(&columns),
            columns,
        };
        writer.out.write_all(MAGIC).context(WriteSnafu)?;
        Ok(writer)
    }

    /// Appends the next data page of column `column` to the open row group.
    pub(crate) fn data_page(&mut self, column: usize, page: Page) -> Result<(), Error> {
        let group = &mut self.current;
        if let Some(first) = group.first.as_mut().filter(|_| column == 0) {
            let offset = put_page(&mut self.out, &page)?;
            first.add_data(PageFacts::try_from(&page)?, offset);
            return Ok(());
        }
        let waiting = if group.in_memory + page.len() <= self.spill.after_bytes {
            group.in_memory += page.len();
            Waiting::Memory(Box::new(page))
        } else {
            let file = match &mut group.spill {
                Some(file) => file,
                none => none.insert(tempfile::tempfile_in(self.spill.dir).context(SpillSnafu)?),
            };
            let offset = group.spilled;
            file.write_all(&page.header).and_then(|()| file.write_all(&page.body)).context(SpillSnafu)?;
            group.spilled += page.len() as u64;
            Waiting::Spilled(PageFacts::try_from(&page)?, offset)
        };
        group.waiting[column].push(waiting);
        Ok(())
    }

    /// The same, with a page that other columns have too.
    pub(crate) fn shared_page(&mut self, column: usize, page: &Arc<Page>) {
        let waiting = &mut self.current.waiting[column];
        match waiting.last_mut() {
            Some(Waiting::Repeated(last, times)) if Arc::ptr_eq(last, page) => *times += 1,
            _ => waiting.push(Waiting::Repeated(Arc::clone(page), 1)),
        }
    }

    /// Completes the next column of the open row group, which is `column`, with its dictionary and bloom filter.
    pub(crate) fn finish_column(
        &mut self,
        column: usize,
        dictionary: Option<&Page>,
        bloom_filter: Option<Box<Sbbf>>,
    ) -> Result<(), Error> {
        let group = &mut self.current;
        if column != group.finished {
            let what = format!("column {column} is completed after {} others", group.finished);
            return Err(InternalSnafu { what }.build().into());
        }
        group.finished += 1;
        let mut chunk = group.first.take().unwrap_or_else(|| ColumnChunk::new(encoding(&self.columns[column])));
        if let Some(page) = dictionary {
            chunk.add_dictionary(page, put_page(&mut self.out, page)?);
        }
        let mut copy = Vec::new();
        for waiting in std::mem::take(&mut group.waiting[column]) {
            match (waiting, &mut group.spill) {
                (Waiting::Memory(page), _) => {
                    let offset = put_page(&mut self.out, &page)?;
                    group.in_memory -= page.len();
                    chunk.add_data(PageFacts::try_from(&*page)?, offset);
                }
                (Waiting::Repeated(page, times), _) => {
                    for _ in 0..times {
                        let offset = put_page(&mut self.out, &page)?;
                        chunk.add_data(PageFacts::try_from(&*page)?, offset);
                    }
                }
                (Waiting::Spilled(facts, at), Some(file)) => {
                    copy.resize(facts.len as usize, 0);
                    file.seek(SeekFrom::Start(at)).context(SpillSnafu)?;
                    file.read_exact(&mut copy).context(SpillSnafu)?;
                    let offset = self.out.bytes_written() as u64;
                    self.out.write_all(&copy).context(WriteSnafu)?;
                    chunk.add_data(facts, offset);
                }
                (Waiting::Spilled(..), None) => {
                    let what = "a page was spilled to no file".to_owned();
                    return Err(InternalSnafu { what }.build().into());
                }
            }
        }
        group.offset = group.offset.or(chunk.offset());
        group.compressed += chunk.compressed_len();
        group.uncompressed += chunk.uncompressed_len();
        group.bloom_filters.extend(bloom_filter.map(|filter| (column, filter)));
        self.footer.add_chunk(&self.columns[column], &chunk)
    }

    /// Completes the open row group of `rows` rows, and those of its columns that are not, and begins the next.
    pub(crate) fn end_row_group(&mut self, rows: u64) -> Result<(), Error> {
        for column in self.current.finished..self.columns.len() {
            self.finish_column(column, None, None)?;
        }
        let group = std::mem::replace(&mut self.current, OpenGroup::new(&self.columns));
        for (column, filter) in group.bloom_filters {
            let offset = self.out.bytes_written();
            filter.write(&mut self.out).context(ParquetSnafu { what: "bloom filter" })?;
            let length = (self.out.bytes_written() - offset) as u32;
            self.footer.add_bloom_filter(column, offset as u64, length);
        }
        self.footer.add_row_group(RowGroup {
            rows,
            offset: group.offset.unwrap_or_default(),
            compressed: group.compressed,
            uncompressed: group.uncompressed,
        });
        Ok(())
    }

    /// Writes page indexes and footer.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        let (root, columns, sorting) = (self.root, &self.columns, &self.sorting);
        let facts = FileFacts { root, columns, sorting, key_values: &self.key_values };
        self.footer.write(&facts, &mut self.out)
    }
}

impl OpenGroup {
    fn new(columns: &[FileColumn]) -> Self {
        let first = columns.first().map(encoding).filter(|encoding| *encoding != Encoding::RLE_DICTIONARY);
        Self {
            first: first.map(ColumnChunk::new),
            waiting: columns.iter().map(|_| Vec::new()).collect(),
            finished: 0,
            bloom_filters: Vec::new(),
            offset: None,
            compressed: 0,
            uncompressed: 0,
            in_memory: 0,
            spill: None,
            spilled: 0,
        }
    }
}

fn encoding(column: &FileColumn) -> Encoding {
    match column.column.encoding() {
        ColumnEncoding::Dictionary => Encoding::RLE_DICTIONARY,
        ColumnEncoding::DeltaByteArray => Encoding::DELTA_BYTE_ARRAY,
        ColumnEncoding::DeltaLengthByteArray => Encoding::DELTA_LENGTH_BYTE_ARRAY,
    }
}

/// Appends a page; returns where it begins.
fn put_page<W: Write>(out: &mut TrackedWrite<W>, page: &Page) -> Result<u64, Error> {
    let offset = out.bytes_written() as u64;
    out.write_all(&page.header).and_then(|()| out.write_all(&page.body)).context(WriteSnafu)?;
    Ok(offset)
}
