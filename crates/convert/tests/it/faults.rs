//! Storage that fails: the target, the source, the disk; and conversions that are cancelled.

use std::{
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    path::Path,
    process::Command,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use object_store::{ObjectStore, local::LocalFileSystem, memory::InMemory};
use prometheus_tsdb_block::{BlockFile, BlockFiles, BlockReader, MemoryBlock, ReadOptions};
use promparquet_convert::{Control, Error, ErrorKind, Options, Report, convert};
use promparquet_objstore::{BlockInBucket, Bucket};
use promparquet_testkit::{
    blocks::BlockSpec,
    stores::{FailingStore, Failures, Fault, Latency, LatencyStore, Operation, Recording, RecordingStore, Rule},
};
use tokio::runtime::Handle;

use crate::{
    blocks::{NAME, files, generated, open, options},
    fixtures::{memory_bucket, runtime},
};

/// A few shards of a few row groups, in files of several parts.
fn many_files() -> Options {
    let mut options = options();
    options.row_group_rows = NonZeroU32::new(5).unwrap();
    options.row_groups_per_shard = NonZeroU32::new(2);
    options.chunk_page_bytes = NonZeroU32::new(4096).unwrap();
    options.data_column_duration_ms = NonZeroU64::new(600_000).unwrap();
    options
}

/// Some files have one part, some several.
const PART_BYTES: usize = 12 << 10;

fn block() -> &'static MemoryBlock {
    static BLOCK: OnceLock<MemoryBlock> = OnceLock::new();
    BLOCK.get_or_init(|| generated(&BlockSpec::new(60).native_histograms(0.2).duration_ms(3_600_000)))
}

fn failing(inner: Arc<dyn ObjectStore>, rule: Rule) -> Bucket {
    Bucket::new(Arc::new(FailingStore::new(inner, Failures::new([rule]))), "memory://failing")
        .with_part_size(PART_BYTES)
}

/// Converts within ten seconds, or panics.
async fn convert_within(
    blocks: Vec<BlockReader>,
    bucket: &Bucket,
    options: &Options,
    control: Arc<Control>,
) -> Result<Report, Error> {
    let conversion = convert(blocks, None, bucket.clone(), options.clone(), control);
    tokio::time::timeout(Duration::from_secs(10), conversion).await.expect("the conversion hangs")
}

/// How often a conversion calls the target, by operation.
fn calls(options: &Options) -> usize {
    let store = Arc::new(RecordingStore::new(Arc::new(InMemory::new()), Recording::default()));
    let recording = Arc::clone(store.tap());
    let bucket = Bucket::new(store, "memory://recorded").with_part_size(PART_BYTES);
    runtime().block_on(convert_within(vec![open(block())], &bucket, options, Arc::default())).unwrap();
    let calls = recording.take();
    let count = |operation| calls.iter().filter(|call| call.operation == operation).count();
    use Operation::{CompleteUpload, Put, PutPart, StartUpload};
    assert!([Put, PutPart, StartUpload, CompleteUpload].into_iter().all(|operation| count(operation) > 0), "{calls:?}");
    assert_eq!(count(Operation::Delete), 0, "a conversion that succeeds deletes nothing");
    calls.len()
}

#[test]
fn every_call_to_the_target_may_fail() {
    for threads in [1, 3] {
        let mut options = many_files();
        options.read_concurrency = NonZeroUsize::new(threads).unwrap();
        options.write_concurrency = NonZeroUsize::new(threads).unwrap();
        let calls = calls(&options);
        assert!(calls > 14, "{calls}");
        let faults = [
            (Fault::Unavailable, ErrorKind::Unavailable),
            (Fault::StorageFull, ErrorKind::Unavailable),
            (Fault::PermissionDenied, ErrorKind::Unavailable),
        ];
        for n in 0..calls {
            let (fault, kind) = faults[n % 3];
            runtime().block_on(async {
                let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
                let bucket = failing(Arc::clone(&inner), Rule::new(fault).after(n).times(1));
                let result = convert_within(vec![open(block())], &bucket, &options, Arc::default()).await;
                let error = result.err().unwrap_or_else(|| panic!("call {n} fails unnoticed"));
                assert_eq!(error.kind(), kind, "call {n}: {error}");
                let text = error.to_string();
                assert!(text.contains(NAME) && text.contains("memory://failing"), "call {n}: {text}");
                let left = files(&Bucket::new(inner, "memory://inner")).await;
                assert!(left.is_empty(), "call {n}: {:?} is left", left.keys());
            });
        }
    }
}

