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
    thrift::{BINARY, Field, I32, I64, LIST, Reader, Result as ThriftResult, STRUCT},
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
        self.check_indexes(&metadata)?;
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

    /// Checks the shape of all page indexes, which are held and lie before the footer.
    fn check_indexes(&self, metadata: &ParquetMetaData) -> Result<()> {
        for column in metadata.row_groups().iter().flat_map(|group| group.columns()) {
            let column_index = (column.column_index_offset(), column.column_index_length());
            let offset_index = (column.offset_index_offset(), column.offset_index_length());
            let checks: [(_, _, Check); 2] = [
                ("column index", column_index, check_column_index),
                ("offset index", offset_index, check_offset_index),
            ];
            for (what, (offset, length), check) in checks {
                let (Some(offset), Some(length)) = (offset, length) else { continue };
                let (Ok(start), Ok(length)) = (u64::try_from(offset), u64::try_from(length)) else { continue };
                if length == 0 {
                    continue;
                }
                check(&self.slice(start..start.saturating_add(length))).map_err(|e| {
                    let column = Some(column.column_path().string());
                    let place = Place { column, ..self.place(start.saturating_add(e.at as u64)) };
                    Error::corrupt(place, format!("the {what} of a column, with {}", e.expected), "other bytes")
                })?;
            }
        }
        Ok(())
    }

    /// The bytes of all page indexes, checked to lie before the footer. Together they are within the limit even if they
    /// share bytes: each is decoded for itself.
    fn index_range(&self, metadata: &ParquetMetaData, footer: u64) -> Result<Option<Range<u64>>> {
        let (mut all, mut total): (Option<Range<u64>>, u64) = (None, 0);
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
                    total = total.saturating_add(range.end.saturating_sub(range.start));
                    all = Some(match all {
                        Some(all) => all.start.min(range.start)..all.end.max(range.end),
                        None => range,
                    });
                }
            }
        }
        self.check_limit("all page indexes", total)?;
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

/// Checks the bytes of a page index of one kind.
type Check = fn(&[u8]) -> ThriftResult<()>;

/// `ColumnIndex`: 1 null pages, 2 and 3 bounds, 4 their order, 5 to 8 counts. Types matter: the parquet crate does not
/// look at them, and would read on somewhere else.
fn check_column_index(bytes: &[u8]) -> ThriftResult<()> {
    let mut reader = Reader::new(bytes);
    let mut previous = 0;
    while let Some(field) = reader.field(previous)? {
        previous = field.id;
        match (field.id, field.kind) {
            (1, LIST) => reader.booleans()?,
            (2 | 3, LIST) => check_elements(&mut reader, BINARY, |reader| reader.skip(BINARY))?,
            (4, I32) => reader.skip(I32)?,
            (5..=8, LIST) => check_elements(&mut reader, I64, |reader| reader.skip(I64))?,
            (1..=8, _) => return reader.error("fields of the types that Parquet says"),
            _ => reader.skip(field.kind)?,
        }
    }
    Ok(())
}

/// `OffsetIndex`: 1 page locations, 2 sizes. `PageLocation`: 1 offset, 2 compressed size, 3 first row.
fn check_offset_index(bytes: &[u8]) -> ThriftResult<()> {
    fn check_location(reader: &mut Reader<'_>) -> ThriftResult<()> {
        let mut previous = 0;
        while let Some(field) = reader.field(previous)? {
            previous = field.id;
            match (field.id, field.kind) {
                (1 | 3, I64) | (2, I32) => reader.skip(field.kind)?,
                (1..=3, _) => return reader.error("fields of the types that Parquet says"),
                _ => reader.skip(field.kind)?,
            }
        }
        Ok(())
    }
    let mut reader = Reader::new(bytes);
    let mut previous = 0;
    while let Some(field) = reader.field(previous)? {
        previous = field.id;
        match (field.id, field.kind) {
            (1, LIST) => check_elements(&mut reader, STRUCT, check_location)?,
            (2, LIST) => check_elements(&mut reader, I64, |reader| reader.skip(I64))?,
            (1 | 2, _) => return reader.error("fields of the types that Parquet says"),
            _ => reader.skip(field.kind)?,
        }
    }
    Ok(())
}

/// A list of this kind of elements; the kind of an empty one does not matter.
fn check_elements<'a>(
    reader: &mut Reader<'a>,
    kind: u8,
    check: impl Fn(&mut Reader<'a>) -> ThriftResult<()>,
) -> ThriftResult<()> {
    let (found, size) = reader.list()?;
    if size > 0 && found != kind {
        return reader.error("elements of the types that Parquet says");
    }
    (0..size).try_for_each(|_| check(reader))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A field that Parquet does not know, with a list of lists of booleans of which the parquet crate would count 2^31
    /// times 2^31, in no bytes at all. (An input that the fuzzer found.)
    #[test]
    fn page_indexes_of_other_shapes_are_refused() {
        const HOSTILE: &[u8] = &[0x99, 0xf9, 0xff, 0xff, 0xff, 0xff, 0x07, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07, 0];
        assert!(check_column_index(HOSTILE).is_err() && check_offset_index(HOSTILE).is_err());
        // Null pages [false], bounds ["a"] and ["b"], ascending, null counts [0], and a field of the future: 9, i32.
        let good = [0x19, 0x11, 2, 0x19, 0x18, 1, b'a', 0x19, 0x18, 1, b'b', 0x15, 2, 0x19, 0x16, 0, 0x45, 2, 0];
        assert_eq!(check_column_index(&good), Ok(()));
        // One location: offset 4, size 5, row 0; unencoded sizes [7].
        let location = [0x19, 0x1c, 0x16, 8, 0x15, 10, 0x16, 0, 0, 0x19, 0x16, 14, 0];
        assert_eq!(check_offset_index(&location), Ok(()));
        for n in 0..good.len() {
            assert!(check_column_index(&good[..n]).is_err());
        }
        for n in 0..location.len() {
            assert!(check_offset_index(&location[..n]).is_err());
        }
        // Of another type: the list, its elements, a field of a location.
        for (at, to) in [(0, 0x18), (1, 0x18), (4, 0x16), (11, 0x16), (14, 0x15)] {
            let mut other = good;
            other[at] = to;
            assert!(check_column_index(&other).is_err(), "{at}");
        }
        for (at, to) in [(1, 0x16), (2, 0x15), (4, 0x16), (10, 0x18)] {
            let mut other = location;
            other[at] = to;
            assert!(check_offset_index(&other).is_err(), "{at}");
        }
    }

    #[test]
    fn page_indexes_that_share_bytes_count_each() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/shard-none/0.labels.parquet");
        let file: Bytes = std::fs::read(path).unwrap().into();
        let size = file.len() as u64;
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).unwrap();
        let groups = metadata.row_groups().iter().map(|group| {
            let columns = group.columns().iter().map(|column| {
                let column = column.clone().into_builder().set_column_index_offset(Some(4));
                column.set_column_index_length(Some(1000)).build().unwrap()
            });
            group.clone().into_builder().set_column_metadata(columns.collect()).build().unwrap()
        });
        let shared = metadata.clone().into_builder().set_row_groups(groups.collect()).build();
        let reader = |limit| FooterReader::new("file".into(), size, file.clone(), limit);
        assert!(reader(size).index_range(&metadata, size).is_ok());
        let error = reader(size).index_range(&shared, size).unwrap_err();
        assert!(error.kind() == crate::ErrorKind::LimitExceeded && error.to_string().contains("all page indexes"));
        assert!(reader(1 << 20).index_range(&shared, size).is_ok());
    }
}
