//! Ranged reads of one block's files, wherever they lie.
//!
//! ```text
//! <ULID>/meta.json
//!        index
//!        chunks/000001, 000002, ...   numbered without gaps; the file's number less one is the segment of a chunk reference
//!        tombstones                   optional
//! ```
//!
//! The trait is synchronous: a block is read in a few large ranges by threads that compute on them. An implementation
//! over an object store blocks on its own runtime.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

use crate::error::{Detail, Error, ErrorKind, Result};

/// Directory of the chunk segments.
pub(crate) const CHUNKS_DIR: &str = "chunks";

/// A file of a block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum BlockFile {
    /// `meta.json`.
    Meta,
    /// `index`.
    Index,
    /// `tombstones`.
    Tombstones,
    /// A chunk segment, by its number in chunk references: 0 is `chunks/000001`.
    Segment(u32),
}

/// The path within the block's directory, with `/` between its parts.
impl fmt::Display for BlockFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meta => f.pad("meta.json"),
            Self::Index => f.pad("index"),
            Self::Tombstones => f.pad("tombstones"),
            Self::Segment(segment) => write!(f, "{CHUNKS_DIR}/{:06}", u64::from(*segment).saturating_add(1)),
        }
    }
}

/// Reads ranges of one block's files. Nothing is ever written through it.
pub trait BlockFiles: fmt::Debug + Send + Sync {
    /// Where the block lies (a directory, a URL), for messages.
    fn location(&self) -> &str;

    /// Size of a file in bytes.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if it does not exist; [`ErrorKind::Unavailable`] if the storage fails.
    fn size(&self, file: BlockFile) -> Result<u64>;

    /// Sizes in bytes of all chunk segments, indexed by the segment's number in chunk references. A block without
    /// segments gives none. [`segments_of_listing`] makes this from a listing.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the numbering has a gap; [`ErrorKind::Unavailable`] if the storage fails.
    fn segments(&self) -> Result<Vec<u64>>;

    /// Exactly the bytes of `range` (half-open). Implementations check it against the size before they reserve memory,
    /// for which there is [`check_range`].
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the file ends before the range does; [`ErrorKind::NotFound`] if it does not exist;
    /// [`ErrorKind::Unavailable`] if the storage fails.
    fn read(&self, file: BlockFile, range: Range<u64>) -> Result<Bytes>;

    /// The bytes of each range, in the order given. Callers have already coalesced what lies close together;
    /// implementations with a long round trip should fetch the ranges in parallel.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_ranges(&self, file: BlockFile, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        ranges.iter().map(|range| self.read(file, range.clone())).collect()
    }
}

/// Checks that `range` lies within a file of `size` bytes.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if it does not.
pub fn check_range(location: &str, file: BlockFile, range: &Range<u64>, size: u64) -> Result<()> {
    if range.start <= range.end && range.end <= size {
        return Ok(());
    }
    Err(Error::short(location, file, range.clone(), size))
}

/// Sizes of the chunk segments from a listing of `(file name, size)` of the block's `chunks` directory, in any order.
/// Names that are not purely numeric are no segments and are passed over.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if a number is missing, or spelled otherwise than Prometheus does (six digits or more, padded
/// with zeros).
pub fn segments_of_listing<N: AsRef<str>>(
    location: &str,
    listing: impl IntoIterator<Item = (N, u64)>,
) -> Result<Vec<u64>> {
    let mut numbered = Vec::new();
    for (name, size) in listing {
        let name = name.as_ref();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        let segment = name.parse::<u32>().ok().and_then(|number| number.checked_sub(1));
        let canonical = segment.filter(|s| BlockFile::Segment(*s).to_string() == format!("{CHUNKS_DIR}/{name}"));
        let Some(segment) = canonical else {
            let message = format!("{CHUNKS_DIR}/{name} is no name of a segment: expected 000001, 000002, ...");
            return Err(Error::list(ErrorKind::Corrupt, location, message));
        };
        numbered.push((segment, size));
    }
    numbered.sort_unstable();
    for (expected, (segment, _)) in (0..).zip(&numbered) {
        if *segment != expected {
            let (expected, found) = (BlockFile::Segment(expected), BlockFile::Segment(*segment));
            let message = format!("missing segment: expected {expected}, found {found}");
            return Err(Error::list(ErrorKind::Corrupt, location, message));
        }
    }
    Ok(numbered.into_iter().map(|(_, size)| size).collect())
}

