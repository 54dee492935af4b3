//! The crate's error: opaque outside, precise inside.

use std::{error::Error as StdError, fmt, ops::Range};

use snafu::Snafu;

use crate::files::BlockFile;

/// What a caller can do about an [`Error`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The block's bytes contradict the format or each other. Retrying does not help: leave the block out, or restore it.
    Corrupt,
    /// The bytes follow a version of the format that this crate does not read. A newer release may.
    Unsupported,
    /// The caller's arguments are wrong, such as series given to a writer out of order. Fix the call.
    Invalid,
    /// The file or the block does not exist.
    NotFound,
    /// A file is larger than the crate agrees to hold in memory.
    LimitExceeded,
    /// The storage failed. Retrying may help.
    Unavailable,
    /// The caller's own cancellation reached a read.
    Cancelled,
    /// A defect in this crate. Report it.
    Internal,
}

/// Why a block could not be read or written. `Display` names the block, the file and the position.
pub struct Error(Box<Detail>);

/// Result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of any origin, kept as the source of ours.
pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)), context(suffix(false)))]
pub(crate) enum Detail {
    #[snafu(display("cannot read {file} of block {location}"))]
    Read { location: String, file: BlockFile, kind: ErrorKind, source: BoxError },

    #[snafu(display("block {location} has no file {file}"))]
    Missing { location: String, file: BlockFile },

    #[snafu(display("cannot list the chunk segments of block {location}"))]
    List { location: String, kind: ErrorKind, source: BoxError },

    #[snafu(display(
        "{file} of block {location}: expected bytes [{}, {}), found a file of {found} bytes",
        range.start,
        range.end
    ))]
    Short { location: String, file: BlockFile, range: Range<u64>, found: u64 },

    #[snafu(display("{file} of block {location}, offset {offset}: expected {expected}, found {found}"))]
    Corrupt { location: String, file: BlockFile, offset: u64, expected: String, found: String },

    #[snafu(display("{file} of block {location}, chunk at offset {offset}"))]
    Chunk { location: String, file: BlockFile, offset: u64, source: prometheus_chunks::Error },

    #[snafu(display("{file} of block {location}, offset {offset}: {what} {found} is not supported"))]
    Unsupported { location: String, file: BlockFile, offset: u64, what: &'static str, found: String },

    #[snafu(display("{file} of block {location} has {found} bytes; at most {limit} are read"))]
    TooLarge { location: String, file: BlockFile, found: u64, limit: u64 },

    #[snafu(display("{file} of block {location}"))]
    Index { location: String, file: BlockFile, source: prometheus_tsdb_index::Error },

    #[snafu(display("{file} of block {location}, line {line}, column {column}"))]
    Json { location: String, file: BlockFile, line: usize, column: usize, source: serde_json::Error },

    #[snafu(display("cannot write block {location}: {operation}"))]
    Write { location: String, operation: &'static str, source: std::io::Error },

    #[snafu(display("cannot write block {location}"))]
    WriteIndex { location: String, source: prometheus_tsdb_index::Error },

    #[snafu(display("cannot read block {location}: {message}"))]
    Request { location: String, message: String },

    #[snafu(display("cannot write block {location}: {message}"))]
    Argument { location: String, message: String },
}

impl Error {
    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &*self.0 {
            Detail::Read { kind, .. } | Detail::List { kind, .. } => *kind,
            Detail::Missing { .. } => ErrorKind::NotFound,
            Detail::Short { .. } | Detail::Corrupt { .. } | Detail::Json { .. } => ErrorKind::Corrupt,
            Detail::Unsupported { .. } => ErrorKind::Unsupported,
            Detail::Chunk { source, .. } => of_chunks(source.kind()),
            Detail::TooLarge { .. } => ErrorKind::LimitExceeded,
            Detail::Index { source, .. } | Detail::WriteIndex { source, .. } => of_index(source.kind()),
            Detail::Write { .. } => ErrorKind::Unavailable,
            Detail::Argument { .. } | Detail::Request { .. } => ErrorKind::Invalid,
        }
    }

    /// For implementors of [`BlockFiles`](crate::BlockFiles): reading `file` failed for a reason of the storage's own.
    pub fn read(
        kind: ErrorKind,
        location: impl Into<String>,
        file: BlockFile,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Detail::Read { location: location.into(), file, kind, source: source.into() }.into()
    }

    /// For implementors of [`BlockFiles`](crate::BlockFiles): listing the chunk segments failed.
    pub fn list(
        kind: ErrorKind,
        location: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Detail::List { location: location.into(), kind, source: source.into() }.into()
    }

    /// For implementors of [`BlockFiles`](crate::BlockFiles): `file` does not exist.
    pub fn not_found(location: impl Into<String>, file: BlockFile) -> Self {
        Detail::Missing { location: location.into(), file }.into()
    }

    /// For implementors of [`BlockFiles`](crate::BlockFiles): `file` has `found` bytes, fewer than `range` asks for.
    pub fn short(location: impl Into<String>, file: BlockFile, range: Range<u64>, found: u64) -> Self {
        Detail::Short { location: location.into(), file, range, found }.into()
    }
}

fn of_chunks(kind: prometheus_chunks::ErrorKind) -> ErrorKind {
    use prometheus_chunks::ErrorKind as Chunks;
    match kind {
        Chunks::Corrupt => ErrorKind::Corrupt,
        Chunks::Unsupported => ErrorKind::Unsupported,
        // Samples that came out of a chunk and cannot go into another: its own are at fault.
        Chunks::Invalid => ErrorKind::Corrupt,
        _ => ErrorKind::Internal,
    }
}

fn of_index(kind: prometheus_tsdb_index::ErrorKind) -> ErrorKind {
    use prometheus_tsdb_index::ErrorKind as Index;
    match kind {
        Index::Corrupt => ErrorKind::Corrupt,
        Index::Unsupported => ErrorKind::Unsupported,
        Index::Invalid => ErrorKind::Invalid,
        Index::LimitExceeded => ErrorKind::LimitExceeded,
        Index::Unavailable => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    }
}

impl From<Detail> for Error {
    fn from(detail: Detail) -> Self {
        Self(Box::new(detail))
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

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}
