//! What is asked.

use std::time::Duration;

use prometheus_promql::{EngineOptions, ParserOptions, QueryRequest, QueryTimes};
use serde_json::{Value, json};

/// A query, when and how it is evaluated.
#[derive(Clone, PartialEq, Debug)]
pub struct Request {
    /// PromQL.
    pub query: String,
    /// When.
    pub times: QueryTimes,
    /// How.
    pub settings: Settings,
}

/// How queries are evaluated.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Settings {
    /// Whether there are all experimental features of the language.
    pub experimental: bool,
    /// [`EngineOptions::delayed_name_removal`].
    pub delayed_name_removal: bool,
    /// [`EngineOptions::type_and_unit_labels`].
    pub type_and_unit_labels: bool,
    /// [`EngineOptions::start_timestamps`].
    pub start_timestamps: bool,
    /// [`EngineOptions::lookback`].
    pub lookback: Duration,
    /// [`EngineOptions::max_samples`].
    pub max_samples: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            experimental: false,
            delayed_name_removal: false,
            type_and_unit_labels: false,
            start_timestamps: false,
            lookback: Duration::from_secs(300),
            max_samples: 50_000_000,
        }
    }
}

impl Settings {
    /// For our engine.
    #[must_use]
    pub fn engine_options(&self) -> EngineOptions {
        EngineOptions {
            parser: if self.experimental { ParserOptions::all_features() } else { ParserOptions::default() },
            lookback: self.lookback,
            max_samples: self.max_samples,
            delayed_name_removal: self.delayed_name_removal,
            type_and_unit_labels: self.type_and_unit_labels,
            start_timestamps: self.start_timestamps,
            threads: 2,
            ..EngineOptions::default()
        }
    }
}

impl Request {
    /// For our engine.
    #[must_use]
    pub fn query_request(&self) -> QueryRequest {
        QueryRequest { times: self.times, per_step_stats: true, ..QueryRequest::instant(&self.query, 0) }
    }

    /// For the interop program: one line of its input.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let (start, end, step) = match self.times {
            QueryTimes::Instant(time) => (time, time, 0),
            QueryTimes::Range { start, end, step_ms } => (start, end, step_ms),
        };
        let s = &self.settings;
        json!({
            "query": self.query, "start": start, "end": end, "step": step,
            "experimental": s.experimental, "delayed_name_removal": s.delayed_name_removal,
            "type_and_unit_labels": s.type_and_unit_labels, "start_timestamps": s.start_timestamps,
            "lookback": s.lookback.as_millis() as u64, "max_samples": s.max_samples,
        })
    }
}
