//! Quantiles and fractions: of histograms, classic and native, and of values.
//!
//! Everything is computed in Prometheus' order, so that results have the same bits. What Prometheus tells the user about
//! a result comes as data; the engine makes annotations of it.

mod classic;
mod native;
#[cfg(test)]
mod tests;

pub(crate) use classic::{ClassicBucket, classic_fraction, classic_quantile};
pub(crate) use native::{NativeNote, native_fraction, native_quantile};

/// The quantile `q` of values, whose order this changes. Between two values it is interpolated linearly.
///
/// NaN for no values or if `q` is NaN; infinite if `q` is outside `[0, 1]`. Values that are NaN count as the lowest.
pub(crate) fn vector_quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if let Some(infinity) = outside(q) {
        return infinity;
    }
    for value in values.iter_mut().filter(|value| value.is_nan()) {
        *value = f64::NAN.copysign(-1.0); // the lowest of all in total order
    }
    let rank = q * (values.len() - 1) as f64;
    let weight = rank - rank.floor();
    // Only what is at the rank matters, and what comes next.
    let (_, lower, above) = values.select_nth_unstable_by(rank.floor().max(0.0) as usize, f64::total_cmp);
    let lower = *lower;
    let upper = above.iter().copied().min_by(f64::total_cmp).unwrap_or(lower);
    lower * (1.0 - weight) + upper * weight
}

/// What a quantile is that is none.
fn outside(q: f64) -> Option<f64> {
    if q < 0.0 {
        Some(f64::NEG_INFINITY)
    } else if q > 1.0 {
        Some(f64::INFINITY)
    } else {
        None
    }
}
