//! Integers of variable width: a prefix of ones says how many bits follow.
//!
//! ```text
//! 0         the value 0
//! 10        3 bits        11110     12 bits        11111110  56 bits
//! 110       6 bits        111110    18 bits        11111111  64 bits
//! 1110      9 bits        1111110   25 bits
//! ```
//!
//! Signed values of `n < 64` bits are in the range `-(2^(n-1) - 1)..=2^(n-1)`: unlike two's complement, the pattern
//! `10…0` is positive. Unsigned values take all of `0..2^n`.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "widths are those of the table, at most 64"
)]

use crate::{
    bits::{BitReader, BitWriter},
    error::Result,
    words::load_wide,
};

/// Bits that follow the prefix of 0, 1, … 8 ones.
const WIDTHS: [u32; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];

/// Prefixes longer than this have no final zero.
const MOST_ONES: u32 = 8;

/// Reads the prefix and the raw bits behind it; returns their width too.
#[inline]
fn read_raw(reader: &mut BitReader<'_>) -> Result<(u64, u32)> {
    let ones = reader.peek().leading_ones().min(MOST_ONES);
    reader.skip((ones + 1).min(MOST_ONES))?;
    let width = WIDTHS.get(ones as usize).copied().unwrap_or(64);
    Ok((reader.read_bits(width)?, width))
}

/// Prefixes no longer than this belong to codes of at most 32 bits.
const MOST_ONES_OF_SHORT: u32 = 6;

/// Reads a signed integer.
///
/// Which width comes next is hard to predict, so that short codes are read without a branch on it.
///
/// # Errors
/// Corrupt if the data end within it.
#[inline]
pub(crate) fn read_varbit_int(reader: &mut BitReader<'_>) -> Result<i64> {
    let word = reader.peek_short();
    let ones = word.leading_ones();
    if ones <= MOST_ONES_OF_SHORT {
        let width = WIDTHS.get(ones as usize).copied().unwrap_or(0);
        let bits = ones + 1 + width;
        reader.skip(bits)?;
        // What is above half of the range wraps around at 2^width; the mask also removes the prefix.
        let mask = (1_u64 << width) - 1;
        let bias = mask >> 1;
        return Ok((word.rotate_left(bits).wrapping_add(bias) & mask) as i64 - bias as i64);
    }
    read_long_int(reader)
}

/// Reads a signed integer of any width.
///
/// # Errors
/// Corrupt if the data end within it.
#[inline(never)]
fn read_long_int(reader: &mut BitReader<'_>) -> Result<i64> {
    let (raw, width) = read_raw(reader)?;
    Ok(match width {
        0 => 0,
        64 => raw as i64,
        _ => signed(raw, width),
    })
}

/// A signed integer that begins at the bit offset `at` with the bits of `word`, and how many bits it has.
pub(crate) fn load_int(data: &[u8], at: usize, word: u64) -> (i64, usize) {
    let ones = word.leading_ones().min(MOST_ONES);
    let prefix = (ones + 1).min(MOST_ONES) as usize;
    match WIDTHS.get(ones as usize).copied() {
        None | Some(0) => (0, prefix),
        Some(64) => (load_wide(data, at + prefix).cast_signed(), prefix + 64),
        Some(width) => (signed(load_wide(data, at + prefix) >> (64 - width), width), prefix + width as usize),
    }
}

/// Reads an unsigned integer.
///
/// # Errors
/// Corrupt if the data end within it.
#[inline]
pub(crate) fn read_varbit_uint(reader: &mut BitReader<'_>) -> Result<u64> {
    Ok(read_raw(reader)?.0)
}

/// The value in `-(2^(width-1) - 1)..=2^(width-1)` whose lowest bits are `raw`; `0 < width < 64`, `raw < 2^width`.
#[inline]
pub(crate) fn signed(raw: u64, width: u32) -> i64 {
    if raw > 1 << (width - 1) { raw as i64 - (1 << width) } else { raw as i64 }
}

