//! Reads chunks by reference, many at a time.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;

use super::{ChunkPlan, ChunkRef, HEADER, HEADER_BYTES, VERSION};
use crate::{
    error::{Detail, Error, Result},
    files::{BlockFile, BlockFiles},
    runs::ReadOptions,
    tombstones::crc32c,
    varint,
};

/// A chunk as stored.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RawChunk {
    /// The encoding's number, unchecked.
    pub encoding: u8,
    /// The encoded samples: a slice of the buffer that was read, which lives as long as any of its chunks.
    pub data: Bytes,
}

/// Reads chunks from a block's segments and verifies their checksums.
#[derive(Debug)]
pub struct ChunkReader {
    files: Arc<dyn BlockFiles>,
    /// Whether each segment's header was read and found good. It is read together with the segment's first chunks, to
    /// save a round trip.
    checked: Vec<AtomicBool>,
    sizes: Vec<u64>,
    options: ReadOptions,
}

/// What follows the length of a chunk beside its data.
const ENCODING_AND_CHECKSUM_BYTES: u64 = 5;

/// What a buffer tells of the chunk at one place of it.
enum Decoded {
    Chunk(RawChunk),
    /// The chunk ends beyond the buffer, at this offset of the segment.
    EndsAt(u64),
}

impl ChunkReader {
    /// Lists the segments.
    ///
    /// # Errors
    /// Those of [`BlockFiles::segments`].
    pub fn open(files: Arc<dyn BlockFiles>, options: ReadOptions) -> Result<Self> {
        let sizes = files.segments()?;
        let checked = sizes.iter().map(|_| AtomicBool::new(false)).collect();
        Ok(Self { files, checked, sizes, options })
    }

    /// Sizes of the segments in bytes.
    #[must_use]
    pub fn segment_sizes(&self) -> &[u64] {
        &self.sizes
    }

    /// Reads chunks; the result has the order of `refs`, which may be any, with duplicates. Ascending is fastest.
    ///
    /// Memory is that of the chunks and of the gaps between them that the options let it read.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if a reference points at no segment or beyond its end, chunks
    /// overlap or a checksum does not match; [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for an unknown
    /// version of a segment; and those of the reads.
    pub fn read(&self, refs: &[ChunkRef]) -> Result<Vec<RawChunk>> {
        let plan = ChunkPlan::new(self.files.location(), refs, &self.sizes, self.options)?;
        let mut chunks = vec![RawChunk::default(); refs.len()];
        for runs in plan.runs.chunk_by(|a, b| a.segment == b.segment) {
            let Some(first) = runs.first() else { continue };
            let segment = first.segment;
            let ranges: Vec<_> = runs.iter().map(|run| run.bytes.clone()).collect();
            let buffers = self.fetch(segment, &ranges)?;
            let mut longer = Vec::new();
            for (run, buffer) in runs.iter().zip(&buffers) {
                let mut after = run.chunks.start;
                let pieces = plan.order.get(run.chunks.clone()).unwrap_or_default();
                for copies in pieces.chunk_by(|(a, _), (b, _)| a == b) {
                    let Some(&(chunk, place)) = copies.first() else { continue };
                    after = after.saturating_add(copies.len());
                    // Chunks do not overlap, so the next one bounds this one. Hence the work is linear on any input.
                    let next = plan.order.get(after).filter(|(next, _)| next.segment() == segment);
                    let bound = next.map_or(u64::MAX, |(next, _)| u64::from(next.offset()));
                    match self.decode(chunk, buffer, run.bytes.start, bound)? {
                        Decoded::Chunk(decoded) if copies.len() == 1 => put(&mut chunks, place, decoded),
                        Decoded::Chunk(decoded) => put_all(&mut chunks, copies, &decoded),
                        Decoded::EndsAt(end) => longer.push((chunk, end, copies)),
                    }
                }
            }
            if longer.is_empty() {
                continue;
            }
            let ranges: Vec<_> = longer.iter().map(|(chunk, end, _)| u64::from(chunk.offset())..*end).collect();
            let buffers = self.fetch(segment, &ranges)?;
            for ((chunk, end, copies), buffer) in longer.iter().zip(&buffers) {
                let Decoded::Chunk(decoded) = self.decode(*chunk, buffer, u64::from(chunk.offset()), *end)? else {
                    // The length changed between two reads.
                    let found = "another length than a moment ago".into();
                    return Err(self.corrupt(*chunk, format!("a chunk that ends at {end}"), found));
                };
                put_all(&mut chunks, copies, &decoded);
            }
        }
        Ok(chunks)
    }

