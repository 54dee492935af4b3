//! The gateway over a bucket of converted blocks, asked through real connections.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod backfill;
mod client;
mod endpoints;
mod errors;
mod faults;
mod grafana;
mod grpc;
mod grpc_connections;
mod grpc_hostile;
mod hostile;
mod lifecycle;
mod limits;
mod metrics;
mod partial;
#[expect(dead_code, reason = "the tests use a part of the gateway's messages")]
#[path = "../../src/prompb.rs"]
mod prompb;
mod promqltest;
mod remote_read;
mod served;
mod spans;
mod ui;
mod web_config;
