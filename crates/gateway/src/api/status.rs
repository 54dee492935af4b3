//! What is known without reading any series.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap, response::Response};
use prometheus_promql::Parser;
use serde_json::{Value, json};

use crate::{
    api::{self, error::ApiError, expression, params::Params},
    gateway::{Gateway, now},
};

fn value(headers: &HeaderMap, value: Value) -> Response {
    api::success(headers, Vec::new(), move |out| serde_json::to_writer(out, &value).map_err(std::io::Error::from))
}

pub(crate) async fn format_query(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    about_text(gateway, &headers, params, expression::format).await
}

pub(crate) async fn parse_query(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    about_text(gateway, &headers, params, expression::parse).await
}

/// What is known of a query by its text. Long ones take a while and much memory, so that only a few are looked at at a time.
async fn about_text(
    gateway: Gateway,
    headers: &HeaderMap,
    params: Params,
    about: fn(&Parser, &Params) -> Result<Value, ApiError>,
) -> Result<Response, ApiError> {
    let shared = Arc::clone(&gateway.0);
    let make = move || async move { about(shared.engine.parser(), &params) };
    let answer = gateway.0.text_gate.run(gateway.0.timeout(None), make).await?;
    Ok(value(headers, answer))
}

/// Shards keep no metadata of metrics.
pub(crate) async fn metadata(headers: HeaderMap, params: Params) -> Result<Response, ApiError> {
    for name in ["limit", "limit_per_metric"] {
        if !params.get(name).is_empty() && params.get(name).parse::<i64>().is_err() {
            return Err(ApiError::bad_data(format!("{name} must be a number")));
        }
    }
    Ok(value(&headers, json!({})))
}

/// The gateway evaluates no rules; Grafana asks.
pub(crate) async fn rules(headers: HeaderMap) -> Response {
    value(&headers, json!({ "groups": [] }))
}

pub(crate) async fn alerts(headers: HeaderMap) -> Response {
    value(&headers, json!({ "alerts": [] }))
}

/// The version is that of the Prometheus whose API and PromQL this is: clients choose features by it. No field is added, since the
/// description of the API allows none.
pub(crate) async fn build_info(headers: HeaderMap) -> Response {
    value(
        &headers,
        json!({
            "version": PROMETHEUS_VERSION, "revision": concat!("parquet-gateway-", env!("CARGO_PKG_VERSION")),
            "branch": "", "buildUser": "", "buildDate": "", "goVersion": "",
        }),
    )
}

const PROMETHEUS_VERSION: &str = "3.15.0";

pub(crate) async fn runtime_info(State(gateway): State<Gateway>, headers: HeaderMap) -> Response {
    let time = |ms: i64| jiff::Timestamp::from_millisecond(ms).map(|time| time.to_string()).unwrap_or_default();
    let snapshot = gateway.0.catalog.snapshot();
    let failed = snapshot.sets().filter(|set| matches!(set.state, promparquet_catalog::SetState::Failed(_))).count();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    value(
        &headers,
        json!({
            "startTime": time(gateway.0.started), "CWD": "", "hostname": "", "serverTime": time(now()),
            "reloadConfigSuccess": true, "lastConfigTime": time(gateway.0.started), "corruptionCount": failed,
            "goroutineCount": 0, "GOMAXPROCS": threads, "GOMEMLIMIT": 0, "GOGC": "", "GODEBUG": "",
            "storageRetention": "",
        }),
    )
}

pub(crate) async fn flags(State(gateway): State<Gateway>, headers: HeaderMap) -> Response {
    value(&headers, json!(gateway.0.options.flags))
}