    /// Reads ranges of a segment, and its header along with the first of them.
    fn fetch(&self, segment: u32, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let file = BlockFile::Segment(segment);
        let checked = usize::try_from(segment).ok().and_then(|s| self.checked.get(s));
        if checked.is_none_or(|c| c.load(Ordering::Relaxed)) {
            return self.files.read_ranges(file, ranges);
        }
        let with_header: Vec<_> = std::iter::once(0..HEADER_BYTES).chain(ranges.iter().cloned()).collect();
        let mut buffers = self.files.read_ranges(file, &with_header)?.into_iter();
        let header = buffers.next().unwrap_or_default();
        let location = || self.files.location().to_owned();
        let Some([m0, m1, m2, m3, version, ..]) = header.first_chunk::<{ HEADER.len() }>() else {
            return Err(Error::short(location(), file, 0..HEADER_BYTES, header.len() as u64));
        };
        let magic = [*m0, *m1, *m2, *m3];
        if !HEADER.starts_with(&magic) {
            let (expected, found) = ("magic [85, bd, 40, dd]".into(), format!("{magic:02x?}"));
            return Err(Detail::Corrupt { location: location(), file, offset: 0, expected, found }.into());
        }
        if *version != VERSION {
            let (what, found) = ("version", version.to_string());
            return Err(Detail::Unsupported { location: location(), file, offset: 4, what, found }.into());
        }
        if let Some(checked) = checked {
            checked.store(true, Ordering::Relaxed);
        }
        Ok(buffers.collect())
    }

    /// Decodes the chunk `chunk` from a buffer that begins at the offset `start` of its segment. The chunk must end at
    /// `bound` or before.
    fn decode(&self, chunk: ChunkRef, buffer: &Bytes, start: u64, bound: u64) -> Result<Decoded> {
        let offset = u64::from(chunk.offset());
        let size = usize::try_from(chunk.segment()).ok().and_then(|s| self.sizes.get(s).copied()).unwrap_or(0);
        let at = offset.checked_sub(start).and_then(|at| usize::try_from(at).ok()).filter(|at| *at <= buffer.len());
        let bytes = at.and_then(|at| buffer.get(at..)).unwrap_or_default();
        let Some((length, prefix)) = varint::decode_unsigned(bytes) else {
            // The buffer goes on for the longest varint, or to the end of the segment, or to the next chunk.
            return Err(self.corrupt(chunk, "the length of a chunk".into(), "no varint".into()));
        };
        let around = (prefix as u64).saturating_add(ENCODING_AND_CHECKSUM_BYTES);
        let end = length.checked_add(around).and_then(|n| offset.checked_add(n));
        let end = match end.filter(|end| *end <= size) {
            Some(end) if end <= bound => end,
            Some(end) => {
                let found = format!("one that ends at {end}");
                return Err(self.corrupt(chunk, format!("a chunk that ends before the next, at {bound}"), found));
            }
            None => {
                let (expected, found) = (format!("a chunk of {length} bytes"), format!("a segment of {size} bytes"));
                return Err(self.corrupt(chunk, expected, found));
            }
        };
        let body_end = usize::try_from(length).ok().and_then(|n| n.checked_add(prefix)?.checked_add(1));
        let parts = body_end.and_then(|body_end| {
            let (body, checksum) = (bytes.get(prefix..body_end)?, bytes.get(body_end..)?.first_chunk()?);
            Some((body, u32::from_be_bytes(*checksum)))
        });
        let Some((body @ [encoding, data @ ..], expected)) = parts else { return Ok(Decoded::EndsAt(end)) };
        let found = crc32c(body);
        if found != expected {
            return Err(self.corrupt(chunk, format!("CRC-32C {expected:08x}"), format!("{found:08x}")));
        }
        Ok(Decoded::Chunk(RawChunk { encoding: *encoding, data: buffer.slice_ref(data) }))
    }

    #[cold]
    fn corrupt(&self, chunk: ChunkRef, expected: String, found: String) -> Error {
        let (file, offset) = (BlockFile::Segment(chunk.segment()), u64::from(chunk.offset()));
        Detail::Corrupt { location: self.files.location().into(), file, offset, expected, found }.into()
    }
}

fn put(chunks: &mut [RawChunk], place: u32, chunk: RawChunk) {
    // Places count the batch, hence they fit.
    if let Some(slot) = usize::try_from(place).ok().and_then(|place| chunks.get_mut(place)) {
        *slot = chunk;
    }
}

fn put_all(chunks: &mut [RawChunk], copies: &[(ChunkRef, u32)], chunk: &RawChunk) {
    copies.iter().for_each(|(_, place)| put(chunks, *place, chunk.clone()));
}
