//! What a question did: which pages it could spare and why, what it read, how long it took.

use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use promparquet_shard::FileKind;

use crate::observe::Observation;

/// A part of the work.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Stage {
    /// Asking bloom filters for values.
    BloomFilters,
    /// Finding rows: dictionaries and pages of the labels that matchers name.
    Search,
    /// Labels of the rows: row indexes, hashes, dictionaries and pages.
    Labels,
    /// Chunks of the rows.
    Chunks,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::BloomFilters => "bloom filters",
            Self::Search => "search",
            Self::Labels => "labels",
            Self::Chunks => "chunks",
        })
    }
}

/// What a question did in one shard.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct ShardExplain {
    /// Name and number of the shard.
    pub shard: String,
    /// Rows of the shard.
    pub rows: u64,
    /// Search in each row group.
    pub row_groups: Vec<RowGroupExplain>,
    /// Whether rows came out of the file in label order; otherwise they were sorted.
    pub in_order: bool,
    /// Everything that was read, in the order of completion.
    pub reads: Vec<ReadExplain>,
    /// Time spent computing, summed over threads that waited for nothing.
    pub compute: Vec<(Stage, Duration)>,
    /// Columns of labels that were read for series found, counted in each row group.
    pub label_columns: u64,
    /// Data columns whose chunks were read for them, counted likewise.
    pub chunk_columns: u64,
    /// Series given.
    pub series: u64,
    /// Samples in the chunks given.
    pub samples: u64,
}

/// Search in one row group.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct RowGroupExplain {
    /// Number of the row group.
    pub row_group: usize,
    /// Rows that it has.
    pub rows: u64,
    /// Rows that fit.
    pub rows_selected: u64,
    /// The rows were known from an earlier search.
    pub cached: bool,
    /// What each constraint did, in the order of the labels.
    pub constraints: Vec<ConstraintExplain>,
}

/// What became of one constraint: all matchers of a label.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct ConstraintExplain {
    /// The matchers.
    pub matchers: String,
    /// One of them at least is a regular expression.
    pub has_regex: bool,
    /// The shard has no such label.
    pub column_absent: bool,
    /// Pages of the label's column.
    pub pages: usize,
    /// Pages not read because no row has the label.
    pub pages_pruned_as_absent: usize,
    /// Pages not read because of their bounds.
    pub pages_pruned_by_bounds: usize,
    /// Pages not read because all of their rows fit.
    pub pages_certain: usize,
    /// Pages read.
    pub pages_read: usize,
    /// A bloom filter said that no row fits.
    pub pruned_by_bloom_filter: bool,
    /// The dictionary said that no row fits, so that no page was decoded.
    pub pruned_by_dictionary: bool,
    /// Entries of the dictionary, if it was read.
    pub dictionary_entries: usize,
    /// In which stage of reading it was looked at, from 1; 0 if it was not.
    pub stage: u32,
}

/// Ranges that were read together: one round trip.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ReadExplain {
    /// What for.
    pub stage: Stage,
    /// The requests; ranges are half-open.
    pub requests: Vec<(FileKind, Range<u64>)>,
    /// Bytes that were wanted; requests may be longer, because they join ranges.
    pub wanted_bytes: u64,
    /// How long it took.
    pub time: Duration,
}

impl ReadExplain {
    /// Bytes of the requests.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.requests.iter().map(|(_, range)| range.end.saturating_sub(range.start)).sum()
    }
}

impl ShardExplain {
    /// Requests made.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.reads.iter().map(|read| read.requests.len()).sum()
    }

    /// Bytes read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.reads.iter().map(ReadExplain::bytes).sum()
    }
}

/// What a question did, for whoever asked for it. Complete when the answer is.
#[derive(Clone, Default, Debug)]
pub struct Explain(Arc<Mutex<Vec<Recorder>>>);

impl Explain {
    /// What was done so far, by shard.
    #[must_use]
    pub fn shards(&self) -> Vec<ShardExplain> {
        let recorders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recorders.iter().map(|recorder| recorder.update(|explain| explain.clone())).collect()
    }

    pub(crate) fn add(&self, recorder: Recorder) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(recorder);
    }
}

/// Takes down what happens in one shard.
#[derive(Clone, Default, Debug)]
pub(crate) struct Recorder(Arc<Recording>);

#[derive(Default)]
struct Recording {
    explain: Mutex<ShardExplain>,
    /// Told when nobody records any more.
    observation: Option<Observation>,
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recording").field(&self.explain).finish()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if let Some(observation) = self.observation.take() {
            observation(self.explain.get_mut().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Recorder {
    pub(crate) fn new(shard: String, rows: u64, observation: Option<Observation>) -> Self {
        let explain = Mutex::new(ShardExplain { shard, rows, ..ShardExplain::default() });
        Self(Arc::new(Recording { explain, observation }))
    }

    pub(crate) fn update<T>(&self, f: impl FnOnce(&mut ShardExplain) -> T) -> T {
        f(&mut self.0.explain.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn computed(&self, stage: Stage, time: Duration) {
        self.update(|explain| match explain.compute.iter_mut().find(|(s, _)| *s == stage) {
            Some((_, sum)) => *sum += time,
            None => explain.compute.push((stage, time)),
        });
    }
}

/// For people: a tree, as databases print it.
impl fmt::Display for ShardExplain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "shard {}: {} rows, {} series, {} samples", self.shard, self.rows, self.series, self.samples)?;
        for group in &self.row_groups {
            let cached = if group.cached { ", known from before" } else { "" };
            let (n, rows, selected) = (group.row_group, group.rows, group.rows_selected);
            writeln!(f, "  row group {n}: {selected} of {rows} rows{cached}")?;
            for constraint in &group.constraints {
                writeln!(f, "    {constraint}")?;
            }
        }
        if !self.in_order {
            writeln!(f, "  sorted, because rows are not in label order")?;
        }
        for read in &self.reads {
            let (stage, count, bytes) = (read.stage, read.requests.len(), read.bytes());
            let ms = read.time.as_secs_f64() * 1e3;
            writeln!(f, "  read {stage:<13} {count} requests, {bytes} bytes for {}, {ms:.2} ms", read.wanted_bytes)?;
        }
        for (stage, time) in &self.compute {
            writeln!(f, "  compute {stage:<10} {:.2} ms", time.as_secs_f64() * 1e3)?;
        }
        write!(f, "  in all: {} round trips, {} requests, {} bytes", self.reads.len(), self.requests(), self.bytes())
    }
}

impl fmt::Display for ConstraintExplain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.matchers)?;
        if self.column_absent {
            return f.write_str("no series has the label");
        }
        let mut parts = vec![format!("{} pages", self.pages)];
        let mut add = |count: usize, what: &str| {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        };
        add(self.pages_pruned_as_absent, "pruned (label absent)");
        add(self.pages_pruned_by_bounds, "pruned by bounds");
        add(self.pages_certain, "certain by bounds");
        add(self.pages_read, &format!("read in stage {}", self.stage));
        add(self.dictionary_entries, "dictionary entries");
        if self.pruned_by_bloom_filter {
            parts.push("none fits by bloom filter".into());
        }
        if self.pruned_by_dictionary {
            parts.push("none fits by dictionary".into());
        }
        f.write_str(&parts.join(", "))
    }
}
