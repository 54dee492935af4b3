//! Thanos' APIs: `Info`, `Store` and `Query`, with health and reflection.

mod answer;
mod compression;
mod deadline;
mod info;
pub(crate) mod metrics;
mod query;
mod shard;
mod store;
mod tls;

use std::{future::pending, sync::Arc, time::Duration};

use axum::{Router, middleware};
use futures::FutureExt;
use tokio::sync::watch;
use tonic::{Code, Status, service::Routes};
use tonic_health::{
    ServingStatus,
    pb::health_server::{Health, HealthServer},
};

pub use crate::grpc::tls::ServerTls;
use crate::{
    api::error::{ApiError, ErrorType},
    connections::{Port, Protocol},
    gateway::Gateway,
    grpc::{
        deadline::Late,
        info::InfoService,
        proto::{info::info_server::InfoServer, query_server::QueryServer, store_server::StoreServer},
        query::QueryService,
        store::StoreService,
    },
    server::ThanosPort,
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

/// Requests hold matchers and a query; what is larger means no good. It is what Go's servers take by default.
const MAX_REQUEST_BYTES: usize = 4 << 20;

impl Gateway {
    /// Thanos' APIs as a server has them, with reflection, healthy always. Connections are the caller's to bound.
    pub async fn thanos_api(&self) -> Router {
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_service_status("", ServingStatus::Serving).await;
        self.thanos_router(health_service, pending().boxed().shared())
    }

    fn thanos_router(&self, health: HealthServer<impl Health>, late: Late) -> Router {
        let info = InfoServer::new(InfoService(self.clone())).max_decoding_message_size(MAX_REQUEST_BYTES);
        let store = StoreServer::new(StoreService(self.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(usize::MAX);
        let query = QueryServer::new(QueryService(self.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(usize::MAX);
        let mut routes = Routes::new(info).add_service(store).add_service(query).add_service(health);
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        // Descriptors are those of the build, and a test reads them.
        if let (Ok(v1), Ok(alpha)) = (reflection().build_v1(), reflection().build_v1alpha()) {
            routes = routes.add_service(v1).add_service(alpha);
        }
        routes
            .into_axum_router()
            .layer(middleware::from_fn_with_state(self.clone(), compression::recode))
            .layer(middleware::from_fn_with_state(late, deadline::end))
            .layer(middleware::from_fn_with_state(self.clone(), metrics::measure))
    }

    /// Serves Thanos' APIs until `stop`, healthy from when the catalog is ready; then waits for requests under way.
    pub(crate) async fn serve_thanos(
        &self,
        port: ThanosPort,
        max_connections: usize,
        head_timeout: Duration,
        stop: watch::Receiver<bool>,
    ) {
        let stopped = |mut stop: watch::Receiver<bool>| async move {
            // If nobody can say so any more, it is time too.
            let _ = stop.wait_for(|stop| *stop).await;
        };
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_service_status("", ServingStatus::NotServing).await;
        let (catalog, over) = (Arc::clone(&self.0.catalog), stopped(stop.clone()));
        tokio::spawn(async move {
            let serving = async {
                while !catalog.snapshot().is_ready() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                health.set_service_status("", ServingStatus::Serving).await;
                pending::<()>().await;
            };
            tokio::select! {
                () = serving => {}
                () = over => health.set_service_status("", ServingStatus::NotServing).await,
            }
        });
        let ThanosPort { listener, tls, grace } = port;
        let over = stopped(stop.clone());
        let late = async move {
            over.await;
            tokio::time::sleep(grace).await;
        };
        let port = Port {
            listener,
            router: self.thanos_router(health_service, late.boxed().shared()),
            protocol: Protocol::Grpc(tls),
            max_connections,
            head_timeout,
            // Time to tell clients that it is late.
            grace: grace + Duration::from_secs(1),
        };
        port.serve(stop).await;
    }
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
