//! The same answers from every store, and from a service that throttles, dawdles, hangs up and breaks off.

use std::{
    net::SocketAddr,
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use prometheus_model::TimeRange;
use prometheus_queryable::{ErrorKind, LabelHints, MatchOp, Matcher, Queryable as _, SelectHints};
use promparquet_convert::Options as ConvertOptions;
use promparquet_objstore::{Bucket, BucketConfig, Cache, CacheConfig, OpenFor, process_environment};
use promparquet_query::{Options, ReadCosts};
use promparquet_shard::{Coalescing, Shard};
use promparquet_testkit::blocks::BlockSpec;
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::shards::{NAME, Series, collect, convert_block, matcher, memory_bucket, queryable};

/// Writes a shard of some hundred series.
async fn fill(bucket: &Bucket) {
    let dir = tempfile::tempdir().unwrap();
    let spec = BlockSpec::new(200).duration_ms(3_600_000).interval_ms(60_000).odd_series(true).native_histograms(0.1);
    let mut options = ConvertOptions::default();
    options.data_column_duration_ms = NonZeroU64::new(1_800_000).unwrap();
    options.chunk_page_bytes = std::num::NonZeroU32::new(8192).unwrap();
    options.page_bytes = std::num::NonZeroU32::new(2048).unwrap();
    convert_block(bucket, &spec.write(dir.path()).unwrap(), options).await;
}

#[derive(Clone, PartialEq, Debug)]
enum Answer {
    Series(Series),
    Strings(Vec<String>),
}

/// Asks a new reader of the shard all kinds of questions.
async fn ask(bucket: &Bucket) -> Result<Vec<Answer>, ErrorKind> {
    let shard = Shard::open(bucket, NAME, 0).await.map_err(|e| kind_of(&e))?;
    let mut options = Options::default();
    options.window_bytes = NonZeroU64::new(30_000).unwrap();
    // In many reads.
    let coalescing = Coalescing { gap_bytes: 0, max_read_bytes: 20_000 };
    options.read_costs = Some(ReadCosts { coalescing, round_trip_bytes: 4096 });
    let querier = queryable(vec![Arc::new(shard)], options).querier(TimeRange::ALL).await.unwrap();
    let kind = |e: prometheus_queryable::Error| e.kind();
    let mut answers = Vec::new();
    let selects: [(&[Matcher], SelectHints); 3] = [
        (&[], SelectHints::new(TimeRange::ALL)),
        (
            &[Matcher::equal("__name__", "http_request_duration_seconds_bucket"), matcher("pod", MatchOp::Regex, ".+")],
            SelectHints::new(TimeRange::ALL),
        ),
        (&[matcher("pod", MatchOp::NotEqual, "")], SelectHints::series_only(TimeRange::ALL)),
    ];
    for (matchers, hints) in selects {
        let set = querier.select(matchers, &hints).await.map_err(kind)?;
        answers.push(Answer::Series(collect(set).await.map_err(kind)?));
    }
    let some = [matcher("pod", MatchOp::Regex, "[a-m].*")];
    let names = querier.label_names(&some, &LabelHints::default()).await.map_err(kind)?;
    let values = querier.label_values("pod", &some, &LabelHints::default()).await.map_err(kind)?;
    answers.extend([Answer::Strings(names.strings), Answer::Strings(values.strings)]);
    Ok(answers)
}

fn kind_of(error: &promparquet_shard::Error) -> ErrorKind {
    match error.kind() {
        promparquet_shard::ErrorKind::Unavailable => ErrorKind::Unavailable,
        promparquet_shard::ErrorKind::Corrupt => ErrorKind::Corrupt,
        promparquet_shard::ErrorKind::NotFound => ErrorKind::NotFound,
        other => panic!("{other:?}: {error}"),
    }
}

async fn right() -> (Bucket, Vec<Answer>) {
    let memory = memory_bucket();
    fill(&memory).await;
    let answers = ask(&memory).await.unwrap();
    assert!(
        matches!(&answers[..], [Answer::Series(all), Answer::Series(some), ..] if all.len() > 150 && !some.is_empty())
    );
    (memory, answers)
}

/// The same answers with and without a cache, which is asked twice.
async fn check(bucket: &Bucket, right: &[Answer]) {
    assert!(ask(bucket).await.unwrap() == right, "{bucket}");
    let cache = Cache::open(&CacheConfig { memory_bytes: 4 << 20, ..CacheConfig::default() }).unwrap();
    for _ in 0..2 {
        assert!(ask(&bucket.clone().cached(&cache)).await.unwrap() == right, "{bucket}, with a cache");
    }
    // Files of this machine are not cached.
    let is_local = bucket.local_path("").unwrap().is_some();
    assert!(is_local || cache.statistics().fetches > 0, "nothing was read through the cache");
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_directory_and_from_an_s3_server() {
    let (_, right) = right().await;
    let dir = tempfile::tempdir().unwrap();
    let yaml = format!("type: FILESYSTEM\nconfig:\n  directory: {}\n", dir.path().display());
    let (_root, address) = s3_server().await;
    for yaml in [yaml, s3_yaml(address, 2)] {
        let bucket = BucketConfig::from_yaml(&yaml, |_| None).unwrap().open(OpenFor::Writing).unwrap();
        fill(&bucket).await;
        check(&bucket, &right).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_configured_store() {
    let Some(yaml) = process_environment("PROMPARQUET_TEST_OBJSTORE") else {
        eprintln!("SKIPPED: PROMPARQUET_TEST_OBJSTORE holds no bucket configuration (see testdata/stores)");
        return;
    };
    let (_, right) = right().await;
    let bucket = BucketConfig::from_yaml(&yaml, process_environment).unwrap().open(OpenFor::Writing).unwrap();
    let bucket = bucket.child(&format!("select-{}", std::process::id())).unwrap();
    fill(&bucket).await;
    check(&bucket, &right).await;
    assert_eq!(Shard::open(&bucket, NAME, 1).await.map_err(|e| kind_of(&e)).unwrap_err(), ErrorKind::NotFound);
    for file in ["labels", "chunks"] {
        bucket.delete(&format!("{NAME}/0.{file}.parquet")).await.unwrap();
    }
}

/// An S3 server in this process, until the test's runtime ends.
async fn s3_server() -> (tempfile::TempDir, SocketAddr) {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("blocks")).unwrap();
    let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root.path()).unwrap());
    service.set_auth(SimpleAuth::from_single("key", "secret"));
    let service = service.build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let http = Builder::new(TokioExecutor::new());
        while let Ok((socket, _)) = listener.accept().await {
            let connection = http.serve_connection(TokioIo::new(socket), service.clone()).into_owned();
            tokio::spawn(async move { drop(connection.await) });
        }
    });
    (root, address)
}

