//! Begin and end.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use prometheus_promql::{Engine, EngineOptions};
use promparquet_catalog::{Catalog, CatalogOptions};
use promparquet_gateway::{ErrorKind, Gateway, GatewayOptions, Server, ServerOptions};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use ulid::Ulid;

use crate::{
    client::{get, parse, raw},
    served::{Served, Setup, add, endless, long, memory, series},
};

async fn running(served: &Served) -> bool {
    get(served.internal, "/metrics", &[]).await.text().contains("queries_running{what=\"http\"} 1\n")
}

async fn ask(served: &Served, query: [(&'static str, String); 4]) -> tokio::task::JoinHandle<Vec<u8>> {
    let api = served.api;
    let mut pairs: Vec<_> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
    pairs.push(("timeout", "1h"));
    let query = crate::client::encode(&pairs);
    let asked = tokio::spawn(async move {
        let mut stream = TcpStream::connect(api).await.unwrap();
        let request = format!("GET /api/v1/query_range?{query} HTTP/1.1\r\nHost: t\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut bytes).await;
        bytes
    });
    for _ in 0..200 {
        if running(served).await || asked.is_finished() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    asked
}

async fn served(grace: Duration) -> Served {
    let bucket = memory();
    add(&bucket, &series(), Ulid(1)).await;
    let mut options = GatewayOptions::default();
    options.max_timeout = Duration::from_secs(3600);
    Served::start(Setup { bucket: Some(bucket), gateway: options, grace: Some(grace), ..Setup::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_under_way_may_end() {
    let served = served(Duration::from_secs(20)).await;
    let asked = ask(&served, long()).await;
    let api = served.api;
    served.stop().await.unwrap();
    let answer = parse(&asked.await.unwrap());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(TcpStream::connect(api).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_comes_in_time() {
    let served = served(Duration::from_millis(200)).await;
    let asked = ask(&served, endless()).await;
    let _idle = TcpStream::connect(served.api).await.unwrap();
    let started = Instant::now();
    served.stop().await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(asked.await.unwrap().is_empty());
}

/// A client that goes away takes its query with it.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits() {
    let served = served(Duration::from_millis(200)).await;
    let asked = ask(&served, endless()).await;
    assert!(running(&served).await);
    asked.abort();
    for _ in 0..400 {
        if !running(&served).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the query goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named() {
    let first = Served::known().await;
    let catalog = Catalog::new(memory(), CatalogOptions::default());
    let engine = Engine::new(EngineOptions { threads: 1, ..EngineOptions::default() }).unwrap();
    let gateway = Gateway::new(catalog.into(), engine, GatewayOptions::default());
    let options = ServerOptions::new(first.api, SocketAddr::from(([127, 0, 0, 1], 0)));
    let error = Server::bind(gateway, options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let text = error.to_string();
    assert!(text.contains(&first.api.to_string()) && text.contains("--http.prometheus.port"), "{text}");
    assert_eq!(raw(first.api, b"GET /-/ready HTTP/1.0\r\n\r\n").await.status, 200);
}
