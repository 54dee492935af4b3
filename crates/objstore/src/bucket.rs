//! A bucket, and the part of it under a prefix.
//!
//! Keys are the object's exact name relative to the bucket's prefix, `/` between their parts. They are never
//! percent-encoded or normalised on the way: what is put under a key is found, listed and deleted under the same text.
//! Keys that some store cannot hold as they are (empty parts, `.` and `..`, control characters, `/` at either end, and
//! backslashes, which Azure takes for slashes) are refused everywhere.

use std::{fmt, ops::Range, path::PathBuf, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use object_store::{
    GetOptions, GetRange, GetResult, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload, path::Path,
    prefix::PrefixStore,
};

use crate::{
    error::{Cause, Detail, Error, ErrorKind, Result, kind_of},
    upload::{Transfer, Upload},
};

/// How many ranges of one [`Bucket::get_ranges`] are under way at a time, unless set otherwise.
const READ_CONCURRENCY: usize = 16;

/// An object store, seen from a prefix. Cheap to clone.
#[derive(Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    name: Arc<str>,
    /// What tells its objects from those of others: the name, and the endpoint where there can be several.
    identity: Arc<str>,
    /// The directory that holds the keys, if the store is a local file system.
    root: Option<Arc<std::path::Path>>,
    /// Whether nothing wraps the store, so that files may be read without it.
    is_direct: bool,
    read_concurrency: usize,
    transfer: Transfer,
}

/// One level of a bucket's keys.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Prefixes that more keys lie under, relative to the bucket, without a trailing `/`; in ascending order.
    pub directories: Vec<String>,
    /// Objects directly at this level, their locations relative to the bucket; in ascending order.
    pub objects: Vec<ObjectMeta>,
}

/// The store's URL and prefix, such as `s3://bucket/prefix` or `file:///dir`; without credentials.
impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&&*self.name).finish()
    }
}

impl Bucket {
    /// A bucket over any store, such as one in memory. `name` is how it calls itself in messages: a URL without trailing
    /// `/`.
    pub fn new(store: Arc<dyn ObjectStore>, name: impl Into<String>) -> Self {
        let name: Arc<str> = name.into().into();
        Self {
            store,
            identity: Arc::clone(&name),
            name,
            root: None,
            is_direct: false,
            read_concurrency: READ_CONCURRENCY,
            transfer: Transfer::default(),
        }
    }

    pub(crate) fn with_identity(self, identity: String) -> Self {
        Self { identity: identity.into(), ..self }
    }

    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    pub(crate) fn with_root(self, root: PathBuf) -> Self {
        Self { root: Some(root.into()), is_direct: true, ..self }
    }

    pub(crate) fn with_transfer(self, transfer: Transfer) -> Self {
        Self { transfer, ..self }
    }

    /// How many ranges of one [`get_ranges`](Self::get_ranges) are under way at a time; at least 1.
    #[must_use]
    pub fn with_read_concurrency(self, requests: usize) -> Self {
        Self { read_concurrency: requests.max(1), ..self }
    }

    /// Size in bytes of the parts of [`Upload`]s. The configured size is used unless this is called; most services
    /// refuse parts below 5 MiB.
    #[must_use]
    pub fn with_part_size(self, bytes: usize) -> Self {
        let transfer = self.transfer.with_part_size(bytes);
        Self { transfer, ..self }
    }

    /// The store, for what this type has no call for. Its paths are this bucket's keys.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The same bucket with its store wrapped, in metrics for example; for a cache see [`cached`](Self::cached).
    /// [`local_path`](Self::local_path) passes the wrapper by.
    #[must_use]
    pub fn layered(self, wrap: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>) -> Self {
        Self { store: wrap(self.store), is_direct: false, ..self }
    }

    /// The part of the bucket under `prefix`, such as one tenant's. The empty prefix gives the same bucket.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if `prefix` is no valid key.
    pub fn child(&self, prefix: &str) -> Result<Self> {
        if prefix.is_empty() {
            return Ok(self.clone());
        }
        let path = parse_key(prefix)?;
        Ok(Self {
            store: Arc::new(PrefixStore::new(Arc::clone(&self.store), path)),
            name: format!("{}/{prefix}", self.name).into(),
            identity: format!("{}/{prefix}", self.identity).into(),
            root: self.root.as_ref().map(|root| root.join(prefix).into()),
            ..self.clone()
        })
    }

    /// The file or directory that holds `key`, which need not exist; [`None`] unless the bucket is a local directory.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if `key` is not valid. The empty key is the bucket's own directory.
    pub fn local_path(&self, key: &str) -> Result<Option<PathBuf>> {
        if !key.is_empty() {
            parse_key(key)?;
        }
        Ok(self.root.as_ref().map(|root| root.join(key)))
    }

