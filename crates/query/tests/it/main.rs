//! Selects from shards, held against other stores and against the Go library's answers.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests fail by panicking, and say aloud what they skip")]

mod asks;
mod conformance;
mod damage;
mod days;
mod faults;
mod fixtures;
#[path = "../forge/mod.rs"]
mod forge;
mod io;
mod limits;
mod misleading;
mod oracles;
mod pruning;
mod shards;
mod stores;
