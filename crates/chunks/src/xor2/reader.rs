//! Reads XOR2 chunks, by the same technique as XOR's reader.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "bit offsets are below eight times a slice's length plus the longest sample, shifts below 64; timestamps \
              wrap explicitly"
)]

use prometheus_model::{STALE_NAN_BITS, TimestampMs};

use super::{HEADER_LEN, START_FROM_MASK, START_KNOWN};
use crate::{
    bits::BitReader,
    bulk::{Block, Cursor, SampleCode, decode_common},
    error::{Repr, Result},
    varbit::load_int,
    words::{LOADED_BITS, check_end, load, load_wide},
    xor::Window,
};

/// Fewest bits of a sample after the second.
const MIN_SAMPLE_BITS: usize = 1;

/// A float with its timestamps.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FloatSample {
    /// When it was taken.
    pub timestamp: TimestampMs,
    /// Since when the counter has counted; 0 where that is not known.
    pub start_timestamp: TimestampMs,
    /// What was measured.
    pub value: f64,
}

/// Decodes the samples of one XOR2 chunk, in order.
///
/// ```
/// use prometheus_chunks::{Xor2Decoder, Xor2Encoder};
/// let mut chunk = Xor2Encoder::new();
/// chunk.push(1_000, 1.5, 0)?;
/// chunk.push(16_000, 2.5, 1_000)?;
///
/// let (mut timestamps, mut values, mut starts) = (vec![], vec![], vec![]);
/// Xor2Decoder::new(chunk.bytes())?.decode_with_starts_into(&mut timestamps, &mut values, &mut starts)?;
/// assert_eq!((timestamps, values, starts), (vec![1_000, 16_000], vec![1.5, 2.5], vec![0, 1_000]));
/// # Ok::<(), prometheus_chunks::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Xor2Decoder<'a> {
    data: &'a [u8],
    /// Samples that the header promises.
    total: u16,
    /// Samples not yet decoded; 0 after an error.
    left: u16,
    /// Whether the first sample has a start timestamp.
    start_known: bool,
    /// Index of the first sample that has a start timestamp of its own; 0 if none does.
    start_from: u8,
    state: State,
}

/// What the next sample depends on. It is passed by value wherever a call is not inlined, so as to live in registers.
#[derive(Clone, Copy, Debug)]
struct State {
    /// Bit offset of the next sample.
    at: usize,
    timestamp: TimestampMs,
    /// Difference of the last two timestamps; wraps around.
    delta: i64,
    value: u64,
    /// The last value that was not stale; at first 0.
    baseline: u64,
    window: Window,
    start_timestamp: TimestampMs,
    /// Timestamp of the sample before the last one minus the last start timestamp; 0 before `start_from`.
    start_diff: i64,
}

impl<'a> Xor2Decoder<'a> {
    /// Reads the header of a chunk's data, which come without the encoding byte.
    ///
    /// # Errors
    /// Corrupt if the data are shorter than the header.
    pub fn new(data: &'a [u8]) -> Result<Self> {
        let Some(&[high, low, starts]) = data.first_chunk::<HEADER_LEN>() else {
            return Err(Repr::ShortHeader { expected: HEADER_LEN, found: data.len() }.into());
        };
        let total = u16::from_be_bytes([high, low]);
        let state = State {
            at: HEADER_LEN * 8,
            timestamp: 0,
            delta: 0,
            value: 0,
            baseline: 0,
            window: Window::WHOLE,
            start_timestamp: 0,
            start_diff: 0,
        };
        Ok(Self {
            data,
            total,
            left: total,
            start_known: starts & START_KNOWN != 0,
            start_from: starts & START_FROM_MASK,
            state,
        })
    }

    /// How many samples are still to come, by the header.
    #[must_use]
    pub fn remaining(&self) -> u16 {
        self.left
    }

    /// Whether any sample may have a start timestamp: the header says where.
    #[must_use]
    pub fn has_start_timestamps(&self) -> bool {
        self.start_known || (1..self.total).contains(&self.start_from.into())
    }

