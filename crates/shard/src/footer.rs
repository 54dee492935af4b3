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
    thrift::{Field, LIST, Reader, Result as ThriftResult, STRUCT},
};

mod shape;

const MAGIC: [u8; 4] = *b"PAR1";
const ENCRYPTED_MAGIC: [u8; 4] = *b"PARE";

/// Bytes in memory for each that the limit allows in the file: real footers need about eight.
const MEMORY_PER_BYTE: u64 = 16;

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
        let memory = shape::FILE_METADATA.check(&footer).and_then(|memory| check_flat(&footer).map(|()| memory));
        let memory = memory.map_err(|e| {
            let place = self.place(start.saturating_add(e.at as u64));
            Error::corrupt(place, format!("the footer of a shard with {}", e.expected), "other bytes")
        })?;
        self.check_memory("the footer, decoded", memory)?;
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

    /// Checks the shape of all page indexes, which are held and lie before the footer, and what they take in memory.
    fn check_indexes(&self, metadata: &ParquetMetaData) -> Result<()> {
        let mut memory = 0_u64;
        for column in metadata.row_groups().iter().flat_map(|group| group.columns()) {
            let column_index = (column.column_index_offset(), column.column_index_length());
            let offset_index = (column.offset_index_offset(), column.offset_index_length());
            let checks = [
                ("column index", column_index, &shape::COLUMN_INDEX),
                ("offset index", offset_index, &shape::OFFSET_INDEX),
            ];
            for (what, (offset, length), shape) in checks {
                let (Some(offset), Some(length)) = (offset, length) else { continue };
                let (Ok(start), Ok(length)) = (u64::try_from(offset), u64::try_from(length)) else { continue };
                if length == 0 {
                    continue;
                }
                let of_index = shape.check(&self.slice(start..start.saturating_add(length))).map_err(|e| {
                    let column = Some(column.column_path().string());
                    let place = Place { column, ..self.place(start.saturating_add(e.at as u64)) };
                    Error::corrupt(place, format!("the {what} of a column, with {}", e.expected), "other bytes")
                })?;
                memory = memory.saturating_add(of_index);
            }
        }
        self.check_memory("all page indexes, decoded", memory)
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

    /// Checks what bytes within the limit take in memory once they are decoded.
    fn check_memory(&self, what: &'static str, needed: u64) -> Result<()> {
        let limit = self.limit.saturating_mul(MEMORY_PER_BYTE);
        if needed <= limit {
            return Ok(());
        }
        Err(Detail::TooLarge { place: self.place(self.size), what, needed, limit }.into())
    }

    fn place(&self, offset: u64) -> Place {
        Place { object: self.object.clone(), offset: Some(offset), ..Place::default() }
    }

    #[cold]
    fn footer_error(&self, offset: u64, source: parquet::errors::ParquetError) -> Error {
        Detail::Footer { place: self.place(offset), source }.into()
    }
}

