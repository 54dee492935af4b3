//! What can go wrong with a chunk.

use std::fmt;

use snafu::Snafu;

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
    /// The caller asked for something that the encoding cannot hold, such as one sample too many: cut a new chunk.
    Invalid,
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
    #[snafu(display("chunk encoding {encoding} is not supported"))]
    UnsupportedEncoding { encoding: u8 },
    #[snafu(display("chunk encoding {encoding} cannot be used here: expected {expected}"))]
    UnsuitableEncoding { encoding: &'static str, expected: &'static str },
    #[snafu(display("chunk is full: it holds {limit} samples, the most that its encoding can count"))]
    Full { limit: u16 },
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
            | Repr::ShortAggregate { .. } => ErrorKind::Corrupt,
            Repr::UnsupportedEncoding { .. } | Repr::UnsuitableEncoding { .. } => ErrorKind::Unsupported,
            Repr::Full { .. } => ErrorKind::Invalid,
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
