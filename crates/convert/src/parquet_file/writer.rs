//! The sequential part: pages go out in order, the footer follows.

use std::{
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
    sync::Arc,
};

use parquet::{
    basic::{Encoding, LogicalType, Repetition, Type as PhysicalType},
    bloom_filter::Sbbf,
    file::{
        metadata::{
            FileMetaData, KeyValue, ParquetMetaDataBuilder, ParquetMetaDataWriter, RowGroupMetaData, SortingColumn,
            page_index::PageIndexBuilder,
        },
        page_index::{column_index::ColumnIndexMetaData, offset_index::OffsetIndexMetaData},
        writer::TrackedWrite,
    },
    schema::types::{SchemaDescPtr, SchemaDescriptor, Type},
};
use promparquet_schema::{Column, DataColumns, Encoding as ColumnEncoding};
use snafu::ResultExt;

use super::{ColumnChunk, Compression, Page, column_chunk::PageFacts};
use crate::{
    error::{Error, InternalSnafu, ParquetSnafu, SpillSnafu, WriteSnafu},
    output::Output,
};

const MAGIC: &[u8; 4] = b"PAR1";
const CREATED_BY: &str = concat!("promparquet version ", env!("CARGO_PKG_VERSION"), " (build )");

/// A column of the file to be written.
#[derive(Clone, Debug)]
pub(crate) struct FileColumn {
    pub(crate) column: Column,
    pub(crate) compression: Compression,
}

/// Writes one Parquet file, row group by row group.
///
/// Pages of the first column of a row group go out at once. Those of later columns must wait until the columns before
/// them are complete; they are kept in memory, and beyond [`Spill::after_bytes`] in an unnamed temporary file.
pub(crate) struct FileWriter<'a> {
    out: TrackedWrite<&'a mut Output>,
    columns: Vec<FileColumn>,
    schema: SchemaDescPtr,
    sorting: Vec<SortingColumn>,
    key_values: Vec<KeyValue>,
    row_groups: Vec<RowGroupMetaData>,
    indexes: Vec<Vec<(ColumnIndexMetaData, OffsetIndexMetaData)>>,
    spill: Spill<'a>,
    current: RowGroup,
}

/// Where pages of a row group wait for the columns before them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spill<'a> {
    /// So many bytes wait in memory.
    pub(crate) after_bytes: usize,
    /// The rest waits in a file of this directory.
    pub(crate) dir: &'a Path,
}

#[derive(Default)]
struct RowGroup {
    chunks: Vec<ColumnChunk>,
    waiting: Vec<Waiting>,
    in_memory: usize,
    spill: Option<std::fs::File>,
    spilled: u64,
}

#[derive(Default)]
struct Waiting {
    pages: Vec<(PageFacts, Place)>,
    bloom_filter: Option<Box<Sbbf>>,
}

enum Place {
    Memory(Page),
    Spilled { offset: u64 },
}

impl<'a> FileWriter<'a> {
    /// Begins a file with `columns` (in byte order of their names) under a schema root called `root`; `sorting` are
    /// indexes of the columns by which rows are sorted.
    pub(crate) fn new(
        out: &'a mut Output,
        root: &str,
        columns: Vec<FileColumn>,
        sorting: &[usize],
        data_columns: DataColumns,
        spill: Spill<'a>,
    ) -> Result<Self, Error> {
        let fields = columns.iter().map(|c| parquet_type(&c.column)).collect::<Result<_, _>>()?;
        let root = Type::group_type_builder(root).with_fields(fields).build();
        let root = root.context(ParquetSnafu { what: "schema" })?;
        let sorting = sorting.iter().map(|&i| SortingColumn {
            column_idx: i as i32, // below the column limit
            descending: false,
            nulls_first: true, // a missing label is an empty one
        });
        let key_values = data_columns.to_metadata().map(|(key, value)| KeyValue::new(key.to_owned(), value));
        let mut writer = Self {
            out: TrackedWrite::new(out),
            schema: Arc::new(SchemaDescriptor::new(Arc::new(root))),
            sorting: sorting.collect(),
            key_values: key_values.to_vec(),
            row_groups: Vec::new(),
            indexes: Vec::new(),
            spill,
            current: RowGroup::default(),
            columns,
        };
        writer.out.write_all(MAGIC).context(WriteSnafu)?;
        writer.begin_row_group();
        Ok(writer)
    }

    fn begin_row_group(&mut self) {
        let chunks = self.columns.iter().enumerate().map(|(i, c)| {
            let encoding = match c.column.encoding() {
                ColumnEncoding::Dictionary => Encoding::RLE_DICTIONARY,
                ColumnEncoding::DeltaByteArray => Encoding::DELTA_BYTE_ARRAY,
                ColumnEncoding::DeltaLengthByteArray => Encoding::DELTA_LENGTH_BYTE_ARRAY,
            };
            ColumnChunk::new(self.schema.column(i), c.compression.codec(), encoding)
        });
        self.current = RowGroup { chunks: chunks.collect(), ..RowGroup::default() };
        self.current.waiting.resize_with(self.columns.len(), Waiting::default);
    }

    /// Appends the next data page of column `column` to the open row group. Only for columns without dictionary.
    pub(crate) fn data_page(&mut self, column: usize, page: Page) -> Result<(), Error> {
        let facts = PageFacts::from(&page);
        if column == 0 {
            let offset = put_page(&mut self.out, &page)?;
            self.current.chunks[0].add_data(&facts, offset);
            return Ok(());
        }
        let group = &mut self.current;
        let place = if group.in_memory + page.len() <= self.spill.after_bytes {
            group.in_memory += page.len();
            Place::Memory(page)
        } else {
            let file = match &mut group.spill {
                Some(file) => file,
                none => none.insert(tempfile::tempfile_in(self.spill.dir).context(SpillSnafu)?),
            };
            let offset = group.spilled;
            file.write_all(&page.header).and_then(|()| file.write_all(&page.body)).context(SpillSnafu)?;
            group.spilled += page.len() as u64;
            Place::Spilled { offset }
        };
        group.waiting[column].pages.push((facts, place));
        Ok(())
    }

