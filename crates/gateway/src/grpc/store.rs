//! `Store`: series as chunks, names and values of labels.

use std::{collections::BTreeSet, num::NonZeroUsize, pin::Pin, sync::Arc};

use futures::Stream;
use prometheus_chunks::Encoding;
use prometheus_model::{TimeRange, stable_hash};
use prometheus_queryable::{
    LabelHints, LabelStrings, Matcher, Queryable, Relabelled, Relabelling, SelectHints, Series as Found,
};
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

use crate::{
    api::{error::ApiError, remote_read::matchers},
    client_chunks::client_chunks,
    gateway::{Gateway, Shared},
    grpc::proto::{
        AggrChunk, Chunk, Label, LabelMatcher, LabelNamesRequest, LabelNamesResponse, LabelValuesRequest,
        LabelValuesResponse, PartialResponseStrategy, Series, SeriesBatch, SeriesRequest, SeriesResponse, ShardInfo,
        chunk, series_response::Result as Message, store_server::Store,
    },
};

/// Messages that wait to be sent.
const MESSAGES: usize = 64;

#[derive(Debug)]
pub(crate) struct StoreService(pub(crate) Gateway);

pub(crate) type Stream1<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What is sent to `receiver`, as a stream.
pub(crate) fn stream_of<T: Send + 'static>(receiver: mpsc::Receiver<Result<T, Status>>) -> Stream1<T> {
    Box::pin(futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|message| (message, receiver))
    }))
}

