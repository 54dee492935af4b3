//! What follows an expression: offsets, times, brackets.

use super::{
    grammar::{Tree, vector_selector},
    token::Kind,
    tokens::{Parsed, Stop, Tokens},
};
use crate::ast::{AtModifier, Boundaries, DurationExpr, DurationValue, Expr, MatrixSelector, Span, SubqueryExpr};

impl Tokens<'_> {
    /// `offset` and what is behind it.
    #[inline(never)]
    pub(super) fn offset(&mut self, expr: &mut Expr) -> Parsed<()> {
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
            Expr::Matrix(matrix) if self.no_selector == Some(matrix.span.end) => {
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
    pub(super) fn at(&mut self, expr: &mut Expr) -> Parsed<()> {
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
    pub(super) fn boundaries(&mut self, expr: &mut Expr) {
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
                Expr::Matrix(matrix) if self.no_selector == Some(matrix.span.end) => Ok(None),
                Expr::Matrix(matrix) => Ok(Some(&mut matrix.selector)),
                Expr::Subquery(_) => Err("is not supported for subqueries"),
                _ => Err("not implemented"),
            };
            match selector {
                Ok(None) => None,
                Ok(Some(selector)) => {
                    let before = std::mem::replace(&mut selector.boundaries, new);
                    let start = selector.span.start;
                    if before != Boundaries::Plain && before != new {
                        self.both_boundaries = Some(start);
                    }
                    let both = self.both_boundaries == Some(start);
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
    pub(super) fn bracket(&mut self, tree: Tree) -> Parsed<Tree> {
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
                self.no_selector = Some(span.end);
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
