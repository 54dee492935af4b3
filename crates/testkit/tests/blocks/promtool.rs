//! Prometheus' own tool reads the blocks and finds what the oracle says.

use std::{collections::BTreeMap, path::Path, process::Command};

use prometheus_model::{METRIC_NAME, Value};
use promparquet_testkit::blocks::BlockSpec;

/// Runs `promtool tsdb`; none, said aloud, if it is not installed.
fn promtool(args: &[&str], dir: &Path, rest: &[&str]) -> Option<String> {
    let Ok(output) = Command::new("promtool").arg("tsdb").args(args).arg(dir).args(rest).output() else {
        eprintln!("SKIPPED: promtool is not installed");
        return None;
    };
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn lists_and_analyzes() {
    for spec in [BlockSpec::tiny(), BlockSpec::small(), BlockSpec::small().out_of_order()] {
        let parent = tempfile::tempdir().unwrap();
        let meta = spec.write_with(parent.path(), |_| ()).unwrap().meta;
        let (series, samples) = spec.oracle().fold((0, 0), |(n, sum), (_, samples)| (n + 1, sum + samples.len()));
        let Some(list) = promtool(&["list"], parent.path(), &[]) else { return };
        let row: Vec<_> = list.lines().last().unwrap().split_whitespace().collect();
        let counts = [samples, meta.stats.num_chunks as usize, series].map(|n| n.to_string());
        assert_eq!(row[0], meta.ulid.to_string());
        assert!(counts.iter().all(|count| row.contains(&count.as_str())), "{counts:?} {list}");

        let analysis = promtool(&["analyze"], parent.path(), &[row[0]]).unwrap();
        assert!(analysis.contains(&format!("\nSeries: {series}\n")), "{analysis}");
        let names: std::collections::BTreeSet<_> = spec
            .series()
            .flat_map(|s| s.labels().iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>())
            .collect();
        assert!(analysis.contains(&format!("\nLabel names: {}\n", names.len())), "{analysis}");
    }
}

/// The tool of Debian prints floats, and series of histograms not at all.
#[test]
fn dumps_every_float() {
    let spec = BlockSpec::small().series_count(400).native_histograms(0.0);
    let parent = tempfile::tempdir().unwrap();
    spec.write(parent.path()).unwrap();
    // It looks for a log.
    std::fs::create_dir(parent.path().join("wal")).unwrap();
    let Some(dump) = promtool(&["dump"], parent.path(), &[]) else { return };
    let mut found = BTreeMap::<&str, Vec<(i64, u64)>>::new();
    for line in dump.lines() {
        let (rest, timestamp) = line.rsplit_once(' ').unwrap();
        let (labels, v) = rest.rsplit_once(' ').unwrap();
        found.entry(labels).or_default().push((timestamp.parse().unwrap(), plain(v.parse().unwrap())));
    }
    let mut compared = 0;
    for (labels, samples) in spec.oracle() {
        let name = labels.get(METRIC_NAME).unwrap_or_default();
        // Names and values that this old version prints in another way than we do.
        if name.starts_with("nh_") || name.starts_with("edge_utf8") || name.starts_with("edge_label_values") {
            continue;
        }
        let expected: Vec<_> = samples
            .iter()
            .map(|sample| match sample.value {
                Value::Float(v) => (sample.timestamp, plain(v)),
                _ => unreachable!("{labels}"),
            })
            .collect();
        assert!(found.get(labels.to_string().as_str()) == Some(&expected), "{labels}");
        compared += 1;
    }
    assert!(compared > 300, "{compared}");
}

/// Bits of a float; all NaNs are printed alike.
fn plain(v: f64) -> u64 {
    if v.is_nan() { f64::NAN.to_bits() } else { v.to_bits() }
}
