//! Stores that fail, truncate and are slow: a typed error or the right answer, never a part of it.

use std::{sync::Arc, time::Duration};

use object_store::{ObjectStore, memory::InMemory};
use prometheus_model::TimeRange;
use prometheus_queryable::{ErrorKind, Matcher, Queryable as _, SelectHints};
use promparquet_convert::Options as ConvertOptions;
use promparquet_objstore::Bucket;
use promparquet_query::Options;
use promparquet_shard::Shard;
use promparquet_testkit::{
    blocks::BlockSpec,
    stores::{FailingStore, Failures, Fault, Latency, LatencyStore, Operation, Recording, RecordingStore, Rule},
};

use crate::shards::{NAME, Series, collect, convert_block, queryable, runtime};

async fn shard_in_memory() -> Arc<InMemory> {
    let (memory, dir) = (Arc::new(InMemory::new()), tempfile::tempdir().unwrap());
    let block = BlockSpec::new(200).duration_ms(3_600_000).interval_ms(60_000).write(dir.path()).unwrap();
    convert_block(&Bucket::new(Arc::<InMemory>::clone(&memory), "memory://test"), &block, ConvertOptions::default())
        .await;
    memory
}

async fn ask(store: Arc<dyn ObjectStore>) -> Result<Series, ErrorKind> {
    let bucket = Bucket::new(store, "memory://faulty");
    let shard = Shard::open(&bucket, NAME, 0).await.map_err(|e| match e.kind() {
        promparquet_shard::ErrorKind::Unavailable => ErrorKind::Unavailable,
        promparquet_shard::ErrorKind::NotFound => ErrorKind::NotFound,
        promparquet_shard::ErrorKind::Corrupt => ErrorKind::Corrupt,
        other => panic!("{other:?}: {e}"),
    })?;
    let mut options = Options::default();
    options.window_bytes = std::num::NonZeroU64::new(20_000).unwrap();
    let querier = queryable(vec![Arc::new(shard)], options).querier(TimeRange::ALL).await.unwrap();
    let matchers = [Matcher::equal("__name__", "http_request_duration_seconds_bucket")];
    let set = querier.select(&matchers, &SelectHints::new(TimeRange::ALL)).await.map_err(|e| e.kind())?;
    collect(set).await.map_err(|e| e.kind())
}

#[test]
fn failing_on_every_call() {
    runtime().block_on(async {
        let memory = shard_in_memory().await;
        let right = ask(Arc::<InMemory>::clone(&memory)).await.unwrap();
        assert!(right.len() > 10);
        for (fault, expected) in [
            (Fault::Unavailable, ErrorKind::Unavailable),
            (Fault::NotFound, ErrorKind::NotFound),
            (Fault::Truncated(1), ErrorKind::Corrupt),
        ] {
            let mut failed = 0;
            for call in 0.. {
                // The first read is tried another way, in case the store cannot count from the end.
                let rules = [Rule::new(fault).on(Operation::Get).after(call).times(3)];
                let store = FailingStore::new(Arc::<InMemory>::clone(&memory), Failures::new(rules));
                match ask(Arc::new(store)).await {
                    Ok(answer) => {
                        assert_eq!(answer, right, "{fault:?} after {call} calls");
                        if call > 200 {
                            break;
                        }
                    }
                    Err(kind) => {
                        assert!(kind == expected || kind == ErrorKind::Unavailable, "{fault:?} after {call}: {kind:?}");
                        failed += 1;
                    }
                }
            }
            assert!(failed >= 4, "{fault:?} failed only {failed} times");
        }
    });
}

#[test]
fn dropping_a_set_stops_reading() {
    runtime().block_on(async {
        let memory = shard_in_memory().await;
        let slow = Arc::new(LatencyStore::new(memory, Latency(Duration::from_millis(5))));
        let recording = RecordingStore::new(slow, Recording::default());
        let calls = Arc::clone(recording.tap());
        let bucket = Bucket::new(Arc::new(recording), "memory://slow");
        let shard = Arc::new(Shard::open(&bucket, NAME, 0).await.unwrap());
        let mut options = Options::default();
        options.window_bytes = std::num::NonZeroU64::MIN;
        options.window_series = std::num::NonZeroU32::MIN;
        let querier = queryable(vec![shard], options).querier(TimeRange::ALL).await.unwrap();
        let mut set = querier.select(&[], &SelectHints::new(TimeRange::ALL)).await.unwrap();
        set.next().await.unwrap().unwrap();
        let before = calls.calls().len();
        tokio::time::sleep(Duration::from_millis(100)).await;
        // Back-pressure: what nobody takes is not read, but for a window that waits and the one after it.
        assert!(calls.calls().len() <= before + 4, "{} calls, then {}", before, calls.calls().len());
        drop(set);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let after = calls.calls().len();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(calls.calls().len(), after);
    });
}
