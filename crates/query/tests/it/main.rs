//! Selects from shards, held against other stores and against the Go library's answers.

mod conformance;
mod fixtures;
mod limits;
mod pruning;
mod shards;
