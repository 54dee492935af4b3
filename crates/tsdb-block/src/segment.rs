//! Chunk segments: the files `chunks/000001`, ... that hold a block's encoded chunks.
//!
//! ```text
//! segment := magic=85BD40DD version=01 padding=000000 chunk*
//! chunk   := length:uvarint encoding:u8 data[length] crc32c       integers big-endian; the checksum covers encoding and data
//! ```
//!
//! A chunk reference is `segment << 32 | offset`, where segment 0 is the file `000001` and the offset is that of the
//! chunk's length. The index does not know where a chunk ends.

mod plan;
mod reader;
mod writer;

pub(crate) use plan::check_segment;
pub use plan::{ChunkPlan, ChunkRun};
pub use reader::{ChunkReader, RawChunk};
pub use writer::{DEFAULT_SEGMENT_BYTES, SegmentWriter};
pub(crate) use writer::{failed, sync_dir};

/// Where a chunk lies in a block's segments, as the index stores it. The order is that of the bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ChunkRef(pub u64);

impl ChunkRef {
    /// The chunk at `offset` of a segment.
    #[must_use]
    pub const fn new(segment: u32, offset: u32) -> Self {
        Self((segment as u64) << 32 | offset as u64)
    }

    /// Number of the segment; 0 is the file `chunks/000001`.
    #[must_use]
    pub const fn segment(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Offset in the segment, in bytes.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is asked for")]
    pub const fn offset(self) -> u32 {
        self.0 as u32
    }
}

/// Magic number, version and padding.
const HEADER: [u8; 8] = [0x85, 0xBD, 0x40, 0xDD, VERSION, 0, 0, 0];
const VERSION: u8 = 1;
const HEADER_BYTES: u64 = HEADER.len() as u64;
/// Size of a chunk without data: length, encoding, checksum.
const MIN_CHUNK_BYTES: u64 = 6;

#[cfg(test)]
mod tests;
