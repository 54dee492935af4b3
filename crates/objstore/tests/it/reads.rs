//! Reads: exactly what is asked for, and what happens when a store does not deliver.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use object_store::{ObjectStore, memory::InMemory};
use promparquet_objstore::{Bucket, BucketConfig, ErrorKind, OpenFor};
use promparquet_testkit::stores::{
    FailingStore, Failures, Fault, Latency, LatencyStore, Operation, Recording, RecordingStore, Rule,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{assert_fails, noise, s3_server::S3Server};

#[tokio::test]
async fn no_byte_more_than_asked_for() {
    let store = RecordingStore::new(Arc::new(InMemory::new()), Recording::default());
    let recording = Arc::clone(store.tap());
    let bucket = Bucket::new(Arc::new(store), "memory://").child("pre").unwrap();
    bucket.put("key", noise(100)).await.unwrap();
    recording.take();
    // The store's own get_ranges would read [0, 60) at once.
    bucket.get_ranges("key", &[50..60, 0..10, 10..20, 5..5]).await.unwrap();
    let mut calls: Vec<_> = recording.take().iter().map(ToString::to_string).collect();
    calls.sort_unstable();
    assert_eq!(calls, ["Get pre/key [0, 10)", "Get pre/key [10, 20)", "Get pre/key [50, 60)"]);
    bucket.exists("key").await.unwrap();
    bucket.get("key", 100).await.unwrap();
    bucket.list_directory("").await.unwrap();
    bucket.delete("key").await.unwrap();
    let calls: Vec<_> = recording.take().iter().map(ToString::to_string).collect();
    assert_eq!(calls, ["Head pre/key", "Get pre/key", "ListDirectory pre", "Delete pre/key"]);
}

#[tokio::test(start_paused = true)]
async fn ranges_are_read_concurrently_within_bounds() {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let bucket = Bucket::new(inner, "memory://");
    bucket.put("key", noise(100)).await.unwrap();
    let bucket = bucket.layered(|store| Arc::new(LatencyStore::new(store, Latency(Duration::from_millis(100)))));
    let ranges: Vec<_> = (0..8).map(|i| i * 10..i * 10 + 10).collect();
    for (concurrency, expected_ms) in [(1, 800), (3, 300), (8, 100), (100, 100)] {
        let start = tokio::time::Instant::now();
        bucket.clone().with_read_concurrency(concurrency).get_ranges("key", &ranges).await.unwrap();
        let elapsed = start.elapsed().as_millis();
        assert!((expected_ms..expected_ms + 50).contains(&elapsed), "{concurrency}: {elapsed} ms");
    }
}

#[tokio::test]
async fn failures_are_told_apart() {
    let store = FailingStore::new(Arc::new(InMemory::new()), Failures::default());
    let failures = Arc::clone(store.tap());
    let bucket = Bucket::new(Arc::new(store), "memory://");
    bucket.put("dir/key", noise(100)).await.unwrap();
    for (fault, kind) in [
        (Fault::Unavailable, ErrorKind::Unavailable),
        (Fault::PermissionDenied, ErrorKind::PermissionDenied),
        (Fault::StorageFull, ErrorKind::StorageFull),
        (Fault::NotFound, ErrorKind::NotFound),
    ] {
        failures.set([Rule::new(fault)]);
        let parts = ["memory://", "dir/key"];
        assert_fails(bucket.get("dir/key", 100).await, kind, &parts);
        assert_fails(bucket.get_range("dir/key", 0..10).await, kind, &parts);
        assert_fails(bucket.get_ranges("dir/key", &[0..10, 20..30]).await, kind, &parts);
        assert_fails(bucket.head("dir/key").await, kind, &parts);
        assert_fails(bucket.put("dir/key", "".into()).await, kind, &parts);
        assert_fails(bucket.list_directory("dir").await, kind, &["memory://", "dir"]);
        if kind != ErrorKind::NotFound {
            assert_fails(bucket.exists("dir/key").await, kind, &parts);
            assert_fails(bucket.delete("dir/key").await, kind, &parts);
        }
    }
    for rule in [Rule::new(Fault::Truncated(1)), Rule::new(Fault::Truncated(1000))] {
        failures.set([rule]);
        assert_fails(bucket.get("dir/key", 100).await, ErrorKind::Corrupt, &["expected 100 bytes", "dir/key"]);
        let ranges = bucket.get_ranges("dir/key", &[0..10, 20..40]).await;
        assert_fails(ranges, ErrorKind::Corrupt, &["expected 10 bytes", "dir/key"]);
    }
    // The second of the reads fails, once.
    failures.set([Rule::new(Fault::Unavailable).on(Operation::Get).after(1).times(1)]);
    assert_fails(bucket.get_ranges("dir/key", &[0..1, 1..2, 2..3]).await, ErrorKind::Unavailable, &["dir/key"]);
    assert_eq!(bucket.get_range("dir/key", 0..1).await.unwrap(), noise(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_an_s3_server() {
    let server = S3Server::start().await;
    let wrong = server.open(crate::s3_server::BUCKET, "swordfish");
    assert_fails(wrong.get("a/key", 1).await, ErrorKind::PermissionDenied, &["s3://blocks", "a/key"]);
    assert_fails(wrong.put("a/key", "".into()).await, ErrorKind::PermissionDenied, &["s3://blocks", "a/key"]);
    assert_fails(wrong.list_directory("a").await, ErrorKind::PermissionDenied, &["s3://blocks", "a"]);
    let nowhere = server.open("nowhere", "hunter2hunter2");
    assert_fails(nowhere.list_directory("").await, ErrorKind::NotFound, &["s3://nowhere"]);
    assert_fails(nowhere.get("a/key", 1).await, ErrorKind::NotFound, &["s3://nowhere", "a/key"]);
    let malformed = server.open("Bad_Bucket", "hunter2hunter2");
    assert_fails(malformed.get("a/key", 1).await, ErrorKind::Invalid, &["s3://Bad_Bucket", "a/key", "400"]);
    for bucket in [wrong, nowhere, malformed] {
        assert!(!format!("{:?} {:?} {}", bucket, bucket.store(), bucket.store()).contains("hunter2"));
    }
}

#[tokio::test]
async fn nobody_listens() {
    // Reserved, then free again.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let yaml = format!(
        "type: S3\nconfig: {{bucket: b, endpoint: '127.0.0.1:{port}', insecure: true, access_key: k, secret_key: \
         hunter2, max_retries: 1}}\n"
    );
    let config = BucketConfig::from_yaml(&yaml, |_| None).unwrap();
    let bucket = config.open(OpenFor::Reading).unwrap();
    let start = std::time::Instant::now();
    assert_fails(bucket.get("key", 1).await, ErrorKind::Unavailable, &["s3://b", "key"]);
    assert_fails(bucket.put("key", "".into()).await, ErrorKind::Unavailable, &["s3://b", "key"]);
    assert!(start.elapsed() < Duration::from_secs(10));
}

/// A server that answers the first requests with 503, then with four bytes; or nothing at all, if `silent`.
async fn flaky_server(failures: usize, silent: bool) -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = socket.read(&mut head).await;
            let answer: &[u8] = match counter.fetch_add(1, Ordering::SeqCst) {
                _ if silent => {
                    held.push(socket);
                    continue;
                }
                n if n < failures => b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                _ => {
                    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nLast-Modified: Sat, 21 Nov 2026 12:00:00 GMT\r\nETag: \
                      \"e\"\r\nConnection: close\r\n\r\nbody"
                }
            };
            let _ = socket.write_all(answer).await;
        }
    });
    (address, requests)
}

