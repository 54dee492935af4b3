//! Every truncation and every flipped bit of small chunks: no panic, no endless loop, no memory out of proportion, and
//! the same answer as the oracle's.

use prometheus_chunks::{Encoding, ErrorKind};
use prometheus_model::STALE_NAN_BITS;

use crate::{Sample, bulk, encode, naive, stream};

/// Chunks that between them use every code.
fn chunks(encoding: Encoding) -> Vec<Vec<u8>> {
    let mut chunks = vec![];
    for seed in 0..6_u64 {
        let (mut timestamp, mut delta, mut bits, mut start) = (1_000_000, 15_000, 1.5_f64.to_bits(), 0);
        let samples: Vec<Sample> = (0..24_u64)
            .map(|i| {
                let turn = (i * 7 + seed * 5) % 11;
                delta += [0, 0, 3, -3, 5_000, 0, 40_000, 0, 300_000, 0, 5_000_000_000][turn as usize]
                    * (1 - 2 * (i as i64 % 2));
                timestamp += delta;
                match (i + seed) % 6 {
                    0 => bits = ((i * i) as f64).to_bits(),
                    1 => bits ^= 0x0001_0000,
                    2 => bits = STALE_NAN_BITS,
                    3 => bits = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
                    _ => {}
                }
                if seed % 2 == 1 && i % 4 == seed / 2 {
                    start = timestamp - 10;
                }
                Sample { timestamp, bits, start: if encoding == Encoding::Xor { 0 } else { start } }
            })
            .collect();
        let data = encode(encoding, &samples);
        assert_eq!(stream(encoding, &data).unwrap(), samples);
        chunks.push(data);
    }
    chunks
}

fn agree(encoding: Encoding, data: &[u8]) {
    let expected = naive::decode(encoding, data);
    for got in [stream(encoding, data), bulk(encoding, data, 0), bulk(encoding, data, 3)] {
        match (&expected, got) {
            (Some(expected), Ok(got)) => assert_eq!(*expected, got),
            (None, Err(error)) => assert_eq!(error.kind(), ErrorKind::Corrupt),
            (expected, got) => panic!("expected {expected:?}, got {got:?}"),
        }
    }
}

#[test]
fn truncated() {
    for encoding in [Encoding::Xor, Encoding::Xor2] {
        for data in chunks(encoding) {
            for len in 0..data.len() {
                let error = stream(encoding, &data[..len]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupt);
                assert!(error.to_string().contains("expected"), "{error}");
                agree(encoding, &data[..len]);
            }
        }
    }
}

#[test]
fn flipped_bits() {
    for encoding in [Encoding::Xor, Encoding::Xor2] {
        for mut data in chunks(encoding) {
            for bit in 0..data.len() * 8 {
                data[bit / 8] ^= 0x80 >> (bit % 8);
                agree(encoding, &data);
                data[bit / 8] ^= 0x80 >> (bit % 8);
            }
        }
    }
}

#[test]
fn what_follows_the_last_sample_is_ignored() {
    for encoding in [Encoding::Xor, Encoding::Xor2] {
        for data in chunks(encoding) {
            let longer = [&data[..], &[0xa5; 20]].concat();
            assert_eq!(stream(encoding, &longer).unwrap(), stream(encoding, &data).unwrap());
            assert_eq!(bulk(encoding, &longer, 0).unwrap(), bulk(encoding, &data, 0).unwrap());
        }
    }
}

#[test]
fn a_count_that_the_data_cannot_hold_reserves_nothing() {
    for encoding in [Encoding::Xor, Encoding::Xor2] {
        let mut data = encode(encoding, &[Sample { timestamp: 1, bits: 2, start: 0 }; 3]);
        data[..2].copy_from_slice(&[0xff, 0xff]);
        let error = bulk(encoding, &data, 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
}
