//! What Prometheus says besides the answer: warnings and infos.

use std::{collections::HashMap, fmt::Write as _};

use prometheus_model::{Combined, FloatText, TimestampMs};

use crate::{ast::Span, error::ParseError, quote::quote};

/// How much an annotation matters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Severity {
    /// The query or the data are probably not what was meant.
    Warning,
    /// Something that may be worth knowing.
    Info,
}

/// A warning or an info.
#[derive(Clone, PartialEq, Debug)]
pub struct Annotation {
    /// How much it matters.
    pub severity: Severity,
    /// What it says, without its position and numbers.
    pub message: String,
    /// What it is about, if it is about a part of the query.
    pub span: Option<Span>,
    detail: Detail,
}

/// What is added up when the same is said again.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Detail {
    None,
    Monotonicity { times: (TimestampMs, TimestampMs), buckets: (f64, f64), max_diff: f64, samples: u64 },
    Occurrences(u64),
}

/// Warnings and infos of a query, each once.
#[derive(Clone, Default, Debug)]
pub struct Annotations {
    list: Vec<Annotation>,
    places: HashMap<String, usize>,
}

/// What was done with histograms when something was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HistogramOperation {
    Addition,
    Subtraction,
    Aggregation,
}

impl HistogramOperation {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        }
    }
}

impl Annotation {
    /// The whole text, with the position in the query, as Prometheus' HTTP API gives it.
    #[must_use]
    pub fn text(&self, query: &str) -> String {
        let mut text = self.message.clone();
        match self.detail {
            Detail::None | Detail::Occurrences(..=1) => {}
            Detail::Occurrences(count) => {
                let _ = write!(text, " ({count} occurrences)");
            }
            Detail::Monotonicity { times, buckets, max_diff, samples } => {
                let _ = write!(
                    text,
                    ", from buckets {} to {}, with a max diff of {}, over {samples} samples from {} to {}",
                    FloatText(buckets.0),
                    FloatText(buckets.1),
                    two_digits(max_diff),
                    rfc3339(times.0),
                    rfc3339(times.1),
                );
            }
        }
        if let Some(span) = self.span {
            match ParseError::new(query, span, String::new()).position {
                Some((line, column)) => {
                    let _ = write!(text, " ({line}:{column})");
                }
                None => text.push_str(" (unknown position)"),
            }
        }
        text
    }

    /// The later position counts, but of what is added up the earlier.
    fn merge(&mut self, newer: Self) {
        match (&mut self.detail, newer.detail) {
            (Detail::Occurrences(a), Detail::Occurrences(b)) => *a = a.saturating_add(b),
            (
                Detail::Monotonicity { times: t, buckets: b, max_diff: d, samples: n },
                Detail::Monotonicity { times, buckets, max_diff, samples },
            ) => {
                *t = (t.0.min(times.0), t.1.max(times.1));
                *b = (b.0.min(buckets.0), b.1.max(buckets.1));
                *d = d.max(max_diff);
                *n = n.saturating_add(samples);
            }
            _ => *self = newer,
        }
    }
}

