//! Times that are left to a Thanos store: it appears, moves, talks nonsense, dies.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use prometheus_model::Sample;
use prometheus_promql::{Engine, EngineOptions};
use promparquet_catalog::{Catalog, CatalogOptions};
use promparquet_gateway::{BackfillOptions, ErrorKind, Gateway, GatewayOptions, Server, ServerOptions};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{Request, Response, Status, transport::server::TcpIncoming};
use ulid::Ulid;

use crate::{
    client::get,
    grpc::{
        channel,
        proto::info::{
            InfoRequest, InfoResponse, StoreInfo,
            info_client::InfoClient,
            info_server::{Info, InfoServer},
        },
    },
    served::{START, STEP, Served, Setup, add, memory, series},
};

const HOUR: i64 = 3_600_000;
/// When the second block begins.
const SECOND: i64 = START + 2 * HOUR;
const OVERLAP: i64 = 60_000;

/// Says when its samples are; that it is no store at all if it has no times.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<Option<(i64, i64)>>>);

impl Store {
    fn set(&self, times: Option<(i64, i64)>) {
        *self.0.lock().unwrap() = times;
    }

    async fn serve(&self, address: SocketAddr) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tonic::transport::Server::builder().add_service(InfoServer::new(self.clone()));
        let serving = tokio::spawn(async move {
            serving.serve_with_incoming(TcpIncoming::from(listener)).await.unwrap();
        });
        (address, serving)
    }
}

#[tonic::async_trait]
impl Info for Store {
    async fn info(&self, _: Request<InfoRequest>) -> Result<Response<InfoResponse>, Status> {
        let times = *self.0.lock().unwrap();
        let store = times.map(|(min_time, max_time)| StoreInfo { min_time, max_time, ..StoreInfo::default() });
        Ok(Response::new(InfoResponse { store, ..InfoResponse::default() }))
    }
}

fn anywhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Two blocks of an hour each, an hour apart, of which the newer may be left to the store.
async fn served(endpoint: SocketAddr) -> Served {
    let bucket = memory();
    add(&bucket, &series(), Ulid(1)).await;
    let mut later = series();
    for (_, samples) in &mut later {
        samples.iter_mut().for_each(|sample: &mut Sample| sample.timestamp += SECOND - START);
    }
    add(&bucket, &later, Ulid(2)).await;
    let backfill = BackfillOptions {
        endpoint: endpoint.to_string(),
        interval: Duration::from_millis(50),
        overlap: Duration::from_millis(OVERLAP as u64),
    };
    Served::start(Setup { bucket: Some(bucket), backfill: Some(backfill), ..Setup::default() }).await
}

/// Which of the two blocks answer.
async fn answers(served: &Served) -> [bool; 2] {
    let mut found = [false; 2];
    for (found, start) in found.iter_mut().zip([START, SECOND]) {
        let time = ((start + 100 * STEP) / 1000).to_string();
        let data = get(served.api, "/api/v1/query", &[("query", "temperature"), ("time", &time)]).await.data();
        *found = !data["result"].as_array().unwrap().is_empty();
    }
    found
}

