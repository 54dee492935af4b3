//! Thanos' APIs, asked by a client made of the same protobuf files.

use prometheus_chunks::{Encoding, decode};
use prometheus_model::Labels;
use promparquet_catalog::CatalogOptions;
use tonic::{Code, Request, Streaming, codec::CompressionEncoding, transport::Channel};
use ulid::Ulid;

use crate::{
    prompb::TimeSeries,
    served::{START, STEP, Served, Setup, add, endless, labels, memory, series},
};

#[expect(
    clippy::all,
    clippy::allow_attributes,
    clippy::clone_on_ref_ptr,
    unreachable_pub,
    unused_qualifications,
    reason = "generated"
)]
pub(crate) mod proto {
    include!("../../src/grpc/generated/thanos.rs");
    pub(crate) mod info {
        include!("../../src/grpc/generated/thanos.info.rs");
    }
}
use proto::{
    LabelMatcher, LabelNamesRequest, LabelValuesRequest, QueryHints, QueryRangeRequest, QueryRequest, Series,
    SeriesRequest, ShardInfo, info::info_client::InfoClient, query_client::QueryClient, query_hints,
    query_range_response, query_response::Result as Answer, series_response::Result as Message,
    store_client::StoreClient,
};

pub(crate) async fn channel(served: &Served) -> Channel {
    Channel::from_shared(format!("http://{}", served.thanos)).unwrap().connect().await.unwrap()
}

/// Two blocks with series of their own names, of two replicas, each with external labels.
async fn replicas() -> Served {
    let bucket = memory();
    for n in [1, 2] {
        let mut own = series();
        own.push((labels(&[("__name__", "up"), ("job", "api")]), own[0].1.clone()));
        own.sort_by(|a, b| a.0.cmp(&b.0));
        add(&bucket, &own, Ulid(n)).await;
        let meta = format!(
            r#"{{"ulid":"{}","minTime":{START},"maxTime":{},"version":1,"compaction":{{"level":1}},
                "thanos":{{"labels":{{"cluster":"eu","replica":"{n}"}},"downsample":{{"resolution":0}},"source":"test"}}}}"#,
            Ulid(n),
            START + 240 * STEP
        );
        bucket.put(&format!("{}/meta.json", Ulid(n)), meta.into()).await.unwrap();
    }
    Served::start(Setup { bucket: Some(bucket), ..Setup::default() }).await
}

