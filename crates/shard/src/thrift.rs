//! Thrift's compact protocol, as much of it as Parquet's headers need.
//!
//! ```text
//! struct  := field* 0x00
//! field   := (id delta << 4 | type) [id: varint, if the delta is 0] value
//! list    := (size << 4 | type) [size: uvarint, if the size is 15] value*
//! binary  := length: uvarint bytes
//! type    := 1 true, 2 false, 3 i8, 4 i16, 5 i32, 6 i64, 7 double, 8 binary, 9 list, 10 set, 11 map, 12 struct
//! ```
//!
//! Integers are zig-zag LEB128. Booleans as fields have no value; as elements they take a byte, but the parquet crate
//! passes over them as if they took none. So lists of booleans are not skipped but refused: a few bytes of nested ones
//! keep it busy for ever, and what follows them means something else to it than here.

/// Structs and lists within each other; Parquet's own go to about ten.
const MAX_DEPTH: u32 = 32;

pub(crate) const I32: u8 = 5;
pub(crate) const I64: u8 = 6;
pub(crate) const BINARY: u8 = 8;
pub(crate) const LIST: u8 = 9;
pub(crate) const STRUCT: u8 = 12;

/// What is wrong, and at which byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ThriftError {
    pub(crate) at: usize,
    pub(crate) expected: &'static str,
}

pub(crate) type Result<T> = std::result::Result<T, ThriftError>;

/// A field's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Field {
    pub(crate) id: i16,
    pub(crate) kind: u8,
}

