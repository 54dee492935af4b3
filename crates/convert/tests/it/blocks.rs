//! Blocks in memory, and what converting them should give.

use std::{collections::BTreeMap, num::NonZeroUsize, ops::ControlFlow, sync::Arc};

use bytes::Bytes;
use prometheus_model::{Labels, Sample, TimeRange, TimestampMs, Value};
use prometheus_tsdb_block::{
    BlockFile, BlockFiles, BlockReader, Interval, LocalBlock, MemoryBlock, Tombstones, write_block,
};
use prometheus_tsdb_index::{SeriesRef, Version};
use promparquet_convert::{Control, Error, Options, Report, convert};
use promparquet_objstore::Bucket;
use promparquet_testkit::blocks::BlockSpec;
use ulid::Ulid;

use crate::fixtures::{Series, all_rows, assert_same, block_series, memory_bucket, runtime, samples_of_rows};

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

pub(crate) fn float(timestamp: TimestampMs, value: f64) -> Sample {
    Sample { timestamp, start_timestamp: 0, value: Value::Float(value) }
}

/// A sample at every `step` milliseconds of the range.
pub(crate) fn floats(times: std::ops::Range<i64>, step: usize) -> Vec<Sample> {
    times.step_by(step).map(|t| float(t, t as f64 / 7.0)).collect()
}

pub(crate) fn block_of(series: &[(Labels, Vec<Sample>)]) -> MemoryBlock {
    let dir = tempfile::tempdir().unwrap();
    let meta = write_block(dir.path(), Ulid::from_parts(1, 1), series).unwrap();
    MemoryBlock::copy_of(&LocalBlock::open(dir.path().join(meta.ulid.to_string())).unwrap()).unwrap()
}

pub(crate) fn generated(spec: &BlockSpec) -> MemoryBlock {
    let dir = tempfile::tempdir().unwrap();
    MemoryBlock::copy_of(&LocalBlock::open(spec.write(dir.path()).unwrap()).unwrap()).unwrap()
}

pub(crate) fn open(block: &MemoryBlock) -> BlockReader {
    BlockReader::open(Arc::new(block.clone())).unwrap()
}

/// References of all series, in order.
pub(crate) fn series_refs(block: &MemoryBlock) -> Vec<SeriesRef> {
    let mut refs = Vec::new();
    let read = open(block).scan_series(1 << 20, |series, _| {
        refs.push(series);
        Ok(ControlFlow::Continue(()))
    });
    read.unwrap();
    refs
}

/// Deletes `[min, max]` from some series, given by their place in the block.
pub(crate) fn delete(block: &mut MemoryBlock, deleted: &[(usize, TimestampMs, TimestampMs)]) {
    let refs = series_refs(block);
    let stones: Tombstones = deleted.iter().map(|&(series, min, max)| (refs[series], Interval { min, max })).collect();
    block.files_mut().insert(BlockFile::Tombstones, stones.encode().into());
}

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    })
}

/// Gives series `to` the labels of series `from`, as a faulty writer might. Both must have equally many labels, and few
/// symbols in all.
pub(crate) fn give_labels(block: &mut MemoryBlock, from: usize, to: usize) {
    let refs = series_refs(block);
    let index = block.read(BlockFile::Index, 0..block.size(BlockFile::Index).unwrap()).unwrap();
    let mut index = index.to_vec();
    let [from, to] = [from, to].map(|n| refs[n].byte_offset(Version::V2) as usize);
    let labels = usize::from(index[from + 1]);
    let len = usize::from(index[to]);
    assert!(len < 128 && index[to + 1] == index[from + 1], "one byte each");
    let copied = index[from + 2..from + 2 + 2 * labels].to_vec();
    assert!(copied.iter().all(|symbol| *symbol < 128));
    index[to + 2..to + 2 + 2 * labels].copy_from_slice(&copied);
    let checksum = crc32c(&index[to + 1..to + 1 + len]);
    index[to + 1 + len..to + 5 + len].copy_from_slice(&checksum.to_be_bytes());
    block.files_mut().insert(BlockFile::Index, index.into());
}

/// What the blocks hold together: the first wins.
pub(crate) fn merged(blocks: &[MemoryBlock], range: Option<TimeRange>) -> Series {
    let mut all: BTreeMap<Labels, BTreeMap<TimestampMs, Sample>> = BTreeMap::new();
    for block in blocks.iter().rev() {
        for (labels, samples) in block_series(&open(block)) {
            all.entry(labels).or_default().extend(samples.into_iter().map(|s| (s.timestamp, s)));
        }
    }
    let in_range = |t: TimestampMs| range.is_none_or(|range| range.start() <= t && t < range.end());
    let of_series = |samples: BTreeMap<TimestampMs, Sample>| -> Vec<Sample> {
        samples.into_values().filter(|s| in_range(s.timestamp)).collect()
    };
    let all = all.into_iter().map(|(labels, samples)| (labels, of_series(samples)));
    all.filter(|(_, samples)| !samples.is_empty()).collect()
}

pub(crate) const NAME: &str = "set/block";

pub(crate) fn options() -> Options {
    let mut options = Options::default();
    options.name = NAME.into();
    options.read_concurrency = NonZeroUsize::MIN;
    options
}

pub(crate) async fn convert_to(
    bucket: &Bucket,
    blocks: &[MemoryBlock],
    range: Option<TimeRange>,
    options: &Options,
) -> Result<Report, Error> {
    let mut opened = Vec::new();
    for block in blocks {
        opened.push(BlockReader::open(Arc::new(block.clone()))?);
    }
    convert(opened, range, bucket.clone(), options.clone(), Arc::new(Control::default())).await
}

/// Converts and returns the rows' samples.
pub(crate) fn converted(
    blocks: &[MemoryBlock],
    range: Option<TimeRange>,
    options: &Options,
) -> Result<(Series, Report), Error> {
    runtime().block_on(async {
        let bucket = memory_bucket();
        let report = convert_to(&bucket, blocks, range, options).await?;
        let rows = all_rows(&bucket, NAME, report.shards.len() as u32).await;
        Ok((samples_of_rows(&rows), report))
    })
}

/// Converts the blocks and holds the shards against the oracle.
pub(crate) fn check(blocks: &[MemoryBlock], range: Option<TimeRange>, options: &Options, what: &str) -> Report {
    let (found, report) = converted(blocks, range, options).unwrap_or_else(|e| panic!("{what}: {e}"));
    let expected = merged(blocks, range);
    assert_same(&found, &expected, false, what);
    assert_eq!(report.series(), expected.len() as u64, "{what}");
    assert_eq!(report.chunks.samples, expected.values().map(|s| s.len() as u64).sum::<u64>(), "{what}");
    report
}

/// All files of a bucket.
pub(crate) async fn files(bucket: &Bucket) -> BTreeMap<String, Bytes> {
    use futures::TryStreamExt;
    let listed: Vec<_> = bucket.list("").unwrap().try_collect().await.unwrap();
    let mut files = BTreeMap::new();
    for object in listed {
        let key = object.location.to_string();
        let bytes = bucket.get(&key, u64::MAX).await.unwrap();
        files.insert(key, bytes);
    }
    files
}
