//! What a query may use: stack, samples, memory, time.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use cap::Cap;
use futures::{FutureExt as _, executor::block_on, future::Either};
use prometheus_model::{Labels, Sample, TimeRange, Value};
use prometheus_promql::{Engine, EngineOptions, ErrorKind, ParserOptions, QueryRequest, QueryValue};
use prometheus_queryable::{
    LabelHints, LabelStrings, Matcher, MemoryQueryable, Querier, Queryable, SelectHints, Series, SeriesData, SeriesSet,
};

#[global_allocator]
static ALLOCATOR: Cap<std::alloc::System> = Cap::new(std::alloc::System, usize::MAX);

/// The tests measure time and the memory of the whole process: one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn engine(mut options: EngineOptions) -> Engine {
    options.parser = ParserOptions::all_features();
    options.threads = 2;
    Engine::new(options).unwrap()
}

fn samples(count: i64) -> Vec<Sample> {
    let sample = |i: i64| Sample { timestamp: 15_000 * i, start_timestamp: 0, value: Value::Float((i % 100) as f64) };
    (0..count).map(sample).collect()
}

fn labels(i: usize) -> Labels {
    let number = i.to_string();
    Labels::from_pairs([("__name__", "foo_total"), ("i", number.as_str())]).unwrap()
}

fn store(series: usize, count: i64) -> MemoryQueryable {
    MemoryQueryable::new((0..series).map(|i| (labels(i), samples(count)))).unwrap()
}

/// As deep as the parser allows, on a stack as small as those of threads mostly are.
#[test]
fn deep_queries_do_not_overflow_the_stack() {
    let _alone = alone();
    let around = |open: &str, inner: &str, close: &str, depth: usize| {
        format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
    };
    let run = move || {
        let engine = engine(EngineOptions::default());
        let store = store(2, 100);
        for (open, inner, close) in [
            ("abs(", "foo_total", ")"),
            ("(", "foo_total", ")"),
            ("-(", "foo_total", ")"),
            ("sum by (i) (", "foo_total", ")"),
            ("topk by (i) (1, ", "foo_total", ")"),
            ("label_replace(", "foo_total", ", \"a\", \"b\", \"c\", \"d\")"),
            ("foo_total + (", "foo_total", ")"),
            ("", "foo_total", " + 1"),
            ("", "1", " + 1"),
            ("1 + (", "scalar(foo_total)", ")"),
            ("vector(scalar(", "foo_total", "))"),
            ("", "foo_total", " and on (i) foo_total"),
            ("histogram_quantile(0.5, ", "foo_total", ")"),
            ("clamp_max(1 + ", "foo_total", ", 1)"),
            ("absent(", "foo_total", ")"),
            ("sort(", "foo_total", ")"),
            ("max_over_time(", "foo_total", "[1m:1m])"),
            ("abs(", "foo_total @ 10", ")"),
            ("info(", "foo_total", ")"),
        ] {
            let depth = (1..=500)
                .rev()
                .find(|depth| engine.parser().parse(&around(open, inner, close, *depth)).is_ok())
                .unwrap_or_default();
            assert!(depth > 100, "{open}");
            let query = around(open, inner, close, depth);
            let request = QueryRequest::range(query, 0, 600_000, 60_000);
            if let Err(error) = block_on(engine.query(&store, &request)) {
                assert!(!matches!(error.kind(), ErrorKind::Internal), "{open}: {error}");
            }
        }
    };
    thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
}

#[test]
fn samples_and_memory_are_limited_before_they_are_spent() {
    let _alone = alone();
    let store = store(2_000, 400);
    let request = QueryRequest::range("foo_total + 1", 0, 6_000_000, 15_000);
    let few_samples = engine(EngineOptions { max_samples: 100_000, ..EngineOptions::default() });
    let little_memory = engine(EngineOptions { max_memory: 2 << 20, ..EngineOptions::default() });
    for (engine, words) in [(few_samples, "too many samples"), (little_memory, "bytes of memory at once")] {
        let before = ALLOCATOR.allocated();
        let peak = Arc::new(AtomicUsize::new(0));
        let watch = Arc::clone(&peak);
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let watcher = thread::spawn(move || {
            while stopped.recv_timeout(Duration::from_micros(100)).is_err() {
                watch.fetch_max(ALLOCATOR.allocated(), Ordering::Relaxed);
            }
        });
        let error = block_on(engine.query(&store, &request)).unwrap_err();
        stop.send(()).unwrap();
        watcher.join().unwrap();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert!(error.to_string().contains(words), "{error}");
        let used = peak.load(Ordering::Relaxed).saturating_sub(before);
        assert!(used < 16 << 20, "{used} bytes for {words}");
    }
    // Aggregated, the same fits.
    let engine = engine(EngineOptions { max_memory: 2 << 20, ..EngineOptions::default() });
    let request = QueryRequest::range("sum(foo_total + 1)", 0, 6_000_000, 15_000);
    let answer = block_on(engine.query(&store, &request)).unwrap();
    assert!(answer.stats.peak_bytes <= 2 << 20 && answer.stats.peak_bytes > 0);
    let QueryValue::Matrix(matrix) = answer.value else { panic!("a matrix") };
    assert_eq!(matrix[0].floats.len(), 401);
}

