//! Walks through the series of an index.

use bytes::Bytes;
use prometheus_tsdb_index::{LabelRef, ScanStep, SeriesDecoder, SeriesEntry, SeriesRef, SeriesScanner, Symbols};

use super::{BlockReader, IndexStats, display_labels};
use crate::error::Result;

/// All series of a block, one after the other, ascending by labels. Holds one window of the index.
///
/// It does not depend on postings, so that it also finds the series of a block whose postings are damaged.
#[derive(Debug)]
pub struct SeriesScan<'a> {
    block: &'a BlockReader,
    symbols: &'a Symbols,
    decoder: SeriesDecoder<'a>,
    scanner: SeriesScanner,
    window_bytes: u64,
    window: Bytes,
    window_start: u64,
    previous: Vec<LabelRef>,
    stats: IndexStats,
}

impl<'a> SeriesScan<'a> {
    pub(super) fn new(block: &'a BlockReader, window_bytes: u64) -> Result<Self> {
        let symbols = block.symbols()?;
        Ok(Self {
            block,
            symbols,
            decoder: SeriesDecoder::new(symbols),
            scanner: SeriesScanner::new(block.layout()),
            window_bytes,
            window: Bytes::new(),
            window_start: 0,
            previous: Vec::new(),
            stats: IndexStats::default(),
        })
    }

    /// Decodes the next series into `entry` and gives its reference; `None` after the last.
    ///
    /// Series ascend by labels; in the blocks of some faulty writers, the same labels may come twice in a row.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if an entry is not the format or the series do not ascend, and
    /// those of the reads. The scan cannot go on after an error.
    pub fn next(&mut self, entry: &mut SeriesEntry) -> Result<Option<SeriesRef>> {
        loop {
            let step = self.scanner.next(&self.window, self.window_start);
            match step.map_err(|e| self.block.index_error(e))? {
                ScanStep::Entry { series, offset, bytes } => {
                    self.decoder.decode(bytes, offset, entry).map_err(|e| self.block.index_error(e))?;
                    if entry.labels < self.previous {
                        let expected = format!("a series after {}", display_labels(self.symbols, &self.previous));
                        let found = display_labels(self.symbols, &entry.labels);
                        return Err(self.block.corrupt_index(offset, expected, found));
                    }
                    self.previous.clone_from(&entry.labels);
                    self.stats.add(entry);
                    return Ok(Some(series));
                }
                ScanStep::Fetch(needed) => {
                    let end = needed.start.saturating_add(self.window_bytes).min(self.block.layout().series().end);
                    self.window_start = needed.start;
                    self.window = self.block.read_index(needed.start..end.max(needed.end))?;
                }
                ScanStep::Done => return Ok(None),
            }
        }
    }

    /// The symbols that the entries' labels refer to.
    #[must_use]
    pub fn symbols(&self) -> &'a Symbols {
        self.symbols
    }

    /// What was found so far; after the last series, what the index holds.
    #[must_use]
    pub fn stats(&self) -> IndexStats {
        self.stats
    }
}
