//! Replays `fuzz/regressions/<target>/*`: inputs on which a target once failed.

use std::{collections::BTreeSet, fs, path::Path};

use promparquet_fuzz::{TARGETS, run};

/// Names in a directory, sorted; none if it does not exist.
fn names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name in UTF-8")).collect()
}

/// One test for all, because memory is counted for the whole process.
#[test]
fn replay() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();

    let binaries: BTreeSet<String> =
        names(&fuzz.join("fuzz_targets")).iter().map(|file| file.trim_end_matches(".rs").to_owned()).collect();
    assert_eq!(binaries, targets, "each target of the harness has a libFuzzer target, and no other exists");
    for name in &targets {
        let source = fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).expect("a libFuzzer target");
        assert!(source.contains(&format!("run({name:?}, data)")), "{name}.rs runs another target");
    }

    // What is empty or says nothing is fine everywhere.
    for name in &targets {
        for mode in 0..=u8::MAX {
            run(name, &[mode]);
            run(name, &[mode; 100]);
        }
        run(name, &[]);
    }

    let regressions = fuzz.join("regressions");
    let mut replayed = 0;
    for directory in names(&regressions) {
        assert!(targets.contains(&directory), "fuzz/regressions/{directory}: no target knows it");
        for file in names(&regressions.join(&directory)) {
            let input = fs::read(regressions.join(&directory).join(&file)).expect("a regression");
            // Shown only if it fails, with all that were replayed before it.
            println!("{directory}/{file}");
            run(&directory, &input);
            replayed += 1;
        }
    }
    assert!(replayed > 0, "no regressions were found in {}", regressions.display());
}
