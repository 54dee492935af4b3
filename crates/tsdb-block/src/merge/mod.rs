//! Several blocks read as one: symbols, series and chunks merged.
//!
//! - [`MergedSymbols`]: one numbering of all blocks' symbols, so that labels of different blocks compare as integers.
//! - [`MergedSeries`]: the series of all blocks in label order, each once, with where it occurs.
//! - [`SeriesMerger`]: the chunks of one series; those that overlap are merged sample by sample.
//!
//! Where blocks hold a sample of one series for the same timestamp, the block that comes first in the order given
//! wins. Prometheus leaves open which one does.

mod chunks;
mod series;
mod symbols;
#[cfg(test)]
mod tests;

pub use chunks::{Borders, ChunkSource, MergeCounts, MergeOptions, MergedChunk, SeriesMerger};
pub use series::{MergedSeries, SeriesPart};
pub use symbols::MergedSymbols;
