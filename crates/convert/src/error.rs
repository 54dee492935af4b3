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
    #[snafu(display(
        "a page of {bytes} bytes does not fit Parquet's limit of 2^31 - 1: use smaller pages or row groups"
    ))]
    PageTooLarge { bytes: usize },
    #[snafu(display(
        "a footer or page index of {bytes} bytes does not fit Parquet's limit of 2^31 - 1: use larger pages or row groups"
    ))]
    FooterTooLarge { bytes: u64 },
    #[snafu(display("{what}: {source}"))]
    Parquet { what: &'static str, source: parquet::errors::ParquetError },
    #[snafu(display("write: {source}"))]
    Write { source: std::io::Error },
    #[snafu(display("temporary file: {source}"))]
    Spill { source: std::io::Error },
    #[snafu(display("{what}"))]
    Internal { what: String },
    #[snafu(display("cancelled"))]
    Cancelled,
    #[snafu(transparent)]
    Shard { source: promparquet_shard::Error },
    #[snafu(display("there is no shard to make a block of"))]
    NoShards,
    #[snafu(display("series {series}: {problem}"))]
    Row { series: String, problem: String },
    #[snafu(display("the shards differ from their source: {}", differences.join("; ")))]
    Difference { differences: Vec<String> },
    #[snafu(transparent)]
    Block { source: prometheus_tsdb_block::Error },
    #[snafu(transparent)]
    Bucket { source: promparquet_objstore::Error },
    #[snafu(transparent)]
    Schema { source: promparquet_schema::Error },
    #[snafu(display("a cell or chunk of {bytes} bytes does not fit Parquet's limit of 2^31 - 1"))]
    CellTooLarge { bytes: usize },
    #[snafu(display(
        "series {series} has {labels} labels; with the 2 columns of the system that is more than the column limit of {limit}"
    ))]
    TooManyLabels { series: String, labels: usize, limit: u32 },
    #[snafu(display(
        "series {series} has a sample at {} ms, the last millisecond there is, which no half-open time range holds: give a \
         time range to leave it out",
        i64::MAX
    ))]
    LastMillisecond { series: String },
    #[snafu(display("{what}: needs {needed} bytes of memory, allowed are {allowed}: raise the memory budget"))]
    Memory { what: &'static str, needed: usize, allowed: usize },
    #[snafu(display(
        "the samples reach from {min_time} to {max_time} ms, which makes {columns} data columns of {duration_ms} ms, more \
         than {limit}: give a time range, or longer columns"
    ))]
    TooManyDataColumns { min_time: i64, max_time: i64, columns: u64, duration_ms: u64, limit: u64 },
}

impl Error {
    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &*self.0 {
            Inner::InvalidOption { .. } => ErrorKind::Invalid,
            Inner::PageTooLarge { .. }
            | Inner::FooterTooLarge { .. }
            | Inner::CellTooLarge { .. }
            | Inner::TooManyLabels { .. }
            | Inner::Memory { .. }
            | Inner::TooManyDataColumns { .. } => ErrorKind::LimitExceeded,
            Inner::Parquet { .. } | Inner::Internal { .. } => ErrorKind::Internal,
            Inner::Write { .. } | Inner::Spill { .. } => ErrorKind::Unavailable,
            Inner::LastMillisecond { .. } => ErrorKind::Unsupported,
            Inner::Cancelled => ErrorKind::Cancelled,
            Inner::Shard { source } => of_shard(source.kind()),
            Inner::NoShards => ErrorKind::NotFound,
            Inner::Row { .. } | Inner::Difference { .. } => ErrorKind::Corrupt,
            Inner::Block { source } => of_block(source.kind()),
            Inner::Bucket { source } => of_bucket(source.kind()),
            Inner::Schema { source } => match source.kind() {
                promparquet_schema::ErrorKind::Corrupt => ErrorKind::Corrupt,
                _ => ErrorKind::Invalid,
            },
        }
    }
}

fn of_block(kind: prometheus_tsdb_block::ErrorKind) -> ErrorKind {
    use prometheus_tsdb_block::ErrorKind as Block;
    match kind {
        Block::Corrupt => ErrorKind::Corrupt,
        Block::Unsupported => ErrorKind::Unsupported,
        Block::Invalid => ErrorKind::Invalid,
        Block::NotFound => ErrorKind::NotFound,
        Block::LimitExceeded => ErrorKind::LimitExceeded,
        Block::Unavailable => ErrorKind::Unavailable,
        Block::Cancelled => ErrorKind::Cancelled,
        _ => ErrorKind::Internal,
    }
}

fn of_bucket(kind: promparquet_objstore::ErrorKind) -> ErrorKind {
    use promparquet_objstore::ErrorKind as Bucket;
    match kind {
        Bucket::Invalid => ErrorKind::Invalid,
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
        _ => ErrorKind::Unavailable,
    }
}

macro_rules! from_crate {
    ($($error:ty => $variant:ident),*) => {$(
        impl From<$error> for Error {
            fn from(source: $error) -> Self {
                Inner::$variant { source }.into()
            }
        }
    )*};
}

from_crate! {
    prometheus_tsdb_block::Error => Block,
    promparquet_objstore::Error => Bucket,
    promparquet_schema::Error => Schema,
    promparquet_shard::Error => Shard
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
