//! What the key/value metadata of both files say: how time maps to data columns.

use std::{num::NonZeroU64, ops::RangeInclusive};

use prometheus_model::{TimeRange, TimestampMs};

use crate::{
    day::{self, Day},
    error::{Error, Inner},
};

/// Name of the root of the labels file's schema. Readers ignore it; Go writers use it for compressed files.
pub const LABELS_SCHEMA_ROOT: &str = "compressed";
/// Name of the root of the chunks file's schema.
pub const CHUNKS_SCHEMA_ROOT: &str = "compressed";

const DURATION_KEY: &str = "data_col_duration_ms";
const MIN_TIME_KEY: &str = "minT";
const MAX_TIME_KEY: &str = "maxT";

/// How time maps to the columns `s_data_0`, `s_data_1`, …: column `i` holds `[min + i·duration, min + (i+1)·duration)`.
///
/// The last timestamp is inclusive. `parquet-common` hands a block's exclusive `maxTime` down unchanged, so that its
/// files may end in a column that no sample can be in; ours never do.
///
/// Those of a [`Day`] hold the chunks that begin in their time, and may reach into the next ones'.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DataColumns {
    min_time: TimestampMs,
    max_time: TimestampMs,
    duration_ms: NonZeroU64,
    of_day: bool,
}

impl DataColumns {
    /// Columns of `duration_ms` milliseconds for all of `range`.
    ///
    /// # Errors
    /// If the range would need more than `u32::MAX` columns.
    pub fn new(range: TimeRange, duration_ms: NonZeroU64) -> Result<Self, Error> {
        Self::checked(range.start(), range.last(), duration_ms.get().try_into().unwrap_or(i64::MAX))
    }

    fn checked(min_time: TimestampMs, max_time: TimestampMs, duration_ms: i64) -> Result<Self, Error> {
        let error = |problem| Inner::DataColumns { min_time, max_time, duration_ms, problem }.into();
        let duration = u64::try_from(duration_ms).ok().and_then(NonZeroU64::new);
        let duration_ms = duration.ok_or_else(|| error("the duration must be positive"))?;
        if max_time < min_time {
            return Err(error("the last time is before the first"));
        }
        if max_time.abs_diff(min_time) / duration_ms >= u64::from(u32::MAX) {
            return Err(error("more than 2^32 - 1 columns"));
        }
        Ok(Self { min_time, max_time, duration_ms, of_day: false })
    }

    /// The three columns of a day.
    #[must_use]
    pub fn of_day(day: Day) -> Self {
        let duration_ms = NonZeroU64::new(day::COLUMN_MS).unwrap_or(NonZeroU64::MIN);
        Self { min_time: day.start(), max_time: day.last(), duration_ms, of_day: true }
    }

    /// Reads the key/value metadata of either file.
    ///
    /// # Errors
    /// If a key is missing, is no number, or the three make no sense together.
    pub fn from_metadata<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Error> {
        let (mut min, mut max, mut duration) = (None, None, None);
        for (key, value) in pairs {
            match key {
                MIN_TIME_KEY => min = Some(value),
                MAX_TIME_KEY => max = Some(value),
                DURATION_KEY => duration = Some(value),
                _ => {}
            }
        }
        let number = |key, value: Option<&str>| {
            let error = |found: &str| Inner::Footer { key, expected: "a decimal number", found: found.to_owned() };
            let text = value.ok_or_else(|| error("no such key"))?;
            text.parse::<i64>().map_err(|_| error(&format!("{:?}", text.chars().take(40).collect::<String>())))
        };
        Self::checked(number(MIN_TIME_KEY, min)?, number(MAX_TIME_KEY, max)?, number(DURATION_KEY, duration)?)
    }

    /// Whether this key of the key/value metadata is one of those that say how time maps to columns.
    #[must_use]
    pub fn is_key(key: &str) -> bool {
        matches!(key, MIN_TIME_KEY | MAX_TIME_KEY | DURATION_KEY)
    }

