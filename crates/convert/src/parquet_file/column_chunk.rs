//! What the footer says of one column chunk, gathered page by page.
//!
//! Written as `ColumnMetaData`, `ColumnIndex` and `OffsetIndex` of `parquet.thrift`. Bytes, not structures of the
//! `parquet` crate, since a footer may have millions of them: see [`super::footer`].

use parquet::basic::{BoundaryOrder, Encoding, PageType, Type};

use super::{Page, PageBounds, thrift::Struct};
use crate::error::{Error, PageTooLargeSnafu};

/// One column chunk while it is written. Its pages are consecutive in the file: dictionary first, if there is one.
pub(super) struct ColumnChunk {
    encoding: Encoding,
    dictionary_offset: Option<u64>,
    pages: Vec<PageAt>,
    compressed: u64,
    uncompressed: u64,
    values: u64,
    nulls: u64,
}

/// A data page that was written.
struct PageAt {
    facts: PageFacts,
    offset: u64,
    first_row: u64,
}

impl ColumnChunk {
    pub(super) const fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            dictionary_offset: None,
            pages: Vec::new(),
            compressed: 0,
            uncompressed: 0,
            values: 0,
            nulls: 0,
        }
    }

    /// The dictionary page went to `offset`.
    pub(super) fn add_dictionary(&mut self, page: &Page, offset: u64) {
        self.dictionary_offset = Some(offset);
        self.compressed += page.len() as u64;
        self.uncompressed += page.uncompressed_len as u64;
    }

    /// The next data page went to `offset`.
    pub(super) fn add_data(&mut self, facts: PageFacts, offset: u64) {
        let first_row = self.values;
        self.compressed += u64::from(facts.len);
        self.uncompressed += u64::from(facts.uncompressed_len);
        self.values += u64::from(facts.values);
        self.nulls += u64::from(facts.nulls);
        self.pages.push(PageAt { facts, offset, first_row });
    }

    /// Bytes in the file.
    pub(super) const fn compressed_len(&self) -> u64 {
        self.compressed
    }

    /// Bytes without compression.
    pub(super) const fn uncompressed_len(&self) -> u64 {
        self.uncompressed
    }

    /// Where the chunk begins in the file.
    pub(super) fn offset(&self) -> Option<u64> {
        self.dictionary_offset.or(self.first_data_offset())
    }

    fn first_data_offset(&self) -> Option<u64> {
        self.pages.first().map(|page| page.offset)
    }

    fn bounds(&self) -> impl Iterator<Item = &PageBounds> {
        self.pages.iter().filter_map(|page| page.facts.bounds.as_deref())
    }

    /// The last field that [`put_metadata`](Self::put_metadata) writes.
    pub(super) const LAST_FIELD: u8 = 13;

    /// Appends the `ColumnMetaData` of a column called `name`, but for the bloom filter, which comes last.
    pub(super) fn put_metadata(&self, name: &str, codec: i32, out: &mut Vec<u8>) {
        let mut metadata = Struct::new(out);
        metadata.i32(1, Type::BYTE_ARRAY as i32);
        match self.dictionary_offset {
            Some(_) => metadata.i32s(2, &[Encoding::PLAIN as i32, Encoding::RLE as i32, self.encoding as i32]),
            None => metadata.i32s(2, &[self.encoding as i32]),
        }
        metadata.binaries(3, std::iter::once(name.as_bytes()));
        metadata.i32(4, codec);
        metadata.i64(5, self.values as i64);
        metadata.i64(6, self.uncompressed as i64);
        metadata.i64(7, self.compressed as i64);
        metadata.i64(9, self.first_data_offset().unwrap_or_default() as i64);
        if let Some(offset) = self.dictionary_offset {
            metadata.i64(11, offset as i64);
        }
        let mut statistics = metadata.open(12);
        statistics.i64(3, self.nulls as i64);
        if let Some(max) = self.bounds().map(|bounds| &bounds.max).max() {
            statistics.binary(5, max.as_bytes());
        }
        if let Some(min) = self.bounds().map(|bounds| &bounds.min).min() {
            statistics.binary(6, min.as_bytes());
        }
        statistics.bool(7, false);
        statistics.bool(8, false);
        statistics.close();
        let dictionary = self.dictionary_offset.map(|_| (PageType::DICTIONARY_PAGE, Encoding::PLAIN, 1));
        let data = (PageType::DATA_PAGE_V2, self.encoding, self.pages.len() as i32);
        let stats: Vec<_> = dictionary.into_iter().chain([data]).collect();
        metadata.structs(Self::LAST_FIELD, stats.into_iter(), |mut stats, (page_type, encoding, count)| {
            stats.i32(1, page_type as i32);
            stats.i32(2, encoding as i32);
            stats.i32(3, count);
            stats.close();
        });
    }

    /// Appends the `ColumnIndex`.
    pub(super) fn put_column_index(&self, out: &mut Vec<u8>) {
        let pages = || self.pages.iter().map(|page| &page.facts);
        let mut index = Struct::new(out);
        index.bools(1, pages().map(|page| page.values == page.nulls));
        index.binaries(2, pages().map(|page| page.bounds.as_ref().map_or(&[][..], |b| b.min.as_bytes())));
        index.binaries(3, pages().map(|page| page.bounds.as_ref().map_or(&[][..], |b| b.max.as_bytes())));
        index.i32(4, self.boundary_order() as i32);
        index.i64s(5, pages().map(|page| page.nulls.into()));
        index.close();
    }

    /// Pages without a value do not count.
    fn boundary_order(&self) -> BoundaryOrder {
        let pairs = || self.bounds().zip(self.bounds().skip(1));
        if self.bounds().next().is_none() {
            BoundaryOrder::UNORDERED
        } else if pairs().all(|(a, b)| a.min <= b.min && a.max <= b.max) {
            BoundaryOrder::ASCENDING
        } else if pairs().all(|(a, b)| a.min >= b.min && a.max >= b.max) {
            BoundaryOrder::DESCENDING
        } else {
            BoundaryOrder::UNORDERED
        }
    }

    /// Appends the `OffsetIndex`.
    pub(super) fn put_offset_index(&self, out: &mut Vec<u8>) {
        let mut index = Struct::new(out);
        index.structs(1, self.pages.iter(), |mut location, page| {
            location.i64(1, page.offset as i64);
            location.i32(2, page.facts.len.cast_signed());
            location.i64(3, page.first_row as i64);
            location.close();
        });
        index.close();
    }
}

/// What the footer needs to know of a data page, when its bytes may already be elsewhere.
#[derive(Clone, Debug)]
pub(super) struct PageFacts {
    /// Bytes in the file, below 2^31.
    pub(super) len: u32,
    uncompressed_len: u32,
    values: u32,
    nulls: u32,
    bounds: Option<Box<PageBounds>>,
}

impl TryFrom<&Page> for PageFacts {
    type Error = Error;

    fn try_from(page: &Page) -> Result<Self, Error> {
        // The page itself is below 2^31 bytes, its header adds less than 100.
        let length = |bytes: usize| {
            let length = i32::try_from(bytes).map_err(|_| Error::from(PageTooLargeSnafu { bytes }.build()));
            length.map(i32::cast_unsigned)
        };
        Ok(Self {
            len: length(page.len())?,
            uncompressed_len: length(page.uncompressed_len)?,
            values: page.values,
            nulls: page.nulls,
            bounds: page.bounds.clone().map(Box::new),
        })
    }
}
