//! The tight loop in which both float encodings are decoded in bulk.
//!
//! It knows only samples as they commonly are: what is rare (wide changes of the interval, stale markers, windows that
//! make no sense, the end of the data) stops it, and the readers decode that one sample in their ordinary way. So nothing
//! is called in the loop, and its state stays in registers.
//!
//! Two decisions make it fast. Each sample is decoded from 16 bytes loaded at its own offset, with one check of bounds.
//! And the reuse of a window is a branch, with code of its own: the offset of the next sample then depends on the
//! *predicted* width rather than on a load, so that several samples overlap. Without branches it takes 1.3 to 3 times as
//! long (see `benches/record/chunk_decode.md`).
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "bit offsets are below eight times a slice's length plus the longest sample, shifts below 64; timestamps \
              wrap explicitly"
)]

use prometheus_model::TimestampMs;

use crate::xor::Window;

/// How many bytes a sample is decoded from: more than the longest common one has, wherever in a byte it begins.
const BLOCK: usize = 16;

/// How many samples are written at once in a run of the shortest ones.
const RUN: usize = 8;

/// What the next sample depends on, if that is a common one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    /// Bit offset of the next sample.
    pub(crate) at: usize,
    pub(crate) timestamp: TimestampMs,
    /// Difference of the last two timestamps; wraps around.
    pub(crate) delta: i64,
    /// What the next value is the xor with.
    pub(crate) value: u64,
    pub(crate) window: Window,
}

/// The code of an encoding's samples.
pub(crate) trait SampleCode {
    /// Length of the shortest sample, whose bits are zeros: same interval, same value.
    const MIN_BITS: usize;

    /// Decodes a sample, at least 57 of whose bits `word` has. None if it is not a common one.
    fn decode(block: Block<'_>, word: u64, cursor: Cursor) -> Option<Cursor>;
}

/// The bytes in which a sample begins.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    bytes: &'a [u8; BLOCK],
    /// Bits before the sample.
    skipped: u32,
}

impl Block<'_> {
    /// The first 64 bits.
    #[inline(always)]
    fn first(self) -> u64 {
        (u128::from_be_bytes(*self.bytes) >> 64) as u64
    }

    /// The 64 bits that begin `bits` after the sample does.
    #[inline(always)]
    fn after(self, bits: u32) -> u64 {
        (u128::from_be_bytes(*self.bytes) << ((self.skipped + bits) & 63) >> 64) as u64
    }
}

impl Cursor {
    /// Goes on by `bits`, and by the interval.
    #[inline(always)]
    pub(crate) fn same_value(mut self, bits: usize) -> Self {
        self.at += bits;
        self.timestamp = self.timestamp.wrapping_add(self.delta);
        self
    }

    /// Likewise; `bits` after the sample's begin, those inside the window follow.
    #[inline(always)]
    pub(crate) fn same_window(self, block: Block<'_>, bits: u32) -> Self {
        let mut next = self.same_value(bits as usize + self.window.width() as usize);
        next.value ^= self.window.place(block.after(bits));
        next
    }

    /// Likewise, but the bounds of a new window come first, at the top of `word`. None if it is wider than a word.
    #[inline(always)]
    pub(crate) fn new_window(mut self, block: Block<'_>, word: u64, bits: u32) -> Option<Self> {
        self.window = Window::from_stored(word >> 59, word >> 53 & 0x3f)?;
        Some(self.same_window(block, bits + 11))
    }
}

/// Decodes samples to the slices, which are equally long, until they are full or a sample comes that is not a common
/// one or passes the end of the data. Returns how many; the cursor is then at the next one.
#[inline(always)]
pub(crate) fn decode_common<C: SampleCode>(
    data: &[u8],
    cursor: &mut Cursor,
    timestamps: &mut [TimestampMs],
    values: &mut [f64],
) -> usize {
    let done = decode_blocks::<C, false>(data, data.len() * 8, cursor, timestamps, values);
    // The last few bytes, from where they are followed by zeros.
    let byte = cursor.at / 8;
    let (Some(rest), Some(timestamps), Some(values)) =
        (data.get(byte..), timestamps.get_mut(done..), values.get_mut(done..))
    else {
        return done;
    };
    let mut tail = [0; 2 * BLOCK];
    if rest.len() >= BLOCK || timestamps.is_empty() {
        return done;
    }
    tail.iter_mut().zip(rest).for_each(|(to, &from)| *to = from);
    cursor.at -= byte * 8;
    let more = decode_blocks::<C, true>(&tail, rest.len() * 8, cursor, timestamps, values);
    cursor.at += byte * 8;
    done + more
}

