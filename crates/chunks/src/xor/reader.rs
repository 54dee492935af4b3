//! Reads XOR chunks.
//!
//! A sample is decoded from words loaded at its bit offset rather than through a [`BitReader`]: the offset of the next
//! sample then depends on nothing but the control bits and the width of the window, which the processor predicts, so
//! that the loads and xors of several samples overlap. In bulk, [`crate::bulk`] does most of them.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "bit offsets are below eight times a slice's length plus the longest sample, shifts below 64; timestamps \
              wrap explicitly"
)]

use prometheus_model::TimestampMs;

use super::window::{Window, read_xor};
use crate::{
    Encoding,
    bits::BitReader,
    bulk::{Block, Cursor, SampleCode, decode_common},
    error::Result,
    sample_count,
    words::{LOADED_BITS, check_end, load, load_wide},
};

/// Fewest bits of a sample after the second.
const MIN_SAMPLE_BITS: usize = 2;

/// Length of the count in front of the samples, in bytes.
const HEADER_LEN: usize = 2;

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
    state: Cursor,
}

impl<'a> XorDecoder<'a> {
    /// Reads the header of a chunk's data, which come without the encoding byte.
    ///
    /// # Errors
    /// Corrupt if the data are shorter than the header.
    #[inline]
    pub fn new(data: &'a [u8]) -> Result<Self> {
        let total = sample_count(Encoding::Xor, data)?;
        let state = Cursor { at: HEADER_LEN * 8, timestamp: 0, delta: 0, value: 0, window: Window::WHOLE };
        Ok(Self { data, total, left: total, state })
    }

    /// How many samples are still to come, by the header.
    #[must_use]
    #[inline]
    pub fn remaining(&self) -> u16 {
        self.left
    }

    /// Decodes a sample; none after the last one. [`Self::decode_into`] is faster.
    ///
    /// # Errors
    /// Corrupt if the data end within it or its value's window is wider than a word. Afterwards there are no more
    /// samples.
    #[inline]
    pub fn next_sample(&mut self) -> Result<Option<(TimestampMs, f64)>> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut state = self.state;
        let step = match self.total - self.left {
            0 => first(self.data).map(|first| state = first),
            1 => second(self.data, state).map(|second| state = second),
            _ => step(self.data, state).map(|next| state = next),
        };
        if let Err(error) = step {
            self.left = 0;
            return Err(error);
        }
        self.state = state;
        self.left -= 1;
        Ok(Some((state.timestamp, f64::from_bits(state.value))))
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
        while self.total - self.left < 2
            && let Some((timestamp, value)) = self.next_sample()?
        {
            timestamps.push(timestamp);
            values.push(value);
        }
        let left = usize::from(self.left);
        // So that memory stays in proportion to the data.
        check_end(self.data, self.state.at, self.state.at + left * MIN_SAMPLE_BITS)?;
        let (first_timestamp, first_value) = (timestamps.len(), values.len());
        timestamps.resize(first_timestamp + left, 0);
        values.resize(first_value + left, 0.0);
        let (Some(mut timestamps), Some(mut values)) =
            (timestamps.get_mut(first_timestamp..), values.get_mut(first_value..))
        else {
            return Ok(());
        };
        let mut state = self.state;
        loop {
            let done = decode_common::<XorCode>(self.data, &mut state, timestamps, values);
            (timestamps, values) =
                (timestamps.get_mut(done..).unwrap_or_default(), values.get_mut(done..).unwrap_or_default());
            // One that is not common, or the end of the data.
            let (Some((timestamp, more_timestamps)), Some((value, more_values))) =
                (timestamps.split_first_mut(), values.split_first_mut())
            else {
                break;
            };
            state = step(self.data, state)?;
            (*timestamp, *value) = (state.timestamp, f64::from_bits(state.value));
            (timestamps, values) = (more_timestamps, more_values);
        }
        self.state = state;
        self.left = 0;
        Ok(())
    }
}