    /// Decodes a sample; none after the last one.
    ///
    /// # Errors
    /// Corrupt if the data end within it or its value's window is wider than a word. Afterwards there are no more
    /// samples.
    #[inline]
    pub fn next_sample(&mut self) -> Result<Option<FloatSample>> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut state = self.state;
        let index = self.total - self.left;
        let step = match index {
            0 => first(self.data, self.start_known).map(|first| state = first),
            1 => second(self.data, state, self.start_from == 1).map(|second| state = second),
            _ if self.start_from == 0 || index < self.start_from.into() => {
                state.step::<false>(self.data, load(self.data, state.at))
            }
            _ => state.step::<true>(self.data, load(self.data, state.at)),
        };
        if let Err(error) = step {
            self.left = 0;
            return Err(error);
        }
        self.state = state;
        self.left -= 1;
        Ok(Some(FloatSample {
            timestamp: state.timestamp,
            start_timestamp: state.start_timestamp,
            value: f64::from_bits(state.value),
        }))
    }

    /// Decodes all samples still to come, but for their start timestamps, to the ends of both vectors.
    ///
    /// # Errors
    /// Corrupt as for [`Self::next_sample`]. Both vectors are then as long as before.
    pub fn decode_into(&mut self, timestamps: &mut Vec<TimestampMs>, values: &mut Vec<f64>) -> Result<()> {
        self.decode(timestamps, values, None)
    }

    /// Decodes all samples still to come, to the ends of the vectors.
    ///
    /// # Errors
    /// Corrupt as for [`Self::next_sample`]. All vectors are then as long as before.
    pub fn decode_with_starts_into(
        &mut self,
        timestamps: &mut Vec<TimestampMs>,
        values: &mut Vec<f64>,
        start_timestamps: &mut Vec<TimestampMs>,
    ) -> Result<()> {
        self.decode(timestamps, values, Some(start_timestamps))
    }

    fn decode(
        &mut self,
        timestamps: &mut Vec<TimestampMs>,
        values: &mut Vec<f64>,
        mut starts: Option<&mut Vec<TimestampMs>>,
    ) -> Result<()> {
        let old = (timestamps.len(), values.len(), starts.as_ref().map_or(0, |starts| starts.len()));
        let result = self.decode_rest(timestamps, values, starts.as_deref_mut());
        if result.is_err() {
            self.left = 0;
            timestamps.truncate(old.0);
            values.truncate(old.1);
            if let Some(starts) = starts {
                starts.truncate(old.2);
            }
        }
        result
    }

    fn decode_rest(
        &mut self,
        timestamps: &mut Vec<TimestampMs>,
        values: &mut Vec<f64>,
        mut starts: Option<&mut Vec<TimestampMs>>,
    ) -> Result<()> {
        // Samples one by one up to the first with a start timestamp of its own, and at least two.
        let constant = self.start_from == 0;
        let first = if constant { 2 } else { self.start_from.max(2).into() };
        while self.left > 0 && self.total - self.left < first {
            if let Some(sample) = self.next_sample()? {
                timestamps.push(sample.timestamp);
                values.push(sample.value);
                if let Some(starts) = &mut starts {
                    starts.push(sample.start_timestamp);
                }
            }
        }
        let left = usize::from(self.left);
        // So that memory stays in proportion to the data.
        check_end(self.data, self.state.at, self.state.at + left * MIN_SAMPLE_BITS)?;
        let (first_timestamp, first_value) = (timestamps.len(), values.len());
        timestamps.resize(first_timestamp + left, 0);
        values.resize(first_value + left, 0.0);
        let (Some(timestamps), Some(values)) = (timestamps.get_mut(first_timestamp..), values.get_mut(first_value..))
        else {
            return Ok(());
        };
        let slots = timestamps.iter_mut().zip(values.iter_mut());
        let (data, mut state) = (self.data, self.state);
        match starts {
            _ if constant => {
                state.without_starts(data, timestamps, values)?;
                if let Some(starts) = starts {
                    starts.resize(starts.len() + left, state.start_timestamp);
                }
            }
            None => {
                for (timestamp, value) in slots {
                    state.step::<true>(data, load(data, state.at))?;
                    (*timestamp, *value) = (state.timestamp, f64::from_bits(state.value));
                }
            }
            Some(starts) => {
                let first_start = starts.len();
                starts.resize(first_start + left, 0);
                for ((timestamp, value), start) in slots.zip(starts.iter_mut().skip(first_start)) {
                    state.step::<true>(data, load(data, state.at))?;
                    (*timestamp, *value) = (state.timestamp, f64::from_bits(state.value));
                    *start = state.start_timestamp;
                }
            }
        }
        self.state = state;
        self.left = 0;
        Ok(())
    }
}

