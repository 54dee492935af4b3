//! What a conversion can be told.

use std::{
    num::{NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize},
    path::PathBuf,
};

use prometheus_model::METRIC_NAME;

use crate::{
    error::{Error, InvalidOptionSnafu},
    parquet_file::{Compression, ZstdLevel},
};

/// How blocks become shards. [`Options::default`] is right for most: it is `parquet-common`'s, except where noted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Name of the shard set: the directory of its files. Converters of whole blocks use the block's ULID.
    pub name: String,
    /// Most rows (series) in a row group.
    pub row_group_rows: NonZeroU32,
    /// Most bytes of chunks in a row group, as they are in the source; unlimited if `None`. A single row may exceed it.
    pub row_group_bytes: Option<NonZeroU64>,
    /// Most row groups in a shard; unlimited, hence one shard, if `None`. Rows are spread evenly over the shards.
    pub row_groups_per_shard: Option<NonZeroU32>,
    /// Labels by which rows are sorted, then by all labels. A label that no series has is harmless.
    pub sort_labels: Vec<String>,
    /// Labels whose columns get a bloom filter.
    pub bloom_filter_labels: Vec<String>,
    /// Milliseconds of data in one data column.
    pub data_column_duration_ms: NonZeroU64,
    /// Size of a page of labels in bytes before compression, about.
    pub page_bytes: NonZeroU32,
    /// Size of a page of chunks in bytes before compression, about. Small pages make queries for few series cheaper, and
    /// the file and its footer larger: 64 KiB instead of `parquet-common`'s 256 cost 1 % and halve the time that scattered
    /// series take.
    pub chunk_page_bytes: NonZeroU32,
    /// Most samples in a chunk; longer ones are cut.
    pub max_samples_per_chunk: NonZeroU16,
    /// Threads that read, decode and encode. `parquet-common`'s default too is one for each processor.
    pub read_concurrency: NonZeroUsize,
    /// Shards that are written at the same time.
    pub write_concurrency: NonZeroUsize,
    /// Compression of the labels files.
    pub labels_compression: Compression,
    /// Compression of the chunks files.
    pub chunks_compression: Compression,
    /// Most columns in a labels file, the two of the system included; a new shard begins before it is exceeded. The
    /// default is what every known reader accepts; current Go readers go up to 65,534.
    pub max_columns: NonZeroU32,
    /// Keep XOR2 chunks and start timestamps instead of re-encoding to XOR. Go readers of today refuse such files.
    pub keep_start_timestamps: bool,
    /// Memory that the conversion may use, in bytes, for what grows with the input and for what waits between its
    /// stages.
    pub memory_bytes: NonZeroUsize,
    /// Where pages wait on disk when a row group holds back more than fits in memory. The files have no name and
    /// vanish with the process.
    pub temp_dir: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        let one = NonZeroUsize::MIN;
        Self {
            name: "block".to_owned(),
            row_group_rows: non_zero_u32(1_000_000),
            row_group_bytes: None,
            row_groups_per_shard: None,
            sort_labels: vec![METRIC_NAME.to_owned()],
            bloom_filter_labels: vec![METRIC_NAME.to_owned()],
            data_column_duration_ms: NonZeroU64::new(8 * 60 * 60 * 1000).unwrap_or(NonZeroU64::MIN),
            page_bytes: non_zero_u32(256 << 10),
            chunk_page_bytes: non_zero_u32(64 << 10),
            max_samples_per_chunk: NonZeroU16::new(120).unwrap_or(NonZeroU16::MIN),
            read_concurrency: std::thread::available_parallelism().unwrap_or(one),
            write_concurrency: one,
            labels_compression: Compression::Zstd(ZstdLevel::DEFAULT),
            chunks_compression: Compression::Zstd(ZstdLevel::FASTEST),
            max_columns: non_zero_u32(32_767),
            keep_start_timestamps: false,
            memory_bytes: NonZeroUsize::new(256 << 20).unwrap_or(one),
            temp_dir: std::env::temp_dir(),
        }
    }
}

fn non_zero_u32(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN)
}

impl Options {
    /// Checks what the types do not.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let invalid = |option, expected, found: String| -> Result<(), Error> {
            Err(InvalidOptionSnafu { option, expected, found }.build().into())
        };
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        if !self.name.split('/').all(plain) {
            return invalid("name", "a path without empty, . or .. parts", format!("{:?}", self.name));
        }
        if self.max_columns.get() < 3 {
            return invalid("column limit", "at least 3", self.max_columns.to_string());
        }
        for labels in [&self.sort_labels, &self.bloom_filter_labels] {
            let mut seen = std::collections::HashSet::new();
            if let Some(twice) = labels.iter().find(|label| !seen.insert(label.as_str())) {
                return invalid("sort or bloom-filter labels", "each label once", format!("{twice:?} twice"));
            }
        }
        Ok(())
    }

    /// Rows in a page of a label column: what `parquet-go` makes of the page size, divided by four, since a query reads
    /// a page for one row as well.
    pub(crate) fn label_page_rows(&self) -> u32 {
        (self.page_bytes.get() / 16).max(64)
    }
}
