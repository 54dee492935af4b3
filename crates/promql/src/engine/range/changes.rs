//! `changes` and `resets`, which look at neighbours.

use super::{AnySample, RangeTask, Samples, Window, rate::is_reset};
use crate::{
    ast::Boundaries,
    engine::{
        column::{Column, Point},
        stats::QueryStats,
    },
    function::FunctionId,
};

pub(super) fn evaluate(task: &RangeTask, samples: Samples<'_>, stats: &mut QueryStats) -> Column {
    let is_changes = task.function == FunctionId::Changes;
    if samples.histograms.is_empty() && samples.starts.is_none() && task.boundaries != Boundaries::Anchored {
        // How many pairs up to each sample fit, so that windows need not look at theirs.
        let fits = |[a, b]: &[f64; 2]| if is_changes { is_change(*a, *b) } else { b < a };
        let mut count = 0_u64;
        let sums = samples.values.array_windows().map(|pair| {
            count += u64::from(fits(pair));
            count
        });
        let counts: Vec<u64> = std::iter::once(0).chain(sums).collect();
        return task.over(samples, stats, |window| {
            let (first, last) = (window.first, window.first + window.values.len().checked_sub(1)?);
            Some(Point::Float((counts.get(last)? - counts.get(first)?) as f64))
        });
    }
    task.over(samples, stats, |window| if is_changes { changes(task, window) } else { resets(task, window) })
}

/// NaN is not another value than NaN.
fn is_change(a: f64, b: f64) -> bool {
    a != b && !(a.is_nan() && b.is_nan())
}

fn changes(task: &RangeTask, window: &Window<'_>) -> Option<Point> {
    count(task, window, |a, b| match (a.value, b.value) {
        (Ok(a), Ok(b)) => is_change(a, b),
        (Err(a), Err(b)) => !b.equals(a),
        _ => true,
    })
}

fn resets(task: &RangeTask, window: &Window<'_>) -> Option<Point> {
    count(task, window, |before, sample| {
        let by_start = || is_reset(before.start, before.time, sample.start, sample.time);
        match (before.value, sample.value) {
            (Ok(a), Ok(b)) => b < a || by_start(),
            (Err(a), Err(b)) => by_start() || b.detect_reset(a),
            _ => true,
        }
    })
}

/// How many pairs of neighbours fit.
fn count(
    task: &RangeTask,
    window: &Window<'_>,
    mut fits: impl FnMut(&AnySample<'_>, &AnySample<'_>) -> bool,
) -> Option<Point> {
    let (mut float, mut histogram) = first(task, window)?;
    let mut before: Option<AnySample<'_>> = None;
    let mut count = 0_u64;
    let wants_starts = task.wants_starts();
    loop {
        let (next_float, next_histogram) = (window.times.get(float), window.histograms.get(histogram));
        let takes_float = match (next_float, next_histogram) {
            (None, None) => break,
            (Some(time), Some(sample)) => *time < sample.time,
            (is_float, _) => is_float.is_some(),
        };
        let sample = if takes_float {
            float += 1;
            window.float(float - 1)?
        } else {
            histogram += 1;
            window.histogram(histogram - 1, wants_starts)?
        };
        if let Some(before) = &before {
            count += u64::from(fits(before, &sample));
        }
        before = Some(sample);
    }
    Some(Point::Float(count as f64))
}

/// The first float and the first histogram that count. An `anchored` range has the last sample of either kind before it.
fn first(task: &RangeTask, window: &Window<'_>) -> Option<(usize, usize)> {
    if task.boundaries != Boundaries::Anchored {
        return Some((0, 0));
    }
    let floats = window.times.partition_point(|time| *time <= window.start);
    let histograms = window.histograms.partition_point(|sample| sample.time <= window.start);
    if floats >= window.times.len() && histograms >= window.histograms.len() {
        return None;
    }
    let float_time = floats.checked_sub(1).and_then(|i| window.times.get(i)).copied();
    let histogram_time = histograms.checked_sub(1).and_then(|i| window.histograms.get(i)).map(|sample| sample.time);
    Some(match (float_time, histogram_time) {
        (None, None) => (0, 0),
        (Some(float), histogram) if histogram.is_none_or(|histogram| float >= histogram) => (floats - 1, histograms),
        _ => (floats, histograms.saturating_sub(1)),
    })
}