fn flaky_bucket(address: std::net::SocketAddr, max_retries: usize) -> Bucket {
    let yaml = format!(
        "type: S3\nconfig: {{bucket: b, endpoint: '{address}', insecure: true, access_key: k, secret_key: s, max_retries: \
         {max_retries}, http_config: {{response_header_timeout: 100ms}}}}\n"
    );
    BucketConfig::from_yaml(&yaml, |_| None).unwrap().open(OpenFor::Reading).unwrap()
}

#[tokio::test]
async fn failures_are_retried_as_often_as_configured() {
    let (address, requests) = flaky_server(2, false).await;
    assert_eq!(flaky_bucket(address, 2).get("key", 10).await.unwrap(), "body");
    assert_eq!(requests.load(Ordering::SeqCst), 3);
    let (address, requests) = flaky_server(2, false).await;
    assert_fails(flaky_bucket(address, 1).get("key", 10).await, ErrorKind::Unavailable, &["s3://b", "key", "503"]);
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_silent_server_does_not_hang_us() {
    let (address, requests) = flaky_server(0, true).await;
    let start = std::time::Instant::now();
    assert_fails(flaky_bucket(address, 1).get("key", 10).await, ErrorKind::Unavailable, &["s3://b", "key"]);
    assert_eq!(requests.load(Ordering::SeqCst), 2);
    assert!(start.elapsed() < Duration::from_secs(10));
}
