//! The footer of a Parquet file, and the page indexes before it.
//!
//! ```text
//! file    := "PAR1" … column index*  offset index*  FileMetaData  length: u32le  "PAR1"
//! ```
//!
//! Nothing here does I/O: [`FooterReader`] holds the end of the file and says which bytes before it are needed.

use std::ops::Range;

use bytes::Bytes;
use parquet::{
    DecodeResult,
    file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder, ParquetMetaDataReader},
};

use crate::{
    error::{Detail, Error, Place, Result},
    thrift::{BINARY, Field, LIST, Reader, Result as ThriftResult, STRUCT},
};

const MAGIC: [u8; 4] = *b"PAR1";
const ENCRYPTED_MAGIC: [u8; 4] = *b"PARE";

/// The end of a file, as far as it was read.
#[derive(Debug)]
pub(crate) struct FooterReader {
    /// Bucket and key, for messages.
    object: String,
    size: u64,
    /// Where `bytes` begin; they go to the file's end.
    start: u64,
    bytes: Bytes,
    limit: u64,
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Read these bytes, which end where those held begin, and [`FooterReader::prepend`] them.
    Fetch(Range<u64>),
    /// The metadata, with page indexes.
    Done(Box<ParquetMetaData>),
}

impl FooterReader {
    /// `tail` are the last bytes of a file of `size` bytes. Never more than `limit` bytes are asked for.
    pub(crate) fn new(object: String, size: u64, tail: Bytes, limit: u64) -> Self {
        Self { object, size, start: size.saturating_sub(tail.len() as u64), bytes: tail, limit }
    }

    /// Puts the bytes asked for before those held.
    pub(crate) fn prepend(&mut self, bytes: &Bytes) {
        self.start = self.start.saturating_sub(bytes.len() as u64);
        self.bytes = [&bytes[..], &self.bytes[..]].concat().into();
    }

    pub(crate) fn step(&self) -> Result<Step> {
        let Some(tail) = self.bytes.last_chunk::<8>() else {
            let found = format!("{} bytes", self.size);
            return Err(Error::corrupt(self.place(0), "a Parquet file of at least 12 bytes", found));
        };
        let [l0, l1, l2, l3, magic @ ..] = *tail;
        let tail_start = self.size.saturating_sub(tail.len() as u64);
        if magic == ENCRYPTED_MAGIC {
            return Err(Detail::Unsupported { place: self.place(tail_start), what: "an encrypted file".into() }.into());
        }
        if magic != MAGIC {
            let found = format!("{:?}", magic.escape_ascii().to_string());
            return Err(Error::corrupt(self.place(tail_start), "\"PAR1\" at the end of the file", found));
        }
        let length = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
        let Some(start) = tail_start.checked_sub(length).filter(|start| *start >= MAGIC.len() as u64) else {
            let expected = format!("a footer within {} bytes", self.size);
            return Err(Error::corrupt(self.place(tail_start), expected, format!("one of {length} bytes")));
        };
        self.check_limit("the footer", length)?;
        if start < self.start {
            // The page indexes are likely as long again.
            let start = start.saturating_sub(length).max(self.size.saturating_sub(self.limit)).min(start);
            return Ok(Step::Fetch(start..self.start));
        }
        let footer = self.slice(start..tail_start);
        check_shape(&footer).map_err(|e| {
            let place = self.place(start.saturating_add(e.at as u64));
            Error::corrupt(place, format!("the footer of a shard with {}", e.expected), "other bytes")
        })?;
        let metadata = ParquetMetaDataReader::decode_metadata(&footer).map_err(|e| self.footer_error(start, e))?;
        let Some(indexes) = self.index_range(&metadata, start)? else {
            return Ok(Step::Done(Box::new(metadata)));
        };
        self.check_limit("the footer with its page indexes", self.size.saturating_sub(indexes.start))?;
        if indexes.start < self.start {
            return Ok(Step::Fetch(indexes.start..self.start));
        }
        let metadata = self.with_indexes(metadata, &indexes).map_err(|e| self.footer_error(indexes.start, e))?;
        Ok(Step::Done(Box::new(metadata)))
    }

    fn with_indexes(
        &self,
        metadata: ParquetMetaData,
        indexes: &Range<u64>,
    ) -> Result<ParquetMetaData, parquet::errors::ParquetError> {
        let decoder = ParquetMetaDataPushDecoder::try_new_with_metadata(self.size, metadata)?;
        let mut decoder = decoder.with_page_index_policy(PageIndexPolicy::Optional);
        decoder.push_range(indexes.clone(), self.slice(indexes.clone()))?;
        match decoder.try_decode()? {
            DecodeResult::Data(metadata) => Ok(metadata),
            _ => Err(parquet::errors::ParquetError::General("page indexes beyond those announced".into())),
        }
    }

