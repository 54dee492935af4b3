//! The error that every store's own error becomes.

use std::{error::Error as StdError, fmt};

/// What a caller does about an [`Error`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The question is wrong, such as a matcher with a broken regular expression. Fix it.
    Invalid,
    /// The stored bytes contradict their format. Retrying does not help: restore them, or leave the store out.
    Corrupt,
    /// The stored bytes follow a format that this release does not read.
    Unsupported,
    /// Something that was there when the querier was opened is gone. Asking a new querier may help.
    NotFound,
    /// The answer would exceed a limit. Ask for less, or raise the limit that the message names.
    LimitExceeded,
    /// Storage or network failed. Retrying may help.
    Unavailable,
    /// The query was cancelled or its time was up.
    Cancelled,
    /// A defect in a store. Report it.
    Internal,
}

/// Why a question could not be answered. `Display` tells what the store said, without its sources.
pub struct Error(Box<Inner>);

/// Result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

struct Inner {
    kind: ErrorKind,
    source: Box<dyn StdError + Send + Sync>,
}

impl Error {
    /// For stores: makes this error of their own.
    pub fn new(kind: ErrorKind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(Box::new(Inner { kind, source: source.into() }))
    }

    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The store's own error, if it is an `E`.
    #[must_use]
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        self.0.source.downcast_ref()
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error").field("kind", &self.0.kind).field("source", &self.0.source).finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.source.fmt(f)
    }
}

impl StdError for Error {
    /// That of the store's error, which `Display` shows already.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.source()
    }
}