fn matchers_of(from: &[LabelMatcher]) -> Result<Vec<Matcher>, ApiError> {
    matchers(from.iter().map(|m| (m.r#type, m.name.as_str(), m.value.as_str())))
}

fn aborts(disabled: bool, strategy: i32) -> bool {
    disabled || strategy == PartialResponseStrategy::Abort as i32
}

fn incomplete(warnings: &[impl ToString]) -> Status {
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    Status::unavailable(warnings.join("; "))
}

#[tonic::async_trait]
impl Store for StoreService {
    type SeriesStream = Stream1<SeriesResponse>;

    async fn series(&self, request: Request<SeriesRequest>) -> Result<Response<Self::SeriesStream>, Status> {
        let request = request.into_inner();
        let select = matchers_of(&request.matchers)?;
        let (sender, receiver) = mpsc::channel(MESSAGES);
        let shared = Arc::clone(&self.0.0);
        tokio::spawn(async move {
            let sending = send_series(&shared, &request, &select, &sender);
            let result = tokio::select! {
                result = tokio::time::timeout(shared.options.max_timeout, sending) => result,
                // The client is gone.
                () = sender.closed() => return,
            };
            let result = result.unwrap_or_else(|_| Err(ApiError::timeout("series").into()));
            if let Err(status) = result {
                let _ = sender.send(Err(status)).await;
            }
        });
        Ok(Response::new(stream_of(receiver)))
    }

    async fn label_names(&self, request: Request<LabelNamesRequest>) -> Result<Response<LabelNamesResponse>, Status> {
        let request = request.into_inner();
        let question = Question {
            name: None,
            range: (request.start, request.end),
            matchers: matchers_of(&request.matchers)?,
            without: request.without_replica_labels,
            limit: request.limit,
            aborts: aborts(request.partial_response_disabled, request.partial_response_strategy),
        };
        let found = self.ask(question).await?;
        let warnings = found.warnings.iter().map(ToString::to_string).collect();
        Ok(Response::new(LabelNamesResponse { names: found.strings, warnings }))
    }

    async fn label_values(
        &self,
        request: Request<LabelValuesRequest>,
    ) -> Result<Response<LabelValuesResponse>, Status> {
        let request = request.into_inner();
        let question = Question {
            name: Some(request.label),
            range: (request.start, request.end),
            matchers: matchers_of(&request.matchers)?,
            without: request.without_replica_labels,
            limit: request.limit,
            aborts: aborts(request.partial_response_disabled, request.partial_response_strategy),
        };
        let found = self.ask(question).await?;
        let warnings = found.warnings.iter().map(ToString::to_string).collect();
        Ok(Response::new(LabelValuesResponse { values: found.strings, warnings }))
    }
}

/// A question for values of `name`, or for names.
struct Question {
    name: Option<String>,
    /// Both inclusive.
    range: (i64, i64),
    matchers: Vec<Matcher>,
    without: Vec<String>,
    limit: i64,
    aborts: bool,
}

impl StoreService {
    async fn ask(&self, question: Question) -> Result<LabelStrings, Status> {
        if question.name.as_ref().is_some_and(|name| question.without.contains(name)) {
            return Ok(LabelStrings::default());
        }
        let Ok(range) = TimeRange::new(question.range.0, question.range.1.saturating_add(1)) else {
            return Ok(LabelStrings::default());
        };
        let shared = Arc::clone(&self.0.0);
        let timeout = shared.options.default_timeout;
        let aborts = question.aborts;
        let ask = move || async move {
            let querier = shared.catalog.snapshot().querier(range).await?;
            let limit = usize::try_from(question.limit).ok().and_then(NonZeroUsize::new);
            // Some of those found may be dropped.
            let more = limit.map(|limit| limit.saturating_add(question.without.len()));
            let hints = LabelHints { limit: more };
            let mut found = match &question.name {
                Some(name) => querier.label_values(name, &question.matchers, &hints).await?,
                None => querier.label_names(&question.matchers, &hints).await?,
            };
            if question.name.is_none() {
                found.strings.retain(|name| !question.without.contains(name));
            }
            found.strings.truncate(limit.map_or(usize::MAX, NonZeroUsize::get));
            Ok(found)
        };
        let found = self.0.0.grpc_gate.run(timeout, ask).await?;
        if aborts && !found.warnings.is_empty() {
            return Err(incomplete(&found.warnings));
        }
        Ok(found)
    }
}

type Sender = mpsc::Sender<Result<SeriesResponse, Status>>;

async fn send(sender: &Sender, message: Message) -> Result<(), Status> {
    let response = SeriesResponse { result: Some(message) };
    sender.send(Ok(response)).await.map_err(|_| Status::cancelled("nobody listens"))
}

async fn send_series(
    shared: &Shared,
    request: &SeriesRequest,
    select: &[Matcher],
    sender: &Sender,
) -> Result<(), Status> {
    let Ok(range) = TimeRange::new(request.min_time, request.max_time.saturating_add(1)) else { return Ok(()) };
    let querier = shared.catalog.snapshot().querier(range).await.map_err(ApiError::from)?;
    let mut hints = if request.skip_chunks { SelectHints::series_only(range) } else { SelectHints::new(range) };
    hints.step_ms = request.step;
    hints.selector_range_ms = request.range;
    let set = querier.select(select, &hints).await.map_err(ApiError::from)?;
    // Which of them are one series, the caller decides.
    let mut set =
        Relabelled::new(set, Relabelling::dropping("leaving out replica labels", &request.without_replica_labels));
    let shard = request.shard_info.as_ref().filter(|shard| shard.total_shards > 0).map(Shard::of);
    let most = usize::try_from(request.limit).ok().filter(|limit| *limit > 0);
    let batch_size = usize::try_from(request.response_batch_size).unwrap_or(0).clamp(1, 10_000);
    let mut sent = 0_usize;
    let mut batch: Vec<Series> = Vec::new();
    'all: while let Some(found) = set.next_group().await.map_err(ApiError::from)? {
        for one in found {
            if shard.as_ref().is_some_and(|shard| !shard.contains(&one)) {
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
            batch.push(series);
            if batch.len() >= batch_size {
                flush(sender, &mut batch, batch_size).await?;
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

/// Thanos' parts of all series: by a hash of some of the labels.
struct Shard {
    index: u64,
    count: u64,
    by: bool,
    labels: BTreeSet<String>,
}

impl Shard {
    fn of(info: &ShardInfo) -> Self {
        Self {
            index: info.shard_index.cast_unsigned(),
            count: info.total_shards.cast_unsigned(),
            by: info.by,
            labels: info.labels.iter().cloned().collect(),
        }
    }

    fn contains(&self, series: &Found) -> bool {
        let counts = series.labels.iter().filter(|(name, _)| self.labels.contains(*name) == self.by);
        stable_hash(counts.map(|(name, value)| (name.as_bytes(), value.as_bytes()))) % self.count == self.index
    }
}