    /// The bytes of all page indexes, checked to lie before the footer.
    fn index_range(&self, metadata: &ParquetMetaData, footer: u64) -> Result<Option<Range<u64>>> {
        let mut all: Option<Range<u64>> = None;
        for (row_group, group) in metadata.row_groups().iter().enumerate() {
            for column in group.columns() {
                let indexes = [
                    ("column index", column.column_index_offset(), column.column_index_length()),
                    ("offset index", column.offset_index_offset(), column.offset_index_length()),
                ];
                for (what, offset, length) in indexes {
                    let (Some(offset), Some(length)) = (offset, length) else { continue };
                    let range = u64::try_from(offset).ok().zip(u64::try_from(length).ok());
                    let range = range.and_then(|(start, length)| Some(start..start.checked_add(length)?));
                    let Some(range) = range.filter(|range| range.end <= footer) else {
                        let place = Place {
                            column: Some(column.column_path().string()),
                            row_group: Some(row_group),
                            ..self.place(footer)
                        };
                        let expected = format!("a {what} before the footer");
                        return Err(Error::corrupt(place, expected, format!("{length} bytes at {offset}")));
                    };
                    all = Some(match all {
                        Some(all) => all.start.min(range.start)..all.end.max(range.end),
                        None => range,
                    });
                }
            }
        }
        Ok(all)
    }

    fn slice(&self, range: Range<u64>) -> Bytes {
        let at = |offset: u64| usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let (start, end) = (at(range.start).min(self.bytes.len()), at(range.end).min(self.bytes.len()));
        self.bytes.slice(start..end.max(start))
    }

    fn check_limit(&self, what: &'static str, needed: u64) -> Result<()> {
        if needed <= self.limit {
            return Ok(());
        }
        Err(Detail::TooLarge { place: self.place(self.size), what, needed, limit: self.limit }.into())
    }

    fn place(&self, offset: u64) -> Place {
        Place { object: self.object.clone(), offset: Some(offset), ..Place::default() }
    }

    #[cold]
    fn footer_error(&self, offset: u64, source: parquet::errors::ParquetError) -> Error {
        Detail::Footer { place: self.place(offset), source }.into()
    }
}

/// Checks what the parquet crate does not before it reserves memory or recurses: that the schema is flat, of byte
/// arrays, and that lists are as long as they say.
fn check_shape(footer: &[u8]) -> ThriftResult<()> {
    const I32: u8 = 5;
    const I64: u8 = 6;
    let mut reader = Reader::new(footer);
    let mut previous = 0;
    while let Some(field) = reader.field(previous)? {
        previous = field.id;
        // `FileMetaData`: 1 version, 2 schema, 3 rows, 4 row groups, 5 key/value metadata, 6 created by, 7 column orders.
        let kind = match field.id {
            1 => I32,
            3 => I64,
            2 | 4 | 5 | 7 => LIST,
            6 => BINARY,
            _ => field.kind,
        };
        if field.kind != kind {
            return reader.error("fields of the types that Parquet says");
        }
        match field.id {
            2 => check_schema(&mut reader)?,
            _ => reader.skip(field.kind)?,
        }
    }
    Ok(())
}

fn check_schema(reader: &mut Reader<'_>) -> ThriftResult<()> {
    let (kind, elements) = reader.list()?;
    if kind != STRUCT {
        return reader.error("a schema");
    }
    for n in 0..elements {
        let element = SchemaElement::read(reader)?;
        let is_root = n == 0;
        let fits = if is_root {
            element.children.and_then(|n| usize::try_from(n).ok()) == elements.checked_sub(1)
        } else {
            element.children.is_none_or(|n| n == 0)
                && element.kind == Some(SchemaElement::BYTE_ARRAY)
                && matches!(element.repetition, Some(SchemaElement::REQUIRED | SchemaElement::OPTIONAL))
        };
        if !fits {
            return reader.error("a flat schema of byte arrays");
        }
    }
    Ok(())
}

#[derive(Default)]
struct SchemaElement {
    kind: Option<i32>,
    repetition: Option<i32>,
    children: Option<i32>,
}

impl SchemaElement {
    const BYTE_ARRAY: i32 = 6;
    const REQUIRED: i32 = 0;
    const OPTIONAL: i32 = 1;

    /// 1 type, 3 repetition, 5 number of children.
    fn read(reader: &mut Reader<'_>) -> ThriftResult<Self> {
        let mut element = Self::default();
        let mut previous = 0;
        while let Some(Field { id, kind }) = reader.field(previous)? {
            previous = id;
            match id {
                1 => element.kind = Some(reader.i32()?),
                3 => element.repetition = Some(reader.i32()?),
                5 => element.children = Some(reader.i32()?),
                _ => reader.skip(kind)?,
            }
        }
        Ok(element)
    }
}
