//! Calls of Thanos' port that mean no good: each gets a status that says why, and the next one is answered.

use std::{io::Write, net::SocketAddr, time::Duration};

use axum::http::{HeaderMap, Request};
use bytes::Bytes;
use prost::Message;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tonic::{Code, Status};

use crate::{
    grpc::{
        channel, collect, matcher,
        proto::{
            LabelValuesRequest, QueryRangeRequest, QueryRequest, SeriesRequest, ShardInfo, query_client::QueryClient,
            store_client::StoreClient,
        },
    },
    served::{START, STEP, Served},
};

const SERIES: &str = "/thanos.Store/Series";

pub(crate) async fn still_serves(served: &Served) {
    let values = LabelValuesRequest { label: "job".into(), end: i64::MAX, ..LabelValuesRequest::default() };
    let answer = StoreClient::new(channel(served).await).label_values(values).await.unwrap();
    assert_eq!(answer.into_inner().values, ["api", "web"]);
}

/// Sends bytes as the body of a call and gives its status; without one, that of HTTP.
pub(crate) async fn call(
    address: SocketAddr,
    path: &str,
    headers: &[(&'static str, &str)],
    body: &[u8],
) -> Result<Status, u16> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut request = Request::post(format!("http://{address}{path}")).header("te", "trailers");
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/grpc");
    }
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let exchange = async {
        let (response, mut sending) = client.ready().await?.send_request(request.body(()).unwrap(), false)?;
        // The answer may come before everything is sent.
        let _ = sending.send_data(Bytes::copy_from_slice(body), true);
        let response = response.await?;
        let (head, mut body) = response.into_parts();
        while let Some(data) = body.data().await {
            let data = data?;
            let _ = body.flow_control().release_capacity(data.len());
        }
        let trailers = body.trailers().await?.unwrap_or_default();
        Ok::<_, h2::Error>((head.status.as_u16(), head.headers, trailers))
    };
    let answer = tokio::time::timeout(Duration::from_secs(20), exchange).await.expect("an answer in time");
    let (http, head, trailers) = answer.unwrap();
    connection.abort();
    let of = |headers: &HeaderMap| Status::from_header_map(headers);
    of(&head).or_else(|| of(&trailers)).ok_or(http)
}

pub(crate) fn message(compressed: u8, data: &[u8]) -> Vec<u8> {
    [&[compressed][..], &(data.len() as u32).to_be_bytes(), data].concat()
}

