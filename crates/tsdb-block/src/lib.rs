//! Reader and writer of Prometheus TSDB blocks; several blocks read as one.
