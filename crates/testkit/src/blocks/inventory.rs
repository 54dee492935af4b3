//! All series of a block, in the order of their labels.

use std::{cmp::Ordering, collections::BTreeMap};

use prometheus_model::{Labels, METRIC_NAME};
use rayon::prelude::*;

use super::{
    clock::Grid,
    odd::{Odd, odd_series, tiny_series},
    rng::mix2,
    spec::BlockSpec,
    values::Series,
    world::{Member, Metric, World},
};

/// An out-of-order block has one in this many series of the block that it overlaps, if that is not tiny.
const LATE_SERIES: u64 = 3;

/// Walks through the series of a block, in the order of their labels.
///
/// In memory are the targets and the series of one metric in one cluster.
#[derive(Debug)]
pub struct SeriesIter {
    spec: BlockSpec,
    grid: Grid,
    world: World,
    members: Vec<Vec<Vec<Member>>>,
    parts: std::vec::IntoIter<Part>,
    /// Where in the parts to go on.
    current: Option<(Vec<(usize, usize)>, usize)>,
    ready: std::vec::IntoIter<Series>,
}

/// Series that have the same metric name.
#[derive(Debug)]
enum Part {
    Odd(Vec<Odd>),
    /// Numbers of tables and of metrics in them.
    Family(Vec<(usize, usize)>),
}

impl SeriesIter {
    pub(crate) fn new(spec: &BlockSpec) -> Self {
        let grid = spec.grid();
        let mut odd = match (spec.tiny, spec.odd_series) {
            (true, _) => tiny_series(spec.seed, grid.end, grid.interval_ms),
            (false, true) => odd_series(spec.seed, grid.end, grid.interval_ms),
            (false, false) => Vec::new(),
        };
        let most = if spec.tiny { spec.series } else { spec.series / 4 };
        odd.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        let odd_count = odd.len() as u64;
        let world = World::new(spec, spec.series - odd_count, odd_count);

        // A label that sorts before the name, or its absence, decides before the name does.
        let (mut first, mut last) = (Vec::new(), Vec::new());
        let mut parts = BTreeMap::<String, Part>::new();
        for odd in odd {
            let Some((label, value)) = odd.0.iter().next() else { continue };
            match label.cmp(METRIC_NAME) {
                Ordering::Less => first.push(odd),
                Ordering::Greater => last.push(odd),
                Ordering::Equal => match parts.entry(value.to_owned()).or_insert_with(|| Part::Odd(Vec::new())) {
                    Part::Odd(series) => series.push(odd),
                    Part::Family(_) => {}
                },
            }
        }
        for (t, table) in world.tables.iter().enumerate() {
            for (m, metric) in table.metrics.iter().enumerate() {
                let part = parts.entry(metric.name.clone()).or_insert_with(|| Part::Family(Vec::new()));
                if let Part::Family(metrics) = part {
                    metrics.push((t, m));
                }
            }
        }
        let parts = [Part::Odd(first)].into_iter().chain(parts.into_values()).chain([Part::Odd(last)]);
        let parts: Vec<_> = parts.collect();
        let members = world.members();
        Self {
            spec: spec.clone(),
            grid,
            world,
            members,
            parts: parts.into_iter(),
            current: None,
            ready: Vec::new().into_iter(),
        }
    }

    /// The next series that share a metric and a cluster.
    fn refill(&mut self) -> Option<Vec<Series>> {
        let mut series = match self.current.take() {
            Some((metrics, cluster)) if cluster < self.members.len() => {
                let series = self.family(&metrics, cluster);
                self.current = Some((metrics, cluster + 1));
                series
            }
            _ => match self.parts.next()? {
                Part::Family(metrics) => {
                    self.current = Some((metrics, 0));
                    Vec::new()
                }
                Part::Odd(odd) => {
                    let series = |(labels, target, shape)| Series {
                        labels,
                        target,
                        shape,
                        seed: self.spec.seed,
                        grid: self.grid,
                        out_of_order: self.spec.out_of_order,
                    };
                    odd.into_iter().map(series).collect()
                }
            },
        };
        if self.spec.out_of_order {
            let one_in = if self.spec.tiny { 1 } else { LATE_SERIES };
            let drawn = |s: &Series| mix2(s.seed, s.labels.stable_hash()).is_multiple_of(one_in);
            series.retain(|s| drawn(s) && s.samples().next().is_some());
        }
        series.par_sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        Some(series)
    }

    fn family(&self, metrics: &[(usize, usize)], cluster: usize) -> Vec<Series> {
        let of_metric = |&(table, metric): &(usize, usize)| {
            let metric = &self.world.tables[table].metrics[metric];
            self.members[cluster][table].iter().map(move |member| (metric, member))
        };
        let members: Vec<_> = metrics.iter().flat_map(of_metric).collect();
        let series = |(metric, member): &(&Metric, &Member)| self.of_member(metric, member);
        members.par_iter().flat_map_iter(series).collect()
    }

    /// The series of a metric that an entity has.
    fn of_member(&self, metric: &Metric, member: &Member) -> Vec<Series> {
        let Member { entity, offset, limit } = *member;
        let entity = &self.world.entities[entity];
        let count = limit.saturating_sub(metric.first).min(metric.series);
        let series = |variant| {
            let own = metric.variant(variant);
            let extra = self.extra_labels(entity.first + offset + metric.first + variant);
            let pairs = entity.labels.iter().chain([(METRIC_NAME, metric.name.as_str())]);
            let pairs = pairs.chain(own.iter().map(|(name, value)| (*name, value.as_str())));
            let pairs = pairs.chain(extra.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            Series {
                labels: Labels::from_pairs(pairs).expect("the names of entities, axes and extra labels differ"),
                target: entity.target,
                shape: metric.shape(variant),
                seed: self.spec.seed,
                grid: self.grid,
                out_of_order: self.spec.out_of_order,
            }
        };
        (0..count).map(series).collect()
    }

    /// The extra labels of the series `number`. All names occur once before one occurs again.
    fn extra_labels(&self, number: u64) -> Vec<(String, String)> {
        let (names, each) = (u64::from(self.spec.extra_labels), u64::from(self.spec.extra_labels_per_series));
        let label = |i| {
            let name = (number * each + i) % names;
            (format!("label_extra_{name:06}"), format!("value-{}", mix2(number, name) % 20))
        };
        if names == 0 { Vec::new() } else { (0..each).map(label).collect() }
    }
}

impl Iterator for SeriesIter {
    type Item = Series;

    fn next(&mut self) -> Option<Series> {
        loop {
            if let Some(series) = self.ready.next() {
                return Some(series);
            }
            self.ready = self.refill()?.into_iter();
        }
    }
}