fn snappy(data: &[u8]) -> Vec<u8> {
    let mut writer = snap::write::FrameEncoder::new(Vec::new());
    writer.write_all(data).unwrap();
    writer.into_inner().unwrap()
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(data).unwrap();
    writer.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn frames() {
    let served = Served::known().await;
    let good = SeriesRequest { max_time: i64::MAX, matchers: vec![matcher(2, "job", ".+")], ..Default::default() };
    let good = good.encode_to_vec();
    let bomb = vec![0; 64 << 20];
    let none: &[(&str, &str)] = &[];
    let (by_snappy, by_gzip) = (&[("grpc-encoding", "snappy")][..], &[("grpc-encoding", "gzip")][..]);
    for (what, headers, body, code) in [
        ("a good one", none, message(0, &good), Code::Ok),
        ("snappy", by_snappy, message(1, &snappy(&good)), Code::Ok),
        ("gzip", by_gzip, message(1, &gzip(&good)), Code::Ok),
        ("a plain one in spite of the encoding", by_gzip, message(0, &good), Code::Ok),
        ("an end in the midst", none, message(0, &good)[..9].to_vec(), Code::InvalidArgument),
        ("an end in the head", none, vec![0, 0, 0], Code::InvalidArgument),
        ("more than there is", none, vec![0, 0, 0, 0, 200, 1], Code::InvalidArgument),
        ("4 GiB", none, vec![0, 0xff, 0xff, 0xff, 0xff, 1], Code::ResourceExhausted),
        ("4 GiB compressed", by_snappy, vec![1, 0xff, 0xff, 0xff, 0xff, 1], Code::ResourceExhausted),
        ("17 MiB", none, message(0, &bomb[..17 << 20]), Code::ResourceExhausted),
        ("a bomb of snappy", by_snappy, message(1, &snappy(&bomb)), Code::ResourceExhausted),
        ("a bomb of gzip", by_gzip, message(1, &gzip(&bomb)), Code::ResourceExhausted),
        ("no snappy", by_snappy, message(1, &good), Code::InvalidArgument),
        ("half a snappy", by_snappy, message(1, &snappy(&good)[..20]), Code::InvalidArgument),
        ("no gzip", by_gzip, message(1, b"\x1f\x8b\x08 nothing"), Code::InvalidArgument),
        ("compressed by nothing", none, message(1, &good), Code::Internal),
        ("no flag", none, message(7, &good), Code::InvalidArgument),
        ("an encoding nobody knows", &[("grpc-encoding", "zstd")], message(1, &good), Code::Unimplemented),
        ("no protobuf", none, message(0, &[0xff; 100]), Code::Internal),
        ("a string that is no text", none, message(0, b"\x1a\x04\x12\x02\xff\xfe"), Code::Internal),
        ("no message", none, vec![], Code::Internal),
    ] {
        let status = call(served.thanos, SERIES, headers, &body).await.unwrap();
        assert_eq!(status.code(), code, "{what}: {status}");
        assert_eq!(status.message().is_empty(), code == Code::Ok, "{what}: {status}");
    }
    for path in ["/thanos.Store/Nothing", "/nothing", "/", "/thanos.Store/Series/", "/-/ready"] {
        let status = call(served.thanos, path, none, &message(0, &good)).await.unwrap();
        assert_eq!(status.code(), Code::Unimplemented, "{path}");
    }
    for kind in ["text/plain", "application/json", ""] {
        let refused = call(served.thanos, SERIES, &[("content-type", kind)], &message(0, &good)).await;
        assert_eq!(refused.unwrap_err(), 415, "{kind}");
    }
    still_serves(&served).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_and_matchers() {
    let served = Served::known().await;
    let mut store = StoreClient::new(channel(&served).await);
    let good = SeriesRequest { min_time: START, max_time: START + STEP, ..Default::default() };
    let with = |matcher| SeriesRequest { matchers: vec![matcher], ..good.clone() };
    let shard = |shard_index, total_shards| SeriesRequest {
        shard_info: Some(ShardInfo { shard_index, total_shards, by: true, labels: vec!["job".into()] }),
        ..good.clone()
    };
    for (request, found) in [
        (good.clone(), Ok(6)),
        (SeriesRequest { min_time: 5, max_time: 4, ..good.clone() }, Ok(0)),
        (SeriesRequest { min_time: i64::MAX, max_time: i64::MIN, ..good.clone() }, Ok(0)),
        (SeriesRequest { min_time: i64::MIN, max_time: i64::MAX, ..good.clone() }, Ok(6)),
        (SeriesRequest { min_time: i64::MAX, max_time: i64::MAX, ..good.clone() }, Ok(0)),
        (SeriesRequest { limit: -1, response_batch_size: i64::MIN, step: -1, range: i64::MIN, ..good.clone() }, Ok(6)),
        (SeriesRequest { limit: i64::MAX, response_batch_size: i64::MAX, skip_chunks: true, ..good.clone() }, Ok(6)),
        (SeriesRequest { without_replica_labels: vec!["".into(), "__name__".into()], ..good.clone() }, Ok(6)),
        (SeriesRequest { partial_response_strategy: 77, aggregates: vec![99], ..good.clone() }, Ok(6)),
        (shard(-1, 3), Ok(0)),
        (shard(7, 3), Ok(0)),
        (shard(0, -3), Ok(6)),
        (shard(0, i64::MAX), Ok(0)),
        (with(matcher(9, "job", "api")), Err(Code::InvalidArgument)),
        (with(matcher(-1, "job", "api")), Err(Code::InvalidArgument)),
        (with(matcher(2, "job", "(")), Err(Code::InvalidArgument)),
        (with(matcher(3, "job", "[[:nothing:]]")), Err(Code::InvalidArgument)),
        (with(matcher(2, "job", "a{1000}{1000}{1000}")), Err(Code::InvalidArgument)),
        (with(matcher(2, "job", &"(a|b)*".repeat(100_000))), Err(Code::InvalidArgument)),
        (with(matcher(0, "", "")), Ok(6)),
        (with(matcher(0, &"n".repeat(1 << 20), &"v".repeat(1 << 20))), Ok(0)),
        (SeriesRequest { matchers: vec![matcher(1, "job", "x"); 50_000], ..good.clone() }, Ok(6)),
    ] {
        let what = format!("{request:?}").chars().take(300).collect::<String>();
        let answer = tokio::time::timeout(Duration::from_secs(20), store.series(request)).await.expect("in time");
        match (answer, found) {
            (Ok(answer), Ok(found)) => assert_eq!(collect(answer.into_inner()).await.0.len(), found, "{what}"),
            (Err(status), Err(code)) => assert_eq!(status.code(), code, "{what}: {status}"),
            (answer, _) => panic!("{what}: {:?}", answer.map(|_| ())),
        }
    }

    let mut queries = QueryClient::new(channel(&served).await);
    let query = QueryRequest { query: "requests_total".into(), time_seconds: START / 1000, ..Default::default() };
    for (request, code) in [
        (QueryRequest { time_seconds: i64::MAX, ..query.clone() }, Code::Ok),
        (QueryRequest { time_seconds: i64::MIN, ..query.clone() }, Code::Ok),
        (QueryRequest { timeout_seconds: i64::MIN, lookback_delta_seconds: i64::MIN, ..query.clone() }, Code::Ok),
        (QueryRequest { timeout_seconds: i64::MAX, lookback_delta_seconds: i64::MAX, ..query.clone() }, Code::Ok),
        (QueryRequest { query: String::new(), ..query.clone() }, Code::InvalidArgument),
        (QueryRequest { query: "-".repeat(400_000), ..query.clone() }, Code::ResourceExhausted),
        (QueryRequest { query: "(".repeat(400_000), ..query.clone() }, Code::ResourceExhausted),
        (QueryRequest { query: "(".repeat(100), ..query.clone() }, Code::InvalidArgument),
    ] {
        let what = format!("{request:?}").chars().take(300).collect::<String>();
        let answer = tokio::time::timeout(Duration::from_secs(20), queries.query(request)).await.expect("in time");
        assert_eq!(answer.map_or_else(|status| status.code(), |_| Code::Ok), code, "{what}");
    }
    let range = QueryRangeRequest {
        query: "requests_total".into(),
        start_time_seconds: START / 1000,
        end_time_seconds: START / 1000 + 60,
        interval_seconds: 15,
        ..Default::default()
    };
    for (request, codes) in [
        (range.clone(), &[Code::Ok][..]),
        (QueryRangeRequest { interval_seconds: i64::MAX, ..range.clone() }, &[Code::Ok]),
        (QueryRangeRequest { interval_seconds: 0, ..range.clone() }, &[Code::InvalidArgument]),
        (QueryRangeRequest { interval_seconds: i64::MIN, ..range.clone() }, &[Code::InvalidArgument]),
        (QueryRangeRequest { end_time_seconds: 0, ..range.clone() }, &[Code::InvalidArgument]),
        (
            QueryRangeRequest {
                start_time_seconds: i64::MIN,
                end_time_seconds: i64::MAX,
                interval_seconds: 1,
                ..range
            },
            &[Code::InvalidArgument, Code::ResourceExhausted],
        ),
    ] {
        let what = format!("{request:?}");
        let answer =
            tokio::time::timeout(Duration::from_secs(20), queries.query_range(request)).await.expect("in time");
        let code = answer.map_or_else(|status| status.code(), |_| Code::Ok);
        assert!(codes.contains(&code), "{what}: {code:?}");
    }
    still_serves(&served).await;
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame of HTTP/2, whatever its length says.
fn frame(length: u32, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    [&length.to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn connections() {
    let served = Served::known().await;
    let settings = frame(0, 4, 0, 0, &[]);
    let after_settings = |frames: &[u8]| [PREFACE, &settings, frames].concat();
    for (what, bytes) in [
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("HTTP/1.1", b"GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n".to_vec()),
        ("zeros", vec![0; 4096]),
        ("noise after the preface", [PREFACE, &[0xa5; 4096]].concat()),
        ("a frame of 16 MiB", after_settings(&frame(0xff_ffff, 0, 0, 1, &[0; 100]))),
        ("data of no stream", after_settings(&frame(3, 0, 0, 99, b"abc"))),
        ("headers that are no HPACK", after_settings(&frame(4, 1, 4, 1, &[0xff; 4]))),
        ("settings that there are not", after_settings(&frame(5, 4, 0, 0, &[1; 5]))),
        ("a window that overflows", after_settings(&frame(4, 8, 0, 0, &[0x7f, 0xff, 0xff, 0xff]).repeat(3))),
        (
            "headers without end",
            after_settings(&[frame(1, 1, 0, 1, &[0x82]), frame(1000, 9, 0, 1, &[0x82; 1000]).repeat(2000)].concat()),
        ),
        ("pings without end", after_settings(&frame(8, 6, 0, 0, &[1; 8]).repeat(20_000))),
    ] {
        let mut stream = TcpStream::connect(served.thanos).await.unwrap();
        // The server may close before it has read everything.
        let written = tokio::time::timeout(Duration::from_secs(10), stream.write_all(&bytes)).await;
        assert!(written.is_ok() || what.contains("without end"), "{what}");
        still_serves(&served).await;
    }
    // Calls that are opened and given up at once, and connections that say nothing.
    let stream = TcpStream::connect(served.thanos).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..2000 {
        let Ok(ready) = client.ready().await else { break };
        client = ready;
        let request = Request::post(format!("http://{}{SERIES}", served.thanos));
        let request = request.header("content-type", "application/grpc").body(()).unwrap();
        let Ok((_, mut sending)) = client.send_request(request, false) else { break };
        sending.send_reset(h2::Reason::CANCEL);
    }
    let mut idle = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(served.thanos).await.unwrap();
        stream.write_all(&PREFACE[..10]).await.unwrap();
        idle.push(stream);
    }
    still_serves(&served).await;
}
