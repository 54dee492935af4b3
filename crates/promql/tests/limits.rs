//! What is too large is refused, and nothing overflows the stack.

use std::thread;

use prometheus_promql::{ErrorKind, Parser, ParserOptions};

fn parser(max_depth: usize) -> Parser {
    Parser::new(ParserOptions { max_depth, ..ParserOptions::all_features() })
}

/// Inputs that nest `depth` levels, more or less, each in another way.
fn nested(depth: usize) -> Vec<String> {
    let around = |open: &str, inner: &str, close: &str| format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
    vec![
        around("(", "1", ")"),
        around("-(", "foo", ")"),
        around("-", "foo", ""),
        around("- +", "1", ""),
        around("sum(", "foo", ")"),
        around("topk by (a) (1, ", "foo", ")"),
        around("abs(", "foo", ")"),
        around("clamp_max(", "foo", ", 1)"),
        around("label_replace(", "foo", ", \"a\", \"b\", \"c\", \"d\")"),
        around("foo + (", "foo", ")"),
        around("", "foo", "[5m:] offset 1m @ 3"),
        around("max_over_time(", "foo", "[5m:1m])"),
        around("", "1", " + 1"),
        around("", "foo", " and on (a) foo"),
        around("2 ^ ", "2", ""),
        around("foo * on (a) group_left (b) fill (0) ", "foo", ""),
        format!("foo[{}]", around("(", "5m", ")")),
        format!("foo[{}]", around("-", "5m", "")),
        format!("foo[{}]", around("", "5m", " + 5m")),
        format!("foo[{}]", around("2 ^ ", "5m", "")),
        format!("foo[{}]", around("max_of(", "5m", ", step())")),
        format!("foo offset {}", around("-(", "5m", ")")),
        format!("foo offset {}", around("max_of(", "5m", ", step())")),
    ]
}

/// Everything that walks through trees, on a small stack.
fn exercise(inputs: Vec<String>, max_depth: usize, stack: usize, deep: bool) {
    let walk = move || {
        let parser = parser(max_depth);
        for input in inputs {
            match parser.parse(&input) {
                Ok(expr) => {
                    assert!(!deep, "{:.40}… is not too deep", input);
                    let printed = expr.to_string();
                    assert!(expr.pretty().len() >= printed.len());
                    let again = parser.parse(&printed).expect("what was printed");
                    let copy = expr.clone();
                    let mut nodes = 0;
                    expr.walk(&mut |_| nodes += 1);
                    assert!(nodes > 0 && copy == expr);
                    assert_eq!(expr.normalized(), again.normalized());
                }
                Err(error) if error.kind() == ErrorKind::LimitExceeded => {
                    assert!(deep, "{:.40}…: {error}", input);
                    assert!(error.to_string().contains(&format!("more than {max_depth} levels")));
                }
                // Sub-queries of sub-queries are wrong, but no deeper than others.
                Err(_) => assert!(!deep, "{:.40}… is not too deep", input),
            }
        }
    };
    thread::Builder::new().stack_size(stack).spawn(walk).expect("a thread").join().expect("no panic");
}

#[test]
fn depth_is_limited_and_fits_the_stack() {
    let default = ParserOptions::default().max_depth;
    exercise(nested(default / 4), default, 2048 * default, false);
    for factor in [2, 50] {
        exercise(nested(factor * default), default, 2048 * default, true);
    }
}

#[test]
fn greatest_depth_fits_the_stack() {
    let most = ParserOptions::MAX_DEPTH;
    exercise(nested(most / 4), usize::MAX, 2048 * most, false);
    // The limit that is named is that which has an effect.
    let error = parser(usize::MAX).parse(&nested(2 * most)[0]).expect_err("too deep");
    assert!(error.to_string().contains("more than 5000 levels"), "{error}");
}

