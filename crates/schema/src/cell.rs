//! The cell of a data column: the chunks of one series in one stretch of time.
//!
//! ```text
//! cell     := record*                         empty if the series has no sample in the column's time
//! record   := encoding min_time max_time length data
//! encoding := uvarint                         as in TSDB chunk segments: 1 XOR, 2 histogram, 3 float histogram, …
//! min_time := uvarint                         timestamp of the first sample, ms, an i64 taken as u64
//! max_time := uvarint                         of the last sample, likewise
//! length   := uvarint
//! data     := length bytes                    the chunk as in a TSDB segment, without length, encoding and checksum
//! ```
//!
//! Records are ordered by encoding, and within one encoding by time. A series that mixes floats and histograms has thus
//! cells that are not in order of time.

use prometheus_model::TimestampMs;

use crate::{
    error::Error,
    varint::{put_uvarint, uvarint},
};

pub(crate) const WHAT: &str = "chunk cell";

/// Most bytes that [`put_header`] appends: encoding, two times, length.
pub const MAX_HEADER_LEN: usize = 2 + 10 + 10 + 5;

/// One chunk in a cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// Encoding number as in TSDB chunk segments; not checked here.
    pub encoding: u8,
    /// Timestamp of the first sample. Zero or negative times in files of old Go writers may be wrong, see
    /// `schema-spec/`.
    pub min_time: TimestampMs,
    /// Timestamp of the last sample, inclusive.
    pub max_time: TimestampMs,
    /// The encoded samples.
    pub data: &'a [u8],
}

/// Appends all of a record but its data, which the caller appends next: `length` bytes.
pub fn put_header(encoding: u8, min_time: TimestampMs, max_time: TimestampMs, length: u32, out: &mut Vec<u8>) {
    put_uvarint(out, encoding.into());
    put_uvarint(out, min_time.cast_unsigned());
    put_uvarint(out, max_time.cast_unsigned());
    put_uvarint(out, length.into());
}

/// Reads the records of a cell one after another.
///
/// ```
/// use promparquet_schema::cell::{self, Record};
/// let mut bytes = Vec::new();
/// cell::put_header(1, 1_000, 2_000, 3, &mut bytes);
/// bytes.extend(b"abc");
/// let records: Vec<_> = cell::records(&bytes).collect::<Result<_, _>>()?;
/// assert_eq!(records, [Record { encoding: 1, min_time: 1_000, max_time: 2_000, data: b"abc" }]);
/// # Ok::<(), promparquet_schema::Error>(())
/// ```
///
/// The iterator ends after the first error.
pub fn records(cell: &[u8]) -> impl Iterator<Item = Result<Record<'_>, Error>> + Clone {
    Rest::of(WHAT, cell).records(read)
}

/// Reads the next record.
pub(crate) fn read<'a>(rest: &mut Rest<'a>) -> Result<Record<'a>, Error> {
    let start = rest.offset();
    let encoding = rest.number("an encoding")?;
    let encoding = rest.encoding(start, encoding)?;
    let min_time = rest.number("the first timestamp")?.cast_signed();
    let max_time = rest.number("the last timestamp")?.cast_signed();
    let at = rest.offset();
    let length = rest.number("the length of a chunk")?;
    Ok(Record { encoding, min_time, max_time, data: rest.data(at, length)? })
}

/// What is left of a cell, of either layout.
#[derive(Clone, Debug)]
pub(crate) struct Rest<'a> {
    /// What the cell is, as errors say it.
    what: &'static str,
    len: usize,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Rest<'a> {
    pub(crate) const fn of(what: &'static str, cell: &'a [u8]) -> Self {
        Self { what, len: cell.len(), bytes: cell }
    }

    /// Reads records until nothing is left or one cannot be read.
    pub(crate) fn records(
        mut self,
        read: impl Fn(&mut Self) -> Result<Record<'a>, Error> + Clone,
    ) -> impl Iterator<Item = Result<Record<'a>, Error>> + Clone {
        std::iter::from_fn(move || {
            if self.bytes.is_empty() {
                return None;
            }
            let record = read(&mut self);
            if record.is_err() {
                self.bytes = &[];
            }
            Some(record)
        })
    }

    pub(crate) const fn offset(&self) -> usize {
        self.len.saturating_sub(self.bytes.len())
    }

    fn number(&mut self, expected: &'static str) -> Result<u64, Error> {
        let (value, rest) = uvarint(self.bytes).ok_or_else(|| {
            Error::corrupt(self.what, self.offset(), expected, "the end of the cell or a malformed varint")
        })?;
        self.bytes = rest;
        Ok(value)
    }

    /// The encoding of the record that begins at `start`.
    pub(crate) fn encoding(&self, start: usize, number: u64) -> Result<u8, Error> {
        u8::try_from(number).map_err(|_| Error::corrupt(self.what, start, "an encoding below 256", number.to_string()))
    }

    /// The chunk, of whose length the byte offset `at` tells.
    pub(crate) fn data(&mut self, at: usize, length: u64) -> Result<&'a [u8], Error> {
        let split = usize::try_from(length).ok().and_then(|n| self.bytes.split_at_checked(n));
        let (data, rest) = split.ok_or_else(|| {
            let expected = format!("a chunk of at most {} bytes", self.bytes.len());
            Error::corrupt(self.what, at, expected, length.to_string())
        })?;
        self.bytes = rest;
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Owned = (u8, i64, i64, Vec<u8>);

    fn encode(records: &[Owned]) -> Vec<u8> {
        let mut out = Vec::new();
        for (encoding, min, max, data) in records {
            put_header(*encoding, *min, *max, data.len() as u32, &mut out);
            out.extend(data);
        }
        out
    }

    proptest! {
        #[test]
        fn round_trips(input: Vec<Owned>) {
            let cell = encode(&input);
            let output: Vec<Owned> = records(&cell)
                .map(|r| r.map(|r| (r.encoding, r.min_time, r.max_time, r.data.to_vec())))
                .collect::<Result<_, _>>()
                .unwrap();
            prop_assert_eq!(&input, &output);
            // A cut inside a record is an error, never a shorter list that looks whole.
            for cut in 1..cell.len() {
                let whole = records(&cell[..cut]).filter(Result::is_ok).count();
                let failed = records(&cell[..cut]).any(|r| r.is_err());
                prop_assert!(failed || encode(&input[..whole]).len() == cut);
            }
        }

        #[test]
        fn any_bytes_end(bytes: Vec<u8>) {
            prop_assert!(records(&bytes).count() <= bytes.len());
        }
    }

    #[test]
    fn negative_times_take_ten_bytes_and_come_back() {
        let cell = encode(&[(1, -1, -1, vec![])]);
        assert_eq!(cell.len(), 1 + 10 + 10 + 1);
        assert_eq!(records(&cell).next().unwrap().unwrap().min_time, -1);
    }

    #[test]
    fn errors_say_where_and_what() {
        let mut cell = encode(&[(1, 5, 6, vec![1, 2, 3])]);
        cell.pop();
        let error = records(&cell).next().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "chunk cell at byte 3: expected a chunk of at most 2 bytes, found 3");
        assert_eq!(records(&[0x80]).count(), 1);
    }
}
