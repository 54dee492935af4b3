//! What can go wrong with a chunk.

use std::fmt;

use snafu::Snafu;

use crate::histogram::SpanError;

/// Result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a chunk could not be read or written.
///
/// [`Error::kind`] says what to do about it; the text says what was found where. Offsets count from the first byte of
/// the chunk's data, after the encoding byte.
pub struct Error(Box<Repr>);

/// What a caller does about an [`Error`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are no chunk of the encoding named: skip the chunk or give up the block; do not retry.
    Corrupt,
    /// The encoding is not known, or cannot be used in this way: a newer version may know it.
    Unsupported,
    /// The caller asked for something that the encoding cannot hold, such as one sample too many: cut a new chunk. Or
    /// samples given are malformed or out of order: a defect of the caller.
    Invalid,
    /// Decoding would take memory out of proportion to the chunk: treat it as corrupt.
    LimitExceeded,
}

#[derive(Snafu, Debug)]
#[snafu(visibility(pub(crate)), context(suffix(false)))]
pub(crate) enum Repr {
    #[snafu(display("chunk ends early: expected {wanted} bits at bit offset {bit}, found {left}"))]
    EndOfData { bit: u64, wanted: u64, left: u64 },
    #[snafu(display("chunk of {found} bytes is shorter than its header: expected {expected} bytes at offset 0"))]
    ShortHeader { expected: usize, found: usize },
    #[snafu(display("varint at bit offset {bit} does not end within 64 bits"))]
    VarintOverflow { bit: u64 },
    #[snafu(display(
        "value window at bit offset {bit} is wider than 64 bits: found {leading} leading zeros and {significant} \
         significant bits, expected a sum of at most 64"
    ))]
    Window { bit: u64, leading: u64, significant: u64 },
    #[snafu(display("aggregate chunk ends early: expected {wanted} bytes of {part} at offset {offset}, found {left}"))]
    ShortAggregate { part: &'static str, offset: usize, wanted: u64, left: usize },
    #[snafu(display(
        "length of {part} in an aggregate chunk, a varint at offset {offset}, does not end within 64 bits"
    ))]
    AggregateLength { part: &'static str, offset: usize },
    #[snafu(display("chunk encoding {encoding} is not supported"))]
    UnsupportedEncoding { encoding: u8 },
    #[snafu(display("chunk encoding {encoding} cannot be used here: expected {expected}"))]
    UnsuitableEncoding { encoding: &'static str, expected: &'static str },
    #[snafu(display("chunk is full: it holds {limit} samples, the most that its encoding can count"))]
    Full { limit: u16 },
    #[snafu(display(
        "histogram layout has no room for {what} at bit offset {bit}: found {found} {what} of at least \
                     {min_bits} bits each, but {left} bits are left"
    ))]
    NoRoom { what: &'static str, bit: u64, found: u64, min_bits: u64, left: u64 },
    #[snafu(display("{what} at bit offset {bit} does not fit into 32 bits: found {found}"))]
    OutOfRange { what: &'static str, bit: u64, found: i128 },
    #[snafu(display("histogram layout has malformed spans at bit offset {bit}: {reason}"))]
    Spans { bit: u64, reason: SpanError },
    #[snafu(display("histogram schema {schema} at bit offset {bit} is not supported: expected -9 to 52, or -53"))]
    UnsupportedSchema { bit: u64, schema: i32 },
    #[snafu(display(
        "histogram chunk is out of proportion: {samples} samples repeat {values} spans and custom bounds each, expected \
         at most {limit} in all"
    ))]
    SharedValues { samples: u16, values: usize, limit: usize },
    #[snafu(display("histogram to be written has malformed {sign} buckets: {reason}"))]
    Histogram { sign: &'static str, reason: SpanError },
    #[snafu(display("histogram to be written has the schema {schema}: expected -9 to 8, or -53"))]
    Schema { schema: i32 },
    #[snafu(display("sample is not after the one before: found timestamp {found} after {previous}"))]
    NotAscending { found: i64, previous: i64 },
}

impl Error {
    /// What the caller should do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match *self.0 {
            Repr::EndOfData { .. }
            | Repr::ShortHeader { .. }
            | Repr::VarintOverflow { .. }
            | Repr::Window { .. }
            | Repr::ShortAggregate { .. }
            | Repr::AggregateLength { .. }
            | Repr::NoRoom { .. }
            | Repr::OutOfRange { .. }
            | Repr::Spans { .. } => ErrorKind::Corrupt,
            Repr::UnsupportedEncoding { .. } | Repr::UnsuitableEncoding { .. } | Repr::UnsupportedSchema { .. } => {
                ErrorKind::Unsupported
            }
            Repr::SharedValues { .. } => ErrorKind::LimitExceeded,
            Repr::Full { .. } | Repr::Histogram { .. } | Repr::Schema { .. } | Repr::NotAscending { .. } => {
                ErrorKind::Invalid
            }
        }
    }
}

impl From<Repr> for Error {
    #[cold]
    fn from(repr: Repr) -> Self {
        Self(Box::new(repr))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::error::Error for Error {}
