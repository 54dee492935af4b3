//! A bucket against stores of others: a local disk, memory, an S3 server in this process and, named by
//! `PROMPARQUET_TEST_OBJSTORE`, any other; and against stores that fail.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests fail by panicking, and say aloud what they skip")]

mod block;
mod cache;
mod cache_disk;
mod config;
mod conformance;
mod local;
mod reads;
mod s3_server;
mod uploads;

use promparquet_objstore::{Error, ErrorKind};

/// The error's whole chain, as a program prints it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[track_caller]
fn assert_fails<T: std::fmt::Debug>(result: Result<T, Error>, kind: ErrorKind, parts: &[&str]) {
    let error = result.expect_err("should fail");
    let text = chain(&error);
    assert_eq!(error.kind(), kind, "{text}");
    for part in parts {
        assert!(text.contains(part), "expected {part:?} in: {text}");
    }
}

/// Reproducible bytes without period.
fn noise(length: usize) -> bytes::Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    });
    next.take(length).collect::<Vec<u8>>().into()
}
