//! `serve` and `quickstart` as processes: ports, queries, signals, mistakes.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use promparquet_testkit::blocks::BlockSpec;
use serde_json::Value;

use crate::program::{BINARY, run, with_shards};

/// A server that is killed if the test ends first.
struct Served {
    child: Child,
    logs: BufReader<ChildStdout>,
    api: SocketAddr,
    internal: SocketAddr,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(dir: &Path, more: &[&str]) -> Served {
    let args = ["serve", "--http.address", "127.0.0.1", "--http.thanos.port", "0"];
    let ports = ["--http.prometheus.port", "0", "--http.internal.port", "0"];
    let mut child = Command::new(BINARY)
        .args(args)
        .args(ports)
        .args(more)
        .current_dir(dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut logs = BufReader::new(child.stdout.take().unwrap());
    let log = next_log(&mut logs);
    assert_eq!(log["message"], "serving", "{log}");
    let address = |name: &str| log[name].as_str().unwrap().parse().unwrap();
    let served = Served { child, logs, api: address("prometheus"), internal: address("internal") };
    let started = Instant::now();
    while get(served.internal, "/-/ready").0 != 200 {
        assert!(started.elapsed() < Duration::from_secs(20), "not ready");
        std::thread::sleep(Duration::from_millis(20));
    }
    served
}

fn next_log(logs: &mut impl BufRead) -> Value {
    let mut line = String::new();
    logs.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

/// Status and body, of an answer that is not chunked or of chunked JSON whose chunks are small.
fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    // HTTP 1.0 knows no chunks.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: test\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    (status, text.split_once("\r\n\r\n").unwrap().1.to_owned())
}

fn json(address: SocketAddr, path: &str) -> Value {
    let (status, body) = get(address, path);
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn serves_until_it_is_told_to_stop() {
    let dir = with_shards().0;
    for (prefix, name) in [("--storage.prefix", "-TERM"), ("--parquet.storage.prefix", "-INT")] {
        let mut served = serve(dir.path(), &[prefix, "parquet", "--query.external-label", "cluster=eu"]);
        let tsdb = json(served.api, "/api/v1/status/tsdb");
        assert!(tsdb["data"]["headStats"]["numSeries"].as_u64().unwrap() >= 80, "{tsdb}");
        let end = tsdb["data"]["headStats"]["maxTime"].as_i64().unwrap() / 1000 - 60;
        let query = "count({__name__!=%22%22,cluster=%22eu%22})";
        let answer = json(served.api, &format!("/api/v1/query?query={query}&time={end}"));
        let count: f64 = answer["data"]["result"][0]["value"][1].as_str().unwrap().parse().unwrap();
        assert!(count >= 40.0, "{answer}");
        assert_eq!(json(served.api, "/api/v1/label/cluster/values")["data"], serde_json::json!(["eu"]));
        let flags = json(served.api, "/api/v1/status/flags");
        assert_eq!(flags["data"]["query.external-label"], "cluster=eu");
        assert!(get(served.internal, "/metrics").1.contains("http_requests_total"));

        signal(&served.child, name);
        let status = served.child.wait().unwrap();
        assert!(status.success(), "{status}");
        let mut rest = String::new();
        served.logs.read_to_string(&mut rest).unwrap();
        // Every line is JSON.
        let logs: Vec<Value> = rest.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(logs.last().unwrap()["message"], "stopped");
    }
}

#[test]
fn slow_queries_are_logged() {
    let dir = with_shards().0;
    let mut served = serve(dir.path(), &["--storage.prefix", "parquet", "--query.slow-log-threshold", "1ms"]);
    let query = "max_over_time((count({__name__!=%22%22}))[20m:10ms])&start=1735690000&end=1735691000&step=20s";
    assert_eq!(get(served.api, &format!("/api/v1/query_range?query={query}")).0, 200);
    let log = loop {
        let log = next_log(&mut served.logs);
        if log["message"] == "slow query" {
            break log;
        }
    };
    assert_eq!(log["level"], "WARN");
    assert!(log["query"].as_str().unwrap().starts_with("max_over_time"), "{log}");
    assert!(
        log["seconds"].as_f64().unwrap() > 0.0 && log["series_read"].is_u64() && log["explain"].is_string(),
        "{log}"
    );
}

/// Kilobytes that the process took at most.
#[cfg(target_os = "linux")]
fn peak_kilobytes(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Clients that send all that they can, many at a time.
#[cfg(target_os = "linux")]
#[test]
fn floods_take_little_memory() {
    let dir = with_shards().0;
    let served = serve(dir.path(), &["--storage.prefix", "parquet"]);
    let before = peak_kilobytes(&served.child);
    let post = "POST /api/v1/query HTTP/1.1\r\nHost: t\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    let form = format!("query={}&", "a".repeat(1 << 16));
    let query = format!("query=%7B{}b%3D%22c%22%7D", "a%3D%22b%22%2C".repeat(100_000));
    let read = "POST /api/v1/read HTTP/1.1\r\nHost: t\r\n";
    let requests = [
        // Bodies and heads without an end.
        (format!("{post}Transfer-Encoding: chunked\r\n\r\n"), format!("{:x}\r\n{form}\r\n", form.len())),
        (format!("{read}Content-Length: 99999999999\r\n\r\n"), form.clone()),
        ("GET / HTTP/1.1\r\n".to_owned(), format!("X-A: {}\r\n", "b".repeat(1 << 16))),
        // Long queries that are fine.
        (format!("{post}Content-Length: {}\r\n\r\n{query}", query.len()), String::new()),
    ];
    std::thread::scope(|scope| {
        for i in 0..32 {
            let (head, again) = &requests[i % requests.len()];
            let address = served.api;
            scope.spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
                let mut sent = stream.write_all(head.as_bytes());
                for _ in 0..1000 {
                    if again.is_empty() || sent.is_err() {
                        break;
                    }
                    sent = stream.write_all(again.as_bytes());
                }
                assert!(again.is_empty() || sent.is_err(), "sixty megabytes were taken");
                let _ = stream.read(&mut [0; 1000]);
            });
        }
    });
    let grown = peak_kilobytes(&served.child) - before;
    assert!(grown < 512 << 10, "{grown} kB");
    assert_eq!(get(served.api, "/api/v1/query?query=1").0, 200);
}

#[test]
fn mistakes_are_explained() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join(".data/x")).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let bad_yaml = ["--parquet.objstore-config", "type: S3\nconfig: {bucket: [}"];
    let secret = ["--parquet.objstore-config", "type: S3\nconfig: {bucket: b, endpoint: e, secret_keys: hush}"];
    let endpoint = ["--block.filter.thanos-backfill.endpoint", "https://store"];
    for (args, expected) in [
        (vec![], "--parquet.objstore-config"),
        (bad_yaml.to_vec(), "bucket configuration"),
        (secret.to_vec(), "secret_keys"),
        (
            vec!["--storage.prefix", "x", "--block.filter.type", "thanos-backfill"],
            "--block.filter.thanos-backfill.endpoint <HOST:PORT>",
        ),
        (
            [&["--storage.prefix", "x", "--block.filter.type", "thanos-backfill"][..], &endpoint].concat(),
            "expected host:port, without TLS",
        ),
        (
            vec!["--storage.prefix", "x", "--http.address", "127.0.0.1", "--http.prometheus.port", &port],
            "--http.prometheus.port",
        ),
        (vec!["--storage.prefix", "x", "--query.external-label", "nonsense"], "name=value"),
        (vec!["--storage.prefix", "x", "--web.cors.origin", "("], "--web.cors.origin"),
        (vec!["--storage.prefix", "x", "--query.timeout", "soon"], "--query.timeout"),
        (vec!["--storage.prefix", "x", "--web.config.file", "no.yml"], "no.yml"),
        (vec!["--storage.prefix", "x", "--tracing.exporter.type", "JAEGER"], "--tracing.jaeger.endpoint"),
        (vec!["--storage.prefix", "x", "--tracing.exporter.type", "ZIPKIN"], "JAEGER or STDOUT"),
        (vec!["--storage.prefix", "x", "--tracing.sampling.param", "2"], "--tracing.sampling.param"),
        (vec!["--storage.prefix", "x", "--logger.level", "LOUD"], "--logger.level"),
        (
            vec!["--storage.prefix", "x", "--grpc-server-tls-cert", "no.pem", "--grpc-server-tls-key", "no.key"],
            "no.pem",
        ),
        (vec!["--storage.prefix", "x", "--grpc-server-tls-cert", "no.pem"], "--grpc-server-tls-key"),
    ] {
        let mut command = vec!["serve", "--http.internal.port", "0", "--http.thanos.port", "0"];
        command.extend(&args);
        let ran = run(dir.path(), &command);
        assert!(!ran.ok && ran.err.contains(expected), "{args:?}: {}", ran.err);
        assert!(!ran.err.contains("hush"), "{}", ran.err);
    }
}

