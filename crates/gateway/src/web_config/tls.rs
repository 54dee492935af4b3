//! Go's terms of TLS in those of rustls.

use std::{path::Path, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig, SupportedCipherSuite,
    crypto::{CryptoProvider, ring, ring::kx_group},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
};

use crate::web_config::{Files, file::Tls};

/// `None` if nothing of it is configured: then there is no TLS.
pub(super) fn config(tls: &Tls, http2: bool, files: &mut Files<'_>) -> Result<Option<Arc<ServerConfig>>, String> {
    if tls.client_allowed_sans.is_some() {
        return Err(
            "client_allowed_sans is not supported: use an authority of its own for the clients' certificates".into()
        );
    }
    let certificate = pem("cert", tls.cert.as_deref(), tls.cert_file.as_deref(), files)?;
    let key = pem("key", tls.key.as_ref().map(|key| key.expose()), tls.key_file.as_deref(), files)?;
    let authority = pem("client_ca", tls.client_ca.as_deref(), tls.client_ca_file.as_deref(), files)?;
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) if authority.is_none() && tls.client_auth_type.is_none() => return Ok(None),
        (None, _) => return Err("tls_server_config: one of cert and cert_file is missing".into()),
        (_, None) => return Err("tls_server_config: one of key and key_file is missing".into()),
    };
    let chain = certificates("the certificate", &certificate)?;
    // Its error could repeat a part of the key.
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| "the key is no private key in PEM".to_owned())?;

    let provider = Arc::new(provider(tls)?);
    let versions = versions(tls)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(|error| format!("tls_server_config: {error}"))?;
    let builder = match (ClientAuth::new(tls)?, authority) {
        (ClientAuth::None, None) => builder.with_no_client_auth(),
        (ClientAuth::None, Some(_)) => return Err("client_ca is of no use without a client_auth_type".into()),
        (_, None) => return Err("client_auth_type needs a client_ca or client_ca_file".into()),
        (wanted, Some(authority)) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("client_ca", &authority)? {
                roots.add(certificate).map_err(|error| format!("client_ca: {error}"))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if wanted == ClientAuth::IfGiven { verifier.allow_unauthenticated() } else { verifier };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| format!("client_ca: {error}"))?)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| format!("tls_server_config: the certificate and its key cannot be used: {error}"))?;
    config.ignore_client_order = tls.prefer_server_cipher_suites.unwrap_or(true);
    config.alpn_protocols = if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
    Ok(Some(Arc::new(config)))
}

/// PEM of a field, or of the file that another field names.
fn pem(
    field: &str,
    inline: Option<&str>,
    file: Option<&Path>,
    files: &mut Files<'_>,
) -> Result<Option<Vec<u8>>, String> {
    let inline = inline.filter(|text| !text.is_empty());
    match (inline, file.filter(|path| !path.as_os_str().is_empty())) {
        (Some(_), Some(_)) => Err(format!("tls_server_config: {field} and {field}_file exclude each other")),
        (Some(text), None) => Ok(Some(text.as_bytes().to_vec())),
        (None, Some(path)) => files.named(&format!("{field}_file"), path).map(Some),
        (None, None) => Ok(None),
    }
}

/// At least one; `what` they are is for the message.
pub(crate) fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| format!("{what} is not in PEM: {error}"))?;
    if certificates.is_empty() { Err(format!("{what} holds no certificate in PEM")) } else { Ok(certificates) }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ClientAuth {
    None,
    IfGiven,
    Always,
}

impl ClientAuth {
    fn new(tls: &Tls) -> Result<Self, String> {
        match tls.client_auth_type.as_deref() {
            None | Some("" | "NoClientCert") => Ok(Self::None),
            Some("VerifyClientCertIfGiven") => Ok(Self::IfGiven),
            Some("RequireAndVerifyClientCert") => Ok(Self::Always),
            Some(unsafe_one @ ("RequestClientCert" | "RequireAnyClientCert" | "RequireClientCert")) => Err(format!(
                "client_auth_type {unsafe_one} takes any certificate for good and is not supported: use \
                 RequireAndVerifyClientCert"
            )),
            Some(_) => {
                Err("client_auth_type is none of NoClientCert, VerifyClientCertIfGiven, RequireAndVerifyClientCert"
                    .into())
            }
        }
    }
}

fn versions(tls: &Tls) -> Result<Vec<&'static rustls::SupportedProtocolVersion>, String> {
    let number = |field: &str, value: &Option<String>, default: u8| match value.as_deref() {
        None => Ok(default),
        Some("TLS12") => Ok(2),
        Some("TLS13") => Ok(3),
        Some(old @ ("TLS10" | "TLS11")) => Err(format!("{field}: {old} is not safe and not supported: use TLS12")),
        Some(_) => Err(format!("{field} is neither TLS12 nor TLS13")),
    };
    let (min, max) = (number("min_version", &tls.min_version, 2)?, number("max_version", &tls.max_version, 3)?);
    let versions = [(2, &TLS12), (3, &TLS13)];
    let versions: Vec<_> = versions.into_iter().filter(|(n, _)| (min..=max).contains(n)).map(|(_, v)| v).collect();
    if versions.is_empty() { Err("max_version is less than min_version".into()) } else { Ok(versions) }
}

/// The algorithms that are used: of TLS 1.2 those that are named; those of TLS 1.3 cannot be chosen, as in Go.
fn provider(tls: &Tls) -> Result<CryptoProvider, String> {
    let mut provider = ring::default_provider();
    if let Some(names) = tls.cipher_suites.as_deref().filter(|names| !names.is_empty()) {
        let known = provider.cipher_suites;
        let name = |suite: &SupportedCipherSuite| format!("{:?}", suite.suite());
        provider.cipher_suites = known.iter().filter(|suite| suite.tls13().is_some()).copied().collect();
        for wanted in names {
            // Go accepts the names of TLS 1.3, without effect.
            if ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"].contains(&&**wanted)
            {
                continue;
            }
            let suite =
                known.iter().find(|suite| suite.tls13().is_none() && name(suite) == *wanted).ok_or_else(|| {
                    let known: Vec<_> = known.iter().filter(|suite| suite.tls13().is_none()).map(name).collect();
                    format!("cipher_suites: one is none of {}", known.join(", "))
                })?;
            provider.cipher_suites.push(*suite);
        }
    }
    if let Some(names) = tls.curve_preferences.as_deref().filter(|names| !names.is_empty()) {
        let group = |name: &String| match &**name {
            "X25519" => Ok(kx_group::X25519),
            "CurveP256" => Ok(kx_group::SECP256R1),
            "CurveP384" => Ok(kx_group::SECP384R1),
            _ => Err("curve_preferences: one is none of X25519, CurveP256, CurveP384".to_owned()),
        };
        provider.kx_groups = names.iter().map(group).collect::<Result<_, _>>()?;
    }
    Ok(provider)
}
