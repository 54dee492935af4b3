//! What is to be done for a query: a tree of [`Node`]s, and what they read.

mod build;
mod info;
mod resolve;
mod times;

use std::collections::BTreeMap;

use prometheus_model::{Labels, TimeRange, TimestampMs};
use prometheus_queryable::{Matcher, SelectHints};
use prometheus_re2::CaptureRegex;

use super::{
    grid::Grid,
    labels::Key,
    options::{EngineOptions, QueryRequest, QueryTimes},
};
use crate::{
    ast::{AggregateOp, BinaryOp, Boundaries, Span, ValueType, VectorMatching},
    error::{Repr, Result},
    function::FunctionId,
    parser::Parser,
};

/// A planned query.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) root: Node,
    pub(crate) grid: Grid,
    /// Whether the answer is for one time.
    pub(crate) is_instant: bool,
    pub(crate) value_type: ValueType,
    /// What is read. Every selector names one of them.
    pub(crate) fetches: Vec<Fetch>,
    /// All times that are read; half-open. `None` if nothing is read.
    pub(crate) range: Option<TimeRange>,
    pub(crate) lookback_ms: i64,
    /// How many nodes there are; they are numbered, parents first.
    pub(crate) nodes: usize,
}

/// A select.
#[derive(Debug)]
pub(crate) struct Fetch {
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) hints: SelectHints,
    /// How many selectors use it. If more than one, its series are kept until the last has.
    pub(crate) uses: usize,
}

/// A part of the plan.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: usize,
    /// Where it is in the query, without parentheses around it.
    pub(crate) span: Span,
    pub(crate) kind: Kind,
}

/// Series at a time.
#[derive(Clone, Debug)]
pub(crate) struct Select {
    pub(crate) fetch: usize,
    pub(crate) at: Option<TimestampMs>,
    pub(crate) offset_ms: i64,
    pub(crate) boundaries: Boundaries,
    /// Whether only count and sum of histograms matter, and whether counters were reset.
    pub(crate) stats_only: bool,
}

impl Select {
    /// The time that is looked at when the query is evaluated at `time`.
    pub(crate) fn reference(&self, time: TimestampMs) -> TimestampMs {
        self.at.unwrap_or(time).saturating_sub(self.offset_ms)
    }
}

/// A range vector.
#[derive(Debug)]
pub(crate) enum RangeInput {
    /// `foo[5m]`
    Select { select: Select, range_ms: i64 },
    /// `(…)[1h:5m]`
    Subquery { child: Box<Node>, at: Option<TimestampMs>, offset_ms: i64, range_ms: i64, step_ms: i64 },
}

impl RangeInput {
    pub(crate) const fn range_ms(&self) -> i64 {
        match self {
            Self::Select { range_ms, .. } | Self::Subquery { range_ms, .. } => *range_ms,
        }
    }

    /// The end of the range when the query is evaluated at `time`.
    pub(crate) fn reference(&self, time: TimestampMs) -> TimestampMs {
        match self {
            Self::Select { select, .. } => select.reference(time),
            Self::Subquery { at, offset_ms, .. } => at.unwrap_or(time).saturating_sub(*offset_ms),
        }
    }

    /// Whether the range is the same at each step.
    pub(crate) const fn is_fixed(&self) -> bool {
        match self {
            Self::Select { select, .. } => select.at.is_some(),
            Self::Subquery { at, .. } => at.is_some(),
        }
    }

    pub(crate) const fn boundaries(&self) -> Boundaries {
        match self {
            Self::Select { select, .. } => select.boundaries,
            Self::Subquery { .. } => Boundaries::Plain,
        }
    }
}

/// What a [`Node`] does. Those with a `Box<Node>` of scalars say so; others are vectors.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A scalar.
    Number(f64),
    /// A string.
    Text(String),
    /// A scalar: the time of the step in seconds.
    Time,
    /// A scalar of a vector.
    ScalarOf(Box<Node>),
    /// A scalar of two.
    ScalarExtreme {
        is_max: bool,
        operands: Box<[Node; 2]>,
    },
    /// A scalar of two.
    ScalarBinary {
        op: BinaryOp,
        operands: Box<[Node; 2]>,
    },
    /// A scalar.
    ScalarNegate(Box<Node>),
    /// The same at each step.
    Invariant(Box<Node>),
    Select(Select),
    /// `timestamp(foo)`, `start_timestamp(foo)`
    SampleTime {
        select: Select,
        is_start: bool,
    },
    /// A range vector that is not the argument of a function: only as the whole query.
    Range(RangeInput),
    RangeCall(RangeCall),
    /// A function of each value for itself, with scalars.
    Map {
        function: FunctionId,
        child: Box<Node>,
        params: Vec<Node>,
    },
    Negate(Box<Node>),
    VectorScalar {
        op: BinaryOp,
        return_bool: bool,
        vector: Box<Node>,
        scalar: Box<Node>,
        is_scalar_left: bool,
    },
    VectorVector {
        op: BinaryOp,
        return_bool: bool,
        matching: VectorMatching,
        operands: Box<[Node; 2]>,
    },
    Aggregate {
        op: AggregateOp,
        key: Key,
        param: Option<Box<Node>>,
        child: Box<Node>,
    },
    CountValues {
        key: Key,
        label: String,
        child: Box<Node>,
    },
    Absent {
        labels: Labels,
        child: Box<Node>,
    },
    VectorOf(Box<Node>),
    /// `hour()` and the like without an argument.
    DateNow(FunctionId),
    LabelReplace {
        child: Box<Node>,
        to: String,
        template: String,
        from: String,
        regex: CaptureRegex,
    },
    LabelJoin {
        child: Box<Node>,
        to: String,
        separator: String,
        from: Vec<String>,
    },
    Sort {
        child: Box<Node>,
        order: SortOrder,
    },
    HistogramQuantiles {
        child: Box<Node>,
        label: Option<String>,
        quantiles: Vec<Node>,
    },
    HistogramFraction {
        child: Box<Node>,
        bounds: Box<[Node; 2]>,
    },
    Info(Info),
}

