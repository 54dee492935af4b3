//! Labels that a whole store has.

use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use prometheus_model::{Labels, LabelsBuilder, LabelsError, TimeRange};
use prometheus_queryable::{
    Error, ErrorKind, LabelHints, LabelStrings, Matcher, Querier, Queryable, Result, SelectHints, Series, SeriesData,
    SeriesSet, Sharding, Warning,
};
use snafu::Snafu;

/// How much of the series of one metric is held, unless set otherwise.
const MAX_HELD_BYTES: usize = 1 << 30;

/// Most series that are given at a time.
const BATCH: usize = 256;

/// Sees all series of a store with external labels, which replace labels of the same names.
///
/// Matchers see the external labels. Series that differ only in labels that were replaced are put together.
///
/// With more labels series may come in another order. So all series with the same first label, which is the metric's name as
/// a rule, are held and sorted; a limit on that memory makes larger selects fail. Projections and limits are not passed on to
/// the inner store, shards are those of the series with external labels.
#[derive(Clone, Debug)]
pub struct ExternalLabelsQueryable {
    inner: Arc<dyn Queryable>,
    external: Labels,
    max_held_bytes: usize,
}

#[derive(Debug, Snafu)]
enum Refused {
    #[snafu(display(
        "adding external labels holds more than {limit} bytes of series with the same first label; ask for fewer series or \
         for a shorter time"
    ))]
    TooMuch { limit: usize },
    #[snafu(display("cannot add external labels to {labels}"))]
    Labels { labels: Labels, source: LabelsError },
}

