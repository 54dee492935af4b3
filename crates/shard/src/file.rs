//! One of the two files of a shard: its metadata, checked.

use std::ops::Range;

use parquet::{
    basic::{CompressionCodec, Type},
    file::{metadata::ParquetMetaData, page_index::offset_index::PageLocation},
};
use promparquet_schema::{Column, DataColumns, Layout};

use crate::{
    column::ColumnChunk,
    dictionaries::Dictionaries,
    error::{Detail, Error, Place, Result},
    page::is_supported,
    shard::OpenOptions,
};

/// First bytes of a file, which no page covers.
const MAGIC_BYTES: u64 = 4;

/// A data page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// Where it lies in the file, its header included.
    pub bytes: Range<u64>,
    /// Its rows, counted from the start of the row group.
    pub rows: Range<u32>,
}

/// A file of a shard, opened: where its columns and pages lie.
#[derive(Debug)]
pub struct ShardFile {
    /// Bucket and key, for messages.
    object: String,
    key: String,
    size: u64,
    layout: Layout,
    metadata: ParquetMetaData,
    columns: Vec<Column>,
    dictionaries: Dictionaries,
    /// Rows of each row group.
    rows: Vec<u32>,
}

impl ShardFile {
    /// Checks the metadata of the file `key` of `size` bytes.
    pub(crate) fn new(
        object: String,
        key: String,
        size: u64,
        metadata: ParquetMetaData,
        options: &OpenOptions,
    ) -> Result<Self> {
        let dictionaries = Dictionaries::new(options.dictionary_bytes);
        let layout = options.layout;
        let mut file =
            Self { object, key, size, layout, metadata, columns: Vec::new(), dictionaries, rows: Vec::new() };
        file.columns = file.check_columns()?;
        file.rows = file.check_row_groups(options.limits.row_group_rows)?;
        for row_group in 0..file.rows.len() {
            for column in 0..file.columns.len() {
                file.check_chunk(row_group, column)?;
            }
        }
        Ok(file)
    }

    fn check_columns(&self) -> Result<Vec<Column>> {
        let schema = self.metadata.file_metadata().schema_descr();
        let mut columns = Vec::with_capacity(schema.num_columns());
        let mut previous: Option<&str> = None;
        for descriptor in schema.columns() {
            let name = descriptor.name();
            let place = || Place { column: Some(name.to_owned()), ..self.place() };
            let Some(column) = self.layout.column(name) else {
                return Err(Error::corrupt(place(), "a column of a shard", format!("{name:?}")));
            };
            if let Some(previous) = previous.filter(|previous| name <= *previous) {
                return Err(Error::corrupt(place(), format!("a name after {previous:?}"), format!("{name:?}")));
            }
            // The shape of the schema is checked already: flat, byte arrays or 64-bit integers, not repeated.
            let wanted = if self.layout.is_integer(&column) { Type::INT64 } else { Type::BYTE_ARRAY };
            if descriptor.physical_type() != wanted {
                return Err(Error::corrupt(place(), wanted.to_string(), descriptor.physical_type().to_string()));
            }
            let optional = descriptor.max_def_level() > 0;
            if optional != column.is_optional() {
                let word = |optional| if optional { "an optional column" } else { "a required column" };
                return Err(Error::corrupt(place(), word(column.is_optional()), word(optional)));
            }
            previous = Some(name);
            columns.push(column);
        }
        Ok(columns)
    }

    fn check_row_groups(&self, most_rows: u32) -> Result<Vec<u32>> {
        let mut rows = Vec::with_capacity(self.metadata.num_row_groups());
        let mut total = 0_i64;
        for (row_group, group) in self.metadata.row_groups().iter().enumerate() {
            let found = group.num_rows();
            let Some(count) = u32::try_from(found).ok().filter(|n| *n < u32::MAX) else {
                let place = Place { row_group: Some(row_group), ..self.place() };
                return Err(Error::corrupt(place, "fewer than 2^32 - 1 rows", found.to_string()));
            };
            if count > most_rows {
                let place = Place { row_group: Some(row_group), ..self.place() };
                return Err(Detail::TooManyRows { place, rows: count, limit: most_rows }.into());
            }
            rows.push(count);
            total = total.saturating_add(found);
        }
        let found = self.metadata.file_metadata().num_rows();
        if found != total {
            return Err(Error::corrupt(
                self.place(),
                format!("{total} rows, the sum of its row groups"),
                found.to_string(),
            ));
        }
        Ok(rows)
    }

