//! Benchmarks; one file per question. What several of them need is here.

pub mod selects;
pub mod traffic;
