//! Evaluates queries.
//!
//! A query is [planned](plan) first: durations are computed, parts that are the same at every step are found, and what is
//! to be read is known. Then [`eval`] goes through the plan. Series stream from the store in batches; threads decode
//! them and evaluate them over all steps, one series at a time, up to the first operation that needs several series: an
//! aggregation keeps its groups only, all others keep columns of floats.

mod aggregate;
mod annotations;
mod binary;
mod call;
mod column;
mod date;
mod eval;
mod explain;
mod grid;
mod histogram;
mod kahan;
mod labels;
mod limits;
mod merge;
mod options;
mod pipeline;
mod plan;
mod range;
mod samples;
mod scalars;
mod stats;
mod value;

use std::sync::Arc;

use prometheus_queryable::Queryable;

pub use annotations::{Annotation, Annotations, Severity};
pub use explain::{Explain, ExplainNode};
pub use options::{EngineOptions, QueryRequest, QueryTimes};
pub use stats::QueryStats;
pub use value::{InstantSeries, PointValue, QueryValue, RangeSeries};

use self::limits::{Reserved, Total};
use crate::{error::Result, parser::Parser};

/// Evaluates PromQL over any [`Queryable`]. Cloning is cheap and shares the threads.
///
/// ```
/// use prometheus_model::{Labels, Sample, Value};
/// use prometheus_promql::{Engine, EngineOptions, QueryRequest, QueryValue};
/// use prometheus_queryable::MemoryQueryable;
///
/// let labels = Labels::from_pairs([("__name__", "requests_total"), ("job", "api")])?;
/// let sample = |i: i64| Sample { timestamp: 15_000 * i, start_timestamp: 0, value: Value::Float(3.0 * i as f64) };
/// let store = MemoryQueryable::new([(labels, (0..100).map(sample).collect())])?;
///
/// let engine = Engine::new(EngineOptions::default())?;
/// let request = QueryRequest::instant("sum by (job) (rate(requests_total[5m]))", 1_000_000);
/// let answer = futures::executor::block_on(engine.query(&store, &request))?;
/// assert_eq!(answer.annotations.warnings(&request.query), [""; 0]);
/// let QueryValue::Vector(series) = answer.value else { panic!("an instant vector") };
/// assert_eq!(series[0].labels.to_string(), r#"{job="api"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Engine {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    options: EngineOptions,
    parser: Parser,
    threads: rayon::ThreadPool,
    memory: Arc<Total>,
}

/// What a query gives.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The value.
    pub value: QueryValue,
    /// Warnings and infos.
    pub annotations: Annotations,
    /// What it took.
    pub stats: QueryStats,
    /// The plan with what each part of it took.
    pub explain: Explain,
    /// Counts towards [`EngineOptions::max_total_memory`] as long as the value is there.
    _reserved: Arc<Reserved>,
}

impl Engine {
    /// Makes an engine and starts its threads.
    ///
    /// # Errors
    /// [`Internal`](crate::ErrorKind::Internal) if the system gives no threads.
    pub fn new(options: EngineOptions) -> Result<Self> {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(options.threads.max(1))
            .thread_name(|i| format!("promql-{i}"))
            // Whoever waits for the thread's result sees that there is none.
            .panic_handler(|_| {})
            .build()
            .map_err(|e| crate::Error::defect(format!("cannot start threads: {e}")))?;
        let parser = Parser::new(options.parser.clone());
        let memory = Total::new(options.max_total_memory);
        Ok(Self { shared: Arc::new(Shared { options, parser, threads, memory }) })
    }

    /// The options that it was made with.
    #[must_use]
    pub fn options(&self) -> &EngineOptions {
        &self.shared.options
    }

    /// The parser that it uses.
    #[must_use]
    pub fn parser(&self) -> &Parser {
        &self.shared.parser
    }

    /// Bytes that all queries hold now, answers that are still in use included.
    #[must_use]
    pub fn memory_in_use(&self) -> u64 {
        self.shared.memory.in_use()
    }

    /// Evaluates a query. Dropping the future cancels it.
    ///
    /// The future computes between waits, some milliseconds at a time; give it a thread on which that does no harm.
    ///
    /// # Errors
    /// As [`ErrorKind`](crate::ErrorKind) says.
    pub async fn query(&self, queryable: &dyn Queryable, request: &QueryRequest) -> Result<Answer> {
        eval::run(&self.shared, queryable, request).await
    }

    /// How a query would be evaluated, without reading anything.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) or [`LimitExceeded`](crate::ErrorKind::LimitExceeded) as for
    /// [`query`](Self::query).
    pub fn explain(&self, request: &QueryRequest) -> Result<Explain> {
        let plan = plan::Plan::of(&self.shared.options, &self.shared.parser, request)?;
        Ok(Explain::of(&plan))
    }
}
