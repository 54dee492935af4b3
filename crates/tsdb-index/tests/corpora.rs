//! Indexes that others wrote: Prometheus' own test blocks and a block made with its Go library.
//!
//! They are outside the repository; see `shared`.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::{fs, io::Read, path::PathBuf};

use prometheus_tsdb_index::{IndexReader, IndexWriter, Version};

/// The directory of shared corpora, or nothing, loudly, where it is absent.
fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("PROMPARQUET_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let path = root.join(path);
    if !path.exists() {
        eprintln!("SKIPPED: {} does not exist; set PROMPARQUET_SHARED", path.display());
        return None;
    }
    Some(path)
}

fn open(path: &str) -> Option<IndexReader> {
    Some(IndexReader::new(fs::read(shared(path)?).unwrap().into()).unwrap())
}

/// `(min, max, reference)` of chunks.
type Chunks = Vec<(i64, i64, u64)>;

/// Labels as text and chunks of every series, in the order of the index.
fn dump(index: &IndexReader) -> Vec<(String, Chunks)> {
    let all: Vec<_> = index.all_series().unwrap().map(Result::unwrap).collect();
    all.iter()
        .map(|(_, e)| {
            let chunks = e.chunks.iter().map(|c| (c.min_time, c.max_time, c.reference)).collect();
            (index.labels(e).unwrap().to_string(), chunks)
        })
        .collect()
}

/// Postings, the scan and the table say the same of an index, found out the slow way.
fn check_postings(index: &IndexReader) {
    let all: Vec<_> = index.all_series().unwrap().map(Result::unwrap).collect();
    let symbols = index.symbols().unwrap();
    let table = index.postings_table().unwrap();
    let mut expected = std::collections::BTreeMap::<_, Vec<_>>::new();
    for (series, entry) in &all {
        for l in &entry.labels {
            let label = (symbols.get(l.name).unwrap(), symbols.get(l.value).unwrap());
            expected.entry(label).or_default().push(*series);
        }
    }
    let mut labels = Vec::new();
    for name in table.names() {
        let name = name.unwrap();
        labels.extend(table.values(name).map(|value| (name, value.unwrap())));
    }
    assert_eq!(labels, expected.keys().copied().collect::<Vec<_>>());
    assert_eq!(table.len(), labels.len());
    for ((name, value), expected) in expected {
        let found: Vec<_> = index.postings(name, value).unwrap().iter().map(Result::unwrap).collect();
        assert_eq!(found, expected, "{name}={value}");
    }
    assert!(index.postings("no such label", "").unwrap().is_empty());
    let mut entry = Default::default();
    for (series, expected) in &all {
        index.series(*series, &mut entry).unwrap();
        assert_eq!(entry, *expected);
    }
}