/// A block in a local directory. Files are opened read-only at first use and stay open, so that a block that is
/// deleted meanwhile can still be read to its end.
#[derive(Debug)]
pub struct LocalBlock {
    dir: PathBuf,
    location: String,
    open: Mutex<HashMap<BlockFile, OpenFile>>,
}

#[derive(Clone, Debug)]
struct OpenFile {
    file: Arc<File>,
    size: u64,
}

impl LocalBlock {
    /// The block in the directory `dir`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such directory; [`ErrorKind::Unavailable`] if it cannot be examined.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self> {
        let dir = dir.into();
        let location = dir.display().to_string();
        let failed = |source: io::Error| Error::read(kind_of(&source), &*location, BlockFile::Meta, source);
        if !std::fs::metadata(&dir).map_err(failed)?.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        Ok(Self { dir, location, open: Mutex::default() })
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn failed(&self, file: BlockFile, source: io::Error) -> Error {
        match source.kind() {
            io::ErrorKind::NotFound => Error::not_found(&*self.location, file),
            _ => Error::read(kind_of(&source), &*self.location, file, source),
        }
    }

    fn file(&self, file: BlockFile) -> Result<OpenFile> {
        // The map is valid after every statement, so a panic elsewhere does not spoil it.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = open.get(&file) {
            return Ok(handle.clone());
        }
        let handle = File::open(self.dir.join(file.to_string())).map_err(|e| self.failed(file, e))?;
        let metadata = handle.metadata().map_err(|e| self.failed(file, e))?;
        if !metadata.is_file() {
            return Err(self.failed(file, io::Error::other("not a regular file")));
        }
        let handle = OpenFile { file: Arc::new(handle), size: metadata.len() };
        open.insert(file, handle.clone());
        Ok(handle)
    }
}

fn kind_of(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ErrorKind::NotFound,
        _ => ErrorKind::Unavailable,
    }
}

impl BlockFiles for LocalBlock {
    fn location(&self) -> &str {
        &self.location
    }

    fn size(&self, file: BlockFile) -> Result<u64> {
        Ok(self.file(file)?.size)
    }

    fn segments(&self) -> Result<Vec<u64>> {
        let failed = |e: io::Error| Error::list(ErrorKind::Unavailable, &*self.location, e);
        let entries = match std::fs::read_dir(self.dir.join(CHUNKS_DIR)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut listing = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            // Follows symbolic links, as opening the file will.
            let metadata = std::fs::metadata(entry.path()).map_err(failed)?;
            if let (Ok(name), true) = (entry.file_name().into_string(), metadata.is_file()) {
                listing.push((name, metadata.len()));
            }
        }
        segments_of_listing(&self.location, listing)
    }

    fn read(&self, file: BlockFile, range: Range<u64>) -> Result<Bytes> {
        let handle = self.file(file)?;
        check_range(&self.location, file, &range, handle.size)?;
        let length = usize::try_from(range.end.saturating_sub(range.start))
            .map_err(|e| Error::read(ErrorKind::LimitExceeded, &*self.location, file, e))?;
        let mut buffer = vec![0; length];
        handle.file.read_exact_at(&mut buffer, range.start).map_err(|e| match e.kind() {
            // The file was truncated after it was opened.
            io::ErrorKind::UnexpectedEof => {
                Error::short(&*self.location, file, range, handle.file.metadata().map_or(0, |m| m.len()))
            }
            _ => self.failed(file, e),
        })?;
        Ok(buffer.into())
    }
}

/// A block whose files lie in memory: small blocks that were fetched whole, tests, fuzzing.
#[derive(Clone, Debug, Default)]
pub struct MemoryBlock {
    location: String,
    files: BTreeMap<BlockFile, Bytes>,
}

impl MemoryBlock {
    /// A block of these files.
    pub fn new(location: impl Into<String>, files: impl IntoIterator<Item = (BlockFile, Bytes)>) -> Self {
        Self { location: location.into(), files: files.into_iter().collect() }
    }

