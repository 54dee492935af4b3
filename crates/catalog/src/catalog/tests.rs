use std::{collections::BTreeMap, path::Path, sync::Arc};

use bytes::Bytes;
use object_store::memory::InMemory;
use prometheus_model::Sample;
use prometheus_queryable::{LabelHints, Matcher, SelectHints, conformance};
use prometheus_tsdb_block::{BlockReader, LocalBlock};
use promparquet_convert::{Control, Options as ConvertOptions, convert};
use promparquet_shard::Marker;
use promparquet_testkit::{
    blocks::BlockSpec,
    stores::{FailingStore, Failures, Fault, Operation, Recording, RecordingStore, Rule},
};
use ulid::Ulid;

use super::*;

mod days;
mod lost;
mod times;

const HOUR: i64 = 3_600_000;

type SeriesMap = BTreeMap<Labels, Vec<Sample>>;

fn spec(n: u128) -> BlockSpec {
    BlockSpec::tiny().seed(n as u64).ulid(Ulid(n)).start(n as i64 * HOUR).duration_ms(HOUR / 4)
}

/// Makes the block, converts it into the bucket and marks it. Gives what is in it.
async fn add(bucket: &Bucket, spec: BlockSpec, ulid: Ulid) -> SeriesMap {
    let dir = tempfile::tempdir().unwrap();
    let block = spec.write(dir.path()).unwrap();
    add_block(bucket, &block, ulid).await;
    spec.oracle().collect()
}

async fn add_block(bucket: &Bucket, block: &Path, ulid: Ulid) {
    let block = BlockReader::open(Arc::new(LocalBlock::open(block).unwrap())).unwrap();
    let mut options = ConvertOptions::default();
    options.name = ulid.to_string();
    let report = convert(vec![block], None, bucket.clone(), options, Arc::new(Control::default())).await.unwrap();
    Marker::new(report.shards.len() as u32).write(bucket, ulid).await.unwrap();
}

fn memory() -> Bucket {
    Bucket::new(Arc::new(InMemory::new()), "memory://test")
}

fn lenient() -> CatalogOptions {
    CatalogOptions { partial_response: PartialResponse::Warn, ..CatalogOptions::default() }
}

struct Answer {
    series: SeriesMap,
    warnings: Vec<String>,
}

async fn ask(store: &dyn Queryable, range: TimeRange) -> queryable::Result<Answer> {
    let querier = store.querier(range).await?;
    let mut set = querier.select(&[], &SelectHints::new(range)).await?;
    let mut series = SeriesMap::new();
    while let Some(batch) = set.next().await? {
        for one in batch {
            series.insert(one.labels.clone(), one.samples()?);
        }
    }
    series.retain(|_, samples| !samples.is_empty());
    Ok(Answer { series, warnings: set.warnings().iter().map(ToString::to_string).collect() })
}

/// Compares without printing all that there is.
#[track_caller]
fn assert_same(found: &SeriesMap, expected: &SeriesMap) {
    for (labels, samples) in expected {
        let found = found.get(labels).unwrap_or_else(|| panic!("{labels} is missing"));
        assert_eq!(found.len(), samples.len(), "samples of {labels}");
        for (a, b) in found.iter().zip(samples) {
            assert!(conformance::same_sample(a, b, false), "{labels}: {a:?}, expected {b:?}");
        }
    }
    assert_eq!(found.len(), expected.len());
}

fn merged(parts: &[&SeriesMap]) -> SeriesMap {
    let mut all = SeriesMap::new();
    for (labels, samples) in parts.iter().flat_map(|part| part.iter()) {
        all.entry(labels.clone()).or_default().extend(samples.iter().cloned());
    }
    all.values_mut().for_each(|samples| samples.sort_by_key(|sample| sample.timestamp));
    all.retain(|_, samples| !samples.is_empty());
    all
}

fn states(catalog: &Catalog) -> Vec<String> {
    let state = |set: &SetInfo| match &set.state {
        SetState::Open => "open".to_owned(),
        SetState::Failed(error) => format!("failed: {:?}", error.kind()),
        SetState::Unmarked => "unmarked".to_owned(),
        SetState::Deleted => "deleted".to_owned(),
        SetState::Unconverted => "unconverted".to_owned(),
        SetState::OutOfTime => "out of time".to_owned(),
    };
    catalog.snapshot().sets().map(state).collect()
}

