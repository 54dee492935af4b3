//! Streaming upload of one object in parts, with bounded memory.
//!
//! ```text
//! write ─► buffer (< 1 part) ─► parts under way (≤ n) ─► finish: last part, complete ─► object visible
//! ```
//! What fits into one part is put in a single request instead. On a local file system the parts are written to a
//! staging file beside the object, which `finish` renames.

use std::{fmt, mem};

use bytes::Bytes;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload, PutPayloadMut, path::Path};
use tokio::{runtime::Handle, task::JoinSet};

use crate::{
    bucket::Bucket,
    error::{Detail, Error, Result},
};

/// Size in bytes of an upload's parts, unless configured: 10,000 of them make 156 GiB.
pub const DEFAULT_PART_SIZE: usize = 16 << 20;

/// Bytes that are under way at a time, unless a single part is larger.
const MAX_BYTES_IN_FLIGHT: usize = 64 << 20;

/// Parts that are under way at a time.
const MAX_IN_FLIGHT: usize = 4;

/// What most services take as the smallest part but the last.
const LEAST_PART_SIZE: usize = 5 << 20;

/// The same for local files, where a part costs a few system calls.
const LEAST_LOCAL_PART_SIZE: usize = 1 << 20;

/// The most parts that S3 and GCS allow. (Azure allows 50,000.)
const MAX_PARTS: u64 = 10_000;

/// Pieces below this are copied into the part, so that a small piece does not keep alive the large buffer that it is a
/// slice of, and a part is not made of thousands of pieces.
const COPY_BELOW: usize = 64 << 10;

/// How uploads into a bucket are cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    part_size: usize,
    max_parts: u64,
    in_flight: usize,
}

impl Default for Transfer {
    fn default() -> Self {
        Self { part_size: DEFAULT_PART_SIZE, max_parts: MAX_PARTS, in_flight: MAX_IN_FLIGHT }
    }
}

impl Transfer {
    pub(crate) fn with_part_size(self, bytes: usize) -> Self {
        Self { part_size: bytes.max(1), ..self }
    }

    /// For local files, whose parts are mere writes.
    pub(crate) fn unlimited_parts(self) -> Self {
        Self { max_parts: u64::MAX, ..self }
    }

    fn concurrency(self) -> usize {
        (MAX_BYTES_IN_FLIGHT / self.part_size).clamp(1, self.in_flight)
    }

    /// The smallest parts that an object of `expected_bytes` can be cut into.
    fn least_part_size(self, expected_bytes: u64) -> usize {
        let local = self.max_parts == u64::MAX;
        let least = if local { LEAST_LOCAL_PART_SIZE } else { LEAST_PART_SIZE };
        let for_count = usize::try_from(expected_bytes.div_ceil(self.max_parts)).unwrap_or(usize::MAX);
        // Whoever configured smaller ones knows that they are taken.
        least.min(self.part_size).max(for_count)
    }

    /// Memory that an upload needs at least: a part under way, and one that is gathered.
    fn least_memory(self, expected_bytes: u64) -> usize {
        self.least_part_size(expected_bytes).saturating_mul(2)
    }

    /// As many and as large parts as fit, up to what is configured.
    fn within(self, memory_bytes: usize, expected_bytes: u64) -> Self {
        let least = self.least_part_size(expected_bytes);
        let part_size = (memory_bytes / (self.in_flight + 1)).clamp(least, self.part_size.max(least));
        let in_flight = (memory_bytes / part_size).saturating_sub(1).clamp(1, self.in_flight);
        Self { part_size, in_flight, ..self }
    }
}

/// The upload of one object, begun by [`Bucket::upload`].
///
/// Memory is bounded by 64 MiB or one part, whichever is more, and one part besides; or by what
/// [`within`](Self::within) was told. Dropping it aborts the upload in
/// the background where there is a tokio runtime; [`abort`](Self::abort) also says whether that succeeded. A process
/// that dies leaves parts behind, which a lifecycle rule of the bucket should remove.
///
/// Needs a tokio runtime.
pub struct Upload {
    bucket: Bucket,
    path: Path,
    transfer: Transfer,
    buffer: PutPayloadMut,
    parts: u64,
    running: Option<Running>,
    /// Set while a call runs, so that one that failed or was dropped half way cannot be followed by another.
    spoiled: bool,
}

/// An upload that needs more than one part.
struct Running {
    upload: Box<dyn MultipartUpload>,
    tasks: JoinSet<object_store::Result<()>>,
}

impl Running {
    /// Ends the parts under way before the abort: a service may accept a part after it otherwise.
    async fn abort(mut self) -> object_store::Result<()> {
        self.tasks.shutdown().await;
        self.upload.abort().await
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Upload");
        f.field("bucket", &self.bucket).field("key", &self.path.as_ref()).field("parts", &self.parts);
        f.field("buffered", &self.buffer.content_length()).field("spoiled", &self.spoiled).finish_non_exhaustive()
    }
}

impl Upload {
    pub(crate) fn new(bucket: Bucket, path: Path, transfer: Transfer) -> Self {
        Self { bucket, path, transfer, buffer: PutPayloadMut::new(), parts: 0, running: None, spoiled: false }
    }

