//! Pages as they stand in a file: header, checksum, compression.
//!
//! ```text
//! page    := header: PageHeader (Thrift)  levels  values
//! ```
//!
//! In data pages of version 2 the levels are not compressed; in those of version 1 they are, with the values, and are
//! preceded by their length. The checksum is the CRC-32 of all after the header, as it stands in the file.
//!
//! Why not the parquet crate's `SerializedPageReader`: it reserves whatever a header asks for, and its decoders make
//! copies and may panic on hostile pages.

use bytes::Bytes;
use parquet::basic::{CompressionCodec, Encoding, PageType};

use crate::{
    delta,
    error::Fault,
    labels::LabelPage,
    thrift::{Field, Reader, Result as ThriftResult, STRUCT, ThriftError},
    values::{Dictionary, ValuePage},
};

const DATA_PAGE: i32 = PageType::DATA_PAGE as i32;
const DICTIONARY_PAGE: i32 = PageType::DICTIONARY_PAGE as i32;
const DATA_PAGE_V2: i32 = PageType::DATA_PAGE_V2 as i32;

const PLAIN: i32 = Encoding::PLAIN as i32;
const PLAIN_DICTIONARY: i32 = Encoding::PLAIN_DICTIONARY as i32;
const RLE: i32 = Encoding::RLE as i32;
const DELTA_LENGTH_BYTE_ARRAY: i32 = Encoding::DELTA_LENGTH_BYTE_ARRAY as i32;
const DELTA_BYTE_ARRAY: i32 = Encoding::DELTA_BYTE_ARRAY as i32;
const RLE_DICTIONARY: i32 = Encoding::RLE_DICTIONARY as i32;

#[derive(Clone, Copy, Debug, Default)]
struct Header {
    kind: Option<i32>,
    uncompressed: Option<i32>,
    compressed: Option<i32>,
    crc: Option<u32>,
    values: Option<i32>,
    encoding: Option<i32>,
    definition_encoding: Option<i32>,
    definition_bytes: i32,
    repetition_bytes: i32,
    is_compressed: bool,
}

impl Header {
    /// `PageHeader`: 1 type, 2 uncompressed size, 3 compressed size, 4 crc, 5 data page, 7 dictionary page, 8 data page
    /// version 2.
    fn read(reader: &mut Reader<'_>) -> ThriftResult<Self> {
        let mut header = Self { is_compressed: true, ..Self::default() };
        let mut previous = 0;
        while let Some(field) = reader.field(previous)? {
            previous = field.id;
            match field.id {
                1 => header.kind = Some(reader.i32()?),
                2 => header.uncompressed = Some(reader.i32()?),
                3 => header.compressed = Some(reader.i32()?),
                4 => header.crc = Some(reader.i32()?.cast_unsigned()),
                5 | 7 | 8 => header.read_inner(reader, field)?,
                _ => reader.skip(field.kind)?,
            }
        }
        Ok(header)
    }

    /// `DataPageHeader`: 1 values, 2 encoding, 3 encoding of definition levels. `DictionaryPageHeader`: 1 values,
    /// 2 encoding. `DataPageHeaderV2`: 1 values, 2 nulls, 3 rows, 4 encoding, 5 and 6 bytes of definition and repetition
    /// levels, 7 whether compressed.
    fn read_inner(&mut self, reader: &mut Reader<'_>, outer: Field) -> ThriftResult<()> {
        if outer.kind != STRUCT {
            return reader.error("a struct");
        }
        let mut previous = 0;
        while let Some(field) = reader.field(previous)? {
            previous = field.id;
            match (outer.id, field.id) {
                (_, 1) => self.values = Some(reader.i32()?),
                (5 | 7, 2) | (8, 4) => self.encoding = Some(reader.i32()?),
                (5, 3) => self.definition_encoding = Some(reader.i32()?),
                (8, 5) => self.definition_bytes = reader.i32()?,
                (8, 6) => self.repetition_bytes = reader.i32()?,
                (8, 7) => self.is_compressed = reader.bool(field)?,
                _ => reader.skip(field.kind)?,
            }
        }
        Ok(())
    }
}

impl From<ThriftError> for Fault {
    fn from(error: ThriftError) -> Self {
        Self::corrupt(format!("{} at byte {} of a header", error.expected, error.at), "other bytes")
    }
}

/// A page without header and compression.
struct Content {
    header: Header,
    levels: Bytes,
    values: Bytes,
}

