//! Selects from shards, held against other stores and against the Go library's answers.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests fail by panicking, and say aloud what they skip")]

mod conformance;
mod damage;
mod faults;
mod fixtures;
mod io;
mod limits;
mod pruning;
mod shards;
