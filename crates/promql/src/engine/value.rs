//! What queries evaluate to.

use std::sync::Arc;

use prometheus_model::{FloatHistogram, Labels, TimestampMs};

use crate::ast::ValueType;

/// The value of a query.
#[derive(Clone, PartialEq, Debug)]
pub enum QueryValue {
    /// A number.
    Scalar {
        /// When the query was evaluated.
        timestamp: TimestampMs,
        /// The number.
        value: f64,
    },
    /// A text.
    String {
        /// When the query was evaluated.
        timestamp: TimestampMs,
        /// The text.
        value: String,
    },
    /// Series with a sample each, all at the time of evaluation. The order means something after sorting functions and
    /// `topk`; else it is any.
    Vector(Vec<InstantSeries>),
    /// Series with samples, by labels; none without a sample.
    Matrix(Vec<RangeSeries>),
}

/// A series of an instant vector.
#[derive(Clone, PartialEq, Debug)]
pub struct InstantSeries {
    /// Its labels.
    pub labels: Labels,
    /// When the query was evaluated.
    pub timestamp: TimestampMs,
    /// Its value.
    pub value: PointValue,
}

/// A series of a range vector. It may have both floats and histograms, but not at one time.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RangeSeries {
    /// Its labels.
    pub labels: Labels,
    /// Its floats, ascending in time.
    pub floats: Vec<(TimestampMs, f64)>,
    /// Its histograms, ascending in time. Those of several times may be one in memory.
    pub histograms: Vec<(TimestampMs, Arc<FloatHistogram>)>,
}

/// A float or a histogram.
#[derive(Clone, PartialEq, Debug)]
pub enum PointValue {
    /// A float.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<FloatHistogram>),
}

impl QueryValue {
    /// What it is.
    #[must_use]
    pub const fn value_type(&self) -> ValueType {
        match self {
            Self::Scalar { .. } => ValueType::Scalar,
            Self::String { .. } => ValueType::String,
            Self::Vector(_) => ValueType::Vector,
            Self::Matrix(_) => ValueType::Matrix,
        }
    }
}
