//! The Parquet layout of Prometheus data: what a shard's two files are called, which columns they have, how their
//! cells are laid out. Written down for other languages in `schema-spec/` of the repository.
//!
//! A *shard* is two Parquet files with the same rows in the same order and the same row groups:
//!
//! ```text
//! <name>/<shard>.labels.parquet     l_<label>…  s_col_indexes  s_series_hash
//! <name>/<shard>.chunks.parquet     s_data_0  s_data_1 …
//! ```
//!
//! That is the layout which this workspace writes. `thanos-parquet-gateway` writes another one, which can be read too: shards
//! of a [`day`] with other names and [cells](day_cell). [`Layout`] is which of them a shard has; a row is the same in both.
//!
//! Each row is one series. [`Column`] names the columns and says how each is stored; [`DataColumns`] maps time to data
//! columns; [`cell`] is the content of a data column, [`row_index`] that of `s_col_indexes`.
//!
//! This crate is the only place that spells a column name, a metadata key or a cell layout. It knows nothing of
//! Parquet libraries: readers and writers translate [`Column`] into theirs.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::cast_possible_truncation)
)]

pub mod cell;
mod column;
pub mod day;
pub mod day_cell;
mod error;
mod footer;
mod layout;
pub mod row_index;
mod varint;

pub use column::{Column, Encoding, chunks_file, label_column_name, label_of_column, labels_file};
pub use error::{Error, ErrorKind};
pub use footer::{CHUNKS_SCHEMA_ROOT, DataColumns, LABELS_SCHEMA_ROOT};
pub use layout::Layout;

/// Version of [`Layout::Block`], as `schema-spec/` counts them.
///
/// Version 2 has `s_series_hash`; version 1, written before December 2025, lacks it and is otherwise the same.
pub const LAYOUT_VERSION: u32 = 2;

/// The cell of `s_series_hash`: the series' stable hash, big endian.
#[must_use]
pub const fn series_hash_cell(hash: u64) -> [u8; 8] {
    hash.to_be_bytes()
}
