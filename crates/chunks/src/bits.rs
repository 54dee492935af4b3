//! Streams of bits, most significant first, as all chunk encodings use them.
//!
//! A field of `n` bits follows the one before it without padding; the last byte is filled with zeros. Varints are those
//! of protocol buffers (seven bits a byte, least significant group first; signed ones in zigzag), each of their bytes
//! being a field of eight bits that need not start on a byte boundary.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "bit counts are at most 64, positions at most eight times a slice's length; a byte is cut off on purpose"
)]

use crate::error::{Error, Repr, Result};

/// Most bytes of a varint of 64 bits.
const MAX_VARINT_BYTES: u32 = 10;

/// Reads bits from a slice.
///
/// After an error the position is unspecified, but within the data.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    data: &'a [u8],
    /// Offset of the first byte that is not yet part of `buffer`.
    next: usize,
    /// The next `valid` bits, at the top. Bits below may be set, but are always those that follow in `data`, or zero.
    buffer: u64,
    /// At most 63.
    valid: u32,
}

impl<'a> BitReader<'a> {
    /// Starts at the first bit of `data`.
    #[cfg(test)]
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { data, next: 0, buffer: 0, valid: 0 }
    }

    /// Starts at the byte with the offset given; positions still count from the first bit of `data`.
    pub(crate) fn at_byte(data: &'a [u8], offset: usize) -> Self {
        Self { data, next: offset.min(data.len()), buffer: 0, valid: 0 }
    }

    /// How many bits have been read: the offset of the next one in the data.
    #[inline]
    pub(crate) fn position(&self) -> u64 {
        self.next as u64 * 8 - u64::from(self.valid)
    }

    /// How many bits are left, padding included.
    #[inline]
    pub(crate) fn remaining(&self) -> u64 {
        self.data.len() as u64 * 8 - self.position()
    }

    /// Makes at least 56 bits valid, or all that are left.
    #[inline]
    fn refill(&mut self) {
        if let Some(bytes) = self.data.get(self.next..).and_then(<[u8]>::first_chunk) {
            // Bits of the word that do not count as valid yet are put again, the same, by the next refill.
            self.buffer |= u64::from_be_bytes(*bytes) >> self.valid;
            let taken = (63 - self.valid) / 8;
            self.next += taken as usize;
            self.valid += taken * 8;
        } else {
            self.refill_slowly();
        }
    }

    #[cold]
    fn refill_slowly(&mut self) {
        while self.valid < 56
            && let Some(&byte) = self.data.get(self.next)
        {
            self.buffer |= u64::from(byte) << (56 - self.valid);
            self.next += 1;
            self.valid += 8;
        }
    }

    #[cold]
    fn end_of_data(&self, wanted: u32) -> Error {
        Repr::EndOfData { bit: self.position(), wanted: wanted.into(), left: self.remaining() }.into()
    }

    /// The next bits, unread, at the top of the word: at least 56 of them, or all that are left and zeros after them.
    #[inline]
    pub(crate) fn peek(&mut self) -> u64 {
        if self.valid < 56 {
            self.refill();
        }
        self.buffer
    }

    /// The next bits, unread, at the top of the word: at least 32 of them, or all that are left and zeros after them.
    #[inline]
    pub(crate) fn peek_short(&mut self) -> u64 {
        if self.valid < 32 {
            self.refill();
        }
        self.buffer
    }

    /// Skips `n <= 56` bits.
    ///
    /// # Errors
    /// Corrupt if fewer are left.
    #[inline]
    pub(crate) fn skip(&mut self, n: u32) -> Result<()> {
        debug_assert!(n <= 56);
        if n > self.valid {
            self.refill();
            if n > self.valid {
                return Err(self.end_of_data(n));
            }
        }
        self.buffer <<= n;
        self.valid -= n;
        Ok(())
    }

    /// Reads `n <= 64` bits into the low bits of the result.
    ///
    /// # Errors
    /// Corrupt if fewer are left.
    #[inline]
    pub(crate) fn read_bits(&mut self, n: u32) -> Result<u64> {
        if n > 56 {
            return self.read_wide(n);
        }
        let top = if n > self.valid { self.peek() } else { self.buffer };
        self.skip(n)?;
        Ok(top >> 1 >> (63 - n)) // two shifts, as n may be 0
    }

    fn read_wide(&mut self, n: u32) -> Result<u64> {
        debug_assert!(n <= 64);
        if u64::from(n) > self.remaining() {
            return Err(self.end_of_data(n));
        }
        Ok(self.read_bits(n - 32)? << 32 | self.read_bits(32)?)
    }

    /// Reads a varint.
    ///
    /// # Errors
    /// Corrupt if the data end within it, or it has more than 64 bits.
    pub(crate) fn read_uvarint(&mut self) -> Result<u64> {
        // All of one that is not longer than a refill.
        let word = self.peek();
        let last = (!word & 0x8080_8080_8080_8000).leading_zeros() / 8;
        if last < 7 && (last + 1) * 8 <= self.valid {
            self.buffer <<= (last + 1) * 8;
            self.valid -= (last + 1) * 8;
            return Ok((0..=last).fold(0, |value, i| value | (word >> (56 - 8 * i) & 0x7f) << (7 * i)));
        }
        let start = self.position();
        let mut value = 0;
        for i in 0..MAX_VARINT_BYTES {
            let byte = self.read_bits(8)?;
            if i == MAX_VARINT_BYTES - 1 && byte > 1 {
                break;
            }
            value |= (byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Repr::VarintOverflow { bit: start }.into())
    }

    /// Reads a varint in zigzag.
    ///
    /// # Errors
    /// Corrupt if the data end within it, or it has more than 64 bits.
    pub(crate) fn read_varint(&mut self) -> Result<i64> {
        let zigzag = self.read_uvarint()?;
        Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }
}

