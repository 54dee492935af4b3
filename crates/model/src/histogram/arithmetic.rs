//! Scaling, sums and differences.

use std::{borrow::Cow, fmt};

use super::{
    CounterResetHint, FloatHistogram, Span,
    compensated::Compensated,
    custom,
    layout::Indexed,
    side::{Count, Side},
};
use crate::bucket::bound;

/// What is odd about a sum or difference of two histograms.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Combined {
    /// One of them says that the counter was reset, the other that it was not.
    pub counter_reset_collision: bool,
    /// Both have custom buckets with different bounds: the result has those that both have.
    pub bounds_reconciled: bool,
}

/// One histogram has exponential buckets, the other custom ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IncompatibleHistograms;

impl fmt::Display for IncompatibleHistograms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot apply this operation on histograms with a mix of exponential and custom bucket schemas")
    }
}

impl std::error::Error for IncompatibleHistograms {}

impl FloatHistogram {
    /// Multiplies sum and all counts. A negative factor makes a gauge.
    pub fn mul(&mut self, factor: f64) {
        self.for_each_number(|number| *number *= factor);
        if factor < 0.0 {
            self.counter_reset_hint = CounterResetHint::Gauge;
        }
    }

    /// Divides sum and all counts. A negative divisor makes a gauge; zero removes all buckets but the zero bucket.
    pub fn div(&mut self, divisor: f64) {
        self.for_each_number(|number| *number /= divisor);
        if divisor == 0.0 {
            self.positive_spans.clear();
            self.positive_buckets.clear();
            self.negative_spans.clear();
            self.negative_buckets.clear();
        } else if divisor < 0.0 {
            self.counter_reset_hint = CounterResetHint::Gauge;
        }
    }

    fn for_each_number(&mut self, mut change: impl FnMut(&mut f64)) {
        [&mut self.zero_count, &mut self.count, &mut self.sum].into_iter().for_each(&mut change);
        self.positive_buckets.iter_mut().chain(&mut self.negative_buckets).for_each(change);
    }

    /// Adds another histogram. The result has the lower of both resolutions, and a zero bucket that is large enough for
    /// both. Empty buckets and touching spans may result: see [`Self::compact`].
    ///
    /// # Errors
    /// If just one has custom buckets; nothing is changed then.
    pub fn add(&mut self, other: &Self) -> Result<Combined, IncompatibleHistograms> {
        self.combine(other, false)
    }

    /// Subtracts another histogram; otherwise the same as [`Self::add`]. The result is a gauge only if one of both was.
    ///
    /// # Errors
    /// If just one has custom buckets; nothing is changed then.
    pub fn sub(&mut self, other: &Self) -> Result<Combined, IncompatibleHistograms> {
        self.combine(other, true)
    }

    fn combine(&mut self, other: &Self, negated: bool) -> Result<Combined, IncompatibleHistograms> {
        let combined = self.adjust_to(other)?;
        let combine = |number: &mut f64, other: f64| if negated { *number -= other } else { *number += other };
        if !self.uses_custom_buckets() {
            let (other_zero_count, _) = self.reconcile_zero_buckets(other, None);
            combine(&mut self.zero_count, other_zero_count);
        }
        combine(&mut self.count, other.count);
        combine(&mut self.sum, other.sum);

        if combined.bounds_reconciled {
            let bounds = custom::common_bounds(&self.custom_values, &other.custom_values);
            let mut target = custom::Target::new(&bounds);
            target.add(self.positive_side(), &self.custom_values, false);
            target.add(other.positive_side(), &other.custom_values, negated);
            let layout = target.into_layout();
            self.positive_spans = layout.spans;
            self.positive_buckets = layout.counts.into_iter().map(|count| count.sum).collect();
            self.custom_values = bounds;
            return Ok(combined);
        }

        let other = self.at_common_resolution(other);
        let first = |spans: &[Span], counts: &[f64]| self.first_outside_zero(spans, counts);
        let positive_first = first(&other.positive_spans, &other.positive_buckets);
        let negative_first = first(&other.negative_spans, &other.negative_buckets);
        let positive = other.positive_side();
        add_side(&mut self.positive_spans, &mut self.positive_buckets, positive, positive_first, negated);
        if !self.uses_custom_buckets() {
            let negative = other.negative_side();
            add_side(&mut self.negative_spans, &mut self.negative_buckets, negative, negative_first, negated);
        }
        Ok(combined)
    }

