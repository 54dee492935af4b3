//! One question to a store, and what its answer must be like.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    num::NonZeroUsize,
};

use prometheus_model::{Labels, Sample, TimeRange};

use super::{Options, SeriesList, Verdict, demand, samples::same_sample};
use crate::{
    hints::{LabelHints, SelectHints},
    matcher::Matcher,
    querier::{Querier, Queryable, SeriesSet},
    series::{Series, SeriesData},
};

/// What is asked of a store.
pub(super) struct Question {
    /// Range of the querier.
    pub(super) range: TimeRange,
    pub(super) matchers: Vec<Matcher>,
    pub(super) ask: Ask,
}

pub(super) enum Ask {
    Select(SelectHints),
    Names(LabelHints),
    Values(String, LabelHints),
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let matchers: Vec<_> = self.matchers.iter().map(ToString::to_string).collect();
        let (selector, range) = (matchers.join(","), self.range);
        match &self.ask {
            Ask::Select(hints) => write!(f, "select {{{selector}}} from a querier of {range:?} with {hints:?}"),
            Ask::Names(hints) => write!(f, "label names of {{{selector}}} in {range:?} with {hints:?}"),
            Ask::Values(name, hints) => write!(f, "values of {name:?} of {{{selector}}} in {range:?} with {hints:?}"),
        }
    }
}

impl Question {
    /// Asks, and judges the answer of a store that was built of `series`.
    pub(super) async fn put(&self, store: &dyn Queryable, options: &Options, series: &SeriesList) -> Verdict {
        let querier = store.querier(self.range).await.map_err(|e| format!("no querier: {e}"))?;
        match &self.ask {
            Ask::Select(hints) => {
                let set = querier.select(&self.matchers, hints).await.map_err(|e| format!("failed: {e}"))?;
                self.judge_set(&*querier, set, hints, options, series).await
            }
            Ask::Names(hints) => {
                let answer = querier.label_names(&self.matchers, hints).await.map_err(|e| format!("failed: {e}"))?;
                demand!(answer.warnings.is_empty(), "unexpected warnings {:?}", answer.warnings);
                let names = |labels: &Labels| labels.iter().map(|(name, _)| name.to_owned()).collect();
                let all = match hints.limit {
                    None => None,
                    Some(_) => Some(querier.label_names(&self.matchers, &LabelHints::default()).await),
                };
                let all = all.transpose().map_err(|e| format!("failed without a limit: {e}"))?;
                self.judge_strings(&answer.strings, all.map(|all| all.strings), hints.limit, series, names)
            }
            Ask::Values(name, hints) => {
                let answer = querier.label_values(name, &self.matchers, hints).await;
                let answer = answer.map_err(|e| format!("failed: {e}"))?;
                demand!(answer.warnings.is_empty(), "unexpected warnings {:?}", answer.warnings);
                let value = |labels: &Labels| labels.get(name).map(str::to_owned).into_iter().collect();
                let all = match hints.limit {
                    None => None,
                    Some(_) => Some(querier.label_values(name, &self.matchers, &LabelHints::default()).await),
                };
                let all = all.transpose().map_err(|e| format!("failed without a limit: {e}"))?;
                self.judge_strings(&answer.strings, all.map(|all| all.strings), hints.limit, series, value)
            }
        }
    }

