//! Traces of requests.

use std::sync::Arc;

use opentelemetry::{
    global::BoxedTracer,
    trace::{SpanKind, TracerProvider},
};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{InMemorySpanExporter, SdkTracerProvider, SpanData},
};
use promparquet_gateway::GatewayOptions;
use tonic::Request;
use ulid::Ulid;

use crate::{
    client::get_with,
    grpc::{
        channel, collect, matcher,
        proto::{
            LabelValuesRequest, QueryRequest, SeriesRequest, query_client::QueryClient, store_client::StoreClient,
        },
    },
    served::{START, STEP, Served, Setup, add, at, memory, series},
};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

async fn traced() -> (Served, InMemorySpanExporter) {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let bucket = memory();
    add(&bucket, &series(), Ulid(1)).await;
    let mut gateway = GatewayOptions::default();
    gateway.tracer = Some(Arc::new(BoxedTracer::new(Box::new(provider.tracer("test")))));
    (Served::start(Setup { bucket: Some(bucket), gateway, ..Setup::default() }).await, exporter)
}

/// Spans that ended, when there are so many.
async fn finished(exporter: &InMemorySpanExporter, count: usize) -> Vec<SpanData> {
    for _ in 0..100 {
        if exporter.get_finished_spans().unwrap().len() >= count {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let spans = exporter.get_finished_spans().unwrap();
    assert_eq!(spans.len(), count, "{spans:?}");
    exporter.reset();
    spans
}

#[track_caller]
fn named<'a>(spans: &'a [SpanData], name: &str) -> &'a SpanData {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:?}"))
}

#[track_caller]
fn value(span: &SpanData, key: &str) -> String {
    let attribute = span.attributes.iter().find(|attribute| attribute.key.as_str() == key);
    attribute.unwrap_or_else(|| panic!("{key}: {span:?}")).value.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_its_query_and_its_shards() {
    let (served, exporter) = traced().await;
    let parent = format!("traceparent: {PARENT}\r\n");
    let pairs = [("query", "sum(requests_total)"), ("time", &*at(200))];
    assert_eq!(get_with(served.api, "/api/v1/query", &pairs, &parent).await.status, 200);
    let spans = finished(&exporter, 2).await;
    let (request, shard) = (named(&spans, "/query"), named(&spans, "Select Shard"));
    assert_eq!(request.span_context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(request.parent_span_id.to_string(), "b7ad6b7169203331");
    assert_eq!(value(request, "query.expr"), "sum(requests_total)");
    assert_eq!(value(request, "http.response.status_code"), "200");
    assert_eq!(shard.parent_span_id, request.span_context.span_id());
    assert_eq!(value(shard, "series"), "3");
    assert!(shard.events.iter().any(|event| event.name == "Bucket Get Range"), "{shard:?}");

    // What its caller does not trace is not traced.
    let untraced = parent.replace("-01\r\n", "-00\r\n");
    assert_eq!(get_with(served.api, "/api/v1/query", &pairs, &untraced).await.status, 200);
    assert_eq!(exporter.get_finished_spans().unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_its_query_and_its_shards() {
    let (served, exporter) = traced().await;
    let channel = channel(&served).await;
    let with_parent = |parent: &str, request: QueryRequest| {
        let mut request = Request::new(request);
        request.metadata_mut().insert("traceparent", parent.parse().unwrap());
        request
    };
    let query = QueryRequest {
        query: "sum(requests_total)".into(),
        time_seconds: (START + 200 * STEP) / 1000,
        ..QueryRequest::default()
    };
    let mut queries = QueryClient::new(channel.clone());
    let ask = async |queries: &mut QueryClient<_>, request| {
        let mut stream = queries.query(request).await?.into_inner();
        while stream.message().await?.is_some() {}
        Ok::<_, tonic::Status>(())
    };
    ask(&mut queries, with_parent(PARENT, query.clone())).await.unwrap();
    let spans = finished(&exporter, 2).await;
    let (call, shard) = (named(&spans, "thanos.Query/Query"), named(&spans, "Select Shard"));
    assert_eq!(call.span_context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!((call.parent_span_id.to_string(), &call.span_kind), ("b7ad6b7169203331".into(), &SpanKind::Server));
    assert_eq!(value(call, "query.expr"), "sum(requests_total)");
    assert_eq!((value(call, "rpc.service"), value(call, "rpc.method")), ("thanos.Query".into(), "Query".into()));
    assert_eq!(value(call, "rpc.grpc.status_code"), "0");
    assert_eq!((shard.parent_span_id, value(shard, "series")), (call.span_context.span_id(), "3".into()));

    // What fails says so; what its caller does not trace is not traced.
    let wrong = QueryRequest { query: "sum(".into(), ..query.clone() };
    ask(&mut queries, with_parent(PARENT, wrong)).await.unwrap_err();
    let spans = finished(&exporter, 1).await;
    assert_eq!(value(named(&spans, "thanos.Query/Query"), "rpc.grpc.status_code"), "3");
    ask(&mut queries, with_parent(&PARENT.replace("-01", "-00"), query)).await.unwrap();

    // Without a parent there is a trace of its own, to the end of the last message.
    let mut store = StoreClient::new(channel);
    let request = SeriesRequest {
        max_time: i64::MAX,
        matchers: vec![matcher(0, "job", "api"), matcher(3, "room", "x.*")],
        ..SeriesRequest::default()
    };
    let (found, _) = collect(store.series(request).await.unwrap().into_inner()).await;
    let spans = finished(&exporter, 2).await;
    let (call, shard) = (named(&spans, "thanos.Store/Series"), named(&spans, "Select Shard"));
    assert_eq!(value(call, "series.matchers"), "job=api, room!~x.*");
    assert_eq!(value(call, "series.end"), i64::MAX.to_string());
    assert_eq!((shard.parent_span_id, value(shard, "series")), (call.span_context.span_id(), found.len().to_string()));
    let values = LabelValuesRequest { label: "job".into(), end: i64::MAX, ..LabelValuesRequest::default() };
    store.label_values(values).await.unwrap();
    let spans = finished(&exporter, 2).await;
    let (call, shard) = (named(&spans, "thanos.Store/LabelValues"), named(&spans, "Label Values Shard"));
    assert_eq!((value(call, "label_values.label"), shard.parent_span_id), ("job".into(), call.span_context.span_id()));
}
