//! Header and table of contents: where the sections of an index are.

use std::ops::Range;

use crate::{
    checksum,
    cursor::Cursor,
    error::{Error, Repr, Result},
};

/// First four bytes of an index.
pub(crate) const MAGIC: u32 = 0xBAAA_D700;

/// Version of an index's format.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Version {
    /// Prometheus 2.0: symbols are referred to by file offset, series by file offset; the postings table is unsorted.
    V1,
    /// Since Prometheus 2.1: symbols are referred to by ordinal, series by file offset / 16.
    V2,
    /// Known to Prometheus, never written by it; read as [`Version::V2`].
    V3,
}

impl Version {
    /// Series entries begin at multiples of this many bytes.
    pub(crate) const fn series_align(self) -> u64 {
        match self {
            Self::V1 => 1,
            Self::V2 | Self::V3 => 16,
        }
    }
}

/// Where the sections of an index are: all that has to be read in order to open it.
///
/// Ranges are half open, count from the start of the file, lie inside the file and do not overlap. A range runs to
/// the start of the next section, so zero padding may follow the contents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    version: Version,
    file_len: u64,
    symbols: Range<u64>,
    series: Range<u64>,
    postings: Range<u64>,
    postings_table: Range<u64>,
}

impl Layout {
    /// How many bytes of the start of the file [`Layout::parse`] takes.
    pub const HEAD_LEN: usize = 5;
    /// How many bytes of the end of the file [`Layout::parse`] takes.
    pub const TAIL_LEN: usize = 52;

    /// Reads the header and the table of contents of an index of `file_len` bytes. `head` begins with its first
    /// [`Layout::HEAD_LEN`] bytes, `tail` ends with its last [`Layout::TAIL_LEN`] bytes; both may be longer.
    ///
    /// ```
    /// # use prometheus_tsdb_index::{Error, Layout, Symbols};
    /// fn symbols(index: &bytes::Bytes) -> Result<Symbols, Error> {
    ///     let head = index.slice(..Layout::HEAD_LEN); // the first request
    ///     let tail = index.slice(index.len() - Layout::TAIL_LEN..); // the second
    ///     let layout = Layout::parse(&head, &tail, index.len() as u64)?;
    ///     let range = layout.symbols();
    ///     let section = index.slice(range.start as usize..range.end as usize); // the third
    ///     Symbols::parse(&section, layout.version(), range.start)
    /// }
    /// ```
    ///
    /// # Errors
    /// `Corrupt` if the file is too short or no index, the checksum of the table is wrong, or sections are missing,
    /// out of order or outside the file; `Unsupported` if the version is not known.
    pub fn parse(head: &[u8], tail: &[u8], file_len: u64) -> Result<Self> {
        let (Some(head), Some(tail)) =
            (head.first_chunk::<{ Self::HEAD_LEN }>(), tail.last_chunk::<{ Self::TAIL_LEN }>())
        else {
            let found = format!("{} and {}", head.len(), tail.len());
            return Err(Error::corrupt("header and table of contents", 0, "5 and 52 bytes", found));
        };
        let Some(toc_offset) = file_len.checked_sub(Self::TAIL_LEN as u64).filter(|&at| at >= Self::HEAD_LEN as u64)
        else {
            return Err(Error::corrupt("index", 0, "at least 57 bytes", file_len.to_string()));
        };
        let [m0, m1, m2, m3, version] = *head;
        let magic = u32::from_be_bytes([m0, m1, m2, m3]);
        if magic != MAGIC {
            return Err(Error::corrupt("magic number", 0, format!("{MAGIC:08x}"), format!("{magic:08x}")));
        }
        let version = match version {
            1 => Version::V1,
            2 => Version::V2,
            3 => Version::V3,
            version => return Err(Repr::UnknownVersion { version }.into()),
        };
        let toc = Toc::parse(tail, toc_offset)?;
        toc.check_order(toc_offset)?;
        let nonzero = |offset: u64, otherwise: u64| if offset == 0 { otherwise } else { offset };
        Ok(Self {
            version,
            file_len,
            symbols: toc.symbols..toc.series,
            series: toc.series..nonzero(toc.label_indices, toc.postings),
            postings: toc.postings..nonzero(toc.label_indices_table, toc.postings_table),
            postings_table: toc.postings_table..toc_offset,
        })
    }

