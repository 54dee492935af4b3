//! Where traces of requests go.

use std::sync::Arc;

use clap::ValueEnum;
use opentelemetry::{KeyValue, global::BoxedTracer, trace::TracerProvider};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracerProvider},
};

use crate::error::Error;

/// Takes traces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Exporter {
    Nobody,
    /// Jaeger, or any other collector, by OTLP over HTTP.
    Jaeger,
    /// Standard output, for people.
    Stdout,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
#[value(rename_all = "UPPER")]
enum Sampling {
    /// A share of all requests
    Probabilistic,
    /// Every request
    Always,
    /// Only what is part of a sampled trace already
    Never,
}

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Tracing")]
pub(crate) struct TracingArgs {
    /// Where traces go, by OpenTelemetry: JAEGER or STDOUT; nowhere without
    #[arg(long = "tracing.exporter.type", value_name = "TYPE", value_parser = exporter, default_value = "", hide_default_value = true)]
    exporter: Exporter,
    /// Collector of type JAEGER: its port for OTLP over HTTP, such as http://jaeger:4318
    #[arg(long = "tracing.jaeger.endpoint", value_name = "URL")]
    endpoint: Option<String>,
    /// Which requests are traced that are not part of a trace already
    #[arg(long = "tracing.sampling.type", value_name = "TYPE", default_value = "PROBABILISTIC")]
    sampling: Sampling,
    /// The share of requests that PROBABILISTIC traces
    #[arg(long = "tracing.sampling.param", value_name = "RATIO", default_value = "0.1", value_parser = ratio)]
    ratio: f64,
}

/// The empty text stands for nobody, as in thanos-parquet-gateway.
fn exporter(text: &str) -> Result<Exporter, String> {
    match text {
        "" => Ok(Exporter::Nobody),
        "JAEGER" => Ok(Exporter::Jaeger),
        "STDOUT" => Ok(Exporter::Stdout),
        _ => Err("expected JAEGER or STDOUT".into()),
    }
}

fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| "expected a number from 0 to 1".into())
}

/// Sends traces while it lives.
#[derive(Debug)]
pub(crate) struct TraceExport {
    provider: SdkTracerProvider,
    pub(crate) tracer: Arc<BoxedTracer>,
}

impl TraceExport {
    /// `None` if traces go nowhere.
    pub(crate) fn start(args: &TracingArgs) -> Result<Option<Self>, Error> {
        let cannot = |message: String| Error::Tracing { message };
        let resource = Resource::builder()
            .with_service_name("parquet-gateway")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let builder = SdkTracerProvider::builder().with_resource(resource).with_sampler(Sampler::ParentBased(
            Box::new(match args.sampling {
                Sampling::Always => Sampler::AlwaysOn,
                Sampling::Never => Sampler::AlwaysOff,
                Sampling::Probabilistic => Sampler::TraceIdRatioBased(args.ratio),
            }),
        ));
        let provider = match args.exporter {
            Exporter::Nobody => return Ok(None),
            Exporter::Stdout => builder.with_simple_exporter(opentelemetry_stdout::SpanExporter::default()).build(),
            Exporter::Jaeger => {
                let endpoint = args.endpoint.as_deref().unwrap_or_default();
                if !["http://", "https://"].iter().any(|scheme| endpoint.starts_with(scheme)) {
                    return Err(cannot(
                        "--tracing.exporter.type=JAEGER needs --tracing.jaeger.endpoint=http://...".into(),
                    ));
                }
                if endpoint.contains("/api/traces") {
                    let instead = "Jaeger's own protocol is not spoken: give its port for OTLP over HTTP, such as http://jaeger:4318";
                    return Err(cannot(format!("--tracing.jaeger.endpoint {endpoint}: {instead}")));
                }
                let endpoint = match endpoint.trim_end_matches('/') {
                    full if full.ends_with("/v1/traces") => full.to_owned(),
                    base => format!("{base}/v1/traces"),
                };
                // Its client takes what the process has for TLS; somebody may have chosen before.
                let _ = rustls::crypto::ring::default_provider().install_default();
                // Its client has a runtime of its own, which none that runs may see.
                let exporter = std::thread::spawn(move || {
                    SpanExporter::builder()
                        .with_http()
                        .with_protocol(Protocol::HttpBinary)
                        .with_endpoint(endpoint)
                        .build()
                });
                let exporter = exporter.join().map_err(|_| cannot("the exporter cannot be started".into()))?;
                builder.with_batch_exporter(exporter.map_err(|error| cannot(error.to_string()))?).build()
            }
        };
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let tracer = BoxedTracer::new(Box::new(provider.tracer("parquet-gateway")));
        Ok(Some(Self { provider, tracer: Arc::new(tracer) }))
    }

    /// Sends what is left.
    pub(crate) async fn stop(self) {
        let stopped = tokio::task::spawn_blocking(move || self.provider.shutdown()).await;
        if let Ok(Err(error)) = stopped {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}
