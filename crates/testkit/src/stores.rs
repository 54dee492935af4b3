//! Object stores that fail, record or delay what passes through them.
//!
//! Each is a [`Tapped`] store: every call is shown to a [`Tap`] first, which may note it, hold it up or answer it with an
//! error. Taps stack, since a tapped store is a store.
//!
//! ```
//! # use std::sync::Arc;
//! # use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path};
//! use promparquet_testkit::stores::{Failures, FailingStore, Fault, Operation, Rule};
//!
//! let failures = Failures::new([Rule::new(Fault::Unavailable).on(Operation::Put).after(1).times(1)]);
//! let store = FailingStore::new(Arc::new(InMemory::new()), failures);
//! # futures::executor::block_on(async {
//! store.put(&Path::from("a"), "1".into()).await.unwrap();
//! store.put(&Path::from("b"), "2".into()).await.unwrap_err();
//! store.put(&Path::from("c"), "3".into()).await.unwrap();
//! # })
//! ```

use std::{
    fmt, io,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart, path::Path,
};

/// What is asked of a store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Operation {
    /// A whole object is written.
    Put,
    /// A multipart upload is begun.
    StartUpload,
    /// A part is written.
    PutPart,
    /// A multipart upload is completed.
    CompleteUpload,
    /// A multipart upload is aborted.
    AbortUpload,
    /// An object or one range of it is read.
    Get,
    /// Several ranges are read in one call.
    GetRanges,
    /// An object's size and time are asked for.
    Head,
    /// An object is deleted.
    Delete,
    /// A prefix is listed, at any depth.
    List,
    /// One level of a prefix is listed.
    ListDirectory,
    /// An object is copied.
    Copy,
    /// An object is renamed.
    Rename,
}

/// One call of a store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// What is asked for.
    pub operation: Operation,
    /// The object's key, the listed prefix, or the source of a copy.
    pub key: String,
    /// The byte ranges asked for (half-open); none means the whole object. The last n bytes, and all bytes from an offset
    /// on, are written as ranges that end at [`u64::MAX`].
    pub ranges: Vec<Range<u64>>,
    /// Bytes given to the store.
    pub bytes_in: u64,
}

impl Call {
    fn new(operation: Operation, key: &Path) -> Self {
        Self { operation, key: key.to_string(), ranges: Vec::new(), bytes_in: 0 }
    }

    fn ranges(self, ranges: &[Range<u64>]) -> Self {
        Self { ranges: ranges.to_vec(), ..self }
    }

    fn bytes_in(self, bytes: usize) -> Self {
        Self { bytes_in: bytes as u64, ..self }
    }
}

/// `get key [0, 8)`, as snapshots of I/O show it.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.operation, self.key)?;
        self.ranges.iter().try_for_each(|range| write!(f, " [{}, {})", range.start, range.end))
    }
}

/// What a [`Tapped`] store asks before each call.
pub trait Tap: fmt::Debug + Send + Sync + 'static {
    /// Called once for each call, before it is passed on. An error is the call's answer.
    fn before(&self, call: &Call) -> BoxFuture<'_, Result<()>>;

    /// How many bytes to cut off from the end of what the call reads.
    fn cut(&self, _call: &Call) -> u64 {
        0
    }
}

/// A store with a [`Tap`] before it.
#[derive(Debug)]
pub struct Tapped<T> {
    inner: Arc<dyn ObjectStore>,
    tap: Arc<T>,
}

/// A store some of whose calls fail.
pub type FailingStore = Tapped<Failures>;
/// A store that notes its calls.
pub type RecordingStore = Tapped<Recording>;
/// A store that is far away.
pub type LatencyStore = Tapped<Latency>;

impl<T> Tapped<T> {
    /// Puts `tap` before `inner`.
    pub fn new(inner: Arc<dyn ObjectStore>, tap: T) -> Self {
        Self { inner, tap: Arc::new(tap) }
    }

    /// The tap, which can be kept when the store is given away.
    #[must_use]
    pub fn tap(&self) -> &Arc<T> {
        &self.tap
    }
}

