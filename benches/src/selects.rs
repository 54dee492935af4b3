//! Selects: the queries of a file, asked of any [`Queryable`], and a summary that two sides can compare.

use std::{collections::VecDeque, error::Error, fmt};

use futures::channel::oneshot;
use prometheus_model::{TimeRange, Value, stable_hash};
use prometheus_queryable::{
    LabelHints, MatchOp, Matcher, Queryable, SampleColumns, SelectHints, Series, SeriesData, SeriesSet,
};
use rayon::prelude::*;
use serde::Deserialize;

/// What goes wrong in a benchmark ends it.
pub type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Batches of series that are decoded while the next is produced.
const BATCHES_UNDER_WAY: usize = 4;
/// Up to so many series are decoded where they arrive: handing them over takes longer.
const FEW_SERIES: usize = 8;

/// A file of queries.
#[derive(Deserialize, Debug)]
pub struct QueryFile {
    /// Them.
    pub queries: Vec<Query>,
}

/// What is asked for.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Series with samples.
    Samples,
    /// Series without samples.
    Series,
    /// Values of a label.
    LabelValues,
}

/// A query of the file.
#[derive(Deserialize, Clone, Debug)]
pub struct Query {
    /// How people call it.
    pub name: String,
    /// Name of the block that it is for.
    pub block: String,
    /// What is asked for.
    pub kind: Kind,
    /// The label whose values are asked for.
    #[serde(default)]
    pub label: String,
    /// Name, operator and value.
    matchers: Vec<[String; 3]>,
    /// Only so many minutes at the end of the block; 0 for all of it.
    #[serde(default)]
    last_minutes: i64,
}

/// What an answer holds. Series without samples do not count unless no samples were asked for; values count as series.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Answer {
    /// Series, or values.
    pub series: u64,
    /// Samples in range.
    pub samples: u64,
    /// A sum over all samples, so that their order does not count.
    pub checksum: u64,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} series, {} samples, checksum {:016x}", self.series, self.samples, self.checksum)
    }
}

impl Answer {
    fn and(self, other: Self) -> Self {
        Self {
            series: self.series + other.series,
            samples: self.samples + other.samples,
            checksum: self.checksum.wrapping_add(other.checksum),
        }
    }

    /// One series of which nothing but the labels is known.
    fn of_hash(hash: u64) -> Self {
        Self { series: 1, samples: 0, checksum: hash }
    }

    fn of_series(series: &Series, columns: &mut SampleColumns) -> Result<Self> {
        let hash = series.labels.stable_hash();
        if matches!(series.data, SeriesData::Labels) {
            return Ok(Self::of_hash(hash));
        }
        columns.clear();
        series.decode_into(columns)?;
        let floats = columns.floats.timestamps().iter().zip(columns.floats.values());
        let mut sum = floats.fold(0_u64, |sum, (t, v)| sum.wrapping_add(checksum(hash, *t, v.to_bits())));
        for sample in &columns.histograms {
            // The other parts of a histogram are compared by the judges of conversions.
            let (total, count) = match &sample.value {
                Value::Float(_) => continue,
                Value::Histogram(h) => (h.sum, h.count),
                Value::FloatHistogram(h) => (h.sum, h.count.to_bits()),
            };
            for bits in [total.to_bits(), count] {
                sum = sum.wrapping_add(checksum(hash, sample.timestamp, bits));
            }
        }
        Ok(Self { series: u64::from(!columns.is_empty()), samples: columns.len() as u64, checksum: sum })
    }

    fn of_batch(batch: &[Series]) -> Result<Self> {
        let mut columns = SampleColumns::default();
        batch.iter().try_fold(Self::default(), |sum, series| Ok(sum.and(Self::of_series(series, &mut columns)?)))
    }
}

