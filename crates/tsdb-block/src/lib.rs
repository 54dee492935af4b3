//! Reader and writer of Prometheus TSDB blocks; several blocks read as one.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::cast_possible_truncation)
)]

mod error;
mod files;
mod merge;
mod meta;
mod reader;
mod runs;
mod segment;
mod tombstones;
mod varint;
mod writer;

pub use error::{Error, ErrorKind, Result};
pub use files::{BlockFile, BlockFiles, LocalBlock, MemoryBlock, check_range, segments_of_listing};
pub use merge::{
    Borders, ChunkSource, MergeCounts, MergeOptions, MergedChunk, MergedSeries, MergedSymbols, SeriesMerger, SeriesPart,
};
pub use meta::{
    BlockCompaction, BlockMeta, BlockParent, BlockStats, Downsample, HINT_FROM_OUT_OF_ORDER, HINT_FROM_SELECTED_SERIES,
    HINT_FROM_STALE_SERIES, MAX_META_BYTES, META_VERSION, ThanosFile, ThanosMeta,
};
pub use reader::{BlockReader, IndexStats, SeriesScan};
pub use runs::ReadOptions;
pub use segment::{ChunkPlan, ChunkReader, ChunkRef, ChunkRun, DEFAULT_SEGMENT_BYTES, RawChunk, SegmentWriter};
pub use tombstones::{Interval, Intervals, MAX_TOMBSTONES_BYTES, Tombstones};
pub use writer::{BlockChunk, BlockWriter, write_block};
