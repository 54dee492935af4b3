//! Bounds of the gRPC port: of connections, of what a client may take its time for, and of what it makes the server hold.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::http::{Request, Response};
use bytes::Bytes;
use h2::{
    RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
};
use promparquet_gateway::ServerTls;
use prost::Message;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;
use tonic::Code;

use crate::{
    grpc::proto::QueryRangeRequest,
    grpc_hostile::{call, message, still_serves},
    served::{Served, Setup, add, endless, memory, series},
    web_config::{certificates, chain},
};

const INFO: &str = "/thanos.info.Info/Info";
const SERIES: &str = "/thanos.Store/Series";

struct Client {
    sender: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Client {
    async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        Self { sender, connection: tokio::spawn(connection) }
    }

    async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }

    /// Begins a call.
    async fn begin(&self, path: &str, header: &str) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let request = Request::post(format!("http://test{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("x-header", header);
        self.sender.clone().ready().await?.send_request(request.body(()).unwrap(), false)
    }

    /// Asks for what the gateway is, with a header that says nothing.
    async fn ask(&self, header: &str) -> Result<u16, h2::Error> {
        let (response, mut sending) = self.begin(INFO, header).await?;
        sending.send_data(Bytes::from(message(0, &[])), true)?;
        let response: Response<RecvStream> = response.await?;
        let status = response.status().as_u16();
        let mut body = response.into_body();
        while let Some(data) = body.data().await {
            let _ = body.flow_control().release_capacity(data?.len());
        }
        Ok(status)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

async fn served(max_connections: usize, tls: Option<ServerTls>) -> Served {
    let bucket = memory();
    add(&bucket, &series(), ulid::Ulid(1)).await;
    Served::start(Setup {
        bucket: Some(bucket),
        max_connections: Some(max_connections),
        head_timeout: Some(Duration::from_secs(1)),
        tls,
        ..Setup::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn those_too_many_wait_for_their_turn() {
    let served = served(4, None).await;
    let mut first = Vec::new();
    for _ in 0..4 {
        let client = Client::connect(served.thanos).await;
        assert_eq!(client.ask("").await.unwrap(), 200);
        first.push(client);
    }
    // The system takes them, the server does not yet.
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let client = Client::connect(served.thanos).await;
        waiting.push(tokio::spawn(async move { client.ask("").await }));
    }
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        for client in &first {
            assert_eq!(client.ask("").await.unwrap(), 200);
        }
    }
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
    first.truncate(3);
    // One after the other, as each client goes when it has its answer.
    for waiting in waiting {
        let answer = tokio::time::timeout(Duration::from_secs(10), waiting).await;
        assert_eq!(answer.unwrap().unwrap().unwrap(), 200);
    }
    assert_eq!(first[0].ask("").await.unwrap(), 200);
}

/// Those who do not say that they speak HTTP/2 are cut off, whether they say nothing or a byte now and then.
#[tokio::test(flavor = "multi_thread")]
async fn slow_clients() {
    let served = served(4, None).await;
    let mut slow = Vec::new();
    for drips in [false, true, false, true] {
        let stream = TcpStream::connect(served.thanos).await.unwrap();
        slow.push(tokio::spawn(async move {
            let (mut from, mut to) = stream.into_split();
            let drip = tokio::spawn(async move {
                for byte in b"PRI * HTTP/2.0\r\n\r\nSM".iter().filter(|_| drips) {
                    let _ = to.write_all(&[*byte]).await;
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                std::future::pending::<()>().await;
            });
            let _ = from.read_to_end(&mut Vec::new()).await;
            drip.abort();
        }));
    }
    let started = Instant::now();
    still_serves(&served).await;
    assert!(started.elapsed() < Duration::from_secs(5));
    for task in slow {
        tokio::time::timeout(Duration::from_secs(5), task).await.unwrap().unwrap();
    }
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_without_end_hold_little() {
    let served = served(16, None).await;
    let client = Client::connect(served.thanos).await;
    assert_eq!(client.ask("").await.unwrap(), 200);
    assert!(client.sender.current_max_send_streams() <= 250);
    // A head that is too long spoils nothing but its request.
    assert!(!matches!(client.ask(&"h".repeat(100 << 10)).await, Ok(200)));
    let again = Client::connect(served.thanos).await;
    assert_eq!(again.ask("").await.unwrap(), 200);

    // A megabyte each of messages that are longer: 480 MiB if all were held.
    let before = resident_bytes();
    let half = Bytes::from([&message(0, &[])[..1], &(3_u32 << 20).to_be_bytes(), &vec![0; 1 << 20]].concat());
    let mut refused = 0;
    let (mut clients, mut held) = (Vec::new(), Vec::new());
    for _ in 0..12 {
        let client = Client::connect(served.thanos).await;
        for _ in 0..40 {
            let (response, mut sending) = client.begin(SERIES, "").await.unwrap();
            sending.send_data(half.clone(), false).unwrap();
            held.push((response, sending));
        }
        held.push(client.begin(INFO, "").await.unwrap());
        tokio::time::sleep(Duration::from_millis(50)).await;
        clients.push(client);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 300 << 20, "{grown}");
    for (response, sending) in held {
        drop(sending);
        if let Ok(Ok(response)) = tokio::time::timeout(Duration::from_millis(5), response).await {
            refused += usize::from(response.headers().get("grpc-status").is_some_and(|status| status == "14"));
        }
    }
    assert!(refused > 0);
    assert_eq!(again.ask("").await.unwrap(), 200);
    still_serves(&served).await;
}

/// A call takes no longer than its client says.
#[tokio::test(flavor = "multi_thread")]
async fn deadlines() {
    let served = served(16, None).await;
    let asked = endless();
    let seconds = |i: usize| asked[i].1.parse().unwrap();
    let query = QueryRangeRequest {
        query: asked[0].1.clone(),
        start_time_seconds: seconds(1),
        end_time_seconds: seconds(2),
        interval_seconds: seconds(3),
        ..QueryRangeRequest::default()
    };
    let body = message(0, &query.encode_to_vec());
    let started = Instant::now();
    let status = call(served.thanos, "/thanos.Query/QueryRange", &[("grpc-timeout", "200m")], &body).await.unwrap();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(started.elapsed() < Duration::from_secs(5));
    for (timeout, code) in [("20S", Code::Ok), ("20 s", Code::InvalidArgument)] {
        let status = call(served.thanos, INFO, &[("grpc-timeout", timeout)], &message(0, &[])).await.unwrap();
        assert_eq!(status.code(), code, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted() {
    let dir = tempfile::tempdir().unwrap();
    if !certificates(dir.path()) {
        return;
    }
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    let mut tls = ServerTls { certificate: read("server.pem"), key: read("server.key"), client_authority: None };
    let plain = served(2, Some(tls.clone())).await;
    tls.client_authority = Some(read("authority.pem"));
    let mutual = served(2, Some(tls)).await;
    let ask = async |served: &Served, identity: bool, alpn: &[u8]| -> std::io::Result<u16> {
        let mut roots = RootCertStore::empty();
        roots.add(chain(dir.path(), "authority").remove(0)).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = if identity {
            let key = PrivateKeyDer::from_pem_file(dir.path().join("client.key")).unwrap();
            builder.with_client_auth_cert(chain(dir.path(), "client"), key).unwrap()
        } else {
            builder.with_no_client_auth()
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        let stream = TcpStream::connect(served.thanos).await?;
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        Client::over(stream).await.ask("").await.map_err(std::io::Error::other)
    };
    // As many as there may be who never come to an end of TLS.
    let started = Instant::now();
    let mut stalled = Vec::new();
    for served in [&plain, &plain, &mutual, &mutual] {
        let mut stream = TcpStream::connect(served.thanos).await.unwrap();
        stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00").await.unwrap();
        stalled.push(stream);
    }
    assert_eq!(ask(&plain, false, b"h2").await.unwrap(), 200);
    assert_eq!(ask(&mutual, true, b"h2").await.unwrap(), 200);
    assert!(started.elapsed() < Duration::from_secs(8));
    assert!(ask(&mutual, false, b"h2").await.is_err());
    assert!(ask(&plain, false, b"http/1.1").await.is_err());
    // Plain text is none of it, and nobody waits long to hear so.
    let mut stream = TcpStream::connect(plain.thanos).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.unwrap();
}
