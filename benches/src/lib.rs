//! Benchmarks; one file per question. What several of them need is here.

pub mod answers;
pub mod process;
pub mod selects;
pub mod traffic;
