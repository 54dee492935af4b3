//! Serves PromQL over the Parquet shards of a bucket.
//!
//! A [`Gateway`] answers Prometheus' HTTP API and Thanos' gRPC APIs from a [`Catalog`](promparquet_catalog::Catalog) and an
//! [`Engine`](prometheus_promql::Engine); its routers can be made part of any axum application. A [`Server`] binds ports,
//! keeps the catalog up to date and ends in an orderly way.
//!
//! This is the only crate of the workspace that knows HTTP, gRPC, JSON and status codes.

mod api;
mod backfill;
mod body;
mod client_chunks;
mod connections;
mod error;
mod execution;
mod gateway;
mod grpc;
mod internal;
pub mod json;
mod metrics;
mod observer;
mod options;
mod profile;
mod prompb;
mod request_body;
mod server;
mod spans;
mod ui;
mod web_config;

pub use backfill::BackfillOptions;
pub use error::{Error, ErrorKind, Result};
pub use gateway::Gateway;
pub use grpc::ServerTls;
pub use metrics::Metrics;
pub use options::{CorsOrigin, GatewayOptions};
pub use server::{Server, ServerOptions, ThanosOptions};
pub use web_config::WebConfig;
