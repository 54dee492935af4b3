//! Who follows what is asked of shards, for metrics and traces.

use std::fmt;

use crate::explain::ShardExplain;

/// What is asked of a shard.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operation {
    /// Series with their samples.
    Select,
    /// Names of labels.
    LabelNames,
    /// Values of a label.
    LabelValues,
}

/// Hears of the end of a question to a shard, however it ends, and what was done for it.
pub type Observation = Box<dyn FnOnce(&ShardExplain) + Send + Sync>;

/// Follows what is asked of shards. Costs a call at the beginning and one at the end of each question, of whatever size.
pub trait Observe: fmt::Debug + Send + Sync {
    /// A question to a shard begins; called by whoever asks. What it gives is called on any thread.
    fn begin(&self, operation: Operation) -> Observation;
}
