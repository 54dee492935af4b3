//! Thanos-style object store configuration and what the workspace needs of a bucket.
//!
//! [`BucketConfig`] reads the YAML that Thanos, Cortex and their relatives use, refuses what it cannot honour, and opens
//! a [`Bucket`]. A bucket takes keys relative to its prefix, names itself in its errors, and gives exactly the bytes
//! asked for. [`Upload`] streams a large object with bounded memory. [`BlockInBucket`] lets the synchronous block reader
//! read a TSDB block from a bucket. A [`Cache`] keeps ranges of immutable objects in memory and on a local disk.
//!
//! ```
//! use promparquet_objstore::{BucketConfig, OpenFor};
//!
//! # let directory = tempfile::tempdir()?;
//! let yaml = "type: FILESYSTEM\nconfig:\n  directory: $(DATA_DIR)/bucket\nprefix: tenant-1\n";
//! # let data_dir = directory.path().to_str().map(str::to_owned);
//! let config = BucketConfig::from_yaml(yaml, |name| (name == "DATA_DIR").then(|| data_dir.clone()).flatten())?;
//! let bucket = config.open(OpenFor::Writing)?;
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! bucket.put("a/object", "text".into()).await?;
//! assert_eq!(bucket.get_range("a/object", 1..3).await?, "ex");
//! # Ok::<(), promparquet_objstore::Error>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod block;
mod bucket;
mod cache;
mod config;
mod error;
mod object;
mod sealed;
mod upload;
pub mod yaml;

pub use block::BlockInBucket;
pub use bucket::{Bucket, Listing};
pub use cache::{Cache, CacheConfig, CacheStatistics, DiskCacheConfig, TierStatistics};
pub use config::{BucketConfig, IgnoredField, OpenFor, process_environment};
pub use error::{Error, ErrorKind, Result};
pub use object::Object;
pub use upload::{DEFAULT_PART_SIZE, Upload};