/// A store that fails from some call on does not let anything be removed either.
#[test]
fn a_target_that_stays_away() {
    let options = many_files();
    for n in (0..calls(&options)).step_by(3) {
        runtime().block_on(async {
            let bucket = failing(Arc::new(InMemory::new()), Rule::new(Fault::Unavailable).after(n));
            let error = convert_within(vec![open(block())], &bucket, &options, Arc::default()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        });
    }
    // Nor does a failure to delete or to abort hide the error before it.
    for operation in [Operation::Delete, Operation::AbortUpload] {
        runtime().block_on(async {
            let rules = [
                Rule::new(Fault::StorageFull).on(Operation::CompleteUpload),
                Rule::new(Fault::PermissionDenied).on(operation),
            ];
            let store = FailingStore::new(Arc::new(InMemory::new()), Failures::new(rules));
            let bucket = Bucket::new(Arc::new(store), "memory://failing").with_part_size(PART_BYTES);
            let error = convert_within(vec![open(block())], &bucket, &options, Arc::default()).await.unwrap_err();
            assert!(error.to_string().contains("complete the upload"), "{error}");
        });
    }
}

/// The block in a bucket.
async fn put_block(bucket: &Bucket, block: &MemoryBlock) {
    for (file, bytes) in block.clone().files_mut().iter() {
        bucket.put(&format!("block/{file}"), bytes.clone()).await.unwrap();
    }
}

async fn convert_from(source: &Bucket, target: &Bucket, options: &Options) -> Result<Report, Error> {
    let files = BlockInBucket::new(source, "block", Handle::current()).unwrap();
    // Small reads, so that there are many.
    let reads = ReadOptions { max_gap_bytes: 64, max_run_bytes: 8 << 10, estimated_bytes: 512 };
    let opened = tokio::task::spawn_blocking(move || BlockReader::open_with(Arc::new(files), reads));
    convert_within(vec![opened.await.unwrap()?], target, options, Arc::default()).await
}

#[test]
fn every_read_of_the_source_may_fail_or_be_short() {
    let mut options = options();
    options.memory_bytes = NonZeroUsize::new(48 << 20).unwrap();
    for threads in [1, 2] {
        options.read_concurrency = NonZeroUsize::new(threads).unwrap();
        let whole = runtime().block_on(async {
            let (store, target) =
                (Arc::new(RecordingStore::new(Arc::new(InMemory::new()), Recording::default())), memory_bucket());
            let recording = Arc::clone(store.tap());
            let source = Bucket::new(store, "memory://source");
            put_block(&source, block()).await;
            recording.take();
            convert_from(&source, &target, &options).await.unwrap();
            (files(&target).await, recording.take().len())
        });
        let (whole, reads) = whole;
        assert!(reads > 10, "{reads} reads");
        let faults =
            [Fault::Unavailable, Fault::NotFound, Fault::PermissionDenied, Fault::Truncated(1), Fault::Truncated(300)];
        for fault in faults {
            for n in 0..reads {
                runtime().block_on(async {
                    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
                    put_block(&Bucket::new(Arc::clone(&inner), "memory://inner"), block()).await;
                    let source = failing(inner, Rule::new(fault).after(n).times(1));
                    let target = memory_bucket();
                    match convert_from(&source, &target, &options).await {
                        // A listing or a head cannot be cut, and tombstones need not exist.
                        Ok(_) => {
                            assert!(
                                matches!(fault, Fault::Truncated(_) | Fault::NotFound),
                                "{fault:?} of read {n} is not noticed"
                            );
                            assert!(files(&target).await == whole, "{fault:?} of read {n} makes other files");
                        }
                        Err(error) => {
                            let expected = [ErrorKind::Unavailable, ErrorKind::NotFound, ErrorKind::Corrupt];
                            assert!(
                                expected.contains(&error.kind()),
                                "{fault:?} of read {n}: {:?} {error}",
                                error.kind()
                            );
                            assert!(error.to_string().contains("memory://failing/block"), "{error}");
                            let left = files(&target).await;
                            assert!(left.is_empty(), "{fault:?} of read {n}: {:?} is left", left.keys());
                        }
                    }
                });
            }
        }
    }
}

/// A directory on a disk of its own, of so many KiB; none, loudly, if mounting is not allowed.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(kib: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"])
            .arg(dir.path())
            .stderr(std::process::Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(dir));
        }
        eprintln!("SKIPPED: mounting a small disk is not permitted, so that a full one is not tested");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

