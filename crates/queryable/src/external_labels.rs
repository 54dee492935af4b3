//! Labels that a whole store has.

use std::{num::NonZeroUsize, sync::Arc};

use async_trait::async_trait;
use prometheus_model::{Labels, TimeRange};

use crate::{
    dedup::{DedupAlgorithm, DedupSeriesSet},
    error::Result,
    hints::{LabelHints, SelectHints},
    matcher::Matcher,
    querier::{LabelStrings, Querier, Queryable, SeriesSet, Warning},
    relabelled::{MAX_HELD_BYTES, Relabelled, Relabelling},
    series::Series,
};

/// Sees all series of a store with external labels, which replace labels of the same names.
///
/// Matchers see the external labels. Series that differ only in labels that were replaced are put together.
///
/// Series are held to be sorted as [`Relabelled`] says. Projections and limits are not passed on to the inner store, shards
/// are those of the series with external labels.
#[derive(Clone, Debug)]
pub struct ExternalLabelsQueryable {
    inner: Arc<dyn Queryable>,
    relabelling: Relabelling,
    max_held_bytes: usize,
}

impl ExternalLabelsQueryable {
    /// Sees `inner` with the labels.
    #[must_use]
    pub fn new(inner: Arc<dyn Queryable>, external: Labels) -> Self {
        let relabelling = Relabelling::adding("adding external labels", external);
        Self { inner, relabelling, max_held_bytes: MAX_HELD_BYTES }
    }

    /// How many bytes of labels and samples are held for the series with the same first label; 1 GiB unless set.
    #[must_use]
    pub fn with_max_held_bytes(self, max_held_bytes: usize) -> Self {
        Self { max_held_bytes, ..self }
    }

    /// The matchers that are left for the inner store; `None` if external labels do not fit.
    fn inner_matchers(&self, matchers: &[Matcher]) -> Option<Vec<Matcher>> {
        let mut inner = Vec::with_capacity(matchers.len());
        for matcher in matchers {
            match self.relabelling.added().get(matcher.name()) {
                Some(value) if matcher.matches(value) => {}
                Some(_) => return None,
                None => inner.push(matcher.clone()),
            }
        }
        Some(inner)
    }
}

#[async_trait]
impl Queryable for ExternalLabelsQueryable {
    async fn querier(&self, range: TimeRange) -> Result<Box<dyn Querier>> {
        let inner = self.inner.querier(range).await?;
        Ok(Box::new(ExternalLabelsQuerier { store: self.clone(), inner, range }))
    }
}

#[derive(Debug)]
struct ExternalLabelsQuerier {
    store: ExternalLabelsQueryable,
    inner: Box<dyn Querier>,
    range: TimeRange,
}

impl ExternalLabelsQuerier {
    /// Whether any series fits, and what the answer to that leaves out.
    async fn has_series(&self, matchers: &[Matcher]) -> Result<(bool, Vec<Warning>)> {
        let mut hints = SelectHints::series_only(self.range);
        hints.limit = Some(NonZeroUsize::MIN);
        let mut set = self.inner.select(matchers, &hints).await?;
        let found = set.next().await?.is_some();
        Ok((found, set.warnings().to_vec()))
    }
}

#[async_trait]
impl Querier for ExternalLabelsQuerier {
    async fn select(&self, matchers: &[Matcher], hints: &SelectHints) -> Result<Box<dyn SeriesSet>> {
        let Some(matchers) = self.store.inner_matchers(matchers) else { return Ok(Box::new(Nothing)) };
        let wanted = SelectHints { sharding: None, projection: None, limit: None, ..hints.clone() };
        let inner = self.inner.select(&matchers, &wanted).await?;
        let groups = Relabelled::new(inner, self.store.relabelling.clone())
            .with_sharding(hints.sharding)
            .with_max_held_bytes(self.store.max_held_bytes);
        // Series whose own labels were replaced may have become the same.
        Ok(Box::new(DedupSeriesSet { groups, algorithm: DedupAlgorithm::FirstWins, adjusts_counters: false }))
    }

    async fn label_names(&self, matchers: &[Matcher], hints: &LabelHints) -> Result<LabelStrings> {
        let Some(matchers) = self.store.inner_matchers(matchers) else { return Ok(LabelStrings::default()) };
        let mut names = self.inner.label_names(&matchers, hints).await?;
        if !names.strings.is_empty() {
            names.strings.extend(self.store.relabelling.added().iter().map(|(name, _)| name.to_owned()));
            names.strings.sort();
            names.strings.dedup();
        }
        if let Some(limit) = hints.limit {
            names.strings.truncate(limit.get());
        }
        Ok(names)
    }

    async fn label_values(&self, name: &str, matchers: &[Matcher], hints: &LabelHints) -> Result<LabelStrings> {
        let Some(matchers) = self.store.inner_matchers(matchers) else { return Ok(LabelStrings::default()) };
        let Some(value) = self.store.relabelling.added().get(name) else {
            return self.inner.label_values(name, &matchers, hints).await;
        };
        let (found, warnings) = self.has_series(&matchers).await?;
        Ok(LabelStrings { strings: if found { vec![value.to_owned()] } else { Vec::new() }, warnings })
    }
}

/// No series.
#[derive(Debug)]
struct Nothing;

#[async_trait]
impl SeriesSet for Nothing {
    async fn next(&mut self) -> Result<Option<Vec<Series>>> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
