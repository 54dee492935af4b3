//! Which Parquet shards a bucket holds, opened and kept up to date, as one store of series.
//!
//! [`Catalog`] looks through a bucket with one listing at a time, opens the shards of new sets, keeps those that it has,
//! and lets go of those that are gone. What it knows at one time is a [`Snapshot`], which answers queries: a
//! [`Queryable`](prometheus_queryable::Queryable). A set that cannot be read is part of the snapshot, too: queries of its
//! times fail, or their answers say what they lack. Sets are blocks or days of streams, as the bucket has them.
//!
//! For a look at a bucket that is read once there are [`discover_shard_sets`] and [`open_shard_sets`], by the same
//! listing.

mod catalog;
mod error;
mod layout;
mod listing;
mod shard_cache;
mod shard_sets;
mod snapshot;

pub use catalog::{Catalog, CatalogOptions, SyncReport};
pub use error::{Error, ErrorKind, Result};
pub use shard_sets::{ShardSets, discover_shard_sets, open_shard_sets, shard_set};
pub use snapshot::{SetInfo, SetState, Snapshot};
