//! `type: S3`, and the types that are reached by its protocol.

mod compatible;

use std::{collections::BTreeMap, path::PathBuf};

use base64::{Engine, prelude::BASE64_STANDARD};
use object_store::{
    Attribute, Attributes, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey as Key},
};
use serde::Deserialize;

pub(super) use self::compatible::{CosSection, ObsSection, OssSection};
use super::{
    Ignored, Section, count,
    environment::Lookup,
    http::{Http, HttpSection},
    required, retries,
    text::{Secret, some},
};
use crate::error::{Detail, Error, Result};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct S3Section {
    bucket: Option<String>,
    endpoint: Option<String>,
    region: Option<String>,
    disable_dualstack: Option<bool>,
    aws_sdk_auth: Option<bool>,
    access_key: Option<Secret>,
    insecure: Option<bool>,
    signature_version2: Option<bool>,
    secret_key: Option<Secret>,
    session_token: Option<Secret>,
    put_user_metadata: Option<BTreeMap<String, String>>,
    http_config: Option<HttpSection>,
    trace: Option<TraceSection>,
    list_objects_version: Option<String>,
    bucket_lookup_type: Option<String>,
    send_content_md5: Option<bool>,
    disable_multipart: Option<bool>,
    part_size: Option<u64>,
    sse_config: Option<SseSection>,
    sts_endpoint: Option<String>,
    max_retries: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TraceSection {
    enable: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SseSection {
    r#type: Option<String>,
    kms_key_id: Option<String>,
    kms_encryption_context: Option<BTreeMap<String, String>>,
    encryption_key: Option<String>,
}

impl Section for S3Section {}

/// A bucket of S3 or of a service that speaks its protocol.
pub(super) struct S3 {
    /// Of the bucket's URL: the service's name.
    pub(super) scheme: &'static str,
    pub(super) bucket: String,
    endpoint: Endpoint,
    region: String,
    credentials: Vec<(Key, Secret)>,
    encryption: Encryption,
    retry: RetryConfig,
    http: Http,
    pub(super) part_size: Option<usize>,
    pub(super) attributes: Attributes,
}

struct Endpoint {
    url: String,
    /// The bucket is part of the host's name rather than of the path.
    virtual_hosted: bool,
}

enum Encryption {
    None,
    S3,
    Kms { key_id: String },
    Customer { key_file: PathBuf },
}

impl S3 {
    pub(super) fn new(section: S3Section, environment: Lookup<'_>, ignored: &mut Ignored) -> Result<Self> {
        let bucket = required(section.bucket, "config.bucket")?;
        let insecure = section.insecure.unwrap_or(false);
        let host = required(section.endpoint, "config.endpoint")?;
        let endpoint = Endpoint::new(&host, &bucket, insecure, section.bucket_lookup_type.as_deref())?;
        for (asked, field, advice) in [
            (section.signature_version2, "signature_version2", "requests are signed with version 4"),
            (section.disable_multipart, "disable_multipart", "large objects are always uploaded in parts"),
        ] {
            if asked.unwrap_or(false) {
                return Err(Error::unsupported(format!("config.{field}"), advice));
            }
        }
        match section.list_objects_version.as_deref() {
            None | Some("" | "v2") => {}
            Some("v1") => return Err(Error::unsupported("config.list_objects_version", "objects are listed with v2")),
            Some(_) => return Err(Error::field("config.list_objects_version", "is not known: expected v2")),
        }
        let trace = section.trace.and_then(|trace| trace.enable).unwrap_or(false);
        ignored.note(trace, "config.trace.enable", "requests are not traced to the log");
        ignored.note(
            section.send_content_md5 == Some(true),
            "config.send_content_md5",
            "bodies are protected by the SHA-256 in the signature instead",
        );
        ignored.note(
            section.disable_dualstack == Some(false),
            "config.disable_dualstack",
            "the endpoint is used as it stands; write s3.dualstack.<region>.amazonaws.com for IPv6",
        );
        let region = section.region.filter(|region| !region.is_empty()).or_else(|| region_of(&host));
        let guessed = region.is_none() && is_amazon(&host) && environment("AWS_REGION").is_none();
        ignored.note(guessed, "config.region (missing)", "us-east-1 is assumed; it is not looked up");
        let region = region.or_else(|| environment("AWS_REGION")).unwrap_or_else(|| "us-east-1".to_owned());

        let mut http = Http::new(section.http_config, ignored)?;
        http.allow_http = insecure;
        let keys = (some(section.access_key), some(section.secret_key), some(section.session_token));
        let sdk = section.aws_sdk_auth.unwrap_or(false);
        let mut credentials = credentials(keys, sdk, environment)?;
        if let Some(sts) = section.sts_endpoint.filter(|sts| !sts.is_empty()) {
            credentials.retain(|(key, _)| *key != Key::StsEndpoint);
            credentials.push((Key::StsEndpoint, Secret::new(sts)));
        }
        Ok(Self {
            scheme: "s3",
            endpoint,
            region,
            credentials,
            encryption: Encryption::new(section.sse_config)?,
            retry: retries(count(section.max_retries, "config.max_retries")?),
            http,
            part_size: part_size(section.part_size)?,
            attributes: attributes(section.put_user_metadata)?,
            bucket,
        })
    }

    /// The service's URL.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint.url
    }

    pub(super) fn builder(&self) -> Result<AmazonS3Builder> {
        let mut builder = AmazonS3Builder::new();
        for (key, value) in &self.credentials {
            builder = builder.with_config(*key, value.expose());
        }
        builder = match &self.encryption {
            Encryption::None => builder,
            // The key's variant cannot be named from outside of its crate.
            Encryption::S3 => match "aws_server_side_encryption".parse::<Key>() {
                Ok(key) => builder.with_config(key, "AES256"),
                Err(_) => return Err(Error::unsupported("config.sse_config.type", "leave it to the bucket's default")),
            },
            Encryption::Kms { key_id } => builder.with_sse_kms_encryption(key_id),
            Encryption::Customer { key_file } => builder.with_ssec_encryption(customer_key(key_file)?),
        };
        Ok(builder
            .with_bucket_name(&self.bucket)
            .with_endpoint(&self.endpoint.url)
            .with_virtual_hosted_style_request(self.endpoint.virtual_hosted)
            .with_region(&self.region)
            .with_allow_http(self.http.allow_http)
            .with_retry(self.retry.clone())
            // Deleting many objects in one request is what compatible services most often lack.
            .with_disable_bulk_delete(true)
            .with_client_options(self.http.client_options()?))
    }
}

impl Endpoint {
    fn new(host: &str, bucket: &str, insecure: bool, lookup: Option<&str>) -> Result<Self> {
        if host.contains("://") {
            return Err(Error::field("config.endpoint", "has a scheme: give the host alone, and insecure for http"));
        }
        if host.bytes().any(|b| b"/?#@ ".contains(&b) || b.is_ascii_control()) {
            return Err(Error::field("config.endpoint", "is no host, or host and port"));
        }
        let scheme = if insecure { "http" } else { "https" };
        let virtual_hosted = match lookup {
            None | Some("" | "auto") => has_virtual_hosts(host) && is_dns_label(bucket, insecure),
            Some("virtual-hosted") => true,
            Some("path") => false,
            Some(_) => {
                let problem = "is not known: expected auto, virtual-hosted or path";
                return Err(Error::field("config.bucket_lookup_type", problem));
            }
        };
        let url = if virtual_hosted { format!("{scheme}://{bucket}.{host}") } else { format!("{scheme}://{host}") };
        Ok(Self { url, virtual_hosted })
    }
}

/// The services that Thanos' client addresses by virtual host when left to choose.
fn has_virtual_hosts(host: &str) -> bool {
    is_amazon(host) || host == "storage.googleapis.com" || host.ends_with(".aliyuncs.com")
}

fn is_amazon(host: &str) -> bool {
    host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
}

/// A wildcard certificate covers no name with another dot.
fn is_dns_label(bucket: &str, insecure: bool) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || (insecure && b == b'.');
    (3..=63).contains(&bucket.len()) && bucket.bytes().all(allowed)
}

