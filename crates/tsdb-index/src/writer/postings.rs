//! Postings lists and their table: filled in passes over the series that were written.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    io::{Read, Seek, Write},
    ops::Range,
};

use crc_fast::{CrcAlgorithm, Digest};

use super::{
    check_u32,
    encode::{Encode, uvarint_len},
    sink::Sink,
};
use crate::{
    LabelRef, ScanStep, SeriesDecoder, SeriesRef, SeriesScanner, Symbols, Version,
    error::{Error, Result},
};

/// Bytes of a list beside its references: length, count and checksum.
const LIST_OVERHEAD: u64 = 12;

/// Lists start at multiples of this; since their lengths are multiples of it, too, there is no padding between them.
const LIST_ALIGN: u64 = 4;

/// Bytes of series that are read back at once.
const WINDOW_LEN: u64 = 1 << 20;

/// Which labels there are, and how many series have each.
#[derive(Debug, Default)]
pub(super) struct LabelUse(HashMap<u64, u32, BuildHasherDefault<LabelHasher>>);

/// Hashes a label's two ordinals, which come from the caller: no defence against chosen keys is needed.
#[derive(Debug, Default)]
pub(super) struct LabelHasher(u64);

impl Hasher for LabelHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, key: u64) {
        let h = (self.0 ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = h ^ h.rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

fn key(label: LabelRef) -> u64 {
    u64::from(label.name) << 32 | u64::from(label.value)
}

impl LabelUse {
    /// Counts the labels of one series.
    pub(super) fn count(&mut self, labels: &[LabelRef]) {
        for label in labels {
            let count = self.0.entry(key(*label)).or_default();
            *count = count.saturating_add(1); // no overflow: there are fewer than 2^32 series
        }
    }

    /// Labels with their counts in order; what is left maps labels to their place in it.
    fn into_lists(mut self) -> (Vec<List>, Self) {
        let mut lists: Vec<_> = self
            .0
            .iter()
            .map(|(&key, &count)| {
                let [n0, n1, n2, n3, v0, v1, v2, v3] = key.to_be_bytes();
                let label = LabelRef {
                    name: u32::from_be_bytes([n0, n1, n2, n3]),
                    value: u32::from_be_bytes([v0, v1, v2, v3]),
                };
                List { label, count }
            })
            .collect();
        lists.sort_unstable_by_key(|list| list.label);
        for (place, list) in (0..).zip(&lists) {
            self.0.insert(key(list.label), place);
        }
        (lists, self)
    }

    /// Place of a label in the order; its map must be that of `into_lists`.
    fn place(&self, label: LabelRef) -> Option<usize> {
        self.0.get(&key(label)).map(|&place| place as usize)
    }
}

/// The postings list of a label.
#[derive(Clone, Copy, Debug)]
struct List {
    label: LabelRef,
    count: u32,
}

/// The postings offset table that belongs to the lists written.
#[derive(Debug)]
pub(super) struct Table {
    /// Offset in the file of the list of all series; the others follow in order.
    start: u64,
    series: u64,
    lists: Vec<List>,
}

/// Writes the list of all series and that of each label, in order. `series` is where the series were written,
/// `count` how many; `memory` is how many bytes the references of several lists may take at once.
pub(super) fn write_lists<F: Read + Write + Seek>(
    sink: &mut Sink<F>,
    symbols: &Symbols,
    series: Range<u64>,
    count: u64,
    uses: LabelUse,
    memory: usize,
) -> Result<Table> {
    sink.flush()?;
    sink.pad(LIST_ALIGN)?;
    let start = sink.position();
    let mut pass = Pass { symbols, series, window: Vec::new(), labels: Vec::new() };

    pass.stream(sink, count, |_| true)?;
    let (lists, places) = uses.into_lists();
    let capacity = memory.div_ceil(size_of::<u32>()) as u64;
    let mut done = 0;
    while let Some(rest) = lists.get(done..).filter(|rest| !rest.is_empty()) {
        let mut total = 0u64;
        let fit = rest
            .iter()
            .take_while(|list| {
                total = total.saturating_add(u64::from(list.count));
                total <= capacity
            })
            .count();
        match rest.get(..fit).filter(|batch| !batch.is_empty()) {
            Some(batch) => pass.gather(sink, batch, done, &places)?,
            None => {
                if let Some(list) = rest.first() {
                    pass.stream(sink, u64::from(list.count), |labels| labels.contains(&list.label))?;
                }
            }
        }
        done = done.saturating_add(fit.max(1));
    }
    Ok(Table { start, series: count, lists })
}

/// Reads the series back.
struct Pass<'s> {
    symbols: &'s Symbols,
    series: Range<u64>,
    window: Vec<u8>,
    labels: Vec<LabelRef>,
}

impl Pass<'_> {
    /// Writes one list, without holding it in memory: of the series whose labels are `wanted`, of which there must
    /// be `count`.
    fn stream<F: Read + Write + Seek>(
        &mut self,
        sink: &mut Sink<F>,
        count: u64,
        wanted: impl Fn(&[LabelRef]) -> bool,
    ) -> Result<()> {
        let mut list = ListWriter::begin(sink, count)?;
        self.for_each(sink, |sink, series, labels| if wanted(labels) { list.push(sink, series) } else { Ok(()) })?;
        list.end(sink)
    }

