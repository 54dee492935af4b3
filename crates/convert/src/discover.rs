//! Which TSDB blocks a bucket holds.

use std::sync::Arc;

use prometheus_model::{TimeRange, TimestampMs};
use prometheus_tsdb_block::{BlockFiles, BlockMeta, BlockReader, LocalBlock, MAX_META_BYTES, ReadOptions};
use promparquet_objstore::{BlockInBucket, Bucket, ErrorKind};
use tokio::runtime::Handle;
use ulid::Ulid;

use crate::error::{Error, InternalSnafu};

/// What Thanos and Cortex put into a block that is about to be deleted.
const DELETION_MARK: &str = "deletion-mark.json";
const META: &str = "meta.json";

/// Over an object store a request costs as much as half a megabyte does.
const REMOTE_READS: ReadOptions =
    ReadOptions { max_gap_bytes: 512 << 10, max_run_bytes: 8 << 20, estimated_bytes: 16 << 10 };

/// A block in a bucket.
#[derive(Clone, Debug)]
pub struct FoundBlock {
    /// Its directory.
    pub ulid: Ulid,
    /// Its `meta.json`.
    pub meta: BlockMeta,
}

/// The blocks of a bucket, by time, and what looked like a block but is none.
#[derive(Debug, Default)]
pub struct Discovery {
    /// Blocks by start, then by ULID.
    pub blocks: Vec<FoundBlock>,
    /// Directories named as blocks that cannot be converted, each with the reason.
    pub skipped: Vec<(Ulid, String)>,
    /// Blocks whose `meta.json` cannot be read: nothing should be called complete while there are any.
    pub failed: Vec<(Ulid, Error)>,
}

/// Finds the blocks at the top of `bucket`: directories named by a ULID with a `meta.json`. A Prometheus data directory
/// is such a bucket; its `wal` and the like are passed over.
///
/// # Errors
/// If the bucket cannot be listed, or a file cannot be looked at.
pub async fn discover(bucket: &Bucket) -> Result<Discovery, Error> {
    let mut found = Discovery::default();
    for directory in bucket.list_directory("").await?.directories {
        let Some(ulid) = Ulid::from_string(&directory).ok().filter(|ulid| ulid.to_string() == directory) else {
            continue;
        };
        if bucket.exists(&format!("{directory}/{DELETION_MARK}")).await? {
            found.skipped.push((ulid, "marked for deletion".to_owned()));
            continue;
        }
        let key = format!("{directory}/{META}");
        match bucket.get(&key, MAX_META_BYTES).await {
            Ok(json) => match BlockMeta::parse(&format!("{bucket}/{directory}"), &json) {
                Ok(meta) => match meta.downsample_resolution_ms().filter(|ms| *ms > 0) {
                    Some(ms) => {
                        found.skipped.push((ulid, format!("downsampled to {ms} ms; its raw block is converted")));
                    }
                    None => found.blocks.push(FoundBlock { ulid, meta }),
                },
                Err(error) => found.failed.push((ulid, error.into())),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => {
                found.skipped.push((ulid, format!("no {META}: an upload that is not complete, or no TSDB block")));
            }
            Err(error) => found.failed.push((ulid, error.into())),
        }
    }
    found.blocks.sort_by_key(|block| (block.meta.min_time, block.ulid));
    Ok(found)
}

/// Opens a block of a bucket: from its directory if the bucket is one, else by ranged reads.
///
/// # Errors
/// As [`BlockReader::open`].
pub async fn open_block(bucket: &Bucket, ulid: Ulid) -> Result<BlockReader, Error> {
    let directory = ulid.to_string();
    let (files, reads): (Arc<dyn BlockFiles>, _) = match bucket.local_path(&directory)? {
        Some(path) => (Arc::new(LocalBlock::open(path)?), ReadOptions::default()),
        None => (Arc::new(BlockInBucket::new(bucket, &directory, Handle::current())?), REMOTE_READS),
    };
    match tokio::task::spawn_blocking(move || BlockReader::open_with(files, reads)).await {
        Ok(block) => Ok(block?),
        Err(error) => Err(InternalSnafu { what: format!("opening {ulid}: {error}") }.build().into()),
    }
}

/// Groups blocks that are to become one: those with equal external labels whose time ranges overlap, directly or through
/// others. Each group is in the order given; blocks that overlap with none are groups of their own.
#[must_use]
pub fn merge_groups(blocks: Vec<FoundBlock>) -> Vec<Vec<FoundBlock>> {
    // Without a range for a block whose meta has none, which overlaps nothing.
    let mut groups: Vec<(Option<TimeRange>, Vec<FoundBlock>)> = Vec::new();
    let mut blocks = blocks;
    blocks.sort_by_key(|block| (block.meta.min_time, block.ulid));
    for block in blocks {
        let range = block.meta.time_range().ok();
        let overlap = |covered: Option<TimeRange>| covered.zip(range).and_then(|(a, b)| a.intersect(b)).is_some();
        let joins = groups.iter_mut().find(|(covered, group)| {
            overlap(*covered) && group.iter().all(|other| other.meta.external_labels().eq(block.meta.external_labels()))
        });
        match joins {
            Some((covered, group)) => {
                // Blocks come by start, so only the end can move.
                let end = covered.iter().chain(&range).map(|range| range.end()).max().unwrap_or(TimestampMs::MAX);
                *covered = covered.and_then(|covered| TimeRange::new(covered.start(), end).ok());
                group.push(block);
            }
            None => groups.push((range, vec![block])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// The name under which merged blocks are kept: the same for the same blocks, so that they are converted once. Its time
/// is that of the newest.
#[must_use]
pub fn merged_ulid(blocks: &[FoundBlock]) -> Ulid {
    if let [block] = blocks {
        return block.ulid;
    }
    let mut ulids: Vec<_> = blocks.iter().map(|block| block.ulid).collect();
    ulids.sort_unstable();
    let bytes: Vec<u8> = ulids.iter().flat_map(Ulid::to_bytes).collect();
    let hash = |seed| u128::from(xxhash_rust::xxh64::xxh64(&bytes, seed));
    let newest = ulids.last().map_or(0, Ulid::timestamp_ms);
    Ulid::from_parts(newest, hash(0) << 64 | hash(1))
}
