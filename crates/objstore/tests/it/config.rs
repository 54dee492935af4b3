//! The corpus of configurations in `testdata/objstore-config`, and what depends on the environment or on files.

use std::path::Path;

use object_store::ObjectStoreExt;
use promparquet_objstore::{BucketConfig, ErrorKind, IgnoredField, OpenFor};
use proptest::prelude::*;

use crate::{assert_fails, chain};

fn environment(name: &str) -> Option<String> {
    [("SECRET", "hunter2"), ("BUCKET", "blocks"), ("EMPTY", "")]
        .iter()
        .find(|(n, _)| *n == name)
        .map(|(_, value)| (*value).to_owned())
}

#[test]
fn corpus() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/objstore-config");
    let mut seen = 0;
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        if file == "README.md" {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let expected = text.lines().next().and_then(|line| line.strip_prefix("# expect: "));
        let expected = expected.unwrap_or_else(|| panic!("{file} does not say what to expect"));
        let ignored = text.lines().find_map(|line| line.strip_prefix("# ignored: ")).unwrap_or_default();
        check(&file, &text, expected, ignored);
        seen += 1;
    }
    assert!(seen > 70, "{seen} files: the corpus is not complete");
}

fn check(file: &str, text: &str, expected: &str, ignored: &str) {
    let hides = |shown: String| assert!(!shown.contains("hunter2"), "{file} gives away a secret: {shown}");
    let result = BucketConfig::from_yaml(text, environment);
    let (kind, details) = expected.split_once(' ').unwrap_or((expected, ""));
    if kind != "ok" {
        let error = result.map(drop).expect_err(file);
        let shown = chain(&error);
        hides(shown.clone());
        hides(format!("{error:?}"));
        assert_eq!(format!("{:?}", error.kind()), kind, "{file}: {shown}");
        for part in details.split(" | ") {
            assert!(shown.contains(part), "{file}: expected {part:?} in: {shown}");
        }
        return;
    }
    let config = result.unwrap_or_else(|error| panic!("{file}: {}", chain(&error)));
    assert_eq!(config.url(), details, "{file}");
    let found: Vec<_> = config.ignored().iter().map(|field| &*field.field).collect();
    let mut expected: Vec<_> = ignored.split(", ").filter(|field| !field.is_empty()).collect();
    let mut sorted = found.clone();
    sorted.sort_unstable();
    expected.sort_unstable();
    assert_eq!(sorted, expected, "{file}");
    hides(format!("{config:?} {:?}", config.ignored()));
    if !file.starts_with("filesystem-") {
        let bucket = config.open(OpenFor::Reading).unwrap_or_else(|error| panic!("{file}: {}", chain(&error)));
        assert_eq!(bucket.to_string(), details, "{file}");
        let store = bucket.store();
        hides(format!("{bucket:?} {store:?} {store}"));
        // The same in base 64, and as Azure's client prints it.
        assert!(
            !format!("{store:?}").contains("aHVudGVyMg") && !format!("{store:?}").contains("104, 117, 110"),
            "{file}"
        );
    }
}

#[test]
fn credentials_of_the_environment() {
    let yaml = "type: S3\nconfig: {bucket: b, endpoint: localhost}\n";
    for name in ["AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE"] {
        let result = BucketConfig::from_yaml(yaml, |asked| (asked == name).then(|| "x".to_owned()));
        assert_fails(result, ErrorKind::Unsupported, &[name, "AWS_ACCESS_KEY_ID"]);
    }
    // A profile does not matter where there are keys.
    let config =
        BucketConfig::from_yaml(yaml, |asked| asked.starts_with("AWS_").then(|| "hunter2".to_owned())).unwrap();
    let bucket = config.open(OpenFor::Reading).unwrap();
    assert!(!format!("{config:?}{:?}", bucket.store()).contains("hunter2"));
    let yaml = "type: GCS\nconfig: {bucket: b}\n";
    let config = BucketConfig::from_yaml(yaml, |asked| asked.starts_with("GOOGLE").then(|| "/nonexistent".to_owned()));
    assert!(config.unwrap().open(OpenFor::Reading).is_err());
}

#[test]
fn files_that_the_configuration_names() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let open = |more: &str| {
        let yaml =
            format!("type: S3\nconfig: {{bucket: b, endpoint: localhost, access_key: a, secret_key: s, {more}}}\n");
        BucketConfig::from_yaml(&yaml, |_| None).unwrap().open(OpenFor::Reading)
    };
    let ca = format!("http_config: {{tls_config: {{ca_file: '{}'}}}}", path.display());
    let sse = format!("sse_config: {{type: SSE-C, encryption_key: '{}'}}", path.display());
    let name = path.to_str().unwrap();
    assert_fails(open(&ca), ErrorKind::NotFound, &["config.http_config.tls_config.ca_file", name]);
    assert_fails(open(&sse), ErrorKind::NotFound, &["config.sse_config.encryption_key", name]);
    std::fs::write(&path, "not a certificate").unwrap();
    assert_fails(open(&ca), ErrorKind::Invalid, &["config.http_config.tls_config.ca_file"]);
    assert_fails(open(&sse), ErrorKind::Invalid, &["config.sse_config.encryption_key", "17 bytes"]);
    std::fs::write(&path, [7; 32]).unwrap();
    open(&sse).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_is_put_on_objects() {
    let server = crate::s3_server::S3Server::start().await;
    let yaml = server.yaml(crate::s3_server::BUCKET, "hunter2hunter2") + "  put_user_metadata: {Team: infra}\n";
    let bucket = BucketConfig::from_yaml(&yaml, |_| None).unwrap().open(OpenFor::Writing).unwrap();
    bucket.put("small", "x".into()).await.unwrap();
    let mut upload = bucket.upload("large").unwrap();
    upload.write(crate::noise(6 << 20)).await.unwrap();
    upload.finish().await.unwrap();
    for key in ["small", "large"] {
        let result = bucket.store().get(&object_store::path::Path::parse(key).unwrap()).await.unwrap();
        let team = object_store::Attribute::Metadata("team".into());
        assert_eq!(result.attributes.get(&team).map(AsRef::as_ref), Some("infra"), "{key}");
    }
}

#[test]
fn ignored_fields_display() {
    let yaml = "type: S3\nconfig: {bucket: b, endpoint: localhost, trace: {enable: true}}\n";
    let config = BucketConfig::from_yaml(yaml, |_| None).unwrap();
    let shown: Vec<_> = config.ignored().iter().map(IgnoredField::to_string).collect();
    assert_eq!(shown, ["config.trace.enable has no effect: requests are not traced to the log"]);
}

proptest! {
    /// Whatever is cut from a configuration or put into it.
    #[test]
    fn damaged_configurations_do_not_panic(
        file in prop::sample::select(&["s3-full", "azure-full", "gcs-minimal", "s3-anchors", "bad-alias-bomb"][..]),
        at in any::<prop::sample::Index>(),
        cut in 0_usize..40,
        insert in "[ -~\n\t\u{e9}]{0,6}|\\$\\([A-Z]{1,3}\\)|[\\[{&*!|>'\"]{1,4}",
    ) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../testdata/objstore-config/{file}.yaml"));
        let mut text: Vec<char> = std::fs::read_to_string(path).unwrap().chars().collect();
        let start = at.index(text.len());
        let end = (start + cut).min(text.len());
        text.splice(start..end, insert.chars());
        let text: String = text.into_iter().collect();
        if let Ok(config) = BucketConfig::from_yaml(&text, environment) {
            let _ = config.url();
        }
    }
}
