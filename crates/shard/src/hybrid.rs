//! Runs of small integers: definition levels and dictionary indexes.
//!
//! ```text
//! data    := run*
//! run     := header: uvarint, then
//!            if header is even: header/2 times one value, in ceil(width/8) bytes, little endian
//!            if header is odd:  header/2 groups of 8 values, bit-packed with the least bit first: width bytes each
//! ```
//!
//! The number of values is known from elsewhere; the last group may be padded and may be cut off where only padding is
//! lost.

use crate::error::Fault;

/// Reads values one after another, or passes over many at once.
#[derive(Clone, Debug)]
pub(crate) struct Hybrid<'a> {
    rest: &'a [u8],
    width: u32,
    run: Run<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Run<'a> {
    Repeated {
        value: u32,
        left: u64,
    },
    /// `next` counts values from the start of `bytes`.
    Packed {
        bytes: &'a [u8],
        next: u64,
        left: u64,
    },
}

/// The state of a [`Hybrid`] without its bytes, for whoever keeps both in one place.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Position {
    at: usize,
    run: PositionRun,
}

#[derive(Clone, Copy, Debug)]
enum PositionRun {
    Repeated { value: u32, left: u64 },
    Packed { start: usize, end: usize, next: u64, left: u64 },
}

impl Default for PositionRun {
    fn default() -> Self {
        Self::Repeated { value: 0, left: 0 }
    }
}

fn ended() -> Fault {
    Fault::corrupt("another run of levels or indexes", "the end of the page")
}

impl<'a> Hybrid<'a> {
    /// Values of `width` bits, 0 to 32.
    #[cfg(test)]
    pub(crate) fn new(bytes: &'a [u8], width: u32) -> Result<Self, Fault> {
        Self::resume(bytes, width, Position::default())
    }

    /// Values of `width` bits, 0 to 32. Goes on where a reader of the same bytes was; at the default position, begins.
    pub(crate) fn resume(bytes: &'a [u8], width: u32, position: Position) -> Result<Self, Fault> {
        if width > 32 {
            return Err(Fault::corrupt("a width of at most 32 bits", width.to_string()));
        }
        let rest = bytes.get(position.at..).unwrap_or_default();
        let run = match position.run {
            PositionRun::Repeated { value, left } => Run::Repeated { value, left },
            PositionRun::Packed { start, end, next, left } => {
                Run::Packed { bytes: bytes.get(start..end).unwrap_or_default(), next, left }
            }
        };
        Ok(Self { rest, width, run })
    }

    /// Where this reader of `bytes` is.
    pub(crate) fn position(&self, bytes: &[u8]) -> Position {
        let at = bytes.len().saturating_sub(self.rest.len());
        let run = match self.run {
            Run::Repeated { value, left } => PositionRun::Repeated { value, left },
            // The packed bytes end where the rest begins.
            Run::Packed { bytes: packed, next, left } => {
                PositionRun::Packed { start: at.saturating_sub(packed.len()), end: at, next, left }
            }
        };
        Position { at, run }
    }

