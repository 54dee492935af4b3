//! One postings list: the series that have a label.
//!
//! ```text
//! list    = len(u32) payload crc32c(payload)      len: bytes of the payload
//! payload = count(u32) count × series(u32)        strictly ascending
//! ```

use bytes::Bytes;

use crate::{
    SeriesRef, checksum,
    cursor::Cursor,
    error::{Error, Result},
};

const WHAT: &str = "postings list";

/// A postings list: references to series, strictly ascending.
#[derive(Clone, Debug)]
pub struct Postings {
    /// The references, four bytes each.
    refs: Bytes,
    /// Offset of the references in the file.
    offset: u64,
}

impl Postings {
    /// Bytes of a list before its count: fetch these to learn [`Postings::encoded_len`].
    pub const LEN_BYTES: usize = 4;

    /// Bytes of a whole list that begins with `head`, checksum included.
    #[must_use]
    pub fn encoded_len(head: [u8; Self::LEN_BYTES]) -> u64 {
        u64::from(u32::from_be_bytes(head)).saturating_add((Self::LEN_BYTES + checksum::LEN) as u64)
    }

    /// Reads the list that `bytes` begins with; `offset` is where in the file that is. More bytes may follow, as they
    /// do in the ranges of [`crate::PostingsTable::postings_range`].
    ///
    /// Checks the checksum and the count; the order is checked while iterating.
    ///
    /// # Errors
    /// `Corrupt` if there is no list here.
    pub fn parse(bytes: &Bytes, offset: u64) -> Result<Self> {
        let mut c = Cursor::new(bytes, offset);
        let len = c.u32("length of a postings list")?;
        let start = c.offset();
        let payload = bytes.slice_ref(c.take(u64::from(len), WHAT)?);
        checksum::verify(WHAT, &payload, c.u32("checksum of a postings list")?.to_be_bytes(), start)?;

        let mut c = Cursor::new(&payload, start);
        let count = c.u32("number of postings")?;
        if u64::from(count).saturating_mul(4) != c.len() as u64 {
            let expected = format!("a quarter of the {} bytes that follow", c.len());
            return Err(Error::corrupt("number of postings", start, expected, count.to_string()));
        }
        let offset = c.offset();
        Ok(Self { refs: payload.slice_ref(c.take(c.len() as u64, WHAT)?), offset })
    }

    /// A list without series, for labels that do not exist.
    #[must_use]
    pub fn empty() -> Self {
        Self { refs: Bytes::new(), offset: 0 }
    }

    /// How many series there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.refs.len() / 4
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.refs.is_empty()
    }

    /// The references in order. An item that is not greater than the one before is a `Corrupt` error, and the last.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { refs: self.refs.as_chunks().0, offset: self.offset, previous: None }
    }
}

impl<'a> IntoIterator for &'a Postings {
    type Item = Result<SeriesRef>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Iterates over the references of [`Postings`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    refs: &'a [[u8; 4]],
    /// Offset in the file of the first of `refs`.
    offset: u64,
    previous: Option<u32>,
}

impl Iterator for Iter<'_> {
    type Item = Result<SeriesRef>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (first, rest) = self.refs.split_first()?;
        let series = u32::from_be_bytes(*first);
        if let Some(previous) = self.previous.filter(|&previous| previous >= series) {
            self.refs = &[];
            return Some(Err(unsorted(self.offset, previous, series)));
        }
        self.refs = rest;
        self.offset = self.offset.saturating_add(4);
        self.previous = Some(series);
        Some(Ok(SeriesRef(u64::from(series))))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.refs.len().min(1), Some(self.refs.len()))
    }
}

#[cold]
fn unsorted(offset: u64, previous: u32, found: u32) -> Error {
    Error::corrupt("posting", offset, format!("a reference above {previous}"), found.to_string())
}
