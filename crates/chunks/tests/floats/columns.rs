//! Columns hold what the oracle finds, chunk after chunk, whole or within a range of time; errors leave them as they were.

use prometheus_chunks::{Encoding, ErrorKind, FloatColumns, decode_floats, decode_floats_in};
use prometheus_model::TimeRange;
use proptest::prelude::*;

use crate::{Sample, encode, naive, properties::samples};

/// What is in the columns; start timestamps are 0 if there are none.
fn contents(columns: &FloatColumns) -> Vec<Sample> {
    let len = columns.len();
    assert_eq!((columns.timestamps().len(), columns.values().len()), (len, len));
    assert_eq!(columns.is_empty(), len == 0);
    let starts = columns.start_timestamps().map_or_else(|| vec![0; len], <[i64]>::to_vec);
    assert_eq!(starts.len(), len);
    let samples = columns.timestamps().iter().zip(columns.values()).zip(&starts);
    samples.map(|((&timestamp, value), &start)| Sample { timestamp, bits: value.to_bits(), start }).collect()
}

/// The samples up to the first that is not before the range's end, but for those before its start.
fn inside(samples: &[Sample], range: TimeRange) -> Vec<Sample> {
    let before_end = samples.iter().take_while(|s| s.timestamp < range.end());
    before_end.filter(|s| s.timestamp >= range.start()).copied().collect()
}

fn without_starts(samples: &[Sample]) -> Vec<Sample> {
    samples.iter().map(|s| Sample { start: 0, ..*s }).collect()
}

/// Some chunk, damaged or not, and its encoding.
fn chunk() -> impl Strategy<Value = (Encoding, Vec<u8>)> {
    let encoding = prop_oneof![Just(Encoding::Xor), Just(Encoding::Xor2)];
    let damage = prop_oneof![4 => Just(None), 1 => any::<(prop::sample::Index, u8)>().prop_map(Some)];
    (encoding, samples(200), damage).prop_map(|(encoding, samples, damage)| {
        let mut data = encode(encoding, &samples);
        match damage {
            Some((at, 0..64)) => data.truncate(at.index(data.len())),
            Some((at, flips)) => {
                let at = at.index(data.len());
                data[at] ^= flips;
            }
            None => {}
        }
        (encoding, data)
    })
}

proptest! {
    #[test]
    fn chunk_after_chunk(chunks in prop::collection::vec(chunk(), 0..6)) {
        let (mut columns, mut with_starts) = (FloatColumns::new(), FloatColumns::with_start_timestamps());
        let mut expected = vec![];
        for (encoding, data) in &chunks {
            let results = [decode_floats(*encoding, data, &mut columns), decode_floats(*encoding, data, &mut with_starts)];
            match naive::decode(*encoding, data) {
                Some(samples) => {
                    prop_assert!(results.iter().all(Result::is_ok));
                    expected.extend(samples);
                }
                None => {
                    prop_assert!(results.into_iter().all(|r| r.is_err_and(|e| e.kind() == ErrorKind::Corrupt)));
                }
            }
            prop_assert_eq!(contents(&with_starts), expected.clone());
            prop_assert_eq!(contents(&columns), without_starts(&expected));
            prop_assert!(columns.start_timestamps().is_none());
        }
    }

    #[test]
    fn ranges(chunks in prop::collection::vec(chunk(), 1..4), start in any::<prop::sample::Index>(), end in any::<prop::sample::Index>()) {
        // Borders at, before and after samples, so that all lengths of what is left out occur.
        let times: Vec<i64> = chunks.iter().flat_map(|(e, d)| naive::decode(*e, d).unwrap_or_default())
            .flat_map(|s| [s.timestamp, s.timestamp.wrapping_add(1)]).chain([0, i64::MIN, i64::MAX]).collect();
        let (start, end) = (*start.get(&times), *end.get(&times));
        let Ok(range) = TimeRange::new(start.min(end), start.max(end)) else { return Ok(()) };
        let (mut columns, mut with_starts) = (FloatColumns::new(), FloatColumns::with_start_timestamps());
        let mut expected = vec![];
        for (encoding, data) in &chunks {
            let results = [
                decode_floats_in(*encoding, data, range, &mut columns),
                decode_floats_in(*encoding, data, range, &mut with_starts),
            ];
            match naive::decode(*encoding, data) {
                Some(samples) => {
                    prop_assert!(results.iter().all(Result::is_ok));
                    expected.extend(inside(&samples, range));
                }
                // Damage behind the range may or may not be found.
                None => if results.iter().all(Result::is_ok) {
                    expected = contents(&with_starts);
                } else {
                    prop_assert!(results.into_iter().all(|r| r.is_err_and(|e| e.kind() == ErrorKind::Corrupt)));
                }
            }
            prop_assert_eq!(contents(&with_starts), expected.clone());
            prop_assert_eq!(contents(&columns), without_starts(&expected));
        }
    }
}

fn sample(timestamp: i64, start: i64) -> Sample {
    Sample { timestamp, bits: 1.5_f64.to_bits(), start }
}

#[test]
fn start_timestamps_of_some_chunks() {
    let (without, with) = (vec![sample(1, 0), sample(2, 0)], vec![sample(3, 1), sample(4, 1)]);
    let mut columns = FloatColumns::with_start_timestamps();
    decode_floats(Encoding::Xor, &encode(Encoding::Xor, &without), &mut columns).unwrap();
    assert_eq!(columns.start_timestamps(), None);
    let chunk = encode(Encoding::Xor2, &with);
    decode_floats(Encoding::Xor2, &chunk[..chunk.len() - 1], &mut columns).unwrap_err();
    assert_eq!((columns.len(), columns.start_timestamps()), (2, None));
    decode_floats(Encoding::Xor2, &chunk, &mut columns).unwrap();
    decode_floats(Encoding::Xor, &encode(Encoding::Xor, &without), &mut columns).unwrap();
    columns.push(9, 1.5, 7);
    assert_eq!(columns.start_timestamps(), Some(&[0, 0, 1, 1, 0, 0, 7][..]));
    columns.truncate(3);
    assert_eq!(columns.clone().into_parts(), (vec![1, 2, 3], vec![1.5; 3], Some(vec![0, 0, 1])));
    columns.clear();
    assert_eq!(columns, FloatColumns::with_start_timestamps());
}

#[test]
fn a_range_ends_decoding() {
    let all: Vec<Sample> = (0..300).map(|i| sample(i * 10, 0)).collect();
    for encoding in [Encoding::Xor, Encoding::Xor2] {
        let data = encode(encoding, &all);
        for (start, end) in [(0, 1), (0, 3000), (5, 2000), (1500, 1501), (1501, 1509), (2990, i64::MAX), (-9, 0)] {
            let mut columns = FloatColumns::new();
            let range = TimeRange::new(start, end).unwrap();
            decode_floats_in(encoding, &data, range, &mut columns).unwrap();
            assert_eq!(contents(&columns), inside(&all, range));
        }
    }
}

#[test]
fn only_floats() {
    for encoding in Encoding::ALL.into_iter().filter(|e| !matches!(e, Encoding::Xor | Encoding::Xor2)) {
        let mut columns = FloatColumns::new();
        let errors = [
            decode_floats(encoding, &[0; 9], &mut columns).unwrap_err(),
            decode_floats_in(encoding, &[0; 9], TimeRange::ALL, &mut columns).unwrap_err(),
        ];
        assert!(errors.into_iter().all(|e| e.kind() == ErrorKind::Unsupported));
    }
}
