//! A column of one row group: where its parts lie, what is known of its pages without reading them, and decoding them.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use parquet::{bloom_filter::Sbbf, file::page_index::column_index::ColumnIndexMetaData};

use crate::{
    error::{Error, Fault, Place, Result},
    file::{Page, ShardFile},
    labels::LabelCursor,
    page::PageDecoder,
    thrift::{I32, Reader, Result as ThriftResult, STRUCT},
    values::{Dictionary, ValuePage},
};

/// What stands for a row without a value among dictionary codes.
pub const ABSENT: u32 = u32::MAX;

/// Most codes that [`ColumnChunk::visit_codes`] gives at once.
const CODES_AT_ONCE: u32 = 8192;

/// A column of one row group of a file.
#[derive(Clone, Copy, Debug)]
pub struct ColumnChunk<'a> {
    file: &'a ShardFile,
    row_group: usize,
    column: usize,
}

/// What the column index says of the values in a page of a label column. Bounds may be cut, but bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageBounds<'a> {
    /// No value is less; `None` if that is not known, or no row has a value.
    pub min: Option<&'a [u8]>,
    /// No value is greater; likewise.
    pub max: Option<&'a [u8]>,
    /// No row of the page has a value.
    pub all_absent: bool,
    /// How many rows have no value, if that is known.
    pub absent: Option<u64>,
}

impl<'a> ColumnChunk<'a> {
    pub(crate) const fn new(file: &'a ShardFile, row_group: usize, column: usize) -> Self {
        Self { file, row_group, column }
    }

    /// Position of the column in its file.
    #[must_use]
    pub const fn column(self) -> usize {
        self.column
    }

