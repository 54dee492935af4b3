//! `Store`: series as chunks, names and values of labels.

use std::{num::NonZeroUsize, sync::Arc};

use opentelemetry::{Context, KeyValue, trace::FutureExt};
use prometheus_chunks::Encoding;
use prometheus_model::TimeRange;
use prometheus_queryable::{
    Grouping, LabelHints, Matcher, Queryable, Relabelled, Relabelling, SelectHints, Series as Found,
};
use tonic::{Code, Request, Response, Status};

use crate::{
    api::{error::ApiError, remote_read::matchers},
    client_chunks::client_chunks,
    gateway::{Gateway, Shared},
    grpc::{
        answer::{Answer, Messages},
        proto::{
            AggrChunk, Chunk, Label, LabelMatcher, LabelNamesRequest, LabelNamesResponse, LabelValuesRequest,
            LabelValuesResponse, PartialResponseStrategy, Series, SeriesBatch, SeriesRequest, SeriesResponse, chunk,
            query_hints, series_response::Result as Message, store_server::Store,
        },
        shard::Shard,
        status,
    },
};

/// A batch is sent when it has so many bytes, however few series that are.
const BATCH_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct StoreService(pub(crate) Gateway);

fn matchers_of(from: &[LabelMatcher]) -> Result<Vec<Matcher>, ApiError> {
    matchers(from.iter().map(|m| (m.r#type, m.name.as_str(), m.value.as_str())))
}

fn aborts(disabled: bool, strategy: i32) -> bool {
    disabled || strategy == PartialResponseStrategy::Abort as i32
}

fn incomplete(warnings: &[impl ToString]) -> Status {
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    status(Code::Unavailable, warnings.join("; "))
}

#[tonic::async_trait]
impl Store for StoreService {
    type SeriesStream = Messages<SeriesResponse>;

    async fn series(&self, request: Request<SeriesRequest>) -> Result<Response<Self::SeriesStream>, Status> {
        let request = request.into_inner();
        let select = matchers_of(&request.matchers)?;
        let (answer, messages) = Answer::new();
        let shared = Arc::clone(&self.0.0);
        shared.spans.describe(|| {
            let mut all = describe(&request.matchers);
            all.extend(
                [("series.start", request.min_time), ("series.end", request.max_time)]
                    .map(|(k, v)| KeyValue::new(k, v)),
            );
            all
        });
        let sending = async move {
            let sending = send_series(&shared, &request, &select, &answer);
            let result = tokio::select! {
                result = tokio::time::timeout(shared.options.max_timeout, sending) => result,
                () = answer.closed() => return,
            };
            answer.end(result.unwrap_or_else(|_| Err(ApiError::timeout("series").into())));
        };
        tokio::spawn(sending.with_context(Context::current()));
        Ok(Response::new(messages))
    }

    async fn label_names(&self, request: Request<LabelNamesRequest>) -> Result<Response<LabelNamesResponse>, Status> {
        let request = request.into_inner();
        let like = LabelValuesRequest {
            label: String::new(),
            start: request.start,
            end: request.end,
            matchers: request.matchers,
            without_replica_labels: request.without_replica_labels,
            limit: request.limit,
            partial_response_disabled: request.partial_response_disabled,
            partial_response_strategy: request.partial_response_strategy,
        };
        let (names, warnings) = self.ask(None, like).await?;
        Ok(Response::new(LabelNamesResponse { names, warnings }))
    }

    async fn label_values(
        &self,
        request: Request<LabelValuesRequest>,
    ) -> Result<Response<LabelValuesResponse>, Status> {
        let request = request.into_inner();
        let (values, warnings) = self.ask(Some(request.label.clone()), request).await?;
        Ok(Response::new(LabelValuesResponse { values, warnings }))
    }
}

impl StoreService {
    /// Values of the label `name`, or names, and warnings.
    async fn ask(
        &self,
        name: Option<String>,
        request: LabelValuesRequest,
    ) -> Result<(Vec<String>, Vec<String>), Status> {
        let matchers = matchers_of(&request.matchers)?;
        self.0.0.spans.describe(|| {
            let mut all = describe(&request.matchers);
            all.extend(name.iter().map(|name| KeyValue::new("label_values.label", name.clone())));
            all
        });
        let dropped = request.without_replica_labels;
        if name.as_ref().is_some_and(|name| dropped.contains(name)) {
            return Ok(Default::default());
        }
        let Ok(range) = TimeRange::new(request.start, request.end.saturating_add(1)) else {
            return Ok(Default::default());
        };
        let shared = Arc::clone(&self.0.0);
        let timeout = shared.timeout(None);
        let ask = move || async move {
            let querier = shared.catalog.snapshot().querier(range).await?;
            let limit = usize::try_from(request.limit).ok().and_then(NonZeroUsize::new);
            // Some of those found may be dropped.
            let hints = LabelHints { limit: limit.map(|limit| limit.saturating_add(dropped.len())) };
            let mut found = match &name {
                Some(name) => querier.label_values(name, &matchers, &hints).await?,
                None => querier.label_names(&matchers, &hints).await?,
            };
            if name.is_none() {
                found.strings.retain(|name| !dropped.contains(name));
            }
            found.strings.truncate(limit.map_or(usize::MAX, NonZeroUsize::get));
            Ok(found)
        };
        let found = self.0.0.grpc_gate.run(timeout, ask).await?;
        if aborts(request.partial_response_disabled, request.partial_response_strategy) && !found.warnings.is_empty() {
            return Err(incomplete(&found.warnings));
        }
        Ok((found.strings, found.warnings.iter().map(ToString::to_string).collect()))
    }
}

type Sender = Answer<SeriesResponse>;

async fn send(sender: &Sender, message: Message) -> Result<(), Status> {
    sender.send(SeriesResponse { result: Some(message) }).await
}

/// What spans say of a question for series.
fn describe(matchers: &[LabelMatcher]) -> Vec<KeyValue> {
    const MOST: usize = 2000;
    let mut text = String::new();
    for LabelMatcher { r#type, name, value } in matchers {
        if text.len() > MOST {
            break;
        }
        let comma = if text.is_empty() { "" } else { ", " };
        let operator = ["=", "!=", "=~", "!~"].get(usize::try_from(*r#type).unwrap_or(usize::MAX)).unwrap_or(&"?");
        text.extend([comma, name.as_str(), operator, value.as_str()]);
    }
    vec![KeyValue::new("series.matchers", text.chars().take(MOST).collect::<String>())]
}

async fn send_series(
    shared: &Shared,
    request: &SeriesRequest,
    select: &[Matcher],
    sender: &Sender,
) -> Result<(), Status> {
    let Ok(range) = TimeRange::new(request.min_time, request.max_time.saturating_add(1)) else { return Ok(()) };
    let querier = shared.catalog.snapshot().querier(range).await.map_err(ApiError::from)?;
    let shard = request.shard_info.as_ref().and_then(Shard::of);
    let most = usize::try_from(request.limit).ok().filter(|limit| *limit > 0);
    let mut hints = hints_of(request, range);
    // Where each series that the store gives is one of the answer, in the same order.
    if request.skip_chunks && shard.is_none() && request.without_replica_labels.is_empty() {
        hints.limit = most.and_then(|most| NonZeroUsize::new(most.saturating_add(1)));
    }
    let set = querier.select(select, &hints).await.map_err(ApiError::from)?;
    // Which of them are one series, the caller decides.
    let mut set =
        Relabelled::new(set, Relabelling::dropping("leaving out replica labels", &request.without_replica_labels));
    let batch_size = usize::try_from(request.response_batch_size).unwrap_or(0).clamp(1, 10_000);
    let mut sent = 0_usize;
    let (mut batch, mut bytes) = (Vec::new(), 0_usize);
    'all: while let Some(found) = set.next_group().await.map_err(ApiError::from)? {
        for one in found {
            if shard.as_ref().is_some_and(|shard| !shard.contains(&one.labels)) {
                continue;
            }
            if most.is_some_and(|most| sent >= most) {
                flush(sender, &mut batch, batch_size).await?;
                send(sender, Message::Warning("results truncated due to limit".into())).await?;
                break 'all;
            }
            let series = series_of(&one).map_err(ApiError::from)?;
            // Without a chunk in range there is nothing to tell.
            if series.chunks.is_empty() && !request.skip_chunks {
                continue;
            }
            sent += 1;
            bytes += series.chunks.iter().filter_map(|chunk| Some(chunk.raw.as_ref()?.data.len())).sum::<usize>();
            batch.push(series);
            if batch.len() >= batch_size || bytes >= BATCH_BYTES {
                flush(sender, &mut batch, batch_size).await?;
                bytes = 0;
            }
        }
    }
    flush(sender, &mut batch, batch_size).await?;
    if aborts(request.partial_response_disabled, request.partial_response_strategy) && !set.warnings().is_empty() {
        return Err(incomplete(set.warnings()));
    }
    for warning in set.warnings() {
        send(sender, Message::Warning(warning.to_string())).await?;
    }
    Ok(())
}

/// What the request says of the query around it. Projections are not honoured, as [`Info`](super::info) says: without some of
/// their labels, series come in another order, so that all of the answer would have to be held.
fn hints_of(request: &SeriesRequest, range: TimeRange) -> SelectHints {
    let mut hints = if request.skip_chunks { SelectHints::series_only(range) } else { SelectHints::new(range) };
    // Older clients have fields of their own for these.
    (hints.step_ms, hints.selector_range_ms) = (request.step, request.range);
    let Some(given) = &request.query_hints else { return hints };
    if given.step_millis > 0 {
        hints.step_ms = given.step_millis;
    }
    if let Some(range) = given.range.as_ref().filter(|range| range.millis > 0) {
        hints.selector_range_ms = range.millis;
    }
    hints.function = given.func.as_ref().map(|func| func.name.clone()).filter(|name| !name.is_empty());
    let grouping = |given: &query_hints::Grouping| Grouping { labels: given.labels.clone(), without: !given.by };
    hints.grouping = given.grouping.as_ref().filter(|given| given.by || !given.labels.is_empty()).map(grouping);
    hints
}

async fn flush(sender: &Sender, batch: &mut Vec<Series>, batch_size: usize) -> Result<(), Status> {
    if batch_size > 1 && !batch.is_empty() {
        return send(sender, Message::Batch(SeriesBatch { series: std::mem::take(batch) })).await;
    }
    for series in batch.drain(..) {
        send(sender, Message::Series(series)).await?;
    }
    Ok(())
}

fn series_of(found: &Found) -> prometheus_queryable::Result<Series> {
    let label = |(name, value): (&str, &str)| Label { name: name.to_owned(), value: value.to_owned() };
    let chunk = |chunk: prometheus_queryable::Chunk| {
        let r#type = match chunk.encoding {
            Encoding::Histogram => chunk::Encoding::Histogram,
            Encoding::FloatHistogram => chunk::Encoding::FloatHistogram,
            _ => chunk::Encoding::Xor,
        };
        let raw = Chunk { r#type: r#type as i32, data: chunk.data };
        AggrChunk { min_time: chunk.min_time, max_time: chunk.max_time, raw: Some(raw) }
    };
    let chunks = client_chunks(found)?.into_iter().map(chunk).collect();
    Ok(Series { labels: found.labels.iter().map(label).collect(), chunks })
}
