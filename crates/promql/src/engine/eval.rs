//! Goes through a plan.

mod info;
mod nodes;
mod order;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use prometheus_model::TimestampMs;
use prometheus_queryable::{self as store, Querier, Queryable, SeriesSet};
use rustc_hash::FxHashSet;

use super::{
    Answer, Shared,
    annotations::Annotations,
    column::Series,
    explain::{Explain, NodeStats},
    grid::{Counted, Grid},
    labels,
    limits::{Budget, Reserved},
    merge::{has_same_labels, merge},
    options::QueryRequest,
    pipeline::{Done, Interrupt, Pending, Tasks, Work},
    plan::{Kind, Node, Plan},
    stats::QueryStats,
    value::{InstantSeries, PointValue, QueryValue, RangeSeries},
};
use crate::{
    ast::ValueType,
    engine::{binary::same_labels, column::Point},
    error::{Error, Result},
};

/// So often, those who wait for the thread get it.
const SLICE: Duration = Duration::from_millis(10);

/// Series with the memory that they take.
#[derive(Debug)]
pub(super) struct Matrix {
    pub(super) series: Vec<Series>,
    pub(super) reserved: Reserved,
}

/// An evaluation.
pub(super) struct Run<'q> {
    shared: &'q Shared,
    plan: &'q Plan,
    querier: Option<Box<dyn Querier>>,
    budget: Arc<Budget>,
    interrupt: Arc<Interrupt>,
    max_samples: u64,
    annotations: Annotations,
    stats: QueryStats,
    nodes: Vec<NodeStats>,
    /// Series that more than one selector reads, and how many still will.
    kept: HashMap<usize, (Arc<Vec<store::Series>>, usize, Reserved)>,
    last_pause: Instant,
}

