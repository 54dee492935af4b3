//! Aggregations: series come one by one, and only groups are kept.

mod count_values;
mod groups;
mod histograms;
mod limit;
mod top;

pub(crate) use count_values::CountValues;

use super::{
    annotations::Annotations,
    column::Series,
    grid::Grid,
    labels::Key,
    limits::{Budget, Reserved},
    scalars::Scalars,
};
use crate::{
    ast::{AggregateOp, Span},
    error::{Error, Result},
};
use prometheus_model::FloatText;
use std::sync::Arc;

/// An aggregation with its groups.
#[derive(Debug)]
pub(crate) struct Aggregation {
    groups: Groups,
    notes: Annotations,
}

#[derive(Debug)]
enum Groups {
    /// A number that says: nothing at all.
    Nothing,
    Values(groups::Values),
    Top(top::Top),
    Limit(limit::Limit),
}

/// What an aggregation is.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) op: AggregateOp,
    pub(crate) key: Key,
    pub(crate) params: Scalars,
    pub(crate) grid: Grid,
    /// Where the aggregation is, what it aggregates, and its parameter.
    pub(crate) span: Span,
    pub(crate) child_span: Span,
    pub(crate) param_span: Span,
}

/// The largest float that is less than 2^63, as Prometheus has it.
const MAX_INT: f64 = 9_223_372_036_854_774_784.0;
const MIN_INT: f64 = -9_223_372_036_854_775_808.0;

impl Aggregation {
    /// No series yet.
    ///
    /// # Errors
    /// If the parameter is not possible.
    pub(crate) fn new(spec: Spec, budget: &Arc<Budget>) -> Result<Self> {
        let mut notes = Annotations::default();
        let groups = match spec.op {
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk => {
                let (low, high) = extremes(&spec.params);
                if high < 1.0 {
                    Groups::Nothing
                } else if has_nan(&spec.params) {
                    return Err(Error::execution("Parameter value is NaN"));
                } else if low <= MIN_INT {
                    return Err(Error::execution(format!("Scalar value {} underflows int64", FloatText(low))));
                } else if high >= MAX_INT {
                    return Err(Error::execution(format!("Scalar value {} overflows int64", FloatText(high))));
                } else if spec.op == AggregateOp::Limitk {
                    Groups::Limit(limit::Limit::new(spec, budget))
                } else {
                    Groups::Top(top::Top::new(spec, budget))
                }
            }
            AggregateOp::LimitRatio => {
                let (low, high) = extremes(&spec.params);
                if low == 0.0 && high == 0.0 {
                    Groups::Nothing
                } else if has_nan(&spec.params) {
                    return Err(Error::execution("Ratio value is NaN"));
                } else {
                    if high > 1.0 {
                        notes.invalid_ratio(high, 1.0, spec.param_span);
                    }
                    if low < -1.0 {
                        notes.invalid_ratio(low, -1.0, spec.param_span);
                    }
                    Groups::Limit(limit::Limit::new(spec, budget))
                }
            }
            AggregateOp::Quantile => {
                let (low, high) = extremes(&spec.params);
                if has_nan(&spec.params) {
                    notes.invalid_quantile(f64::NAN, spec.param_span);
                }
                if high > 1.0 {
                    notes.invalid_quantile(high, spec.param_span);
                }
                if low < 0.0 {
                    notes.invalid_quantile(low, spec.param_span);
                }
                Groups::Values(groups::Values::new(spec, budget))
            }
            _ => Groups::Values(groups::Values::new(spec, budget)),
        };
        Ok(Self { groups, notes })
    }

    /// Adds a series.
    ///
    /// # Errors
    /// If that takes too much memory.
    pub(crate) fn push(&mut self, series: Series) -> Result<()> {
        match &mut self.groups {
            Groups::Nothing => Ok(()),
            Groups::Values(values) => values.push(&series, &mut self.notes),
            Groups::Top(top) => top.push(&series, &mut self.notes),
            Groups::Limit(limit) => limit.push(series),
        }
    }

    /// The result, and what is to be said of it.
    pub(crate) fn finish(mut self) -> (Vec<Series>, Option<Reserved>, Annotations) {
        let (series, reserved) = match self.groups {
            Groups::Nothing => (Vec::new(), None),
            Groups::Values(values) => {
                let (series, reserved) = values.finish(&mut self.notes);
                (series, Some(reserved))
            }
            Groups::Top(top) => {
                let (series, reserved) = top.finish();
                (series, Some(reserved))
            }
            Groups::Limit(limit) => {
                let (series, reserved) = limit.finish();
                (series, Some(reserved))
            }
        };
        (series, reserved, self.notes)
    }
}

/// The least and the greatest, as far as NaN lets them be known.
fn extremes(params: &Scalars) -> (f64, f64) {
    match params {
        Scalars::Constant(value) => (*value, *value),
        Scalars::Steps(steps) => steps.values.iter().fold((f64::MAX, -f64::MAX), |(low, high), value| {
            (super::call::min(low, *value), super::call::max(high, *value))
        }),
    }
}

fn has_nan(params: &Scalars) -> bool {
    match params {
        Scalars::Constant(value) => value.is_nan(),
        Scalars::Steps(steps) => steps.values.iter().any(|value| value.is_nan()),
    }
}
