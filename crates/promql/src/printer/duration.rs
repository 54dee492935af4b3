//! Computed durations.

use std::fmt::{self, Write};

use super::write_number;
use crate::ast::{DurationExpr, DurationOp};

pub(super) fn write(f: &mut dyn Write, e: &DurationExpr) -> fmt::Result {
    match e {
        DurationExpr::Number(number) => write_number(f, number),
        DurationExpr::Step(_) => f.write_str("step()"),
        DurationExpr::Range(_) => f.write_str("range()"),
        DurationExpr::Negate { expr, .. } => {
            f.write_char('-')?;
            write(f, expr)
        }
        DurationExpr::Paren { expr, .. } => {
            f.write_char('(')?;
            write(f, expr)?;
            f.write_char(')')
        }
        DurationExpr::Binary { op, lhs, rhs, .. } if is_function(*op) => {
            write!(f, "{op}(")?;
            write(f, lhs)?;
            f.write_str(", ")?;
            write(f, rhs)?;
            f.write_char(')')
        }
        DurationExpr::Binary { op, lhs, rhs, .. } => {
            write(f, lhs)?;
            write!(f, " {op} ")?;
            write(f, rhs)
        }
    }
}

const fn is_function(op: DurationOp) -> bool {
    matches!(op, DurationOp::MaxOf | DurationOp::MinOf)
}

/// How many signs a text begins with.
fn signs(text: &str) -> usize {
    text.bytes().take_while(|b| matches!(b, b'+' | b'-')).count()
}

/// Whether an operator stands outside of all parentheses.
fn has_operator(e: &DurationExpr) -> bool {
    match e {
        DurationExpr::Binary { op, .. } => !is_function(*op),
        DurationExpr::Negate { expr, .. } => has_operator(expr),
        _ => false,
    }
}

/// The text behind `offset`, where operators are read only behind a parenthesis or two signs. A sign in front of a
/// parenthesis keeps an operator behind it out.
pub(super) fn as_offset(e: &DurationExpr, before_operator: bool) -> String {
    let text = e.to_string();
    let missing = match e {
        DurationExpr::Paren { .. } => usize::from(before_operator),
        _ if !has_operator(e) || text.starts_with('(') => 0,
        _ => 2_usize.saturating_sub(signs(&text)),
    };
    format!("{}{text}", "+".repeat(missing))
}

/// Whether an operator behind `offset` and this duration belongs to the latter, whatever sign it has.
pub(super) fn is_open(e: &DurationExpr) -> bool {
    let text = as_offset(e, true);
    text.starts_with('(') || signs(&text) >= 2
}
