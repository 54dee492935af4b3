//! The command `load`: series in expanding notation, one value for each step from time 0 on.

use std::collections::BTreeMap;

use prometheus_model::{FloatHistogram, Labels, Sample, TimestampMs, Value};
use prometheus_promql::{HistogramStep, Parser, SequenceValue};

use super::{duration::duration_prefix, nhcb::native_histograms};

/// The most values that a line of a script may stand for.
pub const MAX_VALUES: usize = 1 << 20;

/// A command `load`.
#[derive(Clone, PartialEq, Debug)]
pub struct Load {
    /// Time between values in milliseconds.
    pub step_ms: TimestampMs,
    /// Whether classic histograms are also loaded as native ones with custom buckets.
    pub with_nhcb: bool,
    /// Series with their samples.
    pub series: BTreeMap<Labels, Vec<Sample>>,
}

impl Load {
    /// All series to be stored, with those that are made of classic histograms.
    ///
    /// # Errors
    /// If counts of a classic histogram contradict each other.
    pub fn all_series(&self) -> Result<BTreeMap<Labels, Vec<Sample>>, String> {
        let mut all = self.series.clone();
        if self.with_nhcb {
            all.extend(native_histograms(&self.series)?);
        }
        Ok(all)
    }

    /// Adds a series; one of the same labels is replaced.
    pub(super) fn add(&mut self, labels: Labels, values: Vec<SequenceValue>, starts: Option<&[Option<TimestampMs>]>) {
        let mut samples = Vec::with_capacity(values.len());
        for (position, value) in values.into_iter().enumerate() {
            let timestamp = self.step_ms.saturating_mul(i64::try_from(position).unwrap_or(i64::MAX));
            let start = starts.and_then(|starts| starts.get(position).copied().flatten());
            let value = match value {
                SequenceValue::Omitted => continue,
                SequenceValue::Float(value) => Value::Float(value),
                SequenceValue::Histogram { histogram, .. } => Value::FloatHistogram(Box::new(histogram)),
            };
            let start_timestamp = start.map_or(0, |offset| timestamp.saturating_add(offset));
            samples.push(Sample { timestamp, start_timestamp, value });
        }
        self.series.insert(labels, samples);
    }
}

/// Labels and values of a line.
pub(super) fn parse_series(parser: &Parser, line: &str) -> Result<(Labels, Vec<SequenceValue>), String> {
    let series = parser.parse_series_description(line).map_err(|e| e.to_string())?;
    let mut combine = |mut histogram: FloatHistogram, step, other: &FloatHistogram| -> Result<_, Message> {
        let combined = match step {
            HistogramStep::Add => histogram.add(other),
            HistogramStep::Sub => histogram.sub(other),
        };
        combined.map(|_| histogram).map_err(|e| Message(e.to_string()))
    };
    let values = series.values::<Message>(MAX_VALUES, &mut combine).map_err(|e| e.0)?;
    Ok((series.labels, values))
}

/// An error's text.
struct Message(String);

impl From<prometheus_promql::Error> for Message {
    fn from(error: prometheus_promql::Error) -> Self {
        Self(error.to_string())
    }
}

/// Labels and start timestamps of a line `metric{…}@st …`; none if the line is another. Start timestamps are given
/// relative to those of the samples.
#[expect(clippy::type_complexity, reason = "labels and offsets, once")]
pub(super) fn parse_starts(parser: &Parser, line: &str) -> Option<Result<(Labels, Vec<Option<TimestampMs>>), String>> {
    let space = line.find([' ', '\t'])?;
    let metric = line[..space].strip_suffix("@st")?;
    let items = line[space..].split_whitespace().map(parse_start);
    let series = parse_series(parser, &format!("{metric} _")).map(|(labels, _)| labels);
    Some(series.and_then(|labels| {
        let offsets = items.collect::<Option<Vec<_>>>().ok_or_else(|| "invalid @st sequence".to_owned())?;
        Ok((labels, offsets.into_iter().flatten().collect()))
    }))
}

/// `_`, `_x3`, `-1m`, `-1mx3`, `-1m+30sx3`
fn parse_start(item: &str) -> Option<Vec<Option<TimestampMs>>> {
    let many = |text: &str| text.strip_prefix('x')?.parse::<usize>().ok().filter(|&many| many < MAX_VALUES);
    if let Some(rest) = item.strip_prefix('_') {
        return Some(vec![None; if rest.is_empty() { 1 } else { many(rest)? }]);
    }
    let (base, rest) = duration_prefix(item)?;
    if rest.is_empty() {
        return Some(vec![Some(base)]);
    }
    if rest.starts_with('x') {
        return Some(vec![Some(base); many(rest)? + 1]);
    }
    if !rest.starts_with(['+', '-']) {
        return None;
    }
    let (step, rest) = duration_prefix(rest)?;
    let offset =
        |position: usize| base.saturating_add(step.saturating_mul(i64::try_from(position).unwrap_or(i64::MAX)));
    Some((0..=many(rest)?).map(|position| Some(offset(position))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_start_timestamps() {
        let parser = Parser::default();
        let (labels, offsets) = parse_starts(&parser, "foo{a=\"b\"}@st _ _x2 -1m 0sx1 -2m+30sx2").unwrap().unwrap();
        assert_eq!(labels.to_string(), r#"{__name__="foo", a="b"}"#);
        let expected =
            [None, None, None, Some(-60_000), Some(0), Some(0), Some(-120_000), Some(-90_000), Some(-60_000)];
        assert_eq!(offsets, expected);
        assert!(parse_starts(&parser, "foo 1 2 3").is_none());
        assert!(parse_starts(&parser, "foo@st 1q").unwrap().is_err());
    }
}