/// Decodes the first sample.
fn first(data: &[u8]) -> Result<Cursor> {
    let mut reader = BitReader::at_byte(data, HEADER_LEN);
    let timestamp = reader.read_varint()?;
    let value = reader.read_bits(64)?;
    Ok(Cursor { at: reader.position() as usize, timestamp, delta: 0, value, window: Window::WHOLE })
}

/// Decodes the second sample, which begins with a byte.
fn second(data: &[u8], first: Cursor) -> Result<Cursor> {
    let mut reader = BitReader::at_byte(data, first.at / 8);
    let delta = reader.read_uvarint()?.cast_signed();
    let timestamp = first.timestamp.wrapping_add(delta);
    let mut window = first.window;
    let value = read_xor(&mut reader, first.value, &mut window)?;
    Ok(Cursor { at: reader.position() as usize, timestamp, delta, value, window })
}

/// The samples after the second that are common: the interval is the same or changes by 14 bits.
struct XorCode;

impl SampleCode for XorCode {
    const MIN_BITS: usize = MIN_SAMPLE_BITS;

    #[inline(always)]
    fn decode(block: Block<'_>, word: u64, mut cursor: Cursor) -> Option<Cursor> {
        if word >> 63 == 0 {
            match word >> 61 {
                0b000 | 0b001 => Some(cursor.same_value(2)),
                0b010 => Some(cursor.same_window(block, 3)),
                _ => cursor.new_window(block, word << 3, 3),
            }
        } else if word >> 62 == 0b10 {
            cursor.delta = cursor.delta.wrapping_add(dod(word << 2, 14));
            match word >> 46 & 0b11 {
                0b00 | 0b01 => Some(cursor.same_value(17)),
                0b10 => Some(cursor.same_window(block, 18)),
                _ => cursor.new_window(block, word << 18, 18),
            }
        } else {
            None
        }
    }
}

/// Decodes any sample after the second.
#[inline(always)]
fn step(data: &[u8], mut cursor: Cursor) -> Result<Cursor> {
    let start = cursor.at;
    let mut word = load(data, start);
    let mut loaded_at = start;
    if word >> 63 == 0 {
        cursor.at += 1;
        word <<= 1;
    } else if word >> 62 == 0b10 {
        cursor.delta = cursor.delta.wrapping_add(dod(word << 2, 14));
        cursor.at += 16;
        word <<= 16;
    } else {
        let (dod, bits) = wide_dod(data, start, word);
        cursor.delta = cursor.delta.wrapping_add(dod);
        cursor.at += bits;
        word = load(data, cursor.at);
        loaded_at = cursor.at;
    }
    cursor.timestamp = cursor.timestamp.wrapping_add(cursor.delta);
    if word >> 63 == 0 {
        cursor.at += 1;
    } else {
        if word >> 62 == 0b10 {
            cursor.at += 2;
            word <<= 2;
        } else {
            cursor.window = Window::from_word(word << 2, cursor.at + 2)?;
            cursor.at += 13;
            word <<= 13;
        }
        let next = cursor.at + cursor.window.width() as usize;
        if next - loaded_at > LOADED_BITS {
            word = load_wide(data, cursor.at);
        }
        cursor.value ^= cursor.window.place(word);
        cursor.at = next;
    }
    check_end(data, start, cursor.at)?;
    Ok(cursor)
}

/// The dod of more than 14 bits at the bit offset `at`, where the bits of `word` are, and how many bits it has.
#[inline(never)]
fn wide_dod(data: &[u8], at: usize, word: u64) -> (i64, usize) {
    match word.leading_ones() {
        2 => (dod(word << 3, 17), 20),
        3 => (dod(word << 4, 20), 24),
        _ => (load_wide(data, at + 4).cast_signed(), 68),
    }
}

/// The dod in the topmost `bits` of `word`, from `-(2^(bits-1) - 1)` to `2^(bits-1)`: two's complement, but for being
/// one larger than the pattern before it.
#[inline(always)]
fn dod(word: u64, bits: u32) -> i64 {
    (word.wrapping_sub(1 << (64 - bits)).cast_signed() >> (64 - bits)) + 1
}
