//! A client that sends what it is told to, and reads what comes.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Longer than any answer of these tests takes.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Whether the connection did not break before its end.
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The data of a successful answer.
    #[track_caller]
    pub(crate) fn data(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()["data"].clone()
    }

    /// Kind and text of an error.
    #[track_caller]
    pub(crate) fn error(&self) -> (u16, String, String) {
        let json = self.json();
        assert_eq!(json["status"], "error", "{json}");
        let text = |name: &str| json[name].as_str().unwrap().to_owned();
        (self.status, text("errorType"), text("error"))
    }
}

pub(crate) fn encode(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Sends bytes as they are and reads until the server closes.
pub(crate) async fn raw(address: SocketAddr, request: &[u8]) -> Answer {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The server may close before it has read everything.
        let _ = stream.write_all(request).await;
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        bytes
    };
    parse(&tokio::time::timeout(PATIENCE, exchange).await.expect("an answer in time"))
}

pub(crate) fn parse(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(bytes.len());
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let mut rest = bytes.get(end + 4..).unwrap_or_default();
    let (mut body, mut whole) = (Vec::new(), end < bytes.len());
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        loop {
            let Some(line) = rest.windows(2).position(|w| w == b"\r\n") else {
                whole = false;
                break;
            };
            let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
            if size == 0 {
                break;
            }
            let (chunk, after) = rest[line + 2..].split_at(size.min(rest.len() - line - 2));
            body.extend_from_slice(chunk);
            rest = after.get(2..).unwrap_or_default();
        }
    } else {
        body.extend_from_slice(rest);
    }
    Answer { status, head, body, whole }
}

pub(crate) async fn get(address: SocketAddr, path: &str, pairs: &[(&str, &str)]) -> Answer {
    get_with(address, path, pairs, "").await
}

/// With more headers, each with its line end.
pub(crate) async fn get_with(address: SocketAddr, path: &str, pairs: &[(&str, &str)], headers: &str) -> Answer {
    let query = encode(pairs);
    let request = format!("GET {path}?{query} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{headers}\r\n");
    raw(address, request.as_bytes()).await
}

pub(crate) async fn post(address: SocketAddr, path: &str, kind: &str, body: &[u8]) -> Answer {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    raw(address, &[head.as_bytes(), body].concat()).await
}

pub(crate) async fn post_form(address: SocketAddr, path: &str, pairs: &[(&str, &str)]) -> Answer {
    post(address, path, "application/x-www-form-urlencoded", encode(pairs).as_bytes()).await
}
