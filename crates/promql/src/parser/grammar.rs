//! Expressions.
//!
//! What finishes a node is kept out of the functions that recurse (`#[inline(never)]`), for these are to take little of the
//! stack.

use super::{
    call::aggregate_op,
    duration_seconds, parse_duration, parse_number,
    token::{Kind, Token},
    tokens::{Parsed, Tokens},
};
use crate::ast::{
    BinaryExpr, BinaryOp, Boundaries, Cardinality, DurationValue, Expr, NumberLiteral, ParenExpr, Sign, Span,
    StringLiteral, UnaryExpr, VectorMatching, VectorSelector,
};

/// An expression and how many levels it has. It is in a box so that it takes little of the stack on the way up.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) expr: Box<Expr>,
    pub(super) height: usize,
}

impl Tree {
    fn leaf(expr: Expr) -> Self {
        Self::of(expr, 1)
    }

    pub(super) fn of(expr: Expr, height: usize) -> Self {
        Self { expr: Box::new(expr), height }
    }
}

/// Modifiers behind a binary operator.
#[derive(Debug)]
struct Modifiers {
    return_bool: bool,
    matching: VectorMatching,
}

/// How tightly an operator binds; the first ones bind least.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Or,
    And,
    Comparison,
    Sum,
    Product,
    Power,
    /// Nothing does.
    None,
}

impl Level {
    /// The level of what an operator of this level takes on its right.
    pub(super) const fn right(self) -> Self {
        match self {
            Self::Or => Self::And,
            Self::And => Self::Comparison,
            Self::Comparison => Self::Sum,
            Self::Sum => Self::Product,
            // Powers group to the right.
            Self::Product | Self::Power => Self::Power,
            Self::None => Self::None,
        }
    }
}

const fn binary_op(kind: Kind) -> Option<(BinaryOp, Level)> {
    Some(match kind {
        Kind::Or => (BinaryOp::Or, Level::Or),
        Kind::And => (BinaryOp::And, Level::And),
        Kind::Unless => (BinaryOp::Unless, Level::And),
        Kind::Eqlc => (BinaryOp::Eql, Level::Comparison),
        Kind::Neq => (BinaryOp::Neq, Level::Comparison),
        Kind::Lss => (BinaryOp::Lss, Level::Comparison),
        Kind::Lte => (BinaryOp::Lte, Level::Comparison),
        Kind::Gtr => (BinaryOp::Gtr, Level::Comparison),
        Kind::Gte => (BinaryOp::Gte, Level::Comparison),
        Kind::TrimUpper => (BinaryOp::TrimUpper, Level::Comparison),
        Kind::TrimLower => (BinaryOp::TrimLower, Level::Comparison),
        Kind::Add => (BinaryOp::Add, Level::Sum),
        Kind::Sub => (BinaryOp::Sub, Level::Sum),
        Kind::Mul => (BinaryOp::Mul, Level::Product),
        Kind::Div => (BinaryOp::Div, Level::Product),
        Kind::Mod => (BinaryOp::Mod, Level::Product),
        Kind::Atan2 => (BinaryOp::Atan2, Level::Product),
        Kind::Pow => (BinaryOp::Pow, Level::Power),
        _ => return None,
    })
}

pub(super) const fn sign(kind: Kind) -> Sign {
    if matches!(kind, Kind::Sub) { Sign::Minus } else { Sign::Plus }
}

pub(super) const fn span_of(token: Token) -> Span {
    Span::new(token.start, token.end)
}

