//! Reading integers and strings off a slice that lies at a known offset of the file.

use crate::error::{Error, Result};

/// Bytes not read yet, and where in the file they end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    end: u64,
}

impl<'a> Cursor<'a> {
    /// Reads `bytes`, the first of which is at `offset` of the file.
    pub(crate) fn new(bytes: &'a [u8], offset: u64) -> Self {
        Self { rest: bytes, end: offset.saturating_add(bytes.len() as u64) }
    }

    /// Bytes left.
    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    /// Offset in the file of the next byte.
    pub(crate) fn offset(&self) -> u64 {
        self.end.saturating_sub(self.rest.len() as u64)
    }

    /// The next `n` bytes.
    pub(crate) fn take(&mut self, n: u64, what: &'static str) -> Result<&'a [u8]> {
        match usize::try_from(n).ok().and_then(|n| self.rest.split_at_checked(n)) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(self.short(what, n)),
        }
    }

    /// A big-endian `u32`.
    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32> {
        match self.rest.split_first_chunk() {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(u32::from_be_bytes(*taken))
            }
            None => Err(self.short(what, 4)),
        }
    }

    /// A big-endian `u64`.
    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64> {
        match self.rest.split_first_chunk() {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(u64::from_be_bytes(*taken))
            }
            None => Err(self.short(what, 8)),
        }
    }

    /// A varint of up to 64 bits.
    #[inline]
    pub(crate) fn uvarint(&mut self, what: &'static str) -> Result<u64> {
        match *self.rest {
            [a, ref rest @ ..] if a < 0x80 => {
                self.rest = rest;
                Ok(u64::from(a))
            }
            [a, b, ref rest @ ..] if b < 0x80 => {
                self.rest = rest;
                Ok(u64::from(a & 0x7f) | u64::from(b) << 7)
            }
            [a, b, c, ref rest @ ..] if c < 0x80 => {
                self.rest = rest;
                Ok(u64::from(a & 0x7f) | u64::from(b & 0x7f) << 7 | u64::from(c) << 14)
            }
            _ => self.long_uvarint(what),
        }
    }

    fn long_uvarint(&mut self, what: &'static str) -> Result<u64> {
        match parse_uvarint(self.rest) {
            Uvarint::Value(value, len) => {
                self.rest = self.rest.get(len..).unwrap_or_default();
                Ok(value)
            }
            Uvarint::Short => Err(self.short(what, self.rest.len().saturating_add(1) as u64)),
            Uvarint::Overflow => Err(Error::corrupt(what, self.offset(), "a varint of 64 bits", "a longer one")),
        }
    }

    /// A varint of up to 32 bits.
    #[inline]
    pub(crate) fn uvarint32(&mut self, what: &'static str) -> Result<u32> {
        let offset = self.offset();
        let value = self.uvarint(what)?;
        u32::try_from(value).map_err(|_| Error::corrupt(what, offset, "at most 4294967295", value.to_string()))
    }

    /// A zigzag varint.
    #[inline]
    pub(crate) fn varint(&mut self, what: &'static str) -> Result<i64> {
        let value = self.uvarint(what)?;
        Ok((value >> 1).cast_signed() ^ (value & 1).cast_signed().wrapping_neg())
    }

    #[cold]
    fn short(&self, what: &'static str, wanted: u64) -> Error {
        Error::corrupt(what, self.offset(), format!("{wanted} bytes"), format!("the end after {}", self.len()))
    }
}

/// What a varint at the start of a slice looks like.
pub(crate) enum Uvarint {
    /// Its value and its length in bytes.
    Value(u64, usize),
    /// The slice ends inside it.
    Short,
    /// It has more than 64 bits.
    Overflow,
}

/// Reads the varint at the start of `bytes`. As in Go, forms longer than necessary are accepted.
pub(crate) fn parse_uvarint(bytes: &[u8]) -> Uvarint {
    let mut value = 0u64;
    for ((i, &byte), shift) in bytes.iter().enumerate().zip((0u32..64).step_by(7)) {
        if shift == 63 && byte > 1 {
            return Uvarint::Overflow;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Uvarint::Value(value, i.saturating_add(1));
        }
    }
    if bytes.len() < 10 { Uvarint::Short } else { Uvarint::Overflow }
}
