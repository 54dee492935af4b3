//! Blocks that others wrote, against what they say is in them.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests may panic, and say what they skipped")]

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use prometheus_chunks::Encoding;
use prometheus_model::Labels;
use prometheus_tsdb_block::{
    BlockChunk, BlockFile, BlockReader, BlockWriter, ChunkRef, ErrorKind, IndexStats, LocalBlock, ReadOptions,
    Tombstones,
};
use prometheus_tsdb_index::{SeriesEntry, SeriesRef, Symbols};
use serde_json::Value;
use xxhash_rust::xxh64::xxh64;

/// The corpora of the workspace, if they are there.
fn shared(path: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("PROMPARQUET_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let path = shared.join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: {} is not there", path.display());
    None
}

fn only_block_in(dir: &Path) -> PathBuf {
    let entries: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(entries.len(), 1);
    entries[0].clone()
}

fn open(dir: impl Into<PathBuf>, options: ReadOptions) -> BlockReader {
    BlockReader::open_with(Arc::new(LocalBlock::open(dir).unwrap()), options).unwrap()
}

fn labels_of(symbols: &Symbols, entry: &SeriesEntry) -> Vec<(String, String)> {
    let text = |symbol| symbols.get(symbol).unwrap().to_owned();
    entry.labels.iter().map(|label| (text(label.name), text(label.value))).collect()
}

/// A line of `expected_series*.jsonl.gz`.
struct Expected {
    labels: Vec<(String, String)>,
    /// Encoding, bounds, length and hash of each chunk.
    chunks: Vec<(String, i64, i64, u64, String)>,
    timestamps: Vec<i64>,
}

fn expected(file: &Path) -> Vec<Expected> {
    let lines = BufReader::new(flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap())).lines();
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    lines
        .map(|line| {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            let array = |name: &str| line[name].as_array().unwrap().clone();
            Expected {
                labels: array("labels").iter().map(|l| (text(&l[0]), text(&l[1]))).collect(),
                chunks: array("chunks")
                    .iter()
                    .map(|c| {
                        let (min, max) = (c["min"].as_i64().unwrap(), c["max"].as_i64().unwrap());
                        (text(&c["enc"]), min, max, c["len"].as_u64().unwrap(), text(&c["xxh64"]))
                    })
                    .collect(),
                timestamps: array("samples").iter().map(|s| s[0].as_i64().unwrap()).collect(),
            }
        })
        .collect()
}

const FIXTURES: &str = "fixtures/parquet-common-go";

