//! `series`.

use std::{num::NonZeroUsize, sync::Arc};

use axum::{extract::State, http::HeaderMap, response::Response};
use prometheus_model::{Labels, TimeRange};
use prometheus_queryable::{Matcher, Queryable, SelectHints, merge_sets};

use crate::{
    api::{
        self,
        error::{ApiError, ErrorType},
        params::Params,
    },
    gateway::{Gateway, Shared},
    json,
};

pub(crate) async fn series(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    if params.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let limit = params.limit()?;
    let range = params.range()?;
    let sets = params.matchers(gateway.0.engine.parser()).map_err(|why| ApiError::parameter("match[]", why))?;
    let Some(range) = range else {
        return Ok(api::success(&headers, Vec::new(), |out| out.write_all(b"[]")));
    };
    let shared = Arc::clone(&gateway.0);
    let timeout = shared.timeout(None);
    let found = gateway.0.http_gate.run(timeout, move || find(shared, range, sets, limit)).await?;
    Ok(api::success(&headers, found.warnings, move |out| json::list(out, &found.series, json::labels)))
}

struct Found {
    series: Vec<Labels>,
    warnings: Vec<String>,
}

async fn find(
    shared: Arc<Shared>,
    range: TimeRange,
    selectors: Vec<Vec<Matcher>>,
    limit: Option<usize>,
) -> Result<Found, ApiError> {
    let querier = shared.catalog.snapshot().querier(range).await?;
    let mut hints = SelectHints::series_only(range);
    hints.limit = limit.and_then(|limit| NonZeroUsize::new(limit.saturating_add(1)));
    let mut sets = Vec::with_capacity(selectors.len());
    for matchers in &selectors {
        sets.push(querier.select(matchers, &hints).await?);
    }
    let mut set = if sets.len() == 1 { sets.remove(0) } else { merge_sets(sets) };
    let mut found = Found { series: Vec::new(), warnings: Vec::new() };
    let mut bytes = 0_usize;
    let mut truncated = false;
    'all: while let Some(batch) = set.next().await? {
        for one in batch {
            if limit.is_some_and(|limit| found.series.len() >= limit) {
                truncated = true;
                break 'all;
            }
            bytes =
                one.labels.iter().fold(bytes.saturating_add(64), |sum, (n, v)| sum.saturating_add(n.len() + v.len()));
            if bytes > shared.options.max_series_bytes {
                let most = shared.options.max_series_bytes;
                let why =
                    format!("the series that fit have more than {most} bytes of labels: use limit, or choose fewer");
                return Err(ApiError::new(ErrorType::LimitExceeded, why));
            }
            found.series.push(one.labels);
        }
    }
    found.warnings = set.warnings().iter().map(ToString::to_string).collect();
    if truncated {
        found.warnings.push("results truncated due to limit".into());
    }
    Ok(found)
}