    /// The key/value metadata that both files carry, in the order in which they are written.
    #[must_use]
    pub fn to_metadata(self) -> [(&'static str, String); 3] {
        [
            (DURATION_KEY, self.duration_ms.to_string()),
            (MAX_TIME_KEY, self.max_time.to_string()),
            (MIN_TIME_KEY, self.min_time.to_string()),
        ]
    }

    /// First timestamp that any column can hold.
    #[must_use]
    pub const fn min_time(self) -> TimestampMs {
        self.min_time
    }

    /// Last timestamp that the shard was written for, inclusive.
    #[must_use]
    pub const fn max_time(self) -> TimestampMs {
        self.max_time
    }

    /// Milliseconds that each column covers.
    #[must_use]
    pub const fn duration_ms(self) -> NonZeroU64 {
        self.duration_ms
    }

    /// How many columns there are; at least one.
    #[must_use]
    pub fn count(self) -> u32 {
        if self.of_day {
            return day::COLUMNS;
        }
        self.index_of(self.max_time).saturating_add(1)
    }

    /// The column that holds timestamp `t`; times outside the shard fall into its first or last column.
    #[must_use]
    pub fn index_of(self, t: TimestampMs) -> u32 {
        if t <= self.min_time {
            return 0;
        }
        let t = t.min(self.max_time);
        let index = u32::try_from(t.abs_diff(self.min_time) / self.duration_ms).unwrap_or(u32::MAX);
        // A day's last millisecond is the next one's first.
        if self.of_day { index.min(day::COLUMNS.saturating_sub(1)) } else { index }
    }

    /// The columns that may hold samples of `range`.
    #[must_use]
    pub fn holding(self, range: TimeRange) -> RangeInclusive<u32> {
        // Nothing says how far chunks reach.
        let first = if self.of_day { 0 } else { self.index_of(range.start()) };
        first..=self.index_of(range.last())
    }

    /// The time that column `index` covers; the last one may end after [`Self::max_time`]. `None` past the last.
    #[must_use]
    pub fn range_of(self, index: u32) -> Option<TimeRange> {
        if index >= self.count() {
            return None;
        }
        let after = u64::from(index).checked_mul(self.duration_ms.get())?;
        let start = self.min_time.checked_add_unsigned(after)?;
        TimeRange::new(start, start.saturating_add_unsigned(self.duration_ms.get())).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600_000;

    fn columns(start: i64, end: i64, duration: i64) -> DataColumns {
        DataColumns::new(TimeRange::new(start, end).unwrap(), NonZeroU64::new(duration as u64).unwrap()).unwrap()
    }

    #[test]
    fn a_day_has_three_columns_not_four() {
        let c = columns(0, 24 * HOUR, 8 * HOUR);
        assert_eq!(c.count(), 3);
        assert_eq!(
            (c.index_of(-5), c.index_of(8 * HOUR - 1), c.index_of(8 * HOUR), c.index_of(99 * HOUR)),
            (0, 0, 1, 2)
        );
        // What the Go library writes for the same block.
        let go =
            DataColumns::from_metadata([("minT", "0"), ("maxT", "86400000"), ("data_col_duration_ms", "28800000")]);
        assert_eq!(go.unwrap().count(), 4);
    }

    #[test]
    fn metadata_round_trips_and_refuses_nonsense() {
        let c = columns(1_735_689_602_884, 1_735_696_799_168, 8 * HOUR);
        let md = c.to_metadata();
        assert_eq!(DataColumns::from_metadata(md.iter().map(|(k, v)| (*k, v.as_str()))).unwrap(), c);
        let read = |min, max, dur| {
            DataColumns::from_metadata([("minT", min), ("maxT", max), ("data_col_duration_ms", dur)])
                .unwrap_err()
                .to_string()
        };
        assert_eq!(read("x", "1", "1"), r#"footer key "minT": expected a decimal number, found "x""#);
        assert!(read("5", "4", "1").contains("before the first"));
        assert!(read("5", "6", "0").contains("must be positive"));
        assert!(read("-9223372036854775808", "9223372036854775807", "1").contains("columns"));
        let missing = DataColumns::from_metadata([("minT", "1"), ("maxT", "1")]).unwrap_err().to_string();
        assert!(missing.contains("data_col_duration_ms") && missing.contains("no such key"));
    }

    #[test]
    fn a_chunk_may_begin_before_the_range_and_the_last_sample_of_a_day_is_in_its_first_column() {
        let start = 5 * day::DAY_MS;
        let day = DataColumns::of_day(Day::new(2, start).unwrap());
        assert_eq!((day.count(), day.min_time(), day.max_time()), (3, start, start + 24 * HOUR));
        let holding = |from: i64, to: i64| day.holding(TimeRange::new(start + from * HOUR, start + to * HOUR).unwrap());
        assert_eq!(holding(0, 1), 0..=0);
        assert_eq!(holding(9, 10), 0..=1);
        assert_eq!(holding(23, 24), 0..=2);
        assert_eq!(holding(24, 25), 0..=2);
        assert_eq!(columns(0, 24 * HOUR, 8 * HOUR).holding(TimeRange::new(9 * HOUR, 17 * HOUR).unwrap()), 1..=2);
    }

    proptest! {
        #[test]
        fn every_time_is_in_the_range_of_its_column(start: i32, len in 1_i64..i64::from(u32::MAX), dur in 1_i64..1 << 40, at in 0.0..1.0) {
            let start = i64::from(start);
            let c = columns(start, start + len, dur);
            let t = start + (len as f64 * at) as i64;
            prop_assert!(c.range_of(c.index_of(t)).unwrap().contains(t));
            prop_assert!(c.range_of(c.count()).is_none());
            // the oracle: the loop of the Go library
            if len / dur < 10_000 {
                let mut n = 0;
                let mut i = start;
                while i <= c.max_time() { n += 1; i += dur; }
                prop_assert_eq!(n, c.count());
            }
        }
    }
}
