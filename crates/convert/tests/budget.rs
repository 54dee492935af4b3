//! The memory budget is a bound, by what the allocator hands out: also for targets that take their time.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    sync::Arc,
    time::Duration,
};

use object_store::{ObjectStore, local::LocalFileSystem};
use prometheus_model::{Labels, Sample, Value};
use prometheus_tsdb_block::{BlockReader, LocalBlock, write_block};
use promparquet_convert::{Control, ErrorKind, Options, VerifyOptions, convert, verify};
use promparquet_objstore::Bucket;
use promparquet_testkit::{
    blocks::BlockSpec,
    stores::{Latency, LatencyStore},
};
use ulid::Ulid;

#[global_allocator]
static ALLOCATOR: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, usize::MAX);

/// Series with ten of `names` label names each.
fn wide(dir: &std::path::Path, names: usize) {
    let series = |n: usize| {
        let pairs: Vec<_> = (0..10).map(|i| (format!("name_{:05}", n * 10 + i), format!("value {n}"))).collect();
        let labels = Labels::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))).unwrap();
        let sample = |t: i64| Sample { timestamp: t * 1000, start_timestamp: 0, value: Value::Float(t as f64) };
        (labels, (0..5).map(sample).collect())
    };
    let mut all: Vec<(Labels, Vec<Sample>)> = (0..names / 10).map(series).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    std::fs::create_dir_all(dir).unwrap();
    write_block(dir, Ulid::from_parts(1, 1), &all).unwrap();
}

/// One test, since all allocations count.
#[test]
fn allocations_stay_within_the_budget() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    wide(&path("wide"), 20_000);
    BlockSpec::new(4000).interval_ms(15_000).write(path("tall")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (name, mib, group_rows) in
        [("wide", 112, 1_000_000), ("wide", 112, 100), ("tall", 72, 1_000_000), ("tall", 80, 1000), ("tall", 256, 20)]
    {
        let delays: &[u64] = if group_rows == 1_000_000 { &[0, 60] } else { &[0] };
        for &delay_ms in delays {
            let block = std::fs::read_dir(path(name)).unwrap().next().unwrap().unwrap().path();
            let open = || BlockReader::open(Arc::new(LocalBlock::open(block.clone()).unwrap())).unwrap();
            let target = tempfile::tempdir().unwrap();
            let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(target.path()).unwrap());
            let slow = LatencyStore::new(store, Latency(Duration::from_millis(delay_ms)));
            let bucket = Bucket::new(Arc::new(slow), "file://slow");
            let mut options = Options::default();
            options.memory_bytes = NonZeroUsize::new(mib << 20).unwrap();
            options.read_concurrency = NonZeroUsize::new(2).unwrap();
            options.row_group_rows = NonZeroU32::new(group_rows).unwrap();
            options.data_column_duration_ms = NonZeroU64::new(3_600_000).unwrap();
            let control = Arc::new(Control::default());
            let before = ALLOCATOR.allocated();
            ALLOCATOR.set_limit(before + (mib << 20)).unwrap(); // allocations beyond it fail
            let report = runtime.block_on(convert(vec![open()], None, bucket.clone(), options, Arc::clone(&control)));
            let report = report.unwrap_or_else(|e| panic!("{name}, {mib} MiB, groups of {group_rows}: {e}"));
            let mut options = VerifyOptions::default();
            options.memory_bytes = NonZeroUsize::new(mib << 20).unwrap();
            options.threads = NonZeroUsize::new(2).unwrap();
            let verified = runtime.block_on(verify(vec![open()], bucket, "block".into(), options, control));
            ALLOCATOR.set_limit(usize::MAX).unwrap();
            match verified {
                Ok(verified) => assert_eq!(verified.rows, report.series()),
                // Written piece by piece, but read as a whole: footers of 20,000 columns and 20 row groups.
                Err(error) if group_rows == 100 => assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}"),
                Err(error) => panic!("{name}, {mib} MiB, groups of {group_rows}: {error}"),
            }
        }
    }
}
