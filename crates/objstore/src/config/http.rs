//! `http_config`, which the services share, and the client made of it.

use std::{path::PathBuf, time::Duration};

use object_store::{Certificate, ClientOptions};
use serde::Deserialize;

use super::{Ignored, count, text::PromDuration};
use crate::error::{Detail, Error, Result};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HttpSection {
    idle_conn_timeout: Option<PromDuration>,
    response_header_timeout: Option<PromDuration>,
    insecure_skip_verify: Option<bool>,
    tls_handshake_timeout: Option<PromDuration>,
    expect_continue_timeout: Option<PromDuration>,
    max_idle_conns: Option<i64>,
    max_idle_conns_per_host: Option<i64>,
    max_conns_per_host: Option<i64>,
    tls_config: Option<TlsSection>,
    /// Neither here nor in Thanos are bodies ever decompressed, whatever its value.
    #[serde(rename = "disable_compression")]
    _disable_compression: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TlsSection {
    ca_file: Option<String>,
    cert_file: Option<String>,
    key_file: Option<String>,
    server_name: Option<String>,
    insecure_skip_verify: Option<bool>,
}

/// How to reach a service over HTTP. The defaults are Thanos'.
pub(super) struct Http {
    /// For establishing a connection, with TLS.
    connect_timeout: Option<Duration>,
    /// From the start of a request to its response's header, and then between pieces of the body. A request as a whole
    /// has no timeout, since a body may be large: while bytes arrive, it goes on.
    read_timeout: Option<Duration>,
    /// For a request as a whole.
    pub(super) request_timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    idle_per_host: usize,
    skip_verify: bool,
    ca_file: Option<PathBuf>,
    /// Whether unencrypted connections are allowed.
    pub(super) allow_http: bool,
}

impl Http {
    pub(super) fn new(section: Option<HttpSection>, ignored: &mut Ignored) -> Result<Self> {
        let section = section.unwrap_or_default();
        let tls = section.tls_config.unwrap_or_default();
        let set = |value: &Option<String>| value.as_ref().is_some_and(|value| !value.is_empty());
        for (is_set, field) in [(set(&tls.cert_file), "cert_file"), (set(&tls.key_file), "key_file")] {
            if is_set {
                let advice = "client certificates are not provided; let a local proxy present them";
                return Err(Error::unsupported(format!("config.http_config.tls_config.{field}"), advice));
            }
        }
        if set(&tls.server_name) {
            let advice = "the name in the endpoint is the one that is verified; use an endpoint of that name";
            return Err(Error::unsupported("config.http_config.tls_config.server_name", advice));
        }
        let field = |name: &str| format!("config.http_config.{name}");
        let pool = "idle connections are bounded per host only, by max_idle_conns_per_host";
        ignored.note(
            count(section.max_idle_conns, &field("max_idle_conns"))?.is_some(),
            &field("max_idle_conns"),
            pool,
        );
        let conns = count(section.max_conns_per_host, &field("max_conns_per_host"))?;
        ignored.note(
            conns.is_some(),
            &field("max_conns_per_host"),
            "the number of connections is bounded by the concurrency of reads and uploads",
        );
        ignored.note(
            section.expect_continue_timeout.is_some(),
            &field("expect_continue_timeout"),
            "requests are sent without Expect: 100-continue",
        );
        // Zero means no limit, as in Go.
        let timeout = |value: Option<PromDuration>, default_s: u64| match value {
            Some(PromDuration(Duration::ZERO)) => None,
            Some(PromDuration(value)) => Some(value),
            None => Some(Duration::from_secs(default_s)),
        };
        Ok(Self {
            connect_timeout: timeout(section.tls_handshake_timeout, 10),
            read_timeout: timeout(section.response_header_timeout, 120),
            request_timeout: None,
            idle_timeout: timeout(section.idle_conn_timeout, 90),
            idle_per_host: count(section.max_idle_conns_per_host, &field("max_idle_conns_per_host"))?.unwrap_or(100),
            skip_verify: section.insecure_skip_verify.unwrap_or(false) || tls.insecure_skip_verify.unwrap_or(false),
            ca_file: tls.ca_file.filter(|file| !file.is_empty()).map(PathBuf::from),
            allow_http: false,
        })
    }

    /// The client's options. The process has a TLS provider after this: the HTTP client is compiled without one and
    /// could not be built.
    pub(super) fn client_options(&self) -> Result<ClientOptions> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Another thread may have been faster, which is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let mut options = ClientOptions::new()
            .with_allow_http(self.allow_http)
            .with_allow_invalid_certificates(self.skip_verify)
            .with_pool_max_idle_per_host(self.idle_per_host);
        options = match self.request_timeout {
            Some(timeout) => options.with_timeout(timeout),
            None => options.with_timeout_disabled(),
        };
        options = match self.connect_timeout {
            Some(timeout) => options.with_connect_timeout(timeout),
            None => options.with_connect_timeout_disabled(),
        };
        options = match self.read_timeout {
            Some(timeout) => options.with_read_timeout(timeout),
            None => options.with_read_timeout_disabled(),
        };
        if let Some(timeout) = self.idle_timeout {
            options = options.with_pool_idle_timeout(timeout);
        }
        if let Some(path) = &self.ca_file {
            let field = "config.http_config.tls_config.ca_file";
            let pem = std::fs::read(path).map_err(|source| Detail::File { field, path: path.clone(), source })?;
            let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
            if certificates.is_empty() {
                return Err(Error::field(field, "holds no certificate in PEM form"));
            }
            // These alone are trusted, as in Thanos.
            options = options.with_no_system_certificates(true);
            options = certificates.into_iter().fold(options, ClientOptions::with_root_certificate);
        }
        Ok(options)
    }
}
