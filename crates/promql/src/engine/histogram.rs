//! `histogram_quantile`, `histogram_quantiles` and `histogram_fraction`, of classic and native histograms.

use std::sync::Arc;

use prometheus_model::{FloatHistogram, FloatText, Labels, TimestampMs};

use super::{
    annotations::Annotations,
    binary::same_labels,
    column::{Column, Point, Series},
    grid::Grid,
    labels::{self, Groups, Key},
    merge::merge,
    pipeline::Interrupt,
    scalars::Scalars,
};
use crate::{
    ast::Span,
    error::Result,
    quantile::{ClassicBucket, NativeNote, classic_fraction, classic_quantile, native_fraction, native_quantile},
};

const BUCKET: &str = "le";

/// Histograms of a vector: buckets of classic ones put together.
#[derive(Debug)]
pub(super) struct Histograms {
    groups: Vec<Classic>,
    native: Vec<Native>,
    grid: Grid,
    /// Whether names are removed when the query is done.
    delays_names: bool,
    span: Span,
}

/// A classic histogram.
#[derive(Debug)]
struct Classic {
    labels: Labels,
    /// Upper bounds with their counts.
    buckets: Vec<(f64, Column)>,
}

/// A native histogram.
#[derive(Debug)]
struct Native {
    labels: Labels,
    column: Column,
    /// The classic histogram of the same labels.
    classic: Option<usize>,
}

/// What is computed.
#[derive(Debug)]
pub(super) enum Question {
    Quantile { q: Scalars, label: Option<String> },
    Fraction { lower: Scalars, upper: Scalars },
}

impl Histograms {
    pub(super) fn of(series: Vec<Series>, grid: Grid, delays_names: bool, span: Span, notes: &mut Annotations) -> Self {
        let mut numbers = Groups::new(Key::all_but(&[BUCKET]));
        let mut groups: Vec<Classic> = Vec::new();
        let mut native = Vec::new();
        for series in series {
            let Series { labels, column, .. } = series;
            let Column { floats, histograms } = column;
            let floats = Column::of_floats(floats);
            let text = labels.get(BUCKET).unwrap_or_default();
            if !floats.is_empty() {
                match text.parse::<f64>() {
                    Ok(bound) => {
                        let number = numbers.number(&labels);
                        if number == groups.len() {
                            let labels = labels::filtered(&labels, |name| name != BUCKET);
                            groups.push(Classic { labels, buckets: Vec::new() });
                        }
                        groups
                            .get_mut(number)
                            .into_iter()
                            .for_each(|group| group.buckets.push((bound, floats.clone())));
                    }
                    Err(_) => {
                        let name = if delays_names { labels::metric_name(&labels) } else { "" };
                        notes.bad_bucket_label(name, text, span);
                    }
                }
            }
            if histograms.iter().any(Option::is_some) {
                let column = Column { floats: Vec::new(), histograms };
                native.push(Native { labels, column, classic: None });
            }
        }
        for native in native.iter_mut().filter(|native| native.labels.get(BUCKET).is_none()) {
            native.classic = numbers.find(&native.labels).filter(|number| *number < groups.len());
        }
        Self { groups, native, grid, delays_names, span }
    }

    /// Appends one series for each histogram.
    ///
    /// # Errors
    /// If the query is to stop.
    pub(super) fn ask(
        &self,
        question: &Question,
        interrupt: &Interrupt,
        notes: &mut Annotations,
        result: &mut Vec<Series>,
    ) -> Result<()> {
        let steps = self.grid.count;
        // Where a native and a classic histogram have the same labels, neither counts.
        let is_present = |group: &Classic, step: usize| group.buckets.iter().any(|(_, column)| column.is_present(step));
        let mut clashes = vec![Vec::new(); self.groups.len()];
        for native in &self.native {
            interrupt.check()?;
            let mut column = Column::absent(steps);
            for step in 0..steps {
                let Some(histogram) = native.column.histogram(step) else { continue };
                let classic = native.classic.and_then(|number| Some((number, self.groups.get(number)?)));
                if let Some((number, _)) = classic.filter(|(_, group)| is_present(group, step)) {
                    let name = if self.delays_names { labels::metric_name(&native.labels) } else { "" };
                    notes.mixed_classic_native(name, self.span);
                    clashes.get_mut(number).into_iter().for_each(|steps| steps.push(step));
                    continue;
                }
                let value = self.native(question, step, histogram, &native.labels, notes);
                column.set(step, Some(Point::Float(value)));
            }
            self.add(&native.labels, column, question, result);
        }
        let mut buckets = Vec::new();
        for (group, clashes) in self.groups.iter().zip(clashes) {
            interrupt.check()?;
            let mut column = Column::absent(steps);
            for (step, time) in self.grid.times().enumerate() {
                buckets.clear();
                buckets.extend(group.buckets.iter().filter_map(|(upper_bound, column)| {
                    Some(ClassicBucket { upper_bound: *upper_bound, count: column.float(step)? })
                }));
                if buckets.is_empty() || clashes.contains(&step) {
                    continue;
                }
                let value = self.classic(question, step, time, &mut buckets, &group.labels, notes);
                column.set(step, Some(Point::Float(value)));
            }
            self.add(&group.labels, column, question, result);
        }
        Ok(())
    }

