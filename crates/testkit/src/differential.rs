//! Random PromQL, asked of our engine and of Prometheus' on the same data.
//!
//! [`series`] makes the data and [`request`] the queries, both of a seed alone; [`Evaluation`] is what either side answers,
//! and [`differences`] what is different about two answers.

mod compare;
mod data;
mod evaluation;
mod generate;
mod known;
mod request;
mod server;

pub use compare::{Strictness, differences};
pub use data::{DATA_LENGTH_MS, DATA_START, series};
pub use evaluation::{EvaluatedBucket, EvaluatedHistogram, EvaluatedSeries, Evaluation};
pub use generate::request;
pub use request::{Request, Settings};
pub use server::ask_server;

/// Whom is asked, and so what may be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// Prometheus 2.42: floats only. Of samples at multiples of 5 s plus 1 s and evaluations at multiples of 10 s plus 3 s it
    /// says what Prometheus 3 says, although it takes ranges to be closed on the left.
    Prometheus2,
    /// Prometheus 3.15, with all it has.
    Prometheus3,
}
