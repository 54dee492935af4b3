//! Cortex' mark that a block is converted.
//!
//! ```text
//! <ULID>/parquet-converter-mark.json                          {"version":2,"shards":N}
//! parquet-markers/<ULID>-parquet-converter-mark.json          the same, where all marks can be listed at once
//! ```
//!
//! `shards` may be missing in old marks and means 1 then.

use bytes::Bytes;
use promparquet_objstore::{Bucket, ErrorKind};
use serde::{Deserialize, Serialize};
use snafu::ResultExt;
use ulid::Ulid;

use crate::error::{Detail, MarkerOf, Result};

/// A mark has about thirty bytes.
const MAX_BYTES: u64 = 64 << 10;

/// Says that all shards of a block are complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Marker {
    /// Version of the layout: 1 lacks the series hash, 2 has it.
    pub version: u32,
    /// How many shards there are; at least 1.
    #[serde(default = "one")]
    pub shards: u32,
}

const fn one() -> u32 {
    1
}

impl Marker {
    /// Its name in a block's directory.
    pub const FILE: &str = "parquet-converter-mark.json";
    /// Where copies of all marks lie.
    pub const DIRECTORY: &str = "parquet-markers";

    /// The mark for `shards` shards of the current layout.
    #[must_use]
    pub const fn new(shards: u32) -> Self {
        Self { version: promparquet_schema::LAYOUT_VERSION, shards }
    }

    /// Whether shards of this version can be read.
    #[must_use]
    pub const fn is_readable(&self) -> bool {
        self.version >= 1 && self.version <= promparquet_schema::LAYOUT_VERSION
    }

    /// The copy in [`DIRECTORY`](Self::DIRECTORY), then that in the block's directory.
    #[must_use]
    pub fn keys(block: Ulid) -> [String; 2] {
        [format!("{}/{block}-{}", Self::DIRECTORY, Self::FILE), format!("{block}/{}", Self::FILE)]
    }

    /// Reads the mark of a block, if it has one.
    ///
    /// # Errors
    /// If the bucket fails, or the mark is not the JSON that it should be.
    pub async fn read(bucket: &Bucket, block: Ulid) -> Result<Option<Self>> {
        let [_, key] = Self::keys(block);
        match bucket.get(&key, MAX_BYTES).await {
            Ok(bytes) => {
                let marker: Self = serde_json::from_slice(&bytes).context(MarkerOf { key })?;
                Ok(Some(Self { shards: marker.shards.max(1), ..marker }))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads one of the copies and gives the number of shards, if it says one.
    ///
    /// # Errors
    /// If the bucket fails, or there is none, or it is not the JSON that it should be;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) if it is of a later version of the layout.
    pub async fn read_shards(bucket: &Bucket, key: &str) -> Result<Option<u32>> {
        #[derive(Deserialize)]
        struct Text {
            version: u32,
            shards: Option<u32>,
        }
        let bytes = bucket.get(key, MAX_BYTES).await?;
        let text: Text = serde_json::from_slice(&bytes).context(MarkerOf { key })?;
        if !(Self { version: text.version, shards: 1 }).is_readable() {
            return Err(
                Detail::NewerLayout { bucket: bucket.to_string(), key: key.to_owned(), version: text.version }.into()
            );
        }
        Ok(text.shards.filter(|shards| *shards > 0))
    }

    /// Writes both copies, the one that is read last.
    ///
    /// # Errors
    /// If the bucket fails. The block does not count as converted then.
    pub async fn write(&self, bucket: &Bucket, block: Ulid) -> Result<()> {
        let [global, local] = Self::keys(block);
        let bytes = Bytes::from(serde_json::to_vec(self).context(MarkerOf { key: &local })?);
        bucket.put(&global, bytes.clone()).await?;
        bucket.put(&local, bytes).await?;
        Ok(())
    }

    /// Removes both copies, the one that is read first. It is no error if there is none.
    ///
    /// # Errors
    /// If the bucket fails.
    pub async fn remove(bucket: &Bucket, block: Ulid) -> Result<()> {
        let [global, local] = Self::keys(block);
        for key in [local, global] {
            match bucket.delete(&key).await {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }
}
