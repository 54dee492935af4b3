//! Which shard sets a bucket holds, for those who read it once.
//!
//! A set is a directory `<name>/` with files `<n>.labels.parquet` and `<n>.chunks.parquet`. It is complete if a
//! [`Marker`] says so: then its name is the ULID of a block. One without a mark may be a conversion that is under way or was
//! cut short, or one of a part of a block.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use promparquet_objstore::Bucket;
use promparquet_shard::{Marker, Shard, ShardSet};

use crate::{
    error::{Detail, Error, Result},
    listing::{self, Directory},
};

/// Requests under way at a time.
const CONCURRENCY: usize = 16;

/// The shard sets of a bucket.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ShardSets {
    /// Those that a mark says are complete, by name.
    pub complete: Vec<ShardSet>,
    /// Names of those that have no mark, ascending.
    pub unmarked: Vec<String>,
}

/// Finds the shard sets at the top of `bucket`. Either copy of a mark will do; marks of deletion are passed over.
///
/// # Errors
/// If the bucket cannot be listed or a mark cannot be read; [`Unsupported`](crate::ErrorKind::Unsupported) if a mark is of a
/// later version of the layout.
pub async fn discover_shard_sets(bucket: &Bucket) -> Result<ShardSets> {
    let mut sets = ShardSets::default();
    let mut marked = Vec::new();
    for (name, directory) in listing::list(bucket, "").await?.directories {
        if let Some(key) = directory.mark_key(&name) {
            marked.push((name, key));
        } else if !directory.shard_files.is_empty() {
            sets.unmarked.push(name);
        }
    }
    // Boxed, because closures over borrows in `buffered` defeat the compiler's proof that the future is `Send`.
    let reads: Vec<_> = marked.into_iter().map(|(name, key)| Box::pin(read_mark(bucket, name, key))).collect();
    sets.complete = stream::iter(reads).buffered(CONCURRENCY).try_collect().await?;
    Ok(sets)
}

async fn read_mark(bucket: &Bucket, name: String, key: String) -> Result<ShardSet> {
    let shards = Marker::read_shards(bucket, &key).await?;
    Ok(ShardSet { name, shards })
}

/// The set `name`, whether it is marked or not.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) if there is none, and those of [`discover_shard_sets`].
pub async fn shard_set(bucket: &Bucket, name: &str) -> Result<ShardSet> {
    let found = listing::list(bucket, name).await?.directories.remove(name).unwrap_or_default();
    match (found.mark_key(name), &found) {
        (Some(key), _) => read_mark(bucket, name.to_owned(), key).await,
        (None, Directory { shard_files, .. }) if shard_files.is_empty() => {
            Err(Detail::NoShardSet { bucket: bucket.to_string(), name: name.to_owned() }.into())
        }
        _ => Ok(ShardSet { name: name.to_owned(), shards: None }),
    }
}

/// Opens all shards of the sets, several at the same time, in order. They can be queried as they are.
///
/// # Errors
/// The first of a shard that cannot be opened, which names it; [`NotFound`](crate::ErrorKind::NotFound) if one is missing.
pub async fn open_shard_sets(bucket: &Bucket, sets: &[ShardSet]) -> Result<Vec<Arc<Shard>>> {
    let counts: Vec<_> = sets.iter().map(|set| Box::pin(set.count(bucket))).collect();
    let counts: Vec<u32> = stream::iter(counts).buffered(CONCURRENCY).try_collect().await?;
    let shards = sets.iter().zip(counts).flat_map(|(set, count)| (0..count).map(|index| (&*set.name, index)));
    // One at a time is made of the iterator, however many shards a mark claims.
    let opened = stream::iter(shards).map(|(name, index)| {
        let bucket = bucket.clone();
        let name = name.to_owned();
        Box::pin(async move { Shard::open(&bucket, &name, index).await.map(Arc::new) })
    });
    opened.buffered(CONCURRENCY).try_collect().await.map_err(Error::from)
}

#[cfg(test)]
mod tests;
