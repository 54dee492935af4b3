//! Native histograms: exponential and custom buckets, integer and float counts.
//!
//! Shapes follow Prometheus' `model/histogram`. Buckets are sparse: spans say which bucket indexes are present, and the
//! bucket slices hold one entry for each of them.

mod arithmetic;
mod compact;
mod compensated;
mod convert;
mod custom;
mod interpolation;
mod iterate;
mod layout;
mod reset;
mod side;
mod trim;
mod zero;

pub use arithmetic::{Combined, IncompatibleHistograms};
pub use iterate::AllBuckets;

use std::fmt;

/// Schema of histograms whose bucket bounds are listed one by one (`custom_values`).
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

/// What is known of a counter reset between a histogram and the one before it in the series.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum CounterResetHint {
    /// Nothing: the reader must compare the two.
    #[default]
    Unknown,
    /// The counter was reset just before this histogram.
    CounterReset,
    /// It was not.
    NotCounterReset,
    /// The histogram is a gauge: there are no resets.
    Gauge,
}

/// A run of `length` consecutive buckets that starts `offset` buckets after the end of the span before it (for the
/// first span: at bucket index `offset`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Span {
    /// Gap to the previous span in buckets; only the first may be negative.
    pub offset: i32,
    /// Number of buckets.
    pub length: u32,
}

/// A native histogram with integer counts. Equality compares floats by bits.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// What is known of a reset before this histogram.
    pub counter_reset_hint: CounterResetHint,
    /// Resolution: bucket bounds grow by `2^(2^-schema)`; [`CUSTOM_BUCKETS_SCHEMA`] for custom bounds.
    pub schema: i32,
    /// Width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: u64,
    /// All observations.
    pub count: u64,
    /// Sum of all observations; [`crate::stale_nan`] marks a stale series.
    pub sum: f64,
    /// Which positive buckets are present.
    pub positive_spans: Vec<Span>,
    /// Which negative buckets are present.
    pub negative_spans: Vec<Span>,
    /// Positive counts: the first absolute, then each as the difference to the one before.
    pub positive_buckets: Vec<i64>,
    /// Negative counts, likewise.
    pub negative_buckets: Vec<i64>,
    /// Upper bounds of custom buckets, ascending, without +Inf; empty for exponential buckets.
    pub custom_values: Vec<f64>,
}

/// A native histogram with float counts. Equality compares floats by bits.
#[derive(Clone, Debug, Default)]
pub struct FloatHistogram {
    /// What is known of a reset before this histogram.
    pub counter_reset_hint: CounterResetHint,
    /// Resolution, as in [`Histogram::schema`].
    pub schema: i32,
    /// Width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Sum of all observations; [`crate::stale_nan`] marks a stale series.
    pub sum: f64,
    /// Which positive buckets are present.
    pub positive_spans: Vec<Span>,
    /// Which negative buckets are present.
    pub negative_spans: Vec<Span>,
    /// Positive counts, absolute.
    pub positive_buckets: Vec<f64>,
    /// Negative counts, absolute.
    pub negative_buckets: Vec<f64>,
    /// Upper bounds of custom buckets, ascending, without +Inf; empty for exponential buckets.
    pub custom_values: Vec<f64>,
}

fn same_bits(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

impl PartialEq for Histogram {
    fn eq(&self, o: &Self) -> bool {
        self.counter_reset_hint == o.counter_reset_hint
            && self.schema == o.schema
            && self.zero_threshold.to_bits() == o.zero_threshold.to_bits()
            && self.zero_count == o.zero_count
            && self.count == o.count
            && self.sum.to_bits() == o.sum.to_bits()
            && self.positive_spans == o.positive_spans
            && self.negative_spans == o.negative_spans
            && self.positive_buckets == o.positive_buckets
            && self.negative_buckets == o.negative_buckets
            && same_bits(&self.custom_values, &o.custom_values)
    }
}

impl Eq for Histogram {}

impl PartialEq for FloatHistogram {
    fn eq(&self, o: &Self) -> bool {
        self.counter_reset_hint == o.counter_reset_hint
            && self.schema == o.schema
            && self.zero_threshold.to_bits() == o.zero_threshold.to_bits()
            && self.zero_count.to_bits() == o.zero_count.to_bits()
            && self.count.to_bits() == o.count.to_bits()
            && self.sum.to_bits() == o.sum.to_bits()
            && self.positive_spans == o.positive_spans
            && self.negative_spans == o.negative_spans
            && same_bits(&self.positive_buckets, &o.positive_buckets)
            && same_bits(&self.negative_buckets, &o.negative_buckets)
            && same_bits(&self.custom_values, &o.custom_values)
    }
}

impl Eq for FloatHistogram {}

/// Why a histogram is malformed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum HistogramError {
    /// Spans cover another number of buckets than are given.
    SpanMismatch {
        /// Buckets that the spans cover.
        spans: u64,
        /// Buckets given.
        buckets: usize,
    },
    /// A span other than the first has a negative offset.
    NegativeSpanOffset(i32),
}

impl fmt::Display for HistogramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SpanMismatch { spans, buckets } => {
                write!(f, "spans cover {spans} buckets, but {buckets} are given")
            }
            Self::NegativeSpanOffset(offset) => {
                write!(f, "a span after the first has the negative offset {offset}")
            }
        }
    }
}

impl std::error::Error for HistogramError {}

fn check_spans(spans: &[Span], buckets: usize) -> Result<(), HistogramError> {
    if let Some(span) = spans.iter().skip(1).find(|s| s.offset < 0) {
        return Err(HistogramError::NegativeSpanOffset(span.offset));
    }
    let covered = spans.iter().map(|s| u64::from(s.length)).sum();
    if covered == buckets as u64 { Ok(()) } else { Err(HistogramError::SpanMismatch { spans: covered, buckets }) }
}

impl Histogram {
    /// Whether the bounds are listed one by one.
    #[must_use]
    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// Checks that spans and buckets agree.
    ///
    /// # Errors
    /// If they do not.
    pub fn validate(&self) -> Result<(), HistogramError> {
        check_spans(&self.positive_spans, self.positive_buckets.len())?;
        check_spans(&self.negative_spans, self.negative_buckets.len())
    }
}

impl FloatHistogram {
    /// Whether the bounds are listed one by one.
    #[must_use]
    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// Checks that spans and buckets agree.
    ///
    /// # Errors
    /// If they do not.
    pub fn validate(&self) -> Result<(), HistogramError> {
        check_spans(&self.positive_spans, self.positive_buckets.len())?;
        check_spans(&self.negative_spans, self.negative_buckets.len())
    }
}
