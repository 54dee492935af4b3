//! What the cache of the bucket counts, taken when somebody asks.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use promparquet_objstore::{Cache, TierStatistics};

/// The statistics of a cache.
#[derive(Debug)]
pub(super) struct CacheCollector(pub(super) Cache);

/// A counter or gauge of each tier.
struct ByTier<'a, M>(&'a [(&'static str, TierStatistics)], fn(&TierStatistics) -> M);

impl<M: EncodeMetric> EncodeMetric for ByTier<'_, M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> std::fmt::Result {
        for (tier, statistics) in self.0 {
            let labels = [("tier", *tier)];
            (self.1)(statistics).encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        (self.1)(&TierStatistics::default()).metric_type()
    }
}

impl Collector for CacheCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let all = self.0.statistics();
        let mut tiers = vec![("memory", all.memory), ("metadata", all.metadata)];
        tiers.extend(all.disk.map(|disk| ("disk", disk)));
        let mut counter = |name: &str, help: &str, of: fn(&TierStatistics) -> ConstCounter<u64>| {
            let metric = ByTier(&tiers, of);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
        };
        counter("cache_hits", "Lookups in the cache of the bucket that found something", |t| {
            ConstCounter::new(t.hits)
        })?;
        counter("cache_misses", "Lookups that did not", |t| ConstCounter::new(t.misses))?;
        counter("cache_evictions", "Items put out to make room", |t| ConstCounter::new(t.evictions))?;
        counter("cache_errors", "Files that could not be read or written, or were damaged", |t| {
            ConstCounter::new(t.errors)
        })?;
        let mut gauge = |name: &str, help: &str, of: fn(&TierStatistics) -> ConstGauge<u64>| {
            let metric = ByTier(&tiers, of);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
        };
        gauge("cache_items", "Items in the cache", |t| ConstGauge::new(t.items))?;
        gauge("cache_bytes", "What they take", |t| ConstGauge::new(t.bytes))?;
        gauge("cache_max_bytes", "What they may take", |t| ConstGauge::new(t.max_bytes))?;
        for (name, help, value) in [
            ("cache_fetches", "Requests to the bucket to fill the cache", all.fetches),
            ("cache_fetched_bytes", "Bytes of these", all.fetched_bytes),
            ("cache_served_bytes", "Bytes that the cache gave", all.served_bytes),
            ("cache_coalesced", "Reads that waited for the fetch of another", all.coalesced),
            ("cache_passed_on", "Reads that are not cached", all.passed_on),
        ] {
            let metric = ConstCounter::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        Ok(())
    }
}
