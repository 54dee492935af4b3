//! The postings offset table: where the postings list of each label is.
//!
//! ```text
//! table   = len(u32) payload crc32c(payload)                                len: bytes of the payload
//! payload = count(u32) count × entry
//! entry   = 2(uvarint) name(string) value(string) offset(uvarint)           offset: of the list in the file
//! string  = len(uvarint) bytes
//! ```
//!
//! Sorted by name and value, except in version 1. An entry with empty name and value is for the list of all series.
//! Names and values of labels are those of this table; the retired label indices are not read.

use std::ops::Range;

use bytes::Bytes;

use crate::{
    Layout, checksum,
    cursor::Cursor,
    error::{Error, Repr, Result},
    symbols::abbreviate,
};

const WHAT: &str = "postings offset table";

/// The postings offset table: label names, their values, and where each label's series are listed.
///
/// Holds the section's bytes as given (without copying them), four bytes per label and a few per label name.
#[derive(Clone, Debug)]
pub struct PostingsTable {
    /// The payload: count and entries.
    payload: Bytes,
    /// Offset of the payload in the file.
    offset: u64,
    /// For each label, by name and value, the offset in the payload of its value's length.
    values: Box<[u32]>,
    /// By name; the empty name of the list of all series included.
    names: Box<[Name]>,
    /// Where the lists are.
    postings: Range<u64>,
}

/// A label name in the table.
#[derive(Clone, Copy, Debug)]
struct Name {
    /// Offset in the payload of its length.
    start: u32,
    /// Which of the values are its: those from here to the next name's.
    first_value: u32,
}

/// An entry of the payload while it is parsed: offsets of name and value.
#[derive(Clone, Copy)]
struct Entry {
    name: u32,
    value: u32,
}

impl PostingsTable {
    /// Reads the section at [`Layout::postings_table`] of the index with this layout.
    ///
    /// # Errors
    /// `Corrupt` if the section is no such table, a label occurs twice, or a list lies outside [`Layout::postings`].
    pub fn parse(section: &Bytes, layout: &Layout) -> Result<Self> {
        let mut c = Cursor::new(section, layout.postings_table().start);
        let len = c.u32("length of the postings offset table")?;
        let offset = c.offset();
        let payload = section.slice_ref(c.take(u64::from(len), WHAT)?);
        checksum::verify(WHAT, &payload, c.u32("checksum of the postings offset table")?.to_be_bytes(), offset)?;

        let (mut entries, sorted) = read_entries(&payload, offset, &layout.postings())?;
        if !sorted {
            let key = |e: &Entry| (string_at(&payload, e.name), string_at(&payload, e.value));
            entries.sort_by(|a, b| key(a).cmp(&key(b)));
            if let Some([_, twice]) = entries.array_windows().find(|[a, b]| key(a) == key(b)) {
                let at = offset.saturating_add(u64::from(twice.name));
                let (name, value) = key(twice);
                let found = format!("\"{}\"=\"{}\" twice", abbreviate(name), abbreviate(value));
                return Err(Error::corrupt(WHAT, at, "each label once", found));
            }
        }
        let mut names: Vec<Name> = Vec::new();
        let mut current: Option<&[u8]> = None;
        for (i, entry) in entries.iter().enumerate() {
            let name = string_at(&payload, entry.name);
            if current != Some(name) {
                // Fits: each entry takes a byte or more, and the payload's length is a u32.
                names.push(Name { start: entry.name, first_value: u32::try_from(i).unwrap_or(u32::MAX) });
                current = Some(name);
            }
        }
        let values = entries.iter().map(|e| e.value).collect();
        Ok(Self { offset, values, names: names.into(), postings: layout.postings(), payload })
    }

    /// Label names in byte order; an item is an error if the name is not UTF-8.
    pub fn names(&self) -> impl Iterator<Item = Result<&str>> {
        self.names
            .iter()
            .filter(|name| !self.string_at(name.start).is_empty())
            .map(|name| self.utf8("name", name.start))
    }

    /// Values of the label `name` in byte order, none if there is no such label; an item is an error if the value is
    /// not UTF-8.
    pub fn values(&self, name: &str) -> impl ExactSizeIterator<Item = Result<&str>> {
        let values = if name.is_empty() { 0..0 } else { self.values_of(name) };
        self.values.get(values).unwrap_or_default().iter().map(|&value| self.utf8("value", value))
    }

    /// How many labels there are, without the entry for all series.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len().saturating_sub(self.values_of("").len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where in the file the postings list of a label is; `None` if no series has it.
    ///
    /// The list starts where the range does. Where it ends only the list itself says; the range ends where the next
    /// one starts, if that is known, or else where all lists end.
    #[must_use]
    pub fn postings_range(&self, name: &str, value: &str) -> Option<Range<u64>> {
        let range = self.values_of(name);
        let values = self.values.get(range.clone())?;
        let i = values.binary_search_by(|&at| self.string_at(at).cmp(value.as_bytes())).ok()?;
        self.list_range(range.start.checked_add(i)?)
    }

