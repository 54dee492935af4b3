//! Which shard sets a bucket holds.
//!
//! A set is a directory `<name>/` with files `<n>.labels.parquet` and `<n>.chunks.parquet`. It is complete if a
//! [`Marker`] says so: then its name is the ULID of a block. One without a mark may be a conversion that is under way or was
//! cut short, or one of a part of a block.

use std::{collections::BTreeSet, sync::Arc};

use futures::{StreamExt, TryStreamExt, stream};
use promparquet_objstore::Bucket;
use promparquet_shard::Shard;
use ulid::Ulid;

use crate::{
    error::{Error, NoShardSetSnafu},
    marker::{self, Marker},
    shard_set::count_shards,
};

/// Requests under way at a time.
const CONCURRENCY: usize = 16;

/// A shard set of a bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShardSet {
    /// Its directory.
    pub name: String,
    /// How many shards it has, if the mark says it: old ones do not.
    pub shards: Option<u32>,
}

/// The shard sets of a bucket.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ShardSets {
    /// Those that a mark says are complete, by name.
    pub complete: Vec<ShardSet>,
    /// Names of those that have no mark, ascending.
    pub unmarked: Vec<String>,
}

/// What a directory holds.
enum Found {
    Nothing,
    Complete(ShardSet),
    Unmarked(String),
}

/// Finds the shard sets at the top of `bucket`. Either copy of a mark will do.
///
/// # Errors
/// If the bucket cannot be listed or a mark cannot be read; [`Unsupported`](crate::ErrorKind::Unsupported) if a mark is of a
/// later version of the layout.
pub async fn discover_shard_sets(bucket: &Bucket) -> Result<ShardSets, Error> {
    let names = bucket.list_directory("").await?.directories;
    let marks: BTreeSet<String> = if names.iter().any(|name| name == marker::ALL_MARKS) {
        let marks = bucket.list_directory(marker::ALL_MARKS).await?.objects;
        marks.into_iter().map(|object| object.location.into()).collect()
    } else {
        BTreeSet::new()
    };
    // Boxed, because closures over borrows in `buffered` defeat the compiler's proof that the future is `Send`.
    let looks: Vec<_> = names
        .into_iter()
        .filter(|name| name != marker::ALL_MARKS)
        .map(|name| Box::pin(look(bucket, name, &marks)))
        .collect();
    let mut looks = stream::iter(looks).buffered(CONCURRENCY);
    let mut sets = ShardSets::default();
    while let Some(found) = looks.try_next().await? {
        match found {
            Found::Nothing => {}
            Found::Complete(set) => sets.complete.push(set),
            Found::Unmarked(name) => sets.unmarked.push(name),
        }
    }
    Ok(sets)
}

/// Looks into a directory, given the names of all marks in [`marker::ALL_MARKS`].
async fn look(bucket: &Bucket, name: String, marks: &BTreeSet<String>) -> Result<Found, Error> {
    let files: BTreeSet<String> =
        bucket.list_directory(&name).await?.objects.into_iter().map(|object| object.location.into()).collect();
    let keys = Ulid::from_string(&name).ok().filter(|ulid| ulid.to_string() == name).map(marker::keys);
    if let Some([global, local]) = keys {
        let has_shards = files.iter().any(|key| is_shard_file(key));
        let key = if files.contains(&local) {
            Some(local)
        } else {
            // A copy may be left of a set that is gone.
            Some(global).filter(|key| has_shards && marks.contains(key))
        };
        if let Some(key) = key {
            let shards = Marker::shards_of_copy(bucket, &key).await?;
            return Ok(Found::Complete(ShardSet { name, shards }));
        }
    }
    Ok(if files.iter().any(|key| is_shard_file(key)) { Found::Unmarked(name) } else { Found::Nothing })
}

fn is_shard_file(key: &str) -> bool {
    key.ends_with(".labels.parquet") || key.ends_with(".chunks.parquet")
}