    fn next_run(&mut self) -> Result<(), Fault> {
        let mut header = 0_u64;
        let mut shift = 0_u32;
        loop {
            let (byte, rest) = self.rest.split_first().ok_or_else(ended)?;
            self.rest = rest;
            if shift > 56 {
                return Err(Fault::corrupt("the header of a run", "a varint that is too long"));
            }
            header |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                break;
            }
            shift = shift.saturating_add(7);
        }
        let count = header >> 1;
        self.run = if self.width == 0 {
            let left = if header & 1 == 0 { count } else { count.saturating_mul(8) };
            Run::Repeated { value: 0, left }
        } else if header & 1 == 0 {
            let length = self.width.div_ceil(8) as usize;
            let (bytes, rest) = self.rest.split_at_checked(length).ok_or_else(ended)?;
            self.rest = rest;
            let value = bytes.iter().rev().fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
            if self.width < 32 && value >> self.width != 0 {
                return Err(Fault::corrupt(format!("a value of {} bits", self.width), value.to_string()));
            }
            Run::Repeated { value, left: count }
        } else {
            let wanted = count.saturating_mul(self.width.into());
            let length = usize::try_from(wanted).unwrap_or(usize::MAX).min(self.rest.len());
            let (bytes, rest) = self.rest.split_at(length);
            self.rest = rest;
            Run::Packed { bytes, next: 0, left: count.saturating_mul(8) }
        };
        Ok(())
    }

    /// The next value.
    pub(crate) fn next(&mut self) -> Result<u32, Fault> {
        loop {
            match &mut self.run {
                Run::Repeated { left: 0, .. } | Run::Packed { left: 0, .. } => self.next_run()?,
                Run::Repeated { value, left } => {
                    *left = left.saturating_sub(1);
                    return Ok(*value);
                }
                Run::Packed { bytes, next, left } => {
                    let value = unpack(bytes, *next, self.width).ok_or_else(ended)?;
                    *next = next.saturating_add(1);
                    *left = left.saturating_sub(1);
                    return Ok(value);
                }
            }
        }
    }

    /// Appends the next `n` values.
    pub(crate) fn read(&mut self, mut n: usize, out: &mut Vec<u32>) -> Result<(), Fault> {
        while n > 0 {
            match &mut self.run {
                Run::Repeated { left: 0, .. } | Run::Packed { left: 0, .. } => self.next_run()?,
                Run::Repeated { value, left } => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(n);
                    out.extend(std::iter::repeat_n(*value, taken));
                    *left = left.saturating_sub(taken as u64);
                    n = n.saturating_sub(taken);
                }
                Run::Packed { bytes, next, left } => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(n);
                    unpack_many(bytes, *next, taken, self.width, out).ok_or_else(ended)?;
                    *next = next.saturating_add(taken as u64);
                    *left = left.saturating_sub(taken as u64);
                    n = n.saturating_sub(taken);
                }
            }
        }
        Ok(())
    }

    /// The value of the run that is next and how many of its values are left, at most `most`; only the first bit
    /// of each value is looked at if `width` is 1 and the run is packed, and equal neighbours are counted.
    pub(crate) fn next_levels(&mut self, most: u64) -> Result<(bool, u64), Fault> {
        loop {
            match &mut self.run {
                Run::Repeated { left: 0, .. } | Run::Packed { left: 0, .. } => self.next_run()?,
                Run::Repeated { value, left } => {
                    let taken = most.min(*left);
                    *left = left.saturating_sub(taken);
                    return Ok((*value != 0, taken));
                }
                Run::Packed { bytes, next, left } => {
                    let word = window(bytes, *next).ok_or_else(ended)?;
                    let is_set = word & 1 != 0;
                    let equal = if is_set { word.trailing_ones() } else { word.trailing_zeros() };
                    // What is beyond the bytes or the window's whole bits is not known.
                    let known = (bytes.len() as u64).saturating_mul(8).saturating_sub(*next).min(WINDOW_BITS);
                    let taken = most.min(*left).min(known).min(equal.into());
                    *next = next.saturating_add(taken);
                    *left = left.saturating_sub(taken);
                    return Ok((is_set, taken));
                }
            }
        }
    }

    /// Passes over `n` values.
    pub(crate) fn skip(&mut self, mut n: u64) -> Result<(), Fault> {
        while n > 0 {
            match &mut self.run {
                Run::Repeated { left: 0, .. } | Run::Packed { left: 0, .. } => self.next_run()?,
                Run::Repeated { left, .. } => {
                    let skipped = n.min(*left);
                    *left = left.saturating_sub(skipped);
                    n = n.saturating_sub(skipped);
                }
                Run::Packed { bytes, next, left } => {
                    let skipped = n.min(*left);
                    *next = next.saturating_add(skipped);
                    *left = left.saturating_sub(skipped);
                    n = n.saturating_sub(skipped);
                    let bits = next.saturating_mul(self.width.into());
                    if bits > (bytes.len() as u64).saturating_mul(8) {
                        return Err(ended());
                    }
                }
            }
        }
        Ok(())
    }

    /// Passes over `n` levels (values of 1 bit) and says how many of them are 1.
    pub(crate) fn skip_levels(&mut self, mut n: u64) -> Result<u64, Fault> {
        let mut ones = 0_u64;
        while n > 0 {
            let (is_set, count) = self.next_levels(n)?;
            n = n.saturating_sub(count);
            if is_set {
                ones = ones.saturating_add(count);
            }
        }
        Ok(ones)
    }
}

/// The `n`-th value of `width` bits; `None` if it is cut off.
fn unpack(bytes: &[u8], n: u64, width: u32) -> Option<u32> {
    if width == 0 {
        return Some(0);
    }
    let bit = n.checked_mul(width.into())?;
    let end = bit.checked_add(width.into())?.div_ceil(8);
    let (start, end) = (usize::try_from(bit / 8).ok()?, usize::try_from(end).ok()?);
    let window = bytes.get(start..end)?.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    let value = window >> (bit % 8) & (u64::MAX >> 64_u32.saturating_sub(width));
    u32::try_from(value).ok()
}

/// Bits of a window that are known whatever bit of a byte it begins at.
const WINDOW_BITS: u64 = 57;