pub(crate) fn matcher(kind: i32, name: &str, value: &str) -> LabelMatcher {
    LabelMatcher { r#type: kind, name: name.into(), value: value.into() }
}

fn request(matchers: Vec<LabelMatcher>) -> SeriesRequest {
    SeriesRequest { min_time: START + STEP, max_time: START + 3 * STEP, matchers, ..SeriesRequest::default() }
}

pub(crate) async fn collect(mut stream: Streaming<proto::SeriesResponse>) -> (Vec<Series>, Vec<String>) {
    let (mut series, mut warnings) = (Vec::new(), Vec::new());
    while let Some(message) = stream.message().await.unwrap() {
        match message.result.unwrap() {
            Message::Series(one) => series.push(one),
            Message::Batch(batch) => series.extend(batch.series),
            Message::Warning(warning) => warnings.push(warning),
        }
    }
    (series, warnings)
}

fn text(series: &Series) -> String {
    let pairs = series.labels.iter().map(|label| (label.name.as_str(), label.value.as_str()));
    Labels::from_pairs(pairs).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn info() {
    let served = replicas().await;
    let answer = InfoClient::new(channel(&served).await).info(proto::info::InfoRequest {}).await.unwrap().into_inner();
    let store = answer.store.unwrap();
    assert_eq!((store.min_time, answer.label_sets.len(), store.tsdb_infos.len()), (START, 2, 2));
    assert!(store.max_time >= START + 239 * STEP && store.supports_sharding && store.supports_without_replica_labels);
    assert_eq!(answer.label_sets[1].labels[1].value, "2");
    assert!(answer.query.is_some() && answer.component_type == "query");
    let metrics = crate::client::get(served.internal, "/metrics", &[]).await.text();
    let line = "grpc_grpc_server_started_total{grpc_type=\"unary\",grpc_service=\"thanos.info.Info\",grpc_method=\"Info\"} 1\n";
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn series_as_chunks() {
    let served = replicas().await;
    let mut store = StoreClient::new(channel(&served).await);
    let up = vec![matcher(0, "__name__", "up"), matcher(0, "cluster", "eu")];
    let (found, warnings) = collect(store.series(request(up.clone())).await.unwrap().into_inner()).await;
    let texts: Vec<_> = found.iter().map(text).collect();
    assert_eq!(
        texts,
        [
            r#"{__name__="up", cluster="eu", job="api", replica="1"}"#,
            r#"{__name__="up", cluster="eu", job="api", replica="2"}"#,
        ]
    );
    assert!(warnings.is_empty());
    // All of a chunk that reaches into the range.
    let chunk = &found[0].chunks[0];
    assert_eq!(chunk.min_time, START);
    let mut samples = Vec::new();
    decode(Encoding::Xor, &chunk.raw.as_ref().unwrap().data, &mut samples).unwrap();
    assert_eq!(samples[2].timestamp, START + 2 * STEP);

    // Without replica labels both are there, one after the other.
    let mut without = request(vec![matcher(2, "__name__", "up|latency|requests.*")]);
    without.without_replica_labels = vec!["replica".into()];
    let (found, _) = collect(store.series(without.clone()).await.unwrap().into_inner()).await;
    let texts: Vec<_> = found.iter().map(text).collect();
    assert_eq!(texts.len(), 10);
    assert!(texts.is_sorted() && texts.iter().all(|text| !text.contains("replica")), "{texts:?}");

    // Batches, parts of all series, no chunks, limits.
    without.response_batch_size = 3;
    let mut stream = store.series(without.clone()).await.unwrap().into_inner();
    let first = stream.message().await.unwrap().unwrap().result.unwrap();
    assert!(matches!(first, Message::Batch(batch) if batch.series.len() == 3));
    let mut parts = Vec::new();
    for shard_index in 0..3 {
        let mut part = without.clone();
        part.shard_info = Some(ShardInfo { shard_index, total_shards: 3, by: true, labels: vec!["job".into()] });
        let (found, _) = collect(store.series(part).await.unwrap().into_inner()).await;
        // Series of one job stay together.
        let jobs = |name: &str| found.iter().filter(|one| text(one).contains(name)).count();
        assert!([0, 8].contains(&jobs("job=\"api\"")) && [0, 2].contains(&jobs("job=\"web\"")));
        parts.extend(found.iter().map(text));
    }
    parts.sort();
    assert_eq!(parts, texts);
    let mut labels_only = request(up);
    labels_only.skip_chunks = true;
    labels_only.limit = 1;
    let (found, warnings) = collect(store.series(labels_only).await.unwrap().into_inner()).await;
    assert_eq!((found.len(), found[0].chunks.len()), (1, 0));
    assert_eq!(warnings, ["results truncated due to limit"]);
    // What a query is for changes nothing; of projections the answer has all labels, as `Info` says.
    let mut hinted = request(vec![matcher(0, "__name__", "requests_total")]);
    let (plain, _) = collect(store.series(hinted.clone()).await.unwrap().into_inner()).await;
    hinted.query_hints = Some(QueryHints {
        step_millis: 60_000,
        func: Some(query_hints::Func { name: "rate".into() }),
        grouping: Some(query_hints::Grouping { by: true, labels: vec!["job".into()] }),
        range: Some(query_hints::Range { millis: 300_000 }),
        projection_labels: vec!["job".into()],
        projection_include: true,
        series_hash_label_name: "__series_hash__".into(),
    });
    let (found, _) = collect(store.series(hinted).await.unwrap().into_inner()).await;
    assert_eq!((found.len(), found), (6, plain));
    // Histograms have their own encoding; other clusters have nothing.
    let (found, _) =
        collect(store.series(request(vec![matcher(0, "__name__", "latency")])).await.unwrap().into_inner()).await;
    assert_eq!(found[0].chunks[0].raw.as_ref().unwrap().r#type, 2);
    let (found, _) =
        collect(store.series(request(vec![matcher(0, "cluster", "us")])).await.unwrap().into_inner()).await;
    assert!(found.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_of_series() {
    let served = replicas().await;
    let mut store = StoreClient::new(channel(&served).await);
    let (start, end) = (START, START + STEP);
    let names =
        LabelNamesRequest { start, end, matchers: vec![matcher(0, "job", "web")], ..LabelNamesRequest::default() };
    let found = store.label_names(names.clone()).await.unwrap().into_inner().names;
    assert_eq!(found, ["__name__", "cluster", "instance", "job", "replica"]);
    let without = LabelNamesRequest { without_replica_labels: vec!["replica".into()], limit: 4, ..names };
    assert_eq!(
        store.label_names(without).await.unwrap().into_inner().names,
        ["__name__", "cluster", "instance", "job"]
    );
    let values = |label: &str| LabelValuesRequest { label: label.into(), start, end, ..LabelValuesRequest::default() };
    assert_eq!(store.label_values(values("job")).await.unwrap().into_inner().values, ["api", "web"]);
    assert_eq!(store.label_values(values("replica")).await.unwrap().into_inner().values, ["1", "2"]);
    let without = LabelValuesRequest { without_replica_labels: vec!["replica".into()], ..values("replica") };
    assert!(store.label_values(without).await.unwrap().into_inner().values.is_empty());
}

fn query(text: &str) -> QueryRequest {
    QueryRequest {
        query: text.into(),
        time_seconds: (START + 10 * STEP) / 1000,
        replica_labels: vec!["replica".into()],
        ..QueryRequest::default()
    }
}

async fn ask(client: &mut QueryClient<Channel>, request: QueryRequest) -> (Vec<TimeSeries>, bool) {
    let mut stream = client.query(request).await.unwrap().into_inner();
    let (mut series, mut has_stats) = (Vec::new(), false);
    while let Some(message) = stream.message().await.unwrap() {
        assert!(!has_stats, "statistics come last");
        match message.result.unwrap() {
            Answer::Timeseries(one) => series.push(one),
            Answer::TimeseriesBatch(batch) => series.extend(batch.series),
            Answer::Stats(stats) => has_stats = stats.samples_total > 0,
            Answer::Warnings(_) => {}
        }
    }
    (series, has_stats)
}

#[tokio::test(flavor = "multi_thread")]
async fn queries() {
    let served = replicas().await;
    let mut client = QueryClient::new(channel(&served).await);
    let (found, has_stats) = ask(&mut client, query("sum(requests_total)")).await;
    assert_eq!((found.len(), found[0].samples[0].value, has_stats), (1, 260.0, true));
    let dedup = QueryRequest { enable_dedup: true, response_batch_size: 10, ..query("sum(requests_total)") };
    let (found, _) = ask(&mut client, dedup.clone()).await;
    assert_eq!(found[0].samples[0].value, 130.0);
    let (found, _) = ask(&mut client, QueryRequest { query: "latency".into(), ..dedup.clone() }).await;
    assert_eq!((found.len(), found[0].histograms[0].sum), (1, 110.0));
    assert!(found[0].labels.iter().all(|label| label.name != "replica"));
    // Parts of all series, by labels without those of replicas, make the whole.
    let mut parts = Vec::new();
    for shard_index in 0..4 {
        let shard_info = Some(ShardInfo { shard_index, total_shards: 4, by: false, labels: vec!["__name__".into()] });
        let part = QueryRequest { shard_info, query: "count(requests_total)".into(), ..dedup.clone() };
        parts.extend(ask(&mut client, part).await.0.iter().map(|series| series.samples[0].value));
    }
    assert!(parts.len() > 1 && parts.iter().sum::<f64>() == 3.0, "{parts:?}");
    // Seconds, not nanoseconds.
    let mut late = query("count(requests_total)");
    late.time_seconds = (START + 240 * STEP) / 1000 + 400;
    assert!(ask(&mut client, late.clone()).await.0.is_empty());
    late.lookback_delta_seconds = 600;
    assert_eq!(ask(&mut client, late).await.0[0].samples[0].value, 6.0);

    let range = QueryRangeRequest {
        query: "sum by (job) (requests_total)".into(),
        start_time_seconds: START / 1000,
        end_time_seconds: (START + 4 * STEP) / 1000,
        interval_seconds: 30,
        ..QueryRangeRequest::default()
    };
    let mut stream = client.query_range(range.clone()).await.unwrap().into_inner();
    let first = stream.message().await.unwrap().unwrap().result.unwrap();
    let query_range_response::Result::Timeseries(first) = first else { panic!("{first:?}") };
    let values: Vec<_> = first.samples.iter().map(|sample| sample.value).collect();
    assert_eq!(values, [0.0, 12.0, 24.0]);

    for (request, code) in
        [(query("sum("), Code::InvalidArgument), (query("requests_total * on (job) requests_total"), Code::Aborted)]
    {
        assert_eq!(client.query(request).await.unwrap_err().code(), code);
    }
    let zero = QueryRangeRequest { interval_seconds: 0, ..range };
    assert_eq!(client.query_range(zero).await.unwrap_err().code(), Code::InvalidArgument);
}

/// Compressed requests have compressed answers; tonic's own client reads them.
#[tokio::test(flavor = "multi_thread")]
async fn gzip() {
    let served = replicas().await;
    let all = request(vec![matcher(2, "__name__", ".+")]);
    let mut plain = StoreClient::new(channel(&served).await).accept_compressed(CompressionEncoding::Gzip);
    let answer = plain.series(all.clone()).await.unwrap();
    assert!(answer.metadata().get("grpc-encoding").is_none());
    let (expected, _) = collect(answer.into_inner()).await;
    let mut compressed = plain.send_compressed(CompressionEncoding::Gzip);
    let answer = compressed.series(all).await.unwrap();
    assert_eq!(answer.metadata().get("grpc-encoding").unwrap(), "gzip");
    assert_eq!(collect(answer.into_inner()).await.0, expected);
    let bad = compressed.series(request(vec![matcher(2, "a", "(")])).await.unwrap_err();
    assert_eq!(bad.code(), Code::InvalidArgument, "{bad}");
    let values = LabelValuesRequest { label: "job".into(), end: i64::MAX, ..LabelValuesRequest::default() };
    assert_eq!(compressed.label_values(values).await.unwrap().into_inner().values, ["api", "web"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics() {
    let served = replicas().await;
    let mut client = QueryClient::new(channel(&served).await);
    ask(&mut client, query("requests_total")).await;
    client.query(query("sum(")).await.unwrap_err();
    // A client that goes away before the answer.
    let range = QueryRangeRequest {
        query: endless()[0].1.clone(),
        start_time_seconds: START / 1000,
        end_time_seconds: START / 1000 + 3600,
        interval_seconds: 5,
        ..QueryRangeRequest::default()
    };
    let wait = std::time::Duration::from_millis(50);
    tokio::time::timeout(wait, client.query_range(range)).await.unwrap_err();
    let mut other = tonic::client::Grpc::new(channel(&served).await);
    other.ready().await.unwrap();
    let path = "/thanos.Store/NoSuchMethod".parse().unwrap();
    let codec = tonic_prost::ProstCodec::<QueryRequest, proto::QueryResponse>::default();
    assert_eq!(other.unary(Request::new(query("1")), path, codec).await.unwrap_err().code(), Code::Unimplemented);
    let method = r#"grpc_type="server_stream",grpc_service="thanos.Query",grpc_method="Query""#;
    let expected = [
        format!("started_total{{{method}}} 2"),
        format!(r#"handled_total{{{method},grpc_code="OK"}} 1"#),
        format!(r#"handled_total{{{method},grpc_code="InvalidArgument"}} 1"#),
        format!(r#"handled_total{{{},grpc_code="Canceled"}} 1"#, method.replace("\"Query\"", "\"QueryRange\"")),
        format!("handling_seconds_count{{{method}}} 2"),
        format!("msg_received_total{{{method}}} 2"),
        // Six series, and statistics.
        format!("msg_sent_total{{{method}}} 7"),
        r#"handled_total{grpc_type="other",grpc_service="other",grpc_method="other",grpc_code="Unimplemented"} 1"#
            .into(),
    ];
    let mut metrics = String::new();
    for _ in 0..200 {
        metrics = crate::client::get(served.internal, "/metrics", &[]).await.text();
        if expected.iter().all(|line| metrics.contains(&format!("grpc_grpc_server_{line}\n"))) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_and_limits() {
    let bucket = memory();
    add(&bucket, &series(), Ulid(1)).await;
    let mut catalog = CatalogOptions::default();
    catalog.query.limits.rows = std::num::NonZeroU64::new(1);
    let served = Served::start(Setup { bucket: Some(bucket), catalog, ..Setup::default() }).await;
    let mut store = StoreClient::new(channel(&served).await);
    let bad = store.series(request(vec![matcher(2, "a", "(")])).await.unwrap_err();
    assert_eq!(bad.code(), Code::InvalidArgument);
    let mut stream = store.series(request(vec![matcher(2, "job", ".+")])).await.unwrap().into_inner();
    let error = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("no error"),
            Err(status) => break status,
        }
    };
    assert_eq!(error.code(), Code::ResourceExhausted, "{error}");
    let mut queries = QueryClient::new(channel(&served).await);
    assert_eq!(queries.query(query("sum(requests_total)")).await.unwrap_err().code(), Code::ResourceExhausted);
    // No times at all, and the other way round.
    let none = SeriesRequest { min_time: 5, max_time: 4, ..request(vec![]) };
    assert!(collect(store.series(none).await.unwrap().into_inner()).await.0.is_empty());
    let huge = query(&"a+".repeat(20 << 20));
    assert!(matches!(
        queries.query(huge).await.unwrap_err().code(),
        Code::OutOfRange | Code::InvalidArgument | Code::ResourceExhausted | Code::Internal
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_reflection() {
    let served = Served::known().await;
    let channel = channel(&served).await;
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel.clone());
    for attempt in 0.. {
        let request = tonic_health::pb::HealthCheckRequest { service: String::new() };
        if health.check(request).await.unwrap().into_inner().status == 1 {
            break;
        }
        assert!(attempt < 100, "never serving");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(channel);
    let mut answers =
        client.server_reflection_info(Request::new(futures::stream::iter([list]))).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) = answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("no list of services")
    };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    for name in ["thanos.Store", "thanos.Query", "thanos.info.Info", "grpc.health.v1.Health"] {
        assert!(names.contains(&name), "{names:?}");
    }
}
