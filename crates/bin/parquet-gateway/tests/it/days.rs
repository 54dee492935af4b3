//! Commands that read shards, on buckets of thanos-parquet-gateway: what they print is what they print of the same series as a block.

use std::path::Path;

use prometheus_model::{Labels, Sample};
use promparquet_schema::day::{DAY_MS, stream_hash};
use promparquet_testkit::{
    blocks::BlockSpec,
    days::{DayOptions, stream},
};

use crate::program::run;

/// What a command that must succeed, and say nothing else, prints.
fn answer(dir: &Path, args: &[&str]) -> String {
    let ran = run(dir, args);
    assert!(ran.ok && ran.err.is_empty(), "{args:?}: {}", ran.err);
    ran.out
}

const MIDNIGHT: i64 = 20_089 * DAY_MS;
const DATES: [&str; 2] = ["2024-12-31", "2025-01-01"];
const ALL: &str = r#"{__name__=~".*"}"#;

/// An hour around midnight.
fn spec() -> BlockSpec {
    BlockSpec::small().series_count(60).start(MIDNIGHT - 1_800_000).duration_ms(3_600_000)
}

fn series() -> Vec<(Labels, Vec<Sample>)> {
    spec().oracle().filter(|(_, samples)| !samples.is_empty()).collect()
}

fn external() -> Labels {
    Labels::from_pairs([("zone", "a")]).unwrap()
}

fn hash() -> String {
    stream_hash(external().iter()).to_string()
}

