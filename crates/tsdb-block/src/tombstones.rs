//! The file `tombstones`: intervals of time that were deleted from single series.
//!
//! ```text
//! file    := magic=0130BA30 version=01 stone* crc32c         integers big-endian; the checksum covers the stones only
//! stone   := series_ref:uvarint min:varint max:varint        closed interval [min, max], milliseconds
//! ```
//!
//! The file may be absent. Prometheus writes the stones of a series together, in order and merged; a reader must not
//! rely on it.

use prometheus_model::TimestampMs;
use prometheus_tsdb_index::SeriesRef;

use crate::{
    error::{Detail, Error, ErrorKind, Result},
    files::{BlockFile, BlockFiles},
    varint,
};

const MAGIC: [u8; 4] = 0x0130_BA30_u32.to_be_bytes();
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 5;
const CHECKSUM_BYTES: usize = 4;

/// Longest file that is read, in bytes: about a hundred million stones.
pub const MAX_TOMBSTONES_BYTES: u64 = 1 << 30;

/// A closed interval of time, `[min, max]`, in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Interval {
    /// First timestamp inside.
    pub min: TimestampMs,
    /// Last timestamp inside.
    pub max: TimestampMs,
}

/// The deleted intervals of one series: ascending, with at least one timestamp between two of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Intervals<'a>(&'a [Interval]);

impl<'a> Intervals<'a> {
    /// The intervals, ascending.
    #[must_use]
    pub fn as_slice(self) -> &'a [Interval] {
        self.0
    }

    /// Whether nothing is deleted.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The first interval that ends at `t` or later: the only one that can hold `t`.
    fn from(self, t: TimestampMs) -> Option<&'a Interval> {
        self.0.get(self.0.partition_point(|interval| interval.max < t))
    }

    /// Whether the timestamp is deleted.
    #[must_use]
    pub fn contains(self, t: TimestampMs) -> bool {
        self.from(t).is_some_and(|interval| interval.min <= t)
    }

    /// Whether all of the closed range `[min, max]` is deleted.
    #[must_use]
    pub fn covers(self, min: TimestampMs, max: TimestampMs) -> bool {
        // Intervals are merged, so that one of them must cover it all.
        self.from(min).is_some_and(|interval| interval.min <= min && max <= interval.max)
    }

    /// Whether any timestamp of the closed range `[min, max]` is deleted.
    #[must_use]
    pub fn overlaps(self, min: TimestampMs, max: TimestampMs) -> bool {
        self.from(min).is_some_and(|interval| interval.min <= max)
    }
}

/// Deleted intervals by series.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tombstones {
    /// Series with deleted intervals, ascending, and where each one's intervals end.
    series: Vec<(SeriesRef, usize)>,
    /// Intervals of all series, one after the other.
    intervals: Vec<Interval>,
}

