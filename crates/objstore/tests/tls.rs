//! Clients over TLS can be built in a process that has not chosen a TLS provider. Alone in its binary, so that nobody
//! else has.

use promparquet_objstore::{BucketConfig, ErrorKind, OpenFor};

#[tokio::test]
async fn a_provider_is_installed() {
    assert!(rustls::crypto::CryptoProvider::get_default().is_none(), "the test proves nothing");
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    for yaml in [
        format!(
            "type: S3\nconfig: {{bucket: b, endpoint: '127.0.0.1:{port}', access_key: k, secret_key: s, max_retries: 1}}"
        ),
        "type: GCS\nconfig: {bucket: b}".to_owned(),
        "type: AZURE\nconfig: {storage_account: a, container: c, storage_account_key: a2V5}".to_owned(),
    ] {
        BucketConfig::from_yaml(&yaml, |_| None).unwrap().open(OpenFor::Reading).unwrap();
        assert!(rustls::crypto::CryptoProvider::get_default().is_some());
        if yaml.contains("S3") {
            let bucket = BucketConfig::from_yaml(&yaml, |_| None).unwrap().open(OpenFor::Reading).unwrap();
            assert_eq!(bucket.get("key", 1).await.unwrap_err().kind(), ErrorKind::Unavailable);
        }
    }
}
