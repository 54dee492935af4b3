//! Types, and what else can only be said of whole expressions.

use std::collections::HashMap;

use super::tokens::MAX_ERRORS;
use crate::{
    ast::{AggregateExpr, AggregateOp, BinaryExpr, Call, Cardinality, Expr, Span, ValueType, VectorSelector},
    error::ParseError,
    function::{FunctionId, Variadic},
    quote::quote,
};
use prometheus_model::METRIC_NAME;

/// Checks an expression and fills in what depends on types. What is wrong with it.
pub(super) fn check(query: &str, expr: &mut Expr) -> Vec<ParseError> {
    let mut checker = Checker { query, errors: Vec::new() };
    checker.expr(expr);
    checker.errors
}

struct Checker<'a> {
    query: &'a str,
    errors: Vec<ParseError>,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

impl Checker<'_> {
    fn error(&mut self, span: Span, message: String) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(ParseError::new(self.query, span, message));
        }
    }

    /// Checks an expression and gives its type.
    fn expr(&mut self, expr: &mut Expr) -> ValueType {
        let span = expr.span();
        match expr {
            Expr::Number(_) => ValueType::Scalar,
            Expr::String(_) => ValueType::String,
            Expr::Vector(selector) => self.selector(selector, span),
            Expr::Matrix(matrix) => {
                let span = matrix.selector.span;
                self.selector(&matrix.selector, span);
                ValueType::Matrix
            }
            Expr::Paren(paren) => self.expr(&mut paren.expr),
            Expr::Unary(unary) => {
                let found = self.expr(&mut unary.expr);
                if !matches!(found, ValueType::Scalar | ValueType::Vector) {
                    let allowed = "unary expression only allowed on expressions of type scalar or instant vector";
                    self.error(span, format!("{allowed}, got \"{}\"", found.documented()));
                }
                found
            }
            Expr::Subquery(subquery) => {
                let found = self.expr(&mut subquery.expr);
                if found != ValueType::Vector {
                    self.error(span, format!("subquery is only allowed on instant vector, got {found} instead"));
                }
                ValueType::Matrix
            }
            Expr::Aggregate(aggregate) => self.aggregate(aggregate),
            Expr::Binary(binary) => self.binary(binary),
            Expr::Call(call) => self.call(call),
        }
    }

    fn expect(&mut self, expr: &mut Expr, wanted: ValueType, context: &str) {
        let found = self.expr(expr);
        if found != wanted {
            let (wanted, found) = (wanted.documented(), found.documented());
            self.error(expr.span(), format!("expected type {wanted} in {context}, got {found}"));
        }
    }

    fn selector(&mut self, selector: &VectorSelector, span: Span) -> ValueType {
        if let Some(name) = &selector.name {
            // The last matcher is the one made of the name.
            let inside = selector.matchers.split_last().map_or([].as_slice(), |(_, inside)| inside);
            for matcher in inside.iter().filter(|matcher| matcher.name() == METRIC_NAME) {
                let (name, other) = (quote(name), quote(matcher.value()));
                self.error(span, format!("metric name must not be set twice: {name} or {other}"));
            }
        } else if !selector.may_select_all && selector.matchers.iter().all(|matcher| matcher.matches_absent()) {
            self.error(span, "vector selector must contain at least one non-empty matcher".to_owned());
        }
        ValueType::Vector
    }

    fn aggregate(&mut self, aggregate: &mut AggregateExpr) -> ValueType {
        self.expect(&mut aggregate.expr, ValueType::Vector, "aggregation expression");
        if let Some(param) = &mut aggregate.param {
            let wanted = if aggregate.op == AggregateOp::CountValues { ValueType::String } else { ValueType::Scalar };
            self.expect(param, wanted, "aggregation parameter");
        }
        ValueType::Vector
    }

    /// The operator with its modifiers, without spaces around it.
    fn operator_span(&self, binary: &BinaryExpr) -> Span {
        let bytes = self.query.as_bytes();
        let mut start = binary.lhs.span().end;
        while bytes.get(start).copied().is_some_and(is_space) {
            start += 1;
        }
        let mut end = binary.rhs.span().start.saturating_sub(1);
        while end > 0 && bytes.get(end).copied().is_some_and(is_space) {
            end -= 1;
        }
        Span::new(start, end)
    }

    fn binary(&mut self, binary: &mut BinaryExpr) -> ValueType {
        let left = self.expr(&mut binary.lhs);
        let right = self.expr(&mut binary.rhs);
        let (op, span) = (binary.op, binary.span);
        if binary.return_bool && !op.is_comparison() {
            let message = "bool modifier can only be used on comparison operators";
            self.error(self.operator_span(binary), message.to_owned());
        }
        let scalars = left == ValueType::Scalar && right == ValueType::Scalar;
        if op.is_comparison() && !binary.return_bool && scalars {
            let message = "comparisons between scalars must use BOOL modifier";
            self.error(self.operator_span(binary), message.to_owned());
        }
        if let Some(matching) = &mut binary.matching
            && op.is_set()
            && matching.cardinality == Cardinality::OneToOne
        {
            matching.cardinality = Cardinality::ManyToMany;
        }
        if let Some(matching) = binary.matching.as_ref().filter(|matching| matching.on) {
            let operator = self.operator_span(binary);
            let mut included: HashMap<&str, usize> = HashMap::new();
            for label in &matching.include {
                *included.entry(label).or_default() += 1;
            }
            for label in &matching.labels {
                for _ in 0..included.get(&**label).copied().unwrap_or_default().min(MAX_ERRORS) {
                    let label = quote(label);
                    self.error(operator, format!("label {label} must not occur in ON and GROUP clause at once"));
                }
            }
        }
        for (operand, found) in [(&binary.lhs, left), (&binary.rhs, right)] {
            if !matches!(found, ValueType::Scalar | ValueType::Vector) {
                let message = "binary expression must contain only scalar and instant vector types";
                self.error(operand.span(), message.to_owned());
            }
        }
        self.matching(binary, left == ValueType::Vector && right == ValueType::Vector);
        if op.is_set() && (left == ValueType::Scalar || right == ValueType::Scalar) {
            self.error(span, format!("set operator \"{op}\" not allowed in binary scalar expression"));
        }
        if scalars { ValueType::Scalar } else { ValueType::Vector }
    }

    fn matching(&mut self, binary: &mut BinaryExpr, vectors: bool) {
        let (op, span) = (binary.op, binary.span);
        let Some(matching) = &binary.matching else { return };
        let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
        if !vectors {
            if !matching.labels.is_empty() {
                self.error(span, "vector matching only allowed between instant vectors".to_owned());
            }
            if fills {
                self.error(span, "filling in missing series only allowed between instant vectors".to_owned());
            }
            binary.matching = None;
        } else if op.is_set() {
            if matching.cardinality != Cardinality::ManyToMany {
                self.error(span, format!("no grouping allowed for \"{op}\" operation"));
                self.error(span, "set operations must always be many-to-many".to_owned());
            }
            if fills {
                self.error(span, "filling in missing series not allowed for set operators".to_owned());
            }
        }
    }

    fn call(&mut self, call: &mut Call) -> ValueType {
        let function = call.function;
        let (name, given, span) = (function.name, call.args.len(), call.span);
        let wrong = match function.max_args() {
            Some(most) if function.variadic == Variadic::No && given != most => Some(format!("{most}")),
            _ if given < function.min_args() => Some(format!("at least {}", function.min_args())),
            Some(most) if given > most => Some(format!("at most {most}")),
            _ => None,
        };
        if let Some(wanted) = wrong {
            self.error(span, format!("expected {wanted} argument(s) in call to \"{name}\", got {given}"));
        }
        if function.id == FunctionId::Info
            && let Some(second) = call.args.get_mut(1)
        {
            self.info_selector(second, span);
        }
        for (i, arg) in call.args.iter_mut().enumerate() {
            let wanted = match function.arg_types.get(i) {
                Some(&wanted) => wanted,
                None => match function.arg_types.last() {
                    Some(&last) if function.variadic != Variadic::No => last,
                    _ => break,
                },
            };
            let found = self.expr(arg);
            if found != wanted {
                let (wanted, found) = (wanted.documented(), found.documented());
                let message = format!("expected type {wanted} in call to function \"{name}\", got {found}");
                self.error(arg.span(), message);
            }
        }
        function.return_type
    }

    /// The second argument of `info`, which says what labels are wanted.
    fn info_selector(&mut self, arg: &mut Expr, call: Span) {
        let found = arg.value_type();
        if found != ValueType::Vector {
            let found = found.documented();
            self.error(call, format!("expected type instant vector in call to function \"info\", got {found}"));
        }
        let span = arg.span();
        match arg {
            Expr::Vector(selector) if selector.name.is_none() => selector.may_select_all = true,
            Expr::Vector(_) => {
                self.error(span, "expected label selectors only, got vector selector instead".to_owned());
            }
            _ => self.error(span, "expected label selectors only".to_owned()),
        }
    }
}