impl Tombstones {
    /// Reads and decodes a block's tombstones; none if the file is absent.
    ///
    /// # Errors
    /// Those of [`decode`](Self::decode) and of the reads; [`ErrorKind::LimitExceeded`] if the file is longer than
    /// [`MAX_TOMBSTONES_BYTES`].
    pub fn read(files: &dyn BlockFiles) -> Result<Self> {
        let (location, file) = (files.location(), BlockFile::Tombstones);
        let size = match files.size(file) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            size => size?,
        };
        if size > MAX_TOMBSTONES_BYTES {
            let limit = MAX_TOMBSTONES_BYTES;
            return Err(Detail::TooLarge { location: location.into(), file, found: size, limit }.into());
        }
        Self::decode(location, &files.read(file, 0..size)?)
    }

    /// Decodes the bytes of a tombstones file; `location` is the block's, for messages.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for an unknown version; [`ErrorKind::Corrupt`] for anything else that is not the
    /// format.
    pub fn decode(location: &str, bytes: &[u8]) -> Result<Self> {
        let corrupt = |offset: usize, expected: &str, found: String| -> Error {
            let file = BlockFile::Tombstones;
            let (location, expected) = (location.into(), expected.into());
            Detail::Corrupt { location, file, offset: offset as u64, expected, found }.into()
        };
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(corrupt(0, "a header of 5 bytes", format!("a file of {} bytes", bytes.len())));
        };
        let [magic @ .., version] = header;
        if *magic != MAGIC {
            return Err(corrupt(0, "magic [01, 30, ba, 30]", format!("{magic:02x?}")));
        }
        if *version != VERSION {
            let (location, file, what, found) =
                (location.into(), BlockFile::Tombstones, "version", version.to_string());
            return Err(Detail::Unsupported { location, file, offset: 4, what, found }.into());
        }
        let Some((mut stones, checksum)) = rest.split_last_chunk::<CHECKSUM_BYTES>() else {
            return Err(corrupt(HEADER_BYTES, "a checksum of 4 bytes", format!("{} bytes", rest.len())));
        };
        let (expected, found) = (u32::from_be_bytes(*checksum), crc32c(stones));
        if expected != found {
            return Err(corrupt(HEADER_BYTES, &format!("CRC-32C {expected:08x}"), format!("{found:08x}")));
        }
        let mut decoded = Vec::new();
        while !stones.is_empty() {
            let mut rest = stones;
            let stone = (|| {
                let (series, length) = varint::decode_unsigned(rest)?;
                rest = rest.get(length..)?;
                let (min, length) = varint::decode_signed(rest)?;
                rest = rest.get(length..)?;
                let (max, length) = varint::decode_signed(rest)?;
                rest = rest.get(length..)?;
                Some((SeriesRef(series), Interval { min, max }))
            })();
            let Some(stone) = stone else {
                let offset = bytes.len().saturating_sub(CHECKSUM_BYTES).saturating_sub(stones.len());
                return Err(corrupt(offset, "a series reference and two timestamps", "other bytes".into()));
            };
            decoded.push(stone);
            stones = rest;
        }
        Ok(decoded.into_iter().collect())
    }

    /// The bytes of a tombstones file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut stones = Vec::new();
        for (series, intervals) in self.iter() {
            for interval in intervals.as_slice() {
                varint::encode_unsigned(&mut stones, series.0);
                varint::encode_signed(&mut stones, interval.min);
                varint::encode_signed(&mut stones, interval.max);
            }
        }
        let checksum = crc32c(&stones).to_be_bytes();
        [&MAGIC[..], &[VERSION], &stones, &checksum].concat()
    }

    /// The deleted intervals of a series.
    #[must_use]
    pub fn of(&self, series: SeriesRef) -> Intervals<'_> {
        self.series.binary_search_by_key(&series, |s| s.0).map_or(Intervals::default(), |i| self.nth(i))
    }

    /// All series with deleted intervals, ascending by reference.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (SeriesRef, Intervals<'_>)> {
        self.series.iter().enumerate().map(|(i, (series, _))| (*series, self.nth(i)))
    }

    /// Number of intervals of all series.
    #[must_use]
    pub fn len(&self) -> usize {
        self.intervals.len()
    }

    /// Whether nothing is deleted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.intervals.is_empty()
    }

    fn nth(&self, i: usize) -> Intervals<'_> {
        let end_of = |i: usize| self.series.get(i).map(|s| s.1);
        let start = i.checked_sub(1).and_then(end_of).unwrap_or(0);
        Intervals(end_of(i).and_then(|end| self.intervals.get(start..end)).unwrap_or_default())
    }
}

/// Sorts and merges: intervals of a series that overlap or adjoin become one; reversed intervals hold no timestamp and
/// are dropped.
impl FromIterator<(SeriesRef, Interval)> for Tombstones {
    fn from_iter<I: IntoIterator<Item = (SeriesRef, Interval)>>(stones: I) -> Self {
        let mut stones: Vec<_> = stones.into_iter().filter(|(_, interval)| interval.min <= interval.max).collect();
        stones.sort_unstable();
        let mut merged = Self::default();
        for (series, interval) in stones {
            let same_series = merged.series.last().is_some_and(|last| last.0 == series);
            if let Some(last) = merged.intervals.last_mut().filter(|_| same_series)
                && interval.min <= last.max.saturating_add(1)
            {
                last.max = last.max.max(interval.max);
                continue;
            }
            merged.intervals.push(interval);
            let end = merged.intervals.len();
            match merged.series.last_mut().filter(|_| same_series) {
                Some(last) => last.1 = end,
                None => merged.series.push((series, end)),
            }
        }
        merged
    }
}

