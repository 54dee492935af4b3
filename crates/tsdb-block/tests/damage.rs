//! Damaged blocks: a typed error or the same answer, never a panic, a hang or another answer.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{ops::ControlFlow, sync::Arc};

use bytes::Bytes;
use prometheus_model::{Labels, Sample, Span, Value};
use prometheus_tsdb_block::{
    BlockFile, BlockReader, ChunkRef, Error, ErrorKind, Interval, LocalBlock, MemoryBlock, RawChunk, Result,
    Tombstones, write_block,
};
use prometheus_tsdb_index::{SeriesEntry, SeriesRef};
use ulid::Ulid;

/// A block of three series, one of histograms, and two tombstones.
fn tiny_block(first_value: f64) -> MemoryBlock {
    let labels = |name, job| Labels::from_pairs([("__name__", name), ("job", job)]).unwrap();
    let sample = |timestamp, value| Sample { timestamp, start_timestamp: 0, value };
    let histogram = prometheus_model::Histogram {
        count: 3,
        sum: 4.5,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![1, 1],
        ..Default::default()
    };
    let floats = |n| (0..n).map(|i| sample(i * 1000, Value::Float(first_value + i as f64))).collect();
    let series = [
        (labels("latency", "a"), vec![sample(5, Value::Histogram(histogram.into()))]),
        (labels("up", "a"), floats(150)),
        (labels("up", "b"), floats(2)),
    ];
    let parent = tempfile::tempdir().unwrap();
    let ulid = Ulid::from_string("01JGFSEP80VHQAZ8FEAQD9QWMS").unwrap();
    let meta = write_block(parent.path(), ulid, &series).unwrap();
    let mut block =
        MemoryBlock::copy_of(&LocalBlock::open(parent.path().join(meta.ulid.to_string())).unwrap()).unwrap();
    let up: Vec<_> = answer(&block).unwrap().series.iter().map(|(series, ..)| *series).collect();
    let tombstones: Tombstones =
        [(up[1], Interval { min: 3000, max: 5000 }), (up[2], Interval { min: 0, max: 0 })].into_iter().collect();
    block.files_mut().insert(BlockFile::Tombstones, tombstones.encode().into());
    block
}

/// Its labels, its entry and the chunks.
type Series = (SeriesRef, Vec<(String, String)>, SeriesEntry, Vec<RawChunk>);

/// All that a reader can learn of a block but its meta.
#[derive(PartialEq, Debug)]
struct Answer {
    series: Vec<Series>,
    tombstones: Tombstones,
}

fn answer(block: &MemoryBlock) -> Result<Answer> {
    let block = BlockReader::open(Arc::new(block.clone()))?;
    let mut refs = Vec::new();
    block.scan_series(64, |series, _| {
        refs.push(series);
        Ok(ControlFlow::Continue(()))
    })?;
    let mut series = Vec::new();
    let symbols = block.symbols()?;
    let text = |symbol| String::from_utf8_lossy(symbols.get_bytes(symbol).unwrap()).into_owned();
    block.read_series(&refs, |_, reference, entry| {
        let labels = entry.labels.iter().map(|l| (text(l.name), text(l.value))).collect();
        series.push((reference, labels, entry.clone(), Vec::new()));
        Ok(ControlFlow::Continue(()))
    })?;
    let chunks: Vec<_> = series.iter().flat_map(|s| s.2.chunks.iter().map(|c| ChunkRef(c.reference))).collect();
    let mut chunks = block.read_chunks(&chunks)?.into_iter();
    for (_, _, entry, found) in &mut series {
        found.extend(chunks.by_ref().take(entry.chunks.len()));
    }
    block.check_index(1 << 20)?;
    Ok(Answer { series, tombstones: block.tombstones()?.clone() })
}

fn with(block: &MemoryBlock, file: BlockFile, bytes: impl Into<Bytes>) -> MemoryBlock {
    let mut block = block.clone();
    block.files_mut().insert(file, bytes.into());
    block
}

fn assert_typed(error: &Error) {
    assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported | ErrorKind::LimitExceeded), "{error}");
    assert!(!error.to_string().is_empty());
}

#[test]
fn every_bit_and_every_truncation() {
    let mut block = tiny_block(1.0);
    let expected = answer(&block).unwrap();
    assert_eq!(expected.series.iter().map(|s| s.3.len()).collect::<Vec<_>>(), [1, 2, 1]);
    assert_eq!(expected.tombstones.len(), 2);
    let files = block.files_mut().clone();
    assert_eq!(files.len(), 4);
    let (mut errors, mut answers) = (0, 0);
    for (file, bytes) in files {
        let mut check = |bytes: Bytes, what: String| match answer(&with(&block, file, bytes)) {
            Ok(found) => {
                answers += 1;
                assert_eq!(found, expected, "{file}: {what}");
            }
            Err(error) => {
                errors += 1;
                assert_typed(&error);
            }
        };
        for length in 0..bytes.len() {
            check(bytes.slice(..length), format!("cut to {length}"));
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            check(flipped.into(), format!("bit {bit}"));
        }
    }
    assert!(errors > answers, "{errors} errors, {answers} answers");
}

