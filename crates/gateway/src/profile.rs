//! `/debug/pprof/profile`: where the processors' time goes, as Go's servers tell it: a gzipped profile for `go tool pprof`.

use std::{io::Write as _, time::Duration};

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use pprof::protos::Message as _;
use tokio::sync::Semaphore;

use crate::api::params::Params;

/// Samples a second; no multiple of what else happens regularly.
const FREQUENCY: i32 = 99;
const DEFAULT_SECONDS: u64 = 30;
const MOST_SECONDS: u64 = 300;

/// Signals of the whole process are used, so that there is one profile at a time.
static ALONE: Semaphore = Semaphore::const_new(1);

pub(crate) async fn cpu(params: Params) -> Response {
    let seconds = match params.get("seconds") {
        "" => Some(DEFAULT_SECONDS),
        text => text.parse().ok().filter(|seconds| (1..=MOST_SECONDS).contains(seconds)),
    };
    let Some(seconds) = seconds else {
        let why = format!("seconds: expected a number from 1 to {MOST_SECONDS}\n");
        return (StatusCode::BAD_REQUEST, why).into_response();
    };
    let Ok(_alone) = ALONE.try_acquire() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "a profile is being taken already\n").into_response();
    };
    match profile(Duration::from_secs(seconds)).await {
        Ok(bytes) => {
            let kind = [
                (header::CONTENT_TYPE, "application/octet-stream"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"profile.pb.gz\""),
            ];
            (kind, bytes).into_response()
        }
        Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, format!("cannot take a profile: {why}\n")).into_response(),
    }
}

async fn profile(time: Duration) -> Result<Vec<u8>, String> {
    let guard = pprof::ProfilerGuardBuilder::default()
        .frequency(FREQUENCY)
        // Where unwinding may wait for a lock that the interrupted thread has.
        .blocklist(&["libc", "libgcc", "pthread", "vdso"])
        .build()
        .map_err(|error| error.to_string())?;
    tokio::time::sleep(time).await;
    let encoded = tokio::task::spawn_blocking(move || {
        let profile = guard.report().build().and_then(|report| report.pprof()).map_err(|error| error.to_string())?;
        let bytes = profile.write_to_bytes().map_err(|error| error.to_string())?;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&bytes).and_then(|()| gzip.finish()).map_err(|error| error.to_string())
    });
    encoded.await.map_err(|error| error.to_string())?
}