    /// The same with at most `memory_bytes` of memory, or [`least_memory`](Self::least_memory) if that is more: with
    /// smaller parts, then with fewer at a time. `expected_bytes` is how long the object will be at most. To be called
    /// before anything is written.
    #[must_use]
    pub fn within(self, memory_bytes: usize, expected_bytes: u64) -> Self {
        let transfer = self.transfer.within(memory_bytes, expected_bytes);
        Self::new(self.bucket.clone(), self.path.clone(), transfer)
    }

    /// The least memory, in bytes, with which an object of at most `expected_bytes` can be uploaded here.
    #[must_use]
    pub fn least_memory(&self, expected_bytes: u64) -> usize {
        self.transfer.least_memory(expected_bytes)
    }

    /// Appends bytes. Waits while as many parts as allowed are under way.
    ///
    /// # Errors
    /// As [`Bucket::put`]; [`ErrorKind::LimitExceeded`](crate::ErrorKind::LimitExceeded) if the object needs more parts
    /// than services allow. The upload is aborted, and further calls give
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled); so they do if the future is dropped before it ends.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<()> {
        self.begin()?;
        while !bytes.is_empty() {
            let room = self.transfer.part_size.saturating_sub(self.buffer.content_length());
            if room == 0 {
                // Only now, so that an object of exactly one part needs a single request.
                if let Err(error) = self.send_part().await {
                    return Err(self.give_up(error).await);
                }
                continue;
            }
            let piece = bytes.split_to(room.min(bytes.len()));
            if piece.len() < COPY_BELOW {
                self.buffer.extend_from_slice(&piece);
            } else {
                self.buffer.push(piece);
            }
        }
        self.spoiled = false;
        Ok(())
    }

    /// Uploads what is left and makes the object visible, replacing what was under its key.
    ///
    /// # Errors
    /// As [`write`](Self::write). The object is not visible then, unless the answer to the last request was lost:
    /// after [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) it may be, in full.
    pub async fn finish(mut self) -> Result<()> {
        self.begin()?;
        match self.complete().await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.give_up(error).await),
        }
    }

    /// Removes what was uploaded. Nothing becomes visible.
    ///
    /// # Errors
    /// As [`Bucket::delete`], if parts may be left behind.
    pub async fn abort(mut self) -> Result<()> {
        match self.running.take() {
            Some(running) => running.abort().await.map_err(|e| self.failed("abort the upload of", &e)),
            None => Ok(()),
        }
    }

    fn begin(&mut self) -> Result<()> {
        if mem::replace(&mut self.spoiled, true) {
            return Err(Detail::Spoiled { bucket: self.bucket.to_string(), key: self.path.to_string() }.into());
        }
        Ok(())
    }

    async fn complete(&mut self) -> Result<()> {
        if self.running.is_none() {
            let payload: PutPayload = mem::take(&mut self.buffer).into();
            return self.bucket.put_payload(self.path.as_ref(), payload).await;
        }
        if !self.buffer.is_empty() {
            self.send_part().await?;
        }
        self.wait_for(0).await?;
        // Kept in place while the request runs, so that dropping this future aborts.
        let Some(running) = &mut self.running else { return Ok(()) };
        let completed = running.upload.complete().await;
        completed.map_err(|e| self.failed("complete the upload of", &e))?;
        self.running = None;
        Ok(())
    }

    /// Hands the buffer over as the next part.
    async fn send_part(&mut self) -> Result<()> {
        if self.parts >= self.transfer.max_parts {
            let (bucket, key) = (self.bucket.to_string(), self.path.to_string());
            return Err(
                Detail::TooManyParts { bucket, key, parts: self.parts, part_size: self.transfer.part_size }.into()
            );
        }
        self.wait_for(self.transfer.concurrency() - 1).await?;
        if self.running.is_none() {
            let upload = self.bucket.store().put_multipart(&self.path).await;
            let upload = upload.map_err(|e| self.failed("start the upload of", &e))?;
            self.running = Some(Running { upload, tasks: JoinSet::new() });
        }
        if let Some(Running { upload, tasks }) = &mut self.running {
            let part = mem::take(&mut self.buffer);
            tasks.spawn(upload.put_part(part.into()));
            self.parts += 1;
        }
        Ok(())
    }

    /// Waits until at most `left` parts are under way.
    async fn wait_for(&mut self, left: usize) -> Result<()> {
        while let Some(Running { tasks, .. }) = &mut self.running
            && tasks.len() > left
            && let Some(joined) = tasks.join_next().await
        {
            joined.unwrap_or_else(|e| Err(e.into())).map_err(|e| self.failed("upload a part of", &e))?;
        }
        Ok(())
    }

    /// Aborts after `error`, which is more telling than a failure to abort.
    async fn give_up(&mut self, error: Error) -> Error {
        self.buffer = PutPayloadMut::new();
        if let Some(running) = self.running.take() {
            let _ = running.abort().await;
        }
        error
    }

    fn failed(&self, operation: &'static str, error: &object_store::Error) -> Error {
        self.bucket.failed(operation, self.path.as_ref(), error)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Without a runtime the parts under way end with their tasks, and local stores remove their staging file.
        if let (Some(running), Ok(runtime)) = (self.running.take(), Handle::try_current()) {
            runtime.spawn(running.abort());
        }
    }
}