/// CRC-32C (Castagnoli), the checksum of all of a block's files.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stones(of: &[(u64, i64, i64)]) -> Tombstones {
        of.iter().map(|&(series, min, max)| (SeriesRef(series), Interval { min, max })).collect()
    }

    fn decode(bytes: &[u8]) -> Result<Tombstones> {
        Tombstones::decode("b", bytes)
    }

    /// As Prometheus writes a block without tombstones.
    const EMPTY: [u8; 9] = [0x01, 0x30, 0xba, 0x30, 1, 0, 0, 0, 0];

    #[test]
    fn empty_file() {
        assert_eq!(Tombstones::default().encode(), EMPTY);
        assert!(decode(&EMPTY).unwrap().is_empty());
    }

    #[test]
    fn merges() {
        let t = stones(&[(7, 10, 20), (3, 5, 5), (7, 21, 30), (7, 40, 50), (7, 15, 18), (3, 9, 8), (7, 32, 33)]);
        assert_eq!(t.iter().map(|(s, i)| (s.0, i.as_slice().len())).collect::<Vec<_>>(), [(3, 1), (7, 3)]);
        let i = t.of(SeriesRef(7));
        assert!(i.contains(10) && i.contains(25) && i.contains(30) && !i.contains(31) && !i.contains(9));
        assert!(i.covers(10, 30) && !i.covers(10, 31) && !i.covers(9, 30) && !i.covers(30, 32));
        assert!(i.overlaps(31, 32) && !i.overlaps(31, 31) && i.overlaps(0, 10) && !i.overlaps(51, 99));
        assert!(t.of(SeriesRef(5)).is_empty());
        let all = stones(&[(1, i64::MIN, i64::MAX), (1, i64::MAX, i64::MAX), (1, i64::MIN, i64::MIN)]);
        assert_eq!(all.len(), 1);
        assert!(all.of(SeriesRef(1)).covers(i64::MIN, i64::MAX));
    }

    #[test]
    fn every_flip_and_truncation_is_an_error() {
        let bytes = stones(&[(3, 5, 5), (900, -1000, 1 << 40)]).encode();
        assert_eq!(decode(&bytes).unwrap().len(), 2);
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err());
        }
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bytes).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn bad_varints_behind_a_good_checksum() {
        for bad in [&[1][..], &[1, 2], &[1, 2, 0x80], &[0xff; 11], &[1, 2, 3, 0x80]] {
            let bytes = [&MAGIC[..], &[VERSION], bad, &crc32c(bad).to_be_bytes()].concat();
            let error = decode(&bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{bad:?}");
            assert!(error.to_string().contains("tombstones of block b, offset"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn round_trip_and_oracle(of in prop::collection::vec((0..4_u64, -20..20_i64, -20..20_i64), 0..30)) {
            let t = stones(&of);
            prop_assert_eq!(&decode(&t.encode()).unwrap(), &t);
            for series in 0..4 {
                let intervals = t.of(SeriesRef(series));
                let deleted = |x: i64| of.iter().any(|&(s, min, max)| s == series && min <= x && x <= max);
                for x in -22..22 {
                    prop_assert_eq!(intervals.contains(x), deleted(x));
                    for y in x..22 {
                        prop_assert_eq!(intervals.covers(x, y), (x..=y).all(deleted));
                        prop_assert_eq!(intervals.overlaps(x, y), (x..=y).any(deleted));
                    }
                }
                for pair in intervals.as_slice().windows(2) {
                    prop_assert!(pair[0].max + 1 < pair[1].min);
                }
            }
        }
    }
}
