//! Page indexes and footer, as they are gathered and as they end the file.
//!
//! ```text
//! end := column index*  offset index*  FileMetaData  length: u32le  "PAR1"
//! ```
//!
//! What is known of a column chunk is written down at once and waits in a [`Spool`]: a file of many row groups and
//! columns has millions of them, and a footer larger than the pages that wait.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
};

use parquet::{
    basic::{ConvertedType, Type},
    file::writer::TrackedWrite,
};
use promparquet_schema::Column;
use snafu::ResultExt;

use super::{FileColumn, column_chunk::ColumnChunk, spool::Spool, thrift::Struct};
use crate::error::{Error, FooterTooLargeSnafu, SpillSnafu, WriteSnafu};

const CREATED_BY: &str = concat!("promparquet version ", env!("CARGO_PKG_VERSION"), " (build )");
/// Version of the format.
const VERSION: i32 = 2;
/// Written at once.
const PIECE_BYTES: usize = 64 << 10;

/// Gathers what the end of the file says.
pub(super) struct Footer<'a> {
    /// For each column chunk, in order: lengths of its metadata and its indexes, and the metadata.
    chunks: Spool<'a>,
    column_indexes: Spool<'a>,
    offset_indexes: Spool<'a>,
    bloom_filters: VecDeque<BloomFilter>,
    row_groups: Vec<RowGroup>,
    buffer: Vec<u8>,
}

/// Filters come after all pages of a row group, so that their places are known later than the rest of a chunk.
struct BloomFilter {
    row_group: usize,
    column: usize,
    offset: u64,
    len: u32,
}

/// A row group that was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowGroup {
    pub(super) rows: u64,
    pub(super) offset: u64,
    pub(super) compressed: u64,
    pub(super) uncompressed: u64,
}

/// What the footer says of the file as a whole.
pub(super) struct FileFacts<'a> {
    pub(super) root: &'a str,
    pub(super) columns: &'a [FileColumn],
    /// Columns by which rows are sorted.
    pub(super) sorting: &'a [usize],
    pub(super) key_values: &'a [(&'static str, String)],
}

impl<'a> Footer<'a> {
    /// What does not fit in memory waits in `dir`.
    pub(super) const fn new(dir: &'a std::path::Path) -> Self {
        Self {
            chunks: Spool::new(dir),
            column_indexes: Spool::new(dir),
            offset_indexes: Spool::new(dir),
            bloom_filters: VecDeque::new(),
            row_groups: Vec::new(),
            buffer: Vec::new(),
        }
    }

    /// The next column chunk, of which all pages are written.
    pub(super) fn add_chunk(&mut self, column: &FileColumn, chunk: &ColumnChunk) -> Result<(), Error> {
        let mut lengths = [0_u32; 3];
        let out = &mut self.buffer;
        out.clear();
        chunk.put_column_index(out);
        lengths[1] = length(out.len() as u64)?;
        self.column_indexes.push(out)?;
        out.clear();
        chunk.put_offset_index(out);
        lengths[2] = length(out.len() as u64)?;
        self.offset_indexes.push(out)?;
        out.clear();
        chunk.put_metadata(&column.column.name(), codec(column), out);
        lengths[0] = length(out.len() as u64)?;
        self.chunks.push(&lengths.map(u32::to_le_bytes).concat())?;
        self.chunks.push(out)
    }

    /// Where the bloom filter of a column of the open row group lies, in order of the columns.
    pub(super) fn add_bloom_filter(&mut self, column: usize, offset: u64, len: u32) {
        self.bloom_filters.push_back(BloomFilter { row_group: self.row_groups.len(), column, offset, len });
    }

    /// The row group whose chunks were added is complete.
    pub(super) fn add_row_group(&mut self, group: RowGroup) {
        self.row_groups.push(group);
    }