    /// Values of the label `name` in byte order, each with where in the file its postings list is, as
    /// [`postings_range`](Self::postings_range) says. An item is an error if the value is not UTF-8.
    pub fn lists(&self, name: &str) -> impl ExactSizeIterator<Item = Result<(&str, Range<u64>)>> {
        let values = if name.is_empty() { 0..0 } else { self.values_of(name) };
        values.map(|i| {
            let value = self.values.get(i).copied().unwrap_or_default();
            // Present: `i` is one of the values.
            Ok((self.utf8("value", value)?, self.list_range(i).unwrap_or_default()))
        })
    }

    /// Where the list of the label with this position in `values` is.
    fn list_range(&self, i: usize) -> Option<Range<u64>> {
        let start = self.list_offset(*self.values.get(i)?)?;
        // The lists do not overlap: one that starts later starts after this one's end.
        let next = self.values.get(i.checked_add(1)?).and_then(|&at| self.list_offset(at));
        let end = next.filter(|&next| next > start).unwrap_or(self.postings.end);
        Some(start..end)
    }

    /// Where in the file the list of all series is.
    #[must_use]
    pub fn all_postings_range(&self) -> Option<Range<u64>> {
        self.postings_range("", "")
    }

    /// Bytes that the table holds in memory.
    #[must_use]
    pub fn memory_size(&self) -> usize {
        self.payload
            .len()
            .saturating_add(size_of_val::<[u32]>(&self.values))
            .saturating_add(size_of_val::<[Name]>(&self.names))
    }

    /// Which of the values belong to a name.
    fn values_of(&self, name: &str) -> Range<usize> {
        let Ok(i) = self.names.binary_search_by(|n| self.string_at(n.start).cmp(name.as_bytes())) else { return 0..0 };
        let first = |i: usize| self.names.get(i).map(|n| n.first_value as usize);
        first(i).unwrap_or_default()..first(i.saturating_add(1)).unwrap_or(self.values.len())
    }

    /// The offset that follows the value at `value`.
    fn list_offset(&self, value: u32) -> Option<u64> {
        let mut c = Cursor::new(self.payload.get(value as usize..)?, 0);
        let len = c.uvarint(WHAT).ok()?;
        c.take(len, WHAT).ok()?;
        c.uvarint(WHAT).ok()
    }

    fn string_at(&self, start: u32) -> &[u8] {
        string_at(&self.payload, start)
    }

    fn utf8(&self, part: &'static str, start: u32) -> Result<&str> {
        let bytes = self.string_at(start);
        std::str::from_utf8(bytes).map_err(|_| {
            let offset = self.offset.saturating_add(u64::from(start));
            Repr::LabelNotUtf8 { part, offset, escaped: abbreviate(bytes) }.into()
        })
    }
}

/// Reads and checks all entries; says whether they are strictly ascending, as they are but for version 1.
fn read_entries(payload: &[u8], offset: u64, postings: &Range<u64>) -> Result<(Vec<Entry>, bool)> {
    /// Bytes of the shortest entry.
    const MIN_LEN: usize = 4;

    let mut c = Cursor::new(payload, offset);
    // Fits: the payload's length is a u32.
    let position = |c: &Cursor<'_>| u32::try_from(c.offset().saturating_sub(offset)).unwrap_or(u32::MAX);
    let count = c.u32("number of labels in the postings offset table")?;
    let most = c.len() / MIN_LEN;
    if count as usize > most {
        let expected = format!("at most {most} in {} bytes", c.len());
        return Err(Error::corrupt(
            "number of labels in the postings offset table",
            offset,
            expected,
            count.to_string(),
        ));
    }
    let mut entries = Vec::with_capacity(count as usize);
    let mut sorted = true;
    let mut previous: Option<(&[u8], &[u8])> = None;
    for _ in 0..count {
        let at = c.offset();
        let strings = c.uvarint("number of strings")?;
        if strings != 2 {
            return Err(Error::corrupt("number of strings", at, "2", strings.to_string()));
        }
        let name = position(&c);
        let len = c.uvarint("length of a label name")?;
        let name_text = c.take(len, "label name")?;
        let value = position(&c);
        let len = c.uvarint("length of a label value")?;
        let label = (name_text, c.take(len, "label value")?);
        sorted = sorted && previous.is_none_or(|previous| previous < label);
        previous = Some(label);
        let at = c.offset();
        let list = c.uvarint("offset of a postings list")?;
        if !postings.contains(&list) {
            let expected = format!("a value in [{}, {})", postings.start, postings.end);
            return Err(Error::corrupt("offset of a postings list", at, expected, list.to_string()));
        }
        entries.push(Entry { name, value });
    }
    if c.len() > 0 {
        return Err(Error::corrupt(WHAT, c.offset(), "its end", format!("{} more bytes", c.len())));
    }
    Ok((entries, sorted))
}

/// The string whose length is at `start` of the payload. `read_entries` has read the same bytes without an error.
fn string_at(payload: &[u8], start: u32) -> &[u8] {
    let mut c = Cursor::new(payload.get(start as usize..).unwrap_or_default(), 0);
    c.uvarint(WHAT).and_then(|len| c.take(len, WHAT)).unwrap_or_default()
}
