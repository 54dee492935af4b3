//! `rate`, `increase` and `delta`, which extrapolate to the ends of the range, and `irate` and `idelta`.

use std::sync::Arc;

use prometheus_model::{CounterResetHint, FloatHistogram, TimestampMs};

use super::{RangeTask, Window, extended, histograms};
use crate::{
    ast::Boundaries,
    engine::{
        annotations::{Annotations, HistogramOperation},
        column::{Column, Point},
        samples::Samples,
        stats::QueryStats,
    },
};

/// Which of the functions that extrapolate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Rate,
    Increase,
    Delta,
}

impl Kind {
    pub(super) const fn is_counter(self) -> bool {
        !matches!(self, Self::Delta)
    }

    pub(super) const fn is_rate(self) -> bool {
        matches!(self, Self::Rate)
    }
}

pub(super) fn extrapolated(
    task: &RangeTask,
    name: &str,
    samples: Samples<'_>,
    notes: &mut Annotations,
    stats: &mut QueryStats,
    kind: Kind,
) -> Column {
    if task.boundaries != Boundaries::Plain {
        return task.over(samples, stats, |window| {
            if !window.times.is_empty() && !window.histograms.is_empty() {
                notes.mixed_floats_histograms(name, task.first_span);
                None
            } else if window.histograms.is_empty() {
                extended::floats(task, window, kind).map(Point::Float)
            } else {
                extended::histograms(task, name, window, notes, kind).map(|h| Point::Histogram(Arc::new(h)))
            }
        });
    }
    if samples.histograms.is_empty() && samples.starts.is_none() {
        return floats(task, samples, stats, kind);
    }
    let mut resets = Pairs::default();
    let mut overlaps = Pairs::default();
    if kind.is_counter() {
        resets = Pairs::of(samples, |a, b, starts| b.1 < a.1 || starts.is_some_and(|s| is_reset(s.0, a.0, s.1, b.0)));
        overlaps = Pairs::of(samples, |a, _, starts| starts.is_some_and(|s| overlaps_before(s.0, a.0, s.1)));
    }
    task.over(samples, stats, |window| {
        if !window.histograms.is_empty() {
            if !window.times.is_empty() {
                notes.mixed_floats_histograms(name, task.first_span);
                return None;
            }
            return histograms::extrapolated(task, name, window, notes, kind).map(|h| Point::Histogram(Arc::new(h)));
        }
        let (&[first, ..], &[.., last]) = (window.values, window.values) else { return None };
        let mut result = last - first;
        if !overlaps.within(window).is_empty() {
            notes.start_time_overlap(name, task.first_span);
        }
        for &at in resets.within(window) {
            result += samples.values.get(at.saturating_sub(1)).copied().unwrap_or_default();
        }
        let span = Extent::of_floats(window)?;
        let start = window.starts.and_then(|starts| starts.first()).copied().filter(|_| kind.is_counter());
        if span.begins_at(start, window.start) {
            result += first;
        }
        let to_zero = (result > 0.0 && first >= 0.0).then(|| first / result);
        Some(Point::Float(result * span.factor((window.start, window.end), start, kind, to_zero, task.range_ms)?))
    })
}