fn s3_yaml(address: SocketAddr, max_retries: usize) -> String {
    format!(
        "type: s3\nconfig:\n  bucket: blocks\n  endpoint: {address}\n  insecure: true\n  access_key: key\n  secret_key: \
         secret\n  max_retries: {max_retries}\n"
    )
}

/// What a service does to a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    /// Answers with this status.
    Status(&'static str),
    /// Closes the connection without an answer.
    Reset,
    /// Breaks off in the middle of the body.
    Truncated,
    /// Answers after a while.
    Slow,
}

/// Passes requests on to a server; those whose numbers `is_faulty` meet with the fault.
async fn faulty(
    upstream: SocketAddr,
    fault: Fault,
    is_faulty: fn(usize, usize) -> bool,
    nth: usize,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let counter = Arc::clone(&counter);
            tokio::spawn(async move {
                let mut server = TcpStream::connect(upstream).await?;
                // Requests have no body: all that is asked here is reads.
                while let Some((request, _)) = head(&mut client).await? {
                    let fault = is_faulty(counter.fetch_add(1, Ordering::SeqCst), nth).then_some(fault);
                    match fault {
                        Some(Fault::Status(status)) => {
                            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nRetry-After: 0\r\n\r\n");
                            client.write_all(answer.as_bytes()).await?;
                            continue;
                        }
                        Some(Fault::Reset) => return Ok(()),
                        Some(Fault::Slow) => tokio::time::sleep(Duration::from_millis(60)).await,
                        Some(Fault::Truncated) | None => {}
                    }
                    server.write_all(&request).await?;
                    let Some((answer, length)) = head(&mut server).await? else { return Ok(()) };
                    client.write_all(&answer).await?;
                    let is_head = request.starts_with(b"HEAD");
                    let mut body = vec![0; if is_head { 0 } else { length }];
                    server.read_exact(&mut body).await?;
                    if fault == Some(Fault::Truncated) && !is_head {
                        client.write_all(&body[..length / 2]).await?;
                        return Ok(());
                    }
                    client.write_all(&body).await?;
                }
                std::io::Result::Ok(())
            });
        }
    });
    (address, requests)
}

/// A request or an answer up to its body, and the length of that.
async fn head(socket: &mut TcpStream) -> std::io::Result<Option<(Vec<u8>, usize)>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match socket.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(e) => return Err(e),
        }
    }
    let text = String::from_utf8_lossy(&head).to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    Ok(Some((head, length.unwrap_or(0))))
}

/// Once is mended by trying again; for ever is an error, whatever has been read before.
#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_service() {
    let (root, upstream) = s3_server().await;
    let (memory, right) = right().await;
    let direct = BucketConfig::from_yaml(&s3_yaml(upstream, 0), |_| None).unwrap().open(OpenFor::Writing).unwrap();
    for file in ["labels", "chunks"] {
        let key = format!("{NAME}/0.{file}.parquet");
        direct.put(&key, memory.get(&key, u64::MAX).await.unwrap()).await.unwrap();
    }
    let open = |address, retries| {
        BucketConfig::from_yaml(&s3_yaml(address, retries), |_| None).unwrap().open(OpenFor::Reading).unwrap()
    };
    let (address, requests) = faulty(upstream, Fault::Slow, |_, _| true, 0).await;
    assert!(ask(&open(address, 0)).await.unwrap() == right, "slow");
    let all = requests.load(Ordering::SeqCst);
    assert!(all > 12, "{all} requests");
    let throttled = [Fault::Status("503 Slow Down"), Fault::Status("429 Too Many Requests")];
    for fault in [throttled[0], throttled[1], Fault::Reset, Fault::Truncated] {
        for nth in [0, 2, all / 2, all - 1] {
            let is_typed = |kind| matches!(kind, ErrorKind::Unavailable | ErrorKind::Corrupt);
            let (address, _) = faulty(upstream, fault, |n, nth| n == nth, nth).await;
            match ask(&open(address, 2)).await {
                Ok(found) => assert!(found == right, "{fault:?} at request {nth}"),
                Err(kind) => assert!(is_typed(kind) && !throttled.contains(&fault), "{fault:?} at {nth}: {kind:?}"),
            }
            let (address, _) = faulty(upstream, fault, |n, nth| n >= nth, nth).await;
            match ask(&open(address, 1)).await {
                // What breaks off is asked for again from there on, as long as something comes.
                Ok(found) => assert!(found == right && nth > 0, "{fault:?} from request {nth} on"),
                Err(kind) => assert!(is_typed(kind), "{fault:?} from {nth} on: {kind:?}"),
            }
        }
    }
    drop(root);
}
