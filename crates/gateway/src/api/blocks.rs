//! `status/blocks`, an endpoint of our own: the bucket's shard sets and TSDB blocks without any, and times that none covers.
//!
//! ```text
//! {"ready": bool, "minTime": ms|null, "maxTime": ms|null, "openShards": n, "footerBytes": n,
//!  "elsewhere": {"minTime": ms, "maxTime": ms}|null (sets within these times are left to a Thanos store),
//!  "blocks": [{"name": text, "state": "queried"|"filtered"|"failed"|"unmarked"|"deleted"|"unconverted"|"unknown",
//!              "error": text (of those that failed),
//!              "minTime": ms|null, "maxTime": ms|null, "shards": n, "series": n, "bytes": n, "labels": {…}}],
//!  "gaps": [{"labels": {…}, "minTime": ms, "maxTime": ms}]}
//! ```
//!
//! Both times are inclusive. Gaps lie between blocks that are queried, here or by the Thanos store, and have the same external labels.

use std::collections::BTreeMap;

use axum::{extract::State, http::HeaderMap, response::Response};
use prometheus_model::{Labels, TimestampMs};
use promparquet_catalog::{SetInfo, SetState};
use serde_json::{Map, Value, json};

use crate::{
    api::{self, error::chain},
    gateway::Gateway,
};

/// Between the last sample of a block and the first of the next lies an interval of scrapes or two.
const LEAST_GAP_MS: i64 = 10 * 60_000;

pub(crate) async fn blocks(State(gateway): State<Gateway>, headers: HeaderMap) -> Response {
    let snapshot = gateway.0.catalog.snapshot();
    api::success(&headers, Vec::new(), move |out| {
        let times = snapshot.times();
        let (open_shards, footer_bytes) = snapshot.opened();
        let gaps = gaps(snapshot.sets())
            .into_iter()
            .map(|gap| json!({ "labels": object(gap.labels), "minTime": gap.times.0, "maxTime": gap.times.1 }));
        let value = json!({
            "ready": snapshot.is_ready(), "minTime": times.map(|times| times.0), "maxTime": times.map(|times| times.1),
            "openShards": open_shards, "footerBytes": footer_bytes,
            "elsewhere": snapshot.elsewhere().map(|times| json!({ "minTime": times.0, "maxTime": times.1 })),
            "blocks": snapshot.sets().map(|set| block(set, snapshot.is_elsewhere(set))).collect::<Vec<_>>(), "gaps": gaps.collect::<Vec<_>>(),
        });
        serde_json::to_writer(out, &value).map_err(std::io::Error::from)
    })
}

fn block(set: &SetInfo, is_elsewhere: bool) -> Value {
    let state = match &set.state {
        _ if is_elsewhere => "filtered",
        SetState::Open => "queried",
        SetState::Failed(_) => "failed",
        SetState::Unmarked => "unmarked",
        SetState::Deleted => "deleted",
        SetState::Unconverted => "unconverted",
        _ => "unknown",
    };
    let mut value = json!({
        "name": set.name, "state": state, "minTime": set.times.map(|times| times.0), "maxTime": set.times.map(|times| times.1),
        "shards": set.shards, "series": set.rows, "bytes": set.bytes, "labels": object(&set.external_labels),
    });
    if let SetState::Failed(error) = &set.state {
        value["error"] = chain(error).into();
    }
    value
}

fn object(labels: &Labels) -> Map<String, Value> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// A time that is missing.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Gap<'a> {
    labels: &'a Labels,
    times: (TimestampMs, TimestampMs),
}

fn gaps<'a>(sets: impl Iterator<Item = &'a SetInfo>) -> Vec<Gap<'a>> {
    let mut covered: BTreeMap<&Labels, Vec<(TimestampMs, TimestampMs)>> = BTreeMap::new();
    for set in sets.filter(|set| matches!(set.state, SetState::Open)) {
        if let Some(times) = set.times {
            covered.entry(&set.external_labels).or_default().push(times);
        }
    }
    let mut gaps = Vec::new();
    for (labels, mut times) in covered {
        times.sort_unstable();
        let mut end = TimestampMs::MAX;
        for (first, last) in times {
            if first.saturating_sub(end) > LEAST_GAP_MS {
                gaps.push(Gap { labels, times: (end.saturating_add(1), first.saturating_sub(1)) });
            }
            end = if end == TimestampMs::MAX { last } else { end.max(last) };
        }
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(labels: &Labels, state: SetState, first_minute: i64, last_minute: i64) -> SetInfo {
        SetInfo {
            name: "set".into(),
            state,
            shards: 1,
            rows: 1,
            bytes: 1,
            times: Some((first_minute * 60_000, last_minute * 60_000)),
            external_labels: labels.clone(),
        }
    }

    #[test]
    fn gaps_are_of_queried_blocks_with_the_same_labels() {
        let (a, b) = (Labels::from_pairs([("r", "a")]).unwrap(), Labels::from_pairs([("r", "b")]).unwrap());
        let sets = [
            set(&a, SetState::Open, 300, 360),
            set(&a, SetState::Open, 0, 120),
            // Within another.
            set(&a, SetState::Open, 10, 20),
            // Too little to be missing.
            set(&a, SetState::Open, 365, 400),
            set(&b, SetState::Open, 0, 400),
            set(&a, SetState::Deleted, 120, 300),
        ];
        let found = gaps(sets.iter());
        assert_eq!(found, [Gap { labels: &a, times: (120 * 60_000 + 1, 300 * 60_000 - 1) }]);
        assert_eq!(gaps(sets.iter().take(1)), []);
    }
}
