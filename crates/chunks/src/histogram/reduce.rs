//! Reduces histograms of a finer resolution than this version knows.

use prometheus_model::Span;

use super::{
    field::Bucket,
    spans::{from_indexes, indexes},
    state::{absolute, stored},
};

/// Merges each run of `2^steps` exponential buckets into one: what buckets look like at a schema smaller by `steps`,
/// `0 < steps < 64`. The spans must be sound.
pub(super) fn reduce<B: Bucket>(spans: &mut Vec<Span>, buckets: &mut Vec<B::Value>, steps: u32) {
    // Bucket i of schema s ends at 2^(i * 2^-s), inclusive: the buckets 1..=2^steps end up in bucket 1.
    let target = |index: i32| {
        let index = (i64::from(index).saturating_sub(1) >> steps).saturating_add(1);
        i32::try_from(index).unwrap_or(i32::MAX)
    };
    let mut merged: Vec<(i32, B::Value)> = Vec::new();
    for (index, count) in indexes(spans).map(target).zip(absolute::<B>(buckets.iter().copied())) {
        match merged.last_mut() {
            Some((last, sum)) if *last == index => *sum = B::sum(*sum, count),
            _ => merged.push((index, count)),
        }
    }
    if let Some(reduced) = from_indexes(merged.iter().map(|&(index, _)| index)) {
        *spans = reduced;
        *buckets = stored::<B>(merged.iter().map(|&(_, count)| count)).collect();
    }
}
