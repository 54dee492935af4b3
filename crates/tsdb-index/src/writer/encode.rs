//! Writing varints.

/// Appends what [`crate::cursor::Cursor`] reads.
pub(super) trait Encode {
    /// A varint of up to 64 bits.
    fn put_uvarint(&mut self, value: u64);
    /// A zigzag varint.
    fn put_varint(&mut self, value: i64);
}

impl Encode for Vec<u8> {
    fn put_uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            let [low, ..] = value.to_le_bytes();
            self.push(low | 0x80);
            value >>= 7;
        }
        let [low, ..] = value.to_le_bytes();
        self.push(low);
    }

    fn put_varint(&mut self, value: i64) {
        self.put_uvarint((value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned());
    }
}

/// Bytes of a varint.
pub(super) fn uvarint_len(value: u64) -> u64 {
    let bits = u64::from(u64::BITS.saturating_sub(value.leading_zeros())).max(1);
    bits.div_ceil(7)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cursor::Cursor;

    proptest! {
        #[test]
        fn reads_what_is_written(value: u64, shift in 0..64u32) {
            let value = value >> shift;
            let mut out = Vec::new();
            out.put_uvarint(value);
            prop_assert_eq!(out.len() as u64, uvarint_len(value));
            let mut c = Cursor::new(&out, 0);
            prop_assert_eq!((c.uvarint("").unwrap(), c.len()), (value, 0));

            let mut out = Vec::new();
            out.put_varint(value.cast_signed());
            let mut c = Cursor::new(&out, 0);
            prop_assert_eq!((c.varint("").unwrap(), c.len()), (value.cast_signed(), 0));
        }
    }
}