    /// Writes the lists of a batch of labels, which starts at place `first` of all of them, filling them in one pass.
    fn gather<F: Read + Write + Seek>(
        &mut self,
        sink: &mut Sink<F>,
        batch: &[List],
        first: usize,
        places: &LabelUse,
    ) -> Result<()> {
        // For each list, where in `refs` it has its next reference.
        let mut next = Vec::with_capacity(batch.len());
        let mut total = 0usize;
        for list in batch {
            next.push(total);
            total = total.saturating_add(list.count as usize);
        }
        let mut refs = vec![0u32; total];
        self.for_each(sink, |_, series, labels| {
            for label in labels {
                let place = places.place(*label).and_then(|place| place.checked_sub(first));
                let Some(next) = place.and_then(|place| next.get_mut(place)) else { continue };
                let Some(slot) = refs.get_mut(*next) else { return Err(not_what_was_written(0)) };
                *slot = series;
                *next = next.saturating_add(1);
            }
            Ok(())
        })?;
        let mut rest = refs.as_slice();
        for (list, next) in batch.iter().zip(next) {
            let written = refs.len().saturating_sub(rest.len());
            let (these, after) = rest.split_at_checked(list.count as usize).unwrap_or_default();
            if written.checked_add(these.len()) != Some(next) {
                return Err(not_what_was_written(self.series.start));
            }
            rest = after;
            let mut writer = ListWriter::begin(sink, u64::from(list.count))?;
            for &series in these {
                writer.push(sink, series)?;
            }
            writer.end(sink)?;
        }
        Ok(())
    }

    /// Calls `f` with each series in order.
    fn for_each<F: Read + Write + Seek>(
        &mut self,
        sink: &mut Sink<F>,
        mut f: impl FnMut(&mut Sink<F>, u32, &[LabelRef]) -> Result<()>,
    ) -> Result<()> {
        let decoder = SeriesDecoder::new(self.symbols);
        let mut scanner = SeriesScanner::over(Version::V2, self.series.clone());
        let mut start = self.series.start;
        self.window.clear();
        loop {
            match scanner.next(&self.window, start)? {
                ScanStep::Done => return Ok(()),
                ScanStep::Fetch(range) => {
                    let end = range.start.saturating_add(WINDOW_LEN).min(self.series.end).max(range.end);
                    // Fits: an entry is limited to 64 MiB.
                    let len = usize::try_from(end.saturating_sub(range.start)).unwrap_or(usize::MAX);
                    self.window.resize(len, 0);
                    start = range.start;
                    sink.read_at(start, &mut self.window)?;
                }
                ScanStep::Entry { series: SeriesRef(series), offset, bytes } => {
                    decoder.decode_labels(bytes, offset, &mut self.labels)?;
                    let series = u32::try_from(series).map_err(|_| not_what_was_written(offset))?;
                    f(sink, series, &self.labels)?;
                }
            }
        }
    }
}