impl Tokens<'_> {
    /// A whole query.
    pub(super) fn query(&mut self) -> Parsed<Option<Expr>> {
        if self.await_where(|kind| kind == Kind::Eof || kind.starts_expr())? == Kind::Eof {
            self.take();
            self.error(Span::default(), "no expression found in input".to_owned());
            return Ok(None);
        }
        Ok(Some(*self.expr(Level::Or)?.expr))
    }

    /// An expression with operators of this level or above.
    pub(super) fn expr(&mut self, level: Level) -> Parsed<Tree> {
        self.enter()?;
        let first = self.primary();
        let tree = match first {
            Ok(first) => self.operators(first, level),
            stop => stop,
        };
        self.leave();
        tree
    }

    /// Operators of this level or above behind `tree`.
    fn operators(&mut self, mut tree: Tree, level: Level) -> Parsed<Tree> {
        loop {
            let kind = self.peek();
            match kind {
                Kind::LeftBracket => tree = self.bracket(tree)?,
                Kind::Offset => self.offset(&mut tree.expr)?,
                Kind::At => self.at(&mut tree.expr)?,
                Kind::Anchored | Kind::Smoothed => self.boundaries(&mut tree.expr),
                _ => match binary_op(kind) {
                    Some((op, binds)) if binds >= level => tree = self.binary(tree, op, binds)?,
                    _ => return Ok(tree),
                },
            }
        }
    }

    #[inline(never)]
    fn binary(&mut self, lhs: Tree, op: BinaryOp, level: Level) -> Parsed<Tree> {
        self.take();
        let modifiers = self.modifiers()?;
        let rhs = self.expr(level.right())?;
        self.join(lhs, op, *modifiers, rhs)
    }

    #[inline(never)]
    fn join(&mut self, lhs: Tree, op: BinaryOp, modifiers: Modifiers, rhs: Tree) -> Parsed<Tree> {
        let Modifiers { return_bool, matching } = modifiers;
        let height = self.check_height(1 + lhs.height.max(rhs.height))?;
        let span = lhs.expr.span().to(rhs.expr.span());
        let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
        if fills && !self.options.fill_modifiers {
            self.error(span, "binop fill modifiers are experimental and not enabled".to_owned());
        }
        let (lhs, rhs) = (lhs.expr, rhs.expr);
        let expr = Expr::Binary(BinaryExpr { op, lhs, rhs, matching: Some(matching), return_bool, span });
        Ok(Tree::of(expr, height))
    }

    /// `bool on (a) group_left (b) fill (0)`, each optional.
    #[inline(never)]
    fn modifiers(&mut self) -> Parsed<Box<Modifiers>> {
        let return_bool = self.peek() == Kind::Bool;
        if return_bool {
            self.take();
        }
        let mut matching = VectorMatching {
            cardinality: Cardinality::OneToOne,
            labels: Vec::new(),
            on: false,
            include: Vec::new(),
            fill_left: None,
            fill_right: None,
        };
        if matches!(self.peek(), Kind::On | Kind::Ignoring) {
            matching.on = self.take().kind == Kind::On;
            matching.labels = self.grouping()?;
            if matches!(self.peek(), Kind::GroupLeft | Kind::GroupRight) {
                let left = self.take().kind == Kind::GroupLeft;
                matching.cardinality = if left { Cardinality::ManyToOne } else { Cardinality::OneToMany };
                // What follows an omitted list begins an operand; that is no parenthesis then.
                if !self.peek().starts_expr() || self.peek() == Kind::LeftParen {
                    matching.include = self.grouping()?;
                }
            }
        }
        match self.peek() {
            Kind::Fill => {
                self.take();
                let fill = self.fill_value()?;
                matching.fill_left = Some(fill);
                matching.fill_right = Some(fill);
            }
            Kind::FillLeft => {
                self.take();
                matching.fill_left = Some(self.fill_value()?);
                if self.peek() == Kind::FillRight {
                    self.take();
                    matching.fill_right = Some(self.fill_value()?);
                }
            }
            Kind::FillRight => {
                self.take();
                matching.fill_right = Some(self.fill_value()?);
                if self.peek() == Kind::FillLeft {
                    self.take();
                    matching.fill_left = Some(self.fill_value()?);
                }
            }
            _ => {}
        }
        Ok(Box::new(Modifiers { return_bool, matching }))
    }

    fn fill_value(&mut self) -> Parsed<f64> {
        self.expect(Kind::LeftParen)?;
        let first = self.await_where(|kind| matches!(kind, Kind::Number | Kind::Duration | Kind::Add | Kind::Sub))?;
        let mut number = if matches!(first, Kind::Add | Kind::Sub) {
            let token = self.take();
            self.await_where(|kind| matches!(kind, Kind::Number | Kind::Duration))?;
            self.number().signed(sign(first), token.start)
        } else {
            self.number()
        };
        self.expect(Kind::RightParen)?;
        number.span = Span::default();
        Ok(number.value)
    }

    /// A number or duration, which is the next token.
    pub(super) fn number(&mut self) -> NumberLiteral {
        let token = self.take();
        let is_duration = token.kind == Kind::Duration;
        let value = if is_duration { self.duration_value(token) } else { self.number_value(token) };
        NumberLiteral { value, is_duration, span: span_of(token) }
    }

    fn number_value(&mut self, token: Token) -> f64 {
        parse_number(self.text(token)).unwrap_or_else(|(value, message)| {
            self.error(self.last_span(), format!("error parsing number: {message}"));
            value
        })
    }

    fn duration_value(&mut self, token: Token) -> f64 {
        parse_duration(self.text(token)).map(duration_seconds).unwrap_or_else(|message| {
            self.error(span_of(token), message);
            0.0
        })
    }

    /// What operators stand between.
    fn primary(&mut self) -> Parsed<Tree> {
        let kind = self.await_where(Kind::starts_expr)?;
        match kind {
            Kind::Add | Kind::Sub => self.unary(),
            Kind::LeftParen => self.paren(),
            Kind::Number | Kind::Duration | Kind::String | Kind::LeftBrace => self.leaf(kind),
            _ => self.named(kind),
        }
    }

    #[inline(never)]
    fn leaf(&mut self, kind: Kind) -> Parsed<Tree> {
        Ok(Tree::leaf(match kind {
            Kind::String => {
                let token = self.take();
                let value = self.string(token);
                Expr::String(StringLiteral { value, span: span_of(token) })
            }
            Kind::LeftBrace => {
                let (matchers, span) = self.matchers()?;
                Expr::Vector(vector_selector(None, matchers, span))
            }
            _ => Expr::Number(self.number()),
        }))
    }

    /// What begins with a word.
    fn named(&mut self, kind: Kind) -> Parsed<Tree> {
        let token = self.take();
        let next = self.peek();
        if let Some(op) = aggregate_op(kind)
            && matches!(next, Kind::LeftParen | Kind::By | Kind::Without)
        {
            return self.aggregation(op, token);
        }
        let may_call = matches!(
            kind,
            Kind::Identifier | Kind::Start | Kind::End_ | Kind::Step | Kind::Range | Kind::MaxOf | Kind::MinOf
        );
        if may_call && next == Kind::LeftParen { self.call(token) } else { self.metric_leaf(token) }
    }

    #[inline(never)]
    fn metric_leaf(&mut self, name: Token) -> Parsed<Tree> {
        self.named_selector(name).map(|selector| Tree::leaf(Expr::Vector(selector)))
    }

    /// A vector selector behind its name, which was taken.
    pub(super) fn named_selector(&mut self, name: Token) -> Parsed<VectorSelector> {
        let (matchers, span) = match self.peek() {
            Kind::LeftBrace => self.matchers()?,
            _ => (Vec::new(), span_of(name)),
        };
        Ok(vector_selector(Some(self.text(name)), matchers, Span::new(name.start, span.end)))
    }

    #[inline(never)]
    fn unary(&mut self) -> Parsed<Tree> {
        let token = self.take();
        // Binds like a product: less than powers.
        let operand = self.expr(Level::Power)?;
        self.put_sign(token, operand)
    }

    #[inline(never)]
    fn put_sign(&mut self, token: Token, mut operand: Tree) -> Parsed<Tree> {
        let op = sign(token.kind);
        if let Expr::Number(number) = &mut *operand.expr {
            *number = number.signed(op, token.start);
            return Ok(operand);
        }
        let height = self.check_height(1 + operand.height)?;
        let span = Span::new(token.start, operand.expr.span().end);
        Ok(Tree::of(Expr::Unary(UnaryExpr { op, expr: operand.expr, span }), height))
    }

    #[inline(never)]
    fn paren(&mut self) -> Parsed<Tree> {
        let open = self.take();
        let mut inner = self.expr(Level::Or)?;
        while self.peek() != Kind::RightParen {
            self.reject()?;
            // Behind skipped tokens the expression may go on.
            inner = self.operators(inner, Level::Or)?;
        }
        let close = self.take();
        let height = self.check_height(1 + inner.height)?;
        let span = Span::new(open.start, close.end);
        Ok(Tree::of(Expr::Paren(ParenExpr { expr: inner.expr, span }), height))
    }
}

pub(super) fn vector_selector(
    name: Option<&str>,
    mut matchers: Vec<prometheus_queryable::Matcher>,
    span: Span,
) -> VectorSelector {
    if let Some(name) = name {
        matchers.push(prometheus_queryable::Matcher::equal(prometheus_model::METRIC_NAME, name));
    }
    VectorSelector {
        name: name.map(str::to_owned),
        matchers,
        offset: DurationValue::default(),
        at: None,
        boundaries: Boundaries::Plain,
        may_select_all: false,
        span,
    }
}
