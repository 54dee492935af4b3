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

/// The quantile `q` of values, which are sorted by this. Between two values it is interpolated linearly.
///
/// NaN for no values or if `q` is NaN; infinite if `q` is outside `[0, 1]`. Values that are NaN count as the lowest.
pub(crate) fn vector_quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if let Some(infinity) = outside(q) {
        return infinity;
    }
    values.sort_unstable_by(|a, b| b.is_nan().cmp(&a.is_nan()).then_with(|| (a + 0.0).total_cmp(&(b + 0.0))));
    let highest = (values.len() - 1) as f64;
    let rank = q * highest;
    let lower = rank.floor().max(0.0);
    let upper = (lower + 1.0).min(highest);
    let weight = rank - rank.floor();
    let value = |index: f64| values.get(index as usize).copied().unwrap_or(f64::NAN);
    value(lower) * (1.0 - weight) + value(upper) * weight
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
