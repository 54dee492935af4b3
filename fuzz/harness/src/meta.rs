//! `meta.json` of a block; the input is the file.
//!
//! Holds: what is read is the same after it was written, and so are the bytes that are written.

use prometheus_tsdb_block::{BlockMeta, ErrorKind};

pub(crate) fn run(input: &[u8]) {
    let meta = match BlockMeta::parse("block", input) {
        Ok(meta) => meta,
        Err(error) => {
            let expected = [ErrorKind::Corrupt, ErrorKind::Unsupported];
            assert!(expected.contains(&error.kind()) && !error.to_string().is_empty(), "{error}");
            return;
        }
    };
    match meta.time_range() {
        Ok(range) => assert_eq!(range.start(), meta.min_time),
        Err(error) => assert!(meta.max_time < meta.min_time || meta.min_time == i64::MAX, "{error}"),
    }
    let _ = (meta.downsample_resolution_ms(), meta.has_hint("from-out-of-order"), meta.external_labels().count());
    let written = meta.to_json().expect("what was read can be written");
    let read = match BlockMeta::parse("block", &written) {
        Ok(read) => read,
        Err(error) => panic!("{error}: {}", String::from_utf8_lossy(&written)),
    };
    assert_eq!(read, meta);
    assert_eq!(read.to_json().ok(), Some(written));
}
