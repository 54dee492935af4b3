//! The text of the configuration.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use axum::http::{HeaderName, HeaderValue};
use promparquet_objstore::yaml::{self, shown};
use serde::{Deserialize, Deserializer};

/// Users are two each.
const MAX_NODES: usize = 100_000;

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

/// The configuration, or what is wrong with it, without any value of it.
pub(super) fn parse(text: &str) -> Result<File, String> {
    // Nothing asks for nothing, as with the exporter-toolkit.
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(File::default());
    }
    yaml::parse(text, MAX_NODES).map_err(|error| error.to_string())
}
