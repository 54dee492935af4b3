//! Finished pages: header and body, independent of their place in the file.

use parquet::basic::Encoding;

use super::{
    Compressor, delta,
    page_header::{self, Kind},
    rle::RleWriter,
};
use crate::error::{Error, PageTooLargeSnafu};

/// A page as it will stand in the file.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) header: Vec<u8>,
    /// Levels and values, these compressed if it is worthwhile.
    pub(crate) body: Vec<u8>,
    /// What [`Page::len`] would be without compression.
    pub(crate) uncompressed_len: usize,
    /// Values, nulls included; for a dictionary page its entries.
    pub(crate) values: u32,
    /// How many of them are null.
    pub(crate) nulls: u32,
    /// Least and greatest value, where the column has bounds and the page a value.
    pub(crate) bounds: Option<PageBounds>,
}

impl Page {
    /// Bytes in the file.
    pub(crate) fn len(&self) -> usize {
        self.header.len() + self.body.len()
    }
}

/// Bounds of a page's values; may be wider than the values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PageBounds {
    pub(crate) min: String,
    pub(crate) max: String,
}

/// The page of dictionary entries, `PLAIN`: `u32le` length and bytes each. `entries` gives them each time it is called.
pub(crate) fn dictionary_page<'a, I, E>(entries: impl Fn() -> I, compressor: &mut Compressor) -> Result<Page, Error>
where
    I: ExactSizeIterator<Item = Result<&'a str, E>>,
    Error: From<E>,
{
    let values = entries().len() as u32; // ids of entries are u32
    let mut length = 0;
    for entry in entries() {
        length += size_of::<u32>() + entry?.len();
    }
    let mut body = Vec::with_capacity(length);
    for entry in entries() {
        let entry = entry?;
        body.extend((entry.len() as u32).to_le_bytes());
        body.extend(entry.as_bytes());
    }
    let compressed = compressor.compress(&body)?;
    let parts = Parts { levels: &[], raw_len: body.len(), body: compressed };
    finish(parts, values, 0, None, |_| Kind::Dictionary { values: values.cast_signed() })
}

/// A page of an optional, dictionary-encoded column.
///
/// `present` are the rows of the page that have a value, ascending and below `rows`; `indexes` their dictionary indexes.
pub(crate) fn label_page(
    rows: u32,
    present: &[u32],
    indexes: &[u32],
    bounds: Option<PageBounds>,
    compressor: &mut Compressor,
) -> Result<Page, Error> {
    let mut levels = Vec::new();
    let mut writer = RleWriter::new(1, &mut levels);
    let mut next = 0;
    for &row in present {
        writer.put_run(0, (row - next) as usize);
        writer.put(1);
        next = row + 1;
    }
    writer.put_run(0, (rows - next) as usize);
    writer.finish();

    let width = 32 - indexes.iter().copied().max().unwrap_or(0).leading_zeros();
    let mut body = vec![width as u8];
    let mut writer = RleWriter::new(width, &mut body);
    indexes.iter().for_each(|index| writer.put(*index));
    writer.finish();

    let nulls = rows - present.len() as u32;
    data_page(Encoding::RLE_DICTIONARY, rows, nulls, &levels, body, bounds, compressor)
}

/// A page of a required column, `DELTA_LENGTH_BYTE_ARRAY`: `data` holds values of these `lengths` one after another.
pub(crate) fn value_page(lengths: &[u32], data: &[u8], compressor: &mut Compressor) -> Result<Page, Error> {
    let mut body = Vec::with_capacity(data.len() + 2 * lengths.len() + 32);
    delta::put_lengths(lengths, &mut body);
    body.extend(data);
    data_page(Encoding::DELTA_LENGTH_BYTE_ARRAY, lengths.len() as u32, 0, &[], body, None, compressor)
}

/// Likewise `DELTA_BYTE_ARRAY`: each value as the length of the prefix that it shares with the one before, and the rest.
pub(crate) fn prefix_page(lengths: &[u32], data: &[u8], compressor: &mut Compressor) -> Result<Page, Error> {
    let mut prefix_lengths = Vec::with_capacity(lengths.len());
    let mut suffix_lengths = Vec::with_capacity(lengths.len());
    let mut suffixes: Vec<u8> = Vec::with_capacity(data.len());
    let (mut rest, mut previous): (&[u8], &[u8]) = (data, &[]);
    for &length in lengths {
        let (value, after) = rest.split_at(length as usize);
        let shared = previous.iter().zip(value).take_while(|(a, b)| a == b).count();
        prefix_lengths.push(shared as u32);
        suffix_lengths.push(length - shared as u32);
        suffixes.extend(&value[shared..]);
        (rest, previous) = (after, value);
    }
    let mut body = Vec::with_capacity(suffixes.len() + 4 * lengths.len() + 64);
    delta::put_lengths(&prefix_lengths, &mut body);
    delta::put_lengths(&suffix_lengths, &mut body);
    body.extend(suffixes);
    data_page(Encoding::DELTA_BYTE_ARRAY, lengths.len() as u32, 0, &[], body, None, compressor)
}

/// A data page, whose values stay as they are where compression is not worth its while: the header says so.
fn data_page(
    encoding: Encoding,
    rows: u32,
    nulls: u32,
    levels: &[u8],
    body: Vec<u8>,
    bounds: Option<PageBounds>,
    compressor: &mut Compressor,
) -> Result<Page, Error> {
    let raw_len = body.len();
    let (body, compressed) = match compressor.compress_if_worthwhile(&body)? {
        Some(compressed) => (compressed, true),
        None => (body, false),
    };
    finish(Parts { levels, raw_len, body }, rows, nulls, bounds, |definition_levels_len| Kind::Data {
        values: rows.cast_signed(),
        nulls: nulls.cast_signed(),
        encoding,
        definition_levels_len,
        compressed,
    })
}

/// What follows a header.
struct Parts<'a> {
    /// Never compressed.
    levels: &'a [u8],
    /// As it stands in the file.
    body: Vec<u8>,
    /// Length of the body without compression.
    raw_len: usize,
}

fn finish(
    Parts { levels, body: mut stored, raw_len }: Parts<'_>,
    values: u32,
    nulls: u32,
    bounds: Option<PageBounds>,
    kind: impl FnOnce(i32) -> Kind,
) -> Result<Page, Error> {
    let too_large = |bytes: usize| Error::from(PageTooLargeSnafu { bytes }.build());
    let raw_len = levels.len() + raw_len;
    let uncompressed_len = i32::try_from(raw_len).map_err(|_| too_large(raw_len))?;
    if !levels.is_empty() {
        stored.splice(..0, levels.iter().copied());
    }
    stored.shrink_to_fit();
    let compressed_len = i32::try_from(stored.len()).map_err(|_| too_large(stored.len()))?;
    let mut header = Vec::new();
    page_header::put(
        kind(levels.len() as i32),
        uncompressed_len,
        compressed_len,
        crc32fast::hash(&stored),
        &mut header,
    );
    Ok(Page { uncompressed_len: header.len() + raw_len, header, body: stored, values, nulls, bounds })
}
