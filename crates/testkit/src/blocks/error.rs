//! What can go wrong when a block is generated.

use snafu::Snafu;

/// What a caller can do about an [`Error`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The specification makes no sense, or the block exists: change the arguments.
    Invalid,
    /// The file system fails or is full: try again, or elsewhere.
    Unavailable,
    /// The block would be larger than its format allows: ask for a smaller one.
    LimitExceeded,
    /// A defect of the generator: report it.
    Internal,
}

/// Why a block could not be generated.
#[derive(Debug, Snafu)]
pub struct Error(Detail);

/// What this module's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, Snafu)]
pub(crate) enum Detail {
    #[snafu(display("block specification: {message}"))]
    Spec { message: String },
    #[snafu(display("cannot encode the generated series {labels}"))]
    Series { labels: String, source: prometheus_chunks::Error },
    #[snafu(display("cannot write the generated block"))]
    Write { source: prometheus_tsdb_block::Error },
    #[snafu(display("cannot make the directory {directory}"))]
    Directory { directory: String, source: std::io::Error },
}

impl Error {
    pub(crate) fn spec(message: impl Into<String>) -> Self {
        Detail::Spec { message: message.into() }.into()
    }

    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &self.0 {
            Detail::Spec { .. } => ErrorKind::Invalid,
            Detail::Series { .. } => ErrorKind::Internal,
            Detail::Directory { .. } => ErrorKind::Unavailable,
            Detail::Write { source } => match source.kind() {
                prometheus_tsdb_block::ErrorKind::Invalid => ErrorKind::Invalid,
                prometheus_tsdb_block::ErrorKind::Unavailable => ErrorKind::Unavailable,
                prometheus_tsdb_block::ErrorKind::LimitExceeded => ErrorKind::LimitExceeded,
                _ => ErrorKind::Internal,
            },
        }
    }
}
