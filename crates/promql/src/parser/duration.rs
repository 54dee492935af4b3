//! Durations between brackets and behind `offset`.

use super::{
    grammar::{Level, sign},
    token::{Kind, Token},
    tokens::{Parsed, Tokens},
};
use crate::ast::{DurationExpr, DurationOp, DurationValue, NumberLiteral, Sign, Span};

/// The most seconds of a duration: 2^63 nanoseconds.
const MAX_SECONDS: f64 = 9_223_372_036_854_775_808.0 / 1e9;

/// A duration and how many levels it has.
type Tree = (DurationExpr, usize);

const fn duration_op(kind: Kind) -> Option<(DurationOp, Level)> {
    Some(match kind {
        Kind::Add => (DurationOp::Add, Level::Sum),
        Kind::Sub => (DurationOp::Sub, Level::Sum),
        Kind::Mul => (DurationOp::Mul, Level::Product),
        Kind::Div => (DurationOp::Div, Level::Product),
        Kind::Mod => (DurationOp::Mod, Level::Product),
        Kind::Pow => (DurationOp::Pow, Level::Power),
        _ => return None,
    })
}

/// Stands for what will not be used.
const NOTHING: DurationExpr =
    DurationExpr::Number(NumberLiteral { value: 0.0, is_duration: false, span: Span { start: 0, end: 0 } });

