//! Numbers as Go's `strconv` reads them.

/// An integer with its prefix, or a float.
pub(super) fn parse_number(text: &str) -> Option<f64> {
    integer(text).map(|n| n as f64).or_else(|| parse_float(text))
}

/// A float: not an integer with a prefix.
pub(super) fn parse_float(text: &str) -> Option<f64> {
    // Go knows no sign in front of NaN.
    let is_signed_nan = text.starts_with(['+', '-']) && text[1..].eq_ignore_ascii_case("nan");
    if is_signed_nan { None } else { text.parse().ok() }
}

fn integer(text: &str) -> Option<i64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text).to_ascii_lowercase();
    let radix = |prefix, radix| unsigned.strip_prefix(prefix).map(|digits| (digits.to_owned(), radix));
    let (digits, radix) = radix("0x", 16)
        .or_else(|| radix("0b", 2))
        .or_else(|| radix("0o", 8))
        .or_else(|| radix("0", 8).filter(|(digits, _)| !digits.is_empty()))
        .unwrap_or((unsigned, 10));
    if digits.starts_with(['-', '+']) {
        return None;
    }
    let number = i64::from_str_radix(&digits, radix).ok()?;
    Some(if text.starts_with('-') { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers() {
        assert_eq!(parse_number("-0x10"), Some(-16.0));
        assert_eq!(parse_number("010"), Some(8.0));
        assert_eq!(parse_number("0"), Some(0.0));
        assert_eq!(parse_number("1.5e3"), Some(1500.0));
        assert_eq!(parse_number("+Inf"), Some(f64::INFINITY));
        assert!(parse_number("NaN").is_some_and(f64::is_nan));
        for wrong in ["", "foo", "{} 1", "-NaN", "0x", "1 2"] {
            assert_eq!(parse_number(wrong), None, "{wrong}");
        }
    }
}
