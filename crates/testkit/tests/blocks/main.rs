//! Generated blocks against their oracle: read back by our own reader, by promtool, and the command line tool.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests panic, and say aloud what they skip")]

mod cli;
mod content;
mod promtool;
mod read_back;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Content of all files below a directory, by their path.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(inner, bytes)| (dir.join(inner), bytes)));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found.into_iter().map(|(path, bytes)| (path.strip_prefix(dir).unwrap().to_owned(), bytes)).collect()
}
