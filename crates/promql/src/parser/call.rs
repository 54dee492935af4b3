//! Calls and aggregations.

use super::{
    grammar::{Level, Tree, span_of},
    token::{Kind, Token},
    tokens::{Parsed, Stop, Tokens},
};
use crate::{
    ast::{AggregateExpr, AggregateOp, Call, Expr, NumberLiteral, ParenExpr, Span},
    function::Function,
    quote::quote,
};

/// Modifier of an aggregation, its arguments, and whether it was only known by reading on that there is no modifier.
type AggregationParts = (Option<(bool, Vec<String>)>, Vec<Tree>, bool);

pub(super) const fn aggregate_op(kind: Kind) -> Option<AggregateOp> {
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

impl Tokens<'_> {
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
    pub(super) fn call(&mut self, name: Token) -> Parsed<Tree> {
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
            None => self.error(span_of(name), format!("unknown function with name {}", quote(text))),
            Some(function) if function.is_experimental && !self.options.experimental_functions => {
                self.error(span_of(name), format!("function {} is not enabled", quote(text)));
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
    pub(super) fn aggregation(&mut self, op: AggregateOp, name: Token) -> Parsed<Tree> {
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
}
