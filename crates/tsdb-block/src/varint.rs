//! Go's variable-length integers, as chunk segments and tombstones use them: groups of 7 bits, the lowest first, the
//! top bit set in all bytes but the last; signed values zigzag.

/// Longest encoding of a `u64`.
pub(crate) const MAX_LEN: usize = 10;

/// Decodes an unsigned integer at the start of `bytes` and gives its length too; `None` if it is cut short or
/// overflows 64 bits.
pub(crate) fn decode_unsigned(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (i, byte) in bytes.iter().take(MAX_LEN).enumerate() {
        let shift = i.checked_mul(7)?;
        let group = u64::from(byte & 0x7f);
        let shifted = group.checked_shl(u32::try_from(shift).ok()?)?;
        if shifted >> shift != group {
            return None;
        }
        value |= shifted;
        if byte & 0x80 == 0 {
            return Some((value, i.checked_add(1)?));
        }
    }
    None
}

/// Decodes a signed integer likewise.
pub(crate) fn decode_signed(bytes: &[u8]) -> Option<(i64, usize)> {
    let (zigzag, length) = decode_unsigned(bytes)?;
    Some(((zigzag >> 1).cast_signed() ^ (zigzag & 1).cast_signed().wrapping_neg(), length))
}

/// Appends an unsigned integer.
pub(crate) fn encode_unsigned(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [group, ..] = (value & 0x7f).to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(group);
            return;
        }
        out.push(group | 0x80);
    }
}

/// Appends a signed integer.
pub(crate) fn encode_signed(out: &mut Vec<u8>, value: i64) {
    encode_unsigned(out, (value << 1 ^ value >> 63).cast_unsigned());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn limits() {
        for bad in
            [&[][..], &[0x80], &[0xff; 9], &[0xff; 10], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]]
        {
            assert_eq!(decode_unsigned(bad), None, "{bad:?}");
        }
        assert_eq!(
            decode_unsigned(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 7]),
            Some((u64::MAX, 10))
        );
        assert_eq!(decode_unsigned(&[0x80, 0]), Some((0, 2)));
        assert_eq!(decode_signed(&[3]), Some((-2, 1)));
        assert_eq!(decode_signed(&[4]), Some((2, 1)));
    }

    proptest! {
        #[test]
        fn round_trip(value: u64, shift in 0..64_u32) {
            let value = value >> shift;
            let mut bytes = Vec::new();
            encode_unsigned(&mut bytes, value);
            encode_signed(&mut bytes, value.cast_signed());
            let (first, length) = decode_unsigned(&bytes).unwrap();
            prop_assert_eq!(first, value);
            prop_assert_eq!(decode_signed(&bytes[length..]), Some((value.cast_signed(), bytes.len() - length)));
        }
    }
}
