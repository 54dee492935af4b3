//! From expressions to nodes.

use std::collections::{BTreeMap, BTreeSet};

use prometheus_model::{Labels, METRIC_NAME, TimeRange};
use prometheus_queryable::{Grouping, MatchOp, Matcher, Projection, SelectHints};
use prometheus_re2::CaptureRegex;

use super::{
    Fetch, Info, Kind, Node, RangeCall, RangeInput, Select, SortOrder, info,
    resolve::{at_time, millis},
    times::{Around, Reads, times},
};
use crate::{
    ast::{
        AggregateExpr, AggregateOp, BinaryExpr, BinaryOp, Boundaries, Call, Expr, Sign, Span, ValueType, VectorSelector,
    },
    engine::{grid::Grid, labels::Key, options::EngineOptions},
    error::{Error, Repr, Result},
    function::FunctionId,
    quote::quote,
};

/// Functions whose result depends on the time of evaluation even if their arguments do not.
const DEPEND_ON_TIME: &[FunctionId] = &[
    FunctionId::DaysInMonth,
    FunctionId::DayOfMonth,
    FunctionId::DayOfWeek,
    FunctionId::DayOfYear,
    FunctionId::Hour,
    FunctionId::Minute,
    FunctionId::Month,
    FunctionId::Year,
    FunctionId::PredictLinear,
    FunctionId::Time,
    FunctionId::Timestamp,
];

/// Functions that know samples beyond the range's ends, by name.
const ANCHORED: &[&str] = &["changes", "delta", "increase", "rate", "resets"];
const SMOOTHED: &[&str] = &["delta", "increase", "rate"];

/// Makes nodes.
#[derive(Debug)]
pub(super) struct Builder<'o> {
    options: &'o EngineOptions,
    grid: Grid,
    is_instant: bool,
    lookback_ms: i64,
    fetches: Vec<Fetch>,
    range: Option<TimeRange>,
    nodes: usize,
}

/// What is above an expression.
#[derive(Clone, Debug, Default)]
struct Above {
    /// The nearest function or aggregation; none above a binary operation.
    function: Option<String>,
    /// Of the parent, if it is an aggregation.
    grouping: Option<Grouping>,
    subqueries: Around,
    /// Of the nearest sub-query.
    step_ms: Option<i64>,
    /// Whether count and sum of histograms are looked at.
    wants_stats: bool,
    /// Whether buckets of histograms are, or are needed to find resets.
    wants_buckets: bool,
}

impl Above {
    fn call(&self, name: &str) -> Self {
        let stats = ["histogram_count", "histogram_sum", "histogram_avg"];
        let buckets =
            ["histogram_quantile", "histogram_quantiles", "histogram_fraction", "histogram_stddev", "histogram_stdvar"];
        Self {
            function: Some(name.to_owned()),
            grouping: None,
            wants_stats: self.wants_stats || stats.contains(&name),
            wants_buckets: self.wants_buckets || buckets.contains(&name),
            ..self.clone()
        }
    }

    fn operation(&self, op: BinaryOp) -> Self {
        let trims = matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower);
        Self { function: None, grouping: None, wants_buckets: self.wants_buckets || trims, ..self.clone() }
    }

    fn plain(&self) -> Self {
        Self { grouping: None, ..self.clone() }
    }
}

/// A node, and whether it is the same at each step.
struct Built {
    node: Node,
    is_invariant: bool,
    /// Whether evaluating it once is worth anything.
    is_worth_it: bool,
}

impl<'o> Builder<'o> {
    pub(super) const fn new(options: &'o EngineOptions, grid: Grid, is_instant: bool, lookback_ms: i64) -> Self {
        Self { options, grid, is_instant, lookback_ms, fetches: Vec::new(), range: None, nodes: 0 }
    }

    pub(super) fn root(&mut self, expr: &Expr) -> Result<Node> {
        let built = self.build(expr, &Above::default())?;
        Ok(self.once(built))
    }

