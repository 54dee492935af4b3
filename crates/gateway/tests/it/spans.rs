//! Traces of requests.

use std::sync::Arc;

use opentelemetry::{global::BoxedTracer, trace::TracerProvider};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{InMemorySpanExporter, SdkTracerProvider},
};
use promparquet_gateway::GatewayOptions;
use ulid::Ulid;

use crate::{
    client::get_with,
    served::{Served, Setup, add, at, memory, series},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_its_query_and_its_shards() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let bucket = memory();
    add(&bucket, &series(), Ulid(1)).await;
    let mut gateway = GatewayOptions::default();
    gateway.tracer = Some(Arc::new(BoxedTracer::new(Box::new(provider.tracer("test")))));
    let served = Served::start(Setup { bucket: Some(bucket), gateway, ..Setup::default() }).await;

    let parent = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
    let pairs = [("query", "sum(requests_total)"), ("time", &*at(200))];
    assert_eq!(get_with(served.api, "/api/v1/query", &pairs, parent).await.status, 200);
    let mut spans = Vec::new();
    for _ in 0..100 {
        spans = exporter.get_finished_spans().unwrap();
        if spans.len() == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:?}"));
    let (request, shard) = (named("/query"), named("Select Shard"));
    let value = |span: &opentelemetry_sdk::trace::SpanData, key: &str| {
        let attribute = span.attributes.iter().find(|attribute| attribute.key.as_str() == key);
        attribute.unwrap_or_else(|| panic!("{key}: {span:?}")).value.to_string()
    };
    assert_eq!(request.span_context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(request.parent_span_id.to_string(), "b7ad6b7169203331");
    assert_eq!(value(request, "query.expr"), "sum(requests_total)");
    assert_eq!(value(request, "http.response.status_code"), "200");
    assert_eq!(shard.parent_span_id, request.span_context.span_id());
    assert_eq!(value(shard, "series"), "3");
    assert!(shard.events.iter().any(|event| event.name == "Bucket Get Range"), "{shard:?}");

    // What its caller does not trace is not traced.
    exporter.reset();
    let untraced = parent.replace("-01\r\n", "-00\r\n");
    assert_eq!(get_with(served.api, "/api/v1/query", &pairs, &untraced).await.status, 200);
    assert_eq!(exporter.get_finished_spans().unwrap().len(), 0);
}
