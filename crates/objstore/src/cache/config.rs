//! The configuration of a cache, and its YAML in the style of Thanos' caching bucket.
//!
//! ```text
//! type: IN-MEMORY
//! config:
//!   max_size: 250MB           memory for subranges; MB and MiB both are 2^20 bytes, as Thanos reads them
//! subrange_size: 256KiB       what objects are cut into: 4 KiB to 8 MiB
//! metadata_size: 16MiB        memory for what is known of objects
//! attributes_ttl: 24h         how long an object is taken to be what it was
//! doesnt_exist_ttl: 0s        how long an absent key is remembered; 0s: not at all
//! iter_ttl: 0s                how long a listing of one level is remembered; 0s: not at all
//! disk:                       optional
//!   directory: /var/cache/shards
//!   max_size: 20GiB
//! ```
//! Every field may be left out, but for those of `disk`. Unknown ones are refused.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use super::disk;
use crate::{
    config::{
        IgnoredField, MAX_NODES,
        environment::{self, Lookup},
        text::{ByteSize, PromDuration},
    },
    error::{Error, Result},
};

/// How large a [`Cache`](super::Cache) is, and how long it believes what it was told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CacheConfig {
    /// Memory for subranges, in bytes, their management included; 0 keeps none.
    pub memory_bytes: u64,
    /// What objects are cut into: 4 KiB to 8 MiB.
    pub subrange_bytes: u64,
    /// Memory for what is known of objects, absent keys and listings, in bytes: at least 64 KiB.
    pub metadata_bytes: u64,
    /// How long an object is taken to be what it was. Must not be zero: it takes a request to learn more.
    pub attributes_ttl: Duration,
    /// How long a key that a `head` did not find is taken to be absent. Zero: not at all.
    pub absent_ttl: Duration,
    /// How long a listing of one level of keys is taken to be complete. Zero: not at all.
    pub listing_ttl: Duration,
    /// The tier behind the memory.
    pub disk: Option<DiskCacheConfig>,
}

/// The part of a cache that is on a local disk, and survives a restart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiskCacheConfig {
    /// A directory of its own, used by one cache at a time; created if missing.
    pub directory: PathBuf,
    /// Room for subranges, in bytes, counted in units of 4 KiB. The file system's own directories are not counted.
    pub max_bytes: u64,
}