#[tokio::test]
async fn follows_the_bucket() {
    let bucket = memory();
    let catalog = Catalog::new(bucket.clone(), CatalogOptions::default());
    assert_eq!(ask(&catalog, TimeRange::ALL).await.err().unwrap().kind(), ErrorKind::Unavailable, "not ready yet");
    assert_eq!(catalog.sync(0).await.unwrap(), SyncReport::default());
    assert!(ask(&catalog, TimeRange::ALL).await.unwrap().series.is_empty());

    let first = add(&bucket, spec(1), Ulid(1)).await;
    assert!(ask(&catalog, TimeRange::ALL).await.unwrap().series.is_empty(), "no sync yet");
    assert_eq!(catalog.sync(0).await.unwrap(), SyncReport { open: 1, opened: 1, ..SyncReport::default() });
    assert_same(&ask(&catalog, TimeRange::ALL).await.unwrap().series, &merged(&[&first]));

    let second = add(&bucket, spec(2), Ulid(2)).await;
    let before = catalog.snapshot();
    assert_eq!(catalog.sync(0).await.unwrap(), SyncReport { open: 2, opened: 1, ..SyncReport::default() });
    assert_same(&ask(&catalog, TimeRange::ALL).await.unwrap().series, &merged(&[&first, &second]));
    assert_same(&ask(&*before, TimeRange::ALL).await.unwrap().series, &merged(&[&first]));
    let only_second = TimeRange::new(2 * HOUR, 3 * HOUR).unwrap();
    assert_same(&ask(&catalog, only_second).await.unwrap().series, &merged(&[&second]));

    // Marks of deletion, here or there, are honoured after the delay; shards are gone when the files are.
    bucket.put("markers/00000000000000000000000002-deletion-mark.json", Bytes::from_static(b"{}")).await.unwrap();
    assert_eq!(catalog.sync(0).await.unwrap().open, 2, "marked in the future");
    assert_eq!(catalog.sync(i64::MAX).await.unwrap(), SyncReport { open: 1, closed: 1, ..SyncReport::default() });
    assert_eq!(states(&catalog), ["open", "deleted"]);
    assert_same(&ask(&catalog, TimeRange::ALL).await.unwrap().series, &merged(&[&first]));
    for key in ["0.labels.parquet", "0.chunks.parquet", Marker::FILE] {
        bucket.delete(&format!("{}/{key}", Ulid(1))).await.unwrap();
    }
    // The copy of the mark alone stands for nothing.
    assert_eq!(catalog.sync(i64::MAX).await.unwrap(), SyncReport { closed: 1, ..SyncReport::default() });
    assert!(ask(&catalog, TimeRange::ALL).await.unwrap().series.is_empty());
    assert_eq!(catalog.snapshot().opened().0, 0);
}

/// TSDB blocks in the bucket are known before they are converted; what cannot be read of them harms nobody.
#[tokio::test]
async fn blocks_without_shards_are_known() {
    let bucket = memory();
    let spec = spec(1).external_label("replica", "a");
    let dir = tempfile::tempdir().unwrap();
    let block = spec.write(dir.path()).unwrap();
    for file in ["meta.json", "index", "chunks/000001"] {
        let bytes = std::fs::read(block.join(file)).unwrap();
        bucket.put(&format!("{}/{file}", Ulid(1)), bytes.into()).await.unwrap();
    }
    for (file, content) in [("meta.json", "[]"), ("index", "no index")] {
        bucket.put(&format!("{}/{file}", Ulid(2)), Bytes::from_static(content.as_bytes())).await.unwrap();
    }
    let catalog = Catalog::new(bucket.clone(), CatalogOptions::default());
    assert_eq!(catalog.sync(0).await.unwrap(), SyncReport::default());
    assert_eq!(states(&catalog), ["unconverted", "unconverted"]);
    let snapshot = catalog.snapshot();
    let known: Vec<_> = snapshot.sets().collect();
    assert_eq!(known[0].external_labels.get("replica"), Some("a"));
    assert!(known[0].rows > 0 && known[0].bytes > 0 && known[0].times.is_some_and(|(first, _)| first == HOUR));
    assert!(known[1].times.is_none() && snapshot.times().is_none());
    assert!(ask(&catalog, TimeRange::ALL).await.unwrap().series.is_empty());

    add_block(&bucket, &block, Ulid(1)).await;
    bucket.put(&format!("{}/deletion-mark.json", Ulid(2)), Bytes::from_static(b"{}")).await.unwrap();
    assert_eq!(catalog.sync(0).await.unwrap(), SyncReport { open: 1, opened: 1, ..SyncReport::default() });
    assert_eq!(states(&catalog), ["open"]);
}

