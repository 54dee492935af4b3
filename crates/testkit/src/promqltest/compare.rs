//! Whether an answer is what is expected.

use std::sync::Arc;

use prometheus_model::{FloatHistogram, is_stale_nan};
use prometheus_promql::{InstantSeries, PointValue, QueryValue, RangeSeries, SequenceValue};

use super::script::{Evaluation, ExpectedSeries};

/// By how much floats may differ, relative to the sum of both.
const EPSILON: f64 = 1e-6;

/// Whether floats are equal but for rounding. NaNs are equal, but for stale markers, which equal each other only.
#[must_use]
pub fn almost_equal(a: f64, b: f64) -> bool {
    if is_stale_nan(a) || is_stale_nan(b) {
        return is_stale_nan(a) && is_stale_nan(b);
    }
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        difference < EPSILON * f64::MIN_POSITIVE
    } else {
        difference / sum.min(f64::MAX) < EPSILON
    }
}

/// Whether histograms are equal but for rounding, empty buckets, and their hints unless these matter.
fn same_histogram(expected: &FloatHistogram, found: &FloatHistogram, hint_matters: bool) -> bool {
    let compact = |histogram: &FloatHistogram| {
        let mut histogram = histogram.clone();
        histogram.compact(0);
        histogram
    };
    let (expected, found) = (compact(expected), compact(found));
    let same_counts = |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| almost_equal(a, b));
    expected.schema == found.schema
        && almost_equal(expected.count, found.count)
        && almost_equal(expected.sum, found.sum)
        && (!expected.uses_custom_buckets() || expected.custom_values == found.custom_values)
        && expected.zero_threshold == found.zero_threshold
        && almost_equal(expected.zero_count, found.zero_count)
        && expected.negative_spans == found.negative_spans
        && same_counts(&expected.negative_buckets, &found.negative_buckets)
        && expected.positive_spans == found.positive_spans
        && same_counts(&expected.positive_buckets, &found.positive_buckets)
        && (!hint_matters || expected.counter_reset_hint == found.counter_reset_hint)
}

impl Evaluation {
    /// Says what is wrong with an answer.
    pub(super) fn check(&self, value: &QueryValue) -> Result<(), String> {
        match value {
            QueryValue::Scalar { value, .. } => match self.scalar {
                Some(expected) if almost_equal(expected, *value) => Ok(()),
                Some(expected) => Err(format!("expected scalar {expected}, got {value}")),
                None => Err(format!("expected series, got scalar {value}")),
            },
            QueryValue::String { value, .. } if *value == self.string => Ok(()),
            QueryValue::String { value, .. } => Err(format!("expected string {:?}, got {value:?}", self.string)),
            _ if self.scalar.is_some() => Err(format!("expected a scalar, got {}", describe(value))),
            QueryValue::Vector(vector) => self.check_vector(vector),
            QueryValue::Matrix(matrix) => self.check_matrix(matrix),
        }
        .map_err(|message| format!("{message}\n  whole answer: {}", describe(value)))
    }

    fn check_vector(&self, vector: &[InstantSeries]) -> Result<(), String> {
        for (position, series) in vector.iter().enumerate() {
            let labels = &series.labels;
            let Some(expected) = self.series.get(labels) else {
                return Err(format!("unexpected series {labels}: {}", point_text(&series.value)));
            };
            if self.ordered && expected.position != position + 1 {
                return Err(format!("{labels}: expected at place {}, is at {}", expected.position, position + 1));
            }
            let value = expected.values.first().unwrap_or(&SequenceValue::Omitted);
            if !same_point(value, &series.value) {
                return Err(format!("{labels}: expected {}, got {}", value_text(value), point_text(&series.value)));
            }
        }
        let missing = self.series.keys().find(|labels| !vector.iter().any(|series| series.labels == **labels));
        missing.map_or(Ok(()), |labels| Err(format!("expected series {labels} is missing")))
    }

    fn check_matrix(&self, matrix: &[RangeSeries]) -> Result<(), String> {
        if self.ordered {
            return Err("expected a certain order, got a matrix".to_owned());
        }
        check_order(matrix)?;
        for series in matrix {
            let labels = &series.labels;
            let Some(expected) = self.series.get(labels) else {
                return Err(format!("unexpected series {labels}: {}", series_text(series)));
            };
            self.check_series(expected, series).map_err(|message| format!("{labels}: {message}"))?;
        }
        let missing = self.series.keys().find(|labels| !matrix.iter().any(|series| series.labels == **labels));
        missing.map_or(Ok(()), |labels| Err(format!("expected series {labels} is missing")))
    }

