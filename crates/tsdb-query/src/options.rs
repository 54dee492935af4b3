//! How a block is asked.

use std::num::NonZeroUsize;

/// Limits of one select, and how much it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockQueryOptions {
    /// Most series that an answer may have; none for any number.
    pub max_series: Option<usize>,
    /// Most bytes of chunks that an answer may have, as they are stored; none for any number.
    pub max_chunk_bytes: Option<u64>,
    /// Most series of a window.
    pub window_series: NonZeroUsize,
    /// About how many bytes of chunks a window has, unless one series has more.
    pub window_bytes: u64,
}

impl Default for BlockQueryOptions {
    /// No limits; windows of 512 series or about 4 MiB.
    fn default() -> Self {
        const SERIES: NonZeroUsize = NonZeroUsize::new(512).expect("512 > 0");
        Self { max_series: None, max_chunk_bytes: None, window_series: SERIES, window_bytes: 4 << 20 }
    }
}
