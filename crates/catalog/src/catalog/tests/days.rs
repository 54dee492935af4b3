//! Buckets of thanos-parquet-gateway.

use prometheus_model::Value;
use promparquet_schema::day::{self, DAY_MS, Day, DayMeta};
use promparquet_testkit::days::{DayOptions, stream};

use super::*;

const FIRST: i64 = 20_000 * DAY_MS;
const DATES: [&str; 2] = ["2024-10-04", "2024-10-05"];

/// Samples of two days, one at midnight between them.
fn two_days() -> Vec<(Labels, Vec<Sample>)> {
    let of = |n: i64| {
        let labels = Labels::from_pairs([("__name__", "up"), ("instance", &*n.to_string())]).unwrap();
        let times = (0..95).map(|i| FIRST + DAY_MS / 48 * (i + 1));
        let sample = |timestamp| Sample { timestamp, start_timestamp: 0, value: Value::Float((timestamp + n) as f64) };
        (labels, times.map(sample).collect())
    };
    (0..3).map(of).collect()
}

fn external() -> Labels {
    Labels::from_pairs([("cluster", "a"), ("replica", "1")]).unwrap()
}

fn expected(external: &Labels) -> SeriesMap {
    let with = |labels: &Labels| Labels::from_pairs(labels.iter().chain(external.iter())).unwrap();
    two_days().into_iter().map(|(labels, samples)| (with(&labels), samples)).collect()
}

fn within(all: &SeriesMap, range: TimeRange) -> SeriesMap {
    let of = |samples: &[Sample]| samples.iter().filter(|s| range.contains(s.timestamp)).cloned().collect();
    all.iter().map(|(labels, samples)| (labels.clone(), of(samples))).collect()
}

async fn put(bucket: &Bucket, external: &Labels, version: u32) {
    for (key, bytes) in stream(&two_days(), external, &DayOptions { version, ..DayOptions::default() }) {
        bucket.put(&key, bytes).await.unwrap();
    }
}

async fn rename(bucket: &Bucket, from: &str, to: &str) {
    let bytes = bucket.get(from, 1 << 20).await.unwrap();
    bucket.put(to, bytes).await.unwrap();
    bucket.delete(from).await.unwrap();
}

fn day(n: i64) -> TimeRange {
    // Not the midnight that the day before has, too.
    TimeRange::new(FIRST + n * DAY_MS + 1, FIRST + (n + 1) * DAY_MS).unwrap()
}

#[tokio::test]
async fn days_come_and_go() {
    for version in 0..3 {
        let bucket = memory();
        put(&bucket, &external(), version).await;
        put(&bucket, &Labels::default(), version).await;
        let block = add(&bucket, spec(1), Ulid(1)).await;
        let catalog = Catalog::new(bucket.clone(), CatalogOptions::default());
        assert_eq!(catalog.sync(0).await.unwrap(), SyncReport { open: 5, opened: 5, ..SyncReport::default() });
        let hash = day::stream_hash(external().iter());
        let names: Vec<_> = catalog.snapshot().sets().map(|set| set.name.clone()).collect();
        let day_names = [format!("0/{}", DATES[0]), format!("0/{}", DATES[1])];
        let of_stream = DATES.map(|date| format!("{hash}/{date}"));
        assert!(day_names.iter().chain(&of_stream).all(|name| names.contains(name)), "{names:?}");
        let days = merged(&[&expected(&external()), &expected(&Labels::default())]);
        assert_same(&ask(&catalog, TimeRange::ALL).await.unwrap().series, &merged(&[&days, &block]));
        for n in 0..2 {
            assert_same(&ask(&catalog, day(n)).await.unwrap().series, &within(&days, day(n)));
        }
        let external_labels: Vec<_> = catalog.snapshot().external_labels().into_keys().collect();
        assert_eq!(external_labels, [Labels::default(), external()]);
        assert_eq!(catalog.sync(0).await.unwrap(), SyncReport { open: 5, ..SyncReport::default() });

        // Days that are marked for deletion, or gone, are let go of at once.
        bucket.put(&format!("{}/{}", of_stream[0], day::DELETION_MARK_FILE), Bytes::new()).await.unwrap();
        assert_eq!(catalog.sync(i64::MAX).await.unwrap(), SyncReport { open: 4, closed: 1, ..SyncReport::default() });
        bucket.delete(&format!("{}/meta.pb", of_stream[1])).await.unwrap();
        assert_eq!(catalog.sync(i64::MAX).await.unwrap(), SyncReport { open: 3, closed: 1, ..SyncReport::default() });
        let left = merged(&[&expected(&Labels::default()), &block]);
        assert_same(&ask(&catalog, TimeRange::ALL).await.unwrap().series, &left);
        // What the Go gateway leaves of a day of the stream 0 that it deletes: the description, where it does not look.
        for file in ["0.labels.parquet", "0.chunks.parquet"] {
            bucket.delete(&format!("{}/{file}", day_names[0])).await.unwrap();
        }
        assert_eq!(catalog.sync(i64::MAX).await.unwrap(), SyncReport { open: 2, closed: 1, ..SyncReport::default() });
        assert!(ask(&catalog, day(0)).await.unwrap().series.is_empty());
        // Written anew, it is read anew.
        put(&bucket, &Labels::default(), 2).await;
        assert_eq!(catalog.sync(i64::MAX).await.unwrap(), SyncReport { open: 3, opened: 2, closed: 1, failed: 0 });
        assert_same(&ask(&catalog, TimeRange::ALL).await.unwrap().series, &left);
    }
}

