//! All buckets of a float histogram with their bounds, in either direction.

use super::{
    CUSTOM_BUCKETS_SCHEMA, FloatHistogram,
    layout::{Indexed, Reversed},
};
use crate::{Bucket, bucket::bound};

/// The sides of zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sign {
    Positive,
    Negative,
}

impl FloatHistogram {
    /// Positive buckets, also empty ones, from the zero bucket up, or custom ones from the lowest.
    pub fn positive(&self) -> impl Iterator<Item = Bucket<f64>> + '_ {
        self.indexed(Sign::Positive).map(|place| self.bucket(Sign::Positive, place.index, place.count))
    }

    /// Negative buckets, also empty ones, from the zero bucket down.
    pub fn negative(&self) -> impl Iterator<Item = Bucket<f64>> + '_ {
        self.indexed(Sign::Negative).map(|place| self.bucket(Sign::Negative, place.index, place.count))
    }

    /// All buckets, also empty ones, ascending. The zero bucket is there if it has observations; buckets that reach into
    /// it begin or end at its threshold.
    #[must_use]
    pub fn ascending(&self) -> AllBuckets<'_> {
        AllBuckets {
            histogram: self,
            before: Reversed::new(&self.negative_spans, &self.negative_buckets),
            zero_is_next: true,
            after: self.indexed(Sign::Positive),
            first: Sign::Negative,
        }
    }

    /// The buckets of [`Self::ascending`], descending.
    #[must_use]
    pub fn descending(&self) -> AllBuckets<'_> {
        AllBuckets {
            histogram: self,
            before: Reversed::new(&self.positive_spans, &self.positive_buckets),
            zero_is_next: true,
            after: self.indexed(Sign::Negative),
            first: Sign::Positive,
        }
    }

    /// The zero bucket, also if it is empty.
    pub(super) fn zero_bucket(&self) -> Bucket<f64> {
        Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
        }
    }

    pub(super) fn indexed(&self, sign: Sign) -> Indexed<'_> {
        match sign {
            Sign::Positive => Indexed::new(&self.positive_spans, &self.positive_buckets),
            Sign::Negative => Indexed::new(&self.negative_spans, &self.negative_buckets),
        }
    }

    fn bucket(&self, sign: Sign, index: i64, count: f64) -> Bucket<f64> {
        let inner = bound(index.saturating_sub(1), self.schema, &self.custom_values);
        let outer = bound(index, self.schema, &self.custom_values);
        let (lower, upper) = match sign {
            Sign::Positive => (inner, outer),
            Sign::Negative => (-outer, -inner),
        };
        let (lower_inclusive, upper_inclusive) =
            if self.schema == CUSTOM_BUCKETS_SCHEMA { (index == 0, true) } else { (lower < 0.0, upper > 0.0) };
        Bucket { lower, upper, lower_inclusive, upper_inclusive, count }
    }
}

/// See [`FloatHistogram::ascending`].
#[derive(Clone, Debug)]
pub struct AllBuckets<'a> {
    histogram: &'a FloatHistogram,
    before: Reversed<'a>,
    zero_is_next: bool,
    after: Indexed<'a>,
    /// The side that comes first.
    first: Sign,
}

impl AllBuckets<'_> {
    /// Cuts a bucket off at the zero bucket.
    fn outside_zero(&self, mut bucket: Bucket<f64>) -> Bucket<f64> {
        let threshold = self.histogram.zero_threshold;
        if bucket.upper < 0.0 && bucket.upper > -threshold {
            bucket.upper = -threshold;
        } else if bucket.lower > 0.0 && bucket.lower < threshold {
            bucket.lower = threshold;
        }
        bucket
    }
}

impl Iterator for AllBuckets<'_> {
    type Item = Bucket<f64>;

    fn next(&mut self) -> Option<Bucket<f64>> {
        if self.zero_is_next {
            if let Some((index, count)) = self.before.next() {
                return Some(self.outside_zero(self.histogram.bucket(self.first, index, count)));
            }
            self.zero_is_next = false;
            if self.histogram.zero_count > 0.0 {
                return Some(self.histogram.zero_bucket());
            }
        }
        let place = self.after.next()?;
        let sign = match self.first {
            Sign::Positive => Sign::Negative,
            Sign::Negative => Sign::Positive,
        };
        Some(self.outside_zero(self.histogram.bucket(sign, place.index, place.count)))
    }
}