#[test]
fn version_1() {
    let Some(index) = open("acceptance/tsdb-blocks/index_format_v1/index") else { return };
    assert_eq!(index.layout().version(), Version::V1);
    let found = dump(&index);
    // As the comment on Prometheus' own test says how the block was made.
    let mut values: Vec<_> = (0..100).map(|i| i.to_string()).collect();
    values.sort();
    let mut expected: Vec<_> = values.iter().map(|i| (format!("{{bar=\"{i}\"}}"), 0)).collect();
    expected.extend([(r#"{foo="bar"}"#.into(), 1), (r#"{foo="baz"}"#.into(), 3)]);
    assert_eq!(found.iter().map(|(labels, chunks)| (labels.clone(), chunks[0].0)).collect::<Vec<_>>(), expected);
    assert_eq!(found[0].1, [(0, 0, 8)]);
    check_postings(&index);
    let all: Vec<_> = index.all_postings().unwrap().iter().map(Result::unwrap).collect();
    assert_eq!(all.len(), 102);
    assert_eq!(index.postings("foo", "bar").unwrap().len(), 1);
    let symbols = index.symbols().unwrap();
    assert_eq!(symbols.find("bar").map(|i| symbols.get(i).unwrap()), Some("bar"));
}

#[test]
fn version_2_that_says_1() {
    let Some(path) = shared("acceptance/tsdb-blocks/repair_index_version/01BZJ9WJQPWHGNC2W4J9TA62KC/index") else {
        return;
    };
    let bytes: bytes::Bytes = fs::read(path).unwrap().into();
    let index = IndexReader::with_version(bytes.clone(), Version::V2).unwrap();
    assert_eq!(dump(&index), [(r#"{a="1", b="1"}"#.into(), vec![]), (r#"{a="2", b="1"}"#.into(), vec![])]);
    assert_eq!(index.postings("b", "1").unwrap().len(), 2);
    let as_it_says = IndexReader::new(bytes).unwrap();
    assert!(as_it_says.all_series().unwrap().next().unwrap().is_err());
}

#[test]
fn chunks_out_of_order() {
    let Some(index) = open("acceptance/tsdb-blocks/out_of_order_chunks/index") else { return };
    let found = dump(&index);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, r#"{lbl1="1"}"#);
    let times: Vec<_> = found[0].1.iter().map(|c| (c.0, c.1)).collect();
    assert_eq!(times, [(i64::MAX - 2, i64::MAX - 1), (1, 2)]);
    check_postings(&index);
}

#[test]
fn block_of_the_go_library() {
    let dir = "fixtures/parquet-common-go/";
    let Some(expected) = shared(&format!("{dir}expected_series.jsonl.gz")) else { return };
    let mut text = String::new();
    flate2::read::GzDecoder::new(fs::File::open(expected).unwrap()).read_to_string(&mut text).unwrap();
    let expected: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    for block in ["tsdb-small", "tsdb-small-tombstones"] {
        let index = open(&format!("{dir}{block}/01JGFSEP80VHQAZ8FEAQD9QWMS/index")).unwrap();
        let mut found = index.all_series().unwrap();
        for expected in &expected {
            let (_, entry) = found.next().unwrap().unwrap();
            let labels: Vec<(String, String)> = serde_json::from_value(expected["labels"].clone()).unwrap();
            let found = index.labels(&entry).unwrap();
            assert_eq!(found.iter().collect::<Vec<_>>(), labels.iter().map(|(n, v)| (&**n, &**v)).collect::<Vec<_>>());
            assert_eq!(format!("{:016x}", found.stable_hash()), expected["stable_hash"].as_str().unwrap());
            let times: Vec<_> = entry.chunks.iter().map(|c| (c.min_time, c.max_time)).collect();
            let chunks = expected["chunks"].as_array().unwrap();
            let expected = chunks.iter().map(|c| (c["min"].as_i64().unwrap(), c["max"].as_i64().unwrap()));
            assert_eq!(times, expected.collect::<Vec<_>>());
        }
        assert!(found.next().is_none());
        check_postings(&index);
    }
}

/// Writes all that an index holds into a new one.
fn rewrite(index: &IndexReader, postings_bytes: usize) -> Vec<u8> {
    let mut writer = IndexWriter::new(std::io::Cursor::new(Vec::new())).postings_bytes(postings_bytes);
    for symbol in index.symbols().unwrap().iter() {
        writer.add_symbol(symbol.unwrap()).unwrap();
    }
    for series in index.all_series().unwrap() {
        let (_, entry) = series.unwrap();
        writer.add_series(&entry.labels, &entry.chunks).unwrap();
    }
    let (sink, len) = writer.finish().unwrap();
    assert_eq!(len, sink.get_ref().len() as u64);
    sink.into_inner()
}

#[test]
fn writes_the_same_bytes_as_go() {
    let path = "fixtures/parquet-common-go/tsdb-small/01JGFSEP80VHQAZ8FEAQD9QWMS/index";
    let Some(index) = open(path) else { return };
    let expected = fs::read(shared(path).unwrap()).unwrap();
    for postings_bytes in [1 << 20, 3000, 400, 0] {
        assert!(rewrite(&index, postings_bytes) == expected, "with {postings_bytes} bytes for postings");
    }
}

#[test]
fn version_1_becomes_version_2() {
    let Some(old) = open("acceptance/tsdb-blocks/index_format_v1/index") else { return };
    let new = IndexReader::new(rewrite(&old, 1 << 20).into()).unwrap();
    assert_eq!(new.layout().version(), Version::V2);
    assert_eq!(dump(&new), dump(&old));
    check_postings(&new);
}
