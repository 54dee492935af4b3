//! Serves HTTP connections within bounds: of their number, of what a request's head may hold, of how long it may take.

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
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{connections::stalled::EndsWhenStalled, web_config::WebConfig};

/// A request's line and headers.
const MAX_HEAD_BYTES: usize = 256 << 10;
const MAX_HEADERS: usize = 200;
/// How long a client may take for them, and before that for TLS.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// Requests of one HTTP/2 connection at a time.
const MAX_STREAMS: u32 = 200;

/// Serves until `stop` says so; then waits for requests under way, at most for `grace`.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    web: Option<WebConfig>,
    max_connections: usize,
    mut stop: watch::Receiver<bool>,
    grace: Duration,
) {
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
                    let tls = web.as_ref().and_then(WebConfig::tls);
                    let connection = connection(stream, tls, router.clone(), graceful.watcher());
                    connections.spawn(async move {
                        let _permit = permit;
                        connection.await;
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

async fn connection(stream: TcpStream, tls: Option<Arc<ServerConfig>>, router: Router, watcher: Watcher) {
    // Answers are written in large pieces.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router);
    let Some(tls) = tls else {
        return run(watcher, http1().serve_connection(TokioIo::new(EndsWhenStalled::new(stream)), service)).await;
    };
    let stream = match tokio::time::timeout(HEAD_TIMEOUT, encrypted(stream, tls)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "no TLS came about"),
        Err(_) => return tracing::debug!("the client took too long for TLS"),
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        run(watcher, http2().serve_connection(TokioIo::new(stream), service)).await;
    } else {
        run(watcher, http1().serve_connection(TokioIo::new(stream), service)).await;
    }
}

async fn run<C: GracefulConnection<Error = hyper::Error>>(watcher: Watcher, connection: C) {
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "connection ended");
    }
}

fn http1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES);
    builder
}

fn http2() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(60))
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(1 << 16);
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