/// The region in a name such as `s3.eu-west-1.amazonaws.com` or `s3.dualstack.eu-west-1.amazonaws.com`.
fn region_of(host: &str) -> Option<String> {
    let name = host.strip_suffix(".cn").unwrap_or(host).strip_suffix(".amazonaws.com")?;
    let region =
        name.strip_prefix("s3.dualstack.").or_else(|| name.strip_prefix("s3.")).or_else(|| name.strip_prefix("s3-"))?;
    (!region.is_empty() && !region.contains('.')).then(|| region.to_owned())
}

fn part_size(bytes: Option<u64>) -> Result<Option<usize>> {
    match bytes {
        None | Some(0) => Ok(None),
        Some(bytes @ 0x50_0000..=0x1_4000_0000) => Ok(usize::try_from(bytes).ok()),
        Some(_) => Err(Error::field("config.part_size", "is not between 5 MiB and 5 GiB")),
    }
}

type Keys = (Option<Secret>, Option<Secret>, Option<Secret>);

/// Credentials in the order of Thanos: the configuration's; the environment's, being keys, a web identity, a container
/// or, with none of them, the instance's metadata service.
fn credentials(keys: Keys, sdk: bool, environment: Lookup<'_>) -> Result<Vec<(Key, Secret)>> {
    let token = |token: Option<Secret>| token.map(|token| (Key::Token, token));
    match keys {
        (Some(_), _, _) if sdk => {
            return Err(Error::field("config.aws_sdk_auth", "and access_key exclude each other"));
        }
        (Some(access), Some(secret), session) => {
            let static_keys = [(Key::AccessKeyId, access), (Key::SecretAccessKey, secret)];
            return Ok(static_keys.into_iter().chain(token(session)).collect());
        }
        (Some(_), None, _) => return Err(Error::field("config.secret_key", "is missing while access_key is set")),
        (None, Some(_), _) => return Err(Error::field("config.access_key", "is missing while secret_key is set")),
        (None, None, _) => {}
    }
    let variable = |name: &str| some(environment(name).map(Secret::new));
    let access = variable("AWS_ACCESS_KEY_ID").or_else(|| variable("AWS_ACCESS_KEY"));
    let secret = variable("AWS_SECRET_ACCESS_KEY").or_else(|| variable("AWS_SECRET_KEY"));
    if let (Some(access), Some(secret)) = (access, secret) {
        let static_keys = [(Key::AccessKeyId, access), (Key::SecretAccessKey, secret)];
        return Ok(static_keys.into_iter().chain(token(variable("AWS_SESSION_TOKEN"))).collect());
    }
    let found: Vec<_> = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", Key::WebIdentityTokenFile),
        ("AWS_ROLE_ARN", Key::RoleArn),
        ("AWS_ROLE_SESSION_NAME", Key::RoleSessionName),
        ("AWS_ENDPOINT_URL_STS", Key::StsEndpoint),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", Key::ContainerCredentialsRelativeUri),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", Key::ContainerCredentialsFullUri),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", Key::ContainerAuthorizationTokenFile),
    ]
    .into_iter()
    .filter_map(|(name, key)| Some((key, variable(name)?)))
    .collect();
    for name in ["AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE"] {
        if found.is_empty() && variable(name).is_some() {
            let advice = "profile files are not read; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
            return Err(Error::unsupported(format!("environment variable {name}"), advice));
        }
    }
    Ok(found)
}

