//! Words of bits at any offset of a slice, for the decoders that are tuned for speed.
//!
//! The slice is taken to be followed by zeros without end: a decoder checks once per sample that it did not run past the
//! end, instead of once per field.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "bit offsets are below eight times a slice's length plus the longest sample, shifts below 64"
)]

use crate::error::{Error, Repr, Result};

/// How many bits [`load`] returns at least.
pub(crate) const LOADED_BITS: usize = 57;

/// The bits from the bit offset `at` on, at the top of the word: at least [`LOADED_BITS`], then zeros.
#[inline(always)]
pub(crate) fn load(data: &[u8], at: usize) -> u64 {
    word(data, at / 8) << (at % 8)
}

/// The 64 bits from the bit offset `at` on.
#[inline(always)]
pub(crate) fn load_wide(data: &[u8], at: usize) -> u64 {
    let byte = at / 8;
    let next = data.get(byte + 8).copied().unwrap_or(0);
    word(data, byte) << (at % 8) | u64::from(next) >> (8 - at % 8)
}

/// Checks that the data do not end before the bit offset `next`; what ends there begins at `start`.
///
/// # Errors
/// Corrupt if not.
#[inline(always)]
pub(crate) fn check_end(data: &[u8], start: usize, next: usize) -> Result<()> {
    if next > data.len() * 8 { Err(end_of_data(data, start, next - start)) } else { Ok(()) }
}

#[cold]
fn end_of_data(data: &[u8], bit: usize, wanted: usize) -> Error {
    let left = (data.len() * 8).saturating_sub(bit);
    Repr::EndOfData { bit: bit as u64, wanted: wanted as u64, left: left as u64 }.into()
}

/// The eight bytes from `byte` on.
#[inline(always)]
fn word(data: &[u8], byte: usize) -> u64 {
    match data.get(byte..byte + 8).and_then(<[u8]>::first_chunk) {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => last_word(data, byte),
    }
}

/// Likewise where fewer than eight bytes are left.
#[inline(never)]
fn last_word(data: &[u8], byte: usize) -> u64 {
    if let Some(bytes) = data.last_chunk() {
        let missing = byte + 8 - data.len();
        // More than 8 if `byte` lies past the end: everything is shifted out.
        return if missing < 8 { u64::from_be_bytes(*bytes) << (8 * missing) } else { 0 };
    }
    data.iter().skip(byte).zip(0..8).fold(0, |word, (&b, i)| word | u64::from(b) << (56 - 8 * i))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_if_zeros_followed() {
        for len in 0..20 {
            let data: Vec<u8> = (0..len).map(|i| (i * 37 + 129) as u8).collect();
            let mut padded = data.clone();
            padded.resize(60, 0);
            for at in 0..(len + 20) * 8 {
                let expected = (at..at + 64).fold(0, |w, i| w << 1 | u64::from(padded[i / 8] >> (7 - i % 8) & 1));
                assert_eq!(load_wide(&data, at), expected, "{len} bytes at {at}");
                assert_eq!(load(&data, at), expected >> (at % 8) << (at % 8), "{len} bytes at {at}");
            }
        }
    }
}
