//! Aggregations that make one value of all values of a group.

use std::sync::Arc;

use super::{Spec, histograms::HistogramCell};
use crate::{
    ast::AggregateOp,
    engine::{
        annotations::Annotations,
        column::{Column, Point, Series, absent, is_present},
        kahan::{Kahan, Mean},
        labels::Groups,
        limits::{Budget, Reserved},
        scalars::Scalars,
    },
    error::Result,
    quantile::vector_quantile,
};

/// Groups, each with what was found at each step.
#[derive(Debug)]
pub(super) struct Values {
    spec: Spec,
    groups: Groups,
    cells: Vec<Group>,
    reserved: Reserved,
}

/// A group.
#[derive(Debug)]
struct Group {
    floats: Floats,
    /// Empty, or one for each step.
    histograms: Vec<Option<Box<HistogramCell>>>,
    drop_name: bool,
}

/// What is known of the floats of a group at each step.
#[derive(Debug)]
enum Floats {
    /// Sum and compensation, apart, so that loops run fast.
    Sum {
        sums: Vec<f64>,
        compensations: Vec<f64>,
    },
    Mean(Vec<Option<Mean>>),
    Count(Vec<f64>),
    Group(Vec<bool>),
    Extreme {
        values: Vec<f64>,
        is_max: bool,
    },
    Deviation(Vec<Deviation>),
    Values(Vec<Vec<f64>>),
}

/// Welford's mean and sum of squares.
#[derive(Clone, Copy, Debug, Default)]
struct Deviation {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Floats {
    fn new(op: AggregateOp, steps: usize) -> Self {
        match op {
            AggregateOp::Sum => Self::Sum { sums: vec![absent(); steps], compensations: vec![0.0; steps] },
            AggregateOp::Avg => Self::Mean(vec![None; steps]),
            AggregateOp::Count => Self::Count(vec![0.0; steps]),
            AggregateOp::Group => Self::Group(vec![false; steps]),
            AggregateOp::Min | AggregateOp::Max => {
                Self::Extreme { values: vec![absent(); steps], is_max: op == AggregateOp::Max }
            }
            AggregateOp::Stddev | AggregateOp::Stdvar => Self::Deviation(vec![Deviation::default(); steps]),
            _ => Self::Values(vec![Vec::new(); steps]),
        }
    }

    /// Bytes of each step.
    const fn step_bytes(op: AggregateOp) -> u64 {
        match op {
            AggregateOp::Avg => size_of::<Option<Mean>>() as u64,
            AggregateOp::Sum => 16,
            AggregateOp::Stddev | AggregateOp::Stdvar | AggregateOp::Quantile => 24,
            _ => 8,
        }
    }

    fn push(&mut self, column: &[f64]) {
        match self {
            Self::Sum { sums, compensations } => {
                for ((sum, compensation), &value) in sums.iter_mut().zip(compensations).zip(column) {
                    if !is_present(value) {
                        continue;
                    }
                    if is_present(*sum) {
                        let next = Kahan { sum: *sum, compensation: *compensation }.plus(value);
                        (*sum, *compensation) = (next.sum, next.compensation);
                    } else {
                        *sum = value;
                    }
                }
            }
            Self::Mean(means) => {
                for (mean, &value) in means.iter_mut().zip(column).filter(|(_, value)| is_present(**value)) {
                    match mean {
                        Some(mean) => mean.plus(value),
                        None => *mean = Some(Mean::new(value)),
                    }
                }
            }
            Self::Count(counts) => {
                for (count, value) in counts.iter_mut().zip(column) {
                    *count += f64::from(u8::from(is_present(*value)));
                }
            }
            Self::Group(seen) => {
                seen.iter_mut().zip(column).for_each(|(seen, value)| *seen |= is_present(*value));
            }
            Self::Extreme { values, is_max } => {
                let is_max = *is_max;
                for (best, &value) in values.iter_mut().zip(column).filter(|(_, value)| is_present(**value)) {
                    let is_better = if is_max { *best < value } else { *best > value };
                    if is_better || best.is_nan() {
                        *best = value;
                    }
                }
            }
            Self::Deviation(deviations) => {
                for (deviation, &value) in deviations.iter_mut().zip(column).filter(|(_, value)| is_present(**value)) {
                    deviation.push(value);
                }
            }
            Self::Values(steps) => {
                for (values, &value) in steps.iter_mut().zip(column).filter(|(_, value)| is_present(**value)) {
                    values.push(value);
                }
            }
        }
    }

    /// The result of each step.
    fn finish(self, op: AggregateOp, params: &Scalars) -> Vec<f64> {
        match self {
            Self::Sum { sums, compensations } => sums
                .into_iter()
                .zip(compensations)
                .map(|(sum, compensation)| if is_present(sum) { sum + compensation } else { sum })
                .collect(),
            Self::Mean(means) => means.into_iter().map(|mean| mean.map_or(absent(), Mean::mean)).collect(),
            Self::Count(counts) => counts.into_iter().map(|n| if n == 0.0 { absent() } else { n }).collect(),
            Self::Group(seen) => seen.into_iter().map(|seen| if seen { 1.0 } else { absent() }).collect(),
            Self::Extreme { values, .. } => values,
            Self::Deviation(deviations) => deviations.into_iter().map(|deviation| deviation.finish(op)).collect(),
            Self::Values(steps) => steps
                .into_iter()
                .enumerate()
                .map(|(step, mut values)| match &mut *values {
                    [] => absent(),
                    values => vector_quantile(params.at(step), values),
                })
                .collect(),
        }
    }
}

impl Deviation {
    fn push(&mut self, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.mean = value;
            self.squares = if value.is_finite() { 0.0 } else { f64::NAN };
            return;
        }
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }

    fn finish(self, op: AggregateOp) -> f64 {
        if self.count == 0.0 {
            return absent();
        }
        let variance = self.squares / self.count;
        if op == AggregateOp::Stddev { variance.sqrt() } else { variance }
    }
}

impl Values {
    pub(super) fn new(spec: Spec, budget: &Arc<Budget>) -> Self {
        Self { groups: Groups::new(spec.key.clone()), spec, cells: Vec::new(), reserved: budget.reserve() }
    }

    pub(super) fn push(&mut self, series: &Series, notes: &mut Annotations) -> Result<()> {
        let Spec { op, grid, child_span: span, .. } = self.spec;
        let number = self.groups.number(&series.labels);
        if number == self.cells.len() {
            self.reserved.grow("groups of an aggregation", 0, Floats::step_bytes(op) * grid.count as u64)?;
            let floats = Floats::new(op, grid.count);
            self.cells.push(Group { floats, histograms: Vec::new(), drop_name: false });
        }
        if op == AggregateOp::Quantile {
            self.reserved.grow("values of a quantile", 0, series.column.bytes())?;
        }
        let Some(group) = self.cells.get_mut(number) else { return Ok(()) };
        group.drop_name |= series.drop_name;
        let column = &series.column;
        if matches!(op, AggregateOp::Sum | AggregateOp::Avg)
            && (column.has_histograms() || !group.histograms.is_empty())
        {
            return group.push_histograms(op, series, grid.count, &mut self.reserved, notes, span);
        }
        if column.has_histograms() {
            match (&mut group.floats, op) {
                (Floats::Count(counts), _) => {
                    let present = column.histograms.iter().map(|histogram| f64::from(u8::from(histogram.is_some())));
                    counts.iter_mut().zip(present).for_each(|(count, one)| *count += one);
                }
                (Floats::Group(seen), _) => {
                    seen.iter_mut().zip(&column.histograms).for_each(|(seen, histogram)| *seen |= histogram.is_some());
                }
                _ if column.histograms.iter().any(Option::is_some) => {
                    notes.histogram_ignored_in_aggregation(op.as_str(), span);
                }
                _ => {}
            }
        }
        group.floats.push(&column.floats);
        Ok(())
    }

    pub(super) fn finish(self, notes: &mut Annotations) -> (Vec<Series>, Reserved) {
        let Self { spec, groups, cells, mut reserved } = self;
        let mut result = Vec::new();
        for (number, group) in cells.into_iter().enumerate() {
            let mut column = Column::of_floats(group.floats.finish(spec.op, &spec.params));
            for (step, cell) in group.histograms.into_iter().enumerate() {
                let Some(cell) = cell else { continue };
                if column.float(step).is_some() {
                    notes.mixed_floats_histograms_aggregation(spec.child_span);
                    column.set(step, None);
                    continue;
                }
                if !cell.is_incompatible() {
                    cell.note_hints(notes, spec.child_span);
                }
                column.set(step, cell.finish().map(|histogram| Point::Histogram(Arc::new(histogram))));
            }
            if column.is_empty() {
                continue;
            }
            let labels = groups.labels(number).cloned().unwrap_or_default();
            // What is too much now was too much while it was made.
            let _ = reserved.grow("groups of an aggregation", column.samples(), 0);
            result.push(Series { labels, drop_name: group.drop_name, column });
        }
        (result, reserved)
    }
}

impl Group {
    fn push_histograms(
        &mut self,
        op: AggregateOp,
        series: &Series,
        steps: usize,
        reserved: &mut Reserved,
        notes: &mut Annotations,
        span: crate::ast::Span,
    ) -> Result<()> {
        if self.histograms.is_empty() {
            reserved.grow("groups of an aggregation", 0, 8 * steps as u64)?;
            self.histograms = (0..steps).map(|_| None).collect();
        }
        let name = crate::engine::labels::metric_name(&series.labels);
        // Floats behind an incompatible histogram count no more.
        let mut floats = series.column.floats.clone();
        for (step, cell) in self.histograms.iter_mut().enumerate() {
            if cell.as_ref().is_some_and(|cell| cell.is_incompatible()) {
                floats.get_mut(step).into_iter().for_each(|value| *value = absent());
                continue;
            }
            let Some(histogram) = series.column.histogram(step) else { continue };
            match cell {
                Some(cell) => cell.push(histogram, name, notes, span),
                None => {
                    reserved.grow("groups of an aggregation", 0, 2 * histogram.size() as u64)?;
                    *cell = Some(Box::new(HistogramCell::new(op, histogram)));
                }
            }
        }
        self.floats.push(&floats);
        Ok(())
    }
}
