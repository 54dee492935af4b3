//! `…_over_time`.

use std::sync::Arc;

use prometheus_model::{CounterResetHint, FloatHistogram, TimestampMs};

use super::{RangeTask, Window};
use crate::{
    engine::{
        annotations::{Annotations, HistogramOperation},
        column::{Column, Point},
        kahan::{Kahan, Mean},
        samples::{HistogramSample, Samples},
        stats::QueryStats,
    },
    function::FunctionId as F,
    quantile::vector_quantile,
};

pub(super) fn evaluate(
    task: &RangeTask,
    name: &str,
    samples: Samples<'_>,
    notes: &mut Annotations,
    stats: &mut QueryStats,
) -> Column {
    let span = task.first_span;
    let mut scratch = Vec::new();
    // Functions that look at floats only: nothing without a float, and histograms beside floats are mentioned.
    let mut floats_only = |window: &Window<'_>| {
        let has_floats = !window.values.is_empty();
        if has_floats && !window.histograms.is_empty() {
            notes.histogram_ignored_in_mixed_range(name, span);
        }
        has_floats
    };
    macro_rules! of_floats {
        (|$window:ident| $value:expr) => {
            task.over(samples, stats, |$window| floats_only($window).then(|| Point::Float($value)))
        };
    }
    match task.function {
        F::CountOverTime => {
            task.over(samples, stats, |w| Some(Point::Float((w.values.len() + w.histograms.len()) as f64)))
        }
        F::FirstOverTime => task.over(samples, stats, |w| {
            let histogram = w.histograms.first();
            match (w.times.first(), w.values.first()) {
                (Some(time), Some(value)) if histogram.is_none_or(|h| *time < h.time) => Some(Point::Float(*value)),
                _ => histogram.map(|h| Point::Histogram(Arc::clone(&h.histogram))),
            }
        }),
        F::LastOverTime => task.over(samples, stats, |w| {
            let histogram = w.histograms.last();
            match (w.times.last(), w.values.last()) {
                (Some(time), Some(value)) if histogram.is_none_or(|h| h.time < *time) => Some(Point::Float(*value)),
                _ => histogram.map(|h| Point::Histogram(Arc::clone(&h.histogram))),
            }
        }),
        F::TsOfFirstOverTime => task.over(samples, stats, |w| {
            let first = [w.times.first().copied(), w.histograms.first().map(|h| h.time)];
            first.into_iter().flatten().min().map(seconds)
        }),
        F::TsOfLastOverTime => task.over(samples, stats, |w| {
            // Prometheus starts from zero.
            let last = [w.times.last().copied().or(Some(0)), w.histograms.last().map(|h| h.time).or(Some(0))];
            last.into_iter().flatten().max().map(seconds)
        }),
        F::MaxOverTime => of_floats!(|w| extreme(w, |value, best| value > best).0),
        F::MinOverTime => of_floats!(|w| extreme(w, |value, best| value < best).0),
        F::TsOfMaxOverTime => of_floats!(|w| extreme(w, |value, best| value >= best).1 as f64 / 1000.0),
        F::TsOfMinOverTime => of_floats!(|w| extreme(w, |value, best| value <= best).1 as f64 / 1000.0),
        F::StddevOverTime => of_floats!(|w| variance(w.values).sqrt()),
        F::StdvarOverTime => of_floats!(|w| variance(w.values)),
        F::MadOverTime => of_floats!(|w| median_deviation(w.values, &mut scratch)),
        F::QuantileOverTime => {
            let q = task.param(0);
            task.over(samples, stats, |w| {
                if w.values.is_empty() {
                    return None;
                }
                let q = q.at(w.step);
                if !(0.0..=1.0).contains(&q) {
                    notes.invalid_quantile(q, span);
                }
                if !w.histograms.is_empty() {
                    notes.histogram_ignored_in_mixed_range(name, span);
                }
                scratch.clear();
                scratch.extend_from_slice(w.values);
                Some(Point::Float(vector_quantile(q, &mut scratch)))
            })
        }
        F::SumOverTime | F::AvgOverTime => task.over(samples, stats, |w| {
            if !w.values.is_empty() && !w.histograms.is_empty() {
                notes.mixed_floats_histograms(name, span);
                return None;
            }
            let is_sum = task.function == F::SumOverTime;
            if !w.histograms.is_empty() {
                let combined = if is_sum { sum_of(w.histograms) } else { mean_of(w.histograms) };
                if combined.is_none() {
                    notes.mixed_exponential_custom(name, span);
                }
                let (histogram, is_reconciled) = combined?;
                note_hints(task, w.histograms, notes);
                if is_reconciled {
                    notes.reconciled_bounds(HistogramOperation::Aggregation, span);
                }
                return Some(Point::Histogram(Arc::new(histogram)));
            }
            Some(Point::Float(if is_sum { sum(w.values) } else { mean(w.values)? }))
        }),
        _ => Column::absent(task.grid.count),
    }
}

fn seconds(time: TimestampMs) -> Point {
    Point::Float(time as f64 / 1000.0)
}

