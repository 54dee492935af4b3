//! Prometheus' data model, exactly: [`Labels`], [`Sample`]s and native histograms.
//!
//! The crate knows nothing of files, encodings, serialisation or queries. A type is admitted only if Prometheus'
//! own data-model documents name it.

mod bucket;
mod float_text;
mod histogram;
mod labels;
mod quote;
mod sample;
mod time;

pub use bucket::Bucket;
pub use float_text::{ApiFloatText, FloatText};
pub use histogram::{
    AllBuckets, CUSTOM_BUCKETS_SCHEMA, Combined, CounterResetHint, FloatHistogram, Histogram, HistogramError,
    IncompatibleHistograms, Span,
};
pub use labels::{Labels, LabelsBuilder, LabelsError, METRIC_NAME, stable_hash};
pub use quote::{is_printable, quote, quote_bytes, quote_char};
pub use sample::{NORMAL_NAN_BITS, STALE_NAN_BITS, Sample, Value, is_stale_nan, stale_nan};
pub use time::{TimeRange, TimeRangeError, TimestampMs};
