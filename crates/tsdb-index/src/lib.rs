//! Reader and writer of the index file of a Prometheus TSDB block.
