//! Reader (versions 1, 2 and 3) and writer (version 2) of the `index` file of a Prometheus TSDB block.
//!
//! The crate does no I/O of its own: readers take bytes and say which byte ranges they need, so that an index can be
//! read from memory, from a file or from an object store. It knows nothing of chunk segments or block directories.
//!
//! ```text
//! index  = magic(0xBAAAD700, u32) version(u8) symbols series [label indices] postings* [label offset table]
//!          postings table TOC
//! TOC    = 6 × section offset(u64) crc32c(u32)
//! ```
//!
//! Integers are big endian; checksums are CRC-32C. Zero padding may follow any section. The label indices and their
//! offset table are retired: Prometheus stopped writing them in 3.7, and nothing here reads them.
//!
//! # Which part to use
//!
//! - The whole index is in memory: [`IndexReader`].
//! - The index is far away: fetch the first [`Layout::HEAD_LEN`] and the last [`Layout::TAIL_LEN`] bytes, make a
//!   [`Layout`] of them (the cost does not depend on the number of series), then fetch the sections it names and give
//!   them to [`Symbols`], [`SeriesScanner`] with [`SeriesDecoder`], [`PostingsTable`] and [`Postings`].
//! - To write one: [`IndexWriter`].
//!
//! Labels are pairs of symbol ordinals throughout ([`LabelRef`]): symbols are sorted, so comparing ordinals compares
//! strings.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::cast_possible_truncation)
)]

mod checksum;
mod cursor;
mod error;
mod layout;
mod postings;
mod postings_table;
mod reader;
mod scanner;
mod series;
mod series_refs;
mod symbols;
mod writer;

pub use error::{Error, ErrorKind, Result};
pub use layout::{Layout, Version};
pub use postings::{Iter as PostingsIter, Postings};
pub use postings_table::PostingsTable;
pub use reader::{AllSeries, IndexReader};
pub use scanner::{ScanStep, SeriesScanner};
pub use series::{ChunkMeta, LabelRef, MAX_SERIES_ENTRY_LEN, SeriesDecoder, SeriesEntry, SeriesRef};
pub use series_refs::{SeriesRefs, SeriesRefsUnion};
pub use symbols::Symbols;
pub use writer::IndexWriter;
