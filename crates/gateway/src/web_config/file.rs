//! The text of the configuration.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use axum::http::{HeaderName, HeaderValue};
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Error as Yaml, Options};

/// A value that is never shown.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    #[serde(deserialize_with = "or_default")]
    pub(super) tls_server_config: Tls,
    #[serde(deserialize_with = "or_default")]
    pub(super) http_server_config: Http,
    #[serde(deserialize_with = "or_default")]
    pub(super) basic_auth_users: BTreeMap<String, Secret>,
    #[serde(deserialize_with = "or_default")]
    pub(super) rate_limit: RateLimit,
    pub(super) bearer_tokens_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tls {
    pub(super) cert: Option<String>,
    pub(super) key: Option<Secret>,
    pub(super) client_ca: Option<String>,
    pub(super) cert_file: Option<PathBuf>,
    pub(super) key_file: Option<PathBuf>,
    pub(super) client_ca_file: Option<PathBuf>,
    pub(super) client_auth_type: Option<String>,
    pub(super) client_allowed_sans: Option<Vec<String>>,
    pub(super) min_version: Option<String>,
    pub(super) max_version: Option<String>,
    pub(super) cipher_suites: Option<Vec<String>>,
    pub(super) prefer_server_cipher_suites: Option<bool>,
    pub(super) curve_preferences: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Http {
    pub(super) http2: bool,
    #[serde(deserialize_with = "or_default")]
    headers: BTreeMap<String, String>,
}

impl Default for Http {
    fn default() -> Self {
        Self { http2: true, headers: BTreeMap::new() }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RateLimit {
    /// As Go writes it.
    pub(super) interval: Option<String>,
    pub(super) burst: u32,
}

/// A field whose value is left out (`basic_auth_users:`) is none.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Http {
    /// Headers that may be set; empty ones are not.
    pub(super) fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
        const KNOWN: [(&str, &[&str]); 5] = [
            ("Strict-Transport-Security", &[]),
            ("X-Content-Type-Options", &["nosniff"]),
            ("X-Frame-Options", &["deny", "sameorigin"]),
            ("X-XSS-Protection", &[]),
            ("Content-Security-Policy", &[]),
        ];
        let mut headers = Vec::new();
        for (name, value) in &self.headers {
            let Some((_, allowed)) = KNOWN.iter().find(|(known, _)| known == name) else {
                let known = KNOWN.map(|(name, _)| name).join(", ");
                return Err(format!("http_server_config.headers: {} is none of {known}", shown(name)));
            };
            if !allowed.is_empty() && !allowed.contains(&value.as_str()) {
                return Err(format!("http_server_config.headers: {name} can be {}", allowed.join(" or ")));
            }
            if !value.is_empty() {
                let value = HeaderValue::from_str(value);
                let value = value.map_err(|_| format!("http_server_config.headers: {name} is no header's value"))?;
                headers.push((HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?, value));
            }
        }
        Ok(headers)
    }
}

/// Bounds that no honest configuration comes near.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 16,
            flow_nesting_limit: 16,
            max_events: 200_000,
            max_nodes: 100_000,
            max_aliases: 100,
            max_anchors: 100,
            max_merge_keys: 100,
            max_documents: 1,
        },
        // A snippet would show the values around the error.
        with_snippet: false,
    }
}

/// The configuration, or what is wrong with it, without any value of it.
pub(super) fn parse(text: &str) -> Result<File, String> {
    // Nothing asks for nothing, as with the exporter-toolkit.
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(File::default());
    }
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| describe(&error))
}

fn describe(error: &Yaml) -> String {
    let error = error.without_snippet();
    let problem = match error {
        Yaml::SerdeUnknownField { field, expected, .. } => {
            format!("unknown field {}; expected one of {}", shown(field), expected.join(", "))
        }
        Yaml::DuplicateMappingKey { key, .. } => match key {
            Some(key) => format!("field {} is given twice", shown(key)),
            None => "a field is given twice".to_owned(),
        },
        Yaml::SerdeInvalidType { expected, .. } | Yaml::SerdeInvalidValue { expected, .. } => {
            format!("value of the wrong kind: expected {expected}")
        }
        Yaml::InvalidScalar { ty, .. } => format!("value of the wrong kind: expected {ty}"),
        Yaml::Unexpected { expected, .. } => format!("expected {expected}"),
        _ => "malformed YAML, or a value of the wrong kind".to_owned(),
    };
    match error.location().filter(|location| location.line() > 0) {
        Some(location) => format!("line {}, column {}: {problem}", location.line(), location.column()),
        None => problem,
    }
}

/// A field's name, unless a slip of the pen (`admin=$2y$...: x`) made more than a name of it.
fn shown(name: &str) -> String {
    let plain = name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    if plain { name.to_owned() } else { "(not shown, as it is no plain name)".to_owned() }
}