impl Encryption {
    fn new(section: Option<SseSection>) -> Result<Self> {
        let SseSection { r#type, kms_key_id, kms_encryption_context, encryption_key } = section.unwrap_or_default();
        match r#type.as_deref().unwrap_or_default() {
            "" => Ok(Self::None),
            "SSE-S3" => Ok(Self::S3),
            "SSE-KMS" => {
                if kms_encryption_context.is_some_and(|context| !context.is_empty()) {
                    let advice = "no context is sent; use a key whose policy needs none";
                    return Err(Error::unsupported("config.sse_config.kms_encryption_context", advice));
                }
                Ok(Self::Kms { key_id: required(kms_key_id, "config.sse_config.kms_key_id")? })
            }
            "SSE-C" => {
                let key_file = required(encryption_key, "config.sse_config.encryption_key")?;
                Ok(Self::Customer { key_file: key_file.into() })
            }
            _ => Err(Error::field("config.sse_config.type", "is not known: expected SSE-S3, SSE-KMS or SSE-C")),
        }
    }
}

/// The key's 32 bytes, in base 64.
fn customer_key(path: &PathBuf) -> Result<String> {
    let field = "config.sse_config.encryption_key";
    let key = std::fs::read(path).map_err(|source| Detail::File { field, path: path.clone(), source })?;
    match key.len() {
        32 => Ok(BASE64_STANDARD.encode(key)),
        length => Err(Error::field(field, format!("names a file of {length} bytes; expected a key of 32 bytes"))),
    }
}

/// Metadata that is put on every object, the storage class among it.
fn attributes(metadata: Option<BTreeMap<String, String>>) -> Result<Attributes> {
    let mut attributes = Attributes::new();
    for (name, value) in metadata.unwrap_or_default() {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(is_token) || value.bytes().any(|b| !(b' '..=b'~').contains(&b)) {
            return Err(Error::field("config.put_user_metadata", "has a name or value that no HTTP header can hold"));
        }
        let attribute = match name.to_ascii_lowercase().as_str() {
            "x-amz-storage-class" => Attribute::StorageClass,
            lower => Attribute::Metadata(lower.strip_prefix("x-amz-meta-").unwrap_or(lower).to_owned().into()),
        };
        attributes.insert(attribute, value.into());
    }
    Ok(attributes)
}
