//! How shard sets lie in a bucket: where they are, what says that they are complete, what describes them.
//!
//! There are two ways, and a bucket may hold sets of both: blocks, as parquet-common and Cortex lay them out, with
//! [marks](Marker); and [days](day) of streams, as thanos-parquet-gateway does.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::BuildHasher as _,
};

use prometheus_model::{Labels, TimeRange, TimestampMs};
use prometheus_tsdb_block::{BlockMeta, MAX_META_BYTES};
use promparquet_objstore::Bucket;
use promparquet_schema::{
    Layout,
    day::{self, DAY_MS, DayMeta},
};
use promparquet_shard::{Marker, ShardSet};
use rustc_hash::FxBuildHasher;

use crate::{
    error::{Detail, Error, Result},
    listing::{Directory, Listing, Stamp, meta_key},
};

/// A set of which the listing told.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) stamp: Stamp,
    pub(crate) bytes: u64,
    /// First and last millisecond, if the name says it.
    pub(crate) times: Option<(TimestampMs, TimestampMs)>,
    pub(crate) status: Status,
}

/// What the listing says of a set.
#[derive(Clone, Debug)]
pub(crate) enum Status {
    /// It is to be read.
    Complete(Source),
    /// Nothing says that it is complete.
    Unmarked,
    /// A TSDB block without shards.
    Unconverted,
    /// It is about to be deleted.
    Deleted,
}

/// Where a set lies, and what describes it.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Without a mark, its files are counted.
    Block {
        mark_key: Option<String>,
        has_meta: bool,
    },
    Day {
        hash: u64,
        start: TimestampMs,
        directory: String,
        meta_key: String,
        stream_key: Option<String>,
    },
}

/// What a set says of itself, other than in its shards.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    /// Where its shards lie.
    pub(crate) directory: String,
    pub(crate) layout: Layout,
    pub(crate) shards: u32,
    pub(crate) external_labels: Labels,
    /// When its samples are, if that is known: half-open.
    pub(crate) range: Option<TimeRange>,
}

/// Which sets are looked for.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// All.
    All,
    /// Those that are called so, and all days of streams that are. The former are read without a mark that they are complete, and
    /// with one that they are about to be deleted.
    Named(BTreeSet<String>),
}

impl Wanted {
    /// These, or all if there are none.
    pub(crate) fn new(names: &[String]) -> Self {
        if names.is_empty() { Self::All } else { Self::Named(names.iter().cloned().collect()) }
    }

    /// Directories that have to be listed.
    fn prefixes(&self) -> BTreeSet<&str> {
        let Self::Named(names) = self else { return BTreeSet::from([""]) };
        let mut prefixes = BTreeSet::new();
        for name in names {
            let (directory, rest) =
                name.split_once('/').map_or((&**name, None), |(directory, rest)| (directory, Some(rest)));
            match (day::stream_of_directory(directory), rest) {
                // Its days may lie at the top.
                (Some(0), None) => return BTreeSet::from([""]),
                (Some(0), Some(date)) => prefixes.extend([directory, date]),
                (Some(_), _) => prefixes.extend([directory]),
                (None, _) => prefixes.extend([&**name]),
            }
        }
        prefixes
    }

    /// Whether `set` is called so itself.
    pub(crate) fn names(&self, set: &str) -> bool {
        matches!(self, Self::Named(names) if names.contains(set))
    }

    fn has(&self, set: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => {
                names.contains(set) || set.split_once('/').is_some_and(|(stream, _)| names.contains(stream))
            }
        }
    }
}