#[tokio::test]
async fn a_sync_without_news_is_one_listing() {
    let store = RecordingStore::new(Arc::new(InMemory::new()), Recording::default());
    let recording = Arc::clone(store.tap());
    let bucket = Bucket::new(Arc::new(store), "memory://recorded");
    add(&bucket, spec(1), Ulid(1)).await;
    add(&bucket, spec(2), Ulid(2)).await;
    let catalog = Catalog::new(bucket, CatalogOptions::default());
    catalog.sync(0).await.unwrap();
    recording.take();
    catalog.sync(0).await.unwrap();
    let calls: Vec<_> = recording.take().into_iter().map(|call| call.operation).collect();
    assert_eq!(calls, [Operation::List]);
}

#[tokio::test]
async fn opens_again_what_was_replaced() {
    let bucket = memory();
    add(&bucket, spec(1), Ulid(1)).await;
    let catalog = Catalog::new(bucket.clone(), CatalogOptions::default());
    catalog.sync(0).await.unwrap();
    let anew = add(&bucket, spec(7), Ulid(1)).await;
    assert_eq!(catalog.sync(0).await.unwrap(), SyncReport { open: 1, opened: 1, closed: 1, failed: 0 });
    assert_same(&ask(&catalog, TimeRange::ALL).await.unwrap().series, &merged(&[&anew]));
}

#[tokio::test]
async fn external_labels_are_those_of_the_meta_or_the_option() {
    let bucket = memory();
    let mut expected = SeriesMap::new();
    for n in [1, 2] {
        let spec = spec(n).external_label("replica", n.to_string());
        let dir = tempfile::tempdir().unwrap();
        let block = spec.write(dir.path()).unwrap();
        add_block(&bucket, &block, Ulid(n)).await;
        let meta = std::fs::read(block.join("meta.json")).unwrap();
        bucket.put(&format!("{}/meta.json", Ulid(n)), meta.into()).await.unwrap();
        for (labels, samples) in spec.oracle().filter(|(_, samples)| !samples.is_empty()) {
            let replica = n.to_string();
            let own = labels.iter().filter(|(name, _)| *name != "replica");
            expected.insert(Labels::from_pairs(own.chain([("replica", &*replica)])).unwrap(), samples);
        }
    }
    let catalog = Catalog::new(bucket.clone(), CatalogOptions::default());
    catalog.sync(0).await.unwrap();
    assert_same(&ask(&catalog, TimeRange::ALL).await.unwrap().series, &expected);
    assert_eq!(catalog.snapshot().external_labels().len(), 2);
    let querier = catalog.querier(TimeRange::ALL).await.unwrap();
    let values = querier.label_values("replica", &[], &LabelHints::default()).await.unwrap();
    assert_eq!(values.strings, ["1", "2"]);

    let external = Labels::from_pairs([("site", "here")]).unwrap();
    let options = CatalogOptions { external_labels: Some(external), ..CatalogOptions::default() };
    let catalog = Catalog::new(bucket, options);
    catalog.sync(0).await.unwrap();
    let answer = ask(&catalog, TimeRange::ALL).await.unwrap();
    assert!(answer.series.keys().all(|labels| labels.get("site") == Some("here") && labels.get("replica").is_none()));
}

