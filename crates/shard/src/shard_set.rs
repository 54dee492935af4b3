//! Shards that lie in one directory, numbered from 0: what a block, or blocks merged, became.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use promparquet_objstore::Bucket;
use promparquet_schema::{chunks_file, labels_file};

use crate::{
    error::{Detail, Result},
    shard::Shard,
};

/// Shards opened at a time.
const OPEN_CONCURRENCY: usize = 8;

/// A shard set of a bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShardSet {
    /// Its directory.
    pub name: String,
    /// How many shards it has, if that is known: old marks do not say it.
    pub shards: Option<u32>,
}

impl ShardSet {
    /// How many shards there are. If that is not known, the bucket is asked; then none may be missing before the last.
    ///
    /// # Errors
    /// Those of the bucket; [`NotFound`](crate::ErrorKind::NotFound) if a file is missing.
    pub async fn count(&self, bucket: &Bucket) -> Result<u32> {
        match self.shards {
            Some(count) => Ok(count),
            None => count(bucket, &self.name).await,
        }
    }

    /// Opens all its shards, several at the same time, in order.
    ///
    /// # Errors
    /// Those of [`count`](Self::count) and [`Shard::open`].
    pub async fn open(&self, bucket: &Bucket) -> Result<Vec<Shard>> {
        let count = self.count(bucket).await?;
        // One at a time is made of the iterator, however many shards a mark claims. Boxed, because closures over borrows in
        // `buffered` defeat the compiler's proof that the future is `Send`.
        let opened = stream::iter(0..count).map(|index| {
            let (bucket, name) = (bucket.clone(), self.name.clone());
            Box::pin(async move { Shard::open(&bucket, &name, index).await })
        });
        opened.buffered(OPEN_CONCURRENCY).try_collect().await
    }

    /// Whether `key` names a file of a shard.
    #[must_use]
    pub fn is_shard_file(key: &str) -> bool {
        key.ends_with(".labels.parquet") || key.ends_with(".chunks.parquet")
    }
}

async fn count(bucket: &Bucket, name: &str) -> Result<u32> {
    let found: BTreeSet<String> =
        bucket.list_directory(name).await?.objects.into_iter().map(|o| o.location.into()).collect();
    let files = found.iter().filter(|key| ShardSet::is_shard_file(key)).count();
    // Two files each, numbered from 0; of one file without the other, opening will complain.
    let count = u32::try_from(files.div_ceil(2)).unwrap_or(u32::MAX);
    for index in 0..count {
        for key in [labels_file(name, index), chunks_file(name, index)] {
            if !found.contains(&key) {
                return Err(Detail::MissingShard { bucket: bucket.to_string(), key, files }.into());
            }
        }
    }
    Ok(count)
}
