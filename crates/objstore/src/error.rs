//! The crate's error: opaque outside, precise inside.

use std::{error::Error as StdError, fmt, io, ops::Range};

use object_store::client::HttpError;
use snafu::Snafu;

use crate::yaml::YamlError;

/// What a caller does about an [`Error`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration, a key or another argument is wrong, or the service refused the request as malformed. Fix it;
    /// retrying does not help.
    Invalid,
    /// The configuration asks for something that this crate does not provide. The message says what to do instead.
    Unsupported,
    /// The object, the bucket or the directory does not exist.
    NotFound,
    /// An object of this key exists already, or is not in the state that the call made a condition.
    AlreadyExists,
    /// The credentials are missing, wrong, or do not allow the operation. Fix them.
    PermissionDenied,
    /// The network or the service failed, after the configured retries. Trying again later may help.
    Unavailable,
    /// The disk or quota behind the bucket is full. Free space; retrying alone does not help.
    StorageFull,
    /// The object is larger than the caller or the service allows.
    LimitExceeded,
    /// The object is shorter than the caller has reason to believe: it was truncated or replaced.
    Corrupt,
    /// An earlier call of the same upload failed or was dropped before it ended. Start the upload anew.
    Cancelled,
}

/// Why a configuration cannot be used or an operation failed. `Display` names the bucket and the key; it never contains
/// credentials.
pub struct Error(Box<Detail>);

/// Result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)), context(suffix(false)))]
pub(crate) enum Detail {
    #[snafu(display("{subject} configuration{at}: {problem}"))]
    Yaml { subject: Subject, at: Place, problem: String },

    #[snafu(display("{subject} configuration: {field} {problem}"))]
    Field { subject: Subject, field: String, problem: String },

    #[snafu(display("{subject} configuration: {field} is not supported: {advice}"))]
    Unsupported { subject: Subject, field: String, advice: String },

    #[snafu(display(
        "{subject} configuration: environment variable {name}, named as $({name}) on line {line}, is not set"
    ))]
    Environment { subject: Subject, name: String, line: usize },

    #[snafu(display("{subject} configuration of {found} bytes is larger than {limit} bytes"))]
    ConfigSize { subject: Subject, found: usize, limit: usize },

    #[snafu(display("cannot use cache directory {directory:?}"))]
    CacheDirectory { directory: std::path::PathBuf, kind: ErrorKind, source: Cause },

    #[snafu(display("cache directory {directory:?} is in use by another cache, of this process or another"))]
    CacheInUse { directory: std::path::PathBuf },

    #[snafu(display("bucket configuration: cannot read {field} {path:?}"))]
    File { field: &'static str, path: std::path::PathBuf, source: io::Error },

    #[snafu(display("cannot open bucket {bucket}"))]
    Open { bucket: String, kind: ErrorKind, source: Cause },

    #[snafu(display("cannot {operation} {bucket}/{key}"))]
    Store { operation: &'static str, bucket: String, key: String, kind: ErrorKind, source: Cause },

    #[snafu(display("{key:?} cannot be the key of an object: {problem}"))]
    Key { key: String, problem: &'static str },

    #[snafu(display("{bucket}/{key} has {found} bytes; at most {limit} are read"))]
    TooLarge { bucket: String, key: String, found: u64, limit: u64 },

    #[snafu(display("cannot upload {bucket}/{key}: more than {parts} parts of {part_size} bytes; raise part_size"))]
    TooManyParts { bucket: String, key: String, parts: u64, part_size: usize },

    #[snafu(display("{bucket}/{key}: byte range [{}, {}) ends before it starts", range.start, range.end))]
    Reversed { bucket: String, key: String, range: Range<u64> },

    #[snafu(display("{bucket}/{key}: expected bytes [{}, {}), found an object of {found} bytes", range.start, range.end))]
    Short { bucket: String, key: String, range: Range<u64>, found: u64 },

    #[snafu(display("{bucket}/{key}: expected {expected} bytes, received {found}"))]
    Received { bucket: String, key: String, expected: u64, found: u64 },

    #[snafu(display("cannot upload {bucket}/{key}: an earlier call failed or was dropped before it ended"))]
    Spoiled { bucket: String, key: String },

    #[snafu(display(
        "block {location} is read from the only thread of a single-threaded runtime, which would never wake: read it \
         from a thread outside of the runtime"
    ))]
    Blocking { location: String },
}

/// What a configuration is of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Subject {
    #[default]
    Bucket,
    Cache,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bucket => "bucket",
            Self::Cache => "cache",
        })
    }
}

/// Line and column in a configuration, where known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place(pub(crate) Option<(u64, u64)>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((line, column)) => write!(f, ", line {line}, column {column}"),
            None => Ok(()),
        }
    }
}

/// What a store said, with its own sources folded in and bounded, so that a printed chain says everything once.
#[derive(Debug)]
pub(crate) struct Cause(String);

