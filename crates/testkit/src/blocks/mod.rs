//! Generates TSDB blocks as a Prometheus server in a Kubernetes cluster writes them, of any size.
//!
//! Start from a preset or [`BlockSpec::new`], [`write`](BlockSpec::write) the block, compare with its
//! [`oracle`](BlockSpec::oracle). The binary `blockgen` does the same on the command line.
//!
//! A block has the series of kube-state-metrics, cAdvisor, node_exporter, the kubelet, the API server and applications:
//! counters with resets, gauges, classic histograms whose buckets agree with each other, summaries, native histograms;
//! pods come and go. Series are generated in the order of their labels, samples when they are encoded: memory is that of
//! the targets (a fortieth of the series), of one metric in one cluster (100,000 series) and of the block writer.

mod canonical;
mod catalog;
mod chunks;
mod clock;
mod error;
mod inventory;
mod native;
mod odd;
mod rng;
mod spec;
mod values;
mod world;
mod write;

pub use canonical::canonical;
pub use error::{Error, ErrorKind, Result};
pub use inventory::SeriesIter;
pub(crate) use native::Native;
pub(crate) use rng::{Rng, mix_text, mix2};
pub use spec::{BlockSpec, FloatEncoding};
pub(crate) use values::NativeKind;
pub use values::{Samples, Series};
pub use write::WrittenBlock;
