//! Scalars at each step.

use std::sync::Arc;

use super::limits::{Budget, Reserved};
use crate::error::Result;

/// A scalar at each step. Cloning shares the values.
#[derive(Clone, Debug)]
pub(crate) enum Scalars {
    /// The same at all steps.
    Constant(f64),
    /// Another one at each.
    Steps(Arc<Steps>),
}

/// Values with the memory that they take.
#[derive(Debug)]
pub(crate) struct Steps {
    pub(crate) values: Vec<f64>,
    _reserved: Reserved,
}

impl Scalars {
    /// One value for each step.
    ///
    /// # Errors
    /// If that takes too much memory; none of it is taken then.
    pub(crate) fn of(values: impl ExactSizeIterator<Item = f64>, budget: &Arc<Budget>) -> Result<Self> {
        let mut reserved = budget.reserve();
        reserved.grow("scalars", 0, 8 * values.len() as u64)?;
        Ok(Self::Steps(Arc::new(Steps { values: values.collect(), _reserved: reserved })))
    }

    #[inline]
    pub(crate) fn at(&self, step: usize) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Steps(steps) => steps.values.get(step).copied().unwrap_or(f64::NAN),
        }
    }

    /// Combines two at each step.
    ///
    /// # Errors
    /// If that takes too much memory.
    pub(crate) fn with(
        &self,
        other: &Self,
        steps: usize,
        budget: &Arc<Budget>,
        combine: impl Fn(f64, f64) -> f64,
    ) -> Result<Self> {
        match (self, other) {
            (Self::Constant(a), Self::Constant(b)) => Ok(Self::Constant(combine(*a, *b))),
            _ => Self::of((0..steps).map(|step| combine(self.at(step), other.at(step))), budget),
        }
    }
}
