//! Series entries: the labels of a series and where its chunks are.
//!
//! ```text
//! entry  = len(uvarint) body crc32c(body)                    len: bytes of the body
//! body   = labels(uvarint) labels × (name(uvarint) value(uvarint))
//!          chunks(uvarint) [first] (chunks - 1) × next
//! first  = min_time(varint)               max_time - min_time(uvarint) reference(uvarint)
//! next   = min_time - previous max_time(uvarint) max_time - min_time(uvarint) reference - previous reference(varint)
//! ```
//!
//! Names and values are references to symbols. Time differences wrap around: that is how an entry holds chunks that
//! are out of order. In versions 2 and 3 an entry starts at a multiple of 16, with zero padding before it.

use prometheus_model::{TimeRange, TimestampMs};

use crate::{
    Symbols, Version, checksum,
    cursor::{Cursor, Uvarint, parse_uvarint},
    error::{Error, Repr, Result},
};

/// Longest entry that is read, in bytes; room for millions of chunks. Protects a caller who fetches what a damaged
/// length asks for.
pub const MAX_SERIES_ENTRY_LEN: usize = 64 << 20;

/// Fewest bytes of a label and of a chunk in an entry: counts are checked against them before memory is reserved.
const MIN_LABEL_LEN: usize = 2;
const MIN_CHUNK_LEN: usize = 3;

/// Refers to a series of one index, as postings lists do. References ascend in the order of the entries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SeriesRef(
    /// Version 1: the entry's offset in the file; versions 2 and 3: a 16th of that. Postings lists hold 32 bits of it,
    /// tombstones 64.
    pub u64,
);

impl SeriesRef {
    /// Where in the file the entry starts; `u64::MAX`, where none does, if that is beyond what a `u64` counts.
    #[must_use]
    pub const fn byte_offset(self, version: Version) -> u64 {
        self.0.saturating_mul(version.series_align())
    }

    /// The reference to the entry that starts at `offset`; nothing if there can be none.
    #[must_use]
    pub fn at_byte_offset(offset: u64, version: Version) -> Option<Self> {
        let align = version.series_align();
        if !offset.is_multiple_of(align) {
            return None;
        }
        offset.checked_div(align).map(Self)
    }
}

/// A label as symbol ordinals. Symbols are sorted, so this orders as the strings do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LabelRef {
    /// Ordinal of the name.
    pub name: u32,
    /// Ordinal of the value.
    pub value: u32,
}

/// Where a chunk is and what time it covers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ChunkMeta {
    /// Time of the first sample.
    pub min_time: TimestampMs,
    /// Time of the last sample: the range `[min_time, max_time]` is closed. Not before `min_time`.
    pub max_time: TimestampMs,
    /// Where it is: the segment's index in the upper 32 bits, the offset in it in the lower.
    pub reference: u64,
}

/// A decoded series entry. Reuse one for many entries.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SeriesEntry {
    /// Labels, strictly ascending by name.
    pub labels: Vec<LabelRef>,
    /// Chunks in the order of the index. Damaged blocks may hold chunks that overlap or go back in time.
    pub chunks: Vec<ChunkMeta>,
}

/// Decodes series entries.
///
/// Offsets are those of the entry in the file; they serve errors only.
#[derive(Clone, Copy, Debug)]
pub struct SeriesDecoder<'s> {
    symbols: &'s Symbols,
    overlapping: Option<TimeRange>,
}

impl<'s> SeriesDecoder<'s> {
    /// Decodes entries of the index that `symbols` belongs to.
    #[must_use]
    pub fn new(symbols: &'s Symbols) -> Self {
        Self { symbols, overlapping: None }
    }

    /// Leaves out chunks without any time in `range`.
    #[must_use]
    pub fn overlapping(self, range: TimeRange) -> Self {
        Self { overlapping: Some(range), ..self }
    }

