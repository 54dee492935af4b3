//! Go's regular expressions as Prometheus uses them for label matchers: anchored at both ends, `.` matches newlines.
//!
//! Patterns are parsed here (`parser`), since Go's syntax and what it means differ from those of Rust's crates in many
//! small ways. What needs an automaton is translated (`translate`) and run by `regex-automata`; most label matchers do
//! not need one (`glob`).

mod ast;
mod capture;
mod class;
mod error;
mod glob;
mod parser;
mod regex;
mod shape;
mod translate;
mod unicode;

pub use capture::{CaptureRegex, quote_meta};
pub use error::{Error, ErrorKind, Result};
pub use regex::Regex;
