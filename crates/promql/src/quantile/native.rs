//! Native histograms. Within exponential buckets observations are taken to be spread evenly on a logarithmic scale; within
//! custom buckets and the zero bucket linearly.

use super::outside;
use prometheus_model::{Bucket, FloatHistogram};

/// What is to be said of a result because the histogram observed NaN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::enum_variant_names, reason = "all are about NaN, of which there is nothing else to say")]
pub(crate) enum NativeNote {
    /// The quantile is NaN for that.
    NanResult,
    /// The quantile is higher for that, because NaN counts as the highest value.
    NanSkew,
    /// The fraction leaves out these observations.
    NanFraction,
}

/// The quantile `q`, and what is to be said of it.
///
/// NaN without observations or if `q` is NaN; infinite if `q` is outside `[0, 1]`.
pub(crate) fn native_quantile(q: f64, histogram: &FloatHistogram) -> (f64, Option<NativeNote>) {
    if let Some(infinity) = outside(q) {
        return (infinity, None);
    }
    if histogram.count == 0.0 || q.is_nan() {
        return (f64::NAN, None);
    }
    let observed_nan = histogram.sum.is_nan();
    // NaN is counted, but in no bucket: ranks are right only from below.
    let from_below = observed_nan || q < 0.5;
    let (mut buckets, mut rank) = if from_below {
        (histogram.ascending(), q * histogram.count)
    } else {
        (histogram.descending(), (1.0 - q) * histogram.count)
    };
    let mut bucket = Bucket { lower: 0.0, upper: 0.0, lower_inclusive: false, upper_inclusive: false, count: 0.0 };
    let mut count = 0.0;
    for next in buckets.by_ref() {
        bucket = next;
        if bucket.count == 0.0 {
            continue;
        }
        count += bucket.count;
        if count >= rank {
            break;
        }
    }
    let is_custom = histogram.uses_custom_buckets();
    if is_custom {
        if bucket.lower == f64::NEG_INFINITY {
            if bucket.upper <= 0.0 {
                return (bucket.upper, None);
            }
            bucket.lower = 0.0;
        } else if bucket.upper == f64::INFINITY {
            return (bucket.lower, None);
        }
    } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
        end_at_zero(&mut bucket, histogram);
    }
    // Counts may add up to more, by rounding.
    if count > histogram.count {
        count = histogram.count;
    }
    if count < rank {
        return if observed_nan { (f64::NAN, Some(NativeNote::NanResult)) } else { (bucket.upper, None) };
    }
    if from_below {
        rank -= count - bucket.count;
    } else {
        rank = count - rank;
    }
    let mut note = None;
    if observed_nan {
        // Interpolation is in the last bucket then, whichever holds the quantile: as in Prometheus.
        for next in buckets {
            bucket = next;
            count += bucket.count;
        }
        if count < histogram.count {
            note = Some(NativeNote::NanSkew);
        }
    }
    let fraction = rank / bucket.count;
    let linear = is_custom || (bucket.lower <= 0.0 && bucket.upper >= 0.0);
    (bucket.value_at(fraction, linear), note)
}

/// Which share of the observations lies between `lower` and `upper`, and what is to be said of it.
///
/// NaN without observations or if a bound is NaN.
pub(crate) fn native_fraction(lower: f64, upper: f64, histogram: &FloatHistogram) -> (f64, Option<NativeNote>) {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return (f64::NAN, None);
    }
    if lower >= upper {
        return (0.0, None);
    }
    let is_custom = histogram.uses_custom_buckets();
    let (mut lower_rank, mut upper_rank) = (None, None);
    let (mut count, mut rank) = (0.0, 0.0);
    let mut buckets = histogram.ascending();
    for mut bucket in buckets.by_ref() {
        count += bucket.count;
        let holds_zero = bucket.lower <= 0.0 && bucket.upper >= 0.0;
        if holds_zero {
            end_at_zero(&mut bucket, histogram);
        }
        let linear = is_custom || holds_zero;
        let rank_at = |value: f64| {
            // Nothing can be said within a bucket that reaches to infinity: its observations are all below, or none is.
            if linear && bucket.lower == f64::NEG_INFINITY {
                bucket.count
            } else {
                rank + bucket.count * bucket.fraction_below(value, linear)
            }
        };
        for (bound, found) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
            if found.is_none() && bucket.lower >= bound {
                *found = Some(rank);
            } else if found.is_none() && bucket.lower < bound && bucket.upper > bound {
                *found = Some(rank_at(bound));
            }
        }
        if lower_rank.is_some() && upper_rank.is_some() {
            break;
        }
        rank += bucket.count;
    }
    let mut note = None;
    if histogram.sum.is_nan() {
        // Observations that are NaN are in no bucket.
        for bucket in buckets {
            count += bucket.count;
        }
        if count < histogram.count {
            note = Some(NativeNote::NanFraction);
        }
    } else {
        count = histogram.count;
    }
    let within = |rank: Option<f64>| rank.map_or(count, |rank| if rank > count { count } else { rank });
    ((within(upper_rank) - within(lower_rank)) / histogram.count, note)
}

/// A zero bucket has only values of one sign if the other buckets have.
fn end_at_zero(bucket: &mut Bucket<f64>, histogram: &FloatHistogram) {
    match (histogram.negative_buckets.is_empty(), histogram.positive_buckets.is_empty()) {
        (true, false) => bucket.lower = 0.0,
        (false, true) => bucket.upper = 0.0,
        _ => {}
    }
}
