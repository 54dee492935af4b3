//! Integer histograms as float ones, and lower resolutions.

use super::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Histogram, side::Side};

impl Histogram {
    /// The same with float counts. What the schema does not use is left out.
    #[must_use]
    pub fn to_float(&self) -> FloatHistogram {
        let absolute = |deltas: &[i64]| {
            let sum = |count: &mut f64, delta: &i64| {
                *count += *delta as f64;
                Some(*count)
            };
            deltas.iter().scan(0.0, sum).collect()
        };
        let mut float = FloatHistogram {
            counter_reset_hint: self.counter_reset_hint,
            schema: self.schema,
            count: self.count as f64,
            sum: self.sum,
            positive_spans: self.positive_spans.clone(),
            positive_buckets: absolute(&self.positive_buckets),
            ..FloatHistogram::default()
        };
        if self.uses_custom_buckets() {
            float.custom_values.clone_from(&self.custom_values);
        } else {
            float.zero_threshold = self.zero_threshold;
            float.zero_count = self.zero_count as f64;
            float.negative_spans.clone_from(&self.negative_spans);
            float.negative_buckets = absolute(&self.negative_buckets);
        }
        float
    }
}

impl FloatHistogram {
    /// A copy at the lower resolution `schema`. As in Prometheus, the copy's hint is unknown then.
    ///
    /// The same as a clone if the resolution is no lower, or one of the two schemas has custom buckets.
    #[must_use]
    pub fn copy_to_schema(&self, schema: i32) -> Self {
        let Some(shift) = self.shift_to(schema) else { return self.clone() };
        let positive = self.positive_side().reduced(shift);
        let negative = self.negative_side().reduced(shift);
        Self {
            schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count,
            count: self.count,
            sum: self.sum,
            positive_spans: positive.spans,
            positive_buckets: positive.counts,
            negative_spans: negative.spans,
            negative_buckets: negative.counts,
            ..Self::default()
        }
    }

    /// Merges buckets to the lower resolution `schema`. Nothing is done if it is no lower, or one of the two schemas has
    /// custom buckets.
    pub fn reduce_resolution(&mut self, schema: i32) {
        if self.shift_to(schema).is_some() {
            *self = Self { counter_reset_hint: self.counter_reset_hint, ..self.copy_to_schema(schema) };
        }
    }

    /// By how much `schema` is lower than this one; none if it is not, or either has custom buckets.
    fn shift_to(&self, schema: i32) -> Option<u32> {
        let is_possible = !self.uses_custom_buckets() && schema != CUSTOM_BUCKETS_SCHEMA && schema < self.schema;
        is_possible.then(|| self.schema.abs_diff(schema))
    }

    pub(super) fn positive_side(&self) -> Side<'_> {
        Side::new(&self.positive_spans, &self.positive_buckets)
    }

    pub(super) fn negative_side(&self) -> Side<'_> {
        Side::new(&self.negative_spans, &self.negative_buckets)
    }
}
