//! Remote read: series with samples in one answer, or a stream of encoded chunks.

use std::{
    io::{self, Write},
    sync::Arc,
};

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use crc_fast::{CrcAlgorithm, checksum};
use prometheus_model::TimeRange;
use prometheus_queryable::{MatchOp, Matcher, Queryable, SelectHints, Series, SeriesSet};
use prost::Message;
use tokio::runtime::Handle;

use crate::{
    api::error::{ApiError, ErrorType, chain},
    body::{Encoding, streamed},
    client_chunks::client_chunks,
    gateway::{Gateway, Shared},
    prompb,
};

/// Requests are small; what they unpack to is bounded before it is unpacked.
const MAX_REQUEST_BYTES: usize = 4 << 20;
/// As Prometheus' default for `--storage.remote.read-max-bytes-in-frame`.
const MAX_FRAME_BYTES: usize = 1 << 20;

/// Errors are plain text, as Prometheus gives them.
pub(crate) async fn read(State(gateway): State<Gateway>, request: Request) -> Response {
    let answer = async {
        let body = gateway.0.bodies.read(request.into_body(), MAX_REQUEST_BYTES).await?;
        answer(gateway, &body.bytes).await
    };
    match answer.await {
        Ok(response) => response,
        Err(error) => (error.kind.status(), error.message + "\n").into_response(),
    }
}

