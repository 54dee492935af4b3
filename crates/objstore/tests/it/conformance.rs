//! What every store must do, whoever wrote it.

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::memory::InMemory;
use promparquet_objstore::{
    Bucket, BucketConfig, Cache, CacheConfig, DiskCacheConfig, ErrorKind, OpenFor, process_environment,
};

use crate::{assert_fails, noise, s3_server::S3Server};

/// Runs all checks below a prefix of its own, which is empty again afterwards.
async fn conformance(bucket: &Bucket) {
    let nonce = format!("conformance-{}-{:p}", std::process::id(), bucket);
    let bucket = bucket.child(&nonce).unwrap();
    small_objects(&bucket).await;
    ranges(&bucket).await;
    unusual_keys(&bucket).await;
    listings(&bucket).await;
    uploads(&bucket).await;
    let left: Vec<_> = bucket.list("").unwrap().try_collect().await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

async fn small_objects(bucket: &Bucket) {
    let name = bucket.to_string();
    assert!(!bucket.exists("a/b").await.unwrap());
    for result in [bucket.get("a/b", 100).await.map(drop), bucket.head("a/b").await.map(drop)] {
        assert_fails(result, ErrorKind::NotFound, &[&name, "a/b"]);
    }
    assert_fails(bucket.get_range("a/b", 0..1).await, ErrorKind::NotFound, &[&name, "a/b"]);
    bucket.delete("a/b").await.unwrap();

    bucket.put("a/b", "first".into()).await.unwrap();
    bucket.put("a/b", "second".into()).await.unwrap();
    assert_eq!(bucket.get("a/b", 6).await.unwrap(), "second");
    assert_eq!(bucket.head("a/b").await.unwrap().size, 6);
    assert_eq!(bucket.head("a/b").await.unwrap().location.as_ref(), "a/b");
    assert!(bucket.exists("a/b").await.unwrap());
    assert_fails(bucket.get("a/b", 5).await, ErrorKind::LimitExceeded, &[&name, "6 bytes", "at most 5"]);

    bucket.put("empty", "".into()).await.unwrap();
    assert_eq!(bucket.get("empty", 0).await.unwrap(), "");
    assert_fails(bucket.get_range("empty", 0..1).await, ErrorKind::Corrupt, &["empty", "0 bytes"]);
    for key in ["a/b", "empty"] {
        bucket.delete(key).await.unwrap();
        assert!(!bucket.exists(key).await.unwrap());
        bucket.delete(key).await.unwrap();
    }
    for key in ["", "/", "/a", "a/", "a//b", ".", "a/../b", "a\nb", "a\\b"] {
        assert_fails(bucket.get(key, 1).await, ErrorKind::Invalid, &["key"]);
        assert_fails(bucket.put(key, "".into()).await, ErrorKind::Invalid, &["key"]);
    }
}

async fn ranges(bucket: &Bucket) {
    let bytes = noise(300_000);
    bucket.put("ranged", bytes.clone()).await.unwrap();
    assert_eq!(bucket.get("ranged", u64::MAX).await.unwrap(), bytes);
    let ranges = [0..1, 299_999..300_000, 5..5, 100_000..300_000, 7..70_000, 7..70_000, 0..300_000, 900_000..900_000];
    let read = bucket.get_ranges("ranged", &ranges).await.unwrap();
    for (range, read) in ranges.iter().zip(read) {
        let expected = match range.is_empty() {
            true => &[],
            false => &bytes[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()],
        };
        assert!(read == expected, "{range:?}");
    }
    assert_eq!(bucket.get_ranges("ranged", &[]).await.unwrap(), [""; 0]);
    for range in [299_999..300_001, 300_000..300_001, 400_000..500_000, 0..u64::MAX] {
        let found = format!("[{}, {})", range.start, range.end);
        let result = bucket.get_ranges("ranged", &[0..1, range]).await;
        assert_fails(result, ErrorKind::Corrupt, &["ranged", &found, "300000 bytes"]);
    }
    #[expect(clippy::reversed_empty_ranges, reason = "the point of the test")]
    let reversed = 2..1;
    assert_fails(bucket.get_range("ranged", reversed).await, ErrorKind::Invalid, &["ranged"]);
    bucket.delete("ranged").await.unwrap();
}

async fn unusual_keys(bucket: &Bucket) {
    let mut keys = vec![
        "plain/01J0000000000000000000000A/chunks/000001",
        "spaces in it/a b",
        "percent/100%",
        "percent/a%20b",
        "percent/a%2Fb",
        "percent/%E2%82%AC",
        "unicode/größe €/日本",
        "marks/a+b=c,d;e&f@g:h$i!j'k(l)m*n",
        "marks/~tilde^caret`grave|bar",
        "marks/question?x=1",
        "marks/hash#y",
        "marks/[square]{curly}<angle>",
        "marks/\"quoted\"",
        "dots/.hidden",
        "dots/..x",
        "dots/a.b.",
    ];
    for key in &keys {
        bucket.put(key, key.to_string().into()).await.unwrap();
    }
    for key in &keys {
        assert_eq!(bucket.get(key, 1000).await.unwrap(), key.as_bytes(), "{key}");
        assert_eq!(bucket.get_range(key, 0..2).await.unwrap(), key.as_bytes()[..2], "{key}");
        let (directory, _) = key.rsplit_once('/').unwrap();
        let listing = bucket.list_directory(directory).await.unwrap();
        assert!(listing.objects.iter().any(|meta| meta.location.as_ref() == *key), "{key}: {listing:?}");
    }
    let listed: Vec<_> = bucket.list("").unwrap().try_collect().await.unwrap();
    let mut listed: Vec<_> = listed.iter().map(|meta| meta.location.as_ref()).collect();
    listed.sort_unstable();
    keys.sort_unstable();
    assert_eq!(listed, keys);
    for key in keys {
        bucket.delete(key).await.unwrap();
        assert!(!bucket.exists(key).await.unwrap(), "{key}");
    }
}

async fn listings(bucket: &Bucket) {
    let keys = ["01A/index", "01A/meta.json", "01A/chunks/000001", "01B/meta.json", "01AA/meta.json", "top.json"];
    for key in keys {
        bucket.put(key, "x".into()).await.unwrap();
    }
    let level = |directory: &'static str| async move {
        let listing = bucket.list_directory(directory).await.unwrap();
        let objects: Vec<_> = listing.objects.iter().map(|meta| meta.location.to_string()).collect();
        (listing.directories, objects)
    };
    let strings = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    assert_eq!(level("").await, (strings(&["01A", "01AA", "01B"]), strings(&["top.json"])));
    assert_eq!(level("01A").await, (strings(&["01A/chunks"]), strings(&["01A/index", "01A/meta.json"])));
    assert_eq!(level("01A/chunks").await, (strings(&[]), strings(&["01A/chunks/000001"])));
    assert_eq!(level("01").await, (strings(&[]), strings(&[])), "prefixes end at a slash");
    assert_eq!(level("nowhere").await, (strings(&[]), strings(&[])));
    let child = bucket.child("01A").unwrap();
    let mut listed: Vec<_> = child.list("").unwrap().try_collect().await.unwrap();
    listed.sort_unstable_by(|a, b| a.location.cmp(&b.location));
    let listed: Vec<_> = listed.iter().map(|meta| (meta.location.as_ref(), meta.size)).collect();
    assert_eq!(listed, [("chunks/000001", 1), ("index", 1), ("meta.json", 1)]);
    for key in keys {
        bucket.delete(key).await.unwrap();
    }
}

