//! Begin and end.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use prometheus_promql::{Engine, EngineOptions};
use promparquet_catalog::{Catalog, CatalogOptions};
use promparquet_gateway::{ErrorKind, Gateway, GatewayOptions, Server, ServerOptions, ServerTls, ThanosOptions};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use ulid::Ulid;

use crate::{
    client::{get, parse, raw},
    grpc::{
        channel,
        proto::{QueryRangeRequest, query_client::QueryClient},
    },
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

fn over_grpc(asked: &[(&'static str, String); 4]) -> QueryRangeRequest {
    let seconds = |i: usize| asked[i].1.parse().unwrap();
    QueryRangeRequest {
        query: asked[0].1.clone(),
        start_time_seconds: seconds(1),
        end_time_seconds: seconds(2),
        interval_seconds: seconds(3),
        timeout_seconds: 3600,
        ..QueryRangeRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_query_under_way_may_end_or_is_broken_off_in_time() {
    for (grace, asked) in [(Duration::from_secs(20), long()), (Duration::from_millis(200), endless())] {
        let served = served(grace).await;
        let mut client = QueryClient::new(channel(&served).await);
        let query = tokio::spawn(async move {
            let mut answer = client.query_range(over_grpc(&asked)).await?.into_inner();
            let mut messages = 0;
            while answer.message().await?.is_some() {
                messages += 1;
            }
            Ok::<_, tonic::Status>(messages)
        });
        for attempt in 0.. {
            if get(served.internal, "/metrics", &[]).await.text().contains("queries_running{what=\"grpc\"} 1\n") {
                break;
            }
            assert!(attempt < 400 && !query.is_finished(), "the query never runs");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (thanos, started) = (served.thanos, Instant::now());
        served.stop().await.unwrap();
        let answer = query.await.unwrap();
        if grace > Duration::from_secs(1) {
            // Three series, and statistics.
            assert_eq!(answer.unwrap(), 4);
        } else {
            assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
            let error = answer.unwrap_err();
            assert_eq!(error.code(), tonic::Code::Unavailable, "{error}");
        }
        assert!(TcpStream::connect(thanos).await.is_err());
    }
}

/// Whoever watches the health of the gRPC port is told of its end before connections are closed.
#[tokio::test(flavor = "multi_thread")]
async fn health_tells_of_the_end() {
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    let served = served(Duration::from_millis(200)).await;
    let mut client = HealthClient::new(channel(&served).await);
    let mut watched = client.watch(HealthCheckRequest { service: String::new() }).await.unwrap().into_inner();
    let (serving, not_serving) = (1, 2);
    while watched.message().await.unwrap().unwrap().status != serving {}
    let stopped = served.stop();
    assert_eq!(watched.message().await.unwrap().unwrap().status, not_serving);
    assert_eq!(watched.message().await.unwrap_err().code(), tonic::Code::Unavailable);
    stopped.await.unwrap();
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
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let thanos = |address, tls| Some(ThanosOptions { address, grace: Duration::ZERO, tls });
    let mut options = ServerOptions::new(any, any);
    options.thanos = thanos(first.thanos, None);
    let mut no_certificate = ServerOptions::new(any, any);
    let tls = ServerTls { certificate: b"no PEM".to_vec(), key: b"no key".to_vec(), client_authority: None };
    no_certificate.thanos = thanos(any, Some(tls));
    for (options, words) in [
        (ServerOptions::new(first.api, any), [first.api.to_string(), "--http.prometheus.port".into()]),
        (ServerOptions::new(any, first.internal), [first.internal.to_string(), "--http.internal.port".into()]),
        (options, [first.thanos.to_string(), "--http.thanos.port".into()]),
        (no_certificate, ["certificates of the gRPC port".into(), String::new()]),
    ] {
        let error = Server::bind(gateway.clone(), options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let text = error.to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
    assert_eq!(raw(first.api, b"GET /-/ready HTTP/1.0\r\n\r\n").await.status, 200);
}
