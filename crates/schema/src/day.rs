//! How `thanos-parquet-gateway` lays out a bucket: a stream is what has the same external labels, and each of its days
//! (UTC) is a shard set.
//!
//! ```text
//! <hash>/stream.pb                              external labels; <hash> is theirs, decimal
//! <hash>/<YYYY-MM-DD>/meta.pb                   written after all shards of the day
//! <hash>/<YYYY-MM-DD>/<n>.labels.parquet, <n>.chunks.parquet
//! <hash>/<YYYY-MM-DD>/deletion-marker.pb        that it is there counts
//! ```
//!
//! The stream without external labels has the hash 0. Its `meta.pb` lies in `<YYYY-MM-DD>/`, the other files do in
//! `0/<YYYY-MM-DD>/`; older ones are all without the `0/`. It needs no `stream.pb`.

use std::collections::BTreeMap;

use prometheus_model::{Labels, TimestampMs};
use prost::Message as _;
use xxhash_rust::xxh64::Xxh64;

use crate::error::{Error, Inner};

/// Name of a day's description.
pub const META_FILE: &str = "meta.pb";
/// Name of a stream's description.
pub const STREAM_FILE: &str = "stream.pb";
/// Name of the mark of a day that is about to be deleted.
pub const DELETION_MARK_FILE: &str = "deletion-marker.pb";
/// No description of a day is longer. Old ones list the columns of each metric.
pub const MAX_META_BYTES: u64 = 16 << 20;
/// No description of a stream is longer.
pub const MAX_STREAM_BYTES: u64 = 1 << 20;

/// Milliseconds of a day.
pub const DAY_MS: i64 = 24 * 3_600_000;
/// Milliseconds that a data column covers.
pub(crate) const COLUMN_MS: u64 = 8 * 3_600_000;
/// Data columns of a day.
pub(crate) const COLUMNS: u32 = 3;

/// What the files of a day do not say of themselves.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Day {
    version: u32,
    start: TimestampMs,
}

impl Day {
    /// The day that begins at `start`, in version 0, 1 or 2 of the layout.
    ///
    /// Version 0 has neither row indexes nor hashes, version 1 has no hashes.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for another version, [`Invalid`](crate::ErrorKind::Invalid) if no day
    /// begins there.
    pub fn new(version: i64, start: TimestampMs) -> Result<Self, Error> {
        let error = Inner::DayVersion { version };
        let version = u32::try_from(version).ok().filter(|version| *version <= 2).ok_or(error)?;
        let is_day = start.checked_rem(DAY_MS) == Some(0) && start.checked_add(DAY_MS).is_some();
        if is_day { Ok(Self { version, start }) } else { Err(Inner::DayStart { start }.into()) }
    }

    /// Version of the layout.
    #[must_use]
    pub const fn version(self) -> u32 {
        self.version
    }

    /// First millisecond.
    #[must_use]
    pub const fn start(self) -> TimestampMs {
        self.start
    }

    /// Last millisecond that it may have samples of: the first of the next day.
    #[must_use]
    pub const fn last(self) -> TimestampMs {
        self.start.saturating_add(DAY_MS)
    }
}

/// What `meta.pb` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DayMeta {
    /// Version and time.
    pub day: Day,
    /// How many shards there are; at least one.
    pub shards: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Metadata {
    #[prost(int64, tag = "1")]
    mint: i64,
    #[prost(int64, tag = "2")]
    maxt: i64,
    #[prost(int64, tag = "3")]
    shards: i64,
    // 4: columns of each metric, in version 0. The columns themselves tell which rows use them.
    #[prost(int64, tag = "5")]
    version: i64,
    // 6: ULIDs of the blocks that were converted.
}

#[derive(Clone, PartialEq, prost::Message)]
struct StreamDescriptor {
    #[prost(btree_map = "string, string", tag = "1")]
    external_labels: BTreeMap<String, String>,
}

