//! What block to generate.

use std::collections::BTreeMap;

use prometheus_model::{Labels, Sample, TimestampMs};
use ulid::Ulid;

use super::{
    clock::{Grid, MAX_JITTER_MS},
    error::{Error, Result},
    inventory::SeriesIter,
};

/// 2025-01-01T00:00:00Z.
const DEFAULT_START: TimestampMs = 1_735_689_600_000;
const HOUR_MS: i64 = 3_600_000;
/// The time of a ULID has 48 bits.
const MAX_START: TimestampMs = 1 << 47;
/// Ten years.
const MAX_DURATION_MS: i64 = 87_600 * HOUR_MS;
/// External label that tells replicas apart.
const REPLICA_LABEL: &str = "prometheus_replica";

/// Which encoding float chunks have.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum FloatEncoding {
    /// XOR: what Prometheus 2 and 3 write.
    #[default]
    Xor,
    /// XOR2, without start timestamps.
    Xor2,
}

/// A block to be generated. The same specification gives the same bytes, on any machine.
///
/// ```
/// use promparquet_testkit::blocks::BlockSpec;
/// let parent = tempfile::tempdir()?;
/// let spec = BlockSpec::tiny().seed(7);
/// let block = spec.write(parent.path())?;
/// assert!(block.join("meta.json").exists());
/// // What is in the block, generated again:
/// for (labels, samples) in spec.oracle() {
///     println!("{labels}: {} samples", samples.len());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct BlockSpec {
    pub(crate) seed: u64,
    pub(crate) series: u64,
    pub(crate) start: TimestampMs,
    pub(crate) duration_ms: i64,
    pub(crate) interval_ms: i64,
    pub(crate) churn: f64,
    pub(crate) native_histograms: f64,
    pub(crate) odd_series: bool,
    pub(crate) tiny: bool,
    pub(crate) extra_labels: u32,
    pub(crate) extra_labels_per_series: u32,
    pub(crate) external_labels: BTreeMap<String, String>,
    pub(crate) compaction_level: u32,
    pub(crate) float_encoding: FloatEncoding,
    pub(crate) ulid: Option<Ulid>,
    pub(crate) replica: Option<u32>,
    pub(crate) out_of_order: bool,
}

impl BlockSpec {
    /// So many series over two hours, scraped every 15 s; seed 1, one pod in five churns, with odd series.
    #[must_use]
    pub fn new(series: u64) -> Self {
        Self {
            seed: 1,
            series,
            start: DEFAULT_START,
            duration_ms: 2 * HOUR_MS,
            interval_ms: 15_000,
            churn: 0.2,
            native_histograms: 0.0,
            odd_series: true,
            tiny: false,
            extra_labels: 0,
            extra_labels_per_series: 4,
            external_labels: BTreeMap::new(),
            compaction_level: 1,
            float_encoding: FloatEncoding::Xor,
            ulid: None,
            replica: None,
            out_of_order: false,
        }
    }

    /// Five series of 30 samples: two counters, a gauge, two native histograms. For tests that damage every bit.
    #[must_use]
    pub fn tiny() -> Self {
        Self { tiny: true, ..Self::new(5).interval_ms(60_000).duration_ms(HOUR_MS / 2) }
    }

    /// 500 series over two hours every 15 s, among them all odd ones and one native histogram in twenty.
    #[must_use]
    pub fn small() -> Self {
        Self::new(500).churn(0.3).native_histograms(0.05)
    }

    /// 50,000 series over two hours every 15 s: 21.7 million samples.
    #[must_use]
    pub fn medium() -> Self {
        Self::new(50_000).churn(0.13)
    }

    /// 20,000 series over a day every 30 s: 36 million samples.
    #[must_use]
    pub fn day() -> Self {
        Self::new(20_000).duration_ms(24 * HOUR_MS).interval_ms(30_000).churn(0.3).compaction_level(3)
    }

    /// 200,000 series over a day every 60 s: 233 million samples.
    #[must_use]
    pub fn large() -> Self {
        Self::new(200_000).duration_ms(24 * HOUR_MS).interval_ms(60_000).churn(0.087).compaction_level(3)
    }

    /// Whatever is random follows from this number.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How many series there are. Odd ones are at most a quarter of them; a tiny block has at most five.
    #[must_use]
    pub fn series_count(mut self, series: u64) -> Self {
        self.series = series;
        self.tiny &= series <= 5;
        self
    }

    /// Start of the block's time range (inclusive).
    #[must_use]
    pub fn start(mut self, start: TimestampMs) -> Self {
        self.start = start;
        self
    }

    /// Length of the block's time range.
    #[must_use]
    pub fn duration_ms(mut self, duration_ms: i64) -> Self {
        self.duration_ms = duration_ms;
        self
    }

    /// Time between two scrapes of a target.
    #[must_use]
    pub fn interval_ms(mut self, interval_ms: i64) -> Self {
        self.interval_ms = interval_ms;
        self
    }

    /// Which part of the replicas of deployments, in `[0, 1]`, is rolled inside the block. One that is rolled is two
    /// pods or more, one after the other, each with series of its own.
    #[must_use]
    pub fn churn(mut self, churn: f64) -> Self {
        self.churn = churn;
        self
    }

