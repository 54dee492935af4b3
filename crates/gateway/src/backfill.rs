//! Leaves times to a Thanos store that has them, too: the filter `thanos-backfill` of thanos-parquet-gateway, whose users query the
//! newest data from Prometheus itself or a Receive, and only what these no longer have from shards.
//!
//! The store says by `Info` when its samples are, `[min, max]`. Shard sets that lie entirely within `[min + overlap, max]` are not
//! queried here, so that for the time of the overlap both answer. As long as the store was not heard of, everything is queried; after
//! that, what it said last holds while it does not answer: the store's times are its own, and whoever asks it hears of its failure.

use std::time::Duration;

use prometheus_model::TimestampMs;
use snafu::ensure;
use tonic::transport::{Channel, Endpoint};

use crate::{
    api::error::chain,
    error::{BackfillEndpoint, Error, Result},
    gateway::{Gateway, now},
    grpc::proto::info::{InfoRequest, StoreInfo, info_client::InfoClient},
};

/// Stores with many tenants have long answers.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Which Thanos store has the newest data.
#[derive(Clone, Debug)]
pub struct BackfillOptions {
    /// Where it serves `thanos.info.Info`, without TLS: `host:port`.
    pub endpoint: String,
    /// Time between questions.
    pub interval: Duration,
    /// For how long from its first sample on shards are queried, too.
    pub overlap: Duration,
}

/// Asks the store.
#[derive(Debug)]
pub(crate) struct Backfill {
    options: BackfillOptions,
    client: InfoClient<Channel>,
}

impl Backfill {
    /// Connects when it asks first.
    pub(crate) fn new(options: BackfillOptions) -> Result<Self> {
        let endpoint = &*options.endpoint;
        let address = endpoint.strip_prefix("http://").unwrap_or(endpoint);
        let has_port =
            address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        ensure!(has_port, BackfillEndpoint { endpoint, message: "expected host:port, without TLS" });
        let channel = Endpoint::from_shared(format!("http://{address}")).map_err(|error| {
            let message = format!("expected host:port: {}", chain(&error));
            Error::from(BackfillEndpoint { endpoint, message }.build())
        })?;
        // An answer that comes later than the next question is of no use.
        let timeout = options.interval.clamp(Duration::from_secs(1), Duration::from_secs(10));
        let channel = channel
            .connect_timeout(timeout)
            .timeout(timeout)
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(timeout)
            .connect_lazy();
        Ok(Self { options, client: InfoClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES) })
    }

    /// Asks once, and leaves to the store what it has. If it does not say, nothing changes.
    pub(crate) async fn refresh(&self, gateway: &Gateway) {
        let (catalog, metrics) = (&gateway.0.catalog, &gateway.0.metrics);
        let endpoint = &*self.options.endpoint;
        let before = catalog.snapshot().elsewhere();
        match self.ask().await {
            Ok(times) => {
                if times != before {
                    catalog.leave_elsewhere(times);
                    tracing::info!(
                        endpoint,
                        from = times.map(|times| times.0),
                        to = times.map(|times| times.1),
                        "shard sets within these times (in milliseconds) are left to the Thanos store"
                    );
                }
                metrics.filter_refreshed(&catalog.snapshot(), now());
            }
            Err(error) => {
                metrics.filter_failed();
                let in_force = match before {
                    Some((from, to)) => format!("shard sets from {from} to {to} ms stay left to it, as it said last"),
                    None => "all shard sets are queried".to_owned(),
                };
                tracing::warn!(endpoint, error, "the Thanos store does not say what it has: {in_force}");
            }
        }
    }

    /// Asks again and again, after the first time.
    pub(crate) async fn follow(&self, gateway: &Gateway) {
        loop {
            tokio::time::sleep(self.options.interval).await;
            self.refresh(gateway).await;
        }
    }

    async fn ask(&self) -> std::result::Result<Option<(TimestampMs, TimestampMs)>, String> {
        let answer = self.client.clone().info(InfoRequest {}).await;
        let info = answer.map_err(|status| format!("{:?}: {}", status.code(), status.message()))?.into_inner();
        let store = info.store.ok_or("it answers that it is no store")?;
        Ok(left_to(&store, self.options.overlap))
    }
}

/// The times of which sets are left to the store, both inclusive; none if it has no sample.
fn left_to(store: &StoreInfo, overlap: Duration) -> Option<(TimestampMs, TimestampMs)> {
    let overlap = TimestampMs::try_from(overlap.as_millis()).unwrap_or(TimestampMs::MAX);
    let has_samples = store.min_time <= store.max_time;
    has_samples.then(|| (store.min_time.saturating_add(overlap).min(store.max_time), store.max_time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overlap_is_answered_here() {
        let of = |min_time, max_time, overlap| {
            let store = StoreInfo { min_time, max_time, ..StoreInfo::default() };
            left_to(&store, Duration::from_millis(overlap))
        };
        assert_eq!(of(100, 200, 30), Some((130, 200)));
        assert_eq!(of(100, 200, 300), Some((200, 200)));
        assert_eq!(of(100, i64::MAX, 0), Some((100, i64::MAX)));
        assert_eq!(of(i64::MAX - 1, i64::MAX, u64::MAX), Some((i64::MAX, i64::MAX)));
        // How Thanos says that a store is empty.
        assert_eq!(of(i64::MAX, i64::MIN, 30), None);
    }

    #[tokio::test]
    async fn endpoints_are_hosts_with_ports() {
        let new = |endpoint: &str| {
            let second = Duration::from_secs(1);
            Backfill::new(BackfillOptions { endpoint: endpoint.to_owned(), interval: second, overlap: second })
        };
        for endpoint in ["localhost:10901", "http://10.0.0.1:1", "[::1]:10901"] {
            assert!(new(endpoint).is_ok(), "{endpoint}");
        }
        for endpoint in ["", "localhost", ":1", "https://store", "a b:1", "host:70000"] {
            let error = new(endpoint).unwrap_err().to_string();
            assert!(error.contains("thanos-backfill.endpoint") && error.contains("expected host:port"), "{error}");
        }
    }
}
