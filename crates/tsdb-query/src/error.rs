//! Errors of blocks as those of stores.

use prometheus_queryable::{Error, ErrorKind};
use snafu::Snafu;

/// A limit of [`BlockQueryOptions`](crate::BlockQueryOptions) that an answer would exceed; what
/// [`Error::downcast_ref`] finds.
#[derive(Clone, PartialEq, Eq, Debug, Snafu)]
pub enum LimitExceeded {
    /// Too many series.
    #[snafu(display("the answer from block {location} has more series than the limit of {limit}"))]
    Series {
        /// Where the block lies.
        location: String,
        /// [`max_series`](crate::BlockQueryOptions::max_series).
        limit: usize,
    },
    /// Too many bytes.
    #[snafu(display("the answer from block {location} has more bytes of chunks than the limit of {limit}"))]
    ChunkBytes {
        /// Where the block lies.
        location: String,
        /// [`max_chunk_bytes`](crate::BlockQueryOptions::max_chunk_bytes).
        limit: u64,
    },
}

impl From<LimitExceeded> for Error {
    fn from(exceeded: LimitExceeded) -> Self {
        Self::new(ErrorKind::LimitExceeded, exceeded)
    }
}

/// The thread that was to read the block is gone.
#[derive(Debug, Snafu)]
pub(crate) enum Lost {
    #[snafu(display("reading block {location} panicked"))]
    Panicked { location: String },
    #[snafu(display("reading block {location} was cancelled, as its runtime shuts down"))]
    Shutdown { location: String },
}

/// For `map_err`.
pub(crate) fn of_block(error: prometheus_tsdb_block::Error) -> Error {
    use prometheus_tsdb_block::ErrorKind as Block;
    let kind = match error.kind() {
        Block::Corrupt => ErrorKind::Corrupt,
        Block::Unsupported => ErrorKind::Unsupported,
        Block::NotFound => ErrorKind::NotFound,
        Block::LimitExceeded => ErrorKind::LimitExceeded,
        Block::Unavailable => ErrorKind::Unavailable,
        Block::Cancelled => ErrorKind::Cancelled,
        // A store asks for nothing that a block could call invalid.
        _ => ErrorKind::Internal,
    };
    Error::new(kind, error)
}

/// For what the index crate says of symbols and labels; `location` is the block's.
pub(crate) fn of_index(location: &str, error: prometheus_tsdb_index::Error) -> Error {
    use prometheus_tsdb_index::ErrorKind as Index;
    let kind = match error.kind() {
        Index::Corrupt => ErrorKind::Corrupt,
        Index::Unsupported => ErrorKind::Unsupported,
        Index::LimitExceeded => ErrorKind::LimitExceeded,
        _ => ErrorKind::Internal,
    };
    Error::new(kind, InBlock { location: location.to_owned(), source: error })
}

#[derive(Debug, Snafu)]
#[snafu(display("index of block {location}"))]
struct InBlock {
    location: String,
    source: prometheus_tsdb_index::Error,
}

/// What a block says that cannot be.
#[derive(Debug, Snafu)]
#[snafu(display("block {location}: expected {expected}, found {found}"))]
struct Contradiction {
    location: String,
    expected: String,
    found: String,
}

#[cold]
pub(crate) fn corrupt(location: &str, expected: impl Into<String>, found: impl Into<String>) -> Error {
    let (expected, found) = (expected.into(), found.into());
    Error::new(ErrorKind::Corrupt, Contradiction { location: location.to_owned(), expected, found })
}
