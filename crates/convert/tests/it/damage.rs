//! Damaged files: an error or the same rows, never a panic, never other rows.

use std::sync::Arc;

use bytes::Bytes;
use prometheus_model::{Labels, Sample, Value};
use prometheus_tsdb_block::write_block;
use promparquet_convert::{Control, Options, convert};
use promparquet_objstore::Bucket;
use promparquet_shard::{ErrorKind, Limits, OpenOptions, ScanOptions, Shard};
use ulid::Ulid;

use crate::fixtures::{Row, directory_bucket, go, memory_bucket, open_block, rows, runtime, shared};

const FILES: [&str; 2] = ["block/0.labels.parquet", "block/0.chunks.parquet"];

/// A small shard, as small as shards get.
async fn tiny() -> Bucket {
    let dir = tempfile::tempdir().unwrap();
    let series = [("up", "a"), ("up", ""), ("down", "b")].map(|(name, pod)| {
        let samples = [10, 20].map(|t| Sample { timestamp: t, start_timestamp: 0, value: Value::Float(t as f64) });
        (Labels::from_pairs([("__name__", name), ("pod", pod)]).unwrap(), samples.to_vec())
    });
    let meta = write_block(dir.path(), Ulid::from_parts(1, 1), &series).unwrap();
    let bucket = memory_bucket();
    let block = open_block(&dir.path().join(meta.ulid.to_string()));
    convert(vec![block], None, bucket.clone(), Options::default(), Arc::new(Control::default())).await.unwrap();
    bucket
}

async fn read(bucket: &Bucket) -> promparquet_shard::Result<Vec<Row>> {
    let limits = Limits { footer_bytes: 1 << 20, page_bytes: 1 << 20, scan_bytes: 4 << 20, ..Limits::default() };
    let shard = Shard::open_with(bucket, "block", 0, OpenOptions { limits, ..OpenOptions::default() }).await?;
    rows(&shard, ScanOptions::default()).await
}

async fn with_file(original: &Bucket, file: &str, bytes: Vec<u8>) -> Bucket {
    let bucket = memory_bucket();
    for other in FILES {
        let content =
            if other == file { Bytes::from(bytes.clone()) } else { original.get(other, u64::MAX).await.unwrap() };
        bucket.put(other, content).await.unwrap();
    }
    bucket
}

#[test]
fn every_flipped_bit_and_every_cut() {
    runtime().block_on(async {
        let bucket = tiny().await;
        let good = read(&bucket).await.unwrap();
        assert_eq!(good.len(), 3);
        for file in FILES {
            let bytes = bucket.get(file, u64::MAX).await.unwrap().to_vec();
            let (mut refused, mut harmless) = (0, Vec::new());
            for bit in 0..bytes.len() * 8 {
                let mut damaged = bytes.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                match read(&with_file(&bucket, file, damaged).await).await {
                    Ok(rows) => {
                        assert_eq!(rows, good, "{file}: bit {bit} changes rows unnoticed");
                        harmless.push(bit / 8);
                    }
                    Err(error) => {
                        assert!(FILES.iter().any(|file| error.to_string().contains(file)), "bit {bit}: {error}");
                        let kind = error.kind();
                        let expected = [ErrorKind::Corrupt, ErrorKind::Unsupported, ErrorKind::LimitExceeded];
                        assert!(expected.contains(&kind), "bit {bit}: {error}");
                        refused += 1;
                    }
                }
            }
            assert!(refused > harmless.len(), "{file}: {refused} refused, {} harmless", harmless.len());
            for cut in 0..bytes.len() {
                let error = read(&with_file(&bucket, file, bytes[..cut].to_vec()).await).await;
                assert!(error.is_err(), "{file} of {cut} bytes");
            }
        }
    });
}

/// Bytes of pages are covered by checksums: of Go's files and of ours.
#[test]
fn flipped_bytes_of_pages_are_noticed() {
    let Some(dir) = go("parquet-uncompressed") else { return };
    runtime().block_on(async {
        for original in [tiny().await, directory_bucket(&dir)] {
            let shard = Shard::open(&original, "block", 0).await.unwrap();
            for (file, key) in [shard.labels_file(), shard.chunks_file()].into_iter().zip(FILES) {
                let bytes = original.get(key, u64::MAX).await.unwrap();
                for column in 0..file.columns().len() {
                    let page = file.page(0, column, 0).unwrap();
                    let mut damaged = bytes.to_vec();
                    damaged[page.bytes.end as usize - 1] ^= 1;
                    let error = read(&with_file(&original, key, damaged).await).await.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::Corrupt);
                    let (text, name) = (error.to_string(), file.columns()[column].name());
                    let offset = format!("offset {}", page.bytes.start);
                    assert!(text.contains("checksum") && text.contains(&name) && text.contains(&offset), "{text}");
                    assert!(text.contains(key) && text.contains("row group 0"), "{text}");
                }
            }
        }
    });
}

/// Files of other projects, among them many that crashed readers.
#[test]
fn files_that_are_no_shards_are_refused() {
    let Some(dir) = shared("acceptance/parquet-testing") else { return };
    let mut files = Vec::new();
    for dir in [dir.clone(), dir.join("bad_data")] {
        files.extend(std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()));
    }
    files.retain(|path| path.extension().is_some_and(|e| e == "parquet"));
    assert!(files.len() > 10, "{files:?}");
    runtime().block_on(async {
        let good = tiny().await;
        for path in files {
            for key in FILES {
                let bucket = with_file(&good, key, std::fs::read(&path).unwrap()).await;
                let error = read(&bucket).await.unwrap_err();
                assert_ne!(error.kind(), ErrorKind::Unavailable, "{}: {error}", path.display());
            }
        }
    });
}

#[test]
fn a_footer_longer_than_allowed_is_not_read() {
    runtime().block_on(async {
        let good = tiny().await;
        let mut file = vec![0; 10 << 20];
        file.extend((9_u32 << 20).to_le_bytes());
        file.extend(b"PAR1");
        let error = read(&with_file(&good, FILES[0], file).await).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        // One that is longer than the file.
        let file = [&[0_u8; 100][..], &u32::MAX.to_le_bytes(), b"PAR1"].concat();
        let error = read(&with_file(&good, FILES[0], file).await).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    });
}

/// The two files must belong together, and labels, row index and hash of a row too.
#[test]
fn files_of_different_shards_are_refused() {
    let Some(dir) = go("parquet-2shards") else { return };
    let original = directory_bucket(&dir);
    runtime().block_on(async {
        let get = |key: &'static str| {
            let original = original.clone();
            async move { original.get(key, u64::MAX).await.unwrap() }
        };
        let mixed = memory_bucket();
        mixed.put(FILES[0], get("block/0.labels.parquet").await).await.unwrap();
        mixed.put(FILES[1], get("block/0.labels.parquet").await).await.unwrap();
        let error = Shard::open(&mixed, "block", 0).await.unwrap_err();
        assert!(error.to_string().contains("only data columns"), "{error}");
        mixed.put(FILES[0], get("block/0.chunks.parquet").await).await.unwrap();
        assert!(Shard::open(&mixed, "block", 0).await.is_err());
        let error = Shard::open(&mixed, "block", 1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        // Other rows.
        let tiny = tiny().await;
        mixed.put(FILES[0], tiny.get(FILES[0], u64::MAX).await.unwrap()).await.unwrap();
        mixed.put(FILES[1], get("block/0.chunks.parquet").await).await.unwrap();
        let error = Shard::open(&mixed, "block", 0).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    });
}
