//! Series entries on their way to the index, in a file that lives as long as the writer.
//!
//! ```text
//! spill := entry*
//! entry := length:u32 labels:uvarint (name:uvarint value:uvarint)* chunks:uvarint (min:varint max:varint ref:uvarint)*
//! ```

use super::{
    BufReader, BufWriter, ChunkMeta, File, LabelRef, Path, PathBuf, Read, Seek, SeekFrom, SeriesEntry, Write, varint,
};

/// Appends entries.
#[derive(Debug)]
pub(super) struct Spill {
    path: PathBuf,
    file: BufWriter<File>,
    buffer: Vec<u8>,
}

/// Reads them back.
#[derive(Debug)]
pub(super) struct SpilledEntries {
    path: PathBuf,
    file: BufReader<File>,
    buffer: Vec<u8>,
}

const LENGTH_BYTES: usize = 4;

impl Spill {
    pub(super) fn create(dir: &Path) -> std::io::Result<Self> {
        let path = dir.join("series.spill");
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        Ok(Self { path, file: BufWriter::with_capacity(1 << 18, file), buffer: Vec::new() })
    }

    pub(super) fn append(&mut self, entry: &SeriesEntry) -> std::io::Result<()> {
        let out = &mut self.buffer;
        out.clear();
        varint::encode_unsigned(out, entry.labels.len() as u64);
        for label in &entry.labels {
            varint::encode_unsigned(out, label.name.into());
            varint::encode_unsigned(out, label.value.into());
        }
        varint::encode_unsigned(out, entry.chunks.len() as u64);
        for chunk in &entry.chunks {
            varint::encode_signed(out, chunk.min_time);
            varint::encode_signed(out, chunk.max_time);
            varint::encode_unsigned(out, chunk.reference);
        }
        let length = u32::try_from(out.len()).map_err(std::io::Error::other)?;
        self.file.write_all(&length.to_be_bytes())?;
        self.file.write_all(out)
    }

    pub(super) fn into_entries(self) -> std::io::Result<SpilledEntries> {
        let mut file = self.file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(SpilledEntries { path: self.path, file: BufReader::with_capacity(1 << 18, file), buffer: self.buffer })
    }
}

impl SpilledEntries {
    /// Reads the next entry; false after the last.
    pub(super) fn next(&mut self, entry: &mut SeriesEntry) -> std::io::Result<bool> {
        let mut length = [0; LENGTH_BYTES];
        let Some((first, rest)) = length.split_first_mut() else { return Ok(false) };
        if self.file.read(std::slice::from_mut(first))? == 0 {
            return Ok(false);
        }
        self.file.read_exact(rest)?;
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(std::io::Error::other)?;
        self.buffer.resize(length, 0);
        self.file.read_exact(&mut self.buffer)?;
        // The file is our own; that somebody else changed it is all that can go wrong.
        decode(&self.buffer, entry).ok_or(std::io::ErrorKind::InvalidData)?;
        Ok(true)
    }

    pub(super) fn remove(self) -> std::io::Result<()> {
        std::fs::remove_file(self.path)
    }
}

fn decode(mut bytes: &[u8], entry: &mut SeriesEntry) -> Option<()> {
    let bytes = &mut bytes;
    entry.labels.clear();
    entry.chunks.clear();
    for _ in 0..unsigned(bytes)? {
        let (name, value) = (unsigned(bytes)?, unsigned(bytes)?);
        entry.labels.push(LabelRef { name: u32::try_from(name).ok()?, value: u32::try_from(value).ok()? });
    }
    for _ in 0..unsigned(bytes)? {
        let (min_time, max_time) = (signed(bytes)?, signed(bytes)?);
        entry.chunks.push(ChunkMeta { min_time, max_time, reference: unsigned(bytes)? });
    }
    bytes.is_empty().then_some(())
}

fn unsigned(bytes: &mut &[u8]) -> Option<u64> {
    let (value, length) = varint::decode_unsigned(bytes)?;
    *bytes = bytes.get(length..)?;
    Some(value)
}

fn signed(bytes: &mut &[u8]) -> Option<i64> {
    let (value, length) = varint::decode_signed(bytes)?;
    *bytes = bytes.get(length..)?;
    Some(value)
}
