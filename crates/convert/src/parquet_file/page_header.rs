//! Page headers: `PageHeader`, `DictionaryPageHeader` and `DataPageHeaderV2` of `parquet.thrift`.

use parquet::basic::{Encoding, PageType};

use super::thrift::Struct;

/// What a page's header says beside its sizes and checksum.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// `PLAIN` values that the data pages refer to.
    Dictionary { values: i32 },
    /// A data page, version 2, without repetition levels.
    Data { values: i32, nulls: i32, encoding: Encoding, definition_levels_len: i32, compressed: bool },
}

/// Appends the header of a page whose bytes, as they stand in the file, have the CRC-32 `crc`.
pub(super) fn put(kind: Kind, uncompressed_len: i32, compressed_len: i32, crc: u32, out: &mut Vec<u8>) {
    let page_type = match kind {
        Kind::Dictionary { .. } => PageType::DICTIONARY_PAGE,
        Kind::Data { .. } => PageType::DATA_PAGE_V2,
    };
    let mut header = Struct::new(out);
    header.i32(1, page_type as i32);
    header.i32(2, uncompressed_len);
    header.i32(3, compressed_len);
    header.i32(4, crc.cast_signed());
    match kind {
        Kind::Dictionary { values } => {
            let mut inner = header.open(7);
            inner.i32(1, values);
            inner.i32(2, Encoding::PLAIN as i32);
            inner.close();
        }
        Kind::Data { values, nulls, encoding, definition_levels_len, compressed } => {
            let mut inner = header.open(8);
            inner.i32(1, values);
            inner.i32(2, nulls);
            inner.i32(3, values); // rows: one value each
            inner.i32(4, encoding as i32);
            inner.i32(5, definition_levels_len);
            inner.i32(6, 0);
            inner.bool(7, compressed);
            inner.close();
        }
    }
    header.close();
}
