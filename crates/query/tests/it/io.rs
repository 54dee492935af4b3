//! The exact ranges that selects read, kept as a snapshot: a change that reads more shows as a difference.
//!
//! `PROMPARQUET_UPDATE_SNAPSHOTS=1` writes the snapshot anew.

use std::{fmt::Write as _, path::Path, sync::Arc, sync::OnceLock};

use object_store::memory::InMemory;
use prometheus_model::{Labels, TimeRange};
use prometheus_queryable::{LabelHints, MatchOp, Matcher, Querier as _, SelectHints};
use promparquet_convert::Options as ConvertOptions;
use promparquet_objstore::Bucket;
use promparquet_query::{Explain, Options, ReadCosts};
use promparquet_shard::{FileKind, OpenOptions, Shard};
use promparquet_testkit::{
    blocks::BlockSpec,
    stores::{Call, Operation, Recording, RecordingStore},
};

use crate::shards::{NAME, collect, convert_block, matcher, queryable, runtime};

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/io_snapshot.txt");

struct Store {
    bucket: Bucket,
    /// The same, for other tests.
    unrecorded: Bucket,
    recording: Arc<Recording>,
    shard: Arc<Shard>,
    opening: Vec<Call>,
    /// Labels of the series whose pod and name the questions take.
    example: Labels,
    range: TimeRange,
}

fn store() -> &'static (tokio::runtime::Runtime, Store) {
    static STORE: OnceLock<(tokio::runtime::Runtime, Store)> = OnceLock::new();
    STORE.get_or_init(|| {
        let runtime = runtime();
        let store = runtime.block_on(async {
            let spec = BlockSpec::new(4000).duration_ms(4 * 3_600_000).interval_ms(60_000);
            let dir = tempfile::tempdir().unwrap();
            let memory = Arc::new(InMemory::new());
            let mut options = ConvertOptions::default();
            options.data_column_duration_ms = std::num::NonZeroU64::new(7_200_000).unwrap();
            let block = spec.write(dir.path()).unwrap();
            let unrecorded = Bucket::new(Arc::<InMemory>::clone(&memory), "memory://test");
            convert_block(&unrecorded, &block, options).await;
            let store = RecordingStore::new(memory, Recording::default());
            let recording = Arc::clone(store.tap());
            let bucket = Bucket::new(Arc::new(store), "memory://test");
            // So that no question profits from those before.
            let forgetful = OpenOptions { dictionary_bytes: 0, ..OpenOptions::default() };
            let shard = Arc::new(Shard::open_with(&bucket, NAME, 0, forgetful).await.unwrap());
            let opening = recording.take();
            let is_example = |labels: &Labels| labels.get("pod").is_some_and(|pod| pod.len() > 8) && labels.len() >= 5;
            let example = spec.oracle().map(|(labels, _)| labels).find(is_example).unwrap();
            let data = shard.data_columns();
            let range = TimeRange::new(data.min_time(), data.max_time() + 1).unwrap();
            Store { bucket, unrecorded, recording, shard, opening, example, range }
        });
        (runtime, store)
    })
}

/// The questions of the performance targets, on a smaller block.
fn questions(store: &Store) -> Vec<(&'static str, Vec<Matcher>, SelectHints)> {
    let value = |label: &str| store.example.get(label).unwrap();
    let equal = |label: &str| matcher(label, MatchOp::Equal, store.example.get(label).unwrap_or_default());
    let all = SelectHints::new(store.range);
    let last = TimeRange::new(store.range.end() - 1_800_000, store.range.end()).unwrap();
    let name = |op, value: &str| matcher("__name__", op, value);
    let prefix = format!("{}.*", &value("pod")[..value("pod").len() - 3]);
    let inside = format!(".*{}.*", &value("pod")[value("pod").len() - 4..]);
    let every_label = store.example.iter().map(|(name, value)| matcher(name, MatchOp::Equal, value)).collect();
    let metric = || vec![name(MatchOp::Equal, "http_request_duration_seconds_bucket")];
    vec![
        ("one series, all its labels", every_label, all.clone()),
        ("four matchers", ["__name__", "namespace", "pod", "container"].map(equal).into(), all.clone()),
        ("a metric", metric(), all.clone()),
        (
            "a metric and a prefix of pods",
            vec![equal("__name__"), matcher("pod", MatchOp::Regex, &prefix)],
            all.clone(),
        ),
        ("a pod, no name", vec![equal("pod")], all.clone()),
        ("text within pods", vec![matcher("pod", MatchOp::Regex, &inside)], all.clone()),
        ("a metric, last half hour", metric(), SelectHints::new(last)),
        ("a metric, labels only", metric(), SelectHints::series_only(store.range)),
        ("no such metric", vec![name(MatchOp::Equal, "no_such_metric")], all.clone()),
        ("everything", vec![name(MatchOp::Regex, ".+")], all),
    ]
}

