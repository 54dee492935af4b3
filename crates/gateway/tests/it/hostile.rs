//! Requests that mean no good.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    client::{get, post, post_form, raw},
    served::{Served, Setup},
};

async fn still_serves(served: &Served) {
    assert_eq!(get(served.api, "/api/v1/query", &[("query", "1")]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn queries() {
    let served = Served::known().await;
    let long = format!("a{}", " + a".repeat(1_000_000));
    assert!(matches!(post_form(served.api, "/api/v1/query", &[("query", &long)]).await.error().0, 400 | 422));
    for deep in
        [format!("{}1{}", "(".repeat(200_000), ")".repeat(200_000)), "-".repeat(400_000), "a[1m:".repeat(100_000)]
    {
        for path in ["query", "parse_query", "format_query"] {
            let status = post_form(served.api, &format!("/api/v1/{path}"), &[("query", &deep)]).await.status;
            assert!(matches!(status, 400 | 422), "{path}: {status}");
        }
    }
    for bad in ["x[99999999999999999999]", "foo offset 1e300", "label_replace(a, '(', '$1', 'b', '((((')", "\u{0}", "{"]
    {
        let status = post_form(served.api, "/api/v1/query", &[("query", bad)]).await.status;
        assert!(matches!(status, 200 | 400 | 422), "{bad}: {status}");
    }
    let far = [("query", "a"), ("start", "-9e15"), ("end", "9e15"), ("step", "9e9")];
    let status = get(served.api, "/api/v1/query_range", &far).await.status;
    assert!(matches!(status, 200 | 400 | 422), "{status}");
    let selector = format!("{{a=~\"{}\"}}", "(a|b)*".repeat(20_000));
    assert!(matches!(post_form(served.api, "/api/v1/series", &[("match[]", &selector)]).await.status, 200 | 400 | 422));
    let many = "match[]=a&".repeat(20_000);
    assert_eq!(
        post(served.api, "/api/v1/series", "application/x-www-form-urlencoded", many.as_bytes()).await.status,
        400
    );
    still_serves(&served).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_heads() {
    let served = Served::known().await;
    let kind = "application/x-www-form-urlencoded";
    // More than is read, told before and while it comes.
    let body = vec![b'a'; 11 << 20];
    assert!(matches!(post(served.api, "/api/v1/query", kind, &body).await.status, 0 | 400 | 413));
    let head =
        format!("POST /api/v1/query HTTP/1.1\r\nHost: t\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut stream = TcpStream::connect(served.api).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", "a".repeat(0x10000));
    let mut sent = 0;
    while sent < 64 << 20 && stream.write_all(chunk.as_bytes()).await.is_ok() {
        sent += chunk.len();
    }
    assert!(sent < 64 << 20, "all of {sent} bytes were taken");
    // Headers without end, and too many.
    let flood = format!("GET /api/v1/query?query=1 HTTP/1.1\r\nHost: t\r\n{}\r\n", "X-A: b\r\n".repeat(5000));
    assert_eq!(raw(served.api, flood.as_bytes()).await.status, 431);
    let long = format!("GET /api/v1/query?query={} HTTP/1.1\r\nHost: t\r\n\r\n", "a".repeat(4 << 20));
    assert!(matches!(raw(served.api, long.as_bytes()).await.status, 0 | 414 | 431));
    for garbage in
        [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET\r\n\r\n", b"\0\0\0\0\r\n\r\n"]
    {
        assert!(matches!(raw(served.api, garbage).await.status, 0 | 400), "{garbage:?}");
    }
    still_serves(&served).await;
}

/// Clients that send nothing, or go away, hold nobody up.
#[tokio::test(flavor = "multi_thread")]
async fn silence() {
    let served = Served::known().await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(TcpStream::connect(served.api).await.unwrap());
    }
    let started = Instant::now();
    still_serves(&served).await;
    assert!(started.elapsed() < Duration::from_secs(5));
    for stream in &mut idle {
        stream.write_all(b"GET /api/v1/query?query=1 HTTP/1.1\r\nX-").await.unwrap();
    }
    drop(idle);
    // One that asks and does not read.
    let mut stream = TcpStream::connect(served.api).await.unwrap();
    stream.write_all(b"GET /api/v1/query?query=1 HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    still_serves(&served).await;
}

/// Nothing that a request says reaches the file system, and what is not there is not found.
#[tokio::test(flavor = "multi_thread")]
async fn paths() {
    let served = Served::known().await;
    for path in [
        "/../../../../etc/passwd",
        "/ui/../../../../etc/passwd",
        "/ui/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/ui/..%2f..%2f..%2fetc%2fpasswd",
        "/ui/app.js%00.css",
        "//etc/passwd",
        "/api/v1/../../etc/passwd",
        "/api/v1/label/../../../etc/passwd",
        "/api/v1/query/",
        "/api/v2/query",
        "/api/v1/%FF%FE",
        "/-/quit",
        "/debug/pprof/cmdline",
        "/\u{7f}",
        "http://elsewhere/etc/passwd",
        "file:///etc/passwd",
        "*",
        "%2e",
    ] {
        for address in [served.api, served.internal] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
            let answer = raw(address, request.as_bytes()).await;
            assert!(matches!(answer.status, 400 | 404), "{path}: {answer:?}");
            assert!(!answer.text().contains("root:"), "{path}");
        }
    }
    // Names of labels may be anything; there is none such.
    for name in ["..%2f..%2fetc%2fpasswd", "%FF%FE", "%00", "U__2F_etc"] {
        let status = get(served.api, &format!("/api/v1/label/{name}/values"), &[]).await.status;
        assert!(matches!(status, 200 | 400), "{name}: {status}");
    }
    for method in ["PUT", "DELETE", "TRACE", "CONNECT", "BREW", "G\u{0}T"] {
        let request = format!("{method} /api/v1/query?query=1 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
        let status = raw(served.api, request.as_bytes()).await.status;
        assert!(matches!(status, 400 | 404 | 405), "{method}: {status}");
    }
    still_serves(&served).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_none() {
    let served = Served::known().await;
    let kind = "application/x-www-form-urlencoded";
    for body in [
        &b"query=%FF%FE%00&time=%80"[..],
        b"query=\xff\xfe\x00",
        b"query=%",
        b"query=%zz&&&==&=",
        b"query=1&time=NaN",
        b"query=1&time=1e400",
        b"query=1&timeout=-1",
        b"query=1&timeout=99999999999999999999y",
        b"query=1&limit=99999999999999999999999",
        b"query=1&lookback_delta=1e308",
        b"query=%22%F0%9F%92%A9%22",
    ] {
        for path in ["query", "query_range", "series", "labels", "format_query", "parse_query", "query_exemplars"] {
            let status = post(served.api, &format!("/api/v1/{path}"), kind, body).await.status;
            assert!(matches!(status, 200 | 400 | 422 | 503), "{path} {body:?}: {status}");
        }
    }
    let regexes: String = (0..2000).map(|i| format!("match[]={{a%3D~%22x{i}.*y%22}}&")).collect();
    assert_eq!(post(served.api, "/api/v1/series", kind, regexes.as_bytes()).await.error().0, 400);
    let garbage = [
        &b""[..],
        b"\0",
        b"\xff\xff\xff\xff\x0f",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x05\x10hello",
        &[0x80; 100_000],
    ];
    for body in garbage {
        let status = post(served.api, "/api/v1/read", "application/x-protobuf", body).await.status;
        assert!(matches!(status, 200 | 400), "{status}");
    }
    // Fifty megabytes of zeros are a few kilobytes.
    let bomb = snap::raw::Encoder::new().compress_vec(&vec![0; 50 << 20]).unwrap();
    assert_eq!(post(served.api, "/api/v1/read", "application/x-protobuf", &bomb).await.status, 400);
    still_serves(&served).await;
}

/// Those who never come to an end of their request are cut off, and others wait for no longer than that.
#[tokio::test(flavor = "multi_thread")]
async fn slow_clients() {
    let served = Served::start(Setup {
        max_connections: Some(8),
        head_timeout: Some(Duration::from_secs(2)),
        ..Setup::default()
    })
    .await;
    let started = Instant::now();
    let mut slow = Vec::new();
    for i in 0..8 {
        let mut stream = TcpStream::connect(served.api).await.unwrap();
        let begun: &[u8] = if i % 2 == 0 { b"GET /api/v1/query?query=1 HTTP/1.1\r\nX-" } else { b"" };
        stream.write_all(begun).await.unwrap();
        slow.push(tokio::spawn(async move {
            // A byte now and then is no progress.
            let (mut from, mut to) = stream.into_split();
            let drip = tokio::spawn(async move {
                while i % 2 == 0 && to.write_all(b"a").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                std::future::pending::<()>().await;
            });
            let _ = from.read_to_end(&mut Vec::new()).await;
            drip.abort();
        }));
    }
    // The other port has connections of its own.
    assert_eq!(get(served.internal, "/-/healthy", &[]).await.status, 200);
    assert!(started.elapsed() < Duration::from_secs(5));
    still_serves(&served).await;
    for task in slow {
        tokio::time::timeout(Duration::from_secs(5), task).await.unwrap().unwrap();
    }
}

/// Asks by HTTP/2 as gRPC does; the status of HTTP and that of gRPC.
async fn call(served: &Served, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> (u16, Option<String>) {
    let stream = TcpStream::connect(served.thanos).await.unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut request = Request::post(format!("http://t{path}")).header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = sender.send_request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let of = |headers: &hyper::HeaderMap| headers.get("grpc-status").map(|value| value.to_str().unwrap().to_owned());
    let at_once = of(response.headers());
    let trailers = response.into_body().collect().await.ok().and_then(|body| body.trailers().and_then(of));
    connection.abort();
    (status, at_once.or(trailers))
}

#[tokio::test(flavor = "multi_thread")]
async fn frames() {
    let served = Served::known().await;
    let grpc = ("content-type", "application/grpc");
    let frame = |flag: u8, length: u32, rest: &[u8]| [&[flag][..], &length.to_be_bytes(), rest].concat();
    for path in ["/thanos.Store/Series", "/thanos.Query/Query", "/thanos.info.Info/Info", "/thanos.Store/LabelNames"] {
        for (headers, body) in [
            (vec![grpc], Vec::new()),
            (vec![grpc], b"\0\0".to_vec()),
            (vec![grpc], frame(0, u32::MAX, b"abc")),
            (vec![grpc], frame(0, 3, b"\xff\xff\xff")),
            (vec![grpc], frame(0, 100, b"\x0a\x7f")),
            (vec![grpc], frame(1, 3, b"abc")),
            (vec![grpc], frame(7, 3, b"abc")),
            (vec![grpc, ("grpc-encoding", "snappy")], frame(1, 3, b"abc")),
            (vec![grpc, ("grpc-encoding", "snappy")], frame(1, 10, b"\xff\x06\0\0sNaPp")),
            (vec![grpc, ("grpc-encoding", "brotli")], frame(1, 3, b"abc")),
            (vec![grpc, ("grpc-timeout", "nonsense")], frame(0, 3, b"\xff\xff\xff")),
        ] {
            let answer = call(&served, path, &headers, body.clone()).await;
            assert!(answer.0 == 200 && answer.1.as_deref() != Some("0"), "{path} {headers:?} {body:?}: {answer:?}");
        }
        let plain = call(&served, path, &[("content-type", "text/plain")], b"hello".to_vec()).await;
        assert!(plain.0 == 415 || plain.1.as_deref() != Some("0"), "{plain:?}");
    }
    for path in ["/", "/thanos.Store/Nothing", "/../etc/passwd", "/thanos.Store"] {
        let answer = call(&served, path, &[grpc], frame(0, 0, b"")).await;
        assert!(answer == (200, Some("12".into())) || answer.0 == 404, "{path}: {answer:?}");
    }
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for bytes in [
        b"GET / HTTP/1.1\r\nHost: t\r\n\r\n".to_vec(),
        [&preface[..], &[0xff; 1000]].concat(),
        [&preface[..], b"\xff\xff\xff\x01\x05\0\0\0\x01"].concat(),
        vec![0; 1000],
    ] {
        let mut stream = TcpStream::connect(served.thanos).await.unwrap();
        let _ = stream.write_all(&bytes).await;
        let _ = tokio::time::timeout(Duration::from_millis(300), stream.read_to_end(&mut Vec::new())).await;
    }
    let info = call(&served, "/thanos.info.Info/Info", &[grpc], frame(0, 0, b"")).await;
    assert_eq!(info, (200, Some("0".into())));
    still_serves(&served).await;
}
