//! Connections whose clients do not say that they speak HTTP/2, for which hyper would wait for ever.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

/// HTTP/2 begins with so many bytes that never differ, and the head of a first frame.
const GREETING_BYTES: usize = 24 + 9;

/// A stream from which reading fails when its first bytes did not come in time.
#[derive(Debug)]
pub(super) struct GreetsInTime<S> {
    stream: S,
    missing: usize,
    timer: Pin<Box<Sleep>>,
}

impl<S> GreetsInTime<S> {
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        Self { stream, missing: GREETING_BYTES, timer: Box::pin(tokio::time::sleep(patience)) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for GreetsInTime<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if self.missing == 0 {
            return polled;
        }
        if polled.is_ready() {
            self.missing = self.missing.saturating_sub(buffer.filled().len().saturating_sub(before));
            return polled;
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for GreetsInTime<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::Instant,
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_byte_now_and_then_is_too_slow_and_silence_after_the_greeting_is_not() {
        let patience = Duration::from_secs(15);
        let (near, mut far) = tokio::io::duplex(100);
        let mut near = GreetsInTime::new(near, patience);
        let drip = tokio::spawn(async move {
            while far.write_all(b"P").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
        });
        let started = Instant::now();
        let error = near.read_exact(&mut [0; GREETING_BYTES]).await.unwrap_err();
        assert_eq!((error.kind(), started.elapsed().as_secs()), (io::ErrorKind::TimedOut, patience.as_secs()));
        drop(near);
        drip.await.unwrap();

        let (near, mut far) = tokio::io::duplex(100);
        let mut near = GreetsInTime::new(near, patience);
        far.write_all(&[b'P'; GREETING_BYTES]).await.unwrap();
        near.read_exact(&mut [0; GREETING_BYTES]).await.unwrap();
        tokio::spawn(async move {
            tokio::time::sleep(patience * 10).await;
            far.write_all(b"late").await.unwrap();
        });
        near.read_exact(&mut [0; 4]).await.unwrap();
    }
}