#[test]
fn ranges_read() {
    let (runtime, store) = store();
    assert_eq!(store.opening.len(), 2, "{:?}", store.opening);
    let mut text = String::new();
    let shows = |call: &Call| call.to_string().replace(&u64::MAX.to_string(), "end");
    store.opening.iter().for_each(|call| writeln!(text, "open: {}", shows(call)).unwrap());
    let mut options = Options::default();
    options.read_costs = Some(ReadCosts::REMOTE);
    let queryable = queryable(vec![Arc::clone(&store.shard)], options);
    runtime.block_on(async {
        let querier = queryable.parquet_querier(store.range).await.unwrap();
        for (n, (what, matchers, hints)) in questions(store).into_iter().enumerate() {
            let explain = Explain::default();
            store.recording.take();
            let series = collect(querier.select_explained(&matchers, &hints, &explain).unwrap()).await.unwrap();
            let calls = store.recording.take();
            let shard = explain.shards().remove(0);
            writeln!(
                text,
                "\n{what}: {} series, {} round trips, {} requests, {} bytes",
                series.len(),
                shard.reads.len(),
                shard.requests(),
                shard.bytes()
            )
            .unwrap();
            // Round trips are what counts on a far store. Labels and the first chunks are read at the same time.
            assert!(n > 8 || shard.reads.len() <= 3 && shard.requests() <= 8, "{what}: {shard}");
            let mut told: Vec<_> = Vec::new();
            for read in &shard.reads {
                write!(text, "  {}:", read.stage).unwrap();
                for (file, range) in &read.requests {
                    let (key, short) = match file {
                        FileKind::Labels => (store.shard.labels_file().key(), "labels"),
                        FileKind::Chunks => (store.shard.chunks_file().key(), "chunks"),
                    };
                    told.push((key.to_owned(), range.clone()));
                    write!(text, " {short}[{}, {})", range.start, range.end).unwrap();
                }
                text.push('\n');
            }
            // What the explanation says is what the store saw.
            let seen = calls.into_iter().map(|call| {
                assert!(call.operation == Operation::Get && call.ranges.len() == 1, "{call}");
                (call.key, call.ranges[0].clone())
            });
            let mut seen: Vec<_> = seen.collect();
            told.sort_by(|a, b| (&a.0, a.1.start).cmp(&(&b.0, b.1.start)));
            seen.sort_by(|a, b| (&a.0, a.1.start).cmp(&(&b.0, b.1.start)));
            assert_eq!(told, seen, "{what}");
        }
        let name = [matcher("__name__", MatchOp::Equal, "kube_pod_info")];
        let asked: [(&str, &[Matcher]); 2] = [("values of a label", &[]), ("values of a label, one matcher", &name)];
        for (what, matchers) in asked {
            store.recording.take();
            let values = querier.label_values("node", matchers, &LabelHints::default()).await.unwrap();
            writeln!(text, "\n{what}: {} values", values.strings.len()).unwrap();
            let mut calls: Vec<_> = store.recording.take().iter().map(shows).collect();
            calls.sort();
            calls.iter().for_each(|call| writeln!(text, "  {call}").unwrap());
        }
    });
    if std::env::var_os("PROMPARQUET_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(SNAPSHOT, &text).unwrap();
    }
    let expected = std::fs::read_to_string(Path::new(SNAPSHOT)).unwrap_or_default();
    for (found, expected) in text.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(text.lines().count(), expected.lines().count());
    assert!(store.bucket.to_string().starts_with("memory"));
}

/// Asked again, a question finds the dictionaries decoded, has the same answer, and reads less.
#[test]
fn dictionaries_are_read_once() {
    let (runtime, store) = store();
    runtime.block_on(async {
        let shard = Arc::new(Shard::open(&store.unrecorded, NAME, 0).await.unwrap());
        let queryable = queryable(vec![Arc::clone(&shard)], Options::default());
        let querier = queryable.parquet_querier(store.range).await.unwrap();
        for (what, matchers, hints) in questions(store) {
            let ask = async || {
                let explain = Explain::default();
                let series = collect(querier.select_explained(&matchers, &hints, &explain).unwrap()).await.unwrap();
                let wanted: u64 = explain.shards()[0].reads.iter().map(|read| read.wanted_bytes).sum();
                (series, wanted)
            };
            let shard = Arc::new(Shard::open(&store.unrecorded, NAME, 0).await.unwrap());
            let fresh = crate::shards::queryable(vec![shard], Options::default());
            let fresh = fresh.parquet_querier(store.range).await.unwrap();
            let set = fresh.select_explained(&matchers, &hints, &Explain::default()).unwrap();
            let expected = collect(set).await.unwrap();
            let ((first, first_bytes), (second, second_bytes)) = (ask().await, ask().await);
            assert!(first == expected && second == expected, "{what}");
            assert!(second_bytes <= first_bytes, "{what}: {second_bytes} after {first_bytes}");
        }
        let kept = shard.labels_file().columns().len();
        let kept = (0..kept).filter(|column| shard.labels_file().column_chunk(0, *column).kept_dictionary().is_some());
        assert!(kept.count() > 5);
    });
}
