//! Compares the samples of a series with those of its row.

use std::collections::BTreeMap;

use prometheus_model::{CounterResetHint, FloatHistogram, Histogram, Sample, Span, TimestampMs, Value};

/// Where a sample of the source comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Origin {
    /// Which of the series' parts: one for each block that has it.
    pub(super) part: u32,
    /// Position among all samples of the part, deleted ones included.
    pub(super) position: u32,
}

impl Origin {
    /// Whether `self` comes right after `other` in one part.
    fn follows(self, other: Self) -> bool {
        self.part == other.part && other.position.checked_add(1) == Some(self.position)
    }
}

/// A sample of the source.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct SourceSample {
    pub(super) origin: Origin,
    pub(super) sample: Sample,
}

/// The first difference, if there is one.
pub(super) fn compare(
    expected: &BTreeMap<TimestampMs, SourceSample>,
    found: &[Sample],
    start_timestamps: bool,
) -> Option<String> {
    let mut previous: Option<Origin> = None;
    let mut rest = found.iter();
    for (t, source) in expected {
        let Some(sample) = rest.next() else { return Some(format!("no sample at {t}, but the source has one")) };
        if sample.timestamp != *t {
            return Some(if sample.timestamp < *t {
                format!("a sample at {}, but the source has none", sample.timestamp)
            } else {
                format!("no sample at {t}, but the source has one")
            });
        }
        if start_timestamps && sample.start_timestamp != source.sample.start_timestamp {
            let (expected, found) = (source.sample.start_timestamp, sample.start_timestamp);
            return Some(format!("sample at {t}: expected the start timestamp {expected}, found {found}"));
        }
        if !is_same(&source.sample.value, &sample.value) {
            let (expected, found) = (describe(&source.sample.value), describe(&sample.value));
            return Some(format!("sample at {t}: expected {expected}, found {found}"));
        }
        let follows = previous.is_none_or(|previous| source.origin.follows(previous));
        if let Some(difference) = hints(&source.sample.value, &sample.value, follows) {
            return Some(format!("sample at {t}: {difference}"));
        }
        previous = Some(source.origin);
    }
    rest.next().map(|sample| format!("a sample at {}, but the source has none", sample.timestamp))
}

fn describe(value: &Value) -> String {
    match value {
        Value::Float(v) => format!("{v} (bits {:016x})", v.to_bits()),
        other => format!("{other:?}"),
    }
}

/// Whether values are the same, whatever is known of counter resets.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (Value::Histogram(a), Value::Histogram(b)) => plain(a) == plain(b),
        (Value::FloatHistogram(a), Value::FloatHistogram(b)) => plain_float(a) == plain_float(b),
        _ => false,
    }
}

/// A histogram by its meaning: buckets without observations, which a chunk may need for its neighbours, are left out.
type Plain = (i32, [u64; 4], Vec<(i64, u64)>, Vec<(i64, u64)>, Vec<u64>);

fn plain(h: &Histogram) -> Plain {
    let absolute = |deltas: &[i64]| {
        let mut sum = 0_i64;
        let counts = deltas.iter().map(|delta| {
            sum = sum.wrapping_add(*delta);
            sum.cast_unsigned()
        });
        counts.collect::<Vec<u64>>()
    };
    (
        h.schema,
        [h.zero_threshold.to_bits(), h.zero_count, h.count, h.sum.to_bits()],
        buckets(&h.positive_spans, &absolute(&h.positive_buckets)),
        buckets(&h.negative_spans, &absolute(&h.negative_buckets)),
        h.custom_values.iter().map(|v| v.to_bits()).collect(),
    )
}

fn plain_float(h: &FloatHistogram) -> Plain {
    let bits = |counts: &[f64]| counts.iter().map(|v| v.to_bits()).collect::<Vec<u64>>();
    (
        h.schema,
        [h.zero_threshold.to_bits(), h.zero_count.to_bits(), h.count.to_bits(), h.sum.to_bits()],
        buckets(&h.positive_spans, &bits(&h.positive_buckets)),
        buckets(&h.negative_spans, &bits(&h.negative_buckets)),
        bits(&h.custom_values),
    )
}

/// Index and count of each bucket that is not empty. The bits of 0.0 are those of the integer 0.
fn buckets(spans: &[Span], counts: &[u64]) -> Vec<(i64, u64)> {
    let mut index = 0_i64;
    let mut counts = counts.iter();
    let mut out = Vec::new();
    for span in spans {
        index = index.wrapping_add(span.offset.into());
        for _ in 0..span.length {
            let Some(count) = counts.next() else { return out };
            if *count != 0 {
                out.push((index, *count));
            }
            index = index.wrapping_add(1);
        }
    }
    out
}