async fn uploads(bucket: &Bucket) {
    const PART: usize = 5 << 20;
    let bucket = bucket.clone().with_part_size(PART);
    // None, less than, exactly and just above one part, and several.
    for length in [0, 1, PART, PART + 1, 2 * PART, 3 * PART + 12_345] {
        let bytes = noise(length);
        let mut upload = bucket.upload("up/loaded").unwrap();
        for (i, piece) in bytes.chunks(777_777).enumerate() {
            if i == 3 {
                // In crumbs, which are copied.
                for crumb in piece.chunks(10_000) {
                    upload.write(bytes::Bytes::copy_from_slice(crumb)).await.unwrap();
                }
            } else {
                upload.write(bytes::Bytes::copy_from_slice(piece)).await.unwrap();
            }
            assert!(!bucket.exists("up/loaded").await.unwrap(), "visible before it is finished");
        }
        upload.finish().await.unwrap();
        assert!(bucket.get("up/loaded", u64::MAX).await.unwrap() == bytes, "{length}");
        bucket.delete("up/loaded").await.unwrap();
    }
    bucket.put("up/kept", "old".into()).await.unwrap();
    let mut upload = bucket.upload("up/kept").unwrap();
    upload.write(noise(2 * PART + 1)).await.unwrap();
    upload.abort().await.unwrap();
    assert_eq!(bucket.get("up/kept", 10).await.unwrap(), "old");
    let mut upload = bucket.upload("up/kept").unwrap();
    upload.write(noise(PART + 1)).await.unwrap();
    upload.finish().await.unwrap();
    assert_eq!(bucket.head("up/kept").await.unwrap().size, PART as u64 + 1);
    bucket.delete("up/kept").await.unwrap();
}

