//! The gateway over a bucket of converted blocks, asked through real connections.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod client;
mod endpoints;
mod errors;
mod faults;
mod hostile;
mod lifecycle;
mod limits;
mod remote_read;
mod served;