/// Cancels what still runs when the query is dropped.
struct CancelOnDrop(Arc<Interrupt>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Whether series could be evaluated as they came, or two became the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Streamed {
    Wholly,
    /// What the sink has is to be thrown away.
    Collided,
}

/// Evaluates a query.
pub(super) async fn run(shared: &Shared, queryable: &dyn Queryable, request: &QueryRequest) -> Result<Answer> {
    let begin = Instant::now();
    let mut plan = Plan::of(&shared.options, &shared.parser, request)?;
    let interrupt = Arc::new(Interrupt::new(request.timeout));
    let _cancel = CancelOnDrop(Arc::clone(&interrupt));
    match evaluate(shared, queryable, request, &plan, &interrupt, begin).await {
        Err(error) if error.needs_all_labels() => {
            plan.fetches.iter_mut().for_each(|fetch| fetch.hints.projection = None);
            evaluate(shared, queryable, request, &plan, &interrupt, begin).await
        }
        answer => answer,
    }
}

async fn evaluate(
    shared: &Shared,
    queryable: &dyn Queryable,
    request: &QueryRequest,
    plan: &Plan,
    interrupt: &Arc<Interrupt>,
    begin: Instant,
) -> Result<Answer> {
    let max_samples = request.max_samples.map_or(shared.options.max_samples, |n| n.min(shared.options.max_samples));
    let querier = match plan.range {
        Some(range) => Some(queryable.querier(range).await?),
        None => None,
    };
    let stats_steps = if request.per_step_stats { plan.grid.count } else { 0 };
    let mut run = Run {
        shared,
        plan,
        querier,
        budget: Budget::new(Arc::clone(&shared.memory), max_samples, shared.options.max_memory),
        interrupt: Arc::clone(interrupt),
        max_samples,
        annotations: Annotations::default(),
        stats: QueryStats {
            samples_per_step: vec![0; stats_steps],
            planning: begin.elapsed(),
            ..QueryStats::default()
        },
        nodes: vec![NodeStats::default(); plan.nodes],
        kept: HashMap::new(),
        last_pause: Instant::now(),
    };
    let (value, reserved) = run.value().await?;
    let (peak_samples, peak_bytes) = run.budget.peaks();
    let stats = QueryStats { peak_samples, peak_bytes, total: begin.elapsed(), ..run.stats };
    let explain = Explain::of_run(plan, &run.nodes);
    Ok(Answer { value, annotations: run.annotations, stats, explain, _reserved: Arc::new(reserved) })
}

impl<'q> Run<'q> {
    /// The answer's value, and the memory that it takes.
    async fn value(&mut self) -> Result<(QueryValue, Reserved)> {
        let plan = self.plan;
        let grid = plan.grid;
        if let Kind::Text(text) = &plan.root.kind {
            return Ok((QueryValue::String { timestamp: grid.start, value: text.clone() }, self.budget.reserve()));
        }
        if plan.value_type == ValueType::Scalar {
            let values = self.scalars(&plan.root, grid).await?;
            let mut reserved = self.budget.reserve();
            if plan.is_instant {
                return Ok((QueryValue::Scalar { timestamp: grid.start, value: values.at(0) }, reserved));
            }
            reserved.grow("results", 0, POINT_BYTES * grid.count as u64)?;
            let floats = grid.times().enumerate().map(|(step, time)| (time, values.at(step))).collect();
            return Ok((QueryValue::Matrix(vec![RangeSeries { floats, ..RangeSeries::default() }]), reserved));
        }
        if plan.value_type == ValueType::Matrix {
            return self.range_vector().await;
        }
        let all = self.vector(&plan.root, grid).await?;
        self.answered(all, grid, plan.is_instant).await
    }

    /// Series as they are answered.
    pub(super) async fn answered(&self, all: Matrix, grid: Grid, is_instant: bool) -> Result<(QueryValue, Reserved)> {
        let delays_names = self.delays_names();
        let mut reserved = self.budget.reserve();
        self.compute(move |_| {
            let series = cleaned(all.series, delays_names)?;
            let bytes = |series: &Series| {
                let points = if is_instant { 1 } else { series.column.floats_present() };
                POINT_BYTES * points as u64 + labels::bytes(&series.labels) + series.column.histogram_bytes()
            };
            reserved.grow("results", 0, series.iter().map(bytes).sum())?;
            let value = if is_instant { instant_vector(series, grid.start) } else { matrix(series, grid) };
            drop(all.reserved);
            Ok((value, reserved))
        })
        .await
    }

    pub(super) const fn delays_names(&self) -> bool {
        self.shared.options.delayed_name_removal
    }

    /// Lets others have the thread now and then, and sees whether to stop.
    pub(super) async fn pause(&mut self) -> Result<()> {
        self.interrupt.check()?;
        if self.last_pause.elapsed() > SLICE {
            yield_now().await;
            self.last_pause = Instant::now();
        }
        Ok(())
    }

    pub(super) fn take_notes(&mut self, notes: Annotations, stats: QueryStats, counted: Counted) {
        self.annotations.merge(notes);
        self.stats.samples_read += stats.samples_read;
        self.stats.series_read += stats.series_read;
        if counted == Counted::Each {
            self.stats.samples += stats.samples;
            for (sum, more) in self.stats.samples_per_step.iter_mut().zip(stats.samples_per_step) {
                *sum += more;
            }
        } else {
            self.count(stats.samples, counted);
        }
    }

    /// Counts samples that are not told apart by steps.
    pub(super) fn count(&mut self, samples: u64, counted: Counted) {
        let steps = match counted {
            Counted::Each | Counted::First => 1,
            Counted::Every => self.plan.grid.count,
            Counted::Nowhere => 0,
        };
        self.stats.samples += samples * steps as u64;
        self.stats.samples_per_step.iter_mut().take(steps).for_each(|sum| *sum += samples);
    }

    /// What was counted, to [go back](Self::recount) to if it turns out that something is to be evaluated again.
    pub(super) fn counts(&self) -> (u64, Vec<u64>) {
        (self.stats.samples, self.stats.samples_per_step.clone())
    }

    pub(super) fn recount(&mut self, (samples, per_step): (u64, Vec<u64>)) {
        (self.stats.samples, self.stats.samples_per_step) = (samples, per_step);
    }

    /// A vector at each step.
    pub(super) fn vector<'a>(&'a mut self, node: &'a Node, grid: Grid) -> BoxFuture<'a, Result<Matrix>> {
        deep(async move {
            self.interrupt.check()?;
            let begin = Instant::now();
            let matrix = self.vector_of(node, grid).await?;
            if let Some(stats) = self.nodes.get_mut(node.id) {
                stats.time += begin.elapsed();
                stats.series += matrix.series.len() as u64;
                stats.samples += matrix.series.iter().map(|series| series.column.samples()).sum::<u64>();
            }
            Ok(matrix)
        })
    }

    /// Collects what can be streamed; where series become the same, node by node.
    pub(super) async fn collected(&mut self, node: &Node, grid: Grid) -> Result<Matrix> {
        let before = self.counts();
        let (work, source) = self.chain(node, grid).await?;
        if let Some(matrix) = self.gathered(work, source, true).await? {
            return Ok(matrix);
        }
        self.recount(before);
        self.one_by_one(node, grid).await
    }

    /// Evaluates a chain of operations node by node, and makes one of series that become the same.
    fn one_by_one<'a>(&'a mut self, node: &'a Node, grid: Grid) -> BoxFuture<'a, Result<Matrix>> {
        deep(async move {
            let (work, source) = self.single(node, grid).await?;
            let matrix = self.gathered(work, source, false).await?;
            let Matrix { series, reserved } = matrix.ok_or_else(|| Error::defect("series were not to be compared"))?;
            if matches!(node.kind, Kind::RangeCall(_)) && has_same_labels(&series) {
                return Err(same_labels());
            }
            self.merged(series, reserved).await
        })
    }

    /// All that `source` gives; `None` if two series became the same, and `finds_collisions`.
    async fn gathered(&mut self, work: Work, source: Source, finds_collisions: bool) -> Result<Option<Matrix>> {
        let mut series = Vec::new();
        let mut reserved = self.budget.reserve();
        let streamed = self
            .execute(work, source, finds_collisions, &mut |more, mut more_reserved| {
                more_reserved.grow("results", more.iter().map(|series| series.column.samples()).sum(), 0)?;
                reserved.absorb(more_reserved);
                series.extend(more);
                Ok(())
            })
            .await?;
        Ok((streamed == Streamed::Wholly).then_some(Matrix { series, reserved }))
    }

    /// Makes one of series with equal labels.
    pub(super) async fn merged(&mut self, series: Vec<Series>, reserved: Reserved) -> Result<Matrix> {
        let series = self.compute(move |_| merge(series).ok_or_else(same_labels)).await?;
        Ok(Matrix { series, reserved })
    }

    /// Does what takes long on one of the threads, so that this one can be told to stop.
    pub(super) async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Interrupt) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let interrupt = Arc::clone(&self.interrupt);
        Pending::start(&self.shared.threads, move || work(&interrupt)).done().await
    }

    /// Evaluates a chain of operations on series as they come from the store, or from the first node that needs all of
    /// its series.
    pub(super) async fn stream(&mut self, node: &Node, grid: Grid, sink: &mut Sink<'_>) -> Result<Streamed> {
        let (work, source) = self.chain(node, grid).await?;
        self.execute(work, source, true, sink).await
    }

    /// Gives `source` to the threads and their results to `sink`, in order.
    pub(super) async fn execute(
        &mut self,
        work: Work,
        source: Source,
        finds_collisions: bool,
        sink: &mut Sink<'_>,
    ) -> Result<Streamed> {
        let source = match source {
            Source::Series(Matrix { series, reserved }) if work.is_nothing() => {
                sink(series, reserved)?;
                return Ok(Streamed::Wholly);
            }
            source => source,
        };
        let counted = work.counted();
        let work = Arc::new(work);
        let per_task = work.series_per_task();
        let threads = self.shared.threads.current_num_threads();
        let mut tasks = Tasks::new(2 * threads + 1);
        let mut renamed = FxHashSet::default();
        let mut source = self.open(source).await?;
        loop {
            self.pause().await?;
            while !tasks.is_full() {
                let waited = Instant::now();
                let batch = source.next(per_task).await?;
                self.stats.waiting += waited.elapsed();
                let Some(batch) = batch else { break };
                let (work, budget, interrupt) =
                    (Arc::clone(&work), Arc::clone(&self.budget), Arc::clone(&self.interrupt));
                tasks.start(&self.shared.threads, move || match batch {
                    Batch::Stored(series) => work.run(&series, &budget, &interrupt),
                    Batch::Kept(series, range) => work.run(series.get(range).unwrap_or_default(), &budget, &interrupt),
                    Batch::Evaluated(series) => work.run_on(series, &budget, &interrupt),
                });
            }
            let Some(done) = tasks.next().await else { break };
            let Done { series, renamed: more, notes, stats, reserved } = done?;
            if finds_collisions && more.into_iter().any(|hash| !renamed.insert(hash)) {
                return Ok(Streamed::Collided);
            }
            self.take_notes(notes, stats, counted);
            sink(series, reserved)?;
        }
        self.close(source);
        Ok(Streamed::Wholly)
    }

    /// Opens what series come from.
    async fn open(&mut self, source: Source) -> Result<OpenSource> {
        let number = match source {
            Source::Series(matrix) => return Ok(OpenSource::Evaluated(matrix.series.into_iter(), matrix.reserved)),
            Source::Fetch(number) => number,
        };
        if let Some((series, _, _)) = self.kept.get(&number) {
            return Ok(OpenSource::Kept { number, series: Arc::clone(series), at: 0 });
        }
        let plan = self.plan;
        let fetch = plan.fetches.get(number).ok_or_else(|| Error::defect("a selector without a select"))?;
        let querier = self.querier.as_deref().ok_or_else(|| Error::defect("a selector without a querier"))?;
        let waited = Instant::now();
        let mut set = querier.select(&fetch.matchers, &fetch.hints).await?;
        if fetch.uses <= 1 {
            self.stats.waiting += waited.elapsed();
            return Ok(OpenSource::Stored { set, rest: Vec::new().into_iter() });
        }
        let mut series = Vec::new();
        let mut reserved = self.budget.reserve();
        while let Some(more) = set.next().await? {
            self.pause().await?;
            let bytes = more.iter().map(super::samples::stored_bytes).sum();
            reserved.grow("series that are read twice", 0, bytes)?;
            series.extend(more);
        }
        set.warnings().iter().for_each(|warning| self.annotations.storage(warning.message.clone()));
        self.stats.waiting += waited.elapsed();
        let series = Arc::new(series);
        self.kept.insert(number, (Arc::clone(&series), fetch.uses, reserved));
        Ok(OpenSource::Kept { number, series, at: 0 })
    }

    /// Says what was left out, and forgets series that nobody will read again.
    fn close(&mut self, source: OpenSource) {
        match source {
            OpenSource::Stored { set, .. } => {
                set.warnings().iter().for_each(|warning| self.annotations.storage(warning.message.clone()));
            }
            OpenSource::Kept { number, .. } => {
                if let Some((_, uses, _)) = self.kept.get_mut(&number) {
                    *uses = uses.saturating_sub(1);
                    // Sub-queries are evaluated once, so that each selector is read once.
                    if *uses == 0 {
                        self.kept.remove(&number);
                    }
                }
            }
            OpenSource::Evaluated(..) => {}
        }
    }
}

