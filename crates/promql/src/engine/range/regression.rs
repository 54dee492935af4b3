//! Lines through samples: `deriv` and `predict_linear`; and `double_exponential_smoothing`.

use prometheus_model::TimestampMs;

use super::{RangeTask, Samples, Window};
use crate::{
    engine::{annotations::Annotations, column::Point, kahan::Kahan},
    error::{Error, Result},
};

/// Slope, and value at `origin`, of the line that is nearest to the samples.
fn line(times: &[TimestampMs], values: &[f64], origin: TimestampMs) -> (f64, f64) {
    let Some(&first) = values.first() else { return (f64::NAN, f64::NAN) };
    if !values.iter().any(|value| *value != first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let (mut x_sum, mut y_sum, mut xy_sum, mut xx_sum) =
        (Kahan::default(), Kahan::default(), Kahan::default(), Kahan::default());
    for (&time, &y) in times.iter().zip(values) {
        let x = time.saturating_sub(origin) as f64 / 1000.0;
        x_sum = x_sum.plus(x);
        y_sum = y_sum.plus(y);
        xy_sum = xy_sum.plus(x * y);
        xx_sum = xx_sum.plus(x * x);
    }
    let n = values.len() as f64;
    let (x, y) = (x_sum.total(), y_sum.total());
    let covariance = xy_sum.total() - x * y / n;
    let variance = xx_sum.total() - x * x / n;
    let slope = covariance / variance;
    (slope, y / n - slope * x / n)
}

/// Whether there are two floats at least. Says if histograms are left out beside floats.
fn has_two(task: &RangeTask, name: &str, window: &Window<'_>, notes: &mut Annotations) -> bool {
    if !window.values.is_empty() && !window.histograms.is_empty() {
        notes.histogram_ignored_in_mixed_range(name, task.first_span);
    }
    window.values.len() >= 2
}

pub(super) fn deriv(task: &RangeTask, name: &str, window: &Window<'_>, notes: &mut Annotations) -> Option<Point> {
    if !has_two(task, name, window, notes) {
        return None;
    }
    // An origin near the samples keeps digits.
    Some(Point::Float(line(window.times, window.values, *window.times.first()?).0))
}

pub(super) fn predict_linear(
    task: &RangeTask,
    name: &str,
    window: &Window<'_>,
    notes: &mut Annotations,
) -> Option<Point> {
    if !has_two(task, name, window, notes) {
        return None;
    }
    let (slope, intercept) = line(window.times, window.values, window.time);
    Some(Point::Float(slope * task.param(0).at(window.step) + intercept))
}

/// # Errors
/// If a factor is out of range at a step at which there are samples.
pub(super) fn check_smoothing(task: &RangeTask, samples: Samples<'_>) -> Result<()> {
    let (smoothing, trend) = (task.param(0), task.param(1));
    let is_factor = |factor: f64| factor > 0.0 && factor < 1.0;
    if (0..task.grid.count).all(|step| is_factor(smoothing.at(step)) && is_factor(trend.at(step))) {
        return Ok(());
    }
    let mut bad = None;
    let mut no_stats = crate::engine::stats::QueryStats::default();
    task.over(samples, &mut no_stats, |window| {
        let refused = [("smoothing", "sf", smoothing.at(window.step)), ("trend", "tf", trend.at(window.step))];
        // NaN passes, as in Prometheus.
        bad = bad.take().or_else(|| refused.into_iter().find(|(_, _, factor)| *factor <= 0.0 || *factor >= 1.0));
        None
    });
    bad.map_or(Ok(()), |(what, short, factor)| {
        let message = format!("invalid {what} factor. Expected: 0 < {short} < 1, got: {factor:.6}");
        Err(Error::execution(message))
    })
}

pub(super) fn smoothed(task: &RangeTask, name: &str, window: &Window<'_>, notes: &mut Annotations) -> Option<Point> {
    if !has_two(task, name, window, notes) {
        return None;
    }
    let (smoothing, trend_factor) = (task.param(0).at(window.step), task.param(1).at(window.step));
    let (&[first, second, ..], [_, rest @ ..]) = (window.values, window.values) else { return None };
    let mut before = 0.0;
    let mut level = first;
    let mut trend = second - first;
    for (i, value) in rest.iter().enumerate() {
        if i > 0 {
            trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
        }
        let next = smoothing * value + (1.0 - smoothing) * (level + trend);
        before = std::mem::replace(&mut level, next);
    }
    Some(Point::Float(level))
}
