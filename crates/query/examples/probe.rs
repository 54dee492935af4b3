use prometheus_model::TimeRange;
use prometheus_queryable::*;
use promparquet_objstore::*;
use promparquet_query::*;
use promparquet_shard::Shard;
use rayon::prelude::*;
use std::{sync::Arc, time::Instant};

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let bucket = BucketConfig::filesystem(&args[1]).open(OpenFor::Reading).unwrap();
    let name = args[2].clone();
    let matchers: Vec<Matcher> = args[3..]
        .iter()
        .filter(|a| !a.starts_with("--"))
        .map(|a| {
            for (t, op) in
                [("!~", MatchOp::NotRegex), ("=~", MatchOp::Regex), ("!=", MatchOp::NotEqual), ("=", MatchOp::Equal)]
            {
                if let Some((n, v)) = a.split_once(t) {
                    return Matcher::new(n, op, v).unwrap();
                }
            }
            panic!()
        })
        .collect();
    let series_only = args.iter().any(|a| a == "--series");
    let last30 = args.iter().any(|a| a == "--last30");
    for i in 0..6 {
        let t0 = Instant::now();
        let shard = Arc::new(Shard::open(&bucket, &name, 0).await.unwrap());
        let opened = t0.elapsed();
        let max = shard.data_columns().max_time();
        let q = ParquetQueryable::new(Arc::new(vec![shard]), Options::default());
        let range = if last30 { TimeRange::new(max - 1_800_000, max + 1).unwrap() } else { TimeRange::ALL };
        let querier = q.parquet_querier(TimeRange::ALL).await.unwrap();
        let mut hints = SelectHints::new(range);
        hints.series_only = series_only;
        let explain = Explain::default();
        let t1 = Instant::now();
        let mut set = querier.select_explained(&matchers, &hints, &explain).unwrap();
        let (mut series, mut samples) = (0, 0);
        while let Some(batch) = set.next().await.unwrap() {
            series += batch.len();
            let decode = |batch: &[Series]| {
                let mut c = SampleColumns::default();
                let mut n = 0usize;
                for s in batch {
                    c.clear();
                    s.decode_into(&mut c).unwrap();
                    n += c.len();
                }
                n
            };
            samples += if batch.len() > 16 { batch.par_chunks(64).map(decode).sum::<usize>() } else { decode(&batch) };
        }
        println!(
            "open {:.2} ms, select {:.2} ms, {series} series {samples} samples",
            opened.as_secs_f64() * 1e3,
            t1.elapsed().as_secs_f64() * 1e3
        );
        if i == 5 {
            println!("{}", explain.shards()[0]);
        }
    }
}
