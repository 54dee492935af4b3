//! What is counted of calls, under the names that Go's servers have.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::HeaderMap,
    middleware::Next,
    response::Response,
};
use hyper::body::{Body as HttpBody, Frame};
use opentelemetry::trace::FutureExt;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};
use tonic::{Code, Status};

use crate::{
    gateway::Gateway,
    metrics::{Metrics, seconds},
    spans::CallSpan,
};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Method {
    grpc_type: &'static str,
    grpc_service: &'static str,
    grpc_method: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Handled {
    grpc_type: &'static str,
    grpc_service: &'static str,
    grpc_method: &'static str,
    grpc_code: &'static str,
}

/// Only methods that there are, since clients can make up any.
const METHODS: [(&str, &str, &str); 10] = [
    ("unary", "thanos.info.Info", "Info"),
    ("server_stream", "thanos.Store", "Series"),
    ("unary", "thanos.Store", "LabelNames"),
    ("unary", "thanos.Store", "LabelValues"),
    ("server_stream", "thanos.Query", "Query"),
    ("server_stream", "thanos.Query", "QueryRange"),
    ("unary", "grpc.health.v1.Health", "Check"),
    ("server_stream", "grpc.health.v1.Health", "Watch"),
    ("bidi_stream", "grpc.reflection.v1.ServerReflection", "ServerReflectionInfo"),
    ("bidi_stream", "grpc.reflection.v1alpha.ServerReflection", "ServerReflectionInfo"),
];

impl Method {
    fn of(path: &str) -> Self {
        let (service, method) = path.trim_start_matches('/').rsplit_once('/').unwrap_or_default();
        let known = METHODS.into_iter().find(|known| (known.1, known.2) == (service, method));
        let (grpc_type, grpc_service, grpc_method) = known.unwrap_or(("other", "other", "other"));
        Self { grpc_type, grpc_service, grpc_method }
    }
}

/// As Go's library writes codes.
const fn name_of(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}

/// Of all calls.
#[derive(Debug)]
pub(crate) struct CallMetrics {
    started: Family<Method, Counter>,
    handled: Family<Handled, Counter>,
    handling: Family<Method, Histogram>,
    received: Family<Method, Counter>,
    sent: Family<Method, Counter>,
}

impl CallMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            started: Family::default(),
            handled: Family::default(),
            handling: Family::new_with_constructor(seconds),
            received: Family::default(),
            sent: Family::default(),
        };
        let name = |what: &str| format!("grpc_grpc_server_{what}");
        registry.register(name("started"), "gRPC calls that were begun", metrics.started.clone());
        registry.register(name("handled"), "gRPC calls that ended, however they did", metrics.handled.clone());
        let handling = metrics.handling.clone();
        registry.register_with_unit(name("handling"), "Time until gRPC calls ended", Unit::Seconds, handling);
        registry.register(name("msg_received"), "Messages of gRPC requests", metrics.received.clone());
        registry.register(name("msg_sent"), "Messages of gRPC answers", metrics.sent.clone());
        metrics
    }
}

/// Counts calls and messages, and traces calls.
pub(crate) async fn measure(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    let method = Method::of(request.uri().path());
    let metrics = Arc::clone(&gateway.0.metrics);
    let calls = &metrics.calls;
    calls.started.get_or_create(&method).inc();
    let (received, sent) = (calls.received.get_or_create_owned(&method), calls.sent.get_or_create_owned(&method));
    let span = gateway.0.spans.call(method.grpc_service, method.grpc_method, request.headers());
    let context = span.as_ref().map(CallSpan::context);
    let mut call = Call { metrics, method, started: Instant::now(), code: Code::Cancelled, span };
    let next = next.run(request.map(|body| Counted::body(body, received, None)));
    let response = match context {
        Some(context) => next.with_context(context).await,
        None => next.await,
    };
    // An answer without messages has its status before them.
    call.learn(response.headers());
    response.map(|body| Counted::body(body, sent, Some(call)))
}

/// A call that is under way, and ends when it is dropped: cancelled unless its status came.
struct Call {
    metrics: Arc<Metrics>,
    method: Method,
    started: Instant,
    code: Code,
    span: Option<CallSpan>,
}

impl Call {
    fn learn(&mut self, headers: &HeaderMap) {
        if let Some(status) = Status::from_header_map(headers) {
            self.code = status.code();
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let Method { grpc_type, grpc_service, grpc_method } = self.method;
        let grpc_code = name_of(self.code);
        let calls = &self.metrics.calls;
        calls.handled.get_or_create(&Handled { grpc_type, grpc_service, grpc_method, grpc_code }).inc();
        calls.handling.get_or_create(&self.method).observe(self.started.elapsed().as_secs_f64());
        if let Some(span) = self.span.take() {
            span.end(self.code);
        }
    }
}

/// A body whose messages are counted when they begin.
struct Counted {
    inner: Body,
    messages: Counter,
    /// The head of the message that comes next, as far as it has come.
    head: Vec<u8>,
    /// Bytes until then.
    left: usize,
    call: Option<Call>,
}

impl Counted {
    fn body(inner: Body, messages: Counter, call: Option<Call>) -> Body {
        Body::new(Self { inner, messages, head: Vec::with_capacity(5), left: 0, call })
    }

    fn count(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.left > 0 {
                let (_, rest) = data.split_at(self.left.min(data.len()));
                self.left -= data.len() - rest.len();
                data = rest;
                continue;
            }
            let (head, rest) = data.split_at(data.len().min(5 - self.head.len()));
            self.head.extend_from_slice(head);
            data = rest;
            if let &[_, a, b, c, d] = self.head.as_slice() {
                self.left = u32::from_be_bytes([a, b, c, d]) as usize;
                self.head.clear();
                self.messages.inc();
            }
        }
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.count(data);
                }
                if let (Some(trailers), Some(call)) = (frame.trailers_ref(), &mut self.call) {
                    call.learn(trailers);
                }
            }
            Some(Err(_)) => {
                if let Some(call) = &mut self.call {
                    call.code = Code::Internal;
                }
            }
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}
