//! What the footer says of one column chunk, gathered page by page.

use parquet::{
    basic::{BoundaryOrder, Encoding, PageType, Type},
    data_type::ByteArray,
    file::{
        metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats},
        page_index::{column_index::ColumnIndexMetaData, offset_index::OffsetIndexMetaData},
        statistics::{Statistics, ValueStatistics},
    },
    schema::types::ColumnDescPtr,
};

use super::{Page, PageBounds};
use crate::error::{Error, ParquetSnafu};
use snafu::ResultExt;

/// One column chunk while it is written. Its pages are consecutive in the file: dictionary first, if there is one.
pub(crate) struct ColumnChunk {
    descr: ColumnDescPtr,
    codec: parquet::basic::Compression,
    encoding: Encoding,
    dictionary_offset: Option<u64>,
    first_data_offset: Option<u64>,
    compressed: u64,
    uncompressed: u64,
    values: u64,
    nulls: u64,
    data_pages: i32,
    column_index: ColumnIndexBuilder,
    offset_index: OffsetIndexBuilder,
    order: Order,
    bounds: Option<PageBounds>,
}

/// What can be said of the order of the bounds so far; pages without a value do not count.
#[derive(Clone, Debug)]
struct Order {
    last: Option<PageBounds>,
    ascending: bool,
    descending: bool,
}

impl Order {
    fn add(&mut self, bounds: &PageBounds) {
        if let Some(last) = &self.last {
            self.ascending &= last.min <= bounds.min && last.max <= bounds.max;
            self.descending &= last.min >= bounds.min && last.max >= bounds.max;
        }
        self.last = Some(bounds.clone());
    }

    fn boundary_order(&self) -> BoundaryOrder {
        match self {
            Self { last: None, .. } => BoundaryOrder::UNORDERED,
            Self { ascending: true, .. } => BoundaryOrder::ASCENDING,
            Self { descending: true, .. } => BoundaryOrder::DESCENDING,
            Self { .. } => BoundaryOrder::UNORDERED,
        }
    }
}

impl ColumnChunk {
    pub(super) fn new(descr: ColumnDescPtr, codec: parquet::basic::Compression, encoding: Encoding) -> Self {
        Self {
            descr,
            codec,
            encoding,
            dictionary_offset: None,
            first_data_offset: None,
            compressed: 0,
            uncompressed: 0,
            values: 0,
            nulls: 0,
            data_pages: 0,
            column_index: ColumnIndexBuilder::new(Type::BYTE_ARRAY),
            offset_index: OffsetIndexBuilder::new(),
            order: Order { last: None, ascending: true, descending: true },
            bounds: None,
        }
    }

    /// The dictionary page went to `offset`.
    pub(super) fn add_dictionary(&mut self, page: &Page, offset: u64) {
        self.dictionary_offset = Some(offset);
        self.compressed += page.len() as u64;
        self.uncompressed += page.uncompressed_len as u64;
    }

    /// The next data page, of `len` bytes in the file, went to `offset`.
    pub(super) fn add_data(&mut self, page: &PageFacts, offset: u64) {
        self.first_data_offset.get_or_insert(offset);
        self.compressed += page.len;
        self.uncompressed += page.uncompressed_len;
        self.values += u64::from(page.values);
        self.nulls += u64::from(page.nulls);
        self.data_pages += 1;
        self.offset_index.append_row_count(page.values.into());
        // A page is below 2^31 bytes; its header adds less than 100.
        self.offset_index.append_offset_and_size(offset as i64, i32::try_from(page.len).unwrap_or(i32::MAX));
        let null_page = page.values == page.nulls;
        let (min, max) = page.bounds.as_ref().map_or((&[][..], &[][..]), |b| (b.min.as_bytes(), b.max.as_bytes()));
        self.column_index.append(null_page, min.to_vec(), max.to_vec(), page.nulls.into(), None);
        if let Some(bounds) = &page.bounds {
            self.order.add(bounds);
            match &mut self.bounds {
                None => self.bounds = Some(bounds.clone()),
                Some(all) => {
                    if bounds.min < all.min {
                        all.min.clone_from(&bounds.min);
                    }
                    if bounds.max > all.max {
                        all.max.clone_from(&bounds.max);
                    }
                }
            }
        }
    }

    /// Bytes without compression so far.
    pub(super) const fn uncompressed_len(&self) -> u64 {
        self.uncompressed
    }

    /// Where the chunk begins in the file.
    pub(super) fn offset(&self) -> Option<u64> {
        self.dictionary_offset.or(self.first_data_offset)
    }

    pub(super) fn finish(
        self,
        bloom_filter: Option<(u64, u32)>,
    ) -> Result<(ColumnChunkMetaData, ColumnIndexMetaData, OffsetIndexMetaData), Error> {
        let mut encodings = vec![self.encoding];
        let data_stats =
            PageEncodingStats { page_type: PageType::DATA_PAGE_V2, encoding: self.encoding, count: self.data_pages };
        let mut stats = vec![data_stats];
        if self.dictionary_offset.is_some() {
            encodings = vec![Encoding::PLAIN, Encoding::RLE, self.encoding];
            stats.insert(
                0,
                PageEncodingStats { page_type: PageType::DICTIONARY_PAGE, encoding: Encoding::PLAIN, count: 1 },
            );
        }
        let mut column_index = self.column_index;
        column_index.set_boundary_order(self.order.boundary_order());
        let mut metadata = ColumnChunkMetaData::builder(self.descr)
            .set_encodings(encodings)
            .set_page_encoding_stats(stats)
            .set_compression(self.codec)
            .set_num_values(self.values as i64)
            .set_total_compressed_size(self.compressed as i64)
            .set_total_uncompressed_size(self.uncompressed as i64)
            .set_data_page_offset(self.first_data_offset.unwrap_or_default() as i64)
            .set_dictionary_page_offset(self.dictionary_offset.map(|o| o as i64));
        if let Some((offset, len)) = bloom_filter {
            metadata = metadata
                .set_bloom_filter_offset(Some(offset as i64))
                .set_bloom_filter_length(Some(i32::try_from(len).unwrap_or(i32::MAX)));
        }
        let (min, max) = self.bounds.map_or((None, None), |b| (Some(b.min), Some(b.max)));
        let as_bytes = |bound: Option<String>| bound.map(|text| ByteArray::from(text.into_bytes()));
        metadata = metadata.set_statistics(Statistics::ByteArray(
            ValueStatistics::new(as_bytes(min), as_bytes(max), None, Some(self.nulls), false)
                .with_min_is_exact(false)
                .with_max_is_exact(false),
        ));
        Ok((
            metadata.build().context(ParquetSnafu { what: "column chunk metadata" })?,
            column_index.build().context(ParquetSnafu { what: "column index" })?,
            self.offset_index.build(),
        ))
    }
}

/// What the footer needs to know of a data page, when its bytes may already be elsewhere.
#[derive(Clone, Debug)]
pub(super) struct PageFacts {
    pub(super) len: u64,
    uncompressed_len: u64,
    values: u32,
    nulls: u32,
    bounds: Option<PageBounds>,
}

impl From<&Page> for PageFacts {
    fn from(page: &Page) -> Self {
        Self {
            len: page.len() as u64,
            uncompressed_len: page.uncompressed_len as u64,
            values: page.values,
            nulls: page.nulls,
            bounds: page.bounds.clone(),
        }
    }
}
