//! `rate`, `increase` and `delta` of `anchored` and `smoothed` ranges, which know what lies beyond the ends.

use prometheus_model::{CounterResetHint, FloatHistogram, TimestampMs};

use super::{
    RangeTask, Window,
    histograms::{add, sub},
    rate::Kind,
};
use crate::{
    ast::{Boundaries, Span},
    engine::{
        annotations::{Annotations, HistogramOperation},
        samples::HistogramSample,
    },
};

/// Which samples matter: from the last one not after the range's start to the last one, or `smoothed`, the first one not
/// before the range's end. `None` if none is in range.
fn bounds(
    times: impl Fn(usize) -> TimestampMs,
    count: usize,
    window: &Window<'_>,
    is_smoothed: bool,
) -> Option<(usize, usize)> {
    let mut last = count.checked_sub(1)?;
    // The last sample itself is not looked at.
    let not_after = |limit: TimestampMs| partition_point(last, |i| times(i) <= limit);
    let first = not_after(window.start).saturating_sub(1);
    if is_smoothed {
        last = partition_point(last, |i| times(i) < window.end);
    }
    (times(last) > window.start).then_some((first, last))
}

fn partition_point(count: usize, is_left: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_left(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

/// The value at `time` on the line between two samples. A counter that was reset in between began at zero.
pub(crate) fn interpolated(
    (a_time, a): (TimestampMs, f64),
    (b_time, b): (TimestampMs, f64),
    time: TimestampMs,
    is_counter: bool,
) -> f64 {
    let from = if is_counter && b < a { 0.0 } else { a };
    from + (b - from) * time.saturating_sub(a_time) as f64 / b_time.saturating_sub(a_time) as f64
}

/// The values at the ends of the window, and the samples between.
fn float_ends<'w>(
    window: &Window<'w>,
    is_smoothed: bool,
    is_counter: bool,
) -> Option<(f64, f64, &'w [TimestampMs], &'w [f64])> {
    let (times, values) = (window.times, window.values);
    let at = |i: usize| (times.get(i).copied().unwrap_or_default(), values.get(i).copied().unwrap_or(f64::NAN));
    let (mut first, last) = bounds(|i| at(i).0, times.len(), window, is_smoothed)?;
    let left = if is_smoothed && at(first).0 < window.start {
        interpolated(at(first), at(first + 1), window.start, is_counter)
    } else {
        at(first).1
    };
    let right = if is_smoothed && last > 0 && at(last).0 > window.end {
        interpolated(at(last - 1), at(last), window.end, is_counter)
    } else {
        at(last).1
    };
    let mut behind = last + 1;
    if at(first).0 <= window.start {
        first += 1;
    }
    if at(last).0 >= window.end {
        behind = last;
    }
    let inside = first..behind.max(first);
    Some((left, right, times.get(inside.clone()).unwrap_or_default(), values.get(inside).unwrap_or_default()))
}

pub(super) fn floats(task: &RangeTask, window: &Window<'_>, kind: Kind) -> Option<f64> {
    let is_smoothed = task.boundaries == Boundaries::Smoothed;
    if is_smoothed && window.times.first().is_some_and(|first| *first > window.end) {
        return None;
    }
    let (left, right, _, inside) = float_ends(window, is_smoothed, kind.is_counter())?;
    let mut result = right - left;
    if kind.is_counter() {
        let mut correction = 0.0;
        let mut before = left;
        for &value in inside.iter().chain([&right]) {
            if value < before {
                correction += before;
            }
            before = value;
        }
        result += correction;
    }
    if kind.is_rate() {
        result /= task.range_ms as f64 / 1000.0;
    }
    Some(result)
}

/// The samples of a range with a value at each end: what a range vector that is a query's answer holds.
pub(crate) fn extended_floats(
    (times, values): (&[TimestampMs], &[f64]),
    (start, end): (TimestampMs, TimestampMs),
    is_smoothed: bool,
) -> Vec<(TimestampMs, f64)> {
    let window = Window { step: 0, time: end, start, end, times, values, starts: None, histograms: &[], first: 0 };
    let Some((left, right, times, values)) = float_ends(&window, is_smoothed, false) else { return Vec::new() };
    let inside = times.iter().copied().zip(values.iter().copied());
    std::iter::once((start, left)).chain(inside).chain([(end, right)]).collect()
}

/// The histogram at `time` on the line between two samples.
pub(crate) fn interpolated_histogram(
    a: &HistogramSample,
    b: &HistogramSample,
    time: TimestampMs,
    is_counter: bool,
    notes: &mut Annotations,
    span: Span,
) -> Option<FloatHistogram> {
    if time == a.time {
        return Some(FloatHistogram::clone(&a.histogram));
    }
    let mut result = FloatHistogram::clone(&b.histogram);
    if time == b.time {
        return Some(result);
    }
    let part = time.saturating_sub(a.time) as f64 / b.time.saturating_sub(a.time) as f64;
    if is_counter && b.histogram.detect_reset(&a.histogram) {
        result.mul(part);
        return Some(result);
    }
    notes.combined(result.sub(&a.histogram).ok()?, HistogramOperation::Subtraction, span);
    result.mul(part);
    notes.combined(result.add(&a.histogram).ok()?, HistogramOperation::Addition, span);
    Some(result)
}

pub(super) fn histograms(
    task: &RangeTask,
    name: &str,
    window: &Window<'_>,
    notes: &mut Annotations,
    kind: Kind,
) -> Option<FloatHistogram> {
    use CounterResetHint::Gauge;
    let span = task.first_span;
    let samples = window.histograms;
    let is_smoothed = task.boundaries == Boundaries::Smoothed;
    let time = |i: usize| samples.get(i).map_or(0, |sample| sample.time);
    let (first, last) = bounds(time, samples.len(), window, is_smoothed)?;
    if is_smoothed && time(first) > window.end {
        return None;
    }

    let inside = samples.get(first..=last)?;
    let is_custom = inside.first()?.histogram.uses_custom_buckets();
    for sample in inside {
        if sample.histogram.uses_custom_buckets() != is_custom {
            notes.mixed_exponential_custom(name, span);
            return None;
        }
        if kind.is_counter() && sample.histogram.counter_reset_hint == Gauge {
            notes.histogram_not_counter(name, span);
        }
    }
    let mut between = |a: usize, b: usize, at: TimestampMs| {
        let found = interpolated_histogram(samples.get(a)?, samples.get(b)?, at, kind.is_counter(), notes, span);
        if found.is_none() {
            notes.mixed_exponential_custom(name, span);
        }
        found
    };
    let left_is_between = is_smoothed && time(first) < window.start;
    let left = if left_is_between {
        between(first, first + 1, window.start)?
    } else {
        FloatHistogram::clone(&samples.get(first)?.histogram)
    };
    let right = if is_smoothed && last > 0 && time(last) > window.end {
        between(last - 1, last, window.end)?
    } else {
        FloatHistogram::clone(&samples.get(last)?.histogram)
    };
    if !kind.is_counter() && (left.counter_reset_hint != Gauge || right.counter_reset_hint != Gauge) {
        notes.histogram_not_gauge(name, span);
    }
    let mut result = right.clone();
    if !sub(&mut result, &left, name, notes, task) {
        return None;
    }
    if kind.is_counter()
        && let Some(correction) =
            correction(task, name, samples, (first, last), (&left, &right), left_is_between, notes)?
        && !add(&mut result, &correction, name, notes, task)
    {
        return None;
    }
    if kind.is_rate() {
        result.div(task.range_ms as f64 / 1000.0);
    }
    result.counter_reset_hint = Gauge;
    result.compact(0);
    Some(result)
}

/// What resets between the ends took away. The outer `None` if histograms do not go together, which a note says.
fn correction(
    task: &RangeTask,
    name: &str,
    samples: &[HistogramSample],
    (first, last): (usize, usize),
    (left, right): (&FloatHistogram, &FloatHistogram),
    left_is_between: bool,
    notes: &mut Annotations,
) -> Option<Option<FloatHistogram>> {
    let mut from = first + 1;
    let mut before = left;
    if left_is_between
        && let (Some(a), Some(b)) = (samples.get(first), samples.get(first + 1))
        && b.histogram.detect_reset(&a.histogram)
    {
        // The value on the left is that of after this reset already.
        before = &b.histogram;
        from += 1;
    }
    // The last sample is what `right` was made of.
    if from > last {
        return Some(None);
    }
    let mut correction: Option<FloatHistogram> = None;
    let between = samples.get(from..last).unwrap_or_default().iter().map(|sample| &*sample.histogram);
    for histogram in between.chain([right]) {
        if histogram.detect_reset(before) {
            match &mut correction {
                None => correction = Some(before.clone()),
                Some(sum) => {
                    if !add(sum, before, name, notes, task) {
                        return None;
                    }
                }
            }
        }
        before = histogram;
    }
    Some(correction)
}
