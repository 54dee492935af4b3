//! The web configuration, with connections as clients make them. Certificates are made by OpenSSL.

use std::{path::Path, process::Command, sync::Arc, time::Duration};

use hyper_util::rt::{TokioExecutor, TokioIo};
use promparquet_gateway::WebConfig;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    client::{Answer, get, get_with, parse, raw},
    served::{Served, Setup},
};

/// `secret`, at the least cost, by libxcrypt.
const HASH: &str = "$2y$04$QOauhQNbBCuQDKes6eFzPeVj0cCigtIZ1NEwIggIAOiVqcS6cpIjG";
/// `me:secret`
const BASIC: &str = "Authorization: Basic bWU6c2VjcmV0\r\n";

async fn serve(dir: &TempDir, text: &str) -> Served {
    let path = dir.path().join("web.yml");
    std::fs::write(&path, text).unwrap();
    Served::start(Setup { web: Some(WebConfig::from_file(path).unwrap()), ..Setup::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_needs_a_password_or_a_token() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("tokens"), "0123456789abcdef\n").unwrap();
    let text = format!(
        "basic_auth_users: {{me: {HASH}}}\nbearer_tokens_file: tokens\nhttp_server_config: {{headers: {{X-Frame-Options: deny}}}}"
    );
    let served = serve(&dir, &text).await;
    let bearer = "authorization: bearer 0123456789abcdef\r\n";
    for (address, paths) in [
        (served.api, &["/", "/api/v1/query", "/api/v1/nothing", "/-/healthy", "/ui/app.js", "/nothing"][..]),
        (served.internal, &["/", "/metrics", "/-/ready", "/nothing"]),
    ] {
        for path in paths {
            for headers in ["", "Authorization: Basic bWU6U2VjcmV0\r\n", "Authorization: Bearer 1123456789abcdef\r\n"] {
                let answer = get_with(address, path, &[], headers).await;
                assert_eq!((answer.status, &*answer.text()), (401, "Unauthorized\n"), "{path} {headers}");
                assert_eq!(answer.header("X-Frame-Options"), Some("deny"));
                assert!(
                    answer.head.contains("Basic realm=") && answer.head.contains("Bearer realm="),
                    "{}",
                    answer.head
                );
            }
            let expected = if path.ends_with("nothing") {
                404
            } else if path.ends_with("query") {
                400
            } else {
                200
            };
            for headers in [BASIC, bearer] {
                let answer = get_with(address, path, &[], headers).await;
                assert_eq!(answer.status, expected, "{path} {headers}");
                assert_eq!(answer.header("X-Frame-Options"), Some("deny"));
            }
        }
    }
    let metrics = get_with(served.internal, "/metrics", &[], BASIC).await.text();
    assert!(metrics.contains("code=\"401\"") && !metrics.contains("bWU6c2VjcmV0"), "{metrics}");

    // What changes is seen, a mistake leaves it as it was.
    let path = dir.path().join("web.yml");
    std::fs::write(dir.path().join("tokens"), "another-token-0123\n").unwrap();
    until(async || get_with(served.api, "/-/healthy", &[], bearer).await.status == 401).await;
    std::fs::write(&path, "basic_auth_user: {}").unwrap();
    // Looked at again and again.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(get(served.api, "/-/healthy", &[]).await.status, 401);
    std::fs::write(&path, "").unwrap();
    until(async || get(served.api, "/-/healthy", &[]).await.status == 200).await;
    std::fs::write(&path, "rate_limit: {interval: 1h, burst: 2}").unwrap();
    until(async || get(served.api, "/-/healthy", &[]).await.status == 429).await;
}

async fn until(holds: impl AsyncFn() -> bool) {
    for _ in 0..200 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing changes");
}

/// Runs OpenSSL; says so if there is none.
#[expect(clippy::print_stderr, reason = "tells that a check was skipped")]
fn openssl(dir: &Path, args: &str) -> bool {
    match Command::new("openssl").args(args.split(' ')).current_dir(dir).output() {
        Ok(output) => {
            assert!(output.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&output.stderr));
            true
        }
        Err(error) => {
            eprintln!("SKIPPED: TLS of the HTTP ports, as there is no OpenSSL: {error}");
            false
        }
    }
}

/// An authority, with certificates for a server and a client: `<name>.pem` and `<name>.key`.
pub(crate) fn certificates(dir: &Path) -> bool {
    let new = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    if !openssl(dir, &format!("{new} -x509 -subj /CN=authority -keyout authority.key -out authority.pem")) {
        return false;
    }
    std::fs::write(dir.join("extensions"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    ["server", "client", "next"].iter().all(|name| {
        openssl(dir, &format!("{new} -subj /CN={name} -keyout {name}.key -out {name}.csr"))
            && openssl(
                dir,
                &format!(
                    "x509 -req -in {name}.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 -extfile \
                     extensions -out {name}.pem"
                ),
            )
    })
}

pub(crate) fn chain(dir: &Path, name: &str) -> Vec<CertificateDer<'static>> {
    vec![CertificateDer::from_pem_file(dir.join(format!("{name}.pem"))).unwrap()]
}

struct Client {
    identity: bool,
    versions: &'static [&'static rustls::SupportedProtocolVersion],
    alpn: &'static [u8],
}

