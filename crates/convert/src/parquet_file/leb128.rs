//! Integers of variable length, as Parquet's encodings and Thrift's compact protocol have them.

/// Appends `v`, seven bits to a byte, lowest first.
pub(super) fn put_uvarint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push((v & 0x7f) as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

/// Appends `v` with its sign in the lowest bit.
pub(super) fn put_zigzag(out: &mut Vec<u8>, v: i64) {
    put_uvarint(out, ((v << 1) ^ (v >> 63)).cast_unsigned());
}
