//! The Parquet layout of Prometheus data: columns, footer keys, chunk cells, row index.
