//! Decoded byte arrays: pages of required columns, and dictionaries.

use std::{ops::Range, sync::Arc};

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
        let dictionary = Dictionary::plain(body, rows)?;
        let spans = (0..rows).map(|i| dictionary.span(i).unwrap_or_default());
        Ok(Self::new(spans.collect(), body.clone()))
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

/// The dictionary of a column chunk.
#[derive(Clone, Debug, Default)]
pub struct Dictionary {
    data: Bytes,
    /// Where each entry's length stands, and the end of the last entry.
    starts: Vec<u32>,
    has_empty: bool,
}

const LENGTH_BYTES: usize = 4;

impl Dictionary {
    /// A dictionary page of `entries` values, `PLAIN`.
    pub(crate) fn plain(body: &Bytes, entries: u32) -> Result<Self, Fault> {
        let most = body.len() / LENGTH_BYTES;
        if entries as usize > most || u32::try_from(body.len()).is_err() {
            return Err(Fault::corrupt(format!("at most {most} values in {} bytes", body.len()), entries.to_string()));
        }
        let mut starts = Vec::with_capacity((entries as usize).saturating_add(1));
        let mut rest: &[u8] = body;
        let mut has_empty = false;
        for _ in 0..entries {
            starts.push(u32::try_from(body.len().saturating_sub(rest.len())).unwrap_or(u32::MAX));
            let value = rest.split_first_chunk::<LENGTH_BYTES>().and_then(|(length, after)| {
                let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
                has_empty |= length == 0;
                after.split_at_checked(length)
            });
            let Some((_, after)) = value else {
                return Err(Fault::corrupt("a value within the page", "the end of the page"));
            };
            rest = after;
        }
        if !rest.is_empty() {
            return Err(Fault::corrupt(format!("{entries} values"), format!("{} more bytes", rest.len())));
        }
        starts.push(u32::try_from(body.len()).unwrap_or(u32::MAX));
        Ok(Self { data: body.clone(), starts, has_empty })
    }

    /// How many entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
        self.data.get(span.start as usize..span.end as usize)
    }

    fn span(&self, i: u32) -> Option<Range<u32>> {
        let i = i as usize;
        let start = self.starts.get(i)?.checked_add(u32::try_from(LENGTH_BYTES).ok()?)?;
        Some(start..*self.starts.get(i.checked_add(1)?)?)
    }

    /// Bytes that it holds.
    #[must_use]
    pub fn memory_size(&self) -> u64 {
        (self.data.len() as u64).saturating_add((self.starts.len() as u64).saturating_mul(4))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn plain_round_trips(values: Vec<Vec<u8>>) {
            let body: Bytes = values.iter().flat_map(|v| [&(v.len() as u32).to_le_bytes()[..], v].concat()).collect();
            let rows = values.len() as u32;
            let page = ValuePage::plain(&body, rows).unwrap();
            let dictionary = Dictionary::plain(&body, rows).unwrap();
            prop_assert_eq!((page.len(), dictionary.len()), (values.len(), values.len()));
            for (i, value) in values.iter().enumerate() {
                prop_assert_eq!(page.get(i), Some(&value[..]));
                prop_assert_eq!(dictionary.get(i as u32), Some(&value[..]));
            }
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
