//! Flags that name a bucket.

use promparquet_objstore::{Bucket, BucketConfig, OpenFor, process_environment};
use snafu::ResultExt;

use crate::{
    console,
    error::{Error, NoBucketSnafu, ReadConfigSnafu, TwoBucketsSnafu},
};

/// Where `--*.storage.prefix` directories lie.
pub(crate) const DATA_DIR: &str = ".data";

/// What one side of the command line says of its bucket.
#[derive(Debug, Default)]
pub(crate) struct BucketFlags<'a> {
    pub(crate) side: &'static str,
    pub(crate) config: Option<&'a str>,
    pub(crate) config_file: Option<&'a str>,
    pub(crate) storage_prefix: Option<&'a str>,
}

impl BucketFlags<'_> {
    pub(crate) fn open(&self, purpose: OpenFor) -> Result<Bucket, Error> {
        let side = self.side;
        let yaml = match (self.config, self.config_file, self.storage_prefix) {
            (Some(yaml), None, None) => yaml.to_owned(),
            (None, Some(path), None) => std::fs::read_to_string(path).context(ReadConfigSnafu { side, path })?,
            (None, None, Some(prefix)) => {
                let directory = std::path::Path::new(DATA_DIR).join(prefix);
                return Ok(BucketConfig::filesystem(directory).open(purpose)?);
            }
            (None, None, None) => return NoBucketSnafu { side }.fail(),
            _ => return TwoBucketsSnafu { side }.fail(),
        };
        let config = BucketConfig::from_yaml(&yaml, process_environment)?;
        for field in config.ignored() {
            console::note(&format!("--{side}.objstore-config: {field}"));
        }
        Ok(config.open(purpose)?)
    }
}