/// Decodes pages; keeps what decompression needs from one to the next.
#[derive(Default)]
pub struct PageDecoder {
    zstd: Option<zstd::bulk::Decompressor<'static>>,
    snappy: snap::raw::Decoder,
    limit: u64,
}

impl std::fmt::Debug for PageDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PageDecoder").field("limit", &self.limit).finish_non_exhaustive()
    }
}

fn size(what: &'static str, n: Option<i32>) -> Result<usize, Fault> {
    let found = n.map_or_else(|| "none".to_owned(), |n| n.to_string());
    n.and_then(|n| usize::try_from(n).ok()).ok_or_else(|| Fault::corrupt(what, found))
}

impl PageDecoder {
    /// No page may take more than `limit` bytes of memory.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit, ..Self::default() }
    }

    /// The dictionary that `bytes` begin with.
    pub(crate) fn dictionary(&mut self, bytes: &Bytes, codec: CompressionCodec) -> Result<Dictionary, Fault> {
        let content = self.content(bytes, codec, DICTIONARY_PAGE, false)?;
        match content.header.encoding {
            Some(PLAIN | PLAIN_DICTIONARY) => {}
            other => return Err(Fault::Unsupported(format!("encoding {other:?} of a dictionary"))),
        }
        let entries = size("a number of entries", content.header.values)?;
        Dictionary::plain(&content.values, u32::try_from(entries).unwrap_or(u32::MAX))
    }

    /// The page of a label column that `bytes` are, with `rows` rows.
    pub(crate) fn labels(&mut self, bytes: &Bytes, codec: CompressionCodec, rows: u32) -> Result<LabelPage, Fault> {
        let Content { header, mut levels, mut values } = self.data(bytes, codec, rows)?;
        if header.kind == Some(DATA_PAGE) {
            if header.definition_encoding != Some(RLE) {
                let found = format!("encoding {:?} of definition levels", header.definition_encoding);
                return Err(Fault::Unsupported(found));
            }
            let length = values.first_chunk().map(|length| u32::from_le_bytes(*length) as usize);
            let end = length.and_then(|length| length.checked_add(4)).filter(|end| *end <= values.len());
            let end = end.ok_or_else(|| Fault::corrupt("definition levels within the page", format!("{length:?}")))?;
            levels = values.slice(4..end);
            values = values.slice(end..);
        }
        match header.encoding {
            Some(RLE_DICTIONARY | PLAIN_DICTIONARY) => LabelPage::new(levels, &values, rows),
            other => Err(Fault::Unsupported(format!("encoding {other:?} of a label column"))),
        }
    }

    /// The page of a required column that `bytes` are, with `rows` values.
    pub(crate) fn values(&mut self, bytes: &Bytes, codec: CompressionCodec, rows: u32) -> Result<ValuePage, Fault> {
        let ends = u64::from(rows).saturating_mul(8);
        if ends > self.limit {
            return Err(Fault::TooLarge { what: "a page of values", needed: ends, limit: self.limit });
        }
        let Content { header, levels, values } = self.data(bytes, codec, rows)?;
        if !levels.is_empty() {
            return Err(Fault::corrupt("no levels in a required column", format!("{} bytes", levels.len())));
        }
        match header.encoding {
            Some(DELTA_LENGTH_BYTE_ARRAY) => delta::delta_length_byte_array(&values, rows),
            Some(DELTA_BYTE_ARRAY) => delta::delta_byte_array(&values, rows, self.limit),
            Some(PLAIN) => ValuePage::plain(&values, rows),
            other => Err(Fault::Unsupported(format!("encoding {other:?} of a required column"))),
        }
    }

    fn data(&mut self, bytes: &Bytes, codec: CompressionCodec, rows: u32) -> Result<Content, Fault> {
        let content = self.content(bytes, codec, DATA_PAGE_V2, true)?;
        let found = size("a number of values", content.header.values)?;
        if found != rows as usize {
            return Err(Fault::corrupt(format!("a page of {rows} rows, as the offset index says"), found.to_string()));
        }
        Ok(content)
    }

    /// `whole`: nothing may follow the page.
    fn content(&mut self, bytes: &Bytes, codec: CompressionCodec, kind: i32, whole: bool) -> Result<Content, Fault> {
        let mut reader = Reader::new(bytes);
        let header = Header::read(&mut reader)?;
        let is_kind = header.kind == Some(kind) || kind == DATA_PAGE_V2 && header.kind == Some(DATA_PAGE);
        if !is_kind {
            let expected = if kind == DICTIONARY_PAGE { "a dictionary page" } else { "a data page" };
            return Err(Fault::corrupt(expected, format!("a page of type {:?}", header.kind)));
        }
        let body = bytes.slice(reader.position().min(bytes.len())..);
        let length = size("a compressed size", header.compressed)?;
        if length > body.len() || whole && length != body.len() {
            return Err(Fault::corrupt(format!("a page of {} bytes", body.len()), length.to_string()));
        }
        let body = body.slice(..length);
        if let Some(expected) = header.crc {
            let found = crc32fast::hash(&body);
            if found != expected {
                return Err(Fault::corrupt(format!("the checksum {expected:08x}"), format!("{found:08x}")));
            }
        }
        let uncompressed = size("an uncompressed size", header.uncompressed)?;
        if uncompressed as u64 > self.limit {
            return Err(Fault::TooLarge { what: "a page", needed: uncompressed as u64, limit: self.limit });
        }
        let definition = size("a length of definition levels", Some(header.definition_bytes))?;
        let repetition = size("a length of repetition levels", Some(header.repetition_bytes))?;
        let before_values = repetition.saturating_add(definition);
        if before_values > body.len() || before_values > uncompressed {
            return Err(Fault::corrupt(format!("levels within {} bytes", body.len()), before_values.to_string()));
        }
        if repetition != 0 {
            return Err(Fault::corrupt("no repetition levels", format!("{repetition} bytes of them")));
        }
        let levels = body.slice(..before_values);
        let values = body.slice(before_values..);
        let codec = if header.is_compressed { codec } else { CompressionCodec::UNCOMPRESSED };
        let values = self.decompress(values, codec, uncompressed.saturating_sub(before_values))?;
        Ok(Content { header, levels, values })
    }

    fn decompress(&mut self, body: Bytes, codec: CompressionCodec, length: usize) -> Result<Bytes, Fault> {
        let wrong = |found: String| Fault::corrupt(format!("{codec:?} data of {length} bytes"), found);
        let found = match codec {
            CompressionCodec::UNCOMPRESSED => body,
            _ if length == 0 => Bytes::new(),
            CompressionCodec::SNAPPY => {
                match snap::raw::decompress_len(&body) {
                    Ok(found) if found == length => {}
                    Ok(found) => return Err(wrong(found.to_string())),
                    Err(e) => return Err(wrong(e.to_string())),
                }
                self.snappy.decompress_vec(&body).map_err(|e| wrong(e.to_string()))?.into()
            }
            CompressionCodec::ZSTD => {
                let decompressor = match &mut self.zstd {
                    Some(decompressor) => decompressor,
                    none => none.insert(zstd::bulk::Decompressor::new().map_err(|e| wrong(e.to_string()))?),
                };
                decompressor.decompress(&body, length).map_err(|e| wrong(e.to_string()))?.into()
            }
            other => return Err(Fault::Unsupported(format!("compression {other:?}"))),
        };
        if found.len() == length { Ok(found) } else { Err(wrong(found.len().to_string())) }
    }
}

