//! What can be asked of a store of series, whatever it is made of: [`Queryable`], [`Querier`], [`SeriesSet`].
//!
//! A query engine is written against these traits, and stores implement them: it knows nothing of files, networks or
//! runtimes. A [`Querier`] is a view that stays the same for the whole query. A select gives a stream of [`Series`] in
//! label order; back-pressure is not polling, cancellation is dropping.
//!
//! An answer is complete or an error. A [`Warning`] says what a store that is made of others had to leave out, where the
//! caller allowed that.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod dedup;
mod error;
mod external_labels;
mod hints;
mod matcher;
mod memory;
mod merge;
mod querier;
mod relabelled;
mod series;

pub use dedup::{DedupAlgorithm, DedupQueryable};
pub use error::{Error, ErrorKind, Result};
pub use external_labels::ExternalLabelsQueryable;
pub use hints::{Grouping, LabelHints, Projection, SelectHints, Sharding};
pub use matcher::{MatchOp, Matcher};
pub use memory::MemoryQueryable;
pub use merge::{MergedQueryable, PartialResponse, merge_sets};
pub use prometheus_re2::Regex;
pub use querier::{LabelStrings, Querier, Queryable, SeriesSet, Warning};
pub use relabelled::{Relabelled, Relabelling};
pub use series::{Chunk, SampleColumns, Series, SeriesData};
