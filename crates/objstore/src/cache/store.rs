//! The cache as a store.

use std::{
    fmt,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    FutureExt, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart, path::Path,
};
use tokio::runtime::Handle;

use super::{
    Core, flight,
    metadata::{Epoch, Key, Kind, Presence},
    object::Object,
    read::{Read, Source, absent},
};

/// A store that is read through a [`Cache`](super::Cache).
pub(super) struct CachedStore(Arc<Source>);

impl fmt::Display for CachedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.inner, f)
    }
}

impl fmt::Debug for CachedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CachedStore").field(&self.0.inner).finish()
    }
}

/// Forgets an object when the change to it is over, or given up.
struct Changing {
    source: Arc<Source>,
    path: Path,
}

impl Drop for Changing {
    fn drop(&mut self) {
        self.source.core.metadata.forget(self.source.number, &self.path);
    }
}

impl CachedStore {
    pub(super) fn new(core: Arc<Core>, inner: Arc<dyn ObjectStore>, identity: Arc<str>, number: u32) -> Self {
        Self(Arc::new(Source { core, inner, identity, number }))
    }

    fn changing(&self, path: &Path) -> Changing {
        Changing { source: Arc::clone(&self.0), path: path.clone() }
    }

    /// Lets the bucket answer. What it says of the object is noted.
    async fn pass_on(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let source = &self.0;
        source.core.counters.passed_on.add(1);
        let (epoch, current) = (source.core.metadata.epoch(), options.version.is_none());
        let result = source.inner.get_opts(location, options).await?;
        if current {
            source.note(&result, epoch);
        }
        Ok(result)
    }

    async fn head(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let source = &self.0;
        let object = match source.core.metadata.object(source.number, location) {
            Presence::Present(object) => object,
            Presence::Absent => return Err(absent(location)),
            Presence::Unknown => {
                let epoch = source.core.metadata.epoch();
                let key = (Key::new(source.number, Kind::Object, location), epoch);
                let work = Arc::clone(source).fetch_head(location.clone(), options.clone(), epoch).boxed();
                match flight::once(&source.core.heads, key, &source.core.counters.coalesced, work).await {
                    Some(object) => object?,
                    None => return self.pass_on(location, options).await,
                }
            }
        };
        let range = 0..object.meta.size;
        Ok(Read { object, range, parts: Vec::new() }.into())
    }
}

impl Source {
    fn note(&self, result: &GetResult, epoch: Epoch) -> Arc<Object> {
        let (meta, attributes) = (result.meta.clone(), result.attributes.clone());
        let object = Arc::new(Object::new(&self.identity, self.core.block_bytes, meta, attributes));
        self.core.metadata.note_object(self.number, &object, epoch);
        object
    }

    async fn fetch_head(self: Arc<Self>, location: Path, options: GetOptions, epoch: Epoch) -> Result<Arc<Object>> {
        self.core.counters.fetches.add(1);
        match self.inner.get_opts(&location, options).await {
            Ok(result) => Ok(self.note(&result, epoch)),
            Err(error) => {
                self.core.counters.errors.add(1);
                if matches!(error, Error::NotFound { .. }) {
                    self.core.metadata.note_absent(self.number, &location, epoch);
                }
                Err(error)
            }
        }
    }

    async fn fetch_listing(self: Arc<Self>, prefix: Option<Path>, epoch: Epoch) -> Result<Arc<ListResult>> {
        self.core.counters.fetches.add(1);
        let listing = self.inner.list_with_delimiter(prefix.as_ref()).await;
        let listing = Arc::new(listing.inspect_err(|_| self.core.counters.errors.add(1))?);
        self.core.metadata.note_listing(self.number, prefix.as_ref().unwrap_or(&Path::ROOT), &listing, epoch);
        Ok(listing)
    }
}