/// The best value, and its time. NaN is worse than anything.
fn extreme(window: &Window<'_>, is_better: impl Fn(f64, f64) -> bool) -> (f64, TimestampMs) {
    let first = (window.values.first().copied().unwrap_or(f64::NAN), window.times.first().copied().unwrap_or_default());
    window.values.iter().zip(window.times).fold(first, |best, (&value, &time)| {
        if is_better(value, best.0) || best.0.is_nan() { (value, time) } else { best }
    })
}

fn sum(values: &[f64]) -> f64 {
    let sum = values.iter().fold(Kahan::default(), |sum, value| sum.plus(*value));
    if sum.sum.is_infinite() { sum.sum } else { sum.total() }
}

fn mean(values: &[f64]) -> Option<f64> {
    let (first, rest) = values.split_first()?;
    let mut mean = Mean::new(*first);
    rest.iter().for_each(|value| mean.plus(*value));
    Some(mean.mean())
}

fn variance(values: &[f64]) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, Kahan::default(), Kahan::default());
    for value in values {
        count += 1.0;
        let delta = value - mean.total();
        mean = mean.plus(delta / count);
        squares = squares.plus(delta * (value - mean.total()));
    }
    squares.total() / count
}

fn median_deviation(values: &[f64], scratch: &mut Vec<f64>) -> f64 {
    if values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    scratch.clear();
    scratch.extend_from_slice(values);
    let median = vector_quantile(0.5, scratch);
    scratch.iter_mut().for_each(|value| *value = (*value - median).abs());
    vector_quantile(0.5, scratch)
}

fn note_hints(task: &RangeTask, samples: &[HistogramSample], notes: &mut Annotations) {
    let has = |hint| samples.iter().any(|sample| sample.histogram.counter_reset_hint == hint);
    if has(CounterResetHint::CounterReset) && has(CounterResetHint::NotCounterReset) {
        notes.counter_reset_collision(HistogramOperation::Aggregation, task.first_span);
    }
}

/// The sum, and whether bounds had to be reconciled. `None` if the histograms do not go together.
fn sum_of(samples: &[HistogramSample]) -> Option<(FloatHistogram, bool)> {
    let (first, rest) = samples.split_first()?;
    let mut sum = FloatHistogram::clone(&first.histogram);
    let mut compensation = None;
    let mut is_reconciled = false;
    for sample in rest {
        let (lost, combined) = sum.kahan_add(&sample.histogram, compensation).ok()?;
        compensation = lost;
        is_reconciled |= combined.bounds_reconciled;
    }
    if let Some(compensation) = compensation {
        is_reconciled |= sum.add(&compensation).ok()?.bounds_reconciled;
    }
    Some((sum, is_reconciled))
}

/// As [`sum_of`], the mean.
fn mean_of(samples: &[HistogramSample]) -> Option<(FloatHistogram, bool)> {
    let (first, rest) = samples.split_first()?;
    let mut mean = HistogramMean::new(FloatHistogram::clone(&first.histogram));
    let mut is_reconciled = false;
    for sample in rest {
        is_reconciled |= mean.plus(&sample.histogram)?;
    }
    mean.mean().map(|mean| (mean, is_reconciled))
}

/// A mean of histograms: of a sum, as long as that does not overflow.
#[derive(Clone, Debug)]
pub(crate) struct HistogramMean {
    /// The sum, or the mean once sums overflow.
    value: FloatHistogram,
    compensation: Option<FloatHistogram>,
    count: f64,
    is_incremental: bool,
}

impl HistogramMean {
    pub(crate) const fn new(first: FloatHistogram) -> Self {
        Self { value: first, compensation: None, count: 1.0, is_incremental: false }
    }

    /// Whether bounds had to be reconciled; `None` if the histogram does not go with the others.
    pub(crate) fn plus(&mut self, histogram: &FloatHistogram) -> Option<bool> {
        self.count += 1.0;
        if !self.is_incremental {
            let mut sum = self.value.clone();
            let (compensation, combined) = sum.kahan_add(histogram, self.compensation.clone()).ok()?;
            if !sum.has_overflow() {
                (self.value, self.compensation) = (sum, compensation);
                return Some(combined.bounds_reconciled);
            }
            self.is_incremental = true;
            self.value.div(self.count - 1.0);
            self.compensation.iter_mut().for_each(|compensation| compensation.div(self.count - 1.0));
        }
        let q = (self.count - 1.0) / self.count;
        self.compensation.iter_mut().for_each(|compensation| compensation.mul(q));
        self.value.mul(q);
        let mut part = histogram.clone();
        part.div(self.count);
        let (compensation, combined) = self.value.kahan_add(&part, self.compensation.take()).ok()?;
        self.compensation = compensation;
        Some(combined.bounds_reconciled)
    }

    pub(crate) fn mean(mut self) -> Option<FloatHistogram> {
        if !self.is_incremental {
            self.value.div(self.count);
            self.compensation.iter_mut().for_each(|compensation| compensation.div(self.count));
        }
        if let Some(compensation) = &self.compensation {
            self.value.add(compensation).ok()?;
        }
        Some(self.value)
    }
}
