//! How the cost of queries grows with series and with steps, up to a million series. Prints a table.
//!
//! The store makes series as they are asked for, from a few chunks, so that what is measured is the engine: decoding,
//! evaluation, results.

#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::{sync::Arc, time::Instant};

use clap::Parser;
use prometheus_chunks::{Encoding, XorEncoder};
use prometheus_model::{Labels, LabelsBuilder, TimeRange};
use prometheus_promql::{Engine, EngineOptions, QueryRequest, QueryTimes, QueryValue};
use prometheus_queryable::{
    Chunk, LabelHints, LabelStrings, Matcher, Querier, Queryable, Result, SelectHints, Series, SeriesData, SeriesSet,
};

const SAMPLES: i64 = 240;
const INTERVAL_MS: i64 = 15_000;
/// Series given at a time.
const BATCH: usize = 512;

/// Queries, with whether their results are groups.
const QUERIES: [&str; 4] =
    ["sum by (zone) (m_total)", "sum by (zone) (rate(m_total[5m]))", "m_total * 2", "topk(10, rate(m_total[5m]))"];

/// Growth of the cost of queries.
#[derive(Parser, Debug)]
struct Args {
    /// Numbers of series
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000, 1_000_000])]
    series: Vec<usize>,
    /// Numbers of steps; 1 is an instant query
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 60])]
    steps: Vec<i64>,
}

#[derive(Clone, Debug)]
struct Made {
    series: usize,
    chunks: Arc<Vec<Chunk>>,
}

#[derive(Debug)]
struct Set {
    made: Made,
    next: usize,
    range: TimeRange,
}

#[async_trait::async_trait]
impl Queryable for Made {
    async fn querier(&self, _: TimeRange) -> Result<Box<dyn Querier>> {
        Ok(Box::new(self.clone()))
    }
}

#[async_trait::async_trait]
impl Querier for Made {
    async fn select(&self, _: &[Matcher], hints: &SelectHints) -> Result<Box<dyn SeriesSet>> {
        Ok(Box::new(Set { made: self.clone(), next: 0, range: hints.range }))
    }

    async fn label_names(&self, _: &[Matcher], _: &LabelHints) -> Result<LabelStrings> {
        Ok(LabelStrings::default())
    }

    async fn label_values(&self, _: &str, _: &[Matcher], _: &LabelHints) -> Result<LabelStrings> {
        Ok(LabelStrings::default())
    }
}

fn labels(builder: &mut LabelsBuilder, i: usize) -> Labels {
    let (pod, zone) = (format!("pod-{i:07}"), format!("zone-{}", i % 10));
    for (name, value) in [("__name__", "m_total"), ("job", "api"), ("pod", &pod), ("zone", &zone)] {
        let pushed = builder.push(name, value);
        debug_assert!(pushed.is_ok(), "names are in order");
    }
    builder.finish()
}

#[async_trait::async_trait]
impl SeriesSet for Set {
    async fn next(&mut self) -> Result<Option<Vec<Series>>> {
        let end = self.made.series.min(self.next + BATCH);
        let mut builder = LabelsBuilder::default();
        let batch = (self.next..end).map(|i| {
            let chunk = self.made.chunks.get(i % self.made.chunks.len()).cloned();
            let data = SeriesData::Chunks(chunk.into_iter().collect());
            Series { labels: labels(&mut builder, i), hash: None, range: self.range, data }
        });
        let batch: Vec<_> = batch.collect();
        self.next = end;
        Ok((!batch.is_empty()).then_some(batch))
    }
}

fn chunk(seed: i64) -> Chunk {
    let mut encoder = XorEncoder::new();
    let mut value = 0;
    for i in 0..SAMPLES {
        value += (seed * 7 + i * i) % 23;
        let pushed = encoder.push(INTERVAL_MS * i, value as f64);
        debug_assert!(pushed.is_ok(), "few samples");
    }
    let data = encoder.bytes().to_vec().into();
    Chunk { encoding: Encoding::Xor, min_time: 0, max_time: INTERVAL_MS * (SAMPLES - 1), data }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let chunks = Arc::new((0..16).map(chunk).collect::<Vec<_>>());
    let engine =
        Engine::new(EngineOptions { max_samples: u64::MAX, max_memory: 16 << 30, ..EngineOptions::default() })?;
    println!("| Query | Series | Steps | ms | Samples read, M/s | Memory of the engine, MiB | Result: series |");
    println!("|---|---|---|---|---|---|---|");
    for query in QUERIES {
        for &series in &args.series {
            for &steps in &args.steps {
                let store = Made { series, chunks: Arc::clone(&chunks) };
                let end = INTERVAL_MS * (SAMPLES - 1);
                let start = end - (steps - 1) * 60_000;
                let times = if steps == 1 {
                    QueryTimes::Instant(end)
                } else {
                    QueryTimes::Range { start: start.max(0), end, step_ms: 60_000 }
                };
                let request = QueryRequest { times, ..QueryRequest::instant(query, 0) };
                let begin = Instant::now();
                let answer = futures::executor::block_on(engine.query(&store, &request))?;
                let elapsed = begin.elapsed();
                let results = match &answer.value {
                    QueryValue::Vector(vector) => vector.len(),
                    QueryValue::Matrix(matrix) => matrix.len(),
                    _ => 1,
                };
                println!(
                    "| `{query}` | {series} | {steps} | {:.1} | {:.0} | {:.1} | {results} |",
                    elapsed.as_secs_f64() * 1e3,
                    answer.stats.samples_read as f64 / elapsed.as_secs_f64() / 1e6,
                    answer.stats.peak_bytes as f64 / f64::from(1 << 20),
                );
            }
        }
    }
    Ok(())
}