/// As somebody has them who writes all of them down, with their defaults there.
#[test]
fn flags_of_thanos_parquet_gateway() {
    let flags = "--memlimit.ratio=0.9 --logger.level=INFO --parquet.objstore-config-file=bucket.yaml --tracing.exporter.type= \
                 --tracing.sampling.param=0.1 --tracing.sampling.type=PROBABILISTIC --block.discovery.interval=1m \
                 --block.discovery.concurrency=1 --block.syncer.interval=1m --block.syncer.concurrency=1 \
                 --block.syncer.read-buffer-size=2MiB --block.filter.type=all-metas \
                 --block.filter.thanos-backfill.interval=1m --block.filter.thanos-backfill.overlap=24h \
                 --block.labelfilepath=/tmp --query.step=30s --query.lookback=5m --query.timeout=30s \
                 --query.engine.timeout=5m --query.external-label=a=b --query.limits.max-shard-count=0 \
                 --query.limits.select.max-chunk-bytes=0B --query.limits.select.max-row-count=0 \
                 --query.limits.label-values.max-row-count=0 --query.limits.label-names.max-row-count=0 \
                 --query.limits.queries.max-concurrent=100 --query.storage.select.chunk-partition.max-range-bytes=64MiB \
                 --query.storage.select.chunk-partition.max-gap-bytes=64MiB \
                 --query.storage.select.chunk-partition.max-concurrency=0 --http.prometheus.port=0 \
                 --http.prometheus.shutdown-timeout=10s --http.thanos.port=0 --http.thanos.shutdown-timeout=10s \
                 --http.internal.port=0 --http.internal.shutdown-timeout=10s";
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bucket.yaml"), "{type: FILESYSTEM, config: {directory: nowhere}}").unwrap();
    let mut args = vec!["serve"];
    args.extend(flags.split_whitespace());
    let ran = run(dir.path(), &args);
    assert!(ran.err.contains("cannot open bucket") && ran.code == Some(1), "{}", ran.err);
}

