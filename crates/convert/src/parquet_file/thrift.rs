//! Thrift's compact protocol, as much of it as Parquet's headers and footers need.
//!
//! ```text
//! struct := field* 0x00
//! field  := (id delta << 4 | type) value
//! list   := (size << 4 | type) value*  |  (15 << 4 | type) size: uvarint value*
//! binary := length: uvarint bytes
//! type   := 1 true, 2 false, 4 i16, 5 i32, 6 i64, 8 binary, 9 list, 12 struct
//! ```
//!
//! Integers are zig-zag LEB128; a boolean is its type as a field, and a byte of the same meaning as an element. Field
//! numbers are those of `parquet.thrift`.

use super::leb128::{put_uvarint, put_zigzag};

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// A struct that is being written; fields come in ascending order. Ends with [`Struct::close`].
pub(super) struct Struct<'a> {
    out: &'a mut Vec<u8>,
    last_id: u8,
}

impl<'a> Struct<'a> {
    pub(super) const fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, last_id: 0 }
    }

    /// Goes on with a struct whose last field so far is `last_id`.
    pub(super) const fn after(out: &'a mut Vec<u8>, last_id: u8) -> Self {
        Self { out, last_id }
    }

    fn field(&mut self, id: u8, kind: u8) {
        self.out.push((id - self.last_id) << 4 | kind);
        self.last_id = id;
    }

    pub(super) fn i16(&mut self, id: u8, value: i16) {
        self.field(id, I16);
        put_zigzag(self.out, value.into());
    }

    pub(super) fn i32(&mut self, id: u8, value: i32) {
        self.field(id, I32);
        put_zigzag(self.out, value.into());
    }

    pub(super) fn i64(&mut self, id: u8, value: i64) {
        self.field(id, I64);
        put_zigzag(self.out, value);
    }

    pub(super) fn bool(&mut self, id: u8, value: bool) {
        self.field(id, if value { TRUE } else { FALSE });
    }

    pub(super) fn binary(&mut self, id: u8, value: &[u8]) {
        self.field(id, BINARY);
        put_binary(self.out, value);
    }

    /// A list of structs, each of which `put` writes as a whole.
    pub(super) fn structs<T>(&mut self, id: u8, values: impl ExactSizeIterator<Item = T>, put: impl Fn(Struct<'_>, T)) {
        self.structs_of(id, values.len());
        values.for_each(|value| put(Struct::new(self.out), value));
    }

    /// The head of a list of `size` structs, which the caller appends.
    pub(super) fn structs_of(&mut self, id: u8, size: usize) {
        self.list(id, STRUCT, size);
    }

    pub(super) fn i32s(&mut self, id: u8, values: &[i32]) {
        self.list(id, I32, values.len());
        values.iter().for_each(|value| put_zigzag(self.out, (*value).into()));
    }

    pub(super) fn i64s(&mut self, id: u8, values: impl ExactSizeIterator<Item = i64>) {
        self.list(id, I64, values.len());
        values.for_each(|value| put_zigzag(self.out, value));
    }

    pub(super) fn bools(&mut self, id: u8, values: impl ExactSizeIterator<Item = bool>) {
        self.list(id, FALSE, values.len());
        self.out.extend(values.map(|value| if value { TRUE } else { FALSE }));
    }

    pub(super) fn binaries<'b>(&mut self, id: u8, values: impl ExactSizeIterator<Item = &'b [u8]>) {
        self.list(id, BINARY, values.len());
        values.for_each(|value| put_binary(self.out, value));
    }

    fn list(&mut self, id: u8, kind: u8, size: usize) {
        self.field(id, LIST);
        match size {
            0..=14 => self.out.push((size as u8) << 4 | kind),
            _ => {
                self.out.push(0xf0 | kind);
                put_uvarint(self.out, size as u64);
            }
        }
    }

    pub(super) fn open(&mut self, id: u8) -> Struct<'_> {
        self.field(id, STRUCT);
        Struct::new(self.out)
    }

    /// A struct that is written already.
    pub(super) fn whole(&mut self, id: u8, bytes: &[u8]) {
        self.field(id, STRUCT);
        self.out.extend(bytes);
    }

    pub(super) fn close(self) {
        self.out.push(0);
    }
}

fn put_binary(out: &mut Vec<u8>, value: &[u8]) {
    put_uvarint(out, value.len() as u64);
    out.extend(value);
}
