//! Durations: fixed ones, and those that are computed when the query is.

use super::{NumberLiteral, Sign, Span};

/// A duration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DurationValue {
    /// Nanoseconds.
    Nanos(i64),
    /// To be computed once the query's range and step are known.
    Expr(Box<DurationExpr>),
}

/// A duration that is computed from seconds. Spans leave out parentheses, as in Prometheus.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DurationExpr {
    /// `5m`, `300`
    Number(NumberLiteral),
    /// `step()`: the step of the query.
    Step(Span),
    /// `range()`: the time from the query's start to its end.
    Range(Span),
    /// `-…`
    Negate {
        /// What is negated.
        expr: Box<DurationExpr>,
        /// Where it is.
        span: Span,
    },
    /// `(…)`
    Paren {
        /// What is in the parentheses.
        expr: Box<DurationExpr>,
        /// Where it is.
        span: Span,
    },
    /// `… + …`, `max_of(…, …)`
    Binary {
        /// What is done.
        op: DurationOp,
        /// The left operand.
        lhs: Box<DurationExpr>,
        /// The right operand.
        rhs: Box<DurationExpr>,
        /// Where the operands are.
        span: Span,
    },
}

/// What is done with two durations.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DurationOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
    /// `max_of(a, b)`
    MaxOf,
    /// `min_of(a, b)`
    MinOf,
}

impl DurationOp {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::MaxOf => "max_of",
            Self::MinOf => "min_of",
        }
    }
}

impl DurationExpr {
    /// Where it is.
    #[must_use]
    pub const fn span(&self) -> Span {
        match self {
            Self::Number(number) => number.span,
            Self::Step(span)
            | Self::Range(span)
            | Self::Negate { span, .. }
            | Self::Paren { span, .. }
            | Self::Binary { span, .. } => *span,
        }
    }

    /// The same in parentheses, once.
    pub(crate) fn in_parens(self, start: usize) -> Self {
        match self {
            Self::Paren { .. } => self,
            Self::Number(number) => {
                let span = Span::new(start, number.span.end);
                Self::Paren { expr: Box::new(self), span }
            }
            _ => {
                let span = self.span();
                Self::Paren { expr: Box::new(self), span }
            }
        }
    }

    /// Puts a sign in front, which is at byte `start`.
    pub(crate) fn signed(self, sign: Sign, start: usize) -> Self {
        match (self, sign) {
            (Self::Number(number), _) => Self::Number(number.signed(sign, start)),
            (expr, Sign::Plus) => expr,
            (expr, Sign::Minus) => {
                let span = Span::new(start, expr.span().end);
                Self::Negate { expr: Box::new(expr), span }
            }
        }
    }
}

impl NumberLiteral {
    /// Puts a sign in front, which is at byte `start`.
    pub(crate) fn signed(mut self, sign: Sign, start: usize) -> Self {
        // All NaNs are the same.
        if sign == Sign::Minus && !self.value.is_nan() {
            self.value = -self.value;
        }
        self.span.start = start;
        self
    }
}

impl Default for DurationValue {
    fn default() -> Self {
        Self::Nanos(0)
    }
}

impl DurationValue {
    /// Whether it is nothing: fixed, and zero.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        matches!(self, Self::Nanos(0))
    }
}
