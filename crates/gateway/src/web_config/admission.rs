//! What is asked of requests before they come to anything else.

use std::time::Instant;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};

use crate::{
    metrics::Metrics,
    web_config::{WebConfig, authentication::Verdict},
};
use std::sync::Arc;

/// Lets those requests through to all of the router that are admitted, unknown paths included.
pub(crate) fn guarded(router: Router, config: Option<WebConfig>, metrics: Arc<Metrics>) -> Router {
    let Some(config) = config else { return router };
    Router::new().fallback_service(router).layer(middleware::from_fn_with_state((config, metrics), admit))
}

async fn admit(
    State((config, metrics)): State<(WebConfig, Arc<Metrics>)>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let current = config.current();
    let verdict = match &current.rate_limit {
        Some(limit) if !limit.allows(started) => Err(StatusCode::TOO_MANY_REQUESTS),
        _ => {
            let authorization = request.headers_mut().remove(header::AUTHORIZATION);
            match current.authentication.check(authorization.as_ref().map(HeaderValue::as_bytes)).await {
                Verdict::Admitted => Ok(()),
                Verdict::Refused => Err(StatusCode::UNAUTHORIZED),
                Verdict::Busy => Err(StatusCode::SERVICE_UNAVAILABLE),
            }
        }
    };
    let mut response = match verdict {
        Ok(()) => next.run(request).await,
        Err(status) => {
            metrics.http_request(status, request.method(), "refused", started.elapsed());
            refusal(status, current.authentication.challenges())
        }
    };
    for (name, value) in &current.headers {
        response.headers_mut().insert(name, value.clone());
    }
    response
}

fn refusal(status: StatusCode, challenges: impl Iterator<Item = &'static str>) -> Response {
    let mut headers = HeaderMap::new();
    if status == StatusCode::UNAUTHORIZED {
        for challenge in challenges {
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
    }
    let text = format!("{}\n", status.canonical_reason().unwrap_or_default());
    (status, headers, text).into_response()
}
