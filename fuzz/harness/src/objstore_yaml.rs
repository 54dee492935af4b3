//! The YAML configuration of a bucket; the input is the text. Nothing is opened.
//!
//! Holds: errors say something and never a value that came from the environment.

use promparquet_objstore::{BucketConfig, ErrorKind};

/// Not a plain name, which errors may repeat if it stands for a field.
const SECRET: &str = "hunter2 p@ss";

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let environment = |name: &str| match name {
        "SECRET" => Some(SECRET.to_owned()),
        "BUCKET" => Some("blocks".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    match BucketConfig::from_yaml(text, environment) {
        Ok(config) => {
            assert!(["file://", "s3://", "gs://", "azure://"].iter().any(|scheme| config.url().starts_with(scheme)));
            assert!(config.ignored().iter().all(|field| !field.to_string().is_empty() && !field.field.is_empty()));
            let again = BucketConfig::from_yaml(text, environment).map(|again| again.url());
            assert_eq!(again.ok(), Some(config.url()));
        }
        Err(error) => {
            let expected = [ErrorKind::Invalid, ErrorKind::Unsupported, ErrorKind::LimitExceeded];
            assert!(expected.contains(&error.kind()), "{error}");
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("p@ss"), "{shown}");
        }
    }
}
