//! The meaning of PromQL through HTTP: Prometheus' own test scripts, loaded, converted, served and queried.
#![expect(clippy::print_stderr, reason = "says aloud what it skips")]

use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use prometheus_model::{Labels, Sample};
use prometheus_promql::{EngineOptions, InstantSeries, ParserOptions, PointValue, QueryValue, RangeSeries};
use promparquet_testkit::promqltest::{Answered, Report, Script, Target, Times, run};
use serde_json::Value;
use tokio::net::TcpStream;
use ulid::Ulid;

use crate::{
    client::encode,
    served::{SeriesList, Served, Setup, add_with, memory},
};

/// What is said of a result that JSON does not express: schema and buckets of native histograms.
const INEXPRESSIBLE: &str = "JSON does not tell the layout of histograms";

/// Evaluations that fail for a reason that `crates/testkit/tests/promqltest/expected-failures.txt` gives.
const EXPECTED: [(&str, usize); 1] = [("aggregators.test", 481)];

#[derive(Default)]
struct Http {
    series: BTreeMap<Labels, Vec<Sample>>,
    served: Option<(Served, SendRequest<Full<Bytes>>)>,
}

#[async_trait]
impl Target for Http {
    async fn load(&mut self, series: Vec<(Labels, Vec<Sample>)>) -> Result<(), String> {
        self.stop().await;
        for (labels, samples) in series {
            let all = self.series.entry(labels).or_default();
            all.extend(samples);
            // Of samples at one time the first counts.
            all.sort_by_key(|sample| sample.timestamp);
            all.dedup_by_key(|sample| sample.timestamp);
        }
        Ok(())
    }

    async fn clear(&mut self) {
        self.stop().await;
        self.series.clear();
    }

    async fn query(&mut self, query: &str, times: Times) -> Result<Answered, String> {
        if self.served.is_none() {
            self.served = Some(self.serve().await);
        }
        let connection = &mut self.served.as_mut().unwrap().1;
        let seconds = |ms: i64| format!("{}{}.{:03}", if ms < 0 { "-" } else { "" }, ms.abs() / 1000, ms.abs() % 1000);
        let (path, form) = match times {
            Times::Instant(time) => ("query", encode(&[("query", query), ("time", &seconds(time))])),
            Times::Range { start, end, step_ms } => {
                let times = [("start", &*seconds(start)), ("end", &*seconds(end)), ("step", &*seconds(step_ms))];
                ("query_range", encode(&[&[("query", query)][..], &times].concat()))
            }
        };
        let request = Request::post(format!("/api/v1/{path}"))
            .header("host", "test")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Full::from(form))
            .unwrap();
        connection.ready().await.unwrap();
        let answer = connection.send_request(request).await.unwrap();
        let json: Value = serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap();
        if json["status"] != "success" {
            return Err(json["error"].as_str().unwrap().to_owned());
        }
        let texts = |name: &str| {
            let list = json[name].as_array().into_iter().flatten();
            list.map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        Ok(Answered { value: value(&json["data"])?, warnings: texts("warnings"), infos: texts("infos") })
    }
}

impl Http {
    async fn serve(&self) -> (Served, SendRequest<Full<Bytes>>) {
        let bucket = memory();
        let filled = self.series.iter().filter(|(_, samples)| !samples.is_empty());
        let series: SeriesList = filled.map(|(labels, samples)| (labels.clone(), samples.clone())).collect();
        if !series.is_empty() {
            add_with(&bucket, &series, Ulid(1), |options| options.keep_start_timestamps = true).await;
        }
        let engine = EngineOptions {
            parser: ParserOptions::all_features(),
            delayed_name_removal: true,
            start_timestamps: true,
            ..EngineOptions::default()
        };
        // However busy the machine is, the connection lasts.
        let head_timeout = Some(Duration::from_secs(300));
        let served = Served::start(Setup { bucket: Some(bucket), engine, head_timeout, ..Setup::default() }).await;
        let stream = TcpStream::connect(served.api).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        (served, sender)
    }

    async fn stop(&mut self) {
        if let Some((served, _)) = self.served.take() {
            served.stop().await.unwrap();
        }
    }
}

