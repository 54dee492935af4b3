//! Series as text, JSON lines and CSV.

use std::io::{self, BufWriter, Stdout, Write};

use prometheus_model::{ApiFloatText, FloatHistogram, FloatText, Histogram, Labels, TimestampMs, Value};
use prometheus_promql::quote;
use prometheus_queryable::{SampleColumns, Series};

use crate::error::{Error, PrintSnafu};
use snafu::ResultExt;

/// Text that is collected before it is written.
const BUFFER_BYTES: usize = 64 << 10;

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    /// As promtool tsdb dump
    Text,
    /// One series a line, as in a matrix of the HTTP API
    Jsonl,
    /// labels,timestamp_ms,value
    Csv,
}

/// Writes series to standard output.
pub(crate) struct Printer<W: Write = Stdout> {
    out: BufWriter<W>,
    format: Format,
    labels_only: bool,
    columns: SampleColumns,
}

impl Printer {
    pub(crate) fn new(format: Format, labels_only: bool) -> Result<Self, Error> {
        Self::to(io::stdout(), format, labels_only).context(PrintSnafu)
    }
}

impl<W: Write> Printer<W> {
    fn to(out: W, format: Format, labels_only: bool) -> io::Result<Self> {
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, out);
        match (format, labels_only) {
            (Format::Csv, true) => out.write_all(b"labels\n")?,
            (Format::Csv, false) => out.write_all(b"labels,timestamp_ms,value\n")?,
            _ => {}
        }
        Ok(Self { out, format, labels_only, columns: SampleColumns::default() })
    }

    /// Writes a series, unless it should have samples and has none.
    pub(crate) fn series(&mut self, series: &Series) -> Result<bool, Error> {
        self.columns.clear();
        series.decode_into(&mut self.columns)?;
        if self.columns.is_empty() && !self.labels_only {
            return Ok(false);
        }
        let written = match self.format {
            Format::Text => self.text(&series.labels),
            Format::Jsonl => self.json(&series.labels),
            Format::Csv => self.csv(&series.labels),
        };
        written.context(PrintSnafu)?;
        Ok(true)
    }

    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        self.out.flush().context(PrintSnafu)
    }

    fn text(&mut self, labels: &Labels) -> io::Result<()> {
        let (labels, out) = (labels_text(labels), &mut self.out);
        if self.labels_only {
            return writeln!(out, "{labels}");
        }
        in_order(&self.columns, |t, sample| match sample {
            Shown::Float(value) => writeln!(out, "{labels} {} {t}", FloatText(value)),
            Shown::Histogram(histogram) => writeln!(out, "{labels} {histogram} {t}"),
            Shown::FloatHistogram(histogram) => writeln!(out, "{labels} {histogram} {t}"),
        })
    }

    fn csv(&mut self, labels: &Labels) -> io::Result<()> {
        let (labels, out) = (labels_text(labels).replace('"', "\"\""), &mut self.out);
        if self.labels_only {
            return writeln!(out, "\"{labels}\"");
        }
        in_order(&self.columns, |t, sample| match sample {
            Shown::Float(value) => writeln!(out, "\"{labels}\",{t},{}", FloatText(value)),
            Shown::Histogram(histogram) => writeln!(out, "\"{labels}\",{t},\"{histogram}\""),
            Shown::FloatHistogram(histogram) => writeln!(out, "\"{labels}\",{t},\"{histogram}\""),
        })
    }

    fn json(&mut self, labels: &Labels) -> io::Result<()> {
        let out = &mut self.out;
        out.write_all(b"{\"metric\":")?;
        json_labels(out, labels)?;
        let mut comma;
        let floats = &self.columns.floats;
        if !floats.is_empty() {
            out.write_all(b",\"values\":[")?;
            comma = "";
            for (t, value) in floats.timestamps().iter().zip(floats.values()) {
                write!(out, "{comma}[{},\"{}\"]", Seconds(*t), ApiFloatText(*value))?;
                comma = ",";
            }
            out.write_all(b"]")?;
        }
        if !self.columns.histograms.is_empty() {
            out.write_all(b",\"histograms\":[")?;
            comma = "";
            for sample in &self.columns.histograms {
                write!(out, "{comma}[{},", Seconds(sample.timestamp))?;
                match &sample.value {
                    Value::Histogram(h) => json_float_histogram(out, &h.to_float())?,
                    Value::FloatHistogram(h) => json_float_histogram(out, h)?,
                    Value::Float(_) => {}
                }
                out.write_all(b"]")?;
                comma = ",";
            }
            out.write_all(b"]")?;
        }
        out.write_all(b"}\n")
    }
}

