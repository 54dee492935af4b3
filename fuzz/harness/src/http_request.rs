//! Requests to the gateway's HTTP API, over the shards of `fuzz/seeds/shard-none`.
//!
//! ```text
//! input = endpoint(u8) rest        endpoint: the low five bits which, the others how
//! rest  = a query string, a form, or the body of a remote read
//! ```
//!
//! Holds: every request has an answer that comes to its end; none is a server error other than of a query that takes too long;
//! JSON is JSON, and its status that of the answer.

use axum::{
    body::{Body, Bytes},
    http::{Method, Request, header},
};
use http_body_util::BodyExt;
use serde_json::Value;
use tower_service::Service;

use crate::gateway::{Server, server};

const ENDPOINTS: [&str; 16] = [
    "query",
    "query_range",
    "series",
    "labels",
    "label/__name__/values",
    "read",
    "format_query",
    "parse_query",
    "query_exemplars",
    "status/tsdb",
    "metadata",
    "label/%FF/values",
    "label/U__http_2e_status/values",
    "rules",
    "status/blocks",
    "nothing",
];

/// Times at which the seeds have samples, so that what is found goes through the answers.
const TIMES: &str = "start=1735689600&end=1735690200&time=1735689900&step=60&match[]=%7B__name__!=%22%22%7D&";

pub(crate) fn run(input: &[u8]) {
    let Some((&how, rest)) = input.split_first() else { return };
    let endpoint = ENDPOINTS[usize::from(how & 15)];
    let with_times = how & 16 != 0;
    let request = match (how >> 5, endpoint) {
        // As it is, or as a client compresses it.
        (packs, "read") => {
            let body = match packs & 1 {
                0 => rest.to_vec(),
                _ => snap::raw::Encoder::new().compress_vec(rest).expect("snappy of a few bytes"),
            };
            Request::post("/api/v1/read").body(Body::from(body))
        }
        (0..4, _) => {
            let form = [if with_times { TIMES.as_bytes() } else { b"" }, rest].concat();
            let kind = "application/x-www-form-urlencoded";
            Request::post(format!("/api/v1/{endpoint}")).header(header::CONTENT_TYPE, kind).body(Body::from(form))
        }
        (accepts, _) => {
            // What no line of a request can hold does not get this far.
            let query: String = rest
                .iter()
                .map(|byte| match byte {
                    b'!' | b'$'..=b'~' if !b"<>\"\\^`{|}".contains(byte) => char::from(*byte).to_string(),
                    byte => format!("%{byte:02X}"),
                })
                .collect();
            let times = if with_times { TIMES } else { "" };
            let encoding = ["", "gzip", "zstd;q=0.5, gzip;q=0.1", "*"][usize::from(accepts & 3)];
            Request::builder()
                .method(Method::GET)
                .uri(format!("/api/v1/{endpoint}?{times}{query}"))
                .header(header::ACCEPT_ENCODING, encoding)
                .body(Body::empty())
        }
    };
    let Ok(request) = request else { return };
    let Server { runtime, http, .. } = server();
    let (head, body) = runtime.block_on(async {
        let Ok(answer) = http.clone().call(request).await;
        let (head, body) = answer.into_parts();
        (head, body.collect().await.map(|body| body.to_bytes()).expect("an answer comes to its end"))
    });
    let status = head.status.as_u16();
    assert!(status < 500 || status == 503, "{status}: {}", String::from_utf8_lossy(&body));
    let is = |name, value: &str| head.headers.get(name).is_some_and(|given| given == value);
    if is(header::CONTENT_TYPE, "application/json") && !head.headers.contains_key(header::CONTENT_ENCODING) {
        check(&body, status);
    }
}

fn check(body: &Bytes, status: u16) {
    let json: Value = serde_json::from_slice(body).expect("JSON");
    let is_success = json["status"] == "success";
    assert_eq!(is_success, status == 200, "{json}");
    assert!(is_success || (json["error"].is_string() && json["errorType"].is_string()), "{json}");
}
