//! Answers selects from Prometheus TSDB blocks, wherever they lie: [`BlockQueryable`].
//!
//! For data that has no Parquet shards yet. A block is read through its synchronous reader, on the threads that tokio keeps
//! for that; so stores of this crate must be asked within a tokio runtime.
//!
//! # How a select works
//!
//! 1. **Series** (`postings`). Matchers become postings lists: the cheapest first, intersected; those of negative matchers
//!    subtracted. A matcher that would cost more to look up than the series that are left is checked on their labels instead.
//! 2. **Windows** (`window`). Series are taken in windows, in order: entries in coalesced ranges, then the chunks in range of
//!    all of them. One window is read ahead. Chunks pass through as bytes; only those of a series that overlap each other or
//!    have deleted samples are decoded and encoded anew.

mod error;
mod names;
mod options;
mod postings;
mod queryable;
mod window;

pub use error::LimitExceeded;
pub use options::BlockQueryOptions;
pub use queryable::BlockQueryable;
