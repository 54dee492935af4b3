//! Decoded byte arrays: pages of required columns, and dictionaries.

use std::{ops::Range, str::Utf8Error, sync::Arc};

use bytes::Bytes;

use crate::error::Fault;

/// The values of a page of a required column. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ValuePage {
    data: Bytes,
    /// For each value where it lies in `data`; neighbours may share it.
    spans: Arc<[Range<u32>]>,
}

impl ValuePage {
    /// `spans` lie within `data`.
    pub(crate) fn new(spans: Vec<Range<u32>>, data: Bytes) -> Self {
        Self { data, spans: spans.into() }
    }

    /// `PLAIN`: `u32le` length and bytes each.
    pub(crate) fn plain(body: &Bytes, rows: u32) -> Result<Self, Fault> {
        Ok(Self::new(plain_spans(body, rows)?, body.clone()))
    }

    /// How many values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The `i`-th value.
    #[must_use]
    pub fn get(&self, i: usize) -> Option<&[u8]> {
        self.data.get(self.range(i)?)
    }

    /// The `i`-th value, sharing the page's memory.
    #[must_use]
    pub fn share(&self, i: usize) -> Option<Bytes> {
        let range = self.range(i).filter(|range| range.start <= range.end && range.end <= self.data.len())?;
        Some(self.data.slice(range))
    }

    fn range(&self, i: usize) -> Option<Range<usize>> {
        self.spans.get(i).map(|span| span.start as usize..span.end as usize)
    }

    /// Bytes that it holds.
    #[must_use]
    pub fn memory_size(&self) -> u64 {
        (self.data.len() as u64).saturating_add((self.spans.len() as u64).saturating_mul(8))
    }
}

const LENGTH_BYTES: usize = 4;

/// Where each of the `PLAIN` values lies: `u32le` length and bytes each.
fn plain_spans(body: &[u8], values: u32) -> Result<Vec<Range<u32>>, Fault> {
    let most = body.len() / LENGTH_BYTES;
    if values as usize > most || u32::try_from(body.len()).is_err() {
        return Err(Fault::corrupt(format!("at most {most} values in {} bytes", body.len()), values.to_string()));
    }
    let mut spans = Vec::with_capacity(values as usize);
    let mut rest: &[u8] = body;
    for _ in 0..values {
        let value = rest
            .split_first_chunk::<LENGTH_BYTES>()
            .and_then(|(length, after)| after.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?));
        let Some((value, after)) = value else {
            return Err(Fault::corrupt("a value within the page", "the end of the page"));
        };
        let end = u32::try_from(body.len().saturating_sub(after.len())).unwrap_or(u32::MAX);
        spans.push(end.saturating_sub(u32::try_from(value.len()).unwrap_or(u32::MAX))..end);
        rest = after;
    }
    if !rest.is_empty() {
        return Err(Fault::corrupt(format!("{values} values"), format!("{} more bytes", rest.len())));
    }
    Ok(spans)
}

/// The dictionary of a column chunk.
#[derive(Clone, Debug, Default)]
pub struct Dictionary {
    text: Text,
    /// Where each entry ends; the next begins there.
    ends: Vec<u32>,
    has_empty: bool,
}

/// All entries, one after another.
#[derive(Clone, Debug)]
enum Text {
    /// Each is UTF-8, which is known once for all.
    Valid(Box<str>),
    Other(Box<[u8]>),
}

impl Default for Text {
    fn default() -> Self {
        Self::Valid(Box::default())
    }
}

impl Dictionary {
    /// A dictionary page of `entries` values, `PLAIN`.
    pub(crate) fn plain(body: &[u8], entries: u32) -> Result<Self, Fault> {
        let spans = plain_spans(body, entries)?;
        let has_empty = spans.iter().any(Range::is_empty);
        let mut bytes = Vec::with_capacity(body.len().saturating_sub(spans.len().saturating_mul(LENGTH_BYTES)));
        let mut ends = Vec::with_capacity(spans.len());
        for span in spans {
            bytes.extend_from_slice(body.get(span.start as usize..span.end as usize).unwrap_or_default());
            ends.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        }
        let text = match String::from_utf8(bytes) {
            // A character might go over from one entry to the next.
            Ok(text) if ends.iter().all(|end| text.is_char_boundary(*end as usize)) => Text::Valid(text.into()),
            Ok(text) => Text::Other(text.into_bytes().into()),
            Err(error) => Text::Other(error.into_bytes().into()),
        };
        Ok(Self { text, ends, has_empty })
    }

    /// How many entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Whether an entry is empty, which the layout knows none of.
    #[must_use]
    pub const fn has_empty(&self) -> bool {
        self.has_empty
    }

    /// The `i`-th entry.
    #[must_use]
    pub fn get(&self, i: u32) -> Option<&[u8]> {
        let span = self.span(i)?;
        match &self.text {
            Text::Valid(text) => text.as_bytes().get(span),
            Text::Other(bytes) => bytes.get(span),
        }
    }

    /// The `i`-th entry as text; the empty one if there is no such entry.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub fn text(&self, i: u32) -> Result<&str, Utf8Error> {
        match (&self.text, self.span(i)) {
            (Text::Valid(text), Some(span)) => Ok(text.get(span).unwrap_or_default()),
            (Text::Other(bytes), Some(span)) => std::str::from_utf8(bytes.get(span).unwrap_or_default()),
            (_, None) => Ok(""),
        }
    }

    fn span(&self, i: u32) -> Option<Range<usize>> {
        let i = i as usize;
        let end = *self.ends.get(i)?;
        let start = i.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        Some(start as usize..end as usize)
    }

    /// Bytes that it holds.
    #[must_use]
    pub fn memory_size(&self) -> u64 {
        let text = match &self.text {
            Text::Valid(text) => text.len(),
            Text::Other(bytes) => bytes.len(),
        };
        (text as u64).saturating_add((self.ends.len() as u64).saturating_mul(4))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As text, and as parts of a character whose whole is text.
    fn values() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let text = prop::collection::vec(any::<String>().prop_map(String::into_bytes), 0..20);
        let parts = any::<String>().prop_map(|text| text.into_bytes().chunks(1).map(<[u8]>::to_vec).collect());
        prop_oneof![any::<Vec<Vec<u8>>>(), text, parts]
    }

    proptest! {
        #[test]
        fn plain_round_trips(values in values()) {
            let body: Bytes = values.iter().flat_map(|v| [&(v.len() as u32).to_le_bytes()[..], v].concat()).collect();
            let rows = values.len() as u32;
            let page = ValuePage::plain(&body, rows).unwrap();
            let dictionary = Dictionary::plain(&body, rows).unwrap();
            prop_assert_eq!((page.len(), dictionary.len()), (values.len(), values.len()));
            for (i, value) in values.iter().enumerate() {
                prop_assert_eq!(page.get(i), Some(&value[..]));
                prop_assert_eq!(dictionary.get(i as u32), Some(&value[..]));
                prop_assert_eq!(dictionary.text(i as u32), std::str::from_utf8(value));
            }
            prop_assert_eq!(dictionary.has_empty(), values.iter().any(Vec::is_empty));
            prop_assert_eq!((page.get(values.len()), dictionary.get(rows)), (None, None));
            prop_assert!(Dictionary::plain(&body, rows + 1).is_err());
            prop_assert!(rows == 0 || Dictionary::plain(&body, rows - 1).is_err());
        }

        #[test]
        fn any_bytes_end(bytes: Vec<u8>, entries: u32) {
            let _ = ValuePage::plain(&bytes.into(), entries);
        }
    }
}
