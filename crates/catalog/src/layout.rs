//! How shard sets lie in a bucket.

use prometheus_model::{Labels, TimeRange, TimestampMs};
use prometheus_tsdb_block::{BlockMeta, MAX_META_BYTES};
use promparquet_objstore::Bucket;
use promparquet_shard::{Marker, Shard, ShardSet};

use crate::{
    error::{Detail, Error, Result},
    listing::{self, Stamp, meta_key},
};

/// How shard sets lie in a bucket: where they are, what says that they are complete, what describes them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Layout {
    /// That of parquet-common and Cortex: `<ULID>/<n>.labels.parquet` and `<n>.chunks.parquet`, with marks.
    #[default]
    ParquetCommon,
}

/// A set of which the listing told.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) stamp: Stamp,
    pub(crate) bytes: u64,
    pub(crate) status: Status,
}

/// What the listing says of a set.
#[derive(Clone, Debug)]
pub(crate) enum Status {
    /// It is to be read.
    Complete { mark_key: String, has_meta: bool },
    /// Nothing says that it is complete.
    Unmarked,
    /// It is about to be deleted.
    Deleted,
}

/// What a set says of itself, other than in its shards.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    pub(crate) shards: u32,
    pub(crate) external_labels: Labels,
    /// When its samples are, if that is known: half-open.
    pub(crate) range: Option<TimeRange>,
}

impl Layout {
    /// Lists the bucket once. Sets that were marked for deletion before `deleted_before` are gone.
    pub(crate) async fn discover(self, bucket: &Bucket, deleted_before: TimestampMs) -> Result<Vec<Found>> {
        let Self::ParquetCommon = self;
        let directories = listing::list(bucket, "").await?;
        let sets = directories.into_iter().filter_map(|(name, directory)| {
            let mark_key = directory.mark_key(&name);
            if mark_key.is_none() && directory.shard_files.is_empty() {
                return None;
            }
            let status = match mark_key {
                _ if directory.deletion_marked.is_some_and(|marked| marked <= deleted_before) => Status::Deleted,
                Some(mark_key) => Status::Complete { mark_key, has_meta: directory.meta.is_some() },
                None => Status::Unmarked,
            };
            Some(Found { name, stamp: directory.stamp(), bytes: directory.bytes, status })
        });
        Ok(sets.collect())
    }

    /// Reads what describes a complete set.
    pub(crate) async fn describe(
        self,
        bucket: &Bucket,
        name: &str,
        mark_key: &str,
        has_meta: bool,
    ) -> Result<Description> {
        let Self::ParquetCommon = self;
        let shards = Marker::read_shards(bucket, mark_key).await?;
        let shards = ShardSet { name: name.to_owned(), shards }.count(bucket).await?;
        let mut description = Description { shards, external_labels: Labels::default(), range: None };
        if has_meta {
            let json = bucket.get(&meta_key(name), MAX_META_BYTES).await?;
            let meta = BlockMeta::parse(&format!("{bucket}/{name}"), &json)?;
            description.range = meta.time_range().ok();
            description.external_labels = Labels::from_pairs(meta.external_labels()).map_err(|source| {
                Error::from(Detail::ExternalLabels { bucket: bucket.to_string(), name: name.to_owned(), source })
            })?;
        }
        Ok(description)
    }

    /// Opens one shard of a set.
    pub(crate) async fn open(self, bucket: &Bucket, name: &str, index: u32) -> Result<Shard> {
        let Self::ParquetCommon = self;
        Ok(Shard::open(bucket, name, index).await?)
    }
}