    /// The same layout, taken to be of another version than its header says.
    ///
    /// Prometheus 2.1 wrote blocks whose index is of version 2 but says 1; their `meta.json` says version 2. Such an
    /// index must be read as [`Version::V2`].
    #[must_use]
    pub fn with_version(self, version: Version) -> Self {
        Self { version, ..self }
    }

    /// Version of the format.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Length of the file in bytes.
    #[must_use]
    pub fn file_len(&self) -> u64 {
        self.file_len
    }

    /// Bytes of the symbol table, for [`crate::Symbols::parse`].
    #[must_use]
    pub fn symbols(&self) -> Range<u64> {
        self.symbols.clone()
    }

    /// Bytes of the series entries, for [`crate::SeriesScanner`].
    #[must_use]
    pub fn series(&self) -> Range<u64> {
        self.series.clone()
    }

    /// Bytes of all postings lists.
    #[must_use]
    pub fn postings(&self) -> Range<u64> {
        self.postings.clone()
    }

    /// Bytes of the postings offset table, for [`crate::PostingsTable::parse`].
    #[must_use]
    pub fn postings_table(&self) -> Range<u64> {
        self.postings_table.clone()
    }
}

/// The table of contents: offsets of the sections; 0 for a section that is not there.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Toc {
    pub(crate) symbols: u64,
    pub(crate) series: u64,
    pub(crate) label_indices: u64,
    pub(crate) label_indices_table: u64,
    pub(crate) postings: u64,
    pub(crate) postings_table: u64,
}

impl Toc {
    fn parse(bytes: &[u8; Layout::TAIL_LEN], offset: u64) -> Result<Self> {
        const WHAT: &str = "table of contents";
        let Some((body, crc)) = bytes.split_last_chunk() else {
            return Err(Error::corrupt(WHAT, offset, "52 bytes", "fewer"));
        };
        checksum::verify(WHAT, body, *crc, offset)?;
        let mut c = Cursor::new(body, offset);
        Ok(Self {
            symbols: c.u64(WHAT)?,
            series: c.u64(WHAT)?,
            label_indices: c.u64(WHAT)?,
            label_indices_table: c.u64(WHAT)?,
            postings: c.u64(WHAT)?,
            postings_table: c.u64(WHAT)?,
        })
    }

    /// The table's bytes, with their checksum.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Layout::TAIL_LEN);
        for offset in [
            self.symbols,
            self.series,
            self.label_indices,
            self.label_indices_table,
            self.postings,
            self.postings_table,
        ] {
            out.extend_from_slice(&offset.to_be_bytes());
        }
        let crc = checksum::crc32c(&out);
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }

    /// Checks that the sections follow each other between the header and the table itself at `toc_offset`.
    fn check_order(&self, toc_offset: u64) -> Result<()> {
        let mut lowest = Layout::HEAD_LEN as u64;
        for (what, offset, retired) in [
            ("offset of the symbol table", self.symbols, false),
            ("offset of the series", self.series, false),
            ("offset of the label indices", self.label_indices, true),
            ("offset of the postings", self.postings, false),
            ("offset of the label offset table", self.label_indices_table, true),
            ("offset of the postings offset table", self.postings_table, false),
        ] {
            if retired && offset == 0 {
                continue;
            }
            if offset < lowest || offset > toc_offset {
                let expected = format!("a value in [{lowest}, {toc_offset}]");
                return Err(Error::corrupt(what, toc_offset, expected, offset.to_string()));
            }
            lowest = offset;
        }
        Ok(())
    }
}
