//! TLS of the gRPC port.

use std::sync::Arc;

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};

use crate::web_config::certificates;

/// Certificates of a gRPC port, in PEM.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// The server's certificate and the chain above it.
    pub certificate: Vec<u8>,
    /// Its private key.
    pub key: Vec<u8>,
    /// Clients must have a certificate of this authority, if it is given.
    pub client_authority: Option<Vec<u8>>,
}

impl ServerTls {
    pub(crate) fn config(&self) -> Result<Arc<ServerConfig>, String> {
        let chain = certificates("the certificate", &self.certificate)?;
        // Its error could repeat a part of the key.
        let key =
            PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| "the key is no private key in PEM".to_owned())?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match &self.client_authority {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let of = |error: &dyn std::fmt::Display| format!("the clients' authority: {error}");
                let mut roots = RootCertStore::empty();
                for certificate in certificates("the clients' authority", authority)? {
                    roots.add(certificate).map_err(|error| of(&error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| of(&error))?)
            }
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| format!("the certificate and its key cannot be used: {error}"))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }
}
