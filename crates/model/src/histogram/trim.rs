//! Observations below or above a value: the operators `</` and `>/`.

use super::FloatHistogram;
use crate::Bucket;

impl FloatHistogram {
    /// Keeps what was observed below `bound`, or else above it: whole buckets, and a share of that which `bound` is in.
    /// Count and sum become estimates of what is left, if anything goes.
    pub fn trim_buckets(&mut self, bound: f64, keep_below: bool) {
        let trim = Trim { bound, keep_below, linear: self.uses_custom_buckets() };
        let mut rest = Rest::default();
        let positive: Vec<_> = self.positive().map(|bucket| rest.take(bucket, trim, true)).collect();
        let has_positive = std::mem::take(&mut rest.has_observations);
        let negative: Vec<_> = self.negative().map(|bucket| rest.take(bucket, trim, false)).collect();
        let has_negative = rest.has_observations;
        self.positive_buckets.truncate(positive.len());
        self.positive_buckets.copy_from_slice(&positive);
        self.negative_buckets.truncate(negative.len());
        self.negative_buckets.copy_from_slice(&negative);
        if self.zero_count > 0.0 {
            let bucket = self.zero_bucket();
            let (kept, middle) = trim.zero_bucket(&bucket, has_negative, has_positive);
            rest.trimmed |= self.zero_count != kept;
            self.zero_count = kept;
            rest.sum += middle * kept;
            rest.count += kept;
        }
        if rest.trimmed {
            self.count = rest.count;
            self.sum = rest.sum;
            self.compact(0);
        }
    }
}

/// What is left, summed up.
#[derive(Default)]
struct Rest {
    count: f64,
    sum: f64,
    has_observations: bool,
    trimmed: bool,
}

impl Rest {
    /// The count that is left of a bucket.
    fn take(&mut self, bucket: Bucket<f64>, trim: Trim, positive: bool) -> f64 {
        if bucket.count == 0.0 {
            return bucket.count;
        }
        self.has_observations = true;
        let (kept, middle) = trim.bucket(&bucket, positive);
        self.count += kept;
        self.sum += middle * kept;
        if bucket.count == kept {
            return bucket.count;
        }
        self.trimmed = true;
        kept
    }
}

#[derive(Clone, Copy)]
struct Trim {
    bound: f64,
    keep_below: bool,
    linear: bool,
}

impl Trim {
    /// The count that is left, and the middle of what is left.
    fn bucket(self, bucket: &Bucket<f64>, positive: bool) -> (f64, f64) {
        let (keeps_all, is_cut) = if self.keep_below {
            (bucket.upper <= self.bound, bucket.lower < self.bound)
        } else {
            (bucket.lower >= self.bound, bucket.upper > self.bound)
        };
        if keeps_all {
            return (bucket.count, self.middle(bucket.lower, bucket.upper, positive));
        }
        if !is_cut {
            return (0.0, 0.0);
        }
        if bucket.lower == f64::NEG_INFINITY {
            return self.lowest_bucket(bucket);
        }
        if bucket.upper == f64::INFINITY {
            return self.highest_bucket(bucket);
        }
        let below = if self.bound <= bucket.lower {
            0.0
        } else if self.bound >= bucket.upper {
            bucket.count
        } else {
            bucket.count * bucket.fraction_below(self.bound, self.linear)
        };
        if self.keep_below {
            (below, self.middle(bucket.lower, self.bound, positive))
        } else {
            (bucket.count - below, self.middle(self.bound, bucket.upper, positive))
        }
    }

    /// A bucket that begins at -Inf: from zero if it ends above; or else nobody knows where observations are, and
    /// it stays or goes as a whole.
    fn lowest_bucket(self, bucket: &Bucket<f64>) -> (f64, f64) {
        let Self { bound, keep_below, .. } = self;
        let upper_is_finite = bucket.upper != f64::INFINITY;
        if keep_below {
            if bound >= bucket.upper {
                return (bucket.count, 0.0);
            }
            if bound > 0.0 && bucket.upper > 0.0 && upper_is_finite {
                return (bucket.count * bound / bucket.upper, bound / 2.0);
            }
            if bucket.upper <= 0.0 {
                return (bucket.count, bound);
            }
        } else {
            if bound <= bucket.lower {
                return (bucket.count, 0.0);
            }
            if bound >= 0.0 && bucket.upper > bound && upper_is_finite {
                return (bucket.count * (1.0 - bound / bucket.upper), (bound + bucket.upper) / 2.0);
            }
        }
        (0.0, zero_if_infinite(bucket.upper))
    }

    /// A bucket that ends at +Inf: it stays or goes as a whole.
    fn highest_bucket(self, bucket: &Bucket<f64>) -> (f64, f64) {
        if !self.keep_below && self.bound >= bucket.lower {
            (bucket.count, self.bound)
        } else {
            (0.0, zero_if_infinite(bucket.lower))
        }
    }

    /// The zero bucket, which ends at zero on the side that has no observations if only the other has.
    fn zero_bucket(self, bucket: &Bucket<f64>, has_negative: bool, has_positive: bool) -> (f64, f64) {
        let lower = if has_positive && !has_negative { 0.0 } else { bucket.lower };
        let upper = if has_negative && !has_positive { 0.0 } else { bucket.upper };
        let all = (bucket.count, (lower + upper) / 2.0);
        let (fraction, middle) = if self.keep_below {
            if self.bound <= lower {
                return (0.0, 0.0);
            }
            if self.bound >= upper {
                return all;
            }
            ((self.bound - lower) / (upper - lower), (lower + self.bound) / 2.0)
        } else {
            if self.bound <= lower {
                return all;
            }
            if self.bound >= upper {
                return (0.0, 0.0);
            }
            ((upper - self.bound) / (upper - lower), (self.bound + upper) / 2.0)
        };
        (bucket.count * fraction, middle)
    }

    /// The arithmetic mean of bounds, or their geometric mean unless linear; next to infinity, what is finite.
    fn middle(self, lower: f64, upper: f64, positive: bool) -> f64 {
        match (lower.is_infinite(), upper.is_infinite()) {
            (true, true) => 0.0,
            (true, false) if upper > 0.0 => upper / 2.0,
            (true, false) => upper,
            (false, true) => lower,
            (false, false) if self.linear => (lower + upper) / 2.0,
            (false, false) => {
                let mean = (lower * upper).abs().sqrt();
                if positive { mean } else { -mean }
            }
        }
    }
}

fn zero_if_infinite(bound: f64) -> f64 {
    if bound.is_infinite() { 0.0 } else { bound }
}