/// The labels as Prometheus prints them.
fn labels_text(labels: &Labels) -> String {
    let text = labels.to_string();
    if text.is_ascii() {
        return text;
    }
    // What of the rest is printed as it is, Unicode's tables say.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name_text = |name: &str| {
        let is_legacy = name.chars().all(is_plain) && !name.starts_with(|c: char| c.is_ascii_digit());
        if is_legacy { name.to_owned() } else { quote(name) }
    };
    let pairs: Vec<_> = labels.iter().map(|(name, value)| format!("{}={}", name_text(name), quote(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// Labels as a JSON object.
pub(crate) fn json_labels(out: &mut impl Write, labels: &Labels) -> io::Result<()> {
    out.write_all(b"{")?;
    for (i, (name, value)) in labels.iter().enumerate() {
        if i > 0 {
            out.write_all(b",")?;
        }
        serde_json::to_writer(&mut *out, name)?;
        out.write_all(b":")?;
        serde_json::to_writer(&mut *out, value)?;
    }
    out.write_all(b"}")
}

/// A histogram as Prometheus' HTTP API writes it.
pub(crate) fn json_float_histogram(out: &mut impl Write, h: &FloatHistogram) -> io::Result<()> {
    write!(out, "{{\"count\":\"{}\",\"sum\":\"{}\"", ApiFloatText(h.count), ApiFloatText(h.sum))?;
    let mut before = ",\"buckets\":[";
    // Buckets that reach into the zero bucket are cut.
    for bucket in h.ascending().filter(|bucket| bucket.count != 0.0) {
        let rule = match (bucket.lower_inclusive, bucket.upper_inclusive) {
            (false, true) => 0,
            (true, false) => 1,
            (false, false) => 2,
            (true, true) => 3,
        };
        let (low, high) = (ApiFloatText(bucket.lower), ApiFloatText(bucket.upper));
        write!(out, "{before}[{rule},\"{low}\",\"{high}\",\"{}\"]", ApiFloatText(bucket.count))?;
        before = ",";
    }
    out.write_all(if before == "," { b"]}" } else { b"}" })
}

/// Seconds with up to three digits behind the point, as Prometheus' HTTP API writes times.
pub(crate) struct Seconds(pub(crate) TimestampMs);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let ms = self.0.unsigned_abs();
        write!(f, "{sign}{}", ms / 1000)?;
        if ms.is_multiple_of(1000) { Ok(()) } else { write!(f, ".{:03}", ms % 1000) }
    }
}

/// A sample's value.
enum Shown<'a> {
    Float(f64),
    Histogram(&'a Histogram),
    FloatHistogram(&'a FloatHistogram),
}

/// Gives floats and histograms in order of time.
fn in_order(columns: &SampleColumns, mut show: impl FnMut(TimestampMs, Shown<'_>) -> io::Result<()>) -> io::Result<()> {
    let mut floats = columns.floats.timestamps().iter().zip(columns.floats.values()).peekable();
    for sample in &columns.histograms {
        while let Some((t, value)) = floats.next_if(|(t, _)| **t < sample.timestamp) {
            show(*t, Shown::Float(*value))?;
        }
        match &sample.value {
            Value::Float(value) => show(sample.timestamp, Shown::Float(*value))?,
            Value::Histogram(histogram) => show(sample.timestamp, Shown::Histogram(histogram))?,
            Value::FloatHistogram(histogram) => show(sample.timestamp, Shown::FloatHistogram(histogram))?,
        }
    }
    floats.try_for_each(|(t, value)| show(*t, Shown::Float(*value)))
}
