//! Prometheus TSDB blocks to Parquet shards, and back.

mod error;
mod output;
mod parquet_file;

pub use error::{Error, ErrorKind};
pub use parquet_file::{Compression, ZstdLevel};
