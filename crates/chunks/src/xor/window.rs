//! The window of bits in which a value differs from the one before: XOR's code for floats, which the histogram
//! encodings use too.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "the bounds of a window sum up to at most 64"
)]

use crate::{
    bits::{BitReader, BitWriter},
    error::{Error, Repr, Result},
};

/// Most leading zeros that are written: what five bits hold.
const MAX_LEADING: u32 = 31;

/// Bits of a word: all but some at the top and some at the bottom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Window {
    /// Bits above it.
    leading: u32,
    /// Bits in it.
    width: u32,
    /// Ones inside, zeros outside.
    mask: u64,
}

impl Window {
    /// No window; nothing fits. What a writer starts with.
    pub(crate) const NONE: Self = Self { leading: 0, width: 0, mask: 0 };

    /// All of the word. What a reader starts with.
    pub(crate) const WHOLE: Self = Self { leading: 0, width: 64, mask: u64::MAX };

    /// From the number of leading zeros and the width as stored: 5 and 6 bits, 0 for 64. None if they exceed 64.
    #[inline(always)]
    pub(crate) fn from_stored(leading: u64, width: u64) -> Option<Self> {
        let width = (width.wrapping_sub(1) & 63) + 1;
        let trailing = 64_u64.checked_sub(leading + width)?;
        let mask = u64::MAX >> (64 - width) << trailing;
        Some(Self { leading: leading as u32, width: width as u32, mask })
    }

    /// From bounds at the top of a word, as in [`Self::from_stored`]; they begin at the bit offset `at`.
    ///
    /// # Errors
    /// Corrupt if the window is wider than a word.
    #[inline(always)]
    pub(crate) fn from_word(word: u64, at: usize) -> Result<Self> {
        let (leading, width) = (word >> 59, word >> 53 & 0x3f);
        Self::from_stored(leading, width).ok_or_else(|| bad_window(at as u64, leading, width))
    }

    /// The bits inside, in their place in the word, given them as stored at the top of `word`.
    #[inline(always)]
    pub(crate) fn place(self, word: u64) -> u64 {
        word >> self.leading & self.mask
    }

    /// The narrowest one that holds `xor != 0`.
    pub(crate) fn around(xor: u64) -> Self {
        let leading = xor.leading_zeros().min(MAX_LEADING);
        let trailing = xor.trailing_zeros().min(63);
        Self { leading, width: 64 - leading - trailing, mask: u64::MAX >> leading >> trailing << trailing }
    }

    /// Whether `inner` is a part of it.
    pub(crate) fn contains(self, inner: Self) -> bool {
        inner.mask & !self.mask == 0
    }

    /// How many bits it has.
    #[inline(always)]
    pub(crate) fn width(self) -> u32 {
        self.width
    }

    /// How many bits are below it.
    #[inline]
    fn trailing(self) -> u32 {
        64 - self.leading - self.width
    }

    /// Writes its bounds as [`Self::from_stored`] takes them.
    pub(crate) fn write_bounds(self, writer: &mut BitWriter) {
        writer.write_bits(u64::from(self.leading) << 6 | u64::from(self.width() & 63), 11);
    }

    /// Writes the bits of `xor` that are inside.
    pub(crate) fn write_inside(self, writer: &mut BitWriter, xor: u64) {
        writer.write_bits(xor >> self.trailing(), self.width);
    }
}

/// Error for stored bounds that [`Window::from_stored`] did not take; they begin at the bit offset `bit`.
#[cold]
fn bad_window(bit: u64, leading: u64, width: u64) -> Error {
    Repr::Window { bit, leading, significant: if width == 0 { 64 } else { width } }.into()
}

/// Writes the float whose bits are `value` as the difference to the one before, `previous`.
pub(crate) fn write_xor(writer: &mut BitWriter, value: u64, previous: u64, window: &mut Window) {
    let xor = value ^ previous;
    writer.write_bit(xor != 0);
    if xor != 0 {
        write_changed(writer, xor, window, (1, 1));
    }
}

/// Writes `xor != 0`: a zero and the bits inside the window if it fits; else the code given (bits, how many), the bounds
/// of a new window and the bits inside that.
#[inline]
pub(crate) fn write_changed(writer: &mut BitWriter, xor: u64, window: &mut Window, new: (u64, u32)) {
    let narrowest = Window::around(xor);
    if window.contains(narrowest) {
        writer.write_bit(false);
    } else {
        *window = narrowest;
        writer.write_bits(new.0, new.1);
        window.write_bounds(writer);
    }
    window.write_inside(writer, xor);
}

/// Reads the bits of a float, given those of the one before.
///
/// # Errors
/// Corrupt if the data end within it, or a window is wider than a word.
#[inline]
pub(crate) fn read_xor(reader: &mut BitReader<'_>, previous: u64, window: &mut Window) -> Result<u64> {
    let word = reader.peek();
    if word >> 63 == 0 {
        reader.skip(1)?;
        return Ok(previous);
    }
    if word >> 62 == 0b11 {
        let bit = reader.position() as usize;
        reader.skip(13)?;
        *window = Window::from_word(word << 2, bit + 2)?;
    } else if window.width() <= 54 {
        // All of it is in the word, or the data end within it.
        reader.skip(2 + window.width())?;
        return Ok(previous ^ window.place(word << 2));
    } else {
        reader.skip(2)?;
    }
    Ok(previous ^ reader.read_bits(window.width())? << window.trailing())
}
