//! `select`, `explain` and `labels` as a user runs them, on a block of which the generator says what is in it.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
};

use prometheus_model::{FloatText, Labels, Sample, Value};

use crate::program::{BINARY, Ran, block, run, with_shards};

const SHARDS: [&str; 2] = ["--parquet.storage.prefix", "parquet"];

fn asked(dir: &Path, args: &[&str]) -> Ran {
    let (command, rest) = args.split_first().unwrap();
    run(dir, &[&[*command], &SHARDS[..], rest].concat())
}

/// What a command that must succeed prints.
fn answer(dir: &Path, args: &[&str]) -> String {
    let ran = asked(dir, args);
    assert!(ran.ok, "{args:?}: {}", ran.err);
    ran.out
}

fn value_text(sample: &Sample) -> String {
    match &sample.value {
        Value::Float(value) => FloatText(*value).to_string(),
        Value::Histogram(histogram) => histogram.to_string(),
        Value::FloatHistogram(histogram) => histogram.to_string(),
    }
}

/// Series of the block with samples for which `wants` holds, in the order of their labels.
fn expected(wants: impl Fn(&Labels, i64) -> bool) -> Vec<(Labels, Vec<Sample>)> {
    let mut series: Vec<_> = block().oracle().collect();
    for (labels, samples) in &mut series {
        samples.retain(|sample| wants(labels, sample.timestamp));
    }
    series.retain(|(_, samples)| !samples.is_empty());
    series.sort_by(|(a, _), (b, _)| a.cmp(b));
    series
}

/// As Go prints them: the generator's odd values have characters that it does not print as they are.
fn labels_text(labels: &Labels) -> String {
    labels.to_string().replace('\u{feff}', "\\ufeff").replace('\u{200b}', "\\u200b").replace('\u{202e}', "\\u202e")
}

/// A sample a line.
fn lines(series: &[(Labels, Vec<Sample>)], line: impl Fn(&Labels, i64, &str) -> String) -> String {
    let of_series = |(labels, samples): &(Labels, Vec<Sample>)| {
        samples.iter().map(|sample| line(labels, sample.timestamp, &value_text(sample))).collect::<String>()
    };
    series.iter().map(of_series).collect()
}

fn dumped(series: &[(Labels, Vec<Sample>)]) -> String {
    lines(series, |labels, t, value| format!("{} {value} {t}\n", labels_text(labels)))
}

const ALL: &str = r#"{__name__=~".*"}"#;

#[test]
fn text_is_what_the_block_holds() {
    let (dir, _) = with_shards();
    let dir = dir.path();
    let all = expected(|_, _| true);
    assert!(answer(dir, &["select", ALL]) == dumped(&all));
    let name = all[all.len() / 2].0.get("__name__").unwrap().to_owned();
    let of_name = expected(|labels, _| labels.get("__name__") == Some(&name));
    // A name in quotes inside the braces is new in Prometheus 3.
    for selector in [format!("{{{name:?}}}"), format!("{{__name__={name:?}, absent=\"\"}}")] {
        assert!(answer(dir, &["select", &selector]) == dumped(&of_name), "{selector}");
    }
    let negative = expected(|labels, _| labels.get("__name__") != Some(&name) && labels.get("job").is_some());
    assert!(answer(dir, &["select", &format!("{{__name__!={name:?}, job!~\"\"}}")]) == dumped(&negative));

    let (start, end) = (block().end() - 1_200_000, block().end() - 600_000);
    let part = expected(|_, t| (start..end).contains(&t));
    let seconds = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
    let range = ["select", ALL, "--start", &seconds(start), "--end", &seconds(end)];
    assert!(!part.is_empty() && answer(dir, &range) == dumped(&part));

    assert_eq!(answer(dir, &["select", "nothing_like_that"]), "");
    let limited = asked(dir, &["select", ALL, "--limit", "2"]);
    assert!(limited.out == dumped(&all[..2]) && limited.err.contains("there are more series"), "{}", limited.err);
    let labels: String = all.iter().map(|(labels, _)| labels_text(labels) + "\n").collect();
    assert_eq!(answer(dir, &["select", ALL, "--labels-only"]), labels);
}