/// Answers count as long as somebody holds them.
#[test]
fn queries_share_their_memory() {
    let _alone = alone();
    let engine = engine(EngineOptions { max_total_memory: 8 << 20, ..EngineOptions::default() });
    let store = store(200, 400);
    for query in ["foo_total", "foo_total[1h]", "foo_total[50m:15s]", "vector(1)"] {
        let request = match query {
            "foo_total" | "vector(1)" => QueryRequest::range(query, 0, 6_000_000, 15_000),
            _ => QueryRequest::instant(query, 3_600_000),
        };
        let mut answers = Vec::new();
        let error = loop {
            assert!(answers.len() < 2_000, "{query}: there is no limit");
            match block_on(engine.query(&store, &request)) {
                Ok(answer) => answers.push(answer),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Overloaded, "{query}: {error}");
        assert!(answers.len() >= 3, "{query}: {} answers", answers.len());
        answers.truncate(1);
        block_on(engine.query(&store, &request)).unwrap();
        assert!(engine.memory_in_use() > 0);
        drop(answers);
        assert_eq!(engine.memory_in_use(), 0);
    }
}

#[test]
fn steps_are_limited() {
    let _alone = alone();
    let engine = engine(EngineOptions { max_steps: 11_000, ..EngineOptions::default() });
    let store = store(1, 10);
    for query in ["foo_total", "max_over_time(foo_total[1d:1s])"] {
        let request = QueryRequest::range(query, 0, 11_000_000 - 1, 1_000);
        let result = block_on(engine.query(&store, &request));
        if query == "foo_total" {
            assert!(result.is_ok());
        } else {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::LimitExceeded);
        }
        let request = QueryRequest::range(query, 0, 11_000_000, 1_000);
        assert_eq!(block_on(engine.query(&store, &request)).unwrap_err().kind(), ErrorKind::LimitExceeded);
    }
    for times in [(0, i64::MAX, 1), (i64::MIN, i64::MAX, 1), (i64::MAX, i64::MIN, 1), (0, 10, 0), (0, 10, -1)] {
        let request = QueryRequest::range("foo_total", times.0, times.1, times.2);
        assert!(block_on(engine.query(&store, &request)).is_err());
    }
    for time in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
        for query in ["foo_total", "rate(foo_total[5m] offset -1000y)", "time()", "foo_total @ start() offset 5m"] {
            // No overflow; what comes out does not matter.
            drop(block_on(engine.query(&store, &QueryRequest::instant(query, time))));
        }
    }
}

/// A store that gives series forever.
#[derive(Debug)]
struct Endless {
    /// Whether it takes its time.
    is_slow: bool,
}

#[derive(Debug)]
struct EndlessSet {
    next: usize,
    is_slow: bool,
    range: TimeRange,
}

#[async_trait]
impl Queryable for Endless {
    async fn querier(&self, _: TimeRange) -> prometheus_queryable::Result<Box<dyn Querier>> {
        Ok(Box::new(Self { is_slow: self.is_slow }))
    }
}

#[async_trait]
impl Querier for Endless {
    async fn select(&self, _: &[Matcher], hints: &SelectHints) -> prometheus_queryable::Result<Box<dyn SeriesSet>> {
        Ok(Box::new(EndlessSet { next: 0, is_slow: self.is_slow, range: hints.range }))
    }

    async fn label_names(&self, _: &[Matcher], _: &LabelHints) -> prometheus_queryable::Result<LabelStrings> {
        Ok(LabelStrings::default())
    }

    async fn label_values(&self, _: &str, _: &[Matcher], _: &LabelHints) -> prometheus_queryable::Result<LabelStrings> {
        Ok(LabelStrings::default())
    }
}

#[async_trait]
impl SeriesSet for EndlessSet {
    async fn next(&mut self) -> prometheus_queryable::Result<Option<Vec<Series>>> {
        if self.is_slow {
            futures::future::pending::<()>().await;
        }
        let next = self.next;
        self.next += 1;
        let data = SeriesData::Samples(samples(1000));
        Ok(Some(vec![Series { labels: labels(next), hash: None, range: self.range, data }]))
    }
}

