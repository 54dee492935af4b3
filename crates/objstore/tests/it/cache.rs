//! The cache in memory: the same bytes as without it, fewer requests, never above its budgets.

use std::{
    ops::Range,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, future::join_all, stream};
use object_store::{
    Attribute, Attributes, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions,
    memory::InMemory, path::Path,
};
use promparquet_objstore::{Bucket, Cache, CacheConfig, ErrorKind};
use promparquet_testkit::stores::{
    FailingStore, Failures, Fault, Latency, LatencyStore, Operation, Recording, RecordingStore, Rule,
};
use proptest::prelude::*;

use crate::{assert_fails, noise};

const BLOCK: u64 = 4096;

fn small() -> CacheConfig {
    CacheConfig { subrange_bytes: BLOCK, memory_bytes: 1 << 20, ..CacheConfig::default() }
}

/// A bucket in memory that notes what it is asked, and the same behind a cache.
struct Setup {
    inner: Arc<dyn ObjectStore>,
    recording: Arc<Recording>,
    failures: Arc<Failures>,
    cache: Cache,
    store: Arc<dyn ObjectStore>,
}

impl Setup {
    fn new(config: &CacheConfig) -> Self {
        let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let failing = FailingStore::new(Arc::clone(&inner), Failures::default());
        let failures = Arc::clone(failing.tap());
        let recording = RecordingStore::new(Arc::new(failing), Recording::default());
        let tap = Arc::clone(recording.tap());
        let cache = Cache::open(config).unwrap();
        let store = cache.layer(Arc::new(recording), "test");
        Self { inner, recording: tap, failures, cache, store }
    }

    async fn put(&self, key: &str, bytes: Bytes) {
        self.inner.put(&Path::from(key), bytes.into()).await.unwrap();
    }

    fn bucket(&self) -> Bucket {
        Bucket::new(Arc::clone(&self.store), "memory://")
    }

    /// What the store behind the cache was asked since the last time.
    fn asked(&self) -> Vec<String> {
        self.recording.take().iter().map(ToString::to_string).collect()
    }
}

async fn get(store: &dyn ObjectStore, key: &str, range: GetRange) -> object_store::Result<(Range<u64>, Bytes)> {
    let options = GetOptions::new().with_range(Some(range));
    let result = store.get_opts(&Path::from(key), options).await?;
    let range = result.range.clone();
    Ok((range, result.bytes().await?))
}

#[tokio::test]
async fn what_was_read_is_not_read_again() {
    let setup = Setup::new(&small());
    let data = noise(50_000);
    setup.put("a/key", data.clone()).await;
    let bucket = setup.bucket();
    // The end first, as readers do: enough is read for whole subranges, and the size is known then.
    let (range, end) = get(&*setup.store, "a/key", GetRange::Suffix(1000)).await.unwrap();
    assert_eq!((range, end), (49_000..50_000, data.slice(49_000..)));
    assert_eq!(setup.asked(), [format!("Get a/key [{}, {})", u64::MAX - 5095, u64::MAX)]);
    // Joined requests for what is missing: subranges 0 to 2, and 4.
    assert_eq!(bucket.get_range("a/key", 100..8193).await.unwrap(), data.slice(100..8193));
    assert_eq!(setup.asked(), ["Get a/key [0, 12288)"]);
    assert_eq!(bucket.get_range("a/key", 4096..17_000).await.unwrap(), data.slice(4096..17_000));
    assert_eq!(setup.asked(), ["Get a/key [12288, 20480)"]);
    for range in [0..1, 4095..4097, 0..20_480, 49_152..50_000, 49_999..50_000] {
        let expected = data.slice(range.start as usize..range.end as usize);
        assert_eq!(bucket.get_range("a/key", range).await.unwrap(), expected);
    }
    let again = get(&*setup.store, "a/key", GetRange::Suffix(100)).await.unwrap();
    assert_eq!(again, (49_900..50_000, data.slice(49_900..)));
    assert_eq!(bucket.head("a/key").await.unwrap(), setup.inner.head(&Path::from("a/key")).await.unwrap());
    assert_eq!(setup.asked(), [""; 0]);
    let statistics = setup.cache.statistics();
    assert_eq!((statistics.fetches, statistics.errors, statistics.passed_on), (3, 0, 0));
    assert_eq!(statistics.fetched_bytes, 5095 + 12_288 + 8192);
    // Two at the end: enough was read for one more than needed.
    assert_eq!(statistics.memory.items, 7);
    assert_eq!(statistics.memory.misses, 5);
    assert!(statistics.memory.bytes > 6 * BLOCK + 848 && statistics.memory.bytes < 30_000);
}

