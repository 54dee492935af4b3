//! The buckets of one sign, and what is done with them: merged to a lower resolution, added, compacted.
//!
//! Layouts are those that Prometheus makes, down to spans that touch: its equality of histograms sees them.

use super::{
    Span,
    compensated::Compensated,
    layout::{Indexed, Layout, Place},
};

/// How many buckets there may be with empty ones filled in.
const MAX_FILLED: usize = 1 << 20;

/// A count, with its compensation or without.
pub(super) trait Count: Copy {
    fn new(count: f64, compensation: f64) -> Self;
    /// Adds a count to a bucket that is there.
    fn add(&mut self, other: Self);
    /// Adds a bucket of the same histogram, when resolution is reduced.
    fn merge(&mut self, other: Self);
    fn negated(self) -> Self;
    fn is_empty(self) -> bool;
}

impl Count for f64 {
    fn new(count: f64, _: f64) -> Self {
        count
    }

    fn add(&mut self, other: Self) {
        *self += other;
    }

    fn merge(&mut self, other: Self) {
        *self += other;
    }

    fn negated(self) -> Self {
        -self
    }

    fn is_empty(self) -> bool {
        self == 0.0
    }
}

impl Count for Compensated {
    fn new(count: f64, compensation: f64) -> Self {
        Self::new(count, compensation)
    }

    fn add(&mut self, other: Self) {
        Self::add(self, other.sum);
        if other.compensation != 0.0 {
            Self::add(self, other.compensation);
        }
    }

    fn merge(&mut self, other: Self) {
        Self::add(self, other.sum);
        Self::add(self, other.compensation);
    }

    fn negated(self) -> Self {
        Self::new(-self.sum, -self.compensation)
    }

    fn is_empty(self) -> bool {
        self.is_zero()
    }
}

/// Spans, counts and, for compensated sums, compensations: as many as counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side<'a> {
    pub(super) spans: &'a [Span],
    pub(super) counts: &'a [f64],
    pub(super) compensations: &'a [f64],
}

impl<'a> Side<'a> {
    pub(super) const fn new(spans: &'a [Span], counts: &'a [f64]) -> Self {
        Self { spans, counts, compensations: &[] }
    }

    fn buckets<C: Count>(self) -> impl Iterator<Item = (Place, C)> + 'a {
        let mut compensations = self.compensations.iter();
        Indexed::new(self.spans, self.counts)
            .map(move |place| (place, C::new(place.count, compensations.next().copied().unwrap_or_default())))
    }

    /// Buckets merged so that `2^shift` become one.
    pub(super) fn reduced<C: Count>(self, shift: u32) -> Layout<C> {
        let mut layout = Layout::<C>::with_capacity(self.counts.len());
        for (Place { index, .. }, count) in self.buckets::<C>() {
            let index = reduced_index(index, shift);
            match (layout.end(), layout.counts.last_mut()) {
                // What comes again although indexes ascend is added to the last.
                (Some(end), Some(last)) if index < end => last.merge(count),
                _ => layout.push(index, count),
            }
        }
        layout
    }

    /// The sum of these buckets and `other`'s, but for the first `skipped` of those; the difference if `negated`.
    ///
    /// New buckets extend the span that ends before them, or else that which begins behind them, or else are a span.
    pub(super) fn plus<C: Count>(self, other: Self, skipped: usize, negated: bool) -> Layout<C> {
        let mut layout = Layout::with_capacity(self.counts.len().saturating_add(other.counts.len()));
        let mut others = other
            .buckets::<C>()
            .skip(skipped)
            .map(|(Place { index, .. }, count)| (index, if negated { count.negated() } else { count }))
            .peekable();
        for (Place { index, is_start, .. }, mut count) in self.buckets::<C>() {
            // Whether a new bucket was put before the span that begins here.
            let mut joins = false;
            while let Some((new, new_count)) = others.next_if(|&(other, _)| other < index) {
                joins = layout.end() != Some(new) && new.saturating_add(1) == index;
                layout.push(new, new_count);
            }
            if let Some((_, other)) = others.next_if(|&(other, _)| other == index) {
                count.add(other);
            }
            if is_start && !joins { layout.push_span(index, count) } else { layout.extend(count) }
        }
        for (index, count) in others {
            layout.push(index, count);
        }
        layout
    }

    /// The buckets without empty ones, but for runs of up to `max_empty` of those between others; these are filled in
    /// where gaps are no longer, as long as there are at most [`MAX_FILLED`] buckets then.
    pub(super) fn compacted<C: Count>(self, max_empty: usize) -> Layout<C> {
        let mut layout = Layout::with_capacity(self.counts.len());
        // Empty buckets since the last that is not.
        let mut empty = Vec::new();
        for (Place { index, .. }, count) in self.buckets::<C>() {
            if count.is_empty() {
                empty.push(count);
                continue;
            }
            let gap = layout.end().and_then(|end| usize::try_from(index.saturating_sub(end)).ok());
            if let Some(gap) = gap
                && (1..=max_empty).contains(&gap)
                && gap <= MAX_FILLED.saturating_sub(layout.counts.len())
            {
                // Those that are there stay as they are, negative zeros too.
                let are_there = empty.len() == gap;
                (0..gap).for_each(|position| {
                    let zero = C::new(0.0, 0.0);
                    layout.extend(if are_there { empty.get(position).copied().unwrap_or(zero) } else { zero });
                });
            }
            empty.clear();
            layout.push(index, count);
        }
        layout
    }
}

/// Index of the bucket at a resolution lower by `shift` which the bucket `index` is part of.
pub(super) const fn reduced_index(index: i64, shift: u32) -> i64 {
    let shift = if shift > 63 { 63 } else { shift };
    (index.saturating_sub(1) >> shift).saturating_add(1)
}
