//! When two samples are the same.

use prometheus_model::{CounterResetHint, FloatHistogram, Histogram, Sample, Span, Value, is_stale_nan};

/// Whether two samples say the same. Stores may write native histograms in other words: with more empty buckets, or
/// knowing less of counter resets; so these are not looked at, but for whether a histogram is a gauge. Of two staleness
/// markers of the same kind nothing else is looked at.
#[must_use]
pub fn same_sample(a: &Sample, b: &Sample, start_timestamps: bool) -> bool {
    a.timestamp == b.timestamp
        && (!start_timestamps || a.start_timestamp == b.start_timestamp)
        && match (&a.value, &b.value) {
            (Value::Histogram(a), Value::Histogram(b)) => same_histogram(a, b),
            (Value::FloatHistogram(a), Value::FloatHistogram(b)) => same_float_histogram(a, b),
            (a, b) => a == b,
        }
}

fn same_histogram(a: &Histogram, b: &Histogram) -> bool {
    if is_stale_nan(a.sum) && is_stale_nan(b.sum) {
        return true;
    }
    let comparable = |h: &Histogram| Histogram {
        counter_reset_hint: gauge_or_not(h.counter_reset_hint),
        positive_spans: Vec::new(),
        negative_spans: Vec::new(),
        positive_buckets: Vec::new(),
        negative_buckets: Vec::new(),
        ..h.clone()
    };
    comparable(a) == comparable(b)
        && counts(&a.positive_spans, &a.positive_buckets) == counts(&b.positive_spans, &b.positive_buckets)
        && counts(&a.negative_spans, &a.negative_buckets) == counts(&b.negative_spans, &b.negative_buckets)
}

fn same_float_histogram(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    if is_stale_nan(a.sum) && is_stale_nan(b.sum) {
        return true;
    }
    let comparable = |h: &FloatHistogram| FloatHistogram {
        counter_reset_hint: gauge_or_not(h.counter_reset_hint),
        positive_spans: Vec::new(),
        negative_spans: Vec::new(),
        positive_buckets: Vec::new(),
        negative_buckets: Vec::new(),
        ..h.clone()
    };
    let bits = |spans: &[Span], buckets: &[f64]| -> Vec<_> {
        let buckets = indexes(spans).zip(buckets.iter().copied());
        buckets.filter(|(_, count)| *count != 0.0).map(|(index, count)| (index, count.to_bits())).collect()
    };
    comparable(a) == comparable(b)
        && bits(&a.positive_spans, &a.positive_buckets) == bits(&b.positive_spans, &b.positive_buckets)
        && bits(&a.negative_spans, &a.negative_buckets) == bits(&b.negative_spans, &b.negative_buckets)
}

fn gauge_or_not(hint: CounterResetHint) -> CounterResetHint {
    if hint == CounterResetHint::Gauge { hint } else { CounterResetHint::Unknown }
}

/// Indexes and counts of the buckets that are not empty.
fn counts(spans: &[Span], deltas: &[i64]) -> Vec<(i64, i64)> {
    let counts = deltas.iter().scan(0_i64, |count, delta| {
        *count = count.wrapping_add(*delta);
        Some(*count)
    });
    indexes(spans).zip(counts).filter(|(_, count)| *count != 0).collect()
}

/// Indexes of the buckets that spans cover.
fn indexes(spans: &[Span]) -> impl Iterator<Item = i64> {
    let mut after = 0_i64;
    spans.iter().flat_map(move |span| {
        let start = after.saturating_add(span.offset.into());
        after = start.saturating_add(span.length.into());
        start..after
    })
}