/// Whether `value` is in `-(2^(width-1) - 1)..=2^(width-1)`; `0 < width < 64`.
#[inline]
pub(crate) fn fits_signed(value: i64, width: u32) -> bool {
    let half = 1_i64 << (width - 1);
    -half < value && value <= half
}

/// Writes the prefix for the `ones`-th width and as many of the lowest bits.
fn write_raw(writer: &mut BitWriter, ones: usize, bits: u64) {
    let Some(&width) = WIDTHS.get(ones) else { return };
    match ones {
        8 => writer.write_byte(0xff),
        _ => writer.write_bits((1 << (ones + 1)) - 2, ones as u32 + 1),
    }
    writer.write_bits(bits, width);
}

/// Writes a signed integer in the fewest bits.
pub(crate) fn write_varbit_int(writer: &mut BitWriter, value: i64) {
    let ones = if value == 0 {
        0
    } else {
        WIDTHS.iter().position(|&width| width > 0 && (width == 64 || fits_signed(value, width))).unwrap_or(8)
    };
    write_raw(writer, ones, value as u64);
}

/// Writes an unsigned integer in the fewest bits.
pub(crate) fn write_varbit_uint(writer: &mut BitWriter, value: u64) {
    let ones = WIDTHS.iter().position(|&width| width >= 64 - value.leading_zeros()).unwrap_or(8);
    write_raw(writer, ones, value);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `0101…` as text.
    fn bits_of(write: impl FnOnce(&mut BitWriter)) -> String {
        let mut writer = BitWriter::default();
        write(&mut writer);
        writer.write_bit(true); // marks the end
        let text: String = writer.bytes().iter().map(|b| format!("{b:08b}")).collect();
        text[..text.rfind('1').unwrap()].to_owned()
    }

    #[test]
    fn signed_bit_patterns() {
        for (value, bits) in [
            (0, "0"),
            (1, "10001"),
            (4, "10100"),
            (-3, "10101"),
            (-4, "110111100"),
            (32, "110100000"),
            (-32, "1110111100000"),
            (256, "1110100000000"),
            (2048, "11110100000000000"),
            (131_072, "111110100000000000000000"),
        ] {
            assert_eq!(bits_of(|w| write_varbit_int(w, value)), bits, "{value}");
        }
    }

    #[test]
    fn unsigned_bit_patterns() {
        for (value, bits) in [(0, "0"), (1, "10001"), (7, "10111"), (8, "110001000"), (511, "1110111111111")] {
            assert_eq!(bits_of(|w| write_varbit_uint(w, value)), bits, "{value}");
        }
    }

    #[test]
    fn widest() {
        assert_eq!(bits_of(|w| write_varbit_int(w, 1 << 55)).len(), 64);
        assert_eq!(bits_of(|w| write_varbit_int(w, -(1 << 55))).len(), 72);
        assert_eq!(bits_of(|w| write_varbit_uint(w, (1 << 56) - 1)).len(), 64);
        assert_eq!(bits_of(|w| write_varbit_uint(w, 1 << 56)).len(), 72);
    }

    proptest! {
        #[test]
        fn round_trip(values in prop::collection::vec((any::<i64>(), 0u32..64), 0..40), offset in 0u32..8) {
            let values: Vec<i64> = values.into_iter().map(|(v, s)| v >> s).collect();
            let mut writer = BitWriter::default();
            writer.write_bits(0, offset);
            for &v in &values {
                write_varbit_int(&mut writer, v);
                write_varbit_uint(&mut writer, v as u64);
            }
            let mut reader = BitReader::new(writer.bytes());
            reader.skip(offset).unwrap();
            for &v in &values {
                let at = reader.position();
                prop_assert_eq!(read_varbit_int(&mut reader).unwrap(), v);
                let word = load_wide(writer.bytes(), at as usize);
                let bits = (reader.position() - at) as usize;
                prop_assert_eq!(load_int(writer.bytes(), at as usize, word), (v, bits));
                prop_assert_eq!(read_varbit_uint(&mut reader).unwrap(), v as u64);
            }
            prop_assert!(reader.remaining() < 8);
        }
    }
}
