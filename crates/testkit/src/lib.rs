//! Block generator, failing and recording stores, corpora: what tests and demos need.

pub mod blocks;
pub mod checksum;
pub mod days;
pub mod differential;
pub mod expected;
pub mod memory;
pub mod promqltest;
pub mod stores;
