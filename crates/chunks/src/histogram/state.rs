//! The fields of a histogram chunk: what reader and writer both keep of the last sample.

use prometheus_model::{TimestampMs, is_stale_nan};

use super::{
    field::{Bucket, Field, Float, Integer, Total},
    layout::{Layout, ensure_room},
    parts::{Parts, View},
    spans,
};
use crate::{
    bits::{BitReader, BitWriter},
    error::Result,
};

/// The last sample, field by field.
#[derive(Clone, Debug)]
pub(super) struct State<H: Parts> {
    pub(super) timestamp: Integer,
    pub(super) count: H::Total,
    pub(super) zero_count: H::Total,
    pub(super) sum: Float,
    /// As many as the layout has; those of the last sample that is not stale.
    pub(super) positive: Vec<H::Bucket>,
    pub(super) negative: Vec<H::Bucket>,
}

impl<H: Parts> State<H> {
    pub(super) fn is_stale(&self) -> bool {
        is_stale_nan(self.sum.value())
    }

    /// Reads the first sample.
    ///
    /// # Errors
    /// Corrupt if the data end within it, or cannot hold as many buckets as the layout has.
    pub(super) fn read_first(reader: &mut BitReader<'_>, layout: &Layout) -> Result<Self> {
        let bit = reader.position();
        let [positive, negative] =
            [&layout.positive_spans, &layout.negative_spans].map(|spans| spans::bucket_count(spans).unwrap_or(0));
        let buckets = positive.saturating_add(negative);
        ensure_room(reader, "buckets", bit, buckets, H::Bucket::MIN_FIRST_BITS)?;
        Ok(Self {
            timestamp: Integer::read_first(reader)?,
            count: H::Total::read_first(reader)?,
            zero_count: H::Total::read_first(reader)?,
            sum: Float::read_first(reader)?,
            positive: (0..positive).map(|_| H::Bucket::read_first(reader)).collect::<Result<_>>()?,
            negative: (0..negative).map(|_| H::Bucket::read_first(reader)).collect::<Result<_>>()?,
        })
    }

    /// Reads a sample after the first.
    ///
    /// # Errors
    /// Corrupt if the data end within it.
    pub(super) fn read_next(&mut self, reader: &mut BitReader<'_>) -> Result<()> {
        self.timestamp.read_next(reader)?;
        self.count.read_next(reader)?;
        self.zero_count.read_next(reader)?;
        self.sum.read_next(reader)?;
        if !self.is_stale() {
            for bucket in self.positive.iter_mut().chain(&mut self.negative) {
                bucket.read_next(reader)?;
            }
        }
        Ok(())
    }

    /// Writes the first sample; its layout is written already.
    pub(super) fn write_first(writer: &mut BitWriter, timestamp: TimestampMs, h: &View<'_, H>) -> Self {
        Self {
            timestamp: Integer::write_first(writer, timestamp),
            count: H::Total::write_first(writer, h.count),
            zero_count: H::Total::write_first(writer, h.zero_count),
            sum: Float::write_first(writer, h.sum),
            positive: h.positive_buckets.iter().map(|&v| H::Bucket::write_first(writer, v)).collect(),
            negative: h.negative_buckets.iter().map(|&v| H::Bucket::write_first(writer, v)).collect(),
        }
    }

    /// Writes a sample after the first, which has as many buckets as the layout, or is stale and has none.
    pub(super) fn write_next(&mut self, writer: &mut BitWriter, timestamp: TimestampMs, h: &View<'_, H>) {
        self.timestamp.write_next(writer, timestamp);
        if is_stale_nan(h.sum) {
            self.count.write_stale(writer);
            self.zero_count.write_stale(writer);
            self.sum.write_next(writer, h.sum);
            return;
        }
        self.count.write_next(writer, h.count);
        self.zero_count.write_next(writer, h.zero_count);
        self.sum.write_next(writer, h.sum);
        debug_assert_eq!(self.positive.len(), h.positive_buckets.len());
        debug_assert_eq!(self.negative.len(), h.negative_buckets.len());
        let buckets = h.positive_buckets.iter().chain(h.negative_buckets);
        for (bucket, &value) in self.positive.iter_mut().chain(&mut self.negative).zip(buckets) {
            bucket.write_next(writer, value);
        }
    }
}

/// The absolute counts of buckets, given as they are stored.
pub(super) fn absolute<B: Bucket>(stored: impl Iterator<Item = B::Value>) -> impl Iterator<Item = B::Value> {
    stored.scan(B::Value::default(), |count, stored| {
        *count = B::absolute(*count, stored);
        Some(*count)
    })
}

/// Buckets as they are stored, given their absolute counts; the inverse of [`absolute`].
pub(super) fn stored<B: Bucket>(absolute: impl Iterator<Item = B::Value>) -> impl Iterator<Item = B::Value> {
    absolute.scan(B::Value::default(), |before, count| {
        let stored = B::stored(*before, count);
        *before = count;
        Some(stored)
    })
}
