//! `type: COS`, `type: ALIYUNOSS` and `type: OBS`: services that also speak the protocol of S3, by which they are reached.
//!
//! ```text
//! COS         bucket-app_id at cos.<region>.myqcloud.com, or what endpoint says: the bucket's own URL
//! ALIYUNOSS   bucket at endpoint; its region is that in oss-<region>.aliyuncs.com
//! OBS         bucket at endpoint; its region is that in obs.<region>.myhuaweicloud.com
//! ```
//! The bucket is part of the host's name: OSS takes nothing else.

use serde::Deserialize;

use super::{S3, S3Section};
use crate::{
    config::{
        Ignored, Section,
        environment::Lookup,
        http::HttpSection,
        required,
        text::{Secret, some},
    },
    error::{Error, Result},
};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct CosSection {
    bucket: Option<String>,
    region: Option<String>,
    app_id: Option<String>,
    endpoint: Option<String>,
    secret_key: Option<Secret>,
    secret_id: Option<Secret>,
    max_retries: Option<i64>,
    http_config: Option<HttpSection>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct OssSection {
    endpoint: Option<String>,
    bucket: Option<String>,
    access_key_id: Option<Secret>,
    access_key_secret: Option<Secret>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct ObsSection {
    bucket: Option<String>,
    endpoint: Option<String>,
    access_key: Option<Secret>,
    secret_key: Option<Secret>,
    max_retries: Option<i64>,
    http_config: Option<HttpSection>,
}

impl Section for CosSection {}
impl Section for OssSection {}
impl Section for ObsSection {}

impl CosSection {
    pub(in crate::config) fn into_s3(self, environment: Lookup<'_>, ignored: &mut Ignored) -> Result<S3> {
        let (bucket, host, region, insecure) = match self.endpoint.filter(|endpoint| !endpoint.is_empty()) {
            Some(endpoint) => {
                let (host, insecure) = without_scheme(&endpoint);
                let parts =
                    host.split_once('.').and_then(|(bucket, host)| Some((bucket, host, region_in(host, "cos.")?)));
                let Some((bucket, host, region)) = parts.filter(|(bucket, _, _)| !bucket.is_empty()) else {
                    let advice = "expected <bucket>-<app_id>.cos.<region>.myqcloud.com; give bucket, app_id and region";
                    return Err(Error::unsupported("config.endpoint", advice));
                };
                (bucket.to_owned(), host.to_owned(), region, insecure)
            }
            None => {
                let (bucket, app) = (required(self.bucket, "config.bucket")?, required(self.app_id, "config.app_id")?);
                let region = required(self.region, "config.region")?;
                (format!("{bucket}-{app}"), format!("cos.{region}.myqcloud.com"), region, false)
            }
        };
        let section = S3Section {
            bucket: Some(bucket),
            endpoint: Some(host),
            region: Some(region),
            access_key: Some(secret(self.secret_id, "config.secret_id")?),
            secret_key: Some(secret(self.secret_key, "config.secret_key")?),
            insecure: Some(insecure),
            bucket_lookup_type: Some("virtual-hosted".to_owned()),
            max_retries: self.max_retries,
            http_config: self.http_config,
            ..S3Section::default()
        };
        Ok(S3 { scheme: "cos", ..S3::new(section, environment, ignored)? })
    }
}

impl OssSection {
    pub(in crate::config) fn into_s3(self, environment: Lookup<'_>, ignored: &mut Ignored) -> Result<S3> {
        let bucket = required(self.bucket, "config.bucket")?;
        let endpoint = required(self.endpoint, "config.endpoint")?;
        let (host, insecure) = without_scheme(&endpoint);
        let section = S3Section {
            bucket: Some(bucket),
            endpoint: Some(host.to_owned()),
            region: region_in(host.strip_prefix("s3.").unwrap_or(host), "oss-")
                .map(|region| region.strip_suffix("-internal").unwrap_or(&region).to_owned()),
            access_key: Some(secret(self.access_key_id, "config.access_key_id")?),
            secret_key: Some(secret(self.access_key_secret, "config.access_key_secret")?),
            insecure: Some(insecure),
            bucket_lookup_type: Some("virtual-hosted".to_owned()),
            ..S3Section::default()
        };
        Ok(S3 { scheme: "oss", ..S3::new(section, environment, ignored)? })
    }
}

impl ObsSection {
    pub(in crate::config) fn into_s3(self, environment: Lookup<'_>, ignored: &mut Ignored) -> Result<S3> {
        let bucket = required(self.bucket, "config.bucket")?;
        let endpoint = required(self.endpoint, "config.endpoint")?;
        let (host, insecure) = without_scheme(&endpoint);
        let section = S3Section {
            bucket: Some(bucket),
            endpoint: Some(host.to_owned()),
            region: region_in(host, "obs."),
            access_key: Some(secret(self.access_key, "config.access_key")?),
            secret_key: Some(secret(self.secret_key, "config.secret_key")?),
            insecure: Some(insecure),
            bucket_lookup_type: Some("virtual-hosted".to_owned()),
            max_retries: self.max_retries,
            http_config: self.http_config,
            ..S3Section::default()
        };
        Ok(S3 { scheme: "obs", ..S3::new(section, environment, ignored)? })
    }
}

fn secret(value: Option<Secret>, field: &str) -> Result<Secret> {
    some(value).ok_or_else(|| Error::field(field, "is missing"))
}

/// The host, and whether it is to be reached without encryption.
fn without_scheme(endpoint: &str) -> (&str, bool) {
    let (host, insecure) = match endpoint.strip_prefix("http://") {
        Some(host) => (host, true),
        None => (endpoint.strip_prefix("https://").unwrap_or(endpoint), false),
    };
    (host.strip_suffix('/').unwrap_or(host), insecure)
}

/// What follows `prefix` in the first parts of a service's own host names.
fn region_in(host: &str, prefix: &str) -> Option<String> {
    let rest = host.strip_prefix(prefix)?;
    let domains = [".myqcloud.com", ".aliyuncs.com", ".myhuaweicloud.com", ".myhuaweicloud.eu"];
    let region = domains.iter().find_map(|domain| rest.strip_suffix(domain))?;
    (!region.is_empty() && !region.contains('.')).then(|| region.to_owned())
}

#[cfg(test)]
mod tests {
    use object_store::aws::AmazonS3ConfigKey as Key;

    use crate::config::{BucketConfig, Provider};

    /// What the client is told.
    fn client(yaml: &str) -> Vec<Option<String>> {
        let config = BucketConfig::from_yaml(yaml, |_| None).unwrap();
        let Provider::S3(s3) = config.provider else { panic!("another client") };
        let builder = s3.builder().unwrap();
        let keys = [
            Key::Endpoint,
            Key::Bucket,
            Key::Region,
            Key::AccessKeyId,
            Key::SecretAccessKey,
            Key::VirtualHostedStyleRequest,
            Key::DisableBulkDelete,
        ];
        keys.iter().map(|key| builder.get_config_value(key)).collect()
    }

    #[test]
    fn the_same_client_as_of_type_s3() {
        let s3 = |bucket: &str, endpoint: &str, region: &str, more: &str| {
            client(&format!(
                "type: S3\nconfig: {{bucket: {bucket}, endpoint: {endpoint}, region: {region}, access_key: k, secret_key: \
                 s, bucket_lookup_type: virtual-hosted{more}}}\n"
            ))
        };
        let cos = s3("blocks-1250000000", "cos.ap-guangzhou.myqcloud.com", "ap-guangzhou", "");
        assert_eq!(cos[0].as_deref(), Some("https://blocks-1250000000.cos.ap-guangzhou.myqcloud.com"));
        let own = "type: COS\nconfig: {bucket: blocks, app_id: '1250000000', region: ap-guangzhou, secret_id: k, secret_key: s}";
        assert_eq!(client(own), cos);
        let url = "type: COS\nconfig: {endpoint: 'https://blocks-1250000000.cos.ap-guangzhou.myqcloud.com', secret_id: k, secret_key: s}";
        assert_eq!(client(url), cos);
        let plain = url.replace("https", "http");
        let insecure = s3("blocks-1250000000", "cos.ap-guangzhou.myqcloud.com", "ap-guangzhou", ", insecure: true");
        assert_eq!(client(&plain), insecure);

        for host in
            ["oss-cn-hangzhou.aliyuncs.com", "oss-cn-hangzhou-internal.aliyuncs.com", "s3.oss-cn-hangzhou.aliyuncs.com"]
        {
            let oss = format!(
                "type: AliyunOSS\nconfig: {{bucket: blocks, endpoint: {host}, access_key_id: k, access_key_secret: s}}"
            );
            assert_eq!(client(&oss), s3("blocks", host, "cn-hangzhou", ""), "{host}");
        }
        let host = "obs.cn-north-4.myhuaweicloud.com";
        let obs =
            format!("type: OBS\nconfig: {{bucket: blocks, endpoint: 'https://{host}/', access_key: k, secret_key: s}}");
        assert_eq!(client(&obs), s3("blocks", host, "cn-north-4", ""));
    }
}
