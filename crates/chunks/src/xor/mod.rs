//! XOR: floats, Prometheus' default encoding.
//!
//! ```text
//! chunk   = count:u16 varint(t0) bits64(v0) [ uvarint(t1 - t0) value { dod value } ]    fields of bits, no padding
//! dod     = 0                  the difference of timestamps is that of the sample before
//!         | 10 bits14 | 110 bits17 | 1110 bits20      it changes by this much
//!         | 1111 bits64
//! value   = 0                  the same value again
//!         | 10 bits            xor with the value before, the bits inside the window given last
//!         | 11 leading:bits5 width:bits6 bits         likewise, in a new window; width 0 stands for 64
//! ```
//!
//! `count` is big-endian. A dod of `n < 64` bits is in the range `-(2^(n-1) - 1)..=2^(n-1)`, in milliseconds. Timestamps
//! wrap around at 64 bits. A writer clamps `leading` to 31 and keeps a window as long as the bits fit into it, however
//! wide it is. A reader takes the whole 64 bits as the first window, as Prometheus does, and ignores what follows the
//! last sample.

mod reader;
mod window;
mod writer;

pub use reader::XorDecoder;
pub(crate) use window::{Window, read_xor, write_changed, write_xor};
pub use writer::XorEncoder;
