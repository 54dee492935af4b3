//! Peak memory of the binary. Slow, and of use only with a release build, hence ignored by default:
//! `cargo build --release && cargo test -p promparquet-convert --test it -- --ignored memory`

use std::{path::Path, process::Command};

use promparquet_testkit::blocks::BlockSpec;

/// MiB that the process held at most, as `parquet-gateway convert` says.
fn peak_mib(gateway: &Path, spec: &BlockSpec, budget: &str) -> f64 {
    let dir = tempfile::tempdir().unwrap();
    spec.write(dir.path().join("blocks")).unwrap();
    let prefix = |name: &str| dir.path().join(name).into_os_string();
    let output = Command::new(gateway)
        .args(["convert", "--convert.memory", budget, "--tsdb.storage.prefix"])
        .arg(prefix("blocks"))
        .arg("--parquet.storage.prefix")
        .arg(prefix("shards"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let peak = said.split("peak memory ").nth(1).and_then(|rest| rest.split_once(" MiB"));
    peak.unwrap_or_else(|| panic!("no peak memory in {said}")).0.parse().unwrap()
}

#[test]
#[ignore = "needs a release build of parquet-gateway, and a minute"]
fn ten_times_the_series_stay_within_the_budget() {
    let gateway = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release/parquet-gateway");
    if !gateway.exists() {
        eprintln!("SKIPPED: {} does not exist", gateway.display());
        return;
    }
    for budget in [64.0, 256.0] {
        for series in [20_000, 200_000] {
            let peak = peak_mib(&gateway, &BlockSpec::new(series).interval_ms(30_000), &format!("{budget}MiB"));
            eprintln!("{series} series with {budget} MiB: {peak} MiB");
            // Parts of uploads that are under way are not part of the plan; on a local disk they are few.
            let allowed = if budget < 100.0 { budget + 32.0 } else { budget };
            assert!(peak <= allowed, "{series} series: {peak} MiB, allowed are {allowed} MiB");
        }
    }
}
