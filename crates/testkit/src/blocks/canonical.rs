//! Samples in the form in which equal ones are equal.

use prometheus_model::{CounterResetHint, FloatHistogram, Histogram, Sample, Span, Value, is_stale_nan};

/// Brings a sample into the form in which it can be compared with the oracle's, also brought into it.
///
/// Encoding may change a native histogram without changing what it says: its chunk has the buckets of all histograms in
/// it, hence some that are empty, and what is known of counter resets depends on where chunks begin. So empty buckets
/// and hints are dropped here, but for the hint that the histogram is a gauge; of staleness markers even that.
#[must_use]
pub fn canonical(mut sample: Sample) -> Sample {
    match &mut sample.value {
        Value::Float(_) => {}
        Value::Histogram(h) => {
            drop_hint(&mut h.counter_reset_hint, h.sum);
            let Histogram { positive_spans, positive_buckets, negative_spans, negative_buckets, .. } = &mut **h;
            for (spans, deltas) in [(positive_spans, positive_buckets), (negative_spans, negative_buckets)] {
                let absolute = deltas.iter().scan(0, |count, delta| {
                    *count += delta;
                    Some(*count)
                });
                let (new, counts) = without_empty(spans, absolute, |count| *count == 0);
                *spans = new;
                let mut previous = 0;
                *deltas = counts.into_iter().map(|count| count - std::mem::replace(&mut previous, count)).collect();
            }
        }
        Value::FloatHistogram(h) => {
            drop_hint(&mut h.counter_reset_hint, h.sum);
            let FloatHistogram { positive_spans, positive_buckets, negative_spans, negative_buckets, .. } = &mut **h;
            for (spans, buckets) in [(positive_spans, positive_buckets), (negative_spans, negative_buckets)] {
                (*spans, *buckets) = without_empty(spans, buckets.iter().copied(), |count| *count == 0.0);
            }
        }
    }
    sample
}

fn drop_hint(hint: &mut CounterResetHint, sum: f64) {
    if *hint != CounterResetHint::Gauge || is_stale_nan(sum) {
        *hint = CounterResetHint::Unknown;
    }
}

/// Spans and counts of the buckets that are not empty.
fn without_empty<T>(
    spans: &[Span],
    counts: impl Iterator<Item = T>,
    is_empty: impl Fn(&T) -> bool,
) -> (Vec<Span>, Vec<T>) {
    let mut start = 0_i64;
    let indexes = spans.iter().flat_map(|span| {
        let first = start + i64::from(span.offset);
        start = first + i64::from(span.length);
        first..start
    });
    let (mut new, mut kept, mut after) = (Vec::<Span>::new(), Vec::new(), 0);
    for (index, count) in indexes.zip(counts).filter(|(_, count)| !is_empty(count)) {
        match new.last_mut().filter(|_| index == after) {
            Some(span) => span.length += 1,
            // The sum of offsets and lengths before, all of them of 32 bits; saturates where no histogram has buckets.
            None => new.push(Span { offset: i32::try_from(index - after).unwrap_or(i32::MAX), length: 1 }),
        }
        after = index + 1;
        kept.push(count);
    }
    (new, kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_buckets_are_dropped() {
        let span = |offset, length| Span { offset, length };
        let h = Histogram {
            counter_reset_hint: CounterResetHint::NotCounterReset,
            positive_spans: vec![span(-3, 3), span(2, 2)],
            positive_buckets: vec![0, 4, 1, -5, 7],
            ..Histogram::default()
        };
        let sample = |h| Sample { timestamp: 1, start_timestamp: 0, value: Value::Histogram(Box::new(h)) };
        let expected = Histogram {
            positive_spans: vec![span(-2, 2), span(3, 1)],
            positive_buckets: vec![4, 1, 2],
            ..Histogram::default()
        };
        assert_eq!(canonical(sample(h)), sample(expected.clone()));
        assert_eq!(canonical(sample(expected.clone())), sample(expected.clone()));
        let other = Histogram { positive_buckets: vec![4, 1, 3], ..expected.clone() };
        assert_ne!(canonical(sample(other)), sample(expected));
    }
}
