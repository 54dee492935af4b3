//! What is for operators: metrics, health, the state of the bucket.

use std::fmt::Write;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use promparquet_catalog::{SetInfo, SetState};

use crate::{api::error::chain, gateway::Gateway, profile};

impl Gateway {
    /// `/metrics`, `/-/healthy`, `/-/ready`, `/debug/pprof/profile`, and a page about the bucket's shard sets at `/`.
    pub fn internal_api(&self) -> Router {
        Router::new()
            .route("/", get(state))
            .route("/metrics", get(metrics))
            .route("/debug/pprof/profile", get(profile::cpu))
            .with_state(self.clone())
            .merge(self.health_api())
    }

    /// `/-/healthy` and `/-/ready`.
    pub fn health_api(&self) -> Router {
        let healthy = || async { "parquet-gateway is healthy.\n" };
        Router::new().route("/-/healthy", get(healthy)).route("/-/ready", get(ready)).with_state(self.clone())
    }
}

/// Ready once the bucket was looked through.
async fn ready(State(gateway): State<Gateway>) -> (StatusCode, &'static str) {
    if gateway.0.catalog.snapshot().is_ready() {
        (StatusCode::OK, "parquet-gateway is ready.\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "The bucket has not been looked through yet.\n")
    }
}

async fn metrics(State(gateway): State<Gateway>) -> Response {
    let shared = &gateway.0;
    shared.metrics.running("http", shared.http_gate.running());
    shared.metrics.running("grpc", shared.grpc_gate.running());
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], shared.metrics.text()).into_response()
}

/// Empty for a time that no calendar has.
fn time(t: Option<i64>) -> String {
    t.and_then(|t| jiff::Timestamp::from_millisecond(t).ok()).map_or_else(String::new, |t| t.to_string())
}

async fn state(State(gateway): State<Gateway>) -> Html<String> {
    let snapshot = gateway.0.catalog.snapshot();
    let mut sets: Vec<&SetInfo> = snapshot.sets().collect();
    // What needs somebody's attention first, then the newest.
    sets.sort_by_key(|set| (rank(&set.state), std::cmp::Reverse(set.times)));
    let (shards, bytes) = snapshot.opened();
    let ready = if snapshot.is_ready() { "ready" } else { "not looked through yet" };
    let elsewhere = snapshot.elsewhere().map_or_else(String::new, |(from, to)| {
        format!(
            "<p>Sets that lie within {} and {} are left to the Thanos store of --block.filter.thanos-backfill.endpoint.",
            time(Some(from)),
            time(Some(to))
        )
    });
    let mut page = String::new();
    let _ = write!(
        page,
        "<!doctype html><html lang=en><meta charset=utf-8><title>parquet-gateway</title>\
         <style>body{{font:14px system-ui;margin:2em}}table{{border-collapse:collapse}}\
         td,th{{padding:.2em .8em;text-align:left;border-bottom:1px solid #ddd}}.failed{{color:#b00}}</style>\
         <h1>parquet-gateway</h1><p>The bucket is {ready}. {} shard sets; {shards} shards are open, their footers take about \
         {bytes} bytes.</p>{elsewhere}<p><a href=/metrics>metrics</a></p><table><tr><th>set<th>state<th>first sample<th>last \
         sample<th>shards<th>series<th>bytes<th>external labels</tr>",
        sets.len()
    );
    const MOST: usize = 2000;
    for set in sets.iter().take(MOST) {
        let (state, class) = match &set.state {
            _ if snapshot.is_elsewhere(set) => ("not queried: left to the Thanos store".to_owned(), ""),
            SetState::Open => ("queried".to_owned(), ""),
            SetState::Failed(error) => (format!("cannot be read: {}", chain(error)), " class=failed"),
            SetState::Unmarked => ("not queried: nothing says that it is complete".to_owned(), ""),
            SetState::Deleted => ("not queried: marked for deletion".to_owned(), ""),
            SetState::Unconverted => ("not queried: a TSDB block without shards".to_owned(), ""),
            _ => ("unknown".to_owned(), ""),
        };
        let _ = write!(
            page,
            "<tr{class}><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}</tr>",
            escape(&set.name),
            escape(&state),
            time(set.times.map(|times| times.0)),
            time(set.times.map(|times| times.1)),
            set.shards,
            set.rows,
            set.bytes,
            escape(&set.external_labels.to_string()),
        );
    }
    page.push_str("</table>");
    if sets.len() > MOST {
        let _ = write!(page, "<p>and {} more", sets.len() - MOST);
    }
    Html(page)
}

const fn rank(state: &SetState) -> u8 {
    match state {
        SetState::Failed(_) => 0,
        SetState::Open => 1,
        _ => 2,
    }
}

/// Names of objects come from the bucket.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}
