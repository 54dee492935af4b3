//! Floats in columns, as query engines take them.

use prometheus_model::{TimeRange, TimestampMs};

use crate::{
    Encoding, Xor2Decoder, XorDecoder,
    error::{Repr, Result},
};

/// Samples of float chunks, a vector for each of their parts. Index `i` is the same sample in all of them.
///
/// [`decode_floats`] and its siblings append to it. One value used for many series, with [`Self::clear`], allocates only
/// until it has seen the longest.
///
/// ```
/// use prometheus_chunks::{Encoding, FloatColumns, XorEncoder, decode_floats};
/// let mut chunk = XorEncoder::new();
/// chunk.push(1_000, 1.5)?;
/// chunk.push(16_000, 2.5)?;
///
/// let mut columns = FloatColumns::new();
/// decode_floats(Encoding::Xor, chunk.bytes(), &mut columns)?;
/// assert_eq!((columns.timestamps(), columns.values()), (&[1_000, 16_000][..], &[1.5, 2.5][..]));
/// # Ok::<(), prometheus_chunks::Error>(())
/// ```
#[derive(Clone, PartialEq, Default, Debug)]
pub struct FloatColumns {
    pub(crate) timestamps: Vec<TimestampMs>,
    /// As long as `timestamps`.
    pub(crate) values: Vec<f64>,
    /// As long as `timestamps`, or empty if none of the chunks has any, or they are not kept.
    pub(crate) starts: Vec<TimestampMs>,
    keep_starts: bool,
}

impl FloatColumns {
    /// No samples; start timestamps will be left out.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No samples; start timestamps will be kept.
    #[must_use]
    pub fn with_start_timestamps() -> Self {
        Self { keep_starts: true, ..Self::default() }
    }

    /// How many samples there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Whether there are no samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    /// When the samples were taken.
    #[must_use]
    pub fn timestamps(&self) -> &[TimestampMs] {
        &self.timestamps
    }

    /// What was measured. Stale markers are values too: see [`prometheus_model::is_stale_nan`].
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Since when the counter has counted, for each sample; 0 where that is not known. None if start timestamps are not
    /// kept, or none of the chunks has any.
    #[must_use]
    pub fn start_timestamps(&self) -> Option<&[TimestampMs]> {
        if self.starts.is_empty() { None } else { Some(&self.starts) }
    }

    /// Removes all samples but the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.timestamps.truncate(len);
        self.values.truncate(len);
        self.starts.truncate(len);
    }

    /// Removes the samples from position `from` on that are not in `range`. Their timestamps ascend.
    pub fn trim(&mut self, from: usize, range: TimeRange) {
        let new = self.timestamps.get(from..).unwrap_or_default();
        let before = new.partition_point(|t| *t < range.start());
        let end = from.saturating_add(new.partition_point(|t| *t < range.end()).max(before));
        self.truncate(end);
        let gone = from..from.saturating_add(before);
        if !gone.is_empty() {
            self.timestamps.drain(gone.clone());
            self.values.drain(gone.clone());
            if !self.starts.is_empty() {
                self.starts.drain(gone);
            }
        }
    }

    /// Removes all samples; keeps the memory.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Timestamps, values and start timestamps, as the methods with these names have them.
    #[must_use]
    pub fn into_parts(self) -> (Vec<TimestampMs>, Vec<f64>, Option<Vec<TimestampMs>>) {
        let starts = if self.starts.is_empty() { None } else { Some(self.starts) };
        (self.timestamps, self.values, starts)
    }

    /// Appends one sample, for those that come from elsewhere than chunks of floats.
    pub fn push(&mut self, timestamp: TimestampMs, value: f64, start_timestamp: TimestampMs) {
        if self.keep_starts && (start_timestamp != 0 || !self.starts.is_empty()) {
            self.starts.resize(self.len(), 0);
            self.starts.push(start_timestamp);
        }
        self.timestamps.push(timestamp);
        self.values.push(value);
    }

    /// Makes start timestamps as many as samples, after some of a chunk that has none.
    fn fill_starts(&mut self) {
        if !self.starts.is_empty() {
            self.starts.resize(self.timestamps.len(), 0);
        }
    }
}

/// Appends all samples of a chunk of floats to `columns`, in their order.
///
/// Room is made once, for as many samples as the chunk's header says and its length allows.
///
/// # Errors
/// Unsupported if the encoding is not [`Encoding::Xor`] or [`Encoding::Xor2`]; Corrupt if the data are no such chunk.
/// `columns` then holds what it held before.
pub fn decode_floats(encoding: Encoding, data: &[u8], columns: &mut FloatColumns) -> Result<()> {
    match encoding {
        Encoding::Xor => {
            XorDecoder::new(data)?.decode_into(&mut columns.timestamps, &mut columns.values)?;
            columns.fill_starts();
        }
        Encoding::Xor2 => {
            let mut decoder = Xor2Decoder::new(data)?;
            if columns.keep_starts && decoder.has_start_timestamps() {
                let (len, had_starts) = (columns.len(), !columns.starts.is_empty());
                columns.starts.resize(len, 0);
                let FloatColumns { timestamps, values, starts, .. } = columns;
                if let Err(error) = decoder.decode_with_starts_into(timestamps, values, starts) {
                    starts.truncate(if had_starts { len } else { 0 });
                    return Err(error);
                }
            } else {
                decoder.decode_into(&mut columns.timestamps, &mut columns.values)?;
                columns.fill_starts();
            }
        }
        _ => return Err(not_floats(encoding)),
    }
    Ok(())
}

/// Appends the samples of a chunk of floats that are inside `range` to `columns`, in their order.
///
/// Decoding stops at the first sample that is not before the end of the range: those behind are taken to be later
/// still, as in every chunk that Prometheus writes, and damage there is not found. Where all of a chunk is wanted,
/// [`decode_floats`] is faster.
///
/// # Errors
/// As for [`decode_floats`].
pub fn decode_floats_in(encoding: Encoding, data: &[u8], range: TimeRange, columns: &mut FloatColumns) -> Result<()> {
    let (len, had_starts) = (columns.len(), !columns.starts.is_empty());
    let result = match encoding {
        Encoding::Xor => samples_in(range, columns, XorDecoder::new(data), |decoder| {
            Ok(decoder.next_sample()?.map(|(timestamp, value)| (timestamp, value, 0)))
        }),
        Encoding::Xor2 => samples_in(range, columns, Xor2Decoder::new(data), |decoder| {
            Ok(decoder.next_sample()?.map(|s| (s.timestamp, s.value, s.start_timestamp)))
        }),
        _ => Err(not_floats(encoding)),
    };
    if result.is_err() {
        columns.truncate(len);
        if !had_starts {
            columns.starts.clear();
        }
    }
    result
}

fn samples_in<D>(
    range: TimeRange,
    columns: &mut FloatColumns,
    decoder: Result<D>,
    next: impl Fn(&mut D) -> Result<Option<(TimestampMs, f64, TimestampMs)>>,
) -> Result<()> {
    let mut decoder = decoder?;
    while let Some((timestamp, value, start)) = next(&mut decoder)? {
        if timestamp >= range.end() {
            break;
        }
        if timestamp >= range.start() {
            columns.push(timestamp, value, start);
        }
    }
    Ok(())
}

#[cold]
fn not_floats(encoding: Encoding) -> crate::Error {
    Repr::UnsuitableEncoding { encoding: encoding.name(), expected: "a chunk of floats, XOR or XOR2" }.into()
}
