//! The YAML configuration of a bucket, as Thanos and Cortex write it.
//!
//! ```text
//! type: S3                  FILESYSTEM, S3, GCS, AZURE, COS, ALIYUNOSS or OBS, in any case
//! prefix: some/prefix       optional; all keys lie under it
//! config:                   fields of the type, named as in Thanos
//!   bucket: blocks
//!   secret_key: $(SECRET)   $(NAME), anywhere in the text, is replaced by an environment variable
//! ```
//! A field that is not known is refused. A known one whose value asks for what is not provided is refused too, or, if
//! nothing but speed or logging depends on it, listed by [`BucketConfig::ignored`] for the program to log.
//!
//! Where this differs from Thanos on purpose: an unset variable is an error (there, the empty string); unknown fields of
//! a FILESYSTEM are refused; `tls_config.insecure_skip_verify` works; credentials are not read from AWS profile files;
//! COS, ALIYUNOSS and OBS are reached by the protocol of S3, and encrypted unless the endpoint says `http://`.

mod azure;
pub(crate) mod environment;
mod filesystem;
mod gcs;
mod http;
mod s3;
pub(crate) mod text;

use std::{fmt, sync::Arc};

use object_store::{Attributes, ObjectStore, RetryConfig, path::Path, prefix::PrefixStore};
use serde::Deserialize;

pub use environment::process_environment;

use self::{
    azure::Azure,
    environment::Lookup,
    filesystem::Filesystem,
    gcs::Gcs,
    s3::{CosSection, ObsSection, OssSection, S3},
};
use crate::{
    bucket::{Bucket, parse_key},
    error::{Cause, Detail, Error, ErrorKind, Result},
    sealed::Sealed,
    upload::Transfer,
    yaml,
};

/// Parts of a configuration's text: no honest one comes near.
pub(crate) const MAX_NODES: usize = 10_000;

/// A bucket's configuration, checked but not yet used.
pub struct BucketConfig {
    provider: Provider,
    prefix: Option<Path>,
    ignored: Vec<IgnoredField>,
}

enum Provider {
    Filesystem(Filesystem),
    S3(Box<S3>),
    Gcs(Box<Gcs>),
    Azure(Box<Azure>),
}

/// What a bucket is opened for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OpenFor {
    /// Reading: a local directory must exist.
    Reading,
    /// Writing, and reading too: a local directory is created if missing. Buckets of services never are.
    Writing,
}

/// A field of the configuration that has no effect here, to be logged.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct IgnoredField {
    /// Its path, such as `config.http_config.max_idle_conns`.
    pub field: String,
    /// Why it has no effect, and what holds instead.
    pub reason: &'static str,
}

impl fmt::Display for IgnoredField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has no effect: {}", self.field, self.reason)
    }
}

/// The URL of the bucket; never credentials.
impl fmt::Debug for BucketConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BucketConfig").field(&self.url()).finish()
    }
}

/// The fields of every type. The type decides how `config` is read, in a second pass.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outer<C> {
    r#type: Option<String>,
    #[serde(default = "Option::default")]
    config: Option<C>,
    #[serde(default)]
    prefix: Option<String>,
}

/// The fields of a type, as [`Option`]s: present or not.
trait Section: Default + for<'de> Deserialize<'de> {}

/// What the sections need to say what they ignore.
#[derive(Default)]
struct Ignored(Vec<IgnoredField>);

impl Ignored {
    /// Notes the field if `set`.
    fn note(&mut self, set: bool, field: &str, reason: &'static str) {
        if set {
            self.0.push(IgnoredField { field: field.to_owned(), reason });
        }
    }
}

