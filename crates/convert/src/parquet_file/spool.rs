//! Bytes that wait for their turn: some in memory, the rest in an unnamed temporary file.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use snafu::ResultExt;

use crate::error::{Error, SpillSnafu};

/// Bytes that a [`Spool`] holds in memory at most, and then writes at once.
pub(crate) const SPOOL_BYTES: usize = 256 << 10;

/// Appended to, then read once from the start.
pub(super) struct Spool<'a> {
    dir: &'a Path,
    file: Option<File>,
    /// What comes after the bytes in the file.
    memory: Vec<u8>,
    len: u64,
}

impl<'a> Spool<'a> {
    /// A file, if one is needed, is made in `dir`.
    pub(super) const fn new(dir: &'a Path) -> Self {
        Self { dir, file: None, memory: Vec::new(), len: 0 }
    }

    /// Bytes appended so far.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.len += bytes.len() as u64;
        if self.memory.len() + bytes.len() <= SPOOL_BYTES {
            if self.memory.capacity() > SPOOL_BYTES / 4 {
                self.memory.reserve_exact(SPOOL_BYTES - self.memory.len()); // rather than twice as much
            }
            self.memory.extend(bytes);
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(self.dir).context(SpillSnafu)?),
        };
        file.write_all(&self.memory).and_then(|()| file.write_all(bytes)).context(SpillSnafu)?;
        self.memory.clear();
        Ok(())
    }

    /// All bytes, from the start.
    pub(super) fn into_reader(mut self) -> Result<impl Read + use<>, Error> {
        if let Some(file) = &mut self.file {
            file.seek(SeekFrom::Start(0)).context(SpillSnafu)?;
        }
        let on_disk: Box<dyn Read> = match self.file {
            Some(file) => Box::new(io::BufReader::with_capacity(64 << 10, file)),
            None => Box::new(io::empty()),
        };
        Ok(on_disk.chain(io::Cursor::new(self.memory)))
    }
}
