//! Functions of each value for itself.

use prometheus_model::{FloatHistogram, Labels, METRIC_NAME};

use super::{
    column::{Column, absent, is_present},
    date,
    grid::Grid,
    kahan::Kahan,
    labels,
    scalars::Scalars,
};
use crate::function::FunctionId as F;

/// Go's `math.Max`: infinity before NaN before anything else.
pub(crate) fn max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && b == 0.0 {
        if a.is_sign_negative() { b } else { a }
    } else if a > b {
        a
    } else {
        b
    }
}

/// Go's `math.Min`: negative infinity before NaN before anything else.
pub(crate) fn min(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY || b == f64::NEG_INFINITY {
        f64::NEG_INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && b == 0.0 {
        if a.is_sign_negative() { a } else { b }
    } else if a < b {
        a
    } else {
        b
    }
}

/// Whether the function looks at histograms, and not at floats.
const fn is_of_histograms(function: F) -> bool {
    matches!(function, F::HistogramAvg | F::HistogramCount | F::HistogramSum | F::HistogramStddev | F::HistogramStdvar)
}

/// Labels of the result of a function, if names are removed at once.
pub(crate) fn result_labels(function: F, labels: &Labels) -> Labels {
    if is_of_histograms(function) {
        labels::filtered(labels, |name| name != METRIC_NAME)
    } else {
        labels::without_name(labels)
    }
}

/// Evaluates a function on each value.
pub(crate) fn map(function: F, mut column: Column, params: &[Scalars], grid: Grid) -> Column {
    if is_of_histograms(function) {
        return of_histograms(function, &column);
    }
    match function {
        F::Timestamp => {
            return Column::of_floats(
                grid.times()
                    .enumerate()
                    .map(|(step, time)| if column.is_present(step) { time as f64 / 1000.0 } else { absent() })
                    .collect(),
            );
        }
        // Of an expression, nobody knows them.
        F::StartTimestamp => return Column::absent(column.len()),
        _ => {}
    }
    // Histograms are left out.
    column.histograms = Vec::new();
    let each = |column: &mut Column, function: &dyn Fn(f64) -> f64| {
        for value in column.floats.iter_mut().filter(|value| is_present(**value)) {
            *value = function(*value);
        }
    };
    let param = |i: usize, default: f64| params.get(i).cloned().unwrap_or(Scalars::Constant(default));
    match function {
        F::Clamp | F::ClampMin | F::ClampMax => {
            let (low, high) = match function {
                F::Clamp => (param(0, f64::NAN), param(1, f64::NAN)),
                F::ClampMin => (param(0, f64::NAN), Scalars::Constant(f64::INFINITY)),
                _ => (Scalars::Constant(f64::NEG_INFINITY), param(0, f64::NAN)),
            };
            for (step, value) in column.floats.iter_mut().enumerate().filter(|(_, value)| is_present(**value)) {
                let (low, high) = (low.at(step), high.at(step));
                *value = if high < low { absent() } else { max(low, min(high, *value)) };
            }
        }
        F::Round => {
            let to = param(0, 1.0);
            for (step, value) in column.floats.iter_mut().enumerate().filter(|(_, value)| is_present(**value)) {
                let inverse = 1.0 / to.at(step);
                *value = (*value * inverse + 0.5).floor() / inverse;
            }
        }
        F::Abs => each(&mut column, &f64::abs),
        F::Ceil => each(&mut column, &f64::ceil),
        F::Floor => each(&mut column, &f64::floor),
        F::Sqrt => each(&mut column, &f64::sqrt),
        F::Exp => each(&mut column, &f64::exp),
        F::Ln => each(&mut column, &f64::ln),
        F::Log2 => each(&mut column, &f64::log2),
        F::Log10 => each(&mut column, &f64::log10),
        F::Sin => each(&mut column, &f64::sin),
        F::Cos => each(&mut column, &f64::cos),
        F::Tan => each(&mut column, &f64::tan),
        F::Asin => each(&mut column, &f64::asin),
        F::Acos => each(&mut column, &f64::acos),
        F::Atan => each(&mut column, &f64::atan),
        F::Sinh => each(&mut column, &f64::sinh),
        F::Cosh => each(&mut column, &f64::cosh),
        F::Tanh => each(&mut column, &f64::tanh),
        F::Asinh => each(&mut column, &f64::asinh),
        F::Acosh => each(&mut column, &f64::acosh),
        F::Atanh => each(&mut column, &f64::atanh),
        F::Rad => each(&mut column, &|v| v * std::f64::consts::PI / 180.0),
        F::Deg => each(&mut column, &|v| v * 180.0 / std::f64::consts::PI),
        F::Sgn => each(&mut column, &|v| {
            if v < 0.0 {
                -1.0
            } else if v > 0.0 {
                1.0
            } else {
                v
            }
        }),
        _ => each(&mut column, &|v| date::part(function, v)),
    }
    column
}

fn of_histograms(function: F, column: &Column) -> Column {
    let value = |histogram: &FloatHistogram| match function {
        F::HistogramCount => histogram.count,
        F::HistogramSum => histogram.sum,
        F::HistogramAvg => histogram.sum / histogram.count,
        F::HistogramStdvar => variance(histogram),
        _ => variance(histogram).sqrt(),
    };
    let steps = 0..column.len();
    Column::of_floats(steps.map(|step| column.histogram(step).map_or(absent(), |h| value(h))).collect())
}

/// As if all observations of a bucket were in its middle: the geometric one, of exponential buckets.
fn variance(histogram: &FloatHistogram) -> f64 {
    let mean = histogram.sum / histogram.count;
    let squares = histogram.ascending().filter(|bucket| bucket.count != 0.0).fold(Kahan::default(), |sum, bucket| {
        let middle = if histogram.uses_custom_buckets() {
            f64::midpoint(bucket.upper, bucket.lower)
        } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
            0.0
        } else {
            let middle = (bucket.upper * bucket.lower).sqrt();
            if bucket.upper < 0.0 { -middle } else { middle }
        };
        let delta = middle - mean;
        sum.plus(bucket.count * delta * delta)
    });
    squares.total() / histogram.count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::grid::Counted;

    #[test]
    fn extremes_are_those_of_go() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        assert_eq!((max(nan, inf), max(1.0, 2.0), min(nan, -inf), min(1.0, 2.0)), (inf, 2.0, -inf, 1.0));
        assert!(max(nan, 1.0).is_nan() && min(1.0, nan).is_nan());
        assert!(max(-0.0, 0.0).is_sign_positive() && min(0.0, -0.0).is_sign_negative());
    }

    #[test]
    fn absent_values_stay_absent() {
        let column = Column::of_floats(vec![absent(), -1.5, f64::NAN]);
        let grid = Grid { start: 0, step: 1000, count: 3, counted: Counted::Each };
        for function in [F::Abs, F::Sgn, F::Exp, F::Clamp, F::Round, F::Hour, F::Timestamp] {
            let params = [Scalars::Constant(0.0), Scalars::Constant(1.0)];
            let result = map(function, column.clone(), &params, grid);
            assert!(!result.is_present(0) && result.is_present(1) && result.is_present(2), "{function:?}");
        }
        let none = map(F::Clamp, column, &[Scalars::Constant(1.0), Scalars::Constant(0.0)], grid);
        assert!(none.is_empty());
    }
}