/// The same of floats without start timestamps: what series mostly are.
fn floats(task: &RangeTask, samples: Samples<'_>, stats: &mut QueryStats, kind: Kind) -> Column {
    let Samples { times, values, .. } = samples;
    let resets: Vec<usize> = if kind.is_counter() {
        let pairs = values.array_windows().enumerate();
        pairs.filter(|(_, [before, value])| value < before).map(|(i, _)| i + 1).collect()
    } else {
        Vec::new()
    };
    let mut column = Column::absent(task.grid.count);
    let (mut first, mut behind, mut reset, mut looked_at) = (0, 0, 0, 0);
    for ((step, time), result) in task.grid.times().enumerate().zip(&mut column.floats) {
        let end = task.at.unwrap_or(time).saturating_sub(task.offset_ms);
        let start = end.saturating_sub(task.range_ms);
        while times.get(behind).is_some_and(|time| *time <= end) {
            behind += 1;
        }
        while first < behind && times.get(first).is_some_and(|time| *time <= start) {
            first += 1;
        }
        let count = behind - first;
        looked_at += count as u64;
        if let Some(at_step) = stats.samples_per_step.get_mut(step) {
            *at_step += count as u64;
        }
        let (Some(&[first_time, .., last_time]), Some(&[first_value, .., last_value])) =
            (times.get(first..behind), values.get(first..behind))
        else {
            continue;
        };
        let mut increase = last_value - first_value;
        while resets.get(reset).is_some_and(|place| *place <= first) {
            reset += 1;
        }
        for place in resets.get(reset..).unwrap_or_default().iter().take_while(|place| **place < behind) {
            increase += values.get(place - 1).copied().unwrap_or_default();
        }
        let to_zero = (increase > 0.0 && first_value >= 0.0).then(|| first_value / increase);
        let extent = Extent { first: first_time, last: last_time, count };
        if let Some(factor) = extent.factor((start, end), None, kind, to_zero, task.range_ms) {
            *result = increase * factor;
        }
    }
    stats.samples += looked_at;
    column
}

/// Places of samples of which something is true together with the sample before, ascending.
#[derive(Debug, Default)]
struct Pairs {
    places: Vec<usize>,
    /// Those before are left of the window.
    from: usize,
}

type At = (TimestampMs, f64);

impl Pairs {
    fn of(samples: Samples<'_>, is_one: impl Fn(At, At, Option<(TimestampMs, TimestampMs)>) -> bool) -> Self {
        let pairs = samples.values.array_windows().zip(samples.times.array_windows()).enumerate();
        let places = pairs
            .filter(|(i, (values, times))| {
                let starts = samples.starts.and_then(|starts| Some((*starts.get(*i)?, *starts.get(i + 1)?)));
                let ([a, b], [a_time, b_time]) = (values, times);
                is_one((*a_time, *a), (*b_time, *b), starts)
            })
            .map(|(i, _)| i + 1)
            .collect();
        Self { places, from: 0 }
    }

    /// Those of which both samples are in the window; windows move to the right.
    #[inline]
    fn within(&mut self, window: &Window<'_>) -> &[usize] {
        while self.places.get(self.from).is_some_and(|place| *place <= window.first) {
            self.from += 1;
        }
        let rest = self.places.get(self.from..).unwrap_or_default();
        let behind = window.first + window.times.len();
        let count = rest.iter().take_while(|place| **place < behind).count();
        rest.get(..count).unwrap_or_default()
    }
}

/// Where the samples of a window begin and end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    first: TimestampMs,
    last: TimestampMs,
    count: usize,
}

impl Extent {
    fn of_floats(window: &Window<'_>) -> Option<Self> {
        let (&[first, ..], &[.., last]) = (window.times, window.times) else { return None };
        Some(Self { first, last, count: window.times.len() })
    }

    pub(super) fn of_histograms(window: &Window<'_>) -> Option<Self> {
        let ([first, ..], [.., last]) = (window.histograms, window.histograms) else { return None };
        Some(Self { first: first.time, last: last.time, count: window.histograms.len() })
    }

    /// Whether the counter began to count within the range, before its first sample.
    pub(super) fn begins_at(&self, start: Option<TimestampMs>, range_start: TimestampMs) -> bool {
        start.is_some_and(|start| start != 0 && start > range_start && start < self.first)
    }

