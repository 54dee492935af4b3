//! The cell of a data column in the layout of `thanos-parquet-gateway`: chunks of one series that begin in the column's
//! eight hours.
//!
//! ```text
//! cell     := record*                         empty if no chunk begins there
//! record   := encoding min_time max_time length data
//! encoding := u32 BE                          as in TSDB chunk segments
//! min_time := u64 BE                          timestamp of the first sample, ms, zig-zag
//! max_time := u64 BE                          of the last sample, likewise
//! length   := u32 BE
//! data     := length bytes                    the chunk as in a TSDB segment, without length, encoding and checksum
//! ```
//!
//! Chunks are those of the block: they reach over the column's end. One that begins with the next day's first millisecond
//! is in the first column.

use prometheus_model::TimestampMs;

use crate::{
    cell::{Record, Rest},
    error::Error,
};

pub(crate) const WHAT: &str = "chunk cell of a day";
const HEADER_LEN: usize = 24;

const fn zigzag(t: TimestampMs) -> u64 {
    ((t << 1) ^ (t >> 63)).cast_unsigned()
}

const fn unzigzag(v: u64) -> TimestampMs {
    (v >> 1).cast_signed() ^ (v & 1).cast_signed().wrapping_neg()
}

/// Appends all of a record but its data, which the caller appends next: `length` bytes.
pub fn put_header(encoding: u8, min_time: TimestampMs, max_time: TimestampMs, length: u32, out: &mut Vec<u8>) {
    out.extend(u32::from(encoding).to_be_bytes());
    out.extend(zigzag(min_time).to_be_bytes());
    out.extend(zigzag(max_time).to_be_bytes());
    out.extend(length.to_be_bytes());
}

/// Reads the records of a cell one after another.
///
/// ```
/// use promparquet_schema::{cell::Record, day_cell};
/// let mut bytes = Vec::new();
/// day_cell::put_header(1, -1_000, 2_000, 3, &mut bytes);
/// bytes.extend(b"abc");
/// let records: Vec<_> = day_cell::records(&bytes).collect::<Result<_, _>>()?;
/// assert_eq!(records, [Record { encoding: 1, min_time: -1_000, max_time: 2_000, data: b"abc" }]);
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
    let cut = || Error::corrupt(WHAT, start, format!("a header of {HEADER_LEN} bytes"), "the end of the cell");
    let (encoding, after) = rest.bytes.split_first_chunk().ok_or_else(cut)?;
    let (min_time, after) = after.split_first_chunk().ok_or_else(cut)?;
    let (max_time, after) = after.split_first_chunk().ok_or_else(cut)?;
    let (length, after) = after.split_first_chunk().ok_or_else(cut)?;
    rest.bytes = after;
    let encoding = rest.encoding(start, u32::from_be_bytes(*encoding).into())?;
    let time = |bytes: &[u8; 8]| unzigzag(u64::from_be_bytes(*bytes));
    let data = rest.data(start, u32::from_be_bytes(*length).into())?;
    Ok(Record { encoding, min_time: time(min_time), max_time: time(max_time), data })
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
    fn known_bytes() {
        let cell = encode(&[(2, -1, 1, vec![7])]);
        assert_eq!(cell, [0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 7]);
        assert_eq!(
            encode(&[(0, i64::MIN, i64::MAX, vec![])])[4..20],
            [[0xff; 8], [255, 255, 255, 255, 255, 255, 255, 254]].concat()
        );
        let error = records(&cell[..24]).next().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "chunk cell of a day at byte 0: expected a chunk of at most 0 bytes, found 1");
        let mut wide = cell;
        wide[2] = 1;
        assert!(records(&wide).next().unwrap().unwrap_err().to_string().contains("below 256, found 258"));
    }
}
