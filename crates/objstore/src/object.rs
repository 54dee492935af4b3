//! One object that is read piece by piece.
//!
//! Reads of a local directory go past the store, which opens the file and changes threads for each range: that takes longer
//! than to read a page that the kernel has in memory. Whatever goes wrong is tried again by way of the store, which says
//! what it is.

use std::{fmt, ops::Range, sync::Arc};

use bytes::Bytes;
use local::LocalFile;
use object_store::{GetOptions, GetRange, path::Path};

use crate::{
    bucket::{Bucket, parse_key},
    error::Result,
};

mod local;

/// An object that is read many times and does not change meanwhile, such as a file of a shard. Cheap to clone.
///
/// Where the bucket is a local directory, the file stays open as a rule, so that reads are of the object that was opened,
/// also after another took its place.
#[derive(Clone)]
pub struct Object {
    bucket: Bucket,
    key: Arc<str>,
    size: u64,
    file: Option<Arc<LocalFile>>,
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Object").field(&format_args!("{}/{}", self.bucket, self.key)).finish()
    }
}

impl Bucket {
    /// Opens an object by reading its last `tail_bytes` bytes (all, if it is shorter), which come with it: one request where
    /// the store can count from the end, else two.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn open(&self, key: &str, tail_bytes: u64) -> Result<(Object, Bytes)> {
        let path = parse_key(key)?;
        let object = |size, file| Object { bucket: self.clone(), key: key.into(), size, file };
        if let Some(path) = self.direct_path(key)
            && let Some((file, tail)) = LocalFile::open(path, tail_bytes).await
        {
            return Ok((object(file.size(), Some(Arc::new(file))), tail));
        }
        if let Some((tail, size)) = self.suffix(&path, tail_bytes).await {
            return Ok((object(size, None), tail));
        }
        // Some stores cannot count from the end, and all explain other failures better otherwise.
        let size = self.head(key).await?.size;
        let tail = self.get_range(key, size.saturating_sub(tail_bytes)..size).await?;
        Ok((object(size, None), tail))
    }

    async fn suffix(&self, path: &Path, most: u64) -> Option<(Bytes, u64)> {
        let options = GetOptions::new().with_range(Some(GetRange::Suffix(most)));
        let result = self.store().get_opts(path, options).await.ok()?;
        let (size, range) = (result.meta.size, result.range.clone());
        // A store that ignores the range would send all.
        if range.end != size || range.start != size.saturating_sub(most) {
            return None;
        }
        let bytes = result.bytes().await.ok()?;
        (bytes.len() as u64 == size.saturating_sub(range.start)).then_some((bytes, size))
    }
}

impl Object {
    /// The key in its bucket.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Size in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// As [`Bucket::get_range`].
    ///
    /// # Errors
    /// As [`Bucket::get_range`].
    pub async fn get_range(&self, range: Range<u64>) -> Result<Bytes> {
        let bytes = self.get_ranges(std::slice::from_ref(&range)).await?;
        Ok(bytes.into_iter().next().unwrap_or_default())
    }

    /// As [`Bucket::get_ranges`].
    ///
    /// # Errors
    /// As [`Bucket::get_ranges`].
    pub async fn get_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if let Some(file) = &self.file
            && let Some(bytes) = file.read(ranges).await
        {
            return Ok(bytes);
        }
        self.bucket.get_ranges(&self.key, ranges).await
    }
}
