//! The oracle: decodes bit by bit, with no regard to speed. Returns none where the data end early or make no sense.

use prometheus_chunks::Encoding;
use prometheus_model::STALE_NAN_BITS;

use crate::Sample;

struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn bit(&mut self) -> Option<bool> {
        let byte = self.data.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1 == 1;
        self.at += 1;
        Some(bit)
    }

    fn unsigned(&mut self, n: u32) -> Option<u64> {
        let mut value = 0;
        for _ in 0..n {
            value = value << 1 | u64::from(self.bit()?);
        }
        Some(value)
    }

    /// -(2^(n-1) - 1) ..= 2^(n-1)
    fn lopsided(&mut self, n: u32) -> Option<i64> {
        let value = i128::from(self.unsigned(n)?);
        let value = if value > 1 << (n - 1) { value - (1 << n) } else { value };
        Some(value as i64)
    }

    fn twos_complement(&mut self, n: u32) -> Option<i64> {
        let value = i128::from(self.unsigned(n)?);
        let value = if value >= 1 << (n - 1) { value - (1 << n) } else { value };
        Some(value as i64)
    }

    /// How many ones come before a zero, or `most` if so many come.
    fn ones(&mut self, most: u32) -> Option<u32> {
        let mut n = 0;
        while n < most && self.bit()? {
            n += 1;
        }
        Some(n)
    }

    fn uvarint(&mut self) -> Option<u64> {
        let mut value = 0_u128;
        for i in 0..10 {
            let byte = self.unsigned(8)?;
            value |= u128::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                return u64::try_from(value).ok();
            }
        }
        None
    }

    fn varint(&mut self) -> Option<i64> {
        let value = self.uvarint()?;
        Some(if value % 2 == 0 { (value / 2) as i64 } else { -((value / 2) as i64) - 1 })
    }

    fn varbit(&mut self) -> Option<i64> {
        match self.ones(8)? {
            0 => Some(0),
            8 => Some(self.unsigned(64)? as i64),
            n => self.lopsided([3, 6, 9, 12, 18, 25, 56][n as usize - 1]),
        }
    }
}

/// Leading zeros and width.
struct Window(u32, u32);

impl Window {
    fn read(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        self.0 = bits.unsigned(5)? as u32;
        self.1 = bits.unsigned(6)? as u32;
        if self.1 == 0 {
            self.1 = 64;
        }
        (self.0 + self.1 <= 64).then_some(())
    }

    fn inside(&self, bits: &mut Bits<'_>) -> Option<u64> {
        Some(bits.unsigned(self.1)? << (64 - self.0 - self.1))
    }
}

pub(crate) fn decode(encoding: Encoding, data: &[u8]) -> Option<Vec<Sample>> {
    let mut bits = Bits { data, at: 0 };
    if encoding == Encoding::Xor { xor(&mut bits) } else { xor2(&mut bits) }
}

fn xor(bits: &mut Bits<'_>) -> Option<Vec<Sample>> {
    let count = bits.unsigned(16)?;
    let mut samples = vec![];
    let mut window = Window(0, 64);
    let (mut timestamp, mut delta, mut value) = (0_i64, 0_i64, 0);
    for i in 0..count {
        match i {
            0 => timestamp = bits.varint()?,
            1 => delta = bits.uvarint()? as i64,
            _ => {
                let dod = match bits.ones(4)? {
                    0 => 0,
                    1 => bits.lopsided(14)?,
                    2 => bits.lopsided(17)?,
                    3 => bits.lopsided(20)?,
                    _ => bits.unsigned(64)? as i64,
                };
                delta = delta.wrapping_add(dod);
            }
        }
        timestamp = timestamp.wrapping_add(delta);
        if i == 0 {
            value = bits.unsigned(64)?;
        } else if bits.bit()? {
            if bits.bit()? {
                window.read(bits)?;
            }
            value ^= window.inside(bits)?;
        }
        samples.push(Sample { timestamp, bits: value, start: 0 });
    }
    Some(samples)
}

fn xor2(bits: &mut Bits<'_>) -> Option<Vec<Sample>> {
    let count = bits.unsigned(16)?;
    let start_known = bits.bit()?;
    let start_from = bits.unsigned(7)?;
    let mut samples: Vec<Sample> = vec![];
    let mut window = Window(0, 64);
    let (mut timestamp, mut delta, mut baseline, mut start, mut start_diff) = (0_i64, 0_i64, 0, 0_i64, 0_i64);
    for i in 0..count {
        let before = timestamp;
        let mut stale = false;
        if i == 0 {
            timestamp = bits.varint()?;
            let value = bits.unsigned(64)?;
            stale = value == STALE_NAN_BITS;
            baseline = if stale { 0 } else { value };
            if start_known {
                start = timestamp.wrapping_sub(bits.varint()?);
            }
        } else {
            let has_value = if i == 1 {
                delta = bits.uvarint()? as i64;
                true
            } else {
                let (dod, has_value) = match bits.ones(5)? {
                    0 => (0, false),
                    1 => {
                        if bits.bit()? {
                            window.read(bits)?;
                        }
                        baseline ^= window.inside(bits)?;
                        (0, false)
                    }
                    2 => (bits.twos_complement(13)?, true),
                    3 => (bits.twos_complement(20)?, true),
                    4 => (bits.unsigned(64)? as i64, true),
                    _ => {
                        stale = true;
                        (0, false)
                    }
                };
                delta = delta.wrapping_add(dod);
                has_value
            };
            if has_value {
                match bits.ones(3)? {
                    0 => {}
                    3 => stale = true,
                    n => {
                        if n == 2 {
                            window.read(bits)?;
                        }
                        baseline ^= window.inside(bits)?;
                    }
                }
            }
            timestamp = timestamp.wrapping_add(delta);
            if start_from > 0 && i >= start_from {
                let change = bits.varbit()?;
                start_diff = if i == start_from { change } else { start_diff.wrapping_add(change) };
                start = before.wrapping_sub(start_diff);
            }
        }
        samples.push(Sample { timestamp, bits: if stale { STALE_NAN_BITS } else { baseline }, start });
    }
    Some(samples)
}