impl<T: Tap> fmt::Display for Tapped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} before {}", self.tap, self.inner)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<T: Tap> ObjectStore for Tapped<T> {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.tap.before(&Call::new(Operation::Put, location).bytes_in(payload.content_length())).await?;
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.tap.before(&Call::new(Operation::StartUpload, location)).await?;
        let inner = self.inner.put_multipart_opts(location, opts).await?;
        Ok(Box::new(TappedUpload { inner, tap: Arc::clone(&self.tap), location: location.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let operation = if options.head { Operation::Head } else { Operation::Get };
        let ranges = options.range.as_ref().map(|range| match range {
            GetRange::Bounded(range) => range.clone(),
            GetRange::Offset(start) => *start..u64::MAX,
            GetRange::Suffix(length) => u64::MAX.saturating_sub(*length)..u64::MAX,
        });
        let call = Call::new(operation, location).ranges(ranges.as_slice());
        self.tap.before(&call).await?;
        let result = self.inner.get_opts(location, options).await?;
        Ok(match self.tap.cut(&call) {
            0 => result,
            cut => shortened(result, cut),
        })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let call = Call::new(Operation::GetRanges, location).ranges(ranges);
        self.tap.before(&call).await?;
        let mut result = self.inner.get_ranges(location, ranges).await?;
        if let (cut @ 1.., Some(last)) = (self.tap.cut(&call), result.last_mut()) {
            last.truncate(last.len().saturating_sub(usize::try_from(cut).unwrap_or(usize::MAX)));
        }
        Ok(result)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let tap = Arc::clone(&self.tap);
        let locations = locations.and_then(move |location| {
            let tap = Arc::clone(&tap);
            async move { tap.before(&Call::new(Operation::Delete, &location)).await.map(|()| location) }
        });
        self.inner.delete_stream(locations.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listed(prefix, self.inner.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listed(prefix, self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.tap.before(&Call::new(Operation::ListDirectory, prefix.unwrap_or(&Path::ROOT))).await?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.tap.before(&Call::new(Operation::Copy, from)).await?;
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.tap.before(&Call::new(Operation::Rename, from)).await?;
        self.inner.rename_opts(from, to, options).await
    }
}

impl<T: Tap> Tapped<T> {
    /// The stream, once the tap has let it pass.
    fn listed(
        &self,
        prefix: Option<&Path>,
        objects: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (tap, call) = (Arc::clone(&self.tap), Call::new(Operation::List, prefix.unwrap_or(&Path::ROOT)));
        let passed = stream::once(async move { tap.before(&call).await });
        passed
            .map_ok(move |()| ())
            .zip(stream::once(async { objects }))
            .flat_map(|(passed, objects)| match passed {
                Ok(()) => objects,
                Err(error) => stream::once(async { Err(error) }).boxed(),
            })
            .boxed()
    }
}

/// The same result with a body that ends early, though its range says otherwise.
fn shortened(result: GetResult, cut: u64) -> GetResult {
    let GetResult { meta, range, attributes, extensions, .. } = &result;
    let (meta, range, attributes, extensions) = (meta.clone(), range.clone(), attributes.clone(), extensions.clone());
    let left = range.end.saturating_sub(range.start).saturating_sub(cut);
    let body = result.into_stream().scan(left, |left, chunk| {
        let chunk = chunk.map(|mut chunk| {
            chunk.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left = left.saturating_sub(chunk.len() as u64);
            chunk
        });
        async { Some(chunk) }
    });
    GetResult { payload: GetResultPayload::Stream(body.boxed()), meta, range, attributes, extensions }
}

#[derive(Debug)]
struct TappedUpload<T> {
    inner: Box<dyn MultipartUpload>,
    tap: Arc<T>,
    location: Path,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<T: Tap> MultipartUpload for TappedUpload<T> {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let call = Call::new(Operation::PutPart, &self.location).bytes_in(data.content_length());
        let (tap, part) = (Arc::clone(&self.tap), self.inner.put_part(data));
        async move {
            tap.before(&call).await?;
            part.await
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.tap.before(&Call::new(Operation::CompleteUpload, &self.location)).await?;
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.tap.before(&Call::new(Operation::AbortUpload, &self.location)).await?;
        self.inner.abort().await
    }
}

/// How a call fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The connection breaks.
    Unavailable,
    /// There is no such object.
    NotFound,
    /// The credentials do not allow it.
    PermissionDenied,
    /// The disk is full.
    StorageFull,
    /// A read succeeds but its body lacks this many bytes at its end.
    Truncated(u64),
}

impl Fault {
    fn error(self, call: &Call) -> Option<Error> {
        let (path, source) = (call.key.clone(), io::Error::other("failure made by a test").into());
        let generic =
            |kind: io::ErrorKind| Error::Generic { store: "FailingStore", source: io::Error::from(kind).into() };
        Some(match self {
            Self::Unavailable => generic(io::ErrorKind::ConnectionReset),
            Self::StorageFull => generic(io::ErrorKind::StorageFull),
            Self::NotFound => Error::NotFound { path, source },
            Self::PermissionDenied => Error::PermissionDenied { path, source },
            Self::Truncated(_) => return None,
        })
    }
}

/// Which calls fail. Without further ado: all of them.
#[derive(Clone, Debug)]
pub struct Rule {
    fault: Fault,
    operation: Option<Operation>,
    key: Option<String>,
    after: usize,
    times: usize,
}

impl Rule {
    /// All calls, for ever.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self { fault, operation: None, key: None, after: 0, times: usize::MAX }
    }

    /// Only calls of this operation; only they are counted.
    #[must_use]
    pub fn on(self, operation: Operation) -> Self {
        Self { operation: Some(operation), ..self }
    }

    /// Only calls whose key contains this text; only they are counted.
    #[must_use]
    pub fn key(self, part: impl Into<String>) -> Self {
        Self { key: Some(part.into()), ..self }
    }

    /// The first calls pass.
    #[must_use]
    pub fn after(self, calls: usize) -> Self {
        Self { after: calls, ..self }
    }

    /// Only so many calls fail; later ones pass.
    #[must_use]
    pub fn times(self, calls: usize) -> Self {
        Self { times: calls, ..self }
    }

    fn applies(&self, call: &Call) -> bool {
        self.operation.is_none_or(|operation| operation == call.operation)
            && self.key.as_ref().is_none_or(|part| call.key.contains(part))
    }

    /// Counts a call that the rule applies to; whether it fails.
    fn count(&mut self) -> bool {
        if self.after > 0 {
            self.after -= 1;
            return false;
        }
        let fails = self.times > 0;
        if fails && self.times != usize::MAX {
            self.times -= 1;
        }
        fails
    }
}

/// The tap of a [`FailingStore`].
#[derive(Debug, Default)]
pub struct Failures {
    rules: Mutex<Vec<Rule>>,
}

impl Failures {
    /// Every rule sees every call that it applies to; the first that fires decides.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self { rules: Mutex::new(rules.into_iter().collect()) }
    }

    /// Replaces the rules. No rules: nothing fails.
    pub fn set(&self, rules: impl IntoIterator<Item = Rule>) {
        *locked(&self.rules) = rules.into_iter().collect();
    }

    fn fault(&self, call: &Call, truncation: bool) -> Option<Fault> {
        let mut rules = locked(&self.rules);
        let fired = rules.iter_mut().filter(|rule| matches!(rule.fault, Fault::Truncated(_)) == truncation);
        // Not `find`: the rules behind the first that fires count too.
        let fired = fired.filter(|rule| rule.applies(call)).filter_map(|rule| rule.count().then_some(rule.fault));
        fired.fold(None, |first, fault| first.or(Some(fault)))
    }
}

impl Tap for Failures {
    fn before(&self, call: &Call) -> BoxFuture<'_, Result<()>> {
        let error = self.fault(call, false).and_then(|fault| fault.error(call));
        async move { error.map_or(Ok(()), Err) }.boxed()
    }

    fn cut(&self, call: &Call) -> u64 {
        match self.fault(call, true) {
            Some(Fault::Truncated(bytes)) => bytes,
            _ => 0,
        }
    }
}

/// The tap of a [`RecordingStore`].
#[derive(Debug, Default)]
pub struct Recording {
    calls: Mutex<Vec<Call>>,
}

impl Recording {
    /// The calls so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        locked(&self.calls).clone()
    }

    /// The calls since the last time, which are forgotten.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut *locked(&self.calls))
    }
}

impl Tap for Recording {
    fn before(&self, call: &Call) -> BoxFuture<'_, Result<()>> {
        locked(&self.calls).push(call.clone());
        async { Ok(()) }.boxed()
    }
}

/// The tap of a [`LatencyStore`]: each call waits so long before it is passed on.
#[derive(Clone, Copy, Debug)]
pub struct Latency(pub Duration);

impl Tap for Latency {
    fn before(&self, _: &Call) -> BoxFuture<'_, Result<()>> {
        tokio::time::sleep(self.0).map(Ok).boxed()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
