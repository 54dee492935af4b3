//! The page for people, as far as it can be seen without a browser.

use serde_json::json;

use crate::{
    client::{get, get_with},
    served::{START, STEP, Served, at},
};

#[tokio::test(flavor = "multi_thread")]
async fn assets_have_types_tags_and_a_policy() {
    let served = Served::known().await;
    let page = get(served.api, "/", &[]).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let page = page.text();

    // What the page and its scripts name is there, and is named relative to the page.
    let script = get(served.api, "/ui/app.js", &[]).await.text();
    let named = |text: &str, before: &str, prefix: &str| -> Vec<String> {
        let parts = text.split(before).skip(1).filter_map(|rest| rest.split(['"', '\'']).next());
        parts.map(|name| format!("{prefix}{}", name.trim_start_matches("./"))).collect()
    };
    let mut paths = vec!["/".to_owned()];
    paths.extend(named(&page, "src=\"", "/"));
    paths.extend(named(&page, "href=\"", "/"));
    paths.extend(named(&script, "from '", "/ui/"));
    assert!(paths.len() >= 9, "{paths:?}");
    for path in paths {
        let answer = get(served.api, &path, &[]).await;
        assert_eq!(answer.status, 200, "{path}");
        let kind = match path.rsplit('.').next() {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "text/html; charset=utf-8",
        };
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("cache-control"), Some("no-cache"), "{path}");
        let text = answer.text();
        assert!(!text.contains("innerHTML") && !text.contains("eval("), "{path}");
        assert!(!text.replace("http://www.w3.org/2000/svg", "").contains("://"), "{path} names another server");

        let tag = answer.header("etag").unwrap();
        for known in [tag.to_owned(), format!("\"other\", W/{tag}"), "*".to_owned()] {
            let again = get_with(served.api, &path, &[], &format!("If-None-Match: {known}\r\n")).await;
            assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
            assert_eq!(again.header("etag"), Some(tag));
        }
        assert_eq!(get_with(served.api, &path, &[], "If-None-Match: \"other\"\r\n").await.status, 200);
    }
    let functions = get(served.api, "/ui/functions.json", &[]).await;
    assert_eq!(functions.header("content-type"), Some("application/json"));
    let rate = json!({"name": "rate", "args": ["matrix"], "returns": "vector", "experimental": false});
    assert!(functions.json().as_array().unwrap().contains(&rate));
    assert_eq!(get(served.api, "/ui/../ui.rs", &[]).await.status, 404);
    // It is the page of the Prometheus port only.
    assert_eq!(get(served.internal, "/ui/app.js", &[]).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_explain_themselves_if_asked() {
    let served = Served::known().await;
    let query = "sum by (job) (rate(requests_total[5m]))";
    for (path, times) in [
        ("/api/v1/query", vec![("time", at(100))]),
        ("/api/v1/query_range", vec![("start", at(0)), ("end", at(100)), ("step", "60".to_owned())]),
    ] {
        let mut pairs = vec![("query", query)];
        pairs.extend(times.iter().map(|(name, value)| (*name, value.as_str())));
        let plain = get(served.api, path, &pairs).await.json();
        assert_eq!(plain.get("explain"), None);
        pairs.push(("explain", "1"));
        let answer = get(served.api, path, &pairs).await.json();
        assert_eq!(answer["data"], plain["data"]);
        let explain = &answer["explain"];
        assert_eq!(explain["steps"], if times.len() == 1 { 1 } else { 26 });
        assert_eq!(explain["selects"].as_array().unwrap().len(), 1);
        let root = &explain["root"];
        assert_eq!((&root["start"], &root["end"]), (&json!(0), &json!(query.len())), "{explain}");
        assert!(root["seconds"].as_f64().unwrap() > 0.0, "{explain}");
        assert_eq!(root["series"], 2);
        assert_eq!(root["children"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_listed() {
    let served = Served::known().await;
    let data = get(served.api, "/api/v1/status/blocks", &[]).await.data();
    assert_eq!((&data["ready"], &data["minTime"]), (&json!(true), &json!(START)));
    assert_eq!(data["maxTime"], START + 239 * STEP);
    assert_eq!(data["gaps"], json!([]));
    let blocks = data["blocks"].as_array().unwrap();
    assert_eq!(blocks.len(), 1);
    let block = &blocks[0];
    assert_eq!((&block["state"], &block["series"], &block["shards"]), (&json!("queried"), &json!(6), &json!(1)));
    assert_eq!((&block["labels"], block.get("error")), (&json!({}), None));
    assert!(block["bytes"].as_u64().unwrap() > 1000);
}