    fn check_chunk(&self, row_group: usize, column: usize) -> Result<()> {
        let chunk = self.metadata.row_group(row_group).column(column);
        let place = || self.place_of(column, Some(row_group));
        let rows = self.rows_of(row_group);
        if chunk.num_values() != i64::from(rows) {
            return Err(Error::corrupt(place(), format!("{rows} values"), chunk.num_values().to_string()));
        }
        if chunk.file_path().is_some() {
            return Err(Detail::Unsupported { place: place(), what: "data in another file".into() }.into());
        }
        let codec = chunk.compression_codec();
        if !is_supported(codec) {
            return Err(Detail::Unsupported { place: place(), what: format!("compression {codec:?}") }.into());
        }
        let Some(locations) = self.locations(row_group, column) else {
            return Err(Error::corrupt(place(), "an offset index", "none"));
        };
        let index = self.metadata.page_index().and_then(|index| index.column_index(row_group, column));
        if let Some(pages) = index.map(|index| index.num_pages())
            && pages != locations.len() as u64
        {
            let expected = format!("a column index of {} pages, as the offset index has", locations.len());
            return Err(Error::corrupt(place(), expected, pages.to_string()));
        }
        if locations.is_empty() != (rows == 0) {
            return Err(Error::corrupt(
                place(),
                format!("pages for {rows} rows"),
                format!("{} pages", locations.len()),
            ));
        }
        let (mut end, mut row) = (MAGIC_BYTES, None);
        for location in locations {
            let PageLocation { offset, compressed_page_size, first_row_index } = *location;
            let found = || format!("{compressed_page_size} bytes at {offset}, from row {first_row_index} on");
            let range = u64::try_from(offset).ok().zip(u64::try_from(compressed_page_size).ok());
            let range = range.and_then(|(start, length)| Some(start..start.checked_add(length)?));
            let Some(range) = range.filter(|r| r.start >= end && r.start < r.end && r.end <= self.size) else {
                return Err(Error::corrupt(place(), format!("a page within [{end}, {})", self.size), found()));
            };
            let first = u32::try_from(first_row_index).ok().filter(|first| match row {
                None => *first == 0,
                Some(previous) => *first > previous && *first < rows,
            });
            let Some(first) = first else {
                let after = row.map_or("from row 0 on".to_owned(), |row| format!("from a row in ({row}, {rows}) on"));
                return Err(Error::corrupt(place(), format!("a page {after}"), found()));
            };
            (end, row) = (range.end, Some(first));
        }
        Ok(())
    }

