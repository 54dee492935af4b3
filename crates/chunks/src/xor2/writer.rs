//! Writes XOR2 chunks.

use prometheus_model::{STALE_NAN_BITS, TimestampMs};

use super::{HEADER_LEN, START_FROM_MASK, START_KNOWN};
use crate::{
    bits::BitWriter,
    error::{Repr, Result},
    varbit::write_varbit_int,
    xor::{Window, write_changed},
};

/// Builds one XOR2 chunk, the very bytes that Prometheus would.
///
/// ```
/// use prometheus_chunks::{FloatSample, Xor2Decoder, Xor2Encoder};
/// let mut chunk = Xor2Encoder::new();
/// chunk.push(16_000, 1.5, 1_000)?;
/// let sample = Xor2Decoder::new(chunk.bytes())?.next_sample()?;
/// assert_eq!(sample, Some(FloatSample { timestamp: 16_000, start_timestamp: 1_000, value: 1.5 }));
/// # Ok::<(), prometheus_chunks::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Xor2Encoder {
    bits: BitWriter,
    state: State,
}

#[derive(Clone, Debug)]
struct State {
    count: u16,
    timestamp: TimestampMs,
    /// Difference of the last two timestamps; wraps around.
    delta: i64,
    /// The last value that was not stale.
    value: u64,
    window: Window,
    start_timestamp: TimestampMs,
    /// Timestamp of the sample before the last one minus the last start timestamp; meaningful from `start_from` on.
    start_diff: i64,
    /// Index of the first sample with a start timestamp of its own; 0 if there was none yet.
    start_from: u8,
}

impl Default for State {
    fn default() -> Self {
        Self {
            count: 0,
            timestamp: 0,
            delta: 0,
            value: 0,
            window: Window::NONE,
            start_timestamp: 0,
            start_diff: 0,
            start_from: 0,
        }
    }
}

impl Default for Xor2Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Xor2Encoder {
    /// A chunk without samples.
    #[must_use]
    pub fn new() -> Self {
        Self { bits: BitWriter::with_header(HEADER_LEN), state: State::default() }
    }

    /// Appends a sample; its start timestamp is 0 where that is not known. Prometheus expects timestamps to ascend; the
    /// encoding holds any.
    ///
    /// # Errors
    /// Invalid if the chunk has 65535 samples already; it stays as it was.
    pub fn push(&mut self, timestamp: TimestampMs, value: f64, start_timestamp: TimestampMs) -> Result<()> {
        let index = self.state.count;
        let Some(count) = index.checked_add(1) else {
            return Err(Repr::Full { limit: u16::MAX }.into());
        };
        let value = value.to_bits();
        let mut delta = timestamp.wrapping_sub(self.state.timestamp);
        match index {
            0 => {
                self.bits.write_varint(timestamp);
                self.bits.write_bits(value, 64);
                delta = 0;
            }
            1 => {
                self.bits.write_uvarint(delta.cast_unsigned());
                self.write_value(value);
            }
            _ => self.write_sample(delta.wrapping_sub(self.state.delta), value),
        }
        self.write_start(index, timestamp, start_timestamp);
        let state = &mut self.state;
        (state.count, state.timestamp, state.delta, state.start_timestamp) = (count, timestamp, delta, start_timestamp);
        if value != STALE_NAN_BITS {
            state.value = value;
        }
        self.bits.overwrite(0, &count.to_be_bytes());
        Ok(())
    }

    /// Writes the start timestamp of the sample with the index given, if it needs one.
    fn write_start(&mut self, index: u16, timestamp: TimestampMs, start_timestamp: TimestampMs) {
        let state = &mut self.state;
        if index == 0 {
            if start_timestamp != 0 {
                self.bits.write_varint(timestamp.wrapping_sub(start_timestamp));
                self.bits.overwrite(2, &[START_KNOWN]);
            }
            return;
        }
        let diff = state.timestamp.wrapping_sub(start_timestamp);
        if state.start_from != 0 {
            write_varbit_int(&mut self.bits, diff.wrapping_sub(state.start_diff));
        } else if start_timestamp != state.start_timestamp || index == START_FROM_MASK.into() {
            // At most 127: there it would have been set already.
            let Ok(from) = u8::try_from(index) else { return };
            state.start_from = from;
            let known = self.bits.bytes().get(2).copied().unwrap_or(0);
            self.bits.overwrite(2, &[known | from]);
            write_varbit_int(&mut self.bits, diff);
        }
        state.start_diff = diff;
    }

    /// Writes a sample after the second, but for its start timestamp.
    fn write_sample(&mut self, dod: i64, value: u64) {
        let bits = dod.cast_unsigned();
        match dod {
            0 if value == STALE_NAN_BITS => return self.bits.write_bits(0b11111, 5),
            0 if value == self.state.value => return self.bits.write_bit(false),
            0 => {
                self.bits.write_bits(0b10, 2);
                return write_changed(&mut self.bits, value ^ self.state.value, &mut self.state.window, (1, 1));
            }
            -0x1000..=0xfff => self.bits.write_bits(0b110 << 13 | bits & 0x1fff, 16),
            -0x8_0000..=0x7_ffff => self.bits.write_bits(0b1110 << 20 | bits & 0xf_ffff, 24),
            _ => {
                self.bits.write_bits(0b11110, 5);
                self.bits.write_bits(bits, 64);
            }
        }
        self.write_value(value);
    }

    fn write_value(&mut self, value: u64) {
        if value == STALE_NAN_BITS {
            self.bits.write_bits(0b111, 3);
        } else if value == self.state.value {
            self.bits.write_bit(false);
        } else {
            self.bits.write_bit(true);
            write_changed(&mut self.bits, value ^ self.state.value, &mut self.state.window, (0b10, 2));
        }
    }

    /// How many samples it has.
    #[must_use]
    pub fn sample_count(&self) -> u16 {
        self.state.count
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
        self.bits.reset(HEADER_LEN);
        self.state = State::default();
    }
}