    /// Length in bytes, checksum included, of the entry that `bytes` begin with; it may be more than `bytes` holds:
    /// then fetch the rest. `None` if `bytes` ends before that can be known; ten bytes always suffice.
    ///
    /// # Errors
    /// `Corrupt` if there is no entry here, `LimitExceeded` if it is longer than [`MAX_SERIES_ENTRY_LEN`].
    pub fn entry_len(bytes: &[u8], offset: u64) -> Result<Option<usize>> {
        Ok(header(bytes, offset)?.map(|h| h.total))
    }

    /// Decodes the entry that `bytes` begins with and returns its length in bytes, checksum included.
    ///
    /// # Errors
    /// `Corrupt` if `bytes` is shorter than the entry (see [`SeriesDecoder::entry_len`]), the checksum is wrong, a
    /// symbol does not exist, label names are not strictly ascending, or a chunk ends before it begins;
    /// `LimitExceeded` as in [`SeriesDecoder::entry_len`]. The contents of `entry` are then unspecified.
    pub fn decode(&self, bytes: &[u8], offset: u64, entry: &mut SeriesEntry) -> Result<usize> {
        let (mut body, len) = verified_body(bytes, offset)?;
        self.read_labels(&mut body, &mut entry.labels)?;
        self.read_chunks(&mut body, &mut entry.chunks)?;
        Ok(len)
    }

    /// As [`SeriesDecoder::decode`], without the chunks: they are not looked at.
    ///
    /// # Errors
    /// As [`SeriesDecoder::decode`].
    pub fn decode_labels(&self, bytes: &[u8], offset: u64, labels: &mut Vec<LabelRef>) -> Result<usize> {
        let (mut body, len) = verified_body(bytes, offset)?;
        self.read_labels(&mut body, labels)?;
        Ok(len)
    }

    /// As [`SeriesDecoder::decode`], without the labels: they are not checked.
    ///
    /// # Errors
    /// As [`SeriesDecoder::decode`].
    pub fn decode_chunks(&self, bytes: &[u8], offset: u64, chunks: &mut Vec<ChunkMeta>) -> Result<usize> {
        let (mut body, len) = verified_body(bytes, offset)?;
        let count = read_count(&mut body, "number of labels", MIN_LABEL_LEN)?;
        for _ in 0..count {
            body.uvarint("label name")?;
            body.uvarint("label value")?;
        }
        self.read_chunks(&mut body, chunks)?;
        Ok(len)
    }

    #[inline]
    fn read_labels(&self, body: &mut Cursor<'_>, labels: &mut Vec<LabelRef>) -> Result<()> {
        let count = read_count(body, "number of labels", MIN_LABEL_LEN)?;
        labels.clear();
        labels.resize(count, LabelRef { name: 0, value: 0 });
        let mut lowest = 0;
        for label in labels {
            let at = body.offset();
            let name = self.read_symbol(body, "label name")?;
            let value = self.read_symbol(body, "label value")?;
            if name < lowest {
                return Err(unsorted_names(at, name));
            }
            lowest = name.saturating_add(1);
            *label = LabelRef { name, value };
        }
        Ok(())
    }

    #[inline]
    fn read_symbol(&self, body: &mut Cursor<'_>, what: &'static str) -> Result<u32> {
        let at = body.offset();
        let reference = body.uvarint32(what)?;
        match self.symbols.resolve(reference) {
            Some(ordinal) => Ok(ordinal),
            None => Err(unknown_symbol(what, at, reference, self.symbols.len())),
        }
    }

