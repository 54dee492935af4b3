//! Series as text, JSON lines and CSV.

use std::{
    borrow::Cow,
    io::{self, BufWriter, Stdout, Write},
};

use prometheus_model::{FloatHistogram, FloatText, Histogram, Labels, TimestampMs, Value};
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
        let (labels, out) = (labels.to_string(), &mut self.out);
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
        let (labels, out) = (labels.to_string().replace('"', "\"\""), &mut self.out);
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
        let floats = &self.columns.floats;
        let floats = floats.timestamps().iter().copied().zip(floats.values().iter().copied());
        let histograms = self.columns.histograms.iter().filter_map(|sample| match &sample.value {
            Value::Float(_) => None,
            Value::Histogram(histogram) => Some((sample.timestamp, Cow::Owned(histogram.to_float()))),
            Value::FloatHistogram(histogram) => Some((sample.timestamp, Cow::Borrowed(&**histogram))),
        });
        promparquet_gateway::json::series(&mut self.out, labels, floats, histograms)?;
        self.out.write_all(b"\n")
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
