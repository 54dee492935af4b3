//! No bytes make a decoder panic, hang, or take memory out of proportion.

use std::time::{Duration, Instant};

use prometheus_chunks::{ErrorKind, Result};
use prometheus_model::{FloatHistogram, Histogram, Span};

use crate::{At, Kind, decode, encode};

/// Small chunks of every kind: positive and negative buckets, recoded, stale, custom bounds, start timestamps.
fn series(custom: bool) -> Vec<Option<At<Histogram>>> {
    let h = Histogram {
        schema: if custom { -53 } else { 2 },
        zero_threshold: 0.3,
        zero_count: 1,
        count: 20,
        sum: 1.1,
        positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 3, length: 1 }],
        positive_buckets: vec![3, -1, 4],
        negative_spans: vec![Span { offset: 1, length: 1 }],
        negative_buckets: vec![2],
        custom_values: if custom { vec![0.5, 1.0, 0.3, 7.0] } else { vec![] },
        ..Histogram::default()
    };
    let mut more = h.clone();
    (more.count, more.positive_buckets[2]) = (33, 9);
    more.positive_spans[1] = Span { offset: 2, length: 2 };
    more.positive_buckets.insert(2, -2);
    let stale = Histogram { sum: prometheus_model::stale_nan(), ..Histogram::default() };
    [(10, 3, h.clone()), (20, 3, h), (31, 19, more.clone()), (45, 19, more), (60, 0, stale)].map(Some).into()
}

fn float(h: &Histogram) -> FloatHistogram {
    let absolute = |deltas: &[i64]| {
        deltas.iter().scan(0, |sum, delta| Some((*sum += delta, f64::from(*sum as i32) / 3.0).1)).collect()
    };
    FloatHistogram {
        schema: h.schema,
        zero_threshold: h.zero_threshold,
        zero_count: h.zero_count as f64,
        count: h.count as f64,
        sum: h.sum,
        positive_spans: h.positive_spans.clone(),
        negative_spans: h.negative_spans.clone(),
        positive_buckets: absolute(&h.positive_buckets),
        negative_buckets: absolute(&h.negative_buckets),
        custom_values: h.custom_values.clone(),
        ..FloatHistogram::default()
    }
}

/// Decodes and checks that what came out is in proportion to what went in.
fn attempt<H: Kind>(encoding: prometheus_chunks::Encoding, data: &[u8]) -> Result<usize> {
    let samples = decode::<H>(encoding, data)?;
    assert!(samples.len() <= data.len() * 8);
    Ok(samples.len())
}