/// The bits from `bit` on, at least [`WINDOW_BITS`] of them, 0 beyond the end; `None` if all are beyond.
fn window(bytes: &[u8], bit: u64) -> Option<u64> {
    let rest = bytes.get(usize::try_from(bit / 8).ok()?..).filter(|rest| !rest.is_empty())?;
    let word = match rest.first_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => rest.iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte)),
    };
    Some(word >> (bit % 8))
}

/// Appends `n` values of `width` bits, from the `first` on; `None` if one is cut off.
fn unpack_many(bytes: &[u8], first: u64, n: usize, width: u32, out: &mut Vec<u32>) -> Option<()> {
    let start = first.checked_mul(width.into())?;
    let end = start.checked_add((n as u64).checked_mul(width.into())?)?;
    if end.div_ceil(8) > bytes.len() as u64 {
        return None;
    }
    if width == 0 {
        out.extend(std::iter::repeat_n(0, n));
        return Some(());
    }
    let mask = u64::from(u32::MAX >> 32_u32.saturating_sub(width));
    let mut bit = start;
    out.extend((0..n).map(|_| {
        let word = window(bytes, bit).unwrap_or_default();
        bit = bit.saturating_add(width.into());
        #[expect(clippy::cast_possible_truncation, reason = "masked to at most 32 bits")]
        let value = (word & mask) as u32;
        value
    }));
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Encodes as runs, some repeated and some packed, chosen by `packed`.
    fn encode(values: &[u32], width: u32, packed: &[bool]) -> Vec<u8> {
        let mut out = Vec::new();
        for (chunk, packed) in values.chunks(24).zip(packed.iter().cycle()) {
            if *packed && chunk.len() % 8 == 0 {
                out.push((chunk.len() / 8) as u8 * 2 + 1);
                let (mut acc, mut bits) = (0_u64, 0);
                for v in chunk {
                    acc |= u64::from(*v) << bits;
                    bits += width;
                    while bits >= 8 {
                        out.push(acc as u8);
                        acc >>= 8;
                        bits -= 8;
                    }
                }
            } else {
                for v in chunk {
                    out.push(2);
                    out.extend(&v.to_le_bytes()[..width.div_ceil(8) as usize]);
                }
            }
        }
        out
    }

    proptest! {
        #[test]
        fn reads_and_skips(width in 0_u32..=32, raw in prop::collection::vec(any::<u32>(), 0..200), packed in prop::collection::vec(any::<bool>(), 1..5), at in 0_usize..200) {
            let values: Vec<u32> = raw.iter().map(|v| if width == 0 { 0 } else { v >> (32 - width) }).collect();
            let bytes = encode(&values, width, &packed);
            let mut reader = Hybrid::new(&bytes, width).unwrap();
            for v in &values {
                prop_assert_eq!(reader.next().unwrap(), *v);
            }
            prop_assert!(reader.next().is_err());
            let at = at.min(values.len());
            let mut reader = Hybrid::new(&bytes, width).unwrap();
            reader.skip(at as u64).unwrap();
            let mut bulk = vec![7];
            reader.clone().read(values.len() - at, &mut bulk).unwrap();
            prop_assert_eq!(&bulk[1..], &values[at..]);
            prop_assert!(reader.clone().read(values.len() - at + 1, &mut bulk).is_err());
            prop_assert!(reader.clone().skip((values.len() - at) as u64 + 1).is_err());
            if width == 1 {
                let ones = values[..at].iter().filter(|v| **v != 0).count() as u64;
                prop_assert_eq!(Hybrid::new(&bytes, width).unwrap().skip_levels(at as u64).unwrap(), ones);
                let mut levels = reader.clone();
                let mut found = Vec::new();
                while found.len() < values.len() - at {
                    let (is_set, count) = levels.next_levels((values.len() - at - found.len()) as u64).unwrap();
                    prop_assert!(count > 0);
                    found.extend(std::iter::repeat_n(u32::from(is_set), count as usize));
                }
                prop_assert_eq!(&found, &values[at..]);
            }
            let mut reader = Hybrid::resume(&bytes, width, reader.position(&bytes)).unwrap();
            for v in &values[at..] {
                prop_assert_eq!(reader.next().unwrap(), *v);
                reader = Hybrid::resume(&bytes, width, reader.position(&bytes)).unwrap();
            }
        }

        #[test]
        fn any_bytes_end(bytes: Vec<u8>, width in 0_u32..40) {
            if let Ok(mut reader) = Hybrid::new(&bytes, width) {
                for _ in 0..10_000 {
                    if reader.next().is_err() { break; }
                }
                let _ = reader.clone().skip(1 << 40);
                let _ = reader.clone().read(10_000, &mut Vec::new());
                if width == 1 { let _ = reader.skip_levels(1 << 20); }
            }
        }
    }
}