async fn answer(gateway: Gateway, body: &[u8]) -> Result<Response, ApiError> {
    let request = decode(body).map_err(|why| ApiError::bad_data(format!("cannot read the request: {why}")))?;
    let mut queries = Vec::with_capacity(request.queries.len());
    for query in &request.queries {
        let range = TimeRange::new(query.start_timestamp_ms, query.end_timestamp_ms.saturating_add(1)).ok();
        let given = query.matchers.iter().map(|m| (m.r#type, m.name.as_str(), m.value.as_str()));
        queries.push((matchers(given)?, range, hints(query, range)));
    }
    let streams = request.accepted_response_types.iter().find_map(|kind| match kind {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    });
    match streams {
        Some(true) => stream(gateway, queries).await,
        None if !request.accepted_response_types.is_empty() => {
            Err(ApiError::bad_data("no known response type is accepted"))
        }
        _ => samples(gateway, queries).await,
    }
}

fn decode(body: &[u8]) -> Result<prompb::ReadRequest, String> {
    let length = snap::raw::decompress_len(body).map_err(|error| error.to_string())?;
    if length > MAX_REQUEST_BYTES {
        return Err(format!("{length} bytes are more than {MAX_REQUEST_BYTES}"));
    }
    let bytes = snap::raw::Decoder::new().decompress_vec(body).map_err(|error| error.to_string())?;
    prompb::ReadRequest::decode(&*bytes).map_err(|error| error.to_string())
}

/// Matchers as messages give them.
pub(crate) fn matchers<'a>(from: impl IntoIterator<Item = (i32, &'a str, &'a str)>) -> Result<Vec<Matcher>, ApiError> {
    let one = |(kind, name, value): (i32, &str, &str)| {
        let op = match kind {
            0 => MatchOp::Equal,
            1 => MatchOp::NotEqual,
            2 => MatchOp::Regex,
            3 => MatchOp::NotRegex,
            other => return Err(ApiError::bad_data(format!("invalid matcher type {other}"))),
        };
        Matcher::new(name, op, value).map_err(|error| ApiError::bad_data(error.to_string()))
    };
    from.into_iter().map(one).collect()
}

type Query = (Vec<Matcher>, Option<TimeRange>, Option<SelectHints>);

/// `None` if no time is in range.
fn hints(query: &prompb::Query, range: Option<TimeRange>) -> Option<SelectHints> {
    let mut hints = SelectHints::new(range?);
    if let Some(given) = &query.hints {
        hints.step_ms = given.step_ms;
        hints.selector_range_ms = given.range_ms;
        hints.function = Some(given.func.clone()).filter(|func| !func.is_empty());
        // Hints may name less than is asked for, never more.
        let hinted = TimeRange::new(given.start_ms, given.end_ms.saturating_add(1)).ok();
        hints.range = hinted.and_then(|hinted| hints.range.intersect(hinted)).unwrap_or(hints.range);
        hints.series_only = given.func == "series";
    }
    Some(hints)
}

async fn select(shared: &Shared, (matchers, range, hints): &Query) -> Result<Option<Box<dyn SeriesSet>>, ApiError> {
    let (Some(range), Some(hints)) = (range, hints) else { return Ok(None) };
    let querier = shared.catalog.snapshot().querier(*range).await?;
    Ok(Some(querier.select(matchers, hints).await?))
}

/// There is no place for warnings in an answer, and what lacks something must not be taken for the whole.
fn complete(set: &dyn SeriesSet) -> Result<(), ApiError> {
    match set.warnings() {
        [] => Ok(()),
        warnings => {
            let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
            Err(ApiError::new(ErrorType::Unavailable, warnings.join("; ")))
        }
    }
}

async fn samples(gateway: Gateway, queries: Vec<Query>) -> Result<Response, ApiError> {
    let shared = Arc::clone(&gateway.0);
    let timeout = shared.timeout(None);
    let body = gateway
        .0
        .http_gate
        .run(timeout, move || async move {
            let mut response = prompb::ReadResponse::default();
            let mut left = shared.options.max_remote_read_samples;
            for query in &queries {
                let mut result = prompb::QueryResult::default();
                if let Some(mut set) = select(&shared, query).await? {
                    while let Some(batch) = set.next().await? {
                        for series in batch {
                            let series = prompb::TimeSeries::of(&series)?;
                            left =
                                left.checked_sub(series.samples.len() + series.histograms.len()).ok_or_else(|| {
                                    let most = shared.options.max_remote_read_samples;
                                    ApiError::new(ErrorType::LimitExceeded, format!("exceeded sample limit ({most})"))
                                })?;
                            result.timeseries.push(series);
                        }
                    }
                    complete(&*set)?;
                }
                response.results.push(result);
            }
            let bytes = response.encode_to_vec();
            drop(response);
            snap::raw::Encoder::new()
                .compress_vec(&bytes)
                .map_err(|error| ApiError::new(ErrorType::LimitExceeded, format!("the answer is too large: {error}")))
        })
        .await?;
    let headers = [(header::CONTENT_TYPE, "application/x-protobuf"), (header::CONTENT_ENCODING, "snappy")];
    Ok((StatusCode::OK, headers, body).into_response())
}

/// The first batch is awaited before the answer begins, so that most errors have a status.
async fn stream(gateway: Gateway, queries: Vec<Query>) -> Result<Response, ApiError> {
    let shared = Arc::clone(&gateway.0);
    let timeout = shared.timeout(None);
    let sets = gateway
        .0
        .http_gate
        .run(timeout, move || async move {
            let mut sets = Vec::with_capacity(queries.len());
            for query in &queries {
                let Some(mut set) = select(&shared, query).await? else {
                    sets.push(None);
                    continue;
                };
                let first = set.next().await?;
                complete(&*set)?;
                sets.push(first.map(|batch| (set, batch)));
            }
            Ok(sets)
        })
        .await?;
    let (runtime, patience) = (Handle::current(), gateway.0.options.max_timeout);
    let kind = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    Ok(streamed(kind, Encoding::Identity, move |out| {
        let written = (0_i64..).zip(sets).try_for_each(|(index, started)| {
            let Some((mut set, first)) = started else { return Ok(()) };
            let mut batch = Some(first);
            while let Some(series) = batch {
                series.iter().try_for_each(|one| write_series(out, index, one))?;
                // However long the client takes, nobody waits longer than this for the bucket.
                let next = runtime.block_on(async { tokio::time::timeout(patience, set.next()).await });
                batch = next.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?.map_err(io::Error::other)?;
                complete(&*set).map_err(|error| io::Error::other(error.message))?;
            }
            Ok(())
        });
        written.inspect_err(|error: &io::Error| tracing::error!(error = chain(error), "a streamed remote read fails"))
    }))
}

/// At most one series a frame; a series may take several.
fn write_series(out: &mut dyn Write, query_index: i64, series: &Series) -> io::Result<()> {
    let labels = prompb::labels_of(&series.labels);
    let mut chunks = Vec::new();
    let mut bytes = 0_usize;
    for chunk in client_chunks(series).map_err(io::Error::other)? {
        let chunk = prompb::Chunk {
            min_time_ms: chunk.min_time,
            max_time_ms: chunk.max_time,
            r#type: i32::from(chunk.encoding.byte()),
            data: chunk.data,
        };
        bytes = bytes.saturating_add(chunk.data.len() + 32);
        chunks.push(chunk);
        if bytes >= MAX_FRAME_BYTES {
            write_frame(out, query_index, &labels, std::mem::take(&mut chunks))?;
            bytes = 0;
        }
    }
    if chunks.is_empty() { Ok(()) } else { write_frame(out, query_index, &labels, chunks) }
}

/// ```text
/// frame := uvarint(length of message) checksum(message: CRC-32C, big endian) message
/// ```
fn write_frame(
    out: &mut dyn Write,
    query_index: i64,
    labels: &[prompb::Label],
    chunks: Vec<prompb::Chunk>,
) -> io::Result<()> {
    let series = prompb::ChunkedSeries { labels: labels.to_vec(), chunks };
    let message = prompb::ChunkedReadResponse { chunked_series: vec![series], query_index }.encode_to_vec();
    let mut head = Vec::with_capacity(14);
    prost::encode_length_delimiter(message.len(), &mut head).map_err(io::Error::other)?;
    // A CRC-32 has 32 bits.
    let crc = checksum(CrcAlgorithm::Crc32Iscsi, &message) as u32;
    head.extend_from_slice(&crc.to_be_bytes());
    out.write_all(&head)?;
    out.write_all(&message)
}
