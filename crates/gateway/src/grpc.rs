//! Thanos' APIs: `Info`, `Store` and `Query`, with health and reflection.

mod compression;
mod info;
pub(crate) mod metrics;
mod query;
mod shard;
mod stopping;
mod store;

use std::{future::Future, sync::Arc, time::Duration};

use axum::middleware;
use futures::FutureExt;
use tokio::net::TcpListener;
use tonic::{
    Code, Status,
    service::Routes,
    transport::{Certificate, Identity, Server, ServerTlsConfig, server::TcpIncoming},
};
use tonic_health::ServingStatus;

use crate::{
    api::error::{ApiError, ErrorType},
    gateway::Gateway,
    grpc::{
        info::InfoService,
        proto::{info::info_server::InfoServer, query_server::QueryServer, store_server::StoreServer},
        query::QueryService,
        stopping::Late,
        store::StoreService,
    },
};

/// Messages of the protobuf files, as `tests/protos.rs` makes them.
#[expect(
    clippy::all,
    clippy::allow_attributes,
    clippy::clone_on_ref_ptr,
    unreachable_pub,
    unused_qualifications,
    reason = "generated"
)]
pub(crate) mod proto {
    include!("grpc/generated/thanos.rs");

    /// Of `thanos.info`.
    pub(crate) mod info {
        include!("grpc/generated/thanos.info.rs");
    }
}

const DESCRIPTORS: &[u8] = include_bytes!("grpc/generated/descriptors.bin");

/// Requests hold matchers and a query; what is larger means no good.
const MAX_REQUEST_BYTES: usize = 16 << 20;

/// Certificates of a gRPC port, in PEM.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// The server's certificate and the chain above it.
    pub certificate: Vec<u8>,
    /// Its private key.
    pub key: Vec<u8>,
    /// Clients must have a certificate of this authority, if it is given.
    pub client_authority: Option<Vec<u8>>,
}

impl Gateway {
    /// Thanos' APIs, healthy from `ready` until `stop`.
    async fn thanos_api(
        &self,
        ready: impl Future<Output = ()> + Send + 'static,
        stop: impl Future<Output = ()> + Send + 'static,
        late: Late,
    ) -> Routes {
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_service_status("", ServingStatus::NotServing).await;
        tokio::spawn(async move {
            let serving = async {
                ready.await;
                health.set_service_status("", ServingStatus::Serving).await;
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = serving => {}
                () = stop => health.set_service_status("", ServingStatus::NotServing).await,
            }
        });
        let info = InfoServer::new(InfoService(self.clone())).max_decoding_message_size(MAX_REQUEST_BYTES);
        let store = StoreServer::new(StoreService(self.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(usize::MAX);
        let query = QueryServer::new(QueryService(self.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(usize::MAX);
        let mut routes = Routes::new(info).add_service(store).add_service(query).add_service(health_service);
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        // Descriptors are those of the build, and a test reads them.
        if let (Ok(v1), Ok(alpha)) = (reflection().build_v1(), reflection().build_v1alpha()) {
            routes = routes.add_service(v1).add_service(alpha);
        }
        let routes = routes.into_axum_router().layer(middleware::from_fn(compression::recode));
        let routes = routes.layer(middleware::from_fn_with_state(late, stopping::end));
        Routes::from(routes.layer(middleware::from_fn_with_state(Arc::clone(&self.0.metrics), metrics::measure)))
    }

    /// Serves Thanos' APIs until `stop`; then waits for requests under way, at most for `grace`.
    pub(crate) async fn serve_thanos(
        &self,
        listener: TcpListener,
        mut server: Server,
        stop: impl Future<Output = ()> + Send + Clone + 'static,
        grace: Duration,
    ) {
        let catalog = Arc::clone(&self.0.catalog);
        let ready = async move {
            while !catalog.snapshot().is_ready() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let over = stop.clone();
        let late = async move {
            over.await;
            tokio::time::sleep(grace).await;
        };
        let late = late.boxed().shared();
        let routes = self.thanos_api(ready, stop.clone(), late.clone()).await;
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let serving = server.add_routes(routes).serve_with_incoming_shutdown(incoming, stop);
        let too_late = async {
            late.await;
            // Time to tell clients of it.
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        tokio::select! {
            result = serving => if let Err(error) = result {
                tracing::error!(%error, "Thanos' APIs are no longer served");
            },
            () = too_late => tracing::warn!("gRPC connections did not end in time"),
        }
    }
}

/// A server with bounds and, if wanted, TLS.
pub(crate) fn server(tls: Option<&ServerTls>) -> Result<Server, tonic::transport::Error> {
    let server = Server::builder()
        .http2_adaptive_window(Some(true))
        .http2_keepalive_interval(Some(Duration::from_secs(60)))
        .http2_max_header_list_size(1 << 16)
        .max_concurrent_streams(1000);
    let Some(tls) = tls else { return Ok(server) };
    let mut config = ServerTlsConfig::new().identity(Identity::from_pem(&tls.certificate, &tls.key));
    if let Some(authority) = &tls.client_authority {
        config = config.client_ca_root(Certificate::from_pem(authority));
    }
    server.tls_config(config)
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        let code = match error.kind {
            ErrorType::BadData => Code::InvalidArgument,
            ErrorType::Execution => Code::Aborted,
            ErrorType::LimitExceeded => Code::ResourceExhausted,
            ErrorType::Canceled => Code::Cancelled,
            ErrorType::Timeout => Code::DeadlineExceeded,
            ErrorType::Unavailable => Code::Unavailable,
            ErrorType::Internal => Code::Internal,
            ErrorType::NotFound => Code::NotFound,
        };
        status(code, error.message)
    }
}

/// Statuses are headers, which clients close connections for if they are long, and messages can quote what was asked.
fn status(code: Code, mut message: String) -> Status {
    const LONGEST: usize = 2048;
    if message.len() > LONGEST {
        message.truncate(message.floor_char_boundary(LONGEST));
        message.push('…');
    }
    Status::new(code, message)
}
