//! Series whose labels change, in the order of their new labels.

use std::collections::{BTreeSet, VecDeque};

use prometheus_model::{Labels, LabelsBuilder, LabelsError};
use snafu::Snafu;

use crate::{
    error::{Error, ErrorKind, Result},
    hints::Sharding,
    querier::{SeriesSet, Warning},
    series::{Series, SeriesData},
};

/// How much of the series with the same first label is held, unless set otherwise.
pub(crate) const MAX_HELD_BYTES: usize = 1 << 30;

/// How labels change.
#[derive(Clone, Debug)]
pub struct Relabelling {
    /// What it is for, as errors say it.
    purpose: &'static str,
    dropped: BTreeSet<String>,
    added: Labels,
}

impl Relabelling {
    /// Drops the labels of these names. A series that has no others keeps them.
    #[must_use]
    pub fn dropping(purpose: &'static str, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { purpose, dropped: names.into_iter().map(Into::into).collect(), added: Labels::default() }
    }

    /// Adds labels, which replace those of the same names.
    #[must_use]
    pub const fn adding(purpose: &'static str, added: Labels) -> Self {
        Self { purpose, dropped: BTreeSet::new(), added }
    }

    /// The names of labels that are dropped.
    #[must_use]
    pub const fn dropped(&self) -> &BTreeSet<String> {
        &self.dropped
    }

    /// The labels that are added.
    #[must_use]
    pub const fn added(&self) -> &Labels {
        &self.added
    }

    /// The least name of a label that may change.
    fn first_changed(&self) -> Option<&str> {
        let added = self.added.iter().next().map(|(name, _)| name);
        self.dropped.first().map(String::as_str).into_iter().chain(added).min()
    }

    /// The label that tells which series are held together: all with another one stand before or after them in both
    /// orders, since no label before it changes.
    fn first_label<'a>(&self, labels: &'a Labels) -> Option<(&'a str, &'a str)> {
        let first_changed = self.first_changed()?;
        labels.iter().next().filter(|(name, _)| *name < first_changed)
    }

    fn apply(&self, labels: &Labels, builder: &mut LabelsBuilder) -> Result<Labels, LabelsError> {
        let mut added = self.added.iter().peekable();
        let stays = |name: &str| !self.dropped.contains(name) && self.added.get(name).is_none();
        for (name, value) in labels.iter().filter(|(name, _)| stays(name)) {
            while let Some((name, value)) = added.next_if(|(added, _)| *added < name) {
                builder.push(name, value)?;
            }
            builder.push(name, value)?;
        }
        added.try_for_each(|(name, value)| builder.push(name, value))?;
        let changed = builder.finish();
        // If nothing is left it would come first, which is too late to know when the last series is read.
        Ok(if changed.is_empty() { labels.clone() } else { changed })
    }
}

