//! `meta.json`: what a block says of itself.
//!
//! A JSON object with the fields of [`BlockMeta`] under Prometheus' names; Thanos adds the object `thanos`. Prometheus
//! indents with tabs. Fields that this module does not know are kept and written again, after those that it knows.

use std::{collections::BTreeMap, fmt};

use prometheus_model::{TimeRange, TimestampMs};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};
use ulid::Ulid;

use crate::{
    error::{Detail, ErrorKind, Result},
    files::{BlockFile, BlockFiles},
};

/// Longest `meta.json` that is read, in bytes. The longest known, of blocks compacted from thousands, have about 1 MB.
pub const MAX_META_BYTES: u64 = 16 << 20;

/// The version that is written.
pub const META_VERSION: u32 = 1;

/// Hint: the block was made of out-of-order samples and may overlap others.
pub const HINT_FROM_OUT_OF_ORDER: &str = "from-out-of-order";
/// Hint: the block was made of stale series and may overlap others.
pub const HINT_FROM_STALE_SERIES: &str = "from-stale-series";
/// Hint: the block was made of a list of series that a caller chose, and may overlap others.
pub const HINT_FROM_SELECTED_SERIES: &str = "from-selected-series";

/// Content of `meta.json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockMeta {
    /// The block's identity.
    #[serde(with = "ulid_text")]
    pub ulid: Ulid,
    /// Start of the block's time range (inclusive), as stored; see [`time_range`](Self::time_range).
    pub min_time: TimestampMs,
    /// End of the block's time range (exclusive), as stored; see [`time_range`](Self::time_range).
    pub max_time: TimestampMs,
    /// How much the block holds, as its writer counted.
    #[serde(default, deserialize_with = "null_is_default")]
    pub stats: BlockStats,
    /// Where the block comes from.
    #[serde(default, deserialize_with = "null_is_default")]
    pub compaction: BlockCompaction,
    /// Version of the format: 1, or the mistaken 2 of blocks that an early release wrote.
    pub version: u32,
    /// What Thanos adds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thanos: Option<ThanosMeta>,
    /// Fields not known here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Counts of a block's contents.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockStats {
    /// All samples.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_is_default")]
    pub num_samples: u64,
    /// Float samples; 0 in blocks older than the field.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_is_default")]
    pub num_float_samples: u64,
    /// Native-histogram samples; 0 in blocks older than the field.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_is_default")]
    pub num_histogram_samples: u64,
    /// Series.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_is_default")]
    pub num_series: u64,
    /// Chunks.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_is_default")]
    pub num_chunks: u64,
    /// Deleted intervals.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_is_default")]
    pub num_tombstones: u64,
    /// Fields not known here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Where a block comes from.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct BlockCompaction {
    /// Number of compactions between the data's head block and this block.
    #[serde(deserialize_with = "null_is_default")]
    pub level: u32,
    /// The blocks cut from a head that went into this one.
    #[serde(with = "ulid_texts", skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Ulid>,
    /// The block came out empty and is to be deleted.
    #[serde(skip_serializing_if = "is_false", deserialize_with = "null_is_default")]
    pub deletable: bool,
    /// The blocks that were compacted into this one.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub parents: Vec<BlockParent>,
    /// A compaction of this block failed.
    #[serde(skip_serializing_if = "is_false", deserialize_with = "null_is_default")]
    pub failed: bool,
    /// Remarks such as [`HINT_FROM_OUT_OF_ORDER`], sorted.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub hints: Vec<String>,
    /// Fields not known here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A block that was compacted into another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockParent {
    /// Its identity.
    #[serde(with = "ulid_text")]
    pub ulid: Ulid,
    /// Start of its time range (inclusive).
    pub min_time: TimestampMs,
    /// End of its time range (exclusive).
    pub max_time: TimestampMs,
    /// Fields not known here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What Thanos adds to a block's meta.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct ThanosMeta {
    /// Version of this object; absent in old blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The external labels: every series of the block has them in addition to its own.
    #[serde(deserialize_with = "null_is_default")]
    pub labels: BTreeMap<String, String>,
    /// Downsampling.
    #[serde(deserialize_with = "null_is_default")]
    pub downsample: Downsample,
    /// Which component made the block.
    #[serde(deserialize_with = "null_is_default")]
    pub source: String,
    /// Names of the chunk segments.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub segment_files: Vec<String>,
    /// The block's files.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub files: Vec<ThanosFile>,
    /// Fields not known here, and those that the project has no use for.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// How a block was downsampled.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Downsample {
    /// Milliseconds between samples; 0 in blocks that are not downsampled.
    #[serde(deserialize_with = "null_is_default")]
    pub resolution: i64,
    /// Fields not known here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A file of a block as Thanos lists it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ThanosFile {
    /// Path within the block's directory.
    pub rel_path: String,
    /// Size in bytes; absent for `meta.json` itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// Fields not known here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl BlockMeta {
    /// A meta of a block that was compacted from nothing: level 1, its own source.
    #[must_use]
    pub fn new(ulid: Ulid, time_range: TimeRange, stats: BlockStats) -> Self {
        Self {
            ulid,
            min_time: time_range.start(),
            max_time: time_range.end(),
            stats,
            compaction: BlockCompaction { level: 1, sources: vec![ulid], ..BlockCompaction::default() },
            version: META_VERSION,
            thanos: None,
            extra: Map::new(),
        }
    }

    /// Reads and parses a block's `meta.json`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the block has none (it is incomplete), [`ErrorKind::LimitExceeded`] if it is longer
    /// than [`MAX_META_BYTES`], and those of [`parse`](Self::parse) and of the reads.
    pub fn read(files: &dyn BlockFiles) -> Result<Self> {
        let (location, file) = (files.location(), BlockFile::Meta);
        let size = files.size(file)?;
        if size > MAX_META_BYTES {
            return Err(Detail::TooLarge { location: location.into(), file, found: size, limit: MAX_META_BYTES }.into());
        }
        Self::parse(location, &files.read(file, 0..size)?)
    }

    /// Parses the bytes of a `meta.json`; `location` is the block's, for messages.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the bytes are no such JSON, with line and column; [`ErrorKind::Unsupported`] if the
    /// version is not 1 (or the mistaken 2).
    pub fn parse(location: &str, bytes: &[u8]) -> Result<Self> {
        let meta: Self = serde_json::from_slice(bytes).map_err(|source| Detail::Json {
            location: location.into(),
            file: BlockFile::Meta,
            line: source.line(),
            column: source.column(),
            source,
        })?;
        match meta.version {
            1 | 2 => Ok(meta),
            found => Err(Detail::Unsupported {
                location: location.into(),
                file: BlockFile::Meta,
                offset: 0,
                what: "version",
                found: found.to_string(),
            }
            .into()),
        }
    }

    /// The JSON as Prometheus lays it out, indented by tabs.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if serialisation fails, which it does for no value of this type.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let mut json = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let mut serializer = serde_json::Serializer::with_formatter(&mut json, formatter);
        self.serialize(&mut serializer)
            .map_err(|e| crate::Error::read(ErrorKind::Internal, self.ulid.to_string(), BlockFile::Meta, e))?;
        Ok(json)
    }

    /// The time range of the block's samples.
    ///
    /// A block with `maxTime == minTime` is read as holding that one millisecond: old tools wrote an inclusive
    /// `maxTime` for a block of a single timestamp, and the wider reading can lose no sample.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if `maxTime` is before `minTime`, or both are the greatest `i64`.
    pub fn time_range(&self) -> Result<TimeRange> {
        let end = if self.min_time == self.max_time { self.max_time.saturating_add(1) } else { self.max_time };
        TimeRange::new(self.min_time, end).map_err(|_| {
            Detail::Corrupt {
                location: self.ulid.to_string(),
                file: BlockFile::Meta,
                offset: 0,
                expected: format!("a maxTime after the minTime {}", self.min_time),
                found: self.max_time.to_string(),
            }
            .into()
        })
    }

    /// The external labels that Thanos gives to all series of the block; none if the block is not Thanos'.
    pub fn external_labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.thanos.iter().flat_map(|t| &t.labels).map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Milliseconds between samples if the block was downsampled: then its chunks hold aggregates.
    #[must_use]
    pub fn downsample_resolution_ms(&self) -> Option<i64> {
        self.thanos.as_ref().map(|t| t.downsample.resolution).filter(|resolution| *resolution > 0)
    }

    /// Whether the block carries this hint, such as [`HINT_FROM_OUT_OF_ORDER`].
    #[must_use]
    pub fn has_hint(&self, hint: &str) -> bool {
        self.compaction.hints.iter().any(|h| h == hint)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(b: &bool) -> bool {
    !*b
}

/// Go writes a nil slice or map as `null` and reads `null` as no change.
fn null_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Parses a ULID, in either case. The crate `ulid` lets a first character above 7 overflow 128 bits; that is refused.
pub(crate) fn parse_ulid(text: &str) -> Option<Ulid> {
    Ulid::from_string(text).ok().filter(|ulid| ulid.to_string().eq_ignore_ascii_case(text))
}

/// A ULID in JSON.
struct UlidText(Ulid);

impl<'de> Deserialize<'de> for UlidText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = UlidText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a ULID of 26 characters")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<UlidText, E> {
                parse_ulid(text).map(UlidText).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

impl Serialize for UlidText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

mod ulid_text {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Ulid, UlidText};

    pub(super) fn serialize<S: Serializer>(ulid: &Ulid, serializer: S) -> Result<S::Ok, S::Error> {
        UlidText(*ulid).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Ulid, D::Error> {
        Ok(UlidText::deserialize(deserializer)?.0)
    }
}

mod ulid_texts {
    use super::{Deserialize, Deserializer, Serializer, Ulid, UlidText};

    pub(super) fn serialize<S: Serializer>(ulids: &[Ulid], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(ulids.iter().map(|ulid| UlidText(*ulid)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Ulid>, D::Error> {
        let texts = Option::<Vec<UlidText>>::deserialize(deserializer)?;
        Ok(texts.unwrap_or_default().into_iter().map(|text| text.0).collect())
    }
}

#[cfg(test)]
mod tests;