impl Tokens<'_> {
    pub(super) fn starts_duration(kind: Kind) -> bool {
        matches!(
            kind,
            Kind::Number
                | Kind::Duration
                | Kind::LeftParen
                | Kind::Add
                | Kind::Sub
                | Kind::Step
                | Kind::Range
                | Kind::MaxOf
                | Kind::MinOf
        )
    }

    /// What stands between brackets.
    pub(super) fn positive_duration(&mut self) -> Parsed<DurationExpr> {
        let (duration, _) = self.duration(Level::Sum)?;
        match duration {
            DurationExpr::Number(number) if number.value <= 0.0 => {
                self.error(number.span, "duration must be greater than 0".to_owned());
                Ok(NOTHING)
            }
            duration => Ok(duration),
        }
    }

    /// What stands behind `offset`: operators belong to it only behind a parenthesis or two signs, since in
    /// `foo offset 5m + 3` the sum is one of `foo` and 3.
    pub(super) fn offset_duration(&mut self) -> Parsed<DurationExpr> {
        let first = self.await_where(Self::starts_duration)?;
        if !matches!(first, Kind::Add | Kind::Sub) {
            let (duration, height) = self.duration_primary()?;
            return match first {
                Kind::LeftParen => self.duration_operators(duration, height, Level::Sum).map(|(duration, _)| duration),
                _ => Ok(duration),
            };
        }
        let token = self.take();
        let second = self.await_where(Self::starts_duration)?;
        match second {
            Kind::Number | Kind::Duration => {
                let number = self.number();
                Ok(self.signed_duration(DurationExpr::Number(number), token))
            }
            Kind::LeftParen => {
                self.take();
                let (inner, _) = self.duration(Level::Sum)?;
                self.expect(Kind::RightParen)?;
                let start = inner.span().start;
                Ok(inner.in_parens(start).signed(sign(token.kind), token.start))
            }
            Kind::Add | Kind::Sub => {
                let (inner, height) = self.duration(Level::Power)?;
                let duration = self.signed_duration(inner, token);
                let (duration, _) = self.duration_operators(duration, height + 1, Level::Sum)?;
                Ok(duration)
            }
            _ => {
                let (inner, _) = self.duration_function()?;
                let signed = inner.signed(sign(token.kind), token.start);
                let span = Span::new(token.start, signed.span().end);
                self.check_experimental(span);
                Ok(signed)
            }
        }
    }

    /// Nanoseconds, rounded, of a number; else what must be computed later.
    pub(super) fn duration_to_value(&mut self, duration: DurationExpr) -> DurationValue {
        match duration {
            DurationExpr::Number(number) => {
                if number.value.is_nan() {
                    // Prometheus goes on with whatever the processor makes of it.
                    self.error(number.span, "duration out of range".to_owned());
                }
                DurationValue::Nanos((number.value * 1e9).round() as i64) // saturates
            }
            duration => DurationValue::Expr(Box::new(duration)),
        }
    }

    fn duration(&mut self, level: Level) -> Parsed<Tree> {
        self.enter()?;
        let primary = self.duration_primary();
        let duration = match primary {
            Ok((primary, height)) => self.duration_operators(primary, height, level),
            stop => stop,
        };
        self.leave();
        duration
    }

    /// Operators of this level or above behind `lhs`.
    fn duration_operators(&mut self, mut lhs: DurationExpr, mut height: usize, level: Level) -> Parsed<Tree> {
        while let Some((op, binds)) = duration_op(self.peek()).filter(|&(_, binds)| binds >= level) {
            let token = self.take();
            let (rhs, rhs_height) = self.duration(binds.right())?;
            height = self.check_height(1 + height.max(rhs_height))?;
            self.check_experimental(lhs.span());
            let is_zero = matches!(&rhs, DurationExpr::Number(number) if number.value == 0.0);
            let message = match op {
                DurationOp::Div if is_zero => "division by zero",
                DurationOp::Mod if is_zero => "modulo by zero",
                _ => {
                    let span = lhs.span().to(rhs.span());
                    lhs = DurationExpr::Binary { op, lhs: Box::new(lhs), rhs: Box::new(rhs), span };
                    continue;
                }
            };
            self.error(Span::new(token.start, token.end), message.to_owned());
            lhs = NOTHING;
        }
        Ok((lhs, height))
    }

    fn duration_primary(&mut self) -> Parsed<Tree> {
        match self.await_where(Self::starts_duration)? {
            Kind::Number | Kind::Duration => {
                let number = self.number();
                if out_of_range(number.value) {
                    self.error(number.span, "duration out of range".to_owned());
                    return Ok((NOTHING, 1));
                }
                Ok((DurationExpr::Number(number), 1))
            }
            Kind::Add | Kind::Sub => {
                let token = self.take();
                let (inner, height) = self.duration(Level::Power)?;
                let height = self.check_height(1 + height)?;
                Ok((self.signed_duration(inner, token), height))
            }
            Kind::LeftParen => {
                let open = self.take();
                let (inner, height) = self.duration(Level::Sum)?;
                self.expect(Kind::RightParen)?;
                let height = self.check_height(1 + height)?;
                self.check_experimental(inner.span());
                Ok((inner.in_parens(open.start), height))
            }
            _ => {
                let (function, height) = self.duration_function()?;
                self.check_experimental(function.span());
                Ok((function, height))
            }
        }
    }

    /// `step()`, `range()`, `max_of(…, …)` or `min_of(…, …)`, which comes next.
    fn duration_function(&mut self) -> Parsed<Tree> {
        let name = self.take();
        self.expect(Kind::LeftParen)?;
        if matches!(name.kind, Kind::Step | Kind::Range) {
            let close = self.expect(Kind::RightParen)?;
            let span = Span::new(name.start, close.end);
            return Ok((if name.kind == Kind::Step { DurationExpr::Step(span) } else { DurationExpr::Range(span) }, 1));
        }
        let (lhs, lhs_height) = self.duration(Level::Sum)?;
        self.expect(Kind::Comma)?;
        let (rhs, rhs_height) = self.duration(Level::Sum)?;
        self.expect(Kind::RightParen)?;
        let height = self.check_height(1 + lhs_height.max(rhs_height))?;
        let op = if name.kind == Kind::MaxOf { DurationOp::MaxOf } else { DurationOp::MinOf };
        let span = lhs.span().to(rhs.span());
        Ok((DurationExpr::Binary { op, lhs: Box::new(lhs), rhs: Box::new(rhs), span }, height))
    }

    /// Puts the sign `token` in front.
    fn signed_duration(&mut self, duration: DurationExpr, token: Token) -> DurationExpr {
        let sign: Sign = sign(token.kind);
        match &duration {
            DurationExpr::Number(number) if out_of_range(number.value) => {
                self.error(Span::new(token.start, token.end), "duration out of range".to_owned());
                NOTHING
            }
            _ => duration.signed(sign, token.start),
        }
    }

    fn check_experimental(&mut self, span: Span) {
        if !self.options.duration_expressions {
            self.error(span, "experimental duration expression is not enabled".to_owned());
        }
    }
}

fn out_of_range(seconds: f64) -> bool {
    seconds.abs() > MAX_SECONDS
}
