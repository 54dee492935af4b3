//! The symbol table: every string that occurs in a label, once, sorted by bytes.
//!
//! ```text
//! symbols = len(u32) payload crc32c(payload)      len: bytes of the payload
//! payload = count(u32) count × (len(uvarint) bytes)
//! ```
//!
//! Versions 2 and 3 refer to a symbol by its ordinal, version 1 by the file offset of its length.

use bytes::Bytes;

use crate::{
    Version, checksum,
    cursor::Cursor,
    error::{Error, Repr, Result},
};

const WHAT: &str = "symbol table";

/// The symbol table: maps ordinals to strings and back.
///
/// Holds the section's bytes as given (without copying them) and four bytes per symbol.
#[derive(Clone, Debug)]
pub struct Symbols {
    /// The payload: count and strings.
    payload: Bytes,
    /// For each symbol the offset, in the payload, of its length.
    starts: Box<[u32]>,
    /// Offset of the payload in the file.
    offset: u64,
    version: Version,
}

impl Symbols {
    /// Reads the section at [`crate::Layout::symbols`]; `offset` is where in the file it starts.
    ///
    /// Checks the checksum and that the symbols are strictly ascending; their encoding is checked by [`Symbols::get`],
    /// because old blocks may hold values that are not UTF-8.
    ///
    /// # Errors
    /// `Corrupt` if the section is no symbol table, or is not sorted: every version demands that.
    pub fn parse(section: &Bytes, version: Version, offset: u64) -> Result<Self> {
        let mut c = Cursor::new(section, offset);
        let len = c.u32("length of the symbol table")?;
        let offset = c.offset();
        let payload = section.slice_ref(c.take(u64::from(len), WHAT)?);
        checksum::verify(WHAT, &payload, c.u32("checksum of the symbol table")?.to_be_bytes(), offset)?;

        let mut c = Cursor::new(&payload, offset);
        let count = c.u32("number of symbols")?;
        if u64::from(count) > c.len() as u64 {
            let expected = format!("at most {}, one for each byte", c.len());
            return Err(Error::corrupt("number of symbols", offset, expected, count.to_string()));
        }
        let mut starts = Vec::with_capacity(count as usize);
        let mut previous: Option<&[u8]> = None;
        for _ in 0..count {
            let at = c.offset();
            // Fits: the payload's length is a u32.
            starts.push(u32::try_from(at.saturating_sub(offset)).unwrap_or(u32::MAX));
            let len = c.uvarint("length of a symbol")?;
            let symbol = c.take(len, "symbol")?;
            if let Some(previous) = previous.filter(|&previous| previous >= symbol) {
                let expected = format!("one that sorts after \"{}\"", abbreviate(previous));
                return Err(Error::corrupt("symbol", at, expected, format!("\"{}\"", abbreviate(symbol))));
            }
            previous = Some(symbol);
        }
        if c.len() > 0 {
            return Err(Error::corrupt(WHAT, c.offset(), "its end", format!("{} more bytes", c.len())));
        }
        Ok(Self { starts: starts.into(), payload, offset, version })
    }

    /// How many symbols there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The symbol with this ordinal.
    ///
    /// # Errors
    /// `Invalid` if there is none, `Unsupported` if it is not UTF-8; [`Symbols::get_bytes`] has it nevertheless.
    pub fn get(&self, ordinal: u32) -> Result<&str> {
        let bytes = self.get_bytes(ordinal)?;
        std::str::from_utf8(bytes).map_err(|_| self.not_utf8(ordinal, bytes))
    }

    /// The symbol with this ordinal, which need not be UTF-8.
    ///
    /// # Errors
    /// `Invalid` if there is none.
    pub fn get_bytes(&self, ordinal: u32) -> Result<&[u8]> {
        match self.starts.get(ordinal as usize) {
            Some(&start) => Ok(self.at(start)),
            None => {
                let len = self.len() as u64;
                Err(Repr::NoSuch { what: "symbol", ordinal: u64::from(ordinal), len }.into())
            }
        }
    }

    /// Ordinal of a symbol, if it is in the table. Takes O(log n) comparisons.
    #[must_use]
    pub fn find(&self, symbol: &str) -> Option<u32> {
        self.starts
            .binary_search_by(|&start| self.at(start).cmp(symbol.as_bytes()))
            .ok()
            .and_then(|i| u32::try_from(i).ok())
    }

    /// All symbols in order; an item is an error if the symbol is not UTF-8.
    pub fn iter(&self) -> impl Iterator<Item = Result<&str>> {
        (0..).zip(&self.starts).map(|(ordinal, &start)| {
            let bytes = self.at(start);
            std::str::from_utf8(bytes).map_err(|_| self.not_utf8(ordinal, bytes))
        })
    }

    /// Bytes that the table holds in memory.
    #[must_use]
    pub fn memory_size(&self) -> usize {
        self.payload.len().saturating_add(self.starts.len().saturating_mul(size_of::<u32>()))
    }

    /// Ordinal of the symbol that a series entry refers to.
    #[inline]
    pub(crate) fn resolve(&self, reference: u32) -> Option<u32> {
        match self.version {
            Version::V1 => {
                let start = u64::from(reference).checked_sub(self.offset)?;
                let start = u32::try_from(start).ok()?;
                self.starts.binary_search(&start).ok().and_then(|i| u32::try_from(i).ok())
            }
            Version::V2 | Version::V3 => Some(reference).filter(|&r| (r as usize) < self.starts.len()),
        }
    }

    /// The symbol whose length is at `start` of the payload. `parse` has read the same bytes without an error.
    fn at(&self, start: u32) -> &[u8] {
        let mut c = Cursor::new(self.payload.get(start as usize..).unwrap_or_default(), 0);
        c.uvarint(WHAT).and_then(|len| c.take(len, WHAT)).unwrap_or_default()
    }

    #[cold]
    fn not_utf8(&self, ordinal: u32, bytes: &[u8]) -> Error {
        let start = self.starts.get(ordinal as usize).copied().unwrap_or_default();
        Repr::NotUtf8 { ordinal, offset: self.offset.saturating_add(u64::from(start)), escaped: abbreviate(bytes) }
            .into()
    }
}

/// For error messages: a symbol may have megabytes.
pub(crate) fn abbreviate(symbol: &[u8]) -> String {
    match symbol.get(..256) {
        Some(start) => format!("{}… ({} bytes)", start.escape_ascii(), symbol.len()),
        None => symbol.escape_ascii().to_string(),
    }
}
