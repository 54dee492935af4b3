//! What does a range cost that the cache has? A hot one of 64 KiB should take no more than a few microseconds.
#![expect(clippy::unwrap_used, reason = "benchmark")]

use std::{hint::black_box, sync::Arc};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use object_store::memory::InMemory;
use promparquet_objstore::{Bucket, Cache, CacheConfig, DiskCacheConfig};

const SIZE: u64 = 32 << 20;
const KEY: &str = "01J0000000000000000000000A/0.chunks.parquet";

fn hits(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let disk = DiskCacheConfig { directory: directory.path().to_owned(), max_bytes: 1 << 30 };
    let memory = CacheConfig::default();
    let disk = CacheConfig { memory_bytes: 0, disk: Some(disk), ..CacheConfig::default() };
    for (name, config) in [("memory", memory), ("disk", disk)] {
        let cache = Cache::open(&config).unwrap();
        let bucket = Bucket::new(Arc::new(InMemory::new()), "memory://").cached(&cache);
        runtime.block_on(async {
            bucket.put(KEY, Bytes::from(vec![7; usize::try_from(SIZE).unwrap()])).await.unwrap();
            // In pieces, since the disk takes in no more than it can write.
            for start in (0..SIZE).step_by(8 << 20) {
                bucket.get_range(KEY, start..start + (8 << 20)).await.unwrap();
                cache.flush().await;
            }
        });
        let before = cache.statistics().fetches;
        let mut group = c.benchmark_group(format!("cache_hit/{name}"));
        for kib in [4, 64, 1024, 8192] {
            let length = kib << 10;
            group.throughput(Throughput::Bytes(length));
            group.bench_function(BenchmarkId::from_parameter(format!("{kib} KiB")), |b| {
                let mut start = 0;
                b.to_async(&runtime).iter(|| {
                    start = (start + 100_003) % (SIZE - length);
                    let (bucket, range) = (&bucket, start..start + length);
                    async move { black_box(bucket.get_range(KEY, range).await.unwrap()) }
                });
            });
        }
        group.finish();
        c.bench_function(&format!("cache_hit/{name}/head"), |b| {
            b.to_async(&runtime).iter(|| async { black_box(bucket.head(KEY).await.unwrap()) });
        });
        assert_eq!(cache.statistics().fetches, before, "not all hits");
    }
}

criterion_group!(benches, hits);
criterion_main!(benches);
