//! Series from the store, evaluated one by one on many threads up to the first operation that needs several.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::channel::oneshot;
use prometheus_model::{METRIC_NAME, TimestampMs};
use prometheus_queryable as store;

use super::{
    annotations::Annotations,
    binary::ScalarTask,
    call,
    column::{Column, Point, Series, absent, is_present},
    grid::{Counted, Grid},
    labels,
    limits::{Budget, Reserved},
    plan::Select,
    range::{RangeTask, interpolated, interpolated_histogram},
    samples::{Decoder, HistogramSample, Samples, stored_bytes},
    scalars::Scalars,
    stats::QueryStats,
};
use crate::{
    ast::{Boundaries, Span},
    error::{Error, Repr, Result},
    function::FunctionId,
};

/// About how many values tasks make at once.
const VALUES_PER_TASK: usize = 1 << 18;
/// The most series of a task.
const SERIES_PER_TASK: usize = 64;

/// How samples become a column.
#[derive(Debug)]
pub(crate) enum Leaf {
    /// The last sample that is not too old.
    Instant {
        select: Select,
        grid: Grid,
        lookback_ms: i64,
    },
    /// The time of that sample, or its start timestamp; in seconds.
    SampleTime {
        select: Select,
        grid: Grid,
        lookback_ms: i64,
        is_start: bool,
    },
    /// A value between samples.
    Smoothed {
        select: Select,
        grid: Grid,
        lookback_ms: i64,
        span: Span,
    },
    Range(RangeTask),
}

/// What is done with a column.
#[derive(Debug)]
pub(crate) enum Op {
    Map {
        function: FunctionId,
        params: Vec<Scalars>,
        grid: Grid,
    },
    Negate,
    VectorScalar(ScalarTask),
    /// A function over a sub-query, whose columns are of another grid.
    Range {
        task: RangeTask,
        inner: Grid,
    },
    /// The same at so many steps.
    Repeat(usize),
}

/// What is done with each series.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) leaf: Option<Leaf>,
    pub(crate) ops: Vec<Op>,
    /// About how many values a series has.
    pub(crate) steps: usize,
    /// Whether names are removed when the query is done.
    pub(crate) delays_names: bool,
    /// Whether series have only the labels that matter, so that many have the same.
    pub(crate) is_projected: bool,
    pub(crate) max_samples: u64,
    /// Whether samples are counted at each step of this many.
    pub(crate) stats_steps: usize,
}

/// When a query has to stop.
#[derive(Debug)]
pub(crate) struct Interrupt {
    cancelled: AtomicBool,
    deadline: Option<(Instant, Duration)>,
}

/// What a task gives.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) series: Vec<Series>,
    /// Hashes of the labels without name, of all series that an operation made another metric of.
    pub(crate) renamed: Vec<u64>,
    pub(crate) notes: Annotations,
    pub(crate) stats: QueryStats,
    /// For the values of the series.
    pub(crate) reserved: Reserved,
}

impl Interrupt {
    pub(crate) fn new(timeout: Option<Duration>) -> Self {
        let deadline = timeout.and_then(|timeout| Some((Instant::now().checked_add(timeout)?, timeout)));
        Self { cancelled: AtomicBool::new(false), deadline }
    }

    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) {
            // Nobody will see it.
            return Err(Error::execution("query was canceled in expression evaluation"));
        }
        match self.deadline {
            Some((deadline, timeout)) if Instant::now() >= deadline => Err(Repr::TimedOut { timeout }.into()),
            _ => Ok(()),
        }
    }
}

impl Work {
    /// How many series a task takes.
    pub(crate) fn series_per_task(&self) -> usize {
        (VALUES_PER_TASK / self.steps.max(1)).clamp(1, SERIES_PER_TASK)
    }

    /// Whether nothing is done.
    pub(crate) const fn is_nothing(&self) -> bool {
        self.leaf.is_none() && self.ops.is_empty()
    }

    /// To which steps the samples count that are looked at.
    pub(crate) fn counted(&self) -> Counted {
        let windows = self.ops.iter().find_map(|op| match op {
            Op::Range { task, .. } => Some(task.grid.counted),
            _ => None,
        });
        match &self.leaf {
            Some(Leaf::Instant { grid, .. } | Leaf::SampleTime { grid, .. } | Leaf::Smoothed { grid, .. }) => {
                grid.counted
            }
            Some(Leaf::Range(task)) => task.grid.counted,
            None => windows.unwrap_or(Counted::Nowhere),
        }
    }

    pub(crate) fn wants_starts(&self) -> bool {
        match &self.leaf {
            Some(Leaf::Range(task)) => task.wants_starts(),
            Some(Leaf::SampleTime { is_start, .. }) => *is_start,
            _ => false,
        }
    }

