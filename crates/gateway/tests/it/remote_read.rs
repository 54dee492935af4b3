//! Remote read, both ways.

use prometheus_chunks::{Encoding, decode};
use prost::Message;

use crate::{
    client::{Answer, post},
    served::{START, STEP, Served},
};

/// What of Prometheus' messages these tests need, written down apart from the gateway's own.
pub(crate) mod pb {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Pair {
        #[prost(string, tag = "1")]
        pub(crate) name: String,
        #[prost(string, tag = "2")]
        pub(crate) value: String,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Matcher {
        #[prost(int32, tag = "1")]
        pub(crate) kind: i32,
        #[prost(string, tag = "2")]
        pub(crate) name: String,
        #[prost(string, tag = "3")]
        pub(crate) value: String,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Query {
        #[prost(int64, tag = "1")]
        pub(crate) start: i64,
        #[prost(int64, tag = "2")]
        pub(crate) end: i64,
        #[prost(message, repeated, tag = "3")]
        pub(crate) matchers: Vec<Matcher>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Request {
        #[prost(message, repeated, tag = "1")]
        pub(crate) queries: Vec<Query>,
        #[prost(int32, repeated, tag = "2")]
        pub(crate) accepted: Vec<i32>,
    }
    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub(crate) struct Sample {
        #[prost(double, tag = "1")]
        pub(crate) value: f64,
        #[prost(int64, tag = "2")]
        pub(crate) timestamp: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Histogram {
        #[prost(double, tag = "2")]
        pub(crate) count: f64,
        #[prost(double, tag = "3")]
        pub(crate) sum: f64,
        #[prost(int64, tag = "15")]
        pub(crate) timestamp: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Series {
        #[prost(message, repeated, tag = "1")]
        pub(crate) labels: Vec<Pair>,
        #[prost(message, repeated, tag = "2")]
        pub(crate) samples: Vec<Sample>,
        #[prost(message, repeated, tag = "4")]
        pub(crate) histograms: Vec<Histogram>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Result {
        #[prost(message, repeated, tag = "1")]
        pub(crate) series: Vec<Series>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Response {
        #[prost(message, repeated, tag = "1")]
        pub(crate) results: Vec<Result>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Chunk {
        #[prost(int64, tag = "1")]
        pub(crate) min_time: i64,
        #[prost(int64, tag = "2")]
        pub(crate) max_time: i64,
        #[prost(int32, tag = "3")]
        pub(crate) kind: i32,
        #[prost(bytes = "vec", tag = "4")]
        pub(crate) data: Vec<u8>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct ChunkedSeries {
        #[prost(message, repeated, tag = "1")]
        pub(crate) labels: Vec<Pair>,
        #[prost(message, repeated, tag = "2")]
        pub(crate) chunks: Vec<Chunk>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Frame {
        #[prost(message, repeated, tag = "1")]
        pub(crate) series: Vec<ChunkedSeries>,
        #[prost(int64, tag = "2")]
        pub(crate) query: i64,
    }
}

pub(crate) fn query(name: &str, value: &str, kind: i32) -> pb::Query {
    let matchers = vec![pb::Matcher { kind, name: name.into(), value: value.into() }];
    pb::Query { start: START + STEP, end: START + 3 * STEP, matchers }
}

pub(crate) async fn read(served: &Served, queries: Vec<pb::Query>, accepted: Vec<i32>) -> Answer {
    let bytes = pb::Request { queries, accepted }.encode_to_vec();
    let body = snap::raw::Encoder::new().compress_vec(&bytes).unwrap();
    post(served.api, "/api/v1/read", "application/x-protobuf", &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn samples() {
    let served = Served::known().await;
    let queries = vec![query("job", "api", 0), query("__name__", "nothing|temp.*", 2)];
    for accepted in [vec![], vec![0], vec![7, 0, 1]] {
        let answer = read(&served, queries.clone(), accepted).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-encoding"), Some("snappy"));
        assert_eq!(answer.header("content-type"), Some("application/x-protobuf"));
        let bytes = snap::raw::Decoder::new().decompress_vec(&answer.body).unwrap();
        let response = pb::Response::decode(&*bytes).unwrap();
        assert_eq!(response.results.len(), 2);
        let series = &response.results[0].series;
        let names: Vec<_> = series.iter().map(|one| one.labels[0].value.as_str()).collect();
        assert_eq!(names, ["latency", "requests_total", "requests_total"]);
        let histograms: Vec<_> = series[0].histograms.iter().map(|h| (h.timestamp, h.count, h.sum)).collect();
        assert_eq!(histograms[0], (START + STEP, 6.0, 20.0));
        assert_eq!((histograms.len(), series[0].samples.len()), (3, 0));
        let floats: Vec<_> = series[2].samples.iter().map(|s| (s.timestamp, s.value)).collect();
        assert_eq!(floats, [(START + STEP, 2.0), (START + 2 * STEP, 4.0), (START + 3 * STEP, 6.0)]);
        assert_eq!(response.results[1].series.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streamed_chunks() {
    let served = Served::known().await;
    let queries = vec![query("job", "api", 0), query("__name__", "nothing|temp.*", 2)];
    let answer = read(&served, queries, vec![1, 0]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse")
    );
    let mut rest = &*answer.body;
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let length = prost::decode_length_delimiter(&mut rest).unwrap();
        let (crc, after) = rest.split_at(4);
        let (message, after) = after.split_at(length);
        let computed = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, message) as u32;
        assert_eq!(u32::from_be_bytes(crc.try_into().unwrap()), computed);
        frames.push(pb::Frame::decode(message).unwrap());
        rest = after;
    }
    let found: Vec<_> =
        frames.iter().map(|f| (f.query, f.series.len(), f.series[0].labels[0].value.as_str())).collect();
    assert_eq!(found, [(0, 1, "latency"), (0, 1, "requests_total"), (0, 1, "requests_total"), (1, 1, "temperature")]);
    let chunk = &frames[1].series[0].chunks[0];
    assert_eq!((chunk.kind, chunk.min_time), (1, START));
    let mut samples = Vec::new();
    decode(Encoding::Xor, &chunk.data, &mut samples).unwrap();
    assert_eq!(samples[2].timestamp, START + 2 * STEP);
    assert!(chunk.max_time >= START + 3 * STEP);
    assert_eq!(frames[0].series[0].chunks[0].kind, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests() {
    let served = Served::known().await;
    let kind = "application/x-protobuf";
    // A body that claims to unpack to four gigabytes; no protobuf; matchers and types that there are not.
    for body in [&b"\xff\xff\xff\xff\x0f"[..], b"", b"\x04\x0c\xff\xff\xff\xff"] {
        let status = post(served.api, "/api/v1/read", kind, body).await.status;
        assert!(matches!(status, 200 | 400), "{body:?}: {status}");
    }
    assert_eq!(post(served.api, "/api/v1/read", kind, b"\xff\xff\xff\xff\x0f").await.status, 400);
    assert_eq!(read(&served, vec![query("a", "(", 2)], vec![]).await.status, 400);
    assert_eq!(read(&served, vec![query("a", "b", 9)], vec![]).await.status, 400);
    assert_eq!(read(&served, vec![], vec![9]).await.status, 400);
    assert_eq!(read(&served, vec![], vec![]).await.status, 200);
}