    pub(super) fn finish(self) -> (Vec<Fetch>, Option<TimeRange>, usize) {
        (self.fetches, self.range, self.nodes)
    }

    fn id(&mut self) -> usize {
        self.nodes += 1;
        self.nodes - 1
    }

    /// Evaluates a node once if it is the same at each step.
    fn once(&mut self, built: Built) -> Node {
        if !built.is_invariant || !built.is_worth_it {
            return built.node;
        }
        Node { id: self.id(), span: built.node.span, kind: Kind::Invariant(Box::new(built.node)) }
    }

    fn build(&mut self, expr: &Expr, above: &Above) -> Result<Built> {
        let id = self.id();
        let span = expr.span();
        let constant = |kind| Built { node: Node { id, span, kind }, is_invariant: true, is_worth_it: false };
        match expr {
            Expr::Number(number) => Ok(constant(Kind::Number(number.value))),
            Expr::String(text) => Ok(constant(Kind::Text(text.value.clone()))),
            Expr::Paren(paren) => self.build(&paren.expr, above),
            Expr::Vector(selector) => {
                let select = self.select(selector, None, above)?;
                let is_fixed = select.at.is_some();
                Ok(Built {
                    node: Node { id, span, kind: Kind::Select(select) },
                    is_invariant: is_fixed,
                    is_worth_it: true,
                })
            }
            Expr::Matrix(_) | Expr::Subquery(_) => {
                let input = self.range_input(expr, above)?;
                let is_fixed = input.is_fixed();
                Ok(Built {
                    node: Node { id, span, kind: Kind::Range(input) },
                    is_invariant: is_fixed,
                    is_worth_it: false,
                })
            }
            Expr::Unary(unary) => {
                let child = self.build(&unary.expr, &above.plain())?;
                if unary.op == Sign::Plus {
                    return Ok(child);
                }
                let Built { node, is_invariant, is_worth_it } = child;
                let kind = match unary.expr.value_type() {
                    ValueType::Scalar => Kind::ScalarNegate(Box::new(node)),
                    _ => Kind::Negate(Box::new(node)),
                };
                Ok(Built { node: Node { id, span, kind }, is_invariant, is_worth_it })
            }
            Expr::Binary(binary) => self.binary(id, binary, above),
            Expr::Aggregate(aggregate) => self.aggregate(id, aggregate, above),
            Expr::Call(call) => self.call(id, call, above),
        }
    }

    fn select(&mut self, selector: &VectorSelector, range_ms: Option<i64>, above: &Above) -> Result<Select> {
        let (at, offset_ms) = (at_time(selector.at), millis(&selector.offset));
        let reads = Reads { at, offset_ms, range_ms, boundaries: selector.boundaries };
        let range = times(self.grid, self.lookback_ms, above.subqueries, reads);
        self.reads(range);
        let mut hints = SelectHints::new(range);
        hints.step_ms = above.step_ms.unwrap_or(if self.is_instant { 0 } else { self.grid.step });
        hints.selector_range_ms = range_ms.unwrap_or_default();
        hints.function = above.function.clone();
        hints.grouping = above.grouping.clone();
        let fetch = self.fetch(&selector.matchers, hints);
        let stats_only = above.wants_stats && !above.wants_buckets;
        Ok(Select { fetch, at, offset_ms, boundaries: selector.boundaries, stats_only })
    }

    fn reads(&mut self, range: TimeRange) {
        let start = self.range.map_or(range.start(), |r| r.start().min(range.start()));
        let end = self.range.map_or(range.end(), |r| r.end().max(range.end()));
        self.range = TimeRange::new(start, end).ok();
    }

