//! Trees as JSON, as `testdata/interop/promql` writes those of Prometheus.

use prometheus_promql::{
    AtModifier, Boundaries, DurationExpr, DurationValue, Expr, NumberLiteral, SequenceValue, Span, VectorSelector,
};
use prometheus_queryable::Matcher;
use serde_json::{Value, json};

/// Whether to tell where things are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spans {
    With,
    /// And matchers in order, which printing does not keep.
    Without,
}

fn float(float: f64) -> Value {
    let bits = float.to_bits();
    if float.is_nan() && bits != prometheus_model::STALE_NAN_BITS {
        return json!("NaN");
    }
    json!(format!("{bits:016x}"))
}

fn finish(node: Value, span: Span, spans: Spans) -> Value {
    let Value::Array(mut node) = node else { unreachable!("nodes are lists") };
    if spans == Spans::With {
        node.extend([json!(span.start), json!(span.end)]);
    }
    Value::Array(node)
}

fn number(e: &NumberLiteral, spans: Spans) -> Value {
    finish(json!(["num", float(e.value), e.is_duration]), e.span, spans)
}

fn duration(e: &DurationExpr, wrapped: bool, spans: Spans) -> Value {
    let node = match e {
        DurationExpr::Number(e) if wrapped => json!(["dur", "+", null, number(e, spans), true]),
        DurationExpr::Number(e) => return number(e, spans),
        // Numbers in parentheses have a span of their own.
        DurationExpr::Paren { expr, span } => {
            let node = duration(expr, true, Spans::Without);
            return match (&**expr, spans) {
                (DurationExpr::Number(e), Spans::With) => {
                    finish(json!(["dur", "+", null, number(e, spans), true]), *span, spans)
                }
                (_, Spans::With) => duration(expr, true, spans),
                (_, Spans::Without) => node,
            };
        }
        DurationExpr::Step(_) => json!(["dur", "step", null, null, wrapped]),
        DurationExpr::Range(_) => json!(["dur", "range", null, null, wrapped]),
        DurationExpr::Negate { expr, .. } => json!(["dur", "-", null, duration(expr, false, spans), wrapped]),
        DurationExpr::Binary { op, lhs, rhs, .. } => {
            json!(["dur", op.as_str(), duration(lhs, false, spans), duration(rhs, false, spans), wrapped])
        }
    };
    finish(node, e.span(), spans)
}

/// Nanoseconds, and what is to be computed.
fn value(value: &DurationValue, spans: Spans) -> (Value, Value) {
    match value {
        DurationValue::Nanos(nanos) => (json!(nanos), Value::Null),
        DurationValue::Expr(e) => (json!(0), duration(e, false, spans)),
    }
}

fn at(at: Option<AtModifier>) -> (Value, Value) {
    match at {
        None => (Value::Null, Value::Null),
        Some(AtModifier::Timestamp(ms)) => (json!(ms), Value::Null),
        Some(AtModifier::Start) => (Value::Null, json!("start")),
        Some(AtModifier::End) => (Value::Null, json!("end")),
    }
}

pub(crate) fn matchers(matchers: &[Matcher], spans: Spans) -> Value {
    let mut list: Vec<_> = matchers.iter().map(|m| (m.name(), m.op().to_string(), m.value())).collect();
    if spans == Spans::Without {
        list.sort();
    }
    json!(list)
}

fn vector(e: &VectorSelector, spans: Spans) -> Value {
    let (offset, offset_expr) = value(&e.offset, spans);
    let (time, preprocessor) = at(e.at);
    let node = json!([
        "vec",
        e.name.as_deref().unwrap_or_default(),
        matchers(&e.matchers, spans),
        offset,
        offset_expr,
        time,
        preprocessor,
        e.boundaries == Boundaries::Anchored,
        e.boundaries == Boundaries::Smoothed,
        e.may_select_all,
    ]);
    finish(node, e.span, spans)
}

pub(crate) fn expr(e: &Expr, spans: Spans) -> Value {
    let node = match e {
        Expr::Number(e) => return number(e, spans),
        Expr::Vector(e) => return vector(e, spans),
        Expr::String(e) => json!(["str", e.value]),
        Expr::Paren(e) => json!(["par", expr(&e.expr, spans)]),
        Expr::Unary(e) => json!(["un", e.op.as_str(), expr(&e.expr, spans)]),
        Expr::Matrix(e) => {
            let (range, range_expr) = value(&e.range, spans);
            json!(["mat", vector(&e.selector, spans), range, range_expr])
        }
        Expr::Subquery(e) => {
            let (range, range_expr) = value(&e.range, spans);
            let (step, step_expr) = e.step.as_ref().map_or((json!(0), Value::Null), |step| value(step, spans));
            let (offset, offset_expr) = value(&e.offset, spans);
            let (time, preprocessor) = at(e.at);
            let of = expr(&e.expr, spans);
            json!(["sub", of, range, range_expr, step, step_expr, offset, offset_expr, time, preprocessor])
        }
        Expr::Aggregate(e) => {
            let param = e.param.as_ref().map(|param| expr(param, spans));
            json!(["agg", e.op.as_str(), expr(&e.expr, spans), param, e.grouping, e.without])
        }
        Expr::Binary(e) => {
            let matching = e.matching.as_ref().map(|m| {
                let (left, right) = (m.fill_left.map(float), m.fill_right.map(float));
                json!([m.cardinality.as_str(), m.labels, m.on, m.include, left, right])
            });
            json!(["bin", e.op.as_str(), expr(&e.lhs, spans), expr(&e.rhs, spans), e.return_bool, matching])
        }
        Expr::Call(e) => {
            let args: Vec<Value> = e.args.iter().map(|arg| expr(arg, spans)).collect();
            json!(["call", e.function.name, args])
        }
    };
    finish(node, e.span(), spans)
}

pub(crate) fn sequence(values: &[SequenceValue]) -> Value {
    let floats = |list: &[f64]| list.iter().map(|&f| float(f)).collect::<Vec<_>>();
    let spans = |list: &[prometheus_model::Span]| list.iter().map(|s| (s.offset, s.length)).collect::<Vec<_>>();
    let value = |value: &SequenceValue| match value {
        SequenceValue::Omitted => Value::Null,
        SequenceValue::Float(value) => float(*value),
        SequenceValue::Histogram { histogram: h, has_hint } => json!([
            [
                h.counter_reset_hint as u8,
                h.schema,
                float(h.zero_threshold),
                float(h.zero_count),
                float(h.count),
                float(h.sum),
                spans(&h.positive_spans),
                floats(&h.positive_buckets),
                spans(&h.negative_spans),
                floats(&h.negative_buckets),
                floats(&h.custom_values),
            ],
            has_hint,
        ]),
    };
    Value::Array(values.iter().map(value).collect())
}