/// Where evaluated series go.
pub(super) type Sink<'s> = dyn FnMut(Vec<Series>, Reserved) -> Result<()> + Send + 's;

/// Where series come from.
pub(super) enum Source {
    /// The store, by the number of the select.
    Fetch(usize),
    /// They are there.
    Series(Matrix),
}

enum OpenSource {
    Stored { set: Box<dyn SeriesSet>, rest: std::vec::IntoIter<store::Series> },
    Kept { number: usize, series: Arc<Vec<store::Series>>, at: usize },
    Evaluated(std::vec::IntoIter<Series>, #[expect(dead_code, reason = "held until all series are used")] Reserved),
}

enum Batch {
    Stored(Vec<store::Series>),
    Kept(Arc<Vec<store::Series>>, std::ops::Range<usize>),
    Evaluated(Vec<Series>),
}

impl OpenSource {
    /// At most `count` series.
    async fn next(&mut self, count: usize) -> Result<Option<Batch>> {
        match self {
            Self::Stored { set, rest } => {
                if rest.len() == 0 {
                    match set.next().await? {
                        Some(series) => *rest = series.into_iter(),
                        None => return Ok(None),
                    }
                }
                Ok(Some(Batch::Stored(rest.by_ref().take(count).collect())))
            }
            Self::Kept { series, at, .. } => {
                let range = *at..series.len().min(at.saturating_add(count));
                *at = range.end;
                Ok((!range.is_empty()).then(|| Batch::Kept(Arc::clone(series), range)))
            }
            Self::Evaluated(series, _) => {
                let batch: Vec<_> = series.take(count).collect();
                Ok((!batch.is_empty()).then_some(Batch::Evaluated(batch)))
            }
        }
    }
}

/// A sample of a result: its time, and a float or the place of a histogram.
pub(super) const POINT_BYTES: u64 = 16;

/// Removes the names that are still to be removed.
fn cleaned(mut series: Vec<Series>, delays_names: bool) -> Result<Vec<Series>> {
    if !delays_names {
        return Ok(series);
    }
    for series in series.iter_mut().filter(|series| series.drop_name) {
        series.labels = labels::without_name(&series.labels);
    }
    merge(series).ok_or_else(same_labels)
}

fn instant_vector(series: Vec<Series>, timestamp: TimestampMs) -> QueryValue {
    let vector = series.into_iter().filter_map(|series| {
        let value = match series.column.get(0)? {
            Point::Float(value) => PointValue::Float(value),
            Point::Histogram(histogram) => PointValue::Histogram(histogram),
        };
        Some(InstantSeries { labels: series.labels, timestamp, value })
    });
    QueryValue::Vector(vector.collect())
}

/// Series by labels.
fn matrix(series: Vec<Series>, grid: Grid) -> QueryValue {
    let mut matrix: Vec<_> = series.into_iter().map(|series| range_series(series, grid)).collect();
    matrix.sort_by(|a, b| a.labels.cmp(&b.labels));
    QueryValue::Matrix(matrix)
}

fn range_series(series: Series, grid: Grid) -> RangeSeries {
    let Series { labels, column, .. } = series;
    let floats = grid.times().zip(&column.floats).filter(|(_, value)| super::column::is_present(**value));
    let floats = floats.map(|(time, value)| (time, *value)).collect();
    let histograms = grid.times().zip(column.histograms).filter_map(|(time, h)| Some((time, h?))).collect();
    RangeSeries { labels, floats, histograms }
}

/// Evaluation nests as deep as queries do, which is deeper than stacks of threads are.
pub(super) fn deep<'a, T>(future: impl Future<Output = T> + Send + 'a) -> BoxFuture<'a, T> {
    /// What is left of the stack when another one is taken, and how large that is.
    const LEFT: usize = 256 << 10;
    const NEW: usize = 2 << 20;
    let mut future = Box::pin(future);
    Box::pin(std::future::poll_fn(move |context| stacker::maybe_grow(LEFT, NEW, || future.as_mut().poll(context))))
}

/// Is ready the second time.
async fn yield_now() {
    let mut is_second = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut is_second, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
