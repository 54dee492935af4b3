//! Classic histograms: one series for each upper bound, with all observations up to it.

use super::outside;

/// Counts that differ by less, relatively, are equal but for rounding.
const TOLERANCE: f64 = 1e-12;

/// A bucket of a classic histogram.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct ClassicBucket {
    /// Inclusive.
    pub(crate) upper_bound: f64,
    /// Observations up to the upper bound.
    pub(crate) count: f64,
}

/// Counts decreased with rising bounds, and were corrected.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct ForcedMonotonic {
    /// Lowest upper bound where.
    pub(crate) min_bucket: f64,
    /// Highest upper bound where.
    pub(crate) max_bucket: f64,
    /// Largest decrease.
    pub(crate) max_diff: f64,
}

/// The quantile `q`, interpolated linearly within a bucket, and whether counts had to be corrected. Buckets are sorted,
/// merged and corrected by this.
///
/// NaN without observations, without a bucket up to +Inf, with only that one, or if `q` is NaN; infinite if `q` is
/// outside `[0, 1]`. In the highest bucket it is the bound below; in the lowest it is interpolated from zero if its bound
/// is positive, or else that bound.
pub(crate) fn classic_quantile(q: f64, buckets: &mut Vec<ClassicBucket>) -> (f64, Option<ForcedMonotonic>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if let Some(infinity) = outside(q) {
        return (infinity, None);
    }
    if !prepare(buckets) {
        return (f64::NAN, None);
    }
    let forced = make_monotonic(buckets);
    let [below @ .., highest] = buckets.as_slice() else { return (f64::NAN, forced) };
    let Some(second) = below.last() else { return (f64::NAN, forced) };
    if highest.count == 0.0 {
        return (f64::NAN, forced);
    }
    let mut rank = q * highest.count;
    // Not what `partition_point` finds if counts are NaN: the search itself is Prometheus'.
    let position = search(below.len(), |position| below.get(position).is_some_and(|bucket| bucket.count >= rank));
    let Some(bucket) = below.get(position) else { return (second.upper_bound, forced) };
    if position == 0 && bucket.upper_bound <= 0.0 {
        return (bucket.upper_bound, forced);
    }
    let (mut start, mut count) = (0.0, bucket.count);
    if let Some(previous) = position.checked_sub(1).and_then(|position| below.get(position)) {
        start = previous.upper_bound;
        count -= previous.count;
        rank -= previous.count;
    }
    (start + (bucket.upper_bound - start) * (rank / count), forced)
}

/// Which share of the observations lies between `lower` and `upper`, interpolated as by [`classic_quantile`]. Buckets are
/// sorted and merged by this, but not corrected.
///
/// NaN without observations, without a bucket up to +Inf, or if a bound is NaN.
pub(crate) fn classic_fraction(lower: f64, upper: f64, buckets: &mut Vec<ClassicBucket>) -> f64 {
    if !prepare(buckets) {
        return f64::NAN;
    }
    let total = buckets.last().map_or(0.0, |bucket| bucket.count);
    if total == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let (mut lower_rank, mut upper_rank) = (None, None);
    let mut rank = 0.0;
    let mut start =
        if buckets.first().is_some_and(|bucket| bucket.upper_bound <= 0.0) { f64::NEG_INFINITY } else { 0.0 };
    for bucket in buckets.iter() {
        let end = bucket.upper_bound;
        // Nothing can be said within a bucket that reaches to infinity: its observations are all below, or none is.
        let rank_at = |value: f64| {
            if start == f64::NEG_INFINITY {
                bucket.count
            } else {
                rank + (bucket.count - rank) * (value - start) / (end - start)
            }
        };
        for (bound, found) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
            if found.is_none() && start >= bound {
                *found = Some(rank);
            } else if found.is_none() && start < bound && end > bound {
                *found = Some(rank_at(bound));
            }
        }
        if lower_rank.is_some() && upper_rank.is_some() {
            break;
        }
        rank = bucket.count;
        start = end;
    }
    let within = |rank: Option<f64>| rank.map_or(total, |rank| if rank > total { total } else { rank });
    (within(upper_rank) - within(lower_rank)) / total
}

/// Sorts, and merges buckets with one bound. Whether there is a bucket up to +Inf.
fn prepare(buckets: &mut Vec<ClassicBucket>) -> bool {
    // Zeros are equal; bounds that are no numbers come last.
    buckets.sort_by(|a, b| (a.upper_bound + 0.0).total_cmp(&(b.upper_bound + 0.0)));
    if buckets.last().is_none_or(|bucket| bucket.upper_bound != f64::INFINITY) {
        return false;
    }
    buckets.dedup_by(|bucket, kept| {
        let same = bucket.upper_bound == kept.upper_bound;
        if same {
            kept.count += bucket.count;
        }
        same
    });
    true
}

/// Removes decreases: silently those that rounding explains.
fn make_monotonic(buckets: &mut [ClassicBucket]) -> Option<ForcedMonotonic> {
    let mut forced: Option<ForcedMonotonic> = None;
    let (first, others) = buckets.split_first_mut()?;
    let mut previous = first.count;
    for bucket in others {
        let current = bucket.count;
        if current == previous {
            continue;
        }
        if almost_equal(previous, current) {
            bucket.count = previous;
        } else if current < previous {
            bucket.count = previous;
            let bound = bucket.upper_bound;
            let forced = forced.get_or_insert(ForcedMonotonic { min_bucket: bound, max_bucket: bound, max_diff: 0.0 });
            forced.min_bucket = forced.min_bucket.min(bound);
            forced.max_bucket = forced.max_bucket.max(bound);
            forced.max_diff = forced.max_diff.max(previous - current);
        } else {
            previous = current;
        }
    }
    forced
}

/// Whether counts differ by less than [`TOLERANCE`] of their sum, or both are NaN.
fn almost_equal(a: f64, b: f64) -> bool {
    use prometheus_model::is_stale_nan;
    if is_stale_nan(a) || is_stale_nan(b) {
        return is_stale_nan(a) && is_stale_nan(b);
    }
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        difference < TOLERANCE * f64::MIN_POSITIVE
    } else {
        difference / sum.min(f64::MAX) < TOLERANCE
    }
}

/// The lowest position in `[0, length)` for which `is_reached`, by bisection, or else `length`.
fn search(length: usize, is_reached: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, length);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_reached(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}
