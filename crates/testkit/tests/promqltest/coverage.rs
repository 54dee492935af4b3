//! Our own scripts leave out nothing that PromQL has.

use std::collections::BTreeSet;

use prometheus_promql::{
    AggregateOp, AtModifier, BinaryOp, Boundaries, Cardinality, DurationValue, Expr, FUNCTIONS, Parser, ParserOptions,
    Sign,
};
use promparquet_testkit::promqltest::{Command, Times};

use crate::scripts;

/// What an expression has, named such that names of different things differ.
fn traits(expr: &Expr, found: &mut BTreeSet<String>) {
    let mut has = |name: &str| {
        found.insert(name.to_owned());
    };
    let at = |at: &Option<AtModifier>| match at {
        Some(AtModifier::Timestamp(_)) => "@ time",
        Some(AtModifier::Start) => "@ start()",
        Some(AtModifier::End) => "@ end()",
        None => "no @",
    };
    let offset = |offset: &DurationValue| match offset {
        DurationValue::Nanos(0) => "no offset",
        DurationValue::Nanos(1..) => "offset back",
        DurationValue::Nanos(_) => "offset forward",
        DurationValue::Expr(_) => "offset computed",
    };
    match expr {
        Expr::Aggregate(e) => {
            has(&format!("aggregation {}", e.op.as_str()));
            has(if e.without {
                "without"
            } else if e.grouping.is_empty() {
                "no grouping"
            } else {
                "by"
            });
        }
        Expr::Binary(e) => {
            has(&format!("operator {}", e.op.as_str()));
            if e.return_bool {
                has("bool");
            }
            if let Some(matching) = &e.matching {
                has(match matching.cardinality {
                    Cardinality::ManyToOne => "group_left",
                    Cardinality::OneToMany => "group_right",
                    Cardinality::OneToOne => "one to one",
                    Cardinality::ManyToMany => "many to many",
                });
                has(if matching.on { "on" } else { "ignoring" });
                if !matching.include.is_empty() {
                    has("included labels");
                }
                match (matching.fill_left, matching.fill_right) {
                    (Some(_), Some(_)) => has("fill"),
                    (Some(_), None) => has("fill_left"),
                    (None, Some(_)) => has("fill_right"),
                    (None, None) => {}
                }
            }
        }
        Expr::Call(e) => has(&format!("function {}", e.function.name)),
        Expr::Unary(e) => has(if e.op == Sign::Minus { "unary -" } else { "unary +" }),
        Expr::Vector(e) => [at(&e.at), offset(&e.offset), boundaries(e.boundaries)].into_iter().for_each(has),
        Expr::Matrix(e) => {
            has(if matches!(e.range, DurationValue::Expr(_)) { "range computed" } else { "range" });
            for name in [at(&e.selector.at), offset(&e.selector.offset), boundaries(e.selector.boundaries)] {
                has(&format!("range with {name}"));
            }
        }
        Expr::Subquery(e) => {
            has(if e.step.is_some() { "sub-query with step" } else { "sub-query without step" });
            has(&format!("sub-query with {}", at(&e.at)));
            has(&format!("sub-query with {}", offset(&e.offset)));
        }
        Expr::Number(_) => has("number"),
        Expr::String(_) => has("string"),
        Expr::Paren(_) => has("parentheses"),
    }
}

fn boundaries(boundaries: Boundaries) -> &'static str {
    match boundaries {
        Boundaries::Plain => "plain",
        Boundaries::Anchored => "anchored",
        Boundaries::Smoothed => "smoothed",
    }
}

fn wanted() -> impl Iterator<Item = String> {
    use AggregateOp as A;
    use BinaryOp as B;
    let aggregations = [
        A::Avg,
        A::Bottomk,
        A::Count,
        A::CountValues,
        A::Group,
        A::Limitk,
        A::LimitRatio,
        A::Max,
        A::Min,
        A::Quantile,
        A::Stddev,
        A::Stdvar,
        A::Sum,
        A::Topk,
    ];
    let operators = [
        B::Add,
        B::Sub,
        B::Mul,
        B::Div,
        B::Mod,
        B::Pow,
        B::Atan2,
        B::Eql,
        B::Neq,
        B::Lss,
        B::Lte,
        B::Gtr,
        B::Gte,
        B::TrimUpper,
        B::TrimLower,
        B::And,
        B::Or,
        B::Unless,
    ];
    let others = [
        "without",
        "no grouping",
        "by",
        "bool",
        "group_left",
        "group_right",
        "one to one",
        "many to many",
        "on",
        "ignoring",
        "included labels",
        "fill",
        "fill_left",
        "fill_right",
        "unary -",
        "unary +",
        "@ time",
        "@ start()",
        "@ end()",
        "offset back",
        "offset forward",
        "offset computed",
        "smoothed",
        "range",
        "range computed",
        "range with anchored",
        "range with smoothed",
        "range with @ start()",
        "range with offset back",
        "sub-query with step",
        "sub-query without step",
        "sub-query with @ end()",
        "sub-query with offset back",
        "number",
        "string",
        "parentheses",
        "instant query",
        "range query",
    ];
    let functions = FUNCTIONS.iter().map(|function| format!("function {}", function.name));
    functions
        .chain(aggregations.into_iter().map(|op| format!("aggregation {}", op.as_str())))
        .chain(operators.into_iter().map(|op| format!("operator {}", op.as_str())))
        .chain(others.into_iter().map(str::to_owned))
}

#[test]
fn own_scripts_have_everything() {
    let parser = Parser::new(ParserOptions::all_features());
    let mut found = BTreeSet::new();
    for (name, script) in scripts::own() {
        for command in &script.commands {
            let Command::Eval(eval) = command else { continue };
            let expr = parser.parse(&eval.query).unwrap_or_else(|e| panic!("{name}:{}: {e}", eval.line));
            let is_instant = matches!(eval.times, Times::Instant(_));
            found.insert(if is_instant { "instant query" } else { "range query" }.to_owned());
            // What is only expected to fail is not shown to work.
            if eval.fail.is_empty() {
                expr.walk(&mut |expr| traits(expr, &mut found));
            }
        }
    }
    let missing: Vec<_> = wanted().filter(|name| !found.contains(name)).collect();
    assert!(missing.is_empty(), "in no script: {missing:?}");
}
