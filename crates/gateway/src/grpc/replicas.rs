//! Series without replica labels, in the order that this gives them; which of them are one series, the caller decides.

use std::{
    collections::{BTreeSet, VecDeque},
    mem::size_of_val,
};

use prometheus_model::{Labels, LabelsBuilder};
use prometheus_queryable::{Error, ErrorKind, Result, Series, SeriesData, SeriesSet, Warning};

/// Encoded bytes of series with the same first label that are held at most.
const MAX_HELD_BYTES: usize = 1 << 30;

/// Series of a set without some labels. Without any, it is the set itself.
#[derive(Debug)]
pub(crate) struct WithoutLabels {
    inner: Box<dyn SeriesSet>,
    dropped: BTreeSet<String>,
    rest: VecDeque<Series>,
    ended: bool,
}

impl WithoutLabels {
    pub(crate) fn new(inner: Box<dyn SeriesSet>, dropped: impl IntoIterator<Item = String>) -> Self {
        Self { inner, dropped: dropped.into_iter().collect(), rest: VecDeque::new(), ended: false }
    }

    pub(crate) fn warnings(&self) -> &[Warning] {
        self.inner.warnings()
    }

    /// The next series, as many as there are with the same first label where labels are dropped.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Series>>> {
        if self.dropped.is_empty() {
            return self.inner.next().await;
        }
        let mut held: Vec<Series> = Vec::new();
        let mut first: Option<Labels> = None;
        let mut bytes = 0_usize;
        let mut builder = LabelsBuilder::default();
        loop {
            while let Some(series) = self.rest.pop_front() {
                let differs = |first: &Labels| self.first_label(first) != self.first_label(&series.labels);
                if first.as_ref().is_some_and(differs) {
                    self.rest.push_front(series);
                    break;
                }
                first.get_or_insert_with(|| series.labels.clone());
                bytes = bytes.saturating_add(memory_of(&series));
                if bytes > MAX_HELD_BYTES {
                    let why =
                        format!("more than {MAX_HELD_BYTES} bytes of one metric to be sorted without replica labels");
                    return Err(Error::new(ErrorKind::LimitExceeded, why));
                }
                for (name, value) in series.labels.iter().filter(|(name, _)| !self.dropped.contains(*name)) {
                    builder.push(name, value).map_err(|error| Error::new(ErrorKind::Internal, error))?;
                }
                held.push(Series { labels: builder.finish(), hash: None, ..series });
            }
            if self.ended || !self.rest.is_empty() {
                break;
            }
            match self.inner.next().await? {
                Some(batch) => self.rest.extend(batch),
                None => self.ended = true,
            }
        }
        held.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok((!held.is_empty()).then_some(held))
    }

    /// Series with another one stand before or after them in both orders, since no label before it is dropped.
    fn first_label<'a>(&self, labels: &'a Labels) -> Option<(&'a str, &'a str)> {
        let first_dropped = self.dropped.first()?;
        labels.iter().next().filter(|(name, _)| *name < first_dropped.as_str())
    }
}

fn memory_of(series: &Series) -> usize {
    let labels: usize = series.labels.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
    labels.saturating_add(match &series.data {
        SeriesData::Labels => 0,
        SeriesData::Chunks(chunks) => {
            chunks.iter().map(|chunk| chunk.data.len() + size_of_val(chunk)).fold(0, usize::saturating_add)
        }
        SeriesData::Samples(samples) => size_of_val(samples.as_slice()),
    })
}