impl DayMeta {
    /// Decodes `meta.pb` of the day that begins at `start`.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for an unknown version; [`Corrupt`](crate::ErrorKind::Corrupt) if it is
    /// none, or of another day, or of a number of shards that cannot be.
    pub fn decode(bytes: &[u8], start: TimestampMs) -> Result<Self, Error> {
        let meta = Metadata::decode(bytes).map_err(|source| Inner::Protobuf { what: "a day's description", source })?;
        let day = Day::new(meta.version, start)?;
        let corrupt = |what, expected: String, found: String| Error::from(Inner::Day { what, expected, found });
        if (meta.mint, meta.maxt) != (day.start(), day.last()) {
            let range = |from: i64, to: i64| format!("[{from}, {to}] ms");
            return Err(corrupt("times", range(day.start(), day.last()), range(meta.mint, meta.maxt)));
        }
        let shards = u32::try_from(meta.shards).ok().filter(|shards| *shards > 0);
        let shards = shards.ok_or_else(|| corrupt("shards", "one at least".into(), meta.shards.to_string()))?;
        Ok(Self { day, shards })
    }

    /// Encodes it, as thanos-parquet-gateway does, but for the blocks that it was made of.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let (mint, maxt) = (self.day.start(), self.day.last());
        Metadata { mint, maxt, shards: self.shards.into(), version: self.day.version().into() }.encode_to_vec()
    }
}

/// The external labels in `stream.pb` of the stream `hash`.
///
/// # Errors
/// [`Corrupt`](crate::ErrorKind::Corrupt) if it is none, or the labels have another hash.
pub fn external_labels(bytes: &[u8], hash: u64) -> Result<Labels, Error> {
    let descriptor =
        StreamDescriptor::decode(bytes).map_err(|source| Inner::Protobuf { what: "a stream's description", source })?;
    let corrupt =
        |expected: String, found: String| Error::from(Inner::Day { what: "external labels", expected, found });
    let pairs = || descriptor.external_labels.iter().map(|(name, value)| (&**name, &**value));
    let labels = Labels::from_pairs(pairs()).map_err(|e| corrupt("a label set".into(), e.to_string()))?;
    let found = stream_hash(pairs());
    if found == hash {
        Ok(labels)
    } else {
        Err(corrupt(format!("labels with the hash {hash}, as the directory is called"), format!("{labels}: {found}")))
    }
}

/// `stream.pb` for these external labels.
#[must_use]
pub fn encode_external_labels(labels: &Labels) -> Vec<u8> {
    let external_labels = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    StreamDescriptor { external_labels }.encode_to_vec()
}

/// The hash that a stream's directory is called by: XXH64 of names and values, nothing between them, in order of names;
/// 0 without labels.
#[must_use]
pub fn stream_hash<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> u64 {
    let mut labels = labels.into_iter().peekable();
    if labels.peek().is_none() {
        return 0;
    }
    let mut hash = Xxh64::new(0);
    for (name, value) in labels {
        hash.update(name.as_bytes());
        hash.update(value.as_bytes());
    }
    hash.digest()
}

/// The hash that a directory is called by.
#[must_use]
pub fn stream_of_directory(name: &str) -> Option<u64> {
    name.parse().ok().filter(|hash: &u64| hash.to_string() == name)
}

/// When the day begins that a directory is called by: `YYYY-MM-DD`, month and day with one digit or two.
///
/// ```
/// use promparquet_schema::day::start_of_directory;
/// assert_eq!(start_of_directory("1970-01-02"), Some(24 * 3_600_000));
/// assert_eq!(start_of_directory("2023-02-29"), None);
/// ```
#[must_use]
pub fn start_of_directory(name: &str) -> Option<TimestampMs> {
    let mut parts = name.split('-');
    let mut number = |lengths: &[usize]| {
        let text = parts.next().filter(|text| lengths.contains(&text.len()))?;
        text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i64>().ok())?
    };
    let (year, month, day) = (number(&[4])?, number(&[1, 2])?, number(&[1, 2])?);
    if parts.next().is_some() || !(1..=12).contains(&month) || day < 1 {
        return None;
    }
    let start = days_to(year, month)?;
    let next = if month == 12 { days_to(year.checked_add(1)?, 1)? } else { days_to(year, month.checked_add(1)?)? };
    let days = start.checked_add(day.checked_sub(1)?).filter(|days| *days < next)?;
    days.checked_mul(DAY_MS)
}

