//! Calls end when their time is over, with a status that says so: that of their client, which the header `grpc-timeout` tells,
//! and that of the server when it stops.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::HeaderMap,
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use hyper::body::{Body as HttpBody, Frame};
use tonic::Status;

/// When the server's time is over.
pub(crate) type Late = Shared<BoxFuture<'static, ()>>;

/// Ends calls when their time is over.
pub(crate) async fn end(State(late): State<Late>, request: Request, next: Next) -> Response {
    let timeout = match timeout(request.headers()) {
        Ok(timeout) => timeout,
        Err(status) => return status.into_http::<Body>().into_response(),
    };
    let client = async move {
        match timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    let over = async move {
        tokio::select! {
            () = client => Status::deadline_exceeded("the call took longer than its client allows"),
            () = late => Status::unavailable("the server stops, and the call did not end in time"),
        }
    };
    let mut over = over.boxed();
    tokio::select! {
        response = next.run(request) => response.map(|inner| Body::new(Ending { inner, over, ended: false })),
        status = &mut over => status.into_http::<Body>().into_response(),
    }
}

/// How long a call may take: at most eight digits, and a unit.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    let parsed = value.to_str().ok().and_then(|text| {
        let unit = text.chars().next_back()?;
        let digits = text.strip_suffix(unit)?;
        let is_number = (1..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        let count: u64 = digits.parse().ok().filter(|_| is_number)?;
        Some(match unit {
            'H' => Duration::from_secs(count * 3600),
            'M' => Duration::from_secs(count * 60),
            'S' => Duration::from_secs(count),
            'm' => Duration::from_millis(count),
            'u' => Duration::from_micros(count),
            'n' => Duration::from_nanos(count),
            _ => return None,
        })
    });
    match parsed {
        Some(timeout) => Ok(Some(timeout)),
        None => Err(Status::invalid_argument("grpc-timeout is not a number of at most eight digits and one of HMSmun")),
    }
}

struct Ending {
    inner: Body,
    over: BoxFuture<'static, Status>,
    ended: bool,
}

impl HttpBody for Ending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let Poll::Ready(status) = self.over.poll_unpin(cx) else { return Pin::new(&mut self.inner).poll_frame(cx) };
        self.ended = true;
        let mut trailers = HeaderMap::new();
        Poll::Ready(status.add_header(&mut trailers).is_ok().then(|| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts() {
        for (text, expected) in [
            ("1H", Some(3_600_000)),
            ("99999999H", Some(359_999_996_400_000)),
            ("2M", Some(120_000)),
            ("030S", Some(30_000)),
            ("7m", Some(7)),
            ("5000u", Some(5)),
            ("1000000n", Some(1)),
            ("0S", Some(0)),
            ("", None),
            ("S", None),
            ("5", None),
            ("123456789S", None),
            ("-1S", None),
            ("+1S", None),
            ("1.5S", None),
            ("1 S", None),
            ("5s", None),
            ("5\u{e9}", None),
        ] {
            let headers = HeaderMap::from_iter([("grpc-timeout".parse().unwrap(), text.parse().unwrap())]);
            let found = timeout(&headers).ok().map(|timeout| timeout.unwrap().as_millis());
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(timeout(&HeaderMap::new()).unwrap(), None);
    }
}
