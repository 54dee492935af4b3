//! What can go wrong with a look at a bucket.

use std::fmt;

use snafu::Snafu;

/// A bucket could not be looked through, or something in it not be read. `Display` names bucket and key.
#[derive(Clone)]
pub struct Error(std::sync::Arc<Detail>);

/// Result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller does about an [`Error`].
pub use prometheus_queryable::ErrorKind;

#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)), context(suffix(false)))]
pub(crate) enum Detail {
    #[snafu(transparent)]
    Bucket { source: promparquet_objstore::Error },
    #[snafu(transparent)]
    Shard { source: promparquet_shard::Error },
    #[snafu(transparent)]
    Meta { source: prometheus_tsdb_block::Error },
    #[snafu(display("bucket {bucket} has no shard set {name} that is open"))]
    NotOpen { bucket: String, name: String },
    #[snafu(display("{bucket}/{name}: external labels: {source}"))]
    ExternalLabels { bucket: String, name: String, source: prometheus_model::LabelsError },
    #[snafu(display("bucket {bucket}: {key}: {source}"))]
    Day { bucket: String, key: String, source: promparquet_schema::Error },
    #[snafu(display("the query would read {shards} shards, more than the limit of {limit}: resource exhausted"))]
    TooManyShards { shards: usize, limit: u64 },
    #[snafu(display("the bucket has not been looked through yet: try again soon"))]
    NotReady,
}

impl Error {
    /// What the caller should do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &*self.0 {
            Detail::Bucket { source } => of_bucket(source.kind()),
            Detail::Shard { source } => of_shard(source.kind()),
            Detail::Meta { source } => of_block(source.kind()),
            Detail::NotOpen { .. } => ErrorKind::NotFound,
            Detail::ExternalLabels { .. } => ErrorKind::Corrupt,
            Detail::Day { source, .. } => match source.kind() {
                promparquet_schema::ErrorKind::Unsupported => ErrorKind::Unsupported,
                _ => ErrorKind::Corrupt,
            },
            Detail::TooManyShards { .. } => ErrorKind::LimitExceeded,
            Detail::NotReady => ErrorKind::Unavailable,
        }
    }
}

fn of_bucket(kind: promparquet_objstore::ErrorKind) -> ErrorKind {
    use promparquet_objstore::ErrorKind as Bucket;
    match kind {
        Bucket::Invalid | Bucket::AlreadyExists => ErrorKind::Invalid,
        Bucket::Unsupported => ErrorKind::Unsupported,
        Bucket::NotFound => ErrorKind::NotFound,
        Bucket::LimitExceeded => ErrorKind::LimitExceeded,
        Bucket::Corrupt => ErrorKind::Corrupt,
        Bucket::Cancelled => ErrorKind::Cancelled,
        _ => ErrorKind::Unavailable,
    }
}

fn of_shard(kind: promparquet_shard::ErrorKind) -> ErrorKind {
    use promparquet_shard::ErrorKind as Shard;
    match kind {
        Shard::Corrupt => ErrorKind::Corrupt,
        Shard::Unsupported => ErrorKind::Unsupported,
        Shard::Invalid => ErrorKind::Invalid,
        Shard::NotFound => ErrorKind::NotFound,
        Shard::LimitExceeded => ErrorKind::LimitExceeded,
        Shard::Unavailable => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    }
}

fn of_block(kind: prometheus_tsdb_block::ErrorKind) -> ErrorKind {
    use prometheus_tsdb_block::ErrorKind as Block;
    match kind {
        Block::Corrupt => ErrorKind::Corrupt,
        Block::Unsupported => ErrorKind::Unsupported,
        Block::Unavailable => ErrorKind::Unavailable,
        _ => ErrorKind::Invalid,
    }
}

impl From<Detail> for Error {
    #[cold]
    fn from(detail: Detail) -> Self {
        Self(detail.into())
    }
}

impl From<promparquet_objstore::Error> for Error {
    fn from(source: promparquet_objstore::Error) -> Self {
        Detail::from(source).into()
    }
}

impl From<promparquet_shard::Error> for Error {
    fn from(source: promparquet_shard::Error) -> Self {
        Detail::from(source).into()
    }
}

impl From<prometheus_tsdb_block::Error> for Error {
    fn from(source: prometheus_tsdb_block::Error) -> Self {
        Detail::from(source).into()
    }
}

impl From<Error> for prometheus_queryable::Error {
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
