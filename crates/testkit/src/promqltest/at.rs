//! Queries with their time written into them: `@` must give the same whenever the query is evaluated.

use prometheus_model::TimestampMs;
use prometheus_promql::{AtModifier, Expr};

/// Functions whose value depends on the time of evaluation, or on that of samples.
const UNSAFE: [&str; 15] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "end",
    "hour",
    "minute",
    "month",
    "year",
    "predict_linear",
    "range",
    "start",
    "step",
    "time",
    "timestamp",
];

/// The expression with `@ time` at all selectors and sub-queries that have no fixed time and are in no sub-query. None if
/// it depends on the time of evaluation besides.
pub(super) fn pinned(expr: &Expr, time: TimestampMs) -> Option<Expr> {
    let mut is_safe = true;
    let mut expr = expr.clone();
    pin(&mut expr, time, &mut is_safe);
    is_safe.then_some(expr)
}

fn pin(expr: &mut Expr, time: TimestampMs, is_safe: &mut bool) {
    let set = |at: &mut Option<AtModifier>| {
        if !matches!(at, Some(AtModifier::Timestamp(_))) {
            *at = Some(AtModifier::Timestamp(time));
        }
    };
    match expr {
        Expr::Vector(selector) => set(&mut selector.at),
        Expr::Matrix(matrix) => set(&mut matrix.selector.at),
        // What is inside is evaluated at the sub-query's times.
        Expr::Subquery(subquery) => set(&mut subquery.at),
        Expr::Aggregate(aggregate) => {
            pin(&mut aggregate.expr, time, is_safe);
            if let Some(param) = &mut aggregate.param {
                pin(param, time, is_safe);
            }
        }
        Expr::Binary(binary) => {
            pin(&mut binary.lhs, time, is_safe);
            pin(&mut binary.rhs, time, is_safe);
        }
        Expr::Call(call) => {
            *is_safe &= !UNSAFE.contains(&call.function.name);
            call.args.iter_mut().for_each(|arg| pin(arg, time, is_safe));
        }
        Expr::Paren(paren) => pin(&mut paren.expr, time, is_safe),
        Expr::Unary(unary) => pin(&mut unary.expr, time, is_safe),
        Expr::Number(_) | Expr::String(_) => {}
    }
}
