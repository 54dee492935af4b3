//! What can go wrong with a server.

use std::{fmt, io, net::SocketAddr};

use snafu::Snafu;

/// A server could not be started or has failed.
pub struct Error(Box<Detail>);

/// Result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller does about an [`Error`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration is wrong, or asks for what the system does not give, such as a port in use. The message says what
    /// to change.
    Invalid,
}

#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)), context(suffix(false)))]
pub(crate) enum Detail {
    #[snafu(display("cannot listen on {address} for {what}: {source}; {}", advice(source, flag)))]
    Bind { what: &'static str, flag: &'static str, address: SocketAddr, source: io::Error },
    #[snafu(display("certificates of the gRPC port: {message}"))]
    Tls { message: String },
    #[snafu(display("--block.filter.thanos-backfill.endpoint {endpoint:?}: {message}"))]
    BackfillEndpoint { endpoint: String, message: String },
    #[snafu(display("web configuration {path}: {message}"))]
    WebConfig { path: String, message: String },
}

fn advice(error: &io::Error, flag: &str) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!("stop the process that has the port, or choose another with {flag}"),
        io::ErrorKind::PermissionDenied => format!("choose a port from 1024 on with {flag}"),
        _ => format!("choose another address with {flag}"),
    }
}

impl Error {
    /// What the caller should do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match *self.0 {
            Detail::Bind { .. } | Detail::Tls { .. } | Detail::BackfillEndpoint { .. } | Detail::WebConfig { .. } => {
                ErrorKind::Invalid
            }
        }
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

impl std::error::Error for Error {}
