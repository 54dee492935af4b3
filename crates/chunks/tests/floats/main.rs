//! XOR and XOR2 against chunks written by Prometheus, against a naive decoder, and against damage.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod columns;
mod damage;
mod golden;
mod naive;
mod properties;

use prometheus_chunks::{Encoding, Result, Xor2Decoder, Xor2Encoder, XorDecoder, XorEncoder};

/// A sample with the bits of its value, so that NaNs compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Sample {
    timestamp: i64,
    bits: u64,
    start: i64,
}

fn encode(encoding: Encoding, samples: &[Sample]) -> Vec<u8> {
    match encoding {
        Encoding::Xor => {
            let mut chunk = XorEncoder::new();
            for s in samples {
                chunk.push(s.timestamp, f64::from_bits(s.bits)).unwrap();
            }
            assert_eq!(usize::from(chunk.sample_count()), samples.len());
            chunk.into_bytes()
        }
        _ => {
            let mut chunk = Xor2Encoder::new();
            for s in samples {
                chunk.push(s.timestamp, f64::from_bits(s.bits), s.start).unwrap();
            }
            assert_eq!(usize::from(chunk.sample_count()), samples.len());
            chunk.into_bytes()
        }
    }
}

/// Decodes sample by sample.
fn stream(encoding: Encoding, data: &[u8]) -> Result<Vec<Sample>> {
    let mut samples = vec![];
    match encoding {
        Encoding::Xor => {
            let mut decoder = XorDecoder::new(data)?;
            while let Some((timestamp, value)) = decoder.next_sample()? {
                samples.push(Sample { timestamp, bits: value.to_bits(), start: 0 });
            }
            assert_eq!(decoder.remaining(), 0);
        }
        _ => {
            let mut decoder = Xor2Decoder::new(data)?;
            while let Some(s) = decoder.next_sample()? {
                samples.push(Sample { timestamp: s.timestamp, bits: s.value.to_bits(), start: s.start_timestamp });
            }
            assert_eq!(decoder.remaining(), 0);
        }
    }
    Ok(samples)
}

/// Decodes `first` samples one by one and the rest in bulk; checks that the bulk is appended to what is there.
fn bulk(encoding: Encoding, data: &[u8], first: usize) -> Result<Vec<Sample>> {
    let (mut timestamps, mut values, mut starts) = (vec![-7], vec![-7.0], vec![-7]);
    let mut samples = vec![];
    let result = match encoding {
        Encoding::Xor => {
            let mut decoder = XorDecoder::new(data)?;
            for (timestamp, value) in
                (0..first).map_while(|_| decoder.next_sample().transpose()).collect::<Result<Vec<_>>>()?
            {
                samples.push(Sample { timestamp, bits: value.to_bits(), start: 0 });
            }
            let result = decoder.decode_into(&mut timestamps, &mut values);
            assert_eq!(decoder.remaining(), 0);
            starts.resize(timestamps.len(), 0);
            result
        }
        _ => {
            let mut decoder = Xor2Decoder::new(data)?;
            for s in (0..first).map_while(|_| decoder.next_sample().transpose()).collect::<Result<Vec<_>>>()? {
                samples.push(Sample { timestamp: s.timestamp, bits: s.value.to_bits(), start: s.start_timestamp });
            }
            let (mut again, mut timestamps_again, mut values_again) = (decoder.clone(), vec![], vec![]);
            let result = decoder.decode_with_starts_into(&mut timestamps, &mut values, &mut starts);
            assert_eq!(decoder.remaining(), 0);
            if again.decode_into(&mut timestamps_again, &mut values_again).is_ok() {
                assert_eq!(timestamps_again, timestamps[1..]);
                assert!(values_again.iter().zip(&values[1..]).all(|(a, b)| a.to_bits() == b.to_bits()));
            } else {
                assert!(result.is_err());
            }
            result
        }
    };
    assert_eq!((timestamps[0], values[0], starts[0]), (-7, -7.0, -7));
    assert!(timestamps.len() == values.len() && values.len() == starts.len());
    if let Err(error) = result {
        assert_eq!(timestamps.len(), 1, "an error leaves the vectors as they were");
        return Err(error);
    }
    for ((&timestamp, value), &start) in timestamps.iter().zip(&values).zip(&starts).skip(1) {
        samples.push(Sample { timestamp, bits: value.to_bits(), start });
    }
    Ok(samples)
}
