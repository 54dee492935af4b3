//! Answers selects and questions for labels from Parquet shards, straight from a bucket.
//!
//! A question goes through stages, each of which plans what it reads as ranges of bytes, reads them together, and decodes
//! them on rayon's threads:
//!
//! 1. **Search** (`search`, `prune`): matchers become one constraint for each label, constraints become ranges of rows.
//! 2. **Labels** (`labels`): row indexes say which columns the rows use; labels stay dictionary codes until they are given.
//! 3. **Chunks** (`windows`, `select`): all pages to be read are planned, then read and given window by window, the next
//!    one while the last one is taken.
//!
//! Needs a Tokio runtime. Nothing here knows PromQL or a server.

mod cache;
mod compute;
mod constraint;
mod error;
mod explain;
mod labels;
mod observe;
mod options;
mod presence;
mod prune;
mod querier;
mod question;
mod quota;
mod row_memory;
mod rows;
mod search;
mod select;
mod strings;
mod windows;

pub use cache::RowCache;
pub use error::{Error, ErrorKind, Result};
pub use explain::{ConstraintExplain, Explain, ReadExplain, RowGroupExplain, ShardExplain, Stage};
pub use observe::{Observation, Observe, Operation};
pub use options::{Limits, Options, Pruning, ReadCosts};
pub use querier::{ParquetQuerier, ParquetQueryable, ShardSource};
pub use quota::Quota;
pub use rows::RowRanges;