impl From<Read> for GetResult {
    fn from(read: Read) -> Self {
        Self {
            payload: GetResultPayload::Stream(stream::iter(read.parts.into_iter().map(Ok)).boxed()),
            meta: read.object.meta.clone(),
            range: read.range,
            attributes: read.object.attributes.clone(),
            extensions: Default::default(),
        }
    }
}

/// Whether there is no condition that only the bucket can judge.
fn is_plain(options: &GetOptions) -> bool {
    let GetOptions { if_match, if_none_match, if_modified_since, if_unmodified_since, version, .. } = options;
    let conditional = if_match.is_some() || if_none_match.is_some();
    !conditional && if_modified_since.is_none() && if_unmodified_since.is_none() && version.is_none()
}

/// Fetches are tasks.
fn has_runtime() -> bool {
    Handle::try_current().is_ok()
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for CachedStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let _changing = self.changing(location);
        self.0.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.0.inner.put_multipart_opts(location, opts).await?;
        Ok(Box::new(CachedUpload { inner, source: Arc::clone(&self.0), path: location.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if is_plain(&options) && has_runtime() {
            match &options.range {
                None if options.head => return self.head(location, options).await,
                Some(range) if !options.head => {
                    if let Some(read) = self.0.read(location, range, &options.extensions).await? {
                        return Ok(read.into());
                    }
                }
                _ => {}
            }
        }
        self.pass_on(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if has_runtime()
            && let Some(read) = self.0.read_all(location, ranges).await?
        {
            return Ok(read);
        }
        self.0.core.counters.passed_on.add(1);
        self.0.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        // An error does not say of which object it is, nor does an end that comes too early.
        let unclear = Unclear { source: Arc::clone(&self.0), deletions: Arc::default() };
        let started = Arc::clone(&unclear.deletions);
        let locations = locations
            .inspect_ok(move |_| {
                started.fetch_add(1, Ordering::SeqCst);
            })
            .boxed();
        let deleted = self.0.inner.delete_stream(locations);
        deleted
            .inspect_ok(move |path| {
                unclear.source.core.metadata.forget(unclear.source.number, path);
                unclear.deletions.fetch_sub(1, Ordering::SeqCst);
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let source = &self.0;
        let metadata = &source.core.metadata;
        if !metadata.caches_listings() || !has_runtime() {
            return source.inner.list_with_delimiter(prefix).await;
        }
        let root = Path::ROOT;
        let path = prefix.unwrap_or(&root);
        let listing = match metadata.listing(source.number, path) {
            Some(listing) => listing,
            None => {
                let epoch = metadata.epoch();
                let key = (Key::new(source.number, Kind::Listing, path), epoch);
                let work = Arc::clone(source).fetch_listing(prefix.cloned(), epoch).boxed();
                match flight::once(&source.core.listings, key, &source.core.counters.coalesced, work).await {
                    Some(listing) => listing?,
                    None => return source.inner.list_with_delimiter(prefix).await,
                }
            }
        };
        let (common_prefixes, objects) = (listing.common_prefixes.clone(), listing.objects.clone());
        Ok(ListResult { common_prefixes, objects, extensions: Default::default() })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let _changing = self.changing(to);
        self.0.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let _changing = (self.changing(from), self.changing(to));
        self.0.inner.rename_opts(from, to, options).await
    }
}

/// Deletions of which nothing was heard. If there are any in the end, everything is forgotten.
struct Unclear {
    source: Arc<Source>,
    deletions: Arc<AtomicU64>,
}

impl Drop for Unclear {
    fn drop(&mut self) {
        if self.deletions.load(Ordering::SeqCst) > 0 {
            self.source.core.metadata.forget_all();
        }
    }
}

struct CachedUpload {
    inner: Box<dyn MultipartUpload>,
    source: Arc<Source>,
    path: Path,
}

impl fmt::Debug for CachedUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CachedUpload").field(&self.inner).finish()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl MultipartUpload for CachedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let _changing = Changing { source: Arc::clone(&self.source), path: self.path.clone() };
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}
