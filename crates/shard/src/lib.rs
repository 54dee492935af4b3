//! One Parquet shard: footers, page indexes, pages.