    /// Evaluates stored series.
    pub(crate) fn run(&self, series: &[store::Series], budget: &Arc<Budget>, interrupt: &Interrupt) -> Result<Done> {
        let mut done = self.nothing(budget);
        let mut decoder = Decoder::new(self.wants_starts());
        for series in series {
            interrupt.check()?;
            let mut decoded = budget.reserve();
            decoded.grow("stored series", 0, stored_bytes(series))?;
            let Some((column, drops_name)) = self.leaf(series, &mut decoder, &mut decoded, &mut done)? else {
                continue;
            };
            let series = Series { labels: series.labels.clone(), drop_name: false, column };
            let mut is_renamed = false;
            let series = if drops_name { self.renamed(series, None, &mut is_renamed, &mut done)? } else { series };
            self.finish(series, is_renamed, &mut decoder, &mut done)?;
        }
        Ok(done)
    }

    /// Evaluates series that were evaluated before.
    pub(crate) fn run_on(&self, series: Vec<Series>, budget: &Arc<Budget>, interrupt: &Interrupt) -> Result<Done> {
        let mut done = self.nothing(budget);
        let mut decoder = Decoder::new(false);
        for series in series {
            interrupt.check()?;
            self.finish(series, false, &mut decoder, &mut done)?;
        }
        Ok(done)
    }

    fn nothing(&self, budget: &Arc<Budget>) -> Done {
        Done {
            series: Vec::new(),
            renamed: Vec::new(),
            notes: Annotations::default(),
            stats: QueryStats { samples_per_step: vec![0; self.stats_steps], ..QueryStats::default() },
            reserved: budget.reserve(),
        }
    }

    /// Applies the operations, and keeps what is left.
    fn finish(&self, mut series: Series, mut is_renamed: bool, decoder: &mut Decoder, done: &mut Done) -> Result<()> {
        for op in &self.ops {
            match self.apply(op, series, &mut is_renamed, decoder, done)? {
                Some(next) => series = next,
                None => return Ok(()),
            }
        }
        done.reserved.grow("results", 0, series.column.bytes() + labels::bytes(&series.labels))?;
        done.series.push(series);
        Ok(())
    }

    fn leaf(
        &self,
        series: &store::Series,
        decoder: &mut Decoder,
        decoded: &mut Reserved,
        done: &mut Done,
    ) -> Result<Option<(Column, bool)>> {
        let Some(leaf) = &self.leaf else { return Err(Error::defect("stored series without a selector")) };
        let samples = match leaf {
            Leaf::Instant { select, .. } | Leaf::SampleTime { select, .. } => {
                decoder.with_markers(series, select.stats_only)?
            }
            Leaf::Smoothed { select, .. } => decoder.without_markers(series, select.stats_only)?,
            Leaf::Range(task) => decoder.without_markers(series, task.stats_only)?,
        };
        let count = samples.count();
        if count > self.max_samples {
            return Err(Repr::TooManySamples { limit: self.max_samples }.into());
        }
        decoded.grow("decoded samples", count, 16 * count)?;
        done.stats.samples_read += count;
        done.stats.series_read += 1;
        let stats = &mut done.stats;
        let (column, drops_name) = match leaf {
            Leaf::Instant { select, grid, lookback_ms } => {
                (instant(samples, select, *grid, *lookback_ms, stats), false)
            }
            Leaf::SampleTime { select, grid, lookback_ms, is_start } => {
                (sample_time(samples, select, *grid, *lookback_ms, *is_start, stats), true)
            }
            Leaf::Smoothed { select, grid, lookback_ms, span } => {
                let name = labels::metric_name(&series.labels);
                let column = smoothed(name, samples, select, *grid, *lookback_ms, *span, &mut done.notes);
                (column, false)
            }
            Leaf::Range(task) => {
                let column = task.apply(&series.labels, samples, &mut done.notes, stats)?;
                (column, !task.keeps_name())
            }
        };
        Ok((!column.is_empty()).then_some((column, drops_name)))
    }

    /// A series that is another metric now. Its values are not empty. `is_renamed` says whether it became one here before.
    fn renamed(
        &self,
        mut series: Series,
        function: Option<FunctionId>,
        is_renamed: &mut bool,
        done: &mut Done,
    ) -> Result<Series> {
        if !self.delays_names && !std::mem::replace(is_renamed, true) {
            // Those of one metric that only differ in these become the same, which cannot be seen without their other labels.
            if self.is_projected
                && series.labels.iter().any(|(name, _)| name != METRIC_NAME && labels::is_metadata(name))
            {
                return Err(Repr::NeedsAllLabels.into());
            }
            series.labels = match function {
                Some(function) => call::result_labels(function, &series.labels),
                None => labels::without_name(&series.labels),
            };
            if !self.is_projected {
                done.renamed.push(labels::table_hash(&series.labels));
            }
        }
        series.drop_name = true;
        Ok(series)
    }

