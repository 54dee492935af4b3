//! `limitk` and `limit_ratio`, which choose series without looking at values.

use std::sync::Arc;

use super::Spec;
use crate::{
    ast::AggregateOp,
    engine::{
        column::Series,
        labels::{Groups, sampling_hash},
        limits::{Budget, Reserved},
    },
    error::Result,
};

#[derive(Debug)]
pub(super) struct Limit {
    spec: Spec,
    groups: Groups,
    /// For each group, how many there are at each step.
    counts: Vec<Vec<u64>>,
    series: Vec<Series>,
    reserved: Reserved,
}

impl Limit {
    pub(super) fn new(spec: Spec, budget: &Arc<Budget>) -> Self {
        let groups = Groups::new(spec.key.clone());
        Self { spec, groups, counts: Vec::new(), series: Vec::new(), reserved: budget.reserve() }
    }

    pub(super) fn push(&mut self, mut series: Series) -> Result<()> {
        let params = &self.spec.params;
        let steps = 0..self.spec.grid.count;
        if self.spec.op == AggregateOp::LimitRatio {
            let place = sampling_hash(&series.labels) as f64 / u64::MAX as f64;
            for step in steps {
                let ratio = params.at(step).clamp(-1.0, 1.0);
                // A negative ratio is the rest of its complement.
                let is_in = (ratio > 0.0 && place < ratio) || (ratio < 0.0 && place >= 1.0 + ratio);
                if !is_in {
                    series.column.set(step, None);
                }
            }
        } else {
            let number = self.groups.number(&series.labels);
            if number == self.counts.len() {
                self.reserved.grow("groups of an aggregation", 0, 8 * self.spec.grid.count as u64)?;
                self.counts.push(vec![0; self.spec.grid.count]);
            }
            let Some(counts) = self.counts.get_mut(number) else { return Ok(()) };
            for (step, count) in steps.zip(counts) {
                if !series.column.is_present(step) {
                    continue;
                }
                if (*count as f64) < params.at(step).trunc() {
                    *count += 1;
                } else {
                    series.column.set(step, None);
                }
            }
        }
        if !series.column.is_empty() {
            self.reserved.grow("results", series.column.samples(), series.column.bytes())?;
            self.series.push(series);
        }
        Ok(())
    }

    pub(super) fn finish(self) -> (Vec<Series>, Reserved) {
        (self.series, self.reserved)
    }
}
