//! Blocks that others wrote, against what they and Prometheus say is in them.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests may panic, and say what they skipped")]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use prometheus_model::{Labels, Sample, TimeRange, Value};
use prometheus_queryable::{
    LabelHints, MatchOp, Matcher, MemoryQueryable, MergedQueryable, Queryable, SelectHints, Series,
    conformance::same_sample,
};
use prometheus_tsdb_block::{LocalBlock, ReadOptions};
use prometheus_tsdb_query::{BlockQueryOptions, BlockQueryable};
use promparquet_objstore::{BlockInBucket, BucketConfig, OpenFor};
use promparquet_testkit::{
    blocks::{BlockSpec, FloatEncoding},
    checksum::SelectCase,
};

/// The corpora of the workspace, if they are there.
fn shared(path: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("PROMPARQUET_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let path = shared.join("fixtures/parquet-common-go").join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: {} is not there", path.display());
    None
}

const ULID: &str = "01JGFSEP80VHQAZ8FEAQD9QWMS";

async fn open(dir: &Path) -> BlockQueryable {
    BlockQueryable::open(Arc::new(LocalBlock::open(dir).unwrap())).await.unwrap()
}

async fn all(store: &dyn Queryable, matchers: &[Matcher], range: TimeRange) -> Vec<Series> {
    let querier = store.querier(TimeRange::ALL).await.unwrap();
    let mut set = querier.select(matchers, &SelectHints::new(range)).await.unwrap();
    let mut found = Vec::new();
    while let Some(batch) = set.next().await.unwrap() {
        found.extend(batch);
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn selects_are_those_of_the_go_library() {
    let Some(fixtures) = shared("select_results.json") else { return };
    let dir = shared("tsdb-small").unwrap();
    let cases = SelectCase::load(&fixtures).unwrap();
    assert_eq!(cases.len(), 25);
    // From a directory, and from a bucket by ranges.
    let yaml = format!("type: FILESYSTEM\nconfig:\n  directory: {:?}\n", dir.canonicalize().unwrap());
    let bucket = BucketConfig::from_yaml(&yaml, |_| None).unwrap().open(OpenFor::Reading).unwrap();
    let remote = BlockInBucket::new(&bucket, ULID, tokio::runtime::Handle::current()).unwrap();
    let reads = ReadOptions { max_gap_bytes: 512 << 10, ..ReadOptions::default() };
    let remote = BlockQueryable::open_with(Arc::new(remote), reads).await.unwrap();
    for store in [open(&dir.join(ULID)).await, remote] {
        for case in &cases {
            assert_eq!(case.ask(&store).await.unwrap(), case.expected, "{}", case.id);
        }
    }
}

/// Timestamps of samples, and the bits of those that are floats.
type Plain = Vec<(i64, Option<u64>)>;

/// The series of a file of expectations.
fn expected(file: &Path) -> Vec<(Labels, Plain)> {
    let lines = BufReader::new(flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap())).lines();
    let series = |line: std::io::Result<String>| {
        let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        let array = |name: &str| line[name].as_array().unwrap().clone();
        let pairs = array("labels");
        let pairs = pairs.iter().map(|l| (l[0].as_str().unwrap(), l[1].as_str().unwrap()));
        let samples = array("samples")
            .into_iter()
            .map(|s| (s[0].as_i64().unwrap(), s[1].as_str().map(|bits| u64::from_str_radix(bits, 16).unwrap())));
        (Labels::from_pairs(pairs).unwrap(), samples.collect())
    };
    lines.map(series).collect()
}

fn plain(sample: &Sample) -> (i64, Option<u64>) {
    let bits = match sample.value {
        Value::Float(value) => Some(value.to_bits()),
        _ => None,
    };
    (sample.timestamp, bits)
}

#[tokio::test]
async fn samples_are_those_of_the_go_library() {
    for (block, file) in
        [("tsdb-small", "expected_series.jsonl.gz"), ("tsdb-small-tombstones", "expected_series_tombstones.jsonl.gz")]
    {
        let Some(file) = shared(file) else { return };
        let store = open(&shared(block).unwrap().join(ULID)).await;
        let found = all(&store, &[], TimeRange::ALL).await;
        let found: Vec<_> = found
            .iter()
            .map(|s| (s.labels.clone(), s.samples().unwrap().iter().map(plain).collect::<Vec<_>>()))
            .filter(|(_, samples)| !samples.is_empty())
            .collect();
        let mut expected = expected(&file);
        expected.retain(|(_, samples)| !samples.is_empty());
        assert_eq!(found.len(), expected.len(), "{block}");
        for (found, expected) in found.iter().zip(&expected) {
            assert!(found == expected, "{block}: {} differs", expected.0);
        }
    }
}

/// Selectors for generated blocks.
fn selectors() -> Vec<Vec<Matcher>> {
    use MatchOp::{Equal, NotEqual, NotRegex, Regex};
    let selectors: &[&[(&str, MatchOp, &str)]] = &[
        &[],
        &[("__name__", Equal, "up")],
        &[("__name__", Regex, "node_.*"), ("job", NotEqual, "")],
        &[("__name__", Regex, ".*_total|up")],
        &[("pod", Regex, ".+"), ("namespace", NotRegex, "kube-.*")],
        &[("pod", Equal, ""), ("instance", NotEqual, "")],
        &[("__name__", NotRegex, ".+")],
        &[("le", Regex, "0\\..*|\\+Inf"), ("handler", NotEqual, "/healthz")],
        &[("code", Regex, "5..|"), ("__name__", Regex, "http.*")],
        &[("__name__", Regex, "nh_.*|odd.*|edge.*")],
        &[("node", Regex, ".*[0-4]")],
    ];
    let matcher = |(name, op, value): &(&str, MatchOp, &str)| Matcher::new(*name, *op, *value).unwrap();
    selectors.iter().map(|selector| selector.iter().map(matcher).collect()).collect()
}

/// Compares blocks, merged if they are several, with the generator's own word.
async fn compare(specs: &[BlockSpec]) {
    let parent = tempfile::tempdir().unwrap();
    let mut parts = Vec::new();
    let mut oracle = BTreeMap::<Labels, BTreeMap<i64, Sample>>::new();
    for spec in specs {
        let block = open(&spec.write(parent.path()).unwrap()).await;
        let options = BlockQueryOptions { window_bytes: 20_000, ..BlockQueryOptions::default() };
        parts.push(Arc::new(block.with_options(options)) as Arc<dyn Queryable>);
        for (labels, samples) in spec.oracle().filter(|(_, samples)| !samples.is_empty()) {
            let all = oracle.entry(labels).or_default();
            for sample in samples {
                all.entry(sample.timestamp).or_insert(sample);
            }
        }
    }
    let store: Arc<dyn Queryable> = match <[_; 1]>::try_from(parts) {
        Ok([only]) => only,
        Err(parts) => Arc::new(MergedQueryable::new(parts)),
    };
    let store = &*store;
    let oracle = oracle.into_iter().map(|(labels, samples)| (labels, samples.into_values().collect()));
    let oracle = MemoryQueryable::new(oracle).unwrap();
    let spec = &specs[0];
    let (start, end) = (spec.end() - 3_600_000, spec.end());
    let some = |a: i64, b: i64| TimeRange::new(start + a, end + b).unwrap();
    for range in [TimeRange::ALL, some(1_234_567, -1_234_567), some(3_590_000, 0), some(3_000_000, -590_001)] {
        for matchers in selectors() {
            let found = all(store, &matchers, range).await;
            let samples: Vec<_> = found.iter().map(|s| (s.labels.clone(), s.samples().unwrap())).collect();
            let samples: Vec<_> = samples.into_iter().filter(|(_, samples)| !samples.is_empty()).collect();
            let expected = all(&oracle, &matchers, range).await;
            let names = |series: &mut dyn Iterator<Item = &Labels>| series.map(ToString::to_string).collect::<Vec<_>>();
            assert_eq!(
                names(&mut samples.iter().map(|(l, _)| l)),
                names(&mut expected.iter().map(|s| &s.labels)),
                "{matchers:?} {range:?}"
            );
            for ((labels, found), expected) in samples.iter().zip(&expected) {
                let expected = expected.samples().unwrap();
                assert_eq!(found.len(), expected.len(), "{labels} {range:?}");
                let same = found.iter().zip(&expected).all(|(a, b)| same_sample(a, b, true));
                assert!(same, "{labels} {range:?}");
            }
            let (of_store, of_oracle) =
                (store.querier(TimeRange::ALL).await.unwrap(), oracle.querier(TimeRange::ALL).await.unwrap());
            let hints = LabelHints::default();
            assert_eq!(
                of_store.label_names(&matchers, &hints).await.unwrap(),
                of_oracle.label_names(&matchers, &hints).await.unwrap(),
            );
            for name in ["__name__", "pod", "le"] {
                assert_eq!(
                    of_store.label_values(name, &matchers, &hints).await.unwrap(),
                    of_oracle.label_values(name, &matchers, &hints).await.unwrap(),
                    "{name} {matchers:?}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_blocks_hold_what_the_generator_says() {
    compare(&[BlockSpec::tiny()]).await;
    let small = BlockSpec::small().series_count(250).interval_ms(60_000);
    let later = small.clone().start(small.end());
    let late = small.clone().out_of_order();
    for spec in [small.clone(), small.clone().float_encoding(FloatEncoding::Xor2).seed(2), late.clone()] {
        compare(&[spec]).await;
    }
    // One time after the other; and samples that came too late, some of them twice.
    compare(&[small.clone(), later.clone()]).await;
    compare(&[late, later, small]).await;
}

/// Prometheus' own tool selects the same. That of Debian prints a series up to its first histogram.
#[tokio::test]
async fn promtool_selects_the_same() {
    let spec = BlockSpec::small().series_count(300).native_histograms(0.0).interval_ms(60_000);
    let parent = tempfile::tempdir().unwrap();
    let store = open(&spec.write(parent.path()).unwrap()).await;
    // It looks for a log.
    std::fs::create_dir(parent.path().join("wal")).unwrap();
    let range = TimeRange::new(spec.end() - 5_000_000, spec.end() - 2_000_000).unwrap();
    for matchers in selectors().into_iter().filter(|matchers| matchers.iter().any(|m| !m.matches_absent())) {
        let selector: Vec<_> = matchers.iter().map(ToString::to_string).collect();
        let command = &mut Command::new("promtool");
        command.args(["tsdb", "dump", &format!("--match={{{}}}", selector.join(","))]);
        command.args([format!("--min-time={}", range.start()), format!("--max-time={}", range.last())]);
        let Ok(output) = command.arg(parent.path()).output() else {
            eprintln!("SKIPPED: promtool is not installed");
            return;
        };
        assert!(output.status.success(), "{output:?}");
        let dump = String::from_utf8(output.stdout).unwrap();
        let mut expected = BTreeMap::<String, Vec<(i64, u64)>>::new();
        for line in dump.lines() {
            let (rest, timestamp) = line.rsplit_once(' ').unwrap();
            let (labels, value) = rest.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap();
            expected.entry(labels.to_owned()).or_default().push((timestamp.parse().unwrap(), bits(value)));
        }
        let mut found = BTreeMap::new();
        for series in all(&store, &matchers, range).await {
            let samples = series.samples().unwrap();
            let samples = samples.iter().map_while(|s| match s.value {
                Value::Float(value) => Some((s.timestamp, bits(value))),
                _ => None,
            });
            let samples: Vec<_> = samples.collect();
            if !samples.is_empty() {
                found.insert(series.labels.to_string(), samples);
            }
        }
        let lists = |map: &BTreeMap<String, Vec<(i64, u64)>>| map.values().map(Vec::len).sum::<usize>();
        assert_eq!((found.len(), lists(&found)), (expected.len(), lists(&expected)), "{selector:?}");
        // Names that are no identifiers are quoted in one of the two.
        let mut found: Vec<_> = found.into_values().collect();
        let mut expected: Vec<_> = expected.into_values().collect();
        found.sort();
        expected.sort();
        assert!(found == expected, "{selector:?}");
    }
}

/// All NaNs are printed alike.
fn bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }
}
