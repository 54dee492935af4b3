//! What a configuration may say. Connections are in the tests of the crate.

use super::{authentication::Verdict, *};

/// `secret`, at the least cost, by libxcrypt.
const HASH: &str = "$2y$04$QOauhQNbBCuQDKes6eFzPeVj0cCigtIZ1NEwIggIAOiVqcS6cpIjG";

fn of(text: &str, files: &[(&str, &str)]) -> Result<WebConfig, String> {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content).unwrap();
    }
    let path = dir.path().join("web.yml");
    std::fs::write(&path, text).unwrap();
    WebConfig::from_file(path).map_err(|error| error.to_string())
}

#[test]
fn what_says_nothing_asks_for_nothing() {
    for text in
        ["", "# nothing\n\n", "{}", "basic_auth_users:\n", "tls_server_config:\nhttp_server_config:\nrate_limit:\n"]
    {
        let config = of(text, &[]).unwrap();
        assert!(config.tls().is_none() && config.current().authentication.challenges().count() == 0, "{text}");
    }
}

#[test]
fn mistakes_are_named_and_values_are_not() {
    let hash = HASH.to_owned();
    for (text, expected) in [
        ("basic_auth_user: {a: hush}", "unknown field basic_auth_user"),
        ("tls_server_config: {cert_files: hush}", "unknown field cert_files"),
        ("hush", "line 1"),
        ("basic_auth_users: {hush: [", "line 1"),
        ("basic_auth_users: {admin: hush}", "basic_auth_users: the password of user 1"),
        (&format!("basic_auth_users: {{a: {hash}, b: '$2y$10$hush'}}"), "user 2"),
        ("basic_auth_users: {a: $2y$1}", "user 1"),
        ("basic_auth_users: {a: x, a: y}", "given twice"),
        ("http_server_config: {headers: {X-Hush: hush}}", "X-Hush is none of"),
        ("http_server_config: {headers: {X-Frame-Options: hush}}", "X-Frame-Options can be deny or sameorigin"),
        ("http_server_config: {headers: {Content-Security-Policy: \"hush\\n\"}}", "Content-Security-Policy"),
        ("http_server_config: {http2: hush}", "wrong kind"),
        ("rate_limit: {interval: hush}", "rate_limit.interval"),
        ("rate_limit: {interval: 1s}", "rate_limit.burst"),
        ("bearer_tokens_file: none", "bearer_tokens_file: cannot read"),
        ("bearer_tokens_file: .", "bearer_tokens_file"),
        ("bearer_tokens_file: empty", "no token"),
        ("bearer_tokens_file: short", "line 2"),
        ("tls_server_config: {cert_file: text}", "key"),
        ("tls_server_config: {key_file: text}", "cert"),
        ("tls_server_config: {client_auth_type: RequireAndVerifyClientCert}", "cert"),
        ("tls_server_config: {cert_file: none, key_file: none}", "cert_file: cannot read"),
        ("tls_server_config: {cert_file: text, cert: x, key_file: text}", "exclude each other"),
        ("tls_server_config: {cert_file: text, key: hush}", "no certificate"),
        ("tls_server_config: {client_allowed_sans: [hush]}", "client_allowed_sans is not supported"),
    ] {
        let error = of(text, &[("text", "hush"), ("empty", "# hush\n"), ("short", "#\nhush\n")]).unwrap_err();
        assert!(error.contains(expected) && error.contains("web.yml"), "{text}: {error}");
        assert!(!error.contains("hush"), "{text}: {error}");
    }
}

#[tokio::test]
async fn passwords_and_tokens() {
    let text = format!("basic_auth_users: {{me: {HASH}}}\nbearer_tokens_file: tokens");
    let config = of(&text, &[("tokens", "# two\n0123456789abcdef\n\n fedcba9876543210 \r\n")]).unwrap();
    let current = config.current();
    let check = async |value: &str| current.authentication.check(Some(value.as_bytes())).await;
    use base64::{Engine, prelude::BASE64_STANDARD};
    let basic = |pair: &str| format!("Basic {}", BASE64_STANDARD.encode(pair));
    for _ in 0..2 {
        for good in [basic("me:secret"), "bearer fedcba9876543210".into(), "Bearer   0123456789abcdef".into()] {
            assert_eq!(check(&good).await, Verdict::Admitted, "{good}");
        }
        for bad in [
            basic("me:"),
            basic("me:Secret"),
            basic("me"),
            basic("you:secret"),
            basic(&format!("me:{}", "x".repeat(100_000))),
            "Basic".into(),
            "Basic !".into(),
            "Bearer".into(),
            "Bearer ".into(),
            "Bearer 0123456789abcde".into(),
            "Bearer # two".into(),
            format!("Bearer {HASH}"),
            String::new(),
        ] {
            assert_eq!(check(&bad).await, Verdict::Refused, "{bad}");
        }
    }
    assert_eq!(current.authentication.check(None).await, Verdict::Refused);
    assert_eq!(current.authentication.challenges().count(), 2);
    // Wrong ones come to an end in memory, and push out no right one.
    for wrong in 0..300 {
        assert_eq!(check(&basic(&format!("me:{wrong}"))).await, Verdict::Refused);
    }
    assert_eq!(current.authentication.remembers(), (1, 100));
    let shown = format!("{config:?}");
    assert!(!shown.contains(HASH) && !shown.contains("0123456789abcdef"), "{shown}");
}
