//! Writes a specified block.

use std::path::{Path, PathBuf};

use prometheus_chunks::EncodedChunk;
use prometheus_model::Labels;
use prometheus_tsdb_block::{
    BlockChunk, BlockMeta, BlockParent, BlockWriter, Downsample, HINT_FROM_OUT_OF_ORDER, ThanosMeta,
};
use rayon::prelude::*;
use ulid::Ulid;

use super::{
    chunks::{ChunkCutter, HEAD_RANGE_MS},
    error::{Detail, Result},
    inventory::SeriesIter,
    rng::{Rng, mix2},
    spec::BlockSpec,
    values::Series,
};

/// Samples that are encoded before they are written, about.
const BATCH_SAMPLES: i64 = 1 << 20;

/// A block that was written.
#[derive(Clone, Debug)]
pub struct WrittenBlock {
    /// Its directory.
    pub dir: PathBuf,
    /// Its meta.
    pub meta: BlockMeta,
}

type Encoded = (Labels, Vec<EncodedChunk>);

impl BlockSpec {
    /// Writes the block into a directory of its name in `parent`, which is made if it does not exist, and returns the
    /// block's directory.
    ///
    /// # Errors
    /// [`Invalid`](super::ErrorKind::Invalid) if the specification makes no sense or the block exists;
    /// [`Unavailable`](super::ErrorKind::Unavailable) if the file system fails.
    pub fn write(&self, parent: impl AsRef<Path>) -> Result<PathBuf> {
        Ok(self.write_with(parent.as_ref(), |_| ())?.dir)
    }

    /// Writes the block as [`write`](Self::write) does, and calls `progress` with the number of series written so far.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_with(&self, parent: &Path, mut progress: impl FnMut(u64) + Send) -> Result<WrittenBlock> {
        self.check()?;
        let directory = || parent.display().to_string();
        std::fs::create_dir_all(parent).map_err(|source| Detail::Directory { directory: directory(), source })?;
        let ulid = self.block_ulid();
        let failed = |source| Detail::Write { source };
        let mut writer = BlockWriter::create(parent, ulid).map_err(failed)?;
        let mut series = SeriesIter::new(self);
        let batch = usize::try_from((BATCH_SAMPLES / self.samples_per_series().max(1)).clamp(8, 8192)).unwrap_or(8);
        let mut encoded = Vec::new();
        let mut written = 0;
        loop {
            // One batch is written while the next is encoded.
            let (next, result) = rayon::join(
                || self.encode(series.by_ref().take(batch).collect()),
                || {
                    encoded.iter().try_for_each(|(labels, chunks): &Encoded| {
                        let chunks: Vec<_> = chunks.iter().map(BlockChunk::from).collect();
                        writer.add_series(labels, &chunks)
                    })
                },
            );
            result.map_err(failed)?;
            written += encoded.len() as u64;
            progress(written);
            encoded = next?;
            if encoded.is_empty() {
                break;
            }
        }
        let meta = writer.finish_with(|meta| self.edit(meta)).map_err(failed)?;
        Ok(WrittenBlock { dir: parent.join(ulid.to_string()), meta })
    }

    fn encode(&self, series: Vec<Series>) -> Result<Vec<Encoded>> {
        let encode = |cutter: &mut Option<ChunkCutter>, series: Series| {
            let encode = |cutter: &mut Option<ChunkCutter>| match cutter {
                Some(cutter) => cutter.encode(series.samples()),
                None => cutter.insert(ChunkCutter::new(self.float_encoding)?).encode(series.samples()),
            };
            let failed = |source| Detail::Series { labels: series.labels.to_string(), source };
            let chunks = encode(cutter).map_err(failed)?;
            Ok((series.labels, chunks))
        };
        series.into_par_iter().map_init(|| None, encode).collect()
    }

    fn samples_per_series(&self) -> i64 {
        self.duration_ms / self.interval_ms
    }

    /// The identity of the block: that which was asked for, or one that follows from the specification.
    #[must_use]
    pub fn block_ulid(&self) -> Ulid {
        self.ulid.unwrap_or_else(|| {
            let which = u64::from(self.replica.map_or(0, |replica| replica + 1)) << 1 | u64::from(self.out_of_order);
            ulid_at(self.end(), mix2(self.seed, which))
        })
    }

    fn edit(&self, meta: &mut BlockMeta) {
        // Prometheus' blocks say which ranges of the head they were cut from, not when their samples begin and end.
        (meta.min_time, meta.max_time) = (self.start, self.end());
        meta.compaction.level = self.compaction_level;
        if self.compaction_level > 1 {
            let starts = (self.start..self.end()).step_by(HEAD_RANGE_MS as usize);
            let parents = starts.zip(1..).map(|(start, number)| {
                let end = (start + HEAD_RANGE_MS).min(self.end());
                let ulid = ulid_at(end, mix2(self.seed, number << 32));
                BlockParent { ulid, min_time: start, max_time: end, extra: Default::default() }
            });
            meta.compaction.parents = parents.collect();
            meta.compaction.sources = meta.compaction.parents.iter().map(|parent| parent.ulid).collect();
        }
        if self.out_of_order {
            meta.compaction.hints = vec![HINT_FROM_OUT_OF_ORDER.to_owned()];
        }
        let labels = self.all_external_labels();
        if !labels.is_empty() {
            let (version, source) = (Some(1), "sidecar".to_owned());
            let downsample = Downsample::default();
            meta.thanos = Some(ThanosMeta { version, labels, downsample, source, ..ThanosMeta::default() });
        }
    }
}

fn ulid_at(time_ms: i64, seed: u64) -> Ulid {
    let mut rng = Rng::new(seed);
    Ulid::from_parts(time_ms.unsigned_abs(), u128::from(rng.next()) << 64 | u128::from(rng.next()))
}
