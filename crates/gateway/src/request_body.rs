//! Bodies of requests, read within bounds: of the size of each, of the time that it takes, of what all of them hold at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use http_body_util::BodyExt;

use crate::api::error::{ApiError, ErrorType};

/// How long a client may take to send a body.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
/// What bodies may hold at once, of all requests that were not answered yet.
const MOST_HELD: usize = 256 << 20;

/// What all bodies hold.
#[derive(Debug, Default)]
pub(crate) struct RequestBodies(Arc<AtomicUsize>);

/// A body, which counts until this is dropped.
#[derive(Debug)]
pub(crate) struct RequestBody {
    pub(crate) bytes: Vec<u8>,
    held: Held,
}

/// What one request holds. It counts until the last clone is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Held(Arc<Share>);

#[derive(Debug)]
struct Share {
    counted: AtomicUsize,
    all: Arc<AtomicUsize>,
}

impl Held {
    /// Counts so many bytes more; fails if all requests hold too much.
    pub(crate) fn add(&self, bytes: usize) -> Result<(), ApiError> {
        self.0.counted.fetch_add(bytes, Ordering::Relaxed);
        if self.0.all.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > MOST_HELD {
            return Err(ApiError::new(ErrorType::Unavailable, "too many large requests at the same time"));
        }
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.all.fetch_sub(*self.counted.get_mut(), Ordering::Relaxed);
    }
}

impl RequestBodies {
    /// For a request of which nothing has come yet.
    pub(crate) fn holding(&self) -> Held {
        Held(Arc::new(Share { counted: AtomicUsize::new(0), all: Arc::clone(&self.0) }))
    }

    /// Reads a body of at most so many bytes.
    pub(crate) async fn read(&self, body: Body, max_bytes: usize) -> Result<RequestBody, ApiError> {
        let read = tokio::time::timeout(TIMEOUT, self.read_on(body, max_bytes)).await;
        read.unwrap_or_else(|_| Err(ApiError::bad_data("the request's body did not come in time")))
    }

    async fn read_on(&self, mut body: Body, max_bytes: usize) -> Result<RequestBody, ApiError> {
        let mut read = RequestBody { bytes: Vec::new(), held: self.holding() };
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| ApiError::bad_data(format!("the request's body breaks off: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            if data.len() > max_bytes - read.bytes.len() {
                return Err(ApiError::bad_data(format!("the request's body is longer than {max_bytes} bytes")));
            }
            read.held.add(data.len())?;
            read.bytes.extend_from_slice(&data);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bounds() {
        let bodies = RequestBodies::default();
        let mut read = Vec::new();
        for _ in 0..MOST_HELD / (64 << 20) {
            read.push(bodies.read(Body::from(vec![1; 64 << 20]), 64 << 20).await.unwrap());
        }
        assert_eq!(bodies.read(Body::from("a"), 1).await.unwrap_err().kind, ErrorType::Unavailable);
        read.pop();
        assert_eq!(bodies.read(Body::from("a"), 1).await.unwrap().bytes, b"a");
        assert_eq!(bodies.read(Body::from("ab"), 1).await.unwrap_err().kind, ErrorType::BadData);
        read.clear();
        assert_eq!(bodies.0.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let never = Body::from_stream(futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>());
        let error = RequestBodies::default().read(never, 10).await.unwrap_err();
        assert!(error.message.contains("in time"), "{error:?}");
    }
}
