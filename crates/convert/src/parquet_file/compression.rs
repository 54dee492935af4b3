//! Page compression with one context per thread.

use std::fmt;

use parquet::basic::Compression as ParquetCompression;

use crate::error::{Error, InternalSnafu, InvalidOptionSnafu};

/// How pages are compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    /// Not at all.
    None,
    /// Snappy: fastest to read, about a tenth larger.
    Snappy,
    /// Zstandard.
    Zstd(ZstdLevel),
}

/// A Zstandard level, 1 to 22.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ZstdLevel(u8);

impl ZstdLevel {
    /// Fastest. For chunk data it already gives all but 4 % of what higher levels give, at several times their speed.
    pub const FASTEST: Self = Self(1);
    /// zstd's own default.
    pub const DEFAULT: Self = Self(3);

    /// Level `level`.
    ///
    /// # Errors
    /// If it is not in 1 to 22.
    pub fn new(level: u8) -> Result<Self, Error> {
        if !(1..=22).contains(&level) {
            return Err(InvalidOptionSnafu { option: "zstd level", expected: "1 to 22", found: level.to_string() }
                .build()
                .into());
        }
        Ok(Self(level))
    }
}

impl Compression {
    /// Memory of a context that compresses inputs of at most so many bytes, about. The first three levels of zstd count
    /// as what any thread needs.
    pub(crate) fn context_bytes(self, most: usize) -> usize {
        // Tables that the levels have for long inputs; for short ones, they have at most 32 bytes for each of the input.
        let tables = match self {
            Self::None | Self::Snappy | Self::Zstd(ZstdLevel(..=3)) => return 0,
            Self::Zstd(ZstdLevel(..=8)) => 16 << 20,
            Self::Zstd(ZstdLevel(..=15)) => 96 << 20,
            Self::Zstd(_) => 800 << 20,
        };
        tables.min(most.saturating_mul(32)) + (2 << 20)
    }

    pub(crate) fn codec(self) -> ParquetCompression {
        match self {
            Self::None => ParquetCompression::UNCOMPRESSED,
            Self::Snappy => ParquetCompression::SNAPPY,
            // The level is not stored in the file.
            Self::Zstd(_) => ParquetCompression::ZSTD(Default::default()),
        }
    }
}

/// `none`, `snappy`, `zstd` or `zstd:<level>`, as on the command line.
impl std::str::FromStr for Compression {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.split_once(':') {
            None if text == "none" => Ok(Self::None),
            None if text == "snappy" => Ok(Self::Snappy),
            None if text == "zstd" => Ok(Self::Zstd(ZstdLevel::FASTEST)),
            Some(("zstd", level)) if level.parse::<u8>().is_ok() => {
                Ok(Self::Zstd(ZstdLevel::new(level.parse().unwrap_or_default())?))
            }
            _ => Err(InvalidOptionSnafu {
                option: "compression",
                expected: "none, snappy, zstd or zstd:<1 to 22>",
                found: text,
            }
            .build()
            .into()),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Snappy => f.write_str("snappy"),
            Self::Zstd(level) => write!(f, "zstd:{}", level.0),
        }
    }
}

/// Pages are compressed if it makes them shorter by a twelfth at least. Of the chunk pages of `benches/record/select.md` that
/// leaves a quarter as they are, and makes the file 1 % larger.
const LEAST_SAVING: usize = 12;

/// Compresses pages; holds what the codec needs from one to the next.
pub(crate) struct Compressor {
    state: State,
}

enum State {
    None,
    Snappy(Box<snap::raw::Encoder>),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Compressor {
    pub(crate) fn new(compression: Compression) -> Result<Self, Error> {
        let state = match compression {
            Compression::None => State::None,
            Compression::Snappy => State::Snappy(Box::new(snap::raw::Encoder::new())),
            Compression::Zstd(level) => State::Zstd(
                zstd::bulk::Compressor::new(level.0.into())
                    .map_err(|e| InternalSnafu { what: format!("zstd context: {e}") }.build())?,
            ),
        };
        Ok(Self { state })
    }

    /// `input`, compressed, if that saves enough to be worth decompressing; [`None`] if it does not, or if nothing is compressed.
    ///
    /// Many pages of noisy floats hardly shrink, and half of the time of scattered selects would be spent on them.
    pub(crate) fn compress_if_worthwhile(&mut self, input: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        if matches!(self.state, State::None) {
            return Ok(None);
        }
        let compressed = self.compress(input)?;
        let saved = input.len().saturating_sub(compressed.len());
        Ok((saved >= input.len() / LEAST_SAVING).then_some(compressed).filter(|_| saved > 0))
    }

    /// `input`, compressed.
    pub(crate) fn compress(&mut self, input: &[u8]) -> Result<Vec<u8>, Error> {
        let internal = |what: String| Error::from(InternalSnafu { what }.build());
        let mut out = match &mut self.state {
            State::None => input.to_vec(),
            State::Snappy(encoder) => encoder.compress_vec(input).map_err(|e| internal(format!("snappy: {e}")))?,
            State::Zstd(compressor) => {
                let mut out = Vec::with_capacity(zstd::zstd_safe::compress_bound(input.len()));
                compressor.compress_to_buffer(input, &mut out).map_err(|e| internal(format!("zstd: {e}")))?;
                out
            }
        };
        out.shrink_to_fit();
        Ok(out)
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::None => "Compressor(none)",
            State::Snappy(_) => "Compressor(snappy)",
            State::Zstd(_) => "Compressor(zstd)",
        })
    }
}
