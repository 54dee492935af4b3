//! `query`, `query_range`, `query_exemplars`.

use std::{io::Write, sync::Arc, time::Duration};

use axum::{extract::State, http::HeaderMap, response::Response};
use opentelemetry::KeyValue;
use prometheus_model::TimestampMs;
use prometheus_promql::{Answer, QueryRequest, QueryStats, QueryTimes, QueryValue, quote};

use crate::{
    api::{self, error::ApiError, params::Params},
    gateway::{Gateway, Shared, now},
    json,
};

/// For safety, as Prometheus has it: points of each series.
const MAX_POINTS: i64 = 11_000;

pub(crate) async fn instant(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let limit = params.limit()?;
    let time = params.time_or("time", now())?;
    respond(gateway.0, &headers, &params, limit, QueryTimes::Instant(time)).await
}

pub(crate) async fn range(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let limit = params.limit()?;
    let (start, end) = (params.time("start")?, params.time("end")?);
    if end < start {
        return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
    }
    let step_ns = match (params.get("step"), gateway.0.options.default_step) {
        ("", Some(step)) => i64::try_from(step.as_nanos()).unwrap_or(i64::MAX),
        (text, _) => super::params::parse_duration(text).map_err(|why| ApiError::parameter("step", why))?,
    };
    if step_ns <= 0 {
        let why = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(ApiError::parameter("step", why));
    }
    let step_ms = (step_ns / 1_000_000).max(1);
    if end.saturating_sub(start) / step_ms > MAX_POINTS {
        return Err(ApiError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    respond(gateway.0, &headers, &params, limit, QueryTimes::Range { start, end, step_ms }).await
}

async fn respond(
    shared: Arc<Shared>,
    headers: &HeaderMap,
    params: &Params,
    limit: Option<usize>,
    times: QueryTimes,
) -> Result<Response, ApiError> {
    let timeout = params.duration("timeout").map_err(|why| ApiError::parameter("timeout", why))?;
    let timeout = shared.timeout(timeout);
    let lookback = params
        .duration("lookback_delta")
        .map_err(|why| ApiError::bad_data(format!("error parsing lookback delta duration: {why}")))?;
    let stats = params.get("stats").to_owned();
    let query = params.get("query").to_owned();
    let mut request = QueryRequest::instant(query.clone(), 0);
    request.times = times;
    request.timeout = Some(timeout);
    // As Prometheus: one that is not positive is none.
    request.lookback = lookback.and_then(|ns| u64::try_from(ns).ok()).filter(|ns| *ns > 0).map(Duration::from_nanos);
    request.per_step_stats = stats == "all";

    let mut answer = shared.evaluate(timeout, request).await?;
    let mut warnings = answer.annotations.warnings(&query);
    let infos = answer.annotations.infos(&query);
    if let Some(limit) = limit
        && truncate(&mut answer.value, limit)
    {
        warnings.push("results truncated due to limit".into());
    }
    if !matches!(&*stats, "" | "true" | "all") {
        warnings.push(format!(
            "value {} for parameter \"stats\" is deprecated and will be rejected in the next major release, use \"true\" \
             or \"all\"",
            quote(&stats)
        ));
    }
    let with_stats = (!stats.is_empty()).then_some(times);
    let with_explain = params.get("explain") == "1";
    let data = move |out: &mut &mut dyn Write| {
        out.write_all(b"{")?;
        json::query_value(out, &answer.value)?;
        if let Some(times) = with_stats {
            out.write_all(b",\"stats\":")?;
            write_stats(out, &answer.stats, times)?;
        }
        out.write_all(b"}")?;
        // Of our own, beside the data.
        if with_explain {
            out.write_all(b",\"explain\":")?;
            json::explain(out, &answer.explain)?;
        }
        Ok(())
    };
    Ok(api::answer(headers, data, warnings, infos))
}

impl Shared {
    /// Evaluates a query when it is its turn, and logs it if that takes long.
    async fn evaluate(self: &Arc<Self>, timeout: Duration, request: QueryRequest) -> Result<Answer, ApiError> {
        let started = std::time::Instant::now();
        let query = request.query.clone();
        let times = request.times;
        let shared = Arc::clone(self);
        self.spans.describe(|| describe(&request, timeout));
        let result = self
            .http_gate
            .run(timeout, move || async move {
                let snapshot = shared.catalog.snapshot();
                Ok(shared.engine.query(&*snapshot, &request).await?)
            })
            .await;
        self.count_query(&query, times, started.elapsed(), &result);
        result
    }

    /// Counts a query, and logs it if it took long.
    pub(crate) fn count_query(
        &self,
        query: &str,
        times: QueryTimes,
        taken: Duration,
        result: &Result<Answer, ApiError>,
    ) {
        const MOST: usize = 2000;
        self.metrics.query(taken, result.is_ok());
        if self.options.slow_query.is_none_or(|slow| taken < slow) {
            return;
        }
        let shown: String = query.chars().take(MOST).collect();
        let times = format!("{times:?}");
        let seconds = taken.as_secs_f64();
        match result {
            Ok(answer) => tracing::warn!(
                query = shown,
                times,
                seconds,
                series_read = answer.stats.series_read,
                samples_read = answer.stats.samples_read,
                peak_samples = answer.stats.peak_samples,
                peak_bytes = answer.stats.peak_bytes,
                waiting_seconds = answer.stats.waiting.as_secs_f64(),
                explain = %answer.explain,
                "slow query"
            ),
            Err(error) => tracing::warn!(query = shown, times, seconds, error = error.message, "slow query"),
        }
    }
}

/// What spans say of a query.
pub(crate) fn describe(request: &QueryRequest, timeout: Duration) -> Vec<KeyValue> {
    const MOST: usize = 2000;
    let mut all = vec![
        KeyValue::new("query.expr", request.query.chars().take(MOST).collect::<String>()),
        KeyValue::new("query.timeout", timeout.as_secs_f64()),
    ];
    match request.times {
        QueryTimes::Instant(time) => all.push(KeyValue::new("query.time", time)),
        QueryTimes::Range { start, end, step_ms } => {
            all.extend(
                [("query.start", start), ("query.end", end), ("query.step", step_ms)].map(|(k, v)| KeyValue::new(k, v)),
            );
        }
    }
    all
}

/// Keeps the first so many series; says whether there were more.
fn truncate(value: &mut QueryValue, limit: usize) -> bool {
    match value {
        QueryValue::Vector(series) if series.len() > limit => series.truncate(limit),
        QueryValue::Matrix(series) if series.len() > limit => series.truncate(limit),
        _ => return false,
    }
    true
}

fn write_stats(out: &mut impl Write, stats: &QueryStats, times: QueryTimes) -> std::io::Result<()> {
    let (total, planning) = (stats.total.as_secs_f64(), stats.planning.as_secs_f64());
    let evaluation = (total - planning).max(0.0);
    write!(
        out,
        "{{\"timings\":{{\"evalTotalTime\":{total},\"resultSortTime\":0,\"queryPreparationTime\":{planning},\
         \"innerEvalTime\":{evaluation},\"execQueueTime\":0,\"execTotalTime\":{total}}},\"samples\":{{"
    )?;
    if !stats.samples_per_step.is_empty() {
        let (start, step): (TimestampMs, TimestampMs) = match times {
            QueryTimes::Instant(time) => (time, 0),
            QueryTimes::Range { start, step_ms, .. } => (start, step_ms),
        };
        out.write_all(b"\"totalQueryableSamplesPerStep\":")?;
        let steps = (0_i64..).zip(&stats.samples_per_step);
        json::list(out, steps, |out, (step_index, samples)| {
            let t = start.saturating_add(step.saturating_mul(step_index));
            write!(out, "[{},{samples}]", json::short_seconds(t))
        })?;
        out.write_all(b",")?;
    }
    let QueryStats { samples, samples_read, peak_samples, .. } = stats;
    write!(out, "\"totalQueryableSamples\":{samples},\"samplesRead\":{samples_read},\"peakSamples\":{peak_samples}}}}}")
}

/// Shards keep no exemplars.
pub(crate) async fn exemplars(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let (start, end) = (params.time_or("start", TimestampMs::MIN)?, params.time_or("end", TimestampMs::MAX)?);
    if end < start {
        return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
    }
    gateway.0.engine.parser().parse(params.get("query")).map_err(|error| ApiError::bad_data(error.to_string()))?;
    Ok(api::success(&headers, Vec::new(), |out| out.write_all(b"[]")))
}
