//! Makes checksums good, so that what lies behind them is reached.

/// CRC-32C, the checksum in all files of a block.
pub(crate) fn crc32c(bytes: &[u8]) -> [u8; 4] {
    crc_fast::crc32_iscsi(bytes).to_be_bytes()
}

/// Writes the checksum of `start..end` behind it. Does nothing if the two do not fit into the bytes.
pub(crate) fn fix(bytes: &mut [u8], start: usize, end: usize) {
    let Some(checksum) = bytes.get(start..end).map(crc32c) else { return };
    if let Some(slot) = end.checked_add(4).and_then(|behind| bytes.get_mut(end..behind)) {
        slot.copy_from_slice(&checksum);
    }
}

/// A varint and its length.
pub(crate) fn uvarint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (i, &byte) in bytes.iter().enumerate().take(10) {
        if i == 9 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Some((value, i + 1));
        }
    }
    None
}

/// Appends a varint.
pub(crate) fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}