#[tokio::test]
async fn several_ranges_at_once() {
    let setup = Setup::new(&small());
    let data = noise(100_000);
    setup.put("key", data.clone()).await;
    setup.bucket().get_range("key", 8192..8193).await.unwrap();
    setup.asked();
    let ranges = [0..10, 20_000..20_001, 5000..13_000, 4000..4100, 99_999..100_000];
    let read = setup.store.get_ranges(&Path::from("key"), &ranges).await.unwrap();
    for (range, bytes) in ranges.iter().zip(read) {
        assert_eq!(bytes, data.slice(range.start as usize..range.end as usize));
    }
    let mut asked = setup.asked();
    asked.sort_unstable();
    // The subrange at 8192 is there already.
    assert_eq!(
        asked,
        // Of [20000, 20001) and the end of [5000, 13000), which are neighbours.
        ["Get key [0, 8192)", "Get key [12288, 20480)", "Get key [98304, 100000)"]
    );
}

#[tokio::test]
async fn passed_on() {
    let setup = Setup::new(&small());
    let data = noise(10_000);
    setup.put("key", data.clone()).await;
    let path = Path::from("key");
    let bucket = setup.bucket();
    assert_eq!(bucket.get("key", 1 << 20).await.unwrap(), data);
    assert_eq!(get(&*setup.store, "key", GetRange::Offset(9000)).await.unwrap().1, data.slice(9000..));
    let meta = bucket.head("key").await.unwrap();
    let conditional = GetOptions::new().with_if_match(meta.e_tag.clone()).with_range(Some(GetRange::Bounded(0..10)));
    setup.store.get_opts(&path, conditional).await.unwrap();
    let conditional = GetOptions::new().with_if_none_match(meta.e_tag);
    let error = setup.store.get_opts(&path, conditional).await.unwrap_err();
    assert!(matches!(error, object_store::Error::NotModified { .. }), "{error}");
    for range in [5..5, 10_000..10_001] {
        let error = get(&*setup.store, "key", GetRange::Bounded(range.clone())).await.unwrap_err();
        let plain = get(&*setup.inner, "key", GetRange::Bounded(range)).await.unwrap_err();
        assert_eq!(error.to_string(), plain.to_string());
    }
    // The head was known from the first answer.
    assert!(setup.asked().iter().all(|call| call.starts_with("Get ")));
    assert_eq!(setup.cache.statistics().passed_on, 6);
}

#[tokio::test]
async fn attributes_are_kept() {
    let setup = Setup::new(&small());
    let attributes = Attributes::from_iter([(Attribute::ContentType, "text/plain")]);
    let options = PutOptions { attributes: attributes.clone(), ..PutOptions::default() };
    setup.inner.put_opts(&Path::from("key"), "text".into(), options).await.unwrap();
    for _ in 0..2 {
        let options = GetOptions::new().with_range(Some(GetRange::Bounded(1..3)));
        assert_eq!(setup.store.get_opts(&Path::from("key"), options).await.unwrap().attributes, attributes);
        let head = GetOptions::new().with_head(true);
        assert_eq!(setup.store.get_opts(&Path::from("key"), head).await.unwrap().attributes, attributes);
    }
}

