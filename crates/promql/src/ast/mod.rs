//! The tree of a query.
//!
//! Trees own what they hold. Their depth is bounded by [`ParserOptions::max_depth`](crate::ParserOptions::max_depth), so
//! that what walks through them may recurse.

use prometheus_model::TimestampMs;
use prometheus_queryable::Matcher;

use crate::function::Function;

mod duration;
mod normal;
mod op;

pub use duration::{DurationExpr, DurationOp, DurationValue};
pub use op::{AggregateOp, BinaryOp, Cardinality, Sign, ValueType};

/// Where something is in the text, in bytes: `[start, end)`.
///
/// Spans are those of Prometheus, whose ends now and then include a token more than they should, such as the parenthesis
/// behind `foo offset (5m)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// Byte behind the last.
    pub end: usize,
}

/// An expression.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expr {
    /// `sum by (a) (…)`
    Aggregate(AggregateExpr),
    /// `a + b`
    Binary(BinaryExpr),
    /// `rate(…)`
    Call(Call),
    /// `foo[5m]`
    Matrix(MatrixSelector),
    /// `1`
    Number(NumberLiteral),
    /// `(…)`
    Paren(ParenExpr),
    /// `"text"`
    String(StringLiteral),
    /// `…[1h:5m]`
    Subquery(SubqueryExpr),
    /// `-a`
    Unary(UnaryExpr),
    /// `foo{a="b"}`
    Vector(VectorSelector),
}

/// An aggregation over the series of an instant vector.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AggregateExpr {
    /// What is done.
    pub op: AggregateOp,
    /// What is aggregated: an instant vector.
    pub expr: Box<Expr>,
    /// The parameter, for operations that [have](AggregateOp::has_param) one.
    pub param: Option<Box<Expr>>,
    /// The labels of `by` or `without`.
    pub grouping: Vec<String>,
    /// Whether `grouping` lists the labels that are dropped, not those that are kept.
    pub without: bool,
    /// Where it is.
    pub span: Span,
}

/// An operation on two expressions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BinaryExpr {
    /// What is done.
    pub op: BinaryOp,
    /// The left operand.
    pub lhs: Box<Expr>,
    /// The right operand.
    pub rhs: Box<Expr>,
    /// How series find each other; some if and only if both operands are instant vectors.
    pub matching: Option<VectorMatching>,
    /// Whether a comparison gives 0 or 1 instead of filtering.
    pub return_bool: bool,
    /// Where it is.
    pub span: Span,
}

/// How the series of two vectors find each other. Equality compares bits of fill values.
#[derive(Clone, Debug)]
pub struct VectorMatching {
    /// How many series match how many.
    pub cardinality: Cardinality,
    /// Labels that are compared, or not.
    pub labels: Vec<String>,
    /// Whether `labels` are those that are compared, not those that are ignored.
    pub on: bool,
    /// Labels taken over from the side with one series.
    pub include: Vec<String>,
    /// Value of series that the left side lacks.
    pub fill_left: Option<f64>,
    /// Value of series that the right side lacks.
    pub fill_right: Option<f64>,
}

/// A call of a function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// The function.
    pub function: &'static Function,
    /// Its arguments: their number and types fit the function.
    pub args: Vec<Expr>,
    /// Where it is.
    pub span: Span,
}

/// A number, or a duration that stands for its seconds. Equality compares bits.
#[derive(Clone, Copy, Debug)]
pub struct NumberLiteral {
    /// The number, or seconds.
    pub value: f64,
    /// Whether it was written as a duration.
    pub is_duration: bool,
    /// Where it is.
    pub span: Span,
}

/// An expression in parentheses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParenExpr {
    /// What is in them.
    pub expr: Box<Expr>,
    /// Where it is, with the parentheses.
    pub span: Span,
}

/// A string.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StringLiteral {
    /// What it says.
    pub value: String,
    /// Where it is, with the quotes.
    pub span: Span,
}

/// A sign in front of an expression other than a number, whose value includes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnaryExpr {
    /// The sign.
    pub op: Sign,
    /// A scalar or an instant vector.
    pub expr: Box<Expr>,
    /// Where it is.
    pub span: Span,
}

/// When an expression is evaluated instead of the evaluation's own time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AtModifier {
    /// `@ 1609746000`
    Timestamp(TimestampMs),
    /// `@ start()`: the first time of the query.
    Start,
    /// `@ end()`: the last time of the query.
    End,
}

/// What is known of a range's ends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Boundaries {
    /// The samples in the range.
    #[default]
    Plain,
    /// `anchored`: the last sample before the range counts, too.
    Anchored,
    /// `smoothed`: values at the ends are interpolated.
    Smoothed,
}