/// The set `name`, whether it is marked or not.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) if there is none, and those of [`discover_shard_sets`].
pub async fn shard_set(bucket: &Bucket, name: &str) -> Result<ShardSet, Error> {
    match look(bucket, name.to_owned(), &BTreeSet::new()).await? {
        Found::Complete(set) => Ok(set),
        Found::Unmarked(name) => Ok(ShardSet { name, shards: None }),
        Found::Nothing => Err(NoShardSetSnafu { bucket: bucket.to_string(), name }.build().into()),
    }
}

/// Opens all shards of the sets, several at the same time, in order. They can be queried as they are.
///
/// # Errors
/// The first of a shard that cannot be opened, which names it; [`NotFound`](crate::ErrorKind::NotFound) if one is missing.
pub async fn open_shard_sets(bucket: &Bucket, sets: &[ShardSet]) -> Result<Vec<Arc<Shard>>, Error> {
    let counts: Vec<_> = sets.iter().map(|set| Box::pin(count_shards(bucket, &set.name, set.shards))).collect();
    let counts: Vec<u32> = stream::iter(counts).buffered(CONCURRENCY).try_collect().await?;
    let shards = sets.iter().zip(counts).flat_map(|(set, count)| (0..count).map(|index| (&*set.name, index)));
    // One at a time is made of the iterator, however many shards a mark claims.
    let opened = stream::iter(shards).map(|(name, index)| {
        let bucket = bucket.clone();
        let name = name.to_owned();
        Box::pin(async move { Shard::open(&bucket, &name, index).await.map(Arc::new) })
    });
    Ok(opened.buffered(CONCURRENCY).try_collect().await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use promparquet_objstore::{BucketConfig, OpenFor};

    const A: &str = "01J00000000000000000000000";
    const B: &str = "01J00000000000000000000001";
    const C: &str = "01J00000000000000000000002";

    #[tokio::test]
    async fn finds_complete_sets_and_names_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let bucket = BucketConfig::filesystem(dir.path()).open(OpenFor::Writing).unwrap();
        assert_eq!(discover_shard_sets(&bucket).await.unwrap(), ShardSets::default());
        for key in [
            format!("{A}/0.labels.parquet"),
            format!("{B}/0.labels.parquet"),
            format!("{C}/0.labels.parquet"),
            "mine/0.labels.parquet".to_owned(),
            "other/file".to_owned(),
        ] {
            bucket.put(&key, "".into()).await.unwrap();
        }
        let mark = |text: &'static str| bytes::Bytes::from_static(text.as_bytes());
        bucket.put(&format!("{A}/{}", marker::FILE), mark(r#"{"version":2,"shards":3}"#)).await.unwrap();
        let all = marker::ALL_MARKS;
        // The mark of an early version, of which only the copy is there; and one whose set is gone.
        bucket.put(&format!("{all}/{B}-{}", marker::FILE), mark(r#"{"version":1}"#)).await.unwrap();
        let gone = "01J00000000000000000000009";
        bucket.put(&format!("{all}/{gone}-{}", marker::FILE), mark(r#"{"version":1}"#)).await.unwrap();
        let set = |name: &str, shards| ShardSet { name: name.to_owned(), shards };
        let found = discover_shard_sets(&bucket).await.unwrap();
        assert_eq!(found.complete, [set(A, Some(3)), set(B, None)]);
        assert_eq!(found.unmarked, [C, "mine"]);
        assert_eq!(shard_set(&bucket, A).await.unwrap(), set(A, Some(3)));
        assert_eq!(shard_set(&bucket, "mine").await.unwrap(), set("mine", None));
        assert_eq!(shard_set(&bucket, "other").await.unwrap_err().kind(), crate::ErrorKind::NotFound);
        // No Parquet file, whose name the error says.
        let error = open_shard_sets(&bucket, &[set(A, Some(3))]).await.unwrap_err();
        assert!(error.to_string().contains(&format!("{A}/0.")), "{error}");

        bucket.put(&format!("{C}/{}", marker::FILE), mark(r#"{"version":99,"shards":1}"#)).await.unwrap();
        let error = discover_shard_sets(&bucket).await.unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Unsupported);
        assert!(error.to_string().contains(C) && error.to_string().contains("version 99"), "{error}");
    }
}
