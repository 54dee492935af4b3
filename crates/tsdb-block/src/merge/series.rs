//! The series of several blocks, in label order.

use std::cmp::Ordering;

use prometheus_tsdb_index::{ChunkMeta, LabelRef, SeriesEntry, SeriesRef};

use super::MergedSymbols;
use crate::{
    error::Result,
    reader::{BlockReader, SeriesScan},
};

/// Where a merged series occurs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SeriesPart {
    /// Position of the block in the order given.
    pub block: u32,
    /// The series in that block's index.
    pub series: SeriesRef,
}

/// Walks through the series of several blocks in label order, each label set once.
///
/// Reads each index's series section once, in windows, without postings.
#[derive(Debug)]
pub struct MergedSeries<'a> {
    symbols: &'a MergedSymbols<'a>,
    cursors: Vec<Cursor<'a>>,
    /// Cursors that stand on the series last returned.
    current: Vec<usize>,
}

#[derive(Debug)]
struct Cursor<'a> {
    scan: SeriesScan<'a>,
    /// The series that the cursor stands on; labels in the union's numbering. None at the end.
    series: Option<SeriesRef>,
    entry: SeriesEntry,
}

impl<'a> MergedSeries<'a> {
    /// The series of `blocks`, whose symbols are merged as `symbols` in the same order. `window_bytes` are read at once
    /// from each index.
    ///
    /// # Errors
    /// Those of [`SeriesScan::next`].
    pub fn new(blocks: &'a [BlockReader], symbols: &'a MergedSymbols<'a>, window_bytes: u64) -> Result<Self> {
        let mut cursors = Vec::with_capacity(blocks.len());
        for (number, block) in blocks.iter().enumerate() {
            let mut cursor = Cursor { scan: block.series(window_bytes)?, series: None, entry: SeriesEntry::default() };
            cursor.advance(symbols, number)?;
            cursors.push(cursor);
        }
        Ok(Self { symbols, cursors, current: Vec::new() })
    }

    /// Goes on to the next series; false after the last.
    ///
    /// # Errors
    /// Those of [`SeriesScan::next`].
    pub fn advance(&mut self) -> Result<bool> {
        for number in self.current.drain(..) {
            if let Some(cursor) = self.cursors.get_mut(number) {
                cursor.advance(self.symbols, number)?;
            }
        }
        let mut least: Option<&[LabelRef]> = None;
        for (number, cursor) in self.cursors.iter().enumerate().filter(|(_, cursor)| cursor.series.is_some()) {
            let labels = cursor.entry.labels.as_slice();
            match least.map_or(Ordering::Less, |least| labels.cmp(least)) {
                Ordering::Less => {
                    self.current.clear();
                    self.current.push(number);
                    least = Some(labels);
                }
                Ordering::Equal => self.current.push(number),
                Ordering::Greater => {}
            }
        }
        Ok(!self.current.is_empty())
    }

    /// Labels of the series, in the numbering of the merged symbols.
    #[must_use]
    pub fn labels(&self) -> &[LabelRef] {
        self.entries().next().map_or(&[], |(_, entry)| &entry.labels)
    }

    /// Where the series occurs and which chunks it has there, in the order of the blocks.
    pub fn parts(&self) -> impl Iterator<Item = (SeriesPart, &[ChunkMeta])> {
        self.entries().map(|(part, entry)| (part, entry.chunks.as_slice()))
    }

    fn entries(&self) -> impl Iterator<Item = (SeriesPart, &SeriesEntry)> {
        self.current.iter().filter_map(|&number| {
            let cursor = self.cursors.get(number)?;
            let part = SeriesPart { block: u32::try_from(number).ok()?, series: cursor.series? };
            Some((part, &cursor.entry))
        })
    }
}

impl Cursor<'_> {
    fn advance(&mut self, symbols: &MergedSymbols<'_>, number: usize) -> Result<()> {
        self.series = self.scan.next(&mut self.entry)?;
        symbols.renumber(number, &mut self.entry.labels);
        Ok(())
    }
}
