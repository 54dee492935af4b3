//! Bodies of answers: written by a thread that may wait, compressed if the client wants it, sent as they come.

use std::{
    io::{self, BufWriter, Write},
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use bytes::Bytes;
use flate2::write::GzEncoder;
use tokio::{
    runtime::Handle,
    sync::mpsc::{self, error::SendTimeoutError},
};

/// Bytes that are sent at once.
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks that wait to be sent.
const CHUNKS: usize = 4;

/// How an answer is compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

impl Encoding {
    /// The best that the client accepts; zstd costs least.
    pub(crate) fn accepted(headers: &HeaderMap) -> Self {
        let mut best = (0.0, Self::Identity);
        for value in headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()) {
            for item in value.split(',') {
                let mut parts = item.split(';').map(str::trim);
                let encoding = match parts.next().map(str::to_ascii_lowercase).as_deref() {
                    Some("zstd") => Self::Zstd,
                    Some("gzip") => Self::Gzip,
                    _ => continue,
                };
                let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
                if quality > best.0 || (quality == best.0 && encoding == Self::Zstd && quality > 0.0) {
                    best = (quality, encoding);
                }
            }
        }
        best.1
    }

    const fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }
}

/// How long a client may leave a chunk lying. It holds a thread meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends what is written to it, and waits for a while if the client does not take it.
#[derive(Debug)]
pub(crate) struct Sink {
    sender: mpsc::Sender<Piece>,
    runtime: Handle,
}

/// What a body is made of. Without the end, it is not whole.
#[derive(Debug)]
pub(crate) enum Piece {
    Chunk(Bytes),
    End,
}

impl Sink {
    fn send(&self, piece: Piece) -> io::Result<()> {
        match self.runtime.block_on(self.sender.send_timeout(piece, PATIENCE)) {
            Ok(()) => Ok(()),
            Err(SendTimeoutError::Timeout(_)) => Err(io::ErrorKind::TimedOut.into()),
            Err(SendTimeoutError::Closed(_)) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(Piece::Chunk(Bytes::copy_from_slice(bytes)))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes through a buffer of the size of a chunk.
pub(crate) type Output = BufWriter<Sink>;

/// Sends what is left, and that it is all.
fn end(out: Output) -> io::Result<()> {
    out.into_inner().map_err(io::IntoInnerError::into_error)?.send(Piece::End)
}

/// An answer whose body `write` makes, on a thread of its own. If it fails, the connection breaks, so that nobody takes the
/// part for the whole.
pub(crate) fn streamed(
    content_type: &'static str,
    encoding: Encoding,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
) -> Response {
    let (sender, receiver) = mpsc::channel(CHUNKS);
    let out = BufWriter::with_capacity(CHUNK_BYTES, Sink { sender, runtime: Handle::current() });
    tokio::task::spawn_blocking(move || {
        let written = match encoding {
            Encoding::Identity => {
                let mut out = out;
                write(&mut out).and_then(|()| end(out))
            }
            Encoding::Gzip => {
                let mut out = BufWriter::new(GzEncoder::new(out, flate2::Compression::fast()));
                let done = write(&mut out).and_then(|()| out.into_inner().map_err(io::IntoInnerError::into_error));
                done.and_then(GzEncoder::finish).and_then(end)
            }
            Encoding::Zstd => zstd::Encoder::new(out, 1).and_then(|out| {
                let mut out = BufWriter::new(out);
                write(&mut out)?;
                end(out.into_inner().map_err(io::IntoInnerError::into_error)?.finish()?)
            }),
        };
        if let Err(error) = written {
            tracing::debug!(%error, "an answer was not sent to its end");
        }
    });
    let chunks = futures::stream::unfold(Some(receiver), |receiver| async move {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Piece::Chunk(chunk)) => Some((Ok(chunk), Some(receiver))),
            Some(Piece::End) => None,
            None => Some((Err(io::Error::other("the answer ends early")), None)),
        }
    });
    let mut response = Response::new(Body::from_stream(chunks));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if let Some(name) = encoding.name() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    response
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use http_body_util::BodyExt;

    use super::*;

    fn accepting(value: &'static str) -> Encoding {
        Encoding::accepted(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]))
    }

    #[test]
    fn negotiates() {
        assert_eq!(Encoding::accepted(&HeaderMap::new()), Encoding::Identity);
        assert_eq!(accepting("gzip, deflate"), Encoding::Gzip);
        assert_eq!(accepting("gzip, zstd"), Encoding::Zstd);
        assert_eq!(accepting("gzip;q=1.0, zstd;q=0.5"), Encoding::Gzip);
        assert_eq!(accepting("gzip;q=0, br"), Encoding::Identity);
        assert_eq!(accepting("*"), Encoding::Identity);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn all_encodings_hold_the_same() {
        let text: String = (0..100_000).map(|i| i.to_string()).collect();
        for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Zstd] {
            let written = text.clone();
            let response = streamed("text/plain", encoding, move |out| out.write_all(written.as_bytes()));
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            let mut read = String::new();
            match encoding {
                Encoding::Identity => read = String::from_utf8(bytes.to_vec()).unwrap(),
                Encoding::Gzip => drop(flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut read).unwrap()),
                Encoding::Zstd => read = String::from_utf8(zstd::decode_all(&*bytes).unwrap()).unwrap(),
            }
            assert!(read == text, "{encoding:?}");
        }
        let failed = streamed("text/plain", Encoding::Gzip, |_| Err(io::Error::other("no")));
        assert!(failed.into_body().collect().await.is_err());
    }
}
