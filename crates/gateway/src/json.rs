//! Answers as Prometheus' HTTP API gives them, written as they come: no tree of values is built.

mod explain;
mod histogram;
mod value;

use std::io::{self, Write};

use prometheus_model::{ApiFloatText, Labels, TimestampMs};
use prometheus_promql::QueryValue;

pub(crate) use explain::explain;
pub(crate) use value::query_value;
pub use value::series;

/// The answer to a query: `{"status":"success","data":{"resultType":…,"result":…},"warnings":[…],"infos":[…]}`.
///
/// # Errors
/// If `out` fails.
pub fn answer(out: &mut impl Write, value: &QueryValue, warnings: &[String], infos: &[String]) -> io::Result<()> {
    let data = |out: &mut _| {
        Write::write_all(out, b"{")?;
        query_value(out, value)?;
        Write::write_all(out, b"}")
    };
    envelope(out, data, warnings, infos)
}

/// A string, with quotes.
pub(crate) fn string(out: &mut impl Write, text: &str) -> io::Result<()> {
    serde_json::to_writer(out, text).map_err(io::Error::from)
}

/// Strings of a list.
pub(crate) fn strings<'a>(out: &mut impl Write, texts: impl IntoIterator<Item = &'a str>) -> io::Result<()> {
    list(out, texts, |out, text| string(out, text))
}

/// A list, each item written by `write`.
pub(crate) fn list<W: Write, T>(
    out: &mut W,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut W, T) -> io::Result<()>,
) -> io::Result<()> {
    out.write_all(b"[")?;
    let mut comma = false;
    for item in items {
        if std::mem::replace(&mut comma, true) {
            out.write_all(b",")?;
        }
        write(out, item)?;
    }
    out.write_all(b"]")
}

/// Labels as an object.
pub(crate) fn labels(out: &mut impl Write, labels: &Labels) -> io::Result<()> {
    out.write_all(b"{")?;
    let mut comma = false;
    for (name, value) in labels.iter() {
        if std::mem::replace(&mut comma, true) {
            out.write_all(b",")?;
        }
        string(out, name)?;
        out.write_all(b":")?;
        string(out, value)?;
    }
    out.write_all(b"}")
}

/// Seconds with up to three digits behind the point.
pub(crate) fn timestamp(out: &mut impl Write, t: TimestampMs) -> io::Result<()> {
    let sign = if t < 0 { "-" } else { "" };
    let ms = t.unsigned_abs();
    match ms % 1000 {
        0 => write!(out, "{sign}{}", ms / 1000),
        fraction => write!(out, "{sign}{}.{fraction:03}", ms / 1000),
    }
}

/// Seconds without zeros at their end.
pub(crate) fn short_seconds(t: TimestampMs) -> f64 {
    t as f64 / 1000.0
}

/// A float in quotes, since JSON has neither infinity nor NaN.
pub(crate) fn float(out: &mut impl Write, value: f64) -> io::Result<()> {
    const EXACT: f64 = (1_u64 << 53) as f64;
    // Most values of counters; zero may have a sign.
    if value.abs() < EXACT && value.trunc() == value && value != 0.0 {
        return write!(out, "\"{}\"", value as i64);
    }
    write!(out, "\"{}\"", ApiFloatText(value))
}

/// The envelope around data that `data` writes, with what else there is to say.
pub(crate) fn envelope<W: Write>(
    out: &mut W,
    data: impl FnOnce(&mut W) -> io::Result<()>,
    warnings: &[String],
    infos: &[String],
) -> io::Result<()> {
    out.write_all(br#"{"status":"success","data":"#)?;
    data(out)?;
    for (name, texts, kind) in [("warnings", warnings, "warning"), ("infos", infos, "info")] {
        if !texts.is_empty() {
            write!(out, ",\"{name}\":")?;
            let more = texts.len().saturating_sub(MOST_ANNOTATIONS);
            let omitted = (more > 0).then(|| format!("{more} more {kind} annotations omitted"));
            let shown = texts.iter().take(MOST_ANNOTATIONS).chain(&omitted);
            strings(out, shown.map(String::as_str))?;
        }
    }
    out.write_all(b"}")
}

/// Warnings and infos that are shown, of each.
const MOST_ANNOTATIONS: usize = 10;

/// The envelope of an error.
pub(crate) fn error(out: &mut Vec<u8>, kind: &str, message: &str) {
    let text = serde_json::json!({ "status": "error", "errorType": kind, "error": message });
    out.extend_from_slice(text.to_string().as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_are_gos() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-12.0, "-12"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (0.1, "0.1"),
            (1e-7, "1e-07"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(written(|out| float(out, value)), format!("\"{text}\""));
        }
    }

    #[test]
    fn timestamps_have_no_needless_digits() {
        for (t, text) in [(0, "0"), (1500, "1.500"), (1001, "1.001"), (-1, "-0.001"), (-2000, "-2")] {
            assert_eq!(written(|out| timestamp(out, t)), text);
        }
    }

    #[test]
    fn envelopes() {
        let warnings: Vec<String> = (0..12).map(|i| i.to_string()).collect();
        assert_eq!(
            written(|out| envelope(out, |out| strings(out, ["a\n", "é\""]), &warnings, &["i".into()])),
            r#"{"status":"success","data":["a\n","é\""],"warnings":["0","1","2","3","4","5","6","7","8","9","2 more warning annotations omitted"],"infos":["i"]}"#
        );
        let pairs = Labels::from_pairs([("a", "<1>"), ("b.c", "2")]).unwrap();
        assert_eq!(
            written(|out| envelope(out, |out| labels(out, &pairs), &[], &[])),
            r#"{"status":"success","data":{"a":"<1>","b.c":"2"}}"#
        );
    }
}