/// The stream without labels: descriptions and shards with and without the `0/`, and no `stream.pb`.
#[tokio::test]
async fn the_stream_without_labels_lies_in_two_places() {
    for (meta_with_hash, shards_with_hash) in [(false, true), (true, true), (false, false), (true, false)] {
        let bucket = memory();
        put(&bucket, &Labels::default(), 2).await;
        bucket.delete("0/stream.pb").await.unwrap();
        for date in DATES {
            if meta_with_hash {
                rename(&bucket, &format!("{date}/meta.pb"), &format!("0/{date}/meta.pb")).await;
            }
            for file in ["0.labels.parquet", "0.chunks.parquet"].iter().filter(|_| !shards_with_hash) {
                rename(&bucket, &format!("0/{date}/{file}"), &format!("{date}/{file}")).await;
            }
        }
        let catalog = Catalog::new(bucket.clone(), CatalogOptions::default());
        assert_eq!(catalog.sync(0).await.unwrap().open, 2, "{meta_with_hash} {shards_with_hash}");
        assert_same(&ask(&catalog, TimeRange::ALL).await.unwrap().series, &expected(&Labels::default()));
        for (n, directory) in ["", "0/"].iter().enumerate() {
            bucket.put(&format!("{directory}{}/deletion-marker.pb", DATES[n]), Bytes::new()).await.unwrap();
        }
        assert_eq!(catalog.sync(i64::MAX).await.unwrap(), SyncReport { closed: 2, ..SyncReport::default() });
        assert_eq!(states(&catalog), ["deleted", "deleted"]);
    }
}

/// Whatever is wrong with a day: queries of it fail, or say so, and those of other days do not.
#[tokio::test]
async fn damage_of_a_day_is_never_silent() {
    let hash = day::stream_hash(external().iter());
    let of_day = |file: &str| format!("{hash}/{}/{file}", DATES[1]);
    let other_day = DayMeta { day: Day::new(2, FIRST).unwrap(), shards: 1 }.encode();
    let two_shards = DayMeta { day: Day::new(2, FIRST + DAY_MS).unwrap(), shards: 2 }.encode();
    let mut version_3 = DayMeta { day: Day::new(0, FIRST + DAY_MS).unwrap(), shards: 1 }.encode();
    version_3.extend([5 << 3, 3]);
    for (file, bytes, kind) in [
        ("0.labels.parquet", b"no Parquet".to_vec(), "Corrupt"),
        ("0.chunks.parquet", Vec::new(), "Corrupt"),
        ("meta.pb", vec![0xff], "Corrupt"),
        ("meta.pb", Vec::new(), "Corrupt"),
        ("meta.pb", other_day, "Corrupt"),
        ("meta.pb", two_shards, "NotFound"),
        ("meta.pb", version_3, "Unsupported"),
    ] {
        let bucket = memory();
        put(&bucket, &external(), 2).await;
        bucket.put(&of_day(file), bytes.into()).await.unwrap();
        let strict = Catalog::new(bucket.clone(), CatalogOptions::default());
        let report = strict.sync(0).await.unwrap();
        assert_eq!((report.open, report.failed), (1, 1), "{file}");
        assert_eq!(states(&strict), ["open".to_owned(), format!("failed: {kind}")], "{file}");
        let error = ask(&strict, day(1)).await.err().unwrap();
        assert_eq!(format!("{:?}", error.kind()), kind, "{file}");
        assert!(error.to_string().contains(DATES[1]), "{file}: {error}");
        let earlier = TimeRange::new(FIRST, FIRST + DAY_MS).unwrap();
        assert_same(&ask(&strict, earlier).await.unwrap().series, &within(&expected(&external()), earlier));

        let lenient = Catalog::new(bucket.clone(), lenient());
        lenient.sync(0).await.unwrap();
        let answer = ask(&lenient, TimeRange::ALL).await.unwrap();
        let known = TimeRange::new(FIRST, FIRST + DAY_MS + 1).unwrap();
        assert_same(&answer.series, &within(&expected(&external()), known));
        assert!(answer.warnings.iter().any(|warning| warning.contains(DATES[1])), "{:?}", answer.warnings);
    }
}

