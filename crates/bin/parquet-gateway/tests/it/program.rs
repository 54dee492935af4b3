//! Runs of the program.

use std::{path::Path, process::Command};

use promparquet_testkit::blocks::BlockSpec;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_parquet-gateway");

pub(crate) const CONVERT: [&str; 5] =
    ["convert", "--tsdb.storage.prefix", "tsdb", "--parquet.storage.prefix", "parquet"];

/// How a run ended, and what it wrote.
pub(crate) struct Ran {
    pub(crate) ok: bool,
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn run(dir: &Path, args: &[&str]) -> Ran {
    let output = Command::new(BINARY).args(args).current_dir(dir).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code();
    Ran { ok: output.status.success(), code, out: text(output.stdout), err: text(output.stderr) }
}

/// A small block.
pub(crate) fn block() -> BlockSpec {
    BlockSpec::small().series_count(80).duration_ms(1_800_000)
}

/// A directory with that block under `.data/tsdb`, converted into `.data/parquet`; gives its name.
pub(crate) fn with_shards() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let block = block().write(dir.path().join(".data/tsdb")).unwrap();
    let name = block.file_name().unwrap().to_str().unwrap().to_owned();
    let ran = run(dir.path(), &CONVERT);
    assert!(ran.ok, "{}", ran.err);
    (dir, name)
}
