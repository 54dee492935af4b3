//! A bucket that fails at any of its reads: no question is ever answered with a part that is taken for the whole.

use std::sync::Arc;

use object_store::memory::InMemory;
use prometheus_queryable::PartialResponse;
use promparquet_catalog::CatalogOptions;
use promparquet_objstore::Bucket;
use promparquet_testkit::stores::{FailingStore, Failures, Fault, Rule};
use prost::Message;
use tonic::Code;
use ulid::Ulid;

use crate::{
    client::{Answer, get},
    grpc::{
        channel, matcher,
        proto::{
            LabelNamesRequest, LabelValuesRequest, QueryRangeRequest, QueryRequest, SeriesRequest,
            query_client::QueryClient, query_range_response, query_response, series_response,
            store_client::StoreClient,
        },
    },
    remote_read::{self, pb},
    served::{START, STEP, Served, Setup, add, at, labels, series},
};

/// What a client can tell of an answer.
#[derive(Clone, PartialEq, Debug)]
enum Outcome {
    /// With everything in it, as text.
    Whole(String),
    /// With a warning.
    Warned,
    Failed,
}

const QUESTIONS: [&str; 11] = [
    "query",
    "query_range",
    "series",
    "labels",
    "values",
    "read samples",
    "read chunks",
    "Series",
    "LabelNames",
    "Query",
    "QueryRange",
];

fn of_http(answer: &Answer) -> Outcome {
    if !answer.whole || answer.status != 200 {
        return Outcome::Failed;
    }
    let json = answer.json();
    if json.get("warnings").is_some() { Outcome::Warned } else { Outcome::Whole(json["data"].to_string()) }
}

fn of_read(answer: &Answer) -> Outcome {
    if answer.whole && answer.status == 200 { Outcome::Whole(format!("{:?}", answer.body)) } else { Outcome::Failed }
}

/// All messages of an answer, as text.
async fn of_stream<T: std::fmt::Debug>(
    answer: Result<tonic::Response<tonic::Streaming<T>>, tonic::Status>,
    is_warning: impl Fn(&T) -> bool,
) -> Outcome {
    let fails = |status: tonic::Status| {
        assert!(!matches!(status.code(), Code::Unknown | Code::Ok | Code::Cancelled), "{status}");
        Outcome::Failed
    };
    let mut stream = match answer {
        Ok(answer) => answer.into_inner(),
        Err(status) => return fails(status),
    };
    let (mut text, mut warned) = (String::new(), false);
    loop {
        match stream.message().await {
            Ok(Some(message)) => {
                warned |= is_warning(&message);
                // Statistics tell how many samples were held at once, which is not the same each time.
                let message = format!("{message:?}");
                text.push_str(if message.contains("Some(Stats(") { "" } else { &message });
            }
            Ok(None) => return if warned { Outcome::Warned } else { Outcome::Whole(text) },
            Err(status) => return fails(status),
        }
    }
}

async fn ask(served: &Served, question: &str) -> Outcome {
    let (start, end) = (at(0), at(200));
    let sum = "sum by (job) (requests_total)";
    let times = [("start", &*start), ("end", &*end), ("step", "60")];
    let with = |first: (&'static str, &'static str)| [&[first][..], &times].concat();
    let all = vec![matcher(2, "__name__", ".+")];
    match question {
        "query" => of_http(&get(served.api, "/api/v1/query", &[("query", sum), ("time", &end)]).await),
        "query_range" => of_http(&get(served.api, "/api/v1/query_range", &with(("query", sum))).await),
        "series" => of_http(&get(served.api, "/api/v1/series", &with(("match[]", "{job!=''}"))).await),
        "labels" => of_http(&get(served.api, "/api/v1/labels", &with(("match[]", "{job=~'a.+'}"))).await),
        "values" => of_http(&get(served.api, "/api/v1/label/instance/values", &with(("match[]", "{job=~'.+'}"))).await),
        "read samples" | "read chunks" => {
            let accepted = vec![i32::from(question == "read chunks")];
            of_read(&remote_read::read(served, vec![remote_read::query("job", ".+", 2)], accepted).await)
        }
        "Series" => {
            let request =
                SeriesRequest { min_time: START, max_time: START + 200 * STEP, matchers: all, ..Default::default() };
            let answer = StoreClient::new(channel(served).await).series(request).await;
            of_stream(answer, |m| matches!(m.result, Some(series_response::Result::Warning(_)))).await
        }
        "LabelNames" => {
            let mut store = StoreClient::new(channel(served).await);
            let names = LabelNamesRequest { start: START, end: i64::MAX, matchers: all.clone(), ..Default::default() };
            let values = LabelValuesRequest {
                label: "job".into(),
                start: START,
                end: i64::MAX,
                matchers: all,
                ..Default::default()
            };
            let (Ok(names), Ok(values)) = (store.label_names(names).await, store.label_values(values).await) else {
                return Outcome::Failed;
            };
            let (names, values) = (names.into_inner(), values.into_inner());
            if names.warnings.is_empty() && values.warnings.is_empty() {
                Outcome::Whole(format!("{:?} {:?}", names.names, values.values))
            } else {
                Outcome::Warned
            }
        }
        "Query" => {
            let request =
                QueryRequest { query: sum.into(), time_seconds: (START + 200 * STEP) / 1000, ..Default::default() };
            let answer = QueryClient::new(channel(served).await).query(request).await;
            of_stream(answer, |m| matches!(m.result, Some(query_response::Result::Warnings(_)))).await
        }
        _ => {
            let request = QueryRangeRequest {
                query: sum.into(),
                start_time_seconds: START / 1000,
                end_time_seconds: (START + 200 * STEP) / 1000,
                interval_seconds: 60,
                ..Default::default()
            };
            let answer = QueryClient::new(channel(served).await).query_range(request).await;
            of_stream(answer, |m| matches!(m.result, Some(query_range_response::Result::Warnings(_)))).await
        }
    }
}

