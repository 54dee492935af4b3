//! What can go wrong with a question.

use std::fmt;

use prometheus_queryable as queryable;
use snafu::Snafu;

/// A question could not be answered.
pub struct Error(Box<Detail>);

/// Result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller does about an [`Error`].
pub use prometheus_queryable::ErrorKind;

#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)), context(suffix(false)))]
pub(crate) enum Detail {
    #[snafu(transparent)]
    Shard { source: promparquet_shard::Error },

    #[snafu(transparent)]
    Series { source: queryable::Error },

    #[snafu(display("{message}"))]
    Limit { message: String },

    #[snafu(display("the computation of a select failed: this is a defect"))]
    Panicked,
}

impl Error {
    /// What the caller should do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        use promparquet_shard::ErrorKind as Shard;
        match &*self.0 {
            Detail::Shard { source } => match source.kind() {
                Shard::Corrupt => ErrorKind::Corrupt,
                Shard::Unsupported => ErrorKind::Unsupported,
                Shard::Invalid => ErrorKind::Invalid,
                Shard::NotFound => ErrorKind::NotFound,
                Shard::LimitExceeded => ErrorKind::LimitExceeded,
                Shard::Unavailable => ErrorKind::Unavailable,
                _ => ErrorKind::Internal,
            },
            Detail::Series { source } => source.kind(),
            Detail::Limit { .. } => ErrorKind::LimitExceeded,
            Detail::Panicked => ErrorKind::Internal,
        }
    }

    #[cold]
    pub(crate) fn limit(message: String) -> Self {
        Detail::Limit { message }.into()
    }
}

impl From<Detail> for Error {
    #[cold]
    fn from(detail: Detail) -> Self {
        Self(Box::new(detail))
    }
}

impl From<promparquet_shard::Error> for Error {
    fn from(source: promparquet_shard::Error) -> Self {
        Detail::from(source).into()
    }
}

impl From<queryable::Error> for Error {
    fn from(source: queryable::Error) -> Self {
        Detail::from(source).into()
    }
}

impl From<Error> for queryable::Error {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error)
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

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&*self.0)
    }
}
