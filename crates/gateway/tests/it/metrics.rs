//! What is counted, and what is said of it.

use promparquet_gateway::GatewayOptions;
use promparquet_objstore::{Cache, CacheConfig};
use ulid::Ulid;

use crate::{
    client::get,
    served::{Served, Setup, add, at, memory, series},
};

fn value(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in {text}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn are_those_that_users_know() {
    let bucket = memory();
    add(&bucket, &series(), Ulid(1)).await;
    let (config, _) = CacheConfig::from_yaml("type: IN-MEMORY\nconfig: {max_size: 10MB}", |_| None).unwrap();
    let cache = Cache::open(&config).unwrap();
    let mut gateway = GatewayOptions::default();
    gateway.cache = Some(cache.clone());
    let setup = Setup { bucket: Some(bucket.cached(&cache)), gateway, ..Setup::default() };
    let served = Served::start(setup).await;
    let time = at(200);
    for query in ["requests_total{job=~\".*p.*\"}", "sum(temperature)", "1 + 1"] {
        assert_eq!(get(served.api, "/api/v1/query", &[("query", query), ("time", &time)]).await.status, 200);
    }
    assert_eq!(get(served.api, "/api/v1/labels", &[("match[]", "latency")]).await.status, 200);
    assert_eq!(get(served.api, "/api/v1/label/job/values", &[]).await.status, 200);
    // What a question was is told when the last of its work is over.
    let mut text = String::new();
    for _ in 0..100 {
        text = get(served.internal, "/metrics", &[]).await.text();
        if text.contains("db_queryable_operations_total{type=\"select\",where=\"shard\"} 2\n") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for (name, least) in [
        ("db_queryable_operations_total{type=\"select\",where=\"shard\"}", 2.0),
        ("db_queryable_operations_total{type=\"label_names\",where=\"shard\"}", 1.0),
        ("db_queryable_operations_total{type=\"label_values\",where=\"shard\"}", 1.0),
        ("db_queryable_operations_seconds_count{type=\"select\",where=\"shard\"}", 2.0),
        ("search_pages_scanned_total{column=\"labels\",scan=\"regex\",method=\"select\"}", 1.0),
        ("search_pages_read_total{column=\"chunks\",method=\"select\"}", 2.0),
        ("search_pages_read_size_bytes_total{column=\"labels\",method=\"select\"}", 10.0),
        ("search_column_materialized_total{column=\"labels\",method=\"select\"}", 2.0),
        ("search_column_materialized_total{column=\"chunks\",method=\"select\"}", 2.0),
        ("search_rows_materialized_total{column=\"chunks\",method=\"select\"}", 3.0),
        ("locate_bucket_requests_total", 4.0),
        ("http_requests_total{code=\"200\",method=\"GET\",path=\"/query\"}", 3.0),
        ("http_requests_total{code=\"200\",method=\"GET\",path=\"/label/{name}/values\"}", 1.0),
        ("http_requests_seconds_count{code=\"200\",method=\"GET\",path=\"/query\"}", 3.0),
        ("cache_max_bytes{tier=\"memory\"}", 1e6),
        ("cache_served_bytes_total", 1.0),
        ("cache_fetches_total", 1.0),
    ] {
        assert!(value(&text, name) >= least, "{name}: {text}");
    }
    assert!(text.ends_with("# EOF\n"));
    let mut described = std::collections::BTreeSet::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        assert!(described.insert(line.split(' ').next().unwrap()), "{line} is there twice");
    }
}
