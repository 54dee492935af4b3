//! The functions and their signatures.

use crate::ast::ValueType::{self, Matrix, Scalar, String, Vector};

/// A function.
#[derive(Debug)]
pub struct Function {
    /// Which one, to tell them apart.
    pub id: FunctionId,
    /// Its name.
    pub name: &'static str,
    /// Types of its arguments; the last is that of all further ones.
    pub arg_types: &'static [ValueType],
    /// How many arguments may be missing or added at the end.
    pub variadic: Variadic,
    /// What it gives.
    pub return_type: ValueType,
    /// Whether it must be enabled.
    pub is_experimental: bool,
}

/// How far the number of arguments may differ from that of the types of arguments.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Variadic {
    /// Not at all.
    No,
    /// The last may be missing; it may be there so many times.
    UpTo(usize),
    /// The last may be missing, and be there any number of times.
    Any,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Function {}

impl Function {
    /// The function of this name. Case matters.
    ///
    /// ```
    /// use prometheus_promql::{Function, FunctionId};
    /// assert_eq!(Function::named("rate").map(|function| function.id), Some(FunctionId::Rate));
    /// ```
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        FUNCTIONS.binary_search_by_key(&name, |function| function.name).ok().and_then(|i| FUNCTIONS.get(i))
    }

    /// The fewest arguments that it takes.
    #[must_use]
    pub const fn min_args(&self) -> usize {
        match self.variadic {
            Variadic::No => self.arg_types.len(),
            Variadic::UpTo(_) | Variadic::Any => self.arg_types.len().saturating_sub(1),
        }
    }

    /// The most arguments that it takes, if there is a limit.
    #[must_use]
    pub const fn max_args(&self) -> Option<usize> {
        match self.variadic {
            Variadic::No => Some(self.arg_types.len()),
            Variadic::UpTo(more) => Some(self.min_args().saturating_add(more)),
            Variadic::Any => None,
        }
    }
}

macro_rules! functions {
    ($($id:ident $name:literal ($($arg:ident),*) $variadic:expr => $return:ident $($experimental:ident)?;)*) => {
        /// Names of the functions, for `match`.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[expect(missing_docs, reason = "the names are PromQL's")]
        pub enum FunctionId {
            $($id,)*
        }

        /// All functions of Prometheus 3.15, by name.
        pub const FUNCTIONS: &[Function] = &[
            $(Function {
                id: FunctionId::$id,
                name: $name,
                arg_types: &[$($arg),*],
                variadic: $variadic,
                return_type: $return,
                is_experimental: functions!(@ $($experimental)?),
            },)*
        ];
    };
    (@ experimental) => { true };
    (@) => { false };
}