    /// Key in the bucket.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Size in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The footer, with page indexes. Bounds of columns without [`Column::has_bounds`] mean nothing.
    #[must_use]
    pub const fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }

    /// The columns, in the order of the file, which is that of their names.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Position of a column in the file, if it is there.
    #[must_use]
    pub fn position(&self, column: &Column) -> Option<usize> {
        let name = self.layout.name_of(column);
        self.columns.binary_search_by(|c| self.layout.name_of(c).cmp(&name)).ok()
    }

    /// How many row groups it has.
    #[must_use]
    pub fn row_groups(&self) -> usize {
        self.rows.len()
    }

    /// Rows of a row group; 0 if there is no such group.
    #[must_use]
    pub fn rows_of(&self, row_group: usize) -> u32 {
        self.rows.get(row_group).copied().unwrap_or(0)
    }

    pub(crate) const fn dictionaries(&self) -> &Dictionaries {
        &self.dictionaries
    }

    /// Where the last data page ends.
    #[must_use]
    pub fn pages_end(&self) -> u64 {
        let columns =
            (0..self.row_groups()).flat_map(|group| (0..self.columns.len()).map(move |column| (group, column)));
        columns.filter_map(|(group, column)| Some(self.pages(group, column).last()?.bytes.end)).max().unwrap_or(0)
    }

    /// A column in a row group; without pages, if there is no such one.
    #[must_use]
    pub const fn column_chunk(&self, row_group: usize, column: usize) -> ColumnChunk<'_> {
        ColumnChunk::new(self, row_group, column)
    }

    /// Data pages of a column in a row group, in order.
    pub fn pages(&self, row_group: usize, column: usize) -> impl ExactSizeIterator<Item = Page> + '_ {
        let locations = self.locations(row_group, column).unwrap_or_default();
        (0..locations.len()).map(move |n| self.page_of(locations, row_group, n))
    }

    /// The `n`-th data page of a column in a row group, if there is one.
    #[must_use]
    pub fn page(&self, row_group: usize, column: usize, n: usize) -> Option<Page> {
        let locations = self.locations(row_group, column).filter(|locations| n < locations.len())?;
        Some(self.page_of(locations, row_group, n))
    }

    /// Where the dictionary of a column in a row group lies, if it has one: it ends at its own header's word, and in any
    /// case before the range does.
    #[must_use]
    pub fn dictionary(&self, row_group: usize, column: usize) -> Option<Range<u64>> {
        let first = self.page(row_group, column, 0)?;
        let chunk = self.metadata.row_groups().get(row_group)?.columns().get(column)?;
        // parquet-go writes 0 for none; some writers leave the offset out and let the chunk begin before its pages.
        let start = chunk.dictionary_page_offset().filter(|offset| *offset > 0).unwrap_or(chunk.data_page_offset());
        let start = u64::try_from(start).ok().filter(|start| *start >= MAGIC_BYTES)?;
        (start < first.bytes.start).then_some(start..first.bytes.start)
    }

    /// How a column's pages are compressed in a row group.
    pub(crate) fn codec(&self, row_group: usize, column: usize) -> CompressionCodec {
        let chunk = self.metadata.row_groups().get(row_group).and_then(|group| group.columns().get(column));
        chunk.map_or(CompressionCodec::UNCOMPRESSED, |chunk| chunk.compression_codec())
    }

    /// Bytes of a column in all row groups, as its writer says: as they are in the file, and without compression.
    #[must_use]
    pub fn column_bytes(&self, column: usize) -> (u64, u64) {
        let chunks = self.metadata.row_groups().iter().filter_map(|group| group.columns().get(column));
        chunks.fold((0, 0), |(compressed, uncompressed), chunk| {
            let add = |sum: u64, n: i64| sum.saturating_add(u64::try_from(n).unwrap_or(0));
            (add(compressed, chunk.compressed_size()), add(uncompressed, chunk.uncompressed_size()))
        })
    }

    /// What the key/value metadata say of data columns; `None` if they do not mention them at all.
    pub(crate) fn data_columns(&self) -> Result<Option<DataColumns>> {
        let pairs = self.metadata.file_metadata().key_value_metadata().map_or(&[][..], Vec::as_slice);
        let pairs = pairs.iter().filter_map(|pair| Some((pair.key.as_str(), pair.value.as_deref()?)));
        let place = self.place();
        match DataColumns::from_metadata(pairs.clone()) {
            Ok(columns) => Ok(Some(columns)),
            Err(_) if !pairs.clone().any(|(key, _)| DataColumns::is_key(key)) => Ok(None),
            Err(source) => Err(Detail::Layout { place, source }.into()),
        }
    }

    fn locations(&self, row_group: usize, column: usize) -> Option<&[PageLocation]> {
        let index = self.metadata.page_index()?.offset_index(row_group, column)?;
        Some(index.page_locations().as_slice())
    }

    /// Locations were checked when the file was opened, so that the fallbacks here are never used.
    fn page_of(&self, locations: &[PageLocation], row_group: usize, n: usize) -> Page {
        let first_row = |n: usize| locations.get(n).and_then(|l| u32::try_from(l.first_row_index).ok());
        let location = locations.get(n);
        let start = location.and_then(|l| u64::try_from(l.offset).ok()).unwrap_or(0);
        let length = location.and_then(|l| u64::try_from(l.compressed_page_size).ok()).unwrap_or(0);
        let end_row = first_row(n.saturating_add(1)).unwrap_or_else(|| self.rows_of(row_group));
        Page { bytes: start..start.saturating_add(length), rows: first_row(n).unwrap_or(0)..end_row }
    }

    pub(crate) fn place(&self) -> Place {
        Place { object: self.object.clone(), ..Place::default() }
    }

    pub(crate) fn place_of(&self, column: usize, row_group: Option<usize>) -> Place {
        Place { column: self.columns.get(column).map(|c| self.layout.name_of(c)), row_group, ..self.place() }
    }
}
