//! What can be wrong with a shard.

use std::fmt;

use snafu::Snafu;

/// A shard could not be opened or read. `Display` names the object and, where known, column, row group and offset.
pub struct Error(Box<Detail>);

/// Result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller does about an [`Error`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes contradict the format or each other, or are no shard at all: restore them or convert again.
    Corrupt,
    /// The file uses a part of Parquet that no known writer of shards uses. A newer release may read it.
    Unsupported,
    /// The key or another argument is wrong.
    Invalid,
    /// The object does not exist.
    NotFound,
    /// Reading would take more memory than the [limits](crate::Limits) allow: raise them if the file can be trusted.
    LimitExceeded,
    /// Storage failed: trying again later may help.
    Unavailable,
}

/// Where in a shard: as precise as the code that failed knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    /// Bucket and key.
    pub(crate) object: String,
    pub(crate) column: Option<String>,
    pub(crate) row_group: Option<usize>,
    pub(crate) row: Option<u64>,
    /// Offset in the object, in bytes.
    pub(crate) offset: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.object)?;
        if let Some(column) = &self.column {
            write!(f, ", column {column:?}")?;
        }
        if let Some(row_group) = self.row_group {
            write!(f, ", row group {row_group}")?;
        }
        if let Some(row) = self.row {
            write!(f, ", row {row}")?;
        }
        if let Some(offset) = self.offset {
            write!(f, ", offset {offset}")?;
        }
        Ok(())
    }
}

#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)), context(suffix(false)))]
pub(crate) enum Detail {
    #[snafu(display("{place}: expected {expected}, found {found}"))]
    Corrupt { place: Place, expected: String, found: String },
    #[snafu(display("{place}: {what} is not supported"))]
    Unsupported { place: Place, what: String },
    #[snafu(display("{place}: {what} takes {needed} bytes of memory; at most {limit} are allowed"))]
    TooLarge { place: Place, what: &'static str, needed: u64, limit: u64 },
    #[snafu(display("{place}: expected a row group of at most {limit} rows, found {rows}"))]
    TooManyRows { place: Place, rows: u32, limit: u32 },
    #[snafu(display("{place}: footer: {source}"))]
    Footer { place: Place, source: parquet::errors::ParquetError },
    #[snafu(display("{place}: {source}"))]
    Layout { place: Place, source: promparquet_schema::Error },
    #[snafu(transparent)]
    Bucket { source: promparquet_objstore::Error },
    #[snafu(display("{key} is no converter mark"), context(name(MarkerOf)))]
    Marker { key: String, source: serde_json::Error },
    #[snafu(display(
        "bucket {bucket}: {key} says version {version} of the layout; versions 1 to {} can be read",
        promparquet_schema::LAYOUT_VERSION
    ))]
    NewerLayout { bucket: String, key: String, version: u32 },
    #[snafu(display("bucket {bucket} has no {key}; it has {files} files of this shard set"))]
    MissingShard { bucket: String, key: String, files: usize },
}

impl Error {
    /// What the caller should do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        use promparquet_objstore::ErrorKind as Bucket;
        match &*self.0 {
            Detail::Corrupt { .. } | Detail::Footer { .. } | Detail::Layout { .. } | Detail::Marker { .. } => {
                ErrorKind::Corrupt
            }
            Detail::Unsupported { .. } | Detail::NewerLayout { .. } => ErrorKind::Unsupported,
            Detail::MissingShard { .. } => ErrorKind::NotFound,
            Detail::TooLarge { .. } | Detail::TooManyRows { .. } => ErrorKind::LimitExceeded,
            Detail::Bucket { source } => match source.kind() {
                Bucket::Corrupt => ErrorKind::Corrupt,
                Bucket::NotFound => ErrorKind::NotFound,
                Bucket::Invalid | Bucket::AlreadyExists => ErrorKind::Invalid,
                Bucket::Unsupported => ErrorKind::Unsupported,
                Bucket::LimitExceeded => ErrorKind::LimitExceeded,
                _ => ErrorKind::Unavailable,
            },
        }
    }

    pub(crate) fn corrupt(place: Place, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Detail::Corrupt { place, expected: expected.into(), found: found.into() }.into()
    }
}

impl From<Detail> for Error {
    #[cold]
    fn from(detail: Detail) -> Self {
        Self(Box::new(detail))
    }
}

impl From<promparquet_objstore::Error> for Error {
    fn from(source: promparquet_objstore::Error) -> Self {
        Detail::Bucket { source }.into()
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
        // The other details repeat their source in their own text.
        match &*self.0 {
            Detail::Bucket { source } => std::error::Error::source(source),
            Detail::Marker { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// What is wrong with bytes whose place the caller knows: `offset` counts from the start of what was decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    Corrupt { expected: String, found: String },
    Unsupported(String),
    TooLarge { what: &'static str, needed: u64, limit: u64 },
}

impl Fault {
    pub(crate) fn corrupt(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Corrupt { expected: expected.into(), found: found.into() }
    }

    #[cold]
    pub(crate) fn at(self, place: Place) -> Error {
        match self {
            Self::Corrupt { expected, found } => Error::corrupt(place, expected, found),
            Self::Unsupported(what) => Detail::Unsupported { place, what }.into(),
            Self::TooLarge { what, needed, limit } => Detail::TooLarge { place, what, needed, limit }.into(),
        }
    }
}
