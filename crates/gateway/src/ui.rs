//! A page for people on the Prometheus port: queries as tables and graphs, and the bucket's blocks on a timeline.
//!
//! Its files are part of the binary. They ask nobody but this server, by paths relative to the page's, and the policy that is
//! sent with them forbids browsers anything else.

use axum::{
    Router,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use crc_fast::{CrcAlgorithm, checksum};
use prometheus_promql::FUNCTIONS;
use serde_json::{Value, json};

use crate::gateway::Gateway;

struct Asset {
    path: &'static str,
    content_type: &'static str,
    body: &'static [u8],
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

const ASSETS: &[Asset] = &[
    Asset { path: "/", content_type: "text/html; charset=utf-8", body: include_bytes!("../ui/index.html") },
    Asset { path: "/ui/style.css", content_type: "text/css; charset=utf-8", body: include_bytes!("../ui/style.css") },
    Asset { path: "/ui/icon.svg", content_type: "image/svg+xml", body: include_bytes!("../ui/icon.svg") },
    Asset { path: "/ui/app.js", content_type: SCRIPT, body: include_bytes!("../ui/app.js") },
    Asset { path: "/ui/api.js", content_type: SCRIPT, body: include_bytes!("../ui/api.js") },
    Asset { path: "/ui/blocks.js", content_type: SCRIPT, body: include_bytes!("../ui/blocks.js") },
    Asset { path: "/ui/chart.js", content_type: SCRIPT, body: include_bytes!("../ui/chart.js") },
    Asset { path: "/ui/completion.js", content_type: SCRIPT, body: include_bytes!("../ui/completion.js") },
    Asset { path: "/ui/dom.js", content_type: SCRIPT, body: include_bytes!("../ui/dom.js") },
    Asset { path: "/ui/results.js", content_type: SCRIPT, body: include_bytes!("../ui/results.js") },
];

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

impl Gateway {
    /// The page at `/`, and what it is made of under `/ui`.
    pub fn ui(&self) -> Router {
        let functions = Router::new().route("/ui/functions.json", get(functions));
        ASSETS.iter().fold(functions, |router, asset| {
            let tag = format!("\"{:08x}\"", checksum(CrcAlgorithm::Crc32Iscsi, asset.body));
            router.route(asset.path, get(move |headers: HeaderMap| async move { respond(asset, &tag, &headers) }))
        })
    }
}

/// Browsers keep it, but ask each time whether it is still the same, so that they see a new version at once.
fn respond(asset: &'static Asset, tag: &str, headers: &HeaderMap) -> Response {
    let always: [(HeaderName, &str); 5] = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut known = known.flat_map(|value| value.split(','));
    if known.any(|known| matches!(known.trim(), "*") || known.trim().trim_start_matches("W/") == tag) {
        return (StatusCode::NOT_MODIFIED, always).into_response();
    }
    (always, [(header::CONTENT_TYPE, asset.content_type)], asset.body).into_response()
}

/// The functions of PromQL, with their signatures.
async fn functions() -> impl IntoResponse {
    let shown = FUNCTIONS.iter().map(|function| {
        let args: Vec<&str> = function.arg_types.iter().map(|kind| kind.as_str()).collect();
        let returns = function.return_type.as_str();
        json!({ "name": function.name, "args": args, "returns": returns, "experimental": function.is_experimental })
    });
    ([(header::CONTENT_TYPE, "application/json")], shown.collect::<Value>().to_string())
}
