//! Samples: a timestamp and a float or a native histogram.

use crate::{FloatHistogram, Histogram, TimestampMs};

/// Bits of the NaN by which Prometheus marks that a series went stale.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// Bits of the NaN that Prometheus writes for an ordinary "not a number".
pub const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// The staleness marker as a float.
#[must_use]
pub const fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// Whether `v` is the staleness marker; other NaNs are not.
#[must_use]
pub const fn is_stale_nan(v: f64) -> bool {
    v.to_bits() == STALE_NAN_BITS
}

/// The value of a sample. Equality is by bits, so that `NaN == NaN` if, and only if, the payloads agree.
#[derive(Clone, Debug)]
pub enum Value {
    /// A float.
    Float(f64),
    /// A native histogram with integer counts.
    Histogram(Box<Histogram>),
    /// A native histogram with float counts.
    FloatHistogram(Box<FloatHistogram>),
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Histogram(a), Self::Histogram(b)) => a == b,
            (Self::FloatHistogram(a), Self::FloatHistogram(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

/// One sample of a series.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sample {
    /// When it was taken.
    pub timestamp: TimestampMs,
    /// Since when the counter has counted; 0 where that is not known.
    pub start_timestamp: TimestampMs,
    /// What was measured.
    pub value: Value,
}