#[derive(Debug, Snafu)]
enum Refused {
    #[snafu(display(
        "{purpose} holds more than {limit} bytes of the series with {first}; ask for fewer series, for a shorter time, \
         or raise the limit of held bytes"
    ))]
    TooMuch { purpose: &'static str, limit: usize, first: String },
    #[snafu(display("{purpose} cannot change {labels}"))]
    Labels { purpose: &'static str, labels: Labels, source: LabelsError },
}

/// The series of a set with other labels, in the order of these.
///
/// With other labels series may come in another order. So all series with the same first label, which is the metric's name
/// as a rule, are held and sorted: their labels, and their samples as the inner set gives them, which is encoded chunks as a
/// rule. A limit on that memory makes larger selects fail.
///
/// The inner set must be made without limit, projection and sharding: these are meant for labels that it does not know.
#[derive(Debug)]
pub struct Relabelled {
    inner: Box<dyn SeriesSet>,
    relabelling: Relabelling,
    sharding: Option<Sharding>,
    max_held_bytes: usize,
    /// Series of the inner set that are not held yet.
    rest: VecDeque<Series>,
    ended: bool,
    /// Series with the same first label, with new labels and sorted.
    held: VecDeque<Series>,
}

impl Relabelled {
    /// Changes labels of the series of `inner`.
    #[must_use]
    pub fn new(inner: Box<dyn SeriesSet>, relabelling: Relabelling) -> Self {
        Self {
            inner,
            relabelling,
            sharding: None,
            max_held_bytes: MAX_HELD_BYTES,
            rest: VecDeque::new(),
            ended: false,
            held: VecDeque::new(),
        }
    }

    /// Gives only series of this shard, by their new labels.
    #[must_use]
    pub fn with_sharding(self, sharding: Option<Sharding>) -> Self {
        Self { sharding, ..self }
    }

    /// How many bytes of labels and samples are held for the series with the same first label; 1 GiB unless set.
    #[must_use]
    pub fn with_max_held_bytes(self, max_held_bytes: usize) -> Self {
        Self { max_held_bytes, ..self }
    }

    /// The next series that have the same labels now, in the order of their old ones; `None` after the last.
    ///
    /// # Errors
    /// [`LimitExceeded`](ErrorKind::LimitExceeded) if too much would be held, and those of the inner set. After an error
    /// there is nothing more.
    pub async fn next_group(&mut self) -> Result<Option<Vec<Series>>> {
        while self.held.is_empty() {
            if self.ended && self.rest.is_empty() {
                return Ok(None);
            }
            if let Err(error) = self.hold().await {
                self.end();
                return Err(error);
            }
        }
        let Some(first) = self.held.pop_front() else { return Ok(None) };
        let mut group = vec![first];
        while let Some(next) = self.held.pop_front_if(|next| next.labels == group[0].labels) {
            group.push(next);
        }
        Ok(Some(group))
    }

    /// What the answer leaves out; complete when [`next_group`](Self::next_group) has given `None`.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        self.inner.warnings()
    }

    /// Gives nothing more.
    pub(crate) fn end(&mut self) {
        self.ended = true;
        self.rest.clear();
        self.held.clear();
    }

    /// Reads the series with the next first label, and sorts them.
    async fn hold(&mut self) -> Result<()> {
        let purpose = self.relabelling.purpose;
        let changes = self.relabelling.first_changed().is_some();
        let mut builder = LabelsBuilder::default();
        let mut held: Vec<Series> = Vec::new();
        let mut bytes = 0_usize;
        let mut first: Option<Labels> = None;
        loop {
            while let Some(series) = self.rest.pop_front() {
                let differs = |first: &Labels| {
                    self.relabelling.first_label(first) != self.relabelling.first_label(&series.labels)
                };
                if first.as_ref().is_some_and(differs) {
                    self.rest.push_front(series);
                    break;
                }
                let labels = self.relabelling.apply(&series.labels, &mut builder).map_err(|source| {
                    let labels = series.labels.clone();
                    Error::new(ErrorKind::Internal, Refused::Labels { purpose, labels, source })
                })?;
                first.get_or_insert_with(|| series.labels.clone());
                if self.sharding.is_some_and(|sharding| !sharding.contains(&labels)) {
                    continue;
                }
                let series = Series { labels, hash: None, ..series };
                bytes = bytes.saturating_add(memory_of(&series));
                if changes && bytes > self.max_held_bytes {
                    let label = first.as_ref().and_then(|labels| self.relabelling.first_label(labels));
                    let label = label.map(|(name, value)| format!("{name}={value:?}"));
                    let first = label.unwrap_or_else(|| "no label before those that change".into());
                    let limit = self.max_held_bytes;
                    return Err(Error::new(ErrorKind::LimitExceeded, Refused::TooMuch { purpose, limit, first }));
                }
                held.push(series);
            }
            // Series whose labels stay are in order.
            if self.ended || !self.rest.is_empty() || (!changes && !held.is_empty()) {
                break;
            }
            match self.inner.next().await? {
                Some(batch) => self.rest.extend(batch),
                None => self.ended = true,
            }
        }
        // Stable: the inner order stays among equals.
        held.sort_by(|a, b| a.labels.cmp(&b.labels));
        self.held = held.into();
        Ok(())
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
