//! XOR2: floats with optional start timestamps.
//!
//! ```text
//! chunk   = count:u16 st_known:bit st_from:bits7 varint(t0) bits64(v0) [ varint(t0 - st0) ]
//!           [ uvarint(t1 - t0) value [start] { sample [start] } ]                fields of bits, no padding
//! sample  = 0                   same difference of timestamps, same value
//!         | 10 0 bits           same difference; xor with the value before, the bits inside the window given last
//!         | 10 1 window bits    likewise, in a new window
//!         | 110 bits13 value | 1110 bits20 value | 11110 bits64 value      the difference changes by this much
//!         | 11111               same difference, stale
//! value   = 0 | 10 bits | 110 window bits | 111 stale
//! window  = leading:bits5 width:bits6                                    width 0 stands for 64
//! start   = varbit
//! ```
//!
//! `count` is big-endian. The changes of the difference are in two's complement, in milliseconds; timestamps wrap around
//! at 64 bits. A stale marker is a code of its own: the xor of the next value is with the last one that was not stale
//! (at first 0). Windows are as in [`crate::xor`].
//!
//! Start timestamps: `st_known` says that the first sample has one. It is that of all samples before the one with index
//! `st_from`; without `st_known` it is 0, not known. `st_from` is 0 if that never changes, and at most 127: from that
//! sample on a writer stores start timestamps even if they do not change, as the header could not say where they begin to.
//! What is stored is the timestamp of the *previous* sample minus the start: for the sample `st_from` itself, for the
//! later ones the change of it.
//!
//! The prose document of the format is wrong on some of these points; this is what Prometheus' code does.

mod reader;
mod writer;

pub use reader::{FloatSample, Xor2Decoder};
pub use writer::Xor2Encoder;

/// Length of the count and the byte on start timestamps in front of the samples.
const HEADER_LEN: usize = 3;

/// Bit of the header's third byte: the first sample has a start timestamp.
const START_KNOWN: u8 = 0x80;

/// The header's other seven bits, and the last index that they can name.
const START_FROM_MASK: u8 = 0x7f;
