//! Requests compressed with snappy, which Thanos' components send if they are told to, and tonic does not know.
//!
//! ```text
//! message := compressed(byte: 0 or 1) length(4 bytes, big endian) data
//! ```
//!
//! Compressed data are in snappy's framing format. Answers are not compressed: clients take them as they are.

use std::io::Read;

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, header::HeaderName},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, Limited};
use tonic::Status;

const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// Makes of compressed requests such that are not.
pub(crate) async fn accept(request: Request, next: Next) -> Response {
    if request.headers().get(ENCODING) != Some(&HeaderValue::from_static("snappy")) {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    parts.headers.remove(ENCODING);
    let limit = super::MAX_REQUEST_BYTES;
    let whole = match Limited::new(body, limit).collect().await {
        Ok(whole) => whole.to_bytes(),
        Err(error) => return refuse(&format!("cannot read the request: {error}")),
    };
    match decompress(&whole, limit) {
        Ok(plain) => next.run(Request::from_parts(parts, Body::from(plain))).await,
        Err(why) => refuse(&why),
    }
}

fn refuse(why: &str) -> Response {
    Status::invalid_argument(why).into_http::<Body>().into_response()
}

fn decompress(mut framed: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    let mut plain = Vec::new();
    while let Some(([compressed, a, b, c, d], rest)) = framed.split_first_chunk::<5>() {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (data, after) = rest.split_at_checked(length).ok_or("a message ends early")?;
        let mut message = Vec::new();
        if *compressed == 1 {
            let left = limit.saturating_sub(plain.len()) as u64;
            let reader = snap::read::FrameDecoder::new(data);
            reader.take(left + 1).read_to_end(&mut message).map_err(|error| format!("snappy: {error}"))?;
            if message.len() as u64 > left {
                return Err(format!("a request of more than {limit} bytes"));
            }
        } else {
            message.extend_from_slice(data);
        }
        let length = u32::try_from(message.len()).map_err(|_| "a message is too long")?;
        plain.push(0);
        plain.extend_from_slice(&length.to_be_bytes());
        plain.extend_from_slice(&message);
        framed = after;
    }
    if framed.is_empty() { Ok(plain) } else { Err("a message ends early".into()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn compressed(data: &[u8]) -> Vec<u8> {
        let mut writer = snap::write::FrameEncoder::new(Vec::new());
        writer.write_all(data).unwrap();
        let data = writer.into_inner().unwrap();
        [&[1][..], &(data.len() as u32).to_be_bytes(), &data].concat()
    }

    #[test]
    fn messages_become_plain() {
        let framed = [compressed(b"first"), vec![0, 0, 0, 0, 1, b'x'], compressed(b"")].concat();
        let plain = [&[0, 0, 0, 0, 5][..], b"first", &[0, 0, 0, 0, 1], b"x", &[0, 0, 0, 0, 0]].concat();
        assert_eq!(decompress(&framed, 100), Ok(plain));
        for end in 1..framed.len() {
            let _ = decompress(&framed[..end], 100);
        }
        assert!(decompress(&framed[..3], 100).is_err());
        assert!(decompress(&[1, 0xff, 0xff, 0xff, 0xff, 1], 100).is_err());
        assert!(decompress(&[1, 0, 0, 0, 2, 1, 2], 100).is_err());
        // What unpacks to more than it may is not unpacked.
        assert!(decompress(&compressed(&vec![7; 1 << 20]), 1000).unwrap_err().contains("more than 1000"));
    }
}
