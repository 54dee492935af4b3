//! `count_values`: a series for each value.

use std::sync::Arc;

use prometheus_model::{ApiFloatText, Labels};

use crate::{
    engine::{
        column::{Column, Point, Series},
        labels::{self, Groups, Key},
        limits::{Budget, Reserved},
    },
    error::Result,
};

/// Counts of the values.
#[derive(Debug)]
pub(crate) struct CountValues {
    label: String,
    groups: Groups,
    counts: Vec<Vec<f64>>,
    steps: usize,
    reserved: Reserved,
}

/// As Prometheus writes labels: without an exponent.
fn text_of(point: &Point) -> String {
    match point {
        Point::Float(value) if value.is_finite() => value.to_string(),
        Point::Float(value) => ApiFloatText(*value).to_string(),
        Point::Histogram(histogram) => histogram.to_string(),
    }
}

impl CountValues {
    pub(crate) fn new(key: Key, label: String, steps: usize, budget: &Arc<Budget>) -> Self {
        Self { label, groups: Groups::new(key), counts: Vec::new(), steps, reserved: budget.reserve() }
    }

    pub(crate) fn push(&mut self, series: &Series) -> Result<()> {
        // Values that follow each other are often the same.
        let mut last: Option<(u64, usize)> = None;
        for step in 0..series.column.len() {
            let Some(point) = series.column.get(step) else { continue };
            let bits = match &point {
                Point::Float(value) => Some(value.to_bits()),
                Point::Histogram(_) => None,
            };
            let number = match (last, bits) {
                (Some((before, number)), Some(bits)) if before == bits => number,
                _ => self.number(&series.labels, &text_of(&point))?,
            };
            last = bits.map(|bits| (bits, number));
            if let Some(count) = self.counts.get_mut(number).and_then(|counts| counts.get_mut(step)) {
                *count += 1.0;
            }
        }
        Ok(())
    }

    fn number(&mut self, labels: &Labels, text: &str) -> Result<usize> {
        let number = self.groups.number(&labels::with(labels, &self.label, text));
        if number == self.counts.len() {
            self.reserved.grow("counts of values", self.steps as u64, 8 * self.steps as u64)?;
            self.counts.push(vec![0.0; self.steps]);
        }
        Ok(number)
    }

    pub(crate) fn finish(self) -> (Vec<Series>, Reserved) {
        let groups = self.groups;
        let series = self.counts.into_iter().enumerate().map(|(number, mut counts)| {
            for count in counts.iter_mut().filter(|count| **count == 0.0) {
                *count = crate::engine::column::absent();
            }
            let labels = groups.labels(number).cloned().unwrap_or_default();
            Series { labels, drop_name: false, column: Column::of_floats(counts) }
        });
        (series.collect(), self.reserved)
    }
}
