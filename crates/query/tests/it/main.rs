//! Selects from shards, held against other stores and against the Go library's answers.

mod conformance;
mod damage;
mod faults;
mod fixtures;
mod io;
mod limits;
mod pruning;
mod shards;