async fn connect(served: &Served, dir: &Path, client: &Client) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(chain(dir, "authority").remove(0)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(client.versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut config = if client.identity {
        let key = PrivateKeyDer::from_pem_file(dir.join("client.key")).unwrap();
        config.with_client_auth_cert(chain(dir, "client"), key).unwrap()
    } else {
        config.with_no_client_auth()
    };
    config.alpn_protocols = vec![client.alpn.to_vec()];
    let stream = TcpStream::connect(served.api).await?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// By HTTP/1.1: the answer, and the server's certificate.
async fn ask(served: &Served, dir: &Path, client: &Client) -> std::io::Result<(Answer, CertificateDer<'static>)> {
    let mut stream = connect(served, dir, client).await?;
    stream.write_all(REQUEST).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned();
    Ok((parse(&bytes), certificate))
}

const REQUEST: &[u8] = b"GET /api/v1/query?query=1 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
const TLS12: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
const TLS13: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];
const ANY: Client = Client { identity: false, versions: rustls::ALL_VERSIONS, alpn: b"http/1.1" };

#[tokio::test(flavor = "multi_thread")]
async fn encrypted() {
    let dir = tempfile::tempdir().unwrap();
    if !certificates(dir.path()) {
        return;
    }
    let pair = "cert_file: server.pem, key_file: server.key";
    let served = serve(&dir, &format!("tls_server_config: {{{pair}}}")).await;
    for versions in [rustls::ALL_VERSIONS, TLS12] {
        let (answer, certificate) = ask(&served, dir.path(), &Client { versions, ..ANY }).await.unwrap();
        assert_eq!((answer.status, certificate), (200, chain(dir.path(), "server").remove(0)));
    }
    let plain = raw(served.api, REQUEST).await;
    assert_eq!((plain.status, &*plain.text()), (400, "Client sent an HTTP request to an HTTPS server.\n"));
    let stream = connect(&served, dir.path(), &Client { alpn: b"h2", ..ANY }).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    for _ in 0..2 {
        let request = hyper::Request::get("https://127.0.0.1/-/healthy").body(String::new()).unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    }
    connection.abort();
    // A new certificate is used for new connections.
    for kind in ["pem", "key"] {
        std::fs::copy(dir.path().join(format!("next.{kind}")), dir.path().join(format!("server.{kind}"))).unwrap();
    }
    until(async || ask(&served, dir.path(), &ANY).await.unwrap().1 == chain(dir.path(), "next").remove(0)).await;

    let text = format!(
        "tls_server_config: {{{pair}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: authority.pem, \
         min_version: TLS13, curve_preferences: [CurveP256]}}\nhttp_server_config: {{http2: false}}"
    );
    let served = serve(&dir, &text).await;
    let known = Client { identity: true, ..ANY };
    assert_eq!(ask(&served, dir.path(), &known).await.unwrap().0.status, 200);
    assert!(ask(&served, dir.path(), &ANY).await.is_err());
    assert!(ask(&served, dir.path(), &Client { versions: TLS12, ..known }).await.is_err());
    assert!(ask(&served, dir.path(), &Client { identity: true, alpn: b"h2", ..ANY }).await.is_err());

    let suite = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    let text = format!(
        "tls_server_config: {{{pair}, client_auth_type: VerifyClientCertIfGiven, client_ca_file: authority.pem, \
         max_version: TLS12, cipher_suites: [{suite}]}}"
    );
    let served = serve(&dir, &text).await;
    for identity in [true, false] {
        assert_eq!(ask(&served, dir.path(), &Client { identity, ..ANY }).await.unwrap().0.status, 200);
    }
    assert!(ask(&served, dir.path(), &Client { versions: TLS13, ..ANY }).await.is_err());

    for (text, expected) in [
        (format!("{pair}, client_auth_type: RequireAnyClientCert"), "RequireAnyClientCert"),
        (format!("{pair}, client_auth_type: Any"), "client_auth_type is none of"),
        (format!("{pair}, client_auth_type: RequireAndVerifyClientCert"), "needs a client_ca"),
        (format!("{pair}, client_ca_file: authority.pem"), "without a client_auth_type"),
        (format!("{pair}, min_version: TLS11"), "TLS11"),
        (format!("{pair}, min_version: TLS13, max_version: TLS12"), "max_version"),
        (format!("{pair}, cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]"), "cipher_suites"),
        (format!("{pair}, curve_preferences: [CurveP521]"), "curve_preferences"),
        ("cert_file: server.pem, key_file: client.key".to_owned(), "cannot be used"),
    ] {
        let path = dir.path().join("wrong.yml");
        std::fs::write(&path, format!("tls_server_config: {{{text}}}")).unwrap();
        let error = WebConfig::from_file(path).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
