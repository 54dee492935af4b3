//! Expressions.

use super::{
    duration_seconds, parse_duration, parse_number,
    token::{Kind, Token},
    tokens::{Parsed, Stop, Tokens},
};
use crate::{
    ast::{
        AggregateExpr, AggregateOp, AtModifier, BinaryExpr, BinaryOp, Boundaries, Call, Cardinality, DurationExpr,
        DurationValue, Expr, MatrixSelector, NumberLiteral, ParenExpr, Sign, Span, StringLiteral, SubqueryExpr,
        UnaryExpr, VectorMatching, VectorSelector,
    },
    function::Function,
};

/// An expression and how many levels it has. It is in a box so that it takes little of the stack on the way up.
#[derive(Debug)]
pub(super) struct Tree {
    expr: Box<Expr>,
    height: usize,
}

impl Tree {
    fn leaf(expr: Expr) -> Self {
        Self::of(expr, 1)
    }

    fn of(expr: Expr, height: usize) -> Self {
        Self { expr: Box::new(expr), height }
    }
}

/// Modifier of an aggregation, its arguments, and whether it was only known by reading on that there is no modifier.
type AggregationParts = (Option<(bool, Vec<String>)>, Vec<Tree>, bool);

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

const fn aggregate_op(kind: Kind) -> Option<AggregateOp> {
    Some(match kind {
        Kind::Avg => AggregateOp::Avg,
        Kind::Bottomk => AggregateOp::Bottomk,
        Kind::Count => AggregateOp::Count,
        Kind::CountValues => AggregateOp::CountValues,
        Kind::Group => AggregateOp::Group,
        Kind::Max => AggregateOp::Max,
        Kind::Min => AggregateOp::Min,
        Kind::Quantile => AggregateOp::Quantile,
        Kind::Stddev => AggregateOp::Stddev,
        Kind::Stdvar => AggregateOp::Stdvar,
        Kind::Sum => AggregateOp::Sum,
        Kind::Topk => AggregateOp::Topk,
        Kind::Limitk => AggregateOp::Limitk,
        Kind::LimitRatio => AggregateOp::LimitRatio,
        _ => return None,
    })
}

pub(super) const fn sign(kind: Kind) -> Sign {
    if matches!(kind, Kind::Sub) { Sign::Minus } else { Sign::Plus }
}

