//! Replaces what depends on the query's times by constants.

use prometheus_model::TimestampMs;

use crate::{
    ast::{AtModifier, DurationExpr, DurationOp, DurationValue, Expr, NumberLiteral, Span, VectorSelector},
    engine::options::QueryTimes,
    error::{Repr, Result},
    function::FunctionId,
};

/// 2^63 nanoseconds in seconds.
const MAX_SECONDS: f64 = 9_223_372_036.854_776;

/// Computes durations, replaces `start()`, `end()`, `range()` and `step()`, and takes parentheses off arguments.
///
/// # Errors
/// If a duration is none.
pub(super) fn resolve(expr: &mut Expr, times: QueryTimes) -> Result<()> {
    let (start, end, step) = match times {
        QueryTimes::Instant(time) => (time, time, 0),
        QueryTimes::Range { start, end, step_ms } => (start, end, step_ms),
    };
    Resolver { start, end, step }.expr(expr)
}

struct Resolver {
    start: TimestampMs,
    end: TimestampMs,
    step: TimestampMs,
}

impl Resolver {
    fn range_seconds(&self) -> f64 {
        self.end.saturating_sub(self.start) as f64 / 1000.0
    }

    fn expr(&self, expr: &mut Expr) -> Result<()> {
        match expr {
            Expr::Aggregate(e) => {
                unwrap(&mut e.expr);
                e.param.as_mut().into_iter().for_each(|param| unwrap(param));
                self.expr(&mut e.expr)?;
                e.param.as_mut().map_or(Ok(()), |param| self.expr(param))
            }
            Expr::Binary(e) => {
                self.expr(&mut e.lhs)?;
                self.expr(&mut e.rhs)
            }
            Expr::Call(e) => {
                let value = match e.function.id {
                    FunctionId::Start => self.start as f64 / 1000.0,
                    FunctionId::End => self.end as f64 / 1000.0,
                    FunctionId::Range => self.range_seconds(),
                    FunctionId::Step if self.start == self.end => 0.0,
                    FunctionId::Step => self.step as f64 / 1000.0,
                    _ => {
                        return e.args.iter_mut().try_for_each(|arg| {
                            unwrap(arg);
                            self.expr(arg)
                        });
                    }
                };
                *expr = Expr::Number(NumberLiteral { value, is_duration: false, span: e.span });
                Ok(())
            }
            Expr::Matrix(e) => {
                self.selector(&mut e.selector)?;
                self.duration(&mut e.range, false)
            }
            Expr::Number(_) | Expr::String(_) => Ok(()),
            Expr::Paren(e) => self.expr(&mut e.expr),
            Expr::Subquery(e) => {
                self.expr(&mut e.expr)?;
                self.duration(&mut e.offset, true)?;
                if let Some(step) = &mut e.step {
                    self.duration(step, false)?;
                }
                self.duration(&mut e.range, false)?;
                self.at(&mut e.at);
                Ok(())
            }
            Expr::Unary(e) => self.expr(&mut e.expr),
            Expr::Vector(e) => self.selector(e),
        }
    }

    fn selector(&self, selector: &mut VectorSelector) -> Result<()> {
        self.at(&mut selector.at);
        self.duration(&mut selector.offset, true)
    }

    fn at(&self, at: &mut Option<AtModifier>) {
        if let Some(at) = at {
            *at = AtModifier::Timestamp(match at {
                AtModifier::Timestamp(time) => *time,
                AtModifier::Start => self.start,
                AtModifier::End => self.end,
            });
        }
    }

    fn duration(&self, duration: &mut DurationValue, may_be_negative: bool) -> Result<()> {
        let DurationValue::Expr(expr) = duration else { return Ok(()) };
        let seconds = self.seconds(expr)?;
        let refuse = |what| refuse(expr.span(), what);
        if !seconds.is_finite() {
            return refuse("duration is NaN or infinite");
        }
        if seconds <= 0.0 && !may_be_negative {
            return refuse("duration must be greater than 0");
        }
        if seconds.abs() > MAX_SECONDS {
            return refuse("duration is out of range");
        }
        *duration = DurationValue::Nanos(((seconds * 1000.0) as i64).saturating_mul(1_000_000));
        Ok(())
    }

    fn seconds(&self, expr: &DurationExpr) -> Result<f64> {
        Ok(match expr {
            DurationExpr::Number(number) => number.value,
            DurationExpr::Step(_) => self.step as f64 / 1000.0,
            DurationExpr::Range(_) => self.range_seconds(),
            DurationExpr::Negate { expr, .. } => -self.seconds(expr)?,
            DurationExpr::Paren { expr, .. } => self.seconds(expr)?,
            DurationExpr::Binary { op, lhs, rhs, span } => {
                let (a, b) = (self.seconds(lhs)?, self.seconds(rhs)?);
                match op {
                    DurationOp::Add => a + b,
                    DurationOp::Sub => a - b,
                    DurationOp::Mul => a * b,
                    DurationOp::Div if b == 0.0 => return refuse(*span, "division by zero"),
                    DurationOp::Div => a / b,
                    DurationOp::Mod if b == 0.0 => return refuse(*span, "modulo by zero"),
                    DurationOp::Mod => a % b,
                    DurationOp::Pow => a.powf(b),
                    DurationOp::MaxOf => super::super::call::max(a, b),
                    DurationOp::MinOf => super::super::call::min(a, b),
                }
            }
        })
    }
}

#[cold]
fn refuse<T>(span: Span, what: &str) -> Result<T> {
    Err(Repr::Request { message: format!("{}:{}: {what}", span.start, span.end) }.into())
}

/// Takes parentheses off.
fn unwrap(expr: &mut Expr) {
    while let Expr::Paren(paren) = expr {
        let inner = Expr::Number(NumberLiteral { value: 0.0, is_duration: false, span: Span::default() });
        *expr = std::mem::replace(&mut paren.expr, inner);
    }
}

/// Milliseconds of a duration that was resolved.
pub(super) const fn millis(duration: &DurationValue) -> i64 {
    match duration {
        DurationValue::Nanos(nanos) => *nanos / 1_000_000,
        DurationValue::Expr(_) => 0,
    }
}

/// The time of `@`, if there is one; it was resolved.
pub(super) const fn at_time(at: Option<AtModifier>) -> Option<TimestampMs> {
    match at {
        Some(AtModifier::Timestamp(time)) => Some(time),
        _ => None,
    }
}
