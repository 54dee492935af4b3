//! Compressed messages, as Thanos' components send them if they are told to: snappy, which tonic does not know, and gzip.
//!
//! ```text
//! message := compressed(byte: 0 or 1) length(4 bytes, big endian) data
//! ```
//!
//! Data are compressed as the header `grpc-encoding` says; by snappy they are in its framing format. Answers are compressed as
//! the request was, as Go's servers do it: clients of that language tell all that they know, whether they want it or not.

use std::{
    future::Future,
    io::{Read, Write},
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CONTENT_TYPE, HeaderName},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::{Buf, BufMut, BytesMut};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use hyper::body::{Body as HttpBody, Frame};
use tokio::time::Sleep;
use tonic::{Code, Status};

use crate::{
    gateway::Gateway,
    request_body::{Held, TIMEOUT},
};

const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPTED: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const KNOWN: &str = "identity,snappy,gzip";

/// The compression byte and the length.
const HEAD_BYTES: usize = 5;

/// What a request holds in memory, for each byte of it: a matcher without content is two bytes long and takes 56, and lists
/// that grow are there twice.
const EXPANSION: usize = 32;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Encoding {
    Identity,
    Snappy,
    Gzip,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self, Status> {
        match headers.get(ENCODING).map(HeaderValue::as_bytes) {
            None | Some(b"identity") => Ok(Self::Identity),
            Some(b"snappy") => Ok(Self::Snappy),
            Some(b"gzip") => Ok(Self::Gzip),
            Some(other) => {
                let other = String::from_utf8_lossy(other);
                Err(Status::unimplemented(format!("messages are compressed by {other:?}, known are {KNOWN}")))
            }
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Snappy => "snappy",
            Self::Gzip => "gzip",
        }
    }
}

/// Makes plain messages of those of the request, and compresses those of the answer likewise. What requests hold is bounded, and
/// counts until they are answered.
pub(crate) async fn recode(State(gateway): State<Gateway>, mut request: Request, next: Next) -> Response {
    let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if !kind.starts_with(b"application/grpc") {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    let encoding = match Encoding::of(request.headers()) {
        Ok(encoding) => encoding,
        Err(status) => {
            let mut refusal = status.into_http::<Body>().into_response();
            refusal.headers_mut().insert(ACCEPTED, HeaderValue::from_static(KNOWN));
            return refusal;
        }
    };
    request.headers_mut().remove(ENCODING);
    let held = gateway.0.bodies.holding();
    // Those who ask for descriptions may take their time.
    let is_lasting = request.uri().path().starts_with("/grpc.reflection.");
    let timer = (!is_lasting).then(|| Box::pin(tokio::time::sleep(TIMEOUT)));
    let mut response = next
        .run(
            request.map(|body| {
                Body::new(Messages { timer, ..Messages::new(body, Recoding::Decompress(encoding), &held) })
            }),
        )
        .await;
    if encoding == Encoding::Identity {
        return response.map(|inner| Body::new(Holding { inner, _held: held }));
    }
    response.headers_mut().insert(ENCODING, HeaderValue::from_static(encoding.name()));
    response.map(|body| Body::new(Messages::new(body, Recoding::Compress(encoding), &held)))
}

/// The body of an answer as it is. The request counts until its end.
struct Holding {
    inner: Body,
    _held: Held,
}

impl HttpBody for Holding {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}

#[derive(Clone, Copy, Debug)]
enum Recoding {
    Decompress(Encoding),
    Compress(Encoding),
}

impl Recoding {
    /// Appends the message, with its new head.
    fn append(self, is_compressed: bool, data: &[u8], out: &mut BytesMut) -> Result<(), Status> {
        match self {
            Self::Decompress(_) if !is_compressed => append(out, 0, data),
            Self::Decompress(Encoding::Snappy) => decompress(snap::read::FrameDecoder::new(data), out),
            Self::Decompress(Encoding::Gzip) => decompress(GzDecoder::new(data), out),
            Self::Decompress(Encoding::Identity) => {
                Err(Status::internal("a message is compressed, but there is no grpc-encoding"))
            }
            Self::Compress(Encoding::Identity) => append(out, 0, data),
            Self::Compress(Encoding::Snappy) => {
                let mut writer = snap::write::FrameEncoder::new(Vec::new());
                let written = writer.write_all(data);
                let whole = written.and_then(|()| writer.into_inner().map_err(|error| error.into_error()));
                append(out, 1, &whole.map_err(|error| Status::internal(error.to_string()))?)
            }
            Self::Compress(Encoding::Gzip) => {
                let mut writer = GzEncoder::new(Vec::new(), Compression::fast());
                let whole = writer.write_all(data).and_then(|()| writer.finish());
                append(out, 1, &whole.map_err(|error| Status::internal(error.to_string()))?)
            }
        }
    }

    /// Bytes of a message that are read at most.
    const fn limit(self) -> usize {
        match self {
            Self::Decompress(_) => super::MAX_REQUEST_BYTES,
            Self::Compress(_) => usize::MAX,
        }
    }
}

fn append(out: &mut BytesMut, compressed: u8, data: &[u8]) -> Result<(), Status> {
    let length = u32::try_from(data.len()).map_err(|_| too_large(data.len(), u32::MAX as usize))?;
    out.reserve(HEAD_BYTES + data.len());
    out.put_u8(compressed);
    out.put_u32(length);
    out.put_slice(data);
    Ok(())
}

fn decompress(reader: impl Read, out: &mut BytesMut) -> Result<(), Status> {
    let limit = super::MAX_REQUEST_BYTES;
    let mut plain = Vec::new();
    let read = reader.take(limit as u64 + 1).read_to_end(&mut plain);
    read.map_err(|error| Status::invalid_argument(format!("cannot decompress a message: {error}")))?;
    if plain.len() > limit {
        return Err(too_large(plain.len(), limit));
    }
    append(out, 0, &plain)
}

fn too_large(bytes: usize, limit: usize) -> Status {
    Status::resource_exhausted(format!("a message of {bytes} bytes or more, allowed are {limit}"))
}

/// A body whose messages are recoded as they come.
#[derive(Debug)]
struct Messages {
    inner: Body,
    recoding: Recoding,
    /// What has come of messages that are not whole yet.
    pending: BytesMut,
    trailers: Option<HeaderMap>,
    ended: bool,
    /// What the request holds.
    held: Held,
    /// Runs while a request does not come to its end.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Messages {
    fn new(inner: Body, recoding: Recoding, held: &Held) -> Self {
        let held = held.clone();
        Self { inner, recoding, pending: BytesMut::new(), trailers: None, ended: false, held, timer: None }
    }

    /// Counts what came of a request.
    fn hold(&self, bytes: usize) -> Result<(), Status> {
        if let Recoding::Compress(_) = self.recoding {
            return Ok(());
        }
        Ok(self.held.add(bytes.saturating_mul(EXPANSION))?)
    }

    /// What comes next of the body, unless it takes too long.
    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        let (true, Some(timer)) = (polled.is_pending(), &mut self.timer) else { return polled };
        ready!(timer.as_mut().poll(cx));
        let status = Status::new(Code::DeadlineExceeded, "the request did not come to its end in time");
        Poll::Ready(Some(Err(axum::Error::new(status))))
    }

    /// The messages that are whole.
    fn whole(&mut self) -> Result<Bytes, Status> {
        let mut out = BytesMut::new();
        while let Some(&[compressed, a, b, c, d]) = self.pending.first_chunk::<HEAD_BYTES>() {
            let length = u32::from_be_bytes([a, b, c, d]) as usize;
            if length > self.recoding.limit() {
                return Err(too_large(length, self.recoding.limit()));
            }
            if compressed > 1 {
                return Err(Status::invalid_argument(format!("a message begins with {compressed} instead of 0 or 1")));
            }
            if self.pending.len() - HEAD_BYTES < length {
                break;
            }
            self.pending.advance(HEAD_BYTES);
            let data = self.pending.split_to(length);
            let before = out.len();
            self.recoding.append(compressed == 1, &data, &mut out)?;
            if compressed == 1 {
                self.hold(out.len() - before)?;
            }
        }
        Ok(out.freeze())
    }
}

