//! Connections whose clients ask, and then take nothing of the answer.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

/// How long a client may take nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// A stream to which writing fails when nothing of it was taken for too long.
#[derive(Debug)]
pub(super) struct EndsWhenStalled<S> {
    stream: S,
    /// Runs while the stream takes nothing.
    timer: Pin<Box<Sleep>>,
    is_waiting: bool,
}

impl<S> EndsWhenStalled<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, timer: Box::pin(tokio::time::sleep(PATIENCE)), is_waiting: false }
    }

    fn or_stalled<T>(&mut self, polled: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.is_waiting = false;
            return polled;
        }
        if !self.is_waiting {
            self.is_waiting = true;
            self.timer.as_mut().reset(Instant::now() + PATIENCE);
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for EndsWhenStalled<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for EndsWhenStalled<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.or_stalled(polled, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.or_stalled(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.or_stalled(polled, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.or_stalled(polled, cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ends_only_without_progress() {
        let (near, mut far) = tokio::io::duplex(4);
        let mut near = EndsWhenStalled::new(near);
        near.write_all(b"1234").await.unwrap();
        let slowly = tokio::spawn(async move {
            let mut bytes = [0; 2];
            for _ in 0..4 {
                tokio::time::sleep(PATIENCE * 2 / 3).await;
                far.read_exact(&mut bytes).await.unwrap();
            }
            far
        });
        near.write_all(b"12345678").await.unwrap();
        let far = slowly.await.unwrap();
        let started = Instant::now();
        assert_eq!(near.write_all(b"1").await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed().as_secs(), PATIENCE.as_secs());
        drop(far);
    }
}
