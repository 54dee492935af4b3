//! The command line tool writes the blocks of the library.

use std::process::{Command, Output};

use promparquet_testkit::blocks::BlockSpec;

use crate::files;

fn blockgen(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_blockgen")).args(args).output().unwrap()
}

#[test]
fn writes_what_the_library_writes() {
    let [ours, theirs] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let spec = BlockSpec::small().seed(5).series_count(120).start(1_700_000_000_000).interval_ms(30_000);
    let spec = spec.duration_ms(5_400_000).churn(0.5).extra_labels(50, 3).external_label("a", "b=c");
    for spec in [spec.clone().replica(0), spec.clone().replica(1)] {
        spec.write(ours.path()).unwrap();
        spec.out_of_order().write(ours.path()).unwrap();
    }
    let dir = theirs.path().to_str().unwrap();
    let options = "--preset small --seed 5 --series 120 --start 2023-11-14T22:13:20Z --interval 30s --hours 1.5 \
                   --churn 0.5 --labels 50 --labels-per-series 3 --external-label a=b=c --ooo --replicas 2";
    let output = blockgen(&[&[dir][..], &options.split_whitespace().collect::<Vec<_>>()].concat());
    assert!(output.status.success(), "{output:?}");
    assert_eq!((output.stderr, files(ours.path())), (Vec::new(), files(theirs.path())));
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(lines.lines().count(), 4, "{lines}");
    assert!(lines.starts_with(dir) && lines.contains(" series=120 samples="), "{lines}");
}

#[test]
fn takes_identities_and_says_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().to_str().unwrap();
    let ulid = "01JGFSEP80VHQAZ8FEAQD9QWMS";
    let output = blockgen(&[dir, "--preset", "tiny", "--ulid", ulid, "--ooo", "--encoding", "xor2"]);
    let lines = String::from_utf8(output.stdout).unwrap();
    assert!(lines.contains(ulid) && lines.contains("01JGFSEP80VHQAZ8FEAQD9QWMT"), "{lines}");

    for (args, complaint) in [
        (["--preset", "tiny", "--ulid", ulid], "it exists"),
        (["--preset", "tiny", "--series", "0"], "0 series"),
        (["--preset", "tiny", "--start", "soon"], "soon"),
        (["--preset", "tiny", "--ulid", "x"], "invalid value 'x'"),
        (["--preset", "tiny", "--external-label", "x"], "NAME=VALUE"),
    ] {
        let output = blockgen(&[&[dir][..], &args].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(complaint), "{error}");
    }
}
