//! A block in a bucket gives what the same block in memory gives.

use std::sync::Arc;

use object_store::memory::InMemory;
use prometheus_tsdb_block::{BlockFile, BlockFiles, ErrorKind, LocalBlock, MemoryBlock};
use promparquet_objstore::{BlockInBucket, Bucket, BucketConfig, OpenFor};
use promparquet_testkit::stores::{FailingStore, Failures, Fault, Recording, RecordingStore, Rule};
use tokio::runtime::{Builder, Runtime};

use crate::{noise, s3_server::S3Server};

const ULID: &str = "01J00000000000000000000000";

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

async fn put_block(bucket: &Bucket) -> MemoryBlock {
    let files = [
        (BlockFile::Meta, noise(30)),
        (BlockFile::Index, noise(1000)),
        (BlockFile::Segment(0), noise(2000)),
        (BlockFile::Segment(1), noise(70_000)),
    ];
    for (file, bytes) in &files {
        bucket.put(&format!("{ULID}/{file}"), bytes.clone()).await.unwrap();
    }
    bucket.put(&format!("{ULID}/chunks/000003.tmp"), "x".into()).await.unwrap();
    MemoryBlock::new("memory", files)
}

fn assert_same(block: &dyn BlockFiles, expected: &MemoryBlock) {
    assert_eq!(block.segments().unwrap(), [2000, 70_000]);
    for file in [BlockFile::Meta, BlockFile::Index, BlockFile::Tombstones, BlockFile::Segment(1), BlockFile::Segment(2)]
    {
        match (block.size(file), expected.size(file)) {
            (Ok(size), Ok(expected)) => assert_eq!(size, expected),
            (Err(error), Err(expected)) => assert_eq!(error.kind(), expected.kind(), "{error}"),
            (found, expected) => panic!("{file}: {found:?}, expected {expected:?}"),
        }
    }
    let ranges = [0..10, 100..1000, 5..5, 999..1000, 0..1000];
    assert_eq!(
        block.read_ranges(BlockFile::Index, &ranges).unwrap(),
        expected.read_ranges(BlockFile::Index, &ranges).unwrap()
    );
    assert_eq!(
        block.read(BlockFile::Segment(1), 9..69_999).unwrap(),
        expected.read(BlockFile::Segment(1), 9..69_999).unwrap()
    );
    for range in [0..1001, 1001..1001, 2000..u64::MAX] {
        let error = block.read(BlockFile::Index, range).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("index") && error.to_string().contains(ULID), "{error}");
    }
}

#[test]
fn from_an_s3_server_and_a_directory() {
    let runtime = runtime();
    let (server, expected) = runtime.block_on(async {
        let server = S3Server::start().await;
        let expected = put_block(&server.bucket()).await;
        (server, expected)
    });
    let block = BlockInBucket::new(&server.bucket(), ULID, runtime.handle().clone()).unwrap();
    assert_eq!(block.location(), format!("s3://blocks/{ULID}"));
    assert_same(&block, &expected);

    let dir = tempfile::tempdir().unwrap();
    let yaml = format!("type: FILESYSTEM\nconfig: {{directory: '{}'}}\nprefix: tenant\n", dir.path().display());
    let bucket = BucketConfig::from_yaml(&yaml, |_| None).unwrap().open(OpenFor::Writing).unwrap();
    runtime.block_on(put_block(&bucket));
    assert_same(&BlockInBucket::new(&bucket, ULID, runtime.handle().clone()).unwrap(), &expected);
    assert_same(&LocalBlock::open(bucket.local_path(ULID).unwrap().unwrap()).unwrap(), &expected);
}

#[test]
fn sizes_are_asked_for_once() {
    let runtime = runtime();
    let store = RecordingStore::new(Arc::new(InMemory::new()), Recording::default());
    let recording = Arc::clone(store.tap());
    let bucket = Bucket::new(Arc::new(store), "memory://");
    runtime.block_on(put_block(&bucket));
    let block = BlockInBucket::new(&bucket, ULID, runtime.handle().clone()).unwrap();
    recording.take();
    block.segments().unwrap();
    block.read(BlockFile::Segment(0), 0..100).unwrap();
    block.read_ranges(BlockFile::Segment(0), &[200..300, 500..600]).unwrap();
    block.read(BlockFile::Index, 0..8).unwrap();
    block.read(BlockFile::Index, 8..16).unwrap();
    let calls: Vec<_> = recording.take().iter().map(|call| call.to_string().replace(ULID, "B")).collect();
    assert_eq!(
        calls,
        [
            "ListDirectory B/chunks",
            "Get B/chunks/000001 [0, 100)",
            "Get B/chunks/000001 [200, 300)",
            "Get B/chunks/000001 [500, 600)",
            "Head B/index",
            "Get B/index [0, 8)",
            "Get B/index [8, 16)",
        ]
    );
}

#[test]
fn callers_within_a_runtime() {
    let outer = runtime();
    let bucket = Bucket::new(Arc::new(InMemory::new()), "memory://");
    let expected = outer.block_on(put_block(&bucket));
    let block = Arc::new(BlockInBucket::new(&bucket, ULID, outer.handle().clone()).unwrap());
    // Threads without a runtime, several at a time.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_same(&*block, &expected));
        }
    });
    // Threads for blocking work, a task, and the future that the runtime was entered with.
    let (in_blocking, in_task) = (Arc::clone(&block), Arc::clone(&block));
    outer.block_on(async {
        tokio::task::spawn_blocking(move || in_blocking.segments().unwrap()).await.unwrap();
        tokio::spawn(async move { in_task.segments().unwrap() }).await.unwrap();
        block.segments().unwrap();
    });
    // The only thread of a runtime.
    for runtime in [Some(outer.handle().clone()), None] {
        let single = Builder::new_current_thread().build().unwrap();
        let handle = runtime.unwrap_or_else(|| single.handle().clone());
        let block = BlockInBucket::new(&bucket, ULID, handle).unwrap();
        let error = single.block_on(async { block.size(BlockFile::Index) }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(crate::chain(&error).contains("outside of the runtime"), "{}", crate::chain(&error));
    }
}

#[test]
fn failures_keep_their_meaning() {
    let runtime = runtime();
    let store = FailingStore::new(Arc::new(InMemory::new()), Failures::default());
    let failures = Arc::clone(store.tap());
    let bucket = Bucket::new(Arc::new(store), "memory://");
    runtime.block_on(put_block(&bucket));
    for (fault, kind) in [
        (Fault::Unavailable, ErrorKind::Unavailable),
        (Fault::PermissionDenied, ErrorKind::Unavailable),
        (Fault::NotFound, ErrorKind::NotFound),
        (Fault::Truncated(1), ErrorKind::Corrupt),
    ] {
        let block = BlockInBucket::new(&bucket, ULID, runtime.handle().clone()).unwrap();
        failures.set([]);
        block.size(BlockFile::Index).unwrap();
        failures.set([Rule::new(fault)]);
        let error = block.read(BlockFile::Index, 0..9).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(ULID), "{error}");
        if !matches!(fault, Fault::Truncated(_)) {
            assert!(block.segments().is_err());
        }
    }
}