/// What describes a stream is damaged, or of another one, or not there yet.
#[tokio::test]
async fn streams_are_what_they_are_called() {
    let hash = day::stream_hash(external().iter());
    let key = format!("{hash}/stream.pb");
    let bucket = memory();
    put(&bucket, &external(), 2).await;
    let right = bucket.get(&key, 1 << 20).await.unwrap();
    for wrong in [vec![0xff], Vec::new(), day::encode_external_labels(&Labels::from_pairs([("a", "b")]).unwrap())] {
        bucket.put(&key, wrong.into()).await.unwrap();
        let catalog = Catalog::new(bucket.clone(), CatalogOptions::default());
        assert_eq!(catalog.sync(0).await.unwrap().failed, 2);
        let error = ask(&catalog, TimeRange::ALL).await.err().unwrap();
        assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains(&key), "{error}");
        bucket.put(&key, right.clone()).await.unwrap();
        assert_eq!(catalog.sync(0).await.unwrap().open, 2);
    }
    bucket.delete(&key).await.unwrap();
    let catalog = Catalog::new(bucket.clone(), CatalogOptions::default());
    assert_eq!(catalog.sync(0).await.unwrap(), SyncReport::default());
    assert_eq!(states(&catalog), ["unmarked", "unmarked"]);
}

#[tokio::test]
async fn conforms() {
    let options =
        conformance::Options { stores: 2, questions: 20, start_timestamps: false, ..conformance::Options::default() };
    conformance::check(&options, async |series| {
        let bucket = memory();
        for (key, bytes) in stream(&series, &Labels::default(), &DayOptions::default()) {
            bucket.put(&key, bytes).await.unwrap();
        }
        let catalog = Catalog::new(bucket, CatalogOptions::default());
        catalog.sync(0).await.unwrap();
        Box::new(catalog) as Box<dyn Queryable>
    })
    .await
    .unwrap();
}

fn named(sets: &[&str]) -> CatalogOptions {
    CatalogOptions { sets: sets.iter().map(|&set| set.to_owned()).collect(), ..CatalogOptions::default() }
}

