//! Functions of range vectors, one series at a time over all steps.

mod changes;
mod extended;
mod histograms;
mod over_time;
mod rate;
mod regression;

use std::sync::Arc;

pub(crate) use extended::{extended_floats, interpolated, interpolated_histogram};
pub(crate) use over_time::HistogramMean;
use prometheus_model::{FloatHistogram, Labels, TimestampMs};

use super::{
    annotations::Annotations,
    column::{Column, Point},
    grid::Grid,
    samples::{HistogramSample, Samples},
    scalars::Scalars,
    stats::QueryStats,
};
use crate::{
    ast::{Boundaries, Span},
    error::Result,
    function::FunctionId,
};

/// A function with all that it needs besides the samples.
#[derive(Debug)]
pub(crate) struct RangeTask {
    pub(crate) function: FunctionId,
    /// The select that gives the samples; none of a sub-query.
    pub(crate) fetch: Option<usize>,
    /// When it is evaluated.
    pub(crate) grid: Grid,
    /// End of the range if it is the same at each step.
    pub(crate) at: Option<TimestampMs>,
    pub(crate) offset_ms: i64,
    pub(crate) range_ms: i64,
    pub(crate) boundaries: Boundaries,
    pub(crate) lookback_ms: i64,
    pub(crate) params: Vec<Scalars>,
    /// Where the first argument is.
    pub(crate) first_span: Span,
    /// From the first argument to the last.
    pub(crate) args_span: Span,
    /// Whether only count and sum of histograms matter, and whether counters were reset.
    pub(crate) stats_only: bool,
    pub(crate) type_and_unit_labels: bool,
    /// Whether start timestamps tell resets.
    pub(crate) start_timestamps: bool,
}

/// The samples that a function looks at at a step; at least one.
#[derive(Clone, Copy, Debug)]
struct Window<'a> {
    /// Number of the step.
    step: usize,
    /// Time of the step.
    time: TimestampMs,
    /// The range is `(start, end]`; `anchored` and `smoothed` see samples outside.
    start: TimestampMs,
    end: TimestampMs,
    times: &'a [TimestampMs],
    values: &'a [f64],
    starts: Option<&'a [TimestampMs]>,
    histograms: &'a [HistogramSample],
    /// Where `times` begin in all of the series.
    first: usize,
}

/// A sample of either kind.
#[derive(Clone, Copy)]
struct AnySample<'a> {
    time: TimestampMs,
    start: TimestampMs,
    value: std::result::Result<f64, &'a Arc<FloatHistogram>>,
}

impl<'a> Window<'a> {
    fn float(&self, i: usize) -> Option<AnySample<'a>> {
        let start = self.starts.and_then(|starts| starts.get(i)).copied().unwrap_or_default();
        Some(AnySample { time: *self.times.get(i)?, start, value: Ok(*self.values.get(i)?) })
    }

    /// Start timestamps count only if they are wanted.
    fn histogram(&self, i: usize, wants_starts: bool) -> Option<AnySample<'a>> {
        let sample = self.histograms.get(i)?;
        let start = if wants_starts { sample.start } else { 0 };
        Some(AnySample { time: sample.time, start, value: Err(&sample.histogram) })
    }
}

impl RangeTask {
    /// Whether the metric's name stays.
    pub(crate) const fn keeps_name(&self) -> bool {
        matches!(self.function, FunctionId::LastOverTime | FunctionId::FirstOverTime)
    }

    /// Whether start timestamps are looked at.
    pub(crate) const fn wants_starts(&self) -> bool {
        self.start_timestamps
            && matches!(self.function, FunctionId::Rate | FunctionId::Increase | FunctionId::Irate | FunctionId::Resets)
    }

