//! Where the bytes of one file go: gathered to parts, handed on, counted.

use std::io::{self, Write};

use crate::error::Error;

/// Bytes handed on at once; an upload gathers them to parts without copying them.
pub(crate) const PART_BYTES: usize = 1 << 20;

/// A sink that remembers its first failure, so that one cannot get lost in a buffered writer that is dropped.
pub(crate) struct Output {
    part: Vec<u8>,
    written: u64,
    put: Box<dyn FnMut(Vec<u8>) -> Result<(), Error> + Send>,
    failed: Option<Error>,
}

impl Output {
    /// Parts go to `put`, in order, each but the last of [`PART_BYTES`].
    pub(crate) fn new(put: impl FnMut(Vec<u8>) -> Result<(), Error> + Send + 'static) -> Self {
        Self { part: Vec::new(), written: 0, put: Box::new(put), failed: None }
    }

    fn hand_on(&mut self) -> io::Result<()> {
        let part = std::mem::take(&mut self.part);
        if self.failed.is_none()
            && let Err(error) = (self.put)(part)
        {
            self.failed = Some(error);
        }
        if self.failed.is_some() { Err(io::Error::other("writing failed before")) } else { Ok(()) }
    }

    /// Hands on what is left; returns how many bytes the file has.
    ///
    /// # Errors
    /// The first failure, even if whoever wrote did not see it.
    pub(crate) fn finish(mut self) -> Result<u64, Error> {
        if !self.part.is_empty() {
            let _ = self.hand_on(); // kept in `failed`
        }
        match self.failed {
            Some(error) => Err(error),
            None => Ok(self.written),
        }
    }

    /// The first failure: the real story behind an [`io::Error`] that this sink returned.
    pub(crate) fn take_failure(&mut self) -> Option<Error> {
        self.failed.take()
    }
}

impl Write for Output {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.part.capacity() == 0 {
            self.part.reserve_exact(buf.len().min(PART_BYTES));
        }
        let room = PART_BYTES - self.part.len();
        let taken = buf.len().min(room);
        self.part.extend(&buf[..taken]);
        self.written += taken as u64;
        if self.part.len() == PART_BYTES {
            self.hand_on()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // parts have their size; `finish` hands on the last
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("written", &self.written).field("failed", &self.failed).finish_non_exhaustive()
    }
}