    /// The file that holds `key`, a valid one, if it may be read without the store.
    pub(crate) fn direct_path(&self, key: &str) -> Option<PathBuf> {
        self.root.as_ref().filter(|_| self.is_direct).map(|root| root.join(key))
    }

    /// The whole object, if it has at most `max_bytes`.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] if it is larger, before it is read; otherwise as any read: [`ErrorKind::NotFound`],
    /// [`ErrorKind::PermissionDenied`], [`ErrorKind::Unavailable`], [`ErrorKind::Corrupt`] if it ends early.
    pub async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes> {
        let path = parse_key(key)?;
        let result =
            self.store.get_opts(&path, GetOptions::default()).await.map_err(|e| self.failed("get", key, &e))?;
        let size = result.meta.size;
        if size > max_bytes {
            let (bucket, key) = (self.name.to_string(), key.to_owned());
            return Err(Detail::TooLarge { bucket, key, found: size, limit: max_bytes }.into());
        }
        self.collect(key, result, size).await
    }

    /// Exactly the bytes of `range` (half-open); no request is made for an empty one.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the object ends before the range does; [`ErrorKind::Invalid`] if the range ends before
    /// it starts; otherwise as [`get`](Self::get).
    pub async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        let path = parse_key(key)?;
        self.read_range(key, &path, range).await
    }

    /// Exactly the bytes of each range, in the order given, fetched concurrently. Unlike
    /// [`ObjectStore::get_ranges`], which joins ranges up to a mebibyte apart, this reads no byte that is not asked for:
    /// the caller decides what to coalesce.
    ///
    /// # Errors
    /// As [`get_range`](Self::get_range), for the first range that fails.
    pub async fn get_ranges(&self, key: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let path = &parse_key(key)?;
        // Boxed, because closures over borrows in `buffered` defeat the compiler's proof that the future is `Send`.
        let reads = ranges.iter().map(|range| Box::pin(self.read_range(key, path, range.clone()))).collect::<Vec<_>>();
        stream::iter(reads).buffered(self.read_concurrency).try_collect().await
    }

    async fn read_range(&self, key: &str, path: &Path, range: Range<u64>) -> Result<Bytes> {
        let Some(length) = range.end.checked_sub(range.start) else {
            return Err(Detail::Reversed { bucket: self.name.to_string(), key: key.into(), range }.into());
        };
        if length == 0 {
            return Ok(Bytes::new());
        }
        let options = GetOptions::new().with_range(Some(GetRange::Bounded(range.clone())));
        let result = match self.store.get_opts(path, options).await {
            Ok(result) => result,
            Err(error) => return Err(self.range_failed(key, path, range, &error).await),
        };
        // Stores cut a range at the object's end without a word.
        if result.range != range {
            return Err(self.short(key, range, result.meta.size));
        }
        self.collect(key, result, length).await
    }

    /// Each store says in its own words that a range starts beyond the object's end, so ask for the size.
    async fn range_failed(&self, key: &str, path: &Path, range: Range<u64>, error: &object_store::Error) -> Error {
        let refused = matches!(error, object_store::Error::Generic { .. }) && !crate::error::is_transport(error);
        if refused
            && let Ok(meta) = self.store.head(path).await
            && meta.size < range.end
        {
            return self.short(key, range, meta.size);
        }
        self.failed("read a range of", key, error)
    }

    /// The body, which must be of `expected` bytes.
    async fn collect(&self, key: &str, result: GetResult, expected: u64) -> Result<Bytes> {
        let failed = |e| self.failed("read", key, &e);
        let bytes = if matches!(result.payload, GetResultPayload::File(..)) {
            result.bytes().await.map_err(failed)?
        } else {
            let mut body = result.into_stream();
            let first = body.try_next().await.map_err(failed)?.unwrap_or_default();
            match body.try_next().await.map_err(failed)? {
                None => first,
                Some(second) => {
                    // Not more than a few chunks are reserved on the word of the store.
                    let few = first.len().saturating_add(second.len()).saturating_mul(32);
                    let mut bytes = BytesMut::with_capacity(usize::try_from(expected).unwrap_or(usize::MAX).min(few));
                    bytes.extend_from_slice(&first);
                    bytes.extend_from_slice(&second);
                    while let Some(chunk) = body.try_next().await.map_err(failed)? {
                        bytes.extend_from_slice(&chunk);
                        if bytes.len() as u64 > expected {
                            break;
                        }
                    }
                    bytes.freeze()
                }
            }
        };
        match bytes.len() as u64 {
            found if found == expected => Ok(bytes),
            found => Err(Detail::Received { bucket: self.name.to_string(), key: key.into(), expected, found }.into()),
        }
    }

    /// Size, time of change and entity tag of the object.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn head(&self, key: &str) -> Result<ObjectMeta> {
        let path = parse_key(key)?;
        self.store.head(&path).await.map_err(|e| self.failed("look up", key, &e))
    }

    /// Whether there is an object of this key.
    ///
    /// # Errors
    /// As [`get`](Self::get), but for [`ErrorKind::NotFound`].
    pub async fn exists(&self, key: &str) -> Result<bool> {
        match self.head(key).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes a small object, atomically, replacing what was there.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`], [`ErrorKind::StorageFull`], [`ErrorKind::Unavailable`]; [`ErrorKind::Invalid`]
    /// for a key that the store cannot hold.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<()> {
        self.put_payload(key, bytes.into()).await
    }

    pub(crate) async fn put_payload(&self, key: &str, payload: PutPayload) -> Result<()> {
        let path = parse_key(key)?;
        self.store.put(&path, payload).await.map_err(|e| self.failed("put", key, &e))?;
        Ok(())
    }

    /// Starts the upload of an object that may be large. Nothing is visible under `key` before
    /// [`Upload::finish`].
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if `key` is not valid.
    pub fn upload(&self, key: &str) -> Result<Upload> {
        Ok(Upload::new(self.clone(), parse_key(key)?, self.transfer))
    }

    /// Deletes the object. That there is none is no error, as on most services.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`], [`ErrorKind::Unavailable`].
    pub async fn delete(&self, key: &str) -> Result<()> {
        let path = parse_key(key)?;
        match self.store.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("delete", key, &error)),
        }
    }

    /// The objects and directories directly under `directory`; the bucket's own with the empty string. A directory that
    /// does not exist is empty. The result is held in memory: see [`list`](Self::list) for large ones.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the bucket does not exist; [`ErrorKind::PermissionDenied`],
    /// [`ErrorKind::Unavailable`]; [`ErrorKind::Invalid`] if there is an object whose name is no valid key.
    pub async fn list_directory(&self, directory: &str) -> Result<Listing> {
        let prefix = parse_prefix(directory)?;
        let result = self.store.list_with_delimiter(prefix.as_ref()).await;
        let result = result.map_err(|e| self.failed("list", directory, &e))?;
        let mut listing = Listing {
            directories: result.common_prefixes.into_iter().map(String::from).collect(),
            objects: result.objects,
        };
        listing.directories.sort_unstable();
        listing.directories.dedup();
        listing.objects.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        Ok(listing)
    }

    /// All objects under `directory`, at any depth, in no particular order; the whole bucket with the empty string.
    ///
    /// # Errors
    /// As [`list_directory`](Self::list_directory). The stream ends after the first error.
    pub fn list(&self, directory: &str) -> Result<BoxStream<'static, Result<ObjectMeta>>> {
        let prefix = parse_prefix(directory)?;
        let (bucket, directory) = (self.clone(), directory.to_owned());
        let objects = self.store.list(prefix.as_ref());
        Ok(objects.map_err(move |e| bucket.failed("list", &directory, &e)).boxed())
    }

    pub(crate) fn failed(&self, operation: &'static str, key: &str, error: &object_store::Error) -> Error {
        let (bucket, key) = (self.name.to_string(), key.to_owned());
        Detail::Store { operation, bucket, key, kind: kind_of(error), source: Cause::of(error) }.into()
    }

    fn short(&self, key: &str, range: Range<u64>, found: u64) -> Error {
        Detail::Short { bucket: self.name.to_string(), key: key.into(), range, found }.into()
    }
}

fn parse_prefix(directory: &str) -> Result<Option<Path>> {
    if directory.is_empty() { Ok(None) } else { parse_key(directory).map(Some) }
}

/// The key as a path, unchanged. [`Path::from`] would percent-encode it, and [`Path::parse`] strips slashes.
pub(crate) fn parse_key(key: &str) -> Result<Path> {
    let invalid = |problem| Error::from(Detail::Key { key: key.chars().take(256).collect(), problem });
    if key.is_empty() {
        return Err(invalid("it is empty"));
    }
    let path = Path::parse(key).map_err(|_| invalid("it has an empty, relative or unprintable part"))?;
    if key.contains('\\') {
        return Err(invalid("it has a backslash"));
    }
    if path.as_ref() != key {
        return Err(invalid("it starts or ends with a slash"));
    }
    Ok(path)
}