    /// The number of a select: that of another one that reads the same series at times near these.
    fn fetch(&mut self, matchers: &[Matcher], hints: SelectHints) -> usize {
        let is_near = |a: TimeRange, b: TimeRange| a.start() <= b.end() && b.start() <= a.end();
        let same = self.fetches.iter_mut().enumerate().find(|(_, other)| {
            other.matchers == matchers
                && is_near(other.hints.range, hints.range)
                && other.hints.function == hints.function
                && other.hints.projection.is_none()
        });
        if let Some((number, other)) = same {
            let (a, b) = (other.hints.range, hints.range);
            if let Ok(range) = TimeRange::new(a.start().min(b.start()), a.end().max(b.end())) {
                other.hints.range = range;
            }
            other.hints.selector_range_ms = other.hints.selector_range_ms.max(hints.selector_range_ms);
            other.uses += 1;
            return number;
        }
        self.fetches.push(Fetch { matchers: matchers.to_vec(), hints, uses: 1 });
        self.fetches.len() - 1
    }

    fn range_input(&mut self, expr: &Expr, above: &Above) -> Result<RangeInput> {
        match expr.without_parens() {
            Expr::Matrix(matrix) => {
                let range_ms = millis(&matrix.range);
                let select = self.select(&matrix.selector, Some(range_ms), &above.plain())?;
                Ok(RangeInput::Select { select, range_ms })
            }
            Expr::Subquery(subquery) => {
                let (offset_ms, range_ms, at) =
                    (millis(&subquery.offset), millis(&subquery.range), at_time(subquery.at));
                let default_ms = i64::try_from(self.options.subquery_step.as_millis()).unwrap_or(i64::MAX);
                let step_ms = subquery.step.as_ref().map_or(0, millis);
                let step_ms = if step_ms == 0 { default_ms } else { step_ms }.max(1);
                let inside = Above {
                    subqueries: above.subqueries.with(offset_ms, range_ms, at),
                    step_ms: Some(step_ms),
                    wants_buckets: true,
                    ..above.plain()
                };
                let child = self.build(&subquery.expr, &inside)?;
                let child = Box::new(self.once(child));
                Ok(RangeInput::Subquery { child, at, offset_ms, range_ms, step_ms })
            }
            other => Err(Error::defect(format!("{} is no range vector", other.value_type()))),
        }
    }

