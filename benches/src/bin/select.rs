//! Asks the queries of a file of Parquet shards in a directory, and prints answers and costs as one line of JSON; see
//! compare.sh, whose other side takes the same arguments.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Parser;
use futures::future::try_join_all;
use object_store::local::LocalFileSystem;
use prometheus_model::TimeRange;
use promparquet_benches::{
    process::{Times, ms, repeat},
    selects::{Answer, Query, QueryFile, Result, sum_up},
    traffic::{Far, Traffic},
};
use promparquet_objstore::{Bucket, BucketConfig, OpenFor};
use promparquet_query::{Explain, Options, ParquetQueryable};
use promparquet_shard::Shard;
use promparquet_testkit::stores::Tapped;
use serde::Serialize;

/// Asks queries of Parquet shards.
#[derive(Parser)]
struct Args {
    /// Directory that stands for the bucket.
    #[arg(long)]
    dir: PathBuf,
    /// Name of the shards.
    #[arg(long)]
    name: String,
    /// How many shards there are.
    #[arg(long, default_value_t = 1)]
    shards: u32,
    /// File of queries.
    #[arg(long)]
    queries: PathBuf,
    /// Only queries for the block of this name.
    #[arg(long)]
    block: Option<String>,
    /// Only the query of this name.
    #[arg(long)]
    only: Option<String>,
    /// First millisecond of the block.
    #[arg(long)]
    mint: i64,
    /// End of the block, exclusive.
    #[arg(long)]
    maxt: i64,
    /// Latency of each request, such as 20ms, for another run of each query. 0ms: no such run.
    #[arg(long, default_value = "0ms", value_parser = milliseconds)]
    latency: Duration,
    /// Time to spend on repetitions of a query.
    #[arg(long, default_value = "500ms", value_parser = milliseconds)]
    budget: Duration,
    /// Threads that decode: 1, or anything else for all processors.
    #[arg(long, default_value_t = 0)]
    decoders: usize,
    /// Say on standard error what each query did.
    #[arg(long)]
    explain: bool,
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix("ms").ok_or("must end with ms")?;
    number.parse().map(Duration::from_millis).map_err(|e| e.to_string())
}

#[derive(Serialize)]
struct Report {
    side: &'static str,
    open: Opening,
    queries: Vec<Measured>,
}

/// What it costs to open the shards.
#[derive(Serialize)]
struct Opening {
    warm: Times,
    far: Option<Traffic>,
}

/// What one query answered and cost, with shards that are opened for it (cold) and that are open (warm).
#[derive(Serialize)]
struct Measured {
    name: String,
    series: u64,
    samples: u64,
    checksum: String,
    cold: Times,
    warm: Times,
    far: Option<Traffic>,
}

#[expect(clippy::print_stdout, reason = "its one line of output")]
fn main() -> Result<()> {
    let report = tokio::runtime::Runtime::new()?.block_on(report(&Args::parse()))?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

async fn open(args: &Args, bucket: &Bucket) -> Result<ParquetQueryable> {
    let shards = (0..args.shards).map(|i| Shard::open(bucket, &args.name, i));
    let shards: Vec<_> = try_join_all(shards).await?.into_iter().map(Arc::new).collect();
    Ok(ParquetQueryable::new(Arc::new(shards), Options::default()))
}

async fn report(args: &Args) -> Result<Report> {
    let file: QueryFile = serde_json::from_slice(&std::fs::read(&args.queries)?)?;
    let block = TimeRange::new(args.mint, args.maxt)?;
    let near = BucketConfig::filesystem(&args.dir).open(OpenFor::Reading)?;
    let tapped = Tapped::new(Arc::new(LocalFileSystem::new_with_prefix(&args.dir)?), Far::new(&args.dir, args.latency));
    let tap = Arc::clone(tapped.tap());
    let far = Bucket::new(Arc::new(tapped), "far://bucket");

    let warm = repeat(args.budget, async || open(args, &near).await.map(drop)).await?;
    let kept = open(args, &near).await?;
    let begin = Instant::now();
    let remote = open(args, &far).await?;
    let far_open = Traffic { ms: ms(begin.elapsed()), ..tap.take() };

    let wanted = |q: &Query| {
        args.block.as_ref().is_none_or(|name| *name == q.block) && args.only.as_ref().is_none_or(|name| *name == q.name)
    };
    let mut queries = Vec::new();
    for query in file.queries.iter().filter(|q| wanted(q)) {
        let mut answers = Vec::new();
        let in_turn = args.decoders == 1;
        let warm = repeat(args.budget, async || {
            answers.push(query.ask(&kept, block, in_turn).await?);
            Ok(())
        })
        .await?;
        let cold = repeat(args.budget, async || {
            answers.push(query.ask(&open(args, &near).await?, block, in_turn).await?);
            Ok(())
        })
        .await?;
        let far = if args.latency.is_zero() {
            None
        } else {
            let begin = Instant::now();
            answers.push(query.ask(&remote, block, in_turn).await?);
            Some(Traffic { ms: ms(begin.elapsed()), ..tap.take() })
        };
        if args.explain {
            answers.extend(explain(query, &kept, block, "near").await?);
            answers.extend(explain(query, &remote, block, "far").await?);
            tap.take();
        }
        let Answer { series, samples, checksum } = same(query, &answers)?;
        let (name, checksum) = (query.name.clone(), format!("{checksum:016x}"));
        queries.push(Measured { name, series, samples, checksum, cold, warm, far });
    }
    Ok(Report { side: "ours", open: Opening { warm, far: Some(far_open) }, queries })
}

/// Asks once more, and says what was done.
#[expect(clippy::print_stderr, reason = "for people, beside the line of output")]
async fn explain(query: &Query, store: &ParquetQueryable, block: TimeRange, from: &str) -> Result<Option<Answer>> {
    let range = query.range(block)?;
    let Some(hints) = query.hints(range) else { return Ok(None) };
    let (begin, explain) = (Instant::now(), Explain::default());
    let querier = store.parquet_querier(range).await?;
    let set = querier.select_explained(&query.matchers()?, &hints, &explain)?;
    let answer = sum_up(set, false).await?;
    eprintln!("{} ({from}): {:.2} ms, with decoding", query.name, ms(begin.elapsed()));
    explain.shards().iter().for_each(|shard| eprintln!("{shard}"));
    Ok(Some(answer))
}

fn same(query: &Query, answers: &[Answer]) -> Result<Answer> {
    let first = answers.first().copied().unwrap_or_default();
    match answers.iter().find(|answer| **answer != first) {
        Some(other) => Err(format!("{}: two runs answer differently: {first} and {other}", query.name).into()),
        None => Ok(first),
    }
}
