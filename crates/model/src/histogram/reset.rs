//! Whether a counter was reset between two histograms.

use super::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, iterate::Sign, side::reduced_index};
use crate::bucket::bound;

impl FloatHistogram {
    /// Whether the counter was reset between `previous` and this histogram: its hint says so, or the hint is silent and a
    /// count decreased, or a populated bucket is gone, or the layout changed as it can only by a reset.
    ///
    /// The sum may decrease. A gauge is treated as a counter whose hint is silent.
    #[must_use]
    pub fn detect_reset(&self, previous: &Self) -> bool {
        match self.counter_reset_hint {
            CounterResetHint::CounterReset => return true,
            CounterResetHint::NotCounterReset => return false,
            CounterResetHint::Unknown | CounterResetHint::Gauge => {}
        }
        if self.count < previous.count {
            return true;
        }
        if self.uses_custom_buckets() {
            if !previous.uses_custom_buckets() {
                return true;
            }
            if self.custom_values != previous.custom_values {
                return self.detect_reset_between_bounds(previous);
            }
        }
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let (previous_zero_count, threshold) = previous.zero_count_within(self.zero_threshold, None);
        if threshold != self.zero_threshold || self.zero_count < previous_zero_count.sum {
            return true;
        }
        [Sign::Positive, Sign::Negative].into_iter().any(|sign| {
            let current = self.merged(sign, self.zero_threshold, self.schema);
            has_decreased(current, previous.merged(sign, self.zero_threshold, self.schema))
        })
    }

    /// Indexes and counts at a resolution that is no higher, without the buckets that lie within `threshold`.
    fn merged(&self, sign: Sign, threshold: f64, schema: i32) -> impl Iterator<Item = (i64, f64)> + '_ {
        let shift = if schema < self.schema { self.schema.abs_diff(schema) } else { 0 };
        let mut buckets =
            self.indexed(sign).map(move |place| (reduced_index(place.index, shift), place.count)).peekable();
        let merge = move || {
            let (index, mut count) = buckets.next()?;
            while shift > 0
                && let Some((_, more)) = buckets.next_if(|&(other, _)| other == index)
            {
                count += more;
            }
            Some((index, count))
        };
        let is_inside = move |&(index, _): &(i64, f64)| {
            threshold != 0.0 && matches!(schema, -4..=8) && bound(index, schema, &[]) <= threshold
        };
        std::iter::from_fn(merge).skip_while(is_inside)
    }

    /// The same for custom buckets whose bounds differ: compares what lies between bounds that both have.
    fn detect_reset_between_bounds(&self, previous: &Self) -> bool {
        debug_assert_eq!(self.schema, CUSTOM_BUCKETS_SCHEMA);
        let (mut current_buckets, mut previous_buckets) = (self.positive().peekable(), previous.positive().peekable());
        let common = super::custom::common_bounds(&self.custom_values, &previous.custom_values);
        common.into_iter().chain([f64::INFINITY]).any(|bound| {
            let current = sum_until(bound, &mut current_buckets);
            current < sum_until(bound, &mut previous_buckets)
        })
    }
}

/// Takes the buckets up to `bound`.
fn sum_until(bound: f64, buckets: &mut std::iter::Peekable<impl Iterator<Item = crate::Bucket<f64>>>) -> f64 {
    let mut sum = 0.0;
    while let Some(bucket) = buckets.next_if(|bucket| bucket.upper <= bound) {
        sum += bucket.count;
    }
    sum
}

/// Whether a populated bucket is gone, or has fewer observations.
fn has_decreased(current: impl Iterator<Item = (i64, f64)>, mut previous: impl Iterator<Item = (i64, f64)>) -> bool {
    let mut current = current.peekable();
    previous.any(|(index, count)| {
        while current.next_if(|&(other, _)| other < index).is_some() {}
        match current.peek() {
            Some(&(other, now)) if other == index => now < count,
            _ => count != 0.0,
        }
    })
}
