//! Calls of the gateway's gRPC APIs, over the shards of `fuzz/seeds/shard-none`.
//!
//! ```text
//! input  = method(u8) how(u8) rest
//! method : the low four bits which; 16: where the method is of the store, times and a matcher of the seeds come before
//! how    : the low two bits grpc-encoding (none, snappy, gzip, unknown); 4: `rest` is one message, which is framed, and
//!          compressed as the encoding says; otherwise it is the body as it is; 8: the body comes in small pieces
//! body   = (compressed(u8) length(u32, big endian) message)*
//! ```
//!
//! Holds: every call has an answer that comes to its end, with one status, which is none of a defect; messages of the answer
//! are whole and compressed as it says; only calls without error have all that they should.

use std::io::{Read, Write};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, Request, header},
};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use futures::stream;
use http_body_util::BodyExt;
use tower_service::Service;

use crate::gateway::{Server, server};

/// With whether there is exactly one message in an answer.
const METHODS: [(&str, bool); 16] = [
    ("thanos.info.Info/Info", true),
    ("thanos.Store/Series", false),
    ("thanos.Store/LabelNames", true),
    ("thanos.Store/LabelValues", true),
    ("thanos.Query/Query", false),
    ("thanos.Query/QueryRange", false),
    ("grpc.health.v1.Health/Check", true),
    ("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", false),
    ("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", false),
    ("thanos.Store/Series", false),
    ("thanos.Store/Series", false),
    ("thanos.Query/Query", false),
    ("thanos.Query/QueryRange", false),
    ("thanos.Store/Nothing", true),
    ("thanos.Query/Query", false),
    ("thanos.Query/QueryRange", false),
];

/// What the seeds have, as fields of a message: of `SeriesRequest`, `LabelNamesRequest` and `LabelValuesRequest`, in the order
/// of methods. Times are those of everything.
fn known(method: &str) -> Vec<u8> {
    let (start, matchers) = match method {
        "thanos.Store/Series" => (1, 3),
        "thanos.Store/LabelNames" => (3, 6),
        "thanos.Store/LabelValues" => (3, 7),
        _ => return Vec::new(),
    };
    // `__name__` has a value; the end is 2^49.
    let matcher = b"\x08\x02\x12\x08__name__\x1a\x02.+";
    let mut fields = vec![start << 3, 0, (start + 1) << 3, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
    fields.extend([matchers << 3 | 2, matcher.len() as u8]);
    fields.extend(matcher);
    fields
}

fn frame(compressed: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a short message");
    [&[compressed][..], &length.to_be_bytes(), message].concat()
}

fn compress(encoding: &str, message: &[u8]) -> Vec<u8> {
    match encoding {
        "snappy" => {
            let mut writer = snap::write::FrameEncoder::new(Vec::new());
            writer.write_all(message).expect("memory");
            writer.into_inner().expect("memory")
        }
        "gzip" => {
            let mut writer = GzEncoder::new(Vec::new(), Compression::fast());
            writer.write_all(message).and_then(|()| writer.finish()).expect("memory")
        }
        _ => message.to_vec(),
    }
}

pub(crate) fn run(input: &[u8]) {
    let Some((&[method, how], rest)) = input.split_first_chunk() else { return };
    let (name, is_unary) = METHODS[usize::from(method & 15)];
    let encoding = ["", "snappy", "gzip", "zstd"][usize::from(how & 3)];
    let body = if how & 4 == 0 {
        rest.to_vec()
    } else {
        let prefix = if method & 16 == 0 { Vec::new() } else { known(name) };
        let message = [&prefix, rest].concat();
        frame(u8::from(!encoding.is_empty()), &compress(encoding, &message))
    };
    let body = if how & 8 == 0 {
        Body::from(body)
    } else {
        let pieces: Vec<_> =
            body.chunks(7).map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
        Body::from_stream(stream::iter(pieces))
    };
    let mut request = Request::post(format!("http://fuzz/{name}"))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers");
    if !encoding.is_empty() {
        request = request.header("grpc-encoding", encoding);
    }
    let request = request.body(body).expect("a request");
    let Server { runtime, grpc, .. } = server();
    let (head, answer) = runtime.block_on(async {
        let Ok(answer) = grpc.clone().call(request).await;
        let (head, body) = answer.into_parts();
        (head, body.collect().await.expect("an answer comes to its end"))
    });
    assert_eq!(head.status, 200);
    let trailers = answer.trailers().cloned().unwrap_or_default();
    let status = |headers: &HeaderMap| -> Option<u8> { headers.get("grpc-status")?.to_str().ok()?.parse().ok() };
    let text = |headers: &HeaderMap| headers.get("grpc-message").map(|text| format!("{text:?}")).unwrap_or_default();
    let (code, text) = match (status(&head.headers), status(&trailers)) {
        (Some(code), None) => (code, text(&head.headers)),
        (None, Some(code)) => (code, text(&trailers)),
        statuses => panic!("statuses in head and trailers: {statuses:?}"),
    };
    // Unknown, and data loss: nobody says so. Internal is what tonic says of what is no protobuf.
    assert!(!matches!(code, 2 | 15..) && !text.contains("defect"), "{code}: {text}");
    let messages =
        messages(&answer.to_bytes(), head.headers.get("grpc-encoding").map_or("", |e| e.to_str().expect("text")));
    assert!(!is_unary || messages == usize::from(code == 0), "{messages} messages, status {code}: {text}");
}

/// How many messages a body has, which must be whole.
fn messages(mut body: &[u8], encoding: &str) -> usize {
    let mut count = 0;
    while let Some((&[compressed, a, b, c, d], rest)) = body.split_first_chunk() {
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let (message, rest) = rest.split_at_checked(length).expect("a message is whole");
        assert_eq!(compressed, u8::from(!encoding.is_empty()));
        let mut plain = Vec::new();
        let read = match encoding {
            "snappy" => snap::read::FrameDecoder::new(message).read_to_end(&mut plain),
            "gzip" => GzDecoder::new(message).read_to_end(&mut plain),
            _ => Ok(0),
        };
        read.expect("a message that can be decompressed");
        count += 1;
        body = rest;
    }
    assert!(body.is_empty(), "the head of a message is whole");
    count
}
