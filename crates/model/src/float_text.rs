//! Floats as text.

use std::fmt;

/// A float as Prometheus prints it (Go's `%g`): the shortest digits that stand for it and no other, with an exponent below
/// 1e-4 and from 1e6 on.
///
/// ```
/// use prometheus_model::FloatText;
/// assert_eq!(FloatText(0.1 + 0.2).to_string(), "0.30000000000000004");
/// assert_eq!(FloatText(1e6).to_string(), "1e+06");
/// assert_eq!(FloatText(f64::INFINITY).to_string(), "+Inf");
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FloatText(pub f64);

impl FloatText {
    /// Writes it without an exponent from `low` on and below `high`, else with one.
    fn write_between(self, f: &mut fmt::Formatter<'_>, low: f64, high: f64) -> fmt::Result {
        let float = self.0;
        if float.is_nan() {
            return f.write_str("NaN");
        }
        if float.is_infinite() {
            return f.write_str(if float > 0.0 { "+Inf" } else { "-Inf" });
        }
        if float == 0.0 || (low..high).contains(&float.abs()) {
            return write!(f, "{float}");
        }
        let text = format!("{float:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
        write!(f, "{mantissa}e{sign}{digits:0>2}")
    }
}

impl fmt::Display for FloatText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_between(f, 1e-4, 1e6)
    }
}

/// A float as Prometheus' HTTP API writes it: as [`FloatText`], but with an exponent only below 1e-6 and from 1e21 on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ApiFloatText(pub f64);

impl fmt::Display for ApiFloatText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        FloatText(self.0).write_between(f, 1e-6, 1e21)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts are Go's.
    #[test]
    fn prints_like_go() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (999_999.0, "999999"),
            (999_999.999_999_999_9, "999999.9999999999"),
            (1_000_000.0, "1e+06"),
            (-1_234_567.0, "-1.234567e+06"),
            (0.0001, "0.0001"),
            (0.000_099_999, "9.9999e-05"),
            (1e21, "1e+21"),
            (1e-100, "1e-100"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (float, text) in cases {
            assert_eq!(FloatText(float).to_string(), text);
        }
        assert_eq!(
            [1e20, 1e21, 1e-6, 1e-7].map(|f| ApiFloatText(f).to_string()),
            ["100000000000000000000", "1e+21", "0.000001", "1e-07"]
        );
    }
}