    /// Its data pages, in order.
    pub fn pages(self) -> impl ExactSizeIterator<Item = Page> + 'a {
        self.file.pages(self.row_group, self.column)
    }

    /// How many data pages it has.
    #[must_use]
    pub fn page_count(self) -> usize {
        self.pages().len()
    }

    /// The `n`-th page.
    #[must_use]
    pub fn page(self, n: usize) -> Option<Page> {
        self.file.page(self.row_group, self.column, n)
    }

    /// Numbers of the pages that hold some of the `rows`, which are ascending.
    #[must_use]
    pub fn pages_of(self, rows: &[Range<u32>]) -> Vec<usize> {
        let mut numbers = Vec::new();
        let mut rows = rows.iter().peekable();
        for (n, page) in self.pages().enumerate() {
            while rows.next_if(|range| range.end <= page.rows.start).is_some() {}
            match rows.peek() {
                Some(range) if range.start < page.rows.end => numbers.push(n),
                Some(_) => {}
                None => break,
            }
        }
        numbers
    }

    /// Where the dictionary lies; see [`ShardFile::dictionary`].
    #[must_use]
    pub fn dictionary(self) -> Option<Range<u64>> {
        self.file.dictionary(self.row_group, self.column)
    }

    /// What is known of the `n`-th page of a label column; `None` if nothing is.
    #[must_use]
    pub fn bounds(self, n: usize) -> Option<PageBounds<'a>> {
        let index = self.file.metadata().page_index()?.column_index(self.row_group, self.column)?;
        if n as u64 >= index.num_pages() {
            return None;
        }
        let all_absent = index.is_null_page(n);
        let (min, max) = match index {
            ColumnIndexMetaData::BYTE_ARRAY(index) if !all_absent => (index.min_value(n), index.max_value(n)),
            _ => (None, None),
        };
        // Writers that leave bounds out write empty ones; that there are none but empty values is not worth knowing.
        let (min, max) = if max.is_some_and(<[u8]>::is_empty) { (None, None) } else { (min, max) };
        Some(PageBounds { min, max, all_absent, absent: index.null_count(n).and_then(|n| u64::try_from(n).ok()) })
    }

    /// Where the bloom filter lies, if it has one of known length.
    #[must_use]
    pub fn bloom_filter(self) -> Option<Range<u64>> {
        let chunk = self.file.metadata().row_groups().get(self.row_group)?.columns().get(self.column)?;
        let start = u64::try_from(chunk.bloom_filter_offset()?).ok()?;
        let end = start.checked_add(u64::try_from(chunk.bloom_filter_length()?).ok()?)?;
        (start < end && end <= self.file.size()).then_some(start..end)
    }

    /// Decodes the bloom filter.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) if it is none, or one of another kind.
    pub fn decode_bloom_filter(self, bytes: &[u8]) -> Result<BloomFilter> {
        let mut reader = Reader::new(bytes);
        let length = bloom_filter_header(&mut reader).map_err(|e| self.fault(Fault::from(e), None))?;
        let bits = bytes.get(reader.position()..).unwrap_or_default();
        if bits.is_empty() || bits.len() % 32 != 0 || length != bits.len() {
            let found = format!("{length} in {} bytes", bits.len());
            return Err(self.fault(Fault::corrupt("a bloom filter of 32-byte blocks", found), None));
        }
        Ok(BloomFilter(Sbbf::new(bits)))
    }

    /// The dictionary, if it was decoded before and kept.
    #[must_use]
    pub fn kept_dictionary(self) -> Option<Arc<Dictionary>> {
        self.file.dictionaries().get(self.row_group, self.column)
    }

    /// Decodes the dictionary, which `bytes` begin with, and keeps it if there is room.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt), [`Unsupported`](crate::ErrorKind::Unsupported) or
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded).
    pub fn decode_dictionary(self, decoder: &mut PageDecoder, bytes: &Bytes) -> Result<Arc<Dictionary>> {
        let at = self.dictionary().map(|range| range.start);
        let dictionary = decoder.dictionary(bytes, self.codec()).map_err(|fault| self.fault(fault, at))?;
        let dictionary = Arc::new(dictionary);
        self.file.dictionaries().keep(self.row_group, self.column, &dictionary);
        Ok(dictionary)
    }

    /// Decodes the dictionary codes of some rows of a page of a label column, [`ABSENT`] where there is no value.
    /// `rows` count from the start of the row group, ascend, and lie within the page. `visit` is given the codes of
    /// consecutive rows, of which it is told the first; all are less than `entries`, the size of the dictionary.
    ///
    /// # Errors
    /// As [`decode_dictionary`](Self::decode_dictionary).
    pub fn visit_codes(
        self,
        decoder: &mut PageDecoder,
        page: &Page,
        bytes: &Bytes,
        entries: usize,
        rows: impl IntoIterator<Item = Range<u32>>,
        mut visit: impl FnMut(u32, &[u32]),
    ) -> Result<()> {
        let fault = |fault| self.fault(fault, Some(page.bytes.start));
        let count = page.rows.end.saturating_sub(page.rows.start);
        let content = decoder.labels(bytes, self.codec(), count).map_err(fault)?;
        let mut cursor = LabelCursor::new(&content, u32::try_from(entries).unwrap_or(u32::MAX)).map_err(fault)?;
        let mut codes = Vec::new();
        for range in rows {
            let mut start = range.start;
            while start < range.end {
                let end = range.end.min(start.saturating_add(CODES_AT_ONCE));
                codes.clear();
                let in_page = start.saturating_sub(page.rows.start)..end.saturating_sub(page.rows.start);
                cursor.read(in_page, &mut codes).map_err(fault)?;
                visit(start, &codes);
                start = end;
            }
        }
        Ok(())
    }

    /// Decodes a page of a column that is not of labels.
    ///
    /// # Errors
    /// As [`decode_dictionary`](Self::decode_dictionary).
    pub fn decode_values(self, decoder: &mut PageDecoder, page: &Page, bytes: &Bytes) -> Result<ValuePage> {
        let rows = page.rows.end.saturating_sub(page.rows.start);
        decoder.values(bytes, self.codec(), rows).map_err(|fault| self.fault(fault, Some(page.bytes.start)))
    }

    /// For readers of this column: what they found in `row` (of the row group) is not what the layout says.
    #[cold]
    #[must_use]
    pub fn corrupt(self, row: Option<u32>, expected: impl Into<String>, found: impl Into<String>) -> Error {
        let place = Place { row: row.map(u64::from), ..self.file.place_of(self.column, Some(self.row_group)) };
        Error::corrupt(place, expected, found)
    }

    fn codec(self) -> parquet::basic::CompressionCodec {
        self.file.codec(self.row_group, self.column)
    }

    #[cold]
    fn fault(self, fault: Fault, offset: Option<u64>) -> Error {
        fault.at(Place { offset, ..self.file.place_of(self.column, Some(self.row_group)) })
    }
}

/// `BloomFilterHeader`: 1 length, 2 algorithm, 3 hash, 4 compression: unions of which only the first member exists.
fn bloom_filter_header(reader: &mut Reader<'_>) -> ThriftResult<usize> {
    let (mut length, mut previous) = (0, 0);
    while let Some(field) = reader.field(previous)? {
        previous = field.id;
        match (field.id, field.kind) {
            (1, I32) => length = usize::try_from(reader.i32()?).unwrap_or(0),
            (2..=4, STRUCT) => {
                let mut before = 0;
                while let Some(member) = reader.field(before)? {
                    before = member.id;
                    if member.id != 1 {
                        return reader.error("a split-block bloom filter of XXH64 hashes, not compressed");
                    }
                    reader.skip(member.kind)?;
                }
            }
            _ => return reader.error("the header of a bloom filter"),
        }
    }
    Ok(length)
}

/// Says of values whether a column may have them.
#[derive(Clone, Debug)]
pub struct BloomFilter(Sbbf);

impl BloomFilter {
    /// Whether the column may have the value; false is certain.
    #[must_use]
    pub fn may_contain(&self, value: &[u8]) -> bool {
        self.0.check(value)
    }
}
