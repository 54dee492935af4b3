//! Whether a store keeps what the traits promise: a suite that any [`Queryable`] can be put through.
//!
//! A test builds a store of the series it is given, and asks [`check`] for a verdict:
//!
//! ```
//! use prometheus_queryable::{MemoryQueryable, Queryable, conformance::{Options, check}};
//! # futures::executor::block_on(async {
//! check(&Options::default(), async |series| {
//!     Box::new(MemoryQueryable::new(series).expect("series in order")) as Box<dyn Queryable>
//! })
//! .await
//! # })?;
//! # Ok::<(), prometheus_queryable::conformance::Failure>(())
//! ```
//!
//! First come questions whose answers are known ([`fixture`] is the store), then random ones about random stores, whose
//! answers are those of [`MemoryQueryable`](crate::MemoryQueryable).

mod cases;
mod corpus;
mod question;
mod random;
mod samples;

use std::fmt;

use prometheus_model::{Labels, Sample};

pub use corpus::{EPOCH, fixture};
pub use samples::same_sample;

use crate::querier::Queryable;

/// Series, as a store is built of them: each once, with samples in order of time.
pub type SeriesList = Vec<(Labels, Vec<Sample>)>;

/// What is asked of a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether it can be without any series.
    pub empty: bool,
    /// Whether it keeps native histograms; without, there are none.
    pub native_histograms: bool,
    /// Whether it keeps start timestamps; without, they are not looked at.
    pub start_timestamps: bool,
    /// Whether a select for `rate` gives the values that were scraped; without, no select is for it.
    pub counters_as_scraped: bool,
    /// From it follows whatever is random.
    pub seed: u64,
    /// How many random stores are built.
    pub stores: usize,
    /// How many random questions each of them is asked.
    pub questions: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            empty: true,
            native_histograms: true,
            start_timestamps: true,
            counters_as_scraped: true,
            seed: 1,
            stores: 8,
            questions: 60,
        }
    }
}

/// What a store does wrong.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The question, and the seed that leads to it if it is a random one.
    pub question: String,
    /// What is wrong about the answer.
    pub complaint: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.question, self.complaint)
    }
}

impl std::error::Error for Failure {}

/// Puts the stores that `build` makes through the suite. It awaits nothing but them, so any runtime will do.
///
/// # Errors
/// The first thing that a store does wrong.
pub async fn check(options: &Options, build: impl AsyncFn(SeriesList) -> Box<dyn Queryable>) -> Result<(), Failure> {
    if options.empty {
        let store = build(Vec::new()).await;
        cases::empty(&*store, options).await?;
    }
    let series = fixture(options);
    let store = build(series.clone()).await;
    cases::known(&*store, options, series).await?;
    random::check(options, build).await
}

/// What is wrong about an answer.
type Verdict = Result<(), String>;

/// Complains unless the condition holds.
macro_rules! demand {
    ($condition:expr, $($complaint:tt)+) => {
        if !$condition {
            return Err(format!($($complaint)+));
        }
    };
}
use demand;

#[cfg(test)]
mod tests;