/// Two blocks whose series are not the same.
async fn bucket() -> (Bucket, Arc<Failures>) {
    let store = FailingStore::new(Arc::new(InMemory::new()), Failures::default());
    let failures = Arc::clone(store.tap());
    let bucket = Bucket::new(Arc::new(store), "memory://failing");
    add(&bucket, &series(), Ulid(1)).await;
    let more = [("web", "d"), ("db", "e")].map(|(job, instance)| {
        let labels = labels(&[("__name__", "requests_total"), ("job", job), ("instance", instance)]);
        (labels, series()[0].1.clone())
    });
    let mut more = more.to_vec();
    more.sort_by(|a, b| a.0.cmp(&b.0));
    add(&bucket, &more, Ulid(2)).await;
    (bucket, failures)
}

async fn served(bucket: &Bucket, partial_response: PartialResponse) -> Served {
    let mut catalog = CatalogOptions::default();
    catalog.partial_response = partial_response;
    Served::start(Setup { bucket: Some(bucket.clone()), catalog, ..Setup::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_silently_missing() {
    let (bucket, failures) = bucket().await;
    let reference = served(&bucket, PartialResponse::Fail).await;
    let (mut failed, mut warned) = (0, 0);
    for question in QUESTIONS {
        let whole = ask(&reference, question).await;
        assert!(matches!(&whole, Outcome::Whole(text) if text.len() > 5), "{question}: {whole:?}");
        for fault in [Fault::Unavailable, Fault::NotFound, Fault::Truncated(9)] {
            for tolerance in [PartialResponse::Fail, PartialResponse::Warn] {
                // A new one, which has read nothing yet, and reads a little more with each turn.
                let served = served(&bucket, tolerance).await;
                let mut seen = false;
                for reads in 0..6 {
                    failures.set([Rule::new(fault).key(".parquet").after(reads).times(1)]);
                    let outcome = ask(&served, question).await;
                    let what = format!("{question}, {fault:?} at read {reads}, {tolerance:?}");
                    match &outcome {
                        Outcome::Failed => failed += 1,
                        Outcome::Warned => {
                            warned += 1;
                            assert_eq!(tolerance, PartialResponse::Warn, "{what}");
                        }
                        Outcome::Whole(_) => assert!(outcome == whole, "{what}: {outcome:?} is not {whole:?}"),
                    }
                    seen |= !matches!(outcome, Outcome::Whole(_));
                }
                assert!(seen, "{question} saw no {fault:?}");
                failures.set([]);
                assert_eq!(ask(&served, question).await, whole, "{question}: afterwards all is well");
            }
        }
    }
    assert!(failed > 50 && warned > 20, "{failed} failed, {warned} warned");
}

/// What both forms of remote read hold is in the messages, too.
#[tokio::test(flavor = "multi_thread")]
async fn remote_read_has_no_place_for_warnings() {
    let (bucket, failures) = bucket().await;
    let served = served(&bucket, PartialResponse::Warn).await;
    failures.set([Rule::new(Fault::Unavailable).key(format!("{}/0.chunks.parquet", Ulid(2)))]);
    for accepted in [0, 1] {
        let answer = remote_read::read(&served, vec![remote_read::query("job", ".+", 2)], vec![accepted]).await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(answer.text().contains("incomplete"), "{}", answer.text());
    }
    failures.set([]);
    let answer = remote_read::read(&served, vec![remote_read::query("job", ".+", 2)], vec![0]).await;
    let bytes = snap::raw::Decoder::new().decompress_vec(&answer.body).unwrap();
    assert_eq!(pb::Response::decode(&*bytes).unwrap().results[0].series.len(), 6);
}
