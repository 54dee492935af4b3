//! A block's chunk segments, read by reference.
//!
//! ```text
//! input   = mode(u8) count(u8) count × ref(u16be) segment
//! mode    = bit 0: checksums are computed anew; bit 1: a good header; bits 2-3, 4-5, 6-7: gap, run, estimate
//! ref     = bit 15: second segment; bits 0-14: offset, 0x7fff for the largest
//! segment = bytes of the first segment; the second is its second half
//! ```
//!
//! Holds: a batch gives what reading each chunk by itself gives, which is what a naive reader finds.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use prometheus_tsdb_block::{BlockFile, ChunkReader, ChunkRef, ErrorKind, MemoryBlock, RawChunk, ReadOptions};

use crate::checksums::{crc32c, fix, uvarint};

const HEADER: &[u8; 8] = b"\x85\xbd\x40\xdd\x01\x00\x00\x00";

pub(crate) fn run(input: &[u8]) {
    let Some(([mode, count], rest)) = input.split_first_chunk() else { return };
    let Some((refs, segment)) = rest.split_at_checked(2 * usize::from(*count)) else { return };
    let refs: Vec<ChunkRef> = refs
        .as_chunks::<2>()
        .0
        .iter()
        .map(|bytes| {
            let bits = u16::from_be_bytes(*bytes);
            let offset = if bits & 0x7fff == 0x7fff { u32::MAX } else { u32::from(bits & 0x7fff) };
            ChunkRef::new(u32::from(bits >> 15), offset)
        })
        .collect();
    let mut segments = [segment.to_vec(), segment[segment.len() / 2..].to_vec()];
    for (number, segment) in (0_u32..).zip(&mut segments) {
        if mode & 2 != 0
            && let Some(header) = segment.first_chunk_mut()
        {
            *header = *HEADER;
        }
        for reference in refs.iter().filter(|r| r.segment() == number && mode & 1 != 0) {
            let at = reference.offset() as usize;
            let Some((len, prefix)) = segment.get(at..).and_then(uvarint) else { continue };
            let end = usize::try_from(len).ok().and_then(|len| (at + prefix + 1).checked_add(len));
            if let Some(end) = end {
                fix(segment, at + prefix, end);
            }
        }
    }
    let files: BTreeMap<_, _> =
        (0_u32..).zip(&segments).map(|(n, s)| (BlockFile::Segment(n), Bytes::copy_from_slice(s))).collect();
    let mut block = MemoryBlock::default();
    *block.files_mut() = files;
    let choose = |bits: u8| [0_u64, 3, 100, 16 << 10][usize::from(bits & 3)];
    let options = ReadOptions {
        max_gap_bytes: choose(mode >> 2),
        max_run_bytes: choose(mode >> 4),
        estimated_bytes: choose(mode >> 6),
    };
    let open = || ChunkReader::open(Arc::new(block.clone()), options).expect("two segments");
    let batch = open();
    let expected: Vec<_> = refs.iter().map(|r| naive(&segments[r.segment() as usize], r.offset())).collect();
    for (reference, expected) in refs.iter().zip(&expected) {
        match (open().read(&[*reference]), expected) {
            (Ok(found), Some((chunk, _))) => assert_eq!(found[..], std::slice::from_ref(chunk)[..]),
            (Err(error), None) => assert_typed(&error),
            (found, expected) => panic!("{reference:?}: {found:?} instead of {expected:?}"),
        }
    }
    match batch.read(&refs) {
        Ok(found) => {
            assert!(found.iter().map(Some).eq(expected.iter().map(|e| e.as_ref().map(|(chunk, _)| chunk))));
        }
        Err(error) => {
            assert_typed(&error);
            // One is bad, or two overlap.
            let mut ends: Vec<_> =
                refs.iter().zip(&expected).map(|(r, e)| (*r, e.as_ref().map(|(_, end)| *end))).collect();
            ends.sort_unstable();
            ends.dedup();
            let overlap = ends.array_windows().any(|[(a, end), (b, _)]| {
                a.segment() == b.segment() && end.is_some_and(|end| end > b.offset() as usize)
            });
            assert!(overlap || ends.iter().any(|(_, end)| end.is_none()), "{error}");
        }
    }
    // Again by the same reader, whose headers are checked now.
    let _ = batch.read(&refs);
}

fn assert_typed(error: &prometheus_tsdb_block::Error) {
    assert!([ErrorKind::Corrupt, ErrorKind::Unsupported].contains(&error.kind()), "{error}");
}

/// The chunk at an offset and where it ends, if all is well.
fn naive(segment: &[u8], offset: u32) -> Option<(RawChunk, usize)> {
    let at = usize::try_from(offset).ok().filter(|at| *at >= HEADER.len())?;
    // Magic and version; the padding does not matter.
    segment.starts_with(&HEADER[..5]).then_some(())?;
    let (len, prefix) = uvarint(segment.get(at..)?)?;
    let end = (at + prefix + 1).checked_add(usize::try_from(len).ok()?)?;
    let (body, checksum) = (segment.get(at + prefix..end)?, segment.get(end..end.checked_add(4)?)?);
    (checksum == crc32c(body)).then_some(())?;
    let (encoding, data) = body.split_first()?;
    Some((RawChunk { encoding: *encoding, data: Bytes::copy_from_slice(data) }, end + 4))
}