    fn apply(
        &self,
        op: &Op,
        series: Series,
        is_renamed: &mut bool,
        decoder: &mut Decoder,
        done: &mut Done,
    ) -> Result<Option<Series>> {
        let Series { labels, drop_name, column } = series;
        let (column, drops_name, function) = match op {
            Op::Map { function, params, grid } => (call::map(*function, column, params, *grid), true, Some(*function)),
            Op::Negate => (negated(column), true, None),
            Op::VectorScalar(task) => (task.apply(column, &mut done.notes), task.drops_name(), None),
            Op::Range { task, inner } => {
                let samples = decoder.of_column(&column, inner.times());
                let column = task.apply(&labels, samples, &mut done.notes, &mut done.stats)?;
                (column, !task.keeps_name(), None)
            }
            Op::Repeat(steps) => (column.repeated(*steps), false, None),
        };
        if column.is_empty() {
            return Ok(None);
        }
        let series = Series { labels, drop_name, column };
        Ok(Some(if drops_name { self.renamed(series, function, is_renamed, done)? } else { series }))
    }
}

fn negated(mut column: Column) -> Column {
    for value in column.floats.iter_mut().filter(|value| is_present(**value)) {
        *value = -*value;
    }
    for histogram in column.histograms.iter_mut().flatten() {
        Arc::make_mut(histogram).mul(-1.0);
    }
    column
}

/// The last sample of `samples` at each step that is not after the reference and not too old: its index among floats or
/// among histograms, staleness markers included.
fn each_last(
    samples: Samples<'_>,
    select: &Select,
    grid: Grid,
    lookback_ms: i64,
    mut at: impl FnMut(usize, Result<usize, usize>),
) {
    let (mut float, mut histogram) = (0, 0);
    for (step, time) in grid.times().enumerate() {
        let reference = select.reference(time);
        while samples.times.get(float).is_some_and(|time| *time <= reference) {
            float += 1;
        }
        while samples.histograms.get(histogram).is_some_and(|sample| sample.time <= reference) {
            histogram += 1;
        }
        let oldest = reference.saturating_sub(lookback_ms);
        let float_time = float.checked_sub(1).and_then(|i| samples.times.get(i)).copied();
        let histogram_time = histogram.checked_sub(1).and_then(|i| samples.histograms.get(i)).map(|sample| sample.time);
        match (float_time, histogram_time) {
            (Some(time), other) if time > oldest && other.is_none_or(|other| time >= other) => at(step, Ok(float - 1)),
            (_, Some(time)) if time > oldest => at(step, Err(histogram - 1)),
            _ => {}
        }
    }
}

fn count_at(stats: &mut QueryStats, step: usize, count: u64) {
    stats.samples += count;
    if let Some(at_step) = stats.samples_per_step.get_mut(step) {
        *at_step += count;
    }
}

fn instant(samples: Samples<'_>, select: &Select, grid: Grid, lookback_ms: i64, stats: &mut QueryStats) -> Column {
    let mut column = Column::absent(grid.count);
    each_last(samples, select, grid, lookback_ms, |step, place| match place {
        Ok(i) => {
            let value = samples.values.get(i).copied().unwrap_or(absent());
            if is_present(value) {
                count_at(stats, step, 1);
                if let Some(place) = column.floats.get_mut(step) {
                    *place = value;
                }
            }
        }
        Err(i) => {
            if let Some(sample) = samples.histograms.get(i).filter(|sample| is_present(sample.histogram.sum)) {
                count_at(stats, step, super::column::histogram_samples(&sample.histogram));
                column.set(step, Some(Point::Histogram(Arc::clone(&sample.histogram))));
            }
        }
    });
    column
}

fn sample_time(
    samples: Samples<'_>,
    select: &Select,
    grid: Grid,
    lookback_ms: i64,
    is_start: bool,
    stats: &mut QueryStats,
) -> Column {
    let mut column = Column::absent(grid.count);
    each_last(samples, select, grid, lookback_ms, |step, place| {
        let found = match place {
            Ok(i) => samples.times.get(i).zip(samples.values.get(i)).map(|(time, value)| {
                let start = samples.starts.and_then(|starts| starts.get(i)).copied().unwrap_or_default();
                (*time, start, *value)
            }),
            Err(i) => samples.histograms.get(i).map(|sample| (sample.time, sample.start, sample.histogram.sum)),
        };
        if let Some((time, start, value)) = found
            && is_present(value)
            && let Some(place) = column.floats.get_mut(step)
        {
            count_at(stats, step, 1);
            *place = if is_start { start } else { time } as f64 / 1000.0;
        }
    });
    column
}

