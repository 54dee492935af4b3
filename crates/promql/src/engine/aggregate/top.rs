//! `topk` and `bottomk`.

use std::{collections::BTreeMap, sync::Arc};

use prometheus_model::Labels;

use super::Spec;
use crate::{
    ast::AggregateOp,
    engine::{
        annotations::Annotations,
        column::{Column, Series, is_present},
        labels::Groups,
        limits::{Budget, Reserved},
    },
    error::Result,
};

#[derive(Debug)]
pub(super) struct Top {
    spec: Spec,
    groups: Groups,
    /// For each group the best values at each step.
    heaps: Vec<Vec<Heap>>,
    /// Labels of the series that have been among the best.
    series: BTreeMap<usize, (Labels, bool)>,
    /// How many series there were.
    count: usize,
    reserved: Reserved,
}

/// Values with the numbers of their series. The worst one is at the root: Go's `container/heap`, so that of equal values
/// the same ones stay.
#[derive(Clone, Debug, Default)]
struct Heap(Vec<(f64, usize)>);

/// Whether `a` is worse than `b`. NaN is worse than anything.
fn is_worse(a: f64, b: f64, is_top: bool) -> bool {
    a.is_nan() || if is_top { a < b } else { a > b }
}

impl Heap {
    fn push(&mut self, value: (f64, usize), is_top: bool) {
        self.0.push(value);
        let mut child = self.0.len() - 1;
        while child > 0 {
            let parent = (child - 1) / 2;
            if !self.is_worse(child, parent, is_top) {
                break;
            }
            self.0.swap(child, parent);
            child = parent;
        }
    }

    fn is_worse(&self, a: usize, b: usize, is_top: bool) -> bool {
        match (self.0.get(a), self.0.get(b)) {
            (Some((a, _)), Some((b, _))) => is_worse(*a, *b, is_top),
            _ => false,
        }
    }

    /// Puts a value in the place of the worst one.
    fn replace_root(&mut self, value: (f64, usize), is_top: bool) {
        if let Some(root) = self.0.first_mut() {
            *root = value;
        }
        let mut parent = 0;
        loop {
            let left = 2 * parent + 1;
            if left >= self.0.len() {
                return;
            }
            let right = left + 1;
            let child = if right < self.0.len() && self.is_worse(right, left, is_top) { right } else { left };
            if !self.is_worse(child, parent, is_top) {
                return;
            }
            self.0.swap(parent, child);
            parent = child;
        }
    }

    /// Offers a value; whether it is among the best `k` now.
    fn offer(&mut self, value: f64, series: usize, k: usize, is_top: bool) -> bool {
        if self.0.len() < k {
            self.push((value, series), is_top);
            return true;
        }
        let is_better = self.0.first().is_some_and(|(worst, _)| {
            (if is_top { *worst < value } else { *worst > value }) || (worst.is_nan() && !value.is_nan())
        });
        if is_better {
            self.replace_root((value, series), is_top);
        }
        is_better
    }
}

impl Top {
    pub(super) fn new(spec: Spec, budget: &Arc<Budget>) -> Self {
        let groups = Groups::new(spec.key.clone());
        Self { spec, groups, heaps: Vec::new(), series: BTreeMap::new(), count: 0, reserved: budget.reserve() }
    }

    pub(super) fn push(&mut self, series: &Series, notes: &mut Annotations) -> Result<()> {
        let is_top = self.spec.op == AggregateOp::Topk;
        let steps = self.spec.grid.count;
        let group = self.groups.number(&series.labels);
        if group == self.heaps.len() {
            self.reserved.grow("groups of an aggregation", 0, (size_of::<Heap>() * steps) as u64)?;
            self.heaps.push(vec![Heap::default(); steps]);
        }
        let number = self.count;
        self.count += 1;
        if series.column.histograms.iter().any(Option::is_some) {
            notes.histogram_ignored_in_aggregation(self.spec.op.as_str(), self.spec.span);
        }
        let Some(heaps) = self.heaps.get_mut(group) else { return Ok(()) };
        let mut is_among = false;
        let mut grown = 0;
        for (step, (heap, &value)) in heaps.iter_mut().zip(&series.column.floats).enumerate() {
            if !is_present(value) {
                continue;
            }
            let k = self.spec.params.at(step).trunc();
            if k < 1.0 {
                continue;
            }
            let before = heap.0.len();
            is_among |= heap.offer(value, number, k as usize, is_top);
            grown += heap.0.len() - before;
        }
        self.reserved.grow("groups of an aggregation", grown as u64, 16 * grown as u64)?;
        if is_among {
            self.series.insert(number, (series.labels.clone(), series.drop_name));
        }
        Ok(())
    }

    pub(super) fn finish(self) -> (Vec<Series>, Reserved) {
        let Self { spec, heaps, series: known, reserved, .. } = self;
        let is_top = spec.op == AggregateOp::Topk;
        let mut columns: BTreeMap<usize, Column> = BTreeMap::new();
        let mut order = Vec::new();
        for heaps in heaps {
            for (step, Heap(mut best)) in heaps.into_iter().enumerate() {
                // The best first.
                best.sort_by(|(a, _), (b, _)| is_worse(*a, *b, is_top).cmp(&is_worse(*b, *a, is_top)));
                for (value, number) in best {
                    let column = columns.entry(number).or_insert_with(|| {
                        order.push(number);
                        Column::absent(spec.grid.count)
                    });
                    if let Some(place) = column.floats.get_mut(step) {
                        *place = value;
                    }
                }
            }
        }
        if !spec.grid.is_instant() {
            order.sort_unstable();
        }
        let series = order.into_iter().filter_map(|number| {
            let (labels, drop_name) = known.get(&number)?.clone();
            Some(Series { labels, drop_name, column: columns.remove(&number)? })
        });
        (series.collect(), reserved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_stay() {
        for is_top in [true, false] {
            let values = [3.0, f64::NAN, 1.0, 2.0, 5.0, 4.0, f64::NAN, 1.0];
            for k in 1..=values.len() {
                let mut heap = Heap::default();
                for (i, value) in values.iter().enumerate() {
                    heap.offer(*value, i, k, is_top);
                }
                let mut kept: Vec<_> = heap.0.iter().map(|(value, _)| *value).collect();
                kept.sort_by(|a, b| a.total_cmp(b));
                let mut expected = values.to_vec();
                expected.sort_by(|a, b| {
                    a.is_nan().cmp(&b.is_nan()).then(if is_top { b.total_cmp(a) } else { a.total_cmp(b) })
                });
                expected.truncate(k);
                expected.sort_by(|a, b| a.total_cmp(b));
                assert_eq!(format!("{kept:?}"), format!("{expected:?}"));
            }
        }
    }
}
