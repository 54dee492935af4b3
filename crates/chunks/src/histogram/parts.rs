//! What histograms with integer and with float counts have in common, so that each algorithm is written once.

use std::fmt::Debug;

use prometheus_model::{CounterResetHint, FloatHistogram, Histogram, Span};

use super::field::{Bucket, Field, Float, Integer, Natural, Total};
use crate::ValueKind;

/// The count of all observations, or of those in the zero bucket.
pub(crate) type TotalOf<H> = <<H as Parts>::Total as Field>::Value;

/// The count of a bucket, as it is stored.
pub(crate) type BucketOf<H> = <<H as Parts>::Bucket as Field>::Value;

/// A kind of histogram, in parts.
pub trait Parts: Clone + Debug + Default {
    /// How the number of observations is coded.
    type Total: Total;
    /// How buckets are coded.
    type Bucket: Bucket;

    /// Which kind it is.
    const KIND: ValueKind;

    /// What to call its encodings in messages.
    const KIND_NAME: &'static str;

    /// The parts.
    fn view(&self) -> View<'_, Self>;

    /// The parts, to fill.
    fn view_mut(&mut self) -> ViewMut<'_, Self>;
}

/// The parts of a histogram. The names are those of the model.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, H: Parts> {
    pub(super) counter_reset_hint: CounterResetHint,
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) zero_count: TotalOf<H>,
    pub(super) count: TotalOf<H>,
    pub(super) sum: f64,
    pub(super) positive_spans: &'a [Span],
    pub(super) negative_spans: &'a [Span],
    pub(super) positive_buckets: &'a [BucketOf<H>],
    pub(super) negative_buckets: &'a [BucketOf<H>],
    pub(super) custom_values: &'a [f64],
}

/// The parts of a histogram, to fill.
#[derive(Debug)]
pub struct ViewMut<'a, H: Parts> {
    pub(super) counter_reset_hint: &'a mut CounterResetHint,
    pub(super) schema: &'a mut i32,
    pub(super) zero_threshold: &'a mut f64,
    pub(super) zero_count: &'a mut TotalOf<H>,
    pub(super) count: &'a mut TotalOf<H>,
    pub(super) sum: &'a mut f64,
    pub(super) positive_spans: &'a mut Vec<Span>,
    pub(super) negative_spans: &'a mut Vec<Span>,
    pub(super) positive_buckets: &'a mut Vec<BucketOf<H>>,
    pub(super) negative_buckets: &'a mut Vec<BucketOf<H>>,
    pub(super) custom_values: &'a mut Vec<f64>,
}

impl<H: Parts> View<'_, H> {
    /// A histogram that is empty but for its sum.
    pub(super) fn empty(counter_reset_hint: CounterResetHint, sum: f64) -> Self {
        Self {
            counter_reset_hint,
            schema: 0,
            zero_threshold: 0.0,
            zero_count: TotalOf::<H>::default(),
            count: TotalOf::<H>::default(),
            sum,
            positive_spans: &[],
            negative_spans: &[],
            positive_buckets: &[],
            negative_buckets: &[],
            custom_values: &[],
        }
    }
}

macro_rules! parts {
    ($histogram:ident, $name:literal, $total:ty, $bucket:ty) => {
        impl Parts for $histogram {
            type Total = $total;
            type Bucket = $bucket;

            const KIND: ValueKind = ValueKind::$histogram;

            const KIND_NAME: &'static str = $name;

            fn view(&self) -> View<'_, Self> {
                View {
                    counter_reset_hint: self.counter_reset_hint,
                    schema: self.schema,
                    zero_threshold: self.zero_threshold,
                    zero_count: self.zero_count,
                    count: self.count,
                    sum: self.sum,
                    positive_spans: &self.positive_spans,
                    negative_spans: &self.negative_spans,
                    positive_buckets: &self.positive_buckets,
                    negative_buckets: &self.negative_buckets,
                    custom_values: &self.custom_values,
                }
            }

            fn view_mut(&mut self) -> ViewMut<'_, Self> {
                ViewMut {
                    counter_reset_hint: &mut self.counter_reset_hint,
                    schema: &mut self.schema,
                    zero_threshold: &mut self.zero_threshold,
                    zero_count: &mut self.zero_count,
                    count: &mut self.count,
                    sum: &mut self.sum,
                    positive_spans: &mut self.positive_spans,
                    negative_spans: &mut self.negative_spans,
                    positive_buckets: &mut self.positive_buckets,
                    negative_buckets: &mut self.negative_buckets,
                    custom_values: &mut self.custom_values,
                }
            }
        }
    };
}

parts!(Histogram, "an encoding of histograms with integer counts", Natural, Integer);
parts!(FloatHistogram, "an encoding of histograms with float counts", Float, Float);