/// Lists what is wanted of the bucket once. Sets that were marked for deletion before `deleted_before` are gone.
pub(crate) async fn discover(bucket: &Bucket, wanted: &Wanted, deleted_before: TimestampMs) -> Result<Vec<Found>> {
    let mut listing = Listing::default();
    for prefix in wanted.prefixes() {
        listing.add(bucket, prefix).await?;
    }
    let is_deleted = |name: &str, marked: Option<TimestampMs>| {
        !wanted.names(name) && marked.is_some_and(|marked| marked <= deleted_before)
    };
    let blocks = listing.directories.into_iter().filter_map(|(name, directory)| {
        let mark_key = directory.mark_key(&name);
        let is_day = day::start_of_directory(&name).is_some();
        let has_meta = directory.meta.is_some();
        if is_day {
            return None;
        }
        if mark_key.is_none() && directory.shard_files.is_empty() {
            // What is about to be deleted need not be converted.
            let is_block = has_meta && directory.block_bytes > 0 && directory.deletion_marked.is_none();
            let (stamp, bytes) = (directory.stamp(), directory.block_bytes);
            return is_block.then_some(Found { name, stamp, bytes, times: None, status: Status::Unconverted });
        }
        let status = if is_deleted(&name, directory.deletion_marked) {
            Status::Deleted
        } else if mark_key.is_some() || wanted.names(&name) {
            Status::Complete(Source::Block { mark_key, has_meta })
        } else {
            Status::Unmarked
        };
        Some(Found { name, stamp: directory.stamp(), bytes: directory.bytes, times: None, status })
    });
    let streams = &listing.streams;
    let days = listing.days.iter().filter_map(|((hash, date), directories)| {
        let start = day::start_of_directory(date)?;
        let deleted = directories.values().filter_map(|directory| directory.deletion_marked).min();
        let stream = streams.get(hash);
        let name = format!("{hash}/{date}");
        let status = match source_of_day(*hash, start, directories, stream.map(|(key, _)| key.clone())) {
            _ if is_deleted(&name, deleted) => Status::Deleted,
            status => status,
        };
        let stamps: Vec<_> = directories.iter().map(|(name, directory)| (name, directory.stamp())).collect();
        Some(Found {
            name,
            stamp: FxBuildHasher.hash_one((stream, stamps)),
            bytes: directories.values().map(|directory| directory.bytes).sum(),
            times: Some((start, start.saturating_add(DAY_MS))),
            status,
        })
    });
    let mut found: Vec<_> = blocks.chain(days).filter(|found| wanted.has(&found.name)).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// What of a day's directories is read: there are two at most, and only of the stream 0.
fn source_of_day(
    hash: u64,
    start: TimestampMs,
    directories: &BTreeMap<String, Directory>,
    stream_key: Option<String>,
) -> Status {
    let is_bare = |name: &str| !name.contains('/');
    // Without the hash, which is where descriptions of the stream 0 are written, and shards no longer are.
    let meta =
        directories.iter().filter(|(_, directory)| directory.meta.is_some()).max_by_key(|(name, _)| is_bare(name));
    let files = directories.iter().filter(|(_, directory)| !directory.shard_files.is_empty());
    let files = files.min_by_key(|(name, _)| is_bare(name));
    match (meta, files) {
        // Streams are described after the first of their days.
        _ if hash != 0 && stream_key.is_none() => Status::Unmarked,
        (None, _) => Status::Unmarked,
        // thanos-parquet-gateway leaves this one behind when it deletes a day.
        (Some((name, _)), None) if is_bare(name) => Status::Deleted,
        (Some((name, _)), files) => {
            let directory = files.map_or(name, |(name, _)| name).clone();
            let meta_key = format!("{name}/{}", day::META_FILE);
            Status::Complete(Source::Day { hash, start, directory, meta_key, stream_key })
        }
    }
}

impl Source {
    /// Reads what describes the set `name`.
    pub(crate) async fn describe(&self, bucket: &Bucket, name: &str) -> Result<Description> {
        match self {
            Self::Block { mark_key, has_meta } => describe_block(bucket, name, mark_key.as_deref(), *has_meta).await,
            Self::Day { hash, start, directory, meta_key, stream_key } => {
                let decoded =
                    |key: &str, source| Detail::Day { bucket: bucket.to_string(), key: key.to_owned(), source };
                let bytes = bucket.get(meta_key, day::MAX_META_BYTES).await?;
                let meta = DayMeta::decode(&bytes, *start).map_err(|e| decoded(meta_key, e))?;
                let external_labels = match stream_key {
                    Some(key) => {
                        let bytes = bucket.get(key, day::MAX_STREAM_BYTES).await?;
                        day::external_labels(&bytes, *hash).map_err(|e| decoded(key, e))?
                    }
                    None => Labels::default(),
                };
                Ok(Description {
                    directory: directory.clone(),
                    layout: Layout::Day(meta.day),
                    shards: meta.shards,
                    external_labels,
                    range: TimeRange::new(meta.day.start(), meta.day.last().saturating_add(1)).ok(),
                })
            }
        }
    }
}

/// Reads what a TSDB block says of itself.
pub(crate) async fn block_meta(bucket: &Bucket, name: &str) -> Result<BlockMeta> {
    let json = bucket.get(&meta_key(name), MAX_META_BYTES).await?;
    Ok(BlockMeta::parse(&format!("{bucket}/{name}"), &json)?)
}

async fn describe_block(bucket: &Bucket, name: &str, mark_key: Option<&str>, has_meta: bool) -> Result<Description> {
    let shards = match mark_key {
        Some(key) => Marker::read_shards(bucket, key).await?,
        None => None,
    };
    let shards = ShardSet { name: name.to_owned(), shards }.count(bucket).await?;
    let (directory, layout) = (name.to_owned(), Layout::Block);
    let mut description = Description { directory, layout, shards, external_labels: Labels::default(), range: None };
    if has_meta {
        let meta = block_meta(bucket, name).await?;
        description.range = meta.time_range().ok();
        description.external_labels = Labels::from_pairs(meta.external_labels()).map_err(|source| {
            Error::from(Detail::ExternalLabels { bucket: bucket.to_string(), name: name.to_owned(), source })
        })?;
    }
    Ok(description)
}
