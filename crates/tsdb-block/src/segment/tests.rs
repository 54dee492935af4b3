use std::{
    ops::Range,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{BlockFile, BlockFiles, ErrorKind, MemoryBlock, ReadOptions, Result};

/// Writes chunks and gives their references and the segments as a block in memory.
fn block(chunks: &[(u8, Vec<u8>)], segment_bytes: u64) -> (Vec<ChunkRef>, MemoryBlock) {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = SegmentWriter::create(dir.path(), segment_bytes).unwrap();
    let refs = chunks.iter().map(|(encoding, data)| writer.append(*encoding, data).unwrap()).collect();
    writer.finish().unwrap();
    let mut files = Vec::new();
    for segment in 0.. {
        let Ok(bytes) = std::fs::read(dir.path().join(BlockFile::Segment(segment).to_string())) else { break };
        files.push((BlockFile::Segment(segment), bytes.into()));
    }
    (refs, MemoryBlock::new("b", files))
}

/// Records the ranges that are read.
#[derive(Debug)]
struct Recorder(MemoryBlock, Mutex<Vec<(BlockFile, Range<u64>)>>);

impl BlockFiles for Recorder {
    fn location(&self) -> &str {
        self.0.location()
    }
    fn size(&self, file: BlockFile) -> Result<u64> {
        self.0.size(file)
    }
    fn segments(&self) -> Result<Vec<u64>> {
        self.0.segments()
    }
    fn read(&self, file: BlockFile, range: Range<u64>) -> Result<Bytes> {
        self.1.lock().unwrap().push((file, range.clone()));
        self.0.read(file, range)
    }
}

fn reader(block: MemoryBlock, options: ReadOptions) -> ChunkReader {
    ChunkReader::open(Arc::new(block), options).unwrap()
}

const EXACT: ReadOptions = ReadOptions { max_gap_bytes: 0, max_run_bytes: 1 << 20, estimated_bytes: 1 };

#[test]
fn bytes_of_a_segment() {
    let (refs, block) = block(&[(1, b"ab".to_vec()), (4, vec![])], DEFAULT_SEGMENT_BYTES);
    let bytes = block.read(BlockFile::Segment(0), 0..22).unwrap();
    assert_eq!(bytes[..12], [0x85, 0xBD, 0x40, 0xDD, 1, 0, 0, 0, 2, 1, b'a', b'b']);
    assert_eq!(bytes[16..18], [0, 4]);
    assert_eq!(refs, [ChunkRef::new(0, 8), ChunkRef::new(0, 16)]);
}

#[test]
fn coalesces_reads_and_checks_the_header_once() {
    let chunks: Vec<_> = (0..100).map(|i| (1, vec![i; 100])).collect();
    let (refs, block) = block(&chunks, DEFAULT_SEGMENT_BYTES);
    let files = Arc::new(Recorder(block, Mutex::default()));
    let options = ReadOptions { max_gap_bytes: 300, max_run_bytes: 1 << 20, estimated_bytes: 64 };
    let reader = ChunkReader::open(Arc::<Recorder>::clone(&files), options).unwrap();
    // A chunk has 106 bytes. Between 0 and 3 there are 254 bytes beyond the estimate, between 3 and 8 there are 466.
    let wanted = [refs[3], refs[0], refs[8], refs[99]];
    let read = reader.read(&wanted).unwrap();
    assert_eq!(read.iter().map(|c| c.data[0]).collect::<Vec<_>>(), [3, 0, 8, 99]);
    let at = |i: usize| 8 + 106 * i as u64;
    let ranges = std::mem::take(&mut *files.1.lock().unwrap());
    let expected = [
        0..8,
        at(0)..at(3) + 64,
        at(8)..at(8) + 64,
        at(99)..at(99) + 64,
        // Longer than estimated.
        at(3)..at(4),
        at(8)..at(9),
        at(99)..at(100),
    ];
    assert_eq!(ranges, expected.map(|range| (BlockFile::Segment(0), range)));
    reader.read(&[refs[1]]).unwrap();
    assert_eq!(files.1.lock().unwrap().first().unwrap().1, at(1)..at(1) + 64);
}

#[test]
fn long_runs_are_cut_between_chunks() {
    let sizes = [8 + 1000];
    let refs: Vec<_> = (0..10).map(|i| ChunkRef::new(0, 8 + 100 * i)).collect();
    let options = ReadOptions { max_gap_bytes: 1000, max_run_bytes: 300, estimated_bytes: 150 };
    let plan = ChunkPlan::new("b", &refs, &sizes, options).unwrap();
    let ranges: Vec<_> = plan.runs.iter().map(|run| (run.bytes.clone(), run.chunks.clone())).collect();
    assert_eq!(ranges, [(8..308, 0..3), (308..608, 3..6), (608..908, 6..9), (908..1008, 9..10)]);
    assert_eq!(ChunkPlan::new("b", &[], &sizes, options).unwrap().runs, []);
}

#[test]
fn bad_references() {
    let (refs, block) = block(&[(1, vec![7; 50]), (1, vec![8; 50])], DEFAULT_SEGMENT_BYTES);
    let reader = reader(block, ReadOptions::default());
    for (bad, text) in [
        (ChunkRef::new(1, 8), "chunks/000002 of block b, offset 8: expected one of 1 segments"),
        (ChunkRef::new(u32::MAX, 8), "chunks/4294967296"),
        (ChunkRef::new(0, 7), "chunks/000001 of block b, offset 7"),
        (ChunkRef::new(0, 0), "offset 0"),
        (ChunkRef::new(0, u32::MAX), "found a segment of 120 bytes"),
        (ChunkRef::new(0, 115), "found a segment of 120 bytes"),
        (ChunkRef::new(0, 9), "offset 9: expected CRC-32C"),
    ] {
        for refs in [vec![bad], vec![refs[0], bad], vec![bad, refs[1]]] {
            let error = reader.read(&refs).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            if refs.len() == 1 {
                assert!(error.to_string().contains(text), "{error}");
            }
        }
    }
    let error = reader.read(&[refs[0], ChunkRef::new(0, 20)]).unwrap_err();
    assert!(
        error.to_string().contains("expected a chunk that ends before the next, at 20, found one that ends at 64"),
        "{error}"
    );
}

#[test]
fn bad_headers() {
    let (refs, block) = block(&[(1, vec![7; 50])], DEFAULT_SEGMENT_BYTES);
    let bytes = block.read(BlockFile::Segment(0), 0..64).unwrap();
    for bit in 0..64 * 8 {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let block = MemoryBlock::new("b", [(BlockFile::Segment(0), flipped.into())]);
        let result = reader(block, EXACT).read(&refs);
        let expected = match bit / 8 {
            0..4 => Some(ErrorKind::Corrupt),
            4 => Some(ErrorKind::Unsupported),
            5..8 => None, // padding
            _ => Some(ErrorKind::Corrupt),
        };
        assert_eq!(result.err().map(|e| e.kind()), expected, "bit {bit}");
    }
    for length in 0..64 {
        let block = MemoryBlock::new("b", [(BlockFile::Segment(0), bytes.slice(..length))]);
        assert_eq!(reader(block, EXACT).read(&refs).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn lengths_beyond_the_file_reserve_nothing() {
    for length in [u64::MAX, u64::from(u32::MAX), 1 << 40, 100] {
        let mut bytes = HEADER.to_vec();
        crate::varint::encode_unsigned(&mut bytes, length);
        bytes.extend([1; 64]);
        let block = MemoryBlock::new("b", [(BlockFile::Segment(0), bytes.into())]);
        let error = reader(block, ReadOptions::default()).read(&[ChunkRef::new(0, 8)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}

proptest! {
    // Writing syncs.
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_batch_in_any_order(
        chunks in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..300)), 1..40),
        wanted in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
        sorted: bool,
        segment_bytes in 8..4000_u64,
        max_gap_bytes in 0..500_u64,
        max_run_bytes in 0..2000_u64,
        estimated_bytes in 0..400_u64,
    ) {
        let (refs, block) = block(&chunks, segment_bytes);
        let segments = block.segments().unwrap();
        prop_assert!(segments.iter().all(|size| *size <= segment_bytes.max(8 + 2 + 300 + 5)));
        let options = ReadOptions { max_gap_bytes, max_run_bytes, estimated_bytes };
        let mut wanted: Vec<_> = wanted.iter().map(|i| i.index(chunks.len())).collect();
        if sorted {
            wanted.sort_unstable();
        }
        let read = reader(block, options).read(&wanted.iter().map(|i| refs[*i]).collect::<Vec<_>>()).unwrap();
        prop_assert_eq!(read.len(), wanted.len());
        for (chunk, i) in read.iter().zip(wanted) {
            prop_assert_eq!((chunk.encoding, &chunk.data[..]), (chunks[i].0, &chunks[i].1[..]));
        }
    }
}