    /// Writes all of column `column` of the open row group: the columns before it must be complete, and it must have no
    /// page yet.
    pub(crate) fn whole_column(
        &mut self,
        column: usize,
        dictionary: Option<&Page>,
        pages: &[Page],
        bloom_filter: Option<Box<Sbbf>>,
    ) -> Result<(), Error> {
        self.current.waiting[column].bloom_filter = bloom_filter;
        let chunk = &mut self.current.chunks[column];
        if let Some(page) = dictionary {
            let offset = put_page(&mut self.out, page)?;
            chunk.add_dictionary(page, offset);
        }
        for page in pages {
            let offset = put_page(&mut self.out, page)?;
            chunk.add_data(&PageFacts::from(page), offset);
        }
        Ok(())
    }

    /// Completes the open row group of `rows` rows and begins the next.
    pub(crate) fn end_row_group(&mut self, rows: u64) -> Result<(), Error> {
        let mut group = std::mem::take(&mut self.current);
        let mut copy = Vec::new();
        for (chunk, waiting) in group.chunks.iter_mut().zip(&mut group.waiting) {
            for (facts, place) in waiting.pages.drain(..) {
                let offset = match (place, &mut group.spill) {
                    (Place::Memory(page), _) => put_page(&mut self.out, &page)?,
                    (Place::Spilled { offset }, Some(file)) => {
                        copy.resize(facts.len as usize, 0);
                        file.seek(SeekFrom::Start(offset)).context(SpillSnafu)?;
                        file.read_exact(&mut copy).context(SpillSnafu)?;
                        let offset = self.out.bytes_written() as u64;
                        self.out.write_all(&copy).context(WriteSnafu)?;
                        offset
                    }
                    (Place::Spilled { .. }, None) => {
                        let what = "a page was spilled to no file".to_owned();
                        return Err(InternalSnafu { what }.build().into());
                    }
                };
                chunk.add_data(&facts, offset);
            }
        }
        let blooms = group.waiting.into_iter().map(|waiting| {
            waiting.bloom_filter.map_or(Ok(None), |filter| {
                let offset = self.out.bytes_written();
                filter.write(&mut self.out).context(ParquetSnafu { what: "bloom filter" })?;
                Ok(Some((offset as u64, (self.out.bytes_written() - offset) as u32)))
            })
        });
        let blooms = blooms.collect::<Result<Vec<_>, Error>>()?;
        let chunks = group.chunks;
        let uncompressed: u64 = chunks.iter().map(ColumnChunk::uncompressed_len).sum();
        let mut metadata = RowGroupMetaData::builder(Arc::clone(&self.schema))
            .set_num_rows(rows as i64)
            .set_total_byte_size(uncompressed as i64)
            .set_file_offset(chunks.first().and_then(ColumnChunk::offset).unwrap_or_default() as i64);
        if let Ok(ordinal) = i16::try_from(self.row_groups.len()) {
            metadata = metadata.set_ordinal(ordinal.into());
        }
        if !self.sorting.is_empty() {
            metadata = metadata.set_sorting_columns(Some(self.sorting.clone()));
        }
        let mut indexes = Vec::with_capacity(chunks.len());
        for (chunk, bloom) in chunks.into_iter().zip(blooms) {
            let (chunk, column_index, offset_index) = chunk.finish(bloom)?;
            metadata = metadata.add_column_metadata(chunk);
            indexes.push((column_index, offset_index));
        }
        self.row_groups.push(metadata.build().context(ParquetSnafu { what: "row group metadata" })?);
        self.indexes.push(indexes);
        self.begin_row_group();
        Ok(())
    }

    /// Writes page indexes and footer.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let mut page_index = PageIndexBuilder::new(self.row_groups.len(), self.columns.len());
        for (i, group) in self.indexes.into_iter().enumerate() {
            for (j, (column_index, offset_index)) in group.into_iter().enumerate() {
                page_index.put_column_index(column_index, i, j);
                page_index.put_offset_index(offset_index, i, j);
            }
        }
        let rows = self.row_groups.iter().map(RowGroupMetaData::num_rows).sum();
        let created_by = Some(CREATED_BY.to_owned());
        let file = FileMetaData::new(2, rows, created_by, Some(self.key_values), self.schema, None);
        let metadata = ParquetMetaDataBuilder::new(file)
            .set_row_groups(self.row_groups)
            .set_page_index(Some(Arc::new(page_index.build())))
            .build();
        ParquetMetaDataWriter::new_with_tracked(self.out, &metadata)
            .finish()
            .context(ParquetSnafu { what: "footer" })
            .map_err(Error::from)
    }
}

/// Appends a page; returns where it begins.
fn put_page<W: Write>(out: &mut TrackedWrite<W>, page: &Page) -> Result<u64, Error> {
    let offset = out.bytes_written() as u64;
    out.write_all(&page.header).and_then(|()| out.write_all(&page.body)).context(WriteSnafu)?;
    Ok(offset)
}

fn parquet_type(column: &Column) -> Result<Arc<Type>, Error> {
    let repetition = if column.is_optional() { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    Type::primitive_type_builder(&column.name(), PhysicalType::BYTE_ARRAY)
        .with_repetition(repetition)
        .with_logical_type(column.is_string().then_some(LogicalType::String))
        .build()
        .map(Arc::new)
        .context(ParquetSnafu { what: "column type" })
        .map_err(Error::from)
}
