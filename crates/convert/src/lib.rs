//! Prometheus TSDB blocks to Parquet shards, and back.

mod chunk_reads;
mod chunks_file;
mod control;
mod convert;
mod discover;
mod error;
mod export;
mod labels_file;
mod memory;
mod options;
mod output;
mod parquet_file;
mod report;
mod rows;
mod verify;

pub use control::{Control, Progress};
pub use convert::convert;
pub use discover::{Discovery, FoundBlock, discover, merge_groups, merged_ulid, open_block};
pub use error::{Error, ErrorKind};
pub use export::{ExportOptions, ExportReport, export_tsdb};
pub use options::Options;
pub use parquet_file::{Compression, ZstdLevel};
pub use report::{ChunkCounts, Report, ShardReport};
pub use verify::{VerifyOptions, VerifyReport, verify};