/// Writes bits to memory.
#[derive(Clone, Debug, Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// Bits of the last byte that are not written yet: its lowest ones, zero.
    free: u32,
}

impl BitWriter {
    /// Starts behind a header of `len` zero bytes, for [`Self::overwrite`].
    pub(crate) fn with_header(len: usize) -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.resize(len, 0);
        Self { bytes, free: 0 }
    }

    /// What has been written; the last byte is padded with zeros.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What has been written, taken out.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Forgets everything but keeps the memory; starts again behind a header of `len` zero bytes.
    pub(crate) fn reset(&mut self, len: usize) {
        self.bytes.clear();
        self.bytes.resize(len, 0);
        self.free = 0;
    }

    /// Replaces bytes written before, usually of the header. What lies behind the end is not written.
    #[inline]
    pub(crate) fn overwrite(&mut self, at: usize, with: &[u8]) {
        debug_assert!(at + with.len() <= self.bytes.len());
        if let Some(bytes) = self.bytes.get_mut(at..at + with.len()) {
            bytes.copy_from_slice(with);
        }
    }

    /// Writes a bit.
    #[inline]
    pub(crate) fn write_bit(&mut self, bit: bool) {
        self.write_bits(bit.into(), 1);
    }

    /// Writes eight bits.
    #[inline]
    pub(crate) fn write_byte(&mut self, byte: u8) {
        self.write_bits(byte.into(), 8);
    }

    /// Writes the lowest `n <= 64` bits of `bits`.
    #[inline]
    pub(crate) fn write_bits(&mut self, bits: u64, n: u32) {
        debug_assert!(n <= 64);
        if n == 0 {
            return;
        }
        let mut top = bits << (64 - n);
        let mut n = n;
        if self.free > 0
            && let Some(last) = self.bytes.last_mut()
        {
            *last |= (top >> (64 - self.free)) as u8;
            if n <= self.free {
                self.free -= n;
                return;
            }
            top <<= self.free;
            n -= self.free;
        }
        let len = n.div_ceil(8);
        if let Some(bytes) = top.to_be_bytes().get(..len as usize) {
            self.bytes.extend_from_slice(bytes);
        }
        self.free = len * 8 - n;
    }

    /// Writes a varint.
    pub(crate) fn write_uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.write_bits(value & 0x7f | 0x80, 8);
            value >>= 7;
        }
        self.write_bits(value, 8);
    }

    /// Writes a varint in zigzag.
    pub(crate) fn write_varint(&mut self, value: i64) {
        self.write_uvarint((value << 1 ^ value >> 63) as u64);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ErrorKind;

    /// Bit by bit: what [`BitReader`] must agree with.
    fn naive(data: &[u8], at: u64, n: u32) -> u64 {
        (at..at + u64::from(n)).fold(0, |v, i| v << 1 | u64::from(data[(i / 8) as usize] >> (7 - i % 8) & 1))
    }

    proptest! {
        #[test]
        fn reads_what_lies_there(data in prop::collection::vec(any::<u8>(), 0..64), widths in prop::collection::vec(0u32..=64, 0..40)) {
            let mut reader = BitReader::new(&data);
            for n in widths {
                let at = reader.position();
                if u64::from(n) <= data.len() as u64 * 8 - at {
                    prop_assert_eq!(reader.read_bits(n).unwrap(), naive(&data, at, n));
                    prop_assert_eq!(reader.position(), at + u64::from(n));
                } else {
                    let error = reader.read_bits(n).unwrap_err();
                    prop_assert_eq!(error.kind(), ErrorKind::Corrupt);
                    prop_assert!(error.to_string().contains(&format!("bit offset {at}")), "{}", error);
                    break;
                }
            }
        }

        #[test]
        fn reads_what_was_written(fields in prop::collection::vec((any::<u64>(), 0u32..=64, any::<bool>()), 0..50)) {
            let mut writer = BitWriter::with_header(2);
            for &(value, n, varint) in &fields {
                writer.write_bits(value, n);
                if varint {
                    writer.write_varint(value as i64);
                    writer.write_uvarint(value);
                }
            }
            writer.overwrite(0, &[1, 2]);
            let mut reader = BitReader::new(writer.bytes());
            prop_assert_eq!(reader.read_bits(16).unwrap(), 0x0102);
            for (value, n, varint) in fields {
                let lowest = if n == 64 { value } else { value & ((1 << n) - 1) };
                prop_assert_eq!(reader.read_bits(n).unwrap(), lowest);
                if varint {
                    prop_assert_eq!(reader.read_varint().unwrap(), value as i64);
                    prop_assert_eq!(reader.read_uvarint().unwrap(), value);
                }
            }
            prop_assert!(reader.remaining() < 8 && reader.peek() == 0, "only padding is left");
        }
    }

    #[test]
    fn peeks_up_to_the_end_and_then_zeros() {
        let mut reader = BitReader::new(&[0xff; 9]);
        assert_eq!(reader.peek() >> 8, u64::MAX >> 8);
        reader.skip(50).unwrap();
        assert_eq!(reader.peek(), ((1 << 22) - 1) << 42);
        assert!(reader.skip(23).is_err());
    }

    #[test]
    fn varints_are_gos() {
        for (value, bytes) in [(0, &[0][..]), (-1, &[1]), (1, &[2]), (-65, &[0x81, 1])] {
            let mut writer = BitWriter::default();
            writer.write_varint(value);
            assert_eq!(writer.bytes(), bytes);
        }
        let mut widest = [0xff; 10];
        widest[9] = 1;
        assert_eq!(BitReader::new(&widest).read_uvarint().unwrap(), u64::MAX);
        widest[9] = 2;
        assert_eq!(BitReader::new(&widest).read_uvarint().unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
