//! Prometheus' chunk encodings: XOR, XOR2, histograms, start timestamps.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::cast_possible_truncation)
)]

mod bits;
mod encoding;
mod error;
mod varbit;

pub use encoding::{Encoding, ValueKind, sample_count};
pub use error::{Error, ErrorKind, Result};
