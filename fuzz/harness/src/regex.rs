//! Regular expressions in Go's syntax.
//!
//! ```text
//! input = length(u8) pattern:length rest
//! rest  = value
//! ```
//!
//! Pattern and value are read as UTF-8, what is none replaced.
//!
//! Holds: a pattern is compiled or refused with Go's text; shortcuts match what the automaton matches; what is known of all
//! matches is so; with groups the same matches.

use prometheus_re2::{CaptureRegex, ErrorKind, Regex, quote_meta};

/// Automata may be 10 MiB in either direction, so few inputs take long: the value does not.
const LONGEST_VALUE: usize = 64;

pub(crate) fn run(input: &[u8]) {
    let Some((&len, rest)) = input.split_first() else { return };
    let (pattern, value) = rest.split_at(rest.len().min(len.into()));
    let pattern = String::from_utf8_lossy(pattern);
    let value = String::from_utf8_lossy(value.get(..LONGEST_VALUE).unwrap_or(value));
    matcher(&pattern, &value);
    groups(&pattern, &value);
    let quoted = Regex::new(&quote_meta(&pattern)).expect("what is quoted is a pattern");
    assert_eq!(quoted.set(), Some(&[pattern.clone().into_owned()][..]));
    assert_eq!(quoted.is_match(&value), value == pattern);
}

fn matcher(pattern: &str, value: &str) {
    let regex = match Regex::new(pattern) {
        Ok(regex) => regex,
        Err(error) => {
            assert!([ErrorKind::Invalid, ErrorKind::LimitExceeded].contains(&error.kind()));
            assert!(error.to_string().starts_with("error parsing regexp: "), "{error}");
            return;
        }
    };
    // The shortcut may do where the automaton is too large.
    let Ok(slow) = Regex::without_shortcuts(pattern) else { return };
    let set = regex.set().unwrap_or_default();
    let known = [regex.prefix().unwrap_or_default(), &regex.contains().concat(), regex.suffix().unwrap_or_default()];
    let known = known.concat();
    let around = format!("{known}{value}{known}");
    for value in [value, "", &known, &around].into_iter().chain(set.iter().take(8).map(String::as_str)) {
        let expected = slow.is_match(value);
        assert_eq!(regex.is_match(value), expected, "{pattern:?} on {value:?}");
        if let Some(set) = regex.set() {
            assert_eq!(set.binary_search_by(|text| (**text).cmp(value)).is_ok(), expected, "{pattern:?} on {value:?}");
        }
        assert!(expected || !regex.matches_everything(), "{pattern:?} on {value:?}");
        assert!(!regex.matches_any_non_empty() || expected != value.is_empty(), "{pattern:?} on {value:?}");
        if expected {
            assert!(value.starts_with(regex.prefix().unwrap_or_default()), "{pattern:?} on {value:?}");
            assert!(value.ends_with(regex.suffix().unwrap_or_default()), "{pattern:?} on {value:?}");
            let mut rest = value;
            for part in regex.contains() {
                (_, rest) = rest.split_once(&**part).expect("a part that every match contains");
            }
        }
    }
}

fn groups(pattern: &str, value: &str) {
    let Ok(groups) = CaptureRegex::new(pattern) else { return };
    let mut out = String::new();
    let matched = groups.expand(value, "$0", &mut out);
    assert!(value.contains(&out) && (matched || out.is_empty()), "{pattern:?}");
    // What is no pattern by itself may close the group that is put around it, and then needs not match the whole value.
    if let Ok(slow) = Regex::without_shortcuts(pattern) {
        assert_eq!(matched, slow.is_match(value), "{pattern:?} on {value:?}");
        assert_eq!(out, if matched { value } else { "" }, "{pattern:?}");
    }
    let mut expanded = String::new();
    assert_eq!(groups.expand(value, pattern, &mut expanded), matched);
    assert!(matched || expanded.is_empty());
}
