//! Damaged shards: a typed error or the right answer, never a panic, never a wrong answer that a checksum could have told.

use std::{num::NonZeroU32, sync::Arc};

use bytes::Bytes;
use object_store::{ObjectStoreExt as _, memory::InMemory, path::Path};
use prometheus_model::{Labels, Sample, TimeRange, Value};
use prometheus_queryable::{ErrorKind, LabelHints, Matcher, Queryable as _, SelectHints};
use promparquet_convert::Options as ConvertOptions;
use promparquet_objstore::Bucket;
use promparquet_query::Options;
use promparquet_shard::Shard;

use crate::shards::{NAME, Series, collect, convert_block, memory_bucket, queryable, runtime};

fn series(count: u32) -> Vec<(Labels, Vec<Sample>)> {
    let sample = |t: i64| Sample { timestamp: t * 1000, start_timestamp: 0, value: Value::Float(t as f64 / 3.0) };
    let series = (0..count).map(|i| {
        let (pod, zone) = (format!("pod-{i}"), if i % 2 == 0 { "a" } else { "" });
        let labels = Labels::from_pairs([("__name__", "up"), ("pod", &pod), ("zone", zone)]).unwrap();
        (labels, (0..30).map(|t| sample(t + i64::from(i))).collect())
    });
    let mut series: Vec<_> = series.collect();
    series.sort_by(|a: &(Labels, _), b| a.0.cmp(&b.0));
    series
}

const FILES: [&str; 2] = ["block/0.labels.parquet", "block/0.chunks.parquet"];

/// The two files of a tiny shard.
async fn tiny(count: u32) -> [Bytes; 2] {
    let (bucket, dir) = (memory_bucket(), tempfile::tempdir().unwrap());
    let meta = prometheus_tsdb_block::write_block(dir.path(), ulid::Ulid::from_parts(1, 1), &series(count)).unwrap();
    let mut options = ConvertOptions::default();
    options.name = NAME.into();
    options.row_group_rows = NonZeroU32::new(4).unwrap();
    convert_block(&bucket, &dir.path().join(meta.ulid.to_string()), options).await;
    let read = async |key| bucket.get(key, 1 << 20).await.unwrap();
    [read(FILES[0]).await, read(FILES[1]).await]
}

#[derive(Clone, PartialEq, Debug)]
struct Answer {
    series: Series,
    some: Series,
    names: Vec<String>,
    values: Vec<String>,
}

async fn ask(files: &[Bytes; 2]) -> Result<Answer, ErrorKind> {
    let store = Arc::new(InMemory::new());
    for (key, bytes) in FILES.iter().zip(files) {
        store.put(&Path::from(*key), bytes.clone().into()).await.unwrap();
    }
    let bucket = Bucket::new(store, "memory://damaged");
    let shard = Shard::open(&bucket, NAME, 0).await.map_err(|e| match e.kind() {
        promparquet_shard::ErrorKind::Corrupt => ErrorKind::Corrupt,
        promparquet_shard::ErrorKind::LimitExceeded => ErrorKind::LimitExceeded,
        promparquet_shard::ErrorKind::Unsupported => ErrorKind::Unsupported,
        other => panic!("{other:?}: {e}"),
    })?;
    let querier = queryable(vec![Arc::new(shard)], Options::default()).querier(TimeRange::ALL).await.unwrap();
    let all = SelectHints::new(TimeRange::ALL);
    let kind = |e: prometheus_queryable::Error| {
        assert!(!e.to_string().is_empty());
        e.kind()
    };
    let some = [Matcher::equal("zone", "a"), Matcher::equal("__name__", "up")];
    Ok(Answer {
        series: collect(querier.select(&[], &all).await.map_err(kind)?).await.map_err(kind)?,
        some: collect(querier.select(&some, &all).await.map_err(kind)?).await.map_err(kind)?,
        names: querier.label_names(&some, &LabelHints::default()).await.map_err(kind)?.strings,
        values: querier.label_values("pod", &some, &LabelHints::default()).await.map_err(kind)?.strings,
    })
}

