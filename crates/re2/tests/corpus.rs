//! What Go and Prometheus make of patterns, see `testdata/regex/README.md`.

use std::io::{BufRead, BufReader};

use flate2::read::GzDecoder;
use prometheus_re2::{CaptureRegex, ErrorKind, Regex};
use serde_json::Value;

const TOO_LARGE: &str = "expression too large";

/// What `FastRegexMatcher` matches otherwise than Go, and we as Go: the fork of Go's parser that it uses takes `(?i:a)` and `A`
/// for the same when it factors out what alternatives begin with.
const AS_GO: &[&str] = &["(?i:a)x*|Ay*"];

fn lines(file: &str) -> impl Iterator<Item = Value> {
    let path = format!("{}/../../testdata/regex/{file}", env!("CARGO_MANIFEST_DIR"));
    let reader = BufReader::new(GzDecoder::new(std::fs::File::open(path).expect("the corpus")));
    reader.lines().map(|line| serde_json::from_str(&line.expect("a line")).expect("JSON"))
}

fn text<'l>(line: &'l Value, key: &str) -> &'l str {
    line.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn texts<'l>(line: &'l Value, key: &str) -> Vec<&'l str> {
    line.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn bits(matches: impl Iterator<Item = bool>) -> String {
    matches.map(|matched| if matched { '1' } else { '0' }).collect()
}

/// Differences are gathered, to be seen together.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn expect<T: Copy + PartialEq + std::fmt::Debug>(&mut self, what: &str, pattern: &str, found: T, expected: T) {
        if found != expected {
            let short = |text: String| match text.char_indices().nth(150) {
                Some((at, _)) => format!("{} … ({} bytes)", &text[..at], text.len()),
                None => text,
            };
            let (found, expected) = (short(format!("{found:?}")), short(format!("{expected:?}")));
            self.0.push(format!("{what} of {}: found {found}, expected {expected}", short(format!("{pattern:?}"))));
        }
    }

    fn none(self) {
        let shown = self.0.iter().take(60).map(String::as_str).collect::<Vec<_>>().join("\n");
        assert!(self.0.is_empty(), "{} differences:\n{shown}", self.0.len());
    }
}

#[test]
fn same_matches_sets_and_errors_as_go() {
    let mut differences = Differences::default();
    let (mut patterns, mut values, mut errors, mut sets, mut affixes) = (0, 0, 0, 0, 0);
    for line in lines("corpus.jsonl.gz") {
        patterns += 1;
        let pattern = text(&line, "p");
        let regex = match Regex::new(pattern) {
            Err(error) => {
                errors += 1;
                let expected = text(&line, "e");
                let limit = expected.contains(TOO_LARGE) || expected.contains("expression nests too deeply");
                differences.expect("limit", pattern, error.kind() == ErrorKind::LimitExceeded, limit);
                // Go finds that the anchors which it adds make it too deep, and quotes them and the pattern in other words.
                let anchored = expected.starts_with("error parsing regexp: expression nests too deeply: `^(?s:");
                let own = format!("error parsing regexp: expression nests too deeply: `{pattern}`");
                differences.expect("error", pattern, &*error.to_string(), if anchored { &own } else { expected });
                continue;
            }
            Ok(regex) => regex,
        };
        differences.expect("error", pattern, "", text(&line, "e"));
        let candidates = texts(&line, "v");
        values += candidates.len();
        let matches = bits(candidates.iter().map(|value| regex.is_match(value)));
        if matches != text(&line, "m") {
            let both = candidates.iter().zip(matches.chars()).zip(text(&line, "m").chars());
            let wrong: Vec<_> =
                both.filter(|((_, found), expected)| found != expected).map(|((value, _), _)| value).collect();
            differences.0.push(format!("matches of {pattern:?}: {wrong:?}"));
        }
        assert!(text(&line, "f").is_empty() || AS_GO.contains(&pattern), "{pattern:?}: Prometheus differs from Go");
        assert!(text(&line, "g").is_empty(), "{pattern:?}: the fork of regexp differs from Go's");
        let expected = texts(&line, "s");
        if !expected.is_empty() {
            sets += 1;
            let set: Option<Vec<_>> = regex.set().map(|set| set.iter().map(String::as_str).collect());
            differences.expect("set", pattern, set.as_deref(), Some(&*expected));
        }
        let (prefix, suffix) = (regex.prefix().unwrap_or_default(), regex.suffix().unwrap_or_default());
        let (least_prefix, least_suffix) = (text(&line, "x"), text(&line, "y"));
        affixes += usize::from(!least_prefix.is_empty()) + usize::from(!least_suffix.is_empty());
        if regex.set() != Some(&[]) {
            differences.expect("prefix", pattern, prefix.get(..least_prefix.len()), Some(least_prefix));
            let at = suffix.len().checked_sub(least_suffix.len());
            differences.expect("suffix", pattern, at.and_then(|at| suffix.get(at..)), Some(least_suffix));
        }
    }
    eprintln!("{patterns} patterns, {errors} refused, {values} values, {sets} sets, {affixes} affixes");
    differences.none();
}

/// Go takes these, for its automata know of characters, not bytes.
#[test]
fn too_large_automata_are_refused() {
    for pattern in [r"\pL{300}", r"(\pL{30}){30}", r"(?i)[\pL\d]{1000}.*"] {
        let expected = format!("error parsing regexp: {TOO_LARGE}: `{pattern}`");
        let error = Regex::new(pattern).unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::LimitExceeded, expected));
        assert_eq!(CaptureRegex::new(pattern).unwrap_err().kind(), ErrorKind::LimitExceeded);
    }
    for pattern in [r".{1000}", r"(a{0,30}b?){0,30}c", r"\pL{100}", r"(?i)[a-z]{1000}"] {
        assert!(Regex::new(pattern).is_ok(), "{pattern}");
    }
}

#[test]
fn same_groups_and_templates_as_go() {
    let mut differences = Differences::default();
    for line in lines("corpus.jsonl.gz") {
        let pattern = text(&line, "p");
        let regex = match CaptureRegex::new(pattern) {
            Err(error) => {
                differences.expect("error", pattern, &*error.to_string(), text(&line, "ge"));
                continue;
            }
            Ok(regex) => regex,
        };
        differences.expect("error", pattern, "", text(&line, "ge"));
        let groups = line.get("gn").map_or(0, |count| count.as_u64().unwrap());
        differences.expect("groups", pattern, regex.capture_count() as u64, groups);
        let Some(expanded) = line.get("ex") else { continue };
        for (value, expected) in texts(&line, "v").iter().zip(expanded.as_array().unwrap()) {
            let mut out = "before ".to_owned();
            let matched = regex.expand(value, text(&line, "t"), &mut out);
            let found = matched.then(|| out.strip_prefix("before ").unwrap());
            differences.expect(&format!("{} for {value:?}", text(&line, "t")), pattern, found, expected.as_str());
            assert!(matched || out == "before ");
        }
    }
    differences.none();
}
