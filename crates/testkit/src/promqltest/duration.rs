//! Durations of Prometheus' configuration: `1h30m`, `0`.

/// Units from the longest, each at most once, in milliseconds.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Milliseconds of a duration; none if it is malformed or too long.
pub(super) fn parse_duration(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let (mut rest, mut total, mut units) = (text, 0_i64, UNITS.as_slice());
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at(digits);
        let letters = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, behind) = behind.split_at(letters);
        let position = units.iter().position(|&(name, _)| name == unit)?;
        let millis = number.parse::<i64>().ok()?.checked_mul(units[position].1)?;
        total = total.checked_add(millis)?;
        units = &units[position + 1..];
        rest = behind;
    }
    Some(total)
}

/// A signed duration at the start of `text`, and what follows it.
pub(super) fn duration_prefix(text: &str) -> Option<(i64, &str)> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    // `x` separates repetitions.
    let letters = unsigned.bytes().skip(digits).take_while(|&b| b.is_ascii_alphabetic() && b != b'x').count();
    let (duration, rest) = unsigned.split_at(digits + letters);
    let millis = parse_duration(duration)?;
    Some((if text.starts_with('-') { -millis } else { millis }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations() {
        assert_eq!(parse_duration("1h30m"), Some(5_400_000));
        assert_eq!(parse_duration("1d6h"), Some(30 * 3_600_000));
        assert_eq!(parse_duration("15ms"), Some(15));
        assert_eq!(parse_duration("0"), Some(0));
        for wrong in ["", "5", "m", "30m1h", "1m1m", "1.5m", "99999999999y", "-1m"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
        assert_eq!(duration_prefix("-1m+30sx4"), Some((-60_000, "+30sx4")));
        assert_eq!(duration_prefix("5mx4"), Some((300_000, "x4")));
        assert_eq!(duration_prefix("x4"), None);
    }
}
