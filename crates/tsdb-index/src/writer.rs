//! Writing an index.

use std::io::{Read, Seek, Write};

use prometheus_model::Labels;

use crate::{
    ChunkMeta, LabelRef, MAX_SERIES_ENTRY_LEN, SeriesRef, Symbols, Version, checksum,
    error::{Error, Repr, Result},
    layout::{Layout, MAGIC, Toc},
};

use self::{encode::Encode, postings::LabelUse, sink::Sink};

mod encode;
mod postings;
mod sink;
#[cfg(test)]
mod tests;

/// Memory for postings if the caller does not say otherwise.
const DEFAULT_POSTINGS_BYTES: usize = 128 << 20;

/// Bytes of the symbol table before its payload.
const SYMBOLS_LEN_BYTES: usize = 4;

/// Writes an index of version 2, byte for byte as Prometheus does.
///
/// First come all symbols in byte order, then all series in order of their labels, then [`IndexWriter::finish`].
/// The sink must be empty; a `File` opened for reading and writing or a `Cursor<Vec<u8>>` will do. It is written from
/// start to end, in large blocks, and never overwritten; nothing is synced.
///
/// # Memory
///
/// The symbol table, a few tens of bytes for each distinct label, and 128 MiB or what
/// [`IndexWriter::postings_bytes`] allows for postings lists; nothing grows with the number of series. Postings lists
/// are filled by reading back the series that were written: in one pass if all lists together fit the allowance, else
/// in several, each for the next few labels. A list that is too long on its own is streamed in a pass of its own.
///
/// ```
/// use prometheus_tsdb_index::{ChunkMeta, IndexReader, IndexWriter, LabelRef};
/// let mut writer = IndexWriter::new(std::io::Cursor::new(Vec::new()));
/// let [name, value] = ["job", "node"].map(|symbol| writer.add_symbol(symbol));
/// let labels = [LabelRef { name: name?, value: value? }];
/// let up = writer.add_series(&labels, &[ChunkMeta { min_time: 0, max_time: 15_000, reference: 8 }])?;
/// let (sink, _len) = writer.finish()?;
///
/// let index = IndexReader::new(sink.into_inner().into())?;
/// assert_eq!(index.postings("job", "node")?.iter().collect::<Result<Vec<_>, _>>()?, [up]);
/// # Ok::<(), prometheus_tsdb_index::Error>(())
/// ```
#[derive(Debug)]
pub struct IndexWriter<F> {
    sink: Sink<F>,
    symbols: SymbolsStage,
    postings_bytes: usize,
    toc: Toc,
    last_labels: Vec<LabelRef>,
    last_chunk: u64,
    series: u64,
    uses: LabelUse,
    /// Body of the entry that is being written.
    body: Vec<u8>,
}

#[derive(Debug)]
enum SymbolsStage {
    /// Symbols are being added: the section so far, their number, and where the last of them starts.
    Open { section: Vec<u8>, count: u32, last: usize },
    /// The section is written.
    Sealed(Symbols),
}

impl<F: Read + Write + Seek> IndexWriter<F> {
    /// Begins an index in an empty sink.
    #[must_use]
    pub fn new(sink: F) -> Self {
        Self {
            sink: Sink::new(sink),
            symbols: SymbolsStage::Open { section: vec![0; SYMBOLS_LEN_BYTES + 4], count: 0, last: 0 },
            postings_bytes: DEFAULT_POSTINGS_BYTES,
            toc: Toc::default(),
            last_labels: Vec::new(),
            last_chunk: 0,
            series: 0,
            uses: LabelUse::default(),
            body: Vec::new(),
        }
    }

    /// Allows this many bytes for postings lists in memory; less costs more passes over the series.
    #[must_use]
    pub fn postings_bytes(self, bytes: usize) -> Self {
        Self { postings_bytes: bytes, ..self }
    }

    /// Adds the next symbol and returns its ordinal.
    ///
    /// # Errors
    /// `Invalid` if it does not sort after the one before, or series have been added already; `LimitExceeded` if the
    /// symbols do not fit 4 GiB.
    pub fn add_symbol(&mut self, symbol: &str) -> Result<u32> {
        let SymbolsStage::Open { section, count, last } = &mut self.symbols else {
            return Err(Error::invalid(format!("symbol {symbol:?} is added after series")));
        };
        let previous = section.get(*last..).unwrap_or_default();
        if *count > 0 && previous >= symbol.as_bytes() {
            let previous = previous.escape_ascii();
            return Err(Error::invalid(format!("symbol {symbol:?} does not sort after the previous \"{previous}\"")));
        }
        let len = (section.len().saturating_sub(SYMBOLS_LEN_BYTES) as u64)
            .saturating_add(encode::uvarint_len(symbol.len() as u64))
            .saturating_add(symbol.len() as u64);
        check_u32("symbol table", Layout::HEAD_LEN as u64, len)?;
        section.put_uvarint(symbol.len() as u64);
        *last = section.len();
        section.extend_from_slice(symbol.as_bytes());
        let ordinal = *count;
        *count = count.saturating_add(1); // no overflow: the table has at most 2^32 - 1 bytes
        Ok(ordinal)
    }

