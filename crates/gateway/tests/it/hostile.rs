//! Requests that mean no good.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    client::{get, post, post_form, raw},
    served::Served,
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
