//! Serves connections within bounds: of their number, of what a request's head may hold, of how long it may take, of what a
//! client makes the server hold that does not read.

mod greeting;
mod stalled;

use std::{io, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::{GracefulConnection, GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    connections::{greeting::GreetsInTime, stalled::EndsWhenStalled},
    web_config::WebConfig,
};

/// A request's line and headers.
const MAX_HEAD_BYTES: usize = 256 << 10;
const MAX_HEADERS: usize = 200;
/// The same of a request by HTTP/2.
const MAX_HEADER_LIST_BYTES: u32 = 64 << 10;
/// Requests of one HTTP/2 connection at a time. Go's clients wait when there are more.
const MAX_STREAMS: u32 = 250;
/// What an HTTP/2 client may send before somebody reads it, in one request and in all of a connection. Requests are small.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 256 << 10;
/// Bytes of an HTTP/2 answer that wait for a client to read them.
const MAX_SEND_BYTES: usize = 64 << 10;
/// Whether an HTTP/2 client is still there is asked so often, and it may take so long to say so.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(20));

/// What is spoken on a port.
#[derive(Clone, Debug)]
pub(crate) enum Protocol {
    /// HTTP/1.1, and with TLS HTTP/2, too.
    Http(Option<WebConfig>),
    /// HTTP/2 only, by TLS or not.
    Grpc(Option<Arc<ServerConfig>>),
}

impl Protocol {
    /// How connections are encrypted from now on, if they are.
    fn tls(&self) -> Option<Arc<ServerConfig>> {
        match self {
            Self::Http(web) => web.as_ref().and_then(WebConfig::tls),
            Self::Grpc(tls) => tls.clone(),
        }
    }

    const fn is_grpc(&self) -> bool {
        matches!(self, Self::Grpc(_))
    }
}

/// A port, and what its connections are held to.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) listener: TcpListener,
    pub(crate) router: Router,
    pub(crate) protocol: Protocol,
    pub(crate) max_connections: usize,
    /// How long a client may take for TLS, and then for the head of a request, or to say that it speaks HTTP/2.
    pub(crate) head_timeout: Duration,
    /// How long requests under way may take in the end.
    pub(crate) grace: Duration,
}

impl Port {
    /// Serves until `stop` says so; then waits for requests under way.
    pub(crate) async fn serve(self, mut stop: watch::Receiver<bool>) {
        let Self { listener, router, protocol, max_connections, head_timeout, grace } = self;
        let graceful = GracefulShutdown::new();
        let permits = Arc::new(Semaphore::new(max_connections.clamp(1, Semaphore::MAX_PERMITS)));
        let mut connections = JoinSet::new();
        let mut stopped = pin!(async move {
            // If nobody can say so any more, it is time too.
            let _ = stop.wait_for(|stop| *stop).await;
        });
        loop {
            let accept = async {
                let permit = Arc::clone(&permits).acquire_owned().await;
                (listener.accept().await, permit)
            };
            tokio::select! {
                () = &mut stopped => break,
                Some(_) = connections.join_next() => {}
                (accepted, permit) = accept => match accepted {
                    Ok((stream, _)) => {
                        let connection = Connection {
                            tls: protocol.tls(),
                            is_grpc: protocol.is_grpc(),
                            head_timeout,
                            router: router.clone(),
                            watcher: graceful.watcher(),
                        };
                        connections.spawn(async move {
                            let _permit = permit;
                            connection.serve(stream).await;
                        });
                    }
                    Err(error) => {
                        // Too many open files, as a rule: some will be closed.
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        drop(listener);
        if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
            tracing::warn!(connections = connections.len(), "closing connections that did not end in time");
        }
        connections.shutdown().await;
    }
}

/// How one connection is served.
struct Connection {
    tls: Option<Arc<ServerConfig>>,
    is_grpc: bool,
    head_timeout: Duration,
    router: Router,
    watcher: Watcher,
}

impl Connection {
    async fn serve(mut self, stream: TcpStream) {
        // Answers are written in large pieces.
        let _ = stream.set_nodelay(true);
        let Some(tls) = self.tls.take() else {
            let by_http2 = self.is_grpc;
            return self.answer(EndsWhenStalled::new(stream), by_http2).await;
        };
        let stream = match tokio::time::timeout(self.head_timeout, encrypted(stream, tls)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%error, "no TLS came about"),
            Err(_) => return tracing::debug!("the client took too long for TLS"),
        };
        let by_http2 = self.is_grpc || stream.get_ref().1.alpn_protocol() == Some(b"h2");
        self.answer(stream, by_http2).await;
    }

    async fn answer(self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, by_http2: bool) {
        let service = TowerToHyperService::new(self.router);
        if by_http2 {
            let io = TokioIo::new(GreetsInTime::new(stream, self.head_timeout));
            run(self.watcher, http2().serve_connection(io, service)).await;
        } else {
            run(self.watcher, http1(self.head_timeout).serve_connection(TokioIo::new(stream), service)).await;
        }
    }
}

async fn run<C: GracefulConnection<Error = hyper::Error>>(watcher: Watcher, connection: C) {
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "connection ended");
    }
}

fn http1(head_timeout: Duration) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES);
    builder
}

fn http2() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    let (interval, timeout) = KEEP_ALIVE;
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(interval)
        .keep_alive_timeout(timeout)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_LIST_BYTES)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(MAX_SEND_BYTES);
    builder
}

/// Those who speak plain HTTP are told.
async fn encrypted(mut stream: TcpStream, tls: Arc<ServerConfig>) -> io::Result<TlsStream<EndsWhenStalled<TcpStream>>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase() {
        let answer = "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nClient sent an HTTP request to an HTTPS \
                      server.\n";
        stream.write_all(answer.as_bytes()).await?;
        return Err(io::Error::other("plain HTTP"));
    }
    TlsAcceptor::from(tls).accept(EndsWhenStalled::new(stream)).await
}
