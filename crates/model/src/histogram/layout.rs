//! Which bucket has which index: spans read forwards and backwards, and written.
//!
//! Nothing here trusts spans: indexes are `i64`, saturate, and there are never more buckets than counts.

use super::Span;

/// Buckets of one sign with their indexes, from the zero bucket outwards. Ends with the shorter of spans and counts.
#[derive(Clone, Debug)]
pub(super) struct Indexed<'a> {
    spans: std::slice::Iter<'a, Span>,
    counts: std::slice::Iter<'a, f64>,
    next: i64,
    left_in_span: u32,
}

/// A bucket's place and count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) index: i64,
    /// Whether a span begins here.
    pub(super) is_start: bool,
    pub(super) count: f64,
}

impl<'a> Indexed<'a> {
    pub(super) fn new(spans: &'a [Span], counts: &'a [f64]) -> Self {
        Self { spans: spans.iter(), counts: counts.iter(), next: 0, left_in_span: 0 }
    }
}

impl Iterator for Indexed<'_> {
    type Item = Place;

    fn next(&mut self) -> Option<Place> {
        let mut is_start = false;
        while self.left_in_span == 0 {
            let span = self.spans.next()?;
            self.next = self.next.saturating_add(span.offset.into());
            self.left_in_span = span.length;
            is_start = true;
        }
        let &count = self.counts.next()?;
        let index = self.next;
        self.next = index.saturating_add(1);
        self.left_in_span -= 1;
        Some(Place { index, is_start, count })
    }
}

/// Buckets of one sign with their indexes, towards the zero bucket.
#[derive(Clone, Debug)]
pub(super) struct Reversed<'a> {
    spans: std::iter::Rev<std::slice::Iter<'a, Span>>,
    counts: &'a [f64],
    /// Index behind the bucket that is next.
    end: i64,
    /// Buckets that the spans cover which are still to come.
    covered: u64,
    left_in_span: u32,
    offset: i32,
}

impl<'a> Reversed<'a> {
    pub(super) fn new(spans: &'a [Span], counts: &'a [f64]) -> Self {
        let end = spans
            .iter()
            .fold(0_i64, |end, span| end.saturating_add(span.offset.into()).saturating_add(span.length.into()));
        let covered = spans.iter().fold(0_u64, |covered, span| covered.saturating_add(span.length.into()));
        Self { spans: spans.iter().rev(), counts, end, covered, left_in_span: 0, offset: 0 }
    }
}

impl Iterator for Reversed<'_> {
    type Item = (i64, f64);

    fn next(&mut self) -> Option<(i64, f64)> {
        loop {
            while self.left_in_span == 0 {
                self.end = self.end.saturating_sub(self.offset.into());
                let span = self.spans.next()?;
                (self.left_in_span, self.offset) = (span.length, span.offset);
            }
            // Spans may promise more buckets than there are: step over them at once.
            let excess = self.covered.saturating_sub(self.counts.len() as u64);
            let skipped = u32::try_from(excess).map_or(self.left_in_span, |excess| excess.min(self.left_in_span));
            self.left_in_span -= skipped;
            self.covered = self.covered.saturating_sub(skipped.into());
            self.end = self.end.saturating_sub(skipped.into());
            if self.left_in_span == 0 {
                continue;
            }
            self.left_in_span -= 1;
            self.covered = self.covered.saturating_sub(1);
            self.end = self.end.saturating_sub(1);
            let &count = usize::try_from(self.covered).ok().and_then(|position| self.counts.get(position))?;
            return Some((self.end, count));
        }
    }
}

/// Spans and counts under construction. `C` is a count, with its compensation or without.
#[derive(Debug)]
pub(super) struct Layout<C> {
    pub(super) spans: Vec<Span>,
    pub(super) counts: Vec<C>,
    /// Index behind the last bucket.
    end: i64,
}

impl<C> Layout<C> {
    pub(super) fn with_capacity(counts: usize) -> Self {
        Self { spans: Vec::new(), counts: Vec::with_capacity(counts), end: 0 }
    }

    /// Index behind the last bucket; none without buckets.
    pub(super) fn end(&self) -> Option<i64> {
        (!self.spans.is_empty()).then_some(self.end)
    }

    /// Appends a bucket, in the last span if it is adjacent to it.
    pub(super) fn push(&mut self, index: i64, count: C) {
        if self.end() == Some(index) { self.extend(count) } else { self.push_span(index, count) }
    }

    /// Appends a bucket in a span of its own, even if that is adjacent to the last.
    pub(super) fn push_span(&mut self, index: i64, count: C) {
        let gap = index.saturating_sub(self.end);
        let offset = i32::try_from(gap).unwrap_or(if gap < 0 { i32::MIN } else { i32::MAX });
        self.spans.push(Span { offset, length: 1 });
        self.counts.push(count);
        self.end = index.saturating_add(1);
    }

    /// Appends a bucket to the last span, whatever its index.
    pub(super) fn extend(&mut self, count: C) {
        if let Some(span) = self.spans.last_mut() {
            span.length = span.length.saturating_add(1);
            self.counts.push(count);
            self.end = self.end.saturating_add(1);
        }
    }
}

/// Whether both lay out the same buckets. Spans without buckets only add their offset to the next one's; spans that
/// touch differ from one, as in Prometheus.
pub(super) fn same_layout(a: &[Span], b: &[Span]) -> bool {
    let normal = |spans: &[Span]| {
        spans
            .iter()
            .scan(0_i64, |offset, span| {
                *offset = offset.saturating_add(span.offset.into());
                let folded = (*offset, span.length);
                if span.length > 0 {
                    *offset = 0;
                }
                Some(folded)
            })
            .filter(|&(_, length)| length > 0)
            .collect::<Vec<_>>()
    };
    a == b || normal(a) == normal(b)
}
