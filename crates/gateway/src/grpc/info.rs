//! `Info`: what the gateway has.

use std::collections::BTreeMap;

use prometheus_model::{Labels, TimestampMs};
use tonic::{Request, Response, Status};

use crate::{
    gateway::Gateway,
    grpc::proto::{
        Label, LabelSet,
        info::{InfoRequest, InfoResponse, QueryApiInfo, StoreInfo, TsdbInfo, info_server::Info},
    },
};

#[derive(Debug)]
pub(crate) struct InfoService(pub(crate) Gateway);

fn label_set(labels: &Labels) -> LabelSet {
    let one = |(name, value): (&str, &str)| Label { name: name.to_owned(), value: value.to_owned() };
    LabelSet { labels: labels.iter().map(one).collect() }
}

#[tonic::async_trait]
impl Info for InfoService {
    /// One label set and range of times for each set of external labels that blocks have.
    async fn info(&self, _: Request<InfoRequest>) -> Result<Response<InfoResponse>, Status> {
        let all: BTreeMap<Labels, (TimestampMs, TimestampMs)> = self.0.0.catalog.snapshot().external_labels();
        let min_time = all.values().map(|times| times.0).min().unwrap_or(i64::MAX);
        let max_time = all.values().map(|times| times.1).max().unwrap_or(i64::MIN);
        let tsdb = |(labels, times): (&Labels, &(TimestampMs, TimestampMs))| TsdbInfo {
            labels: Some(label_set(labels)),
            min_time: times.0,
            max_time: times.1,
        };
        Ok(Response::new(InfoResponse {
            label_sets: all.keys().map(label_set).collect(),
            component_type: "query".into(),
            store: Some(StoreInfo {
                min_time,
                max_time,
                supports_sharding: true,
                supports_without_replica_labels: true,
                tsdb_infos: all.iter().map(tsdb).collect(),
                supports_projections: false,
            }),
            query: Some(QueryApiInfo {}),
        }))
    }
}
