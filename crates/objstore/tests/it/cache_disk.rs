//! The cache's tier on a local disk: restarts, damage, crashes, other processes.

use std::{
    io::{BufRead, BufReader},
    path::{Path as FilePath, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path};
use promparquet_objstore::{Bucket, Cache, CacheConfig, DiskCacheConfig, ErrorKind};

use crate::{assert_fails, noise};

const BLOCK: u64 = 4096;
const SIZE: u64 = 400_000;

/// Hardly any memory, so that the disk is asked.
fn config(directory: &FilePath, max_bytes: u64) -> CacheConfig {
    let disk = DiskCacheConfig { directory: directory.to_owned(), max_bytes };
    CacheConfig { subrange_bytes: BLOCK, memory_bytes: 0, disk: Some(disk), ..CacheConfig::default() }
}

/// Two objects, of the same entity tags each time.
async fn bucket(cache: &Cache) -> Bucket {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    for (key, bytes) in objects() {
        store.put(&Path::from(key), bytes.into()).await.unwrap();
    }
    Bucket::new(store, "memory://bucket").cached(cache)
}

fn objects() -> [(&'static str, Bytes); 2] {
    let data = noise(2 * SIZE as usize);
    [("one", data.slice(..SIZE as usize)), ("two", data.slice(SIZE as usize..))]
}

async fn check(bucket: &Bucket) {
    for (key, bytes) in objects() {
        for start in (0..SIZE).step_by(50_000) {
            let end = start + 50_000;
            let read = bucket.get_range(key, start..end).await.unwrap();
            assert!(read == bytes.slice(start as usize..end as usize), "wrong bytes of {key} [{start}, {end})");
        }
    }
}

/// The files of subranges, and what they take.
fn files(directory: &FilePath) -> (Vec<PathBuf>, u64) {
    let mut files = Vec::new();
    for directory in std::fs::read_dir(directory.join("blocks")).unwrap() {
        files.extend(std::fs::read_dir(directory.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    let bytes = files.iter().map(|file| file.metadata().unwrap().len().next_multiple_of(4096)).sum();
    files.sort_unstable();
    (files, bytes)
}

#[tokio::test]
async fn a_restart_finds_what_was_there() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(&directory.path().join("made/by the cache"), 10 << 20);
    let cache = Cache::open(&config).unwrap();
    let first = bucket(&cache).await;
    check(&first).await;
    cache.flush().await;
    let disk = cache.statistics().disk.unwrap();
    assert_eq!((disk.items, disk.insertions, disk.errors, disk.dropped), (196, 196, 0, 0));
    check(&first).await;
    let hits = cache.statistics().disk.unwrap().hits - disk.hits;
    assert_eq!(hits, 196 + 14, "14 subranges lie in two reads");
    drop((cache, first));
    let cache = Cache::open(&config).unwrap();
    assert_eq!(cache.statistics().disk.unwrap().items, 196);
    let bucket = bucket(&cache).await;
    bucket.head("one").await.unwrap();
    bucket.head("two").await.unwrap();
    check(&bucket).await;
    let statistics = cache.statistics();
    assert_eq!((statistics.fetches, statistics.fetched_bytes), (2, 0));
    assert_eq!(statistics.disk.unwrap().misses, 0);
}

#[tokio::test]
async fn never_above_the_budget() {
    let directory = tempfile::tempdir().unwrap();
    for max_bytes in [4 << 20, 200_000, 8192, 500_000] {
        let cache = Cache::open(&config(directory.path(), max_bytes)).unwrap();
        let (_, found) = files(directory.path());
        assert!(found <= max_bytes, "{found} of {max_bytes} after the start");
        let bucket = bucket(&cache).await;
        for _ in 0..2 {
            check(&bucket).await;
            cache.flush().await;
            let (files, bytes) = files(directory.path());
            let disk = cache.statistics().disk.unwrap();
            assert!(bytes <= max_bytes && disk.bytes == bytes, "{bytes}, {disk:?}");
            assert_eq!(disk.items, files.len() as u64);
            assert!(disk.errors == 0 && (disk.evictions > 0) == (max_bytes < 4 << 20), "{disk:?}");
        }
    }
    let config = config(directory.path(), 4096);
    assert_fails(Cache::open(&config), ErrorKind::Invalid, &["disk.max_size", "no room"]);
}

#[tokio::test]
async fn damaged_files_are_misses_and_vanish() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path(), 10 << 20);
    let fill = async || {
        let cache = Cache::open(&config).unwrap();
        let bucket = bucket(&cache).await;
        check(&bucket).await;
        cache.flush().await;
        (cache, bucket)
    };
    drop(fill().await);
    let (all, _) = files(directory.path());
    let damage = |file: &PathBuf, number: usize| {
        let mut bytes = std::fs::read(file).unwrap();
        match number % 6 {
            0 => bytes.clear(),
            1 => bytes.truncate(59),
            2 => drop(bytes.pop()),
            3 => bytes[number % 60] ^= 1 << (number % 8),
            4 => {
                let at = 52 + number * 20;
                bytes[at] ^= 1 << (number % 8);
            }
            // The content of another, whole.
            _ => bytes = std::fs::read(all.last().unwrap()).unwrap(),
        }
        std::fs::write(file, bytes).unwrap();
    };
    // While no cache is open, and while one is.
    for open in [false, true] {
        let held = if open { Some(fill().await) } else { None };
        all[..60].iter().enumerate().for_each(|(number, file)| damage(file, number));
        std::fs::remove_file(&all[70]).unwrap();
        let (cache, bucket) = match held {
            Some(held) => held,
            None => fill().await,
        };
        check(&bucket).await;
        cache.flush().await;
        check(&bucket).await;
        cache.flush().await;
        let disk = cache.statistics().disk.unwrap();
        assert!(disk.errors >= 40, "open: {open}, {disk:?}");
        assert_eq!((disk.items, disk.insertions > 0), (196, true), "written anew; open: {open}");
        assert_eq!(files(directory.path()).0, all);
    }
}

#[tokio::test]
async fn what_a_crash_leaves_behind() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path(), 10 << 20);
    drop(Cache::open(&config).unwrap());
    let new = directory.path().join("new");
    std::fs::write(&new, "half a fi").unwrap();
    // Not ours to remove.
    let foreign = [directory.path().join("notes"), directory.path().join("blocks/00-notes")];
    foreign.iter().for_each(|file| std::fs::write(file, "keep").unwrap());
    let cache = Cache::open(&config).unwrap();
    assert!(!new.exists() && foreign.iter().all(|file| file.exists()));
    check(&bucket(&cache).await).await;
}

