//! One listing of a bucket, by directories.
//!
//! ```text
//! <name>/<n>.labels.parquet, <name>/<n>.chunks.parquet     files of shards
//! <ULID>/parquet-converter-mark.json                       they are complete
//! parquet-markers/<ULID>-parquet-converter-mark.json       a copy of the mark
//! <ULID>/meta.json, index, chunks/…                        the TSDB block that they stand for
//! <ULID>/deletion-mark.json                                the block is about to be deleted
//! markers/<ULID>-deletion-mark.json                        a copy of that mark
//!
//! <hash>/stream.pb                                         external labels of a stream of days
//! [<hash>/]<YYYY-MM-DD>/<n>.labels.parquet, …              files of a day's shards; no hash is 0
//! [<hash>/]<YYYY-MM-DD>/meta.pb                            they are complete
//! [<hash>/]<YYYY-MM-DD>/deletion-marker.pb                 the day is about to be deleted
//! ```
//!
//! Other keys are passed over.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, Hasher},
};

use futures::TryStreamExt;
use prometheus_model::TimestampMs;
use promparquet_objstore::Bucket;
use promparquet_schema::day;
use promparquet_shard::{Marker, ShardSet};
use rustc_hash::FxBuildHasher;
use ulid::Ulid;

use crate::error::Result;

const META: &str = "meta.json";
const INDEX: &str = "index";
const CHUNKS: &str = "chunks/";
const DELETION_MARK: &str = "deletion-mark.json";
const OTHER_MARKS: &str = "markers";

/// What tells an object from one that was there before: a hash of its size, time of change and entity tag.
pub(crate) type Stamp = u64;

/// What is known of a directory.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Directory {
    /// Files of shards, each with its stamp, by key.
    pub(crate) shard_files: BTreeMap<String, Stamp>,
    /// Bytes of these files.
    pub(crate) bytes: u64,
    /// Bytes of index and chunks of the TSDB block.
    pub(crate) block_bytes: u64,
    /// Mark of conversion and its copy.
    pub(crate) mark: Option<Stamp>,
    pub(crate) mark_copy: Option<Stamp>,
    pub(crate) meta: Option<Stamp>,
    /// When the earlier of its deletion marks was written.
    pub(crate) deletion_marked: Option<TimestampMs>,
}

impl Directory {
    /// The key of the mark that counts. A copy may be left of a set that is gone.
    pub(crate) fn mark_key(&self, name: &str) -> Option<String> {
        let [copy, own] = Marker::keys(block_of(name)?);
        if self.mark.is_some() {
            return Some(own);
        }
        self.mark_copy.filter(|_| !self.shard_files.is_empty()).map(|_| copy)
    }

    fn add(&mut self, key: &str, stamp: Stamp, size: u64) {
        self.bytes = self.bytes.saturating_add(size);
        self.shard_files.insert(key.to_owned(), stamp);
    }

    /// Changes whenever any of what is read of the directory does.
    pub(crate) fn stamp(&self) -> Stamp {
        let own = [self.mark.or(self.mark_copy), self.meta].map(Option::unwrap_or_default);
        FxBuildHasher.hash_one((own, self.shard_files.iter().collect::<Vec<_>>()))
    }
}

/// The ULID that is written as `name`.
pub(crate) fn block_of(name: &str) -> Option<Ulid> {
    Ulid::from_string(name).ok().filter(|ulid| ulid.to_string() == name)
}

/// What a listing found.
#[derive(Default, Debug)]
pub(crate) struct Listing {
    /// Directories at the top, by name: blocks, and whatever else holds files of shards.
    pub(crate) directories: BTreeMap<String, Directory>,
    /// Key and stamp of each stream's description, by hash.
    pub(crate) streams: BTreeMap<u64, (String, Stamp)>,
    /// Directories of each day by their names, by hash and date. The stream 0 may have two of a day.
    pub(crate) days: BTreeMap<(u64, String), BTreeMap<String, Directory>>,
}

/// The day that a file belongs to: hash, date and directory.
fn day_of<'a>(key: &'a str, file: &str) -> Option<(u64, &'a str, &'a str)> {
    let directory = key.strip_suffix(file)?.strip_suffix('/')?;
    let (hash, date) = match directory.split_once('/') {
        Some((hash, date)) => (day::stream_of_directory(hash)?, date),
        None => (0, directory),
    };
    day::start_of_directory(date).map(|_| (hash, date, directory))
}

impl Listing {
    /// Adds everything under `prefix`, or the whole bucket with the empty string. No two prefixes have objects in common.
    pub(crate) async fn add(&mut self, bucket: &Bucket, prefix: &str) -> Result<()> {
        let Self { directories, streams, days } = self;
        let mut objects = bucket.list(prefix)?;
        while let Some(object) = objects.try_next().await? {
            let key: &str = object.location.as_ref();
            let Some((_, file)) = key.rsplit_once('/') else { continue };
            let mut hasher = FxBuildHasher.build_hasher();
            hasher.write_u64(object.size);
            hasher.write_i64(object.last_modified.timestamp_micros());
            hasher.write(object.e_tag.as_deref().unwrap_or_default().as_bytes());
            let stamp = hasher.finish();
            let deletion = |marked: &mut Option<TimestampMs>| {
                let time = object.last_modified.timestamp_millis();
                *marked = Some(marked.map_or(time, |earlier| earlier.min(time)));
            };
            if let Some((hash, date, directory)) = day_of(key, file) {
                let found = days.entry((hash, date.to_owned())).or_default().entry(directory.to_owned()).or_default();
                match file {
                    day::META_FILE => found.meta = Some(stamp),
                    day::DELETION_MARK_FILE => deletion(&mut found.deletion_marked),
                    _ if ShardSet::is_shard_file(file) => found.add(key, stamp, object.size),
                    _ => {}
                }
            }
            let Some((directory, file)) = key.split_once('/') else { continue };
            if file == INDEX || file.starts_with(CHUNKS) {
                if block_of(directory).is_some() {
                    let found = directories.entry(directory.to_owned()).or_default();
                    found.block_bytes = found.block_bytes.saturating_add(object.size);
                }
                continue;
            }
            if file.contains('/') {
                continue;
            }
            if let Some(name) = copied(file, Marker::FILE).filter(|_| directory == Marker::DIRECTORY) {
                directories.entry(name).or_default().mark_copy = Some(stamp);
            } else if let Some(name) = copied(file, DELETION_MARK).filter(|_| directory == OTHER_MARKS) {
                deletion(&mut directories.entry(name).or_default().deletion_marked);
            } else if ShardSet::is_shard_file(file) {
                directories.entry(directory.to_owned()).or_default().add(key, stamp, object.size);
            } else if let Some(hash) = day::stream_of_directory(directory).filter(|_| file == day::STREAM_FILE) {
                streams.insert(hash, (key.to_owned(), stamp));
            } else if block_of(directory).is_some() {
                let found = directories.entry(directory.to_owned()).or_default();
                match file {
                    Marker::FILE => found.mark = Some(stamp),
                    META => found.meta = Some(stamp),
                    DELETION_MARK => deletion(&mut found.deletion_marked),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// The block that `<ULID>-<mark>` is a copy of the mark of.
fn copied(file: &str, mark: &str) -> Option<String> {
    let name = file.strip_suffix(mark)?.strip_suffix('-')?;
    block_of(name).map(|_| name.to_owned())
}

/// Key of the block's `meta.json`.
pub(crate) fn meta_key(name: &str) -> String {
    format!("{name}/{META}")
}
