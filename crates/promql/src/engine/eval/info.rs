//! `info`: labels of info metrics, added to other series.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use prometheus_chunks::{Encoding, ValueKind};
use prometheus_model::{Labels, METRIC_NAME};
use prometheus_queryable::{MatchOp, Matcher, SelectHints};
use prometheus_re2::quote_meta;

use super::{Matrix, Run};
use crate::{
    ast::Boundaries,
    engine::{
        column::{Column, Series, is_present},
        grid::Grid,
        labels::{self, Groups, Key},
        limits::Reserved,
        pipeline::{Done, Leaf, Work},
        plan::{Info, Select},
    },
    error::{Error, Result},
};

/// Labels by which series find their info series, in order.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// An info series: at each step the time of its sample.
struct InfoSeries {
    labels: Labels,
    times: Vec<f64>,
    /// Which series it belongs to, by identifying labels, and its metric.
    group: usize,
    metric: usize,
}

impl Run<'_> {
    pub(super) async fn info(&mut self, info: &Info, grid: Grid) -> Result<Matrix> {
        let Matrix { series, mut reserved } = self.vector(&info.child, grid).await?;
        let mut held = self.budget.reserve();
        let is_info = |labels: &Labels| {
            let name = labels::metric_name(labels);
            info.names.iter().all(|matcher| matcher.matches(name))
        };
        let ignored: HashSet<Labels> =
            series.iter().map(|series| &series.labels).filter(|labels| is_info(labels)).cloned().collect();
        let mut identity = Groups::new(Key::grouping(&IDENTIFYING.map(str::to_owned), false));
        let mut metrics: BTreeMap<String, usize> = BTreeMap::new();
        let mut infos = Vec::new();
        for matchers in
            identifying_matchers(series.iter().map(|series| &series.labels).filter(|l| !ignored.contains(l)))
        {
            let data = info.data.values().flatten();
            let all: Vec<_> = matchers.iter().chain(data).chain(&info.names).cloned().collect();
            for (labels, times) in self.info_series(info, &all, grid, &mut held).await? {
                let group = identity.number(&labels);
                let next = metrics.len();
                let metric = *metrics.entry(labels::metric_name(&labels).to_owned()).or_insert(next);
                infos.push(InfoSeries { labels, times, group, metric });
            }
        }
        let mut newest: HashMap<(usize, usize), Vec<usize>> = HashMap::new();
        for (i, info) in infos.iter().enumerate() {
            newest.entry((info.group, info.metric)).or_default().push(i);
        }

        // As in Prometheus, the first step counts at which something is wrong.
        let mut failed = first_duplicate(&infos, &series, grid.count);
        let wants_match = info.data.values().flatten().any(|matcher| !matcher.matches_absent());
        let mut results: Vec<Series> = Vec::new();
        for series in series {
            self.pause().await?;
            if ignored.contains(&series.labels) {
                results.push(series);
                continue;
            }
            let group = identity.find(&series.labels);
            let candidates: Vec<&Vec<usize>> = group
                .map(|group| (0..metrics.len()).filter_map(|metric| newest.get(&(group, metric))).collect())
                .unwrap_or_default();
            // Labels by step, mostly the same at all.
            let mut by_labels: Vec<(Labels, Column)> = Vec::new();
            for step in 0..grid.count {
                if failed.as_ref().is_some_and(|(failed, _)| *failed <= step) {
                    break;
                }
                let Some(point) = series.column.get(step) else { continue };
                let newest = |all: &&Vec<usize>| newest_at(all.iter().filter_map(|i| infos.get(*i)), step);
                let found: Vec<&InfoSeries> = candidates.iter().filter_map(newest).collect();
                if found.is_empty() && wants_match {
                    continue;
                }
                let added = match added_labels(&series.labels, &found, info) {
                    Ok(added) => added,
                    Err(error) => {
                        failed = Some((step, error));
                        break;
                    }
                };
                let changes: Vec<_> = added.iter().map(|(name, value)| (*name, *value)).collect();
                let labels = labels::with_all(&series.labels, &changes);
                let place = by_labels.iter().position(|(there, _)| *there == labels).unwrap_or_else(|| {
                    by_labels.push((labels, Column::absent(grid.count)));
                    by_labels.len() - 1
                });
                by_labels.get_mut(place).into_iter().for_each(|(_, column)| column.set(step, Some(point.clone())));
            }
            let drop_name = series.drop_name;
            for (labels, column) in by_labels {
                reserved.grow("results", 0, column.bytes() + labels::bytes(&labels))?;
                results.push(Series { labels, drop_name, column });
            }
        }
        match failed {
            Some((_, error)) => Err(error),
            None => self.merged(results, reserved).await,
        }
    }

    /// Info series with the times of their samples.
    async fn info_series(
        &mut self,
        info: &Info,
        matchers: &[Matcher],
        grid: Grid,
        held: &mut Reserved,
    ) -> Result<Vec<(Labels, Vec<f64>)>> {
        let lookback_ms = self.plan.lookback_ms;
        let select = Select {
            fetch: 0,
            at: info.at,
            offset_ms: info.offset_ms,
            boundaries: Boundaries::Plain,
            stats_only: false,
        };
        let (first, last) = (select.reference(grid.start), select.reference(grid.last()));
        let start = first.saturating_sub(lookback_ms.saturating_sub(1));
        let range = prometheus_model::TimeRange::new(start, last.saturating_add(1))
            .map_err(|e| Error::defect(e.to_string()))?;
        let mut hints = SelectHints::new(range);
        hints.step_ms = grid.step;
        hints.function = Some("info".to_owned());
        let querier = self.querier.as_deref().ok_or_else(|| Error::defect("info without a querier"))?;
        let mut set = querier.select(matchers, &hints).await?;
        let leaf = Leaf::SampleTime { select, grid, lookback_ms, is_start: false };
        let work = Arc::new(Work {
            leaf: Some(leaf),
            ops: Vec::new(),
            steps: grid.count,
            delays_names: true,
            is_projected: false,
            max_samples: self.max_samples,
            stats_steps: self.stats.samples_per_step.len(),
        });
        let mut found = Vec::new();
        while let Some(batch) = set.next().await? {
            if let Some(series) = batch.iter().find(|series| has_histograms(series)) {
                let labels = &series.labels;
                return Err(Error::execution(format!("this should be an info metric, with float samples: {labels}")));
            }
            let (work, budget) = (Arc::clone(&work), Arc::clone(&self.budget));
            let Done { series, notes, stats, reserved, .. } =
                self.compute(move |interrupt| work.run(&batch, &budget, interrupt)).await?;
            self.take_notes(notes, stats, grid.counted);
            held.absorb(reserved);
            found.extend(series.into_iter().map(|series| (series.labels, series.column.floats)));
        }
        set.warnings().iter().for_each(|warning| self.annotations.storage(warning.message.clone()));
        Ok(found)
    }
}

