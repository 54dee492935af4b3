//! LEB128 integers as Go's `encoding/binary` writes them: at most ten bytes, signed ones zig-zag.

pub(crate) fn put_uvarint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push((v & 0x7f) as u8 | 0x80);
        v >>= 7;
    }
    out.push((v & 0x7f) as u8);
}

pub(crate) fn put_varint(out: &mut Vec<u8>, v: i64) {
    put_uvarint(out, ((v << 1) ^ (v >> 63)).cast_unsigned());
}

/// The value at the start of `bytes` and the bytes after it; `None` if it is cut off or longer than 64 bits.
pub(crate) fn uvarint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    let mut rest = bytes;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Some((value, rest));
        }
    }
    None
}

/// Likewise for a zig-zag value.
pub(crate) fn varint(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (v, rest) = uvarint(bytes)?;
    let sign = (v & 1).cast_signed().wrapping_neg();
    Some(((v >> 1).cast_signed() ^ sign, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn round_trips(u: u64, i: i64) {
            let mut out = Vec::new();
            put_uvarint(&mut out, u);
            put_varint(&mut out, i);
            let (u2, rest) = uvarint(&out).unwrap();
            let (i2, rest) = varint(rest).unwrap();
            prop_assert_eq!((u, i, rest.len()), (u2, i2, 0));
        }
    }

    #[test]
    fn refuses_overlong_and_truncated() {
        assert_eq!(uvarint(&[0xff; 10]), None);
        assert_eq!(uvarint(&[0x80]), None);
        assert_eq!(uvarint(&[]), None);
        assert_eq!(uvarint(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]).unwrap().0, u64::MAX);
    }
}