    #[inline]
    fn read_chunks(&self, body: &mut Cursor<'_>, chunks: &mut Vec<ChunkMeta>) -> Result<()> {
        chunks.clear();
        let count = read_count(body, "number of chunks", MIN_CHUNK_LEN)?;
        if self.overlapping.is_none() {
            chunks.reserve(count);
        }
        let (mut max_time, mut reference) = (0i64, 0u64);
        for i in 0..count {
            let at = body.offset();
            let first = i == 0;
            let min_time = match first {
                true => body.varint("chunk's min time")?,
                false => max_time.wrapping_add_unsigned(body.uvarint("chunk's gap")?),
            };
            max_time = min_time.wrapping_add_unsigned(body.uvarint("chunk's duration")?);
            reference = match first {
                true => body.uvarint("chunk reference")?,
                false => reference.wrapping_add_signed(body.varint("chunk reference")?),
            };
            if max_time < min_time {
                return Err(reversed_chunk(at, min_time, max_time));
            }
            if self.overlapping.is_none_or(|range| range.overlaps_closed(min_time, max_time)) {
                chunks.push(ChunkMeta { min_time, max_time, reference });
            }
        }
        if body.len() > 0 {
            return Err(Error::corrupt("series entry", body.offset(), "its end", format!("{} more bytes", body.len())));
        }
        Ok(())
    }
}

struct Header {
    /// Bytes of the length.
    prefix: usize,
    /// Bytes of the entry, from its length to its checksum.
    total: usize,
}

#[inline]
fn header(bytes: &[u8], offset: u64) -> Result<Option<Header>> {
    const WHAT: &str = "length of a series entry";
    match parse_uvarint(bytes) {
        Uvarint::Value(0, _) => Err(Error::corrupt(WHAT, offset, "at least 1", "0")),
        Uvarint::Value(len, prefix) => match usize::try_from(len).ok().filter(|&len| len <= MAX_SERIES_ENTRY_LEN) {
            Some(len) => Ok(Some(Header { prefix, total: prefix.saturating_add(len).saturating_add(checksum::LEN) })),
            None => {
                Err(Repr::Limit { what: "series entry", offset, found: len, limit: MAX_SERIES_ENTRY_LEN as u64 }.into())
            }
        },
        Uvarint::Short => Ok(None),
        Uvarint::Overflow => Err(Error::corrupt(WHAT, offset, "a varint of 64 bits", "a longer one")),
    }
}

/// The body of the entry that `bytes` begins with, after checking its checksum; and the entry's length.
#[inline]
fn verified_body(bytes: &[u8], offset: u64) -> Result<(Cursor<'_>, usize)> {
    let header =
        header(bytes, offset)?.ok_or_else(|| short_entry(offset, bytes.len().saturating_add(1), bytes.len()))?;
    let body = bytes
        .get(header.prefix..header.total)
        .and_then(<[u8]>::split_last_chunk)
        .ok_or_else(|| short_entry(offset, header.total, bytes.len()))?;
    checksum::verify("series entry", body.0, *body.1, offset)?;
    Ok((Cursor::new(body.0, offset.saturating_add(header.prefix as u64)), header.total))
}

/// A count of things that take at least `min_len` bytes each.
#[inline]
fn read_count(body: &mut Cursor<'_>, what: &'static str, min_len: usize) -> Result<usize> {
    let at = body.offset();
    let count = body.uvarint(what)?;
    let most = body.len().checked_div(min_len).unwrap_or_default();
    match usize::try_from(count) {
        Ok(count) if count <= most => Ok(count),
        _ => Err(Error::corrupt(what, at, format!("at most {most} in {} bytes", body.len()), count.to_string())),
    }
}

#[cold]
fn short_entry(offset: u64, expected: usize, found: usize) -> Error {
    Error::corrupt("series entry", offset, format!("at least {expected} bytes"), format!("the end after {found}"))
}

#[cold]
fn unknown_symbol(what: &'static str, offset: u64, reference: u32, symbols: usize) -> Error {
    Error::corrupt(what, offset, format!("a reference to one of {symbols} symbols"), reference.to_string())
}

#[cold]
fn unsorted_names(offset: u64, name: u32) -> Error {
    Error::corrupt("label name", offset, "names in strictly ascending order", format!("symbol {name} too early"))
}

#[cold]
fn reversed_chunk(offset: u64, min_time: i64, max_time: i64) -> Error {
    Error::corrupt("chunk's max time", offset, format!("at least its min time {min_time}"), max_time.to_string())
}
