use std::io::{BufRead, BufReader};

use flate2::read::GzDecoder;
use serde_json::Value;

use super::*;
use crate::ErrorKind;

fn parse_exact(pattern: &str) -> Result<Node> {
    parse(pattern, Flags { dot_newline: true, ..Flags::default() }, Names::Exact).map(|parsed| parsed.node)
}

/// The code points that a class or a single character matches, with 64-bit FNV-1a, as `testdata/regex/README.md` says.
fn count_and_hash(node: &Node) -> (u64, String) {
    let class = match node {
        Node::Class(class) => class.clone(),
        Node::Literal { text, fold } => {
            let c = text.chars().next().unwrap();
            assert_eq!(text.chars().count(), 1);
            if *fold { Class::same_fold(c) } else { Class::of(vec![(c.into(), c.into())]) }
        }
        node => panic!("{node:?} is no class"),
    };
    let (mut count, mut hash) = (0, 0xcbf2_9ce4_8422_2325_u64);
    for c in class.ranges().iter().flat_map(|&(low, high)| low..=high) {
        count += 1;
        for byte in c.to_le_bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
    (count, format!("{hash:016x}"))
}

#[test]
fn classes_hold_what_they_hold_in_go() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/regex/classes.jsonl.gz");
    let mut classes = 0;
    for line in BufReader::new(GzDecoder::new(std::fs::File::open(path).unwrap())).lines() {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let pattern = line[0].as_str().unwrap();
        let expected = (line[1].as_u64().unwrap(), line[2].as_str().unwrap().to_owned());
        assert_eq!(count_and_hash(&parse_exact(pattern).unwrap()), expected, "{pattern}");
        classes += 1;
    }
    assert!(classes > 1000, "{classes}");
}

#[test]
fn loose_names_are_those_of_exact_ones() {
    fn loose(pattern: &str) -> Result<Node> {
        parse(pattern, Flags::default(), Names::Loose).map(|parsed| parsed.node)
    }
    for (name, exact) in [
        ("lu", "Lu"),
        ("upper case-LET_ter", "Lu"),
        ("cased_letter", "LC"),
        ("lc", "LC"),
        ("GREEK", "Greek"),
        ("Old_Italic", "Old_Italic"),
        ("punct", "P"),
        ("any", "Any"),
        ("Unassigned", "Cn"),
    ] {
        let (exact, negated) = (format!(r"\p{{{exact}}}"), format!(r"\P{{{exact}}}"));
        assert_eq!(loose(&format!(r"\p{{{name}}}")).unwrap(), parse_exact(&exact).unwrap(), "{name}");
        assert_eq!(loose(&format!(r"\p{{^{name}}}")).unwrap(), parse_exact(&negated).unwrap(), "{name}");
    }
    assert_eq!(loose(r"\p{assigned}").unwrap(), parse_exact(r"\P{Cn}").unwrap());
    assert_eq!(loose(r"\p{ascii}").unwrap(), parse_exact("[[:ascii:]]").unwrap());
    for name in ["", "_", "L u1", "é", "Upper"] {
        let pattern = format!(r"\p{{{name}}}");
        let error = loose(&pattern).unwrap_err();
        assert_eq!(error.to_string(), format!("error parsing regexp: invalid character class range: `{pattern}`"));
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

/// Limits of ours: Go takes these patterns, or takes very long.
#[test]
fn what_would_take_too_much_is_refused() {
    for (pattern, times) in [
        ("a?", 200_000),
        (r"\b", 300_000),
        (r"\pL", 10_000),
        (r"[\pL\PL]", 10_000),
        ("(?i)[a-\\x{1F000}]", 20_000),
        ("(?i)a(?-i)b", 200_000),
    ] {
        let error = parse_exact(&pattern.repeat(times)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{pattern}");
        assert!(error.to_string().starts_with("error parsing regexp: expression too large: `"), "{pattern}");
    }
    let class = format!("[{}]", r"\PL".repeat(10_000));
    assert_eq!(parse_exact(&class).unwrap_err().kind(), ErrorKind::LimitExceeded);
    let ignore_case = format!("(?i){}", "a".repeat(1 << 19));
    assert_eq!(parse_exact(&ignore_case).unwrap_err().kind(), ErrorKind::LimitExceeded);
}

#[test]
fn parentheses_may_be_nested_deeper_than_what_they_hold() {
    for (open, close) in [("(?:", ")"), ("(?i:", ")")] {
        let deep = format!("{}a{}", open.repeat(100_000), close.repeat(100_000));
        assert!(matches!(parse_exact(&deep).unwrap(), Node::Literal { .. }));
    }
    let open = parse_exact(&"(".repeat(100_000)).unwrap_err();
    assert_eq!(open.kind(), ErrorKind::Invalid);
}
