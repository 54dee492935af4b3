//! `format_query` and `parse_query`: a query as text over several lines, and as a tree in Prometheus' words.

use prometheus_model::ApiFloatText;
use prometheus_promql::{
    AtModifier, Boundaries, DurationExpr, DurationValue, Expr, Parser, Variadic, VectorMatching, VectorSelector,
};
use serde_json::{Value, json};

use crate::api::{error::ApiError, params::Params};

/// The query, formatted.
pub(crate) fn format(parser: &Parser, params: &Params) -> Result<Value, ApiError> {
    let expr = parser.parse(params.get("query")).map_err(|error| ApiError::parameter("query", error))?;
    Ok(Value::String(expr.pretty().to_string()))
}

/// The query, as a tree. Depth is bounded by the parser's options.
pub(crate) fn parse(parser: &Parser, params: &Params) -> Result<Value, ApiError> {
    let expr = parser.parse(params.get("query")).map_err(|error| ApiError::parameter("query", error))?;
    Ok(tree(&expr))
}

fn tree(expr: &Expr) -> Value {
    match expr {
        Expr::Aggregate(e) => json!({
            "type": "aggregation", "op": e.op.as_str(), "expr": tree(&e.expr),
            "param": e.param.as_deref().map(tree), "grouping": e.grouping, "without": e.without,
        }),
        Expr::Binary(e) => json!({
            "type": "binaryExpr", "op": e.op.as_str(), "lhs": tree(&e.lhs), "rhs": tree(&e.rhs),
            "matching": e.matching.as_ref().map(matching), "bool": e.return_bool,
        }),
        Expr::Call(e) => json!({
            "type": "call",
            "func": {
                "name": e.function.name,
                "argTypes": e.function.arg_types.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
                "variadic": match e.function.variadic {
                    Variadic::No => 0,
                    Variadic::UpTo(most) => i64::try_from(most).unwrap_or(i64::MAX),
                    Variadic::Any => -1,
                },
                "returnType": e.function.return_type.as_str(),
            },
            "args": e.args.iter().map(tree).collect::<Vec<_>>(),
        }),
        Expr::Matrix(e) => {
            let mut value = selector("matrixSelector", &e.selector);
            value["range"] = milliseconds(&e.range);
            value["rangeExpr"] = expression(&e.range);
            value
        }
        Expr::Subquery(e) => json!({
            "type": "subquery", "expr": tree(&e.expr),
            "range": milliseconds(&e.range), "rangeExpr": expression(&e.range),
            "offset": milliseconds(&e.offset), "offsetExpr": expression(&e.offset),
            "step": e.step.as_ref().map_or(json!(0), milliseconds), "stepExpr": e.step.as_ref().map(expression),
            "timestamp": timestamp(e.at), "startOrEnd": start_or_end(e.at),
        }),
        Expr::Number(e) => json!({ "type": "numberLiteral", "val": plain(e.value) }),
        Expr::Paren(e) => json!({ "type": "parenExpr", "expr": tree(&e.expr) }),
        Expr::String(e) => json!({ "type": "stringLiteral", "val": e.value }),
        Expr::Unary(e) => json!({ "type": "unaryExpr", "op": e.op.as_str(), "expr": tree(&e.expr) }),
        Expr::Vector(e) => selector("vectorSelector", e),
    }
}

fn matching(matching: &VectorMatching) -> Value {
    json!({
        "card": matching.cardinality.as_str(), "labels": matching.labels, "on": matching.on,
        "include": matching.include,
        "fillValues": { "lhs": matching.fill_left, "rhs": matching.fill_right },
    })
}

fn selector(kind: &str, selector: &VectorSelector) -> Value {
    let matchers = selector.matchers.iter();
    json!({
        "type": kind,
        "name": selector.name.as_deref().unwrap_or_default(),
        "offset": milliseconds(&selector.offset), "offsetExpr": expression(&selector.offset),
        "matchers": matchers
            .map(|m| json!({ "name": m.name(), "value": m.value(), "type": m.op().to_string() }))
            .collect::<Vec<_>>(),
        "timestamp": timestamp(selector.at), "startOrEnd": start_or_end(selector.at),
        "anchored": selector.boundaries == Boundaries::Anchored,
        "smoothed": selector.boundaries == Boundaries::Smoothed,
    })
}

/// 0 for what is yet to be computed.
fn milliseconds(duration: &DurationValue) -> Value {
    match duration {
        DurationValue::Nanos(nanos) => json!(nanos / 1_000_000),
        DurationValue::Expr(_) => json!(0),
    }
}

fn expression(duration: &DurationValue) -> Value {
    match duration {
        DurationValue::Nanos(_) => Value::Null,
        DurationValue::Expr(expr) => duration_tree(expr, false),
    }
}

fn duration_tree(expr: &DurationExpr, wrapped: bool) -> Value {
    let of = |op: &str, lhs: Value, rhs: Value| json!({ "type": "durationExpr", "op": op, "lhs": lhs, "rhs": rhs, "wrapped": wrapped });
    match expr {
        DurationExpr::Number(number) => {
            json!({ "type": "numberLiteral", "val": plain(number.value), "duration": number.is_duration })
        }
        DurationExpr::Step(_) => of("step", Value::Null, Value::Null),
        DurationExpr::Range(_) => of("range", Value::Null, Value::Null),
        DurationExpr::Negate { expr, .. } => of("-", Value::Null, duration_tree(expr, false)),
        DurationExpr::Paren { expr, .. } => duration_tree(expr, true),
        DurationExpr::Binary { op, lhs, rhs, .. } => {
            of(op.as_str(), duration_tree(lhs, false), duration_tree(rhs, false))
        }
    }
}

fn timestamp(at: Option<AtModifier>) -> Option<i64> {
    match at {
        Some(AtModifier::Timestamp(t)) => Some(t),
        _ => None,
    }
}

fn start_or_end(at: Option<AtModifier>) -> Option<&'static str> {
    match at {
        Some(AtModifier::Start) => Some("start"),
        Some(AtModifier::End) => Some("end"),
        _ => None,
    }
}

/// A number without an exponent, as Go's format `f` has it.
fn plain(value: f64) -> String {
    if value.is_finite() { format!("{value}") } else { ApiFloatText(value).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees() {
        let parser = Parser::default();
        let of = |query: &str| {
            parse(
                &parser,
                &Params::of(&form_urlencoded::Serializer::new(String::new()).append_pair("query", query).finish()),
            )
            .unwrap()
        };
        assert_eq!(
            of("foo{a=~\"b\"}[5m] offset 1m @ start()"),
            json!({"type": "matrixSelector", "name": "foo", "range": 300_000, "rangeExpr": null, "offset": 60_000,
                "offsetExpr": null, "timestamp": null, "startOrEnd": "start", "anchored": false, "smoothed": false,
                "matchers": [{"name": "a", "value": "b", "type": "=~"}, {"name": "__name__", "value": "foo", "type": "="}]})
        );
        assert_eq!(of("1e3"), json!({"type": "numberLiteral", "val": "1000"}));
        assert_eq!(of("-a")["op"], "-");
        assert_eq!(of("sum by (x) (a)")["grouping"], json!(["x"]));
        assert_eq!(of("a / on (b) group_left (c) d")["matching"]["card"], "many-to-one");
        assert_eq!(of("round(a)")["func"]["variadic"], 1);
        assert_eq!(of("rate(a[5m:])")["args"][0]["step"], 0);
        let error = parse(&parser, &Params::of("query=sum(")).unwrap_err();
        assert!(error.message.starts_with("invalid parameter \"query\": 1:5: parse error:"), "{error:?}");
    }
}
