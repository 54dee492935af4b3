//! Thanos-style object store configuration and what the workspace needs of a bucket.