    /// Evaluates the function at each step.
    pub(crate) fn apply(
        &self,
        labels: &Labels,
        samples: Samples<'_>,
        notes: &mut Annotations,
        stats: &mut QueryStats,
    ) -> Result<Column> {
        use FunctionId as F;
        let name = super::labels::metric_name(labels);
        let column = match self.function {
            F::Rate => rate::extrapolated(self, name, samples, notes, stats, rate::Kind::Rate),
            F::Increase => rate::extrapolated(self, name, samples, notes, stats, rate::Kind::Increase),
            F::Delta => rate::extrapolated(self, name, samples, notes, stats, rate::Kind::Delta),
            F::Irate | F::Idelta => {
                self.over(samples, stats, |w| rate::instant(self, name, w, notes, self.function == F::Irate))
            }
            F::Changes | F::Resets => changes::evaluate(self, samples, stats),
            F::Deriv => self.over(samples, stats, |w| regression::deriv(self, name, w, notes)),
            F::PredictLinear => self.over(samples, stats, |w| regression::predict_linear(self, name, w, notes)),
            F::DoubleExponentialSmoothing => {
                regression::check_smoothing(self, samples)?;
                self.over(samples, stats, |w| regression::smoothed(self, name, w, notes))
            }
            F::AbsentOverTime | F::PresentOverTime => self.over(samples, stats, |_| Some(Point::Float(1.0))),
            _ => over_time::evaluate(self, name, samples, notes, stats),
        };
        if matches!(self.function, F::Rate | F::Increase) {
            self.note_non_counter(labels, name, &column, notes);
        }
        Ok(column)
    }

    fn param(&self, i: usize) -> &Scalars {
        const NONE: &Scalars = &Scalars::Constant(f64::NAN);
        self.params.get(i).unwrap_or(NONE)
    }

    fn note_non_counter(&self, labels: &Labels, name: &str, column: &Column, notes: &mut Annotations) {
        let has_float = || (0..column.len()).any(|step| column.float(step).is_some());
        if name.is_empty() {
            return;
        }
        if self.type_and_unit_labels {
            let kind = labels.get("__type__").unwrap_or_default();
            if !matches!(kind, "counter" | "histogram") && has_float() {
                notes.possible_non_counter_label(name, kind, self.first_span);
            }
        } else if !["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix)) && has_float() {
            notes.possible_non_counter(name, self.first_span);
        }
    }

    /// Calls `function` for each step whose window has samples.
    fn over(
        &self,
        samples: Samples<'_>,
        stats: &mut QueryStats,
        mut function: impl FnMut(&Window<'_>) -> Option<Point>,
    ) -> Column {
        let (before, after) = match self.boundaries {
            Boundaries::Plain => (0, 0),
            Boundaries::Anchored => (self.lookback_ms, 0),
            Boundaries::Smoothed => (self.lookback_ms, self.lookback_ms),
        };
        let mut column = Column::absent(self.grid.count);
        let (mut floats, mut histograms) = (Place::default(), Place::default());
        for (step, time) in self.grid.times().enumerate() {
            let end = self.at.unwrap_or(time).saturating_sub(self.offset_ms);
            let start = end.saturating_sub(self.range_ms);
            let (first_time, last_time) = (start.saturating_sub(before), end.saturating_add(after));
            floats.advance(samples.times, |t| *t, first_time, last_time);
            histograms.advance(samples.histograms, |sample| sample.time, first_time, last_time);
            let window = Window {
                step,
                time,
                start,
                end,
                times: floats.of(samples.times),
                values: floats.of(samples.values),
                starts: samples.starts.map(|starts| floats.of(starts)),
                histograms: histograms.of(samples.histograms),
                first: floats.first,
            };
            if window.times.is_empty() && window.histograms.is_empty() {
                continue;
            }
            let count =
                Samples { times: window.times, values: &[], starts: None, histograms: window.histograms }.count();
            stats.samples += count;
            if let Some(at_step) = stats.samples_per_step.get_mut(step) {
                *at_step += count;
            }
            if let Some(point) = function(&window) {
                match point {
                    Point::Float(value) => {
                        if let Some(place) = column.floats.get_mut(step) {
                            *place = value;
                        }
                    }
                    histogram @ Point::Histogram(_) => column.set(step, Some(histogram)),
                }
            }
        }
        column
    }
}

/// A window that moves over samples; to the right, mostly.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    first: usize,
    behind: usize,
}

impl Place {
    /// Moves to the samples of `(after, until]`.
    #[inline]
    fn advance<T>(&mut self, samples: &[T], time: impl Fn(&T) -> TimestampMs, after: TimestampMs, until: TimestampMs) {
        while samples.get(self.behind).is_some_and(|sample| time(sample) <= until) {
            self.behind += 1;
        }
        while self.first < self.behind && samples.get(self.first).is_some_and(|sample| time(sample) <= after) {
            self.first += 1;
        }
    }

    #[inline]
    fn of<'a, T>(&self, samples: &'a [T]) -> &'a [T] {
        samples.get(self.first..self.behind).unwrap_or_default()
    }
}