/// Whatever is wrong with a set: answers fail or say so, as the option has it.
#[tokio::test]
async fn damage_is_never_silent() {
    for (key, bytes, kind) in [
        ("0.labels.parquet", "no Parquet", "Corrupt"),
        ("0.chunks.parquet", "", "Corrupt"),
        (Marker::FILE, "{", "Corrupt"),
        (Marker::FILE, r#"{"version":99}"#, "Unsupported"),
        (Marker::FILE, r#"{"version":2,"shards":3}"#, "NotFound"),
        ("meta.json", "[]", "Corrupt"),
    ] {
        let bucket = memory();
        let good = add(&bucket, spec(1), Ulid(1)).await;
        add(&bucket, spec(2), Ulid(2)).await;
        bucket.put(&format!("{}/{key}", Ulid(2)), Bytes::from_static(bytes.as_bytes())).await.unwrap();
        let strict = Catalog::new(bucket.clone(), CatalogOptions::default());
        let report = strict.sync(0).await.unwrap();
        assert_eq!((report.open, report.failed), (1, 1), "{key}");
        assert_eq!(states(&strict), ["open".to_owned(), format!("failed: {kind}")], "{key}");
        let error = ask(&strict, TimeRange::ALL).await.err().unwrap();
        assert_eq!(format!("{:?}", error.kind()), kind, "{key}");
        assert!(error.to_string().contains(&Ulid(2).to_string()), "{key}: {error}");

        let lenient = Catalog::new(bucket.clone(), lenient());
        lenient.sync(0).await.unwrap();
        let answer = ask(&lenient, TimeRange::ALL).await.unwrap();
        assert_same(&answer.series, &merged(&[&good]));
        assert!(answer.warnings.iter().any(|warning| warning.contains(&Ulid(2).to_string())), "{:?}", answer.warnings);

        // Mended, it is back.
        add(&bucket, spec(2), Ulid(2)).await;
        bucket.delete(&format!("{}/meta.json", Ulid(2))).await.unwrap();
        assert_eq!(strict.sync(0).await.unwrap().open, 2, "{key}");
        assert!(ask(&strict, TimeRange::ALL).await.is_ok());
    }
}

#[tokio::test]
async fn a_bucket_that_fails_is_tried_again() {
    let store = FailingStore::new(Arc::new(InMemory::new()), Failures::default());
    let failures = Arc::clone(store.tap());
    let bucket = Bucket::new(Arc::new(store), "memory://failing");
    let data = add(&bucket, spec(1), Ulid(1)).await;
    let catalog = Catalog::new(bucket, CatalogOptions::default());
    failures.set([Rule::new(Fault::Unavailable).on(Operation::List)]);
    assert_eq!(catalog.sync(0).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(!catalog.snapshot().is_ready());
    failures.set([Rule::new(Fault::Unavailable).key("chunks.parquet")]);
    assert_eq!(catalog.sync(0).await.unwrap().failed, 1);
    assert_eq!(ask(&catalog, TimeRange::ALL).await.err().unwrap().kind(), ErrorKind::Unavailable);
    failures.set([]);
    assert_eq!(catalog.sync(0).await.unwrap().open, 1);
    assert_same(&ask(&catalog, TimeRange::ALL).await.unwrap().series, &merged(&[&data]));
    // What is known stays when the bucket cannot be listed.
    failures.set([Rule::new(Fault::Unavailable).on(Operation::List)]);
    assert!(catalog.sync(0).await.is_err());
    assert_same(&ask(&catalog, TimeRange::ALL).await.unwrap().series, &merged(&[&data]));
}

#[tokio::test]
async fn footers_make_room_and_come_back() {
    let bucket = memory();
    let mut parts = Vec::new();
    for n in 1..6 {
        parts.push(add(&bucket, spec(n), Ulid(n)).await);
    }
    let all = merged(&parts.iter().collect::<Vec<_>>());
    let catalog = Catalog::new(bucket, CatalogOptions { footer_bytes: 20_000, ..CatalogOptions::default() });
    assert_eq!(catalog.sync(0).await.unwrap().open, 5);
    for _ in 0..3 {
        assert_same(&ask(&catalog, TimeRange::ALL).await.unwrap().series, &all);
        let (shards, bytes) = catalog.snapshot().opened();
        assert!(shards < 5 && bytes <= 20_000, "{shards} shards take {bytes} bytes");
    }
}

#[tokio::test]
async fn limits_hold_for_all_that_one_querier_is_asked() {
    let bucket = memory();
    add(&bucket, spec(1), Ulid(1)).await;
    add(&bucket, spec(2), Ulid(2)).await;
    let mut options = CatalogOptions::default();
    options.query.limits.shards = std::num::NonZeroU64::new(1);
    let catalog = Catalog::new(bucket.clone(), options);
    catalog.sync(0).await.unwrap();
    assert_eq!(ask(&catalog, TimeRange::ALL).await.err().unwrap().kind(), ErrorKind::LimitExceeded);
    assert!(ask(&catalog, TimeRange::new(HOUR, 2 * HOUR).unwrap()).await.is_ok());

    let rows = catalog.snapshot().sets().map(|set| set.rows).max().unwrap();
    let mut options = CatalogOptions::default();
    options.query.limits.rows = std::num::NonZeroU64::new(2 * rows);
    let catalog = Catalog::new(bucket, options);
    catalog.sync(0).await.unwrap();
    let range = TimeRange::new(HOUR, 2 * HOUR).unwrap();
    let querier = catalog.querier(range).await.unwrap();
    for attempt in 0..3 {
        let up = [Matcher::equal("nothing", "")];
        let mut set = querier.select(&up, &SelectHints::new(range)).await.unwrap();
        let result = loop {
            match set.next().await {
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(error) => break Err(error.kind()),
            }
        };
        assert_eq!(result, if attempt < 2 { Ok(()) } else { Err(ErrorKind::LimitExceeded) });
    }
}

#[tokio::test]
async fn conforms() {
    let options =
        conformance::Options { stores: 3, questions: 20, start_timestamps: false, ..conformance::Options::default() };
    conformance::check(&options, async |series| {
        let bucket = memory();
        if series.iter().any(|(_, samples)| !samples.is_empty()) {
            let dir = tempfile::tempdir().unwrap();
            let series: Vec<_> = series.into_iter().filter(|(_, samples)| !samples.is_empty()).collect();
            let meta = prometheus_tsdb_block::write_block(dir.path(), Ulid(1), &series).unwrap();
            add_block(&bucket, &dir.path().join(meta.ulid.to_string()), Ulid(1)).await;
        }
        let catalog = Catalog::new(bucket, CatalogOptions::default());
        catalog.sync(0).await.unwrap();
        Box::new(catalog) as Box<dyn Queryable>
    })
    .await
    .unwrap();
}

/// Old marks say nothing of the number of shards; the files do, none of which may be missing.
#[tokio::test]
async fn shards_are_counted_where_no_mark_counts_them() {
    let bucket = memory();
    let block = add(&bucket, spec(1), Ulid(1)).await;
    let ulid = Ulid(1).to_string();
    for key in Marker::keys(Ulid(1)) {
        bucket.put(&key, Bytes::from_static(br#"{"version":1}"#)).await.unwrap();
        let catalog = Catalog::new(bucket.clone(), CatalogOptions::default());
        assert_eq!(catalog.sync(0).await.unwrap().open, 1);
        assert_same(&ask(&catalog, TimeRange::ALL).await.unwrap().series, &merged(&[&block]));
        bucket.delete(&key).await.unwrap();
    }
    let named = CatalogOptions { sets: vec![ulid.clone()], ..CatalogOptions::default() };
    let catalog = Catalog::new(bucket.clone(), named);
    catalog.sync(0).await.unwrap();
    assert_same(&ask(&catalog, TimeRange::ALL).await.unwrap().series, &merged(&[&block]));
    bucket.delete(&format!("{ulid}/0.labels.parquet")).await.unwrap();
    catalog.sync(0).await.unwrap();
    let error = catalog.snapshot().shards(&ulid).await.unwrap_err();
    assert!(error.kind() == ErrorKind::NotFound && error.to_string().contains("0.labels.parquet"), "{error}");
}
