//! From trees to text.
//!
//! What is printed is what Prometheus prints, and parses to the tree again (`foo offset +(5)` only with computed durations
//! enabled, though it is parsed without). Where Prometheus' own text would not, ours
//! differs as little as it can:
//!
//! - durations finer than a millisecond, which Prometheus cuts, are printed as seconds, and `-0s` with its sign;
//! - a computed offset that would end too early, or take in the operator behind it, gets signs that mean nothing, or comes
//!   before other modifiers: `foo offset ++5m + 3`, `foo offset (5m) @ 1.000 + 3`;
//! - the labels `without`, `inf` and `nan` in lists get quotes, for they are keywords;
//! - `Inf` as the base of a power gets no sign, which would be one of the power;
//! - a selector of all series, which `info` may have, is `{}` instead of nothing;
//! - U+FFFD in strings is escaped; fill values 0 and -0 are told apart.

use std::fmt::{self, Display, Write};

use crate::{
    ast::{
        AggregateExpr, AtModifier, BinaryExpr, BinaryOp, Boundaries, Cardinality, DurationExpr, DurationValue, Expr,
        MatrixSelector, NumberLiteral, SubqueryExpr, VectorMatching, VectorSelector,
    },
    quote::quote_for_lexer,
};
use prometheus_queryable::Matcher;

mod duration;
mod number;
mod pretty;

use number::{duration_literal, general, nanos, plain, timestamp};

/// As Prometheus prints it, on one line.
impl Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_expr(f, self, false)
    }
}

/// Writes an expression. `before_operator` says whether an arithmetic operator follows, which a computed offset would
/// take for its own.
fn write_expr(f: &mut dyn Write, expr: &Expr, before_operator: bool) -> fmt::Result {
    match expr {
        Expr::Aggregate(e) => {
            write_aggregate_op(f, e)?;
            f.write_char('(')?;
            if let Some(param) = &e.param {
                write_expr(f, param, false)?;
                f.write_str(", ")?;
            }
            write_expr(f, &e.expr, false)?;
            f.write_char(')')
        }
        Expr::Binary(e) => {
            match &*e.lhs {
                Expr::Number(base) if is_unsigned_base(e, base) => f.write_str("Inf")?,
                lhs => write_expr(f, lhs, takes_offset(e))?,
            }
            f.write_char(' ')?;
            write_operator(f, e)?;
            f.write_char(' ')?;
            write_expr(f, &e.rhs, before_operator)
        }
        Expr::Call(e) => {
            f.write_str(e.function.name)?;
            f.write_char('(')?;
            for (i, arg) in e.args.iter().enumerate() {
                if i > 0 {
                    f.write_str(", ")?;
                }
                write_expr(f, arg, false)?;
            }
            f.write_char(')')
        }
        Expr::Matrix(e) => write_matrix(f, e, before_operator),
        Expr::Number(e) => write_number(f, e),
        Expr::Paren(e) => {
            f.write_char('(')?;
            write_expr(f, &e.expr, false)?;
            f.write_char(')')
        }
        Expr::String(e) => f.write_str(&quote_for_lexer(&e.value)),
        Expr::Subquery(e) => {
            write_expr(f, &e.expr, false)?;
            write_subquery_suffix(f, e, before_operator)
        }
        Expr::Unary(e) => {
            f.write_str(e.op.as_str())?;
            write_expr(f, &e.expr, before_operator)
        }
        Expr::Vector(e) => write_vector(f, e, before_operator),
    }
}

/// Whether a computed offset takes the operator for its own.
fn takes_offset(binary: &BinaryExpr) -> bool {
    matches!(binary.op.as_str(), "+" | "-" | "*" | "/" | "%" | "^")
}

/// Whether `base` is infinite and the base of a power, of which its sign would be.
fn is_unsigned_base(binary: &BinaryExpr, base: &NumberLiteral) -> bool {
    binary.op == BinaryOp::Pow && base.value == f64::INFINITY
}

/// `sum by (a) `
fn write_aggregate_op(f: &mut dyn Write, e: &AggregateExpr) -> fmt::Result {
    f.write_str(e.op.as_str())?;
    if e.without || !e.grouping.is_empty() {
        f.write_str(if e.without { " without (" } else { " by (" })?;
        write_labels(f, &e.grouping)?;
        f.write_str(") ")?;
    }
    Ok(())
}

/// `+ on (a) group_left (b)`
fn write_operator(f: &mut dyn Write, e: &BinaryExpr) -> fmt::Result {
    f.write_str(e.op.as_str())?;
    if e.return_bool {
        f.write_str(" bool")?;
    }
    e.matching.as_ref().map_or(Ok(()), |matching| write_matching(f, matching))
}

fn write_matching(f: &mut dyn Write, matching: &VectorMatching) -> fmt::Result {
    let group = match matching.cardinality {
        Cardinality::ManyToOne => Some(" group_left ("),
        Cardinality::OneToMany => Some(" group_right ("),
        Cardinality::OneToOne | Cardinality::ManyToMany => None,
    };
    if !matching.labels.is_empty() || matching.on || group.is_some() {
        f.write_str(if matching.on { " on (" } else { " ignoring (" })?;
        write_labels(f, &matching.labels)?;
        f.write_char(')')?;
    }
    if let Some(group) = group {
        f.write_str(group)?;
        write_labels(f, &matching.include)?;
        f.write_char(')')?;
    }
    match (matching.fill_left, matching.fill_right) {
        (Some(left), Some(right)) if left == right && left.is_sign_negative() == right.is_sign_negative() => {
            write!(f, " fill ({})", general(left))
        }
        (left, right) => {
            if let Some(left) = left {
                write!(f, " fill_left ({})", general(left))?;
            }
            right.map_or(Ok(()), |right| write!(f, " fill_right ({})", general(right)))
        }
    }
}