/// Fetched once, whether the object is known or not.
#[tokio::test(start_paused = true)]
async fn concurrent_requests_are_one() {
    for known in [false, true] {
        let setup = Setup::new(&small());
        let data = noise(50_000);
        setup.put("key", data.clone()).await;
        let slow: Arc<dyn ObjectStore> = Arc::new(LatencyStore::new(
            Arc::new(RecordingStore::new(Arc::clone(&setup.inner), Recording::default())),
            Latency(Duration::from_millis(100)),
        ));
        let cache = Cache::open(&small()).unwrap();
        let store = cache.layer(slow, "slow");
        if known {
            store.head(&Path::from("key")).await.unwrap();
        }
        let before = cache.statistics();
        let start = tokio::time::Instant::now();
        let reads = join_all((0..100).map(|_| get(&*store, "key", GetRange::Bounded(5000..20_000)))).await;
        assert_eq!(start.elapsed().as_millis() / 10, 10, "known: {known}");
        assert!(reads.into_iter().all(|read| read.unwrap().1 == data.slice(5000..20_000)));
        let after = cache.statistics();
        assert_eq!(after.fetches - before.fetches, 1, "known: {known}");
        assert_eq!(after.coalesced - before.coalesced, if known { 99 * 4 } else { 99 });
        let nothing = Path::from("nothing");
        let heads = join_all((0..10).map(|_| store.head(&nothing))).await;
        assert!(heads.iter().all(|head| matches!(head, Err(object_store::Error::NotFound { .. }))));
    }
}

/// Who asked first goes away, or holds a future that he does not poll: the others do not wait for ever.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_who_went_away() {
    let setup = Setup::new(&small());
    let data = noise(50_000);
    setup.put("key", data.clone()).await;
    let slow = Arc::new(LatencyStore::new(Arc::clone(&setup.inner), Latency(Duration::from_millis(100))));
    let cache = Cache::open(&small()).unwrap();
    let store = cache.layer(slow, "slow");
    for range in [GetRange::Bounded(0..10), GetRange::Bounded(5000..20_000), GetRange::Suffix(10)] {
        let mut held = Box::pin(get(&*store, "key", range.clone()));
        assert!(futures::poll!(&mut held).is_pending());
        let read = tokio::time::timeout(Duration::from_secs(1), get(&*store, "key", range)).await;
        read.expect("waits for a future that nobody polls").unwrap();
        drop(held);
    }
    assert_eq!(cache.statistics().fetches, 3);
}

#[tokio::test]
async fn failures_pass_and_are_not_remembered() {
    let setup = Setup::new(&small());
    let data = noise(50_000);
    setup.put("key", data.clone()).await;
    let bucket = setup.bucket();
    for known in [false, true] {
        for (fault, kind) in [
            (Fault::Unavailable, ErrorKind::Unavailable),
            (Fault::PermissionDenied, ErrorKind::PermissionDenied),
            (Fault::NotFound, ErrorKind::NotFound),
            (Fault::Truncated(1), ErrorKind::Corrupt),
            (Fault::Truncated(u64::MAX), ErrorKind::Corrupt),
        ] {
            setup.failures.set([Rule::new(fault)]);
            assert_fails(bucket.get_range("key", 0..10_000).await, kind, &["memory://", "key"]);
            let read = join_all((0..5).map(|_| bucket.get_range("key", 0..10_000))).await;
            read.into_iter().for_each(|read| assert_fails(read, kind, &["memory://", "key"]));
            if !known && kind != ErrorKind::Corrupt {
                assert_fails(bucket.head("key").await, kind, &["memory://", "key"]);
            }
            setup.failures.set([]);
        }
        assert_eq!(setup.cache.statistics().memory.items, if known { 1 } else { 0 }, "known: {known}");
        // Another part, so that the object is known and the part that fails is not.
        assert_eq!(bucket.get_range("key", 40_000..40_010).await.unwrap(), data.slice(40_000..40_010));
    }
    assert!(setup.cache.statistics().errors > 20);
    // The second of two requests of one read.
    bucket.get_range("key", 8192..8193).await.unwrap();
    setup.failures.set([Rule::new(Fault::Unavailable).on(Operation::Get).after(1).times(1)]);
    assert_fails(bucket.get_range("key", 0..20_000).await, ErrorKind::Unavailable, &["key"]);
    assert_eq!(bucket.get_range("key", 0..20_000).await.unwrap(), data.slice(..20_000));
}

