//! Holds the parser to what Prometheus' own parser says: `testdata/promql-parser`.

mod dump;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::Path,
};

use dump::Spans;
use flate2::read::GzDecoder;
use prometheus_model::FloatHistogram;
use prometheus_promql::{Error, HistogramStep, Parser, ParserOptions, SequenceItem};
use serde_json::{Value, json};

/// Why an answer may differ from Prometheus'.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Allowed {
    /// Text here is UTF-8. Prometheus lets such strings pass, which no label can have.
    NotUtf8,
    /// Prometheus converts floats beyond 64 bits to integers, which gives what the processor makes of it.
    Overflow,
    /// Prometheus' printed form does not parse to what was printed.
    PrintedFormIsAnother,
    /// Labels that occur twice or have no name: Prometheus notices when it stores them.
    NoLabels,
    /// Numbers of histograms that were added up are not computed here.
    HistogramArithmetic,
}

const OVERFLOW: i64 = i64::MIN;

fn parser(options: u64) -> Parser {
    Parser::new(ParserOptions {
        experimental_functions: options & 1 != 0,
        duration_expressions: options & 2 != 0,
        extended_range_selectors: options & 4 != 0,
        fill_modifiers: options & 8 != 0,
        ..ParserOptions::default()
    })
}

fn contains(value: &Value, wanted: &Value) -> bool {
    value == wanted || value.as_array().is_some_and(|list| list.iter().any(|value| contains(value, wanted)))
}

fn is_same_but_overflow(ours: &Value, theirs: &Value) -> bool {
    match (ours.as_array(), theirs.as_array()) {
        (Some(ours), Some(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|(ours, theirs)| is_same_but_overflow(ours, theirs))
        }
        _ if *theirs == json!(OVERFLOW) => [i64::MIN, i64::MAX].iter().any(|limit| *ours == json!(limit)),
        _ => ours == theirs,
    }
}

/// Our answer to a case, in the form of Prometheus'.
fn answer(case: &Value) -> Result<Value, Error> {
    let parser = parser(case["o"].as_u64().expect("options"));
    let input = case["i"].as_str().expect("an input");
    Ok(match case["e"].as_str().expect("an entry") {
        "expr" => {
            let expr = parser.parse(input)?;
            let mut answer = json!({"s": expr.to_string(), "t": expr.value_type().as_str()});
            answer["a"] = dump::expr(&expr, Spans::With);
            let pretty = expr.pretty();
            if answer["s"] != pretty.as_str() {
                answer["p"] = json!(pretty);
            }
            answer
        }
        "selector" => json!({"a": dump::matchers(&parser.parse_selector(input)?, Spans::With)}),
        "metric" => json!({"a": parser.parse_metric(input)?.iter().collect::<Vec<_>>()}),
        "series" => {
            let series = parser.parse_series_description(input)?;
            let mut same = |h: FloatHistogram, _: HistogramStep, _: &FloatHistogram| Ok::<_, Error>(h);
            let values = dump::sequence(&series.values(1 << 20, &mut same)?);
            let added = series.items.iter().any(|item| matches!(item, SequenceItem::Histogram { step: Some(_), .. }));
            json!({"a": [series.labels.iter().collect::<Vec<_>>(), values], "added": added})
        }
        entry => panic!("unknown entry {entry}"),
    })
}

/// Labels without those that have no value, which are none here.
fn without_empty(labels: &Value) -> Value {
    let labels = labels.as_array().into_iter().flatten();
    Value::Array(labels.filter(|label| label[1] != "").cloned().collect())
}

/// Compares our answer to Prometheus'.
fn judge(case: &Value) -> Result<Option<Allowed>, String> {
    let expected = case["a"].clone();
    match answer(case) {
        Ok(_) if case["err"].is_string() => Err("it is accepted".to_owned()),
        Err(error) if !case["err"].is_string() => {
            let message = error.to_string();
            if case["bin"] == true && message.contains("not valid UTF-8") {
                return Ok(Some(Allowed::NotUtf8));
            }
            if message.ends_with("occurs twice") || message.ends_with("has no name") {
                return Ok(Some(Allowed::NoLabels));
            }
            let overflow = contains(&case["a"], &json!(OVERFLOW));
            if overflow && message.ends_with("duration out of range") {
                return Ok(Some(Allowed::Overflow));
            }
            Err(format!("it is rejected: {error}"))
        }
        Err(error) => {
            let errors: Vec<Value> =
                error.parse_errors().map(|e| json!([e.message, e.span.start, e.span.end])).collect();
            if case["panic"] == true {
                return Err(format!("Prometheus panics; we say {error}"));
            }
            if error.to_string() != case["err"] {
                let not_utf8 = error.parse_errors().any(|e| e.message.contains("not valid UTF-8"));
                if not_utf8 {
                    return Ok(Some(Allowed::NotUtf8));
                }
                let nan = case["i"].as_str().is_some_and(|input| input.to_lowercase().contains("nan"));
                if nan && error.to_string().ends_with("duration out of range") {
                    return Ok(Some(Allowed::Overflow));
                }
                return Err(format!("the error is {error}"));
            }
            if json!(errors) != case["errs"] {
                let not_utf8 = error.parse_errors().any(|e| e.message.contains("not valid UTF-8"));
                let ours = json!(errors);
                return if not_utf8 { Ok(Some(Allowed::NotUtf8)) } else { Err(format!("the errors are {ours}")) };
            }
            Ok(None)
        }
        Ok(ours) => match case["e"].as_str() {
            Some("expr") => judge_expr(case, &ours),
            Some("metric") => {
                let expected = without_empty(&expected);
                if ours["a"] == expected { Ok(None) } else { Err(format!("the labels are {}", ours["a"])) }
            }
            Some("series") => {
                let expected = json!([without_empty(&expected[0]), expected[1]]);
                if ours["a"] == expected {
                    Ok(None)
                } else if ours["added"] == true
                    && ours["a"][0] == expected[0]
                    && ours["a"][1].as_array().map(Vec::len) == expected[1].as_array().map(Vec::len)
                {
                    Ok(Some(Allowed::HistogramArithmetic))
                } else {
                    Err(format!("the series is {}", ours["a"]))
                }
            }
            _ if ours["a"] == expected => Ok(None),
            _ => Err(format!("the answer is {ours}")),
        },
    }
}

