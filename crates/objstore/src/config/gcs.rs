//! `type: GCS`.

use object_store::{RetryConfig, gcp::GoogleCloudStorageBuilder};
use serde::Deserialize;

use super::{
    Ignored, Section, count,
    environment::Lookup,
    http::{Http, HttpSection},
    required, retries,
    text::{Secret, some},
};
use crate::error::{Error, Result};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct GcsSection {
    bucket: Option<String>,
    service_account: Option<Secret>,
    use_grpc: Option<bool>,
    grpc_conn_pool_size: Option<i64>,
    http_config: Option<HttpSection>,
    chunk_size_bytes: Option<i64>,
    max_retries: Option<i64>,
}

impl Section for GcsSection {}

/// A bucket of Google Cloud Storage.
pub(super) struct Gcs {
    pub(super) bucket: String,
    credentials: Credentials,
    retry: RetryConfig,
    http: Http,
    pub(super) part_size: Option<usize>,
}

enum Credentials {
    /// JSON of a service account.
    Account(Secret),
    /// A file named by the environment.
    File(String),
    /// The well-known file, or the instance's metadata service.
    Default,
}

impl Gcs {
    pub(super) fn new(section: GcsSection, environment: Lookup<'_>, ignored: &mut Ignored) -> Result<Self> {
        let bucket = required(section.bucket, "config.bucket")?;
        ignored.note(section.use_grpc == Some(true), "config.use_grpc", "the service is reached over HTTP");
        let pool = count(section.grpc_conn_pool_size, "config.grpc_conn_pool_size")?;
        ignored.note(pool.is_some(), "config.grpc_conn_pool_size", "the service is reached over HTTP");
        let credentials = match some(section.service_account) {
            Some(account) => Credentials::account(account)?,
            None => match environment("GOOGLE_APPLICATION_CREDENTIALS").filter(|path| !path.is_empty()) {
                Some(path) => Credentials::File(path),
                None => Credentials::Default,
            },
        };
        let part_size = count(section.chunk_size_bytes, "config.chunk_size_bytes")?;
        let small = part_size.is_some_and(|bytes| bytes < 5 << 20);
        ignored.note(small, "config.chunk_size_bytes", "parts of an upload are of 5 MiB at least");
        // In Thanos this counts attempts, of which 1 means no retry.
        let attempts = count(section.max_retries, "config.max_retries")?;
        Ok(Self {
            bucket,
            credentials,
            retry: retries(attempts.map(|attempts| attempts.saturating_sub(1))),
            http: Http::new(section.http_config, ignored)?,
            part_size: part_size.map(|bytes| bytes.clamp(5 << 20, 5 << 30)),
        })
    }

    pub(super) fn builder(&self) -> Result<GoogleCloudStorageBuilder> {
        let builder = GoogleCloudStorageBuilder::new()
            .with_bucket_name(&self.bucket)
            .with_retry(self.retry.clone())
            .with_client_options(self.http.client_options()?);
        Ok(match &self.credentials {
            Credentials::Account(account) => builder.with_service_account_key(account.expose()),
            Credentials::File(path) => builder.with_application_credentials(path),
            Credentials::Default => builder,
        })
    }
}

impl Credentials {
    fn account(json: Secret) -> Result<Self> {
        #[derive(Deserialize)]
        struct Kind {
            r#type: Option<String>,
        }
        let field = "config.service_account";
        // What is wrong with it is not said, since that quotes the text.
        let kind: Kind = serde_json::from_str(json.expose()).map_err(|_| Error::field(field, "is no JSON object"))?;
        match kind.r#type.as_deref() {
            None | Some("service_account") => Ok(Self::Account(json)),
            Some(_) => {
                let advice = "only type service_account may be given here; put others into a file and name it in \
                              GOOGLE_APPLICATION_CREDENTIALS";
                Err(Error::unsupported(field, advice))
            }
        }
    }
}