/// Decodes the first sample; `start_known` says whether it has a start timestamp.
fn first(data: &[u8], start_known: bool) -> Result<State> {
    let mut reader = BitReader::at_byte(data, HEADER_LEN);
    let timestamp = reader.read_varint()?;
    let value = reader.read_bits(64)?;
    let start_timestamp = if start_known { timestamp.wrapping_sub(reader.read_varint()?) } else { 0 };
    Ok(State {
        at: reader.position() as usize,
        timestamp,
        delta: 0,
        value,
        baseline: if value == STALE_NAN_BITS { 0 } else { value },
        window: Window::WHOLE,
        start_timestamp,
        start_diff: 0,
    })
}

/// Decodes the second sample, which begins with a byte; `has_start` says whether it has a start timestamp of its own.
fn second(data: &[u8], first: State, has_start: bool) -> Result<State> {
    let mut reader = BitReader::at_byte(data, first.at / 8);
    let mut state = first;
    state.delta = reader.read_uvarint()?.cast_signed();
    state.timestamp = first.timestamp.wrapping_add(state.delta);
    state.at = reader.position() as usize;
    let start = state.at;
    state.value_after_dod(data, load(data, start), start)?;
    if has_start {
        state.start(data, first.timestamp);
    }
    check_end(data, start, state.at)?;
    Ok(state)
}

impl State {
    /// Decodes samples without start timestamps of their own until the slices are full.
    fn without_starts(
        &mut self,
        data: &[u8],
        mut timestamps: &mut [TimestampMs],
        mut values: &mut [f64],
    ) -> Result<()> {
        loop {
            let mut cursor = Cursor {
                at: self.at,
                timestamp: self.timestamp,
                delta: self.delta,
                value: self.baseline,
                window: self.window,
            };
            let done = decode_common::<Xor2Code>(data, &mut cursor, timestamps, values);
            (self.at, self.timestamp, self.window) = (cursor.at, cursor.timestamp, cursor.window);
            (self.delta, self.baseline) = (cursor.delta, cursor.value);
            (timestamps, values) =
                (timestamps.get_mut(done..).unwrap_or_default(), values.get_mut(done..).unwrap_or_default());
            // One that is not common, or the end of the data.
            let (Some((timestamp, more_timestamps)), Some((value, more_values))) =
                (timestamps.split_first_mut(), values.split_first_mut())
            else {
                return Ok(());
            };
            self.step::<false>(data, load(data, self.at))?;
            (*timestamp, *value) = (self.timestamp, f64::from_bits(self.value));
            (timestamps, values) = (more_timestamps, more_values);
        }
    }

