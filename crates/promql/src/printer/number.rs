//! Numbers, durations and times.

use crate::parser::{UNITS, duration_seconds, parse_duration};
use prometheus_model::TimestampMs;

/// A duration of whole milliseconds, as Prometheus prints it.
fn milliseconds(mut ms: u64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (i, (unit, nanos)) in UNITS.into_iter().enumerate() {
        let length = nanos / 1_000_000;
        let (number, rest) = (ms / length, ms % length);
        // Years and weeks are used only where nothing remains.
        if number > 0 && (i > 1 || rest == 0) {
            text.push_str(&format!("{number}{unit}"));
            ms = rest;
        }
    }
    text
}

/// A fixed duration without its sign.
pub(super) fn nanos(nanos: i64) -> String {
    // What the parser makes of seconds; it saturates.
    let is_same = |seconds: f64| (seconds.copysign(nanos as f64) * 1e9).round() as i64 == nanos;
    let is_same_text = |text: &String| parse_duration(text).is_ok_and(|nanos| is_same(duration_seconds(nanos)));
    let absolute = nanos.unsigned_abs();
    let truncated = milliseconds(absolute / 1_000_000);
    let rounded = milliseconds((absolute + 500_000) / 1_000_000);
    if let Some(text) = [&truncated, &rounded].into_iter().find(|text| is_same_text(text)) {
        return text.clone();
    }
    let seconds = absolute as f64 / 1e9;
    let candidates = [seconds, seconds.next_up(), seconds.next_down()];
    candidates.into_iter().find(|&seconds| is_same(seconds)).map_or(truncated, plain)
}

/// A duration that stands for its seconds.
pub(super) fn duration_literal(seconds: f64) -> String {
    let sign = if seconds.is_sign_negative() { "-" } else { "" };
    let seconds = seconds.abs();
    let is_same = |text: &str| parse_duration(text).is_ok_and(|nanos| duration_seconds(nanos) == seconds);
    // Truncated, as Prometheus does it, which may be a millisecond less.
    let truncated = milliseconds((seconds * 1e9) as u64 / 1_000_000);
    let rounded = || milliseconds((seconds * 1e3).round() as u64);
    let text =
        if is_same(&truncated) { truncated } else { Some(rounded()).filter(|r| is_same(r)).unwrap_or(truncated) };
    format!("{sign}{text}")
}

fn special(float: f64) -> Option<&'static str> {
    if float.is_nan() {
        Some("NaN")
    } else if float.is_infinite() {
        Some(if float > 0.0 { "+Inf" } else { "-Inf" })
    } else {
        None
    }
}

/// A number without an exponent.
pub(super) fn plain(float: f64) -> String {
    special(float).map_or_else(|| float.to_string(), str::to_owned)
}

/// A number with an exponent if that is short: Go's `%v`.
pub(super) fn general(float: f64) -> String {
    if let Some(text) = special(float) {
        return text.to_owned();
    }
    let scientific = format!("{float:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.abs())
        }
        _ => float.to_string(),
    }
}

/// A time in seconds.
pub(super) fn timestamp(ms: TimestampMs) -> String {
    let text = format!("{:.3}", ms as f64 / 1000.0);
    let is_same = text.parse::<f64>().is_ok_and(|seconds| (seconds * 1000.0).round() as i64 == ms);
    if is_same {
        return text;
    }
    let sign = if ms < 0 { "-" } else { "" };
    let ms = ms.unsigned_abs();
    format!("{sign}{}.{:03}", ms / 1000, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_like_go() {
        assert_eq!(milliseconds(90 * 24 * 3_600_000), "90d");
        assert_eq!(milliseconds(14 * 24 * 3_600_000), "2w");
        assert_eq!(milliseconds(365 * 24 * 3_600_000 + 1), "365d1ms");
        assert_eq!(nanos(1_000_500_000), "1.0005");
        assert_eq!(nanos(-1_009_000_000), "1s9ms");
        assert_eq!(nanos(i64::MIN), "9223372036.854776");
        assert_eq!(duration_literal(-0.009), "-9ms");
        for (float, text) in
            [(1e21, "1e+21"), (1.5e6, "1.5e+06"), (123_456.0, "123456"), (1e-5, "1e-05"), (0.0001, "0.0001")]
        {
            assert_eq!(general(float), text);
        }
        assert_eq!(general(-0.0), "-0");
        assert_eq!((plain(1e21), plain(f64::INFINITY)), ("1000000000000000000000".to_owned(), "+Inf".to_owned()));
        assert_eq!((timestamp(-7), timestamp(1_609_746_000_000)), ("-0.007".to_owned(), "1609746000.000".to_owned()));
    }
}
