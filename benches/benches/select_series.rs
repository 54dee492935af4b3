//! How long does a select from open shards on local disk take, by what it selects? Samples are decoded on all processors.
//! Against other readers: `compare.sh select`.
#![expect(clippy::unwrap_used, reason = "benchmark")]

use std::{hint::black_box, sync::Arc};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prometheus_model::{Labels, METRIC_NAME, TimeRange};
use prometheus_queryable::{MatchOp, Matcher, Queryable as _, SelectHints};
use prometheus_tsdb_block::{BlockReader, LocalBlock};
use promparquet_benches::selects::{Answer, sum_up};
use promparquet_convert::{Control, Options as ConvertOptions, convert};
use promparquet_objstore::{BucketConfig, OpenFor};
use promparquet_query::{Options, ParquetQueryable};
use promparquet_shard::Shard;
use promparquet_testkit::blocks::BlockSpec;
use tokio::runtime::Runtime;

const METRIC: &str = "http_requests_total";
const NAME: &str = "block";

async fn store(spec: &BlockSpec, directory: &std::path::Path) -> ParquetQueryable {
    let block = spec.write(directory.join("tsdb")).unwrap();
    let block = BlockReader::open(Arc::new(LocalBlock::open(&block).unwrap())).unwrap();
    let bucket = BucketConfig::filesystem(directory.join("parquet")).open(OpenFor::Writing).unwrap();
    let mut options = ConvertOptions::default();
    options.name = NAME.into();
    convert(vec![block], None, bucket.clone(), options, Arc::new(Control::default())).await.unwrap();
    let shard = Shard::open(&bucket, NAME, 0).await.unwrap();
    ParquetQueryable::new(Arc::new(vec![Arc::new(shard)]), Options::default())
}

fn equal(labels: &Labels, names: &[&str]) -> Vec<Matcher> {
    names.iter().map(|name| Matcher::equal(*name, labels.get(name).unwrap())).collect()
}

fn selects(c: &mut Criterion) {
    let spec = BlockSpec::new(50_000).odd_series(false);
    let block = TimeRange::new(spec.oracle().next().unwrap().1.first().unwrap().timestamp, spec.end()).unwrap();
    let one = spec.oracle().map(|(labels, _)| labels).find(|labels| labels.get(METRIC_NAME) == Some(METRIC)).unwrap();
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let store = runtime.block_on(store(&spec, directory.path()));
    let end = TimeRange::new(spec.end() - 30 * 60_000, spec.end()).unwrap();

    let all = vec![Matcher::new(METRIC_NAME, MatchOp::Regex, ".+").unwrap()];
    let names: Vec<_> = one.iter().map(|(name, _)| name).collect();
    let questions = [
        ("one series", equal(&one, &names), SelectHints::new(block)),
        ("a metric", equal(&one, &[METRIC_NAME]), SelectHints::new(block)),
        ("a metric, last 30 min", equal(&one, &[METRIC_NAME]), SelectHints::new(end)),
        ("a metric, labels only", equal(&one, &[METRIC_NAME]), SelectHints::series_only(block)),
        ("a pod", equal(&one, &["pod"]), SelectHints::new(block)),
        ("all", all, SelectHints::new(block)),
    ];
    let mut group = c.benchmark_group("select_series");
    for (name, matchers, hints) in &questions {
        let ask = async || -> Answer {
            let querier = store.querier(hints.range).await.unwrap();
            sum_up(querier.select(matchers, hints).await.unwrap(), false).await.unwrap()
        };
        let answer = runtime.block_on(ask());
        assert!(answer.series > 0, "{name} selects nothing");
        group.throughput(Throughput::Elements(answer.samples.max(answer.series)));
        group.bench_function(*name, |b| b.iter(|| black_box(runtime.block_on(ask()))));
    }
    group.finish();
}

criterion_group! { name = benches; config = Criterion::default().sample_size(20); targets = selects }
criterion_main!(benches);
