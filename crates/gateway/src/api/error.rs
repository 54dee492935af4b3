//! Errors as Prometheus' HTTP API gives them.
//!
//! ```text
//! errorType    status   when
//! bad_data     400      the request is wrong
//! execution    422      the query has no answer on these data, or takes more than a limit allows (for gRPC another status)
//! canceled     499      the client went away
//! timeout      503      it took too long
//! unavailable  503      the bucket fails, or was not looked through yet
//! internal     500      stored data are damaged, or this program is
//! not_found    404
//! ```

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use prometheus_promql as promql;
use prometheus_queryable::ErrorKind as Storage;

use crate::json;

/// What kind of error it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ErrorType {
    BadData,
    Execution,
    LimitExceeded,
    Canceled,
    Timeout,
    Unavailable,
    Internal,
    NotFound,
}

impl ErrorType {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::BadData => "bad_data",
            Self::Execution | Self::LimitExceeded => "execution",
            Self::Canceled => "canceled",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
            Self::NotFound => "not_found",
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::BadData => StatusCode::BAD_REQUEST,
            Self::Execution | Self::LimitExceeded => StatusCode::UNPROCESSABLE_ENTITY,
            // nginx' own code for clients that close the connection.
            Self::Canceled => StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT),
            Self::Timeout | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotFound => StatusCode::NOT_FOUND,
        }
    }
}

/// Why a request has no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ApiError {
    pub(crate) kind: ErrorType,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(kind: ErrorType, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn bad_data(message: impl Into<String>) -> Self {
        Self::new(ErrorType::BadData, message)
    }

    /// A parameter is wrong.
    pub(crate) fn parameter(name: &str, why: impl std::fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter \"{name}\": {why}"))
    }

    pub(crate) fn timeout(place: &str) -> Self {
        Self::new(ErrorType::Timeout, format!("query timed out in {place}"))
    }

    pub(crate) fn canceled() -> Self {
        Self::new(ErrorType::Canceled, "query was canceled in query execution")
    }
}

/// An error and its sources on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

fn of_storage(kind: Storage) -> ErrorType {
    match kind {
        Storage::Invalid => ErrorType::BadData,
        Storage::LimitExceeded => ErrorType::LimitExceeded,
        Storage::Cancelled => ErrorType::Canceled,
        Storage::Unavailable | Storage::NotFound => ErrorType::Unavailable,
        _ => ErrorType::Internal,
    }
}

impl From<prometheus_queryable::Error> for ApiError {
    fn from(error: prometheus_queryable::Error) -> Self {
        Self::new(of_storage(error.kind()), chain(&error))
    }
}

impl From<promql::Error> for ApiError {
    fn from(error: promql::Error) -> Self {
        use promql::ErrorKind;
        if let Some(storage) = error.storage_error() {
            return Self::new(of_storage(storage.kind()), chain(&error));
        }
        match error.kind() {
            ErrorKind::Invalid => Self::parameter("query", chain(&error)),
            ErrorKind::LimitExceeded => Self::new(ErrorType::LimitExceeded, chain(&error)),
            ErrorKind::Execution => Self::new(ErrorType::Execution, chain(&error)),
            ErrorKind::Overloaded => Self::new(ErrorType::Unavailable, chain(&error)),
            ErrorKind::Timeout => Self::new(ErrorType::Timeout, chain(&error)),
            _ => Self::new(ErrorType::Internal, chain(&error)),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut body = Vec::new();
        json::error(&mut body, self.kind.as_str(), &self.message);
        (self.kind.status(), [("content-type", "application/json")], body).into_response()
    }
}
