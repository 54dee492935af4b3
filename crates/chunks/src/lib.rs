//! Prometheus' chunk encodings: XOR, XOR2, histograms, start timestamps.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::cast_possible_truncation)
)]

mod bits;
mod encoding;
mod error;
mod varbit;
mod words;
pub mod xor;
pub mod xor2;

pub use encoding::{Encoding, ValueKind, sample_count};
pub use error::{Error, ErrorKind, Result};
pub use xor::{XorDecoder, XorEncoder};
pub use xor2::{FloatSample, Xor2Decoder, Xor2Encoder};