/// 250 MiB of memory in subranges of 256 KiB, metadata in 16 MiB for a day, no absent keys, no listings, no disk.
impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            memory_bytes: 250 << 20,
            subrange_bytes: 256 << 10,
            metadata_bytes: 16 << 20,
            attributes_ttl: Duration::from_secs(24 * 3600),
            absent_ttl: Duration::ZERO,
            listing_ttl: Duration::ZERO,
            disk: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outer {
    r#type: Option<String>,
    config: Option<MemorySection>,
    subrange_size: Option<ByteSize>,
    metadata_size: Option<ByteSize>,
    attributes_ttl: Option<PromDuration>,
    doesnt_exist_ttl: Option<PromDuration>,
    iter_ttl: Option<PromDuration>,
    disk: Option<DiskSection>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemorySection {
    max_size: Option<ByteSize>,
    max_item_size: Option<ByteSize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DiskSection {
    directory: Option<String>,
    max_size: Option<ByteSize>,
}

impl DiskSection {
    fn check(self) -> Result<DiskCacheConfig> {
        let missing = |field: &str| Error::field(field, "is missing");
        let directory = self.directory.filter(|directory| !directory.is_empty());
        let directory: PathBuf = directory.ok_or_else(|| missing("disk.directory"))?.into();
        Ok(DiskCacheConfig {
            directory: std::path::absolute(&directory).unwrap_or(directory),
            max_bytes: self.max_size.ok_or_else(|| missing("disk.max_size"))?.0,
        })
    }
}

impl CacheConfig {
    /// Reads a configuration of at most 1 MiB; `environment` gives the variables that the text names as `$(NAME)`. Also
    /// gives the fields that have no effect, to be logged.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for malformed YAML, unknown fields, values that are wrong or
    /// make no sense and unset variables; [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for other types of
    /// cache; [`ErrorKind::LimitExceeded`](crate::ErrorKind::LimitExceeded) for a text that is too large.
    pub fn from_yaml(yaml: &str, environment: impl Fn(&str) -> Option<String>) -> Result<(Self, Vec<IgnoredField>)> {
        Self::parse(yaml, &environment).map_err(Error::about_cache)
    }

    fn parse(yaml: &str, variables: Lookup<'_>) -> Result<(Self, Vec<IgnoredField>)> {
        let outer: Outer = crate::yaml::parse(&environment::expand(yaml, variables)?, MAX_NODES)?;
        match outer.r#type.as_deref().unwrap_or_default().to_ascii_uppercase().as_str() {
            "IN-MEMORY" => {}
            "" => return Err(Error::field("type", "is missing: expected IN-MEMORY")),
            kind @ ("MEMCACHED" | "REDIS" | "GROUPCACHE") => {
                let advice = "use type IN-MEMORY, and disk for what is to survive a restart";
                return Err(Error::unsupported(format!("type {kind}"), advice));
            }
            _ => return Err(Error::field("type", "is not known: expected IN-MEMORY")),
        }
        let memory = outer.config.unwrap_or_default();
        let mut ignored = Vec::new();
        if memory.max_item_size.is_some() {
            let (field, reason) = ("config.max_item_size".to_owned(), "items are subranges, see subrange_size");
            ignored.push(IgnoredField { field, reason });
        }
        let disk = outer.disk.map(DiskSection::check).transpose()?;
        let default = Self::default();
        let size = |size: Option<ByteSize>, default| size.map_or(default, |size| size.0);
        let ttl = |ttl: Option<PromDuration>, default| ttl.map_or(default, |ttl| ttl.0);
        let config = Self {
            memory_bytes: size(memory.max_size, default.memory_bytes),
            subrange_bytes: size(outer.subrange_size, default.subrange_bytes),
            metadata_bytes: size(outer.metadata_size, default.metadata_bytes),
            attributes_ttl: ttl(outer.attributes_ttl, default.attributes_ttl),
            absent_ttl: ttl(outer.doesnt_exist_ttl, default.absent_ttl),
            listing_ttl: ttl(outer.iter_ttl, default.listing_ttl),
            disk,
        };
        config.check()?;
        Ok((config, ignored))
    }

    /// Refuses what makes no sense, by the names of the YAML.
    pub(super) fn check(&self) -> Result<()> {
        let problem = |field: &str, problem: &str| Err(Error::field(field, problem).about_cache());
        if !(4 << 10..=8 << 20).contains(&self.subrange_bytes) {
            return problem("subrange_size", "is not between 4 KiB and 8 MiB");
        }
        if self.metadata_bytes < 64 << 10 {
            return problem("metadata_size", "is below 64 KiB");
        }
        if self.attributes_ttl.is_zero() {
            return problem("attributes_ttl", "is zero, with which nothing would ever be found in the cache");
        }
        match &self.disk {
            Some(disk) if disk.max_bytes < disk::min_bytes(self.subrange_bytes) => {
                problem("disk.max_size", "has no room for a single subrange")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn parse(yaml: &str) -> Result<(CacheConfig, Vec<IgnoredField>)> {
        CacheConfig::from_yaml(yaml, |name| (name == "DIR").then(|| "/cache".to_owned()))
    }

    #[test]
    fn everything_and_nothing() {
        assert_eq!(parse("type: in-memory\n").unwrap(), (CacheConfig::default(), vec![]));
        let yaml = "type: IN-MEMORY
config: {max_size: 1GB, max_item_size: 125MB}
subrange_size: 64KiB
metadata_size: 1048576
attributes_ttl: 1h30m
doesnt_exist_ttl: 15s
iter_ttl: 5m
disk: {directory: $(DIR)/shards, max_size: 2TiB}
";
        let (config, ignored) = parse(yaml).unwrap();
        let expected = CacheConfig {
            memory_bytes: 1 << 30,
            subrange_bytes: 64 << 10,
            metadata_bytes: 1 << 20,
            attributes_ttl: Duration::from_secs(5400),
            absent_ttl: Duration::from_secs(15),
            listing_ttl: Duration::from_secs(300),
            disk: Some(DiskCacheConfig { directory: "/cache/shards".into(), max_bytes: 2 << 40 }),
        };
        assert_eq!(config, expected);
        assert_eq!(ignored.iter().map(|f| &*f.field).collect::<Vec<_>>(), ["config.max_item_size"]);
    }

    #[test]
    fn refused_with_the_name_of_the_field() {
        use ErrorKind::{Invalid, Unsupported};
        for (yaml, kind, part) in [
            ("", Invalid, "type is missing"),
            ("config: {max_size: 1MB}", Invalid, "type is missing"),
            ("type: FIFO", Invalid, "type is not known"),
            ("type: memcached", Unsupported, "type MEMCACHED"),
            ("type: REDIS\nconfig: {}", Unsupported, "IN-MEMORY"),
            ("type: IN-MEMORY\nmax_size: 1MB", Invalid, "max_size"),
            ("type: IN-MEMORY\nconfig: {max_sise: 1MB}", Invalid, "max_sise"),
            ("type: IN-MEMORY\nconfig: {max_size: 1 MB}", Invalid, "line 2"),
            ("type: IN-MEMORY\nconfig: {max_size: -1}", Invalid, "line 2"),
            ("type: IN-MEMORY\nconfig: {max_size: 16777216TB}", Invalid, "line 2"),
            ("type: IN-MEMORY\nsubrange_size: 4095", Invalid, "subrange_size"),
            ("type: IN-MEMORY\nsubrange_size: 9MB", Invalid, "subrange_size"),
            ("type: IN-MEMORY\nmetadata_size: 1KB", Invalid, "metadata_size"),
            ("type: IN-MEMORY\nattributes_ttl: 0s", Invalid, "attributes_ttl"),
            ("type: IN-MEMORY\niter_ttl: 5", Invalid, "line 2"),
            ("type: IN-MEMORY\ndisk: {directory: /d}", Invalid, "disk.max_size"),
            ("type: IN-MEMORY\ndisk: {max_size: 1GB}", Invalid, "disk.directory"),
            ("type: IN-MEMORY\ndisk: {directory: /d, max_size: 1GB, fsync: true}", Invalid, "fsync"),
            ("type: IN-MEMORY\ndisk: {directory: /d, max_size: 100KB}", Invalid, "disk.max_size"),
            ("type: IN-MEMORY\ndisk: {directory: $(NOPE), max_size: 100KB}", Invalid, "NOPE"),
        ] {
            let error = parse(yaml).unwrap_err();
            let shown = error.to_string();
            assert_eq!(error.kind(), kind, "{yaml}: {shown}");
            assert!(shown.contains(part) && shown.starts_with("cache configuration"), "{yaml}: {shown}");
        }
    }
}
