//! One value and another.

use std::sync::Arc;

use prometheus_model::{CounterResetHint, FloatHistogram};

use crate::{
    ast::{BinaryOp, Span},
    engine::{
        annotations::{Annotations, HistogramOperation},
        column::Point,
    },
};

/// Arithmetic of floats; comparisons give 0 or 1.
pub(crate) fn arithmetic(op: BinaryOp, a: f64, b: f64) -> f64 {
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Atan2 => a.atan2(b),
        _ => f64::from(u8::from(compare(op, a, b))),
    }
}

/// Comparison of floats.
pub(crate) fn compare(op: BinaryOp, a: f64, b: f64) -> bool {
    match op {
        BinaryOp::Eql => a == b,
        BinaryOp::Neq => a != b,
        BinaryOp::Lss => a < b,
        BinaryOp::Lte => a <= b,
        BinaryOp::Gtr => a > b,
        BinaryOp::Gte => a >= b,
        _ => false,
    }
}

/// Whether the result is another metric than the operand.
pub(crate) const fn changes_metric(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Pow | BinaryOp::Atan2
    )
}

/// What is to be said of a result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Note {
    /// Kinds of the operands that do not go together: whether they are histograms.
    IncompatibleTypes(bool, bool),
    IncompatibleLayout,
    ResetCollision(HistogramOperation),
    ReconciledBounds(HistogramOperation),
}

impl Note {
    pub(crate) fn say(self, op: BinaryOp, span: Span, notes: &mut Annotations) {
        let kind = |is_histogram| if is_histogram { "histogram" } else { "float" };
        match self {
            Self::IncompatibleTypes(a, b) => notes.incompatible_types(op.as_str(), kind(a), kind(b), span),
            Self::IncompatibleLayout => notes.incompatible_bucket_layout(op.as_str(), span),
            Self::ResetCollision(operation) => notes.counter_reset_collision(operation, span),
            Self::ReconciledBounds(operation) => notes.reconciled_bounds(operation, span),
        }
    }

    /// Whether there is no result.
    pub(crate) const fn is_failure(self) -> bool {
        matches!(self, Self::IncompatibleTypes(..) | Self::IncompatibleLayout)
    }
}

/// What an operation gives: a value, whether a comparison keeps it, and what is to be said.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) point: Point,
    pub(crate) is_kept: bool,
    pub(crate) note: Option<Note>,
}

impl Outcome {
    const fn of(point: Point) -> Self {
        Self { point, is_kept: true, note: None }
    }

    const fn failed(note: Note) -> Self {
        Self { point: Point::Float(0.0), is_kept: false, note: Some(note) }
    }
}

fn changed(histogram: &FloatHistogram, change: impl FnOnce(&mut FloatHistogram)) -> Outcome {
    let mut histogram = histogram.clone();
    change(&mut histogram);
    Outcome::of(Point::Histogram(Arc::new(histogram)))
}

/// An operation on two values of any kind.
pub(crate) fn element(op: BinaryOp, lhs: &Point, rhs: &Point) -> Outcome {
    match (lhs, rhs) {
        (Point::Float(a), Point::Float(b)) => match op {
            BinaryOp::TrimUpper | BinaryOp::TrimLower => Outcome::failed(Note::IncompatibleTypes(false, false)),
            _ if op.is_comparison() => Outcome { point: Point::Float(*a), is_kept: compare(op, *a, *b), note: None },
            _ => Outcome::of(Point::Float(arithmetic(op, *a, *b))),
        },
        (Point::Float(a), Point::Histogram(h)) => match op {
            BinaryOp::Mul => changed(h, |h| {
                h.mul(*a);
                h.compact(0);
            }),
            _ => Outcome::failed(Note::IncompatibleTypes(false, true)),
        },
        (Point::Histogram(h), Point::Float(b)) => match op {
            BinaryOp::Mul => changed(h, |h| {
                h.mul(*b);
                h.compact(0);
            }),
            BinaryOp::Div => changed(h, |h| {
                h.div(*b);
                h.compact(0);
            }),
            BinaryOp::TrimUpper => changed(h, |h| h.trim_buckets(*b, true)),
            BinaryOp::TrimLower => changed(h, |h| h.trim_buckets(*b, false)),
            _ => Outcome::failed(Note::IncompatibleTypes(true, false)),
        },
        (Point::Histogram(a), Point::Histogram(b)) => histograms(op, a, b),
    }
}

fn histograms(op: BinaryOp, a: &Arc<FloatHistogram>, b: &Arc<FloatHistogram>) -> Outcome {
    let (operation, combined) = match op {
        BinaryOp::Eql | BinaryOp::Neq => {
            let is_kept = a.equals(b) == (op == BinaryOp::Eql);
            return Outcome { point: Point::Histogram(Arc::clone(a)), is_kept, note: None };
        }
        BinaryOp::Add => {
            let mut sum = FloatHistogram::clone(a);
            let combined = sum.add(b).map(|combined| (sum, combined));
            (HistogramOperation::Addition, combined)
        }
        BinaryOp::Sub => {
            let mut difference = FloatHistogram::clone(a);
            let combined = difference.sub(b).map(|combined| (difference, combined));
            (HistogramOperation::Subtraction, combined)
        }
        _ => return Outcome::failed(Note::IncompatibleTypes(true, true)),
    };
    let Ok((mut result, combined)) = combined else { return Outcome::failed(Note::IncompatibleLayout) };
    if op == BinaryOp::Sub {
        result.counter_reset_hint = CounterResetHint::Gauge;
    }
    result.compact(0);
    let note = if combined.counter_reset_collision {
        Some(Note::ResetCollision(operation))
    } else {
        combined.bounds_reconciled.then_some(Note::ReconciledBounds(operation))
    };
    Outcome { point: Point::Histogram(Arc::new(result)), is_kept: true, note }
}
