//! How to query.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};

use promparquet_objstore::Bucket;
use promparquet_shard::Coalescing;

/// How a [`ParquetQueryable`](crate::ParquetQueryable) works. The default is right for most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What one select, or one question for label names or values, may take.
    pub limits: Limits,
    /// Shards and row groups that one question works on at the same time.
    pub concurrency: NonZeroUsize,
    /// Bytes of chunk pages, as they are in the file, that are read at once. Up to three times as much is under way for
    /// each shard, and as much again after decompression.
    pub window_bytes: NonZeroU64,
    /// Most series that come at once.
    pub window_series: NonZeroU32,
    /// Memory for the rows of one question, from when they are found until series are made of them: some 20 bytes for each and four
    /// for each of its labels. Larger answers fail.
    pub row_bytes: NonZeroU64,
    /// What reading costs. By default, what is usual for the bucket.
    pub read_costs: Option<ReadCosts>,
    /// Whether to honour projections.
    pub honor_projection: bool,
    /// Which ways of sparing reads are used. Answers do not depend on it.
    pub pruning: Pruning,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            concurrency: NonZeroUsize::new(16).unwrap_or(NonZeroUsize::MIN),
            window_bytes: NonZeroU64::new(8 << 20).unwrap_or(NonZeroU64::MIN),
            window_series: NonZeroU32::new(8192).unwrap_or(NonZeroU32::MIN),
            row_bytes: NonZeroU64::new(512 << 20).unwrap_or(NonZeroU64::MIN),
            read_costs: None,
            honor_projection: true,
            pruning: Pruning::default(),
        }
    }
}

/// What one question may take; `None` is unlimited.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Rows of a select, in all shards together.
    pub rows: Option<NonZeroU64>,
    /// Rows whose names of labels are asked for, if there are matchers.
    pub label_name_rows: Option<NonZeroU64>,
    /// Rows whose values of a label are asked for, if there are matchers.
    pub label_value_rows: Option<NonZeroU64>,
    /// Bytes of chunk pages, as they are in the files.
    pub chunk_bytes: Option<NonZeroU64>,
    /// Bytes of pages of all columns, as they are in the files.
    pub data_bytes: Option<NonZeroU64>,
    /// Series in the answer, counted in each shard.
    pub series: Option<NonZeroU64>,
    /// Samples in the chunks of the answer, as their headers say.
    pub samples: Option<NonZeroU64>,
    /// Shards that are asked.
    pub shards: Option<NonZeroU64>,
}

/// What reading costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadCosts {
    /// How ranges are joined.
    pub coalescing: Coalescing,
    /// Bytes that could be read in the time that one round trip takes.
    pub round_trip_bytes: u64,
}

impl ReadCosts {
    /// Files of this machine.
    pub const LOCAL: Self = Self { coalescing: Coalescing::LOCAL, round_trip_bytes: 64 << 10 };
    /// A service: some 20 ms to the first byte, then 80 MB/s.
    pub const REMOTE: Self = Self { coalescing: Coalescing::REMOTE, round_trip_bytes: 1 << 20 };

    /// What is usual for the bucket.
    #[must_use]
    pub fn of(bucket: &Bucket) -> Self {
        match bucket.local_path("") {
            Ok(Some(_)) => Self::LOCAL,
            _ => Self::REMOTE,
        }
    }
}

/// Ways of sparing reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Pruning {
    /// Bounds and absent values of pages, from the column index.
    pub bounds: bool,
    /// Bloom filters.
    pub bloom_filters: bool,
    /// Looking wanted values up in the dictionary before codes are decoded.
    pub dictionaries: bool,
    /// Reading the labels that are cheap to read first, and the others only for rows that are left.
    pub stages: bool,
}

impl Pruning {
    /// None: everything is read.
    pub const NONE: Self = Self { bounds: false, bloom_filters: false, dictionaries: false, stages: false };
}

impl Default for Pruning {
    /// All.
    fn default() -> Self {
        Self { bounds: true, bloom_filters: true, dictionaries: true, stages: true }
    }
}
