//! Every shortcut against the plain automaton.

use prometheus_re2::{CaptureRegex, Regex, quote_meta};
use proptest::{collection::vec, prelude::*, sample::select};

const ATOMS: &[&str] = &[
    ".*",
    ".*",
    ".+",
    ".",
    ".?",
    ".{2,}",
    ".{0,1}",
    "a",
    "b",
    "ab",
    "ba",
    "aba",
    "é",
    "日",
    "[ab]",
    "[^a]",
    "[a-d]",
    "[é日]",
    "\\b",
    "^",
    "$",
    "(?i)a",
    "(?i:ab)",
    "(?m)^",
    "(?m)$",
    "\\n",
    "(?-s:.*)",
    "(?-s:.)",
    "(?-s:.+)",
    "\\B",
    "x{0}",
    "[^\\x00-\\x{10FFFF}]",
    "(?i:1)",
    "K",
    "(?i:k)",
];

/// Patterns of what there are shortcuts for, so mixed that some apply and some nearly do.
fn pattern() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![8 => select(ATOMS).prop_map(str::to_owned), 1 => "[ab]{1,3}"];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            6 => vec(inner.clone(), 1..5).prop_map(|parts| parts.concat()),
            3 => vec(inner.clone(), 1..4).prop_map(|parts| format!("({})", parts.join("|"))),
            2 => vec(inner.clone(), 1..4).prop_map(|parts| parts.join("|")),
            1 => (inner.clone(), select(&["*", "+", "?", "{2}", "{0,2}", "{1,}", "*?"][..]))
                .prop_map(|(inner, repeat)| format!("(?:{inner}){repeat}")),
            1 => inner.prop_map(|inner| format!("(?i:{inner})")),
        ]
    })
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => vec(select(&["a", "b", "ab", "é", "日", "\n", "A", "K", "\u{212a}", "1", " ", "ba"][..]), 0..7).prop_map(|parts| parts.concat()),
        1 => "\\PC{0,6}",
    ]
}

/// Whether `value` contains `parts`, one behind the other.
fn contains(value: &str, parts: &[String]) -> bool {
    let mut rest = value;
    parts.iter().all(|part| match rest.split_once(&**part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

fn check(pattern: &str, values: &[String]) {
    let (Ok(regex), Ok(slow)) = (Regex::new(pattern), Regex::without_shortcuts(pattern)) else {
        panic!("{pattern:?} is refused");
    };
    let groups = CaptureRegex::new(pattern).expect("a pattern that a matcher takes");
    let set = regex.set().unwrap_or_default();
    assert!(set.is_sorted_by(|a, b| a < b));
    // A value that shows what the shortcuts know of, or nearly.
    let known =
        [regex.prefix().unwrap_or_default(), &regex.contains().concat(), regex.suffix().unwrap_or_default()].concat();
    for value in values.iter().chain(set).chain([&known, &format!("{known}a"), &format!("\n{known}")]) {
        let expected = slow.is_match(value);
        assert_eq!(regex.is_match(value), expected, "{regex:?} on {value:?}");
        if let Some(set) = regex.set() {
            assert_eq!(set.contains(value), expected, "{regex:?} on {value:?}");
        }
        assert!(expected || !regex.matches_everything());
        assert!(!regex.matches_any_non_empty() || expected != value.is_empty());
        if expected {
            assert!(value.starts_with(regex.prefix().unwrap_or_default()), "{regex:?} on {value:?}");
            assert!(value.ends_with(regex.suffix().unwrap_or_default()), "{regex:?} on {value:?}");
            assert!(contains(value, regex.contains()), "{regex:?} on {value:?}");
        }
        let mut whole = String::new();
        assert_eq!(groups.expand(value, "$0", &mut whole), expected, "{regex:?} on {value:?}");
        assert_eq!(whole, if expected { value } else { "" });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shortcuts_are_right(pattern in pattern(), values in vec(value(), 0..12)) {
        check(&pattern, &values);
    }

    #[test]
    fn any_text_is_parsed_or_refused(pattern in "(\\PC|[\\[\\](){}?*+|^$.\\\\:P<>,\\-ilabpdx0-9]){0,20}", value in value()) {
        if let Ok(regex) = Regex::new(&pattern) {
            let slow = Regex::without_shortcuts(&pattern).unwrap();
            assert_eq!(regex.is_match(&value), slow.is_match(&value), "{regex:?} on {value:?}");
        }
        if let Ok(groups) = CaptureRegex::new(&pattern) {
            let mut out = String::new();
            let _ = groups.expand(&value, "$1${x}", &mut out);
        }
    }

    #[test]
    fn quoted_text_matches_itself(text in "(\\PC|[.*+?()|\\[\\]{}^$\\\\\n-]){0,12}", other in value()) {
        let regex = Regex::new(&quote_meta(&text)).unwrap();
        assert_eq!(regex.set(), Some(&[text.clone()][..]));
        assert!(regex.is_match(&text));
        assert_eq!(regex.is_match(&other), text == other);
        let mut out = String::new();
        assert!(CaptureRegex::new(&quote_meta(&text)).unwrap().expand(&text, "$0", &mut out));
        assert_eq!(out, text);
    }

    #[test]
    fn lists_of_any_length_match_what_they_list(names in vec("[a-c]{0,4}", 1..400), value in "[a-c]{0,4}") {
        let regex = Regex::new(&names.join("|")).unwrap();
        assert_eq!(regex.is_match(&value), names.contains(&value));
        assert!(names.iter().all(|name| regex.is_match(name)));
        let slow = Regex::without_shortcuts(&names.join("|")).unwrap();
        assert_eq!(slow.is_match(&value), names.contains(&value));
    }
}
