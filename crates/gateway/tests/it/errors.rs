//! Errors, in Prometheus' words.

use crate::{
    client::{get, raw},
    served::Served,
};

#[tokio::test(flavor = "multi_thread")]
async fn wrong_parameters() {
    let served = Served::known().await;
    let range = [("query", "a"), ("start", "0"), ("end", "10"), ("step", "1")];
    let with = |name: &'static str, value: &'static str| {
        range.map(|(n, v)| if n == name { (n, value) } else { (n, v) }).to_vec()
    };
    let one = |name, value| vec![("query", "a"), (name, value)];
    for (path, pairs, error) in [
        ("query", vec![], "invalid parameter \"query\": unknown position: parse error: no expression found in input"),
        ("query", vec![("query", "sum(")], "invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis"),
        (
            "query",
            one("time", "x"),
            "invalid parameter \"time\": invalid time value for 'time': cannot parse \"x\" to a valid timestamp",
        ),
        ("query", one("timeout", "x"), "invalid parameter \"timeout\": cannot parse \"x\" to a valid duration"),
        ("query", one("limit", "-1"), "invalid parameter \"limit\": limit must be non-negative"),
        (
            "query",
            one("lookback_delta", "x"),
            "error parsing lookback delta duration: cannot parse \"x\" to a valid duration",
        ),
        ("query_range", with("start", ""), "invalid parameter \"start\": cannot parse \"\" to a valid timestamp"),
        ("query_range", with("end", "NaN"), "invalid parameter \"end\": cannot parse \"NaN\" to a valid timestamp"),
        ("query_range", with("end", "-1"), "invalid parameter \"end\": end timestamp must not be before start time"),
        (
            "query_range",
            with("step", "0"),
            "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer",
        ),
        (
            "query_range",
            with("end", "11001"),
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ),
        (
            "query_range",
            with("query", "a["),
            "invalid parameter \"query\": 1:3: parse error: unexpected end of input in matrix or subquery selector, expected duration",
        ),
        ("series", vec![], "no match[] parameter provided"),
        (
            "series",
            vec![("match[]", "{a=''}")],
            "invalid parameter \"match[]\": match[] must contain at least one non-empty matcher",
        ),
        ("labels", vec![("match[]", "{a=~'.*'}")], "match[] must contain at least one non-empty matcher"),
        (
            "labels",
            vec![("start", "x")],
            "invalid parameter \"start\": invalid time value for 'start': cannot parse \"x\" to a valid timestamp",
        ),
        (
            "label/a/values",
            vec![("limit", "x")],
            "invalid parameter \"limit\": strconv.Atoi: parsing \"x\": invalid syntax",
        ),
        ("label/U__/values", vec![], "invalid label name: \"\""),
        ("status/tsdb", vec![("limit", "0")], "limit must be a positive number"),
        ("metadata", vec![("limit", "x")], "limit must be a number"),
        (
            "query_exemplars",
            vec![("query", "a"), ("start", "2"), ("end", "1")],
            "end timestamp must not be before start timestamp",
        ),
    ] {
        let answer = get(served.api, &format!("/api/v1/{path}"), &pairs).await;
        let (status, kind, text) = answer.error();
        assert_eq!((status, &*kind), (400, "bad_data"), "{path} {pairs:?}");
        if path == "query_range" && error.contains("matrix") {
            assert!(text.starts_with("invalid parameter \"query\": 1:3: parse error:"), "{text}");
        } else {
            assert_eq!(text, error, "{path} {pairs:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_errors() {
    let served = Served::known().await;
    let many = [("query", "requests_total * on (job) requests_total"), ("time", "1700000100")];
    let (status, kind, text) = get(served.api, "/api/v1/query", &many).await.error();
    assert_eq!((status, &*kind), (422, "execution"));
    assert!(text.contains("many-to-many matching not allowed"), "{text}");
    assert_eq!(get(served.api, "/api/v1/targets", &[]).await.error().0, 404);
    assert_eq!(get(served.api, "/etc/passwd", &[]).await.status, 404);
    let method = raw(served.api, b"DELETE /api/v1/query HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").await;
    assert_eq!(method.status, 405);
}
