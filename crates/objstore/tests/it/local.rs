//! Buckets in a local directory.

use std::{path::Path, process::Command, sync::Arc};

use promparquet_objstore::{Bucket, BucketConfig, Error, ErrorKind, OpenFor};
use promparquet_testkit::stores::{Recording, RecordingStore};

use crate::{assert_fails, noise};

fn open(directory: &Path, open_for: OpenFor) -> Result<Bucket, Error> {
    let yaml = format!("type: filesystem\nconfig: {{directory: '{}'}}\n", directory.display());
    BucketConfig::from_yaml(&yaml, |_| None).unwrap().open(open_for)
}

#[tokio::test]
async fn missing_directories() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("a/b");
    assert_fails(open(&missing, OpenFor::Reading), ErrorKind::NotFound, &["a/b", "file://"]);
    assert!(!missing.exists());
    open(&missing, OpenFor::Writing).unwrap().put("x/y", "z".into()).await.unwrap();
    assert_eq!(std::fs::read(missing.join("x/y")).unwrap(), b"z");
    open(&missing, OpenFor::Reading).unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    for open_for in [OpenFor::Reading, OpenFor::Writing] {
        assert!(open(&dir.path().join("file"), open_for).is_err());
        assert!(open(&dir.path().join("file/below"), open_for).is_err());
    }
}

#[tokio::test]
async fn paths_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let bucket = open(dir.path(), OpenFor::Writing).unwrap();
    let child = bucket.child("tenant%").unwrap();
    for key in ["a", "01A/chunks/000001", "sp ace/100%"] {
        child.put(key, "x".into()).await.unwrap();
        let path = child.local_path(key).unwrap().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"x", "{key}");
        assert!(path.starts_with(bucket.local_path("").unwrap().unwrap()));
    }
    assert_fails(child.local_path("../a"), ErrorKind::Invalid, &["../a"]);
    let memory = Bucket::new(Arc::new(object_store::memory::InMemory::new()), "memory://");
    assert_eq!(memory.local_path("a").unwrap(), None);
}

#[tokio::test]
async fn staging_files_are_neither_seen_nor_left() {
    let dir = tempfile::tempdir().unwrap();
    let bucket = open(dir.path(), OpenFor::Writing).unwrap().with_part_size(1000);
    let files = || std::fs::read_dir(dir.path()).unwrap().count();
    let mut upload = bucket.upload("object").unwrap();
    upload.write(noise(5000)).await.unwrap();
    assert_eq!(files(), 1, "a staging file");
    assert!(bucket.list_directory("").await.unwrap().objects.is_empty());
    drop(upload);
    // The abort runs in the background.
    for _ in 0..500 {
        if files() == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the staging file was left");
}

/// A file system of one mebibyte, while it lives.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(dir.path()).output();
        match mount {
            Ok(output) if output.status.success() => Some(Self(dir)),
            other => {
                eprintln!("SKIPPED: cannot mount a small disk, so a full one is not tried: {other:?}");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk() {
    let Some(disk) = SmallDisk::mount() else { return };
    let bucket = open(disk.0.path(), OpenFor::Writing).unwrap().with_part_size(100_000);
    bucket.put("kept", "x".into()).await.unwrap();
    let name = bucket.to_string();
    assert_fails(bucket.put("large", noise(2 << 20)).await, ErrorKind::StorageFull, &[&name, "large", "No space left"]);
    let mut upload = bucket.upload("large").unwrap();
    let error = loop {
        if let Err(error) = upload.write(noise(100_000)).await {
            break error;
        }
    };
    assert_fails(Err::<(), _>(error), ErrorKind::StorageFull, &[&name, "large", "No space left"]);
    assert_fails(upload.write("more".into()).await, ErrorKind::Cancelled, &["large"]);
    assert_fails(upload.finish().await, ErrorKind::Cancelled, &["large"]);
    // What was written of it goes, once the last write under way lets go of the file, so there is room again.
    let mut attempts = 0;
    while let Err(error) = bucket.put("half", noise(1 << 19)).await {
        attempts += 1;
        assert!(attempts < 500, "{error}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let names: Vec<_> = bucket.list_directory("").await.unwrap().objects;
    assert_eq!(names.iter().map(|meta| meta.location.as_ref()).collect::<Vec<_>>(), ["half", "kept"]);
}

/// Reads past the store give what the store gives, and are of the file that was opened.
#[tokio::test]
async fn open_objects_stay_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let child = open(dir.path(), OpenFor::Writing).unwrap().child("a").unwrap();
    let data = noise(3 << 20);
    child.put("b c%", data.clone()).await.unwrap();
    let stored = child.clone().layered(|store| store);
    let ranges = [5..9, 0..2 << 20, 7..7, 100..3 << 20, (3 << 20) - 1..3 << 20];
    for tail_bytes in [0, 10, 3 << 20, u64::MAX] {
        let (direct, tail) = child.open("b c%", tail_bytes).await.unwrap();
        let (indirect, same) = stored.open("b c%", tail_bytes).await.unwrap();
        assert_eq!((direct.size(), indirect.size()), (3 << 20, 3 << 20));
        assert!(tail == same && tail == data.slice((3 << 20) - tail_bytes.min(3 << 20) as usize..));
        assert!(direct.get_ranges(&ranges).await.unwrap() == indirect.get_ranges(&ranges).await.unwrap());
        for wrong in [1..(3 << 20) + 1, 4 << 20..5 << 20] {
            let [a, b] =
                [direct.get_range(wrong.clone()).await, indirect.get_range(wrong).await].map(Result::unwrap_err);
            assert_eq!((a.kind(), a.to_string()), (ErrorKind::Corrupt, b.to_string()));
        }
    }
    let (object, _) = child.open("b c%", 1).await.unwrap();
    child.put("b c%", "other".into()).await.unwrap();
    assert_eq!(object.get_range(5..9).await.unwrap(), data.slice(5..9));
    child.delete("b c%").await.unwrap();
    assert_eq!(object.get_range(5..9).await.unwrap(), data.slice(5..9));
    assert_fails(child.open("b c%", 1).await, ErrorKind::NotFound, &["b c%"]);
    assert_fails(child.open("a/../b", 1).await, ErrorKind::Invalid, &["a/../b"]);

    // More objects can be open than a process may have files. In this test, because the number is that of the process.
    child.put("b c%", noise(100)).await.unwrap();
    let mut objects = Vec::new();
    for _ in 0..3000 {
        objects.push(child.open("b c%", 10).await.unwrap().0);
    }
    for object in &objects {
        assert_eq!(object.get_range(3..50).await.unwrap(), noise(100).slice(3..50));
    }
}

/// A wrapped store sees all reads.
#[tokio::test]
async fn wrappers_are_not_passed_by() {
    let dir = tempfile::tempdir().unwrap();
    let bucket = open(dir.path(), OpenFor::Writing).unwrap();
    bucket.put("key", noise(100)).await.unwrap();
    let mut recording = None;
    let bucket = bucket.layered(|store| {
        let store = RecordingStore::new(store, Recording::default());
        recording = Some(Arc::clone(store.tap()));
        Arc::new(store)
    });
    let (object, _) = bucket.child("").unwrap().open("key", 10).await.unwrap();
    object.get_ranges(&[1..2, 50..60]).await.unwrap();
    let calls: Vec<_> = recording.unwrap().take().iter().map(ToString::to_string).collect();
    assert_eq!(calls.len(), 3, "{calls:?}");
}