fn has_histograms(series: &prometheus_queryable::Series) -> bool {
    let is_histogram = |encoding: Encoding| encoding.value_kind() != Some(ValueKind::Float);
    match &series.data {
        prometheus_queryable::SeriesData::Labels => false,
        prometheus_queryable::SeriesData::Chunks(chunks) => chunks.iter().any(|chunk| is_histogram(chunk.encoding)),
        prometheus_queryable::SeriesData::Samples(samples) => {
            samples.iter().any(|sample| !matches!(sample.value, prometheus_model::Value::Float(_)))
        }
    }
}

/// The one with the latest sample.
fn newest_at<'i>(candidates: impl Iterator<Item = &'i InfoSeries>, step: usize) -> Option<&'i InfoSeries> {
    let mut newest: Option<(f64, &InfoSeries)> = None;
    for candidate in candidates {
        let Some(time) = candidate.times.get(step).copied().filter(|time| is_present(*time)) else { continue };
        if newest.is_none_or(|(best, _)| best < time) {
            newest = Some((time, candidate));
        }
    }
    newest.map(|(_, series)| series)
}

/// The first step at which there is a series and two info series of a group have samples of the same time, whichever
/// series they belong to.
fn first_duplicate(infos: &[InfoSeries], series: &[Series], steps: usize) -> Option<(usize, Error)> {
    let mut newest: HashMap<(usize, usize), (f64, &InfoSeries)> = HashMap::new();
    for step in (0..steps).filter(|step| series.iter().any(|series| series.column.is_present(*step))) {
        newest.clear();
        for info in infos {
            let Some(time) = info.times.get(step).copied().filter(|time| is_present(*time)) else { continue };
            match newest.get(&(info.group, info.metric)) {
                Some((best, _)) if *best > time => {}
                Some((best, there)) if *best == time => {
                    let time = (time * 1000.0).round();
                    let (there, new) = (&there.labels, &info.labels);
                    let message = "found duplicate series for info metric: existing";
                    return Some((step, Error::execution(format!("{message} {there} @ {time}, new {new} @ {time}"))));
                }
                _ => {
                    newest.insert((info.group, info.metric), (time, info));
                }
            }
        }
    }
    None
}

/// Labels of info series that a series lacks.
fn added_labels<'i>(base: &Labels, found: &[&'i InfoSeries], info: &Info) -> Result<BTreeMap<&'i str, &'i str>> {
    let mut added = BTreeMap::new();
    for series in found {
        for (name, value) in series.labels.iter() {
            if name == METRIC_NAME || (!info.data.is_empty() && !info.data.contains_key(name)) {
                continue;
            }
            if added.get(name).is_some_and(|there| *there != value) {
                return Err(Error::execution(format!("conflicting label: {name}")));
            }
            if base.get(name).is_none() {
                added.insert(name, value);
            }
        }
    }
    Ok(added)
}

/// Matchers for the identifying labels of series: a set for those that have both labels, and one for each one of them.
fn identifying_matchers<'l>(series: impl Iterator<Item = &'l Labels>) -> Vec<Vec<Matcher>> {
    let mut sets: BTreeMap<u8, [BTreeSet<&str>; 2]> = BTreeMap::new();
    for labels in series {
        let values = IDENTIFYING.map(|name| labels.get(name).unwrap_or_default());
        let [has_instance, has_job] = values.map(|value| u8::from(!value.is_empty()));
        let presence = has_job | has_instance << 1;
        if presence != 0 {
            let sets = sets.entry(presence).or_default();
            sets.iter_mut().zip(values).for_each(|(set, value)| {
                set.insert(value);
            });
        }
    }
    let matcher = |(name, values): (&str, BTreeSet<&str>)| {
        if values.iter().all(|value| value.is_empty()) {
            return Some(Matcher::equal(name, ""));
        }
        let pattern: Vec<_> = values.into_iter().map(quote_meta).collect();
        Matcher::new(name, MatchOp::Regex, pattern.join("|")).ok()
    };
    sets.into_values().map(|sets| IDENTIFYING.into_iter().zip(sets).filter_map(matcher).collect()).collect()
}
