//! Shards in memory, and what is asked of them.

use std::{collections::BTreeMap, path::Path, path::PathBuf, sync::Arc};

use object_store::{local::LocalFileSystem, memory::InMemory};
use prometheus_model::{Labels, Sample, TimeRange};
use prometheus_queryable::{MatchOp, Matcher, Querier, Queryable, Result, SelectHints, SeriesData, SeriesSet};
use prometheus_tsdb_block::{BlockReader, LocalBlock, write_block};
use promparquet_convert::{Control, Options as ConvertOptions, convert};
use promparquet_objstore::Bucket;
use promparquet_query::{Options, ParquetQueryable};
use promparquet_shard::Shard;
use ulid::Ulid;

pub(crate) const NAME: &str = "block";

/// Samples of each series.
pub(crate) type Series = BTreeMap<Labels, Vec<Sample>>;

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

pub(crate) fn memory_bucket() -> Bucket {
    Bucket::new(Arc::new(InMemory::new()), "memory://test")
}

pub(crate) fn directory_bucket(dir: &Path) -> Bucket {
    Bucket::new(Arc::new(LocalFileSystem::new_with_prefix(dir).unwrap()), "file://fixture")
}

/// A file of the shared inputs; None, loudly, where there are none.
pub(crate) fn go(path: &str) -> Option<PathBuf> {
    let root = match std::env::var_os("PROMPARQUET_SHARED") {
        Some(root) => PathBuf::from(root),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
    };
    let path = root.join("fixtures/parquet-common-go").join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: {} does not exist", path.display());
    None
}

pub(crate) async fn open_all(bucket: &Bucket, name: &str) -> Vec<Arc<Shard>> {
    let mut shards = Vec::new();
    while bucket.exists(&format!("{name}/{}.labels.parquet", shards.len())).await.unwrap() {
        shards.push(Arc::new(Shard::open(bucket, name, shards.len() as u32).await.unwrap()));
    }
    shards
}

/// Writes the series into a block and converts it; gives the shards.
pub(crate) async fn converted(series: Vec<(Labels, Vec<Sample>)>, options: ConvertOptions) -> Vec<Arc<Shard>> {
    let bucket = memory_bucket();
    let dir = tempfile::tempdir().unwrap();
    if series.iter().all(|(_, samples)| samples.is_empty()) {
        return Vec::new();
    }
    let meta = write_block(dir.path(), Ulid::from_parts(1, 1), &series).unwrap();
    convert_block(&bucket, &dir.path().join(meta.ulid.to_string()), options).await;
    open_all(&bucket, NAME).await
}

pub(crate) async fn convert_block(bucket: &Bucket, block: &Path, options: ConvertOptions) {
    let block = BlockReader::open(Arc::new(LocalBlock::open(block).unwrap())).unwrap();
    convert(vec![block], None, bucket.clone(), options, Arc::new(Control::default())).await.unwrap();
}

pub(crate) fn queryable(shards: Vec<Arc<Shard>>, options: Options) -> ParquetQueryable {
    ParquetQueryable::new(Arc::new(shards), options)
}

pub(crate) fn matcher(name: &str, op: MatchOp, value: &str) -> Matcher {
    Matcher::new(name, op, value).unwrap()
}

pub(crate) async fn collect(mut set: Box<dyn SeriesSet>) -> Result<Series> {
    let mut all = Series::new();
    let mut last: Option<Labels> = None;
    while let Some(batch) = set.next().await? {
        assert!(!batch.is_empty(), "a batch without series");
        for series in batch {
            assert!(last.as_ref().is_none_or(|last| *last < series.labels), "{last:?} before {:?}", series.labels);
            last = Some(series.labels.clone());
            let samples = series.samples()?;
            if !samples.is_empty() || matches!(series.data, SeriesData::Labels) {
                all.insert(series.labels, samples);
            }
        }
    }
    Ok(all)
}

pub(crate) async fn select(store: &dyn Queryable, matchers: &[Matcher], hints: &SelectHints) -> Result<Series> {
    let querier: Box<dyn Querier> = store.querier(TimeRange::ALL).await?;
    collect(querier.select(matchers, hints).await?).await
}
