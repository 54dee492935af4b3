//! The engine over different stores.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use object_store::memory::InMemory as MemoryStore;
use prometheus_model::{Labels, Sample};
use prometheus_promql::{Engine, EngineOptions, ParserOptions, QueryRequest};
use prometheus_queryable::{MemoryQueryable, Queryable};
use prometheus_tsdb_block::{BlockReader, LocalBlock, write_block};
use promparquet_convert::{Control, Options as ConvertOptions, convert};
use promparquet_objstore::Bucket;
use promparquet_query::{Options as QueryOptions, ParquetQueryable};
use promparquet_shard::Shard;
use promparquet_testkit::{
    memory::in_chunks,
    promqltest::{Answered, Target, Times},
};
use ulid::Ulid;

/// The engine as Prometheus sets it for its tests.
fn engine() -> Engine {
    Engine::new(EngineOptions {
        parser: ParserOptions::all_features(),
        delayed_name_removal: true,
        start_timestamps: true,
        threads: 2,
        ..EngineOptions::default()
    })
    .unwrap()
}

async fn query(engine: &Engine, store: &dyn Queryable, query: &str, times: Times) -> Result<Answered, String> {
    let request = match times {
        Times::Instant(time) => QueryRequest::instant(query, time),
        Times::Range { start, end, step_ms } => QueryRequest::range(query, start, end, step_ms),
    };
    let answer = engine.query(store, &request).await.map_err(|error| error.to_string())?;
    let (warnings, infos) = (answer.annotations.warnings(query), answer.annotations.infos(query));
    Ok(Answered { value: answer.value, warnings, infos })
}

/// Series that were loaded, and a store made of them when it is first asked.
struct Loaded<S> {
    series: BTreeMap<Labels, Vec<Sample>>,
    store: Option<S>,
}

impl<S> Default for Loaded<S> {
    fn default() -> Self {
        Self { series: BTreeMap::new(), store: None }
    }
}

impl<S> Loaded<S> {
    fn load(&mut self, series: Vec<(Labels, Vec<Sample>)>) {
        self.store = None;
        for (labels, samples) in series {
            let all = self.series.entry(labels).or_default();
            all.extend(samples);
            // Of samples at one time the first counts.
            all.sort_by_key(|sample| sample.timestamp);
            all.dedup_by_key(|sample| sample.timestamp);
        }
    }

    /// The series that have samples.
    fn series(&self) -> Vec<(Labels, Vec<Sample>)> {
        let filled = self.series.iter().filter(|(_, samples)| !samples.is_empty());
        filled.map(|(labels, samples)| (labels.clone(), samples.clone())).collect()
    }
}

/// Chunks in memory, such as Prometheus keeps: what histograms say of counter resets is worked out when they are encoded.
pub(crate) struct InMemory {
    engine: Engine,
    loaded: Loaded<MemoryQueryable>,
}

impl Default for InMemory {
    fn default() -> Self {
        Self { engine: engine(), loaded: Loaded::default() }
    }
}

#[async_trait]
impl Target for InMemory {
    async fn load(&mut self, series: Vec<(Labels, Vec<Sample>)>) -> Result<(), String> {
        self.loaded.load(series);
        self.loaded.store = Some(in_chunks(&self.loaded.series()).map_err(|e| e.to_string())?);
        Ok(())
    }

    async fn clear(&mut self) {
        self.loaded = Loaded::default();
    }

    async fn query(&mut self, text: &str, times: Times) -> Result<Answered, String> {
        if self.loaded.store.is_none() {
            self.loaded.store = Some(MemoryQueryable::new(Vec::new()).unwrap());
        }
        query(&self.engine, self.loaded.store.as_ref().unwrap(), text, times).await
    }
}

/// Samples in a TSDB block, converted to shards in an object store.
pub(crate) struct InParquet {
    engine: Engine,
    loaded: Loaded<ParquetQueryable>,
}

impl Default for InParquet {
    fn default() -> Self {
        Self { engine: engine(), loaded: Loaded::default() }
    }
}

#[async_trait]
impl Target for InParquet {
    async fn load(&mut self, series: Vec<(Labels, Vec<Sample>)>) -> Result<(), String> {
        self.loaded.load(series);
        Ok(())
    }

    async fn clear(&mut self) {
        self.loaded = Loaded::default();
    }

    async fn query(&mut self, text: &str, times: Times) -> Result<Answered, String> {
        if self.loaded.store.is_none() {
            let shards = converted(&self.loaded.series()).await;
            self.loaded.store = Some(ParquetQueryable::new(Arc::new(shards), QueryOptions::default()));
        }
        query(&self.engine, self.loaded.store.as_ref().unwrap(), text, times).await
    }
}

/// Writes series into a block, converts it, and opens the shards.
pub(crate) async fn converted(series: &[(Labels, Vec<Sample>)]) -> Vec<Arc<Shard>> {
    if series.is_empty() {
        return Vec::new();
    }
    let dir = tempfile::tempdir().unwrap();
    let meta = write_block(dir.path(), Ulid::from_parts(1, 1), series).unwrap();
    let block = BlockReader::open(Arc::new(LocalBlock::open(dir.path().join(meta.ulid.to_string())).unwrap())).unwrap();
    let bucket = Bucket::new(Arc::new(MemoryStore::new()), "memory://promqltest");
    let mut options = ConvertOptions::default();
    options.keep_start_timestamps = true;
    let name = options.name.clone();
    convert(vec![block], None, bucket.clone(), options, Arc::new(Control::default())).await.unwrap();
    let mut shards = Vec::new();
    while bucket.exists(&format!("{name}/{}.labels.parquet", shards.len())).await.unwrap() {
        let index = u32::try_from(shards.len()).unwrap();
        shards.push(Arc::new(Shard::open(&bucket, &name, index).await.unwrap()));
    }
    shards
}