/// Whether pages with this compression can be read.
pub(crate) const fn is_supported(codec: CompressionCodec) -> bool {
    matches!(codec, CompressionCodec::UNCOMPRESSED | CompressionCodec::SNAPPY | CompressionCodec::ZSTD)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_end(bytes: Vec<u8>, rows in 0_u32..1000, codec in 0_usize..3) {
            let codec = [CompressionCodec::UNCOMPRESSED, CompressionCodec::SNAPPY, CompressionCodec::ZSTD][codec];
            let bytes = Bytes::from(bytes);
            let mut decoder = PageDecoder::new(1 << 20);
            let _ = decoder.dictionary(&bytes, codec);
            let _ = decoder.labels(&bytes, codec, rows);
            let _ = decoder.values(&bytes, codec, rows);
        }
    }

    /// Type 3, sizes 2^31 - 1 and 0, version 2 of 0 rows: nothing is reserved on the word of a header.
    #[test]
    fn a_page_larger_than_the_limit_is_refused_before_it_is_read() {
        const HEADER: [u8; 11] = [0x15, 6, 0x15, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0x15, 0, 0];
        let error = PageDecoder::new(1 << 20).values(&Bytes::from_static(&HEADER), CompressionCodec::ZSTD, 0);
        assert!(matches!(error, Err(Fault::TooLarge { .. })), "{error:?}");
    }
}
