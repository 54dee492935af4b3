//! Writes XOR chunks.

use prometheus_model::TimestampMs;

use super::window::{Window, write_xor};
use crate::{
    bits::BitWriter,
    error::{Repr, Result},
    varbit::fits_signed,
};

/// Length of the count in front of the samples.
const HEADER_LEN: usize = 2;

/// Builds one XOR chunk, the very bytes that Prometheus would.
///
/// ```
/// use prometheus_chunks::XorEncoder;
/// let mut chunk = XorEncoder::new();
/// chunk.push(1_000, 1.5)?;
/// chunk.push(16_000, 1.5)?;
/// assert_eq!(chunk.bytes(), [0, 2, 0xd0, 0x0f, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 0x98, 0x75, 0]);
/// # Ok::<(), prometheus_chunks::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct XorEncoder {
    bits: BitWriter,
    count: u16,
    timestamp: TimestampMs,
    /// Difference of the last two timestamps; wraps around.
    delta: i64,
    value: u64,
    window: Window,
}

impl Default for XorEncoder {
    fn default() -> Self {
        Self::new()
    }
}

impl XorEncoder {
    /// A chunk without samples.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bits: BitWriter::with_header(HEADER_LEN),
            count: 0,
            timestamp: 0,
            delta: 0,
            value: 0,
            window: Window::NONE,
        }
    }

    /// Appends a sample. Prometheus expects timestamps to ascend; the encoding holds any.
    ///
    /// # Errors
    /// Invalid if the chunk has 65535 samples already; it stays as it was.
    pub fn push(&mut self, timestamp: TimestampMs, value: f64) -> Result<()> {
        let Some(count) = self.count.checked_add(1) else {
            return Err(Repr::Full { limit: u16::MAX }.into());
        };
        let value = value.to_bits();
        let mut delta = timestamp.wrapping_sub(self.timestamp);
        match self.count {
            0 => {
                self.bits.write_varint(timestamp);
                self.bits.write_bits(value, 64);
                delta = 0;
            }
            1 => {
                self.bits.write_uvarint(delta.cast_unsigned());
                write_xor(&mut self.bits, value, self.value, &mut self.window);
            }
            _ => {
                self.write_dod(delta.wrapping_sub(self.delta));
                write_xor(&mut self.bits, value, self.value, &mut self.window);
            }
        }
        (self.count, self.timestamp, self.delta, self.value) = (count, timestamp, delta, value);
        self.bits.overwrite(0, &count.to_be_bytes());
        Ok(())
    }

    fn write_dod(&mut self, dod: i64) {
        let bits = dod.cast_unsigned();
        if dod == 0 {
            self.bits.write_bit(false);
        } else if fits_signed(dod, 14) {
            self.bits.write_bits(0b10 << 14 | bits & 0x3fff, 16);
        } else if fits_signed(dod, 17) {
            self.bits.write_bits(0b110 << 17 | bits & 0x1_ffff, 20);
        } else if fits_signed(dod, 20) {
            self.bits.write_bits(0b1110 << 20 | bits & 0xf_ffff, 24);
        } else {
            self.bits.write_bits(0b1111, 4);
            self.bits.write_bits(bits, 64);
        }
    }

    /// How many samples it has.
    #[must_use]
    pub fn sample_count(&self) -> u16 {
        self.count
    }

    /// The chunk's data so far, without the encoding byte: a valid chunk after every [`Self::push`].
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bits.bytes()
    }

    /// The chunk's data.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bits.into_bytes()
    }

    /// Starts a new chunk in the memory of this one.
    pub fn clear(&mut self) {
        let mut bits = std::mem::take(&mut self.bits);
        bits.reset(HEADER_LEN);
        *self = Self { bits, count: 0, timestamp: 0, delta: 0, value: 0, window: Window::NONE };
    }
}
