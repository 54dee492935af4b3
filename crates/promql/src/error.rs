//! What can go wrong with a query.

use std::{fmt, time::Duration};

use snafu::Snafu;

use crate::ast::Span;

/// Result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a query is refused or has no answer.
pub struct Error(Box<Repr>);

/// What a caller does about an [`Error`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The query is wrong: report it to whoever wrote it. [`Error::parse_errors`] says where.
    Invalid,
    /// The query exceeds a limit that the message names: shorten it or raise the limit.
    LimitExceeded,
    /// The queries that run at the same time hold all the memory that there is: try again later, or allow more.
    Overloaded,
    /// The query has no answer on these data, such as series that match each other twice: report it to whoever wrote it.
    Execution,
    /// The query took longer than it may. Ask for less, or give it more time.
    Timeout,
    /// The store could not answer: [`Error::storage_error`] says why.
    Storage,
    /// A defect of the engine. Report it.
    Internal,
}

/// Something wrong with a query, in the words of Prometheus.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// What it is about.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// Line, from 1, and column in bytes, from 1; none for empty input.
    pub position: Option<(usize, usize)>,
}

#[derive(Snafu, Debug)]
#[snafu(visibility(pub(crate)), context(suffix(false)))]
pub(crate) enum Repr {
    #[snafu(display("{first}"))]
    Parse { first: ParseError, others: Vec<ParseError> },
    #[snafu(display("query of {bytes} bytes is longer than the limit of {limit}"))]
    TooLong { bytes: usize, limit: usize },
    #[snafu(display("query nests more than {limit} levels deep at byte {at}"))]
    TooDeep { at: usize, limit: usize },
    #[snafu(display("query has more than {limit} regular expressions"))]
    TooManyRegexes { limit: usize },
    #[snafu(display("series description stands for more than {limit} values"))]
    TooManyValues { limit: usize },
    #[snafu(display("{message}"))]
    Request { message: String },
    #[snafu(display("{message}"))]
    Execution { message: String },
    #[snafu(display(
        "query processing would load too many samples into memory in query execution: more than {limit} at once"
    ))]
    TooManySamples { limit: u64 },
    #[snafu(display("query would take more than {limit} bytes of memory at once: {bytes} for {what}"))]
    TooMuchMemory { what: &'static str, bytes: u64, limit: u64 },
    #[snafu(display(
        "all queries together would take more than {limit} bytes of memory, this one {bytes} for {what}: try again later"
    ))]
    NoMemoryLeft { what: &'static str, bytes: u64, limit: u64 },
    #[snafu(display(
        "{what} has {steps} steps, more than the limit of {limit}: take a longer step or a shorter range"
    ))]
    TooManySteps { what: &'static str, steps: u64, limit: u64 },
    #[snafu(display("query timed out in expression evaluation after {timeout:?}"))]
    TimedOut { timeout: Duration },
    #[snafu(display("expanding series: {error}"))]
    Store { error: prometheus_queryable::Error },
    /// Never seen: the query is evaluated again.
    #[snafu(display("the query needs all labels of its series"))]
    NeedsAllLabels,
    #[snafu(display("{message}: a defect of the engine"))]
    Defect { message: String },
}

impl ParseError {
    pub(crate) fn new(input: &str, span: Span, message: String) -> Self {
        let before = input.as_bytes().get(..span.start).unwrap_or(input.as_bytes());
        let line_breaks = before.iter().filter(|&&b| b == b'\n').count();
        let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |i| i + 1);
        let position = (!input.is_empty()).then_some((line_breaks + 1, before.len() - line_start + 1));
        Self { span, message, position }
    }
}

impl Error {
    /// What the caller should do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match *self.0 {
            Repr::Parse { .. } | Repr::Request { .. } => ErrorKind::Invalid,
            Repr::TooLong { .. }
            | Repr::TooDeep { .. }
            | Repr::TooManyRegexes { .. }
            | Repr::TooManyValues { .. }
            | Repr::TooManySamples { .. }
            | Repr::TooMuchMemory { .. }
            | Repr::TooManySteps { .. } => ErrorKind::LimitExceeded,
            Repr::NoMemoryLeft { .. } => ErrorKind::Overloaded,
            Repr::Execution { .. } => ErrorKind::Execution,
            Repr::TimedOut { .. } => ErrorKind::Timeout,
            Repr::Store { .. } => ErrorKind::Storage,
            Repr::NeedsAllLabels | Repr::Defect { .. } => ErrorKind::Internal,
        }
    }

    /// What the store said, if that is why there is no answer.
    #[must_use]
    pub fn storage_error(&self) -> Option<&prometheus_queryable::Error> {
        match &*self.0 {
            Repr::Store { error } => Some(error),
            _ => None,
        }
    }

    pub(crate) fn needs_all_labels(&self) -> bool {
        matches!(*self.0, Repr::NeedsAllLabels)
    }

    #[cold]
    pub(crate) fn execution(message: impl Into<String>) -> Self {
        Repr::Execution { message: message.into() }.into()
    }

    #[cold]
    pub(crate) fn defect(message: impl Into<String>) -> Self {
        Repr::Defect { message: message.into() }.into()
    }

    /// What is wrong with the query, if that is why it is refused: at most a thousand errors. `Display` shows the first.
    pub fn parse_errors(&self) -> impl Iterator<Item = &ParseError> {
        let (first, others) = match &*self.0 {
            Repr::Parse { first, others } => (Some(first), others.as_slice()),
            _ => (None, [].as_slice()),
        };
        first.into_iter().chain(others)
    }
}

impl From<Repr> for Error {
    #[cold]
    fn from(repr: Repr) -> Self {
        Self(Box::new(repr))
    }
}

/// As Prometheus writes it: `1:5: parse error: unexpected end of input`.
impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some((line, column)) => write!(f, "{line}:{column}: parse error: {}", self.message),
            None => write!(f, "unknown position: parse error: {}", self.message),
        }
    }
}

impl std::error::Error for ParseError {}

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
    /// That of the store's error, which `Display` shows already.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.storage_error().and_then(std::error::Error::source)
    }
}

impl From<prometheus_queryable::Error> for Error {
    #[cold]
    fn from(error: prometheus_queryable::Error) -> Self {
        Repr::Store { error }.into()
    }
}
