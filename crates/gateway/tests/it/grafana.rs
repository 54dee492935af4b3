//! The requests that Grafana's Prometheus data source sends (pkg/promlib, Grafana 12), byte for byte but for their times: forms
//! by POST, in the order of their names as Go encodes them, times with as many digits as they need; and by GET what it only
//! gets. Through its proxy they come with the headers of Grafana and of Go.

use serde_json::{Value, json};

use crate::{
    client::{Answer, raw},
    served::{START, STEP, Served},
};

const HEADERS: &str = "Host: gateway:9000\r\nUser-Agent: Grafana/12.3.0\r\nAccept-Encoding: identity\r\nX-Grafana-Org-Id: 1\r\n\
    X-Datasource-Uid: ab12\r\nX-Dashboard-Uid: cd34\r\nX-Panel-Id: 7\r\nX-Query-Group-Id: ef56\r\nConnection: close\r\n";

async fn post(served: &Served, path: &str, form: &str) -> Answer {
    let kind = "Content-Type: application/x-www-form-urlencoded";
    let length = form.len();
    let request = format!("POST /{path} HTTP/1.1\r\n{HEADERS}{kind}\r\nContent-Length: {length}\r\n\r\n{form}");
    raw(served.api, request.as_bytes()).await
}

async fn get(served: &Served, path: &str) -> Answer {
    raw(served.api, format!("GET /{path} HTTP/1.1\r\n{HEADERS}\r\n").as_bytes()).await
}

const FIRST: i64 = START / 1000;

fn t(i: i64) -> i64 {
    FIRST + i * STEP / 1000
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_source_is_tested() {
    let served = Served::known().await;
    // What it is: without `application` it is taken for Prometheus.
    let build = get(&served, "api/v1/status/buildinfo").await.data();
    assert!(build["version"].is_string() && build["goVersion"].is_string(), "{build}");
    // "Save & test".
    let answer = post(&served, "api/v1/query", "query=1%2B1&time=4").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.data(), json!({"resultType": "scalar", "result": [4, "2"]}));
    // Whether there is a ruler.
    assert!(get(&served, "api/v1/rules").await.data()["groups"].is_array());
}

#[tokio::test(flavor = "multi_thread")]
async fn panels() {
    let served = Served::known().await;
    let (start, end) = (t(20), t(24));
    let form = format!(
        "end={end}&query=sum+by%28job%29+%28rate%28requests_total%7Binstance%3D~%22a%7Cb%22%7D%5B1m0s%5D%29%29&start={start}&step=30&timeout=60s"
    );
    let data = post(&served, "api/v1/query_range", &form).await.data();
    assert_eq!(data["resultType"], "matrix");
    assert_eq!(data["result"][0]["metric"], json!({"job": "api"}));
    let times: Vec<_> = data["result"][0]["values"].as_array().unwrap().iter().map(|point| point[0].clone()).collect();
    assert_eq!(times, [json!(t(20)), json!(t(22)), json!(t(24))]);
    // A step below a second, and times with fractions.
    let form = format!("end={start}.5&query=temperature&start={start}&step=0.25");
    let data = post(&served, "api/v1/query_range", &form).await.data();
    assert_eq!(data["result"][0]["values"].as_array().unwrap().len(), 3);
    assert!(data["result"][0]["values"][1][0].to_string().starts_with(&format!("{start}.25")), "{data}");
    // A table or a stat, at a time with a fraction.
    let data = post(&served, "api/v1/query", &format!("query=requests_total&time={start}.123")).await.data();
    assert_eq!((data["resultType"].as_str(), data["result"].as_array().unwrap().len()), (Some("vector"), 3));
    assert_eq!(data["result"][0]["value"][0].to_string(), format!("{start}.123"));
    // A heat map of native histograms.
    let data =
        post(&served, "api/v1/query_range", &format!("end={end}&query=latency&start={start}&step=15")).await.data();
    assert!(data["result"][0]["histograms"][0][1]["buckets"].is_array(), "{data}");
    // The points on it.
    let exemplars = format!("end={end}&query=requests_total&start={start}");
    assert_eq!(post(&served, "api/v1/query_exemplars", &exemplars).await.data(), json!([]));
    // With GET as the method.
    let data =
        get(&served, &format!("api/v1/query_range?end={end}&query=temperature&start={start}&step=15")).await.data();
    assert_eq!(data["result"][0]["values"].as_array().unwrap().len(), 5);
    // What is shown beside a query that is wrong.
    let (status, kind, text) = post(&served, "api/v1/query", "query=sum%28&time=4").await.error();
    assert_eq!((status, &*kind), (400, "bad_data"));
    assert!(text.contains("parse error"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn menus_and_completion() {
    let served = Served::known().await;
    let (start, end) = (t(0), t(100));
    let metrics =
        get(&served, &format!("api/v1/label/__name__/values?start={start}&end={end}&limit=40000")).await.data();
    assert_eq!(metrics, json!(["http.requests", "latency", "requests_total", "temperature"]));
    let matched = "match%5B%5D=%7B__name__%3D%22requests_total%22%7D";
    for (instances, expected) in [("b%7Cc", json!(["api", "web"])), ("b", json!(["api"]))] {
        let matched = format!("match%5B%5D=%7B__name__%3D%22requests_total%22%2C+instance%3D~%22{instances}%22%7D");
        let jobs = get(&served, &format!("api/v1/label/job/values?{matched}&start={start}&end={end}")).await.data();
        assert_eq!(jobs, expected);
    }
    // Names that are no identifiers are escaped in paths.
    let statuses = get(&served, &format!("api/v1/label/U__http_2e_status/values?start={start}&end={end}")).await.data();
    assert_eq!(statuses, json!(["200"]));
    let names = post(&served, "api/v1/labels", &format!("{matched}&start={start}&end={end}&limit=40000")).await.data();
    assert_eq!(names, json!(["__name__", "instance", "job"]));
    let series = post(&served, "api/v1/series", &format!("{matched}&start={start}&end={end}&limit=1")).await;
    assert_eq!(series.data().as_array().map(Vec::len), Some(1));
    assert_eq!(series.json()["warnings"], json!(["results truncated due to limit"]));
    assert_eq!(get(&served, "api/v1/metadata?limit=40000").await.data(), json!({}));
    // The variable `query_result(...)`.
    let found =
        post(&served, "api/v1/query", &format!("query=count+by+%28job%29+%28requests_total%29&time={end}")).await;
    assert_eq!(found.data()["result"].as_array().map(Vec::len), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_as_go_asks() {
    let served = Served::known().await;
    let form = format!("end={}&query=temperature&start={}&step=15", t(200), t(0));
    let head = HEADERS.replace("identity", "gzip");
    let request = format!(
        "POST /api/v1/query_range HTTP/1.1\r\n{head}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let answer = raw(served.api, request.as_bytes()).await;
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*answer.body), &mut text).unwrap();
    let json: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(json["data"]["result"][0]["values"].as_array().map(Vec::len), Some(201));
}
