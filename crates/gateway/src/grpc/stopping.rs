//! Calls that are still under way when the server's time is over: they end with a status that says so. Their connections are
//! tonic's, which waits for them however long they take.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use hyper::body::{Body as HttpBody, Frame};
use tonic::Status;

/// When the time is over.
pub(crate) type Late = Shared<BoxFuture<'static, ()>>;

fn status() -> Status {
    Status::unavailable("the server stops, and the call did not end in time")
}

/// Ends calls when their time is over.
pub(crate) async fn end(State(late): State<Late>, request: Request, next: Next) -> Response {
    tokio::select! {
        response = next.run(request) => response.map(|inner| Body::new(Ending { inner, late, ended: false })),
        () = late.clone() => status().into_http::<Body>().into_response(),
    }
}

struct Ending {
    inner: Body,
    late: Late,
    ended: bool,
}

impl HttpBody for Ending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if self.late.poll_unpin(cx).is_pending() {
            return Pin::new(&mut self.inner).poll_frame(cx);
        }
        self.ended = true;
        let mut trailers = Default::default();
        Poll::Ready(status().add_header(&mut trailers).is_ok().then(|| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }
}
