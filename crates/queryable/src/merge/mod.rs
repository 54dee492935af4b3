//! Several stores asked as one.

mod series;
mod set;

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::try_join_all;
use prometheus_model::TimeRange;

pub(crate) use self::series::{forget_counter_reset, merge};
use self::set::MergedSeriesSet;
use crate::{
    error::{Error, ErrorKind, Result},
    hints::{LabelHints, SelectHints},
    matcher::Matcher,
    querier::{LabelStrings, Querier, Queryable, SeriesSet, Warning},
};

/// What becomes of a question that a part of the store cannot answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum PartialResponse {
    /// The question fails.
    #[default]
    Fail,
    /// The answer lacks what that part did not tell, and a [`Warning`] says so. Errors that are the caller's own, whatever
    /// the part, still fail: [`Invalid`](ErrorKind::Invalid), [`LimitExceeded`](ErrorKind::LimitExceeded),
    /// [`Cancelled`](ErrorKind::Cancelled).
    Warn,
}

impl PartialResponse {
    /// The warning that an error becomes, or else the error.
    fn tolerate(self, error: Error) -> Result<Warning> {
        match (self, error.kind()) {
            (Self::Fail, _) | (_, ErrorKind::Invalid | ErrorKind::LimitExceeded | ErrorKind::Cancelled) => Err(error),
            (Self::Warn, _) => Ok(Warning { message: format!("the answer is incomplete: {}", chain(&error)) }),
        }
    }
}

/// An error and its sources.
fn chain(error: &Error) -> String {
    let sources = std::iter::successors(std::error::Error::source(error), |error| error.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}

/// Several stores asked as one: such as the shards and blocks of different times, or of one tenant after the other.
///
/// All parts are asked at once. Series come in label order, each once; of each part at most two batches are held, the
/// one that is being merged and the next. A series that several parts have is put together:
///
/// - Chunks that do not overlap in time stay as they are; copies are left out.
/// - Otherwise the series is decoded. Of samples with the same timestamp that of the first part that has one is taken,
///   whatever their values and kinds, staleness markers included. (Prometheus takes one of them, and leaves open which.)
///
/// What chunks and native histograms claim about counter resets is withdrawn where another part's samples have come
/// between.
///
/// Projections are honoured if all parts honour them.
#[derive(Clone, Debug)]
pub struct MergedQueryable {
    parts: Vec<Arc<dyn Queryable>>,
    partial_response: PartialResponse,
}

impl MergedQueryable {
    /// Merges the parts; where they contradict each other, the first is right.
    #[must_use]
    pub fn new(parts: Vec<Arc<dyn Queryable>>) -> Self {
        Self { parts, partial_response: PartialResponse::Fail }
    }

    /// What becomes of questions that a part cannot answer.
    #[must_use]
    pub fn with_partial_response(self, partial_response: PartialResponse) -> Self {
        Self { partial_response, ..self }
    }
}

#[async_trait]
impl Queryable for MergedQueryable {
    async fn querier(&self, range: TimeRange) -> Result<Box<dyn Querier>> {
        let opened = self.parts.iter().map(|part| part.querier(range)).collect();
        let (parts, warnings) = gather(self.partial_response, opened).await?;
        Ok(Box::new(MergedQuerier { parts, warnings, partial_response: self.partial_response }))
    }
}

/// Merges sets of different stores, as [`MergedQueryable`] does.
#[must_use]
pub fn merge_sets(sets: Vec<Box<dyn SeriesSet>>) -> Box<dyn SeriesSet> {
    Box::new(MergedSeriesSet::new(sets, Vec::new(), PartialResponse::Fail))
}

/// Waits for all; errors that are tolerated become warnings.
async fn gather<T>(
    partial_response: PartialResponse,
    all: Vec<impl Future<Output = Result<T>>>,
) -> Result<(Vec<T>, Vec<Warning>)> {
    let tolerant = all.into_iter().map(|one| async {
        match one.await {
            Ok(found) => Ok(Ok(found)),
            Err(error) => partial_response.tolerate(error).map(Err),
        }
    });
    let (mut found, mut warnings) = (Vec::new(), Vec::new());
    for one in try_join_all(tolerant).await? {
        match one {
            Ok(one) => found.push(one),
            Err(warning) => warnings.push(warning),
        }
    }
    Ok((found, warnings))
}

#[derive(Debug)]
struct MergedQuerier {
    parts: Vec<Box<dyn Querier>>,
    /// Of parts that could not be opened.
    warnings: Vec<Warning>,
    partial_response: PartialResponse,
}

impl MergedQuerier {
    fn merge_strings(&self, answers: Vec<LabelStrings>, more: Vec<Warning>, hints: &LabelHints) -> LabelStrings {
        let mut merged = LabelStrings { strings: Vec::new(), warnings: self.warnings.clone() };
        merged.warnings.extend(more);
        for answer in answers {
            merged.strings.extend(answer.strings);
            merged.warnings.extend(answer.warnings);
        }
        // Runs that ascend, which this sort finds.
        merged.strings.sort();
        merged.strings.dedup();
        if let Some(limit) = hints.limit {
            merged.strings.truncate(limit.get());
        }
        unite(&mut merged.warnings);
        merged
    }
}

/// Each warning once, in the order in which they came.
fn unite(warnings: &mut Vec<Warning>) {
    let mut seen = std::collections::HashSet::new();
    warnings.retain(|warning| seen.insert(warning.clone()));
}

#[async_trait]
impl Querier for MergedQuerier {
    fn honours_projection(&self) -> bool {
        self.parts.iter().all(|part| part.honours_projection())
    }

    async fn select(&self, matchers: &[Matcher], hints: &SelectHints) -> Result<Box<dyn SeriesSet>> {
        let mut hints = hints.clone();
        if !self.honours_projection() {
            hints.projection = None;
        }
        let selects = self.parts.iter().map(|part| part.select(matchers, &hints)).collect();
        let (sets, warnings) = gather(self.partial_response, selects).await?;
        let warnings = self.warnings.iter().cloned().chain(warnings).collect();
        Ok(Box::new(MergedSeriesSet::new(sets, warnings, self.partial_response)))
    }

    async fn label_names(&self, matchers: &[Matcher], hints: &LabelHints) -> Result<LabelStrings> {
        let answers = self.parts.iter().map(|part| part.label_names(matchers, hints)).collect();
        let (answers, warnings) = gather(self.partial_response, answers).await?;
        Ok(self.merge_strings(answers, warnings, hints))
    }

    async fn label_values(&self, name: &str, matchers: &[Matcher], hints: &LabelHints) -> Result<LabelStrings> {
        let answers = self.parts.iter().map(|part| part.label_values(name, matchers, hints)).collect();
        let (answers, warnings) = gather(self.partial_response, answers).await?;
        Ok(self.merge_strings(answers, warnings, hints))
    }
}

#[cfg(test)]
mod tests;
