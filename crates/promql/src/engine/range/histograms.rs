//! Rates of native histograms.

use prometheus_model::{Combined, CounterResetHint, FloatHistogram, IncompatibleHistograms};

use super::{
    RangeTask, Window,
    rate::{Extent, Kind, is_reset, overlaps_before},
};
use crate::engine::{
    annotations::{Annotations, HistogramOperation},
    samples::HistogramSample,
};

pub(super) fn extrapolated(
    task: &RangeTask,
    name: &str,
    window: &Window<'_>,
    notes: &mut Annotations,
    kind: Kind,
) -> Option<FloatHistogram> {
    let first = window.histograms.first()?;
    let mut result = match window.histograms.len() {
        1 => None,
        _ => Some(increase(task, name, window.histograms, notes, kind)?),
    };
    let extent = Extent::of_histograms(window)?;
    let start = (kind.is_counter() && task.wants_starts()).then_some(first.start);
    if extent.begins_at(start, window.start) {
        match &mut result {
            None => result = Some(FloatHistogram::clone(&first.histogram)),
            Some(result) => {
                if !add(result, &first.histogram, name, notes, task) {
                    return None;
                }
            }
        }
    }
    let to_zero = result
        .as_ref()
        .filter(|result| result.count > 0.0 && first.histogram.count >= 0.0)
        .map(|result| first.histogram.count / result.count);
    let factor = extent.factor((window.start, window.end), start, kind, to_zero, task.range_ms)?;
    let mut result = result?;
    result.mul(factor);
    Some(result)
}

/// Adds, and says what went wrong; `false` if it cannot be done.
pub(super) fn add(
    sum: &mut FloatHistogram,
    other: &FloatHistogram,
    name: &str,
    notes: &mut Annotations,
    task: &RangeTask,
) -> bool {
    let combined = sum.add(other);
    is_combined(combined, HistogramOperation::Addition, name, notes, task)
}

/// Subtracts, and says what went wrong; `false` if it cannot be done.
pub(super) fn sub(
    difference: &mut FloatHistogram,
    other: &FloatHistogram,
    name: &str,
    notes: &mut Annotations,
    task: &RangeTask,
) -> bool {
    let combined = difference.sub(other);
    is_combined(combined, HistogramOperation::Subtraction, name, notes, task)
}

fn is_combined(
    combined: Result<Combined, IncompatibleHistograms>,
    operation: HistogramOperation,
    name: &str,
    notes: &mut Annotations,
    task: &RangeTask,
) -> bool {
    match combined {
        Ok(combined) => notes.combined(combined, operation, task.first_span),
        Err(_) => notes.mixed_exponential_custom(name, task.first_span),
    }
    combined.is_ok()
}

/// The increase over two samples at least. `None` if they do not go together, which a note says.
fn increase(
    task: &RangeTask,
    name: &str,
    samples: &[HistogramSample],
    notes: &mut Annotations,
    kind: Kind,
) -> Option<FloatHistogram> {
    use CounterResetHint::Gauge;
    let span = task.first_span;
    let ([first, second, ..], [.., last]) = (samples, samples) else { return None };
    let mixed = |notes: &mut Annotations| {
        notes.mixed_exponential_custom(name, span);
        None
    };
    let is_reset_by_start =
        |a: &HistogramSample, b: &HistogramSample| task.wants_starts() && is_reset(a.start, a.time, b.start, b.time);
    let mut is_custom = first.histogram.uses_custom_buckets();
    let hints = [first.histogram.counter_reset_hint, last.histogram.counter_reset_hint];
    if kind.is_counter() && hints.contains(&Gauge) {
        notes.histogram_not_counter(name, span);
    }
    // The layout of a sample that was followed by a reset does not matter.
    let mut empty = None;
    if kind.is_counter() && (is_reset_by_start(first, second) || second.histogram.detect_reset(&first.histogram)) {
        is_custom = second.histogram.uses_custom_buckets();
        empty = Some(FloatHistogram {
            schema: second.histogram.schema,
            custom_values: second.histogram.custom_values.clone(),
            ..FloatHistogram::default()
        });
    }
    let mut before: &FloatHistogram = empty.as_ref().unwrap_or(&first.histogram);
    if last.histogram.uses_custom_buckets() != is_custom {
        return mixed(notes);
    }
    let mut schema = last.histogram.schema.min(before.schema);
    if kind.is_counter() {
        for sample in samples.get(1..samples.len() - 1).unwrap_or_default() {
            if sample.histogram.counter_reset_hint == Gauge {
                notes.histogram_not_counter(name, span);
            }
            schema = schema.min(sample.histogram.schema);
            if sample.histogram.uses_custom_buckets() != is_custom {
                return mixed(notes);
            }
        }
    }
    let mut result = last.histogram.copy_to_schema(schema);
    if !sub(&mut result, before, name, notes, task) {
        return None;
    }
    if kind.is_counter() {
        let mut has_overlap = false;
        for pair in samples.array_windows() {
            let [a, b] = pair;
            if task.wants_starts() && !has_overlap && overlaps_before(a.start, a.time, b.start) {
                notes.start_time_overlap(name, span);
                has_overlap = true;
            }
            if (is_reset_by_start(a, b) || b.histogram.detect_reset(before))
                && !add(&mut result, before, name, notes, task)
            {
                return None;
            }
            before = &b.histogram;
        }
    } else if hints.iter().any(|hint| *hint != Gauge) {
        notes.histogram_not_gauge(name, span);
    }
    result.counter_reset_hint = Gauge;
    result.compact(0);
    Some(result)
}