#[test]
fn json_lines_are_those_of_the_http_api() {
    let (dir, _) = with_shards();
    let out = answer(dir.path(), &["select", ALL, "--format", "jsonl"]);
    let all = expected(|_, _| true);
    assert_eq!(out.lines().count(), all.len());
    let mut histograms = 0;
    for (line, (labels, samples)) in out.lines().zip(&all) {
        let series: serde_json::Value = serde_json::from_str(line).unwrap();
        let metric =
            series["metric"].as_object().unwrap().iter().map(|(name, value)| (&**name, value.as_str().unwrap()));
        assert!(metric.eq(labels.iter()));
        let of = |key: &str| series[key].as_array().cloned().unwrap_or_default();
        let (mut floats, mut natives) = (of("values").into_iter(), of("histograms").into_iter());
        for sample in samples {
            let next = if matches!(sample.value, Value::Float(_)) { &mut floats } else { &mut natives };
            let found = next.next().unwrap();
            assert_eq!((found[0].as_f64().unwrap() * 1000.0).round() as i64, sample.timestamp);
            let number = |value: &serde_json::Value| value.as_str().unwrap().parse::<f64>().unwrap();
            let same = |found: &serde_json::Value, expected: f64| {
                let found = number(found);
                assert!(found == expected || found.is_nan() && expected.is_nan(), "{found} {expected}");
            };
            let (count, sum, buckets) = match &sample.value {
                Value::Float(value) => {
                    same(&found[1], *value);
                    continue;
                }
                Value::Histogram(h) => (h.count as f64, h.sum, h.buckets().len()),
                Value::FloatHistogram(h) => (h.count, h.sum, h.buckets().len()),
            };
            histograms += 1;
            same(&found[1]["count"], count);
            same(&found[1]["sum"], sum);
            assert_eq!(found[1]["buckets"].as_array().map_or(0, Vec::len), buckets);
        }
        assert!(floats.next().is_none() && natives.next().is_none());
    }
    assert!(histograms > 0, "the block has native histograms");
    let labels = answer(dir.path(), &["select", ALL, "--format", "jsonl", "--labels-only", "--limit", "1"]);
    let series: serde_json::Value = serde_json::from_str(&labels).unwrap();
    assert_eq!(series.as_object().unwrap().len(), 1);
}

/// Reads RFC 4180, strictly.
fn parse_csv(mut text: &str) -> Vec<Vec<String>> {
    let mut rows = vec![Vec::new()];
    while !text.is_empty() {
        let mut field = String::new();
        match text.strip_prefix('"') {
            Some(mut quoted) => loop {
                let (before, after) = quoted.split_once('"').unwrap();
                field.push_str(before);
                match after.strip_prefix('"') {
                    Some(more) => {
                        field.push('"');
                        quoted = more;
                    }
                    None => break text = after,
                }
            },
            None => {
                let end = text.find([',', '\n']).unwrap();
                assert!(!text[..end].contains('"'));
                field.push_str(&text[..end]);
                text = &text[end..];
            }
        }
        rows.last_mut().unwrap().push(field);
        match text.strip_prefix(',') {
            Some(rest) => text = rest,
            None => {
                text = text.strip_prefix('\n').unwrap();
                rows.push(Vec::new());
            }
        }
    }
    rows.pop();
    rows
}

#[test]
fn csv_is_a_table() {
    let (dir, _) = with_shards();
    let rows = parse_csv(&answer(dir.path(), &["select", ALL, "--format", "csv"]));
    assert_eq!(rows[0], ["labels", "timestamp_ms", "value"]);
    let joined: String = rows[1..].iter().map(|row| format!("{} {} {}\n", row[0], row[2], row[1])).collect();
    assert!(joined == dumped(&expected(|_, _| true)));
    let rows = parse_csv(&answer(dir.path(), &["select", ALL, "--format", "csv", "--labels-only"]));
    assert!(rows[0] == ["labels"] && rows.iter().all(|row| row.len() == 1));
}

