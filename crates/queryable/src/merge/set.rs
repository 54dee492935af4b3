//! Series sets merged in label order.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, VecDeque},
    fmt,
    future::poll_fn,
    task::{Context, Poll},
};

use async_trait::async_trait;
use futures::future::BoxFuture;

use super::{PartialResponse, series::merge, unite};
use crate::{
    error::Result,
    querier::{SeriesSet, Warning},
    series::Series,
};

/// Most series that are given at a time.
const BATCH: usize = 256;

/// Several sets merged. All of them are read ahead by one batch, while this set is being waited for.
#[derive(Debug)]
pub(super) struct MergedSeriesSet {
    sources: Vec<Source>,
    /// The next series of each source that is not waited for.
    heads: BinaryHeap<Reverse<Head>>,
    /// Sources whose next series is not known yet.
    waiting: Vec<usize>,
    warnings: Vec<Warning>,
    partial_response: PartialResponse,
}

/// A series and where it comes from.
#[derive(Debug)]
struct Head {
    series: Series,
    source: usize,
}

impl Head {
    fn is_same_series(&self, other: &Self) -> bool {
        self.series.labels == other.series.labels && self.series.hash == other.series.hash
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_series = self.series.labels.cmp(&other.series.labels).then(self.series.hash.cmp(&other.series.hash));
        by_series.then(self.source.cmp(&other.source))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

type Answer = (Box<dyn SeriesSet>, Result<Option<Vec<Series>>>);

/// One of the sets.
struct Source {
    /// The set, unless it is being read or has ended.
    set: Option<Box<dyn SeriesSet>>,
    /// The set being read.
    reading: Option<BoxFuture<'static, Answer>>,
    /// The batch after `current`.
    ahead: Option<Vec<Series>>,
    /// What is left of the batch that is being merged.
    current: VecDeque<Series>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("set", &self.set).field("current", &self.current.len()).finish_non_exhaustive()
    }
}

impl Source {
    /// Reads on, as far as that is possible without waiting.
    fn advance(
        &mut self,
        cx: &mut Context<'_>,
        partial_response: PartialResponse,
        warnings: &mut Vec<Warning>,
    ) -> Result<()> {
        loop {
            if self.current.is_empty()
                && let Some(batch) = self.ahead.take()
            {
                self.current = batch.into();
            }
            if self.ahead.is_none()
                && let Some(mut set) = self.set.take()
            {
                self.reading = Some(Box::pin(async move {
                    let answer = set.next().await;
                    (set, answer)
                }));
            }
            let Some(reading) = &mut self.reading else { return Ok(()) };
            let Poll::Ready((set, answer)) = reading.as_mut().poll(cx) else { return Ok(()) };
            self.reading = None;
            match answer {
                Ok(Some(batch)) => {
                    self.ahead = Some(batch);
                    self.set = Some(set);
                }
                Ok(None) => warnings.extend(set.warnings().iter().cloned()),
                Err(error) => {
                    warnings.push(partial_response.tolerate(error)?);
                    warnings.extend(set.warnings().iter().cloned());
                }
            }
        }
    }

    fn has_ended(&self) -> bool {
        self.current.is_empty() && self.ahead.is_none() && self.set.is_none() && self.reading.is_none()
    }
}

impl MergedSeriesSet {
    pub(super) fn new(
        sets: Vec<Box<dyn SeriesSet>>,
        warnings: Vec<Warning>,
        partial_response: PartialResponse,
    ) -> Self {
        let waiting = (0..sets.len()).collect();
        let source = |set| Source { set: Some(set), reading: None, ahead: None, current: VecDeque::new() };
        let sources = sets.into_iter().map(source).collect();
        Self { sources, heads: BinaryHeap::new(), waiting, warnings, partial_response }
    }

    /// Reads all sources on; ready when none is waited for.
    fn poll_heads(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        for source in &mut self.sources {
            if let Err(error) = source.advance(cx, self.partial_response, &mut self.warnings) {
                return Poll::Ready(Err(error));
            }
        }
        let (sources, heads) = (&mut self.sources, &mut self.heads);
        self.waiting.retain(|i| {
            let source = &mut sources[*i];
            if let Some(series) = source.current.pop_front() {
                heads.push(Reverse(Head { series, source: *i }));
                return false;
            }
            !source.has_ended()
        });
        if self.waiting.is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Replaces a head that was taken. If the source has none at hand, it is waited for.
    fn refill(&mut self, i: usize) {
        match self.sources[i].current.pop_front() {
            Some(series) => self.heads.push(Reverse(Head { series, source: i })),
            None => self.waiting.push(i),
        }
    }

    fn merge_batch(&mut self) -> Result<Vec<Series>> {
        let mut batch = Vec::new();
        // Sources are read again before they run dry, but for those that give one series at a time.
        while self.waiting.is_empty()
            && batch.len() < BATCH
            && let Some(Reverse(head)) = self.heads.pop()
        {
            let mut parts = Vec::new();
            while let Some(Reverse(other)) = self.heads.peek()
                && other.is_same_series(&head)
                && let Some(Reverse(other)) = self.heads.pop()
            {
                self.refill(other.source);
                parts.push(other.series);
            }
            self.refill(head.source);
            if parts.is_empty() {
                batch.push(head.series);
            } else {
                parts.insert(0, head.series);
                batch.extend(merge(parts)?);
            }
        }
        Ok(batch)
    }
}

#[async_trait]
impl SeriesSet for MergedSeriesSet {
    async fn next(&mut self) -> Result<Option<Vec<Series>>> {
        let batch = match poll_fn(|cx| self.poll_heads(cx)).await {
            Ok(()) => self.merge_batch(),
            Err(error) => Err(error),
        };
        match batch {
            Ok(batch) if batch.is_empty() => {
                unite(&mut self.warnings);
                Ok(None)
            }
            Ok(batch) => Ok(Some(batch)),
            Err(error) => {
                // There is nothing more after an error; what is being read is given up.
                self.sources.clear();
                self.heads.clear();
                self.waiting.clear();
                Err(error)
            }
        }
    }

    fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}
