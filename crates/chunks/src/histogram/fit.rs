//! Whether a histogram can follow another in the same chunk.
//!
//! Chunks share one layout. A sample with buckets that the chunk lacks is accommodated by adding them to all samples
//! before it; one that lacks buckets of the chunk is given them, empty. Counters must not fall within a chunk.

use std::cmp::Ordering;

use prometheus_model::{CounterResetHint, Span, is_stale_nan};

use super::{
    field::{Bucket, Field},
    layout::Layout,
    parts::{Parts, View},
    spans::indexes,
    state::{State, absolute, stored},
};

/// How a histogram goes with the last sample before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fit {
    /// It goes into the same chunk. Buckets may have to be added first, to either side.
    Append { positive: Missing, negative: Missing },
    /// A counter fell; or the histogram says so.
    Reset,
    /// They cannot share a chunk, and nothing is known of a reset: the layout changed, or the last sample was stale.
    Unknown,
    /// One is a gauge, the other is not.
    OtherType,
}

/// Who lacks buckets that the other has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Missing {
    pub(super) in_chunk: bool,
    pub(super) in_sample: bool,
}

impl Missing {
    const NONE: Self = Self { in_chunk: false, in_sample: false };

    pub(super) fn is_none(self) -> bool {
        self == Self::NONE
    }
}

/// How `next` goes with the last sample of a chunk. The order of checks is that of Prometheus: it decides what the
/// header of the next chunk says.
pub(super) fn fit<H: Parts>(gauge: bool, layout: &Layout, last: &State<H>, next: &View<'_, H>) -> Fit {
    if gauge != (next.counter_reset_hint == CounterResetHint::Gauge) {
        return Fit::OtherType;
    }
    if next.counter_reset_hint == CounterResetHint::CounterReset {
        return Fit::Reset;
    }
    if is_stale_nan(next.sum) {
        return Fit::Append { positive: Missing::NONE, negative: Missing::NONE };
    }
    if last.is_stale() {
        return Fit::Unknown;
    }
    if !gauge && next.count < last.count.value() {
        return Fit::Reset;
    }
    if next.schema != layout.schema || next.zero_threshold != layout.zero_threshold {
        return Fit::Unknown;
    }
    if next.schema == prometheus_model::CUSTOM_BUCKETS_SCHEMA && next.custom_values != layout.custom_values {
        return Fit::Reset;
    }
    if !gauge && next.zero_count < last.zero_count.value() {
        return Fit::Reset;
    }
    let positive = compare(gauge, &layout.positive_spans, &last.positive, next.positive_spans, next.positive_buckets);
    let negative = compare(gauge, &layout.negative_spans, &last.negative, next.negative_spans, next.negative_buckets);
    match (positive, negative) {
        (Some(positive), Some(negative)) => Fit::Append { positive, negative },
        _ => Fit::Reset,
    }
}

/// Who lacks buckets. None if a counter fell: if a bucket did, or disappeared although it was not empty.
fn compare<B: Bucket>(
    gauge: bool,
    a_spans: &[Span],
    a_buckets: &[B],
    b_spans: &[Span],
    b_buckets: &[B::Value],
) -> Option<Missing> {
    let mut missing = Missing::NONE;
    let mut a_counts = absolute::<B>(a_buckets.iter().map(Field::value));
    let mut b_counts = absolute::<B>(b_buckets.iter().copied());
    if a_spans == b_spans {
        let fell = !gauge && a_counts.zip(b_counts).any(|(a, b)| a > b);
        return (!fell).then_some(missing);
    }
    let (mut a_indexes, mut b_indexes) = (indexes(a_spans), indexes(b_spans));
    let mut next_a = || a_indexes.next().zip(a_counts.next());
    let mut next_b = || b_indexes.next().zip(b_counts.next());
    let (mut a, mut b) = (next_a(), next_b());
    loop {
        let order = match (a, b) {
            (Some((i, _)), Some((j, _))) => i.cmp(&j),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return Some(missing),
        };
        match order {
            Ordering::Equal => {
                if !gauge && a.zip(b).is_some_and(|((_, a), (_, b))| a > b) {
                    return None;
                }
                (a, b) = (next_a(), next_b());
            }
            Ordering::Less => {
                if !gauge && a.is_some_and(|(_, count)| count != B::Value::default()) {
                    return None;
                }
                missing.in_sample = true;
                a = next_a();
            }
            Ordering::Greater => {
                missing.in_chunk = true;
                b = next_b();
            }
        }
    }
}

/// The buckets of `from`, with empty ones where only `to` has them. `to` has all that `from` has.
pub(super) fn expand<B: Bucket>(from: &[Span], to: &[Span], buckets: &[B::Value]) -> Vec<B::Value> {
    let mut counts = indexes(from).zip(absolute::<B>(buckets.iter().copied())).peekable();
    stored::<B>(indexes(to).map(|index| match counts.next_if(|&(i, _)| i == index) {
        Some((_, count)) => count,
        None => B::Value::default(),
    }))
    .collect()
}