    fn check_series(&self, expected: &ExpectedSeries, found: &RangeSeries) -> Result<(), String> {
        let (start, end, step) = self.matrix_times;
        let (mut floats, mut histograms) = (found.floats.iter(), found.histograms.iter());
        for (position, value) in (0_i64..).zip(&expected.values) {
            let time = start.saturating_add(step.saturating_mul(position));
            if time > end {
                return Err(format!("{} values are expected, which do not fit the times", expected.values.len()));
            }
            let (found_time, point) = match value {
                SequenceValue::Omitted => continue,
                SequenceValue::Float(_) => match floats.next() {
                    Some(&(time, value)) => (time, PointValue::Float(value)),
                    None => return Err(format!("expected {} at {time}, got no more floats", value_text(value))),
                },
                SequenceValue::Histogram { .. } => match histograms.next() {
                    Some((time, value)) => (*time, PointValue::Histogram(Arc::clone(value))),
                    None => return Err(format!("expected {} at {time}, got no more histograms", value_text(value))),
                },
            };
            if found_time != time || !same_point(value, &point) {
                let (value, point) = (value_text(value), point_text(&point));
                return Err(format!("expected {value} at {time}, got {point} at {found_time}"));
            }
        }
        if let Some((time, value)) = floats.next() {
            return Err(format!("unexpected {value} at {time}"));
        }
        histograms.next().map_or(Ok(()), |(time, value)| Err(format!("unexpected {value} at {time}")))
    }
}

/// Whether series come by labels.
pub(super) fn check_order(matrix: &[RangeSeries]) -> Result<(), String> {
    match matrix.array_windows().find(|[a, b]| a.labels > b.labels) {
        Some([a, b]) => Err(format!("series are not in order: {} comes before {}", a.labels, b.labels)),
        None => Ok(()),
    }
}

fn same_point(expected: &SequenceValue, found: &PointValue) -> bool {
    match (expected, found) {
        (SequenceValue::Float(expected), PointValue::Float(found)) => almost_equal(*expected, *found),
        (SequenceValue::Omitted, PointValue::Float(found)) => almost_equal(0.0, *found),
        (SequenceValue::Histogram { histogram, has_hint }, PointValue::Histogram(found)) => {
            same_histogram(histogram, found, *has_hint)
        }
        _ => false,
    }
}

fn histogram_text(histogram: &FloatHistogram) -> String {
    format!("{histogram} (schema {}, {:?})", histogram.schema, histogram.counter_reset_hint)
}

fn value_text(value: &SequenceValue) -> String {
    match value {
        SequenceValue::Omitted => "_".to_owned(),
        SequenceValue::Float(value) => value.to_string(),
        SequenceValue::Histogram { histogram, .. } => histogram_text(histogram),
    }
}

fn point_text(value: &PointValue) -> String {
    match value {
        PointValue::Float(value) => value.to_string(),
        PointValue::Histogram(histogram) => histogram_text(histogram),
    }
}

fn series_text(series: &RangeSeries) -> String {
    let floats = series.floats.iter().map(|(time, value)| format!("{value} @{time}"));
    let histograms = series.histograms.iter().map(|(time, value)| format!("{} @{time}", histogram_text(value)));
    floats.chain(histograms).collect::<Vec<_>>().join(", ")
}

/// The start of a value, for messages.
fn describe(value: &QueryValue) -> String {
    let text = match value {
        QueryValue::Scalar { value, .. } => value.to_string(),
        QueryValue::String { value, .. } => format!("{value:?}"),
        QueryValue::Vector(vector) => vector
            .iter()
            .map(|series| format!("{} {}", series.labels, point_text(&series.value)))
            .collect::<Vec<_>>()
            .join("; "),
        QueryValue::Matrix(matrix) => matrix
            .iter()
            .map(|series| format!("{} {}", series.labels, series_text(series)))
            .collect::<Vec<_>>()
            .join("; "),
    };
    let text = if text.is_empty() { "nothing" } else { &text };
    text.chars().take(1500).collect()
}