    /// Adds another histogram as [`Self::add`] does, with Kahan's summation: `compensation` is what earlier calls gave
    /// back, and has the layout of this histogram. Adding it at last gives the precise sum.
    ///
    /// # Errors
    /// If just one has custom buckets; nothing is changed then.
    pub fn kahan_add(
        &mut self,
        other: &Self,
        compensation: Option<Self>,
    ) -> Result<(Option<Self>, Combined), IncompatibleHistograms> {
        let combined = self.adjust_to(other)?;
        let mut compensation = compensation.unwrap_or_else(|| self.no_compensation());
        if !self.uses_custom_buckets() {
            let (other_zero_count, other_zero_compensation) =
                self.reconcile_zero_buckets(other, Some(&mut compensation));
            let mut zero_count = Compensated::new(self.zero_count, compensation.zero_count);
            zero_count.add(other_zero_count);
            zero_count.add(other_zero_compensation);
            Compensated { sum: self.zero_count, compensation: compensation.zero_count } = zero_count;
        }
        let add = |number: &mut f64, compensation: &mut f64, other: f64| {
            let mut sum = Compensated::new(*number, *compensation);
            sum.add(other);
            Compensated { sum: *number, compensation: *compensation } = sum;
        };
        add(&mut self.count, &mut compensation.count, other.count);
        add(&mut self.sum, &mut compensation.sum, other.sum);

        if combined.bounds_reconciled {
            let bounds = custom::common_bounds(&self.custom_values, &other.custom_values);
            let mut target = custom::Target::new(&bounds);
            let positive = Side { compensations: &compensation.positive_buckets, ..self.positive_side() };
            target.add(positive, &self.custom_values, false);
            target.add(other.positive_side(), &other.custom_values, false);
            let layout = target.into_layout();
            self.positive_spans = layout.spans;
            (self.positive_buckets, compensation.positive_buckets) = unzip(layout.counts);
            self.custom_values.clone_from(&bounds);
            compensation.custom_values = bounds;
        } else {
            self.kahan_add_buckets(other, &mut compensation);
        }
        compensation.schema = self.schema;
        compensation.zero_threshold = self.zero_threshold;
        compensation.positive_spans.clone_from(&self.positive_spans);
        compensation.negative_spans.clone_from(&self.negative_spans);
        Ok((Some(compensation), combined))
    }

    fn kahan_add_buckets(&mut self, other: &Self, compensation: &mut Self) {
        let (mut other_positive, mut other_negative) =
            (Reduced::new(other.positive_side()), Reduced::new(other.negative_side()));
        if other.schema > self.schema {
            let shift = other.schema.abs_diff(self.schema);
            other_positive.reduce(shift);
            other_negative.reduce(shift);
        } else if other.schema < self.schema {
            let shift = self.schema.abs_diff(other.schema);
            reduce_compensated(
                &mut self.positive_spans,
                &mut self.positive_buckets,
                &mut compensation.positive_buckets,
                shift,
            );
            reduce_compensated(
                &mut self.negative_spans,
                &mut self.negative_buckets,
                &mut compensation.negative_buckets,
                shift,
            );
            self.schema = other.schema;
        }
        let first = self.first_outside_zero(&other_positive.spans, &other_positive.counts);
        let positive = Side { compensations: &compensation.positive_buckets, ..self.positive_side() };
        let layout = positive.plus::<Compensated>(other_positive.side(), first, false);
        self.positive_spans = layout.spans;
        (self.positive_buckets, compensation.positive_buckets) = unzip(layout.counts);
        if !self.uses_custom_buckets() {
            let first = self.first_outside_zero(&other_negative.spans, &other_negative.counts);
            let negative = Side { compensations: &compensation.negative_buckets, ..self.negative_side() };
            let layout = negative.plus::<Compensated>(other_negative.side(), first, false);
            self.negative_spans = layout.spans;
            (self.negative_buckets, compensation.negative_buckets) = unzip(layout.counts);
        }
    }

