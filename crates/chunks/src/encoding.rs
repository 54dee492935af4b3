//! Which encodings there are, and what can be told of a chunk without decoding it.

use std::fmt;

use crate::error::{Error, Repr, Result};

/// How a chunk is encoded: the byte in front of its data in a segment file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Encoding {
    /// Floats, Gorilla's encoding with wider steps; see [`crate::xor`].
    Xor = 1,
    /// Native histograms with integer counts.
    Histogram = 2,
    /// Native histograms with float counts.
    FloatHistogram = 3,
    /// Floats, optionally with start timestamps; see [`crate::xor2`].
    Xor2 = 4,
    /// Native histograms with integer counts and start timestamps; experimental upstream.
    HistogramSt = 5,
    /// Native histograms with float counts and start timestamps; experimental upstream.
    FloatHistogramSt = 6,
    /// Thanos' downsampled aggregates, up to five chunks in one; see [`crate::aggregate`].
    Aggregate = 0xff,
}

/// What kind of value the samples of a chunk have.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ValueKind {
    /// Floats.
    Float,
    /// Native histograms with integer counts.
    Histogram,
    /// Native histograms with float counts.
    FloatHistogram,
}

impl Encoding {
    /// Every encoding, by ascending byte.
    pub const ALL: [Self; 7] = [
        Self::Xor,
        Self::Histogram,
        Self::FloatHistogram,
        Self::Xor2,
        Self::HistogramSt,
        Self::FloatHistogramSt,
        Self::Aggregate,
    ];

    /// The byte in front of the chunk's data.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self as u8
    }

    /// Whether the encoding has room for start timestamps; a chunk in it need not have any.
    #[must_use]
    pub const fn keeps_start_timestamps(self) -> bool {
        matches!(self, Self::Xor2 | Self::HistogramSt | Self::FloatHistogramSt)
    }

    /// What kind of value the samples have; none for [`Self::Aggregate`], whose parts are chunks of their own.
    #[must_use]
    pub const fn value_kind(self) -> Option<ValueKind> {
        match self {
            Self::Xor | Self::Xor2 => Some(ValueKind::Float),
            Self::Histogram | Self::HistogramSt => Some(ValueKind::Histogram),
            Self::FloatHistogram | Self::FloatHistogramSt => Some(ValueKind::FloatHistogram),
            Self::Aggregate => None,
        }
    }

    /// The most samples that a chunk of this encoding can count.
    #[must_use]
    pub const fn max_samples(self) -> u16 {
        match self {
            Self::HistogramSt | Self::FloatHistogramSt => ST_COUNT_MASK,
            _ => u16::MAX,
        }
    }

    /// Name for messages.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Xor => "XOR",
            Self::Histogram => "histogram",
            Self::FloatHistogram => "float histogram",
            Self::Xor2 => "XOR2",
            Self::HistogramSt => "histogram with start timestamps",
            Self::FloatHistogramSt => "float histogram with start timestamps",
            Self::Aggregate => "aggregate",
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl TryFrom<u8> for Encoding {
    type Error = Error;

    /// # Errors
    /// Unsupported if no encoding has this byte.
    fn try_from(byte: u8) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|encoding| encoding.byte() == byte)
            .ok_or_else(|| Repr::UnsupportedEncoding { encoding: byte }.into())
    }
}

/// The histogram encodings with start timestamps count in 14 bits; the two above say what is known of a counter reset.
pub(crate) const ST_COUNT_MASK: u16 = 0x3fff;

/// How many samples a chunk says it has, from its header. 0 is possible.
///
/// ```
/// use prometheus_chunks::{Encoding, sample_count};
/// assert_eq!(sample_count(Encoding::Xor, &[0, 120])?, 120);
/// # Ok::<(), prometheus_chunks::Error>(())
/// ```
///
/// # Errors
/// Corrupt if the data are shorter than the header; Unsupported for [`Encoding::Aggregate`], whose parts have counts
/// of their own.
pub fn sample_count(encoding: Encoding, data: &[u8]) -> Result<u16> {
    let header = || {
        data.first_chunk()
            .map(|bytes| u16::from_be_bytes(*bytes))
            .ok_or_else(|| Repr::ShortHeader { expected: 2, found: data.len() }.into())
    };
    match encoding {
        Encoding::Xor | Encoding::Xor2 | Encoding::Histogram | Encoding::FloatHistogram => header(),
        Encoding::HistogramSt | Encoding::FloatHistogramSt => Ok(header()? & ST_COUNT_MASK),
        Encoding::Aggregate => Err(Repr::UnsuitableEncoding {
            encoding: encoding.name(),
            expected: "a chunk of samples, such as a part of the aggregate",
        }
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn bytes_and_back() {
        for byte in 0..=u8::MAX {
            match Encoding::try_from(byte) {
                Ok(encoding) => assert_eq!(encoding.byte(), byte),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unsupported);
                    assert!(!(1..=6).contains(&byte) && byte != 0xff);
                }
            }
        }
    }

    #[test]
    fn counts() {
        assert_eq!(sample_count(Encoding::Histogram, &[0xc0, 7, 0]).unwrap(), 0xc007);
        assert_eq!(sample_count(Encoding::HistogramSt, &[0xc0, 7, 0]).unwrap(), 7);
        assert_eq!(sample_count(Encoding::Xor, &[1]).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(sample_count(Encoding::Aggregate, &[0, 0]).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