#[test]
fn quickstart_converts_and_serves() {
    let dir = tempfile::tempdir().unwrap();
    BlockSpec::small().series_count(80).duration_ms(3_600_000).write(dir.path().join("prometheus")).unwrap();
    let mut child = Command::new(BINARY)
        .args(["quickstart", "prometheus", "--port", "0", "--internal-port", "0"])
        .current_dir(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let curls: Vec<String> = lines
        .by_ref()
        .map(Result::unwrap)
        .take_while(|line| !line.contains("Ctrl-C"))
        .filter(|line| line.trim_start().starts_with("curl"))
        .collect();
    assert_eq!(curls.len(), 3, "{curls:?}");
    for curl in curls {
        let (url, query) = curl.split_once("' --data-urlencode 'query=").unwrap();
        let (address, path) = url.split_once("http://").unwrap().1.split_once('/').unwrap();
        let query = query.trim_end_matches('\'').replace(' ', "%20").replace('"', "%22").replace('+', "%2B");
        let answer = json(address.parse().unwrap(), &format!("/{path}&query={query}"));
        assert!(!answer["data"]["result"].as_array().unwrap().is_empty(), "{curl}: {answer}");
    }
    signal(&child, "-TERM");
    assert!(child.wait().unwrap().success());

    assert!(run(dir.path(), &["quickstart", "prometheus", "--no-serve"]).ok);
}