functions! {
    Abs "abs" (Vector) Variadic::No => Vector;
    Absent "absent" (Vector) Variadic::No => Vector;
    AbsentOverTime "absent_over_time" (Matrix) Variadic::No => Vector;
    Acos "acos" (Vector) Variadic::No => Vector;
    Acosh "acosh" (Vector) Variadic::No => Vector;
    Asin "asin" (Vector) Variadic::No => Vector;
    Asinh "asinh" (Vector) Variadic::No => Vector;
    Atan "atan" (Vector) Variadic::No => Vector;
    Atanh "atanh" (Vector) Variadic::No => Vector;
    AvgOverTime "avg_over_time" (Matrix) Variadic::No => Vector;
    Ceil "ceil" (Vector) Variadic::No => Vector;
    Changes "changes" (Matrix) Variadic::No => Vector;
    Clamp "clamp" (Vector, Scalar, Scalar) Variadic::No => Vector;
    ClampMax "clamp_max" (Vector, Scalar) Variadic::No => Vector;
    ClampMin "clamp_min" (Vector, Scalar) Variadic::No => Vector;
    Cos "cos" (Vector) Variadic::No => Vector;
    Cosh "cosh" (Vector) Variadic::No => Vector;
    CountOverTime "count_over_time" (Matrix) Variadic::No => Vector;
    DayOfMonth "day_of_month" (Vector) Variadic::UpTo(1) => Vector;
    DayOfWeek "day_of_week" (Vector) Variadic::UpTo(1) => Vector;
    DayOfYear "day_of_year" (Vector) Variadic::UpTo(1) => Vector;
    DaysInMonth "days_in_month" (Vector) Variadic::UpTo(1) => Vector;
    Deg "deg" (Vector) Variadic::No => Vector;
    Delta "delta" (Matrix) Variadic::No => Vector;
    Deriv "deriv" (Matrix) Variadic::No => Vector;
    DoubleExponentialSmoothing "double_exponential_smoothing" (Matrix, Scalar, Scalar) Variadic::No => Vector experimental;
    End "end" () Variadic::No => Scalar experimental;
    Exp "exp" (Vector) Variadic::No => Vector;
    FirstOverTime "first_over_time" (Matrix) Variadic::No => Vector;
    Floor "floor" (Vector) Variadic::No => Vector;
    HistogramAvg "histogram_avg" (Vector) Variadic::No => Vector;
    HistogramCount "histogram_count" (Vector) Variadic::No => Vector;
    HistogramFraction "histogram_fraction" (Scalar, Scalar, Vector) Variadic::No => Vector;
    HistogramQuantile "histogram_quantile" (Scalar, Vector) Variadic::No => Vector;
    HistogramQuantiles "histogram_quantiles" (Vector, String, Scalar, Scalar) Variadic::UpTo(9) => Vector experimental;
    HistogramStddev "histogram_stddev" (Vector) Variadic::No => Vector;
    HistogramStdvar "histogram_stdvar" (Vector) Variadic::No => Vector;
    HistogramSum "histogram_sum" (Vector) Variadic::No => Vector;
    Hour "hour" (Vector) Variadic::UpTo(1) => Vector;
    Idelta "idelta" (Matrix) Variadic::No => Vector;
    Increase "increase" (Matrix) Variadic::No => Vector;
    Info "info" (Vector, Vector) Variadic::UpTo(1) => Vector experimental;
    Irate "irate" (Matrix) Variadic::No => Vector;
    LabelJoin "label_join" (Vector, String, String, String) Variadic::Any => Vector;
    LabelReplace "label_replace" (Vector, String, String, String, String) Variadic::No => Vector;
    LastOverTime "last_over_time" (Matrix) Variadic::No => Vector;
    Ln "ln" (Vector) Variadic::No => Vector;
    Log10 "log10" (Vector) Variadic::No => Vector;
    Log2 "log2" (Vector) Variadic::No => Vector;
    MadOverTime "mad_over_time" (Matrix) Variadic::No => Vector experimental;
    MaxOf "max_of" (Scalar, Scalar) Variadic::No => Scalar experimental;
    MaxOverTime "max_over_time" (Matrix) Variadic::No => Vector;
    MinOf "min_of" (Scalar, Scalar) Variadic::No => Scalar experimental;
    MinOverTime "min_over_time" (Matrix) Variadic::No => Vector;
    Minute "minute" (Vector) Variadic::UpTo(1) => Vector;
    Month "month" (Vector) Variadic::UpTo(1) => Vector;
    Pi "pi" () Variadic::No => Scalar;
    PredictLinear "predict_linear" (Matrix, Scalar) Variadic::No => Vector;
    PresentOverTime "present_over_time" (Matrix) Variadic::No => Vector;
    QuantileOverTime "quantile_over_time" (Scalar, Matrix) Variadic::No => Vector;
    Rad "rad" (Vector) Variadic::No => Vector;
    Range "range" () Variadic::No => Scalar experimental;
    Rate "rate" (Matrix) Variadic::No => Vector;
    Resets "resets" (Matrix) Variadic::No => Vector;
    Round "round" (Vector, Scalar) Variadic::UpTo(1) => Vector;
    Scalar "scalar" (Vector) Variadic::No => Scalar;
    Sgn "sgn" (Vector) Variadic::No => Vector;
    Sin "sin" (Vector) Variadic::No => Vector;
    Sinh "sinh" (Vector) Variadic::No => Vector;
    Sort "sort" (Vector) Variadic::No => Vector;
    SortByLabel "sort_by_label" (Vector, String) Variadic::Any => Vector experimental;
    SortByLabelDesc "sort_by_label_desc" (Vector, String) Variadic::Any => Vector experimental;
    SortDesc "sort_desc" (Vector) Variadic::No => Vector;
    Sqrt "sqrt" (Vector) Variadic::No => Vector;
    Start "start" () Variadic::No => Scalar experimental;
    StartTimestamp "start_timestamp" (Vector) Variadic::No => Vector experimental;
    StddevOverTime "stddev_over_time" (Matrix) Variadic::No => Vector;
    StdvarOverTime "stdvar_over_time" (Matrix) Variadic::No => Vector;
    Step "step" () Variadic::No => Scalar experimental;
    SumOverTime "sum_over_time" (Matrix) Variadic::No => Vector;
    Tan "tan" (Vector) Variadic::No => Vector;
    Tanh "tanh" (Vector) Variadic::No => Vector;
    Time "time" () Variadic::No => Scalar;
    Timestamp "timestamp" (Vector) Variadic::No => Vector;
    TsOfFirstOverTime "ts_of_first_over_time" (Matrix) Variadic::No => Vector experimental;
    TsOfLastOverTime "ts_of_last_over_time" (Matrix) Variadic::No => Vector experimental;
    TsOfMaxOverTime "ts_of_max_over_time" (Matrix) Variadic::No => Vector experimental;
    TsOfMinOverTime "ts_of_min_over_time" (Matrix) Variadic::No => Vector experimental;
    Vector "vector" (Scalar) Variadic::No => Vector;
    Year "year" (Vector) Variadic::UpTo(1) => Vector;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_found() {
        assert!(FUNCTIONS.is_sorted_by(|a, b| a.name < b.name));
        assert!(FUNCTIONS.iter().all(|f| Function::named(f.name) == Some(f)));
        assert!(Function::named("Rate").is_none() && Function::named("").is_none());
    }
}
