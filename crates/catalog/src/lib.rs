//! Which Parquet shards a bucket holds, opened and kept up to date, as one store of series.
//!
//! [`Catalog`] looks through a bucket with one listing at a time, opens the shards of new sets, keeps those that it has,
//! and lets go of those that are gone. What it knows at one time is a [`Snapshot`], which answers queries: a
//! [`Queryable`](prometheus_queryable::Queryable). A set that cannot be read is part of the snapshot, too: queries of its
//! times fail, or their answers say what they lack. Sets are blocks or days of streams, as the bucket has them.
//!
//! Whoever reads a bucket once makes a catalog, too, and syncs it once; [`CatalogOptions::sets`] says which sets it is about.

mod catalog;
mod error;
mod layout;
mod listing;
mod shard_cache;
mod snapshot;

pub use catalog::{Catalog, CatalogOptions, SyncReport};
pub use error::{Error, ErrorKind, Result};
pub use snapshot::{SetInfo, SetState, Snapshot};
