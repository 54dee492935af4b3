//! `DELTA_BINARY_PACKED` for lengths.
//!
//! ```text
//! stream    := block_size miniblocks count first block*      uvarints; first zig-zag
//! block     := min_delta width{4} miniblock{4}               min_delta zig-zag; widths one byte each
//! miniblock := 32 values of `width` bits, little endian, each delta - min_delta
//! ```

use super::leb128::{put_uvarint, put_zigzag};

const BLOCK: usize = 128;
const MINIBLOCKS: usize = 4;
const MINIBLOCK: usize = BLOCK / MINIBLOCKS;

/// Appends `lengths`, which must all be below 2^31 so that deltas fit 32 bits.
pub(super) fn put_lengths(lengths: &[u32], out: &mut Vec<u8>) {
    put_uvarint(out, BLOCK as u64);
    put_uvarint(out, MINIBLOCKS as u64);
    put_uvarint(out, lengths.len() as u64);
    let first = lengths.first().copied().unwrap_or(0);
    put_zigzag(out, first.into());
    let mut previous = i64::from(first);
    let mut deltas = [0_i64; BLOCK];
    for block in lengths.get(1..).unwrap_or_default().chunks(BLOCK) {
        for (delta, &length) in deltas.iter_mut().zip(block) {
            *delta = i64::from(length) - previous;
            previous = length.into();
        }
        put_block(&mut deltas[..block.len()], out);
    }
}

fn put_block(deltas: &mut [i64], out: &mut Vec<u8>) {
    let min = deltas.iter().copied().min().unwrap_or(0);
    put_zigzag(out, min);
    let widths_at = out.len();
    out.extend([0; MINIBLOCKS]);
    for (i, miniblock) in deltas.chunks(MINIBLOCK).enumerate() {
        let all_bits = miniblock.iter().fold(0, |bits, delta| bits | (delta - min).cast_unsigned());
        let width = 64 - all_bits.leading_zeros();
        out[widths_at + i] = width as u8;
        // At most 7 bits wait in `buffer` when up to 32 more come in.
        let (mut buffer, mut filled) = (0_u64, 0);
        for value in
            miniblock.iter().map(|delta| (delta - min).cast_unsigned()).chain(std::iter::repeat(0)).take(MINIBLOCK)
        {
            buffer |= value << filled;
            filled += width;
            while filled >= 8 {
                out.push(buffer as u8);
                buffer >>= 8;
                filled -= 8;
            }
        }
        // 32 values of any width end at a byte border.
    }
}