fn files_below(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_full_disk_as_target() {
    for kib in [4, 40, 64] {
        let Some(disk) = SmallDisk::new(kib) else { return };
        runtime().block_on(async {
            let store = LocalFileSystem::new_with_prefix(disk.path()).unwrap();
            let bucket = Bucket::new(Arc::new(store), "file://disk").with_part_size(PART_BYTES);
            let result = convert_within(vec![open(block())], &bucket, &many_files(), Arc::default()).await;
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{kib} KiB: {error}");
            assert!(error.to_string().contains("file://disk"), "{error}");
        });
        assert_eq!(files_below(disk.path()), Vec::<std::path::PathBuf>::new(), "{kib} KiB");
    }
}

/// So little memory, and so many data columns, that pages are spilled: more than a quarter of what is left.
fn spilling() -> (MemoryBlock, Options) {
    let block = generated(&BlockSpec::new(30_000).odd_series(false).interval_ms(120_000));
    let mut options = options();
    options.data_column_duration_ms = NonZeroU64::new(600_000).unwrap();
    options.memory_bytes = NonZeroUsize::new(66 << 20).unwrap();
    options.chunk_page_bytes = NonZeroU32::new(64 << 10).unwrap();
    options.chunks_compression = promparquet_convert::Compression::None;
    (block, options)
}

#[test]
fn the_disk_where_pages_wait() {
    let (block, mut options) = spilling();
    let good = runtime().block_on(async {
        let bucket = memory_bucket();
        convert_within(vec![open(&block)], &bucket, &options, Arc::default()).await.unwrap();
        files(&bucket).await
    });
    let fails = |options: &Options| {
        runtime().block_on(async {
            let bucket = memory_bucket();
            let error = convert_within(vec![open(&block)], &bucket, options, Arc::default()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            assert!(error.to_string().contains("temporary file"), "{error}");
            assert!(files(&bucket).await.is_empty());
        });
    };
    options.temp_dir = "/nonexistent/directory".into();
    fails(&options);
    // With enough memory nobody asks for it; and the files are the same.
    let mut roomy = options.clone();
    roomy.memory_bytes = NonZeroUsize::new(512 << 20).unwrap();
    runtime().block_on(async {
        let bucket = memory_bucket();
        convert_within(vec![open(&block)], &bucket, &roomy, Arc::default()).await.unwrap();
        assert!(files(&bucket).await == good, "spilled and other files differ");
    });
    let Some(disk) = SmallDisk::new(200) else { return };
    options.temp_dir = disk.path().to_owned();
    fails(&options);
    assert_eq!(files_below(disk.path()), Vec::<std::path::PathBuf>::new());
}

#[test]
fn cancelled_at_any_time() {
    let mut options = many_files();
    let block = generated(&BlockSpec::new(3000).interval_ms(60_000));
    options.row_group_rows = NonZeroU32::new(500).unwrap();
    for (threads, delay) in [(1, 0), (1, 3), (3, 6), (1, 12), (3, 25), (2, 50), (1, 100)] {
        options.read_concurrency = NonZeroUsize::new(threads).unwrap();
        runtime().block_on(async {
            let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            // Slow enough that it is not done before.
            let slow = LatencyStore::new(Arc::clone(&inner), Latency(Duration::from_millis(20)));
            let bucket = Bucket::new(Arc::new(slow), "memory://slow").with_part_size(PART_BYTES * 8);
            let control = Arc::new(Control::default());
            let conversion = convert_within(vec![open(&block)], &bucket, &options, Arc::clone(&control));
            let cancel = async {
                tokio::time::sleep(Duration::from_millis(delay)).await;
                control.cancel();
                Instant::now()
            };
            let (result, cancelled) = tokio::join!(conversion, cancel);
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cancelled, "after {delay} ms: {error}");
            assert!(cancelled.elapsed() < Duration::from_secs(1), "{:?} to stop", cancelled.elapsed());
            let left = files(&Bucket::new(inner, "memory://inner")).await;
            assert!(left.is_empty(), "after {delay} ms: {:?} is left", left.keys());
        });
    }
    // Cancelled before it began; and a control that was used for a failed conversion serves again.
    runtime().block_on(async {
        let control = Arc::new(Control::default());
        let failing = failing(Arc::new(InMemory::new()), Rule::new(Fault::Unavailable));
        convert_within(vec![open(&block)], &failing, &options, Arc::clone(&control)).await.unwrap_err();
        convert_within(vec![open(&block)], &memory_bucket(), &options, Arc::clone(&control)).await.unwrap();
        control.cancel();
        let error = convert_within(vec![open(&block)], &memory_bucket(), &options, control).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
    });
}

/// The files of a block that panic at the second read of a segment.
#[derive(Debug)]
struct Panicking(MemoryBlock, AtomicUsize);

impl BlockFiles for Panicking {
    fn location(&self) -> &str {
        self.0.location()
    }

    fn size(&self, file: BlockFile) -> prometheus_tsdb_block::Result<u64> {
        self.0.size(file)
    }

    fn segments(&self) -> prometheus_tsdb_block::Result<Vec<u64>> {
        self.0.segments()
    }

    fn read(&self, file: BlockFile, range: std::ops::Range<u64>) -> prometheus_tsdb_block::Result<bytes::Bytes> {
        if matches!(file, BlockFile::Segment(_)) {
            assert_ne!(self.1.fetch_add(1, Ordering::Relaxed), 1, "a panic made by a test");
        }
        self.0.read(file, range)
    }
}

/// A defect in one thread must not let the others wait for ever.
#[test]
fn a_panic_of_a_thread_is_an_error() {
    let mut options = many_files();
    // More batches than may be in flight.
    options.row_group_rows = NonZeroU32::new(2).unwrap();
    for (threads, groups) in [(1, 2), (3, 2), (3, 1000)] {
        options.row_groups_per_shard = NonZeroU32::new(groups);
        options.read_concurrency = NonZeroUsize::new(threads).unwrap();
        options.write_concurrency = NonZeroUsize::new(threads).unwrap();
        runtime().block_on(async {
            let bucket = memory_bucket();
            let block = BlockReader::open(Arc::new(Panicking(block().clone(), AtomicUsize::new(0)))).unwrap();
            let error = convert_within(vec![block], &bucket, &options, Arc::default()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
        });
    }
}