/// Reads from a slice, front to back.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    pub(crate) const fn error<T>(&self, expected: &'static str) -> Result<T> {
        Err(ThriftError { at: self.at, expected })
    }

    fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    fn byte(&mut self) -> Result<u8> {
        let Some(byte) = self.bytes.get(self.at) else { return self.error("another byte") };
        self.at = self.at.saturating_add(1);
        Ok(*byte)
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let taken = self.at.checked_add(n).and_then(|end| Some((self.bytes.get(self.at..end)?, end)));
        let Some((bytes, end)) = taken else { return self.error("a length within the data") };
        self.at = end;
        Ok(bytes)
    }

    fn uvarint(&mut self) -> Result<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        self.error("a varint of at most ten bytes")
    }

    pub(crate) fn i64(&mut self) -> Result<i64> {
        let v = self.uvarint()?;
        Ok((v >> 1).cast_signed() ^ (v & 1).cast_signed().wrapping_neg())
    }

    pub(crate) fn i16(&mut self) -> Result<i16> {
        let before = self.at;
        i16::try_from(self.i64()?).map_err(|_| ThriftError { at: before, expected: "an integer of 16 bits" })
    }

    pub(crate) fn i32(&mut self) -> Result<i32> {
        let before = self.at;
        i32::try_from(self.i64()?).map_err(|_| ThriftError { at: before, expected: "an integer of 32 bits" })
    }

    pub(crate) fn binary(&mut self) -> Result<&'a [u8]> {
        let before = self.at;
        let length = usize::try_from(self.uvarint()?);
        let length = length.map_err(|_| ThriftError { at: before, expected: "a length within the data" })?;
        self.take(length)
    }

    /// Element type and number of elements, of which each takes a byte or more.
    pub(crate) fn list(&mut self) -> Result<(u8, usize)> {
        let before = self.at;
        let header = self.byte()?;
        let size = match header >> 4 {
            15 => self.uvarint()?,
            short => short.into(),
        };
        let size = usize::try_from(size).ok().filter(|size| *size <= self.remaining());
        let size = size.ok_or(ThriftError { at: before, expected: "a list that ends within the data" })?;
        Ok((header & 0x0f, size))
    }

    /// The next field's header; `None` at the end of the struct. `previous` is the id of the field before, 0 at first.
    pub(crate) fn field(&mut self, previous: i16) -> Result<Option<Field>> {
        let header = self.byte()?;
        let kind = header & 0x0f;
        if header == 0 {
            return Ok(None);
        }
        let before = self.at;
        let id = match header >> 4 {
            0 => i16::try_from(self.i64()?).ok(),
            delta => previous.checked_add(delta.into()),
        };
        let id = id.ok_or(ThriftError { at: before, expected: "a field id of 16 bits" })?;
        Ok(Some(Field { id, kind }))
    }

    /// The value of a boolean field.
    pub(crate) fn bool(&self, field: Field) -> Result<bool> {
        match field.kind {
            1 => Ok(true),
            2 => Ok(false),
            _ => self.error("a boolean"),
        }
    }

    /// Passes over the value of a field.
    pub(crate) fn skip(&mut self, kind: u8) -> Result<()> {
        self.skip_within(kind, false, MAX_DEPTH)
    }

    fn skip_within(&mut self, kind: u8, element: bool, depth: u32) -> Result<()> {
        let Some(depth) = depth.checked_sub(1) else { return self.error("fewer structs within each other") };
        match kind {
            1 | 2 if !element => {}
            1 | 2 => return self.error("no unknown lists of booleans"),
            3 => drop(self.byte()?),
            4..=6 => drop(self.uvarint()?),
            7 => drop(self.take(8)?),
            BINARY => drop(self.binary()?),
            LIST | 10 => {
                let (kind, size) = self.list()?;
                for _ in 0..size {
                    self.skip_within(kind, true, depth)?;
                }
            }
            11 => {
                let before = self.at;
                let size = self.uvarint()?;
                if size == 0 {
                    return Ok(());
                }
                if size > self.remaining() as u64 {
                    return Err(ThriftError { at: before, expected: "a map that ends within the data" });
                }
                let kinds = self.byte()?;
                for _ in 0..size {
                    self.skip_within(kinds >> 4, true, depth)?;
                    self.skip_within(kinds & 0x0f, true, depth)?;
                }
            }
            STRUCT => {
                let mut previous = 0;
                while let Some(field) = self.field(previous)? {
                    self.skip_within(field.kind, false, depth)?;
                    previous = field.id;
                }
            }
            _ => return self.error("a type of Thrift's"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_fields_and_skips_the_rest() {
        // 1: i32 = -3; 2: list<i32> [1, 2]; 3: binary "ab"; 4: true; 5: struct { 1: i64 = 1 }; 20: i32 = 7
        let bytes = [0x15, 5, 0x19, 0x25, 2, 4, 0x18, 2, b'a', b'b', 0x11, 0x1c, 0x16, 2, 0, 0x05, 40, 14, 0];
        let mut reader = Reader::new(&bytes);
        let mut seen = Vec::new();
        let mut previous = 0;
        while let Some(field) = reader.field(previous).unwrap() {
            previous = field.id;
            seen.push(field.id);
            match field.id {
                1 => assert_eq!(reader.i32().unwrap(), -3),
                4 => assert!(reader.bool(field).unwrap()),
                20 => assert_eq!(reader.i32().unwrap(), 7),
                _ => reader.skip(field.kind).unwrap(),
            }
        }
        assert_eq!((seen, reader.position()), (vec![1, 2, 3, 4, 5, 20], bytes.len()));
    }

    #[test]
    fn refuses_lists_longer_than_the_data_and_deep_nesting() {
        assert_eq!(Reader::new(&[0xf8, 0xff, 0xff, 0xff, 0xff, 0x07]).list().unwrap_err().at, 0);
        let deep = vec![0x19; 1000];
        assert_eq!(Reader::new(&deep).skip(LIST).unwrap_err().expected, "fewer structs within each other");
    }

    #[test]
    fn does_not_skip_lists_of_booleans() {
        for bytes in [&[0x11, 1][..], &[0x12, 1], &[0x19, 0x11, 1]] {
            assert_eq!(Reader::new(bytes).skip(LIST).unwrap_err().expected, "no unknown lists of booleans");
        }
        assert_eq!(Reader::new(&[1, 0x25, 1, 2]).skip(11).unwrap_err().expected, "no unknown lists of booleans");
        assert!(Reader::new(&[0x13, 1]).skip(LIST).is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes: Vec<u8>, kind in 0_u8..16) {
            let mut reader = Reader::new(&bytes);
            let _ = reader.skip(kind);
            prop_assert!(reader.position() <= bytes.len());
        }
    }
}
