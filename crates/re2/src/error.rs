//! What can go wrong with a pattern.

use std::fmt;

use snafu::Snafu;

/// Result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a pattern is refused. The text is the one that Go, and so Prometheus, shows.
pub struct Error(Box<Repr>);

/// What a caller does about an [`Error`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The pattern is malformed: report it to whoever wrote it.
    Invalid,
    /// The pattern is well-formed, but too large to be compiled: report it to whoever wrote it.
    LimitExceeded,
}

#[derive(Snafu, Debug)]
#[snafu(visibility(pub(crate)), context(suffix(false)))]
pub(crate) enum Repr {
    #[snafu(display("error parsing regexp: {reason}: `{fragment}`"))]
    Syntax { reason: &'static str, fragment: String },
    #[snafu(display("error parsing regexp: expression nests too deeply: `{pattern}`"))]
    TooDeep { pattern: String },
    #[snafu(display("error parsing regexp: expression too large: `{pattern}`"))]
    TooLarge { pattern: String },
}

impl Error {
    /// What the caller should do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match *self.0 {
            Repr::Syntax { .. } => ErrorKind::Invalid,
            Repr::TooDeep { .. } | Repr::TooLarge { .. } => ErrorKind::LimitExceeded,
        }
    }
}

impl From<Repr> for Error {
    #[cold]
    fn from(repr: Repr) -> Self {
        Self(Box::new(repr))
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

impl std::error::Error for Error {}
