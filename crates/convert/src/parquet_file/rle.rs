//! The hybrid of run-length and bit-packed runs, for definition levels and dictionary indexes.
//!
//! ```text
//! stream  := run*
//! run     := repeated | packed
//! repeated:= uvarint(count << 1) value             value in ceil(width / 8) bytes, little endian
//! packed  := uvarint(groups << 1 | 1) bits         groups of eight values of `width` bits, little endian
//! ```

use super::leb128::put_uvarint;

/// Shortest run of equal values that is worth a repeated run.
const MIN_REPEAT: usize = 8;

/// Writes one stream of values that fit `width` bits (0 to 32).
#[derive(Debug)]
pub(super) struct RleWriter<'a> {
    out: &'a mut Vec<u8>,
    width: u32,
    /// Values not yet written: whole groups of eight but for the last.
    pending: Vec<u32>,
    last: u32,
    /// How often `last` has come in a row; those that are not in `pending` wait here.
    repeats: usize,
}

impl<'a> RleWriter<'a> {
    pub(super) fn new(width: u32, out: &'a mut Vec<u8>) -> Self {
        Self { out, width, pending: Vec::new(), last: 0, repeats: 0 }
    }

    pub(super) fn put(&mut self, value: u32) {
        self.put_run(value, 1);
    }

    /// Appends `count` times `value`.
    pub(super) fn put_run(&mut self, value: u32, count: usize) {
        if value == self.last {
            self.repeats += count;
        } else {
            self.end_repeats();
            (self.last, self.repeats) = (value, count);
        }
    }

    /// Decides how the values equal to `last` are written.
    fn end_repeats(&mut self) {
        // A packed run consists of whole groups: fill its last one first.
        let fill = (8 - self.pending.len() % 8) % 8;
        let taken = fill.min(self.repeats);
        if self.repeats - taken < MIN_REPEAT {
            self.pending.extend(std::iter::repeat_n(self.last, self.repeats));
        } else {
            self.pending.extend(std::iter::repeat_n(self.last, taken));
            self.flush_packed();
            put_uvarint(self.out, ((self.repeats - taken) as u64) << 1);
            let bytes = self.width.div_ceil(8) as usize;
            self.out.extend(&self.last.to_le_bytes()[..bytes]);
        }
        self.repeats = 0;
    }

    fn flush_packed(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let groups = self.pending.len().div_ceil(8);
        self.pending.resize(groups * 8, 0);
        put_uvarint(self.out, (groups as u64) << 1 | 1);
        let (mut buffer, mut filled) = (0_u64, 0);
        for value in self.pending.drain(..) {
            buffer |= u64::from(value) << filled;
            filled += self.width;
            while filled >= 8 {
                self.out.push(buffer as u8);
                buffer >>= 8;
                filled -= 8;
            }
        }
    }

    /// Must be called at the end of the stream.
    pub(super) fn finish(mut self) {
        self.end_repeats();
        self.flush_packed();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Straight from the grammar.
    fn read(mut bytes: &[u8], width: u32, count: usize) -> Vec<u32> {
        let mut out = Vec::new();
        while out.len() < count {
            let mut header = 0_usize;
            for shift in (0..).step_by(7) {
                let byte = bytes[0];
                bytes = &bytes[1..];
                header |= usize::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    break;
                }
            }
            if header & 1 == 0 {
                let n = width.div_ceil(8) as usize;
                let mut value = [0; 4];
                value[..n].copy_from_slice(&bytes[..n]);
                bytes = &bytes[n..];
                out.extend(std::iter::repeat_n(u32::from_le_bytes(value), header >> 1));
            } else {
                let values = (header >> 1) * 8;
                for i in 0..values {
                    let value = (0..width as usize).fold(0, |v, b| {
                        let at = i * width as usize + b;
                        v | u32::from(bytes[at / 8] >> (at % 8) & 1) << b
                    });
                    out.push(value);
                }
                bytes = &bytes[values * width as usize / 8..];
            }
        }
        assert!(bytes.is_empty());
        out.truncate(count);
        out
    }

    proptest! {
        #[test]
        fn reads_back(width in 0_u32..=32, runs in prop::collection::vec((any::<u32>(), 1_usize..40), 0..60)) {
            let mask = if width == 32 { u32::MAX } else { (1 << width) - 1 };
            let mut bytes = Vec::new();
            let mut writer = RleWriter::new(width, &mut bytes);
            let mut values = Vec::new();
            for (value, count) in runs {
                let value = value & mask;
                if count % 2 == 0 { writer.put_run(value, count) } else { (0..count).for_each(|_| writer.put(value)) }
                values.extend(std::iter::repeat_n(value, count));
            }
            writer.finish();
            prop_assert_eq!(read(&bytes, width, values.len()), values);
        }
    }
}
