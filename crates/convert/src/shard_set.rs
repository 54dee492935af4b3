//! Opens the shards of a set.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use promparquet_objstore::Bucket;
use promparquet_schema::{chunks_file, labels_file};
use promparquet_shard::Shard;

use crate::error::{Error, MissingShardSnafu};

/// Shards opened at a time.
const OPEN_CONCURRENCY: usize = 8;

/// Opens the first `shards` shards of the set `name`, or all that the bucket has. Of those found, none may be missing
/// before the last.
pub(crate) async fn open_all(bucket: &Bucket, name: &str, shards: Option<u32>) -> Result<Vec<Shard>, Error> {
    let count = count_shards(bucket, name, shards).await?;
    // Boxed, because closures over borrows in `buffered` defeat the compiler's proof that the future is `Send`.
    let opened: Vec<_> = (0..count).map(|index| Box::pin(Shard::open(bucket, name, index))).collect();
    Ok(stream::iter(opened).buffered(OPEN_CONCURRENCY).try_collect().await?)
}

/// How many shards there are: `shards` if that is known.
pub(crate) async fn count_shards(bucket: &Bucket, name: &str, shards: Option<u32>) -> Result<u32, Error> {
    match shards {
        Some(count) => Ok(count),
        None => count(bucket, name).await,
    }
}

async fn count(bucket: &Bucket, name: &str) -> Result<u32, Error> {
    let found: BTreeSet<String> =
        bucket.list_directory(name).await?.objects.into_iter().map(|o| o.location.into()).collect();
    let is_shard_file = |key: &&String| key.ends_with(".labels.parquet") || key.ends_with(".chunks.parquet");
    let files = found.iter().filter(is_shard_file).count();
    // Two files each, numbered from 0; of one file without the other, opening will complain.
    let count = u32::try_from(files.div_ceil(2)).unwrap_or(u32::MAX);
    for index in 0..count {
        for key in [labels_file(name, index), chunks_file(name, index)] {
            if !found.contains(&key) {
                return Err(MissingShardSnafu { bucket: bucket.to_string(), key, files }.build().into());
            }
        }
    }
    Ok(count)
}
