use std::{ops::ControlFlow, process::Command, sync::Arc};

use prometheus_chunks::XorDecoder;
use prometheus_model::{Sample, Value, stale_nan};

use super::*;
use crate::{BlockReader, ChunkRef, ErrorKind, LocalBlock};

const ULID: &str = "01JGFSEP80VHQAZ8FEAQD9QWMS";

fn ulid() -> Ulid {
    Ulid::from_string(ULID).unwrap()
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

fn floats(times: impl IntoIterator<Item = i64>) -> Vec<Sample> {
    let sample = |t| Sample { timestamp: t, start_timestamp: 0, value: Value::Float(t as f64 * 0.5) };
    times.into_iter().map(sample).collect()
}

fn data() -> Vec<(Labels, Vec<Sample>)> {
    vec![
        (labels(&[("__name__", "up"), ("job", "b")]), floats((0..500).map(|i| 1000 + i * 15_000))),
        (labels(&[("__name__", "up"), ("job", "a\"\\\n é")]), floats([1, 2, 3])),
        (labels(&[("job", "a")]), floats([-5, 7_500_000])),
        (labels(&[("__name__", "x"), ("http.status", "200")]), floats([7])),
    ]
}

/// All series with their decoded samples, which must be XOR.
fn read(block: &BlockReader) -> Vec<(Labels, Vec<Sample>)> {
    let mut found = Vec::new();
    block
        .scan_series(64, |_, entry| {
            let symbols = block.symbols()?;
            let pairs = entry.labels.iter().map(|l| (symbols.get(l.name).unwrap(), symbols.get(l.value).unwrap()));
            let labels = Labels::from_pairs(pairs).unwrap();
            let refs: Vec<_> = entry.chunks.iter().map(|c| ChunkRef(c.reference)).collect();
            let mut samples = Vec::new();
            for (chunk, meta) in block.read_chunks(&refs)?.iter().zip(&entry.chunks) {
                assert_eq!(chunk.encoding, Encoding::Xor.byte());
                let first = samples.len();
                let mut decoder = XorDecoder::new(&chunk.data).unwrap();
                while let Some((timestamp, v)) = decoder.next_sample().unwrap() {
                    samples.push(Sample { timestamp, start_timestamp: 0, value: Value::Float(v) });
                }
                assert_eq!(samples[first].timestamp, meta.min_time);
                assert_eq!(samples.last().unwrap().timestamp, meta.max_time);
            }
            found.push((labels, samples));
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    found
}

fn open(dir: &Path) -> BlockReader {
    BlockReader::open(Arc::new(LocalBlock::open(dir).unwrap())).unwrap()
}

fn names_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn reads_what_it_wrote() {
    let parent = tempfile::tempdir().unwrap();
    let meta = write_block(parent.path(), ulid(), &data()).unwrap();
    assert_eq!(names_in(parent.path()), [ULID]);
    let dir = parent.path().join(ULID);
    assert_eq!(names_in(&dir), ["chunks", "index", "meta.json", "tombstones"]);
    let block = open(&dir);
    assert_eq!(block.meta(), &meta);
    let stats =
        BlockStats { num_samples: 506, num_float_samples: 506, num_series: 4, num_chunks: 8, ..BlockStats::default() };
    assert_eq!((&meta.stats, meta.min_time, meta.max_time), (&stats, -5, 7_500_001));
    assert!(block.check_index(1 << 20).unwrap().matches(&stats));
    assert!(block.tombstones().unwrap().is_empty());
    assert_eq!(block.files().size(BlockFile::Tombstones).unwrap(), 9);
    let mut expected = data();
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(read(&block), expected);
}

#[test]
fn cuts_segments() {
    let parent = tempfile::tempdir().unwrap();
    let mut writer = BlockWriter::create_with(parent.path(), ulid(), 300).unwrap();
    let data = [0_u8, 1, 7].repeat(20);
    for name in 10..40 {
        let chunk = |t| BlockChunk { encoding: Encoding::Xor, data: &data, min_time: t, max_time: t };
        writer.add_series(&labels(&[("n", &name.to_string())]), &[chunk(1), chunk(2)]).unwrap();
    }
    let meta = writer
        .finish_with(|meta| {
            meta.max_time = 1000;
            meta.compaction.level = 2;
        })
        .unwrap();
    assert_eq!((meta.min_time, meta.max_time, meta.compaction.level), (1, 1000, 2));
    let block = open(&parent.path().join(ULID));
    // 66 bytes a chunk: four to a segment.
    assert_eq!(block.chunks().segment_sizes(), [8 + 4 * 66; 15]);
    assert!(block.check_index(10).unwrap().matches(&meta.stats));
}

#[test]
fn leaves_nothing_behind() {
    let parent = tempfile::tempdir().unwrap();
    let mut writer = BlockWriter::create(parent.path(), ulid()).unwrap();
    writer.add_series(&labels(&[("a", "b")]), &[]).unwrap();
    assert_eq!(names_in(parent.path()), [format!("{ULID}.tmp-for-creation")]);
    drop(writer);
    assert_eq!(names_in(parent.path()), [""; 0]);

    // A dead writer's directory is no obstacle; a complete block is.
    std::fs::create_dir_all(parent.path().join(format!("{ULID}.tmp-for-creation/chunks"))).unwrap();
    write_block(parent.path(), ulid(), &data()).unwrap();
    assert_eq!(BlockWriter::create(parent.path(), ulid()).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(names_in(parent.path()), [ULID]);
    let missing = parent.path().join("missing");
    assert_eq!(BlockWriter::create(&missing, ulid()).unwrap_err().kind(), ErrorKind::Unavailable);
}

#[test]
fn refuses() {
    let parent = tempfile::tempdir().unwrap();
    let chunk = |min_time, max_time| BlockChunk { encoding: Encoding::Xor, data: &[0, 1, 2], min_time, max_time };
    let a = labels(&[("a", "b")]);
    for (labels, chunks) in [
        (labels(&[]), vec![]),
        (a.clone(), vec![]),
        (labels(&[("a", "a")]), vec![]),
        (labels(&[("a", "c")]), vec![chunk(2, 1)]),
        (labels(&[("a", "c")]), vec![chunk(1, 2), chunk(2, 3)]),
        (labels(&[("a", "c")]), vec![BlockChunk { data: &[0], ..chunk(1, 2) }]),
    ] {
        let mut writer = BlockWriter::create(parent.path(), ulid()).unwrap();
        writer.add_series(&a, &[chunk(1, 1)]).unwrap();
        let error = writer.add_series(&labels, &chunks).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{labels} {chunks:?}");
    }
}

#[test]
fn empty_block() {
    let parent = tempfile::tempdir().unwrap();
    let meta = write_block(parent.path(), ulid(), &[]).unwrap();
    let block = open(&parent.path().join(ULID));
    assert_eq!((meta.min_time, meta.max_time), (0, 1));
    assert_eq!(read(&block), []);
    assert_eq!(block.chunks().segment_sizes(), [0; 0]);
}

#[test]
fn promtool_reads_it() {
    let parent = tempfile::tempdir().unwrap();
    let mut data = data();
    data.push((
        labels(&[("__name__", "special")]),
        [f64::INFINITY, -0.0, f64::NAN, stale_nan(), 5e-324]
            .into_iter()
            .zip(1..)
            .map(|(v, timestamp)| Sample { timestamp, start_timestamp: 0, value: Value::Float(v) })
            .collect(),
    ));
    write_block(parent.path(), ulid(), &data).unwrap();
    // It looks for a log.
    std::fs::create_dir(parent.path().join("wal")).unwrap();
    let promtool = |args: &[&str]| {
        let output = Command::new("promtool").args(["tsdb"]).args(args).arg(parent.path()).output();
        let Ok(output) = output else {
            eprintln!("SKIPPED: promtool is not installed");
            return None;
        };
        assert!(output.status.success(), "{output:?}");
        Some(String::from_utf8(output.stdout).unwrap())
    };
    let Some(list) = promtool(&["list"]) else { return };
    let row: Vec<_> = list.lines().last().unwrap().split_whitespace().map(str::to_owned).collect();
    assert!(list.contains(ULID) && row.contains(&"511".to_owned()), "{list}");

    let dump = promtool(&["dump"]).unwrap();
    let mut lines: Vec<_> = dump.lines().map(str::to_owned).collect();
    lines.sort();
    let mut expected = Vec::new();
    for (labels, samples) in &data {
        for sample in samples {
            let Value::Float(v) = sample.value else { panic!() };
            let v = match v {
                v if v.is_nan() => "NaN".to_owned(),
                v if v.is_infinite() => "+Inf".to_owned(),
                5e-324 => "5e-324".to_owned(),
                v if v >= 1e6 => continue, // Go writes an exponent
                v => v.to_string(),
            };
            expected.push((labels.to_string(), format!("{v} {}", sample.timestamp)));
        }
    }
    for (labels, rest) in &expected {
        // promtool 2.42 does not quote names.
        let labels = labels.replace("\"http.status\"", "http.status");
        assert!(lines.iter().any(|line| *line == format!("{labels} {rest}")), "{labels} {rest}\n{dump:.3000}");
    }
    assert_eq!(lines.len(), 511);
    let analysis = {
        let output = Command::new("promtool").args(["tsdb", "analyze"]).arg(parent.path()).arg(ULID).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(analysis.contains("\nSeries: 5\n"), "{analysis}");
}