/// One that fails does not make the others wait one after the other.
#[tokio::test(start_paused = true)]
async fn failures_of_shared_requests_do_not_add_up() {
    for known in [false, true] {
        let setup = Setup::new(&small());
        setup.put("key", noise(10_000)).await;
        let failing = FailingStore::new(Arc::clone(&setup.inner), Failures::default());
        let failures = Arc::clone(failing.tap());
        let slow = Arc::new(LatencyStore::new(Arc::new(failing), Latency(Duration::from_secs(1))));
        let store = Cache::open(&small()).unwrap().layer(slow, "slow");
        if known {
            store.head(&Path::from("key")).await.unwrap();
        }
        failures.set([Rule::new(Fault::Unavailable)]);
        let start = tokio::time::Instant::now();
        let reads = join_all((0..50).map(|_| get(&*store, "key", GetRange::Bounded(0..10)))).await;
        assert!(reads.iter().all(Result::is_err));
        assert!(start.elapsed() < Duration::from_millis(2100), "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn knowledge_expires() {
    let config = CacheConfig {
        attributes_ttl: Duration::from_secs(60),
        absent_ttl: Duration::from_secs(10),
        listing_ttl: Duration::from_secs(20),
        ..small()
    };
    let setup = Setup::new(&config);
    setup.put("dir/key", "one".into()).await;
    let bucket = setup.bucket();
    let look = async || {
        bucket.head("dir/key").await.unwrap();
        assert_fails(bucket.head("nothing").await, ErrorKind::NotFound, &["nothing"]);
        assert_fails(bucket.get_range("nothing", 0..1).await, ErrorKind::NotFound, &["nothing"]);
        assert_eq!(bucket.list_directory("dir").await.unwrap().objects.len(), 1);
        assert_eq!(bucket.list_directory("").await.unwrap().directories, ["dir"]);
    };
    look().await;
    assert_eq!(setup.asked(), ["Head dir/key", "Head nothing", "ListDirectory dir", "ListDirectory "]);
    tokio::time::advance(Duration::from_secs(9)).await;
    look().await;
    assert_eq!(setup.asked(), [""; 0]);
    tokio::time::advance(Duration::from_secs(2)).await;
    look().await;
    assert_eq!(setup.asked(), ["Head nothing"]);
    tokio::time::advance(Duration::from_secs(21)).await;
    look().await;
    assert_eq!(setup.asked(), ["Head nothing", "ListDirectory dir", "ListDirectory "]);
    tokio::time::advance(Duration::from_secs(30)).await;
    setup.asked();
    bucket.head("dir/key").await.unwrap();
    assert_eq!(setup.asked(), ["Head dir/key"]);
}

#[tokio::test]
async fn absent_keys_and_listings_are_not_remembered_unless_configured() {
    let setup = Setup::new(&small());
    let bucket = setup.bucket();
    for _ in 0..2 {
        assert!(!bucket.exists("dir/key").await.unwrap());
        assert!(bucket.list_directory("dir").await.unwrap().objects.is_empty());
    }
    setup.put("dir/key", "x".into()).await;
    assert!(bucket.exists("dir/key").await.unwrap());
    assert_eq!(bucket.list_directory("dir").await.unwrap().objects.len(), 1);
}

/// Changes made by others: never a mixture of two versions, and seen when anything is missing or time is over.
#[tokio::test(start_paused = true)]
async fn changes_behind_the_cache() {
    let setup = Setup::new(&small());
    let (old, new) = (noise(20_000), Bytes::from(vec![7; 30_000]));
    setup.put("key", old.clone()).await;
    let bucket = setup.bucket();
    assert_eq!(bucket.get_range("key", 0..8192).await.unwrap(), old.slice(..8192));
    setup.put("key", new.clone()).await;
    // All of it is there, and less than a day old.
    assert_eq!(bucket.get_range("key", 0..8000).await.unwrap(), old.slice(..8000));
    // A part is missing: all comes from the new version.
    assert_eq!(bucket.get_range("key", 0..12_000).await.unwrap(), new.slice(..12_000));
    assert_eq!(bucket.head("key").await.unwrap().size, 30_000);
    // Beyond the old version's end.
    setup.put("key", old.clone()).await;
    assert_fails(bucket.get_range("key", 19_990..25_000).await, ErrorKind::Corrupt, &["20000"]);
    assert_eq!(bucket.get_range("key", 0..20_000).await.unwrap(), old);
    setup.put("key", new.clone()).await;
    tokio::time::advance(CacheConfig::default().attributes_ttl).await;
    assert_eq!(bucket.get_range("key", 0..20_000).await.unwrap(), new.slice(..20_000));
}

#[tokio::test]
async fn changes_through_the_cache_are_seen_at_once() {
    let setup = Setup::new(&CacheConfig {
        absent_ttl: Duration::from_secs(1000),
        listing_ttl: Duration::from_secs(1000),
        ..small()
    });
    let (store, bucket) = (&setup.store, setup.bucket());
    let (one, two) = (Path::from("dir/sub/one"), Path::from("dir/two"));
    let sees = async |key: &Path, expected: Option<&str>, names: &[&str]| {
        let read = bucket.get_range(key.as_ref(), 0..1).await.ok();
        assert_eq!(read.as_deref(), expected.map(str::as_bytes), "{key}");
        assert_eq!(bucket.exists(key.as_ref()).await.unwrap(), expected.is_some(), "{key}");
        let listing = bucket.list_directory("dir").await.unwrap();
        let objects = listing.objects.iter().map(|object| object.location.as_ref());
        assert_eq!(listing.directories.iter().map(String::as_str).chain(objects).collect::<Vec<_>>(), names, "{key}");
    };
    sees(&one, None, &[]).await;
    store.put(&one, "1".into()).await.unwrap();
    sees(&one, Some("1"), &["dir/sub"]).await;
    store.put(&one, "2".into()).await.unwrap();
    sees(&one, Some("2"), &["dir/sub"]).await;
    // A failed write may have been done all the same.
    let create = PutOptions::from(PutMode::Create);
    store.put_opts(&one, "3".into(), create).await.unwrap_err();
    sees(&one, Some("2"), &["dir/sub"]).await;
    sees(&two, None, &["dir/sub"]).await;
    store.copy(&one, &two).await.unwrap();
    sees(&two, Some("2"), &["dir/sub", "dir/two"]).await;
    store.delete(&one).await.unwrap();
    sees(&one, None, &["dir/two"]).await;
    store.rename(&two, &one).await.unwrap();
    sees(&two, None, &["dir/sub"]).await;
    sees(&one, Some("2"), &["dir/sub"]).await;
    let mut upload = store.put_multipart_opts(&one, PutMultipartOptions::default()).await.unwrap();
    upload.put_part("4".into()).await.unwrap();
    sees(&one, Some("2"), &["dir/sub"]).await;
    upload.complete().await.unwrap();
    sees(&one, Some("4"), &["dir/sub"]).await;
    // Deletions whose fate is unknown.
    setup.failures.set([Rule::new(Fault::Unavailable).on(Operation::Delete)]);
    store.delete(&one).await.unwrap_err();
    setup.inner.delete(&one).await.unwrap();
    sees(&one, None, &[]).await;
    setup.failures.set([]);
    store.put(&one, "5".into()).await.unwrap();
    sees(&one, Some("5"), &["dir/sub"]).await;
    store.put(&two, "6".into()).await.unwrap();
    let both = stream::iter([Ok(one.clone()), Ok(two.clone())]).boxed();
    assert_eq!(store.delete_stream(both).try_collect::<Vec<_>>().await.unwrap().len(), 2);
    sees(&one, None, &[]).await;
    sees(&two, None, &[]).await;
}

/// A request that was made before a change does not answer one that is made after it.
#[tokio::test(start_paused = true)]
async fn old_answers_that_come_late_are_not_kept() {
    for known in [false, true] {
        let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let key = Path::from("key");
        inner.put(&key, "old".into()).await.unwrap();
        let slow = Arc::new(SlowAnswers(Arc::clone(&inner)));
        let store = Cache::open(&small()).unwrap().layer(slow, "slow");
        if known {
            store.head(&key).await.unwrap();
        }
        let early = tokio::spawn({
            let (store, key) = (Arc::clone(&store), key.clone());
            async move { (store.head(&key).await.unwrap(), get(&*store, "key", GetRange::Suffix(3)).await.unwrap().1) }
        });
        tokio::task::yield_now().await;
        store.put(&key, "new".into()).await.unwrap();
        let late = get(&*store, "key", GetRange::Suffix(3)).await.unwrap().1;
        assert_eq!(late, "new");
        early.await.unwrap();
        assert_eq!(get(&*store, "key", GetRange::Bounded(0..3)).await.unwrap().1, "new");
        assert_eq!(store.head(&key).await.unwrap().e_tag, inner.head(&key).await.unwrap().e_tag);
    }
}

/// Answers at once but delivers late.
#[derive(Debug)]
struct SlowAnswers(Arc<dyn ObjectStore>);

impl std::fmt::Display for SlowAnswers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SlowAnswers")
    }
}

