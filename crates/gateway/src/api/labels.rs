//! `labels` and `label/<name>/values`.

use std::{collections::BTreeSet, num::NonZeroUsize, sync::Arc};

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use prometheus_promql::quote;
use prometheus_queryable::{LabelHints, LabelStrings, Queryable};

use crate::{
    api::{self, error::ApiError, label_name, params::Params},
    gateway::Gateway,
    json,
};

pub(crate) async fn names(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    respond(gateway, &headers, &params, None).await
}

pub(crate) async fn values(
    State(gateway): State<Gateway>,
    Path(name): Path<String>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let name = label_name::unescape(&name);
    if name.is_empty() {
        return Err(ApiError::bad_data(format!("invalid label name: {}", quote(&name))));
    }
    respond(gateway, &headers, &params, Some(name)).await
}

/// Values of `name`, or names of labels without one.
async fn respond(
    gateway: Gateway,
    headers: &HeaderMap,
    params: &Params,
    name: Option<String>,
) -> Result<Response, ApiError> {
    let limit = params.limit()?;
    let range = params.range()?;
    let mut sets = params.matchers(gateway.0.engine.parser()).map_err(ApiError::bad_data)?;
    let Some(range) = range else {
        return Ok(api::success(headers, Vec::new(), |out| out.write_all(b"[]")));
    };
    if sets.is_empty() {
        sets.push(Vec::new());
    }
    let shared = Arc::clone(&gateway.0);
    let ask = move || async move {
        let querier = shared.catalog.snapshot().querier(range).await?;
        let hints = LabelHints { limit: limit.and_then(|limit| NonZeroUsize::new(limit.saturating_add(1))) };
        let mut found = LabelStrings::default();
        for matchers in &sets {
            let more = match &name {
                Some(name) => querier.label_values(name, matchers, &hints).await?,
                None => querier.label_names(matchers, &hints).await?,
            };
            found.strings.extend(more.strings);
            found.warnings.extend(more.warnings);
        }
        Ok(found)
    };
    let found = gateway.0.http_gate.run(gateway.0.timeout(None), ask).await?;
    let mut strings: Vec<String> = found.strings.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    let warnings: BTreeSet<String> = found.warnings.iter().map(ToString::to_string).collect();
    let mut warnings: Vec<String> = warnings.into_iter().collect();
    if let Some(limit) = limit
        && strings.len() > limit
    {
        strings.truncate(limit);
        warnings.push("results truncated due to limit".into());
    }
    Ok(api::success(headers, warnings, move |out| json::strings(out, strings.iter().map(String::as_str))))
}