/// A choice of series at a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VectorSelector {
    /// The name in front of the braces. A name inside is a matcher only.
    pub name: Option<String>,
    /// The matchers inside the braces, in order; then one for `name`.
    pub matchers: Vec<Matcher>,
    /// `offset`: how far to look back; forward if negative.
    pub offset: DurationValue,
    /// `@`
    pub at: Option<AtModifier>,
    /// `anchored` or `smoothed`
    pub boundaries: Boundaries,
    /// Whether it may select all series: only as the second argument of `info`.
    pub may_select_all: bool,
    /// Where it is, with its modifiers.
    pub span: Span,
}

/// A choice of series over a range of time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MatrixSelector {
    /// The series, offset and time.
    pub selector: VectorSelector,
    /// How long the range is.
    pub range: DurationValue,
    /// Where it is, with its modifiers.
    pub span: Span,
}

/// An expression evaluated many times over a range of time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubqueryExpr {
    /// An instant vector.
    pub expr: Box<Expr>,
    /// How long the range is.
    pub range: DurationValue,
    /// Time between evaluations; the engine's default if there is none.
    pub step: Option<DurationValue>,
    /// `offset`: how far to look back; forward if negative.
    pub offset: DurationValue,
    /// `@`
    pub at: Option<AtModifier>,
    /// Where it is, with its modifiers.
    pub span: Span,
}

impl Span {
    pub(crate) const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// From the start of this one to the end of `last`.
    pub(crate) const fn to(self, last: Self) -> Self {
        Self { start: self.start, end: last.end }
    }
}

impl PartialEq for NumberLiteral {
    fn eq(&self, other: &Self) -> bool {
        let bits = |e: &Self| (e.value.to_bits(), e.is_duration, e.span);
        bits(self) == bits(other)
    }
}

impl Eq for NumberLiteral {}

impl PartialEq for VectorMatching {
    fn eq(&self, other: &Self) -> bool {
        let fills = |e: &Self| (e.fill_left.map(f64::to_bits), e.fill_right.map(f64::to_bits));
        (self.cardinality, &self.labels, self.on, &self.include, fills(self))
            == (other.cardinality, &other.labels, other.on, &other.include, fills(other))
    }
}

impl Eq for VectorMatching {}

impl Expr {
    /// Where it is.
    #[must_use]
    pub const fn span(&self) -> Span {
        match self {
            Self::Aggregate(e) => e.span,
            Self::Binary(e) => e.span,
            Self::Call(e) => e.span,
            Self::Matrix(e) => e.span,
            Self::Number(e) => e.span,
            Self::Paren(e) => e.span,
            Self::String(e) => e.span,
            Self::Subquery(e) => e.span,
            Self::Unary(e) => e.span,
            Self::Vector(e) => e.span,
        }
    }

    /// What it evaluates to.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Aggregate(_) | Self::Vector(_) => ValueType::Vector,
            Self::Binary(e) => {
                let is_scalar = |operand: &Self| operand.value_type() == ValueType::Scalar;
                if is_scalar(&e.lhs) && is_scalar(&e.rhs) { ValueType::Scalar } else { ValueType::Vector }
            }
            Self::Call(e) => e.function.return_type,
            Self::Matrix(_) | Self::Subquery(_) => ValueType::Matrix,
            Self::Number(_) => ValueType::Scalar,
            Self::Paren(e) => e.expr.value_type(),
            Self::String(_) => ValueType::String,
            Self::Unary(e) => e.expr.value_type(),
        }
    }

    /// The expressions that it is made of, in the order in which Prometheus visits them.
    pub fn children(&self) -> impl Iterator<Item = &Self> {
        let (first, second, list) = match self {
            Self::Aggregate(e) => (Some(&*e.expr), e.param.as_deref(), [].as_slice()),
            Self::Binary(e) => (Some(&*e.lhs), Some(&*e.rhs), [].as_slice()),
            Self::Call(e) => (None, None, e.args.as_slice()),
            Self::Paren(e) => (Some(&*e.expr), None, [].as_slice()),
            Self::Subquery(e) => (Some(&*e.expr), None, [].as_slice()),
            Self::Unary(e) => (Some(&*e.expr), None, [].as_slice()),
            Self::Matrix(_) | Self::Number(_) | Self::String(_) | Self::Vector(_) => (None, None, [].as_slice()),
        };
        first.into_iter().chain(second).chain(list)
    }

    /// Calls `visit` for this expression and all in it, parents first.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
    }

    /// This expression without parentheses around it.
    #[must_use]
    pub fn without_parens(&self) -> &Self {
        let mut expr = self;
        while let Self::Paren(paren) = expr {
            expr = &paren.expr;
        }
        expr
    }
}