/// Left out of the conformance: the S3 server in this process answers it with an internal error.
async fn directories_are_no_objects(bucket: &Bucket) {
    bucket.put("a/b", "x".into()).await.unwrap();
    assert!(!bucket.exists("a").await.unwrap());
    assert_fails(bucket.get("a", 1).await, ErrorKind::NotFound, &["a"]);
    bucket.delete("a/b").await.unwrap();
}

#[tokio::test]
async fn in_memory() {
    let bucket = Bucket::new(Arc::new(InMemory::new()), "memory://");
    conformance(&bucket).await;
    directories_are_no_objects(&bucket).await;
}

#[tokio::test]
async fn in_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    for prefix in ["", "/some/pre fix%/"] {
        let yaml = format!("type: FILESYSTEM\nconfig:\n  directory: {}\nprefix: '{prefix}'\n", dir.path().display());
        let bucket = BucketConfig::from_yaml(&yaml, |_| None).unwrap().open(OpenFor::Writing).unwrap();
        conformance(&bucket).await;
        directories_are_no_objects(&bucket).await;
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "directories vanish with their last object");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_an_s3_server() {
    let server = S3Server::start().await;
    conformance(&server.bucket()).await;
    conformance(&server.bucket().child("a prefix/100%").unwrap()).await;
    assert!(server.leftovers().is_empty(), "{:?}", server.leftovers());
}

#[tokio::test(flavor = "multi_thread")]
async fn through_a_cache() {
    let (server, directory) = (S3Server::start().await, tempfile::tempdir().unwrap());
    for (memory_bytes, number) in [(1 << 20, 0), (0, 1)] {
        let disk = DiskCacheConfig { directory: directory.path().join(number.to_string()), max_bytes: 1 << 20 };
        let config = CacheConfig { memory_bytes, subrange_bytes: 4096, disk: Some(disk), ..CacheConfig::default() };
        let cache = Cache::open(&config).unwrap();
        let bucket = Bucket::new(Arc::new(InMemory::new()), "memory://").cached(&cache);
        conformance(&bucket).await;
        directories_are_no_objects(&bucket).await;
        conformance(&server.bucket().cached(&cache)).await;
        // Below a prefix: the cache of the whole, and one of the part.
        conformance(&server.bucket().cached(&cache).child("a prefix/100%").unwrap()).await;
        conformance(&server.bucket().child("a prefix/100%").unwrap().cached(&cache)).await;
        assert!(cache.statistics().fetches > 10, "nothing was read through it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_configured_store() {
    let Some(yaml) = process_environment("PROMPARQUET_TEST_OBJSTORE") else {
        eprintln!("SKIPPED: PROMPARQUET_TEST_OBJSTORE holds no bucket configuration (see testdata/stores)");
        return;
    };
    let config = BucketConfig::from_yaml(&yaml, process_environment).unwrap();
    let bucket = config.open(OpenFor::Writing).unwrap();
    conformance(&bucket).await;
    conformance(&bucket.cached(&Cache::open(&CacheConfig::default()).unwrap())).await;
}
