//! The file `tombstones`.
//!
//! ```text
//! input = mode(u8) rest
//! mode  = 0: rest is the file; else: rest is its stones
//! ```
//!
//! Holds: what is read has intervals that ascend and do not touch, and is the same after it was written.

use prometheus_tsdb_block::{ErrorKind, Tombstones};

use crate::checksums::crc32c;

pub(crate) fn run(input: &[u8]) {
    let Some((&mode, rest)) = input.split_first() else { return };
    let framed = [b"\x01\x30\xba\x30\x01", rest, &crc32c(rest)].concat();
    let file = if mode == 0 { rest } else { &framed[..] };
    let stones = match Tombstones::decode("block", file) {
        Ok(stones) => stones,
        Err(error) => {
            assert!([ErrorKind::Corrupt, ErrorKind::Unsupported].contains(&error.kind()), "{error}");
            return;
        }
    };
    let (mut last, mut count) = (None, 0);
    for (series, intervals) in stones.iter() {
        assert!(last < Some(series));
        last = Some(series);
        assert!(!intervals.is_empty());
        assert_eq!(stones.of(series), intervals);
        let slice = intervals.as_slice();
        assert!(slice.array_windows().all(|[a, b]| a.max < b.min && b.min - 1 > a.max));
        for (i, interval) in slice.iter().enumerate().take(50) {
            assert!(interval.min <= interval.max);
            assert!(intervals.contains(interval.min) && intervals.contains(interval.max));
            assert!(intervals.covers(interval.min, interval.max) && intervals.overlaps(interval.min, interval.max));
            if let Some(before) = interval.min.checked_sub(1) {
                assert!(!intervals.contains(before) && !intervals.covers(before, interval.max));
            }
            if let Some(next) = slice.get(i + 1) {
                assert!(!intervals.overlaps(interval.max + 1, next.min - 1));
            }
        }
        count += slice.len();
    }
    assert_eq!((count, count == 0), (stones.len(), stones.is_empty()));
    let written = stones.encode();
    assert!(written.len() <= file.len());
    assert_eq!(Tombstones::decode("block", &written).ok().as_ref(), Some(&stones));
}
