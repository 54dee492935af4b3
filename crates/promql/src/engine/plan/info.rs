//! What `info` needs to know of its arguments.

use std::collections::BTreeMap;

use prometheus_model::{METRIC_NAME, TimestampMs};
use prometheus_queryable::{MatchOp, Matcher};

use super::resolve::{at_time, millis};
use crate::{
    ast::{Expr, SubqueryExpr, ValueType},
    function::FunctionId,
};

/// The time to which selectors look, if all of an expression look to the same one: `@` and offset.
pub(super) fn reference(expr: Option<&Expr>) -> Option<(Option<TimestampMs>, i64)> {
    let mut search = Search { first: None, is_uniform: true };
    search.visit(expr?, &mut Vec::new());
    search.first.filter(|_| search.is_uniform)
}

struct Search {
    first: Option<(Option<TimestampMs>, i64)>,
    is_uniform: bool,
}

impl Search {
    /// Whether there is a selector in the expression.
    fn visit<'e>(&mut self, expr: &'e Expr, around: &mut Vec<&'e SubqueryExpr>) -> bool {
        if !matches!(expr.value_type(), ValueType::Vector | ValueType::Matrix) {
            return false;
        }
        let selector = match expr {
            Expr::Vector(selector) => Some(selector),
            Expr::Matrix(matrix) => Some(&matrix.selector),
            _ => None,
        };
        if let Some(selector) = selector {
            let (mut at, mut offset_ms) = (at_time(selector.at), millis(&selector.offset));
            // Offsets of sub-queries around it add up, until one says when.
            for subquery in around.iter().rev() {
                if at.is_some() {
                    break;
                }
                offset_ms = offset_ms.saturating_add(millis(&subquery.offset));
                at = at_time(subquery.at);
            }
            let first = *self.first.get_or_insert((at, offset_ms));
            self.is_uniform &= match (first, (at, offset_ms)) {
                ((Some(a), a_offset), (Some(b), b_offset)) => a.saturating_sub(a_offset) == b.saturating_sub(b_offset),
                (a, b) => a == b,
            };
            return true;
        }
        if let Expr::Call(call) = expr
            && call.function.id == FunctionId::Info
        {
            return call.args.first().is_some_and(|arg| self.visit(arg, around));
        }
        let depth = around.len();
        if let Expr::Subquery(subquery) = expr {
            around.push(subquery);
        }
        let mut has_selector = false;
        for child in expr.children() {
            has_selector |= self.visit(child, around);
        }
        around.truncate(depth);
        if !has_selector {
            // Vectors that are made of nothing are of the time of evaluation.
            self.is_uniform = false;
        }
        has_selector
    }
}

/// Matchers of the second argument: those of data labels, and those that say which metrics are info metrics.
pub(super) fn matchers(selector: Option<&Expr>) -> (BTreeMap<String, Vec<Matcher>>, Vec<Matcher>) {
    let mut data: BTreeMap<String, Vec<Matcher>> = BTreeMap::new();
    let mut names = Vec::new();
    if let Some(Expr::Vector(selector)) = selector {
        for matcher in &selector.matchers {
            if matcher.name() == METRIC_NAME {
                names.push(matcher.clone());
            } else {
                data.entry(matcher.name().to_owned()).or_default().push(matcher.clone());
            }
        }
    }
    let is_positive = |matcher: &Matcher| matches!(matcher.op(), MatchOp::Equal | MatchOp::Regex);
    if names.is_empty() {
        names.push(Matcher::equal(METRIC_NAME, "target_info"));
    } else if !names.iter().any(is_positive) {
        names.extend(Matcher::new(METRIC_NAME, MatchOp::Regex, ".+_info"));
    }
    (data, names)
}
