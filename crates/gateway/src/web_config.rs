//! Prometheus' web configuration: who may ask the HTTP ports, and by what TLS. The format is that of Prometheus'
//! exporter-toolkit, with one key more:
//!
//! ```yaml
//! tls_server_config:                   # plain HTTP without
//!   cert_file, key_file: <file>        # or the PEM itself: cert, key
//!   client_auth_type: NoClientCert | VerifyClientCertIfGiven | RequireAndVerifyClientCert
//!   client_ca_file: <file>             # or client_ca
//!   min_version, max_version: TLS12 | TLS13
//!   cipher_suites: [<Go's name>...]    # of TLS 1.2
//!   prefer_server_cipher_suites: <bool>
//!   curve_preferences: [X25519 | CurveP256 | CurveP384...]
//! http_server_config:
//!   http2: <bool>                      # with TLS only
//!   headers: {<one of five>: <value>}  # sent with all answers
//! basic_auth_users: {<name>: <bcrypt hash>}
//! rate_limit: {interval: <duration>, burst: <int>}
//! bearer_tokens_file: <file>           # our own: a token a line; # begins a comment
//! ```
//!
//! Files are relative to the configuration's directory. What is not known or not done is refused by name: most of it is there to
//! keep somebody out. Errors and logs repeat no value. Everything is read again when it changed; a mistake leaves things as they
//! were, and is logged.

mod admission;
mod authentication;
mod file;
mod rate_limit;
#[cfg(test)]
mod tests;
mod tls;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::http::{HeaderName, HeaderValue};
use rustls::ServerConfig;
use tokio::sync::watch;

pub(crate) use crate::web_config::{admission::guarded, tls::certificates};
use crate::{
    error::{Detail, Result},
    web_config::{authentication::Authentication, rate_limit::RateLimit},
};

/// Who may ask the HTTP ports of a [`Server`](crate::Server), and by what TLS; see Prometheus' flag `--web.config.file`. Cheap to
/// clone; clones see what changes.
#[derive(Clone)]
pub struct WebConfig {
    path: PathBuf,
    current: Arc<watch::Sender<Arc<Loaded>>>,
}

impl fmt::Debug for WebConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebConfig").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What the files say.
struct Loaded {
    /// The files, to see whether they changed.
    sources: Sources,
    tls: Option<Arc<ServerConfig>>,
    authentication: Authentication,
    rate_limit: Option<RateLimit>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Each file that was read, with its content.
type Sources = Vec<(PathBuf, Vec<u8>)>;

impl WebConfig {
    /// Reads the configuration and the files that it names.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) if one cannot be read, or says what is not known, contradicts itself or is not done.
    pub fn from_file(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let loaded = load(&path)?;
        Ok(Self { path, current: Arc::new(watch::Sender::new(Arc::new(loaded))) })
    }

    fn current(&self) -> Arc<Loaded> {
        Arc::clone(&self.current.borrow())
    }

    /// How connections are encrypted from now on, if they are.
    pub(crate) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.current().tls.clone()
    }

    /// Reads the files again when they changed, for ever; looks for it each `interval`.
    pub(crate) async fn follow(self, interval: Duration) {
        let mut last_problem = None;
        loop {
            tokio::time::sleep(interval).await;
            let config = self.clone();
            let problem = match tokio::task::spawn_blocking(move || config.reload()).await {
                Ok(Ok(changed)) => {
                    if changed {
                        tracing::info!(file = %self.path.display(), "the web configuration was read again");
                    }
                    None
                }
                Ok(Err(error)) => Some(error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            if let Some(error) = &problem
                && problem != last_problem
            {
                tracing::error!(error, "the web configuration stays as it was");
            }
            last_problem = problem;
        }
    }

    /// Says whether something changed.
    fn reload(&self) -> Result<bool> {
        let current = self.current();
        if is_same(&current.sources) {
            return Ok(false);
        }
        let loaded = load(&self.path)?;
        // What is being written may say less for a moment, such as nothing, which would let everybody in.
        std::thread::sleep(Duration::from_millis(200));
        if !is_same(&loaded.sources) {
            return Ok(false);
        }
        if loaded.tls.is_some() != current.tls.is_some() {
            tracing::warn!("connections are {}encrypted from now on", if loaded.tls.is_some() { "" } else { "not " });
        }
        self.current.send_replace(Arc::new(loaded));
        Ok(true)
    }
}

fn is_same(sources: &Sources) -> bool {
    sources.iter().all(|(path, content)| std::fs::read(path).is_ok_and(|now| now == *content))
}

fn load(path: &Path) -> Result<Loaded> {
    let mut files = Files { directory: path.parent().unwrap_or(Path::new("")), sources: Vec::new() };
    let loaded = (|| {
        let text = String::from_utf8(files.read("the file", path, Path::new(""))?);
        let config = file::parse(&text.map_err(|_| "not UTF-8".to_owned())?)?;
        Ok(Loaded {
            tls: tls::config(&config.tls_server_config, config.http_server_config.http2, &mut files)?,
            authentication: Authentication::new(&config, &mut files)?,
            rate_limit: RateLimit::new(&config.rate_limit)?,
            headers: config.http_server_config.headers()?,
            sources: files.sources,
        })
    })();
    loaded.map_err(|message: String| Detail::WebConfig { path: path.display().to_string(), message }.into())
}

/// Files that the configuration names, and what was in those that were read.
struct Files<'a> {
    directory: &'a Path,
    sources: Sources,
}

impl Files<'_> {
    /// The file of a field, relative to the configuration's directory.
    fn named(&mut self, field: &str, path: &Path) -> Result<Vec<u8>, String> {
        let directory = self.directory.to_owned();
        self.read(field, path, &directory)
    }

    fn read(&mut self, field: &str, path: &Path, directory: &Path) -> Result<Vec<u8>, String> {
        const MOST: u64 = 4 << 20;
        let path = directory.join(path);
        let cannot = |error: std::io::Error| format!("{field}: cannot read {}: {error}", path.display());
        // Of devices and pipes, which do not end, not even the beginning is wanted.
        let metadata = std::fs::metadata(&path).map_err(cannot)?;
        if !metadata.is_file() || metadata.len() > MOST {
            return Err(format!("{field}: {} is no file of at most {MOST} bytes", path.display()));
        }
        let content = std::fs::read(&path).map_err(cannot)?;
        self.sources.push((path, content.clone()));
        Ok(content)
    }
}
