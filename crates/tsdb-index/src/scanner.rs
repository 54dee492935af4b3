//! Walking through all series entries in the order of the file, without postings.

use std::ops::Range;

use crate::{
    Layout, Version,
    error::{Error, Result},
    series::{SeriesDecoder, SeriesRef},
};

/// Finds the series entries of an index one after the other in windows of bytes that the caller fetches.
///
/// The windows are the caller's: any length, in memory or freshly fetched, as long as they contain the byte that
/// [`SeriesScanner::position`] names. The scanner relies on the lengths of the entries; it is [`SeriesDecoder`] that
/// checks them: decode each entry before going on, and a damaged length is noticed where it is.
///
/// ```
/// # use prometheus_tsdb_index::*;
/// fn count_chunks(index: &[u8], layout: &Layout, symbols: &Symbols) -> Result<usize> {
///     let (decoder, mut entry) = (SeriesDecoder::new(symbols), SeriesEntry::default());
///     let (mut scanner, mut chunks) = (SeriesScanner::new(layout), 0);
///     let mut window = scanner.position()..scanner.position(); // nothing fetched yet
///     loop {
///         match scanner.next(&index[window.start as usize..window.end as usize], window.start)? {
///             ScanStep::Entry { offset, bytes, .. } => {
///                 decoder.decode(bytes, offset, &mut entry)?;
///                 chunks += entry.chunks.len();
///             }
///             ScanStep::Fetch(range) => window = range.start..(range.start + 65536).clamp(range.end, layout.series().end),
///             ScanStep::Done => return Ok(chunks),
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct SeriesScanner {
    version: Version,
    position: u64,
    end: u64,
}

/// What a [`SeriesScanner`] found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ScanStep<'w> {
    /// A series entry.
    Entry {
        /// Refers to the series.
        series: SeriesRef,
        /// Offset of the entry in the file.
        offset: u64,
        /// The entry, from its length to its checksum.
        bytes: &'w [u8],
    },
    /// The window lacks bytes: call again with a window that covers this range, and preferably much of what follows
    /// it up to the end of [`Layout::series`].
    Fetch(Range<u64>),
    /// There are no more entries.
    Done,
}

impl SeriesScanner {
    /// Starts at the first entry.
    #[must_use]
    pub fn new(layout: &Layout) -> Self {
        let Range { start, end } = layout.series();
        Self { version: layout.version(), position: start, end }
    }

    /// Scans the part of the series section `range` of an index, which must start where an entry or padding does.
    pub(crate) fn over(version: Version, range: Range<u64>) -> Self {
        Self { version, position: range.start, end: range.end }
    }

    /// Offset in the file of the next byte to look at.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Finds the next entry in `window`, whose first byte is at offset `window_start` of the file.
    ///
    /// # Errors
    /// `Corrupt` or `LimitExceeded` if what is there is no entry or reaches beyond the section. The scan cannot go on.
    pub fn next<'w>(&mut self, window: &'w [u8], window_start: u64) -> Result<ScanStep<'w>> {
        let rest = self
            .position
            .checked_sub(window_start)
            .and_then(|skip| window.get(usize::try_from(skip).ok()?..))
            .unwrap_or_default();
        let in_section = usize::try_from(self.end.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let rest = rest.get(..in_section).unwrap_or(rest);

        // An entry never starts with a zero, so zeros are padding.
        let padding = rest.iter().take_while(|&&b| b == 0).count();
        self.position = self.position.saturating_add(padding as u64);
        let rest = rest.get(padding..).unwrap_or_default();
        if self.position >= self.end {
            return Ok(ScanStep::Done);
        }
        if rest.is_empty() {
            return Ok(ScanStep::Fetch(self.needed(1)));
        }

        let offset = self.position;
        let Some(series) = SeriesRef::at_byte_offset(offset, self.version) else {
            let expected = format!("an offset that is a multiple of {}", self.version.series_align());
            return Err(Error::corrupt("series entry", offset, expected, "another"));
        };
        let Some(len) = SeriesDecoder::entry_len(rest, offset)? else {
            let needed = self.needed(rest.len().saturating_add(1));
            if needed.end > self.end {
                return Err(self.beyond_section(needed.end));
            }
            return Ok(ScanStep::Fetch(needed));
        };
        let needed = self.needed(len);
        if needed.end > self.end {
            return Err(self.beyond_section(needed.end));
        }
        let Some(bytes) = rest.get(..len) else {
            return Ok(ScanStep::Fetch(needed));
        };
        self.position = needed.end;
        Ok(ScanStep::Entry { series, offset, bytes })
    }

    fn needed(&self, len: usize) -> Range<u64> {
        self.position..self.position.saturating_add(len as u64)
    }

    #[cold]
    fn beyond_section(&self, end: u64) -> Error {
        Error::corrupt("end of a series entry", self.position, format!("at most {}", self.end), end.to_string())
    }
}