    fn binary(&mut self, id: usize, binary: &BinaryExpr, above: &Above) -> Result<Built> {
        let inside = above.operation(binary.op);
        let lhs = self.build(&binary.lhs, &inside)?;
        let rhs = self.build(&binary.rhs, &inside)?;
        let is_invariant = lhs.is_invariant && rhs.is_invariant;
        let (lhs, rhs) = if is_invariant { (lhs.node, rhs.node) } else { (self.once(lhs), self.once(rhs)) };
        let is_scalar = |expr: &Expr| expr.value_type() == ValueType::Scalar;
        let (op, return_bool) = (binary.op, binary.return_bool);
        let kind = match (is_scalar(&binary.lhs), is_scalar(&binary.rhs)) {
            (true, true) if matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower) => {
                let message = format!("operator \"{}\" not allowed for Scalar operations", op.as_str());
                return Err(Repr::Execution { message }.into());
            }
            (true, true) => Kind::ScalarBinary { op, operands: Box::new([lhs, rhs]) },
            (true, false) => Kind::VectorScalar {
                op,
                return_bool,
                vector: Box::new(rhs),
                scalar: Box::new(lhs),
                is_scalar_left: true,
            },
            (false, true) => Kind::VectorScalar {
                op,
                return_bool,
                vector: Box::new(lhs),
                scalar: Box::new(rhs),
                is_scalar_left: false,
            },
            (false, false) => {
                let matching =
                    binary.matching.clone().ok_or_else(|| Error::defect("two vectors without a matching"))?;
                Kind::VectorVector { op, return_bool, matching, operands: Box::new([lhs, rhs]) }
            }
        };
        Ok(Built { node: Node { id, span: binary.span, kind }, is_invariant, is_worth_it: is_invariant })
    }

    fn aggregate(&mut self, id: usize, aggregate: &AggregateExpr, above: &Above) -> Result<Built> {
        let op = aggregate.op;
        let mut inside = above.call(op.as_str());
        inside.grouping = Some(Grouping { labels: aggregate.grouping.clone(), without: aggregate.without });
        // Prometheus evaluates the parameter at each step.
        let param = match &aggregate.param {
            Some(param) if op != AggregateOp::CountValues => {
                let built = self.build(param, &above.call(op.as_str()))?;
                Some(Box::new(built.node))
            }
            _ => None,
        };
        let child = self.build(&aggregate.expr, &inside)?;
        let (is_invariant, is_worth_it) = (child.is_invariant, child.is_worth_it);
        let child = Box::new(child.node);
        let key = Key::grouping(&aggregate.grouping, aggregate.without);
        let kind = if op == AggregateOp::CountValues {
            let Some(Expr::String(label)) = aggregate.param.as_deref() else {
                return Err(Error::defect("count_values without a label"));
            };
            if label.value.is_empty() {
                return Err(Error::execution(format!("invalid label name {}", quote(&label.value))));
            }
            let mut names = aggregate.grouping.clone();
            if !aggregate.without {
                names.push(label.value.clone());
            }
            let key = Key::grouping(&names, aggregate.without);
            Kind::CountValues { key, label: label.value.clone(), child }
        } else {
            self.project(op, &key, aggregate, &child);
            Kind::Aggregate { op, key, param, child }
        };
        Ok(Built { node: Node { id, span: aggregate.span, kind }, is_invariant, is_worth_it })
    }

    /// Tells the store which labels matter, where all others are dropped.
    fn project(&mut self, op: AggregateOp, key: &Key, aggregate: &AggregateExpr, child: &Node) {
        if matches!(op, AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk | AggregateOp::LimitRatio) {
            return;
        }
        let Some(fetch) = only_fetch(child).and_then(|number| self.fetches.get_mut(number)) else { return };
        // Without their names, series of one metric are still different.
        let is_one_metric = fetch.matchers.iter().any(|m| m.name() == METRIC_NAME && m.op() == MatchOp::Equal);
        if !is_one_metric || fetch.uses > 1 {
            return;
        }
        let metadata = [METRIC_NAME, "__type__", "__unit__"];
        fetch.hints.projection = Some(if aggregate.without {
            let dropped = aggregate.grouping.iter().filter(|name| !metadata.contains(&name.as_str()));
            Projection::Exclude(dropped.cloned().collect())
        } else {
            let kept = aggregate.grouping.iter().filter(|name| key.keeps(name)).cloned();
            Projection::Include(kept.chain(metadata.map(str::to_owned)).collect::<BTreeSet<_>>())
        });
    }

    fn call(&mut self, id: usize, call: &Call, above: &Above) -> Result<Built> {
        let function = call.function.id;
        let name = call.function.name;
        let inside = above.call(name);
        if let Some(place) = call.args.iter().position(|arg| arg.value_type() == ValueType::Matrix) {
            return self.range_call(id, call, place, &inside);
        }
        if let (FunctionId::Timestamp | FunctionId::StartTimestamp, Some(Expr::Vector(selector))) =
            (function, call.args.first())
        {
            let select = self.select(selector, None, &inside)?;
            let is_invariant = select.at.is_some();
            let kind = Kind::SampleTime { select, is_start: function == FunctionId::StartTimestamp };
            return Ok(Built { node: Node { id, span: call.span, kind }, is_invariant, is_worth_it: true });
        }

        let mut args = Vec::with_capacity(call.args.len());
        for (i, arg) in call.args.iter().enumerate() {
            if function == FunctionId::Info && i == 1 {
                continue;
            }
            args.push(self.build(arg, &inside)?);
        }
        let mut is_invariant = !DEPEND_ON_TIME.contains(&function) && args.iter().all(|arg| arg.is_invariant);
        let mut info_reference = (None, 0);
        if function == FunctionId::Info {
            let reference = info::reference(call.args.first());
            info_reference = reference.unwrap_or_default();
            is_invariant &= reference.is_some();
        }
        let nodes: Vec<Node> =
            args.into_iter().map(|arg| if is_invariant { arg.node } else { self.once(arg) }).collect();
        let kind = self.call_kind(call, nodes, info_reference, above)?;
        let is_worth_it = !matches!(kind, Kind::Number(_));
        Ok(Built { node: Node { id, span: call.span, kind }, is_invariant, is_worth_it })
    }

    fn call_kind(
        &mut self,
        call: &Call,
        nodes: Vec<Node>,
        (at, offset_ms): (Option<i64>, i64),
        above: &Above,
    ) -> Result<Kind> {
        let function = call.function.id;
        let text = |i: usize| match call.args.get(i) {
            Some(Expr::String(text)) => text.value.clone(),
            _ => String::new(),
        };
        let mut nodes = nodes.into_iter();
        let Some(first) = nodes.next() else {
            return Ok(match function {
                FunctionId::Time => Kind::Time,
                FunctionId::Pi => Kind::Number(std::f64::consts::PI),
                _ => Kind::DateNow(function),
            });
        };
        let first = Box::new(first);
        let missing = || Error::defect(format!("{} lacks an argument", call.function.name));
        Ok(match function {
            FunctionId::Scalar => Kind::ScalarOf(first),
            FunctionId::MaxOf | FunctionId::MinOf => {
                let second = nodes.next().ok_or_else(missing)?;
                Kind::ScalarExtreme { is_max: function == FunctionId::MaxOf, operands: Box::new([*first, second]) }
            }
            FunctionId::Vector => Kind::VectorOf(first),
            FunctionId::Absent => {
                let labels = call.args.first().map(absent_labels).unwrap_or_default();
                Kind::Absent { labels, child: first }
            }
            FunctionId::LabelReplace => {
                let (to, pattern) = (text(1), text(4));
                let regex = CaptureRegex::new(&pattern).map_err(|_| {
                    Error::execution(format!("invalid regular expression in label_replace(): {pattern}"))
                })?;
                if to.is_empty() {
                    return Err(Error::execution(format!("invalid destination label name in label_replace(): {to}")));
                }
                Kind::LabelReplace { child: first, to, template: text(2), from: text(3), regex }
            }
            FunctionId::LabelJoin => {
                let from: Vec<String> = (3..call.args.len()).map(text).collect();
                if from.iter().any(String::is_empty) {
                    return Err(Error::execution("invalid source label name in label_join(): "));
                }
                let to = text(1);
                if to.is_empty() {
                    return Err(Error::execution("invalid destination label name in label_join(): "));
                }
                Kind::LabelJoin { child: first, to, separator: text(2), from }
            }
            FunctionId::Sort | FunctionId::SortDesc => {
                let order = SortOrder::Value { is_descending: function == FunctionId::SortDesc };
                Kind::Sort { child: first, order }
            }
            FunctionId::SortByLabel | FunctionId::SortByLabelDesc => {
                let is_descending = function == FunctionId::SortByLabelDesc;
                let names = (1..call.args.len()).map(text).collect();
                Kind::Sort { child: first, order: SortOrder::Labels { names, is_descending } }
            }
            FunctionId::HistogramQuantile => {
                let child = Box::new(nodes.next().ok_or_else(missing)?);
                Kind::HistogramQuantiles { child, label: None, quantiles: vec![*first] }
            }
            FunctionId::HistogramQuantiles => {
                let quantiles = nodes.skip(1).collect();
                Kind::HistogramQuantiles { child: first, label: Some(text(1)), quantiles }
            }
            FunctionId::HistogramFraction => {
                let upper = nodes.next().ok_or_else(missing)?;
                let child = Box::new(nodes.next().ok_or_else(missing)?);
                Kind::HistogramFraction { child, bounds: Box::new([*first, upper]) }
            }
            FunctionId::Info => {
                // What it selects beside its argument depends on the series of that.
                let reads = Reads { at, offset_ms, range_ms: None, boundaries: Boundaries::Plain };
                self.reads(times(self.grid, self.lookback_ms, above.subqueries, reads));
                let (data, names) = info::matchers(call.args.get(1));
                Kind::Info(Info { child: first, data, names, at, offset_ms })
            }
            _ => Kind::Map { function, child: first, params: nodes.collect() },
        })
    }

    fn range_call(&mut self, id: usize, call: &Call, place: usize, inside: &Above) -> Result<Built> {
        let function = call.function.id;
        let (Some(arg), Some(first), Some(last)) = (call.args.get(place), call.args.first(), call.args.last()) else {
            return Err(Error::defect("a function of a range without arguments"));
        };
        let mut params = Vec::new();
        let mut is_invariant = !DEPEND_ON_TIME.contains(&function);
        let mut input = None;
        for (i, other) in call.args.iter().enumerate() {
            if i == place {
                let range = self.range_input(arg, inside)?;
                is_invariant &= range.is_fixed();
                input = Some(range);
            } else {
                let built = self.build(other, inside)?;
                is_invariant &= built.is_invariant;
                params.push(built);
            }
        }
        let input = input.ok_or_else(|| Error::defect("a function of a range without a range"))?;
        let refuse = |modifier: &str, functions: &[&str]| {
            let message = format!(
                "{modifier} modifier can only be used with: {} - not with {}",
                functions.join(", "),
                call.function.name
            );
            Err(Error::from(Repr::Execution { message }))
        };
        match input.boundaries() {
            Boundaries::Anchored if !ANCHORED.contains(&call.function.name) => return refuse("anchored", ANCHORED),
            Boundaries::Smoothed if !SMOOTHED.contains(&call.function.name) => return refuse("smoothed", SMOOTHED),
            _ => {}
        }
        let params = params.into_iter().map(|p| if is_invariant { p.node } else { self.once(p) }).collect();
        let span = call.span;
        // Prometheus evaluates a sub-query first, and forgets where it was.
        let is_subquery = matches!((first, &input), (Expr::Subquery(_), RangeInput::Subquery { .. }));
        let first_span = if is_subquery { Span::new(0, 0) } else { first.span() };
        let call = RangeCall {
            function,
            input,
            params,
            first_span,
            args_span: Span::new(first_span.start, last.span().end.max(first_span.start)),
            absent_labels: absent_labels(first),
        };
        let node = Node { id, span, kind: Kind::RangeCall(call) };
        Ok(Built { node, is_invariant, is_worth_it: true })
    }
}

