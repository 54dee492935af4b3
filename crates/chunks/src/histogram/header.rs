//! The three bytes in front of a histogram chunk's samples.

use prometheus_model::CounterResetHint;

use crate::{
    Encoding,
    encoding::ST_COUNT_MASK,
    error::{Repr, Result},
};

/// Length of the header.
pub(super) const HEADER_LEN: usize = 3;

/// The bits of the byte that say what is known of a counter reset.
const FLAGS: u8 = 0b1100_0000;

fn flags(hint: CounterResetHint) -> u8 {
    match hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::NotCounterReset => 0b0100_0000,
        CounterResetHint::CounterReset => 0b1000_0000,
        CounterResetHint::Gauge => FLAGS,
    }
}

/// Which byte holds the flags.
fn flags_at(encoding: Encoding) -> Result<usize> {
    match encoding {
        Encoding::Histogram | Encoding::FloatHistogram => Ok(2),
        Encoding::HistogramSt | Encoding::FloatHistogramSt => Ok(0),
        Encoding::Xor | Encoding::Xor2 | Encoding::Aggregate => {
            Err(Repr::UnsuitableEncoding { encoding: encoding.name(), expected: "a histogram encoding" }.into())
        }
    }
}

/// The header of a chunk; `st_header` is that of the start timestamps, which encodings without them ignore.
pub(super) fn header(encoding: Encoding, count: u16, hint: CounterResetHint, st_header: u8) -> [u8; HEADER_LEN] {
    let [high, low] = count.to_be_bytes();
    if encoding.keeps_start_timestamps() {
        debug_assert!(count <= ST_COUNT_MASK);
        [high & !FLAGS | flags(hint), low, st_header]
    } else {
        [high, low, flags(hint)]
    }
}

/// What a histogram chunk's header says of a counter reset before its first sample, without decoding the chunk.
///
/// [`CounterResetHint::Gauge`] holds for all samples of the chunk. Prometheus does not tell readers of the other values
/// but lets them compare, as it cannot know whether the chunk before is still the one that the writer saw.
///
/// # Errors
/// Corrupt if the data are shorter than the header; Unsupported if the encoding is not one of histograms.
pub fn counter_reset_header(encoding: Encoding, data: &[u8]) -> Result<CounterResetHint> {
    let at = flags_at(encoding)?;
    let header: &[u8; HEADER_LEN] =
        data.first_chunk().ok_or(Repr::ShortHeader { expected: HEADER_LEN, found: data.len() })?;
    Ok(match header.get(at).copied().unwrap_or(0) & FLAGS {
        0 => CounterResetHint::Unknown,
        0b0100_0000 => CounterResetHint::NotCounterReset,
        0b1000_0000 => CounterResetHint::CounterReset,
        _ => CounterResetHint::Gauge,
    })
}

/// Changes what a histogram chunk's header says of a counter reset, and nothing else.
///
/// Whoever passes a chunk on behind another predecessor sets it to [`CounterResetHint::Unknown`], unless it is
/// [`CounterResetHint::Gauge`]: that one says what the samples are, and is to stay.
///
/// # Errors
/// Corrupt if the data are shorter than the header; Unsupported if the encoding is not one of histograms.
pub fn set_counter_reset_header(encoding: Encoding, data: &mut [u8], hint: CounterResetHint) -> Result<()> {
    let at = flags_at(encoding)?;
    let found = data.len();
    let header: &mut [u8; HEADER_LEN] =
        data.first_chunk_mut().ok_or(Repr::ShortHeader { expected: HEADER_LEN, found })?;
    if let Some(byte) = header.get_mut(at) {
        *byte = *byte & !FLAGS | flags(hint);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, sample_count};

    const HINTS: [CounterResetHint; 4] = [
        CounterResetHint::Unknown,
        CounterResetHint::NotCounterReset,
        CounterResetHint::CounterReset,
        CounterResetHint::Gauge,
    ];

    #[test]
    fn flags_change_and_nothing_else() {
        for encoding in
            [Encoding::Histogram, Encoding::FloatHistogram, Encoding::HistogramSt, Encoding::FloatHistogramSt]
        {
            for hint in HINTS {
                let mut data = header(encoding, 0x1234, hint, 0x85).to_vec();
                data.push(0xff);
                assert_eq!(counter_reset_header(encoding, &data).unwrap(), hint);
                for other in HINTS {
                    set_counter_reset_header(encoding, &mut data, other).unwrap();
                    assert_eq!(counter_reset_header(encoding, &data).unwrap(), other);
                    assert_eq!(data[..3], header(encoding, 0x1234, other, 0x85));
                    assert_eq!(data[3], 0xff);
                    assert_eq!(sample_count(encoding, &data).unwrap(), 0x1234);
                }
            }
            assert_eq!(counter_reset_header(encoding, &[0, 0]).unwrap_err().kind(), ErrorKind::Corrupt);
        }
        assert_eq!(header(Encoding::Histogram, 1, CounterResetHint::CounterReset, 0x85), [0, 1, 0x80]);
        assert_eq!(header(Encoding::HistogramSt, 1, CounterResetHint::CounterReset, 0x85), [0x80, 1, 0x85]);
        assert_eq!(counter_reset_header(Encoding::Xor, &[0; 9]).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(
            set_counter_reset_header(Encoding::Xor2, &mut [0; 9], CounterResetHint::Unknown).unwrap_err().kind(),
            ErrorKind::Unsupported
        );
    }
}
