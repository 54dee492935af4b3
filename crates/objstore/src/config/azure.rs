//! `type: AZURE`.

use object_store::{
    RetryConfig,
    azure::{AzureConfigKey as Key, MicrosoftAzureBuilder},
};
use serde::Deserialize;

use super::{
    Ignored, Section, count,
    environment::Lookup,
    http::{Http, HttpSection},
    required, retries,
    text::{PromDuration, Secret, some},
};
use crate::error::{Error, Result};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AzureSection {
    az_tenant_id: Option<String>,
    client_id: Option<String>,
    client_secret: Option<Secret>,
    storage_account: Option<String>,
    storage_account_key: Option<Secret>,
    storage_connection_string: Option<Secret>,
    storage_create_container: Option<bool>,
    container: Option<String>,
    endpoint: Option<String>,
    user_assigned_id: Option<String>,
    max_retries: Option<i64>,
    reader_config: Option<ReaderSection>,
    pipeline_config: Option<PipelineSection>,
    http_config: Option<HttpSection>,
    msi_resource: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ReaderSection {
    max_retry_requests: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PipelineSection {
    max_tries: Option<i64>,
    try_timeout: Option<PromDuration>,
    retry_delay: Option<PromDuration>,
    max_retry_delay: Option<PromDuration>,
}

impl Section for AzureSection {}

/// A container of Azure Blob Storage.
pub(super) struct Azure {
    pub(super) account: String,
    pub(super) container: String,
    endpoint: String,
    credentials: Vec<(Key, Secret)>,
    retry: RetryConfig,
    http: Http,
}

impl Azure {
    pub(super) fn new(section: AzureSection, environment: Lookup<'_>, ignored: &mut Ignored) -> Result<Self> {
        let account = required(section.storage_account, "config.storage_account")?;
        let container = required(section.container, "config.container")?;
        ignored.note(
            section.storage_create_container == Some(true),
            "config.storage_create_container",
            "the container is not created; it must exist",
        );
        let set = |value: &Option<String>| value.as_ref().is_some_and(|value| !value.is_empty());
        ignored.note(
            set(&section.msi_resource),
            "config.msi_resource",
            "it is deprecated; the resource is Azure Storage",
        );

        let mut retry = retries(count(section.max_retries, "config.max_retries")?);
        let reader = section.reader_config.unwrap_or_default();
        let reads = count(reader.max_retry_requests, "config.reader_config.max_retry_requests")?;
        ignored.note(
            reads.is_some(),
            "config.reader_config.max_retry_requests",
            "reads are retried as max_retries says",
        );
        let pipeline = section.pipeline_config.unwrap_or_default();
        if let Some(tries) = count(pipeline.max_tries, "config.pipeline_config.max_tries")? {
            retry.max_retries = tries;
        }
        let positive = |value: Option<PromDuration>| value.map(|d| d.0).filter(|d| !d.is_zero());
        if let Some(delay) = positive(pipeline.retry_delay) {
            retry.backoff.init_backoff = delay;
            retry.backoff.max_backoff = retry.backoff.max_backoff.max(delay);
        }
        if let Some(delay) = positive(pipeline.max_retry_delay) {
            retry.backoff.max_backoff = delay.max(retry.backoff.init_backoff);
        }
        let mut http = Http::new(section.http_config, ignored)?;
        http.request_timeout = positive(pipeline.try_timeout);

        let suffix = section.endpoint.filter(|e| !e.is_empty()).unwrap_or_else(|| "blob.core.windows.net".to_owned());
        if suffix.contains("://") || suffix.contains('/') {
            return Err(Error::field("config.endpoint", "is no host: expected one such as blob.core.windows.net"));
        }
        let mut azure = Self {
            endpoint: format!("https://{account}.{suffix}"),
            account,
            container,
            credentials: Vec::new(),
            retry,
            http,
        };
        let tenant = [
            (Key::AuthorityId, section.az_tenant_id.map(Secret::new)),
            (Key::ClientId, section.client_id.map(Secret::new)),
            (Key::ClientSecret, section.client_secret),
        ];
        let tenant: Vec<_> = tenant.into_iter().filter_map(|(key, value)| Some((key, some(value)?))).collect();
        let key = some(section.storage_account_key);
        let connection = some(section.storage_connection_string);
        let user = some(section.user_assigned_id.map(Secret::new));
        if !matches!(tenant.len(), 0 | 3) {
            return Err(Error::field("config.az_tenant_id", "client_id and client_secret must be set together"));
        }
        let given = [
            (key.is_some(), "storage_account_key"),
            (connection.is_some(), "storage_connection_string"),
            (user.is_some(), "user_assigned_id"),
        ];
        let mut given = given.into_iter().filter(|(given, _)| *given).map(|(_, name)| name);
        if let (Some(first), Some(second)) = (given.next(), given.next()) {
            return Err(Error::field(format!("config.{first}"), format!("and {second} exclude each other")));
        }
        if user.is_some() && !tenant.is_empty() {
            return Err(Error::field("config.user_assigned_id", "and client_id exclude each other"));
        }
        if let Some(connection) = connection {
            azure.connect_by(&connection)?;
        } else if let Some(key) = key {
            azure.credentials.push((Key::AccessKey, key));
        } else if !tenant.is_empty() {
            azure.credentials = tenant;
        } else if let Some(user) = user {
            azure.credentials.push((Key::ClientId, user));
        } else {
            azure.credentials = from_environment(environment);
        }
        Ok(azure)
    }

    /// Reads a connection string: `Name=value` pairs with `;` between them.
    fn connect_by(&mut self, connection: &Secret) -> Result<()> {
        let field = "config.storage_connection_string";
        let (mut protocol, mut suffix, mut endpoint) = ("https", "core.windows.net", None);
        let (mut account, mut key, mut signature) = (None, None, None);
        for pair in connection.expose().split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
            let Some((name, value)) = pair.split_once('=') else {
                return Err(Error::field(field, "has a part without an equals sign"));
            };
            match name.to_ascii_lowercase().as_str() {
                "defaultendpointsprotocol" => protocol = value,
                "endpointsuffix" => suffix = value,
                "blobendpoint" => endpoint = Some(value.trim_end_matches('/').to_owned()),
                "accountname" => account = Some(value.to_owned()),
                "accountkey" => key = Some(Secret::new(value.to_owned())),
                "sharedaccesssignature" => signature = Some(Secret::new(value.trim_start_matches('?').to_owned())),
                // Endpoints of queues, tables and files.
                _ => {}
            }
        }
        if let Some(account) = account {
            self.account = account;
        }
        self.credentials = match (some(key), some(signature)) {
            (Some(key), _) => vec![(Key::AccessKey, key)],
            (None, Some(signature)) => vec![(Key::SasKey, signature)],
            (None, None) => return Err(Error::field(field, "has neither AccountKey nor SharedAccessSignature")),
        };
        self.endpoint = endpoint.unwrap_or_else(|| format!("{protocol}://{}.blob.{suffix}", self.account));
        self.http.allow_http = match self.endpoint.split_once("://") {
            Some(("http", _)) => true,
            Some(("https", _)) => false,
            _ => return Err(Error::field(field, "has an endpoint that is neither http nor https")),
        };
        Ok(())
    }

    /// The service's URL.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(super) fn builder(&self) -> Result<MicrosoftAzureBuilder> {
        let mut builder = MicrosoftAzureBuilder::new();
        for (key, value) in &self.credentials {
            builder = builder.with_config(*key, value.expose());
        }
        Ok(builder
            .with_account(&self.account)
            .with_container_name(&self.container)
            .with_endpoint(self.endpoint.clone())
            .with_allow_http(self.http.allow_http)
            .with_retry(self.retry.clone())
            .with_client_options(self.http.client_options()?))
    }
}

/// A client secret or a workload identity, if the environment has one; otherwise the managed identity is used.
fn from_environment(environment: Lookup<'_>) -> Vec<(Key, Secret)> {
    let names = [
        ("AZURE_TENANT_ID", Key::AuthorityId),
        ("AZURE_CLIENT_ID", Key::ClientId),
        ("AZURE_CLIENT_SECRET", Key::ClientSecret),
        ("AZURE_FEDERATED_TOKEN_FILE", Key::FederatedTokenFile),
        ("AZURE_AUTHORITY_HOST", Key::AuthorityHost),
    ];
    names.into_iter().filter_map(|(name, key)| Some((key, some(environment(name).map(Secret::new))?))).collect()
}
