//! Zero buckets of different widths.

use super::{FloatHistogram, arithmetic::unzip, compensated::Compensated, side::Side};

/// Widening never takes so many rounds, since bounds of lower resolutions are bounds of higher ones too; thresholds that
/// are not numbers, or buckets that are out of order, must not make it endless.
const MAX_ROUNDS: usize = 32;

impl FloatHistogram {
    /// Widens this histogram's zero bucket so that it holds those of both, and ends within no populated bucket of
    /// either. Gives back what the other's zero count is then, and its compensation.
    pub(super) fn reconcile_zero_buckets(&mut self, other: &Self, mut compensation: Option<&mut Self>) -> (f64, f64) {
        let mut zero_count = Compensated::new(other.zero_count, 0.0);
        let mut threshold = other.zero_threshold;
        for _ in 0..MAX_ROUNDS {
            if self.zero_threshold > threshold {
                (zero_count, threshold) = other.zero_count_within(self.zero_threshold, None);
            }
            if threshold > self.zero_threshold {
                let (own, widened) = self.zero_count_within(threshold, compensation.as_deref());
                (self.zero_count, self.zero_threshold) = (own.sum, widened);
                if let Some(compensation) = compensation.as_deref_mut() {
                    compensation.zero_count = own.compensation;
                }
                self.remove_buckets_in_zero(compensation.as_deref_mut());
            }
            if threshold == self.zero_threshold {
                break;
            }
        }
        (zero_count.sum, zero_count.compensation)
    }

    /// What the zero count would be if the zero bucket reached at least to `threshold`; and how far it reaches then: to
    /// the end of the populated bucket that `threshold` is in.
    pub(super) fn zero_count_within(&self, mut threshold: f64, compensation: Option<&Self>) -> (Compensated, f64) {
        let mut zero_count = Compensated::new(self.zero_count, compensation.map_or(0.0, |c| c.zero_count));
        if threshold == self.zero_threshold {
            return (zero_count, threshold);
        }
        let compensated = |positive: bool| {
            compensation.map_or(&[][..], |c| if positive { &c.positive_buckets } else { &c.negative_buckets })
        };
        for _ in 0..MAX_ROUNDS {
            // The compensation is that of the round before: as in Prometheus.
            zero_count.sum = self.zero_count;
            for (position, bucket) in self.positive().enumerate() {
                if bucket.lower >= threshold {
                    break;
                }
                zero_count.add(bucket.count);
                if let Some(&compensation) = compensated(true).get(position) {
                    zero_count.add(compensation);
                }
                if bucket.upper > threshold {
                    if bucket.count != 0.0 {
                        threshold = bucket.upper;
                    }
                    break;
                }
            }
            let mut widened = false;
            for (position, bucket) in self.negative().enumerate() {
                if bucket.upper <= -threshold {
                    break;
                }
                zero_count.add(bucket.count);
                if let Some(&compensation) = compensated(false).get(position) {
                    zero_count.add(compensation);
                }
                if bucket.lower < -threshold {
                    if bucket.count != 0.0 {
                        threshold = -bucket.lower;
                        widened = true;
                    }
                    break;
                }
            }
            if !widened {
                break;
            }
        }
        (zero_count, threshold)
    }

    /// Removes the buckets that begin within the zero bucket.
    fn remove_buckets_in_zero(&mut self, compensation: Option<&mut Self>) {
        let threshold = self.zero_threshold;
        let positive = self.positive().position(|bucket| bucket.lower >= threshold).unwrap_or(usize::MAX);
        let negative = self.negative().position(|bucket| bucket.upper <= -threshold).unwrap_or(usize::MAX);
        let clear = |counts: &mut [f64], many: usize| counts.iter_mut().take(many).for_each(|count| *count = 0.0);
        clear(&mut self.positive_buckets, positive);
        clear(&mut self.negative_buckets, negative);
        match compensation {
            None => self.compact(0),
            Some(compensation) => {
                clear(&mut compensation.positive_buckets, positive);
                clear(&mut compensation.negative_buckets, negative);
                self.compact_with(compensation);
            }
        }
    }

    /// Removes buckets that are empty here and have no compensation.
    fn compact_with(&mut self, compensation: &mut Self) {
        let positive = Side { compensations: &compensation.positive_buckets, ..self.positive_side() };
        let layout = positive.compacted::<Compensated>(0);
        self.positive_spans = layout.spans;
        (self.positive_buckets, compensation.positive_buckets) = unzip(layout.counts);
        let negative = Side { compensations: &compensation.negative_buckets, ..self.negative_side() };
        let layout = negative.compacted::<Compensated>(0);
        self.negative_spans = layout.spans;
        (self.negative_buckets, compensation.negative_buckets) = unzip(layout.counts);
    }
}
