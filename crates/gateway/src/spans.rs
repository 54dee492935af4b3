//! Traces of requests: what was asked, by which query, of which shards. Made only if there is a tracer.

use std::{future::Future, sync::Arc};

use axum::http::{HeaderMap, Method, StatusCode};
use opentelemetry::{
    Context, KeyValue,
    global::BoxedTracer,
    propagation::Extractor,
    trace::{FutureExt, Span, SpanBuilder, SpanKind, Status, TraceContextExt, Tracer},
};
use promparquet_query::{Operation, ShardExplain};
use tonic::Code;

/// Who takes spans, if somebody does.
#[derive(Clone, Default, Debug)]
pub(crate) struct Spans(pub(crate) Option<Arc<BoxedTracer>>);

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}

impl Spans {
    /// A request by HTTP, within the trace that its headers name.
    pub(crate) async fn request<T>(
        &self,
        method: &Method,
        route: &str,
        headers: &HeaderMap,
        status: impl FnOnce(&T) -> StatusCode,
        answer: impl Future<Output = T>,
    ) -> T {
        let Some(tracer) = &self.0 else { return answer.await };
        let parent = opentelemetry::global::get_text_map_propagator(|propagator| propagator.extract(&Headers(headers)));
        let builder = SpanBuilder::from_name(route.to_owned()).with_kind(SpanKind::Server).with_attributes([
            KeyValue::new("http.request.method", method.as_str().to_owned()),
            KeyValue::new("http.route", route.to_owned()),
        ]);
        let context = parent.with_span(tracer.build_with_context(builder, &parent));
        let answer = answer.with_context(context.clone()).await;
        let (span, status) = (context.span(), status(&answer));
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
        if status.is_server_error() {
            span.set_status(Status::error(status.as_str().to_owned()));
        }
        span.end();
        answer
    }

    /// A call by gRPC, within the trace that its metadata name.
    pub(crate) fn call(&self, service: &'static str, method: &'static str, metadata: &HeaderMap) -> Option<CallSpan> {
        let tracer = self.0.as_ref()?;
        let parent =
            opentelemetry::global::get_text_map_propagator(|propagator| propagator.extract(&Headers(metadata)));
        let builder =
            SpanBuilder::from_name(format!("{service}/{method}")).with_kind(SpanKind::Server).with_attributes(
                [("rpc.system", "grpc"), ("rpc.service", service), ("rpc.method", method)]
                    .map(|(key, value)| KeyValue::new(key, value)),
            );
        Some(CallSpan(parent.with_span(tracer.build_with_context(builder, &parent))))
    }

    /// Adds what is known to the span of the request that runs, if it is traced.
    pub(crate) fn describe(&self, attributes: impl FnOnce() -> Vec<KeyValue>) {
        if self.0.is_some() {
            let context = Context::current();
            if context.span().span_context().is_sampled() {
                context.span().set_attributes(attributes());
            }
        }
    }

    /// A question to a shard, within what runs now; what it gives is called at the end.
    pub(crate) fn shard(&self, operation: Operation) -> Option<impl FnOnce(&ShardExplain) + Send + Sync + use<>> {
        let tracer = self.0.as_ref()?;
        let parent = Context::current();
        // Not traced, or not within a request.
        if !parent.span().span_context().is_sampled() {
            return None;
        }
        let name = match operation {
            Operation::Select => "Select Shard",
            Operation::LabelNames => "Label Names Shard",
            Operation::LabelValues => "Label Values Shard",
        };
        let mut span = tracer.start_with_context(name, &parent);
        Some(move |explain: &ShardExplain| {
            for (key, value) in [
                ("rows", explain.rows),
                ("series", explain.series),
                ("samples", explain.samples),
                ("bytes", explain.bytes()),
            ] {
                span.set_attribute(KeyValue::new(key, i64::try_from(value).unwrap_or(i64::MAX)));
            }
            span.set_attribute(KeyValue::new("shard", explain.shard.clone()));
            for read in &explain.reads {
                let attributes = vec![
                    KeyValue::new("stage", read.stage.to_string()),
                    KeyValue::new("requests", read.requests.len() as i64),
                    KeyValue::new("bytes", i64::try_from(read.bytes()).unwrap_or(i64::MAX)),
                    KeyValue::new("seconds", read.time.as_secs_f64()),
                ];
                span.add_event("Bucket Get Range", attributes);
            }
            span.end();
        })
    }
}

/// The span of a call by gRPC, which lasts until its last message.
#[derive(Debug)]
pub(crate) struct CallSpan(Context);

impl CallSpan {
    /// In which the call runs.
    pub(crate) fn context(&self) -> Context {
        self.0.clone()
    }

    /// Ends with the status of the call.
    pub(crate) fn end(self, code: Code) {
        let span = self.0.span();
        span.set_attribute(KeyValue::new("rpc.grpc.status_code", i64::from(i32::from(code))));
        // Others are the client's fault, or its wish.
        let is_failure = matches!(
            code,
            Code::Unknown
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss
        );
        if is_failure {
            span.set_status(Status::error(code.description()));
        }
        span.end();
    }
}