#[test]
fn the_block_of_the_go_library() {
    let Some(fixtures) = shared(FIXTURES) else { return };
    let expected = expected(&fixtures.join("expected_series.jsonl.gz"));
    let dir = only_block_in(&fixtures.join("tsdb-small"));
    let narrow = ReadOptions { max_gap_bytes: 0, max_run_bytes: 100, estimated_bytes: 20 };
    for (options, window_bytes) in [(ReadOptions::default(), 1 << 20), (narrow, 1), (narrow, 1000)] {
        let block = open(&dir, options);
        let mut lines = expected.iter();
        let mut series = Vec::new();
        let mut all_refs = Vec::new();
        block
            .scan_series(window_bytes, |reference, entry| {
                let line = lines.next().unwrap();
                assert_eq!(labels_of(block.symbols()?, entry), line.labels);
                let refs: Vec<_> = entry.chunks.iter().map(|c| ChunkRef(c.reference)).collect();
                let chunks = block.read_chunks(&refs)?;
                let found: Vec<_> = entry
                    .chunks
                    .iter()
                    .zip(&chunks)
                    .map(|(meta, chunk)| {
                        let encoding = ["", "XOR", "histogram", "floathistogram"][usize::from(chunk.encoding)];
                        let hash = format!("{:016x}", xxh64(&chunk.data, 0));
                        (encoding.to_owned(), meta.min_time, meta.max_time, chunk.data.len() as u64, hash)
                    })
                    .collect();
                assert_eq!(found, line.chunks);
                series.push((reference, entry.clone()));
                all_refs.push((refs, chunks));
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
        assert_eq!(lines.count(), 0);

        // The same chunks and series in one batch, backwards.
        let refs: Vec<_> = all_refs.iter().rev().flat_map(|(refs, _)| refs.iter().copied()).collect();
        let chunks: Vec<_> = all_refs.iter().rev().flat_map(|(_, chunks)| chunks.iter().cloned()).collect();
        assert_eq!(block.read_chunks(&refs).unwrap(), chunks);
        let refs: Vec<_> = series.iter().rev().chain(&series[3..5]).map(|(reference, _)| *reference).collect();
        let mut found = vec![None; refs.len()];
        block
            .read_series(&refs, |place, reference, entry| {
                assert!(found[place].is_none());
                found[place] = Some((reference, entry.clone()));
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
        let wanted: Vec<_> = series.iter().rev().chain(&series[3..5]).cloned().map(Some).collect();
        assert_eq!(found, wanted);

        let stats = block.check_index(window_bytes).unwrap();
        assert!(stats.matches(&block.meta().stats), "{stats:?}");
        let range = block.meta().time_range().unwrap();
        assert_eq!(stats.time_bounds, Some((range.start(), range.last())));
        assert!(block.tombstones().unwrap().is_empty());
    }
}

#[test]
fn tombstones_of_the_go_library() {
    let Some(fixtures) = shared(FIXTURES) else { return };
    let before = expected(&fixtures.join("expected_series.jsonl.gz"));
    let after = expected(&fixtures.join("expected_series_tombstones.jsonl.gz"));
    let after: BTreeMap<_, _> = after.into_iter().map(|line| (line.labels, line.timestamps)).collect();
    let block = open(only_block_in(&fixtures.join("tsdb-small-tombstones")), ReadOptions::default());
    let tombstones = block.tombstones().unwrap();
    let mut lines = before.iter();
    let mut seen = BTreeSet::new();
    block
        .scan_series(4096, |series, entry| {
            let line = lines.next().unwrap();
            assert_eq!(labels_of(block.symbols()?, entry), line.labels);
            let intervals = tombstones.of(series);
            let kept: Vec<_> = line.timestamps.iter().copied().filter(|t| !intervals.contains(*t)).collect();
            assert_eq!(kept, after.get(&line.labels).cloned().unwrap_or_default(), "{:?}", line.labels);
            let (first, last) = (line.timestamps[0], *line.timestamps.last().unwrap());
            if intervals.covers(first, last) {
                assert!(kept.is_empty());
            }
            assert!(intervals.overlaps(first, last) || kept.len() == line.timestamps.len());
            seen.insert(series);
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    assert!(tombstones.iter().all(|(series, _)| seen.contains(&series)) && tombstones.len() > 20);
    let again = Tombstones::decode("again", &tombstones.encode()).unwrap();
    assert_eq!(&again, tombstones);
}

const BLOCKS: &str = "acceptance/tsdb-blocks";

#[test]
fn index_of_version_1() {
    let Some(blocks) = shared(BLOCKS) else { return };
    let block = open(blocks.join("index_format_v1"), ReadOptions::default());
    let mut refs: Vec<SeriesRef> = Vec::new();
    let mut names = Vec::new();
    block
        .scan_series(100, |series, entry| {
            refs.push(series);
            names.push(labels_of(block.symbols()?, entry));
            let chunks: Vec<_> = entry.chunks.iter().map(|c| ChunkRef(c.reference)).collect();
            assert!(block.read_chunks(&chunks)?.iter().all(|chunk| chunk.encoding == 1));
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    // Prometheus' test of this block: series {foo="bar", baz="..."} and {foo="baz"}.
    assert_eq!(refs.len(), 102);
    assert!(names.contains(&vec![("foo".into(), "bar".into())]), "{names:?}");
    let stats = block.check_index(1 << 20).unwrap();
    assert!(stats.matches(&block.meta().stats));
    let mut count = 0;
    block
        .read_series(&refs, |place, series, entry| {
            assert_eq!(series, refs[place]);
            assert_eq!(labels_of(block.symbols()?, entry), names[place]);
            count += 1;
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    assert_eq!(count, 102);
    assert!(block.tombstones().unwrap().is_empty());
}

#[test]
fn mistaken_version_of_the_meta() {
    let Some(blocks) = shared(BLOCKS) else { return };
    let block = open(only_block_in(&blocks.join("repair_index_version")), ReadOptions::default());
    let mut found = Vec::new();
    block
        .scan_series(1 << 20, |series, entry| {
            found.push((series.0, labels_of(block.symbols()?, entry)));
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    let labels = |a: &str| vec![("a".to_owned(), a.to_owned()), ("b".to_owned(), "1".to_owned())];
    assert_eq!(found.iter().map(|(_, l)| l.clone()).collect::<Vec<_>>(), [labels("1"), labels("2")]);
    // The corpus holds another block's meta.
    let stats = block.check_index(1 << 20).unwrap();
    assert_eq!(stats, IndexStats { num_series: 2, num_chunks: 0, time_bounds: None });
    assert!(!stats.matches(&block.meta().stats));
    assert_eq!(block.read_chunks(&[ChunkRef(8)]).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn chunks_out_of_order() {
    let Some(blocks) = shared(BLOCKS) else { return };
    // The corpus has an index only.
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(blocks.join("out_of_order_chunks/index"), dir.path().join("index")).unwrap();
    std::fs::copy(blocks.join("index_format_v1/meta.json"), dir.path().join("meta.json")).unwrap();
    let block = open(dir.path(), ReadOptions::default());
    let mut scan = block.series(1 << 20).unwrap();
    let mut entry = SeriesEntry::default();
    assert!(scan.next(&mut entry).unwrap().is_some());
    assert_eq!(entry.chunks.len(), 2);
    assert!(entry.chunks[1].min_time < entry.chunks[0].max_time, "{entry:?}");
    assert!(scan.next(&mut entry).unwrap().is_none());
    assert_eq!(block.check_index(1 << 20).unwrap_err().kind(), ErrorKind::Corrupt);
}

/// Every series and chunk of the Go library's block, written again: all four files come out the same, byte for byte.
#[test]
fn writes_the_same_block_as_prometheus() {
    let Some(fixtures) = shared(FIXTURES) else { return };
    let dir = only_block_in(&fixtures.join("tsdb-small"));
    let block = open(&dir, ReadOptions::default());
    let parent = tempfile::tempdir().unwrap();
    let mut writer = BlockWriter::create(parent.path(), block.meta().ulid).unwrap();
    block
        .scan_series(1 << 20, |_, entry| {
            let labels = labels_of(block.symbols()?, entry);
            let labels = Labels::from_pairs(labels.iter().map(|(n, v)| (n.as_str(), v.as_str()))).unwrap();
            let refs: Vec<_> = entry.chunks.iter().map(|c| ChunkRef(c.reference)).collect();
            let read = block.read_chunks(&refs)?;
            let chunks = entry.chunks.iter().zip(&read).map(|(meta, chunk)| BlockChunk {
                encoding: Encoding::try_from(chunk.encoding).unwrap(),
                data: &chunk.data,
                min_time: meta.min_time,
                max_time: meta.max_time,
            });
            let chunks: Vec<_> = chunks.collect();
            writer.add_series(&labels, &chunks)?;
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    let meta = writer.finish().unwrap();
    for file in [BlockFile::Meta, BlockFile::Index, BlockFile::Tombstones, BlockFile::Segment(0)] {
        // The ULID in the corpus' meta.json was edited, and a line feed added.
        let read = |dir: &Path| std::fs::read(dir.join(file.to_string())).unwrap().trim_ascii_end().to_vec();
        assert!(read(&dir) == read(&parent.path().join(meta.ulid.to_string())), "{file} differs");
    }
}