    /// Decodes a sample after the second; `word` holds the bits at its offset, and `STARTS` says whether it has a start
    /// timestamp of its own.
    #[inline(always)]
    fn step<const STARTS: bool>(&mut self, data: &[u8], word: u64) -> Result<()> {
        let start = self.at;
        let before = self.timestamp;
        if word >> 63 == 0 {
            self.at += 1;
            self.value = self.baseline;
        } else if word >> 62 == 0b10 {
            if word >> 61 == 0b100 {
                self.at += 3;
                self.value_inside(data, word << 3, start);
            } else {
                self.window = Window::from_word(word << 3, start + 3)?;
                self.at += 14;
                self.value_inside(data, word << 14, start);
            }
        } else if word >> 61 == 0b110 {
            self.delta = self.delta.wrapping_add((word << 3).cast_signed() >> (64 - 13));
            self.at += 16;
            self.value_after_dod(data, word << 16, start)?;
        } else if word >> 59 == 0b11111 {
            self.at += 5;
            self.value = STALE_NAN_BITS;
        } else {
            let (dod, bits) = wide_dod(data, start, word);
            self.delta = self.delta.wrapping_add(dod);
            self.at += bits;
            self.value_after_dod(data, load(data, self.at), self.at)?;
        }
        self.timestamp = before.wrapping_add(self.delta);
        if STARTS {
            self.start(data, before);
        }
        check_end(data, start, self.at)
    }

    /// Decodes a value that may be the same as before. `word` begins at `self.at`; what was loaded, at `loaded_at`.
    #[inline(always)]
    fn value_after_dod(&mut self, data: &[u8], word: u64, loaded_at: usize) -> Result<()> {
        if word >> 63 == 0 {
            self.at += 1;
            self.value = self.baseline;
        } else if word >> 62 == 0b10 {
            self.at += 2;
            self.value_inside(data, word << 2, loaded_at);
        } else if word >> 61 == 0b111 {
            self.at += 3;
            self.value = STALE_NAN_BITS;
        } else {
            self.window = Window::from_word(word << 3, self.at + 3)?;
            self.at += 14;
            self.value_inside(data, word << 14, loaded_at);
        }
        Ok(())
    }

    /// Decodes the bits inside the window. `word` begins at `self.at`; what was loaded, at `loaded_at`.
    #[inline(always)]
    fn value_inside(&mut self, data: &[u8], mut word: u64, loaded_at: usize) {
        let next = self.at + self.window.width() as usize;
        if next - loaded_at > LOADED_BITS {
            word = load_wide(data, self.at);
        }
        self.baseline ^= self.window.place(word);
        self.value = self.baseline;
        self.at = next;
    }

    /// Decodes a start timestamp; `before` is the timestamp of the sample before.
    #[inline(always)]
    fn start(&mut self, data: &[u8], before: TimestampMs) {
        let word = load(data, self.at);
        if word >> 63 == 0 {
            self.at += 1;
        } else {
            let (change, bits) = load_int(data, self.at, word);
            self.start_diff = self.start_diff.wrapping_add(change);
            self.at += bits;
        }
        self.start_timestamp = before.wrapping_sub(self.start_diff);
    }
}

/// The samples after the second that are common: not stale, without a start timestamp of their own, and the interval is
/// the same or changes by 13 bits. The cursor's value is the baseline.
struct Xor2Code;

impl SampleCode for Xor2Code {
    const MIN_BITS: usize = MIN_SAMPLE_BITS;

    #[inline(always)]
    fn decode(block: Block<'_>, word: u64, mut cursor: Cursor) -> Option<Cursor> {
        match word >> 61 {
            0b000..=0b011 => Some(cursor.same_value(1)),
            0b100 => Some(cursor.same_window(block, 3)),
            0b101 => cursor.new_window(block, word << 3, 3),
            0b110 => {
                cursor.delta = cursor.delta.wrapping_add((word << 3).cast_signed() >> (64 - 13));
                match word >> 45 & 0b111 {
                    0b000..=0b011 => Some(cursor.same_value(17)),
                    0b100 | 0b101 => Some(cursor.same_window(block, 18)),
                    0b110 => cursor.new_window(block, word << 19, 19),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// The dod of more than 13 bits at the bit offset `at`, where the bits of `word` are, and how many bits it has.
#[inline(never)]
fn wide_dod(data: &[u8], at: usize, word: u64) -> (i64, usize) {
    match word.leading_ones() {
        3 => ((word << 4).cast_signed() >> (64 - 20), 24),
        _ => (load_wide(data, at + 5).cast_signed(), 69),
    }
}