const fn span_of(token: Token) -> Span {
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
    fn expr(&mut self, level: Level) -> Parsed<Tree> {
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

    /// Arguments in parentheses.
    fn arguments(&mut self) -> Parsed<Vec<Tree>> {
        self.expect(Kind::LeftParen)?;
        let mut arguments = Vec::new();
        if self.await_where(|kind| kind == Kind::RightParen || kind.starts_expr())? == Kind::RightParen {
            self.take();
            return Ok(arguments);
        }
        arguments.push(self.expr(Level::Or)?);
        loop {
            let token = self.expect_where(|kind| matches!(kind, Kind::Comma | Kind::RightParen))?;
            if token.kind == Kind::RightParen {
                return Ok(arguments);
            }
            if self.peek().starts_expr() {
                arguments.push(self.expr(Level::Or)?);
            } else {
                self.error(span_of(token), "trailing commas not allowed in function call args".to_owned());
            }
        }
    }

    #[inline(never)]
    fn call(&mut self, name: Token) -> Parsed<Tree> {
        let arguments = self.arguments()?;
        self.call_of(name, arguments)
    }

    #[inline(never)]
    fn call_of(&mut self, name: Token, arguments: Vec<Tree>) -> Parsed<Tree> {
        let span = Span::new(name.start, self.last_closing);
        let height = self.check_height(1 + arguments.iter().map(|tree| tree.height).max().unwrap_or_default())?;
        let text = self.text(name);
        let function = Function::named(text);
        match function {
            None => self.error(span_of(name), format!("unknown function with name {}", crate::quote::quote(text))),
            Some(function) if function.is_experimental && !self.options.experimental_functions => {
                self.error(span_of(name), format!("function {} is not enabled", crate::quote::quote(text)));
            }
            Some(_) => {}
        }
        let args = arguments.into_iter().map(|tree| *tree.expr).collect();
        let expr = match function {
            Some(function) => Expr::Call(Call { function, args, span }),
            // Stands for what will not be used.
            None => Expr::Number(NumberLiteral { value: 0.0, is_duration: false, span }),
        };
        // A sign must not take this for a number.
        let expr = if function.is_some() { expr } else { Expr::Paren(ParenExpr { expr: Box::new(expr), span }) };
        Ok(Tree::of(expr, height))
    }

    #[inline(never)]
    fn aggregation(&mut self, op: AggregateOp, name: Token) -> Parsed<Tree> {
        let parts = match self.aggregation_parts() {
            Err(Stop::Syntax) => {
                self.unexpected("aggregation", "");
                (None, Vec::new(), false)
            }
            parts => parts?,
        };
        self.aggregation_of(op, name, parts)
    }

    #[inline(never)]
    fn aggregation_of(&mut self, op: AggregateOp, name: Token, parts: AggregationParts) -> Parsed<Tree> {
        let (modifier, arguments, has_read_on) = parts;
        let end = if has_read_on { self.end_of_aggregation() } else { self.last_closing };
        let span = Span::new(name.start, end);
        let height = self.check_height(1 + arguments.iter().map(|tree| tree.height).max().unwrap_or_default())?;
        let wanted = 1 + usize::from(op.has_param());
        if arguments.is_empty() {
            self.error(span, "no arguments for aggregate expression provided".to_owned());
        } else if op.is_experimental() && !self.options.experimental_functions {
            let feature = "promql-experimental-functions";
            self.error(span, format!("{op}() is experimental and must be enabled with --enable-feature={feature}"));
        } else if arguments.len() != wanted {
            let given = arguments.len();
            let message = "wrong number of arguments for aggregate expression provided";
            self.error(span, format!("{message}, expected {wanted}, got {given}"));
        }
        let mut arguments = arguments.into_iter().map(|tree| tree.expr);
        let param = if op.has_param() { arguments.next() } else { None };
        // Stands for what will not be used.
        let expr = arguments
            .next()
            .unwrap_or_else(|| Box::new(Expr::Number(NumberLiteral { value: 0.0, is_duration: false, span })));
        let (without, grouping) = modifier.unwrap_or_default();
        let expr = Expr::Aggregate(AggregateExpr { op, expr, param, grouping, without, span });
        Ok(Tree::of(expr, height))
    }

    fn aggregation_parts(&mut self) -> Parsed<AggregationParts> {
        let is_modifier = |kind| matches!(kind, Kind::By | Kind::Without);
        if is_modifier(self.await_where(|kind| kind == Kind::LeftParen || is_modifier(kind))?) {
            let modifier = self.aggregation_modifier()?;
            return Ok((Some(modifier), self.arguments()?, false));
        }
        let arguments = self.arguments()?;
        if is_modifier(self.peek()) {
            return Ok((Some(self.aggregation_modifier()?), arguments, false));
        }
        Ok((None, arguments, true))
    }

    fn aggregation_modifier(&mut self) -> Parsed<(bool, Vec<String>)> {
        let without = self.take().kind == Kind::Without;
        Ok((without, self.grouping()?))
    }

    /// `offset` and what is behind it.
    #[inline(never)]
    fn offset(&mut self, expr: &mut Expr) -> Parsed<()> {
        self.take();
        match self.offset_duration() {
            Ok(duration) => {
                let value = self.duration_to_value(duration);
                self.set_offset(expr, value);
                Ok(())
            }
            Err(Stop::Syntax) => {
                self.unexpected("offset", "number, duration, step(), or range()");
                Ok(())
            }
            Err(stop) => Err(stop),
        }
    }

    fn set_offset(&mut self, expr: &mut Expr, value: DurationValue) {
        if !self.may_modify(expr, "offset modifier") {
            return;
        }
        let at = expr.span();
        let Some((offset, _, end)) = time_modifiers(expr) else { return };
        if offset.is_zero() {
            *offset = value;
        } else {
            self.error(at, "offset may not be set multiple times".to_owned());
        }
        *end = self.last_closing;
    }

    /// Whether offset and `@` may be set, else an error.
    fn may_modify(&mut self, expr: &Expr, modifier: &str) -> bool {
        match expr {
            Expr::Matrix(matrix) if self.no_selectors.contains(&matrix.span.end) => {
                self.error(matrix.span, "ranges only allowed for vector selectors".to_owned());
                false
            }
            Expr::Vector(_) | Expr::Matrix(_) | Expr::Subquery(_) => true,
            _ => {
                let places = "an instant vector selector or range vector selector or a subquery";
                self.error(expr.span(), format!("{modifier} must be preceded by {places}"));
                false
            }
        }
    }

    /// `@` and what is behind it.
    #[inline(never)]
    fn at(&mut self, expr: &mut Expr) -> Parsed<()> {
        self.take();
        match self.at_time() {
            Ok(time) => {
                self.set_at(expr, time);
                Ok(())
            }
            Err(Stop::Syntax) => {
                self.unexpected("@", "timestamp");
                Ok(())
            }
            Err(stop) => Err(stop),
        }
    }

    /// Seconds, or the start or end of the query.
    fn at_time(&mut self) -> Parsed<Result<f64, AtModifier>> {
        let first = self.await_where(|kind| {
            let is_number = matches!(kind, Kind::Number | Kind::Duration | Kind::Add | Kind::Sub);
            is_number || matches!(kind, Kind::Start | Kind::End_)
        })?;
        match first {
            Kind::Start | Kind::End_ => {
                self.take();
                self.expect(Kind::LeftParen)?;
                self.expect(Kind::RightParen)?;
                Ok(Err(if first == Kind::Start { AtModifier::Start } else { AtModifier::End }))
            }
            _ => self.signed_number().map(Ok),
        }
    }

    /// A number or duration, with or without a sign.
    pub(super) fn signed_number(&mut self) -> Parsed<f64> {
        let is_sign = |kind| matches!(kind, Kind::Add | Kind::Sub);
        let is_number = |kind| matches!(kind, Kind::Number | Kind::Duration);
        let first = self.await_where(|kind| is_number(kind) || is_sign(kind))?;
        if is_sign(first) {
            self.take();
            self.await_where(is_number)?;
        }
        let value = self.number().value;
        Ok(if first == Kind::Sub { -value } else { value })
    }

    fn set_at(&mut self, expr: &mut Expr, time: Result<f64, AtModifier>) {
        let at = match time {
            Ok(seconds) => {
                // What 64 bits hold, though these are milliseconds.
                let limit = i64::MAX as f64;
                if seconds.is_nan() || seconds >= limit || seconds <= -limit {
                    let shown =
                        if seconds.is_infinite() && seconds > 0.0 { "+Inf".to_owned() } else { float_six(seconds) };
                    self.error(expr.span(), format!("timestamp out of bounds for @ modifier: {shown}"));
                }
                AtModifier::Timestamp((seconds * 1000.0).round() as i64) // saturates
            }
            Err(at) => at,
        };
        if !self.may_modify(expr, "@ modifier") {
            return;
        }
        let span = expr.span();
        let Some((_, slot, end)) = time_modifiers(expr) else { return };
        if slot.is_some() {
            self.error(span, "@ <timestamp> may not be set multiple times".to_owned());
            return;
        }
        *slot = Some(at);
        *end = self.last_closing;
    }

    /// `anchored` or `smoothed`, which is the next token.
    fn boundaries(&mut self, expr: &mut Expr) {
        let token = self.take();
        let (name, new) = match token.kind {
            Kind::Anchored => ("anchored", Boundaries::Anchored),
            _ => ("smoothed", Boundaries::Smoothed),
        };
        let at = expr.span();
        let message = if !self.options.extended_range_selectors {
            Some(format!("{name} modifier is experimental and not enabled"))
        } else {
            let selector = match expr {
                Expr::Vector(selector) => Ok(Some(selector)),
                Expr::Matrix(matrix) if self.no_selectors.contains(&matrix.span.end) => Ok(None),
                Expr::Matrix(matrix) => Ok(Some(&mut matrix.selector)),
                Expr::Subquery(_) => Err("is not supported for subqueries"),
                _ => Err("not implemented"),
            };
            match selector {
                Ok(None) => None,
                Ok(Some(selector)) => {
                    let before = std::mem::replace(&mut selector.boundaries, new);
                    let start = selector.span.start;
                    if before != Boundaries::Plain && before != new && !self.both_boundaries.contains(&start) {
                        self.both_boundaries.push(start);
                    }
                    let both = self.both_boundaries.contains(&start);
                    both.then(|| "anchored and smoothed modifiers cannot be used together".to_owned())
                }
                Err(reason) => Some(format!("{name} modifier {reason}")),
            }
        };
        if let Some(message) = message {
            self.error(at, message);
        }
    }

    /// The brackets of a range or sub-query. If they are wrong, it is as if they were not there.
    #[inline(never)]
    fn bracket(&mut self, tree: Tree) -> Parsed<Tree> {
        let open = self.take();
        let range = match self.positive_duration() {
            Err(Stop::Syntax) => {
                self.unexpected("subquery or range selector", "number, duration, step(), or range()");
                return Ok(tree);
            }
            range => range?,
        };
        let token = match self.expect_where(|kind| matches!(kind, Kind::Colon | Kind::RightBracket)) {
            Err(Stop::Syntax) => {
                self.unexpected("subquery or range", "\":\" or \"]\"");
                return Ok(tree);
            }
            token => token?,
        };
        if token.kind == Kind::RightBracket {
            return self.matrix(tree, range, Span::new(open.start, token.end));
        }
        let step = match self.step() {
            Err(Stop::Syntax) => {
                self.unexpected("subquery selector", "number, duration, step(), range(), or \"]\"");
                return Ok(tree);
            }
            step => step?,
        };
        let close = match self.expect(Kind::RightBracket) {
            Err(Stop::Syntax) => {
                self.unexpected("subquery selector", "\"]\"");
                return Ok(tree);
            }
            close => close?,
        };
        let height = self.check_height(1 + tree.height)?;
        let span = Span::new(tree.expr.span().start, close.start + 1);
        let range = self.duration_to_value(range);
        let step = step.map(|step| self.duration_to_value(step)).filter(|step| !step.is_zero());
        let offset = DurationValue::default();
        let expr = tree.expr;
        Ok(Tree::of(Expr::Subquery(SubqueryExpr { expr, range, step, offset, at: None, span }), height))
    }

    /// A sub-query's step, if there is one before the bracket closes.
    fn step(&mut self) -> Parsed<Option<DurationExpr>> {
        let next = self.await_where(|kind| kind == Kind::RightBracket || Self::starts_duration(kind))?;
        if next == Kind::RightBracket { Ok(None) } else { self.positive_duration().map(Some) }
    }

    fn matrix(&mut self, tree: Tree, range: DurationExpr, brackets: Span) -> Parsed<Tree> {
        let message = match &*tree.expr {
            Expr::Vector(selector) if !selector.offset.is_zero() => "no offset modifiers allowed before range",
            Expr::Vector(selector) if selector.at.is_some() => "no @ modifiers allowed before range",
            Expr::Vector(_) => "",
            _ => "ranges only allowed for vector selectors",
        };
        if !message.is_empty() {
            self.error(brackets, message.to_owned());
        }
        let span = Span::new(tree.expr.span().start, self.last_closing);
        let selector = match *tree.expr {
            Expr::Vector(selector) => selector,
            other => {
                self.no_selectors.push(span.end);
                vector_selector(None, Vec::new(), other.span())
            }
        };
        let range = self.duration_to_value(range);
        let height = self.check_height(1 + tree.height)?;
        Ok(Tree::of(Expr::Matrix(MatrixSelector { selector, range, span }), height))
    }
}

/// Six decimals, as Go's `%f`.
fn float_six(float: f64) -> String {
    if float.is_infinite() { "-Inf".to_owned() } else { format!("{float:.6}") }
}

/// Offset, `@` and end of what has them.
fn time_modifiers(expr: &mut Expr) -> Option<(&mut DurationValue, &mut Option<AtModifier>, &mut usize)> {
    match expr {
        Expr::Vector(e) => Some((&mut e.offset, &mut e.at, &mut e.span.end)),
        Expr::Matrix(e) => Some((&mut e.selector.offset, &mut e.selector.at, &mut e.span.end)),
        Expr::Subquery(e) => Some((&mut e.offset, &mut e.at, &mut e.span.end)),
        _ => None,
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