impl HttpBody for Messages {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        while !self.ended {
            let mut too_much = None;
            match ready!(self.poll_inner(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        too_much = self.hold(data.len()).err();
                        self.pending.extend_from_slice(&data);
                    }
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                },
                Some(Err(error)) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => self.ended = true,
            }
            let whole = match too_much.map_or_else(|| self.whole(), Err) {
                Ok(_) if self.ended && !self.pending.is_empty() => {
                    Err(Status::invalid_argument("the last message ends early"))
                }
                whole => whole,
            };
            match whole {
                Ok(whole) if whole.is_empty() => {}
                Ok(whole) => return Poll::Ready(Some(Ok(Frame::data(whole)))),
                Err(status) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(axum::Error::new(status))));
                }
            }
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    /// Where there is nothing but a status, the stream must end with the headers: clients see to it.
    fn is_end_stream(&self) -> bool {
        self.trailers.is_none() && self.pending.is_empty() && (self.ended || self.inner.is_end_stream())
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};
    use http_body_util::BodyExt;

    use super::*;
    use crate::request_body::RequestBodies;

    /// What comes out if `bytes` come in pieces of `step`.
    async fn recoded(bytes: &[u8], step: usize, recoding: Recoding) -> Result<Vec<u8>, Status> {
        let pieces: Vec<_> =
            bytes.chunks(step).map(|piece| Ok::<_, axum::Error>(Bytes::copy_from_slice(piece))).collect();
        let held = RequestBodies::default().holding();
        let body = Body::new(Messages::new(Body::from_stream(stream::iter(pieces)), recoding, &held));
        let mut stream = body.into_data_stream();
        let mut out = Vec::new();
        while let Some(piece) = stream.next().await {
            out.extend_from_slice(&piece.map_err(|error| Status::from_error(Box::new(error)))?);
        }
        Ok(out)
    }

    fn message(compressed: u8, data: &[u8]) -> Vec<u8> {
        [&[compressed][..], &(data.len() as u32).to_be_bytes(), data].concat()
    }

    #[tokio::test]
    async fn messages_come_back_in_pieces_of_any_size() {
        let long = vec![b'l'; 100_000];
        let plain = [message(0, b"first"), message(0, b""), message(0, &long)].concat();
        for encoding in [Encoding::Identity, Encoding::Snappy, Encoding::Gzip] {
            for step in [1, 7, 1 << 20] {
                let compressed = recoded(&plain, step, Recoding::Compress(encoding)).await.unwrap();
                assert_eq!(compressed.len() < 10_000, encoding != Encoding::Identity);
                let back = recoded(&compressed, step, Recoding::Decompress(encoding)).await.unwrap();
                assert!(back == plain, "{encoding:?} {step}");
            }
        }
        // Messages may be plain in spite of an encoding.
        assert_eq!(recoded(&plain, 9, Recoding::Decompress(Encoding::Snappy)).await.unwrap(), plain);
    }

    #[tokio::test]
    async fn trailers_come_last() {
        let trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
        let inner =
            Body::new(Body::from(message(0, b"x")).with_trailers(std::future::ready(Some(Ok(trailers.clone())))));
        let held = RequestBodies::default().holding();
        let of = |inner| Messages::new(inner, Recoding::Compress(Encoding::Snappy), &held);
        let all = of(inner).collect().await.unwrap();
        assert_eq!(all.trailers(), Some(&trailers));
        assert_eq!(all.to_bytes()[0], 1);
        assert!(of(Body::empty()).is_end_stream());
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_and_so_does_memory() {
        let bodies = RequestBodies::default();
        let half = stream::iter([Ok::<_, axum::Error>(Bytes::from_static(&[0, 0, 0, 0, 9, 1]))]);
        let body = Body::from_stream(half.chain(stream::pending()));
        let timer = Some(Box::pin(tokio::time::sleep(TIMEOUT)));
        let recoding = Recoding::Decompress(Encoding::Identity);
        let slow = Messages { timer, ..Messages::new(body, recoding, &bodies.holding()) };
        let error = Status::from_error(Box::new(slow.collect().await.unwrap_err()));
        assert_eq!(error.code(), Code::DeadlineExceeded);

        // As plain ones or compressed, few large requests are held at a time.
        let large = message(0, &vec![0; 3 << 20]);
        let compressed = recoded(&large, 1 << 20, Recoding::Compress(Encoding::Gzip)).await.unwrap();
        let ask = async |bytes: &[u8], encoding| {
            let body = Body::from(bytes.to_vec());
            let held = bodies.holding();
            let taken = Messages::new(body, Recoding::Decompress(encoding), &held).collect().await;
            taken.map(|_| held).map_err(|error| Status::from_error(Box::new(error)).code())
        };
        let first = ask(&large, Encoding::Identity).await.unwrap();
        let second = ask(&compressed, Encoding::Gzip).await.unwrap();
        for (bytes, encoding) in [(&large, Encoding::Identity), (&compressed, Encoding::Gzip)] {
            assert_eq!(ask(bytes, encoding).await.unwrap_err(), Code::Unavailable);
        }
        drop((first, second));
        ask(&large, Encoding::Identity).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_wrong_has_a_status() {
        use tonic::Code::{Internal, InvalidArgument, ResourceExhausted};
        let snappy =
            recoded(&message(0, b"what is compressed"), 9, Recoding::Compress(Encoding::Snappy)).await.unwrap();
        for end in 1..snappy.len() {
            let error = recoded(&snappy[..end], 9, Recoding::Decompress(Encoding::Snappy)).await.unwrap_err();
            assert_eq!(error.code(), InvalidArgument, "{end}");
        }
        let limit = super::super::MAX_REQUEST_BYTES;
        let bomb = message(0, &vec![0; limit + 1]);
        for (bytes, encoding, code) in [
            (message(1, b"x"), Encoding::Identity, Internal),
            (message(2, b"x"), Encoding::Identity, InvalidArgument),
            (vec![0, 0xff, 0xff, 0xff, 0xff, 1], Encoding::Identity, ResourceExhausted),
            (vec![1, 0xff, 0xff, 0xff, 0xff, 1], Encoding::Gzip, ResourceExhausted),
            (message(1, b"\x1f\x8b no gzip"), Encoding::Gzip, InvalidArgument),
            (message(1, &[1, 2]), Encoding::Snappy, InvalidArgument),
            (
                recoded(&bomb, bomb.len(), Recoding::Compress(Encoding::Gzip)).await.unwrap(),
                Encoding::Gzip,
                ResourceExhausted,
            ),
            (
                recoded(&bomb, bomb.len(), Recoding::Compress(Encoding::Snappy)).await.unwrap(),
                Encoding::Snappy,
                ResourceExhausted,
            ),
        ] {
            let error = recoded(&bytes, 1 << 20, Recoding::Decompress(encoding)).await.unwrap_err();
            assert_eq!(error.code(), code, "{encoding:?}: {error}");
        }
    }
}
