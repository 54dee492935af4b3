//! A TSDB block in a bucket, for the synchronous block reader.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use prometheus_tsdb_block::{BlockFile, BlockFiles, check_range, segments_of_listing};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::block_in_place,
};

use crate::{
    bucket::Bucket,
    error::{Detail, Error, ErrorKind, Result},
};

/// The files of the block under one prefix of a bucket.
///
/// Each read waits for the runtime that it was made with. Read it from threads of your own, or by
/// [`spawn_blocking`](tokio::task::spawn_blocking). Within a task of a multi-threaded runtime it works too, at the cost of a thread; on the
/// thread of a single-threaded runtime, where waiting would be for ever, every read fails. (A
/// [`LocalSet`](tokio::task::LocalSet) cannot be told apart and panics.)
///
/// Sizes are looked up once and kept: blocks never change. For a bucket in a local directory,
/// [`LocalBlock`](prometheus_tsdb_block::LocalBlock) over [`Bucket::local_path`] is faster.
pub struct BlockInBucket {
    bucket: Bucket,
    location: String,
    runtime: Handle,
    sizes: Mutex<BTreeMap<BlockFile, u64>>,
}

impl fmt::Debug for BlockInBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BlockInBucket").field(&self.location).finish()
    }
}

impl BlockInBucket {
    /// The block under `directory`, which is its ULID as a rule. No request is made before the first read.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if `directory` is no valid key.
    pub fn new(bucket: &Bucket, directory: &str, runtime: Handle) -> Result<Self> {
        let bucket = bucket.child(directory)?;
        Ok(Self { location: bucket.to_string(), bucket, runtime, sizes: Mutex::default() })
    }

    fn wait<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        match Handle::try_current().map(|handle| handle.runtime_flavor()) {
            Err(_) => self.runtime.block_on(future),
            Ok(RuntimeFlavor::MultiThread) => block_in_place(|| self.runtime.block_on(future)),
            Ok(_) => Err(Detail::Blocking { location: self.location.clone() }.into()),
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<BlockFile, u64>> {
        // The map is valid after every statement, so a panic elsewhere does not spoil it.
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, file: BlockFile, error: Error) -> prometheus_tsdb_block::Error {
        match error.kind() {
            ErrorKind::NotFound => prometheus_tsdb_block::Error::not_found(&*self.location, file),
            kind => prometheus_tsdb_block::Error::read(block_kind(kind), &*self.location, file, error),
        }
    }

    fn check(&self, file: BlockFile, ranges: &[Range<u64>]) -> prometheus_tsdb_block::Result<()> {
        let size = self.size(file)?;
        ranges.iter().try_for_each(|range| check_range(&self.location, file, range, size))
    }
}

fn block_kind(kind: ErrorKind) -> prometheus_tsdb_block::ErrorKind {
    use prometheus_tsdb_block::ErrorKind as Block;
    match kind {
        ErrorKind::Invalid => Block::Invalid,
        ErrorKind::Unsupported => Block::Unsupported,
        ErrorKind::NotFound => Block::NotFound,
        ErrorKind::LimitExceeded => Block::LimitExceeded,
        ErrorKind::Corrupt => Block::Corrupt,
        ErrorKind::Cancelled => Block::Cancelled,
        ErrorKind::Unavailable | ErrorKind::PermissionDenied | ErrorKind::AlreadyExists | ErrorKind::StorageFull => {
            Block::Unavailable
        }
    }
}

impl BlockFiles for BlockInBucket {
    fn location(&self) -> &str {
        &self.location
    }

    fn size(&self, file: BlockFile) -> prometheus_tsdb_block::Result<u64> {
        if let Some(size) = self.known().get(&file) {
            return Ok(*size);
        }
        let meta = self.wait(self.bucket.head(&file.to_string())).map_err(|e| self.failed(file, e))?;
        self.known().insert(file, meta.size);
        Ok(meta.size)
    }

    fn segments(&self) -> prometheus_tsdb_block::Result<Vec<u64>> {
        let listing = self.wait(self.bucket.list_directory("chunks"));
        let listing =
            listing.map_err(|e| prometheus_tsdb_block::Error::list(block_kind(e.kind()), &*self.location, e))?;
        let files = listing.objects.iter().filter_map(|meta| Some((meta.location.filename()?, meta.size)));
        let sizes = segments_of_listing(&self.location, files)?;
        self.known().extend((0..).map(BlockFile::Segment).zip(sizes.iter().copied()));
        Ok(sizes)
    }

    fn read(&self, file: BlockFile, range: Range<u64>) -> prometheus_tsdb_block::Result<Bytes> {
        self.check(file, std::slice::from_ref(&range))?;
        self.wait(self.bucket.get_range(&file.to_string(), range)).map_err(|e| self.failed(file, e))
    }

    fn read_ranges(&self, file: BlockFile, ranges: &[Range<u64>]) -> prometheus_tsdb_block::Result<Vec<Bytes>> {
        self.check(file, ranges)?;
        self.wait(self.bucket.get_ranges(&file.to_string(), ranges)).map_err(|e| self.failed(file, e))
    }
}
