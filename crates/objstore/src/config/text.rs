//! Values of a configuration that are more than a string or number.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, de};

/// A value that is never shown. Empty ones count as absent.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn new(value: String) -> Self {
        Self(value)
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// The secret if it is set to something.
pub(super) fn some(secret: Option<Secret>) -> Option<Secret> {
    secret.filter(|secret| !secret.0.is_empty())
}

/// A duration as Prometheus writes it: `1h30m`, `500ms`, `0`. Units y, w, d, h, m, s, ms, each at most once and in this
/// order; a year is 365 days.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PromDuration(pub(crate) Duration);

impl PromDuration {
    fn parse(text: &str) -> Option<Self> {
        const UNITS: [(&str, u64); 7] = [
            ("y", 365 * 24 * 3_600_000),
            ("w", 7 * 24 * 3_600_000),
            ("d", 24 * 3_600_000),
            ("h", 3_600_000),
            ("m", 60_000),
            ("s", 1000),
            ("ms", 1),
        ];
        if text == "0" {
            return Some(Self(Duration::ZERO));
        }
        let (mut rest, mut units, mut total_ms) = (text, &UNITS[..], 0_u64);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            let (number, after) = rest.split_at(digits);
            let unit = after.split(|c: char| c.is_ascii_digit()).next()?;
            let index = units.iter().position(|(name, _)| *name == unit)?;
            let (&(_, unit_ms), later) = (units.get(index)?, units.get(index + 1..)?);
            total_ms = number.parse::<u64>().ok()?.checked_mul(unit_ms)?.checked_add(total_ms)?;
            (rest, units) = (after.get(unit.len()..)?, later);
        }
        (!text.is_empty()).then_some(Self(Duration::from_millis(total_ms)))
    }
}

impl<'de> Deserialize<'de> for PromDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The unit type stands for the value, which is not repeated.
        Self::parse(&text).ok_or_else(|| de::Error::invalid_value(de::Unexpected::Unit, &"a duration such as 1m30s"))
    }
}

/// A number of bytes as Thanos writes it: `250MB`, `64KiB`, `1048576`. All units are powers of 1024.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ByteSize(pub(crate) u64);

impl ByteSize {
    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let exponent = match unit {
            "" | "B" => 0,
            "KB" | "KiB" => 1,
            "MB" | "MiB" => 2,
            "GB" | "GiB" => 3,
            "TB" | "TiB" => 4,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(1024_u64.pow(exponent)).map(Self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::invalid_value(de::Unexpected::Unit, &"a size such as 250MB"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let ms = |text: &str| PromDuration::parse(text).map(|d| d.0.as_millis());
        for (text, expected) in [
            ("0", 0),
            ("0s", 0),
            ("15ms", 15),
            ("90s", 90_000),
            ("1m30s", 90_000),
            ("2m", 120_000),
            ("1h0m1s5ms", 3_601_005),
            ("1y2w3d", 33_004_800_000),
        ] {
            assert_eq!(ms(text), Some(expected), "{text}");
        }
        for text in
            ["", "1", "s", "-1s", "1s1m", "1s1s", "1.5s", "1 s", "1M", "1é", "99999999999999999999s", "584942417355y"]
        {
            assert_eq!(ms(text), None, "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, expected) in
            [("0", 0), ("17", 17), ("17B", 17), ("3KB", 3072), ("3KiB", 3072), ("250MB", 250 << 20), ("2TiB", 2 << 40)]
        {
            assert_eq!(ByteSize::parse(text), Some(ByteSize(expected)), "{text}");
        }
        for text in ["", "MB", "-1", "1.5GB", "1 MB", "1mb", "1M", "1é", "18446744073709551616", "16777216TB"] {
            assert_eq!(ByteSize::parse(text), None, "{text}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(format!("{:?}", Some(Secret::new("hunter2".into()))), "Some((secret))");
    }
}
