//! `convert`, `inspect` and `export` as a user runs them: exit codes, what is written, what is said.

use std::path::{Path, PathBuf};

use promparquet_testkit::blocks::BlockSpec;

use crate::program::{CONVERT, Ran, run};

/// A directory with one small block under `.data/tsdb`; gives the block's name.
fn with_block() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let block = BlockSpec::small().series_count(60).write(dir.path().join(".data/tsdb")).unwrap();
    let name = block.file_name().unwrap().to_str().unwrap().to_owned();
    (dir, name)
}

fn convert(dir: &Path, more: &[&str]) -> Ran {
    run(dir, &[&CONVERT, more].concat())
}

fn marks(dir: &Path, block: &str) -> [PathBuf; 2] {
    let parquet = dir.join(".data/parquet");
    [
        parquet.join(block).join("parquet-converter-mark.json"),
        parquet.join(format!("parquet-markers/{block}-parquet-converter-mark.json")),
    ]
}

#[test]
fn there_and_back() {
    let (dir, block) = with_block();
    let dir = dir.path();
    let dry = convert(dir, &["--dry-run"]);
    assert!(dry.ok && dry.out.contains(&block) && dry.out.contains("1 shard sets to convert"), "{}", dry.out);
    assert!(!dir.join(".data/parquet").exists(), "a dry run writes nothing");

    let first = convert(dir, &["--verify"]);
    assert!(
        first.ok && first.out.contains("bit for bit") && first.out.contains("60 series"),
        "{} {}",
        first.out,
        first.err
    );
    for mark in marks(dir, &block) {
        assert_eq!(std::fs::read_to_string(mark).unwrap(), r#"{"version":2,"shards":1}"#);
    }
    let second = convert(dir, &[]);
    assert!(second.ok && second.err.contains("converted before, 1 shards"), "{}", second.err);
    assert!(second.out.contains("0 shard sets converted"), "{}", second.out);

    let shards = format!(".data/parquet/{block}");
    let inspected = run(dir, &["inspect", &shards]);
    for said in ["60 series", "sorted by l___name__", "bloom filter", "s_series_hash", "encoding 1 (XOR)"] {
        assert!(inspected.out.contains(said), "{said}: {}", inspected.out);
    }
    let inspected = run(dir, &["inspect", &format!(".data/tsdb/{block}")]);
    assert!(inspected.ok && inspected.out.contains("60 series") && inspected.out.contains("__name__"));

    let export = ["export", "tsdb", "--parquet.storage.prefix", "parquet", "--name", &block, "--output", "back"];
    let exported = run(dir, &export);
    assert!(exported.ok && exported.out.contains("60 series"), "{} {}", exported.out, exported.err);
    // The block made back converts to the very same shards.
    let back = dir.join("back");
    let again = ["convert", "--tsdb.storage.prefix", back.to_str().unwrap(), "--parquet.storage.prefix", "again"];
    assert!(run(dir, &again).ok);
    for file in ["0.labels.parquet", "0.chunks.parquet"] {
        let read = |set: &str| std::fs::read(dir.join(".data").join(set).join(&block).join(file)).unwrap();
        assert!(read("parquet") == read("again"), "{file}");
    }
}

#[test]
fn a_failed_conversion_says_why_and_leaves_no_mark() {
    let (dir, block) = with_block();
    let dir = dir.path();
    assert!(convert(dir, &[]).ok);
    let segment = dir.join(".data/tsdb").join(&block).join("chunks/000001");
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let failed = convert(dir, &["--force"]);
    assert!(!failed.ok);
    assert!(failed.err.contains("chunks/000001") && failed.err.contains("expected CRC-32C"), "{}", failed.err);
    assert!(failed.err.contains("1 of 1 conversions failed"), "{}", failed.err);
    for mark in marks(dir, &block) {
        assert!(!mark.exists(), "{}", mark.display());
    }
    assert!(!dir.join(".data/parquet").join(&block).join("0.labels.parquet").exists());
}

#[test]
fn a_part_gets_no_mark_and_nothing_no_shard() {
    let (dir, block) = with_block();
    let dir = dir.path();
    let part = convert(dir, &["--convert.start", "2025-01-01T00:30:00Z", "--convert.end", "2025-01-01T00:40:00Z"]);
    assert!(part.ok && part.err.contains("no mark"), "{}", part.err);
    assert!(!marks(dir, &block)[0].exists());
    let outside = convert(dir, &["--convert.start", "2026-01-01T00:00:00Z"]);
    assert!(outside.ok && outside.out.contains("1 outside the time range"), "{}", outside.out);
}

#[test]
fn wrong_arguments_say_what_was_expected() {
    let (dir, _) = with_block();
    let dir = dir.path();
    std::fs::write(dir.join("bad.yaml"), "type: S3\nconfig:\n  bucket: b\n  secret_kye: hunter2\n").unwrap();
    let cases: [(&[&str], &str); 9] = [
        (&["convert", "--tsdb.storage.prefix", "tsdb"], "which bucket? give --parquet.objstore-config"),
        (&["convert", "--tsdb.storage.prefix", "nowhere", "--parquet.storage.prefix", "p"], "nowhere"),
        (&["convert", "--tsdb.objstore-config-file", "bad.yaml", "--parquet.storage.prefix", "p"], "secret_kye"),
        (&[&CONVERT[..], &["--tsdb.objstore-config", "type: S3"]].concat(), "exclude each other"),
        (&[&CONVERT[..], &["--convert.memory", "lots"]].concat(), "expected a size such as"),
        (&[&CONVERT[..], &["--convert.memory", "1MiB"]].concat(), "raise the memory budget"),
        (&[&CONVERT[..], &["--convert.chunks-compression", "zstd:99"]].concat(), "expected 1 to 22, found 99"),
        (
            &[&CONVERT[..], &["--convert.start", "2025-01-02T00:00:00Z", "--convert.end", "2025-01-01T00:00:00Z"]]
                .concat(),
            "empty time range",
        ),
        (&["inspect", "nothing-here"], "neither a TSDB block"),
    ];
    for (args, said) in cases {
        let ran = run(dir, args);
        assert!(!ran.ok && ran.err.contains(said), "{args:?}: {}", ran.err);
        assert!(!ran.err.contains("hunter2"), "a secret was shown");
    }
}

#[test]
fn merges_blocks_that_overlap_into_one_set() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let spec = || BlockSpec::small().series_count(40);
    for block in [spec(), spec().out_of_order()] {
        block.write(dir.join(".data/tsdb")).unwrap();
    }
    let merged = convert(dir, &["--merge", "--verify"]);
    assert!(merged.ok && merged.out.contains("1 shard sets converted"), "{} {}", merged.out, merged.err);
    assert!(convert(dir, &["--merge"]).out.contains("1 converted before"));
}
