//! Writes chunk segments.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{ChunkRef, HEADER, HEADER_BYTES};
use crate::{
    error::{Detail, Error, Result},
    files::{BlockFile, CHUNKS_DIR},
    tombstones::crc32c,
    varint,
};

/// Nominal size of a segment, as in Prometheus. A segment is longer only if a single chunk is.
pub const DEFAULT_SEGMENT_BYTES: u64 = 512 << 20;

const BUFFER_BYTES: usize = 1 << 20;

/// Appends chunks to a block's segments and cuts a new segment when one is full.
#[derive(Debug)]
pub struct SegmentWriter {
    /// The block's directory.
    dir: PathBuf,
    segment_bytes: u64,
    tail: Option<Tail>,
    /// Number of the next segment.
    next: u32,
    /// One encoded chunk.
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Tail {
    segment: u32,
    file: BufWriter<File>,
    size: u64,
}

impl SegmentWriter {
    /// Makes the directory `chunks` in the block's directory `dir`; it must not exist. A segment is cut before it
    /// exceeds `segment_bytes`, for which [`DEFAULT_SEGMENT_BYTES`] is usual.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the file system fails.
    pub fn create(dir: impl Into<PathBuf>, segment_bytes: u64) -> Result<Self> {
        let dir = dir.into();
        std::fs::create_dir(dir.join(CHUNKS_DIR)).map_err(failed(&dir, "make the directory of segments"))?;
        // Offsets of chunks have 32 bits.
        let segment_bytes = segment_bytes.min(u64::from(u32::MAX));
        Ok(Self { dir, segment_bytes, tail: None, next: 0, buffer: Vec::new() })
    }

    /// Appends a chunk and gives the reference by which it is found.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the chunk is longer than 2^32 - 1 bytes;
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the file system fails.
    pub fn append(&mut self, encoding: u8, data: &[u8]) -> Result<ChunkRef> {
        if u32::try_from(data.len()).is_err() {
            let (location, message) = (self.dir.display().to_string(), format!("a chunk of {} bytes", data.len()));
            return Err(Detail::Argument { location, message }.into());
        }
        self.buffer.clear();
        varint::encode_unsigned(&mut self.buffer, data.len() as u64);
        let body = self.buffer.len();
        self.buffer.push(encoding);
        self.buffer.extend_from_slice(data);
        let checksum = crc32c(self.buffer.get(body..).unwrap_or_default()).to_be_bytes();
        self.buffer.extend_from_slice(&checksum);

        let length = self.buffer.len() as u64;
        let full = |tail: &Tail| tail.size > HEADER_BYTES && tail.size.saturating_add(length) > self.segment_bytes;
        if self.tail.as_ref().is_none_or(full) {
            self.cut()?;
        }
        let offset = self.tail.as_ref().and_then(|tail| u32::try_from(tail.size).ok());
        let (Some(tail), Some(offset)) = (&mut self.tail, offset) else {
            let (location, message) = (self.dir.display().to_string(), "a segment of 4 GiB".into());
            return Err(Detail::Argument { location, message }.into());
        };
        tail.file.write_all(&self.buffer).map_err(failed(&self.dir, "append to a segment"))?;
        tail.size = tail.size.saturating_add(length);
        Ok(ChunkRef::new(tail.segment, offset))
    }

    /// Completes the last segment and makes all of them durable.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the file system fails.
    pub fn finish(mut self) -> Result<()> {
        self.finish_tail()?;
        sync_dir(&self.dir.join(CHUNKS_DIR)).map_err(failed(&self.dir, "sync the directory of segments"))
    }

    fn finish_tail(&mut self) -> Result<()> {
        let Some(tail) = self.tail.take() else { return Ok(()) };
        let file = tail.file.into_inner().map_err(io::IntoInnerError::into_error);
        file.and_then(|file| file.sync_all()).map_err(failed(&self.dir, "complete a segment"))
    }

    fn cut(&mut self) -> Result<()> {
        self.finish_tail()?;
        let segment = self.next;
        let path = self.dir.join(BlockFile::Segment(segment).to_string());
        let file = File::create_new(path).and_then(|file| {
            let mut file = BufWriter::with_capacity(BUFFER_BYTES, file);
            file.write_all(&HEADER)?;
            Ok(file)
        });
        let file = file.map_err(failed(&self.dir, "begin a segment"))?;
        self.next = segment.checked_add(1).ok_or_else(|| Detail::Argument {
            location: self.dir.display().to_string(),
            message: "more than 2^32 segments".into(),
        })?;
        self.tail = Some(Tail { segment, file, size: HEADER_BYTES });
        Ok(())
    }
}

/// Makes an error of a failed write.
pub(crate) fn failed(dir: &Path, operation: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Detail::Write { location: dir.display().to_string(), operation, source }.into()
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
