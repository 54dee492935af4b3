//! Which subranges should the cache cut objects into? Asks the queries of a file of shards behind caches of several
//! sizes, and prints what is requested of the bucket then. What a hit takes is measured by `benches/cache_hit.rs`.
//!
//! Three rounds, as dashboards ask: every query as it stands; then of other stretches of time, which join the same pages to
//! other reads; then all of them again.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use clap::Parser;
use object_store::local::LocalFileSystem;
use prometheus_model::TimeRange;
use promparquet_benches::selects::{QueryFile, Result};
use promparquet_objstore::{Bucket, Cache, CacheConfig};
use promparquet_query::{Options, ParquetQueryable};
use promparquet_shard::Shard;
use promparquet_testkit::stores::{Call, Recording, RecordingStore};
use serde_json::Value;

/// Asks queries of shards behind caches.
#[derive(Parser)]
struct Args {
    /// Directory that stands for the bucket.
    #[arg(long)]
    dir: PathBuf,
    /// Name of the shards.
    #[arg(long)]
    name: String,
    /// File of queries.
    #[arg(long)]
    queries: PathBuf,
    /// Only queries for the block of this name.
    #[arg(long)]
    block: String,
    /// First millisecond of the block.
    #[arg(long)]
    mint: i64,
    /// End of the block, exclusive.
    #[arg(long)]
    maxt: i64,
    /// Memory of the caches in MiB.
    #[arg(long, default_values_t = [16_u64, 64, 512])]
    memory: Vec<u64>,
}

const SUBRANGES_KIB: [u64; 8] = [16, 32, 64, 128, 256, 512, 1024, 2048];
const MINUTES: [i64; 3] = [30, 60, 75];

fn main() -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(run(&Args::parse()))
}

#[expect(clippy::print_stdout, reason = "its output")]
async fn run(args: &Args) -> Result<()> {
    let file: Value = serde_json::from_slice(&std::fs::read(&args.queries)?)?;
    println!("{:>8} {:>8}  requests and MiB of each round", "memory", "subrange");
    for memory in &args.memory {
        let trace = rounds(args, &file, None).await?;
        println!("{memory:>8} {:>8}  {}", "none", shown(&trace.iter().map(|calls| cost(calls)).collect::<Vec<_>>()));
        println!("{memory:>8} {:>8}  {}", "exact", shown(&exact(&trace, memory << 20)));
        for kib in SUBRANGES_KIB {
            let config =
                CacheConfig { memory_bytes: memory << 20, subrange_bytes: kib << 10, ..CacheConfig::default() };
            let trace = rounds(args, &file, Some(&config)).await?;
            let costs: Vec<_> = trace.iter().map(|calls| cost(calls)).collect();
            println!("{memory:>8} {kib:>8}  {}", shown(&costs));
        }
    }
    Ok(())
}

/// What the bucket is asked in each round.
async fn rounds(args: &Args, file: &Value, config: Option<&CacheConfig>) -> Result<Vec<Vec<Call>>> {
    let store = RecordingStore::new(Arc::new(LocalFileSystem::new_with_prefix(&args.dir)?), Recording::default());
    let recording = Arc::clone(store.tap());
    let bucket = Bucket::new(Arc::new(store), "bench://bucket");
    let bucket = match config {
        Some(config) => bucket.cached(&Cache::open(config)?),
        None => bucket,
    };
    let block = TimeRange::new(args.mint, args.maxt)?;
    let mut rounds = Vec::new();
    let rounds_of_minutes: [&[i64]; 3] = [&[0], &MINUTES, &[0, 30, 60, 75]];
    for minutes in rounds_of_minutes {
        for minutes in minutes {
            let mut file = file.clone();
            for query in file["queries"].as_array_mut().into_iter().flatten() {
                if *minutes != 0 {
                    query["last_minutes"] = (*minutes).into();
                }
            }
            let file: QueryFile = serde_json::from_value(file)?;
            for query in file.queries.iter().filter(|query| query.block == args.block) {
                // Opened anew, so that nothing is kept decoded.
                let shard = Shard::open(&bucket, &args.name, 0).await?;
                let queryable = ParquetQueryable::new(Arc::new(vec![Arc::new(shard)]), Options::default());
                query.ask(&queryable, block, true).await?;
            }
        }
        rounds.push(recording.take());
    }
    Ok(rounds)
}

/// Requests and bytes. Requests for the end of an object, whose size is not looked up here, count as 64 KiB.
fn cost(calls: &[Call]) -> (usize, u64) {
    let length = |call: &Call| match call.ranges.first() {
        Some(range) if range.end != u64::MAX => range.end - range.start,
        _ => 64 << 10,
    };
    (calls.len(), calls.iter().map(length).sum())
}

/// The same with a cache of exactly the ranges that are asked for, the least recently used going first.
fn exact(rounds: &[Vec<Call>], max_bytes: u64) -> Vec<(usize, u64)> {
    let (mut kept, mut bytes, mut now) = (HashMap::<String, (u64, u64)>::new(), 0_u64, 0_u64);
    let mut missed = |call: &&Call| {
        now += 1;
        let key = call.to_string();
        if let Some((_, last)) = kept.get_mut(&key) {
            *last = now;
            return false;
        }
        let (_, length) = cost(std::slice::from_ref(*call));
        kept.insert(key, (length, now));
        bytes += length;
        while bytes > max_bytes {
            let Some((oldest, length)) =
                kept.iter().min_by_key(|(_, (_, last))| *last).map(|(k, (l, _))| (k.clone(), *l))
            else {
                break;
            };
            kept.remove(&oldest);
            bytes -= length;
        }
        true
    };
    rounds.iter().map(|calls| cost(&calls.iter().filter(&mut missed).cloned().collect::<Vec<_>>())).collect()
}

fn shown(costs: &[(usize, u64)]) -> String {
    costs.iter().map(|(requests, bytes)| format!("{requests:>8} {:>8.1}", *bytes as f64 / f64::from(1 << 20))).collect()
}