/// The select below, if the labels of its series matter to nothing in between.
fn only_fetch(node: &Node) -> Option<usize> {
    match &node.kind {
        Kind::Select(select)
        | Kind::SampleTime { select, .. }
        | Kind::RangeCall(RangeCall { input: RangeInput::Select { select, .. }, .. })
            if !is_absent(&node.kind) =>
        {
            Some(select.fetch)
        }
        Kind::Map { child, .. } | Kind::Negate(child) | Kind::VectorScalar { vector: child, .. } => only_fetch(child),
        Kind::Invariant(child) => only_fetch(child),
        _ => None,
    }
}

fn is_absent(kind: &Kind) -> bool {
    matches!(kind, Kind::RangeCall(call) if call.function == FunctionId::AbsentOverTime)
}

/// The labels that a selector says exactly, each once.
fn absent_labels(expr: &Expr) -> Labels {
    let matchers = match expr {
        Expr::Vector(selector) => &selector.matchers,
        Expr::Matrix(matrix) => &matrix.selector.matchers,
        _ => return Labels::default(),
    };
    // What is said twice is not said; nor is what another matcher says something of later.
    let mut said: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    let mut equal: BTreeSet<&str> = BTreeSet::new();
    for matcher in matchers.iter().filter(|m| m.name() != METRIC_NAME) {
        let is_first = matcher.op() == MatchOp::Equal && equal.insert(matcher.name());
        said.insert(matcher.name(), is_first.then_some(matcher.value()));
    }
    Labels::from_pairs(said.into_iter().filter_map(|(name, value)| Some((name, value?)))).unwrap_or_default()
}
