//! Random queries mean the same over Parquet as over memory; `promql_judge` asks Prometheus the same ones over memory.

use std::sync::Arc;

use prometheus_promql::Engine;
use promparquet_query::{Options, ParquetQueryable};
use promparquet_testkit::{
    differential::{Dialect, Evaluation, Strictness, differences, request, series},
    memory::in_chunks,
};

use crate::{runtime, targets::converted};

/// Compares the answers to `count` queries of a seed.
fn compare(seed: u64, count: u64) {
    let data = series(seed, Dialect::Prometheus3).unwrap();
    let memory = in_chunks(&data).unwrap();
    runtime().block_on(async {
        let parquet = ParquetQueryable::new(Arc::new(converted(&data).await), Options::default());
        let (mut empty, mut errors) = (0, 0);
        for number in 0..count {
            let random = request(seed, number, Dialect::Prometheus3);
            let engine = Engine::new(random.settings.engine_options()).unwrap();
            let asked = random.query_request();
            let expected = Evaluation::of(&asked, engine.query(&memory, &asked).await);
            let found = Evaluation::of(&asked, engine.query(&parquet, &asked).await);
            let difference = differences(&random.query, &found, &expected, Strictness::All);
            assert_eq!(difference, None, "seed {seed}, query {number}: {}", random.query);
            errors += u64::from(!expected.error_class.is_empty());
            empty += u64::from(expected.error_class.is_empty() && expected.series.is_empty());
        }
        assert!((empty + errors) * 3 < count * 2, "{empty} empty, {errors} errors of {count}");
    });
}

#[test]
fn parquet_answers_as_memory() {
    let of = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (first, seeds, count) = (of("PROMQL_SEED", 1), of("PROMQL_SEEDS", 4), of("PROMQL_COUNT", 1_000));
    (first..first + seeds).for_each(|seed| compare(seed, count));
}
