//! PromQL; the first byte holds the features that are enabled and what is parsed, the rest is the text.
//!
//! Holds: errors are typed and lie in the text; what is printed, in both forms, parses to the same expression; selectors,
//! metrics and series have an answer or an error.

use prometheus_promql::{Error, ErrorKind, Expr, Parser, ParserOptions};

/// Deep enough for everything, and fuzzing is quick.
const MAX_DEPTH: usize = 200;
/// Each may take ten megabytes.
const MAX_REGEXES: usize = 2;

pub(crate) fn run(input: &[u8]) {
    let Some((&mode, text)) = input.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    let parser = Parser::new(ParserOptions {
        experimental_functions: mode & 1 == 0,
        duration_expressions: mode & 2 == 0,
        extended_range_selectors: mode & 4 == 0,
        fill_modifiers: mode & 8 == 0,
        max_depth: MAX_DEPTH,
        max_regexes: MAX_REGEXES,
        ..ParserOptions::default()
    });
    let error = match mode >> 4 & 3 {
        0 | 1 => match parser.parse(&text) {
            Ok(expr) => {
                // `foo offset +(5)` is printed without its sign, and so needs them.
                let options = ParserOptions { duration_expressions: true, ..parser.options().clone() };
                return survives_printing(&Parser::new(options), &text, expr);
            }
            Err(error) => error,
        },
        2 => match parser.parse_series_description(&text) {
            Ok(series) => {
                let values = series.values(1000, &mut |h, _, _| Ok::<_, Error>(h));
                assert_eq!(
                    values.is_ok(),
                    series.items.iter().map(|item| u128::from(item.len())).sum::<u128>() <= 1000
                );
                return;
            }
            Err(error) => error,
        },
        _ => {
            if let Err(error) = parser.parse_metric(&text) {
                check(&error, &text);
            }
            match parser.parse_selector(&text) {
                Ok(_) => return,
                Err(error) => error,
            }
        }
    };
    check(&error, &text);
}

fn check(error: &Error, text: &str) {
    assert!(!error.to_string().is_empty());
    match error.kind() {
        ErrorKind::LimitExceeded => assert_eq!(error.parse_errors().count(), 0),
        kind => {
            assert_eq!(kind, ErrorKind::Invalid);
            assert!(error.parse_errors().count() > 0);
        }
    }
    for error in error.parse_errors() {
        assert!(error.span.start <= text.len() && error.span.end <= text.len(), "{error}: {:?}", error.span);
        assert_eq!(error.position.is_none(), text.is_empty());
    }
}

fn survives_printing(parser: &Parser, text: &str, expr: Expr) {
    let span = expr.span();
    assert!(span.start <= span.end && span.end <= text.len(), "{span:?}");
    let printed = expr.to_string();
    let mut forms = vec![printed.clone()];
    // Each line is indented as deep as it nests.
    if printed.len() < 10_000 {
        forms.push(expr.pretty());
    }
    let expected = expr.normalized();
    for form in forms {
        match parser.parse(&form) {
            Ok(again) => assert_eq!(again.normalized(), expected, "printed as {form}"),
            Err(error) => panic!("printed as {form}: {error}"),
        }
    }
}