/// Time from the wish to stop to the end.
fn time_to_stop(query: &str, is_slow: bool) -> Duration {
    let engine = engine(EngineOptions::default());
    let request = QueryRequest::range(query, 0, 15_000_000, 15_000);
    let (stop, stopped) = futures::channel::oneshot::channel::<Instant>();
    let stopper = thread::spawn(move || {
        thread::sleep(Duration::from_millis(150));
        stop.send(Instant::now()).unwrap();
    });
    let store = Endless { is_slow };
    let query = engine.query(&store, &request).boxed();
    let Either::Right((since, query)) = block_on(futures::future::select(query, stopped)) else { panic!("it ended") };
    drop(query);
    let elapsed = since.unwrap().elapsed();
    stopper.join().unwrap();
    elapsed
}

#[test]
fn dropped_queries_stop_at_once() {
    let _alone = alone();
    for query in ["sum(rate(foo_total[5m]))", "count by (i) (foo_total)", "quantile(0.9, foo_total)"] {
        for is_slow in [false, true] {
            let elapsed = time_to_stop(query, is_slow);
            assert!(elapsed < Duration::from_millis(50), "{query}: {elapsed:?}");
        }
    }
}

/// Operations on whole vectors take long, too: wherever the query is when it is dropped, the thread is free soon.
#[test]
fn dropped_queries_stop_at_once_within_operations() {
    let _alone = alone();
    const MOST: Duration = Duration::from_millis(50);
    let store = store(3_000, 4);
    let engine = engine(EngineOptions::default());
    let time_to_stop = |request: &QueryRequest, delay: Duration| {
        let (stop, stopped) = futures::channel::oneshot::channel::<Instant>();
        let stopper = thread::spawn(move || {
            thread::sleep(delay);
            // It may have ended before.
            let _ = stop.send(Instant::now());
        });
        let query = engine.query(&store, request).boxed();
        let elapsed = match block_on(futures::future::select(query, stopped)) {
            Either::Left((_, mut stopped)) => {
                stopped.try_recv().unwrap().map_or(Duration::ZERO, |since| since.elapsed())
            }
            Either::Right((since, query)) => {
                drop(query);
                since.unwrap().elapsed()
            }
        };
        stopper.join().unwrap();
        elapsed
    };
    for query in
        ["foo_total + on (i) foo_total", "foo_total or on () foo_total", "foo_total * on () group_left sum(foo_total)"]
    {
        let request = QueryRequest::range(query, 0, 60_000, 12);
        for delay in (0..8).map(|i| Duration::from_millis(60 * i)) {
            // The machine may be busy with something else: three tries.
            let times: Vec<_> =
                (0..3).map(|_| time_to_stop(&request, delay)).take_while(|time| *time >= MOST).collect();
            assert!(times.len() < 3, "{query}: {times:?} after {delay:?}");
        }
    }
}

/// What is held beside series counts.
#[test]
fn scalars_and_matches_take_memory() {
    let _alone = alone();
    let engine = engine(EngineOptions { max_memory: 8 << 20, ..EngineOptions::default() });
    let store = store(1, 10);
    let refused = |request: &QueryRequest, store: &MemoryQueryable| {
        let error = block_on(engine.query(store, request)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
        error.to_string()
    };
    // Each level waits for the next with a value for each of 100,000 steps.
    let query = format!("{}time(){}", "time() + (".repeat(20), ")".repeat(20));
    let request = QueryRequest::range(query, 0, 99_999, 1);
    assert!(refused(&request, &store).contains("scalars"));
    // 300 series of the one side, each at another step, match 600 of the other side.
    let sample = |timestamp, value| Sample { timestamp, start_timestamp: 0, value: Value::Float(value) };
    let stale = prometheus_model::stale_nan();
    let one = |i: i64| {
        let i_text = i.to_string();
        let labels = Labels::from_pairs([("__name__", "one"), ("i", i_text.as_str())]).unwrap();
        (labels, vec![sample(1_000 * i, 1.0), sample(1_000 * i + 1, stale)])
    };
    let many = (0..600).map(|i| (labels(i), vec![sample(0, 1.0)]));
    let store = MemoryQueryable::new(many.chain((0..300).map(one))).unwrap();
    let request = QueryRequest::range("foo_total * on () group_left () one", 0, 299_000, 1_000);
    assert!(refused(&request, &store).contains("matches of an operation"));
}

#[test]
fn queries_end_when_their_time_is_up() {
    let _alone = alone();
    let engine = engine(EngineOptions::default());
    let timeout = Some(Duration::from_millis(100));
    let request = QueryRequest { timeout, ..QueryRequest::range("sum(rate(foo_total[5m]))", 0, 15_000_000, 15_000) };
    let begin = Instant::now();
    let error = block_on(engine.query(&Endless { is_slow: false }, &request)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(begin.elapsed() < Duration::from_millis(200), "{:?}", begin.elapsed());
}