fn put(bucket: &Path, external: &Labels, options: &DayOptions) {
    for (key, bytes) in stream(&series(), external, options) {
        let path = bucket.join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// `tsdb` and `parquet`: the series as a block, as it is and converted. In `days0` to `days2`, the same as days in all versions;
/// `stream` has them with external labels.
fn with_buckets() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let block = spec().write(dir.path().join("tsdb")).unwrap();
    let absolute = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (tsdb, parquet) = (absolute("tsdb"), absolute("parquet"));
    let ran = run(dir.path(), &["convert", "--tsdb.storage.prefix", &tsdb, "--parquet.storage.prefix", &parquet]);
    assert!(ran.ok, "{}", ran.err);
    for version in 0..3 {
        let options = DayOptions { version, row_group_rows: 11, shard_rows: 30, page_rows: 4, ..DayOptions::default() };
        put(&dir.path().join(format!("days{version}")), &Labels::default(), &options);
    }
    put(&dir.path().join("stream"), &external(), &DayOptions::default());
    (dir, block.file_name().unwrap().to_str().unwrap().to_owned())
}

/// Of whatever layout the shards are: series, samples, labels and answers are the same.
#[test]
fn days_are_read_as_blocks_are() {
    let (dir, _) = with_buckets();
    let dir = dir.path();
    let seconds = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
    let (start, end) = (seconds(MIDNIGHT - 600_000), seconds(MIDNIGHT + 600_000));
    let at = seconds(MIDNIGHT + 900_000);
    let commands: [&[&str]; 9] = [
        &["select", ALL],
        &["select", ALL, "--start", &start, "--end", &end, "--format", "jsonl"],
        &["select", r#"{job!=""}"#, "--format", "csv"],
        &["select", ALL, "--labels-only"],
        &["labels"],
        &["labels", "job"],
        &["labels", "__name__", "--match", r#"{job!=""}"#],
        &["query", "count by (job) ({__name__!=''})", "--time", &at, "--format", "json"],
        &["query", "count by (job) (last_over_time({job!=''}[20m]))", "--start", &start, "--end", &end, "--step", "1m"],
    ];
    for command in commands {
        let expected = answer(dir, &[command, &["--in", "parquet"]].concat());
        assert!(expected.len() > 40, "{command:?}: {expected}");
        for version in 0..3 {
            let bucket = format!("days{version}");
            let found = answer(dir, &[command, &["--in", &bucket]].concat());
            assert!(found == expected, "{command:?} of {bucket}");
        }
    }
    // Without a time, a query is evaluated where the data ends.
    let counted = answer(dir, &["query", "count(last_over_time({job!=''}[1d]))", "--in", "days2"]);
    assert!(counted.split_whitespace().last().unwrap().parse::<u64>().unwrap() > 10, "{counted}");
}

#[test]
fn streams_have_their_external_labels_and_are_kept_apart() {
    let (dir, _) = with_buckets();
    let dir = dir.path();
    put(&dir.join("stream"), &Labels::from_pairs([("zone", "b")]).unwrap(), &DayOptions::default());
    assert_eq!(answer(dir, &["labels", "zone", "--in", "stream"]), "a\nb\n");
    let own = answer(dir, &["select", ALL, "--labels-only", "--in", "parquet"]).lines().count();
    let both = answer(dir, &["select", ALL, "--labels-only", "--in", "stream"]);
    assert_eq!(both.lines().count(), 2 * own);
    assert_eq!(both.lines().filter(|line| line.contains(r#"zone="a""#)).count(), own);
    let of_a = answer(dir, &["select", r#"{__name__=~".*", zone="a"}"#, "--in", "stream"]);
    assert!(!of_a.is_empty());
    // A stream, by its directory or its name; a day likewise.
    let stream = format!("stream/{}", hash());
    assert!(answer(dir, &["select", ALL, "--in", &stream]) == of_a);
    assert!(answer(dir, &["select", ALL, "--in", "stream", "--block", &hash()]) == of_a);
    let days: Vec<String> = DATES
        .iter()
        .map(|date| {
            let day = answer(dir, &["select", ALL, "--in", &format!("{stream}/{date}")]);
            assert!(day == answer(dir, &["select", ALL, "--in", "stream", "--block", &format!("{}/{date}", hash())]));
            day
        })
        .collect();
    assert!(days.iter().all(|day| !day.is_empty() && day.len() < of_a.len()));
    // The first without labels, whose descriptions lie elsewhere.
    let first = answer(dir, &["select", ALL, "--in", "days2/0/2024-12-31"]);
    for bare in [&["--in", "days2/2024-12-31"][..], &["--in", "days2", "--block", "2024-12-31"]] {
        assert!(!first.is_empty() && answer(dir, &[&["select", ALL], bare].concat()) == first, "{bare:?}");
    }
    let explained = answer(dir, &["explain", r#"{job!="", zone="a"}"#, "--in", "stream"]);
    for said in [format!("shard {}/{}/0: ", hash(), DATES[0]), "series of 2 shards".into(), "read chunks".into()] {
        assert!(explained.contains(&said), "{said}: {explained}");
    }
    let nothing = answer(dir, &["explain", r#"{zone="c"}"#, "--in", "stream"]);
    assert!(nothing.contains("and external labels that fit"), "{nothing}");
}

#[test]
fn inspect_tells_of_days() {
    let (dir, _) = with_buckets();
    let dir = dir.path();
    let hash = hash();
    let day = format!("stream/{hash}/{}", DATES[0]);
    let config = format!("type: FILESYSTEM\nconfig: {{ directory: {} }}", dir.join("stream").display());
    let by_name = answer(dir, &["inspect", &format!("{hash}/{}", DATES[0]), "--objstore-config", &config]);
    for target in [day.clone(), format!("{day}/0.labels.parquet"), format!("{day}/meta.pb")] {
        let out = answer(dir, &["inspect", &target]);
        assert_eq!(out.lines().count(), by_name.lines().count());
        for said in [
            format!("Day 2024-12-31 of thanos-parquet-gateway, stream {hash}, layout version 2"),
            "external labels: zone=\"a\"".into(),
            "1 shards, ".into(),
            "time: 2024-12-31T00:00:00Z to 2025-01-01T00:00:00Z (24.0 h)".into(),
            "3 data columns of 8 h; layout version 2".into(),
            "encoding 1 (XOR): ".into(),
            " ___cf_meta_label___name__ (bloom filter)".into(),
            " ___cf_meta_chunk_2".into(),
            " ___cf_meta_hash".into(),
        ] {
            assert!(out.contains(&said), "{said}: {out}");
        }
    }
    for version in 0..2 {
        let out = answer(dir, &["inspect", &format!("days{version}/0/{}", DATES[1]), "--top", "3"]);
        let said = format!("Day 2025-01-01 of thanos-parquet-gateway, stream 0, layout version {version}");
        assert!(out.contains(&said) && out.contains("external labels: none"), "{out}");
        assert!(out.contains("2 shards, ") && out.contains("number 1"), "{out}");
        // The description of the stream without labels lies apart.
        assert_eq!(answer(dir, &["inspect", &format!("days{version}/{}", DATES[1]), "--top", "3"]), out);
    }
    let whole = answer(dir, &["inspect", &format!("stream/{hash}"), "--no-chunks"]);
    assert!(DATES.iter().all(|date| whole.contains(&format!("Day {date} of"))), "{whole}");
}

/// A block of a day has the day's samples and nothing of the next midnight; blocks of all days have everything.
#[test]
fn days_become_blocks() {
    let (dir, _) = with_buckets();
    let dir = dir.path();
    let absolute = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    for version in 0..3 {
        let (bucket, out) = (absolute(&format!("days{version}")), format!("out{version}"));
        for date in DATES {
            let name = format!("0/{date}");
            let export = ["export", "tsdb", "--parquet.storage.prefix", &bucket, "--name", &name, "--output", &out];
            let ran = run(dir, &export);
            assert!(ran.ok && ran.out.contains(&format!("{date}T00:00:00Z to ")), "{} {}", ran.out, ran.err);
        }
        let (tsdb, parquet) = (absolute(&out), absolute(&format!("again{version}")));
        let ran =
            run(dir, &["convert", "--tsdb.storage.prefix", &tsdb, "--parquet.storage.prefix", &parquet, "--verify"]);
        assert!(ran.ok && ran.out.contains("2 shard sets converted"), "{} {}", ran.out, ran.err);
        let all = answer(dir, &["select", ALL, "--in", "parquet"]);
        assert!(answer(dir, &["select", ALL, "--in", &parquet]) == all, "version {version}");
    }
    // External labels are where Thanos looks for them.
    let (bucket, name) = (absolute("stream"), format!("{}/{}", hash(), DATES[0]));
    let ran =
        run(dir, &["export", "tsdb", "--parquet.storage.prefix", &bucket, "--name", &name, "--output", "labelled"]);
    assert!(ran.ok, "{}", ran.err);
    let block = std::fs::read_dir(dir.join("labelled")).unwrap().next().unwrap().unwrap().path();
    let meta: serde_json::Value = serde_json::from_slice(&std::fs::read(block.join("meta.json")).unwrap()).unwrap();
    assert_eq!(meta["thanos"]["labels"], serde_json::json!({"zone": "a"}));
    assert_eq!((&meta["minTime"], &meta["maxTime"]), (&(MIDNIGHT - DAY_MS).into(), &MIDNIGHT.into()));
    assert!(answer(dir, &["inspect", block.to_str().unwrap()]).contains("external labels: zone=\"a\""));
}

#[test]
fn errors_say_what_a_day_lacks() {
    let (dir, block) = with_buckets();
    let dir = dir.path();
    let hash = hash();
    let day = format!("{hash}/{}", DATES[0]);
    let bucket = dir.join("stream").to_str().unwrap().to_owned();
    let export = |name: &str| {
        run(dir, &["export", "tsdb", "--parquet.storage.prefix", &bucket, "--name", name, "--output", "o"])
    };
    let stream = export(&hash);
    assert!(!stream.ok && stream.err.contains("is a stream of several days"), "{}", stream.err);
    for missing in ["1/2025-01-01", "2025-01-03", &block] {
        let ran = export(missing);
        assert!(
            !ran.ok && ran.err.contains(missing) && ran.err.contains("nor a day of thanos-parquet-gateway"),
            "{}",
            ran.err
        );
    }
    let ran = run(
        dir,
        &[
            "export",
            "tsdb",
            "--parquet.storage.prefix",
            dir.join("tsdb").to_str().unwrap(),
            "--name",
            &block,
            "--output",
            "o",
        ],
    );
    assert!(!ran.ok && ran.err.contains("a TSDB block without shards"), "{}", ran.err);

    // Marked for deletion: left out, and said so, unless it is named.
    let set = dir.join("stream").join(&day);
    std::fs::write(set.join("deletion-marker.pb"), "").unwrap();
    let all = run(dir, &["select", ALL, "--in", "stream"]);
    assert!(
        all.ok
            && all.err.contains(&format!("{day} is not read, since it is marked for deletion; --block {day} reads it"))
    );
    assert!(!answer(dir, &["select", ALL, "--in", "stream", "--block", &day]).is_empty());
    // A day whose description is not there yet, or is damaged.
    std::fs::remove_file(set.join("deletion-marker.pb")).unwrap();
    std::fs::write(set.join("meta.pb"), "\u{ff}").unwrap();
    let damaged = run(dir, &["select", ALL, "--in", "stream"]);
    assert!(!damaged.ok && damaged.err.contains(&format!("{day}/meta.pb")), "{}", damaged.err);
    assert!(!run(dir, &["inspect", set.to_str().unwrap()]).ok);
    std::fs::remove_file(set.join("meta.pb")).unwrap();
    let rest = run(dir, &["select", ALL, "--in", "stream"]);
    assert!(rest.ok && rest.err.contains("it has no meta.pb"), "{}", rest.err);
    for args in
        [["inspect", set.to_str().unwrap()].to_vec(), ["select", ALL, "--in", "stream", "--block", &day].to_vec()]
    {
        let ran = run(dir, &args);
        assert!(
            !ran.ok && ran.err.contains(&format!("{day} cannot be read: it has no meta.pb")),
            "{args:?}: {}",
            ran.err
        );
    }
}