/// Where the footer and the page indexes begin, which have no checksum.
fn index_start(file: &Bytes) -> usize {
    use parquet::file::metadata::ParquetMetaDataReader;
    let metadata = ParquetMetaDataReader::new().parse_and_finish(file).unwrap();
    let columns = metadata.row_groups().iter().flat_map(|group| group.columns());
    let starts = columns.flat_map(|c| [c.column_index_offset(), c.offset_index_offset(), c.bloom_filter_offset()]);
    starts.flatten().min().unwrap() as usize
}

fn is_typed(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Corrupt | ErrorKind::LimitExceeded | ErrorKind::Unsupported)
}

#[test]
fn every_bit_flipped() {
    runtime().block_on(async {
        let files = tiny(5).await;
        let right = ask(&files).await.unwrap();
        assert_eq!((right.series.len(), right.some.len(), right.values.len()), (5, 3, 3));
        let (mut wrong, mut caught) = (0, 0);
        for file in 0..2 {
            let index = index_start(&files[file]);
            for bit in 0..files[file].len() * 8 {
                let mut damaged = files.clone();
                let mut bytes = files[file].to_vec();
                bytes[bit / 8] ^= 1 << (bit % 8);
                damaged[file] = bytes.into();
                match ask(&damaged).await {
                    Ok(answer) if answer == right => {}
                    Ok(_) => {
                        assert!(bit / 8 >= index, "bit {bit} of {} makes a wrong answer", FILES[file]);
                        wrong += 1;
                    }
                    Err(kind) => {
                        assert!(is_typed(kind), "bit {bit} of {}: {kind:?}", FILES[file]);
                        caught += 1;
                    }
                }
            }
        }
        // Parquet has no checksum for footers and page indexes: a bound, a name or a time there can be wrong unnoticed.
        assert!(caught > 20 * wrong, "{caught} caught, {wrong} wrong");
    });
}

#[test]
fn every_truncation_and_swapped_files() {
    runtime().block_on(async {
        let files = tiny(5).await;
        let right = ask(&files).await.unwrap();
        for file in 0..2 {
            for length in 0..files[file].len() {
                let mut damaged = files.clone();
                damaged[file] = files[file].slice(..length);
                assert!(is_typed(ask(&damaged).await.unwrap_err()), "{} cut to {length}", FILES[file]);
            }
        }
        let [labels, chunks] = files.clone();
        assert_eq!(ask(&[chunks.clone(), labels.clone()]).await.unwrap_err(), ErrorKind::Corrupt);
        assert_eq!(ask(&[labels.clone(), labels.clone()]).await.unwrap_err(), ErrorKind::Corrupt);
        let [other_labels, other_chunks] = tiny(9).await;
        assert_eq!(ask(&[labels.clone(), other_chunks]).await.unwrap_err(), ErrorKind::Corrupt);
        assert_eq!(ask(&[other_labels, chunks]).await.unwrap_err(), ErrorKind::Corrupt);
        assert_eq!(ask(&files).await.unwrap(), right);
    });
}

/// Files that are Parquet but no shards.
#[test]
fn foreign_files() {
    let manifest = env!("CARGO_MANIFEST_DIR");
    let shared = std::env::var("PROMPARQUET_SHARED").unwrap_or(format!("{manifest}/../../../shared"));
    let root = std::path::Path::new(&shared).join("acceptance/parquet-testing");
    let mut paths = vec![root];
    let mut seen = 0;
    runtime().block_on(async {
        let [labels, _] = tiny(5).await;
        while let Some(path) = paths.pop() {
            if path.is_dir() {
                paths.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                let bytes: Bytes = std::fs::read(&path).unwrap().into();
                assert!(is_typed(ask(&[bytes.clone(), bytes.clone()]).await.unwrap_err()), "{}", path.display());
                assert!(is_typed(ask(&[labels.clone(), bytes]).await.unwrap_err()), "{}", path.display());
                seen += 1;
            }
        }
    });
    if seen == 0 {
        eprintln!("SKIPPED: no foreign files");
    }
}
