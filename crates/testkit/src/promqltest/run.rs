//! Runs scripts.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use prometheus_model::{Labels, Sample, TimestampMs};
use prometheus_promql::{InstantSeries, Parser, ParserOptions, PointValue, QueryValue};

use super::{
    at::pinned,
    compare::check_order,
    script::{Command, Evaluation, Expectation, Script},
};

/// When a query is evaluated, in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Times {
    /// Once.
    Instant(TimestampMs),
    /// From `start` in steps to `end`, inclusive.
    Range {
        /// The first time.
        start: TimestampMs,
        /// No time is after it.
        end: TimestampMs,
        /// Positive.
        step_ms: TimestampMs,
    },
}

/// What a query gives.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The value.
    pub value: QueryValue,
    /// Warnings, with positions.
    pub warnings: Vec<String>,
    /// Infos, with positions.
    pub infos: Vec<String>,
}

/// A query engine over a store that can be filled.
///
/// Queries are parsed with all experimental features, look back five minutes, evaluate sub-queries without step every
/// minute, remove names of metrics at the end, and use start timestamps.
#[async_trait]
pub trait Target: Send {
    /// Adds samples to the store, possibly to series that it has. They are in order; samples that are there already may
    /// come again.
    ///
    /// # Errors
    /// If they cannot be stored.
    async fn load(&mut self, series: Vec<(Labels, Vec<Sample>)>) -> Result<(), String>;

    /// Forgets all samples.
    async fn clear(&mut self);

    /// Evaluates a query.
    ///
    /// # Errors
    /// What Prometheus says.
    async fn query(&mut self, query: &str, times: Times) -> Result<Answered, String>;
}

/// What came of a script.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Report {
    /// How many evaluations there were.
    pub evaluations: usize,
    /// How many queries these took.
    pub queries: usize,
    /// Evaluations that failed, each once.
    pub failures: Vec<Failure>,
}

/// An evaluation that failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The script's name.
    pub script: String,
    /// Line of the command, from 1.
    pub line: usize,
    /// The query that was evaluated.
    pub query: String,
    /// What was expected, and what came.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}\n  {}", self.script, self.line, self.query, self.message)
    }
}

impl Report {
    /// Adds another script's report.
    pub fn merge(&mut self, other: Self) {
        self.evaluations += other.evaluations;
        self.queries += other.queries;
        self.failures.extend(other.failures);
    }
}

/// Runs a script against a target, which is cleared first.
///
/// Instant queries are also evaluated with their time written into them, at several times, and each of these also as a
/// range query.
pub async fn run(name: &str, script: &Script, target: &mut dyn Target) -> Report {
    let mut report = Report::default();
    let fail = |line, query: &str, message| Failure { script: name.to_owned(), line, query: query.to_owned(), message };
    target.clear().await;
    for command in &script.commands {
        match command {
            Command::Clear => target.clear().await,
            Command::Load { line, load } => {
                let loaded = match load.all_series() {
                    Ok(series) => target.load(series.into_iter().collect()).await,
                    Err(message) => Err(message),
                };
                report.failures.extend(loaded.err().map(|message| fail(*line, "load", message)));
            }
            Command::Eval(eval) => {
                report.evaluations += 1;
                for (query, times) in eval.queries() {
                    if let Err(message) = eval.run(&query, times, target, &mut report.queries).await {
                        let at = format!("at {times:?}: {message}");
                        report.failures.push(fail(eval.line, &query, at));
                        break;
                    }
                }
            }
        }
    }
    report
}

impl Evaluation {
    /// The query as it is; and, if it is one at an instant, with this written into it, at several times.
    fn queries(&self) -> Vec<(String, Times)> {
        let mut queries = vec![(self.query.clone(), self.times)];
        if let Times::Instant(time) = self.times {
            let expr = Parser::new(ParserOptions::all_features()).parse(&self.query).ok();
            if let Some(expr) = expr.and_then(|expr| pinned(&expr, time)) {
                let query = expr.to_string();
                let times =
                    if time == 0 { vec![-1000, 0, 1000] } else { vec![-10 * time, 0, time / 5, time, 10 * time] };
                queries.extend(times.into_iter().map(|time| (query.clone(), Times::Instant(time))));
            }
        }
        queries
    }

