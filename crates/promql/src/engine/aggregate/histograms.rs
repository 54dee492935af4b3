//! Sums and means of native histograms.

use prometheus_model::{CounterResetHint, FloatHistogram};

use crate::{
    ast::{AggregateOp, Span},
    engine::{
        annotations::{Annotations, HistogramOperation},
        range::HistogramMean,
    },
};

/// The histograms of a group at a step.
#[derive(Debug)]
pub(super) struct HistogramCell {
    state: State,
    has_reset: bool,
    has_no_reset: bool,
}

#[derive(Debug)]
enum State {
    Sum {
        sum: FloatHistogram,
        compensation: Option<FloatHistogram>,
    },
    Mean(HistogramMean),
    /// Exponential and custom buckets: there is no result.
    Incompatible,
}

impl HistogramCell {
    pub(super) fn new(op: AggregateOp, first: &FloatHistogram) -> Self {
        let state = match op {
            AggregateOp::Avg => State::Mean(HistogramMean::new(first.clone())),
            _ => State::Sum { sum: first.clone(), compensation: None },
        };
        let mut cell = Self { state, has_reset: false, has_no_reset: false };
        cell.hint(first);
        cell
    }

    fn hint(&mut self, histogram: &FloatHistogram) {
        self.has_reset |= histogram.counter_reset_hint == CounterResetHint::CounterReset;
        self.has_no_reset |= histogram.counter_reset_hint == CounterResetHint::NotCounterReset;
    }

    pub(super) fn push(&mut self, histogram: &FloatHistogram, name: &str, notes: &mut Annotations, span: Span) {
        self.hint(histogram);
        let is_reconciled = match &mut self.state {
            State::Sum { sum, compensation } => {
                sum.kahan_add(histogram, compensation.take()).ok().map(|(lost, combined)| {
                    *compensation = lost;
                    combined.bounds_reconciled
                })
            }
            State::Mean(mean) => mean.plus(histogram),
            State::Incompatible => Some(false),
        };
        match is_reconciled {
            Some(true) => notes.reconciled_bounds(HistogramOperation::Aggregation, span),
            Some(false) => {}
            None => {
                notes.mixed_exponential_custom(name, span);
                self.state = State::Incompatible;
            }
        }
    }

    pub(super) const fn is_incompatible(&self) -> bool {
        matches!(self.state, State::Incompatible)
    }

    pub(super) fn note_hints(&self, notes: &mut Annotations, span: Span) {
        if self.has_reset && self.has_no_reset {
            notes.counter_reset_collision(HistogramOperation::Aggregation, span);
        }
    }

    pub(super) fn finish(self) -> Option<FloatHistogram> {
        let mut result = match self.state {
            State::Sum { mut sum, compensation } => {
                if let Some(compensation) = compensation {
                    sum.add(&compensation).ok()?;
                }
                sum
            }
            State::Mean(mean) => mean.mean()?,
            State::Incompatible => return None,
        };
        result.compact(0);
        Some(result)
    }
}
