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
    bucket.put(&format!("{A}/{}", Marker::FILE), mark(r#"{"version":2,"shards":3}"#)).await.unwrap();
    let all = Marker::DIRECTORY;
    // The mark of an early version, of which only the copy is there; and one whose set is gone.
    bucket.put(&format!("{all}/{B}-{}", Marker::FILE), mark(r#"{"version":1}"#)).await.unwrap();
    let gone = "01J00000000000000000000009";
    bucket.put(&format!("{all}/{gone}-{}", Marker::FILE), mark(r#"{"version":1}"#)).await.unwrap();
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

    bucket.put(&format!("{C}/{}", Marker::FILE), mark(r#"{"version":99,"shards":1}"#)).await.unwrap();
    let error = discover_shard_sets(&bucket).await.unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Unsupported);
    assert!(error.to_string().contains(C) && error.to_string().contains("version 99"), "{error}");
}
