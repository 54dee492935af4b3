//! Reads XOR chunks.
//!
//! A sample is decoded from words loaded at its bit offset rather than through a [`BitReader`]: the offset of the next
//! sample then depends on nothing but the control bits and the width of the window, which the processor predicts, so
//! that the loads and xors of several samples overlap.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "bit offsets are below eight times a slice's length plus the longest sample, shifts below 64; timestamps \
              wrap explicitly"
)]

use prometheus_model::TimestampMs;

use super::window::{Window, read_xor};
use crate::{
    Encoding,
    bits::BitReader,
    error::Result,
    sample_count,
    words::{check_bits, check_end, load, load_wide},
};

/// Fewest bits of a sample after the second.
const MIN_SAMPLE_BITS: usize = 2;

/// Decodes the samples of one XOR chunk, in order.
///
/// ```
/// use prometheus_chunks::{XorDecoder, XorEncoder};
/// let mut chunk = XorEncoder::new();
/// chunk.push(1_000, 1.5)?;
/// chunk.push(16_000, 2.5)?;
///
/// let mut samples = XorDecoder::new(chunk.bytes())?;
/// assert_eq!(samples.next_sample()?, Some((1_000, 1.5)));
///
/// let (mut timestamps, mut values) = (vec![], vec![]);
/// samples.decode_into(&mut timestamps, &mut values)?;
/// assert_eq!((timestamps, values), (vec![16_000], vec![2.5]));
/// # Ok::<(), prometheus_chunks::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct XorDecoder<'a> {
    data: &'a [u8],
    /// Samples that the header promises.
    total: u16,
    /// Samples not yet decoded; 0 after an error.
    left: u16,
    state: State,
}

/// What the next sample depends on.
#[derive(Clone, Debug)]
struct State {
    /// Bit offset of the next sample.
    at: usize,
    timestamp: TimestampMs,
    /// Difference of the last two timestamps; wraps around.
    delta: i64,
    value: u64,
    window: Window,
}

impl<'a> XorDecoder<'a> {
    /// Reads the header of a chunk's data, which come without the encoding byte.
    ///
    /// # Errors
    /// Corrupt if the data are shorter than the header.
    pub fn new(data: &'a [u8]) -> Result<Self> {
        let total = sample_count(Encoding::Xor, data)?;
        let state = State { at: 16, timestamp: 0, delta: 0, value: 0, window: Window::WHOLE };
        Ok(Self { data, total, left: total, state })
    }

    /// How many samples are still to come, by the header.
    #[must_use]
    pub fn remaining(&self) -> u16 {
        self.left
    }

    /// Decodes a sample; none after the last one.
    ///
    /// # Errors
    /// Corrupt if the data end within it or its value's window is wider than a word. Afterwards there are no more
    /// samples.
    #[inline]
    pub fn next_sample(&mut self) -> Result<Option<(TimestampMs, f64)>> {
        if self.left == 0 {
            return Ok(None);
        }
        let step = if self.total - self.left >= 2 { self.state.step(self.data) } else { self.start() };
        if let Err(error) = step {
            self.left = 0;
            return Err(error);
        }
        self.left -= 1;
        Ok(Some((self.state.timestamp, f64::from_bits(self.state.value))))
    }

    /// Decodes one of the first two samples.
    fn start(&mut self) -> Result<()> {
        let state = &mut self.state;
        let mut reader = BitReader::new(self.data);
        reader.skip(16)?;
        state.timestamp = reader.read_varint()?;
        state.value = reader.read_bits(64)?;
        if self.left != self.total {
            state.delta = reader.read_uvarint()?.cast_signed();
            state.timestamp = state.timestamp.wrapping_add(state.delta);
            state.value = read_xor(&mut reader, state.value, &mut state.window)?;
        }
        state.at = reader.position() as usize;
        Ok(())
    }

    /// Decodes all samples still to come, to the ends of both vectors.
    ///
    /// # Errors
    /// Corrupt as for [`Self::next_sample`]. Both vectors are then as long as before.
    pub fn decode_into(&mut self, timestamps: &mut Vec<TimestampMs>, values: &mut Vec<f64>) -> Result<()> {
        let (old_timestamps, old_values) = (timestamps.len(), values.len());
        let result = self.decode_rest(timestamps, values);
        if result.is_err() {
            self.left = 0;
            timestamps.truncate(old_timestamps);
            values.truncate(old_values);
        }
        result
    }

    fn decode_rest(&mut self, timestamps: &mut Vec<TimestampMs>, values: &mut Vec<f64>) -> Result<()> {
        while self.left > 0 && self.total - self.left < 2 {
            self.start()?;
            timestamps.push(self.state.timestamp);
            values.push(f64::from_bits(self.state.value));
            self.left -= 1;
        }
        let left = usize::from(self.left);
        // So that memory stays in proportion to the data.
        check_bits(self.data, self.state.at, left * MIN_SAMPLE_BITS)?;
        let (first_timestamp, first_value) = (timestamps.len(), values.len());
        timestamps.resize(first_timestamp + left, 0);
        values.resize(first_value + left, 0.0);
        let slots = timestamps.iter_mut().skip(first_timestamp).zip(values.iter_mut().skip(first_value));
        let mut state = self.state.clone();
        for (timestamp, value) in slots {
            state.step(self.data)?;
            *timestamp = state.timestamp;
            *value = f64::from_bits(state.value);
        }
        self.state = state;
        self.left = 0;
        Ok(())
    }
}

impl State {
    /// Decodes a sample after the second.
    #[inline(always)]
    fn step(&mut self, data: &[u8]) -> Result<()> {
        let start = self.at;
        let mut word = load(data, start);
        if word >> 63 == 0 {
            self.at += 1;
            word <<= 1;
        } else if word >> 62 == 0b10 {
            self.delta = self.delta.wrapping_add(dod(word << 2, 14));
            self.at += 16;
            word <<= 16;
        } else {
            word = self.wide_dod(data, word);
        }
        self.timestamp = self.timestamp.wrapping_add(self.delta);

        if word >> 63 == 0 {
            self.at += 1;
        } else {
            if word >> 62 == 0b10 {
                self.at += 2;
            } else {
                self.window = Window::from_word(word << 2, self.at + 2)?;
                self.at += 13;
            }
            self.value ^= self.window.load_inside(data, self.at);
            self.at += self.window.width() as usize;
        }
        check_end(data, start, self.at)
    }

    /// Decodes a dod of more than 14 bits. Returns what follows, at least 13 bits at the top.
    #[inline(never)]
    fn wide_dod(&mut self, data: &[u8], word: u64) -> u64 {
        let (dod, bits) = match word.leading_ones() {
            2 => (dod(word << 3, 17), 20),
            3 => (dod(word << 4, 20), 24),
            _ => (load_wide(data, self.at + 4).cast_signed(), 68),
        };
        self.delta = self.delta.wrapping_add(dod);
        self.at += bits;
        load(data, self.at)
    }
}

/// The dod in the topmost `bits` of `word`, from `-(2^(bits-1) - 1)` to `2^(bits-1)`: two's complement, but for being
/// one larger than the pattern before it.
#[inline(always)]
fn dod(word: u64, bits: u32) -> i64 {
    (word.wrapping_sub(1 << (64 - bits)).cast_signed() >> (64 - bits)) + 1
}