async fn wait(served: &Served, expected: [bool; 2]) {
    for _ in 0..400 {
        if answers(served).await == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("still {:?}, expected {expected:?}", answers(served).await);
}

async fn metric(served: &Served, name: &str) -> f64 {
    let text = get(served.internal, "/metrics", &[]).await.text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

/// Waits for `more` answers, or failures, from now on.
async fn refreshed(served: &Served, outcome: &str, more: f64) {
    let name = format!("locate_filter_refreshes_total{{outcome=\"{outcome}\"}}");
    let before = metric(served, &name).await;
    for _ in 0..400 {
        if metric(served, &name).await >= before + more {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("no refresh {outcome}");
}

async fn states(served: &Served) -> Vec<String> {
    let data = get(served.api, "/api/v1/status/blocks", &[]).await.data();
    data["blocks"].as_array().unwrap().iter().map(|block| block["state"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_blocks_are_left_to_the_store() {
    let store = Store::default();
    store.set(Some((SECOND - OVERLAP, i64::MAX)));
    let (address, serving) = store.serve(anywhere()).await;
    let served = served(address).await;
    // From the first question on: the store was asked before the bucket was looked through.
    assert_eq!(answers(&served).await, [true, false]);
    assert_eq!(states(&served).await, ["queried", "filtered"]);
    let data = get(served.api, "/api/v1/status/blocks", &[]).await.data();
    assert_eq!(
        (&data["elsewhere"]["minTime"], &data["gaps"]),
        (
            &SECOND.into(),
            &serde_json::json!([
                { "labels": {}, "minTime": data["blocks"][0]["maxTime"].as_i64().unwrap() + 1, "maxTime": SECOND - 1 }
            ])
        )
    );
    let page = get(served.internal, "/", &[]).await.text();
    assert!(
        page.contains("left to the Thanos store of") && page.contains("not queried: left to the Thanos store"),
        "{page}"
    );
    assert_eq!(metric(&served, "locate_shard_sets{state=\"filtered\"}").await, 1.0);
    assert_eq!(metric(&served, "locate_filter_time_milliseconds{bound=\"min\"}").await, SECOND as f64);
    assert!(metric(&served, "locate_filter_last_successful_update_time_unix_seconds").await > 1e9);
    // Whoever asks for times is not sent here for them.
    let info = InfoClient::new(channel(&served).await).info(InfoRequest {}).await.unwrap().into_inner();
    assert!(info.store.unwrap().max_time < SECOND);

    // It moves: what it no longer has all of is answered here.
    store.set(Some((SECOND - OVERLAP + 1, i64::MAX)));
    wait(&served, [true, true]).await;
    assert_eq!(states(&served).await, ["queried", "queried"]);
    store.set(Some((START - OVERLAP, i64::MAX)));
    wait(&served, [false, false]).await;
    // Without samples it has nothing.
    store.set(Some((i64::MAX, i64::MIN)));
    wait(&served, [true, true]).await;
    assert_eq!(metric(&served, "locate_shard_sets{state=\"filtered\"}").await, 0.0);

    // What it said last holds while it says that it is no store, and when it is gone.
    store.set(Some((SECOND - OVERLAP, SECOND + HOUR)));
    wait(&served, [true, false]).await;
    store.set(None);
    refreshed(&served, "failed", 2.0).await;
    assert_eq!(answers(&served).await, [true, false]);
    serving.abort();
    refreshed(&served, "failed", 3.0).await;
    assert_eq!(answers(&served).await, [true, false]);
    assert_eq!(states(&served).await, ["queried", "filtered"]);
    // It is back on its port, as another.
    store.set(Some((i64::MAX, i64::MIN)));
    let (_, _serving) = store.serve(address).await;
    wait(&served, [true, true]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_queried_until_the_store_is_heard_of() {
    let store = Store::default();
    store.set(Some((SECOND - OVERLAP, i64::MAX)));
    // A port that nobody has.
    let address = TcpListener::bind(anywhere()).await.unwrap().local_addr().unwrap();
    let served = served(address).await;
    assert_eq!(answers(&served).await, [true, true]);
    refreshed(&served, "failed", 1.0).await;
    let data = get(served.api, "/api/v1/status/blocks", &[]).await.data();
    assert!(data["elsewhere"].is_null());
    let (_, _serving) = store.serve(address).await;
    wait(&served, [true, false]).await;
}

#[tokio::test]
async fn an_endpoint_that_is_none_is_refused_at_the_start() {
    let local = anywhere();
    let mut options = ServerOptions::new(local, local);
    let second = Duration::from_secs(1);
    options.backfill = Some(BackfillOptions { endpoint: "https://store".into(), interval: second, overlap: second });
    let catalog = Arc::new(Catalog::new(memory(), CatalogOptions::default()));
    let gateway = Gateway::new(catalog, Engine::new(EngineOptions::default()).unwrap(), GatewayOptions::default());
    let error = Server::bind(gateway, options).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains("host:port, without TLS"), "{error}");
}
