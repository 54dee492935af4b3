//! The program as a user runs it.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod convert;
mod days;
mod program;
mod select;
mod serve;
