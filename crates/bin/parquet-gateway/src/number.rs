//! Numbers as people write them on a command line: sizes, durations, times.

use jiff::Timestamp;

const UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// Bytes: `262144`, `256KiB`, `1.5GB`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = UNITS
        .iter()
        .find_map(|(name, unit)| text.strip_suffix(name).map(|number| (number.trim(), *unit)))
        .unwrap_or((text, 1));
    let expected = || format!("expected a size such as 262144, 256KiB or 1.5GB, found {text:?}");
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(unit).filter(|bytes| *bytes > 0).ok_or_else(expected);
    }
    let bytes = number.parse::<f64>().map_err(|_| expected())? * unit as f64;
    if bytes >= 1.0 && bytes < (1_u64 << 53) as f64 { Ok(bytes as u64) } else { Err(expected()) }
}

/// As [`bytes`], and 0.
pub(crate) fn bytes_or_zero(text: &str) -> Result<u64, String> {
    if matches!(text, "0" | "0B") { Ok(0) } else { bytes(text) }
}

/// A number, perhaps with underscores: `1_000_000`.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    text.replace('_', "").parse().map_err(|_| format!("expected a number such as 1_000_000, found {text:?}"))
}

/// As [`duration_ms`], and `0s`.
pub(crate) fn duration(text: &str) -> Result<std::time::Duration, String> {
    if matches!(text, "0" | "0s") {
        return Ok(std::time::Duration::ZERO);
    }
    duration_ms(text).map(std::time::Duration::from_millis)
}

/// Milliseconds: `8h`, `30m`, `1d12h`, `500ms`, as Prometheus writes durations.
pub(crate) fn duration_ms(text: &str) -> Result<u64, String> {
    let expected = || format!("expected a duration such as 8h, 30m or 1d12h, found {text:?}");
    let (mut total, mut rest) = (0_u64, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(expected)?;
        let number: u64 = rest[..digits].parse().map_err(|_| expected())?;
        rest = &rest[digits..];
        let (unit, ms) = [
            ("ms", 1),
            ("s", 1_000),
            ("m", 60_000),
            ("h", 3_600_000),
            ("d", 86_400_000),
            ("w", 604_800_000),
            ("y", 31_536_000_000),
        ]
        .into_iter()
        .find(|(unit, _)| {
            rest.strip_prefix(unit).is_some_and(|after| !after.starts_with(|c: char| c.is_ascii_alphabetic()))
        })
        .ok_or_else(expected)?;
        rest = &rest[unit.len()..];
        total = number.checked_mul(ms).and_then(|ms| total.checked_add(ms)).ok_or_else(expected)?;
    }
    if total > 0 { Ok(total) } else { Err(expected()) }
}

/// A time in milliseconds: RFC 3339, or Unix seconds with an optional fraction.
pub(crate) fn time_ms(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = (seconds * 1000.0).round();
        if ms.is_finite() && ms.abs() < 9e15 {
            return Ok(ms as i64);
        }
    }
    let time: Timestamp = text
        .parse()
        .map_err(|_| format!("expected a time such as 2026-11-21T00:00:00Z or Unix seconds, found {text:?}"))?;
    Ok(time.as_millisecond())
}

/// `1.5 MiB`.
pub(crate) fn show_bytes(bytes: u64) -> String {
    let (mut value, mut unit) = (bytes as f64, "B");
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, larger);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") }
}

/// `1,234,567`.
pub(crate) fn show_count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// RFC 3339, or the bare number where that is not possible.
pub(crate) fn show_time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| format!("{ms} ms"), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(bytes("262144"), Ok(262_144));
        assert_eq!(bytes("256KiB"), Ok(262_144));
        assert_eq!(bytes("1.5 GB"), Ok(1_500_000_000));
        for bad in ["", "0", "-1", "x", "1e99GB", "NaN", "18446744073709551615KiB"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration_ms("8h"), Ok(28_800_000));
        assert_eq!(duration_ms("1d12h"), Ok(129_600_000));
        assert_eq!(duration_ms("1m500ms"), Ok(60_500));
        for bad in ["", "8", "h", "8x", "0s", "99999999999y", "1.5h"] {
            assert!(duration_ms(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(time_ms("1735689600"), Ok(1_735_689_600_000));
        assert_eq!(time_ms("1735689600.25"), Ok(1_735_689_600_250));
        assert_eq!(time_ms("2025-01-01T00:00:00Z"), Ok(1_735_689_600_000));
        for bad in ["", "yesterday", "1e300", "2025-13-01T00:00:00Z"] {
            assert!(time_ms(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shown() {
        assert_eq!((show_bytes(999), show_bytes(1_572_864)), ("999 B".into(), "1.5 MiB".into()));
        assert_eq!((show_count(7), show_count(1_234_567)), ("7".into(), "1,234,567".into()));
        assert_eq!(show_time(0), "1970-01-01T00:00:00Z");
    }
}
