//! Numbers and durations, as Go and Prometheus read them.

use crate::quote::quote;

/// Reads an integer of any base or a decimal float.
///
/// # Errors
/// What Go says of it, and the number that it goes on with.
pub(crate) fn parse_number(text: &str) -> Result<f64, (f64, String)> {
    if let Some(integer) = parse_integer(text) {
        return Ok(integer as f64);
    }
    let fail = |float, reason| Err((float, format!("strconv.ParseFloat: parsing {}: {reason}", quote(text))));
    match text.to_ascii_lowercase().as_str() {
        "inf" => return Ok(f64::INFINITY),
        "nan" => return Ok(f64::NAN),
        _ => {}
    }
    let is_decimal = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-' | b'_'));
    if !is_decimal || !underscores_fit(text) {
        return fail(0.0, "invalid syntax");
    }
    match text.replace('_', "").parse::<f64>() {
        Ok(float) if float.is_infinite() => fail(float, "value out of range"),
        Ok(float) => Ok(float),
        Err(_) => fail(0.0, "invalid syntax"),
    }
}

/// An integer as in Go's source: `0x1f`, `0b1`, `0o17`, `017`, `1_000`.
fn parse_integer(text: &str) -> Option<i64> {
    let lower = text.to_ascii_lowercase();
    let prefixed = |prefix| lower.strip_prefix(prefix).filter(|digits| !digits.is_empty());
    let (base, digits) = if let Some(digits) = prefixed("0x") {
        (16, digits)
    } else if let Some(digits) = prefixed("0o") {
        (8, digits)
    } else if let Some(digits) = prefixed("0b") {
        (2, digits)
    } else if let Some(digits) = prefixed("0") {
        (8, digits)
    } else {
        (10, &*lower)
    };
    if !underscores_fit(&lower) || digits.starts_with(['+', '-']) {
        return None;
    }
    i64::from_str_radix(&digits.replace('_', ""), base).ok()
}

/// Whether each underscore is between two digits, where the prefix of a base is a digit, too.
fn underscores_fit(text: &str) -> bool {
    let bytes = text.as_bytes();
    let hexadecimal = matches!(bytes, [b'0', b'x' | b'X', ..]);
    let prefix = if matches!(bytes, [b'0', b'x' | b'X' | b'o' | b'O' | b'b' | b'B', ..]) { 2 } else { 0 };
    let mut before = if prefix > 0 { '0' } else { '^' };
    for &byte in bytes.iter().skip(prefix) {
        before = match byte {
            b'0'..=b'9' => '0',
            b'a'..=b'f' | b'A'..=b'F' if hexadecimal => '0',
            b'_' if before != '0' => return false,
            b'_' => '_',
            _ if before == '_' => return false,
            _ => '!',
        };
    }
    before != '_'
}

const SECOND: u64 = 1_000_000_000;

/// Units of durations from the greatest to the smallest, in nanoseconds.
pub(crate) const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3600 * SECOND),
    ("w", 7 * 24 * 3600 * SECOND),
    ("d", 24 * 3600 * SECOND),
    ("h", 3600 * SECOND),
    ("m", 60 * SECOND),
    ("s", SECOND),
    ("ms", 1_000_000),
];

/// Reads a duration such as `1h30m`, in nanoseconds.
///
/// # Errors
/// What Prometheus says of it.
pub(crate) fn parse_duration(text: &str) -> Result<i64, String> {
    if text == "0" {
        return Ok(0);
    }
    let invalid = || format!("not a valid duration string: {}", quote(text));
    let out_of_range = || "duration out of range".to_owned();
    let mut rest = text;
    let mut nanos = 0_u64;
    let mut units = UNITS.as_slice();
    while !rest.is_empty() {
        let (digits, behind) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        let number: u64 = digits.parse().map_err(|_| invalid())?;
        let (unit, behind) = behind.split_at(behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len()));
        if unit.is_empty() {
            return Err(invalid());
        }
        if !UNITS.iter().any(|&(name, _)| name == unit) {
            return Err(format!("unknown unit {} in duration {}", quote(unit), quote(text)));
        }
        // Units come in this order only.
        let at = units.iter().position(|&(name, _)| name == unit).ok_or_else(invalid)?;
        let (_, length) = units.get(at).copied().unwrap_or_default();
        units = units.get(at.saturating_add(1)..).unwrap_or_default();
        nanos = number.checked_mul(length).and_then(|n| nanos.checked_add(n)).ok_or_else(out_of_range)?;
        if i64::try_from(nanos).is_err() {
            return Err(out_of_range());
        }
        rest = behind;
    }
    i64::try_from(nanos).map_err(|_| out_of_range())
}

/// A duration in seconds, as Go computes them: not always the nearest float.
pub(crate) fn duration_seconds(nanos: i64) -> f64 {
    let second = SECOND as i64; // fits
    (nanos / second) as f64 + (nanos % second) as f64 / SECOND as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_in_go() {
        for (text, value) in [
            ("0", 0.0),
            ("017", 15.0),
            ("08", 8.0),
            ("0x_1F", 31.0),
            ("0b101", 5.0),
            ("0o17", 15.0),
            ("1_000", 1000.0),
            ("1_000.5", 1000.5),
            ("9223372036854775808", 9_223_372_036_854_775_808.0),
            ("1e3", 1000.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e-400", 0.0),
            ("iNf", f64::INFINITY),
        ] {
            assert_eq!(parse_number(text), Ok(value), "{text}");
        }
        assert!(parse_number("NaN").is_ok_and(f64::is_nan));
        for text in ["0x", "0x10000000000000000", "1__0", "_1", "1_", "infinity", "", "0b2", "e5", "."] {
            let message = format!("strconv.ParseFloat: parsing {text:?}: invalid syntax");
            assert_eq!(parse_number(text), Err((0.0, message)));
        }
        let message = "strconv.ParseFloat: parsing \"1e309\": value out of range".to_owned();
        assert_eq!(parse_number("1e309"), Err((f64::INFINITY, message)));
    }

    #[test]
    fn durations_are_read_as_in_prometheus() {
        assert_eq!(parse_duration("1y2w3d4h5m6s7ms"), Ok(33_019_506_007_000_000));
        assert_eq!(parse_duration("0s"), Ok(0));
        assert_eq!(parse_duration("292y"), Ok(292 * 365 * 24 * 3600 * 1_000_000_000));
        assert_eq!(parse_duration("293y"), Err("duration out of range".to_owned()));
        assert_eq!(parse_duration("1m1d"), Err("not a valid duration string: \"1m1d\"".to_owned()));
        assert_eq!(parse_duration("5hs"), Err("unknown unit \"hs\" in duration \"5hs\"".to_owned()));
        assert_eq!(duration_seconds(1_009_000_000), 1.009);
    }
}
