//! `Query`: PromQL.

use std::{sync::Arc, time::Duration};

use prometheus_model::Labels;
use prometheus_promql::{Answer as Evaluated, PointValue, QueryRequest as EngineRequest, QueryTimes, QueryValue};
use prometheus_queryable::{DedupAlgorithm, DedupQueryable, Queryable};
use tonic::{Request, Response, Status};

use crate::{
    api::{error::ApiError, query::describe},
    gateway::Gateway,
    grpc::{
        answer::{Answer, Messages},
        proto::{
            QueryRangeRequest, QueryRangeResponse, QueryRequest, QueryResponse, QueryStats, TimeSeriesBatch,
            query_range_response, query_response, query_server::Query,
        },
        shard::{Shard, ShardQueryable},
    },
    prompb::{self, Histogram, Sample, TimeSeries},
};

#[derive(Debug)]
pub(crate) struct QueryService(pub(crate) Gateway);

/// What both requests say.
struct Asked {
    query: String,
    times: QueryTimes,
    timeout_seconds: i64,
    lookback_seconds: i64,
    /// Given if replicas are to be seen as one.
    replica_labels: Option<Vec<String>>,
    shard: Option<Shard>,
    batch_size: i64,
}

/// A message of either answer.
enum Piece {
    Warnings(String),
    Series(TimeSeries),
    Batch(TimeSeriesBatch),
    Stats(QueryStats),
}

/// Both answers consist of the same messages, and both requests have the same fields but for times.
macro_rules! impl_twins {
    ($request:ident, $response:ident, $message:path) => {
        impl From<Piece> for $response {
            fn from(piece: Piece) -> Self {
                use $message as Message;
                Self {
                    result: Some(match piece {
                        Piece::Warnings(text) => Message::Warnings(text),
                        Piece::Series(series) => Message::Timeseries(series),
                        Piece::Batch(batch) => Message::TimeseriesBatch(batch),
                        Piece::Stats(stats) => Message::Stats(stats),
                    }),
                }
            }
        }

        impl $request {
            fn at(self, times: QueryTimes) -> Asked {
                Asked {
                    query: self.query,
                    times,
                    timeout_seconds: self.timeout_seconds,
                    lookback_seconds: self.lookback_delta_seconds,
                    replica_labels: self.enable_dedup.then_some(self.replica_labels),
                    shard: self.shard_info.as_ref().and_then(Shard::of),
                    batch_size: self.response_batch_size,
                }
            }
        }
    };
}
impl_twins!(QueryRequest, QueryResponse, query_response::Result);
impl_twins!(QueryRangeRequest, QueryRangeResponse, query_range_response::Result);

#[tonic::async_trait]
impl Query for QueryService {
    type QueryStream = Messages<QueryResponse>;
    type QueryRangeStream = Messages<QueryRangeResponse>;

    async fn query(&self, request: Request<QueryRequest>) -> Result<Response<Self::QueryStream>, Status> {
        let request = request.into_inner();
        let time = request.time_seconds.saturating_mul(1000);
        self.answer(request.at(QueryTimes::Instant(time))).await
    }

    async fn query_range(
        &self,
        request: Request<QueryRangeRequest>,
    ) -> Result<Response<Self::QueryRangeStream>, Status> {
        let request = request.into_inner();
        if request.interval_seconds <= 0 {
            return Err(Status::invalid_argument("interval_seconds must be positive"));
        }
        if request.end_time_seconds < request.start_time_seconds {
            return Err(Status::invalid_argument("end_time_seconds must not be before start_time_seconds"));
        }
        let times = QueryTimes::Range {
            start: request.start_time_seconds.saturating_mul(1000),
            end: request.end_time_seconds.saturating_mul(1000),
            step_ms: request.interval_seconds.saturating_mul(1000),
        };
        self.answer(request.at(times)).await
    }
}

