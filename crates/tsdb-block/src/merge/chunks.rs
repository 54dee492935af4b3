//! The chunks of one series, from one block or several: those that can stay as they are pass through as bytes, the others
//! are decoded, merged by sample and encoded again.

use std::num::{NonZeroU16, NonZeroU64};

use prometheus_chunks::{
    EncodedChunk, Encoding, RechunkOptions, Rechunker, Xor2Decoder, XorDecoder, counter_reset_header, sample_count,
    set_counter_reset_header,
};
use prometheus_model::{CounterResetHint, Sample, TimeRange, TimestampMs, Value};

use crate::{
    error::{Detail, Result},
    files::BlockFile,
    segment::{ChunkRef, RawChunk},
    tombstones::Intervals,
};

/// A chunk of the series, as a block has it.
#[derive(Clone, Copy, Debug)]
pub struct ChunkSource<'a> {
    /// Position of the block in the order given. Of samples with the same timestamp, that of the lowest position wins.
    pub block: u32,
    /// Position of the chunk among those of the series in its block.
    pub ordinal: u32,
    /// First timestamp, as the index says.
    pub min_time: TimestampMs,
    /// Last timestamp, inclusive.
    pub max_time: TimestampMs,
    /// What was deleted from the series in its block.
    pub deleted: Intervals<'a>,
    /// The chunk's bytes.
    pub chunk: &'a RawChunk,
    /// Where the block lies, for messages.
    pub location: &'a str,
    /// Where the chunk lies in the block, for messages.
    pub reference: ChunkRef,
}

/// What the merged chunks must be like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MergeOptions {
    /// Only samples in this range are kept.
    pub range: TimeRange,
    /// Times that no chunk may reach across, if any.
    pub borders: Option<Borders>,
    /// Most samples in a chunk.
    pub max_samples: NonZeroU16,
    /// Keep start timestamps, and with them the encodings that hold them, instead of re-encoding to those that every
    /// reader knows.
    pub keep_start_timestamps: bool,
}

/// Times `first`, `first + every`, `first + 2 every`, …
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Borders {
    /// The first of them.
    pub first: TimestampMs,
    /// Milliseconds from one to the next.
    pub every_ms: NonZeroU64,
}

impl Borders {
    /// The first border after `t`: samples of one chunk are all before the border that follows its first sample.
    #[must_use]
    pub fn after(self, t: TimestampMs) -> TimestampMs {
        if t < self.first {
            return self.first;
        }
        let whole = t.abs_diff(self.first) / self.every_ms;
        let next = whole.checked_add(1).and_then(|n| n.checked_mul(self.every_ms.get()));
        next.and_then(|n| self.first.checked_add_unsigned(n)).unwrap_or(TimestampMs::MAX)
    }
}

/// A chunk of the merged series.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MergedChunk<'a> {
    /// How the data are encoded.
    pub encoding: Encoding,
    /// First timestamp.
    pub min_time: TimestampMs,
    /// Last timestamp, inclusive.
    pub max_time: TimestampMs,
    /// How many samples it has.
    pub samples: u16,
    /// The encoded samples.
    pub data: &'a [u8],
}

/// What became of chunks that were merged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MergeCounts {
    /// Samples in the merged chunks.
    pub samples: u64,
    /// Chunks that passed through as bytes.
    pub passed_through: u64,
    /// Chunks that were decoded.
    pub decoded: u64,
    /// Chunks that were encoded from them.
    pub encoded: u64,
    /// Chunks left out because another holds the very same bytes.
    pub duplicates: u64,
    /// Bytes of chunk data that came in.
    pub bytes_in: u64,
}

impl std::ops::AddAssign for MergeCounts {
    fn add_assign(&mut self, more: Self) {
        let add = |to: &mut u64, n: u64| *to = to.saturating_add(n);
        add(&mut self.samples, more.samples);
        add(&mut self.passed_through, more.passed_through);
        add(&mut self.decoded, more.decoded);
        add(&mut self.encoded, more.encoded);
        add(&mut self.duplicates, more.duplicates);
        add(&mut self.bytes_in, more.bytes_in);
    }
}

/// Merges the chunks of one series after another; keeps its buffers from one to the next.
#[derive(Debug)]
pub struct SeriesMerger {
    options: MergeOptions,
    rechunker: Rechunker,
    counts: MergeCounts,
    timestamps: Vec<TimestampMs>,
    values: Vec<f64>,
    floats: Vec<(TimestampMs, f64)>,
    samples: Vec<MergedSample>,
    decoded: Vec<Sample>,
    patched: Vec<u8>,
    finished: Vec<EncodedChunk>,
}