    /// Adds the next series: its labels, and its chunks in order of time.
    ///
    /// # Errors
    /// `Invalid` if there are no labels, a symbol does not exist, a name or value is empty, label names are not
    /// strictly ascending, the labels do not sort after those of the series before, chunks overlap or are out of
    /// order, or a chunk reference is less than one before, of this series or another; `LimitExceeded` if the index
    /// grows beyond 64 GiB or the series beyond [`MAX_SERIES_ENTRY_LEN`]; `Unavailable` if the sink fails. After an
    /// `Invalid` error nothing has been added.
    pub fn add_series(&mut self, labels: &[LabelRef], chunks: &[ChunkMeta]) -> Result<SeriesRef> {
        self.seal_symbols()?;
        check_labels(self.symbols.sealed()?, &self.last_labels, labels)?;
        let last_chunk = check_chunks(self.last_chunk, chunks)?;

        self.body.clear();
        self.body.put_uvarint(labels.len() as u64);
        for label in labels {
            self.body.put_uvarint(u64::from(label.name));
            self.body.put_uvarint(u64::from(label.value));
        }
        put_chunks(&mut self.body, chunks);
        if self.body.len() > MAX_SERIES_ENTRY_LEN {
            let (found, limit) = (self.body.len() as u64, MAX_SERIES_ENTRY_LEN as u64);
            return Err(Repr::Limit { what: "series entry", offset: self.sink.position(), found, limit }.into());
        }

        self.sink.pad(Version::V2.series_align())?;
        let offset = self.sink.position();
        let series = SeriesRef::at_byte_offset(offset, Version::V2)
            .ok_or_else(|| Error::invalid("series entry is not aligned"))?;
        self.sink.write_uvarint(self.body.len() as u64)?;
        self.sink.write(&self.body)?;
        self.sink.write(&checksum::crc32c(&self.body).to_be_bytes())?;

        self.uses.count(labels);
        self.last_labels.clear();
        self.last_labels.extend_from_slice(labels);
        self.last_chunk = last_chunk;
        self.series = self.series.saturating_add(1);
        Ok(series)
    }

    /// As [`IndexWriter::add_series`], for labels as strings, all of which must be symbols.
    ///
    /// # Errors
    /// As [`IndexWriter::add_series`].
    pub fn add_series_of(&mut self, labels: &Labels, chunks: &[ChunkMeta]) -> Result<SeriesRef> {
        self.seal_symbols()?;
        let symbols = self.symbols.sealed()?;
        let find = |symbol: &str| {
            symbols.find(symbol).ok_or_else(|| Error::invalid(format!("symbol {symbol:?} has not been added")))
        };
        let labels: Vec<_> = labels
            .iter()
            .map(|(name, value)| Ok(LabelRef { name: find(name)?, value: find(value)? }))
            .collect::<Result<_>>()?;
        self.add_series(&labels, chunks)
    }

    /// Writes the postings and the table of contents, flushes, and returns the sink and the length of the index in
    /// bytes.
    ///
    /// # Errors
    /// `LimitExceeded` if the index grows beyond 64 GiB, or the postings table or a list beyond 4 GiB; `Unavailable`
    /// if the sink fails; `Corrupt` if it returns other bytes than were written.
    pub fn finish(mut self) -> Result<(F, u64)> {
        self.seal_symbols()?;
        let Self { mut sink, symbols, mut toc, series: count, uses, postings_bytes, .. } = self;
        let symbols = symbols.sealed()?;
        let series = toc.series..sink.position();
        toc.label_indices = series.end;
        toc.postings = series.end;
        let table = postings::write_lists(&mut sink, symbols, series, count, uses, postings_bytes)?;
        toc.label_indices_table = sink.position();
        toc.postings_table = sink.position();
        table.write(&mut sink, symbols)?;
        sink.write(&toc.encode())?;
        let len = sink.position();
        Ok((sink.into_inner()?, len))
    }