    /// By what the increase over the samples is multiplied. `to_zero` is which part of the samples' time the counter would
    /// need to get from zero to its first value. `None` if there are too few samples.
    #[inline]
    pub(super) fn factor(
        &self,
        (range_start, range_end): (TimestampMs, TimestampMs),
        start: Option<TimestampMs>,
        kind: Kind,
        to_zero: Option<f64>,
        range_ms: i64,
    ) -> Option<f64> {
        let seconds = |from: TimestampMs, to: TimestampMs| to.saturating_sub(from) as f64 / 1000.0;
        let mut to_start = seconds(range_start, self.first);
        let mut to_end = seconds(self.last, range_end);
        let mut sampled = seconds(self.first, self.last);
        let gaps = self.count.saturating_sub(1);
        let between = if gaps > 0 { sampled / gaps as f64 } else { 0.0 };
        // So near to the end of the range, series are thought to reach it.
        let threshold = between * 1.1;
        if let Some(start) = start
            && self.begins_at(Some(start), range_start)
        {
            to_start = 0.0;
            sampled = seconds(start, self.last);
        } else if gaps == 0 {
            return None;
        } else {
            if to_start >= threshold {
                to_start = between / 2.0;
            }
            if kind.is_counter() {
                // Counters are not negative: they cannot have begun before they were zero.
                let since_zero = to_zero.map_or(to_start, |part| sampled * part);
                if since_zero < to_start {
                    to_start = since_zero;
                }
            }
        }
        if to_end >= threshold {
            to_end = between / 2.0;
        }
        let mut factor = if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled };
        if kind.is_rate() {
            factor /= range_ms as f64 / 1000.0;
        }
        Some(factor)
    }
}

/// Whether a start timestamp says that the counter was reset since the sample before.
pub(super) const fn is_reset(
    start_before: TimestampMs,
    before: TimestampMs,
    start: TimestampMs,
    time: TimestampMs,
) -> bool {
    if start_before == start || start == 0 || start >= time || start < before {
        return false;
    }
    if start > before {
        return true;
    }
    // Deltas start where the sample before was. So do counters of which nobody knows when they started; they say so by
    // starting at their own first sample.
    start_before <= before && start_before != 0 && start_before != before
}

/// Whether a start timestamp contradicts the sample before.
pub(super) const fn overlaps_before(start_before: TimestampMs, before: TimestampMs, start: TimestampMs) -> bool {
    start != 0 && start < before && start != start_before
}

/// `irate` and `idelta`: of the last two samples.
pub(super) fn instant(
    task: &RangeTask,
    name: &str,
    window: &Window<'_>,
    notes: &mut Annotations,
    is_rate: bool,
) -> Option<Point> {
    let float = |back: usize| window.float(window.times.len().checked_sub(back)?);
    let histogram = |back: usize| window.histogram(window.histograms.len().checked_sub(back)?, task.wants_starts());
    let mut last = [float(2), float(1), histogram(2), histogram(1)];
    last.sort_by_key(|sample| sample.map_or(TimestampMs::MIN, |sample| sample.time));
    let [_, _, Some(a), Some(b)] = last else { return None };
    let elapsed = b.time.saturating_sub(a.time);
    if elapsed == 0 {
        return None;
    }
    let seconds = elapsed as f64 / 1000.0;
    let was_reset = is_reset(a.start, a.time, b.start, b.time);
    match (a.value, b.value) {
        (Ok(before), Ok(after)) => {
            let change = if is_rate && (after < before || was_reset) { after } else { after - before };
            Some(Point::Float(if is_rate { change / seconds } else { change }))
        }
        (Err(before), Err(after)) => {
            use CounterResetHint::Gauge;
            let span = task.args_span;
            let hints = [before.counter_reset_hint, after.counter_reset_hint];
            if is_rate && hints.contains(&Gauge) {
                notes.histogram_not_counter(name, span);
            }
            if !is_rate && hints.iter().any(|hint| *hint != Gauge) {
                notes.histogram_not_gauge(name, span);
            }
            let mut change = FloatHistogram::clone(after);
            if !is_rate || (!was_reset && !after.detect_reset(before)) {
                match change.sub(before) {
                    Ok(combined) => notes.combined(combined, HistogramOperation::Subtraction, span),
                    Err(_) => {
                        notes.mixed_exponential_custom(name, span);
                        return None;
                    }
                }
            }
            change.counter_reset_hint = Gauge;
            change.compact(0);
            if is_rate {
                change.div(seconds);
            }
            Some(Point::Histogram(Arc::new(change)))
        }
        _ => {
            notes.mixed_floats_histograms(name, task.first_span);
            None
        }
    }
}
