//! Sorts rows that do not fit in memory: sorted runs in one temporary file, to be merged by the reader.
//!
//! ```text
//! run    := row*                                                                      ascending by labels
//! row    := length:u32 shard:u32 labels:u32 (name_len:u32 value_len:u32 name value)* cell     length: of what follows it
//! ```
//!
//! Integers are little endian. The file is this process' own, so that damage is an I/O error.

use std::{
    fs::File,
    io::{self, BufWriter, ErrorKind, Write},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

use bytes::{Buf, Bytes};
use prometheus_model::Labels;
use snafu::ResultExt;

use super::Part;
use crate::error::{Error, SpillSnafu};

/// Read at once from each run.
const WINDOW_BYTES: usize = 64 << 10;
/// What a row takes besides its cell and labels, about.
const ROW_BYTES: u64 = 128;

/// Takes rows in any order.
#[derive(Debug)]
pub(super) struct RowSpill {
    file: BufWriter<File>,
    written: u64,
    /// Where runs end.
    ends: Vec<u64>,
    rows: Vec<Part>,
    held: u64,
    most: u64,
    buffer: Vec<u8>,
}

impl RowSpill {
    /// Holds about `memory_bytes` in memory.
    pub(super) fn create(dir: &Path, memory_bytes: u64) -> Result<Self, Error> {
        let file = BufWriter::with_capacity(1 << 18, tempfile::tempfile_in(dir).context(SpillSnafu)?);
        let (rows, buffer) = (Vec::new(), Vec::new());
        Ok(Self { file, written: 0, ends: Vec::new(), rows, held: 0, most: memory_bytes, buffer })
    }

    pub(super) fn push(&mut self, row: Part) -> Result<(), Error> {
        let labels: usize = row.labels.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
        self.held += (row.cell.len() + labels) as u64 + ROW_BYTES;
        self.rows.push(row);
        if self.held > self.most {
            self.end_run().context(SpillSnafu)?;
        }
        Ok(())
    }

    fn end_run(&mut self) -> io::Result<()> {
        self.rows.sort_by(|a, b| (&a.labels, a.shard).cmp(&(&b.labels, b.shard)));
        for row in self.rows.drain(..) {
            encode(&row, &mut self.buffer)?;
            self.file.write_all(&self.buffer)?;
            self.written += self.buffer.len() as u64;
        }
        self.ends.push(self.written);
        self.held = 0;
        Ok(())
    }

    pub(super) fn into_runs(mut self) -> Result<Vec<SpilledRows>, Error> {
        if !self.rows.is_empty() {
            self.end_run().context(SpillSnafu)?;
        }
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error).context(SpillSnafu)?;
        let file = Arc::new(file);
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let run = |(at, end)| SpilledRows { file: Arc::clone(&file), at, end, window: Bytes::new() };
        Ok(starts.zip(self.ends.iter().copied()).map(run).collect())
    }
}

/// A sorted run.
#[derive(Debug)]
pub(super) struct SpilledRows {
    file: Arc<File>,
    /// What follows the window.
    at: u64,
    end: u64,
    window: Bytes,
}

impl SpilledRows {
    pub(super) fn next(&mut self) -> Result<Option<Part>, Error> {
        if self.window.is_empty() && self.at == self.end {
            return Ok(None);
        }
        self.read().map(Some).context(SpillSnafu).map_err(Error::from)
    }

    fn read(&mut self) -> io::Result<Part> {
        let length = self.take(4)?.get_u32_le() as usize;
        let mut row = self.take(length)?;
        decode(&mut row).ok_or_else(|| ErrorKind::InvalidData.into())
    }

    fn take(&mut self, n: usize) -> io::Result<Bytes> {
        if self.window.len() < n {
            let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
            let kept = self.window.len();
            let more = (n - kept).max(WINDOW_BYTES).min(left);
            if kept + more < n {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let mut window = vec![0; kept + more];
            window[..kept].copy_from_slice(&self.window);
            self.file.read_exact_at(&mut window[kept..], self.at)?;
            self.at += more as u64;
            self.window = window.into();
        }
        Ok(self.window.split_to(n))
    }
}

fn encode(row: &Part, out: &mut Vec<u8>) -> io::Result<()> {
    out.clear();
    let put = |n: usize| -> io::Result<[u8; 4]> { Ok(u32::try_from(n).map_err(io::Error::other)?.to_le_bytes()) };
    out.extend([0; 4]);
    out.extend(row.shard.to_le_bytes());
    out.extend(put(row.labels.len())?);
    for (name, value) in row.labels.iter() {
        out.extend(put(name.len())?);
        out.extend(put(value.len())?);
        out.extend(name.as_bytes());
        out.extend(value.as_bytes());
    }
    out.extend_from_slice(&row.cell);
    let length = put(out.len() - 4)?;
    out[..4].copy_from_slice(&length);
    Ok(())
}

fn decode(row: &mut Bytes) -> Option<Part> {
    let number = |row: &mut Bytes| row.try_get_u32_le().ok();
    let shard = number(row)?;
    let mut texts = Vec::new();
    for _ in 0..number(row)? {
        let (name, value) = (number(row)? as usize, number(row)? as usize);
        if row.len() < name.checked_add(value)? {
            return None;
        }
        texts.push((row.split_to(name), row.split_to(value)));
    }
    let text = |bytes: &'_ Bytes| std::str::from_utf8(bytes).ok().map(str::to_owned);
    let pairs: Option<Vec<_>> = texts.iter().map(|(name, value)| Some((text(name)?, text(value)?))).collect();
    let labels = Labels::from_pairs(pairs?.iter().map(|(name, value)| (name.as_str(), value.as_str()))).ok()?;
    // The cell must not keep the whole window alive.
    Some(Part { labels, shard, cell: Bytes::copy_from_slice(row) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn runs_hold_all_rows_in_order(
            rows in prop::collection::vec(("[a-c]{0,2}", "[a-c]{1,2}", 0_usize..70_000), 1..40),
            memory in 1_u64..200_000,
        ) {
            let mut spill = RowSpill::create(&std::env::temp_dir(), memory).unwrap();
            let mut expected = Vec::new();
            for (i, (a, b, length)) in rows.iter().enumerate() {
                let labels = Labels::from_pairs([("x", a.as_str()), ("y", b.as_str())]).unwrap();
                let cell = Bytes::from(vec![i as u8; *length]);
                expected.push((labels.clone(), i as u32, cell.clone()));
                spill.push(Part { labels, shard: i as u32, cell }).unwrap();
            }
            let mut found = Vec::new();
            for mut run in spill.into_runs().unwrap() {
                let mut previous = None;
                while let Some(row) = run.next().unwrap() {
                    prop_assert!(previous.as_ref() <= Some(&row.labels));
                    previous = Some(row.labels.clone());
                    found.push((row.labels, row.shard, row.cell));
                }
            }
            expected.sort();
            found.sort();
            prop_assert_eq!(found, expected);
        }
    }
}
