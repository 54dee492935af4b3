//! What is fuzzed and what must hold of it, without a fuzzer.
//!
//! Each target takes any bytes and panics if something does not hold that should. The libFuzzer targets beside this
//! package call [`run`], and so does the test that replays `fuzz/regressions/`, which needs no fuzzer.
//!
//! All targets hold that nothing panics, and that memory stays in proportion to the input; what else each of them holds
//! its module says. The first byte of most inputs chooses between ways to go about the rest, such as computing checksums
//! anew, without which no fuzzer gets behind them.

mod cells;
mod checksums;
mod chunks;
mod gateway;
mod grpc_request;
mod http_request;
mod index;
mod meta;
mod objstore_yaml;
mod promql_eval;
mod promql_parse;
mod regex;
mod segment;
mod select;
mod shard;
mod shard_select;
mod tombstones;

use std::{panic, sync::Once};

/// Counts what is allocated, so that a length that was believed shows even if the memory is never touched.
#[global_allocator]
static ALLOCATOR: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, usize::MAX);

/// What an input may allocate at one time: so many bytes, and so many more for each of its own.
const MEMORY: (usize, usize) = (32 << 20, 4 << 10);

/// A target: panics if what it holds of an input is not so.
pub type Target = fn(&[u8]);

/// All targets by name. A libFuzzer target of the same name calls each, and its regressions are in a directory of the
/// same name.
pub const TARGETS: &[(&str, Target)] = &[
    ("cells", cells::run),
    ("chunks", chunks::run),
    ("grpc_request", grpc_request::run),
    ("http_request", http_request::run),
    ("index", index::run),
    ("meta", meta::run),
    ("objstore_yaml", objstore_yaml::run),
    ("promql_eval", promql_eval::run),
    ("promql_parse", promql_parse::run),
    ("regex", regex::run),
    ("rows", shard_select::run_rows),
    ("segment", segment::run),
    ("select", select::run),
    ("shard_footer", shard::run_footer),
    ("shard_pages", shard::run_pages),
    ("shard_select", shard_select::run),
    ("tombstones", tombstones::run),
];

/// Runs a target on an input. The process is aborted if it allocates more than it may, so do not run two at a time.
///
/// # Panics
/// If something does not hold, or there is no such target.
pub fn run(target: &str, data: &[u8]) {
    let (_, run) = TARGETS.iter().find(|(name, _)| *name == target).expect("a target of this name");
    // To tell of a panic takes much memory.
    static LIFT_LIMIT_ON_PANIC: Once = Once::new();
    LIFT_LIMIT_ON_PANIC.call_once(|| {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let _ = ALLOCATOR.set_limit(usize::MAX);
            tell(panic);
        }));
    });
    let (fixed, per_byte) = MEMORY;
    let limit = ALLOCATOR.allocated().saturating_add(fixed).saturating_add(data.len().saturating_mul(per_byte));
    ALLOCATOR.set_limit(limit).expect("the limit is above what is allocated");
    run(data);
    ALLOCATOR.set_limit(usize::MAX).expect("there is no limit");
}