fn is_legacy_name(name: &str) -> bool {
    let is_letter = |b: u8| b == b'_' || b.is_ascii_alphabetic();
    !name.is_empty() && name.bytes().enumerate().all(|(i, b)| is_letter(b) || i > 0 && b.is_ascii_digit())
}

fn write_labels(f: &mut dyn Write, labels: &[String]) -> fmt::Result {
    for (i, label) in labels.iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        let is_keyword = ["without", "inf", "nan"].iter().any(|keyword| label.eq_ignore_ascii_case(keyword));
        if is_legacy_name(label) && !is_keyword {
            f.write_str(label)?;
        } else {
            f.write_str(&quote_for_lexer(label))?;
        }
    }
    Ok(())
}

fn write_number(f: &mut dyn Write, e: &NumberLiteral) -> fmt::Result {
    f.write_str(&if e.is_duration { duration_literal(e.value) } else { plain(e.value) })
}

fn matcher(matcher: &Matcher) -> String {
    let (op, value) = (matcher.op(), quote_for_lexer(matcher.value()));
    if is_legacy_name(matcher.name()) {
        format!("{}{op}{value}", matcher.name())
    } else {
        format!("{}{op}{value}", quote_for_lexer(matcher.name()))
    }
}

/// Name and braces.
fn write_series(f: &mut dyn Write, e: &VectorSelector) -> fmt::Result {
    let name = e.name.as_deref().unwrap_or_default();
    f.write_str(name)?;
    let matchers = match e.matchers.split_last() {
        // The last is the one for the name.
        Some((_, inside)) if !name.is_empty() => inside,
        _ => &e.matchers,
    };
    if matchers.is_empty() {
        return if name.is_empty() { f.write_str("{}") } else { Ok(()) };
    }
    let mut texts: Vec<String> = matchers.iter().map(matcher).collect();
    texts.sort_unstable();
    write!(f, "{{{}}}", texts.join(","))
}

fn write_at(f: &mut dyn Write, at: Option<AtModifier>) -> fmt::Result {
    match at {
        Some(AtModifier::Timestamp(ms)) => write!(f, " @ {}", timestamp(ms)),
        Some(AtModifier::Start) => f.write_str(" @ start()"),
        Some(AtModifier::End) => f.write_str(" @ end()"),
        None => Ok(()),
    }
}

fn write_boundaries(f: &mut dyn Write, boundaries: Boundaries) -> fmt::Result {
    f.write_str(match boundaries {
        Boundaries::Plain => "",
        Boundaries::Anchored => " anchored",
        Boundaries::Smoothed => " smoothed",
    })
}

fn write_offset(f: &mut dyn Write, offset: &DurationValue, before_operator: bool) -> fmt::Result {
    match offset {
        DurationValue::Nanos(0) => Ok(()),
        DurationValue::Nanos(n) => {
            let sign = if *n < 0 { "-" } else { "" };
            write!(f, " offset {sign}{}", nanos(*n))
        }
        DurationValue::Expr(e) => write!(f, " offset {}", duration::as_offset(e, before_operator)),
    }
}

/// Whether an operator behind this offset belongs to it.
fn is_open(offset: &DurationValue) -> bool {
    match offset {
        DurationValue::Nanos(_) => false,
        DurationValue::Expr(e) => duration::is_open(e),
    }
}

fn write_vector(f: &mut dyn Write, e: &VectorSelector, before_operator: bool) -> fmt::Result {
    write_series(f, e)?;
    let offset_first = before_operator && is_open(&e.offset);
    if offset_first {
        write_offset(f, &e.offset, before_operator)?;
    }
    write_at(f, e.at)?;
    write_boundaries(f, e.boundaries)?;
    if offset_first { Ok(()) } else { write_offset(f, &e.offset, before_operator) }
}

fn write_range(f: &mut dyn Write, range: &DurationValue) -> fmt::Result {
    match range {
        // Less than half a nanosecond was given, for zero is none.
        DurationValue::Nanos(0) => f.write_str("0.0000000001"),
        DurationValue::Nanos(n) => f.write_str(&nanos(*n)),
        DurationValue::Expr(e) => write!(f, "{e}"),
    }
}

fn write_matrix(f: &mut dyn Write, e: &MatrixSelector, before_operator: bool) -> fmt::Result {
    write_series(f, &e.selector)?;
    f.write_char('[')?;
    write_range(f, &e.range)?;
    f.write_char(']')?;
    let offset_first = before_operator && is_open(&e.selector.offset);
    if offset_first {
        write_offset(f, &e.selector.offset, before_operator)?;
    }
    write_boundaries(f, e.selector.boundaries)?;
    write_at(f, e.selector.at)?;
    if offset_first { Ok(()) } else { write_offset(f, &e.selector.offset, before_operator) }
}

/// `[1h:5m] @ end() offset 1d`
fn write_subquery_suffix(f: &mut dyn Write, e: &SubqueryExpr, before_operator: bool) -> fmt::Result {
    f.write_char('[')?;
    write_range(f, &e.range)?;
    f.write_char(':')?;
    if let Some(step) = &e.step {
        write_range(f, step)?;
    }
    f.write_char(']')?;
    let offset_first = before_operator && is_open(&e.offset);
    if offset_first {
        write_offset(f, &e.offset, before_operator)?;
    }
    write_at(f, e.at)?;
    if offset_first { Ok(()) } else { write_offset(f, &e.offset, before_operator) }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        duration::write(f, self)
    }
}