/// A sample of a group of chunks that overlap.
#[derive(Debug)]
struct MergedSample {
    /// Which chunk of the group it comes from, and as which of its samples: two that followed each other there and
    /// still do need not forget what is known of a counter reset between them.
    chunk: u32,
    position: u32,
    sample: Sample,
}

impl SeriesMerger {
    /// A merger with these options.
    #[must_use]
    pub fn new(options: MergeOptions) -> Self {
        let rechunk = RechunkOptions {
            max_samples_per_chunk: options.max_samples,
            start_timestamps: options.keep_start_timestamps,
        };
        Self {
            options,
            rechunker: Rechunker::new(rechunk),
            counts: MergeCounts::default(),
            timestamps: Vec::new(),
            values: Vec::new(),
            floats: Vec::new(),
            samples: Vec::new(),
            decoded: Vec::new(),
            patched: Vec::new(),
            finished: Vec::new(),
        }
    }

    /// What became of the chunks since this was last called.
    pub fn take_counts(&mut self) -> MergeCounts {
        std::mem::take(&mut self.counts)
    }

    /// Merges `chunks`, which it may reorder and thin out, and calls `out` with the result: chunks in order of time that
    /// do not overlap. There is none if no sample is left.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if a chunk cannot be decoded or has other times than the index
    /// says; [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for an unknown encoding and for downsampled
    /// chunks; and those of `out`.
    pub fn merge<E: From<crate::Error>>(
        &mut self,
        chunks: &mut Vec<ChunkSource<'_>>,
        mut out: impl FnMut(MergedChunk<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let range = self.options.range;
        // Nothing is left of a series that failed half way.
        drop(self.rechunker.finish());
        self.finished.clear();
        for chunk in chunks.iter() {
            self.counts.bytes_in = self.counts.bytes_in.saturating_add(chunk.chunk.data.len() as u64);
        }
        chunks.retain(|c| range.overlaps_closed(c.min_time, c.max_time) && !c.deleted.covers(c.min_time, c.max_time));
        let key = |c: &ChunkSource<'_>| (c.min_time, c.max_time, c.block, c.ordinal);
        if !chunks.is_sorted_by_key(key) {
            chunks.sort_unstable_by_key(key);
        }
        let before = chunks.len();
        chunks.dedup_by(|later, kept| is_copy(kept, later));
        self.counts.duplicates = self.counts.duplicates.saturating_add(before.saturating_sub(chunks.len()) as u64);

        let mut rest = chunks.as_slice();
        // The chunk before, if it passed through: its block and its position there.
        let mut previous = Previous::None;
        while let Some((first, _)) = rest.split_first() {
            let mut max_time = first.max_time;
            let overlapping = rest.iter().skip(1).take_while(|c| {
                let overlaps = c.min_time <= max_time;
                max_time = max_time.max(c.max_time);
                overlaps
            });
            let (group, after) = rest.split_at(overlapping.count().saturating_add(1));
            rest = after;
            if let [chunk] = group
                && let Some((encoding, samples)) = self.passes_through(chunk)?
            {
                let data = self.with_true_header(chunk, encoding, &previous)?;
                let (min_time, max_time) = (chunk.min_time, chunk.max_time);
                out(MergedChunk { encoding, min_time, max_time, samples, data })?;
                self.counts.passed_through = self.counts.passed_through.saturating_add(1);
                self.counts.samples = self.counts.samples.saturating_add(samples.into());
                previous = Previous::Source { block: chunk.block, ordinal: chunk.ordinal };
                continue;
            }
            let encoded_before = self.counts.encoded;
            self.merge_group(group)?;
            for chunk in self.finished.drain(..) {
                let EncodedChunk { encoding, min_time, max_time, samples, data } = &chunk;
                let (encoding, min_time, max_time, samples) = (*encoding, *min_time, *max_time, *samples);
                out(MergedChunk { encoding, min_time, max_time, samples, data })?;
                self.counts.encoded = self.counts.encoded.saturating_add(1);
                self.counts.samples = self.counts.samples.saturating_add(samples.into());
            }
            if self.counts.encoded != encoded_before {
                previous = Previous::Encoded;
            }
        }
        Ok(())
    }

    /// Encoding and number of samples of a chunk that can stay as it is.
    fn passes_through(&self, source: &ChunkSource<'_>) -> Result<Option<(Encoding, u16)>> {
        let encoding = Encoding::try_from(source.chunk.encoding).map_err(|e| source.failed(e))?;
        let known = match encoding {
            Encoding::Xor | Encoding::Histogram | Encoding::FloatHistogram => true,
            Encoding::Xor2 | Encoding::HistogramSt | Encoding::FloatHistogramSt => self.options.keep_start_timestamps,
            Encoding::Aggregate => {
                let ChunkSource { location, reference, .. } = source;
                let (location, file) = ((*location).into(), BlockFile::Segment(reference.segment()));
                let (offset, what) = (reference.offset().into(), "encoding");
                let found = "255, a downsampled chunk of Thanos; use the raw block,".into();
                return Err(Detail::Unsupported { location, file, offset, what, found }.into());
            }
        };
        let samples = sample_count(encoding, &source.chunk.data).map_err(|e| source.failed(e))?;
        let MergeOptions { range, borders, max_samples, .. } = self.options;
        let stays = known
            && (1..=max_samples.get()).contains(&samples)
            && range.contains_closed(source.min_time, source.max_time)
            && borders.is_none_or(|borders| source.max_time < borders.after(source.min_time))
            && !source.deleted.overlaps(source.min_time, source.max_time);
        Ok(stays.then_some((encoding, samples)))
    }

    /// The chunk's data; its claim about a counter reset is withdrawn if it was made about another predecessor.
    fn with_true_header<'s>(
        &'s mut self,
        source: &'s ChunkSource<'_>,
        encoding: Encoding,
        previous: &Previous,
    ) -> Result<&'s [u8]> {
        let data = &source.chunk.data;
        let same_predecessor = match previous {
            Previous::None => true,
            Previous::Source { block, ordinal } => {
                *block == source.block && ordinal.checked_add(1) == Some(source.ordinal)
            }
            Previous::Encoded => false,
        };
        if same_predecessor || matches!(encoding, Encoding::Xor | Encoding::Xor2) {
            return Ok(data);
        }
        match counter_reset_header(encoding, data).map_err(|e| source.failed(e))? {
            CounterResetHint::Unknown | CounterResetHint::Gauge => Ok(data),
            CounterResetHint::CounterReset | CounterResetHint::NotCounterReset => {
                self.patched.clear();
                self.patched.extend_from_slice(data);
                set_counter_reset_header(encoding, &mut self.patched, CounterResetHint::Unknown)
                    .map_err(|e| source.failed(e))?;
                Ok(&self.patched)
            }
        }
    }

    /// Decodes chunks that overlap (or one that cannot stay as it is) and leaves the encoded result in `finished`.
    fn merge_group(&mut self, group: &[ChunkSource<'_>]) -> Result<()> {
        self.counts.decoded = self.counts.decoded.saturating_add(group.len() as u64);
        // The winner of equal timestamps must come first; sorting by time keeps that order.
        let ordered;
        let key = |c: &ChunkSource<'_>| (c.block, c.ordinal);
        let group = if group.is_sorted_by_key(key) {
            group
        } else {
            let mut sorted = group.to_vec();
            sorted.sort_unstable_by_key(key);
            ordered = sorted;
            &ordered
        };
        let floats_only = group.iter().all(|c| match Encoding::try_from(c.chunk.encoding) {
            Ok(Encoding::Xor) => true,
            Ok(Encoding::Xor2) => !self.options.keep_start_timestamps,
            _ => false,
        });
        if floats_only { self.merge_floats(group) } else { self.merge_samples(group) }
    }

    fn merge_floats(&mut self, group: &[ChunkSource<'_>]) -> Result<()> {
        let range = self.options.range;
        self.floats.clear();
        for source in group {
            self.timestamps.clear();
            self.values.clear();
            let (timestamps, values) = (&mut self.timestamps, &mut self.values);
            let data = &source.chunk.data;
            if source.chunk.encoding == Encoding::Xor.byte() {
                XorDecoder::new(data).and_then(|mut decoder| decoder.decode_into(timestamps, values))
            } else {
                Xor2Decoder::new(data).and_then(|mut decoder| decoder.decode_into(timestamps, values))
            }
            .map_err(|e| source.failed(e))?;
            source.check_times(timestamps.iter().copied())?;
            let samples = self.timestamps.iter().copied().zip(self.values.iter().copied());
            if source.deleted.is_empty() && range.contains_closed(source.min_time, source.max_time) {
                self.floats.extend(samples);
            } else {
                self.floats.extend(samples.filter(|(t, _)| range.contains(*t) && !source.deleted.contains(*t)));
            }
        }
        if !self.floats.is_sorted_by(|a, b| a.0 < b.0) {
            self.floats.sort_by_key(|(t, _)| *t);
            self.floats.dedup_by_key(|(t, _)| *t);
        }
        let mut border = TimestampMs::MIN;
        for &(t, value) in &self.floats {
            if t >= border {
                self.finished.extend(self.rechunker.cut());
                border = self.options.borders.map_or(TimestampMs::MAX, |borders| borders.after(t));
            }
            let finished = self.rechunker.push_float(t, value).map_err(|e| group_failed(group, e))?;
            self.finished.extend(finished);
        }
        self.finished.extend(self.rechunker.finish());
        Ok(())
    }

    fn merge_samples(&mut self, group: &[ChunkSource<'_>]) -> Result<()> {
        let range = self.options.range;
        self.samples.clear();
        for (source, chunk) in group.iter().zip(0_u32..) {
            let encoding = Encoding::try_from(source.chunk.encoding).map_err(|e| source.failed(e))?;
            self.decoded.clear();
            prometheus_chunks::decode(encoding, &source.chunk.data, &mut self.decoded).map_err(|e| source.failed(e))?;
            source.check_times(self.decoded.iter().map(|sample| sample.timestamp))?;
            let kept =
                self.decoded.drain(..).zip(0_u32..).filter(|(sample, _)| {
                    range.contains(sample.timestamp) && !source.deleted.contains(sample.timestamp)
                });
            self.samples.extend(kept.map(|(sample, position)| MergedSample { chunk, position, sample }));
        }
        if !self.samples.is_sorted_by(|a, b| a.sample.timestamp < b.sample.timestamp) {
            self.samples.sort_by_key(|merged| merged.sample.timestamp);
            self.samples.dedup_by_key(|merged| merged.sample.timestamp);
        }
        let mut border = TimestampMs::MIN;
        let mut previous: Option<(u32, u32)> = None;
        for MergedSample { chunk, position, sample } in &mut self.samples {
            let follows = previous.is_none_or(|(c, p)| c == *chunk && p.checked_add(1) == Some(*position));
            if !follows {
                forget_counter_reset(&mut sample.value);
            }
            previous = Some((*chunk, *position));
            if sample.timestamp >= border {
                self.finished.extend(self.rechunker.cut());
                border = self.options.borders.map_or(TimestampMs::MAX, |borders| borders.after(sample.timestamp));
            }
            let finished = self.rechunker.push(sample).map_err(|e| group_failed(group, e))?;
            self.finished.extend(finished);
        }
        self.finished.extend(self.rechunker.finish());
        Ok(())
    }
}

/// What stands before a chunk in the merged series.
enum Previous {
    None,
    Source { block: u32, ordinal: u32 },
    Encoded,
}

/// Whether `later` has nothing that `kept` has not.
fn is_copy(kept: &ChunkSource<'_>, later: &ChunkSource<'_>) -> bool {
    (kept.min_time, kept.max_time) == (later.min_time, later.max_time)
        && kept.chunk == later.chunk
        && !kept.deleted.overlaps(kept.min_time, kept.max_time)
}

fn forget_counter_reset(value: &mut Value) {
    let hint = match value {
        Value::Float(_) => return,
        Value::Histogram(histogram) => &mut histogram.counter_reset_hint,
        Value::FloatHistogram(histogram) => &mut histogram.counter_reset_hint,
    };
    if *hint != CounterResetHint::Gauge {
        *hint = CounterResetHint::Unknown;
    }
}

#[cold]
fn group_failed(group: &[ChunkSource<'_>], source: prometheus_chunks::Error) -> crate::Error {
    match group.first() {
        Some(first) => first.failed(source),
        None => Detail::Argument { location: String::new(), message: source.to_string() }.into(),
    }
}

impl ChunkSource<'_> {
    /// Checks decoded timestamps against what the index says of the chunk.
    fn check_times(&self, timestamps: impl Iterator<Item = TimestampMs>) -> Result<()> {
        let (mut min, mut max) = (TimestampMs::MAX, TimestampMs::MIN);
        for t in timestamps {
            (min, max) = (min.min(t), max.max(t));
        }
        // No sample at all leaves them crossed, which is in any range.
        if min >= self.min_time && max <= self.max_time {
            return Ok(());
        }
        let (location, file) = (self.location.into(), BlockFile::Segment(self.reference.segment()));
        let expected = format!("samples in [{}, {}], as the index says", self.min_time, self.max_time);
        let (offset, found) = (self.reference.offset().into(), format!("samples in [{min}, {max}]"));
        Err(Detail::Corrupt { location, file, offset, expected, found }.into())
    }

    #[cold]
    fn failed(&self, source: prometheus_chunks::Error) -> crate::Error {
        let (location, file) = (self.location.into(), BlockFile::Segment(self.reference.segment()));
        Detail::Chunk { location, file, offset: self.reference.offset().into(), source }.into()
    }
}
