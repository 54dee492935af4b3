//! One Parquet shard, opened for reading: footers, page indexes, pages, rows.
//!
//! - [`Shard`]: both files' footers, read and checked; [`ShardFile`] says where columns and pages lie.
//! - [`ReadPlan`] and [`ColumnChunk`]: some pages of some columns, planned as data, read together, decoded anywhere.
//! - [`RowScan`]: all rows in the order of the file, with bounded memory.
//!
//! Inside, three things are kept apart: which bytes to read (`plan`, `footer`), reading them (`fetch`), and decoding them
//! (`column`, `page`, `delta`, `hybrid`, `labels`, `values`). Only reading is asynchronous.
//!
//! Files may come from anywhere: everything is checked, no length is believed before memory is reserved, and no input
//! makes the crate panic.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::cast_possible_truncation)
)]

mod column;
mod delta;
mod dictionaries;
mod error;
mod fetch;
mod file;
mod footer;
mod hybrid;
mod labels;
mod marker;
mod page;
mod plan;
mod scan;
mod shard;
mod shard_set;
mod thrift;
mod values;

pub use column::{ABSENT, BloomFilter, ColumnChunk, PageBounds};
pub use error::{Error, ErrorKind, Result};
pub use fetch::{Coalescing, FileKind, ReadBytes, ReadPlan, ReadSlot};
pub use file::{Page, ShardFile};
pub use marker::Marker;
pub use page::PageDecoder;
pub use scan::{RowBatch, RowScan, ScanOptions};
pub use shard::{Limits, OpenOptions, Shard};
pub use shard_set::ShardSet;
pub use values::{Dictionary, ValuePage};
