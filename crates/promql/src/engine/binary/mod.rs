//! Operations on two operands.

mod element;
mod scalar;
mod vector;

pub(crate) use element::arithmetic;
pub(crate) use scalar::ScalarTask;
pub(crate) use vector::{VectorTask, same_labels};
