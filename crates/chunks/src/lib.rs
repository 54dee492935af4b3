//! Prometheus' chunk encodings: XOR, XOR2, histograms, start timestamps.
//!
//! A chunk is a run of samples of one series, usually 120 of them. This crate turns the data of a chunk, as a slice of
//! bytes, into samples, and samples into the very bytes that Prometheus would write. It knows nothing of files, of the
//! frame around a chunk in one (length, checksum), nor of series.
//!
//! | [`Encoding`] | Read | Write |
//! |---|---|---|
//! | [`Xor`](Encoding::Xor): floats | [`XorDecoder`] | [`XorEncoder`] |
//! | [`Xor2`](Encoding::Xor2): floats with start timestamps | [`Xor2Decoder`] | [`Xor2Encoder`] |
//! | [`Histogram`](Encoding::Histogram) and the other three of histograms | [`HistogramDecoder`] | [`HistogramEncoder`] |
//! | [`Aggregate`](Encoding::Aggregate): Thanos' downsampled chunks | [`Aggregate::split`], then as above | |
//!
//! [`decode`] reads any of them into samples of the data model. For floats [`decode_floats`] is much faster: it appends
//! them to [`FloatColumns`].
//! Each module's documentation states the grammar of its encoding.
//!
//! ```
//! use prometheus_chunks::{Encoding, XorDecoder, XorEncoder, sample_count};
//!
//! let mut chunk = XorEncoder::new();
//! for i in 0..120 {
//!     chunk.push(1_700_000_000_000 + i * 15_000, 0.5)?;
//! }
//! let data = chunk.bytes(); // goes into a file, behind the encoding byte
//! assert_eq!((data.len(), sample_count(Encoding::Xor, data)?), (48, 120));
//!
//! let (mut timestamps, mut values) = (Vec::new(), Vec::new());
//! XorDecoder::new(data)?.decode_into(&mut timestamps, &mut values)?;
//! assert_eq!((timestamps[119], values[119]), (1_700_001_785_000, 0.5));
//! # Ok::<(), prometheus_chunks::Error>(())
//! ```
//!
//! No input makes a decoder panic or loop for ever, and memory stays in proportion to the input; damage is an [`Error`]
//! that says at which bit. What the checksum of a segment file would find need not be found here, though: many damaged
//! chunks decode to other samples.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::cast_possible_truncation)
)]

pub mod aggregate;
mod bits;
mod bulk;
mod chunk;
mod columns;
mod decode;
mod encoding;
mod error;
pub mod histogram;
mod rechunk;
mod varbit;
mod words;
pub mod xor;
pub mod xor2;

pub use aggregate::{Aggregate, AggregatePart};
pub use chunk::EncodedChunk;
pub use columns::{FloatColumns, decode_floats, decode_floats_in};
pub use decode::decode;
pub use encoding::{Encoding, ValueKind, sample_count};
pub use error::{Error, ErrorKind, Result};
pub use histogram::{HistogramDecoder, HistogramEncoder, NativeHistogram, SampleTime};
pub use histogram::{counter_reset_header, set_counter_reset_header};
pub use rechunk::{RechunkOptions, Rechunker};
pub use xor::{XorDecoder, XorEncoder};
pub use xor2::{FloatSample, Xor2Decoder, Xor2Encoder};