fn float(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

fn millis(seconds: &Value) -> i64 {
    (seconds.as_f64().unwrap() * 1000.0).round() as i64
}

fn labels(json: &Value) -> Labels {
    let pairs = json.as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
    Labels::from_pairs(pairs).unwrap()
}

/// The value that JSON says.
fn value(data: &Value) -> Result<QueryValue, String> {
    let result = &data["result"];
    let point = |pair: &Value| (millis(&pair[0]), float(&pair[1]));
    Ok(match data["resultType"].as_str().unwrap() {
        "scalar" => {
            let (timestamp, value) = point(result);
            QueryValue::Scalar { timestamp, value }
        }
        "string" => QueryValue::String { timestamp: millis(&result[0]), value: result[1].as_str().unwrap().to_owned() },
        "vector" => QueryValue::Vector(
            result
                .as_array()
                .unwrap()
                .iter()
                .map(|series| {
                    if series.get("histogram").is_some() {
                        return Err(INEXPRESSIBLE.to_owned());
                    }
                    let (timestamp, value) = point(&series["value"]);
                    Ok(InstantSeries { labels: labels(&series["metric"]), timestamp, value: PointValue::Float(value) })
                })
                .collect::<Result<_, _>>()?,
        ),
        _ => QueryValue::Matrix(
            result
                .as_array()
                .unwrap()
                .iter()
                .map(|series| {
                    if series.get("histograms").is_some() {
                        return Err(INEXPRESSIBLE.to_owned());
                    }
                    let floats = series["values"].as_array().unwrap().iter().map(point).collect();
                    Ok(RangeSeries { labels: labels(&series["metric"]), floats, histograms: Vec::new() })
                })
                .collect::<Result<_, _>>()?,
        ),
    })
}

fn scripts() -> Option<Vec<PathBuf>> {
    let acceptance = match (std::env::var_os("PROMPARQUET_ACCEPTANCE"), std::env::var_os("PROMPARQUET_SHARED")) {
        (Some(acceptance), _) => PathBuf::from(acceptance),
        (None, Some(shared)) => PathBuf::from(shared).join("acceptance"),
        (None, None) => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/acceptance"),
    };
    let dir = acceptance.join("promqltest");
    let Ok(files) = std::fs::read_dir(&dir) else {
        eprintln!("SKIPPED: {} does not exist", dir.display());
        return None;
    };
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "test"));
    // The longest come first, so that nobody waits for one of them in the end.
    files.sort_by_key(|file| Reverse(file.metadata().unwrap().len()));
    Some(files)
}

/// Runs scripts as long as there are any.
async fn run_all(files: Arc<Mutex<VecDeque<PathBuf>>>) -> Report {
    let mut target = Http::default();
    let mut all = Report::default();
    loop {
        let Some(file) = files.lock().unwrap().pop_front() else { break };
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let script = Script::parse(&std::fs::read_to_string(&file).unwrap()).unwrap();
        all.merge(run(&name, &script, &mut target).await);
    }
    target.clear().await;
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_scripts_pass_through_http() {
    let Some(files) = scripts() else { return };
    let files = Arc::new(Mutex::new(VecDeque::from(files)));
    let runs: Vec<_> = (0..4).map(|_| tokio::spawn(run_all(Arc::clone(&files)))).collect();
    let mut all = Report::default();
    for run in runs {
        all.merge(run.await.unwrap());
    }
    assert_eq!(all.evaluations, 2214);
    let (inexpressible, failures): (Vec<_>, Vec<_>) =
        all.failures.into_iter().partition(|failure| failure.message.contains(INEXPRESSIBLE));
    eprintln!("{} queries; {} evaluations have results that are histograms", all.queries, inexpressible.len());
    let unexpected: Vec<_> = failures
        .iter()
        .filter(|failure| !EXPECTED.contains(&(failure.script.as_str(), failure.line)))
        .map(ToString::to_string)
        .collect();
    assert!(unexpected.is_empty(), "{} failed:\n{}", unexpected.len(), unexpected.join("\n"));
    assert!(inexpressible.len() < 300, "{}", inexpressible.len());
}
