//! Page headers, in Thrift's compact protocol.
//!
//! ```text
//! struct   := field* 0x00
//! field    := (id delta << 4 | type) value       type 1 true, 2 false, 5 i32, 12 struct
//! i32      := zig-zag LEB128
//! ```
//!
//! Field numbers are those of `parquet.thrift`: `PageHeader`, `DictionaryPageHeader`, `DataPageHeaderV2`.

use parquet::basic::{Encoding, PageType};

use super::leb128::put_zigzag;

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const I32: u8 = 5;
const STRUCT: u8 = 12;

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

struct Struct<'a> {
    out: &'a mut Vec<u8>,
    last_id: u8,
}

impl<'a> Struct<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, last_id: 0 }
    }

    fn field(&mut self, id: u8, kind: u8) {
        self.out.push((id - self.last_id) << 4 | kind);
        self.last_id = id;
    }

    fn i32(&mut self, id: u8, value: i32) {
        self.field(id, I32);
        put_zigzag(self.out, value.into());
    }

    fn bool(&mut self, id: u8, value: bool) {
        self.field(id, if value { TRUE } else { FALSE });
    }

    fn open(&mut self, id: u8) -> Struct<'_> {
        self.field(id, STRUCT);
        Struct::new(self.out)
    }

    fn close(self) {
        self.out.push(0);
    }
}