impl QueryService {
    /// Evaluates the query, then sends warnings, series and statistics, in this order.
    async fn answer<T: From<Piece> + Send + 'static>(&self, asked: Asked) -> Result<Response<Messages<T>>, Status> {
        let shared = Arc::clone(&self.0.0);
        let seconds = |seconds: i64| u64::try_from(seconds).ok().filter(|s| *s > 0).map(Duration::from_secs);
        let timeout = seconds(asked.timeout_seconds).unwrap_or(shared.options.default_timeout);
        let timeout = timeout.min(shared.options.max_timeout);
        let mut request = EngineRequest::instant(asked.query, 0);
        request.times = asked.times;
        request.timeout = Some(timeout);
        request.lookback = seconds(asked.lookback_seconds);
        let text = request.query.clone();
        shared.spans.describe(|| describe(&request, timeout));
        let replica_labels = asked.replica_labels.filter(|labels| !labels.is_empty());
        let evaluate = move || async move {
            let mut store: Arc<dyn Queryable> = shared.catalog.snapshot();
            if let Some(labels) = replica_labels {
                store = Arc::new(DedupQueryable::new(store, labels, DedupAlgorithm::Penalty));
            }
            if let Some(shard) = asked.shard {
                store = Arc::new(ShardQueryable::new(store, shard));
            }
            Ok(shared.engine.query(&*store, &request).await?)
        };
        let started = std::time::Instant::now();
        let result: Result<Evaluated, ApiError> = self.0.0.grpc_gate.run(timeout, evaluate).await;
        self.0.0.count_query(&text, asked.times, started.elapsed(), &result);
        let evaluated = result?;
        let batch_size = usize::try_from(asked.batch_size).unwrap_or(0).clamp(1, 10_000);
        let (answer, messages) = Answer::new();
        tokio::spawn(async move {
            let warnings = evaluated.annotations.warnings(&text);
            let warnings = (!warnings.is_empty()).then(|| Piece::Warnings(warnings.join("; ")));
            let stats = QueryStats {
                samples_total: i64::try_from(evaluated.stats.samples).unwrap_or(i64::MAX),
                peak_samples: i64::try_from(evaluated.stats.peak_samples).unwrap_or(i64::MAX),
            };
            let mut series = series_of(evaluated.value);
            let batches = std::iter::from_fn(|| match batch_size {
                1 => series.next().map(Piece::Series),
                _ => {
                    let batch: Vec<_> = series.by_ref().take(batch_size).collect();
                    (!batch.is_empty()).then_some(Piece::Batch(TimeSeriesBatch { series: batch }))
                }
            });
            for piece in warnings.into_iter().chain(batches).chain([Piece::Stats(stats)]) {
                if let Err(status) = answer.send(piece.into()).await {
                    return answer.end(Err(status));
                }
            }
            answer.end(Ok(()));
        });
        Ok(Response::new(messages))
    }
}

/// Series of a value. A scalar is one without labels, a string none.
fn series_of(value: QueryValue) -> Box<dyn Iterator<Item = TimeSeries> + Send> {
    let of =
        |labels: &Labels, samples, histograms| TimeSeries { labels: prompb::labels_of(labels), samples, histograms };
    match value {
        QueryValue::Scalar { timestamp, value } => {
            Box::new(std::iter::once(of(&Labels::default(), vec![Sample { value, timestamp }], Vec::new())))
        }
        QueryValue::String { .. } => Box::new(std::iter::empty()),
        QueryValue::Vector(all) => Box::new(all.into_iter().map(move |one| match one.value {
            PointValue::Float(value) => of(&one.labels, vec![Sample { value, timestamp: one.timestamp }], Vec::new()),
            PointValue::Histogram(histogram) => {
                of(&one.labels, Vec::new(), vec![Histogram::of_floats(&histogram, one.timestamp)])
            }
        })),
        QueryValue::Matrix(all) => Box::new(all.into_iter().map(move |one| {
            let sample = |(timestamp, value): (i64, f64)| Sample { value, timestamp };
            let samples = one.floats.into_iter().map(sample).collect();
            let histograms = one.histograms.iter().map(|(t, histogram)| Histogram::of_floats(histogram, *t)).collect();
            of(&one.labels, samples, histograms)
        })),
    }
}