    /// Ends the symbols: writes the header and their table, unless that is done.
    fn seal_symbols(&mut self) -> Result<()> {
        if let SymbolsStage::Open { section, count, .. } = &mut self.symbols {
            let mut section = std::mem::take(section);
            let len = section.len().saturating_sub(SYMBOLS_LEN_BYTES);
            let len = check_u32("symbol table", Layout::HEAD_LEN as u64, len as u64)?;
            if let Some((head, payload)) = section.split_first_chunk_mut::<SYMBOLS_LEN_BYTES>() {
                *head = len.to_be_bytes();
                if let Some(head) = payload.first_chunk_mut() {
                    *head = count.to_be_bytes();
                }
                let crc = checksum::crc32c(payload);
                section.extend_from_slice(&crc.to_be_bytes());
            }
            self.sink.write(&MAGIC.to_be_bytes())?;
            self.sink.write(&[2])?;
            self.toc.symbols = self.sink.position();
            self.sink.write(&section)?;
            self.toc.series = self.sink.position();
            let symbols = Symbols::parse(&section.into(), Version::V2, self.toc.symbols)?;
            self.symbols = SymbolsStage::Sealed(symbols);
        }
        Ok(())
    }
}

impl SymbolsStage {
    fn sealed(&self) -> Result<&Symbols> {
        match self {
            Self::Sealed(symbols) => Ok(symbols),
            Self::Open { .. } => Err(Error::invalid("the symbols have not been written, because of an earlier error")),
        }
    }
}

/// The checks of [`IndexWriter::add_series`] on labels.
fn check_labels(symbols: &Symbols, last: &[LabelRef], labels: &[LabelRef]) -> Result<()> {
    let count = symbols.len();
    let mut lowest = 0;
    for label in labels {
        for ordinal in [label.name, label.value] {
            // Only the first symbol may be the empty one: they are sorted.
            if ordinal == 0 && symbols.get_bytes(0)?.is_empty() {
                return Err(Error::invalid(format!("label with an empty name or value in {}", text(symbols, labels))));
            }
            if ordinal as usize >= count {
                return Err(Repr::NoSuch { what: "symbol", ordinal: u64::from(ordinal), len: count as u64 }.into());
            }
        }
        if label.name < lowest {
            return Err(Error::invalid(format!("label names are not ascending in {}", text(symbols, labels))));
        }
        lowest = label.name.saturating_add(1);
    }
    if labels <= last {
        let (labels, last) = (text(symbols, labels), text(symbols, last));
        return Err(Error::invalid(format!("series {labels} does not sort after the previous one, {last}")));
    }
    Ok(())
}

/// The checks of [`IndexWriter::add_series`] on chunks. Returns the last chunk reference.
fn check_chunks(mut last: u64, chunks: &[ChunkMeta]) -> Result<u64> {
    let mut previous: Option<ChunkMeta> = None;
    for chunk in chunks {
        let ChunkMeta { min_time, max_time, reference } = *chunk;
        if reference < last {
            return Err(Error::invalid(format!("chunk reference {reference} is less than one before, {last}")));
        }
        if max_time < min_time {
            return Err(Error::invalid(format!(
                "chunk {reference} ends at {max_time}, before its start at {min_time}"
            )));
        }
        if let Some(previous) = previous.filter(|previous| min_time <= previous.max_time) {
            let end = previous.max_time;
            return Err(Error::invalid(format!(
                "chunk {reference} starts at {min_time}, not after the end of the one before at {end}"
            )));
        }
        last = reference;
        previous = Some(*chunk);
    }
    Ok(last)
}

/// The part of an entry that says where chunks are; see [`crate::series`] for its grammar.
fn put_chunks(out: &mut Vec<u8>, chunks: &[ChunkMeta]) {
    out.put_uvarint(chunks.len() as u64);
    let mut previous: Option<ChunkMeta> = None;
    for chunk in chunks {
        match previous {
            None => out.put_varint(chunk.min_time),
            Some(previous) => out.put_uvarint(chunk.min_time.wrapping_sub(previous.max_time).cast_unsigned()),
        }
        out.put_uvarint(chunk.max_time.wrapping_sub(chunk.min_time).cast_unsigned());
        match previous {
            None => out.put_uvarint(chunk.reference),
            Some(previous) => out.put_varint(chunk.reference.wrapping_sub(previous.reference).cast_signed()),
        }
        previous = Some(*chunk);
    }
}

/// A length that the format stores in 32 bits.
fn check_u32(what: &'static str, offset: u64, len: u64) -> Result<u32> {
    let limit = u64::from(u32::MAX);
    u32::try_from(len).map_err(|_| Repr::Limit { what, offset, found: len, limit }.into())
}

/// Labels for an error message; symbols that do not exist show as `?`.
fn text(symbols: &Symbols, labels: &[LabelRef]) -> String {
    let symbol = |ordinal| symbols.get(ordinal).unwrap_or("?");
    let labels: Vec<_> = labels.iter().map(|l| format!("{}={:?}", symbol(l.name), symbol(l.value))).collect();
    format!("{{{}}}", labels.join(", "))
}