#[async_trait::async_trait]
impl ObjectStore for SlowAnswers {
    async fn put_opts(
        &self,
        location: &Path,
        payload: object_store::PutPayload,
        opts: PutOptions,
    ) -> object_store::Result<object_store::PutResult> {
        self.0.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn object_store::MultipartUpload>> {
        self.0.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<object_store::GetResult> {
        let result = self.0.get_opts(location, options).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        result
    }

    fn delete_stream(
        &self,
        locations: stream::BoxStream<'static, object_store::Result<Path>>,
    ) -> stream::BoxStream<'static, object_store::Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(
        &self,
        prefix: Option<&Path>,
    ) -> stream::BoxStream<'static, object_store::Result<object_store::ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<object_store::ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: object_store::CopyOptions) -> object_store::Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}

/// Buckets that share a cache do not see each other's objects.
#[tokio::test]
async fn buckets_are_told_apart() {
    let cache = Cache::open(&small()).unwrap();
    let buckets: Vec<_> = ["one", "two"]
        .iter()
        .map(|name| Bucket::new(Arc::new(InMemory::new()), format!("memory://{name}")).cached(&cache))
        .collect();
    for (bucket, text) in buckets.iter().zip(["1", "2"]) {
        // Of one entity tag: each store counts for itself.
        bucket.put("key", text.into()).await.unwrap();
    }
    for _ in 0..2 {
        assert_eq!(buckets[0].get_range("key", 0..1).await.unwrap(), "1");
        assert_eq!(buckets[1].get_range("key", 0..1).await.unwrap(), "2");
    }
    assert_eq!(cache.statistics().memory.items, 2);
}

#[test]
fn without_a_runtime_the_bucket_answers() {
    let setup = Setup::new(&small());
    futures::executor::block_on(async {
        setup.put("key", "text".into()).await;
        for _ in 0..2 {
            assert_eq!(get(&*setup.store, "key", GetRange::Bounded(1..3)).await.unwrap().1, "ex");
        }
        assert_eq!(setup.store.list_with_delimiter(None).await.unwrap().objects.len(), 1);
    });
    assert_eq!(setup.asked().len(), 3);
}

#[derive(Clone, Debug)]
enum Step {
    Get(usize, GetRange),
    GetRanges(usize, Vec<Range<u64>>),
    Whole(usize),
    Head(usize),
    List(bool),
    Put(usize, usize),
    Delete(usize),
    Copy(usize, usize),
}

const KEYS: [&str; 3] = ["a/one", "a/b/two", "three"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..KEYS.len();
    let range = (0_u64..70_000, 0_u64..30_000).prop_map(|(start, length)| start..start + length);
    let get_range = prop_oneof![
        4 => range.clone().prop_map(GetRange::Bounded),
        2 => (0_u64..80_000).prop_map(GetRange::Suffix),
        1 => (0_u64..80_000).prop_map(GetRange::Offset),
        1 => Just(GetRange::Suffix(u64::MAX)),
        1 => (0_u64..60_000).prop_map(|start| GetRange::Bounded(start..u64::MAX)),
    ];
    let step = prop_oneof![
        8 => (key.clone(), get_range).prop_map(|(key, range)| Step::Get(key, range)),
        4 => (key.clone(), prop::collection::vec(range, 0..6)).prop_map(|(key, ranges)| Step::GetRanges(key, ranges)),
        1 => key.clone().prop_map(Step::Whole),
        2 => key.clone().prop_map(Step::Head),
        1 => any::<bool>().prop_map(Step::List),
        1 => (key.clone(), prop_oneof![0_usize..60_000, Just(4096), Just(8192)]).prop_map(|(key, size)| Step::Put(key, size)),
        1 => key.clone().prop_map(Step::Delete),
        1 => (key.clone(), key).prop_map(|(from, to)| Step::Copy(from, to)),
    ];
    prop::collection::vec(step, 1..60)
}

/// What a step gives, as text that the plain store gives too.
async fn run(store: &dyn ObjectStore, step: &Step, fill: u8) -> Result<String, String> {
    let path = |key: &usize| Path::from(KEYS[*key]);
    let wrong = |error: object_store::Error| match error {
        object_store::Error::NotFound { .. } => "not found".to_owned(),
        _ => "failed".to_owned(),
    };
    match step {
        Step::Get(key, range) => {
            let result = store.get_opts(&path(key), GetOptions::new().with_range(Some(range.clone()))).await;
            let result = result.map_err(wrong)?;
            let (meta, range, attributes) = (result.meta.clone(), result.range.clone(), result.attributes.clone());
            Ok(format!("{meta:?} {range:?} {attributes:?} {:?}", result.bytes().await.map_err(wrong)?))
        }
        Step::GetRanges(key, ranges) => {
            // An empty list of an absent object: stores differ.
            if ranges.is_empty() {
                return Ok(String::new());
            }
            store.get_ranges(&path(key), ranges).await.map(|bytes| format!("{bytes:?}")).map_err(wrong)
        }
        Step::Whole(key) => {
            let result = store.get(&path(key)).await.map_err(wrong)?;
            Ok(format!("{:?}", result.bytes().await.map_err(wrong)?))
        }
        Step::Head(key) => store.head(&path(key)).await.map(|meta| format!("{meta:?}")).map_err(wrong),
        Step::List(root) => {
            let prefix = (!root).then(|| Path::from("a"));
            let listing = store.list_with_delimiter(prefix.as_ref()).await.map_err(wrong)?;
            Ok(format!("{:?} {:?}", listing.common_prefixes, listing.objects))
        }
        Step::Put(key, size) => {
            let bytes: Vec<u8> = noise(*size).iter().map(|byte| byte ^ fill).collect();
            store.put(&path(key), bytes.into()).await.map(|_| String::new()).map_err(wrong)
        }
        Step::Delete(key) => store.delete(&path(key)).await.map(|()| String::new()).map_err(wrong),
        Step::Copy(from, to) => store.copy(&path(from), &path(to)).await.map(|()| String::new()).map_err(wrong),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// With budgets that hold everything, some or nothing, and with a disk.
    #[test]
    fn the_same_as_without(
        steps in steps(),
        memory_bytes in prop::sample::select(&[0, 5000, 20_000, 60_000, 1 << 20][..]),
        disk_bytes in prop::sample::select(&[None, Some(8192), Some(60_000), Some(1 << 20)][..]),
        ttl in prop::sample::select(vec![Duration::ZERO, Duration::from_secs(1000)]),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let disk = disk_bytes.map(|max_bytes| promparquet_objstore::DiskCacheConfig {
            directory: directory.path().to_owned(),
            max_bytes,
        });
        let config = CacheConfig {
            memory_bytes,
            metadata_bytes: 64 << 10,
            absent_ttl: ttl,
            listing_ttl: ttl,
            disk,
            ..small()
        };
        let cache = Cache::open(&config).unwrap();
        let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let store = cache.layer(Arc::clone(&inner), "test");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for (key, size) in [(0, 50_000), (1, 10_000)] {
                run(&*inner, &Step::Put(key, size), key as u8).await.unwrap();
            }
            for (number, step) in steps.iter().enumerate() {
                // Changes through the cache alone, reads through both.
                let changes = matches!(step, Step::Put(..) | Step::Delete(_) | Step::Copy(..));
                let found = run(&*store, step, number as u8).await;
                if !changes {
                    let expected = run(&*inner, step, number as u8).await;
                    prop_assert_eq!(found, expected, "step {}: {:?}", number, step);
                }
                let statistics = cache.statistics();
                for tier in [Some(statistics.memory), Some(statistics.metadata), statistics.disk].into_iter().flatten() {
                    prop_assert!(tier.bytes <= tier.max_bytes, "{:?}", tier);
                }
                if number % 16 == 15 {
                    cache.flush().await;
                }
            }
            Ok(())
        })?;
    }
}

/// Many threads, little room, objects that others replace: every read gives one version, whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_pressure() {
    let directory = tempfile::tempdir().unwrap();
    let disk = promparquet_objstore::DiskCacheConfig { directory: directory.path().to_owned(), max_bytes: 200_000 };
    let setup = Setup::new(&CacheConfig { memory_bytes: 100_000, disk: Some(disk), ..small() });
    let versions = Arc::new(Mutex::new(1_u8));
    let sizes = |version: u8| 60_000 + usize::from(version) * 100;
    setup.put("key", vec![1; sizes(1)].into()).await;
    let writer = {
        let (inner, store, versions) = (Arc::clone(&setup.inner), Arc::clone(&setup.store), Arc::clone(&versions));
        tokio::spawn(async move {
            for version in 2..60_u8 {
                let bytes = Bytes::from(vec![version; 60_000 + usize::from(version) * 100]);
                let target = if version % 2 == 0 { &inner } else { &store };
                target.put(&Path::from("key"), bytes.into()).await.unwrap();
                *versions.lock().unwrap() = version;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    };
    let readers = (0..8_u64).map(|reader| {
        let (store, cache) = (Arc::clone(&setup.store), setup.cache.clone());
        tokio::spawn(async move {
            let mut state = reader + 1;
            let mut random = |below: u64| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) % below
            };
            for _ in 0..400 {
                let start = random(50_000);
                let range = start..start + 1 + random(10_000);
                let read = match random(3) {
                    0 => get(&*store, "key", GetRange::Suffix(range.end - range.start)).await.unwrap().1,
                    1 => get(&*store, "key", GetRange::Bounded(range)).await.unwrap().1,
                    _ => {
                        let ranges = [range.clone(), 0..5000];
                        let read = store.get_ranges(&Path::from("key"), &ranges).await.unwrap();
                        assert_eq!(read[0][0], read[1][0], "two versions");
                        read[0].clone()
                    }
                };
                assert!(read.iter().all(|byte| *byte == read[0]), "a mixture of versions");
                assert!(!read.is_empty());
                let statistics = cache.statistics();
                assert!(statistics.memory.bytes <= statistics.memory.max_bytes);
            }
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.await.unwrap();
    }
    writer.await.unwrap();
    let last = *versions.lock().unwrap();
    assert_eq!(
        get(&*setup.store, "key", GetRange::Bounded(0..1)).await.unwrap().1[0],
        last,
        "changed through the cache"
    );
}
