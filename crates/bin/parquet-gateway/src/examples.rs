//! The files of `examples/` are what they say: buckets open, command lines are flags that there are.

use std::{collections::BTreeSet, fs, path::PathBuf};

use clap::Parser;
use promparquet_objstore::{BucketConfig, CacheConfig};
use serde_json::Value;

use crate::{Cli, Command};

fn example(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn documents(name: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&example(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// As the command line would be taken.
#[track_caller]
fn serves<'a>(args: impl IntoIterator<Item = &'a str>) {
    let args: Vec<&str> = args.into_iter().collect();
    assert!(args.len() > 5, "{args:?}");
    match Cli::try_parse_from(std::iter::once("parquet-gateway").chain(args)) {
        Ok(Cli { command: Command::Serve(_) }) => {}
        Ok(other) => panic!("{other:?}"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn buckets_are_configurations() {
    let mut known: BTreeSet<String> = fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/objstore"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for (name, url) in [
        ("filesystem", "file:///var/lib/parquet-gateway"),
        ("s3", "s3://metrics/parquet"),
        ("minio", "s3://metrics"),
        ("gcs", "gs://metrics"),
        ("azure", "azure://metrics/parquet"),
        ("cos", "cos://metrics-1250000000"),
        ("aliyunoss", "oss://metrics"),
        ("obs", "obs://metrics"),
    ] {
        let file = format!("{name}.yaml");
        let text = example(&format!("objstore/{file}"));
        let secret = |_: &str| Some("c2VjcmV0".to_owned());
        let config = BucketConfig::from_yaml(&text, secret).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(config.url(), url);
        assert!(config.ignored().is_empty(), "{name}: {:?}", config.ignored());
        // Secrets come from the environment.
        assert!(!text.contains("secret_key: ") || text.contains("secret_key: $("), "{name}");
        if text.contains("$(") {
            assert!(BucketConfig::from_yaml(&text, |_| None).is_err(), "{name} names variables that nobody needs");
        }
        assert!(known.remove(&file));
    }
    assert_eq!(known, BTreeSet::new());
    let (cache, ignored) = CacheConfig::from_yaml(&example("cache.yaml"), |_| None).unwrap();
    assert_eq!((cache.memory_bytes, cache.disk.unwrap().max_bytes, ignored.len()), (512 << 20, 20 << 30, 0));
}

#[test]
fn the_unit_starts_what_there_is() {
    let unit = example("parquet-gateway.service");
    let joined = unit.replace("\\\n", " ");
    let lines: Vec<&str> = joined.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    let sections: Vec<&&str> = lines.iter().filter(|line| line.starts_with('[')).collect();
    assert_eq!(sections, [&"[Unit]", &"[Service]", &"[Install]"]);
    assert!(lines.iter().all(|line| line.starts_with('[') || line.contains('=')), "{lines:?}");
    let value = |key: &str| lines.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap();
    let mut words = value("ExecStart").split_whitespace();
    assert_eq!(words.next(), Some("/usr/local/bin/parquet-gateway"));
    serves(words);
    let grace = value("TimeoutStopSec").parse::<u64>().unwrap();
    assert!(grace > seconds(&joined, "--http.prometheus.shutdown-timeout="), "systemd would kill it first");
}

/// Of the flag that `text` gives.
fn seconds(text: &str, flag: &str) -> u64 {
    let value = text.split(flag).nth(1).unwrap().split_whitespace().next().unwrap();
    value.strip_suffix('s').unwrap().parse().unwrap()
}

#[test]
fn the_manifest_starts_what_there_is() {
    let documents = documents("kubernetes.yaml");
    let [deployment, service] = documents.as_slice() else { panic!("{documents:?}") };
    assert_eq!((&deployment["kind"], &service["kind"]), (&Value::from("Deployment"), &Value::from("Service")));
    let pod = &deployment["spec"]["template"];
    assert_eq!(deployment["spec"]["selector"]["matchLabels"], pod["metadata"]["labels"]);
    assert_eq!(service["spec"]["selector"], pod["metadata"]["labels"]);
    let container = &pod["spec"]["containers"][0];
    let args: Vec<&str> = container["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    serves(args.iter().copied());

    // Ports are those of the flags, and what names them names some.
    let ports = container["ports"].as_array().unwrap();
    let port =
        |name: &Value| ports.iter().find(|port| port["name"] == *name).unwrap_or_else(|| panic!("no port {name}"));
    for (flag, name) in [("prometheus", "prometheus"), ("thanos", "grpc"), ("internal", "internal")] {
        let argument = format!("--http.{flag}.port={}", port(&name.into())["containerPort"]);
        assert!(args.contains(&&*argument), "{argument}");
    }
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        port(&container[probe]["httpGet"]["port"]);
    }
    for served in service["spec"]["ports"].as_array().unwrap() {
        assert_eq!(served["port"], port(&served["targetPort"])["containerPort"]);
    }
    let mounted = container["volumeMounts"][0]["mountPath"].as_str().unwrap();
    let config = args.iter().find_map(|arg| arg.strip_prefix("--parquet.objstore-config-file=")).unwrap();
    assert_eq!(config.rsplit_once('/').unwrap(), (mounted, "parquet.yaml"));
    assert_eq!(container["volumeMounts"][0]["name"], pod["spec"]["volumes"][0]["name"]);
    let grace = pod["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(grace > seconds(&args.join(" "), "--http.prometheus.shutdown-timeout="), "the kubelet would kill it first");
}

#[test]
fn grafana_finds_the_service() {
    let documents = documents("grafana-datasource.yaml");
    let source = &documents[0]["datasources"][0];
    assert_eq!((&documents[0]["apiVersion"], &source["type"]), (&Value::from(1), &Value::from("prometheus")));
    let service = &self::documents("kubernetes.yaml")[1];
    let (name, port) = (service["metadata"]["name"].as_str().unwrap(), &service["spec"]["ports"][0]["port"]);
    assert_eq!(source["url"], format!("http://{name}:{port}"));
}
