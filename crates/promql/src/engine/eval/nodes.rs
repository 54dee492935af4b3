//! What each kind of node does.

use std::sync::Arc;

use futures::future::BoxFuture;
use prometheus_model::Labels;

use super::{Matrix, POINT_BYTES, Run, Source, Streamed, deep};
use crate::{
    ast::{Boundaries, Span},
    engine::{
        aggregate::{Aggregation, CountValues, Spec},
        annotations::Annotations,
        binary::{ScalarTask, VectorTask, arithmetic},
        call,
        column::{Column, Series, absent},
        date,
        grid::{Counted, Grid},
        histogram::{Histograms, Question, merged},
        labels,
        limits::Reserved,
        pipeline::{Leaf, Op, Work, selector_leaf},
        plan::{Kind, Node, RangeCall, RangeInput},
        range::{RangeTask, extended_floats},
        samples::Decoder,
        scalars::Scalars,
        value::{QueryValue, RangeSeries},
    },
    error::{Error, Repr, Result},
    function::FunctionId,
};

impl Run<'_> {
    /// A scalar at each step.
    pub(super) fn scalars<'a>(&'a mut self, node: &'a Node, grid: Grid) -> BoxFuture<'a, Result<Scalars>> {
        deep(async move {
            Ok(match &node.kind {
                Kind::Number(value) => Scalars::Constant(*value),
                Kind::Time => Scalars::of(grid.times().map(|time| time as f64 / 1000.0), &self.budget)?,
                Kind::Invariant(child) => {
                    let values = self.scalars(child, grid.once()).await?;
                    Scalars::Constant(values.at(0))
                }
                Kind::ScalarNegate(child) => {
                    let values = self.scalars(child, grid).await?;
                    values.with(&Scalars::Constant(-1.0), grid.count, &self.budget, |value, _| -value)?
                }
                Kind::ScalarExtreme { is_max, operands } => {
                    let [a, b] = &**operands;
                    let (a, b) = (self.scalars(a, grid).await?, self.scalars(b, grid).await?);
                    let extreme = if *is_max { call::max } else { call::min };
                    a.with(&b, grid.count, &self.budget, extreme)?
                }
                Kind::ScalarBinary { op, operands } => {
                    let [a, b] = &**operands;
                    let (a, b) = (self.scalars(a, grid).await?, self.scalars(b, grid).await?);
                    a.with(&b, grid.count, &self.budget, |a, b| arithmetic(*op, a, b))?
                }
                Kind::ScalarOf(child) => self.scalar_of(child, grid).await?,
                _ => return Err(Error::defect("a vector where a scalar should be")),
            })
        })
    }

    /// The only float at each step; NaN if there is none or more.
    async fn scalar_of(&mut self, child: &Node, grid: Grid) -> Result<Scalars> {
        let new = || Ok(vec![(f64::NAN, 0_u8); grid.count]);
        let values = self.fold(child, grid, new, |values, series| {
            for (step, (value, seen)) in values.iter_mut().enumerate() {
                if let Some(found) = series.column.float(step) {
                    *seen = seen.saturating_add(1);
                    *value = if *seen == 1 { found } else { f64::NAN };
                }
            }
            Ok(())
        });
        Scalars::of(values.await?.into_iter().map(|(value, _)| value), &self.budget)
    }

    /// Calls `push` for each series of `child`, as they come. `new` makes what `push` fills: again if it turns out that
    /// series became the same, which are merged then first.
    async fn fold<S: Send>(
        &mut self,
        child: &Node,
        grid: Grid,
        new: impl Fn() -> Result<S>,
        mut push: impl FnMut(&mut S, Series) -> Result<()> + Send,
    ) -> Result<S> {
        let before = self.counts();
        let mut state = new()?;
        let streamed = self
            .stream(child, grid, &mut |series, reserved| {
                series.into_iter().try_for_each(|series| push(&mut state, series))?;
                drop(reserved);
                Ok(())
            })
            .await?;
        if streamed == Streamed::Wholly {
            return Ok(state);
        }
        drop(state);
        self.recount(before);
        let mut state = new()?;
        let Matrix { series, reserved } = self.vector(child, grid).await?;
        for series in series {
            push(&mut state, series)?;
            self.pause().await?;
        }
        drop(reserved);
        Ok(state)
    }

    fn work(&self, leaf: Option<Leaf>, ops: Vec<Op>, steps: usize) -> Work {
        let fetch = match &leaf {
            Some(Leaf::Instant { select, .. } | Leaf::SampleTime { select, .. } | Leaf::Smoothed { select, .. }) => {
                self.plan.fetches.get(select.fetch)
            }
            Some(Leaf::Range(task)) => task.fetch.and_then(|fetch| self.plan.fetches.get(fetch)),
            None => None,
        };
        Work {
            is_projected: fetch.is_some_and(|fetch| fetch.hints.projection.is_some()),
            leaf,
            ops,
            steps,
            delays_names: self.delays_names(),
            max_samples: self.max_samples,
            stats_steps: self.stats.samples_per_step.len(),
        }
    }

    /// A chain of operations on single series, and where its series come from.
    pub(super) fn chain<'a>(&'a mut self, node: &'a Node, grid: Grid) -> BoxFuture<'a, Result<(Work, Source)>> {
        deep(async move {
            if let Some((child, child_grid)) = below(node, grid) {
                // The order in which annotations come is Prometheus'.
                let is_op_first = matches!(node.kind, Kind::VectorScalar { is_scalar_left: true, .. });
                let first = if is_op_first { Some(self.op(node, grid).await?) } else { None };
                let (mut work, source) = self.chain(child, child_grid).await?;
                work.ops.push(match first {
                    Some(op) => op,
                    None => self.op(node, grid).await?,
                });
                work.steps = work.steps.max(grid.count);
                return Ok((work, source));
            }
            let lookback_ms = self.plan.lookback_ms;
            Ok(match &node.kind {
                Kind::Select(select) => {
                    let leaf = selector_leaf(select, grid, lookback_ms, node.span);
                    (self.work(Some(leaf), Vec::new(), grid.count), Source::Fetch(select.fetch))
                }
                Kind::SampleTime { select, is_start } => {
                    if *is_start && !self.shared.options.start_timestamps {
                        let matrix = Matrix { series: Vec::new(), reserved: self.budget.reserve() };
                        return Ok((self.work(None, Vec::new(), grid.count), Source::Series(matrix)));
                    }
                    let leaf = Leaf::SampleTime { select: select.clone(), grid, lookback_ms, is_start: *is_start };
                    (self.work(Some(leaf), Vec::new(), grid.count), Source::Fetch(select.fetch))
                }
                Kind::RangeCall(call) if call.function != FunctionId::AbsentOverTime => {
                    return self.range_chain(call, grid).await;
                }
                _ => {
                    let matrix = self.vector(node, grid).await?;
                    (self.work(None, Vec::new(), grid.count), Source::Series(matrix))
                }
            })
        })
    }

    /// The operation of a node that has single series [below](below).
    async fn op(&mut self, node: &Node, grid: Grid) -> Result<Op> {
        Ok(match &node.kind {
            Kind::Map { function, params, .. } => {
                Op::Map { function: *function, params: self.all_scalars(params, grid).await?, grid }
            }
            Kind::Negate(_) => Op::Negate,
            Kind::VectorScalar { op, return_bool, scalar, is_scalar_left, .. } => {
                let scalars = self.scalars(scalar, grid).await?;
                let (op, return_bool, is_scalar_left) = (*op, *return_bool, *is_scalar_left);
                Op::VectorScalar(ScalarTask { op, return_bool, scalars, is_scalar_left, span: node.span })
            }
            Kind::Invariant(_) => Op::Repeat(grid.count),
            _ => return Err(Error::defect("no operation on single series")),
        })
    }

    async fn all_scalars(&mut self, nodes: &[Node], grid: Grid) -> Result<Vec<Scalars>> {
        let mut values = Vec::with_capacity(nodes.len());
        for node in nodes {
            values.push(self.scalars(node, grid).await?);
        }
        Ok(values)
    }

    /// The last operation of a chain, on series of what is below it.
    pub(super) async fn single(&mut self, node: &Node, grid: Grid) -> Result<(Work, Source)> {
        // What reads from the store is single already.
        let Some((child, child_grid)) = below(node, grid) else { return self.chain(node, grid).await };
        let matrix = self.vector(child, child_grid).await?;
        let op = self.op(node, grid).await?;
        Ok((self.work(None, vec![op], grid.count), Source::Series(matrix)))
    }

    async fn range_chain(&mut self, call: &RangeCall, grid: Grid) -> Result<(Work, Source)> {
        let params = self.all_scalars(&call.params, grid).await?;
        let options = &self.shared.options;
        let (fetch, at, offset_ms, stats_only) = match &call.input {
            RangeInput::Select { select, .. } => (Some(select.fetch), select.at, select.offset_ms, select.stats_only),
            RangeInput::Subquery { at, offset_ms, .. } => (None, *at, *offset_ms, false),
        };
        let task = RangeTask {
            function: call.function,
            fetch,
            grid,
            at,
            offset_ms,
            range_ms: call.input.range_ms(),
            boundaries: call.input.boundaries(),
            lookback_ms: self.plan.lookback_ms,
            params,
            first_span: call.first_span,
            args_span: call.args_span,
            stats_only,
            type_and_unit_labels: options.type_and_unit_labels,
            start_timestamps: options.start_timestamps,
        };
        match &call.input {
            RangeInput::Select { select, .. } => {
                let work = self.work(Some(Leaf::Range(task)), Vec::new(), grid.count);
                Ok((work, Source::Fetch(select.fetch)))
            }
            RangeInput::Subquery { child, .. } => {
                let inner = self.subquery_grid(&call.input, grid)?;
                let matrix = self.vector(child, inner).await?;
                let steps = grid.count.max(inner.count);
                let work = self.work(None, vec![Op::Range { task, inner }], steps);
                Ok((work, Source::Series(matrix)))
            }
        }
    }

    /// The steps of a sub-query: multiples of its step.
    fn subquery_grid(&self, input: &RangeInput, grid: Grid) -> Result<Grid> {
        let RangeInput::Subquery { step_ms, range_ms, .. } = input else {
            return Err(Error::defect("a selector where a sub-query should be"));
        };
        let after = input.reference(grid.start).saturating_sub(*range_ms);
        let end = input.reference(grid.last());
        let mut start = (after / step_ms).saturating_mul(*step_ms);
        if start <= after {
            start = start.saturating_add(*step_ms);
        }
        let inner = Grid::new("a sub-query", start, end, *step_ms, self.shared.options.max_steps)?;
        Ok(Grid { counted: Counted::Nowhere, ..inner })
    }

    /// A vector at each step, however it is made.
    pub(super) async fn vector_of(&mut self, node: &Node, grid: Grid) -> Result<Matrix> {
        // A sub-query between two of its steps: nothing is evaluated, so nothing is to be said.
        if grid.count == 0 {
            return Ok(Matrix { series: Vec::new(), reserved: self.budget.reserve() });
        }
        match &node.kind {
            Kind::Select(_)
            | Kind::SampleTime { .. }
            | Kind::Map { .. }
            | Kind::Negate(_)
            | Kind::VectorScalar { .. }
            | Kind::Invariant(_) => self.collected(node, grid).await,
            Kind::RangeCall(call) if call.function != FunctionId::AbsentOverTime => self.collected(node, grid).await,
            Kind::RangeCall(call) => self.absent_over_time(call, grid).await,
            Kind::Aggregate { .. } => self.aggregate(node, grid).await,
            Kind::CountValues { key, label, child } => {
                let budget = Arc::clone(&self.budget);
                let new = || Ok(CountValues::new(key.clone(), label.clone(), grid.count, &budget));
                let counts = self.fold(child, grid, new, |counts, series| counts.push(&series)).await?;
                let (series, reserved) = counts.finish();
                Ok(Matrix { series, reserved })
            }
            Kind::VectorVector { op, return_bool, matching, operands } => {
                let [lhs, rhs] = &**operands;
                let (left, right) = (self.vector(lhs, grid).await?, self.vector(rhs, grid).await?);
                let task = VectorTask {
                    op: *op,
                    return_bool: *return_bool,
                    matching: matching.clone(),
                    span: node.span,
                    steps: grid.count,
                    delays_names: self.delays_names(),
                    is_instant: grid.is_instant(),
                };
                let budget = Arc::clone(&self.budget);
                let (matrix, notes) = self
                    .compute(move |interrupt| {
                        let mut notes = Annotations::default();
                        let (series, reserved) =
                            task.apply(left.series, right.series, &budget, interrupt, &mut notes)?;
                        drop((left.reserved, right.reserved));
                        Ok((Matrix { series, reserved }, notes))
                    })
                    .await?;
                self.annotations.merge(notes);
                Ok(matrix)
            }
            Kind::Absent { labels, child } => {
                let new = || Ok(vec![1.0; grid.count]);
                let absent = self.fold(child, grid, new, |values, series| {
                    for (step, value) in values.iter_mut().enumerate() {
                        if series.column.is_present(step) {
                            *value = absent();
                        }
                    }
                    Ok(())
                });
                let values = absent.await?;
                self.one(labels.clone(), values)
            }
            Kind::VectorOf(child) => {
                let values = self.scalars(child, grid).await?;
                self.one(Labels::default(), (0..grid.count).map(|step| values.at(step)).collect())
            }
            Kind::DateNow(function) => {
                let values = grid.times().map(|time| date::part(*function, (time / 1000) as f64)).collect();
                self.one(Labels::default(), values)
            }
            Kind::LabelReplace { child, to, template, from, regex } => {
                let Matrix { mut series, reserved } = self.vector(child, grid).await?;
                let mut text = String::new();
                for series in &mut series {
                    self.pause().await?;
                    text.clear();
                    let value = series.labels.get(from).unwrap_or_default();
                    if regex.expand(value, template, &mut text) {
                        series.labels = labels::with(&series.labels, to, &text);
                        series.drop_name &= to != prometheus_model::METRIC_NAME;
                    }
                }
                self.merged(series, reserved).await
            }
            Kind::LabelJoin { child, to, separator, from } => {
                let Matrix { mut series, reserved } = self.vector(child, grid).await?;
                for series in &mut series {
                    self.pause().await?;
                    let values: Vec<_> = from.iter().map(|name| series.labels.get(name).unwrap_or_default()).collect();
                    let text = values.join(separator);
                    series.labels = labels::with(&series.labels, to, &text);
                    series.drop_name &= to != prometheus_model::METRIC_NAME;
                }
                self.merged(series, reserved).await
            }
            Kind::Sort { child, order } => {
                let Matrix { mut series, reserved } = self.vector(child, grid).await?;
                // What is the same at all steps is evaluated once.
                if grid.count > 1 {
                    self.annotations.sort_in_range_query(node.span);
                }
                let order = order.clone();
                let sorted = self.compute(move |_| {
                    super::order::sort(&mut series, &order);
                    Ok(Matrix { series, reserved })
                });
                sorted.await
            }
            Kind::HistogramQuantiles { child, label, quantiles } => {
                // In the order of the arguments.
                let mut values = Vec::new();
                if label.is_none() {
                    values = self.all_scalars(quantiles, grid).await?;
                }
                let matrix = self.vector(child, grid).await?;
                if label.is_some() {
                    values = self.all_scalars(quantiles, grid).await?;
                }
                for (quantile, values) in quantiles.iter().zip(&values) {
                    for step in 0..grid.count {
                        let q = values.at(step);
                        if !(0.0..=1.0).contains(&q) {
                            self.annotations.invalid_quantile(q, quantile.span);
                        }
                    }
                }
                let questions = values.into_iter().map(|q| Question::Quantile { q, label: label.clone() }).collect();
                self.histograms(matrix, child.span, questions, grid).await
            }
            Kind::HistogramFraction { child, bounds } => {
                let [lower, upper] = &**bounds;
                let (lower, upper) = (self.scalars(lower, grid).await?, self.scalars(upper, grid).await?);
                let matrix = self.vector(child, grid).await?;
                self.histograms(matrix, child.span, vec![Question::Fraction { lower, upper }], grid).await
            }
            Kind::Info(info) => self.info(info, grid).await,
            Kind::Number(_)
            | Kind::Text(_)
            | Kind::Time
            | Kind::ScalarOf(_)
            | Kind::ScalarExtreme { .. }
            | Kind::ScalarBinary { .. }
            | Kind::ScalarNegate(_)
            | Kind::Range(_) => Err(Error::defect("no vector where one should be")),
        }
    }

    /// Answers questions about histograms.
    async fn histograms(
        &mut self,
        Matrix { series, reserved }: Matrix,
        span: Span,
        questions: Vec<Question>,
        grid: Grid,
    ) -> Result<Matrix> {
        let delays_names = self.delays_names();
        let (matrix, notes) = self
            .compute(move |interrupt| {
                let mut notes = Annotations::default();
                let histograms = Histograms::of(series, grid, delays_names, span, &mut notes);
                let mut results = Vec::new();
                for question in &questions {
                    histograms.ask(question, interrupt, &mut notes, &mut results)?;
                }
                let series = merged(results, grid.is_instant(), delays_names)?;
                Ok((Matrix { series, reserved }, notes))
            })
            .await?;
        self.annotations.merge(notes);
        Ok(matrix)
    }

    /// A single series.
    fn one(&self, labels: Labels, values: Vec<f64>) -> Result<Matrix> {
        let column = Column::of_floats(values);
        let mut reserved = self.budget.reserve();
        if column.is_empty() {
            return Ok(Matrix { series: Vec::new(), reserved });
        }
        reserved.grow("results", column.samples(), column.bytes())?;
        Ok(Matrix { series: vec![Series { labels, drop_name: false, column }], reserved })
    }

    async fn aggregate(&mut self, node: &Node, grid: Grid) -> Result<Matrix> {
        let Kind::Aggregate { op, key, param, child } = &node.kind else { return Err(Error::defect("no aggregation")) };
        let params = match param {
            Some(param) => self.scalars(param, grid).await?,
            None => Scalars::Constant(0.0),
        };
        let spec = Spec {
            op: *op,
            key: key.clone(),
            params,
            grid,
            span: node.span,
            child_span: child.span,
            param_span: param.as_ref().map_or(node.span, |param| param.span),
        };
        let budget = Arc::clone(&self.budget);
        let new = || Aggregation::new(spec.clone(), &budget);
        let aggregation = self.fold(child, grid, new, Aggregation::push).await?;
        let (series, reserved, notes) = aggregation.finish();
        self.annotations.merge(notes);
        Ok(Matrix { series, reserved: reserved.unwrap_or_else(|| self.budget.reserve()) })
    }

    /// One series with a value at each step at which no series has a sample in its range.
    async fn absent_over_time(&mut self, call: &RangeCall, grid: Grid) -> Result<Matrix> {
        let (work, source) = self.range_chain(call, grid).await?;
        let mut values = vec![1.0; grid.count];
        self.execute(work, source, false, &mut |series, _| {
            for series in series {
                for (value, found) in values.iter_mut().zip(&series.column.floats) {
                    if crate::engine::column::is_present(*found) {
                        *value = absent();
                    }
                }
            }
            Ok(())
        })
        .await?;
        let mut matrix = self.one(call.absent_labels.clone(), values)?;
        matrix.series.iter_mut().for_each(|series| series.drop_name = true);
        Ok(matrix)
    }

    /// The samples of a range vector that is the whole query.
    pub(super) async fn range_vector(&mut self) -> Result<(QueryValue, Reserved)> {
        let (root, grid) = (&self.plan.root, self.plan.grid);
        match &root.kind {
            Kind::Range(input @ RangeInput::Subquery { child, .. }) => {
                let inner = Grid { counted: Counted::First, ..self.subquery_grid(input, grid)? };
                let all = self.vector(child, inner).await?;
                self.answered(all, inner, false).await
            }
            Kind::Range(RangeInput::Select { select, range_ms }) => {
                let end = select.reference(grid.start);
                let start = end.saturating_sub(*range_ms);
                // Stores give series by labels.
                let (series, reserved) = self.stored_range(select.fetch, select.boundaries, (start, end)).await?;
                Ok((QueryValue::Matrix(series), reserved))
            }
            _ => Err(Error::defect("no range vector")),
        }
    }

    async fn stored_range(
        &mut self,
        fetch: usize,
        boundaries: Boundaries,
        (start, end): (i64, i64),
    ) -> Result<(Vec<RangeSeries>, Reserved)> {
        let plan = self.plan;
        let fetch = plan.fetches.get(fetch).ok_or_else(|| Error::defect("a selector without a select"))?;
        let querier = self.querier.as_deref().ok_or_else(|| Error::defect("a selector without a querier"))?;
        let mut set = querier.select(&fetch.matchers, &fetch.hints).await?;
        let lookback_ms = plan.lookback_ms;
        let (after, until) = match boundaries {
            Boundaries::Plain => (start, end),
            Boundaries::Anchored => (start.saturating_sub(lookback_ms), end),
            Boundaries::Smoothed => (start.saturating_sub(lookback_ms), end.saturating_add(lookback_ms)),
        };
        let mut decoder = Decoder::new(false);
        let mut matrix = Vec::new();
        let mut reserved = self.budget.reserve();
        while let Some(batch) = set.next().await? {
            self.pause().await?;
            for series in batch {
                let samples = decoder.without_markers(&series, false)?;
                let first = samples.times.partition_point(|time| *time <= after);
                let behind = samples.times.partition_point(|time| *time <= until);
                let times = samples.times.get(first..behind).unwrap_or_default();
                let values = samples.values.get(first..behind).unwrap_or_default();
                let in_range = |time: i64| after < time && time <= until;
                let histograms: Vec<_> = samples
                    .histograms
                    .iter()
                    .filter(|sample| in_range(sample.time))
                    .map(|sample| (sample.time, Arc::clone(&sample.histogram)))
                    .collect();
                if boundaries != Boundaries::Plain && !histograms.is_empty() {
                    let modifier = if boundaries == Boundaries::Anchored { "anchored" } else { "smoothed" };
                    let message = format!("{modifier} modifier is not supported with histograms");
                    return Err(Repr::Execution { message }.into());
                }
                let floats: Vec<_> = match boundaries {
                    Boundaries::Plain => times.iter().copied().zip(values.iter().copied()).collect(),
                    _ => extended_floats((times, values), (start, end), boundaries == Boundaries::Smoothed),
                };
                let count = floats.len() as u64
                    + histograms.iter().map(|(_, h)| crate::engine::column::histogram_samples(h)).sum::<u64>();
                if count == 0 {
                    continue;
                }
                reserved.grow("results", count, POINT_BYTES * count + labels::bytes(&series.labels))?;
                self.count(count, Counted::First);
                self.stats.samples_read += count;
                self.stats.series_read += 1;
                matrix.push(RangeSeries { labels: series.labels, floats, histograms });
            }
        }
        set.warnings().iter().for_each(|warning| self.annotations.storage(warning.message.clone()));
        Ok((matrix, reserved))
    }
}

/// What is below an operation on single series, and when that is evaluated.
fn below(node: &Node, grid: Grid) -> Option<(&Node, Grid)> {
    match &node.kind {
        Kind::Map { child, .. } | Kind::Negate(child) | Kind::VectorScalar { vector: child, .. } => Some((child, grid)),
        Kind::Invariant(child) => Some((child, grid.once())),
        _ => None,
    }
}