#[test]
fn length_is_limited() {
    let parser = Parser::new(ParserOptions { max_bytes: 10, ..ParserOptions::default() });
    assert!(parser.parse("1234567890").is_ok());
    let error = parser.parse("12345678901").expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert_eq!(error.to_string(), "query of 11 bytes is longer than the limit of 10");
    assert_eq!(parser.parse_selector("aaaaaaaaaaaaaa").map_err(|e| e.kind()), Err(ErrorKind::LimitExceeded));
}

#[test]
fn values_of_series_are_limited() {
    let parser = Parser::default();
    let mut combine = |h, _, _: &_| Ok::<_, prometheus_promql::Error>(h);
    for series in ["foo 1x18446744073709551615", "foo _x18446744073709551615 _x2", "foo 1+1x101", "foo {{}}x101"] {
        let series = parser.parse_series_description(series).expect("a series");
        let error = series.values(100, &mut combine).expect_err("too many");
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    }
    let series = parser.parse_series_description("foo 1+1x99").expect("a series");
    assert_eq!(series.values(100, &mut combine).map(|values| values.len()).ok(), Some(100));
    assert!(parser.parse_series_description("foo 1x18446744073709551616").is_err());
}

/// Inputs that other parsers crash on.
#[test]
fn crashers_are_errors() {
    for (input, message) in [
        ("x[99999999999999999999]", "1:3: parse error: duration out of range"),
        ("foo offset 1e300", "1:12: parse error: duration out of range"),
        ("foo[99999999999999999999s]", "1:5: parse error: not a valid duration string: \"99999999999999999999s\""),
        (
            "foo @ 1e300",
            "1:1: parse error: timestamp out of bounds for @ modifier: 1000000000000000052504760255204420248704468581108159154915854115111802457988908195786371375080447854045104.000000",
        ),
        ("\"\\", "1:1: parse error: escape sequence not terminated"),
        ("", "unknown position: parse error: no expression found in input"),
        ("\u{0}", "1:1: parse error: unexpected character: '\\x00'"),
        ("foo{a=~\"(\"}", "1:5: parse error: error parsing regexp: missing closing ): `(`"),
    ] {
        let error = parser(500).parse(input).expect_err(input);
        assert!(error.to_string().starts_with(message.split("1000000000000000").next().unwrap_or_default()), "{error}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

#[test]
fn regexes_are_limited() {
    let parser = Parser::new(ParserOptions { max_regexes: 2, ..ParserOptions::default() });
    assert!(parser.parse("foo{a=~\"a\", b!~\"b\"}").is_ok());
    let error = parser.parse("foo{a=~\"a\"} + foo{a=~\"a\", b!~\"b\"}").expect_err("too many");
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert_eq!(error.to_string(), "query has more than 2 regular expressions");
}

/// None of these takes time in proportion to the square of its length.
#[test]
fn long_inputs_are_quick() {
    let options = ParserOptions { max_bytes: usize::MAX, ..ParserOptions::all_features() };
    let parser = Parser::new(options);
    let list = |item: &str| format!("f({})", vec![item; 1_000_000 / item.len()].join(","));
    for item in [
        "1[5m] offset 5m",
        "foo @ x",
        "foo anchored smoothed",
        "foo{,}",
        "sum by (,) (f)",
        "\n1 + \"\"",
        "sum(",
        "foo[5m][5m:",
    ] {
        let error = parser.parse(&list(item)).expect_err("wrong");
        assert!(error.parse_errors().count() <= 1000);
    }
    let labels = (0..100_000).map(|i| format!("l{i}")).collect::<Vec<_>>().join(",");
    assert!(parser.parse(&format!("foo + on({labels}) group_left(x) foo")).is_ok());
    let error = parser.parse(&format!("foo + on({labels}) group_left({labels}) foo")).expect_err("wrong");
    assert_eq!(error.parse_errors().count(), 1000);
    let values = vec!["1"; 500_000].join(" ");
    assert!(parser.parse_series_description(&format!("foo {values}")).is_ok());
    assert!(parser.parse_series_description(&format!("foo {{{{buckets:[{values}]}}}}")).is_ok());
}
