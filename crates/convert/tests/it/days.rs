//! Days of thanos-parquet-gateway: all their rows, and blocks made of them.

use std::{num::NonZeroUsize, sync::Arc};

use prometheus_model::{Labels, Sample};
use promparquet_convert::{Control, ExportOptions, export_tsdb};
use promparquet_objstore::Bucket;
use promparquet_schema::{
    Layout,
    day::{self, DAY_MS, DayMeta},
};
use promparquet_shard::{OpenOptions, ScanOptions, Shard};
use promparquet_testkit::{
    blocks::BlockSpec,
    days::{DayOptions, stream},
};

use crate::fixtures::{Series, assert_same, block_series, memory_bucket, open_block, runtime};

const MIDNIGHT: i64 = 20_089 * DAY_MS;

/// Two hours around midnight, with histograms, and a sample at midnight itself.
fn series() -> Vec<(Labels, Vec<Sample>)> {
    let spec = BlockSpec::small().series_count(60).start(MIDNIGHT - 3_600_000).duration_ms(7_200_000);
    let mut series: Vec<_> = spec.oracle().filter(|(_, samples)| !samples.is_empty()).collect();
    for (_, samples) in &mut series {
        if let Err(at) = samples.binary_search_by_key(&MIDNIGHT, |sample| sample.timestamp)
            && let Some(next) = samples.get(at).cloned()
        {
            samples.insert(at, Sample { timestamp: MIDNIGHT, ..next });
        }
    }
    series
}

async fn days(bucket: &Bucket, series: &[(Labels, Vec<Sample>)], options: &DayOptions) -> Vec<(i64, Vec<Arc<Shard>>)> {
    let objects = stream(series, &Labels::default(), options);
    for (key, bytes) in &objects {
        bucket.put(key, bytes.clone()).await.unwrap();
    }
    let mut days = Vec::new();
    for (key, bytes) in &objects {
        let Some(date) = key.strip_suffix("/meta.pb") else { continue };
        let meta = DayMeta::decode(bytes, day::start_of_directory(date).unwrap()).unwrap();
        let mut shards = Vec::new();
        for index in 0..meta.shards {
            let options = OpenOptions { layout: Layout::Day(meta.day), ..OpenOptions::default() };
            let shard = Shard::open_with(bucket, &format!("0/{date}"), index, options).await.unwrap();
            shards.push(Arc::new(shard));
        }
        days.push((meta.day.start(), shards));
    }
    days
}

fn within(series: &[(Labels, Vec<Sample>)], times: std::ops::Range<i64>) -> Series {
    let of = |samples: &[Sample]| samples.iter().filter(|s| times.contains(&s.timestamp)).cloned().collect::<Vec<_>>();
    let all = series.iter().map(|(labels, samples)| (labels.clone(), of(samples)));
    all.filter(|(_, samples)| !samples.is_empty()).collect()
}

fn option_sets() -> Vec<DayOptions> {
    let small = DayOptions { row_group_rows: 7, shard_rows: 20, page_rows: 3, ..DayOptions::default() };
    vec![
        DayOptions::default(),
        DayOptions { version: 1, sort_label: "job".into(), ..small.clone() },
        DayOptions { version: 0, chunk_samples: 50, ..small },
        DayOptions { version: 0, ..DayOptions::default() },
    ]
}

#[test]
fn all_rows_are_read() {
    let series = series();
    for options in option_sets() {
        runtime().block_on(async {
            for (_, shards) in days(&memory_bucket(), &series, &options).await {
                let mut rows = 0;
                for shard in shards {
                    let mut scan = shard.scan(ScanOptions { batch_rows: 4, ..ScanOptions::default() });
                    while let Some(batch) = scan.next().await.unwrap() {
                        rows += batch.len();
                        for labels in batch.labels() {
                            assert!(series.iter().any(|(known, _)| known == labels), "{labels}");
                        }
                    }
                }
                assert!(rows >= 50, "{rows} rows");
            }
        });
    }
}

/// Each day becomes a block of exactly its samples: those of the next midnight, which it has, too, are the next day's.
#[test]
fn days_become_blocks() {
    let series = series();
    let external = Labels::from_pairs([("zone", "a")]).unwrap();
    for options in option_sets() {
        let out = tempfile::tempdir().unwrap();
        runtime().block_on(async {
            let days = days(&memory_bucket(), &series, &options).await;
            assert_eq!(days.len(), 2);
            let mut ulids = Vec::new();
            for (start, shards) in days {
                let mut export = ExportOptions::default();
                export.memory_bytes = NonZeroUsize::new(64 << 10).unwrap();
                export.external_labels = external.clone();
                let count = shards.len();
                let report = export_tsdb(shards, out.path().into(), export, Arc::new(Control::default())).await;
                let report = report.unwrap_or_else(|e| panic!("{options:?}: {e}"));
                assert_eq!(report.shards, count);
                let block = open_block(&out.path().join(report.meta.ulid.to_string()));
                let expected = within(&series, start..start + DAY_MS);
                assert_same(&block_series(&block), &expected, false, &format!("{options:?}"));
                assert_eq!((block.meta().min_time, block.meta().max_time), (start, start + DAY_MS));
                assert_eq!(block.meta().stats.num_series, expected.len() as u64);
                assert!(block.meta().external_labels().eq([("zone", "a")]));
                block.check_index(1 << 20).unwrap();
                ulids.push(report.meta.ulid);
            }
            assert_ne!(ulids[0], ulids[1]);
        });
    }
}