fn judge_expr(case: &Value, ours: &Value) -> Result<Option<Allowed>, String> {
    if ours["t"] != case["t"] {
        return Err(format!("the type is {}", ours["t"]));
    }
    if ours["a"] != case["a"] {
        if is_same_but_overflow(&ours["a"], &case["a"]) {
            return Ok(Some(Allowed::Overflow));
        }
        return Err(format!("the tree is {}", ours["a"]));
    }
    if ours["s"] == case["s"] && ours["p"] == case["p"] {
        return Ok(None);
    }
    // Theirs must not be what was parsed; else there is no reason to print another.
    let parser = parser(15);
    let theirs = case["s"].as_str().expect("a printed form");
    let input = case["i"].as_str().expect("an input");
    let tree = parser.parse(input).map(|expr| dump::expr(&expr, Spans::Without));
    let other = parser.parse(theirs).map(|expr| dump::expr(&expr, Spans::Without));
    match (tree, other) {
        (Ok(tree), Ok(other)) if tree == other => {
            Err(format!("it is printed as {}", ours["p"].as_str().map_or(&ours["s"], |_| &ours["p"])))
        }
        _ => Ok(Some(Allowed::PrintedFormIsAnother)),
    }
}

/// Judges all cases. Reasons for differences, counted.
fn judge_all(name: &str, lines: impl BufRead) -> (usize, BTreeMap<Allowed, usize>) {
    let mut allowed = BTreeMap::new();
    let (mut cases, mut differences, mut shown) = (0, 0, String::new());
    for line in lines.lines() {
        let line = line.expect("a line");
        let case: Value = serde_json::from_str(&line).expect("JSON");
        cases += 1;
        match judge(&case) {
            Ok(None) => {}
            Ok(Some(reason)) => *allowed.entry(reason).or_default() += 1,
            Err(difference) => {
                differences += 1;
                if differences <= 40 {
                    shown += &format!("{name}:{cases}: {line}\n    but here {difference}\n");
                }
            }
        }
    }
    assert_eq!(differences, 0, "{name}: so many of {cases} answers differ from Prometheus', such as\n{shown}");
    (cases, allowed)
}

#[test]
fn corpus() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/promql-parser");
    let manifest = fs::read_to_string(dir.join("manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    let files = manifest["files"].as_array().expect("a list of files");
    let mut known: Vec<String> = files.iter().map(|file| file["name"].as_str().expect("a name").to_owned()).collect();
    let mut all: BTreeMap<Allowed, usize> = BTreeMap::new();
    for file in files {
        let name = file["name"].as_str().expect("a name");
        let reader = BufReader::new(GzDecoder::new(File::open(dir.join(name)).expect("a file")));
        let (cases, allowed) = judge_all(name, reader);
        assert_eq!(file["cases"], cases, "{name}");
        println!("{name}: {cases} cases, {allowed:?}");
        for (reason, count) in allowed {
            *all.entry(reason).or_default() += count;
        }
    }
    known.extend(["README.md".to_owned(), "manifest.json".to_owned()]);
    for entry in fs::read_dir(&dir).expect("the corpus") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        assert!(known.contains(&name), "no test knows {name}");
    }
    // These may only shrink.
    let most = BTreeMap::from([
        (Allowed::NotUtf8, 35),
        (Allowed::Overflow, 10),
        (Allowed::PrintedFormIsAnother, 62),
        (Allowed::NoLabels, 2),
        (Allowed::HistogramArithmetic, 45),
    ]);
    for (reason, count) in &all {
        assert!(count <= &most[reason], "{reason:?}: {count} differences");
    }
}

/// Many more cases: `testdata/interop/run.sh promql hunt -seed 7 -count 1000000 > hunt.jsonl`.
#[test]
fn hunt() {
    let Some(path) = std::env::var_os("PROMQL_HUNT") else { return };
    let file = BufReader::new(File::open(&path).expect("a file"));
    let (cases, allowed) = judge_all("hunt", file);
    println!("{cases} cases, {allowed:?}");
}