    /// Copies all files of another block into memory.
    ///
    /// # Errors
    /// Whatever the other block's reads give.
    pub fn copy_of(block: &dyn BlockFiles) -> Result<Self> {
        let mut files = BTreeMap::new();
        let segments = (0..).map(BlockFile::Segment).zip(block.segments()?).map(|(file, _)| file);
        for file in [BlockFile::Meta, BlockFile::Index, BlockFile::Tombstones].into_iter().chain(segments) {
            match block.size(file) {
                Ok(size) => files.insert(file, block.read(file, 0..size)?),
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            };
        }
        Ok(Self { location: block.location().to_owned(), files })
    }

    /// The files, to be changed at will.
    pub fn files_mut(&mut self) -> &mut BTreeMap<BlockFile, Bytes> {
        &mut self.files
    }

    fn file(&self, file: BlockFile) -> Result<&Bytes> {
        self.files.get(&file).ok_or_else(|| Detail::Missing { location: self.location.clone(), file }.into())
    }
}

impl BlockFiles for MemoryBlock {
    fn location(&self) -> &str {
        &self.location
    }

    fn size(&self, file: BlockFile) -> Result<u64> {
        Ok(self.file(file)?.len() as u64)
    }

    fn segments(&self) -> Result<Vec<u64>> {
        let listing = self.files.iter().filter_map(|(file, bytes)| match file {
            BlockFile::Segment(_) => {
                let path = file.to_string();
                let name = path.rsplit('/').next().unwrap_or_default().to_owned();
                Some((name, bytes.len() as u64))
            }
            _ => None,
        });
        segments_of_listing(&self.location, listing)
    }

    fn read(&self, file: BlockFile, range: Range<u64>) -> Result<Bytes> {
        let bytes = self.file(file)?;
        check_range(&self.location, file, &range, bytes.len() as u64)?;
        // In bounds by the check, hence representable.
        let (start, end) = (usize::try_from(range.start).unwrap_or(0), usize::try_from(range.end).unwrap_or(0));
        Ok(bytes.slice(start..end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_prometheus() {
        assert_eq!(BlockFile::Segment(0).to_string(), "chunks/000001");
        assert_eq!(BlockFile::Segment(999_999).to_string(), "chunks/1000000");
        assert_eq!(BlockFile::Segment(u32::MAX).to_string(), "chunks/4294967296");
    }

    #[test]
    fn listings() {
        let ok = |names: &[&str]| segments_of_listing("b", names.iter().zip(1..)).unwrap();
        assert_eq!(ok(&[]), [0; 0]);
        assert_eq!(ok(&["000002", "tmp", "000001", "000003.tmp"]), [3, 1]);
        for names in
            [&["000002"][..], &["000001", "000003"], &["1"], &["000000"], &["000001", "0000001"], &["99999999999"]]
        {
            let error = segments_of_listing("b", names.iter().zip(1..)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{names:?}");
        }
    }

    #[test]
    fn reads_exactly_the_range() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("index"), b"0123456789").unwrap();
        let block = LocalBlock::open(dir.path()).unwrap();
        assert_eq!(block.size(BlockFile::Index).unwrap(), 10);
        assert_eq!(&block.read(BlockFile::Index, 3..6).unwrap()[..], b"345");
        assert_eq!(&block.read(BlockFile::Index, 10..10).unwrap()[..], b"");
        assert_eq!(block.read_ranges(BlockFile::Index, &[0..1, 9..10]).unwrap(), [&b"0"[..], b"9"]);
        assert_eq!(block.read(BlockFile::Meta, 0..1).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(block.segments().unwrap(), [0; 0]);
        #[expect(clippy::reversed_empty_ranges, reason = "the point of the test")]
        for range in [3..11, 0..u64::MAX, 11..11, 7..6] {
            let error = block.read(BlockFile::Index, range).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().contains("found a file of 10 bytes"), "{error}");
        }
        let memory = MemoryBlock::copy_of(&block).unwrap();
        assert_eq!(&memory.read(BlockFile::Index, 3..6).unwrap()[..], b"345");
        assert_eq!(memory.read(BlockFile::Index, 3..11).unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn a_file_that_shrinks_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("index"), b"0123456789").unwrap();
        let block = LocalBlock::open(dir.path()).unwrap();
        assert_eq!(block.size(BlockFile::Index).unwrap(), 10);
        std::fs::write(dir.path().join("index"), b"01234").unwrap();
        assert_eq!(block.read(BlockFile::Index, 0..10).unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn no_directory() {
        assert_eq!(LocalBlock::open("/nonexistent/block").unwrap_err().kind(), ErrorKind::NotFound);
    }
}
