//! The delta encodings of byte arrays.
//!
//! ```text
//! DELTA_LENGTH_BYTE_ARRAY := lengths bytes*                                   all values one after another
//! DELTA_BYTE_ARRAY        := prefix_lengths suffix_lengths suffix bytes*      each prefix is that of the value before
//! lengths                 := DELTA_BINARY_PACKED of 32-bit integers:
//!     header := block_size: uvarint  miniblocks: uvarint  count: uvarint  first: varint (zig-zag)
//!     block  := min_delta: varint (zig-zag)  width: byte × miniblocks  miniblock*
//! ```
//!
//! A miniblock holds `block_size / miniblocks` deltas less `min_delta`, each of `width` bits, the least first; the last
//! one with a value is padded, those after it are absent.

use std::ops::Range;

use bytes::Bytes;

use crate::{error::Fault, values::ValuePage};

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

fn cut() -> Fault {
    Fault::corrupt("more lengths", "the end of the page")
}

impl<'a> Reader<'a> {
    fn uvarint(&mut self) -> Result<u64, Fault> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or_else(cut)?;
            self.at = self.at.saturating_add(1);
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Fault::corrupt("a varint of at most ten bytes", "a longer one"))
    }

    fn varint(&mut self) -> Result<i64, Fault> {
        let v = self.uvarint()?;
        Ok((v >> 1).cast_signed() ^ (v & 1).cast_signed().wrapping_neg())
    }

    fn take(&mut self, n: u64) -> Result<&'a [u8], Fault> {
        let end = usize::try_from(n).ok().and_then(|n| self.at.checked_add(n));
        let taken = end.and_then(|end| Some((self.bytes.get(self.at..end)?, end)));
        let (bytes, end) = taken.ok_or_else(cut)?;
        self.at = end;
        Ok(bytes)
    }

    /// Exactly `count` lengths.
    fn lengths(&mut self, count: u32) -> Result<Vec<u32>, Fault> {
        let (block, miniblocks, found) = (self.uvarint()?, self.uvarint()?, self.uvarint()?);
        if found != u64::from(count) {
            return Err(Fault::corrupt(format!("{count} lengths"), found.to_string()));
        }
        let in_miniblock =
            block.checked_div(miniblocks).filter(|n| *n > 0 && n % 8 == 0 && block.is_multiple_of(miniblocks));
        let in_miniblock = in_miniblock.ok_or_else(|| {
            Fault::corrupt("miniblocks of a multiple of 8 values", format!("blocks of {block} in {miniblocks}"))
        })?;
        // All arithmetic is that of 32 bits: writers let differences wrap around.
        let mut value = low_bits(self.varint()?.cast_unsigned());
        let mut out = Vec::with_capacity(count as usize);
        if count > 0 {
            out.push(length(value)?);
        }
        while out.len() < count as usize {
            let min_delta = low_bits(self.varint()?.cast_unsigned());
            for &width in self.take(miniblocks)? {
                let wanted = (count as usize).saturating_sub(out.len()) as u64;
                if wanted == 0 {
                    break;
                }
                if width > 64 {
                    return Err(Fault::corrupt("a width of at most 64 bits", width.to_string()));
                }
                let bytes = self.take(in_miniblock.saturating_mul(width.into()) / 8)?;
                let wanted = in_miniblock.min(wanted);
                if width == 0 && min_delta == 0 {
                    // Mostly so: cells of neighbours are as long as each other.
                    out.extend(std::iter::repeat_n(value, usize::try_from(wanted).unwrap_or(0)));
                    continue;
                }
                for n in 0..wanted {
                    let delta = unpack(bytes, n, width.into()).ok_or_else(cut)?;
                    value = value.wrapping_add(min_delta).wrapping_add(delta);
                    out.push(length(value)?);
                }
            }
        }
        Ok(out)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is asked for")]
const fn low_bits(value: u64) -> u32 {
    value as u32
}

fn length(value: u32) -> Result<u32, Fault> {
    match value.cast_signed() {
        0.. => Ok(value),
        negative => Err(Fault::corrupt("a length", negative.to_string())),
    }
}

/// The low 32 bits of the `n`-th value of `width` bits.
fn unpack(bytes: &[u8], n: u64, width: u64) -> Option<u32> {
    let bit = n.checked_mul(width)?;
    // With eight bytes at hand, at least 57 bits are there.
    let start = usize::try_from(bit / 8).ok()?;
    if let Some(chunk) = bytes.get(start..).and_then(|rest| rest.first_chunk::<8>())
        && width <= 32
    {
        let mask = (1_u64 << width).wrapping_sub(1);
        return Some(low_bits(u64::from_le_bytes(*chunk) >> (bit % 8) & mask));
    }
    let end = usize::try_from(bit.checked_add(width)?.div_ceil(8)).ok()?;
    let window = bytes.get(usize::try_from(bit / 8).ok()?..end)?;
    // At most nine bytes; those past the eighth hold nothing of the low 32 bits.
    let low = window.iter().take(8).rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    let mask = if width >= 64 { u64::MAX } else { (1_u64 << width).wrapping_sub(1) };
    Some(low_bits(low >> (bit % 8) & mask))
}

/// Where values of these lengths lie, one after another.
fn spans(lengths: &[u32], available: usize) -> Result<Vec<Range<u32>>, Fault> {
    let mut end = 0_u64;
    let offset = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let spans = lengths.iter().map(|length| {
        let start = offset(end);
        end = end.saturating_add(u64::from(*length));
        start..offset(end)
    });
    let spans = spans.collect();
    if end != available as u64 || u32::try_from(end).is_err() {
        return Err(Fault::corrupt(format!("values of {available} bytes in all"), format!("lengths of {end}")));
    }
    Ok(spans)
}

/// Decodes a page of `rows` values; they stay where they are.
pub(crate) fn delta_length_byte_array(body: &Bytes, rows: u32) -> Result<ValuePage, Fault> {
    let mut reader = Reader { bytes: body, at: 0 };
    let lengths = reader.lengths(rows)?;
    let data = body.slice(reader.at..);
    Ok(ValuePage::new(spans(&lengths, data.len())?, data))
}

/// Decodes a page of `rows` values, at most `limit` bytes in all.
pub(crate) fn delta_byte_array(body: &Bytes, rows: u32, limit: u64) -> Result<ValuePage, Fault> {
    let mut reader = Reader { bytes: body, at: 0 };
    let prefixes = reader.lengths(rows)?;
    let suffixes = reader.lengths(rows)?;
    let mut rest = body.get(reader.at..).unwrap_or_default();
    let suffix_bytes = suffixes.iter().map(|n| u64::from(*n)).sum::<u64>();
    if suffix_bytes != rest.len() as u64 {
        let expected = format!("suffixes of {} bytes in all", rest.len());
        return Err(Fault::corrupt(expected, format!("lengths of {suffix_bytes}")));
    }
    // A value that is the same as the one before takes no memory of its own.
    let lengths = || prefixes.iter().zip(&suffixes);
    let needed = lengths().filter(|(_, suffix)| **suffix > 0).map(|(p, s)| u64::from(*p).saturating_add((*s).into()));
    let needed = needed.sum::<u64>();
    if needed > limit.min(u32::MAX.into()) {
        return Err(Fault::TooLarge { what: "a page of values", needed, limit });
    }
    let mut data: Vec<u8> = Vec::with_capacity(usize::try_from(needed).unwrap_or(0));
    let mut spans = Vec::with_capacity(rows as usize);
    let mut previous = 0..0_usize;
    let offset = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    for (prefix, suffix) in lengths() {
        let shared = previous.start..previous.start.saturating_add(*prefix as usize);
        if shared.end > previous.end {
            return Err(Fault::corrupt(format!("a prefix of at most {} bytes", previous.len()), prefix.to_string()));
        }
        if *suffix == 0 {
            previous = shared;
        } else {
            let (bytes, after) = rest.split_at_checked(*suffix as usize).ok_or_else(cut)?;
            rest = after;
            let start = data.len();
            data.extend_from_within(shared);
            data.extend_from_slice(bytes);
            previous = start..data.len();
        }
        spans.push(offset(previous.start)..offset(previous.end));
    }
    Ok(ValuePage::new(spans, data.into()))
}

#[cfg(test)]
mod tests {
    use parquet::{basic::Encoding, data_type::ByteArray};
    use proptest::prelude::*;

    use super::*;

    /// Bytes by the parquet crate's writer, for one page of one column.
    fn encode(values: &[Vec<u8>], encoding: Encoding) -> Vec<u8> {
        use parquet::{
            column::page::Page,
            data_type::ByteArrayType,
            file::{
                properties::WriterProperties,
                reader::{FileReader, SerializedFileReader},
                writer::SerializedFileWriter,
            },
            schema::parser::parse_message_type,
        };
        let schema = parse_message_type("message m { required binary v; }").unwrap();
        let properties = WriterProperties::builder().set_dictionary_enabled(false).set_encoding(encoding).build();
        let mut out = Vec::new();
        let mut writer = SerializedFileWriter::new(&mut out, schema.into(), properties.into()).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let values: Vec<_> = values.iter().map(|v| ByteArray::from(v.clone())).collect();
        column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
        let reader = SerializedFileReader::new(Bytes::from(out)).unwrap();
        let mut pages = reader.get_row_group(0).unwrap().get_column_page_reader(0).unwrap();
        match pages.get_next_page().unwrap() {
            Some(Page::DataPage { buf, .. } | Page::DataPageV2 { buf, .. }) => buf.to_vec(),
            _ => Vec::new(),
        }
    }

    fn read(page: &ValuePage) -> Vec<Vec<u8>> {
        (0..page.len()).map(|i| page.get(i).unwrap().to_vec()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn reads_what_the_parquet_crate_writes(values in prop::collection::vec(prop::collection::vec(0_u8..3, 0..40), 1..400)) {
            let rows = values.len() as u32;
            let bytes = Bytes::from(encode(&values, Encoding::DELTA_LENGTH_BYTE_ARRAY));
            prop_assert_eq!(&read(&delta_length_byte_array(&bytes, rows).unwrap()), &values);
            let bytes = Bytes::from(encode(&values, Encoding::DELTA_BYTE_ARRAY));
            prop_assert_eq!(&read(&delta_byte_array(&bytes, rows, 1 << 20).unwrap()), &values);
            prop_assert!(delta_byte_array(&bytes, rows + 1, 1 << 20).is_err());
            if values.iter().any(|v| !v.is_empty()) {
                let refused = matches!(delta_byte_array(&bytes, rows, 0), Err(Fault::TooLarge { .. }));
                prop_assert!(refused);
            }
        }

        #[test]
        fn any_bytes_end(bytes: Vec<u8>, rows in 0_u32..1000) {
            let bytes = Bytes::from(bytes);
            let _ = delta_length_byte_array(&bytes, rows);
            let _ = delta_byte_array(&bytes, rows, 1 << 16);
        }
    }
}
