//! Native histograms, with integer or float counts, with or without start timestamps.
//!
//! ```text
//! chunk      = header layout sample0 { sample }         fields of bits, no padding
//! header     = count:u16 reset:bits2 0:bits6            without start timestamps
//!            | reset:bits2 count:bits14 st_header:u8    with them
//! reset      = 00 unknown | 01 no counter reset before the first sample | 10 a counter reset | 11 all are gauges
//! layout     = zero_threshold varbit(schema) spans spans [ bounds ]       positive, negative; bounds for schema -53
//! zero_threshold = 0:u8 | (exponent + 244):u8 for 2^exponent, -243 to 10 | 255:u8 f64
//! spans      = varbit_uint(n) n * { varbit_uint(length) varbit(offset) }
//! bounds     = varbit_uint(n) n * { varbit_uint(1000 * bound + 1) | 0 f64 }
//! sample     = timestamp count zero_count sum { positive bucket } { negative bucket } [ start_timestamp ]
//! ```
//!
//! | field               | integer: sample 0 | then          | float: sample 0 | then |
//! |---------------------|-------------------|---------------|-----------------|------|
//! | timestamp           | varbit            | varbit of dod | varbit          | varbit of dod |
//! | count, zero count   | varbit_uint       | varbit of dod | f64             | xor, as in [`crate::xor`] |
//! | sum                 | f64               | xor           | f64             | xor  |
//! | bucket              | varbit            | varbit of dod | f64             | xor  |
//!
//! "dod" is the difference of differences, where the first difference is 0. Integer buckets are stored as the difference
//! to the bucket before, float ones as they are. A stale sample after sample 0 has no buckets; its counts are coded as
//! unchanged (integer) or as 0 (float).
//!
//! ```text
//! st_header       = known:bit first_change:bits7        index of the first sample but 0 with a code; 0 if none has
//! start_timestamp = [ varint(t - st) ]                  of sample 0, if known; else st is 0
//!                 | varbit(d)                           of sample first_change; d = t of the sample before - st
//!                 | varbit(d - d of the sample before)  of samples after it
//! ```
//!
//! Samples before `first_change` have the start timestamp of sample 0; 127 is the largest index that can be named, and so
//! that sample has a code even if its start timestamp is the same. All integers wrap around at 64 bits.
//!
//! The header's bits other than those named are ignored, and so is what follows the last sample.

mod decoder;
mod encoder;
mod field;
mod fit;
mod header;
mod layout;
mod parts;
mod reduce;
mod spans;
mod start_timestamp;
mod state;

pub use decoder::{HistogramDecoder, SampleTime};
pub use encoder::HistogramEncoder;
pub use header::{counter_reset_header, set_counter_reset_header};
pub(crate) use spans::SpanError;

use parts::Parts;
use prometheus_model::{FloatHistogram, Histogram, Value};

/// A kind of native histogram: [`Histogram`] or [`FloatHistogram`]. Others cannot be added.
pub trait NativeHistogram: Parts {
    /// As the value of a sample.
    fn into_value(self) -> Value;
}

impl NativeHistogram for Histogram {
    fn into_value(self) -> Value {
        Value::Histogram(Box::new(self))
    }
}

impl NativeHistogram for FloatHistogram {
    fn into_value(self) -> Value {
        Value::FloatHistogram(Box::new(self))
    }
}