const fn hint(value: &Value) -> Option<CounterResetHint> {
    match value {
        Value::Float(_) => None,
        Value::Histogram(h) => Some(h.counter_reset_hint),
        Value::FloatHistogram(h) => Some(h.counter_reset_hint),
    }
}

/// What is wrong with what is said of a counter reset. `follows`: the sample before it is the same as in the source, so
/// that what the source says still holds.
fn hints(expected: &Value, found: &Value, follows: bool) -> Option<String> {
    use CounterResetHint::{CounterReset, Gauge, NotCounterReset, Unknown};
    let (expected, found) = (hint(expected)?, hint(found)?);
    let contradicts = match (expected, found) {
        (Gauge, _) | (_, Gauge) => expected != found,
        // Where chunks were cut anew, less may be known than before, or more.
        (_, Unknown) | (Unknown, _) => false,
        (CounterReset | NotCounterReset, CounterReset | NotCounterReset) => follows && expected != found,
    };
    contradicts.then(|| format!("{found:?}, but the source says {expected:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(t: i64, v: f64) -> Sample {
        Sample { timestamp: t, start_timestamp: 0, value: Value::Float(v) }
    }

    fn histogram(t: i64, hint: CounterResetHint, count: i64, spans: Vec<Span>, deltas: Vec<i64>) -> Sample {
        let h = Histogram {
            counter_reset_hint: hint,
            count: count as u64,
            positive_spans: spans,
            positive_buckets: deltas,
            ..Histogram::default()
        };
        Sample { timestamp: t, start_timestamp: 0, value: Value::Histogram(Box::new(h)) }
    }

    fn source(samples: &[Sample]) -> BTreeMap<TimestampMs, SourceSample> {
        let origin = |position| Origin { part: 0, position };
        (0..).zip(samples).map(|(n, s)| (s.timestamp, SourceSample { origin: origin(n), sample: s.clone() })).collect()
    }

    #[test]
    fn finds_each_kind_of_difference() {
        let s = [float(1, 0.0), float(2, f64::NAN), float(3, 1.0)];
        let diff = |found: &[Sample]| compare(&source(&s), found, false);
        assert_eq!(diff(&s), None);
        assert!(diff(&s[..2]).unwrap().contains("no sample at 3"));
        assert!(diff(&s[1..]).unwrap().contains("no sample at 1"));
        assert!(diff(&[&s[..], &[float(4, 0.0)]].concat()).unwrap().contains("a sample at 4, but"));
        assert!(diff(&[&s[..2], &[float(4, 0.0)]].concat()).unwrap().contains("no sample at 3"));
        let mut other = s.clone();
        other[0] = float(1, -0.0);
        assert!(diff(&other).unwrap().contains("sample at 1: expected 0 (bits"));
        other = s.clone();
        other[2].start_timestamp = 1;
        assert_eq!(diff(&other), None);
        assert!(compare(&source(&s), &other, true).unwrap().contains("start timestamp"));
    }

    #[test]
    fn empty_buckets_do_not_matter_but_others_do() {
        let unknown = CounterResetHint::Unknown;
        let narrow = histogram(1, unknown, 3, vec![Span { offset: 1, length: 1 }], vec![3]);
        let wide = histogram(
            1,
            unknown,
            3,
            vec![Span { offset: 0, length: 2 }, Span { offset: 5, length: 1 }],
            vec![0, 3, -3],
        );
        let moved = histogram(1, unknown, 3, vec![Span { offset: 2, length: 1 }], vec![3]);
        assert_eq!(compare(&source(std::slice::from_ref(&narrow)), &[wide], false), None);
        assert!(compare(&source(&[narrow]), &[moved], false).is_some());
    }

    #[test]
    fn hints_may_be_lost_but_not_turned() {
        use CounterResetHint::{CounterReset, Gauge, NotCounterReset, Unknown};
        let h = |t, hint| histogram(t, hint, 0, vec![], vec![]);
        for (expected, found, wrong) in [
            (CounterReset, Unknown, false),
            (Unknown, NotCounterReset, false),
            (CounterReset, NotCounterReset, true),
            (NotCounterReset, CounterReset, true),
            (Gauge, Unknown, true),
            (Unknown, Gauge, true),
            (Gauge, Gauge, false),
        ] {
            let diff = compare(&source(&[h(1, Unknown), h(2, expected)]), &[h(1, Unknown), h(2, found)], false);
            assert_eq!(diff.is_some(), wrong, "{expected:?} {found:?}");
        }
        // After a deleted sample, what the source says is about another neighbour.
        let mut gap = source(&[h(1, Unknown), h(2, Unknown), h(3, CounterReset)]);
        gap.remove(&2);
        assert_eq!(compare(&gap, &[h(1, Unknown), h(3, NotCounterReset)], false), None);
    }
}