#[tokio::test]
async fn directories_that_cannot_be_used() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let result = Cache::open(&config(&file, 1 << 20));
    assert!(result.is_err_and(|error| error.to_string().contains("file")));
    let config = config(directory.path(), 1 << 20);
    let first = Cache::open(&config).unwrap();
    let parts = ["in use by another cache", directory.path().to_str().unwrap()];
    assert_fails(Cache::open(&config), ErrorKind::Unavailable, &parts);
    drop(first);
    let cache = Cache::open(&config).unwrap();
    // The directory vanishes under the cache: misses, no errors for readers.
    std::fs::remove_dir_all(directory.path()).unwrap();
    let bucket = bucket(&cache).await;
    check(&bucket).await;
    cache.flush().await;
    check(&bucket).await;
    let disk = cache.statistics().disk.unwrap();
    assert!(disk.errors > 0 && disk.items == 0, "{disk:?}");
}

const CHILD: &str = "PROMPARQUET_TEST_CACHE_DIRECTORY";
const CHILD_BYTES: u64 = 500_000;

/// Fills the cache and says so, then goes on until it is killed.
#[tokio::test]
#[ignore = "run by other tests as a process of its own"]
async fn child() {
    let Ok(directory) = std::env::var(CHILD) else { return };
    let cache = Cache::open(&config(directory.as_ref(), CHILD_BYTES)).unwrap();
    let bucket = bucket(&cache).await;
    let start = Instant::now();
    check(&bucket).await;
    cache.flush().await;
    eprintln!("READY");
    while start.elapsed() < Duration::from_secs(30) {
        check(&bucket).await;
    }
}

fn spawn(directory: &FilePath) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cache_disk::child", "--ignored", "--nocapture", "--test-threads", "1"])
        .env(CHILD, directory)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("READY")), "the other process does not start");
    child
}

#[tokio::test]
async fn a_second_process_is_refused_and_a_killed_one_leaves_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path(), CHILD_BYTES);
    for round in 0..5 {
        let mut child = spawn(directory.path());
        assert_fails(Cache::open(&config), ErrorKind::Unavailable, &["in use by another cache"]);
        std::thread::sleep(Duration::from_micros(round * 1733));
        child.kill().unwrap();
        child.wait().unwrap();
        let (_, found) = files(directory.path());
        assert!(found <= CHILD_BYTES, "{found} bytes left");
        let cache = Cache::open(&config).unwrap();
        assert!(cache.statistics().disk.unwrap().items > 30);
        let bucket = bucket(&cache).await;
        check(&bucket).await;
        check(&bucket).await;
        cache.flush().await;
        let disk = cache.statistics().disk.unwrap();
        assert!(disk.errors == 0 && disk.hits > 0, "{disk:?}");
    }
}
