//! Any samples come back; all ways of decoding agree on any bytes.

use prometheus_chunks::{Encoding, ErrorKind, Xor2Encoder, XorEncoder};
use prometheus_model::STALE_NAN_BITS;
use proptest::prelude::*;

use crate::{Sample, bulk, encode, naive, stream};

/// Differences to the sample before, small ones as often as large ones.
fn difference() -> impl Strategy<Value = i64> {
    prop_oneof![4 => Just(0), 4 => (any::<i64>(), 0_u32..64).prop_map(|(d, s)| d >> s)]
}

pub(crate) fn samples(max: usize) -> impl Strategy<Value = Vec<Sample>> {
    let value = prop_oneof![
        3 => Just(None),
        1 => Just(Some(STALE_NAN_BITS)),
        2 => any::<u64>().prop_map(Some),
        2 => (0_u32..100).prop_map(|v| Some(f64::from(v).to_bits())),
        2 => (any::<u64>(), 0_u32..64, 0_u32..64).prop_map(|(v, a, b)| Some(v >> a << b)),
    ];
    let steps = prop::collection::vec((difference(), value, prop_oneof![3 => Just(0), 1 => difference()]), 0..max);
    (any::<i64>(), steps).prop_map(|(mut delta, steps)| {
        let (mut timestamp, mut bits, mut start) = (0_i64, 0, 0_i64);
        steps
            .into_iter()
            .map(|(dod, value, change)| {
                delta = delta.wrapping_add(dod);
                timestamp = timestamp.wrapping_add(delta);
                bits = value.unwrap_or(bits);
                start = start.wrapping_add(change);
                Sample { timestamp, bits, start }
            })
            .collect()
    })
}

fn agree(encoding: Encoding, data: &[u8]) -> Result<(), TestCaseError> {
    match naive::decode(encoding, data) {
        Some(samples) => {
            prop_assert_eq!(stream(encoding, data).unwrap(), samples.clone());
            for first in [0, 1, 2, 5] {
                prop_assert_eq!(bulk(encoding, data, first).unwrap(), samples.clone());
            }
        }
        None => {
            prop_assert_eq!(stream(encoding, data).unwrap_err().kind(), ErrorKind::Corrupt);
            for first in [0, 1, 2, 5] {
                prop_assert_eq!(bulk(encoding, data, first).unwrap_err().kind(), ErrorKind::Corrupt);
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn xor_round_trip(mut samples in samples(200)) {
        samples.iter_mut().for_each(|s| s.start = 0);
        let data = encode(Encoding::Xor, &samples);
        prop_assert_eq!(stream(Encoding::Xor, &data).unwrap(), samples);
        agree(Encoding::Xor, &data)?;
    }

    #[test]
    fn xor2_round_trip(samples in samples(200)) {
        let data = encode(Encoding::Xor2, &samples);
        prop_assert_eq!(stream(Encoding::Xor2, &data).unwrap(), samples);
        agree(Encoding::Xor2, &data)?;
    }

    #[test]
    fn any_bytes(count in 0_u16..40, starts in any::<u8>(), data in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut chunk = count.to_be_bytes().to_vec();
        chunk.push(starts);
        chunk.extend(data);
        agree(Encoding::Xor, &chunk)?;
        agree(Encoding::Xor2, &chunk)?;
    }
}

/// Words are loaded at bytes, so that a field may or may not be inside depending on the offset in a byte.
#[test]
fn every_width_at_every_offset_in_a_byte() {
    for width in 1..=64_u32 {
        let window = u64::MAX >> (64 - width) << ((64 - width) / 2);
        let (mut timestamp, mut bits) = (0, 0);
        let samples: Vec<Sample> = (0..200)
            .map(|i: i64| {
                // Differences of every length, at intervals that are no power of two.
                timestamp +=
                    1000 + i64::from(i % 3 == 0) + i64::from(i % 17 == 0) * 10_000 + i64::from(i % 23 == 0) * 100_000;
                bits ^= if i % 7 == 0 { 0 } else { window };
                Sample { timestamp, bits, start: 0 }
            })
            .collect();
        for encoding in [Encoding::Xor, Encoding::Xor2] {
            let data = encode(encoding, &samples);
            assert_eq!(naive::decode(encoding, &data).as_ref(), Some(&samples), "{width} bits");
            assert_eq!(stream(encoding, &data).unwrap(), samples, "{width} bits");
            assert_eq!(bulk(encoding, &data, 0).unwrap(), samples, "{width} bits");
        }
    }
}

#[test]
fn full_chunks() {
    let (mut xor, mut xor2) = (XorEncoder::new(), Xor2Encoder::new());
    for i in 0..65535 {
        xor.push(i, 1.0).unwrap();
        xor2.push(i, 1.0, 5).unwrap();
    }
    let (xor_bytes, xor2_bytes) = (xor.bytes().to_vec(), xor2.bytes().to_vec());
    assert_eq!(xor.push(65535, 1.0).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(xor2.push(65535, 1.0, 5).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!((xor.bytes(), xor2.bytes()), (&xor_bytes[..], &xor2_bytes[..]));
    assert_eq!(bulk(Encoding::Xor, &xor_bytes, 0).unwrap().len(), 65535);
    let samples = bulk(Encoding::Xor2, &xor2_bytes, 0).unwrap();
    assert!(samples.len() == 65535 && samples.iter().all(|s| s.start == 5));
}

#[test]
fn cleared_encoders_start_again() {
    let (mut xor, mut xor2) = (XorEncoder::new(), Xor2Encoder::new());
    let fresh = (
        encode(Encoding::Xor, &[Sample { timestamp: 1, bits: 2, start: 0 }]),
        encode(Encoding::Xor2, &[Sample { timestamp: 1, bits: 2, start: 3 }]),
    );
    for i in 0..10 {
        xor.push(i * i, i as f64).unwrap();
        xor2.push(i * i, i as f64, i).unwrap();
    }
    xor.clear();
    xor2.clear();
    assert_eq!((xor.sample_count(), xor2.sample_count()), (0, 0));
    assert_eq!((xor.bytes(), xor2.bytes()), (&[0, 0][..], &[0, 0, 0][..]));
    xor.push(1, f64::from_bits(2)).unwrap();
    xor2.push(1, f64::from_bits(2), 3).unwrap();
    assert_eq!((xor.into_bytes(), xor2.into_bytes()), fresh);
}