#[test]
fn explains_and_lists_labels() {
    let (dir, block) = with_shards();
    let dir = dir.path();
    let all = expected(|_, _| true);
    let explained = answer(dir, &["explain", ALL]);
    let samples: usize = all.iter().map(|(_, samples)| samples.len()).sum();
    let head = format!("shard {block}/0: {0} rows, {0} series, {samples} samples", all.len());
    for said in [&*head, "row group 0", "read chunks", "in all: ", "series of 1 shards"] {
        assert!(explained.contains(said), "{said}: {explained}");
    }
    let explained = answer(dir, &["explain", r#"{job="a"}"#, "--labels-only"]);
    assert!(explained.contains(r#""job"="a": "#) && !explained.contains("read chunks"), "{explained}");
    let nothing = answer(dir, &["explain", "up", "--end", "0"]);
    assert!(nothing.contains("no shard has samples in the time range"), "{nothing}");

    let unique = |strings: Vec<String>| -> String {
        let sorted: std::collections::BTreeSet<_> = strings.into_iter().collect();
        sorted.into_iter().map(|s| format!("{s}\n")).collect()
    };
    let with = |name: &'static str| all.iter().filter_map(move |(labels, _)| labels.get(name).map(str::to_owned));
    let names = all.iter().flat_map(|(labels, _)| labels.iter().map(|(name, _)| name.to_owned()));
    assert_eq!(answer(dir, &["labels"]), unique(names.collect()));
    assert_eq!(answer(dir, &["labels", "job"]), unique(with("job").collect()));
    let of_jobs = all.iter().filter(|(labels, _)| labels.get("job").is_some());
    let of_jobs = unique(of_jobs.filter_map(|(labels, _)| labels.get("__name__").map(str::to_owned)).collect());
    assert_eq!(answer(dir, &["labels", "__name__", "--match", r#"{job!=""}"#]), of_jobs);
    assert_eq!(answer(dir, &["labels", "job", "--limit", "1"]).lines().count(), 1);
}

#[test]
fn errors_say_what_to_do() {
    let (dir, _) = with_shards();
    let dir = dir.path();
    std::fs::create_dir(dir.join("empty")).unwrap();
    let cases: [(&[&str], &str); 12] = [
        (&["select", "up"], "which shards? give --in, --parquet.storage.prefix"),
        (&["explain", "up"], "which shards? give --in, --parquet.storage.prefix"),
        (&["select", "up", "--in", "nowhere"], "nowhere"),
        (&["select", "up", "--in", "empty"], "no shard set with a mark that it is complete: convert blocks into it"),
        (&["select", "up", "--in", ".data/parquet", "--block", "other"], "has no shard set other"),
        (&["select", "up", "--in", "a", "--parquet.storage.prefix", "b"], "cannot be used with"),
        (&["select", "up{job=}", "--in", ".data/parquet"], "selector up{job=}: 1:8: parse error: "),
        (&["select", "up{job=~'a(b'}", "--in", ".data/parquet"], "missing closing )"),
        (&["select", ALL, "--in", ".data/parquet", "--max-series", "3"], "limit: 3 series"),
        (&["select", ALL, "--in", ".data/parquet", "--max-samples", "3"], "raise the --max-... flag"),
        (&["select", ALL, "--in", ".data/parquet", "--max-chunk-bytes", "1KiB"], "too many chunk bytes"),
        (&["select", "up", "--in", ".data/parquet", "--start", "2", "--end", "1"], "empty time range"),
    ];
    for (args, said) in cases {
        let ran = run(dir, args);
        assert!(!ran.ok && ran.err.contains(said), "{args:?}: {}", ran.err);
    }
}

#[test]
fn sets_without_a_mark_are_named_and_read_if_asked_for() {
    let (dir, block) = with_shards();
    let dir = dir.path();
    let parquet = dir.join(".data/parquet");
    let all = dumped(&expected(|_, _| true));
    // A set's own directory, and one of the two copies of the mark.
    let set = format!(".data/parquet/{block}");
    assert!(run(dir, &["select", ALL, "--in", &set]).out == all);
    std::fs::remove_file(parquet.join(&block).join("parquet-converter-mark.json")).unwrap();
    assert!(answer(dir, &["select", ALL]) == all);
    std::fs::remove_file(parquet.join(format!("parquet-markers/{block}-parquet-converter-mark.json"))).unwrap();
    let ran = asked(dir, &["select", ALL]);
    assert!(!ran.ok && ran.out.is_empty() && ran.err.contains(&format!("--block {block} reads it")), "{}", ran.err);
    assert!(answer(dir, &["select", ALL, "--block", &block]) == all);
    assert!(run(dir, &["select", ALL, "--in", &set]).out == all);

    // The mark of an early version does not say how many shards there are.
    std::fs::write(parquet.join(&block).join("parquet-converter-mark.json"), r#"{"version":1}"#).unwrap();
    assert!(answer(dir, &["select", ALL]) == all);
    // Of a set that is marked, all must be there.
    std::fs::write(parquet.join(&block).join("parquet-converter-mark.json"), r#"{"version":2,"shards":2}"#).unwrap();
    let ran = asked(dir, &["select", ALL]);
    assert!(!ran.ok && ran.out.is_empty() && ran.err.contains(&format!("{block}/1.")), "{}", ran.err);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let (dir, _) = with_shards();
    let mut child = Command::new(BINARY)
        .args([&["select", ALL], &SHARDS[..]].concat())
        .current_dir(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::with_capacity(64, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with('{'));
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert!(child.wait().unwrap().success() && err.is_empty(), "{err}");
}
