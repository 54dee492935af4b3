//! Expressions without what the text leaves open.

use super::{DurationExpr, DurationValue, Expr, Span, VectorSelector};

impl Expr {
    /// The same expression with all spans set to zero and matchers in order: what is left of it if it is printed and
    /// parsed again.
    ///
    /// ```
    /// use prometheus_promql::Parser;
    /// let parser = Parser::default();
    /// let expr = parser.parse("foo {b = 'c', a = 'd'}  *  2")?;
    /// let again = parser.parse(&expr.to_string())?;
    /// assert_ne!(expr, again);
    /// assert_eq!(expr.normalized(), again.normalized());
    /// # Ok::<(), prometheus_promql::Error>(())
    /// ```
    #[must_use]
    pub fn normalized(mut self) -> Self {
        normalize(&mut self);
        self
    }
}

fn normalize(expr: &mut Expr) {
    match expr {
        Expr::Aggregate(e) => {
            e.span = Span::default();
            normalize(&mut e.expr);
            e.param.as_mut().into_iter().for_each(|param| normalize(param));
        }
        Expr::Binary(e) => {
            e.span = Span::default();
            normalize(&mut e.lhs);
            normalize(&mut e.rhs);
        }
        Expr::Call(e) => {
            e.span = Span::default();
            e.args.iter_mut().for_each(normalize);
        }
        Expr::Matrix(e) => {
            e.span = Span::default();
            selector(&mut e.selector);
            value(&mut e.range);
        }
        Expr::Number(e) => e.span = Span::default(),
        Expr::Paren(e) => {
            e.span = Span::default();
            normalize(&mut e.expr);
        }
        Expr::String(e) => e.span = Span::default(),
        Expr::Subquery(e) => {
            e.span = Span::default();
            normalize(&mut e.expr);
            value(&mut e.range);
            value(&mut e.offset);
            e.step.iter_mut().for_each(value);
        }
        Expr::Unary(e) => {
            e.span = Span::default();
            normalize(&mut e.expr);
        }
        Expr::Vector(e) => selector(e),
    }
}

fn selector(selector: &mut VectorSelector) {
    selector.span = Span::default();
    value(&mut selector.offset);
    // That of the name stays the last.
    let inside = match selector.matchers.split_last_mut() {
        Some((_, inside)) if selector.name.is_some() => inside,
        _ => &mut selector.matchers,
    };
    inside.sort_by(|a, b| (a.name(), a.op(), a.value()).cmp(&(b.name(), b.op(), b.value())));
}

fn value(value: &mut DurationValue) {
    if let DurationValue::Expr(e) = value {
        duration(e);
    }
}

fn duration(e: &mut DurationExpr) {
    match e {
        DurationExpr::Number(number) => number.span = Span::default(),
        DurationExpr::Step(span) | DurationExpr::Range(span) => *span = Span::default(),
        DurationExpr::Negate { expr, span } | DurationExpr::Paren { expr, span } => {
            *span = Span::default();
            duration(expr);
        }
        DurationExpr::Binary { lhs, rhs, span, .. } => {
            *span = Span::default();
            duration(lhs);
            duration(rhs);
        }
    }
}
