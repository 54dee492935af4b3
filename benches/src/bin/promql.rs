//! Evaluates the PromQL of a file over Parquet shards in a directory, and prints answers and costs as one line of JSON;
//! see compare.sh, whose other sides take the same arguments.

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Parser;
use futures::future::try_join_all;
use prometheus_promql::{Engine, EngineOptions, QueryRequest};
use promparquet_benches::{
    answers::AnswerSummary,
    process::{Times, forget_peak, peak_mib, repeat},
    selects::Result,
};
use promparquet_objstore::{BucketConfig, OpenFor};
use promparquet_query::{Options, ParquetQueryable};
use promparquet_shard::Shard;
use serde::{Deserialize, Serialize};

/// Evaluates PromQL over Parquet shards.
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
    /// Only the query of this name.
    #[arg(long)]
    only: Option<String>,
    /// First time of evaluation, in milliseconds.
    #[arg(long)]
    mint: i64,
    /// Last time of evaluation, in milliseconds.
    #[arg(long)]
    maxt: i64,
    /// Seconds between evaluations.
    #[arg(long, default_value = "60s", value_parser = seconds)]
    step: i64,
    /// Time to spend on repetitions of a query.
    #[arg(long, default_value = "500ms", value_parser = milliseconds)]
    budget: Duration,
    /// Threads of the engine; 0: one for each processor.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Say on standard error what each query did.
    #[arg(long)]
    explain: bool,
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix("ms").ok_or("must end with ms")?;
    number.parse().map(Duration::from_millis).map_err(|e| e.to_string())
}

fn seconds(text: &str) -> Result<i64, String> {
    text.strip_suffix('s').ok_or("must end with s")?.parse().map_err(|_| "must be a number of seconds".to_owned())
}

#[derive(Deserialize)]
struct QueryFile {
    queries: Vec<Query>,
}

#[derive(Deserialize)]
struct Query {
    name: String,
    query: String,
}

#[derive(Serialize)]
struct Report {
    side: &'static str,
    queries: Vec<Measured>,
}

/// What one query answered and cost.
#[derive(Serialize)]
struct Measured {
    name: String,
    #[serde(flatten)]
    answer: AnswerSummary,
    #[serde(flatten)]
    times: Times,
    rss_mib: f64,
}

#[expect(clippy::print_stdout, reason = "its one line of output")]
fn main() -> Result<()> {
    let report = tokio::runtime::Runtime::new()?.block_on(report(&Args::parse()))?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

#[expect(clippy::print_stderr, reason = "for people, beside the line of output")]
async fn report(args: &Args) -> Result<Report> {
    let file: QueryFile = serde_json::from_slice(&std::fs::read(&args.queries)?)?;
    let bucket = BucketConfig::filesystem(&args.dir).open(OpenFor::Reading)?;
    let shards = (0..args.shards).map(|i| Shard::open(&bucket, &args.name, i));
    let shards: Vec<_> = try_join_all(shards).await?.into_iter().map(Arc::new).collect();
    let store = ParquetQueryable::new(Arc::new(shards), Options::default());
    let mut options = EngineOptions::default();
    if args.threads > 0 {
        options.threads = args.threads;
    }
    let engine = Engine::new(options)?;
    let mut queries = Vec::new();
    for query in file.queries.into_iter().filter(|q| args.only.as_ref().is_none_or(|name| *name == q.name)) {
        let request = QueryRequest::range(&query.query, args.mint, args.maxt, 1000 * args.step);
        let mut summary = AnswerSummary::default();
        forget_peak()?;
        let times = repeat(args.budget, async || {
            let answer = engine.query(&store, &request).await.map_err(|e| format!("{}: {e}", query.name))?;
            summary = AnswerSummary::of(&answer.value)?;
            Ok(())
        })
        .await?;
        let rss_mib = peak_mib()?;
        if args.explain {
            let answer = engine.query(&store, &request).await?;
            eprintln!(
                "{}: {:?} of {:?} waiting\n{}",
                query.name, answer.stats.waiting, answer.stats.total, answer.explain
            );
        }
        queries.push(Measured { name: query.name, answer: summary, times, rss_mib });
    }
    Ok(Report { side: "ours", queries })
}
