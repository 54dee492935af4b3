//! What a conversion did.

use std::time::Duration;

/// Counts of what was read and written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ChunkCounts {
    /// Samples written.
    pub samples: u64,
    /// Chunks that went through as bytes.
    pub passed_through: u64,
    /// Chunks of the source that had to be decoded.
    pub decoded: u64,
    /// Chunks that were encoded from decoded ones.
    pub encoded: u64,
    /// Chunks of the source that were left out as copies of another.
    pub duplicates: u64,
    /// Bytes of chunk data read.
    pub bytes_in: u64,
}

/// One shard that was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ShardReport {
    /// Series, one row each.
    pub series: u64,
    /// Row groups.
    pub row_groups: u32,
    /// Label columns.
    pub label_columns: u32,
    /// Size of the labels file in bytes.
    pub labels_bytes: u64,
    /// Size of the chunks file in bytes.
    pub chunks_bytes: u64,
}

/// What a conversion did.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Report {
    /// The shards, in order. None if no series has a sample in the time range: then nothing was written.
    pub shards: Vec<ShardReport>,
    /// What became of the chunks.
    pub chunks: ChunkCounts,
    /// Series of the source, in all blocks.
    pub series_in: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// Most memory that the process has held resident so far, in bytes, where the system tells.
    pub peak_memory_bytes: Option<u64>,
}

impl Report {
    /// Series written.
    #[must_use]
    pub fn series(&self) -> u64 {
        self.shards.iter().map(|shard| shard.series).sum()
    }

    /// Bytes written.
    #[must_use]
    pub fn bytes_out(&self) -> u64 {
        self.shards.iter().map(|shard| shard.labels_bytes + shard.chunks_bytes).sum()
    }
}

/// Most memory that this process has held resident, in bytes: `VmHWM` of Linux' `/proc/self/status`.
pub(crate) fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
