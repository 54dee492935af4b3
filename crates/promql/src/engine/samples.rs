//! Samples of one series, decoded.

use std::sync::Arc;

use prometheus_model::{FloatHistogram, TimestampMs, Value, is_stale_nan};
use prometheus_queryable::{SampleColumns, Series, SeriesData};

use super::column::Column;
use crate::error::Result;

/// A histogram of a series.
#[derive(Clone, Debug)]
pub(crate) struct HistogramSample {
    pub(crate) time: TimestampMs,
    pub(crate) start: TimestampMs,
    pub(crate) histogram: Arc<FloatHistogram>,
}

/// Samples of a series, ascending in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Samples<'a> {
    pub(crate) times: &'a [TimestampMs],
    pub(crate) values: &'a [f64],
    /// Start timestamps of the floats, if they are wanted and known.
    pub(crate) starts: Option<&'a [TimestampMs]>,
    pub(crate) histograms: &'a [HistogramSample],
}

/// Memory for the samples of one series after another.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    columns: SampleColumns,
    wants_starts: bool,
    /// Floats without staleness markers, where there were some.
    times: Vec<TimestampMs>,
    values: Vec<f64>,
    starts: Vec<TimestampMs>,
    histograms: Vec<HistogramSample>,
}

impl Decoder {
    pub(crate) fn new(wants_starts: bool) -> Self {
        let columns = if wants_starts { SampleColumns::with_start_timestamps() } else { SampleColumns::default() };
        Self { columns, wants_starts, ..Self::default() }
    }

    /// Decodes all samples, staleness markers too; of histograms perhaps without buckets.
    pub(crate) fn with_markers(&mut self, series: &Series, stats_only: bool) -> Result<Samples<'_>> {
        self.decode(series)?;
        if stats_only {
            self.drop_buckets();
        }
        Ok(self.all())
    }

    /// Decodes the samples that are no staleness markers; of histograms perhaps without buckets.
    pub(crate) fn without_markers(&mut self, series: &Series, stats_only: bool) -> Result<Samples<'_>> {
        self.decode(series)?;
        if stats_only {
            self.drop_buckets();
        }
        self.histograms.retain(|sample| !is_stale_nan(sample.histogram.sum));
        let floats = &self.columns.floats;
        if !floats.values().iter().any(|value| is_stale_nan(*value)) {
            return Ok(self.all());
        }
        self.times.clear();
        self.values.clear();
        self.starts.clear();
        let kept = || floats.values().iter().enumerate().filter(|(_, value)| !is_stale_nan(**value));
        self.values.extend(kept().map(|(_, value)| *value));
        self.times.extend(kept().filter_map(|(i, _)| floats.timestamps().get(i)));
        if let Some(starts) = floats.start_timestamps() {
            self.starts.extend(kept().filter_map(|(i, _)| starts.get(i)));
        }
        let starts = (self.starts.len() == self.values.len()).then_some(&*self.starts);
        Ok(Samples { times: &self.times, values: &self.values, starts, histograms: &self.histograms })
    }

    fn decode(&mut self, series: &Series) -> Result<()> {
        self.columns.clear();
        self.histograms.clear();
        series.decode_into(&mut self.columns)?;
        self.histograms.extend(self.columns.histograms.drain(..).filter_map(|sample| {
            let histogram = match sample.value {
                Value::Float(_) => return None,
                Value::Histogram(histogram) => histogram.to_float(),
                Value::FloatHistogram(histogram) => *histogram,
            };
            let (time, start) = (sample.timestamp, sample.start_timestamp);
            Some(HistogramSample { time, start, histogram: Arc::new(histogram) })
        }));
        Ok(())
    }

    /// Keeps count and sum of histograms, and says by hints where counters were reset, as the buckets tell.
    fn drop_buckets(&mut self) {
        use prometheus_model::CounterResetHint::{CounterReset, NotCounterReset, Unknown};
        let mut before: Option<Arc<FloatHistogram>> = None;
        for sample in &mut self.histograms {
            let histogram = &sample.histogram;
            let is_marker = is_stale_nan(histogram.sum);
            let hint = match (histogram.counter_reset_hint, &before) {
                (Unknown, Some(before)) if !is_marker => {
                    if histogram.detect_reset(before) {
                        CounterReset
                    } else {
                        NotCounterReset
                    }
                }
                (hint, _) => hint,
            };
            let stats = FloatHistogram {
                counter_reset_hint: hint,
                schema: histogram.schema,
                count: histogram.count,
                sum: histogram.sum,
                ..FloatHistogram::default()
            };
            let whole = std::mem::replace(&mut sample.histogram, Arc::new(stats));
            if !is_marker {
                let mut whole = Arc::unwrap_or_clone(whole);
                whole.counter_reset_hint = hint;
                before = Some(Arc::new(whole));
            }
        }
    }

    fn all(&self) -> Samples<'_> {
        let floats = &self.columns.floats;
        Samples {
            times: floats.timestamps(),
            values: floats.values(),
            starts: floats.start_timestamps().filter(|_| self.wants_starts),
            histograms: &self.histograms,
        }
    }

    /// The values of a sub-query, given the times of its steps.
    pub(crate) fn of_column(&mut self, column: &Column, times: impl Iterator<Item = TimestampMs>) -> Samples<'_> {
        use prometheus_model::CounterResetHint::{CounterReset, NotCounterReset, Unknown};
        self.times.clear();
        self.values.clear();
        self.histograms.clear();
        for (step, time) in times.enumerate() {
            if let Some(value) = column.float(step) {
                self.times.push(time);
                self.values.push(value);
            } else if let Some(histogram) = column.histogram(step) {
                // What the hints say is about samples that are not among these.
                let histogram = match histogram.counter_reset_hint {
                    CounterReset | NotCounterReset => {
                        let mut histogram = FloatHistogram::clone(histogram);
                        histogram.counter_reset_hint = Unknown;
                        Arc::new(histogram)
                    }
                    _ => Arc::clone(histogram),
                };
                self.histograms.push(HistogramSample { time, start: 0, histogram });
            }
        }
        Samples { times: &self.times, values: &self.values, starts: None, histograms: &self.histograms }
    }
}

impl Samples<'_> {
    /// How many samples there are, as Prometheus counts them.
    pub(crate) fn count(&self) -> u64 {
        self.times.len() as u64
            + self.histograms.iter().map(|sample| super::column::histogram_samples(&sample.histogram)).sum::<u64>()
    }
}

/// What a stored series takes in memory.
pub(crate) fn stored_bytes(series: &Series) -> u64 {
    let data = match &series.data {
        SeriesData::Labels => 0,
        SeriesData::Chunks(chunks) => chunks.iter().map(|chunk| chunk.data.len() + size_of_val(chunk)).sum(),
        SeriesData::Samples(samples) => size_of_val(samples.as_slice()),
    };
    data as u64 + super::labels::bytes(&series.labels)
}