/// Of one sample: (bits XOR rotate(timestamp × prime XOR hash of the labels)) × another prime. The Go side does the same.
fn checksum(series: u64, timestamp: i64, bits: u64) -> u64 {
    let place = timestamp.cast_unsigned().wrapping_mul(0x9E37_79B1_85EB_CA87) ^ series;
    (bits ^ place.rotate_left(29)).wrapping_mul(0xC2B2_AE3D_27D4_EB4F)
}

impl Query {
    /// The conditions on labels.
    ///
    /// # Errors
    /// If the file says something else than matchers.
    pub fn matchers(&self) -> Result<Vec<Matcher>> {
        let matcher = |[name, op, value]: &[String; 3]| {
            let op = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex]
                .into_iter()
                .find(|known| known.to_string() == *op)
                .ok_or_else(|| format!("the operator {op:?} is unknown"))?;
            Ok(Matcher::new(name, op, value)?)
        };
        self.matchers.iter().map(matcher).collect()
    }

    /// The part of a block's time that is asked about.
    ///
    /// # Errors
    /// If that is none.
    pub fn range(&self, block: TimeRange) -> Result<TimeRange> {
        let start = match self.last_minutes {
            0 => block.start(),
            minutes => block.end() - minutes * 60_000,
        };
        Ok(TimeRange::new(start, block.end())?)
    }

    /// What the store is told; nothing if no series are asked for.
    #[must_use]
    pub fn hints(&self, range: TimeRange) -> Option<SelectHints> {
        match self.kind {
            Kind::Samples => Some(SelectHints::new(range)),
            Kind::Series => Some(SelectHints::series_only(range)),
            Kind::LabelValues => None,
        }
    }

    /// Asks, and looks at every sample of the answer; see [`sum_up`].
    ///
    /// # Errors
    /// Those of the store.
    pub async fn ask(&self, store: &dyn Queryable, block: TimeRange, in_turn: bool) -> Result<Answer> {
        let (matchers, range) = (self.matchers()?, self.range(block)?);
        let querier = store.querier(range).await?;
        if let Some(hints) = self.hints(range) {
            return sum_up(querier.select(&matchers, &hints).await?, in_turn).await;
        }
        let values = querier.label_values(&self.label, &matchers, &LabelHints::default()).await?;
        let hash = |v: &String| stable_hash([("value".as_bytes(), v.as_bytes())]);
        let answers = values.strings.iter().map(|v| Answer::of_hash(hash(v)));
        Ok(answers.fold(Answer::default(), Answer::and))
    }
}

/// Decodes all samples: on all processors while the rest of the answer is still under way, or with `in_turn` one series
/// after the other.
///
/// # Errors
/// Those of the set.
pub async fn sum_up(set: Box<dyn SeriesSet>, in_turn: bool) -> Result<Answer> {
    if in_turn { sum_in_turn(set).await } else { sum_in_parallel(set).await }
}

async fn sum_in_turn(mut set: Box<dyn SeriesSet>) -> Result<Answer> {
    let mut sum = Answer::default();
    while let Some(batch) = set.next().await? {
        sum = sum.and(Answer::of_batch(&batch)?);
    }
    Ok(sum)
}

async fn sum_in_parallel(mut set: Box<dyn SeriesSet>) -> Result<Answer> {
    let mut sum = Answer::default();
    let mut under_way = VecDeque::new();
    while let Some(batch) = set.next().await? {
        if batch.len() <= FEW_SERIES {
            sum = sum.and(Answer::of_batch(&batch)?);
            continue;
        }
        let (sender, receiver) = oneshot::channel();
        rayon::spawn(move || {
            let parts = batch.par_chunks(FEW_SERIES).map(Answer::of_batch);
            // Nobody waits any more if another batch has failed.
            let _ = sender.send(parts.try_reduce(Answer::default, |a, b| Ok(a.and(b))));
        });
        under_way.push_back(receiver);
        if under_way.len() > BATCHES_UNDER_WAY
            && let Some(first) = under_way.pop_front()
        {
            sum = sum.and(first.await??);
        }
    }
    for batch in under_way {
        sum = sum.and(batch.await??);
    }
    Ok(sum)
}