fn smoothed(
    name: &str,
    samples: Samples<'_>,
    select: &Select,
    grid: Grid,
    lookback_ms: i64,
    span: Span,
    notes: &mut Annotations,
) -> Column {
    use prometheus_model::CounterResetHint::{Gauge, Unknown};
    let mut column = Column::absent(grid.count);
    for (step, time) in grid.times().enumerate() {
        let reference = select.reference(time);
        let (after, until) = (reference.saturating_sub(lookback_ms), reference.saturating_add(lookback_ms));
        let within = |times: &[TimestampMs]| {
            times.partition_point(|time| *time <= after)..times.partition_point(|time| *time <= until)
        };
        let floats = within(samples.times);
        let histograms = {
            let place = |limit| samples.histograms.partition_point(|sample| sample.time <= limit);
            samples.histograms.get(place(after)..place(until)).unwrap_or_default()
        };
        let (times, values) =
            (samples.times.get(floats.clone()).unwrap_or_default(), samples.values.get(floats).unwrap_or_default());
        if !histograms.is_empty() && !times.is_empty() {
            notes.mixed_floats_histograms(name, span);
            continue;
        }
        let point = if histograms.is_empty() {
            let next = times.partition_point(|time| *time < reference);
            let at = |i: usize| Some((*times.get(i)?, *values.get(i)?));
            match (next.checked_sub(1).and_then(at), at(next)) {
                (_, Some((time, value))) if time == reference => Some(Point::Float(value)),
                (Some(before), Some(after)) => Some(Point::Float(interpolated(before, after, reference, false))),
                (Some((_, value)), None) => Some(Point::Float(value)),
                (None, _) => None,
            }
        } else {
            let next = histograms.partition_point(|sample| sample.time < reference);
            let before: Option<&HistogramSample> = next.checked_sub(1).and_then(|i| histograms.get(i));
            match (before, histograms.get(next)) {
                (_, Some(sample)) if sample.time == reference => Some(Arc::clone(&sample.histogram)),
                (Some(a), Some(b)) => {
                    let hints = [a.histogram.counter_reset_hint, b.histogram.counter_reset_hint];
                    let is_counter = hints.iter().any(|hint| *hint != Gauge);
                    let same = a.histogram.uses_custom_buckets() == b.histogram.uses_custom_buckets();
                    let between =
                        same.then(|| interpolated_histogram(a, b, reference, is_counter, notes, span)).flatten();
                    if between.is_none() {
                        notes.mixed_exponential_custom(name, span);
                    }
                    between.map(Arc::new)
                }
                (Some(sample), None) => {
                    let mut histogram = Arc::clone(&sample.histogram);
                    Arc::make_mut(&mut histogram).counter_reset_hint = Unknown;
                    Some(histogram)
                }
                (None, _) => None,
            }
            .map(Point::Histogram)
        };
        column.set(step, point);
    }
    column
}

/// Which leaf a selector is.
pub(crate) fn selector_leaf(select: &Select, grid: Grid, lookback_ms: i64, span: Span) -> Leaf {
    let select = select.clone();
    if select.boundaries == Boundaries::Smoothed {
        Leaf::Smoothed { select, grid, lookback_ms, span }
    } else {
        Leaf::Instant { select, grid, lookback_ms }
    }
}

/// What a thread will give.
#[derive(Debug)]
pub(crate) struct Pending<T>(oneshot::Receiver<Result<T>>);

impl<T: Send + 'static> Pending<T> {
    /// Starts a task on one of the threads.
    pub(crate) fn start(threads: &rayon::ThreadPool, task: impl FnOnce() -> Result<T> + Send + 'static) -> Self {
        let (sender, receiver) = oneshot::channel();
        threads.spawn(move || {
            // Whoever waited may be gone.
            let _ = sender.send(task());
        });
        Self(receiver)
    }

    pub(crate) async fn done(&mut self) -> Result<T> {
        (&mut self.0).await.unwrap_or_else(|_| Err(Error::defect("a thread of the evaluation panicked")))
    }
}

/// Tasks that run or are done, in the order in which they were started.
#[derive(Debug)]
pub(crate) struct Tasks {
    waiting: VecDeque<Pending<Done>>,
    limit: usize,
}

impl Tasks {
    /// At most `limit` at once.
    pub(crate) fn new(limit: usize) -> Self {
        Self { waiting: VecDeque::new(), limit: limit.max(1) }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= self.limit
    }

    /// Starts a task on one of the threads.
    pub(crate) fn start(&mut self, threads: &rayon::ThreadPool, task: impl FnOnce() -> Result<Done> + Send + 'static) {
        self.waiting.push_back(Pending::start(threads, task));
    }

    /// What the first task gives, once it is done; `None` if there is none.
    pub(crate) async fn next(&mut self) -> Option<Result<Done>> {
        let done = self.waiting.front_mut()?.done().await;
        self.waiting.pop_front();
        Some(done)
    }
}