/// Writes one list, reference by reference.
struct ListWriter {
    crc: Digest,
    buffer: Vec<u8>,
    /// References still to come.
    missing: u64,
}

impl ListWriter {
    const BUFFER_LEN: usize = 16 << 10;

    fn begin<F: Read + Write + Seek>(sink: &mut Sink<F>, count: u64) -> Result<Self> {
        let len = count.saturating_mul(4).saturating_add(4);
        let len = check_u32("postings list", sink.position(), len)?;
        let count32 = check_u32("postings list", sink.position(), count)?;
        sink.write(&len.to_be_bytes())?;
        let buffer = count32.to_be_bytes().to_vec();
        Ok(Self { crc: Digest::new(CrcAlgorithm::Crc32Iscsi), buffer, missing: count })
    }

    fn push<F: Read + Write + Seek>(&mut self, sink: &mut Sink<F>, series: u32) -> Result<()> {
        self.missing = self.missing.checked_sub(1).ok_or_else(|| not_what_was_written(0))?;
        self.buffer.extend_from_slice(&series.to_be_bytes());
        if self.buffer.len() >= Self::BUFFER_LEN { self.drain(sink) } else { Ok(()) }
    }

    fn drain<F: Read + Write + Seek>(&mut self, sink: &mut Sink<F>) -> Result<()> {
        self.crc.update(&self.buffer);
        sink.write(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn end<F: Read + Write + Seek>(mut self, sink: &mut Sink<F>) -> Result<()> {
        if self.missing > 0 {
            return Err(not_what_was_written(0));
        }
        self.drain(sink)?;
        sink.write(&sum(&self.crc))
    }
}

impl Table {
    /// Writes the table.
    pub(super) fn write<F: Read + Write + Seek>(&self, sink: &mut Sink<F>, symbols: &Symbols) -> Result<()> {
        let mut len = 4u64;
        self.for_each(symbols, |name, value, offset| {
            let strings = (name.len() as u64).saturating_add(value.len() as u64);
            let lens = [name.len() as u64, value.len() as u64, offset].map(uvarint_len).iter().sum::<u64>();
            len = len.saturating_add(strings).saturating_add(lens).saturating_add(1);
            Ok(())
        })?;
        let len = check_u32("postings offset table", sink.position(), len)?;
        sink.write(&len.to_be_bytes())?;

        let mut crc = Digest::new(CrcAlgorithm::Crc32Iscsi);
        let count = check_u32("postings offset table", sink.position(), self.lists.len().saturating_add(1) as u64)?;
        let mut entry = count.to_be_bytes().to_vec();
        self.for_each(symbols, |name, value, offset| {
            entry.put_uvarint(2);
            for string in [name, value] {
                entry.put_uvarint(string.len() as u64);
                entry.extend_from_slice(string);
            }
            entry.put_uvarint(offset);
            crc.update(&entry);
            sink.write(&entry)?;
            entry.clear();
            Ok(())
        })?;
        sink.write(&sum(&crc))
    }

    /// Calls `f` with name, value and offset of every list.
    fn for_each(&self, symbols: &Symbols, mut f: impl FnMut(&[u8], &[u8], u64) -> Result<()>) -> Result<()> {
        let mut offset = self.start;
        let mut advance = |count: u64| {
            let this = offset;
            offset = offset.saturating_add(count.saturating_mul(4)).saturating_add(LIST_OVERHEAD);
            this
        };
        f(b"", b"", advance(self.series))?;
        for List { label, count } in &self.lists {
            let (name, value) = (symbols.get_bytes(label.name)?, symbols.get_bytes(label.value)?);
            f(name, value, advance(u64::from(*count)))?;
        }
        Ok(())
    }
}

fn sum(crc: &Digest) -> [u8; 4] {
    let [.., a, b, c, d] = crc.finalize().to_be_bytes();
    [a, b, c, d]
}

#[cold]
fn not_what_was_written(offset: u64) -> Error {
    Error::corrupt("series read back", offset, "those that were written", "others")
}
