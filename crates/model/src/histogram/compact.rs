//! Layouts without superfluous buckets and spans; equality; size.

use super::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, layout::same_layout, same_bits};

impl FloatHistogram {
    /// Whether the schema is one of exponential buckets that Prometheus reads: -4 to 8.
    #[must_use]
    pub const fn is_exponential(&self) -> bool {
        matches!(self.schema, -4..=8)
    }

    /// Removes empty buckets, but for runs of up to `max_empty` of them between others; gaps that are no longer are
    /// filled in, as long as the histogram stays below a million buckets.
    pub fn compact(&mut self, max_empty: usize) {
        let layout = self.positive_side().compacted(max_empty);
        (self.positive_spans, self.positive_buckets) = (layout.spans, layout.counts);
        let layout = self.negative_side().compacted(max_empty);
        (self.negative_spans, self.negative_buckets) = (layout.spans, layout.counts);
    }

    /// Whether both are the same data, as Prometheus compares them: count, sum and buckets by bits, bounds as numbers;
    /// hints do not count, nor do custom bounds that the schema does not use, nor spans without buckets.
    #[must_use]
    pub fn equals(&self, other: &Self) -> bool {
        self.schema == other.schema
            && self.count.to_bits() == other.count.to_bits()
            && self.sum.to_bits() == other.sum.to_bits()
            && (self.schema != CUSTOM_BUCKETS_SCHEMA || self.custom_values == other.custom_values)
            && self.zero_threshold == other.zero_threshold
            && self.zero_count.to_bits() == other.zero_count.to_bits()
            && same_layout(&self.negative_spans, &other.negative_spans)
            && same_bits(&self.negative_buckets, &other.negative_buckets)
            && same_layout(&self.positive_spans, &other.positive_spans)
            && same_bits(&self.positive_buckets, &other.positive_buckets)
    }

    /// Bytes that Prometheus counts for it: what 16 of them are is one sample against its limit.
    #[must_use]
    pub fn size(&self) -> usize {
        let elements = [
            self.positive_spans.len(),
            self.negative_spans.len(),
            self.positive_buckets.len(),
            self.negative_buckets.len(),
            self.custom_values.len(),
        ];
        elements.into_iter().fold(168, |size, elements| size.saturating_add(elements.saturating_mul(8)))
    }

    /// Whether a number of it is infinite.
    #[must_use]
    pub fn has_overflow(&self) -> bool {
        let lists = [&self.positive_buckets, &self.negative_buckets, &self.custom_values];
        [self.zero_count, self.count, self.sum].iter().chain(lists.into_iter().flatten()).any(|n| n.is_infinite())
    }
}
