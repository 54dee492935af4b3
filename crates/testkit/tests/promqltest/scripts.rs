//! Where scripts are.

use std::{fs, path::Path, path::PathBuf};

use promparquet_testkit::promqltest::Script;

/// Scripts of Prometheus.
pub(crate) const FILES: usize = 21;

/// Evaluations in all of them.
pub(crate) const EVALUATIONS: usize = 2214;

/// Whether only some scripts are to be run: those whose name contains `PROMQLTEST_ONLY`.
pub(crate) fn are_chosen() -> bool {
    std::env::var_os("PROMQLTEST_ONLY").is_some()
}

/// Our own: `testdata/promqltest`, or the directory that `PROMQLTEST_DIR` names.
pub(crate) fn own() -> Vec<(String, Script)> {
    let dir = std::env::var_os("PROMQLTEST_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/promqltest"), PathBuf::from);
    of_directory(&dir)
}

/// The scripts of a directory by name, as they are to be run.
pub(crate) fn of_directory(dir: &Path) -> Vec<(String, Script)> {
    let mut paths: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    paths.sort();
    let only = std::env::var("PROMQLTEST_ONLY").ok();
    let script = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        let script = Script::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        (name, script)
    };
    paths.into_iter().map(script).filter(|(name, _)| only.as_ref().is_none_or(|only| name.contains(only))).collect()
}

/// Prometheus' own; none, loudly, where they are not.
pub(crate) fn of_prometheus() -> Option<Vec<(String, Script)>> {
    let acceptance = match std::env::var_os("PROMPARQUET_ACCEPTANCE") {
        Some(acceptance) => PathBuf::from(acceptance),
        None => match std::env::var_os("PROMPARQUET_SHARED") {
            Some(shared) => PathBuf::from(shared).join("acceptance"),
            None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/acceptance"),
        },
    };
    let dir = acceptance.join("promqltest");
    if dir.is_dir() {
        return Some(of_directory(&dir));
    }
    eprintln!("SKIPPED: {} does not exist", dir.display());
    None
}