    fn native(
        &self,
        question: &Question,
        step: usize,
        histogram: &Arc<FloatHistogram>,
        labels: &Labels,
        notes: &mut Annotations,
    ) -> f64 {
        let (value, note) = match question {
            Question::Quantile { q, .. } => native_quantile(q.at(step), histogram),
            Question::Fraction { lower, upper } => native_fraction(lower.at(step), upper.at(step), histogram),
        };
        if let Some(note) = note {
            // Names that are gone are not mentioned.
            let name = if self.delays_names { labels::metric_name(labels) } else { "" };
            match note {
                NativeNote::NanResult => notes.quantile_of_nans(name, self.span),
                NativeNote::NanSkew => notes.quantile_skewed_by_nans(name, self.span),
                NativeNote::NanFraction => notes.fraction_of_nans(name, self.span),
            }
        }
        value
    }

    fn classic(
        &self,
        question: &Question,
        step: usize,
        time: TimestampMs,
        buckets: &mut Vec<ClassicBucket>,
        labels: &Labels,
        notes: &mut Annotations,
    ) -> f64 {
        match question {
            Question::Quantile { q, .. } => {
                let (value, forced) = classic_quantile(q.at(step), buckets);
                if let Some(forced) = forced {
                    let name = if self.delays_names { labels::metric_name(labels) } else { "" };
                    let bounds = (forced.min_bucket, forced.max_bucket);
                    notes.forced_monotonicity(name, self.span, time, bounds, forced.max_diff);
                }
                value
            }
            Question::Fraction { lower, upper } => classic_fraction(lower.at(step), upper.at(step), buckets),
        }
    }

    fn add(&self, labels: &Labels, column: Column, question: &Question, result: &mut Vec<Series>) {
        if column.is_empty() {
            return;
        }
        let labels = if self.delays_names { labels.clone() } else { labels::without_name(labels) };
        let Question::Quantile { q, label: Some(label) } = question else {
            result.push(Series { labels, drop_name: true, column });
            return;
        };
        // The label says which quantile, and that may be another one at each step.
        match q {
            Scalars::Constant(q) => {
                let labels = labels::with(&labels, label, &open_metrics(*q));
                result.push(Series { labels, drop_name: true, column });
            }
            Scalars::Steps(_) => {
                let mut by_quantile: Vec<(u64, Column)> = Vec::new();
                for step in 0..column.len() {
                    let Some(value) = column.get(step) else { continue };
                    let bits = q.at(step).to_bits();
                    let place = by_quantile.iter().position(|(b, _)| *b == bits).unwrap_or_else(|| {
                        by_quantile.push((bits, Column::absent(column.len())));
                        by_quantile.len() - 1
                    });
                    by_quantile
                        .get_mut(place)
                        .into_iter()
                        .for_each(|(_, column)| column.set(step, Some(value.clone())));
                }
                result.extend(by_quantile.into_iter().map(|(bits, column)| {
                    let labels = labels::with(&labels, label, &open_metrics(f64::from_bits(bits)));
                    Series { labels, drop_name: true, column }
                }));
            }
        }
    }
}

/// Puts results together that names do not tell apart any more.
pub(super) fn merged(series: Vec<Series>, is_instant: bool, delays_names: bool) -> Result<Vec<Series>> {
    if is_instant && delays_names { Ok(series) } else { merge(series).ok_or_else(same_labels) }
}

/// A float as OpenMetrics writes it: never without a point.
fn open_metrics(value: f64) -> String {
    let mut text = FloatText(value).to_string();
    if value.is_finite() && !text.contains(['e', '.']) {
        text.push_str(".0");
    }
    if value == 0.0 { "0.0".to_owned() } else { text }
}
