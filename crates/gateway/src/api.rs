//! Prometheus' HTTP API, version 1.

mod blocks;
mod cardinality;
pub(crate) mod error;
mod expression;
mod label_name;
mod labels;
pub(crate) mod params;
pub(crate) mod query;
pub(crate) mod remote_read;
mod series;
mod status;

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use std::time::Instant;

use crate::{
    api::error::{ApiError, ErrorType},
    body::{Encoding, streamed},
    gateway::Gateway,
    json,
    options::CorsOrigin,
};

impl Gateway {
    /// Prometheus' HTTP API: everything under `/api/v1`.
    pub fn prometheus_api(&self) -> Router {
        let both = |handler| handler;
        let api = Router::new()
            .route("/query", both(get(query::instant).post(query::instant)))
            .route("/query_range", get(query::range).post(query::range))
            .route("/query_exemplars", get(query::exemplars).post(query::exemplars))
            .route("/format_query", get(status::format_query).post(status::format_query))
            .route("/parse_query", get(status::parse_query).post(status::parse_query))
            .route("/series", get(series::series).post(series::series))
            .route("/labels", get(labels::names).post(labels::names))
            .route("/label/{name}/values", get(labels::values))
            .route("/metadata", get(status::metadata))
            .route("/rules", get(status::rules))
            .route("/alerts", get(status::alerts))
            .route("/status/buildinfo", get(status::build_info))
            .route("/status/runtimeinfo", get(status::runtime_info))
            .route("/status/flags", get(status::flags))
            .route("/status/tsdb", get(cardinality::tsdb))
            .route("/status/blocks", get(blocks::blocks))
            .route("/read", post(remote_read::read))
            .fallback(any(unknown));
        Router::new()
            .nest("/api/v1", api)
            .layer(middleware::from_fn_with_state(self.clone(), observe))
            .with_state(self.clone())
    }
}

async fn unknown() -> ApiError {
    ApiError::new(ErrorType::NotFound, "there is no such endpoint")
}

/// Counts requests and allows scripts of other origins to read answers.
async fn observe(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let origin = request.headers().get(header::ORIGIN).cloned();
    let path = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str);
    let path = path.strip_prefix("/api/v1").unwrap_or(path).to_owned();
    let mut response = if method == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        let headers = if gateway.0.spans.0.is_some() { request.headers().clone() } else { HeaderMap::new() };
        gateway.0.spans.request(&method, &path, &headers, Response::status, next.run(request)).await
    };
    allow_origin(&gateway.0.options.cors_origin, origin.as_ref(), response.headers_mut());
    gateway.0.metrics.http_request(response.status(), &method, &path, started.elapsed());
    response
}

fn allow_origin(allowed: &CorsOrigin, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else { return };
    let allow = match allowed {
        CorsOrigin::Any => Some(HeaderValue::from_static("*")),
        CorsOrigin::None => None,
        CorsOrigin::Matching(regex) => origin.to_str().ok().filter(|text| regex.is_match(text)).map(|_| origin.clone()),
    };
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Accept, Authorization, Content-Type, Origin"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Some(allow) = allow {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allow);
    }
}

/// Data that fit into memory, in the envelope.
fn success(
    headers: &HeaderMap,
    warnings: Vec<String>,
    data: impl FnOnce(&mut &mut dyn std::io::Write) -> std::io::Result<()> + Send + 'static,
) -> Response {
    answer(headers, data, warnings, Vec::new())
}

fn answer(
    headers: &HeaderMap,
    data: impl FnOnce(&mut &mut dyn std::io::Write) -> std::io::Result<()> + Send + 'static,
    warnings: Vec<String>,
    infos: Vec<String>,
) -> Response {
    streamed("application/json", Encoding::accepted(headers), move |mut out| {
        json::envelope(&mut out, data, &warnings, &infos)
    })
}
