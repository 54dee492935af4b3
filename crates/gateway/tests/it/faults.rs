//! Buckets that fail, are slow, or hold damage.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use object_store::{ObjectStoreExt, memory::InMemory};
use prometheus_queryable::PartialResponse;
use promparquet_catalog::CatalogOptions;
use promparquet_gateway::GatewayOptions;
use promparquet_objstore::Bucket;
use promparquet_testkit::stores::{FailingStore, Failures, Fault, Latency, LatencyStore, Operation, Rule};
use tonic::Code;
use ulid::Ulid;

use crate::{
    client::get,
    grpc::{
        channel, matcher,
        proto::{
            LabelValuesRequest, QueryRequest, SeriesRequest, query_client::QueryClient, store_client::StoreClient,
        },
    },
    served::{START, Served, Setup, add, at, series},
};

fn failing() -> (Bucket, Arc<Failures>) {
    let store = FailingStore::new(Arc::new(InMemory::new()), Failures::default());
    let failures = Arc::clone(store.tap());
    (Bucket::new(Arc::new(store), "memory://failing"), failures)
}

async fn sum(served: &Served) -> crate::client::Answer {
    get(served.api, "/api/v1/query", &[("query", "sum(requests_total)"), ("time", &at(1))]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_cannot_be_listed() {
    let (bucket, failures) = failing();
    add(&bucket, &series(), Ulid(1)).await;
    failures.set([Rule::new(Fault::Unavailable).on(Operation::List)]);
    let served = Served::start_unready(Setup { bucket: Some(bucket), ..Setup::default() }).await;
    assert_eq!(get(served.internal, "/-/ready", &[]).await.status, 503);
    assert_eq!(get(served.internal, "/-/healthy", &[]).await.status, 200);
    let (status, kind, text) = sum(&served).await.error();
    assert_eq!((status, &*kind), (503, "unavailable"), "{text}");
    failures.set([]);
    for _ in 0..200 {
        if get(served.internal, "/-/ready", &[]).await.status == 200 {
            assert_eq!(sum(&served).await.data()["result"][0]["value"][1], "13");
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_fails_while_serving() {
    let (bucket, failures) = failing();
    add(&bucket, &series(), Ulid(1)).await;
    let served = Served::start(Setup { bucket: Some(bucket), ..Setup::default() }).await;
    assert_eq!(sum(&served).await.status, 200);
    failures.set([Rule::new(Fault::Unavailable)]);
    let (status, kind, text) = sum(&served).await.error();
    assert_eq!((status, &*kind), (503, "unavailable"), "{text}");
    failures.set([Rule::new(Fault::Truncated(3)).key("chunks.parquet")]);
    let (status, _, text) = sum(&served).await.error();
    assert_eq!(status, 500, "{text}");
    assert!(text.contains("0.chunks.parquet"), "{text}");
    failures.set([]);
    assert_eq!(sum(&served).await.data()["result"][0]["value"][1], "13");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_bucket_meets_the_timeout() {
    let memory = Arc::new(InMemory::new());
    let bucket = Bucket::new(Arc::clone(&memory) as _, "memory://fast");
    add(&bucket, &series(), Ulid(1)).await;
    let slow = Bucket::new(Arc::new(LatencyStore::new(memory, Latency(Duration::from_millis(500)))), "memory://slow");
    let mut options = GatewayOptions::default();
    options.default_timeout = Duration::from_millis(100);
    let served = Served::start(Setup { bucket: Some(slow), gateway: options, ..Setup::default() }).await;
    let (status, kind, _) = sum(&served).await.error();
    assert_eq!((status, &*kind), (503, "timeout"));
    let pairs = [("query", "sum(requests_total)"), ("time", &*at(1)), ("timeout", "20s")];
    assert_eq!(get(served.api, "/api/v1/query", &pairs).await.data()["result"][0]["value"][1], "13");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_bucket_meets_the_timeouts_of_grpc() {
    let memory = Arc::new(InMemory::new());
    add(&Bucket::new(Arc::clone(&memory) as _, "memory://fast"), &series(), Ulid(1)).await;
    let slow = Bucket::new(Arc::new(LatencyStore::new(memory, Latency(Duration::from_millis(600)))), "memory://slow");
    let mut options = GatewayOptions::default();
    options.max_timeout = Duration::from_millis(100);
    let served = Served::start(Setup { bucket: Some(slow), gateway: options, ..Setup::default() }).await;
    let request = QueryRequest {
        query: "sum(requests_total)".into(),
        time_seconds: START / 1000,
        timeout_seconds: 60,
        ..QueryRequest::default()
    };
    let error = QueryClient::new(channel(&served).await).query(request).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
    let request = SeriesRequest {
        max_time: i64::MAX,
        matchers: vec![matcher(0, "__name__", "requests_total")],
        ..SeriesRequest::default()
    };
    let mut store = StoreClient::new(channel(&served).await);
    let error = store.series(request).await.unwrap().into_inner().message().await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
    let values = LabelValuesRequest { label: "job".into(), end: i64::MAX, ..LabelValuesRequest::default() };
    let error = store.label_values(values).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_fails_or_warns_and_a_lost_set_is_forgotten() {
    for warn in [false, true] {
        let memory = Arc::new(InMemory::new());
        let bucket = Bucket::new(Arc::clone(&memory) as _, "memory://test");
        add(&bucket, &series(), Ulid(1)).await;
        add(&bucket, &series(), Ulid(2)).await;
        let key = format!("{}/0.labels.parquet", Ulid(2));
        let whole = bucket.get(&key, 1 << 20).await.unwrap();
        bucket.put(&key, Bytes::from_static(b"PAR1 no longer")).await.unwrap();
        let partial_response = if warn { PartialResponse::Warn } else { PartialResponse::Fail };
        let mut catalog = CatalogOptions::default();
        catalog.partial_response = partial_response;
        let served = Served::start(Setup { bucket: Some(bucket.clone()), catalog, ..Setup::default() }).await;
        let answer = sum(&served).await;
        if warn {
            let json = answer.json();
            assert_eq!(json["data"]["result"][0]["value"][1], "13");
            let warnings = json["warnings"].to_string();
            assert!(warnings.contains("incomplete") && warnings.contains(&key), "{json}");
        } else {
            let (status, kind, text) = answer.error();
            assert_eq!((status, &*kind), (500, "internal"));
            assert!(text.contains(&key), "{text}");
        }
        for path in ["labels", "label/job/values", "series?match[]=latency"] {
            let answer = get(served.api, &format!("/api/v1/{path}"), &[]).await;
            let path_text = answer.text();
            if path.starts_with("series") {
                continue; // the client adds a second question mark
            }
            assert!(path_text.contains(&key), "{path}: {path_text}");
        }
        let page = get(served.internal, "/", &[]).await.text();
        assert!(page.contains("cannot be read") && page.contains(&key), "{page}");

        bucket.put(&key, whole).await.unwrap();
        let good = async |served: &Served| {
            let answer = sum(served).await;
            answer.status == 200 && answer.json().get("warnings").is_none()
        };
        for _ in 0..200 {
            if good(&served).await {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(good(&served).await);
        // Gone while serving: what is left answers.
        for n in [1, 2] {
            for file in ["0.labels.parquet", "0.chunks.parquet", "parquet-converter-mark.json"] {
                memory.delete(&format!("{}/{file}", Ulid(n)).into()).await.unwrap();
            }
        }
        for _ in 0..200 {
            if served.gateway.catalog().snapshot().sets().len() == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(sum(&served).await.data()["result"], serde_json::json!([]));
    }
}
