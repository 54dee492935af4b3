//! What each endpoint answers.

use std::io::Read;

use pprof::protos::Message as _;
use serde_json::{Value, json};

use crate::{
    client::{get, get_with, post_form, raw},
    served::{START, STEP, Served, at},
};

const API: &str = "/api/v1";

async fn query(served: &Served, query: &str, i: i64) -> Value {
    get(served.api, &format!("{API}/query"), &[("query", query), ("time", &at(i))]).await.data()
}

#[tokio::test(flavor = "multi_thread")]
async fn instant_queries() {
    let served = Served::known().await;
    let t = |i: i64| (START + i * STEP) / 1000;
    assert_eq!(query(&served, "1 + 1", 3).await, json!({"resultType": "scalar", "result": [t(3), "2"]}));
    assert_eq!(query(&served, "'text <&>'", 3).await, json!({"resultType": "string", "result": [t(3), "text <&>"]}));
    assert_eq!(
        query(&served, "sum by (job) (requests_total)", 10).await,
        json!({"resultType": "vector", "result": [
            {"metric": {"job": "api"}, "value": [t(10), "30"]},
            {"metric": {"job": "web"}, "value": [t(10), "100"]},
        ]})
    );
    assert_eq!(
        query(&served, "temperature", 1).await["result"],
        json!([{"metric": {"__name__": "temperature", "room": "kitchen \"<1>\"\n"}, "value": [t(1), "20.125"]}])
    );
    assert_eq!(
        query(&served, "latency", 1).await["result"],
        json!([{"metric": {"__name__": "latency", "job": "api"}, "histogram": [t(1), {"count": "6", "sum": "20", "buckets": [
            [3, "-0.001", "0.001", "2"], [0, "0.5", "1", "2"], [0, "1", "2", "2"],
        ]}]}])
    );
    assert_eq!(
        query(&served, r#"{"http.requests", "größe"="klein"}"#, 1).await["result"][0]["metric"],
        json!({"__name__": "http.requests", "http.status": "200", "größe": "klein"})
    );
    // Nothing there, and a range.
    assert_eq!(query(&served, "nothing", 1).await, json!({"resultType": "vector", "result": []}));
    assert_eq!(
        query(&served, "requests_total{instance='a'}[30s]", 2).await["result"][0]["values"],
        json!([[t(1), "1"], [t(2), "2"]])
    );
    // Times have as many digits as they need.
    for (query, text) in
        [("1e30", "[1700000000.5,\"1000000000000000000000000000000\"]"), ("vector(1e30)", "[1700000000.500,\"1e+30\"]")]
    {
        let answer = get(served.api, "/api/v1/query", &[("query", query), ("time", "1700000000.5")]).await;
        assert!(answer.text().contains(text), "{}", answer.text());
    }
    let answer = get(served.api, "/api/v1/query", &[("query", "time()"), ("time", "2023-11-14T22:13:20Z")]).await;
    assert_eq!(answer.data()["result"][1], "1700000000");
}

#[tokio::test(flavor = "multi_thread")]
async fn range_queries() {
    let served = Served::known().await;
    let ask = async |pairs: &[(&str, &str)]| {
        let range = [("start", &*at(20)), ("end", &*at(24)), ("step", "30")];
        get(served.api, "/api/v1/query_range", &[&range, pairs].concat()).await
    };
    let t = |i: i64| (START + i * STEP) / 1000;
    let data = ask(&[("query", "requests_total{job='web'} / 10")]).await.data();
    assert_eq!(
        data,
        json!({"resultType": "matrix", "result": [
            {"metric": {"instance": "c", "job": "web"}, "values": [[t(20), "20"], [t(22), "22"], [t(24), "24"]]},
        ]})
    );
    let data = ask(&[("query", "rate(requests_total{instance='a'}[1m])")]).await.data();
    let rate: f64 = data["result"][0]["values"][0][1].as_str().unwrap().parse().unwrap();
    assert!((rate - 1.0 / 15.0).abs() < 1e-12, "{rate}");
    let data = ask(&[("query", "latency")]).await.data();
    assert_eq!(data["result"][0]["histograms"][2][1]["count"], "75");
    // A POST may say the same, in both places.
    let pairs = [("query", "sum(requests_total)"), ("start", &at(1)), ("end", &at(1)), ("step", "15s")];
    let posted = post_form(served.api, "/api/v1/query_range?query=wrong(", &pairs).await.data();
    assert_eq!(posted["result"][0]["values"], json!([[t(1), "13"]]));
    // Warnings, infos, limits, stats.
    let answer = ask(&[("query", "requests_total"), ("limit", "2")]).await.json();
    assert_eq!(answer["data"]["result"].as_array().unwrap().len(), 2);
    assert_eq!(answer["warnings"], json!(["results truncated due to limit"]));
    let answer = ask(&[("query", "rate(temperature[5m])")]).await.json();
    assert!(answer["infos"][0].as_str().unwrap().contains("metric might not be a counter"), "{answer}");
    let answer = ask(&[("query", "requests_total"), ("stats", "all")]).await.json();
    let samples = &answer["data"]["stats"]["samples"];
    assert_eq!(samples["totalQueryableSamples"], 9);
    assert_eq!(samples["totalQueryableSamplesPerStep"], json!([[t(20), 3], [t(22), 3], [t(24), 3]]));
    assert!(answer["data"]["stats"]["timings"]["execTotalTime"].as_f64().unwrap() > 0.0);
    let answer = ask(&[("query", "1"), ("stats", "maybe")]).await.json();
    assert!(answer["warnings"][0].as_str().unwrap().starts_with("value \"maybe\" for parameter \"stats\""), "{answer}");
    // How long a sample counts.
    let late = (START + 240 * STEP + 200_000) / 1000;
    for (lookback, found) in [("", 3), ("1m", 0), ("10m", 3)] {
        let pairs = [("query", "requests_total"), ("time", &*late.to_string()), ("lookback_delta", lookback)];
        let data = get(served.api, "/api/v1/query", &pairs).await.data();
        assert_eq!(data["result"].as_array().unwrap().len(), found, "{lookback}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn series_and_labels() {
    let served = Served::known().await;
    let series = async |pairs: &[(&str, &str)]| get(served.api, "/api/v1/series", pairs).await;
    assert_eq!(
        series(&[("match[]", "requests_total{job='api'}"), ("match[]", "{job=~'.*eb'}")]).await.data(),
        json!([
            {"__name__": "requests_total", "instance": "a", "job": "api"},
            {"__name__": "requests_total", "instance": "b", "job": "api"},
            {"__name__": "requests_total", "instance": "c", "job": "web"},
        ])
    );
    let answer = series(&[("match[]", "{job!=''}"), ("limit", "2")]).await.json();
    assert_eq!(answer["data"].as_array().unwrap().len(), 2);
    assert_eq!(answer["warnings"], json!(["results truncated due to limit"]));
    let answer = series(&[("match[]", "{job='web'}"), ("limit", "1")]).await.json();
    assert_eq!(answer.get("warnings"), None);
    let early = [("match[]", "{job!=''}"), ("start", "0"), ("end", "1000")];
    assert_eq!(series(&early).await.data(), json!([]));
    assert_eq!(series(&[("match[]", "up"), ("start", "5"), ("end", "1")]).await.data(), json!([]));

    let labels = async |pairs: &[(&str, &str)]| get(served.api, "/api/v1/labels", pairs).await;
    let all = json!(["__name__", "größe", "http.status", "instance", "job", "room"]);
    assert_eq!(labels(&[]).await.data(), all);
    assert_eq!(
        labels(&[("match[]", "latency"), ("match[]", "temperature")]).await.data(),
        json!(["__name__", "job", "room"])
    );
    let answer = labels(&[("limit", "1")]).await.json();
    assert_eq!(
        answer,
        json!({"status": "success", "data": ["__name__"], "warnings": ["results truncated due to limit"]})
    );
    assert_eq!(post_form(served.api, "/api/v1/labels", &[]).await.data(), all);

    let values = async |name: &str, pairs: &[(&str, &str)]| {
        get(served.api, &format!("/api/v1/label/{name}/values"), pairs).await
    };
    assert_eq!(values("job", &[]).await.data(), json!(["api", "web"]));
    assert_eq!(values("instance", &[("match[]", "{job='api'}")]).await.data(), json!(["a", "b"]));
    assert_eq!(values("U__http_2e_status", &[]).await.data(), json!(["200"]));
    assert_eq!(values("http.status", &[]).await.data(), json!(["200"]));
    assert_eq!(values("gr%C3%B6%C3%9Fe", &[]).await.data(), json!(["klein"]));
    assert_eq!(values("nothing", &[]).await.data(), json!([]));
    assert_eq!(values("job", &[("start", "0"), ("end", "1")]).await.data(), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_no_series() {
    let served = Served::known().await;
    let data =
        async |path: &str, pairs: &[(&str, &str)]| get(served.api, &format!("/api/v1/{path}"), pairs).await.data();
    assert_eq!(data("format_query", &[("query", "sum by(a)(b)")]).await, "sum by (a) (b)");
    assert_eq!(data("parse_query", &[("query", "a")]).await["type"], "vectorSelector");
    assert_eq!(data("query_exemplars", &[("query", "a")]).await, json!([]));
    assert_eq!(data("metadata", &[]).await, json!({}));
    assert_eq!(data("rules", &[]).await, json!({"groups": []}));
    assert_eq!(data("status/buildinfo", &[]).await["version"], "3.15.0");
    assert_eq!(data("status/flags", &[]).await, json!({}));
    let tsdb = data("status/tsdb", &[]).await;
    assert_eq!(tsdb["headStats"]["numSeries"], 6);
    assert_eq!(tsdb["headStats"]["minTime"], START);
    assert_eq!(tsdb["headStats"]["numLabelPairs"], 12);
    assert_eq!(tsdb["seriesCountByMetricName"][0], json!({"name": "requests_total", "value": 3}));
    assert_eq!(tsdb["labelValueCountByLabelName"][0], json!({"name": "__name__", "value": 4}));
    assert_eq!(tsdb["memoryInBytesByLabelName"][1], json!({"name": "room", "value": 14}));
    assert_eq!(tsdb["seriesCountByLabelValuePair"][1], json!({"name": "job=api", "value": 3}));
    let tsdb = data("status/tsdb", &[("limit", "2")]).await;
    assert_eq!(tsdb["seriesCountByLabelValuePair"].as_array().unwrap().len(), 2);
    assert!(data("status/runtimeinfo", &[]).await["startTime"].as_str().unwrap().starts_with("20"));

    let page = get(served.internal, "/", &[]).await;
    assert!(page.text().contains("00000000000000000000000001") && page.text().contains("queried"), "{}", page.text());
    for address in [served.api, served.internal] {
        assert_eq!(get(address, "/-/ready", &[]).await.status, 200);
        assert_eq!(get(address, "/-/healthy", &[]).await.status, 200);
    }
    let metrics = get(served.internal, "/metrics", &[]).await.text();
    for line in [
        "http_requests_total{code=\"200\",method=\"GET\",path=\"/format_query\"} 1\n",
        "locate_shard_sets{state=\"open\"} 1\n",
        "locate_sync_min_time_unix_seconds{what=\"syncer\"} 1700000000000\n",
        "queries_running{what=\"http\"} 0\n",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers() {
    let served = Served::known().await;
    let pairs = [("query", "requests_total")];
    let path = "/api/v1/query";
    let plain = get(served.api, path, &pairs).await;
    assert_eq!(plain.header("content-type"), Some("application/json"));
    assert_eq!(plain.header("content-encoding"), None);
    for (accepted, encoding) in [("gzip", "gzip"), ("gzip, zstd", "zstd")] {
        let at = [("query", "sum(requests_total)"), ("time", "1700000015")];
        let answer = get_with(served.api, path, &at, &format!("Accept-Encoding: {accepted}\r\n")).await;
        assert_eq!(answer.header("content-encoding"), Some(encoding));
        let mut text = String::new();
        match encoding {
            "gzip" => drop(flate2::read::GzDecoder::new(&*answer.body).read_to_string(&mut text).unwrap()),
            _ => text = String::from_utf8(zstd::decode_all(&*answer.body).unwrap()).unwrap(),
        }
        assert!(text.contains("\"13\""), "{text}");
    }
    let cors = get_with(served.api, path, &[("query", "sum(")], "Origin: https://grafana.test\r\n").await;
    assert_eq!(cors.status, 400);
    assert_eq!(cors.header("access-control-allow-origin"), Some("*"));
    assert_eq!(cors.header("content-type"), Some("application/json"));
    let options =
        raw(served.api, b"OPTIONS /api/v1/query HTTP/1.1\r\nHost: t\r\nOrigin: x\r\nConnection: close\r\n\r\n").await;
    assert_eq!((options.status, options.header("access-control-allow-methods")), (204, Some("GET, POST, OPTIONS")));
    let head = raw(served.api, b"HEAD /-/healthy HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles() {
    let served = Served::known().await;
    let path = "/debug/pprof/profile";
    for seconds in ["0", "-1", "301", "x", "99999999999999999999"] {
        assert_eq!(get(served.internal, path, &[("seconds", seconds)]).await.status, 400);
    }
    let busy = std::thread::spawn(|| {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(2);
        let mut sum = 0_u64;
        while std::time::Instant::now() < end {
            sum = (0..1000).fold(sum, |sum, i| std::hint::black_box(sum.wrapping_add(i)));
        }
        sum
    });
    let (answer, other) = tokio::join!(get(served.internal, path, &[("seconds", "1")]), async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        get(served.internal, path, &[("seconds", "1")]).await
    });
    assert_eq!((answer.status, other.status), (200, 503));
    let mut profile = Vec::new();
    flate2::read::GzDecoder::new(&*answer.body).read_to_end(&mut profile).unwrap();
    let profile = pprof::protos::Profile::parse_from_bytes(&profile).unwrap();
    let kinds: Vec<_> = profile.sample_type.iter().map(|kind| &*profile.string_table[kind.unit as usize]).collect();
    assert_eq!(kinds, ["count", "nanoseconds"]);
    // Few, where the machine is busy with others.
    assert!(profile.sample.iter().any(|sample| sample.value[0] > 0), "no samples");
    assert!(profile.string_table.iter().any(|name| name.contains("endpoints::profiles")), "{:?}", profile.string_table);
    busy.join().unwrap();
}
