//! Values of queries.

use std::{
    borrow::Borrow,
    io::{self, Write},
};

use prometheus_model::{FloatHistogram, Labels, TimestampMs};
use prometheus_promql::{InstantSeries, PointValue, QueryValue, RangeSeries};

use super::{float, histogram::histogram, labels, list, short_seconds, string, timestamp};

/// `"resultType":"…","result":…`
pub(crate) fn query_value(out: &mut impl Write, value: &QueryValue) -> io::Result<()> {
    write!(out, r#""resultType":"{}","result":"#, value.value_type().as_str())?;
    match value {
        // Prometheus writes these two in another way than samples.
        QueryValue::Scalar { timestamp: t, value } if value.is_finite() => {
            write!(out, "[{},\"{value}\"]", short_seconds(*t))
        }
        QueryValue::Scalar { timestamp: t, value } => {
            write!(out, "[{},", short_seconds(*t))?;
            float(out, *value)?;
            out.write_all(b"]")
        }
        QueryValue::String { timestamp: t, value } => {
            write!(out, "[{},", short_seconds(*t))?;
            string(out, value)?;
            out.write_all(b"]")
        }
        QueryValue::Vector(all) => list(out, all, instant_series),
        QueryValue::Matrix(all) => list(out, all, range_series),
    }
}

fn instant_series<W: Write>(out: &mut W, series: &InstantSeries) -> io::Result<()> {
    out.write_all(br#"{"metric":"#)?;
    labels(out, &series.labels)?;
    match &series.value {
        PointValue::Float(value) => {
            out.write_all(br#","value":["#)?;
            timestamp(out, series.timestamp)?;
            out.write_all(b",")?;
            float(out, *value)?;
        }
        PointValue::Histogram(value) => {
            out.write_all(br#","histogram":["#)?;
            timestamp(out, series.timestamp)?;
            out.write_all(b",")?;
            histogram(out, value)?;
        }
    }
    out.write_all(b"]}")
}

fn range_series<W: Write>(out: &mut W, series: &RangeSeries) -> io::Result<()> {
    let histograms = series.histograms.iter().map(|(t, value)| (*t, &**value));
    self::series(out, &series.labels, series.floats.iter().copied(), histograms)
}

/// `{"metric":{…},"values":[[t,"value"],…],"histograms":[[t,{…}],…]}`; a list without items is left out.
///
/// # Errors
/// If `out` fails.
pub fn series<W: Write, H: Borrow<FloatHistogram>>(
    out: &mut W,
    metric: &Labels,
    floats: impl IntoIterator<Item = (TimestampMs, f64)>,
    histograms: impl IntoIterator<Item = (TimestampMs, H)>,
) -> io::Result<()> {
    out.write_all(br#"{"metric":"#)?;
    labels(out, metric)?;
    let mut floats = floats.into_iter().peekable();
    if floats.peek().is_some() {
        out.write_all(br#","values":"#)?;
        list(out, floats, |out, (t, value)| {
            out.write_all(b"[")?;
            timestamp(out, t)?;
            out.write_all(b",")?;
            float(out, value)?;
            out.write_all(b"]")
        })?;
    }
    let mut histograms = histograms.into_iter().peekable();
    if histograms.peek().is_some() {
        out.write_all(br#","histograms":"#)?;
        list(out, histograms, |out, (t, value)| {
            out.write_all(b"[")?;
            timestamp(out, t)?;
            out.write_all(b",")?;
            histogram(out, value.borrow())?;
            out.write_all(b"]")
        })?;
    }
    out.write_all(b"}")
}