impl Annotations {
    /// All of them, in the order in which they were first said.
    pub fn iter(&self) -> impl Iterator<Item = &Annotation> {
        self.list.iter()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Texts of the warnings, with positions in `query`.
    #[must_use]
    pub fn warnings(&self, query: &str) -> Vec<String> {
        self.texts(Severity::Warning, query)
    }

    /// Texts of the infos, with positions in `query`.
    #[must_use]
    pub fn infos(&self, query: &str) -> Vec<String> {
        self.texts(Severity::Info, query)
    }

    fn texts(&self, severity: Severity, query: &str) -> Vec<String> {
        self.list.iter().filter(|a| a.severity == severity).map(|a| a.text(query)).collect()
    }

    /// Adds one. The same message twice is one.
    pub(crate) fn add(&mut self, annotation: Annotation) {
        if let Some(there) = self.places.get(&annotation.message).and_then(|&place| self.list.get_mut(place)) {
            there.merge(annotation);
            return;
        }
        self.places.insert(annotation.message.clone(), self.list.len());
        self.list.push(annotation);
    }

    pub(crate) fn merge(&mut self, newer: Self) {
        newer.list.into_iter().for_each(|annotation| self.add(annotation));
    }

    fn push(&mut self, severity: Severity, message: String, span: Span) {
        self.add(Annotation { severity, message, span: Some(span), detail: Detail::None });
    }

    fn warn(&mut self, message: impl AsRef<str>, span: Span) {
        self.push(Severity::Warning, format!("PromQL warning: {}", message.as_ref()), span);
    }

    fn info(&mut self, message: impl AsRef<str>, span: Span) {
        self.push(Severity::Info, format!("PromQL info: {}", message.as_ref()), span);
    }

    /// What a store left out of its answer.
    pub(crate) fn storage(&mut self, message: String) {
        self.add(Annotation { severity: Severity::Warning, message, span: None, detail: Detail::None });
    }

    pub(crate) fn invalid_quantile(&mut self, q: f64, span: Span) {
        self.warn(format!("quantile value should be between 0 and 1, got {}", FloatText(q)), span);
    }

    pub(crate) fn invalid_ratio(&mut self, ratio: f64, capped: f64, span: Span) {
        let (ratio, capped) = (FloatText(ratio), FloatText(capped));
        self.warn(format!("ratio value should be between -1 and 1, got {ratio}, capping to {capped}"), span);
    }

    pub(crate) fn bad_bucket_label(&mut self, name: &str, label: &str, span: Span) {
        let message = format!("bucket label \"le\" is missing or has a malformed value of {}", quote(label));
        self.warn(for_metric(message, name), span);
    }

    pub(crate) fn mixed_floats_histograms(&mut self, name: &str, span: Span) {
        self.warn(format!("encountered a mix of histograms and floats for metric name {}", quote(name)), span);
    }

    pub(crate) fn mixed_floats_histograms_aggregation(&mut self, span: Span) {
        self.warn("encountered a mix of histograms and floats for aggregation", span);
    }

    pub(crate) fn mixed_classic_native(&mut self, name: &str, span: Span) {
        self.warn(for_metric("vector contains a mix of classic and native histograms".to_owned(), name), span);
    }

    pub(crate) fn histogram_not_counter(&mut self, name: &str, span: Span) {
        self.warn(format!("this native histogram metric is not a counter: {}", quote(name)), span);
    }

    pub(crate) fn histogram_not_gauge(&mut self, name: &str, span: Span) {
        self.warn(format!("this native histogram metric is not a gauge: {}", quote(name)), span);
    }

    pub(crate) fn mixed_exponential_custom(&mut self, name: &str, span: Span) {
        let message = "vector contains a mix of histograms with exponential and custom buckets schemas for metric name";
        self.warn(format!("{message} {}", quote(name)), span);
    }

    pub(crate) fn incompatible_bucket_layout(&mut self, op: &str, span: Span) {
        self.warn(format!("incompatible bucket layout encountered for binary operator {op}"), span);
    }

    pub(crate) fn sort_in_range_query(&mut self, span: Span) {
        self.warn("sort is ineffective for range queries since results are always ordered by labels", span);
    }

    pub(crate) fn counter_reset_collision(&mut self, operation: HistogramOperation, span: Span) {
        self.warn(format!("conflicting counter resets during histogram {}", operation.as_str()), span);
    }

    pub(crate) fn start_time_overlap(&mut self, name: &str, span: Span) {
        let message = format!(
            "PromQL warning: sample has start time that overlaps with previous sample timestamp for metric {}",
            quote(name)
        );
        let detail = Detail::Occurrences(1);
        self.add(Annotation { severity: Severity::Warning, message, span: Some(span), detail });
    }

    pub(crate) fn possible_non_counter(&mut self, name: &str, span: Span) {
        let message = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket:";
        self.info(format!("{message} {}", quote(name)), span);
    }

    pub(crate) fn possible_non_counter_label(&mut self, name: &str, label: &str, span: Span) {
        let message = "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got";
        self.info(format!("{message} {}: {}", quote(label), quote(name)), span);
    }

    pub(crate) fn forced_monotonicity(
        &mut self,
        name: &str,
        span: Span,
        time: TimestampMs,
        buckets: (f64, f64),
        max_diff: f64,
    ) {
        let message = "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see \
                       https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
        let detail = Detail::Monotonicity { times: (time, time), buckets, max_diff, samples: 1 };
        let message = for_metric(message.to_owned(), name);
        self.add(Annotation { severity: Severity::Info, message, span: Some(span), detail });
    }

    pub(crate) fn incompatible_types(&mut self, op: &str, lhs: &str, rhs: &str, span: Span) {
        let message = "incompatible sample types encountered for binary operator";
        self.info(format!("{message} {}: {lhs} {op} {rhs}", quote(op)), span);
    }

    pub(crate) fn histogram_ignored_in_aggregation(&mut self, aggregation: &str, span: Span) {
        self.info(format!("ignored histogram in {aggregation} aggregation"), span);
    }

    pub(crate) fn histogram_ignored_in_mixed_range(&mut self, name: &str, span: Span) {
        let message = "ignored histograms in a range containing both floats and histograms for metric name";
        self.info(format!("{message} {}", quote(name)), span);
    }

    pub(crate) fn quantile_of_nans(&mut self, name: &str, span: Span) {
        let message = "input to histogram_quantile has NaN observations, result is NaN".to_owned();
        self.info(for_metric(message, name), span);
    }

    pub(crate) fn quantile_skewed_by_nans(&mut self, name: &str, span: Span) {
        let message = "input to histogram_quantile has NaN observations, result is skewed higher".to_owned();
        self.info(for_metric(message, name), span);
    }

    pub(crate) fn fraction_of_nans(&mut self, name: &str, span: Span) {
        let message = "input to histogram_fraction has NaN observations, which are excluded from all fractions";
        self.info(for_metric(message.to_owned(), name), span);
    }

    /// What is to be said of two histograms that were put together.
    pub(crate) fn combined(&mut self, combined: Combined, operation: HistogramOperation, span: Span) {
        if combined.bounds_reconciled {
            self.reconciled_bounds(operation, span);
        }
    }

    pub(crate) fn reconciled_bounds(&mut self, operation: HistogramOperation, span: Span) {
        self.info(format!("mismatched custom buckets were reconciled during {}", operation.as_str()), span);
    }
}

fn for_metric(mut message: String, name: &str) -> String {
    if !name.is_empty() {
        let _ = write!(message, " for metric name {}", quote(name));
    }
    message
}

/// C's `%.2g`.
fn two_digits(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return FloatText(value).to_string();
    }
    let scientific = format!("{value:.1e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if !(-4..2).contains(&exponent) {
        let digits = digits.strip_suffix(".0").unwrap_or(digits);
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let decimals = usize::try_from(1 - exponent).unwrap_or_default();
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Seconds, in UTC.
fn rfc3339(time: TimestampMs) -> String {
    let seconds = time / 1000; // towards zero, as Go divides
    let (year, month, day) = super::date::civil(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_with_two_digits() {
        let texts = [9.9, 0.5, 10.0, 12.3, 123.0, 1e-5, 0.00012, 2.0].map(two_digits);
        assert_eq!(texts, ["9.9", "0.5", "10", "12", "1.2e+02", "1e-05", "0.00012", "2"]);
    }

    #[test]
    fn the_same_is_said_once_with_the_later_position() {
        let mut annotations = Annotations::default();
        annotations.possible_non_counter("foo", Span::new(5, 8));
        annotations.possible_non_counter("foo", Span::new(15, 18));
        annotations.forced_monotonicity("", Span::new(0, 1), 61_000, (1.0, 2.0), 0.5);
        annotations.forced_monotonicity("", Span::new(0, 1), 1_000, (0.5, 1.0), 0.25);
        let infos = annotations.infos("rate(foo[1m])+rate(foo[2m])");
        assert_eq!(infos.len(), 2);
        assert!(infos[0].ends_with("_bucket: \"foo\" (1:16)"), "{infos:?}");
        let end = "from buckets 0.5 to 2, with a max diff of 0.5, over 2 samples from 1970-01-01T00:00:01Z to \
                   1970-01-01T00:01:01Z (1:1)";
        assert!(infos[1].ends_with(end), "{infos:?}");
    }
}
