//! Test scripts of PromQL, as Prometheus has them: series are loaded, queries evaluated, answers compared.
//!
//! ```text
//! script = { "clear" | load | eval }
//! load   = "load" [ "_with_nhcb" ] step newline { [ metric "@st" offsets newline ] series newline }
//! eval   = "eval" [ "_fail" | "_warn" | "_info" | "_ordered" ] "instant at" time query newline expectations
//!        | "eval" [ "_fail" | "_warn" | "_info" ] "range from" time "to" time "step" step query newline expectations
//! expectation = "expect" ( "ordered" | "fail" | "warn" | "no_warn" | "info" | "no_info" ) [ "msg:" text | "regex:" text ]
//!        | "expect range vector from" time "to" time "step" step | "expect string" literal
//!        | "expected_fail_message" text | "expected_fail_regexp" text
//!        | number | series
//! ```
//!
//! A command ends before an empty line, and comments are empty lines. [`Script::parse`] reads a script; [`run`] runs it
//! against a [`Target`]: a query engine over a store that can be filled.

mod at;
mod compare;
mod duration;
mod load;
mod nhcb;
mod number;
mod run;
mod script;

pub use compare::almost_equal;
pub use load::{Load, MAX_VALUES};
pub use run::{Answered, Failure, Report, Target, Times, run};
pub use script::{Command, Evaluation, Expectation, ExpectedSeries, Script, ScriptError};