    fn fits(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches_labels(labels))
    }

    /// Names or values must be those of all series with samples in range, and may be those of others that fit.
    fn judge_strings(
        &self,
        found: &[String],
        unlimited: Option<Vec<String>>,
        limit: Option<NonZeroUsize>,
        series: &SeriesList,
        strings: impl Fn(&Labels) -> Vec<String>,
    ) -> Verdict {
        demand!(found.is_sorted_by(|a, b| a < b), "not in order, or not each once: {found:?}");
        if let (Some(limit), Some(all)) = (limit, unlimited) {
            let first: Vec<_> = all.into_iter().take(limit.get()).collect();
            demand!(found == first, "with a limit {found:?} instead of {first:?}");
            return Ok(());
        }
        let fitting = || series.iter().filter(|(labels, _)| self.fits(labels));
        let in_range = |samples: &[Sample]| samples.iter().any(|s| self.range.contains(s.timestamp));
        let must: BTreeSet<_> =
            fitting().filter(|(_, samples)| in_range(samples)).flat_map(|(labels, _)| strings(labels)).collect();
        let may: BTreeSet<_> = fitting().flat_map(|(labels, _)| strings(labels)).collect();
        let found: BTreeSet<_> = found.iter().cloned().collect();
        demand!(found.is_superset(&must), "{:?} are missing in {found:?}", &must - &found);
        demand!(found.is_subset(&may), "{:?} are too many in {found:?}", &found - &may);
        Ok(())
    }

    async fn judge_set(
        &self,
        querier: &dyn Querier,
        mut set: Box<dyn SeriesSet>,
        hints: &SelectHints,
        options: &Options,
        series: &SeriesList,
    ) -> Verdict {
        let found = collect(&mut *set).await?;
        demand!(set.warnings().is_empty(), "unexpected warnings {:?}", set.warnings());
        let Some(range) = self.range.intersect(hints.range) else {
            demand!(found.is_empty(), "{} series, though the ranges share nothing", found.len());
            return Ok(());
        };
        let expected: BTreeMap<&Labels, &Vec<Sample>> = series
            .iter()
            .filter(|(labels, _)| self.fits(labels) && hints.sharding.is_none_or(|sharding| sharding.contains(labels)))
            .map(|(labels, samples)| (labels, samples))
            .collect();

        let order = |s: &Series| (s.labels.clone(), s.hash);
        if let Some([a, b]) = found.array_windows().find(|[a, b]| order(a) >= order(b)) {
            return Err(format!("{} comes before {}", a.labels, b.labels));
        }
        // By the labels in full, which a projection has left only the hash of.
        let projects = hints.projection.is_some() && querier.honours_projection();
        let mut by_hash = BTreeMap::new();
        for (labels, samples) in &expected {
            by_hash.insert(labels.stable_hash(), (*labels, *samples));
        }
        let mut answered = BTreeSet::new();
        for series in &found {
            let labels = match (&hints.projection, series.hash) {
                (Some(projection), Some(hash)) if projects => {
                    let Some((full, _)) = by_hash.get(&hash) else {
                        return Err(format!("{} with the hash {hash:016x} does not fit", series.labels));
                    };
                    let wanted = Labels::from_pairs(full.iter().filter(|(name, _)| projection.keeps(name)));
                    demand!(wanted.as_ref() == Ok(&series.labels), "{} for {full}", series.labels);
                    *full
                }
                (_, None) if !projects => match expected.get_key_value(&series.labels) {
                    Some((labels, _)) => *labels,
                    None => return Err(format!("{} does not fit", series.labels)),
                },
                (_, hash) => {
                    return Err(format!("{} has the hash {hash:?}; projections honoured: {projects}", series.labels));
                }
            };
            demand!(answered.insert(labels), "{labels} comes twice");
            let samples = expected.get(labels).map(|samples| samples.as_slice()).unwrap_or_default();
            judge_samples(series, range, hints, options, samples).map_err(|e| format!("{labels}: {e}"))?;
        }
        let in_range = |samples: &[Sample]| samples.iter().any(|s| range.contains(s.timestamp));
        let mut missing = expected.iter().filter(|(labels, samples)| in_range(samples) && !answered.contains(*labels));
        match hints.limit {
            None => match missing.next() {
                Some((labels, _)) => Err(format!("{labels} is missing; there are {} series", found.len())),
                None => Ok(()),
            },
            Some(limit) if projects => {
                let all = expected.values().filter(|samples| in_range(samples)).count();
                demand!(found.len() >= all.min(limit.get()), "{} of {all} series", found.len());
                Ok(())
            }
            // What is missing must come after what is there.
            Some(limit) => match missing.next() {
                None => Ok(()),
                Some((labels, _)) => {
                    demand!(found.len() >= limit.get(), "{labels} is missing, and there are {} series", found.len());
                    let before = found.iter().filter(|s| &s.labels < labels).count();
                    demand!(before == found.len(), "{labels} is missing, though later ones are there");
                    Ok(())
                }
            },
        }
    }
}

/// All series of a set.
pub(super) async fn collect(set: &mut dyn SeriesSet) -> Result<Vec<Series>, String> {
    let mut all = Vec::new();
    while let Some(batch) = set.next().await.map_err(|e| format!("failed after {} series: {e}", all.len()))? {
        demand!(!batch.is_empty(), "an empty batch after {} series", all.len());
        all.extend(batch);
    }
    Ok(all)
}

fn judge_samples(
    series: &Series,
    range: TimeRange,
    hints: &SelectHints,
    options: &Options,
    expected: &[Sample],
) -> Verdict {
    let wanted: Vec<_> = expected.iter().filter(|sample| range.contains(sample.timestamp)).collect();
    match &series.data {
        SeriesData::Labels => {
            demand!(hints.series_only, "no samples");
            return Ok(());
        }
        SeriesData::Samples(samples) => {
            demand!(samples.is_sorted_by(|a, b| a.timestamp < b.timestamp), "samples do not ascend");
            let outside = samples.iter().find(|s| !range.contains(s.timestamp));
            demand!(outside.is_none(), "a sample at {:?} is out of range", outside.map(|s| s.timestamp));
        }
        SeriesData::Chunks(chunks) => {
            let overlap = chunks.array_windows().find(|[a, b]| a.max_time >= b.min_time);
            demand!(overlap.is_none(), "chunks overlap or do not ascend: {overlap:?}");
            for chunk in chunks {
                let data = SeriesData::Chunks(vec![chunk.clone()]);
                let alone = Series { range: TimeRange::ALL, data, ..series.clone() };
                let samples = alone.samples().map_err(|e| e.to_string())?;
                let times = samples.first().zip(samples.last()).map(|(a, b)| (a.timestamp, b.timestamp));
                let (min, max) = (chunk.min_time, chunk.max_time);
                demand!(times == Some((min, max)), "a chunk from {min} to {max} has samples from {times:?}");
            }
        }
    }
    demand!(!hints.series_only, "samples, though only labels were asked for");
    let found = series.samples().map_err(|e| format!("samples cannot be decoded: {e}"))?;
    for (found, wanted) in found.iter().zip(&wanted) {
        demand!(same_sample(found, wanted, options.start_timestamps), "{found:?} instead of {wanted:?}");
    }
    demand!(found.len() == wanted.len(), "{} samples in {range:?} instead of {}", found.len(), wanted.len());
    Ok(())
}