impl ExternalLabelsQueryable {
    /// Sees `inner` with the labels.
    #[must_use]
    pub fn new(inner: Arc<dyn Queryable>, external: Labels) -> Self {
        Self { inner, external, max_held_bytes: MAX_HELD_BYTES }
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
            match self.external.get(matcher.name()) {
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
        hints.limit = Some(std::num::NonZeroUsize::MIN);
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
        Ok(Box::new(ExternalLabelsSet {
            external: self.store.external.clone(),
            max_held_bytes: self.store.max_held_bytes,
            inner: self.inner.select(&matchers, &wanted).await?,
            sharding: hints.sharding,
            rest: VecDeque::new(),
            ended: false,
            held: VecDeque::new(),
        }))
    }

    async fn label_names(&self, matchers: &[Matcher], hints: &LabelHints) -> Result<LabelStrings> {
        let Some(matchers) = self.store.inner_matchers(matchers) else { return Ok(LabelStrings::default()) };
        let mut names = self.inner.label_names(&matchers, hints).await?;
        if !names.strings.is_empty() {
            names.strings.extend(self.store.external.iter().map(|(name, _)| name.to_owned()));
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
        let Some(value) = self.store.external.get(name) else {
            return self.inner.label_values(name, &matchers, hints).await;
        };
        let (found, warnings) = self.has_series(&matchers).await?;
        Ok(LabelStrings { strings: if found { vec![value.to_owned()] } else { Vec::new() }, warnings })
    }
}

#[derive(Debug)]
struct ExternalLabelsSet {
    external: Labels,
    max_held_bytes: usize,
    inner: Box<dyn SeriesSet>,
    sharding: Option<Sharding>,
    /// Series of the inner set that are not held yet.
    rest: VecDeque<Series>,
    ended: bool,
    /// Series with the same first label, with external labels and sorted.
    held: VecDeque<Series>,
}

impl ExternalLabelsSet {
    /// The label that tells which series are held together: all with another one stand before or after them in both
    /// orders, since no label is added or replaced before it.
    fn first_label<'a>(&self, labels: &'a Labels) -> Option<(&'a str, &'a str)> {
        let (first_external, _) = self.external.iter().next()?;
        labels.iter().next().filter(|(name, _)| *name < first_external)
    }

    fn extend(&self, labels: &Labels, builder: &mut LabelsBuilder) -> Result<Labels> {
        let (mut own, mut external) = (labels.iter().peekable(), self.external.iter().peekable());
        loop {
            let (name, value) = match (own.peek(), external.peek()) {
                (Some((a, _)), Some((b, _))) if a == b => {
                    own.next();
                    continue;
                }
                (Some((a, v)), Some((b, _))) if a < b => {
                    let pair = (*a, *v);
                    own.next();
                    pair
                }
                (_, Some((b, v))) => {
                    let pair = (*b, *v);
                    external.next();
                    pair
                }
                (Some((a, v)), None) => {
                    let pair = (*a, *v);
                    own.next();
                    pair
                }
                (None, None) => break,
            };
            builder.push(name, value).map_err(|source| {
                Error::new(ErrorKind::Internal, Refused::Labels { labels: labels.clone(), source })
            })?;
        }
        Ok(builder.finish())
    }

    /// Reads the series with the next first label, and sorts them.
    async fn hold(&mut self) -> Result<()> {
        let mut builder = LabelsBuilder::default();
        let mut held: Vec<Series> = Vec::new();
        let mut bytes = 0_usize;
        let mut first: Option<Labels> = None;
        loop {
            while let Some(series) = self.rest.pop_front() {
                let differs = |first: &Labels| self.first_label(first) != self.first_label(&series.labels);
                if first.as_ref().is_some_and(differs) {
                    self.rest.push_front(series);
                    break;
                }
                let labels = self.extend(&series.labels, &mut builder)?;
                bytes = bytes.saturating_add(memory_of(&series));
                if bytes > self.max_held_bytes {
                    let limit = self.max_held_bytes;
                    return Err(Error::new(ErrorKind::LimitExceeded, Refused::TooMuch { limit }));
                }
                first.get_or_insert_with(|| series.labels.clone());
                if self.sharding.is_none_or(|sharding| sharding.contains(&labels)) {
                    held.push(Series { labels, hash: None, ..series });
                }
            }
            if self.ended || !self.rest.is_empty() {
                break;
            }
            match self.inner.next().await? {
                Some(batch) => self.rest.extend(batch),
                None => self.ended = true,
            }
        }
        // Stable: of samples with the same timestamp that of the first series is kept.
        held.sort_by(|a, b| a.labels.cmp(&b.labels));
        self.held = held.into();
        Ok(())
    }

    async fn next_batch(&mut self) -> Result<Option<Vec<Series>>> {
        while self.held.is_empty() {
            if self.ended && self.rest.is_empty() {
                return Ok(None);
            }
            self.hold().await?;
        }
        let mut batch = Vec::new();
        while batch.len() < BATCH
            && let Some(series) = self.held.pop_front()
        {
            if self.held.front().is_none_or(|next| next.labels != series.labels) {
                batch.push(series);
                continue;
            }
            let labels = series.labels.clone();
            let mut same = vec![series];
            while let Some(next) = self.held.pop_front_if(|next| next.labels == labels) {
                same.push(next);
            }
            batch.extend(Series::merge(same)?);
        }
        Ok(Some(batch))
    }
}

/// About what a series takes while it is held.
fn memory_of(series: &Series) -> usize {
    let labels: usize = series.labels.iter().map(|(name, value)| name.len() + value.len() + 2 * size_of::<u32>()).sum();
    let data = match &series.data {
        SeriesData::Labels => 0,
        SeriesData::Chunks(chunks) => {
            chunks.iter().map(|chunk| chunk.data.len() + size_of_val(chunk)).fold(0, usize::saturating_add)
        }
        SeriesData::Samples(samples) => size_of_val(samples.as_slice()),
    };
    data.saturating_add(labels + size_of::<Series>())
}

#[async_trait]
impl SeriesSet for ExternalLabelsSet {
    async fn next(&mut self) -> Result<Option<Vec<Series>>> {
        let batch = self.next_batch().await;
        if batch.is_err() {
            self.ended = true;
            self.rest.clear();
            self.held.clear();
        }
        batch
    }

    fn warnings(&self) -> &[Warning] {
        self.inner.warnings()
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
