//! CRC-32C (Castagnoli), the checksum of every section.

use crate::error::{Error, Repr, Result};

/// Bytes of a stored checksum.
pub(crate) const LEN: usize = 4;

/// Checksum of `bytes`.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// Compares the checksum of `bytes` with the one stored behind them at file offset `offset`.
pub(crate) fn verify(what: &'static str, bytes: &[u8], stored: [u8; LEN], offset: u64) -> Result<()> {
    let (expected, found) = (u32::from_be_bytes(stored), crc32c(bytes));
    if expected == found { Ok(()) } else { Err(mismatch(what, offset, expected, found)) }
}

#[cold]
fn mismatch(what: &'static str, offset: u64, expected: u32, found: u32) -> Error {
    Repr::Checksum { what, offset, expected, found }.into()
}
