//! A vector and a scalar, series by series.

use super::element::{arithmetic, changes_metric, compare, element};
use crate::{
    ast::{BinaryOp, Span},
    engine::{
        annotations::Annotations,
        column::{Column, Point, absent, is_present},
        scalars::Scalars,
    },
};

/// An operation on a vector and a scalar.
#[derive(Debug)]
pub(crate) struct ScalarTask {
    pub(crate) op: BinaryOp,
    pub(crate) return_bool: bool,
    pub(crate) scalars: Scalars,
    pub(crate) is_scalar_left: bool,
    pub(crate) span: Span,
}

impl ScalarTask {
    pub(crate) const fn drops_name(&self) -> bool {
        self.return_bool || changes_metric(self.op)
    }

    pub(crate) fn apply(&self, mut column: Column, notes: &mut Annotations) -> Column {
        if !column.has_histograms() && !matches!(self.op, BinaryOp::TrimLower | BinaryOp::TrimUpper) {
            self.floats(&mut column.floats);
            return column;
        }
        let mut result = Column::absent(column.len());
        for step in 0..column.len() {
            let Some(value) = column.get(step) else { continue };
            let scalar = Point::Float(self.scalars.at(step));
            let (lhs, rhs) = if self.is_scalar_left { (&scalar, &value) } else { (&value, &scalar) };
            let outcome = element(self.op, lhs, rhs);
            if let Some(note) = outcome.note {
                note.say(self.op, self.span, notes);
                if note.is_failure() {
                    continue;
                }
            }
            let point = if self.return_bool {
                Point::Float(f64::from(u8::from(outcome.is_kept)))
            } else if !outcome.is_kept {
                continue;
            } else if self.op.is_comparison() {
                value
            } else {
                outcome.point
            };
            result.set(step, Some(point));
        }
        result
    }

    fn floats(&self, values: &mut [f64]) {
        let op = self.op;
        let is_left = self.is_scalar_left;
        let order = |value: f64, scalar: f64| if is_left { (scalar, value) } else { (value, scalar) };
        let is_comparison = op.is_comparison();
        let each = |values: &mut [f64], function: &dyn Fn(f64, f64) -> f64| {
            for (step, value) in values.iter_mut().enumerate().filter(|(_, value)| is_present(**value)) {
                *value = function(*value, self.scalars.at(step));
            }
        };
        if is_comparison && !self.return_bool {
            each(values, &|value, scalar| {
                let (a, b) = order(value, scalar);
                if compare(op, a, b) { value } else { absent() }
            });
        } else {
            each(values, &|value, scalar| {
                let (a, b) = order(value, scalar);
                arithmetic(op, a, b)
            });
        }
    }
}
