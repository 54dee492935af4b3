use super::*;

const PROMETHEUS: &str = "{\n\t\"ulid\": \"01JGFSEP80VHQAZ8FEAQD9QWMS\",\n\t\"minTime\": 1735689602884,\n\t\"maxTime\": 1735696799168,\n\t\"stats\": {\n\t\t\"numSamples\": 138222,\n\t\t\"numFloatSamples\": 136462,\n\t\t\"numHistogramSamples\": 1760,\n\t\t\"numSeries\": 500,\n\t\t\"numChunks\": 1325\n\t},\n\t\"compaction\": {\n\t\t\"level\": 1,\n\t\t\"sources\": [\n\t\t\t\"01JGFSEP80VHQAZ8FEAQD9QWMS\"\n\t\t]\n\t},\n\t\"version\": 1\n}";

const THANOS: &str = r#"{
    "ulid": "01JGFSEP80VHQAZ8FEAQD9QWMS", "minTime": -5, "maxTime": 7200000,
    "stats": {"numSamples": 18446744073709551615, "numFuture": 3},
    "compaction": {"level": 3, "sources": ["01DXXFZDYD1MQW6079WK0K6EDQ"], "deletable": true, "failed": true,
        "parents": [{"ulid": "01DXXFZDYD1MQW6079WK0K6EDQ", "minTime": 0, "maxTime": 1, "x": []}],
        "hints": ["from-out-of-order"]},
    "version": 1,
    "thanos": {"version": 1, "labels": {"tenant": "a", "cluster": "é"}, "downsample": {"resolution": 300000},
        "source": "compactor", "segment_files": ["000001"],
        "files": [{"rel_path": "index", "size_bytes": 17, "hash": {"hashFunc": "SHA256"}}, {"rel_path": "meta.json"}],
        "index_stats": {"series_max_size": 12}, "extensions": {"any": [1.5, null]}, "upload_time": "0001-01-01T00:00:00Z",
        "rewrites": null},
    "z_future": {"b": 300000000000000000000000000, "a": 2}, "a_future": 12345678901234567890
}"#;

fn parse(json: &str) -> Result<BlockMeta> {
    BlockMeta::parse("b", json.as_bytes())
}

#[test]
fn writes_what_prometheus_writes() {
    let meta = parse(PROMETHEUS).unwrap();
    assert_eq!(String::from_utf8(meta.to_json().unwrap()).unwrap(), PROMETHEUS);
    let range = meta.time_range().unwrap();
    assert_eq!((range.start(), range.end()), (1_735_689_602_884, 1_735_696_799_168));
    let rebuilt = BlockMeta::new(meta.ulid, range, meta.stats.clone());
    assert_eq!(rebuilt, meta);
}

#[test]
fn keeps_unknown_fields_in_order() {
    let meta = parse(THANOS).unwrap();
    assert_eq!(meta.external_labels().collect::<Vec<_>>(), [("cluster", "é"), ("tenant", "a")]);
    assert_eq!(meta.downsample_resolution_ms(), Some(300_000));
    assert!(meta.has_hint(HINT_FROM_OUT_OF_ORDER) && !meta.has_hint(HINT_FROM_STALE_SERIES));
    let json = String::from_utf8(meta.to_json().unwrap()).unwrap();
    assert_eq!(parse(&json).unwrap(), meta);
    let (before, after): (Value, Value) = (serde_json::from_str(THANOS).unwrap(), serde_json::from_str(&json).unwrap());
    assert_eq!(before, after);
    assert!(json.find("z_future").unwrap() < json.find("a_future").unwrap());
    assert!(json.find("index_stats").unwrap() < json.find("upload_time").unwrap());
}

#[test]
fn reads_null_as_go_does() {
    let meta = parse(
        r#"{"ulid":"01dxxfzdyd1mqw6079wk0k6edq","minTime":0,"maxTime":1,"version":2,"stats":null,
        "compaction":{"level":1,"sources":null,"hints":null},"thanos":{"labels":null,"downsample":null}}"#,
    )
    .unwrap();
    assert_eq!(meta.ulid.to_string(), "01DXXFZDYD1MQW6079WK0K6EDQ");
    assert_eq!(meta.downsample_resolution_ms(), None);
    assert_eq!(meta.external_labels().count(), 0);
}

#[test]
fn refuses() {
    let with =
        |ulid: &str, version: &str| format!(r#"{{"ulid":"{ulid}","minTime":0,"maxTime":1,"version":{version}}}"#);
    assert!(parse(&with("01DXXFZDYD1MQW6079WK0K6EDQ", "1")).is_ok());
    for (json, kind, text) in [
        (with("01DXXFZDYD1MQW6079WK0K6EDQ", "3"), ErrorKind::Unsupported, "version 3"),
        (with("01DXXFZDYD1MQW6079WK0K6EDQ", "0"), ErrorKind::Unsupported, "version 0"),
        (with("81DXXFZDYD1MQW6079WK0K6EDQ", "1"), ErrorKind::Corrupt, "line 1, column"),
        (with("01DXXFZDYD1MQW6079WK0K6ED", "1"), ErrorKind::Corrupt, "line 1, column"),
        (with("01DXXFZDYD1MQW6079WK0K6EDU", "1"), ErrorKind::Corrupt, "line 1, column"),
        (with("01DXXFZDYD1MQW6079WK0K6EDQ", "1") + "x", ErrorKind::Corrupt, "line 1, column"),
        (String::new(), ErrorKind::Corrupt, "meta.json"),
        ("[".repeat(100_000), ErrorKind::Corrupt, "meta.json"),
        ("{\"x\":".repeat(100_000), ErrorKind::Corrupt, "meta.json"),
    ] {
        let error = parse(&json).unwrap_err();
        assert_eq!(error.kind(), kind, "{json:.200}");
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[test]
fn time_ranges() {
    let of = |min_time, max_time| BlockMeta { min_time, max_time, ..parse(PROMETHEUS).unwrap() }.time_range();
    assert_eq!(of(5, 5).unwrap(), TimeRange::new(5, 6).unwrap());
    assert_eq!(of(6, 5).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(of(i64::MAX, i64::MAX).unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(of(i64::MIN, i64::MAX).is_ok());
}

#[test]
fn refuses_to_read_a_huge_file() {
    use crate::files::MemoryBlock;
    let bytes = bytes::Bytes::from(vec![b' '; MAX_META_BYTES as usize + 1]);
    let error = BlockMeta::read(&MemoryBlock::new("b", [(BlockFile::Meta, bytes)])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
}
