//! Uploads that do not go well, and how much memory they take.

use std::{sync::Arc, time::Duration};

use object_store::{ObjectStore, memory::InMemory};
use promparquet_objstore::{Bucket, ErrorKind};
use promparquet_testkit::stores::{
    FailingStore, Failures, Fault, Latency, LatencyStore, Operation, Recording, RecordingStore, Rule,
};

use crate::{assert_fails, noise, s3_server::S3Server};

const PART: usize = 1000;

/// A bucket whose calls are recorded, the failed ones too.
fn failing(rules: impl IntoIterator<Item = Rule>) -> (Bucket, Arc<Recording>) {
    let store = FailingStore::new(Arc::new(InMemory::new()), Failures::new(rules));
    let store = RecordingStore::new(Arc::new(store), Recording::default());
    let recording = Arc::clone(store.tap());
    (Bucket::new(Arc::new(store), "memory://").with_part_size(PART), recording)
}

fn operations(recording: &Recording) -> Vec<Operation> {
    recording.take().iter().map(|call| call.operation).collect()
}

#[tokio::test]
async fn parts_are_of_the_size_that_was_set() {
    let (bucket, recording) = failing([]);
    let mut upload = bucket.upload("key").unwrap();
    for piece in noise(3456).chunks(7) {
        upload.write(bytes::Bytes::copy_from_slice(piece)).await.unwrap();
    }
    upload.finish().await.unwrap();
    let calls = recording.take();
    let mut parts: Vec<_> = calls.iter().filter(|call| call.operation == Operation::PutPart).collect();
    parts.sort_by_key(|call| std::cmp::Reverse(call.bytes_in));
    assert_eq!(parts.iter().map(|call| call.bytes_in).collect::<Vec<_>>(), [1000, 1000, 1000, 456]);
    assert_eq!(bucket.get("key", 5000).await.unwrap(), noise(3456));
}

#[tokio::test]
async fn what_fits_into_one_part_is_put_at_once() {
    let (bucket, recording) = failing([]);
    for length in [0, 1, PART] {
        let mut upload = bucket.upload("key").unwrap();
        upload.write(noise(length)).await.unwrap();
        upload.finish().await.unwrap();
        assert_eq!(operations(&recording), [Operation::Put], "{length}");
    }
}

#[tokio::test]
async fn a_failure_aborts() {
    use Operation::{AbortUpload, CompleteUpload, PutPart, StartUpload};
    for (operation, expected) in [
        (StartUpload, &[StartUpload][..]),
        (PutPart, &[StartUpload, PutPart, AbortUpload]),
        (CompleteUpload, &[StartUpload, PutPart, PutPart, CompleteUpload, AbortUpload]),
    ] {
        let (bucket, recording) = failing([Rule::new(Fault::PermissionDenied).on(operation)]);
        let mut upload = bucket.upload("dir/key").unwrap();
        let mut result = upload.write(noise(2 * PART)).await;
        if result.is_ok() {
            result = upload.finish().await;
        } else {
            assert_fails(upload.finish().await, ErrorKind::Cancelled, &["memory://", "dir/key"]);
        }
        assert_fails(result, ErrorKind::PermissionDenied, &["memory://", "dir/key"]);
        let mut seen = operations(&recording);
        if operation == PutPart {
            seen.dedup();
        }
        assert_eq!(seen, expected);
        assert!(!bucket.exists("dir/key").await.unwrap());
    }
}

#[tokio::test]
async fn a_dropped_write_spoils_the_upload() {
    let (bucket, _) = failing([]);
    let bucket = bucket.layered(|store| Arc::new(LatencyStore::new(store, Latency(Duration::from_secs(3600)))));
    let mut upload = bucket.upload("key").unwrap();
    let dropped = tokio::time::timeout(Duration::from_millis(20), upload.write(noise(2 * PART))).await;
    assert!(dropped.is_err(), "should wait");
    assert_fails(upload.finish().await, ErrorKind::Cancelled, &["key"]);
}

#[tokio::test(start_paused = true)]
async fn writers_wait_for_parts_under_way() {
    // Only parts are slow: the latency lies below a store that passes everything else by.
    let inner: Arc<dyn ObjectStore> =
        Arc::new(LatencyStore::new(Arc::new(InMemory::new()), Latency(Duration::from_secs(1))));
    let store = RecordingStore::new(inner, Recording::default());
    let recording = Arc::clone(store.tap());
    let bucket = Bucket::new(Arc::new(store), "memory://").with_part_size(PART);
    let mut upload = bucket.upload("key").unwrap();
    let mut written = 0;
    let mut most = 0;
    let start = tokio::time::Instant::now();
    for _ in 0..40 {
        upload.write(noise(PART)).await.unwrap();
        written += PART as u64;
        tokio::task::yield_now().await;
        // One second each, at most four at a time, after one second for the start.
        let seconds = start.elapsed().as_secs().saturating_sub(1);
        let done = seconds * 4 * PART as u64;
        most = most.max(written.saturating_sub(done));
    }
    assert!(most <= 6 * PART as u64, "{most} bytes were held");
    upload.finish().await.unwrap();
    let parts = recording.take().into_iter().filter(|call| call.operation == Operation::PutPart).count();
    assert_eq!(parts, 40);
    // 10 rounds of 4 parts, the start, the completion.
    assert!((11..=13).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test]
async fn more_parts_than_services_allow() {
    let (bucket, recording) = failing([]);
    let bucket = bucket.with_part_size(1);
    let mut upload = bucket.upload("key").unwrap();
    upload.write(noise(10_001)).await.unwrap();
    assert_fails(upload.write(noise(1)).await, ErrorKind::LimitExceeded, &["key", "part_size"]);
    assert_eq!(operations(&recording).last(), Some(&Operation::AbortUpload));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_on_an_s3_server() {
    let server = S3Server::start().await;
    let bucket = server.bucket();
    let start = || async {
        let mut upload = bucket.upload("dir/key").unwrap();
        upload.write(noise(12 << 20)).await.unwrap();
        upload
    };
    let upload = start().await;
    upload.abort().await.unwrap();
    assert_eq!(server.leftovers().len(), 0, "{:?}", server.leftovers());
    drop(start().await);
    for _ in 0..500 {
        if server.leftovers().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(server.leftovers().len(), 0, "{:?}", server.leftovers());
    assert!(!bucket.exists("dir/key").await.unwrap());
}
