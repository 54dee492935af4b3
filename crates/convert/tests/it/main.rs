//! Conversion, verification and export, held to fixtures that the Go library wrote and to Prometheus' blocks.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests fail by panicking, and say aloud what they skip")]

mod blocks;
mod damage;
mod damaged_blocks;
mod days;
mod faults;
mod fixtures;
mod go_files;
mod golden;
mod io;
mod layout;
mod memory;
mod merged;
mod overlaps;
mod round_trip;
