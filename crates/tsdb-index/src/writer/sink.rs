//! Where the index is written to: appended in large blocks, read back in between.

use std::io::{Read, Seek, SeekFrom, Write};

use super::encode::Encode;
use crate::error::{Error, Repr, Result};

/// Most bytes of an index. Series are referred to by 32 bits that count 16 bytes each; Prometheus has the same limit.
pub(super) const MAX_LEN: u64 = 16 * u32::MAX as u64;

/// Bytes that are collected before they are written.
const BUFFER_LEN: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Sink<F> {
    inner: F,
    /// Bytes not written yet.
    buffer: Vec<u8>,
    /// Length of the index so far, the buffer included.
    pub(super) position: u64,
    /// Whether writing has failed: what has arrived where is then unknown.
    failed: bool,
}

impl<F: Read + Write + Seek> Sink<F> {
    pub(super) fn new(inner: F) -> Self {
        Self { inner, buffer: Vec::new(), position: 0, failed: false }
    }

    /// Length of the index so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.check_usable()?;
        let end = self.position.saturating_add(bytes.len() as u64);
        if end > MAX_LEN {
            self.failed = true;
            return Err(Repr::Limit { what: "index", offset: self.position, found: end, limit: MAX_LEN }.into());
        }
        self.buffer.extend_from_slice(bytes);
        self.position = end;
        if self.buffer.len() >= BUFFER_LEN { self.flush() } else { Ok(()) }
    }

    pub(super) fn write_uvarint(&mut self, value: u64) -> Result<()> {
        let mut bytes = Vec::with_capacity(10);
        bytes.put_uvarint(value);
        self.write(&bytes)
    }

    /// Adds zeros up to a multiple of `align`, at most 16.
    pub(super) fn pad(&mut self, align: u64) -> Result<()> {
        let missing = self.position.next_multiple_of(align).saturating_sub(self.position);
        let zeros = [0; 16];
        self.write(usize::try_from(missing).ok().and_then(|n| zeros.get(..n)).unwrap_or_default())
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        self.check_usable()?;
        let offset = self.position.saturating_sub(self.buffer.len() as u64);
        self.inner
            .seek(SeekFrom::Start(offset))
            .and_then(|_| self.inner.write_all(&self.buffer))
            .and_then(|()| self.inner.flush())
            .map_err(|error| {
                self.failed = true;
                Repr::Sink { operation: "writing", offset, error }
            })?;
        self.buffer.clear();
        Ok(())
    }

    fn check_usable(&self) -> Result<()> {
        if self.failed {
            Err(Error::invalid("the index cannot be continued after an error of its sink"))
        } else {
            Ok(())
        }
    }

    /// Fills `out` with the bytes at `offset`, which must have been flushed.
    pub(super) fn read_at(&mut self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.inner
            .seek(SeekFrom::Start(offset))
            .and_then(|_| self.inner.read_exact(out))
            .map_err(|error| Repr::Sink { operation: "reading back", offset, error }.into())
    }

    pub(super) fn into_inner(mut self) -> Result<F> {
        self.flush()?;
        Ok(self.inner)
    }
}