/// Days from 1970 to the first of a month of the Gregorian calendar, from the year 0 on.
fn days_to(year: i64, month: i64) -> Option<i64> {
    // Years begin in March, so that leap days are their last.
    let (year, month) =
        if month > 2 { (year, month.checked_sub(3)?) } else { (year.checked_sub(1)?, month.checked_add(9)?) };
    let leap_days = year.div_euclid(4).checked_sub(year.div_euclid(100))?.checked_add(year.div_euclid(400))?;
    let months = month.checked_mul(153)?.checked_add(2)? / 5;
    // From the first of March of the year 0.
    year.checked_mul(365)?.checked_add(leap_days)?.checked_add(months)?.checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ErrorKind;

    #[test]
    fn days_are_those_of_the_calendar() {
        let (mut year, mut month, mut day) = (0, 1, 1);
        for n in -719_528_i64..=2_932_896 {
            if n % 97 == 0 || day > 27 {
                assert_eq!(start_of_directory(&format!("{year:04}-{month:02}-{day:02}")), Some(n * DAY_MS));
            }
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
            day += 1;
            if day > length {
                let no_day = format!("{year:04}-{month:02}-{day:02}");
                assert_eq!(start_of_directory(&no_day), None, "{no_day}");
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
        assert_eq!((year, month, day), (10_000, 1, 1));
        assert_eq!(start_of_directory("2025-1-2"), start_of_directory("2025-01-02"));
        for no in ["", "2025-01", "2025-01-02-03", "025-01-01", "2025-13-01", "2025-00-01", "2025-01-00", "+025-01-01"]
        {
            assert_eq!(start_of_directory(no), None, "{no:?}");
        }
    }

    #[test]
    fn streams_are_called_by_their_labels() {
        assert_eq!(stream_hash([]), 0);
        assert_eq!(stream_hash([("foo", "bar")]), xxhash_rust::xxh64::xxh64(b"foobar", 0));
        let labels = Labels::from_pairs([("replica", "a"), ("cluster", "b")]).unwrap();
        let (bytes, hash) = (encode_external_labels(&labels), xxhash_rust::xxh64::xxh64(b"clusterbreplicaa", 0));
        assert_eq!(external_labels(&bytes, hash).unwrap(), labels);
        let error = external_labels(&bytes, 7).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("hash 7"), "{error}");
        assert_eq!(external_labels(&[], 0).unwrap(), Labels::default());
        assert!(external_labels(&[], 1).is_err() && external_labels(&[0xff], 0).is_err());
        assert_eq!(stream_of_directory("17"), Some(17));
        for no in ["", "017", "-1", "+1", "18446744073709551616", "1a"] {
            assert_eq!(stream_of_directory(no), None, "{no:?}");
        }
    }

    #[test]
    fn metas_are_of_their_day_and_of_a_known_version() {
        let meta = |version, shards, mint| {
            let day = Metadata { mint, maxt: mint + DAY_MS, shards, version };
            DayMeta::decode(&day.encode_to_vec(), 3 * DAY_MS)
        };
        for version in 0..3 {
            let found = meta(version, 2, 3 * DAY_MS).unwrap();
            assert_eq!((found.shards, i64::from(found.day.version())), (2, version));
            assert_eq!(DayMeta::decode(&found.encode(), 3 * DAY_MS).unwrap(), found);
        }
        let error = meta(3, 2, 3 * DAY_MS).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("version 3"), "{error}");
        for (shards, mint) in [(0, 3), (-1, 3), (1 << 40, 3), (1, 4)] {
            assert_eq!(meta(0, shards, mint * DAY_MS).unwrap_err().kind(), ErrorKind::Corrupt);
        }
        assert_eq!(DayMeta::decode(b"\xff", 0).unwrap_err().kind(), ErrorKind::Corrupt);
        // Fields that this does not read: the columns of a metric, and a block.
        let mut bytes = meta(1, 2, 3 * DAY_MS).unwrap().encode();
        bytes.extend(b"\x22\x0a\x0a\x02up\x12\x04\x0a\x02ab\x32\x01x");
        assert_eq!(DayMeta::decode(&bytes, 3 * DAY_MS).unwrap().shards, 2);
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes: Vec<u8>, hash: u64) {
            let _ = DayMeta::decode(&bytes, 0);
            let _ = external_labels(&bytes, hash);
            let _ = start_of_directory(&String::from_utf8_lossy(&bytes));
        }
    }
}
