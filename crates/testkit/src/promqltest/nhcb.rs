//! Classic histograms as native ones with custom buckets: what `load_with_nhcb` loads besides.

use std::collections::BTreeMap;

use prometheus_model::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Labels, METRIC_NAME, Sample, Span, TimestampMs, Value};

use super::number::parse_float;

/// What the series of a classic histogram say at one time.
#[derive(Default)]
struct Classic {
    /// Cumulative counts, ascending by bound.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// What a series of a classic histogram says.
#[derive(Clone, Copy)]
enum Part {
    Bucket(f64),
    Count,
    Sum,
}

impl Classic {
    fn set(&mut self, part: Part, value: f64) {
        match part {
            Part::Bucket(bound) if self.buckets.iter().any(|bucket| bucket.0 == bound) => {}
            Part::Bucket(bound) => self.buckets.push((bound, value)),
            Part::Count => self.count = Some(value),
            Part::Sum => self.sum = value,
        }
    }

    fn into_histogram(mut self) -> Result<FloatHistogram, String> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        if let Some([a, b]) = self.buckets.array_windows().find(|[a, b]| b.1 < a.1) {
            return Err(format!("count is not cumulative: {} < {}", b.1, a.1));
        }
        let count = self.count.or(self.buckets.last().map(|bucket| bucket.1)).unwrap_or(0.0);
        if count < 0.0 || self.buckets.iter().any(|bucket| bucket.1 < 0.0) {
            return Err("count must be non-negative".to_owned());
        }
        if self.buckets.last().is_none_or(|bucket| bucket.0 != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let highest = self.buckets.last().map_or(0.0, |bucket| bucket.1);
        if count.to_bits() != highest.to_bits() && count != highest {
            return Err(format!("count mismatch: count={count} != le=+Inf count={highest}"));
        }
        let is_integer = self.buckets.iter().all(|bucket| bucket.1.fract() == 0.0);
        let mut below = 0.0;
        let mut histogram = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: vec![Span { offset: 0, length: u32::try_from(self.buckets.len()).unwrap_or(u32::MAX) }],
            positive_buckets: self
                .buckets
                .iter()
                .map(|bucket| bucket.1 - std::mem::replace(&mut below, bucket.1))
                .collect(),
            custom_values: self.buckets.iter().map(|bucket| bucket.0).filter(|bound| bound.is_finite()).collect(),
            ..FloatHistogram::default()
        };
        histogram.compact(if is_integer { 2 } else { 0 });
        Ok(histogram)
    }
}

/// Histograms with custom buckets, made of the classic ones among the series.
///
/// # Errors
/// If counts of a histogram contradict each other.
pub(super) fn native_histograms(
    series: &BTreeMap<Labels, Vec<Sample>>,
) -> Result<BTreeMap<Labels, Vec<Sample>>, String> {
    let mut found = BTreeMap::<Labels, BTreeMap<TimestampMs, Classic>>::new();
    for (labels, samples) in series {
        let name = labels.get(METRIC_NAME).unwrap_or_default();
        let (part, base) = if let Some(base) = name.strip_suffix("_bucket") {
            match parse_float(labels.get("le").unwrap_or_default()) {
                Some(bound) if !bound.is_nan() => (Part::Bucket(bound), base),
                _ => continue,
            }
        } else if let Some(base) = name.strip_suffix("_count") {
            (Part::Count, base)
        } else if let Some(base) = name.strip_suffix("_sum") {
            (Part::Sum, base)
        } else {
            continue;
        };
        let pairs = labels.iter().map(|(name, value)| if name == METRIC_NAME { (name, base) } else { (name, value) });
        let labels = Labels::from_pairs(pairs.filter(|&(name, _)| name != "le")).map_err(|e| e.to_string())?;
        let histograms = found.entry(labels).or_default();
        for sample in samples {
            if let Value::Float(value) = sample.value {
                histograms.entry(sample.timestamp).or_default().set(part, value);
            }
        }
    }
    let convert = |(labels, histograms): (Labels, BTreeMap<TimestampMs, Classic>)| {
        let sample = |(timestamp, classic): (TimestampMs, Classic)| {
            let value = Value::FloatHistogram(Box::new(classic.into_histogram()?));
            Ok(Sample { timestamp, start_timestamp: 0, value })
        };
        Ok((labels, histograms.into_iter().map(sample).collect::<Result<_, String>>()?))
    };
    found.into_iter().map(convert).collect()
}