/// As [`decode_common`], but stops where fewer bytes than a block are left. `end` is how many bits of the data may be
/// used; `TAIL` says that this is less than there are, so that it is to be checked.
#[inline(always)]
fn decode_blocks<C: SampleCode, const TAIL: bool>(
    data: &[u8],
    end: usize,
    cursor: &mut Cursor,
    timestamps: &mut [TimestampMs],
    values: &mut [f64],
) -> usize {
    let mut done = 0;
    while let (Some(timestamps), Some(values)) = (timestamps.get_mut(done..), values.get_mut(done..)) {
        let run = decode_run::<C>(data, end, cursor, timestamps, values);
        let (Some(timestamps), Some(values)) = (timestamps.get_mut(run..), values.get_mut(run..)) else { break };
        let singles = decode_singly::<C, TAIL>(data, end, cursor, timestamps, values);
        done += run + singles;
        if run + singles == 0 {
            break;
        }
    }
    done
}

/// Decodes the shortest samples as long as there are many.
#[inline(always)]
fn decode_run<C: SampleCode>(
    data: &[u8],
    end: usize,
    cursor: &mut Cursor,
    timestamps: &mut [TimestampMs],
    values: &mut [f64],
) -> usize {
    let mut slots = timestamps.chunks_exact_mut(RUN).zip(values.chunks_exact_mut(RUN));
    let mut done = 0;
    while cursor.at + RUN * C::MIN_BITS <= end
        && let Some((_, word)) = block(data, *cursor)
        && is_run::<C>(word)
        && let Some((timestamps, values)) = slots.next()
    {
        for timestamp in timestamps {
            cursor.timestamp = cursor.timestamp.wrapping_add(cursor.delta);
            *timestamp = cursor.timestamp;
        }
        values.fill(f64::from_bits(cursor.value));
        cursor.at += RUN * C::MIN_BITS;
        done += RUN;
    }
    done
}

/// Whether so many of the shortest samples follow that it is worth to decode them at once.
#[inline(always)]
fn is_run<C: SampleCode>(word: u64) -> bool {
    word >> (64 - RUN * C::MIN_BITS) == 0
}

/// Decodes samples one by one; stops before a run for which there is room, too.
#[inline(never)]
fn decode_singly<C: SampleCode, const TAIL: bool>(
    data: &[u8],
    end: usize,
    from: &mut Cursor,
    timestamps: &mut [TimestampMs],
    values: &mut [f64],
) -> usize {
    // A copy of which nobody else has the address, so that it is kept in registers.
    let mut cursor = *from;
    let Some(last_block) = data.len().checked_sub(BLOCK) else { return 0 };
    let no_runs_from = timestamps.len().saturating_sub(RUN - 1);
    let mut done = 0;
    for (timestamp, value) in timestamps.iter_mut().zip(values) {
        if cursor.at / 8 > last_block {
            break;
        }
        let Some((block, word)) = block(data, cursor) else { break };
        let next = if word >> (64 - C::MIN_BITS) == 0 {
            if is_run::<C>(word) && done < no_runs_from && (!TAIL || cursor.at + RUN * C::MIN_BITS <= end) {
                break;
            }
            cursor.same_value(C::MIN_BITS)
        } else {
            let Some(next) = C::decode(block, word, cursor) else { break };
            next
        };
        if TAIL && next.at > end {
            break;
        }
        cursor = next;
        (*timestamp, *value) = (cursor.timestamp, f64::from_bits(cursor.value));
        done += 1;
    }
    *from = cursor;
    done
}

/// The bytes in which the next sample begins, and at least 57 of its bits, at the top of a word. None if fewer bytes are
/// left.
#[inline(always)]
fn block(data: &[u8], cursor: Cursor) -> Option<(Block<'_>, u64)> {
    let bytes = data.get(cursor.at / 8..)?.first_chunk()?;
    let block = Block { bytes, skipped: cursor.at as u32 % 8 };
    Some((block, block.first() << block.skipped))
}
