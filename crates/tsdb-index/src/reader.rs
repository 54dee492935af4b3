//! An index that is in memory as a whole.

use std::sync::OnceLock;

use bytes::Bytes;
use prometheus_model::Labels;

use crate::{
    Layout, Postings, PostingsTable, ScanStep, SeriesDecoder, SeriesEntry, SeriesRef, SeriesScanner, Symbols, Version,
    error::{Error, Result},
};

/// Reads an index whose bytes are in memory (or mapped into it).
///
/// Opening reads the header and the table of contents only; symbols and postings table are read and checked when they
/// are first needed, each once.
#[derive(Debug)]
pub struct IndexReader {
    bytes: Bytes,
    layout: Layout,
    symbols: OnceLock<Symbols>,
    postings_table: OnceLock<PostingsTable>,
}

impl IndexReader {
    /// Opens the index that `bytes` are.
    ///
    /// # Errors
    /// As [`Layout::parse`].
    pub fn new(bytes: Bytes) -> Result<Self> {
        let layout = Layout::parse(&bytes, &bytes, bytes.len() as u64)?;
        Ok(Self { bytes, layout, symbols: OnceLock::new(), postings_table: OnceLock::new() })
    }

    /// Opens the index as one of another version than its header says, see [`Layout::with_version`].
    ///
    /// # Errors
    /// As [`Layout::parse`].
    pub fn with_version(bytes: Bytes, version: Version) -> Result<Self> {
        let reader = Self::new(bytes)?;
        Ok(Self { layout: reader.layout.with_version(version), ..reader })
    }

    /// Where the sections are.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The symbol table.
    ///
    /// # Errors
    /// As [`Symbols::parse`].
    pub fn symbols(&self) -> Result<&Symbols> {
        if let Some(symbols) = self.symbols.get() {
            return Ok(symbols);
        }
        let section = self.layout.symbols();
        let symbols = Symbols::parse(&self.from(section.start, section.end)?, self.layout.version(), section.start)?;
        Ok(self.symbols.get_or_init(|| symbols))
    }

    /// The postings offset table: label names and values.
    ///
    /// # Errors
    /// As [`PostingsTable::parse`].
    pub fn postings_table(&self) -> Result<&PostingsTable> {
        if let Some(table) = self.postings_table.get() {
            return Ok(table);
        }
        let section = self.layout.postings_table();
        let table = PostingsTable::parse(&self.from(section.start, section.end)?, &self.layout)?;
        Ok(self.postings_table.get_or_init(|| table))
    }

    /// The series that have the label, empty if there are none.
    ///
    /// # Errors
    /// `Corrupt` if the postings table or the list is damaged.
    pub fn postings(&self, name: &str, value: &str) -> Result<Postings> {
        match self.postings_table()?.postings_range(name, value) {
            Some(range) => Postings::parse(&self.from(range.start, range.end)?, range.start),
            None => Ok(Postings::empty()),
        }
    }

    /// All series.
    ///
    /// # Errors
    /// `Corrupt` if the postings table or the list is damaged.
    pub fn all_postings(&self) -> Result<Postings> {
        self.postings("", "")
    }

    /// Decodes the entry of a series.
    ///
    /// # Errors
    /// As [`Symbols::parse`] and [`SeriesDecoder::decode`]; `Corrupt`, too, if the reference points outside the
    /// series.
    pub fn series(&self, series: SeriesRef, entry: &mut SeriesEntry) -> Result<()> {
        let section = self.layout.series();
        let offset = series.byte_offset(self.layout.version());
        if !section.contains(&offset) {
            let expected = format!("an offset in [{}, {})", section.start, section.end);
            return Err(Error::corrupt("series reference", offset, expected, "one outside"));
        }
        let bytes = self.slice(offset, section.end)?;
        SeriesDecoder::new(self.symbols()?).decode(bytes, offset, entry)?;
        Ok(())
    }

    /// All series in the order of the file, which is that of their labels.
    ///
    /// # Errors
    /// As [`Symbols::parse`]; items as [`SeriesDecoder::decode`]. There is none after the first error.
    pub fn all_series(&self) -> Result<AllSeries<'_>> {
        let decoder = SeriesDecoder::new(self.symbols()?);
        Ok(AllSeries { reader: self, decoder, scanner: Some(SeriesScanner::new(&self.layout)) })
    }

    /// The labels of a decoded entry as strings.
    ///
    /// # Errors
    /// `Unsupported` if one is not UTF-8, `Corrupt` if they are no label set.
    pub fn labels(&self, entry: &SeriesEntry) -> Result<Labels> {
        let symbols = self.symbols()?;
        let pairs: Vec<_> =
            entry.labels.iter().map(|l| Ok((symbols.get(l.name)?, symbols.get(l.value)?))).collect::<Result<_>>()?;
        Labels::from_pairs(pairs)
            .map_err(|e| Error::corrupt("labels of a series", self.layout.series().start, "a label set", e.to_string()))
    }

    fn slice(&self, start: u64, end: u64) -> Result<&[u8]> {
        let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        range.and_then(|(start, end)| self.bytes.get(start..end)).ok_or_else(|| {
            let expected = format!("{end} bytes");
            Error::corrupt("index", start, expected, self.bytes.len().to_string())
        })
    }

    fn from(&self, start: u64, end: u64) -> Result<Bytes> {
        Ok(self.bytes.slice_ref(self.slice(start, end)?))
    }
}

/// Iterates over all series of an [`IndexReader`].
#[derive(Debug)]
pub struct AllSeries<'r> {
    reader: &'r IndexReader,
    decoder: SeriesDecoder<'r>,
    /// `None` after the end or an error.
    scanner: Option<SeriesScanner>,
}

impl AllSeries<'_> {
    /// Decodes the next series into `entry`; `None` after the last, and after an error.
    pub fn next_into(&mut self, entry: &mut SeriesEntry) -> Option<Result<SeriesRef>> {
        let mut scanner = self.scanner.take()?;
        let position = scanner.position();
        let section_end = self.reader.layout.series().end;
        let step = self.reader.slice(position, section_end).and_then(|window| scanner.next(window, position));
        match step {
            Ok(ScanStep::Entry { series, offset, bytes }) => match self.decoder.decode(bytes, offset, entry) {
                Ok(_) => {
                    self.scanner = Some(scanner);
                    Some(Ok(series))
                }
                Err(e) => Some(Err(e)),
            },
            Ok(ScanStep::Fetch(range)) => {
                let found = format!("the end of the section at {section_end}");
                Some(Err(Error::corrupt("series entry", position, format!("bytes up to {}", range.end), found)))
            }
            Ok(ScanStep::Done) => None,
            Err(e) => Some(Err(e)),
        }
    }
}

impl Iterator for AllSeries<'_> {
    type Item = Result<(SeriesRef, SeriesEntry)>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut entry = SeriesEntry::default();
        self.next_into(&mut entry).map(|series| series.map(|series| (series, entry)))
    }
}