impl Cause {
    const MAX_BYTES: usize = 2048;

    pub(crate) fn of(error: &dyn StdError) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            let more = error.to_string();
            // Stores usually, but not always, repeat their source in their own text.
            if !text.contains(&more) {
                text = format!("{text}: {more}");
            }
            source = error.source();
        }
        if text.len() > Self::MAX_BYTES {
            text.truncate(text.floor_char_boundary(Self::MAX_BYTES));
            text.push_str("...");
        }
        Self(text)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Cause {}

/// The kind of a store's error.
pub(crate) fn kind_of(error: &object_store::Error) -> ErrorKind {
    use object_store::Error as Store;
    match error {
        Store::NotFound { .. } => ErrorKind::NotFound,
        Store::InvalidPath { .. } | Store::UnknownConfigurationKey { .. } => ErrorKind::Invalid,
        Store::NotSupported { .. } | Store::NotImplemented { .. } => ErrorKind::Unsupported,
        Store::AlreadyExists { .. } | Store::Precondition { .. } | Store::NotModified { .. } => {
            ErrorKind::AlreadyExists
        }
        Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => ErrorKind::PermissionDenied,
        _ => kind_of_source(error),
    }
}

/// The kind of an error that the store's own enum does not tell apart.
fn kind_of_source(error: &dyn StdError) -> ErrorKind {
    let mut next = error.source();
    let mut text = error.to_string();
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return kind_of_io(error);
        }
        if error.is::<HttpError>() {
            return ErrorKind::Unavailable;
        }
        text = error.to_string();
        next = error.source();
    }
    // The type that carries the status is private to object_store. Its text is what remains.
    let status =
        text.split_once("status code: ").and_then(|(_, rest)| rest.get(..3)).and_then(|s| s.parse::<u16>().ok());
    match status {
        // Listings do not come with a variant of their own for these.
        Some(401 | 403) => ErrorKind::PermissionDenied,
        Some(404) => ErrorKind::NotFound,
        Some(409 | 412) => ErrorKind::AlreadyExists,
        Some(408 | 425 | 429) => ErrorKind::Unavailable,
        Some(507) => ErrorKind::StorageFull,
        Some(400..=499) => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    }
}

/// Whether the request failed on its way, rather than being refused.
pub(crate) fn is_transport(error: &object_store::Error) -> bool {
    let mut next = error.source();
    while let Some(error) = next {
        if error.is::<io::Error>() || error.is::<HttpError>() {
            return true;
        }
        next = error.source();
    }
    false
}

pub(crate) fn kind_of_io(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::StorageFull,
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::PermissionDenied,
        io::ErrorKind::InvalidFilename | io::ErrorKind::IsADirectory => ErrorKind::Invalid,
        io::ErrorKind::FileTooLarge => ErrorKind::LimitExceeded,
        _ => ErrorKind::Unavailable,
    }
}

impl Error {
    /// What the caller should do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &*self.0 {
            Detail::Yaml { .. }
            | Detail::Field { .. }
            | Detail::Environment { .. }
            | Detail::Key { .. }
            | Detail::Reversed { .. }
            | Detail::Blocking { .. } => ErrorKind::Invalid,
            Detail::Unsupported { .. } => ErrorKind::Unsupported,
            Detail::ConfigSize { .. } | Detail::TooLarge { .. } | Detail::TooManyParts { .. } => {
                ErrorKind::LimitExceeded
            }
            Detail::File { source, .. } => kind_of_io(source),
            Detail::Open { kind, .. } | Detail::Store { kind, .. } | Detail::CacheDirectory { kind, .. } => *kind,
            Detail::CacheInUse { .. } => ErrorKind::Unavailable,
            Detail::Short { .. } | Detail::Received { .. } => ErrorKind::Corrupt,
            Detail::Spoiled { .. } => ErrorKind::Cancelled,
        }
    }

    pub(crate) fn field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Detail::Field { subject: Subject::default(), field: field.into(), problem: problem.into() }.into()
    }

    pub(crate) fn unsupported(field: impl Into<String>, advice: impl Into<String>) -> Self {
        Detail::Unsupported { subject: Subject::default(), field: field.into(), advice: advice.into() }.into()
    }

    /// The same error of a cache's configuration.
    pub(crate) fn about_cache(mut self) -> Self {
        if let Detail::Yaml { subject, .. }
        | Detail::Field { subject, .. }
        | Detail::Unsupported { subject, .. }
        | Detail::Environment { subject, .. }
        | Detail::ConfigSize { subject, .. } = &mut *self.0
        {
            *subject = Subject::Cache;
        }
        self
    }
}

impl From<YamlError> for Error {
    #[cold]
    fn from(YamlError { position, problem }: YamlError) -> Self {
        Detail::Yaml { subject: Subject::default(), at: Place(position), problem }.into()
    }
}

impl From<Detail> for Error {
    #[cold]
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