    /// A compensation of zero for each number.
    fn no_compensation(&self) -> Self {
        Self {
            counter_reset_hint: self.counter_reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            custom_values: self.custom_values.clone(),
            positive_spans: self.positive_spans.clone(),
            positive_buckets: vec![0.0; self.positive_buckets.len()],
            negative_spans: self.negative_spans.clone(),
            negative_buckets: vec![0.0; self.negative_buckets.len()],
            ..Self::default()
        }
    }

    /// Sets the hint of the result.
    fn adjust_to(&mut self, other: &Self) -> Result<Combined, IncompatibleHistograms> {
        use CounterResetHint::{Gauge, Unknown};
        if self.uses_custom_buckets() != other.uses_custom_buckets() {
            return Err(IncompatibleHistograms);
        }
        let mut combined = Combined::default();
        self.counter_reset_hint = match (self.counter_reset_hint, other.counter_reset_hint) {
            (hint, other) if hint == other => hint,
            (Gauge, _) | (_, Gauge) => Gauge,
            (Unknown, _) | (_, Unknown) => Unknown,
            _ => {
                combined.counter_reset_collision = true;
                Unknown
            }
        };
        combined.bounds_reconciled = self.uses_custom_buckets() && self.custom_values != other.custom_values;
        Ok(combined)
    }

    /// Reduces this histogram to the other's resolution if that is lower, or else gives the other at this one's.
    fn at_common_resolution<'a>(&mut self, other: &'a Self) -> Cow<'a, Self> {
        self.reduce_resolution(other.schema);
        if other.schema > self.schema { Cow::Owned(other.copy_to_schema(self.schema)) } else { Cow::Borrowed(other) }
    }

    /// How many of these buckets lie within the zero bucket.
    fn first_outside_zero(&self, spans: &[Span], counts: &[f64]) -> usize {
        if !self.is_exponential() {
            return 0;
        }
        let is_inside = |index| bound(index, self.schema, &[]) <= self.zero_threshold;
        Indexed::new(spans, counts).take_while(|place| is_inside(place.index)).count()
    }
}

/// Buckets, at a lower resolution if that was necessary.
struct Reduced<'a> {
    spans: Cow<'a, [Span]>,
    counts: Cow<'a, [f64]>,
    compensations: Vec<f64>,
}

impl<'a> Reduced<'a> {
    fn new(side: Side<'a>) -> Self {
        Self { spans: side.spans.into(), counts: side.counts.into(), compensations: Vec::new() }
    }

    fn side(&self) -> Side<'_> {
        Side { spans: &self.spans, counts: &self.counts, compensations: &self.compensations }
    }

    fn reduce(&mut self, shift: u32) {
        let layout = self.side().reduced::<Compensated>(shift);
        let (counts, compensations) = unzip(layout.counts);
        (self.spans, self.counts, self.compensations) = (layout.spans.into(), counts.into(), compensations);
    }
}

fn reduce_compensated(spans: &mut Vec<Span>, counts: &mut Vec<f64>, compensations: &mut Vec<f64>, shift: u32) {
    let layout = Side { spans, counts, compensations }.reduced::<Compensated>(shift);
    *spans = layout.spans;
    (*counts, *compensations) = unzip(layout.counts);
}

/// Counts and compensations.
pub(super) fn unzip(counts: Vec<Compensated>) -> (Vec<f64>, Vec<f64>) {
    counts.into_iter().map(|count| (count.sum, count.compensation)).unzip()
}

fn add_side(spans: &mut Vec<Span>, counts: &mut Vec<f64>, other: Side<'_>, skipped: usize, negated: bool) {
    // As a rule the histograms of a series have one layout.
    if spans == other.spans && counts.len() == other.counts.len() {
        for (count, &other) in counts.iter_mut().zip(other.counts).skip(skipped) {
            count.add(if negated { other.negated() } else { other });
        }
        return;
    }
    let layout = Side::new(spans, counts).plus(other, skipped, negated);
    *spans = layout.spans;
    *counts = layout.counts;
}
