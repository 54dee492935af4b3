//! `status/tsdb`: how many series the newest hour of the bucket has, by their labels.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use axum::{extract::State, http::HeaderMap, response::Response};
use prometheus_model::TimeRange;
use prometheus_queryable::{Queryable, SelectHints};
use serde_json::{Value, json};

use crate::{
    api::{
        self,
        error::{ApiError, ErrorType},
        params::Params,
    },
    gateway::{Gateway, Shared},
};

/// Prometheus' head has about as much.
const NEWEST_MS: i64 = 3_600_000;
const DEFAULT_LIMIT: usize = 10;
const MOST: i64 = 10_000;

pub(crate) async fn tsdb(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let limit = match params.get("limit") {
        "" => DEFAULT_LIMIT,
        text => match text.parse::<i64>() {
            Ok(limit) if limit > MOST => {
                return Err(ApiError::bad_data(format!("limit must not exceed {MOST}")));
            }
            Ok(limit @ 1..) => usize::try_from(limit).unwrap_or(DEFAULT_LIMIT),
            _ => return Err(ApiError::bad_data("limit must be a positive number")),
        },
    };
    let shared = Arc::clone(&gateway.0);
    let (first, last) = shared.catalog.snapshot().times().unwrap_or((0, 0));
    let first = first.max(last.saturating_sub(NEWEST_MS));
    let timeout = shared.timeout(None);
    let (counts, warnings) = gateway.0.http_gate.run(timeout, move || count(shared, first, last)).await?;
    let stats = counts.stats(limit, first, last);
    Ok(api::success(&headers, warnings, move |out| serde_json::to_writer(out, &stats).map_err(std::io::Error::from)))
}

/// Series by label and value.
#[derive(Default)]
struct Counts {
    series: u64,
    labels: HashMap<String, HashMap<String, u64>>,
    /// Of names and values that are held.
    bytes: usize,
}

async fn count(shared: Arc<Shared>, first: i64, last: i64) -> Result<(Counts, Vec<String>), ApiError> {
    let mut counts = Counts::default();
    let Ok(range) = TimeRange::new(first, last.saturating_add(1)) else { return Ok((counts, Vec::new())) };
    let querier = shared.catalog.snapshot().querier(range).await?;
    let mut set = querier.select(&[], &SelectHints::series_only(range)).await?;
    while let Some(batch) = set.next().await? {
        for series in batch {
            counts.series += 1;
            for (name, value) in series.labels.iter() {
                counts.add(name, value);
            }
        }
        let most = shared.options.max_series_bytes;
        if counts.bytes > most {
            let why = format!("the labels of the newest hour have more than {most} bytes");
            return Err(ApiError::new(ErrorType::LimitExceeded, why));
        }
    }
    let warnings = set.warnings().iter().map(ToString::to_string).collect();
    Ok((counts, warnings))
}

impl Counts {
    fn add(&mut self, name: &str, value: &str) {
        const ENTRY: usize = 64;
        if !self.labels.contains_key(name) {
            self.bytes += ENTRY + name.len();
            self.labels.insert(name.to_owned(), HashMap::new());
        }
        let Some(values) = self.labels.get_mut(name) else { return };
        match values.get_mut(value) {
            Some(count) => *count += 1,
            None => {
                self.bytes += ENTRY + value.len();
                values.insert(value.to_owned(), 1);
            }
        }
    }

    /// As Prometheus gives it; the memory of a label is the length of its values over all series.
    fn stats(&self, limit: usize, first: i64, last: i64) -> Value {
        let by_label = |size: fn(&HashMap<String, u64>) -> u64| {
            top(self.labels.iter().map(|(name, values)| (name.clone(), size(values))), limit)
        };
        let metrics = self.labels.get("__name__").into_iter().flatten();
        let pairs = self
            .labels
            .iter()
            .flat_map(|(name, values)| values.iter().map(move |(value, count)| ((name, value), *count)));
        let pairs = largest(pairs, limit).into_iter().map(|((name, value), count)| (format!("{name}={value}"), count));
        let pair_count: usize = self.labels.values().map(HashMap::len).sum();
        json!({
            "headStats": {
                "numSeries": self.series, "numLabelPairs": pair_count, "chunkCount": 0, "minTime": first, "maxTime": last,
            },
            "seriesCountByMetricName": top(metrics.map(|(name, count)| (name.clone(), *count)), limit),
            "labelValueCountByLabelName": by_label(|values| values.len() as u64),
            "memoryInBytesByLabelName":
                by_label(|values| values.iter().map(|(value, count)| value.len() as u64 * count).sum()),
            "seriesCountByLabelValuePair": named(pairs),
        })
    }
}

/// Those that count most; of equal ones, the first by name.
fn largest<K: Ord>(all: impl Iterator<Item = (K, u64)>, limit: usize) -> Vec<(K, u64)> {
    let mut all: Vec<_> = all.map(|(name, count)| (Reverse(count), name)).collect();
    if all.len() > limit {
        all.select_nth_unstable(limit);
        all.truncate(limit);
    }
    all.sort_unstable();
    all.into_iter().map(|(Reverse(count), name)| (name, count)).collect()
}

fn named(all: impl Iterator<Item = (String, u64)>) -> Value {
    all.map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

fn top(all: impl Iterator<Item = (String, u64)>, limit: usize) -> Value {
    named(largest(all, limit).into_iter())
}