/// Only what was asked for is known; what is called by its own name is read even if it is about to be deleted.
#[tokio::test]
async fn sets_can_be_named() {
    let bucket = memory();
    put(&bucket, &external(), 2).await;
    put(&bucket, &Labels::default(), 1).await;
    let block = add(&bucket, spec(1), Ulid(1)).await;
    let hash = day::stream_hash(external().iter());
    let ulid = Ulid(1).to_string();
    let known = async |sets: &[&str]| {
        let catalog = Catalog::new(bucket.clone(), named(sets));
        catalog.sync(i64::MAX).await.unwrap();
        let names: Vec<_> = catalog.snapshot().sets().map(|set| set.name.clone()).collect();
        (catalog, names)
    };
    let of_stream = DATES.map(|date| format!("{hash}/{date}"));
    let bare = DATES.map(|date| format!("0/{date}"));
    let cases: [(&[&str], Vec<&str>, SeriesMap); 6] = [
        (&[&of_stream[1]], vec![&of_stream[1]], within(&expected(&external()), day(1))),
        (&[&hash.to_string()], of_stream.iter().map(String::as_str).collect(), expected(&external())),
        (&["0"], bare.iter().map(String::as_str).collect(), expected(&Labels::default())),
        (&[&bare[1]], vec![&bare[1]], within(&expected(&Labels::default()), day(1))),
        (&[&ulid], vec![&ulid], merged(&[&block])),
        (&["12345", "0/2020-01-01", "nothing"], Vec::new(), SeriesMap::new()),
    ];
    for (sets, names, mut series) in cases {
        let (catalog, found) = known(sets).await;
        assert_eq!(found, names, "{sets:?}");
        // The midnight that both days have.
        let range = if names.len() == 1 && sets[0] != ulid { day(1) } else { TimeRange::ALL };
        series.retain(|_, samples| !samples.is_empty());
        assert_same(&ask(&catalog, range).await.unwrap().series, &series);
        for name in names {
            let shards = catalog.snapshot().shards(name).await.unwrap();
            assert!(shards.len() == 1 && shards[0].name() == name);
        }
        let error = catalog.snapshot().shards("other").await.unwrap_err();
        assert!(error.kind() == ErrorKind::NotFound && error.to_string().contains("other"), "{error}");
    }

    // Whole streams and buckets leave out what is about to be deleted, or is not complete.
    bucket.put(&format!("{}/{}", of_stream[0], day::DELETION_MARK_FILE), Bytes::new()).await.unwrap();
    bucket.delete(&format!("{ulid}/{}", Marker::FILE)).await.unwrap();
    bucket.delete(&format!("parquet-markers/{ulid}-{}", Marker::FILE)).await.unwrap();
    assert_eq!(states(&known(&[&hash.to_string()]).await.0), ["deleted", "open"]);
    assert_eq!(states(&known(&[]).await.0), ["open", "open", "unmarked", "deleted", "open"]);
    for name in [&of_stream[0], &ulid] {
        let (catalog, _) = known(&[name]).await;
        assert_eq!(states(&catalog), ["open"], "{name}");
        assert!(!ask(&catalog, TimeRange::ALL).await.unwrap().series.is_empty());
    }
    // Without its description, nobody knows how many shards a day has.
    bucket.delete(&format!("{}/{}", of_stream[0], day::META_FILE)).await.unwrap();
    assert_eq!(states(&known(&[&of_stream[0]]).await.0), ["unmarked"]);
}

/// What lies entirely within the times that somebody else answers for is known, and not queried; also if it cannot be read.
#[tokio::test]
async fn times_can_be_left_to_others() {
    let bucket = memory();
    put(&bucket, &external(), 2).await;
    let catalog = Catalog::new(bucket.clone(), CatalogOptions::default());
    let (second, end) = (FIRST + DAY_MS, FIRST + 2 * DAY_MS);
    catalog.leave_elsewhere(Some((second, end)));
    catalog.sync(0).await.unwrap();
    let all = expected(&external());
    let of_first = within(&all, TimeRange::new(FIRST, second + 1).unwrap());
    assert_same(&ask(&catalog, TimeRange::ALL).await.unwrap().series, &of_first);
    let snapshot = catalog.snapshot();
    let left: Vec<_> = snapshot.sets().map(|set| snapshot.is_elsewhere(set)).collect();
    assert_eq!((left, snapshot.times()), (vec![false, true], Some((FIRST, second))));
    // Of a day that is not all within, everything is answered.
    for times in [Some((second + 1, i64::MAX)), Some((second, end - 1)), None] {
        catalog.leave_elsewhere(times);
        assert_same(&ask(&catalog, TimeRange::ALL).await.unwrap().series, &all);
        assert_same(&ask(&*snapshot, TimeRange::ALL).await.unwrap().series, &of_first);
    }
    catalog.leave_elsewhere(Some((i64::MIN, i64::MAX)));
    catalog.sync(0).await.unwrap();
    assert!(ask(&catalog, TimeRange::ALL).await.unwrap().series.is_empty());
    assert!(catalog.snapshot().times().is_none() && catalog.snapshot().external_labels().is_empty());

    let hash = day::stream_hash(external().iter());
    bucket.put(&format!("{hash}/{}/0.chunks.parquet", DATES[1]), Bytes::new()).await.unwrap();
    catalog.sync(0).await.unwrap();
    catalog.leave_elsewhere(Some((second, end)));
    assert_same(&ask(&catalog, TimeRange::ALL).await.unwrap().series, &of_first);
    catalog.leave_elsewhere(None);
    assert!(ask(&catalog, TimeRange::ALL).await.is_err());
}
