//! Limits that apply.

use std::{num::NonZeroU64, time::Duration};

use prometheus_promql::EngineOptions;
use promparquet_catalog::CatalogOptions;
use promparquet_gateway::GatewayOptions;
use ulid::Ulid;

use crate::{
    client::get,
    remote_read,
    served::{Served, Setup, add, at, endless, memory, series},
};

async fn served(change: impl FnOnce(&mut Setup)) -> Served {
    let bucket = memory();
    add(&bucket, &series(), Ulid(1)).await;
    add(&bucket, &series(), Ulid(2)).await;
    let mut setup = Setup { bucket: Some(bucket), ..Setup::default() };
    change(&mut setup);
    Served::start(setup).await
}

async fn error(served: &Served, query: &str) -> (u16, String, String) {
    let range = [("query", query), ("start", &*at(0)), ("end", &*at(200)), ("step", "15")];
    get(served.api, "/api/v1/query_range", &range).await.error()
}

fn query_limits(setup: &mut Setup, change: impl FnOnce(&mut promparquet_query::Limits)) {
    let mut catalog = CatalogOptions::default();
    change(&mut catalog.query.limits);
    setup.catalog = catalog;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_is_read() {
    let shards = served(|setup| query_limits(setup, |limits| limits.shards = NonZeroU64::new(1))).await;
    let (status, kind, text) = error(&shards, "requests_total").await;
    assert_eq!((status, &*kind), (422, "execution"));
    assert!(text.contains("2 shards") && text.contains("limit of 1"), "{text}");

    let rows = served(|setup| query_limits(setup, |limits| limits.rows = NonZeroU64::new(3))).await;
    assert!(error(&rows, "requests_total").await.2.contains("too many rows"));
    let bytes = served(|setup| query_limits(setup, |limits| limits.chunk_bytes = NonZeroU64::new(10))).await;
    assert!(error(&bytes, "requests_total").await.2.contains("too many chunk bytes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_is_held() {
    let samples = served(|setup| setup.engine = EngineOptions { max_samples: 100, ..EngineOptions::default() }).await;
    let (status, kind, text) = error(&samples, "requests_total").await;
    assert_eq!((status, &*kind), (422, "execution"));
    assert!(text.contains("too many samples"), "{text}");
    let memory = served(|setup| setup.engine = EngineOptions { max_memory: 1000, ..EngineOptions::default() }).await;
    assert_eq!(error(&memory, "requests_total").await.1, "execution");

    let mut options = GatewayOptions::default();
    options.max_series_bytes = 300;
    let series = served(|setup| setup.gateway = options).await;
    let (status, _, text) = get(series.api, "/api/v1/series", &[("match[]", "{job!=''}")]).await.error();
    assert_eq!(status, 422);
    assert!(text.contains("bytes of labels"), "{text}");

    let mut options = GatewayOptions::default();
    options.max_remote_read_samples = 5;
    let samples = served(|setup| setup.gateway = options).await;
    for (jobs, status) in [("web", 200), ("api|web", 422)] {
        let answer = remote_read::read(&samples, vec![remote_read::query("job", jobs, 2)], vec![0]).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_time_and_of_queries_at_a_time() {
    let mut options = GatewayOptions::default();
    options.max_timeout = Duration::from_millis(700);
    options.max_concurrent = 1;
    let served = served(|setup| setup.gateway = options).await;
    let started = std::time::Instant::now();
    // The first has its turn, the second waits for it in vain.
    let endless = endless();
    let mut pairs: Vec<_> = endless.iter().map(|(name, value)| (*name, value.as_str())).collect();
    pairs.push(("timeout", "1h"));
    let (first, second) = tokio::join!(get(served.api, "/api/v1/query_range", &pairs), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        get(served.api, "/api/v1/query", &[("query", "1"), ("timeout", "200ms")]).await
    });
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    let (status, kind, text) = first.error();
    assert_eq!((status, &*kind), (503, "timeout"));
    assert!(text.starts_with("query timed out in expression evaluation"), "{text}");
    assert_eq!(second.error(), (503, "timeout".into(), "query timed out in query queue".into()));
    // And then all is well again.
    for _ in 0..100 {
        if get(served.api, "/api/v1/query", &[("query", "1"), ("timeout", "200ms")]).await.status == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the queries' turn does not come any more");
}
