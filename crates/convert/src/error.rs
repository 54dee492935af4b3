//! What can go wrong in a conversion.

use snafu::Snafu;

/// A conversion failed. Nothing that it wrote looks finished.
#[derive(Debug)]
pub struct Error(Box<Inner>);

/// What the caller can do about an [`Error`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The source (or, when reading back, the shard) is damaged: repair or restore it.
    Corrupt,
    /// The source holds something that this version does not convert.
    Unsupported,
    /// An option or a combination of them makes no sense.
    Invalid,
    /// A file or object is missing.
    NotFound,
    /// A configured limit, or one of the format, would be exceeded: raise it, or convert less at once.
    LimitExceeded,
    /// Storage failed: try again.
    Unavailable,
    /// The caller cancelled.
    Cancelled,
    /// Should not happen: report it.
    Internal,
}

#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub(crate) enum Inner {
    #[snafu(display("{option}: expected {expected}, found {found}"))]
    InvalidOption { option: &'static str, expected: &'static str, found: String },
    #[snafu(display("a page of {bytes} bytes does not fit Parquet's limit of 2^31 - 1: use smaller pages or row groups"))]
    PageTooLarge { bytes: usize },
    #[snafu(display("{what}: {source}"))]
    Parquet { what: &'static str, source: parquet::errors::ParquetError },
    #[snafu(display("write: {source}"))]
    Write { source: std::io::Error },
    #[snafu(display("temporary file: {source}"))]
    Spill { source: std::io::Error },
    #[snafu(display("{what}"))]
    Internal { what: String },
}

impl Error {
    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &*self.0 {
            Inner::InvalidOption { .. } => ErrorKind::Invalid,
            Inner::PageTooLarge { .. } => ErrorKind::LimitExceeded,
            Inner::Parquet { .. } | Inner::Internal { .. } => ErrorKind::Internal,
            Inner::Write { .. } | Inner::Spill { .. } => ErrorKind::Unavailable,
        }
    }
}

impl From<Inner> for Error {
    fn from(inner: Inner) -> Self {
        Self(Box::new(inner))
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&*self.0)
    }
}