/// Checks that the schema of a footer, whose shape is checked, is flat and of byte arrays or 64-bit integers: the parquet
/// crate recurses.
fn check_flat(footer: &[u8]) -> ThriftResult<()> {
    let mut reader = Reader::new(footer);
    let mut previous = 0;
    while let Some(field) = reader.field(previous)? {
        previous = field.id;
        match field.id {
            2 if field.kind == LIST => return check_schema(&mut reader),
            _ => reader.skip(field.kind)?,
        }
    }
    reader.error("a schema")
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
                && matches!(element.kind, Some(SchemaElement::BYTE_ARRAY | SchemaElement::INT64))
                && matches!(element.repetition, Some(SchemaElement::REQUIRED | SchemaElement::OPTIONAL))
        };
        if !fits {
            return reader.error("a flat schema of byte arrays and 64-bit integers");
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
    const INT64: i32 = 2;
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
    use super::{
        shape::{COLUMN_INDEX, FILE_METADATA, OFFSET_INDEX},
        *,
    };

    /// A field that Parquet does not know, with a list of lists of booleans of which the parquet crate would count 2^31
    /// times 2^31, in no bytes at all. (An input that the fuzzer found.)
    #[test]
    fn page_indexes_of_other_shapes_are_refused() {
        const HOSTILE: &[u8] = &[0x99, 0xf9, 0xff, 0xff, 0xff, 0xff, 0x07, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07, 0];
        assert!(COLUMN_INDEX.check(HOSTILE).is_err() && OFFSET_INDEX.check(HOSTILE).is_err());
        // Null pages [false], bounds ["a"] and ["b"], ascending, null counts [0], and a field of the future: 9, i32.
        let good = [0x19, 0x11, 2, 0x19, 0x18, 1, b'a', 0x19, 0x18, 1, b'b', 0x15, 2, 0x19, 0x16, 0, 0x45, 2, 0];
        assert!(COLUMN_INDEX.check(&good).is_ok());
        // One location: offset 4, size 5, row 0; unencoded sizes [7].
        let location = [0x19, 0x1c, 0x16, 8, 0x15, 10, 0x16, 0, 0, 0x19, 0x16, 14, 0];
        assert!(OFFSET_INDEX.check(&location).is_ok());
        for n in 0..good.len() {
            assert!(COLUMN_INDEX.check(&good[..n]).is_err());
        }
        for n in 0..location.len() {
            assert!(OFFSET_INDEX.check(&location[..n]).is_err());
        }
        // Of another type: the list, its elements, a field of a location.
        for (at, to) in [(0, 0x18), (1, 0x18), (4, 0x16), (11, 0x16), (14, 0x15)] {
            let mut other = good;
            other[at] = to;
            assert!(COLUMN_INDEX.check(&other).is_err(), "{at}");
        }
        for (at, to) in [(1, 0x16), (2, 0x15), (4, 0x16), (10, 0x18)] {
            let mut other = location;
            other[at] = to;
            assert!(OFFSET_INDEX.check(&other).is_err(), "{at}");
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

    /// The footer of a file.
    fn footer_of(file: &[u8]) -> Vec<u8> {
        let (rest, _) = file.split_at(file.len() - 4);
        let (rest, length) = rest.split_last_chunk::<4>().unwrap();
        rest[rest.len() - u32::from_le_bytes(*length) as usize..].to_vec()
    }

    fn footers() -> Vec<Vec<u8>> {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds");
        let files = ["none", "snappy", "zstd"].map(|codec| ["labels", "chunks"].map(|kind| (codec, kind)));
        let read = |(codec, kind)| std::fs::read(format!("{root}/shard-{codec}/0.{kind}.parquet")).unwrap();
        files.into_iter().flatten().map(|file| footer_of(&read(file))).collect()
    }

    #[test]
    fn footers_of_ours_have_the_shape_and_no_part_of_one_has() {
        for footer in footers() {
            let memory = FILE_METADATA.check(&footer).unwrap();
            let metadata = ParquetMetaDataReader::decode_metadata(&footer).unwrap();
            // What the parquet crate itself counts, which leaves out some.
            assert!(memory >= metadata.memory_size() as u64, "{memory} {}", metadata.memory_size());
            assert!(memory <= MEMORY_PER_BYTE * footer.len() as u64, "{memory} of {}", footer.len());
            for n in 0..footer.len() {
                assert!(FILE_METADATA.check(&footer[..n]).is_err());
            }
        }
    }

    /// Version 1, a schema of no columns, no rows; then `row_groups`, the list with its header, and the rest.
    fn footer(row_groups: &[u8], rest: &[u8]) -> Vec<u8> {
        [&[0x15, 2, 0x19, 0x1c, 0x48, 1, b'r', 0x15, 0, 0, 0x16, 0, 0x19][..], row_groups, rest, &[0]].concat()
    }

    #[test]
    fn hostile_footers_are_refused() {
        let expect = |bytes: &[u8], expected: Option<&str>| {
            let found = FILE_METADATA.check(bytes).err().map(|e| e.expected);
            assert_eq!(found, expected, "{bytes:x?}");
        };
        let types = Some("fields of the types that Parquet says");
        let elements = Some("elements of the types that Parquet says");
        let required = Some("all required fields");
        // A row group: no columns, no bytes, no rows.
        let group = [0x19, 0x0c, 0x16, 0, 0x16, 0];
        let with = |rest: &[u8]| footer(&[&[0x1c], &group[..], rest, &[0]].concat(), &[]);
        expect(&with(&[]), None);
        expect(&footer(&[0x0c], &[]), None);
        // 8: lists of lists of booleans, for ever, in the row group and after all.
        let booleans = [0xf9, 0xff, 0xff, 0xff, 0xff, 0x07, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07];
        let list = Some("a list that ends within the data");
        expect(&with(&[&[0x59], &booleans[..]].concat()), list);
        expect(&footer(&[0x0c], &[&[0x49], &booleans[..]].concat()), list);
        let unknown = Some("no unknown lists of booleans");
        expect(&with(&[0x59, 0x11, 1]), unknown);
        expect(&footer(&[0x0c], &[0x49, 0x19, 0x11, 1]), unknown);
        // Lists that say they are longer than the data: row groups, columns, sorting columns, key/value, orders.
        let long = [0xfc, 0xff, 0xff, 0xff, 0xff, 0x07];
        expect(&footer(&long, &[]), list);
        expect(&footer(&[&[0x1c, 0x19], &long[..]].concat(), &[]), list);
        expect(&with(&[&[0x19], &long[..]].concat()), list);
        expect(&footer(&[0x0c], &[&[0x19], &long[..]].concat()), list);
        expect(&footer(&[0x0c], &[&[0x39], &long[..]].concat()), list);
        // Other types: rows as text, columns as a list of numbers, an ordinal of 32 bits, sorting columns as booleans.
        expect(&footer(&[0x1c, 0x19, 0x0c, 0x16, 0, 0x18, 0, 0], &[]), types);
        expect(&footer(&[0x1c, 0x19, 0x15, 0, 0x16, 0, 0x16, 0, 0], &[]), elements);
        expect(&with(&[0x45, 2]), types);
        expect(&with(&[0x44, 2]), None);
        expect(&with(&[0x19, 0x11, 1]), elements);
        expect(&with(&[0x19, 0x1c, 0x15, 0, 0x11, 0x12, 0]), None);
        expect(&with(&[0x19, 0x1c, 0x15, 0, 0x11, 0x15, 2, 0]), types);
        // Row groups of nothing, for each of which memory would be reserved; fields twice; a header of type 0.
        expect(&footer(&[0x2c, 0, 0], &[]), required);
        expect(&footer(&[0x1c, 0x19, 0x0c, 0x16, 0, 0], &[]), required);
        expect(&with(&[0x06, 6, 0]), Some("each field once, in ascending order"));
        expect(&with(&[0x50]), Some("a type of Thrift's"));
        // A column chunk: statistics as text; encodings as booleans; key/value metadata of another type.
        let chunk = |rest: &[u8]| {
            let metadata =
                [&[0x1c, 0x15, 12, 0x19, 5, 0x19, 8, 0x15, 0, 0x16, 0, 0x16, 0, 0x16, 0, 0x26, 8], rest, &[0]].concat();
            footer(&[&[0x1c, 0x19, 0x1c, 0x26, 0], &metadata[..], &[0, 0x16, 0, 0x16, 0, 0]].concat(), &[])
        };
        expect(&chunk(&[]), None);
        expect(&chunk(&[0x3c, 0x36, 0, 0x41, 0x12, 0]), None);
        expect(&chunk(&[0x38, 1, b'a']), types);
        expect(&chunk(&[0x3c, 0x36, 0, 0x49, 0x11, 1, 0]), types);
        expect(&chunk(&[0x7c, 0x29, 0x21, 1, 1, 0]), elements);
        expect(&footer(&[0x0c], &[0x19, 0x1c, 0x15, 2, 0]), types);
        expect(&footer(&[0x0c], &[0x19, 0x1c, 0x18, 1, b'k', 0x18, 1, b'v', 0]), None);
        expect(&footer(&[0x0c], &[0x39, 0x1c, 0x1c, 0, 0]), None);
        expect(&footer(&[0x0c], &[0x39, 0x1c, 0x15, 0, 0]), types);
    }

    #[test]
    fn what_many_small_structs_take_in_memory_counts() {
        // Key/value metadata: 16,383 empty keys.
        let mut pairs = vec![0x19, 0xfc, 0xff, 0x7f];
        pairs.extend([0x18, 0, 0].repeat(16_383));
        let footer = footer(&[0x0c], &pairs);
        let length = (footer.len() as u32).to_le_bytes();
        let file: Bytes = [&MAGIC[..], &footer, &length, &MAGIC].concat().into();
        let size = file.len() as u64;
        let error = FooterReader::new("file".into(), size, file.clone(), size).step().err().unwrap();
        assert_eq!(error.kind(), crate::ErrorKind::LimitExceeded);
        assert!(error.to_string().contains("the footer, decoded"), "{error}");
        assert!(FooterReader::new("file".into(), size, file, 4 * size).step().is_ok());
    }

    proptest::proptest! {
        /// Whatever passes, the parquet crate reads (or refuses) at once, and in the memory foreseen.
        #[test]
        fn what_has_the_shape_is_read_in_the_memory_foreseen(
            which in 0_usize..6,
            changes in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), 0_u8..), 1..4),
        ) {
            let mut footer = footers().swap_remove(which);
            for (at, to) in changes {
                let at = at.index(footer.len());
                footer[at] = to;
            }
            if let Ok(memory) = FILE_METADATA.check(&footer)
                && check_flat(&footer).is_ok()
                && let Ok(metadata) = ParquetMetaDataReader::decode_metadata(&footer)
            {
                proptest::prop_assert!(memory >= metadata.memory_size() as u64);
            }
        }
    }
}