#[test]
fn missing_empty_and_swapped_files() {
    let mut block = tiny_block(1.0);
    let (mut other, files) = (tiny_block(2.0), block.files_mut().clone());
    let expected = answer(&block).unwrap();
    for file in files.keys().copied() {
        let mut without = block.clone();
        without.files_mut().remove(&file);
        match (file, answer(&without)) {
            (BlockFile::Meta | BlockFile::Index, result) => assert_eq!(result.unwrap_err().kind(), ErrorKind::NotFound),
            (BlockFile::Tombstones, result) => assert!(result.unwrap().tombstones.is_empty()),
            (BlockFile::Segment(_), result) => assert_eq!(result.unwrap_err().kind(), ErrorKind::Corrupt),
        }
        assert_typed(&answer(&with(&block, file, Bytes::new())).unwrap_err());
        for (another, bytes) in &files {
            if *another != file {
                assert_typed(&answer(&with(&block, file, bytes.clone())).unwrap_err());
            }
        }
    }
    // The segments of another block, with chunks of other lengths.
    let segment = other.files_mut()[&BlockFile::Segment(0)].clone();
    match answer(&with(&block, BlockFile::Segment(0), segment)) {
        Ok(found) => assert_ne!(found, expected), // the same layout by chance: nothing can tell
        Err(error) => assert_typed(&error),
    }
    // A gap in the segments.
    let segment = files[&BlockFile::Segment(0)].clone();
    let error = answer(&with(&block, BlockFile::Segment(2), segment)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "missing segment: expected chunks/000002, found chunks/000003");
}

/// Lengths that lead elsewhere, and any other byte set to an extreme.
#[test]
fn lengths_that_lead_astray() {
    let mut block = tiny_block(1.0);
    let bytes = block.files_mut()[&BlockFile::Segment(0)].clone();
    for at in 8..bytes.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut changed = bytes.to_vec();
            changed[at] = value;
            if let Err(error) = answer(&with(&block, BlockFile::Segment(0), changed)) {
                assert_typed(&error);
            }
        }
    }
}

/// Series of one float each.
fn block_of(names: &[&str]) -> MemoryBlock {
    let sample = Sample { timestamp: 1 << 40, start_timestamp: 0, value: Value::Float(1.0) };
    let series = |name: &&str| {
        (Labels::from_pairs([("name", *name), ("region", "x"), ("zone", "x")]).unwrap(), vec![sample.clone()])
    };
    let parent = tempfile::tempdir().unwrap();
    let ulid = Ulid::from_string("01JGFSEP80VHQAZ8FEAQD9QWMS").unwrap();
    write_block(parent.path(), ulid, &names.iter().map(series).collect::<Vec<_>>()).unwrap();
    MemoryBlock::copy_of(&LocalBlock::open(parent.path().join(ulid.to_string())).unwrap()).unwrap()
}

#[test]
fn series_that_do_not_ascend() {
    let mut block = block_of(&["a", "b"]);
    let found = answer(&block).unwrap();
    let [a, b] = [0, 1].map(|i| found.series[i].0.0 as usize * 16);
    let mut index = block.files_mut()[&BlockFile::Index].to_vec();
    // A byte of length, the body, a checksum.
    let length = 1 + usize::from(index[a]) + 4;
    assert_eq!(index[a], index[b]);
    let (first, second) = index.split_at_mut(b);
    first[a..a + length].swap_with_slice(&mut second[..length]);
    let error = answer(&with(&block, BlockFile::Index, index)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(
        error.to_string().contains(
            r#"expected a series after {name="b", region="x", zone="x"}, found {name="a", region="x", zone="x"}"#
        ),
        "{error}"
    );
}

#[test]
fn references_to_no_series() {
    let block = block_of(&["a", "b"]);
    let series: Vec<_> = answer(&block).unwrap().series.iter().map(|s| s.0).collect();
    let block = BlockReader::open(Arc::new(block)).unwrap();
    let read = |refs: &[SeriesRef]| {
        let mut count = 0;
        block.read_series(refs, |_, _, _| {
            count += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok::<_, Error>(count)
    };
    assert_eq!(read(&[series[1], series[0], series[1]]).unwrap(), 3);
    let within = SeriesRef(series[0].0 + 1);
    for (refs, text) in [
        (vec![series[0], within], "expected a series that ends before"),
        (vec![SeriesRef(0)], "found the reference 0"),
        (vec![series[0], SeriesRef(u64::MAX)], "found the reference 18446744073709551615"),
    ] {
        let error = read(&refs).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(text), "{error}");
    }
    assert!(read(&[within]).is_err());
}