impl BucketConfig {
    /// Reads a configuration of at most 1 MiB. `environment` gives the variables that the text names as `$(NAME)`, and
    /// those that services take credentials from; [`process_environment`] is the usual one.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for malformed YAML, unknown or contradictory fields, missing or wrong values and unset
    /// variables; [`ErrorKind::Unsupported`] for what this crate does not provide; [`ErrorKind::LimitExceeded`] for a
    /// text that is too large. The messages name the field, never its value.
    pub fn from_yaml(yaml: &str, environment: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let text = environment::expand(yaml, &environment)?;
        let outer: Outer<serde::de::IgnoredAny> = yaml::parse(&text, MAX_NODES)?;
        let mut ignored = Ignored::default();
        let provider = Provider::parse(outer.r#type.as_deref(), &text, &environment, &mut ignored)?;
        let prefix = match outer.prefix.as_deref().unwrap_or_default().trim_matches('/') {
            "" => None,
            prefix => Some(parse_key(prefix).map_err(|_| Error::field("prefix", "is no valid prefix of keys"))?),
        };
        Ok(Self { provider, prefix, ignored: ignored.0 })
    }

    /// A local directory, as `type: FILESYSTEM` gives it.
    #[must_use]
    pub fn filesystem(directory: impl Into<std::path::PathBuf>) -> Self {
        let directory = directory.into();
        let directory = std::path::absolute(&directory).unwrap_or(directory);
        Self { provider: Provider::Filesystem(Filesystem { directory }), prefix: None, ignored: Vec::new() }
    }

    /// Fields that are set but have no effect. A program logs them at start.
    #[must_use]
    pub fn ignored(&self) -> &[IgnoredField] {
        &self.ignored
    }

    /// The bucket's URL with the prefix, as the [`Bucket`] will display.
    #[must_use]
    pub fn url(&self) -> String {
        let base = match &self.provider {
            Provider::Filesystem(filesystem) => format!("file://{}", filesystem.directory.display()),
            Provider::S3(s3) => format!("{}://{}", s3.scheme, s3.bucket),
            Provider::Gcs(gcs) => format!("gs://{}", gcs.bucket),
            Provider::Azure(azure) => format!("azure://{}/{}", azure.account, azure.container),
        };
        match &self.prefix {
            Some(prefix) => format!("{base}/{prefix}"),
            None => base,
        }
    }

    /// The URL, and the service's endpoint where the URL does not say it: two services may have buckets of one name.
    fn identity(&self) -> String {
        let endpoint = match &self.provider {
            Provider::Filesystem(_) | Provider::Gcs(_) => "",
            Provider::S3(s3) => s3.endpoint(),
            Provider::Azure(azure) => azure.endpoint(),
        };
        format!("{endpoint} {}", self.url())
    }

    /// Makes the bucket. Nothing is requested from a service yet, so wrong credentials show at the first call.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for reading from a local directory that does not exist, or naming a file of certificates
    /// or keys that does not; [`ErrorKind::PermissionDenied`] and [`ErrorKind::StorageFull`] for a directory that cannot
    /// be created; [`ErrorKind::Invalid`] for credentials or certificates that cannot be understood.
    pub fn open(&self, open_for: OpenFor) -> Result<Bucket> {
        let name = self.url();
        let failed = |kind: ErrorKind, source: &dyn std::error::Error| -> Error {
            Detail::Open { bucket: name.clone(), kind, source: Cause::of(source) }.into()
        };
        // A client that cannot be built has been given something wrong.
        let invalid = |error: object_store::Error| failed(ErrorKind::Invalid, &error);
        let mut attributes = Attributes::new();
        let mut transfer = Transfer::default();
        let mut root = None;
        let store: Arc<dyn ObjectStore> = match &self.provider {
            Provider::Filesystem(filesystem) => {
                let (store, directory) = filesystem.open(open_for, &failed)?;
                root = Some(directory);
                transfer = transfer.unlimited_parts();
                Arc::new(store)
            }
            Provider::S3(s3) => {
                attributes = s3.attributes.clone();
                transfer = s3.part_size.map_or(transfer, |bytes| transfer.with_part_size(bytes));
                Arc::new(s3.builder()?.build().map_err(invalid)?)
            }
            Provider::Gcs(gcs) => {
                transfer = gcs.part_size.map_or(transfer, |bytes| transfer.with_part_size(bytes));
                Arc::new(gcs.builder()?.build().map_err(invalid)?)
            }
            Provider::Azure(azure) => Arc::new(azure.builder()?.build().map_err(invalid)?),
        };
        let sealed: Arc<dyn ObjectStore> = match &self.prefix {
            Some(prefix) => {
                root = root.map(|root| root.join(prefix.as_ref()));
                Arc::new(Sealed { inner: PrefixStore::new(store, prefix.clone()), name: name.clone(), attributes })
            }
            None => Arc::new(Sealed { inner: store, name: name.clone(), attributes }),
        };
        let bucket = Bucket::new(sealed, name.clone()).with_identity(self.identity()).with_transfer(transfer);
        Ok(match root {
            Some(root) => bucket.with_root(root),
            None => bucket,
        })
    }
}

impl Provider {
    fn parse(kind: Option<&str>, text: &str, environment: Lookup<'_>, ignored: &mut Ignored) -> Result<Self> {
        let Some(kind) = kind.filter(|kind| !kind.is_empty()) else {
            return Err(Error::field("type", "is missing: expected FILESYSTEM, S3, GCS, AZURE, COS, ALIYUNOSS or OBS"));
        };
        let advice = match kind.to_ascii_uppercase().as_str() {
            "FILESYSTEM" => return Filesystem::new(section(text)?).map(Self::Filesystem),
            "S3" => return S3::new(section(text)?, environment, ignored).map(|s3| Self::S3(Box::new(s3))),
            "GCS" => return Gcs::new(section(text)?, environment, ignored).map(|gcs| Self::Gcs(Box::new(gcs))),
            "AZURE" => {
                return Azure::new(section(text)?, environment, ignored).map(|azure| Self::Azure(Box::new(azure)));
            }
            "COS" => {
                let section: CosSection = section(text)?;
                return section.into_s3(environment, ignored).map(|s3| Self::S3(Box::new(s3)));
            }
            "ALIYUNOSS" => {
                let section: OssSection = section(text)?;
                return section.into_s3(environment, ignored).map(|s3| Self::S3(Box::new(s3)));
            }
            "OBS" => {
                let section: ObsSection = section(text)?;
                return section.into_s3(environment, ignored).map(|s3| Self::S3(Box::new(s3)));
            }
            "BOS" => "use type S3 with Baidu's S3-compatible endpoint, s3.<region>.bcebos.com",
            "OCI" => {
                "use type S3 with Oracle's S3-compatible endpoint, \
                 <namespace>.compat.objectstorage.<region>.oraclecloud.com"
            }
            "SWIFT" => {
                "use type S3 with the endpoint of Swift's s3api middleware and credentials made by `openstack ec2 \
                 credentials create`"
            }
            _ => {
                return Err(Error::field(
                    "type",
                    "is not known: expected FILESYSTEM, S3, GCS, AZURE, COS, ALIYUNOSS or OBS",
                ));
            }
        };
        Err(Error::unsupported(format!("type {}", kind.to_ascii_uppercase()), advice))
    }
}

fn section<S: Section>(text: &str) -> Result<S> {
    Ok(yaml::parse::<Outer<S>>(text, MAX_NODES)?.config.unwrap_or_default())
}

/// Retries with exponential backoff, bounded in number and time.
fn retries(configured: Option<usize>) -> RetryConfig {
    let mut retry = RetryConfig { max_retries: configured.unwrap_or(8), ..RetryConfig::default() };
    retry.retry_timeout = std::time::Duration::from_secs(90);
    retry.backoff.max_backoff = std::time::Duration::from_secs(10);
    retry
}

/// A value that must be there.
fn required(value: Option<String>, field: &str) -> Result<String> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| Error::field(field, "is missing"))
}

/// A number of retries: Thanos takes 0 for its default.
fn count(value: Option<i64>, field: &str) -> Result<Option<usize>> {
    match value {
        None | Some(0) => Ok(None),
        Some(value) => match usize::try_from(value) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(Error::field(field, "is negative")),
        },
    }
}
