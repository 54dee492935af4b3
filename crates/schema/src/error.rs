//! What can be wrong with the parts of a shard that this crate reads.

use snafu::Snafu;

/// A part of a shard does not follow the layout.
#[derive(Debug)]
pub struct Error(Box<Inner>);

/// What the caller can do about an [`Error`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are damaged or were not written by a writer of this layout: restore or convert again.
    Corrupt,
    /// It is of a version of the layout that this release does not know: use a newer one.
    Unsupported,
    /// A value given by the caller cannot be represented.
    Invalid,
}

#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub(crate) enum Inner {
    #[snafu(display("{what} at byte {offset}: expected {expected}, found {found}"))]
    Corrupt { what: &'static str, offset: usize, expected: String, found: String },
    #[snafu(display("footer key {key:?}: expected {expected}, found {found}"))]
    Footer { key: &'static str, expected: &'static str, found: String },
    #[snafu(display("data columns of {duration_ms} ms over [{min_time}, {max_time}] ms: {problem}"))]
    DataColumns { min_time: i64, max_time: i64, duration_ms: i64, problem: &'static str },
    #[snafu(display("expected {what}: {source}"))]
    Protobuf { what: &'static str, source: prost::DecodeError },
    #[snafu(display("a day's {what}: expected {expected}, found {found}"))]
    Day { what: &'static str, expected: String, found: String },
    #[snafu(display("version {version} of a day's layout; versions 0 to 2 can be read"))]
    DayVersion { version: i64 },
    #[snafu(display("{start} ms is not the beginning of a day"))]
    DayStart { start: i64 },
}

impl Error {
    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match *self.0 {
            Inner::Corrupt { .. } | Inner::Footer { .. } | Inner::Protobuf { .. } | Inner::Day { .. } => {
                ErrorKind::Corrupt
            }
            Inner::DayVersion { .. } => ErrorKind::Unsupported,
            Inner::DataColumns { .. } | Inner::DayStart { .. } => ErrorKind::Invalid,
        }
    }

    pub(crate) fn corrupt(
        what: &'static str,
        offset: usize,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Inner::Corrupt { what, offset, expected: expected.into(), found: found.into() }.into()
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

impl std::error::Error for Error {}
