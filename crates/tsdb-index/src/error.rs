//! What can go wrong with an index.

use std::{fmt, io};

use snafu::Snafu;

/// Result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an index could not be read or written.
///
/// [`Error::kind`] says what to do about it; the text says what was found where. Offsets count from the start of the
/// index file.
pub struct Error(Box<Repr>);

/// What a caller does about an [`Error`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are damaged or are no index: give up the block or fetch it again; do not retry on the same bytes.
    Corrupt,
    /// The index is intact, but of a version that is not known, or holds a string that is not UTF-8.
    Unsupported,
    /// The caller asked for something that an index cannot hold, such as series out of order: a defect of the caller.
    Invalid,
    /// The index would be, or claims to be, larger than the format or this crate allows: write several blocks.
    LimitExceeded,
    /// The sink of an [`crate::IndexWriter`] failed: start again.
    Unavailable,
}

#[derive(Snafu, Debug)]
#[snafu(visibility(pub(crate)), context(suffix(false)))]
pub(crate) enum Repr {
    #[snafu(display("{what} at index offset {offset}: expected {expected}, found {found}"))]
    Corrupt { what: &'static str, offset: u64, expected: String, found: String },
    #[snafu(display(
        "checksum of {what} at index offset {offset}: stored is {expected:08x}, the bytes give {found:08x}"
    ))]
    Checksum { what: &'static str, offset: u64, expected: u32, found: u32 },
    #[snafu(display("index version {version} at index offset 4 is not supported: expected 1, 2 or 3"))]
    UnknownVersion { version: u8 },
    #[snafu(display("symbol {ordinal} at index offset {offset} is not UTF-8: \"{escaped}\""))]
    NotUtf8 { ordinal: u32, offset: u64, escaped: String },
    #[snafu(display("label {part} at index offset {offset} is not UTF-8: \"{escaped}\""))]
    LabelNotUtf8 { part: &'static str, offset: u64, escaped: String },
    #[snafu(display("{what} {ordinal} does not exist: there are {len}"))]
    NoSuch { what: &'static str, ordinal: u64, len: u64 },
    #[snafu(display("{what}"))]
    Invalid { what: String },
    #[snafu(display("{what} at index offset {offset}: {found} bytes, the limit is {limit}"))]
    Limit { what: &'static str, offset: u64, found: u64, limit: u64 },
    #[snafu(display("{operation} the index that is being written, at offset {offset}: {error}"))]
    Sink { operation: &'static str, offset: u64, error: io::Error },
}

impl Error {
    /// What the caller should do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match *self.0 {
            Repr::Corrupt { .. } | Repr::Checksum { .. } => ErrorKind::Corrupt,
            Repr::UnknownVersion { .. } | Repr::NotUtf8 { .. } | Repr::LabelNotUtf8 { .. } => ErrorKind::Unsupported,
            Repr::NoSuch { .. } | Repr::Invalid { .. } => ErrorKind::Invalid,
            Repr::Limit { .. } => ErrorKind::LimitExceeded,
            Repr::Sink { .. } => ErrorKind::Unavailable,
        }
    }

    #[cold]
    pub(crate) fn corrupt(
        what: &'static str,
        offset: u64,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Repr::Corrupt { what, offset, expected: expected.into(), found: found.into() }.into()
    }

    #[cold]
    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Repr::Invalid { what: what.into() }.into()
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