    /// Writes the indexes, the footer and the magic.
    pub(super) fn write<W: Write>(self, file: &FileFacts<'_>, out: &mut TrackedWrite<W>) -> Result<(), Error> {
        let Self { chunks, column_indexes, offset_indexes, mut bloom_filters, row_groups, .. } = self;
        let mut column_index = out.bytes_written() as u64;
        let mut offset_index = column_index + column_indexes.len();
        for indexes in [column_indexes, offset_indexes] {
            copy(&mut indexes.into_reader()?, out)?;
        }
        let start = out.bytes_written() as u64;
        let mut chunks = chunks.into_reader()?;
        let (mut buffer, mut metadata) = (Vec::new(), Vec::new());
        put_head(file, row_groups.iter().map(|group| group.rows).sum(), row_groups.len(), &mut buffer);
        for (number, group) in row_groups.iter().enumerate() {
            Struct::new(&mut buffer).structs_of(1, file.columns.len());
            for column in 0..file.columns.len() {
                let mut lengths = [[0; 4]; 3];
                lengths.iter_mut().try_for_each(|bytes| chunks.read_exact(bytes)).context(SpillSnafu)?;
                let [of_metadata, of_column_index, of_offset_index] = lengths.map(u32::from_le_bytes);
                metadata.resize(of_metadata as usize, 0);
                chunks.read_exact(&mut metadata).context(SpillSnafu)?;
                let mut rest = Struct::after(&mut metadata, ColumnChunk::LAST_FIELD);
                if let Some(filter) = bloom_filters.pop_front_if(|f| (f.row_group, f.column) == (number, column)) {
                    rest.i64(14, filter.offset as i64);
                    rest.i32(15, filter.len.cast_signed());
                }
                rest.close();
                let mut chunk = Struct::new(&mut buffer);
                chunk.i64(2, 0);
                chunk.whole(3, &metadata);
                chunk.i64(4, offset_index as i64);
                chunk.i32(5, of_offset_index.cast_signed());
                chunk.i64(6, column_index as i64);
                chunk.i32(7, of_column_index.cast_signed());
                chunk.close();
                column_index += u64::from(of_column_index);
                offset_index += u64::from(of_offset_index);
                if buffer.len() >= PIECE_BYTES {
                    out.write_all(&buffer).context(WriteSnafu)?;
                    buffer.clear();
                }
            }
            let ordinal = i16::try_from(number).ok().filter(|_| i16::try_from(row_groups.len()).is_ok());
            put_row_group(group, file.sorting, ordinal, &mut buffer);
        }
        put_tail(file, &mut buffer);
        out.write_all(&buffer).context(WriteSnafu)?;
        let length = length(out.bytes_written() as u64 - start)?;
        out.write_all(&length.to_le_bytes()).and_then(|()| out.write_all(super::writer::MAGIC)).context(WriteSnafu)?;
        Ok(())
    }
}

/// Readers take lengths for integers of 32 bits with sign.
fn length(bytes: u64) -> Result<u32, Error> {
    match i32::try_from(bytes) {
        Ok(length) => Ok(length.cast_unsigned()),
        Err(_) => Err(FooterTooLargeSnafu { bytes }.build().into()),
    }
}

fn copy(from: &mut impl Read, to: &mut impl Write) -> Result<(), Error> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(n) => to.write_all(&piece[..n]).context(WriteSnafu)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context(SpillSnafu)?,
        }
    }
}

fn codec(column: &FileColumn) -> i32 {
    parquet::basic::CompressionCodec::from(column.compression.codec()) as i32
}

/// `FileMetaData` up to the head of the list of row groups.
fn put_head(file: &FileFacts<'_>, rows: u64, row_groups: usize, out: &mut Vec<u8>) {
    let mut head = Struct::new(out);
    head.i32(1, VERSION);
    head.structs_of(2, file.columns.len() + 1);
    let mut root = Struct::new(out);
    root.binary(4, file.root.as_bytes());
    root.i32(5, file.columns.len() as i32); // below the column limit
    root.close();
    for FileColumn { column, .. } in file.columns {
        put_schema_element(column, out);
    }
    let mut head = Struct::after(out, 2);
    head.i64(3, rows as i64);
    head.structs_of(4, row_groups);
}

fn put_schema_element(column: &Column, out: &mut Vec<u8>) {
    const REQUIRED: i32 = 0;
    const OPTIONAL: i32 = 1;
    let mut element = Struct::new(out);
    element.i32(1, Type::BYTE_ARRAY as i32);
    element.i32(3, if column.is_optional() { OPTIONAL } else { REQUIRED });
    element.binary(4, column.name().as_bytes());
    if column.is_string() {
        element.i32(6, ConvertedType::UTF8 as i32);
        let mut logical_type = element.open(10);
        logical_type.open(1).close();
        logical_type.close();
    }
    element.close();
}

/// The rest of a `RowGroup` after its column chunks.
fn put_row_group(group: &RowGroup, sorting: &[usize], ordinal: Option<i16>, out: &mut Vec<u8>) {
    let mut rest = Struct::after(out, 1);
    rest.i64(2, group.uncompressed as i64);
    rest.i64(3, group.rows as i64);
    if !sorting.is_empty() {
        rest.structs(4, sorting.iter(), |mut column, index| {
            column.i32(1, *index as i32); // below the column limit
            column.bool(2, false); // not descending
            column.bool(3, true); // nulls first: a missing label is an empty one
            column.close();
        });
    }
    rest.i64(5, group.offset as i64);
    rest.i64(6, group.compressed as i64);
    if let Some(ordinal) = ordinal {
        rest.i16(7, ordinal);
    }
    rest.close();
}

/// The rest of `FileMetaData` after the row groups.
fn put_tail(file: &FileFacts<'_>, out: &mut Vec<u8>) {
    let mut tail = Struct::after(out, 4);
    tail.structs(5, file.key_values.iter(), |mut pair, (key, value)| {
        pair.binary(1, key.as_bytes());
        pair.binary(2, value.as_bytes());
        pair.close();
    });
    tail.binary(6, CREATED_BY.as_bytes());
    tail.structs(7, file.columns.iter(), |mut order, _| {
        order.open(1).close(); // that of the type
        order.close();
    });
    tail.close();
}