fn damage<H: Kind>(samples: &[Option<At<H>>]) {
    for encoding in H::ENCODINGS {
        let chunks = encode(encoding, samples).unwrap();
        assert_eq!(chunks.len(), 1, "the series is to fit into one chunk");
        let data = &chunks[0].data;
        assert!(data.len() < 400);
        assert_eq!(attempt::<H>(encoding, data).unwrap(), samples.len());
        for len in 0..data.len() {
            let error = attempt::<H>(encoding, &data[..len]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{len}: {error}");
        }
        let mut refused = 0;
        for bit in 0..data.len() * 8 {
            let mut damaged = data.clone();
            damaged[bit / 8] ^= 0x80 >> (bit % 8);
            refused += usize::from(attempt::<H>(encoding, &damaged).is_err());
            for len in (3..damaged.len()).step_by(7) {
                let _ = attempt::<H>(encoding, &damaged[..len]);
            }
        }
        assert!(refused > 0);
    }
}

#[test]
fn truncations_and_flipped_bits() {
    for custom in [false, true] {
        let samples = series(custom);
        damage(&samples);
        let floats: Vec<_> = samples.iter().map(|s| s.as_ref().map(|(t, st, h)| (*t, *st, float(h)))).collect();
        damage(&floats);
    }
}

/// Bits as text, in the order in which they are written.
fn chunk(header: [u8; 3], bits: &str, zeros: usize) -> Vec<u8> {
    let bits: Vec<u8> = bits.bytes().filter(|b| *b != b' ').map(|b| b - b'0').collect();
    let mut data = header.to_vec();
    data.extend(bits.chunks(8).map(|byte| byte.iter().enumerate().fold(0, |v, (i, bit)| v | bit << (7 - i))));
    data.resize(data.len() + zeros, 0);
    data
}

#[test]
fn hostile_lengths() {
    let begun = Instant::now();
    let length = |value: u64| format!("11111111 {value:064b}");
    // Zero threshold 0, schema 0, then: positive spans of one span, of all lengths, at offset 0; no negative ones.
    for (spans, text) in [
        (format!("10001 {} 0 0", length(u32::MAX.into())), "malformed spans"),
        (format!("10001 {} 10101 0", length(u32::MAX.into())), "malformed spans"),
        (format!("10001 {} 0 0", length(i32::MAX as u64)), "2147483647 buckets"),
        (format!("10001 {} 0 0", length(u64::MAX)), "does not fit into 32 bits"),
        (length(u64::MAX), "18446744073709551615 spans"),
        (length(1 << 62), "4611686018427387904 spans"),
        (format!("10001 0 {}", length(1 << 40)), "does not fit into 32 bits"),
        ("10010 0 0 10001 10101 0".to_owned(), "negative offset"),
    ] {
        let data = chunk([0, 1, 0], &format!("00000000 0 {spans}"), 1000);
        for error in [
            decode::<Histogram>(prometheus_chunks::Encoding::Histogram, &data).unwrap_err(),
            decode::<FloatHistogram>(prometheus_chunks::Encoding::FloatHistogram, &data).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(error.to_string().contains(text), "{error}");
        }
    }
    // Custom bounds, more than there are bits for.
    let schema = format!("1110 {:09b}", (1 << 9) - 53);
    let data = chunk([0, 1, 0], &format!("00000000 {schema} 0 0 {}", length(5000)), 1000);
    let error = decode::<Histogram>(prometheus_chunks::Encoding::Histogram, &data).unwrap_err();
    assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains("5000 custom bounds"), "{error}");
    // A layout of many empty spans that 65535 samples of four bits would repeat.
    let data = chunk([0xff, 0xff, 0], &format!("00000000 0 {}", length(100_000)), 100_000);
    let error = decode::<Histogram>(prometheus_chunks::Encoding::Histogram, &data).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
    // The same with one sample is fine: it has but those spans.
    let data = chunk([0, 1, 0], &format!("00000000 0 {}", length(100_000)), 100_000);
    let samples = decode::<Histogram>(prometheus_chunks::Encoding::Histogram, &data).unwrap();
    assert_eq!(samples[0].2.positive_spans.len(), 100_000);
    // An unknown schema.
    for schema in [-10, 53, -54_i32] {
        let data = chunk([0, 1, 0], &format!("00000000 1110 {:09b}", schema & 0x1ff), 100);
        let error = decode::<Histogram>(prometheus_chunks::Encoding::Histogram, &data).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains(&format!("schema {schema} ")), "{error}");
    }
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_chunk_of_another_kind() {
    use prometheus_chunks::{Encoding, HistogramDecoder, HistogramEncoder};
    for encoding in Encoding::ALL {
        let float = FloatHistogram::ENCODINGS.contains(&encoding);
        let integer = Histogram::ENCODINGS.contains(&encoding);
        assert_eq!(HistogramDecoder::<Histogram>::new(encoding, &[0; 3]).is_ok(), integer);
        assert_eq!(HistogramDecoder::<FloatHistogram>::new(encoding, &[0; 3]).is_ok(), float);
        assert_eq!(HistogramEncoder::<Histogram>::new(encoding).is_ok(), integer);
        assert_eq!(HistogramEncoder::<FloatHistogram>::new(encoding).is_ok(), float);
    }
}