    /// Which part of the pods' series, in `[0, 0.95]`, is native histograms, beside the odd series.
    #[must_use]
    pub fn native_histograms(mut self, part: f64) -> Self {
        self.native_histograms = part;
        self
    }

    /// Whether there are odd series: label values, names and floats that readers get wrong, all kinds of native
    /// histograms, a series without a name.
    #[must_use]
    pub fn odd_series(mut self, odd_series: bool) -> Self {
        self.odd_series = odd_series;
        self
    }

    /// `names` further label names, of which each series that is not odd has `per_series`.
    #[must_use]
    pub fn extra_labels(mut self, names: u32, per_series: u32) -> Self {
        (self.extra_labels, self.extra_labels_per_series) = (names, per_series);
        self
    }

    /// An external label: for the `thanos` section of the meta.
    #[must_use]
    pub fn external_label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.external_labels.insert(name.into(), value.into());
        self
    }

    /// The compaction level that the meta claims; above 1 with parents of two hours each.
    #[must_use]
    pub fn compaction_level(mut self, level: u32) -> Self {
        self.compaction_level = level;
        self
    }

    /// The encoding of float chunks.
    #[must_use]
    pub fn float_encoding(mut self, encoding: FloatEncoding) -> Self {
        self.float_encoding = encoding;
        self
    }

    /// The block's identity; else it follows from the seed and the end of the time range.
    #[must_use]
    pub fn ulid(mut self, ulid: Ulid) -> Self {
        self.ulid = Some(ulid);
        self
    }

    /// The block as another Prometheus server of the same configuration would have it: the external label
    /// `prometheus_replica="r<number>"`, the same series and values, scraped at slightly different times.
    #[must_use]
    pub fn replica(mut self, number: u32) -> Self {
        self.replica = Some(number);
        self
    }

    /// The out-of-order block that goes with this one: some of its series; of these, in the middle half of the time, a
    /// quarter of the samples again and a quarter half an interval later. Samples at the same time have the same value.
    #[must_use]
    pub fn out_of_order(mut self) -> Self {
        self.out_of_order = true;
        self
    }

    /// All series of the block with all their samples, generated without the block. Compare native histograms by
    /// [`canonical`](super::canonical).
    ///
    /// # Panics
    /// If the specification makes no sense; see [`check`](Self::check).
    pub fn oracle(&self) -> impl Iterator<Item = (Labels, Vec<Sample>)> + use<> {
        self.series().map(|series| (series.labels.clone(), series.samples().collect()))
    }

    /// All series of the block, in the order of their labels; samples are generated when asked for.
    ///
    /// # Panics
    /// If the specification makes no sense; see [`check`](Self::check).
    #[must_use]
    pub fn series(&self) -> SeriesIter {
        self.check().expect("a specification that makes sense");
        SeriesIter::new(self)
    }

    /// End of the block's time range (exclusive).
    #[must_use]
    pub fn end(&self) -> TimestampMs {
        self.start.saturating_add(self.duration_ms)
    }

    /// Checks that such a block can be.
    ///
    /// # Errors
    /// [`Invalid`](super::ErrorKind::Invalid), with the reason, if it cannot.
    pub fn check(&self) -> Result<()> {
        let complaint = if self.series == 0 || self.series > 1 << 32 {
            format!("{} series; between 1 and 2^32 are possible", self.series)
        } else if self.interval_ms < 10 * MAX_JITTER_MS {
            format!("scrapes every {} ms; {} ms is the least", self.interval_ms, 10 * MAX_JITTER_MS)
        } else if self.duration_ms / 2 < self.interval_ms || self.duration_ms > MAX_DURATION_MS {
            format!(
                "a length of {} ms; at least two scrape intervals and at most ten years are possible",
                self.duration_ms
            )
        } else if !(0..=MAX_START).contains(&self.start) {
            format!("a start at {}; between 0 and {MAX_START} is possible", self.start)
        } else if !(0.0..=1.0).contains(&self.churn) {
            format!("churn of {}; a part between 0 and 1 is expected", self.churn)
        } else if !(0.0..=0.95).contains(&self.native_histograms) {
            format!("native histograms are {} of the series; at most 0.95 is possible", self.native_histograms)
        } else if self.extra_labels > 0 && self.extra_labels_per_series > self.extra_labels {
            format!("{} extra labels per series of {} names", self.extra_labels_per_series, self.extra_labels)
        } else if self.extra_labels > 1_000_000 {
            format!("{} extra label names; at most a million are possible", self.extra_labels)
        } else {
            return Ok(());
        };
        Err(Error::spec(complaint))
    }

    pub(crate) fn grid(&self) -> Grid {
        let replica = self.replica.unwrap_or(0);
        Grid { start: self.start, end: self.end(), interval_ms: self.interval_ms, replica }
    }

    pub(crate) fn all_external_labels(&self) -> BTreeMap<String, String> {
        let replica = self.replica.map(|number| (REPLICA_LABEL.to_owned(), format!("r{number}")));
        self.external_labels.clone().into_iter().chain(replica).collect()
    }
}