    async fn run(&self, query: &str, times: Times, target: &mut dyn Target, count: &mut usize) -> Result<(), String> {
        *count += 1;
        let answer = match target.query(query, times).await {
            Err(error) if self.fail.is_empty() => return Err(format!("expected no error, got {error:?}")),
            Err(error) => return self.check_error(&error),
            Ok(_) if !self.fail.is_empty() => return Err("expected an error, got none".to_owned()),
            Ok(answer) => answer,
        };
        let (any, none) = (self.any_warn, self.no_warn);
        check_annotations("warning", &answer.warnings, &self.warn, any, none)?;
        check_annotations("info", &answer.infos, &self.info, self.any_info, self.no_info)?;
        self.check(&answer.value)?;

        let Times::Instant(time) = times else { return Ok(()) };
        // These depend on the query's range.
        let depends = ["start()", "end()", "range()", "step()"].iter().any(|function| query.contains(function));
        if self.is_instant_only || depends {
            return Ok(());
        }
        *count += 1;
        let around = Times::Range { start: time - 60_000, end: time + 60_000, step_ms: 60_000 };
        let in_range = target.query(query, around).await;
        let in_range = in_range.map_err(|error| format!("as a range query: expected no error, got {error:?}"))?;
        if self.ordered {
            return Ok(());
        }
        let QueryValue::Matrix(matrix) = in_range.value else {
            return Err("as a range query: expected a matrix".to_owned());
        };
        let check = || {
            check_order(&matrix)?;
            let mut vector = Vec::new();
            for series in &matrix {
                let mut push = |value| {
                    vector.push(InstantSeries { labels: series.labels.clone(), timestamp: time, value });
                };
                if let Some(&(_, value)) = series.floats.iter().find(|&&(at, _)| at == time) {
                    push(PointValue::Float(value));
                }
                if let Some((_, value)) = series.histograms.iter().find(|(at, _)| *at == time) {
                    push(PointValue::Histogram(Arc::clone(value)));
                }
            }
            match (&answer.value, vector.first()) {
                (QueryValue::Scalar { .. }, Some(InstantSeries { value: PointValue::Float(value), .. })) => {
                    self.check(&QueryValue::Scalar { timestamp: time, value: *value })
                }
                (QueryValue::Scalar { .. }, _) => Err("expected a scalar, got none".to_owned()),
                _ => self.check(&QueryValue::Vector(vector)),
            }
        };
        check().map_err(|message: String| format!("as a range query: {message}"))
    }

    fn check_error(&self, error: &str) -> Result<(), String> {
        match self.fail.iter().find(|expectation| !expectation.matches(error)) {
            Some(expectation) => Err(format!("expected an error that is {expectation}, got {error:?}")),
            None => Ok(()),
        }
    }
}

fn check_annotations(
    kind: &str,
    found: &[String],
    expected: &[Expectation],
    any: bool,
    none: bool,
) -> Result<(), String> {
    if (any || !expected.is_empty()) && found.is_empty() {
        return Err(format!("expected a {kind}, got none"));
    }
    if none && !found.is_empty() {
        return Err(format!("expected no {kind}, got {found:?}"));
    }
    if expected.is_empty() {
        return Ok(());
    }
    if let Some(expectation) = expected.iter().find(|e| !found.iter().any(|text| e.matches(text))) {
        return Err(format!("expected a {kind} that is {expectation}, got {found:?}"));
    }
    match found.iter().find(|text| !expected.iter().any(|e| e.matches(text))) {
        Some(text) => Err(format!("unexpected {kind} {text:?}")),
        None => Ok(()),
    }
}
