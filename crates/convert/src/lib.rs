//! Prometheus TSDB blocks to Parquet shards, and back.
