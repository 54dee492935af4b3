//! The traits.

use std::fmt;

use async_trait::async_trait;
use prometheus_model::TimeRange;

use crate::{
    error::Result,
    hints::{LabelHints, SelectHints},
    matcher::Matcher,
    series::Series,
};

/// A store of series.
#[async_trait]
pub trait Queryable: fmt::Debug + Send + Sync {
    /// Opens a view on what the store has for `range`, half-open. What is added to or removed from the store later does not
    /// change its answers.
    ///
    /// # Errors
    /// If the store cannot find out what it has.
    async fn querier(&self, range: TimeRange) -> Result<Box<dyn Querier>>;
}

/// A view on a store: what one query reads.
///
/// A series fits if it fits all matchers; no matchers at all fit every series.
#[async_trait]
pub trait Querier: fmt::Debug + Send + Sync {
    /// Whether selects honour [projections](SelectHints::projection). If so, every series of a select with a projection has
    /// its [`hash`](Series::hash) and only the labels that are wanted; if not, all its labels and no hash.
    fn honours_projection(&self) -> bool {
        false
    }

    /// Series that fit, with their samples.
    ///
    /// # Errors
    /// If the answer cannot be given, or not completely.
    async fn select(&self, matchers: &[Matcher], hints: &SelectHints) -> Result<Box<dyn SeriesSet>>;

    /// Names of the labels of the series that fit, ascending. As in Prometheus, times are those of whole blocks: a store
    /// may give names that only series outside of the range have.
    ///
    /// # Errors
    /// If the answer cannot be given, or not completely.
    async fn label_names(&self, matchers: &[Matcher], hints: &LabelHints) -> Result<LabelStrings>;

    /// Values of the label `name` of the series that fit, ascending, never `""`. Times as for names.
    ///
    /// # Errors
    /// If the answer cannot be given, or not completely.
    async fn label_values(&self, name: &str, matchers: &[Matcher], hints: &LabelHints) -> Result<LabelStrings>;
}

/// A stream of series, ascending by labels (and then by hash, under a projection), each label set once.
#[async_trait]
pub trait SeriesSet: fmt::Debug + Send {
    /// The next series, as many as the store finds convenient and at least one; `None` after the last. A series of which
    /// no sample is in range may come or be left out.
    ///
    /// # Errors
    /// If the rest of the answer cannot be given. What came before must not be taken for the answer then. After an error
    /// there is nothing more.
    async fn next(&mut self) -> Result<Option<Vec<Series>>>;

    /// What the answer leaves out; complete when [`next`](Self::next) has given `None`.
    fn warnings(&self) -> &[Warning] {
        &[]
    }
}

/// Something that was left out of an answer, or that its reader should know.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Warning {
    /// What to tell people.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Names or values of labels.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct LabelStrings {
    /// Ascending in byte order, each once.
    pub strings: Vec<String>,
    /// What the answer leaves out.
    pub warnings: Vec<Warning>,
}
