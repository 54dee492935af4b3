//! Plans for people.

use std::{fmt, time::Duration};

use super::plan::{Kind, Node, Plan, RangeInput, Select};
use crate::ast::{AggregateOp, Span};

/// What a part of a plan took.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeStats {
    /// With what is below.
    pub(crate) time: Duration,
    pub(crate) series: u64,
    pub(crate) samples: u64,
}

/// How a query is evaluated, and what each part of it took.
#[derive(Clone, PartialEq, Debug)]
pub struct Explain {
    /// At how many times.
    pub steps: usize,
    /// What is read: matchers, times and hints, one line each.
    pub selects: Vec<String>,
    /// The plan.
    pub root: ExplainNode,
}

/// A part of a plan.
#[derive(Clone, PartialEq, Debug)]
pub struct ExplainNode {
    /// What it does.
    pub text: String,
    /// Where it is in the query.
    pub span: Span,
    /// How long it took, with what is below. `None` if it ran as a part of the node above.
    pub time: Option<Duration>,
    /// How many series it gave.
    pub series: u64,
    /// How many samples these had, as Prometheus counts them.
    pub samples: u64,
    /// What it is made of.
    pub children: Vec<Self>,
}

impl Explain {
    pub(crate) fn of(plan: &Plan) -> Self {
        Self::of_run(plan, &[])
    }

    pub(crate) fn of_run(plan: &Plan, stats: &[NodeStats]) -> Self {
        let selects = plan.fetches.iter().map(|fetch| {
            let matchers: Vec<_> = fetch.matchers.iter().map(ToString::to_string).collect();
            let range = fetch.hints.range;
            let mut text = format!("{{{}}} in [{}, {}) ms", matchers.join(", "), range.start(), range.end());
            if fetch.uses > 1 {
                text.push_str(&format!(", kept for {} selectors", fetch.uses));
            }
            if let Some(projection) = &fetch.hints.projection {
                text.push_str(&format!(", labels: {projection:?}"));
            }
            text
        });
        Self { steps: plan.grid.count, selects: selects.collect(), root: ExplainNode::of(&plan.root, stats) }
    }
}

impl ExplainNode {
    fn of(node: &Node, stats: &[NodeStats]) -> Self {
        let found = stats.get(node.id).cloned().unwrap_or_default();
        Self {
            text: text(&node.kind),
            span: node.span,
            time: (!found.time.is_zero()).then_some(found.time),
            series: found.series,
            samples: found.samples,
            children: node.children().into_iter().map(|child| Self::of(child, stats)).collect(),
        }
    }
}

fn select_text(select: &Select) -> String {
    let mut text = format!("select {}", select.fetch);
    if let Some(at) = select.at {
        text.push_str(&format!(" @ {at} ms"));
    }
    if select.offset_ms != 0 {
        text.push_str(&format!(" offset {} ms", select.offset_ms));
    }
    text
}

fn text(kind: &Kind) -> String {
    let range = |input: &RangeInput| match input {
        RangeInput::Select { select, range_ms } => format!("{} over {range_ms} ms", select_text(select)),
        RangeInput::Subquery { range_ms, step_ms, .. } => format!("sub-query over {range_ms} ms every {step_ms} ms"),
    };
    match kind {
        Kind::Number(value) => value.to_string(),
        Kind::Text(text) => format!("{text:?}"),
        Kind::Time => "time".to_owned(),
        Kind::ScalarOf(_) => "scalar of the only series".to_owned(),
        Kind::ScalarExtreme { is_max, .. } => if *is_max { "max_of" } else { "min_of" }.to_owned(),
        Kind::ScalarBinary { op, .. } => format!("scalar {op} scalar"),
        Kind::ScalarNegate(_) => "- scalar".to_owned(),
        Kind::Invariant(_) => "once for all steps".to_owned(),
        Kind::Select(select) => select_text(select),
        Kind::SampleTime { select, .. } => format!("sample times of {}", select_text(select)),
        Kind::Range(input) => range(input),
        Kind::RangeCall(call) => format!("{:?} of {}", call.function, range(&call.input)),
        Kind::Map { function, .. } => format!("{function:?} of each value"),
        Kind::Negate(_) => "- vector".to_owned(),
        Kind::VectorScalar { op, is_scalar_left: false, .. } => format!("vector {op} scalar"),
        Kind::VectorScalar { op, .. } => format!("scalar {op} vector"),
        Kind::VectorVector { op, matching, .. } => format!("vector {op} vector, {}", matching.cardinality),
        Kind::Aggregate { op, .. } => match op {
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk | AggregateOp::LimitRatio => {
                format!("{op}, series of groups")
            }
            _ => format!("{op} of groups"),
        },
        Kind::CountValues { .. } => "count_values of groups".to_owned(),
        Kind::Absent { .. } => "absent".to_owned(),
        Kind::VectorOf(_) => "vector of a scalar".to_owned(),
        Kind::DateNow(function) => format!("{function:?} of the time"),
        Kind::LabelReplace { to, .. } => format!("label_replace of {to:?}"),
        Kind::LabelJoin { to, .. } => format!("label_join to {to:?}"),
        Kind::Sort { .. } => "sort".to_owned(),
        Kind::HistogramQuantiles { .. } => "histogram quantiles".to_owned(),
        Kind::HistogramFraction { .. } => "histogram fraction".to_owned(),
        Kind::Info(_) => "info".to_owned(),
    }
}

/// The plan as a tree, indented.
impl fmt::Display for Explain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} step{}", self.steps, if self.steps == 1 { "" } else { "s" })?;
        for (i, select) in self.selects.iter().enumerate() {
            writeln!(f, "select {i}: {select}")?;
        }
        self.root.write(f, 0)
    }
}

impl ExplainNode {
    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        write!(f, "{:indent$}{}", "", self.text, indent = 2 * depth)?;
        if let Some(time) = self.time {
            write!(f, "  [{time:.1?}, {} series, {} samples]", self.series, self.samples)?;
        }
        writeln!(f)?;
        self.children.iter().try_for_each(|child| child.write(f, depth + 1))
    }
}