/// A function of a range vector.
#[derive(Debug)]
pub(crate) struct RangeCall {
    pub(crate) function: FunctionId,
    pub(crate) input: RangeInput,
    /// Scalars.
    pub(crate) params: Vec<Node>,
    /// Where the first argument is.
    pub(crate) first_span: Span,
    /// From the first argument to the last.
    pub(crate) args_span: Span,
    /// Labels of the result of `absent_over_time`.
    pub(crate) absent_labels: Labels,
}

/// How series are sorted.
#[derive(Clone, Debug)]
pub(crate) enum SortOrder {
    Value { is_descending: bool },
    Labels { names: Vec<String>, is_descending: bool },
}

/// `info(v, {…})`
#[derive(Debug)]
pub(crate) struct Info {
    pub(crate) child: Box<Node>,
    /// Matchers of the second argument by label, none for the metric's name.
    pub(crate) data: BTreeMap<String, Vec<Matcher>>,
    /// Which metrics are info metrics.
    pub(crate) names: Vec<Matcher>,
    pub(crate) at: Option<TimestampMs>,
    pub(crate) offset_ms: i64,
}

impl Plan {
    /// Parses a query and plans it.
    ///
    /// # Errors
    /// If it is wrong, or exceeds a limit.
    pub(crate) fn of(options: &EngineOptions, parser: &Parser, request: &QueryRequest) -> Result<Self> {
        let mut expr = parser.parse(&request.query)?;
        let value_type = expr.value_type();
        let (grid, is_instant) = match request.times {
            QueryTimes::Instant(time) => (Grid::instant(time), true),
            QueryTimes::Range { start, end, step_ms } => {
                let refuse = |message: String| Err(Repr::Request { message }.into());
                if step_ms <= 0 {
                    return refuse(
                        "zero or negative query resolution step widths are not accepted. Try a positive integer".into(),
                    );
                }
                if end < start {
                    return refuse("end timestamp must not be before start time".into());
                }
                if !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
                    let documented = value_type.documented();
                    return refuse(format!(
                        "invalid expression type \"{documented}\" for range query, must be Scalar or instant Vector"
                    ));
                }
                (Grid::new("the query", start, end, step_ms, options.max_steps)?, false)
            }
        };
        resolve::resolve(&mut expr, request.times)?;
        let lookback = request.lookback.filter(|lookback| !lookback.is_zero()).unwrap_or(options.lookback);
        let lookback_ms = i64::try_from(lookback.as_millis()).unwrap_or(i64::MAX);
        let mut builder = build::Builder::new(options, grid, is_instant, lookback_ms);
        let root = builder.root(&expr)?;
        let (fetches, range, nodes) = builder.finish();
        Ok(Self { root, grid, is_instant, value_type, fetches, range, lookback_ms, nodes })
    }
}

impl Node {
    /// The nodes below, in order of evaluation.
    pub(crate) fn children(&self) -> Vec<&Self> {
        match &self.kind {
            Kind::Number(_)
            | Kind::Text(_)
            | Kind::Time
            | Kind::Select(_)
            | Kind::SampleTime { .. }
            | Kind::DateNow(_) => Vec::new(),
            Kind::ScalarOf(child)
            | Kind::ScalarNegate(child)
            | Kind::Invariant(child)
            | Kind::Negate(child)
            | Kind::CountValues { child, .. }
            | Kind::Absent { child, .. }
            | Kind::VectorOf(child)
            | Kind::LabelReplace { child, .. }
            | Kind::LabelJoin { child, .. }
            | Kind::Sort { child, .. }
            | Kind::Info(Info { child, .. }) => vec![child],
            Kind::ScalarExtreme { operands, .. }
            | Kind::ScalarBinary { operands, .. }
            | Kind::VectorVector { operands, .. } => operands.iter().collect(),
            Kind::Range(input) => input.child().into_iter().collect(),
            Kind::RangeCall(call) => call.input.child().into_iter().chain(&call.params).collect(),
            Kind::Map { child, params, .. } => std::iter::once(&**child).chain(params).collect(),
            Kind::VectorScalar { vector, scalar, is_scalar_left: false, .. } => vec![vector, scalar],
            Kind::VectorScalar { vector, scalar, .. } => vec![scalar, vector],
            Kind::Aggregate { param, child, .. } => param.as_deref().into_iter().chain([&**child]).collect(),
            Kind::HistogramQuantiles { child, quantiles, .. } => std::iter::once(&**child).chain(quantiles).collect(),
            Kind::HistogramFraction { child, bounds } => bounds.iter().chain([&**child]).collect(),
        }
    }
}

impl RangeInput {
    fn child(&self) -> Option<&Node> {
        match self {
            Self::Select { .. } => None,
            Self::Subquery { child, .. } => Some(child),
        }
    }
}
