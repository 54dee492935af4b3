//! Catalogs that are asked for some time only.

use promparquet_schema::day::DAY_MS;
use promparquet_testkit::days::{DayOptions, stream};

use super::*;

const DAY: i64 = 20_000;

/// One series with a sample every hour of two days.
fn two_days() -> Vec<(Labels, Vec<Sample>)> {
    let value = |timestamp| prometheus_model::Value::Float(timestamp as f64);
    let sample = |timestamp| Sample { timestamp, start_timestamp: 0, value: value(timestamp) };
    let samples = (0..47).map(|i| sample(DAY * DAY_MS + HOUR * i + 1)).collect();
    vec![(Labels::from_pairs([("__name__", "up")]).unwrap(), samples)]
}

#[tokio::test]
async fn sets_of_other_times_are_not_opened() {
    let store = RecordingStore::new(Arc::new(InMemory::new()), Recording::default());
    let calls = Arc::clone(store.tap());
    let bucket = Bucket::new(Arc::new(store), "memory://recorded");
    let mut blocks = Vec::new();
    for n in 1..=3 {
        let dir = tempfile::tempdir().unwrap();
        let block = spec(n).write(dir.path()).unwrap();
        add_block(&bucket, &block, Ulid(n)).await;
        // Nothing but its shards says when the samples of the third are.
        if n < 3 {
            let meta = std::fs::read(block.join("meta.json")).unwrap();
            bucket.put(&format!("{}/meta.json", Ulid(n)), meta.into()).await.unwrap();
        }
        blocks.push(spec(n).oracle().collect::<SeriesMap>());
    }
    for (key, bytes) in stream(&two_days(), &Labels::default(), &DayOptions::default()) {
        bucket.put(&key, bytes).await.unwrap();
    }
    let first_day = TimeRange::new(DAY * DAY_MS + 2 * HOUR, DAY * DAY_MS + 3 * HOUR).unwrap();
    for (times, open) in [
        (TimeRange::new(HOUR, HOUR + 1).unwrap(), vec!["00000000000000000000000001", "00000000000000000000000003"]),
        (TimeRange::new(HOUR + HOUR / 2, 2 * HOUR).unwrap(), vec!["00000000000000000000000003"]),
        (first_day, vec!["0/2024-10-04", "00000000000000000000000003"]),
    ] {
        calls.take();
        let catalog = Catalog::new(bucket.clone(), CatalogOptions { times, ..CatalogOptions::default() });
        assert_eq!(catalog.sync(0).await.unwrap().open, open.len(), "{times:?}");
        let snapshot = catalog.snapshot();
        let is_open = |set: &&SetInfo| matches!(set.state, SetState::Open);
        assert_eq!(snapshot.sets().filter(is_open).map(|set| &*set.name).collect::<Vec<_>>(), open, "{times:?}");
        assert_eq!(snapshot.sets().filter(|set| matches!(set.state, SetState::OutOfTime)).count(), 5 - open.len());
        let read = calls.take();
        let closed = snapshot.sets().filter(|set| !is_open(set)).map(|set| set.name.trim_start_matches("0/"));
        for name in closed {
            let of_set = read.iter().filter(|call| call.operation == Operation::Get && call.key.contains(name));
            assert!(of_set.clone().all(|call| call.key.ends_with(".json")), "{:?}", of_set.collect::<Vec<_>>());
        }
        assert_eq!(catalog.sync(0).await.unwrap(), SyncReport { open: open.len(), ..SyncReport::default() });
    }

    let times = TimeRange::new(HOUR, 2 * HOUR).unwrap();
    let catalog = Catalog::new(bucket, CatalogOptions { times, ..CatalogOptions::default() });
    catalog.sync(0).await.unwrap();
    assert_same(&ask(&catalog, times).await.unwrap().series, &blocks[0]);
    // Not what it was made for: there is no answer without those that were left out.
    assert_eq!(ask(&catalog, TimeRange::ALL).await.err().unwrap().kind(), ErrorKind::NotFound);
}
