//! Writes histogram chunks.

use std::{borrow::Cow, mem};

use prometheus_model::{CounterResetHint, Span, TimestampMs, is_stale_nan};

use super::{
    NativeHistogram,
    decoder::{HistogramDecoder, SampleTime, ensure_kind, max_samples},
    field::Field,
    fit::{Fit, expand, fit},
    header::{HEADER_LEN, header},
    layout::{Layout, is_writable},
    parts::{BucketOf, View},
    spans,
    start_timestamp::StartTimestamp,
    state::State,
};
use crate::{
    EncodedChunk, Encoding, ValueKind,
    bits::BitWriter,
    error::{Repr, Result},
};

/// Builds the chunks of one series of [`Histogram`](prometheus_model::Histogram)s or
/// [`FloatHistogram`](prometheus_model::FloatHistogram)s, the very bytes that Prometheus would.
///
/// Within a chunk the schema, the zero threshold and custom bounds stay the same, counters do not fall, and nothing but
/// stale samples follows a stale sample; what breaks this opens a new chunk. Buckets may come and, while empty, go:
/// the chunk is recoded to have all of them.
///
/// The header of a new chunk says how its first sample compares with the one before: with the last of the chunk that was
/// finished for it, or [cut](Self::cut) before it. Where the two cannot be compared it says
/// [`CounterResetHint::Unknown`]; after a cut and for float histograms, Prometheus claims
/// [`CounterResetHint::NotCounterReset`] then.
#[derive(Clone, Debug)]
pub struct HistogramEncoder<H: NativeHistogram> {
    /// Encoding of the next chunk, and of the open one; if that has another, it takes no more samples.
    encoding: Encoding,
    max_samples: u16,
    /// The chunk that was begun last: open, or cut already and only kept to compare with.
    chunk: Option<Chunk<H>>,
}

/// A chunk with at least one sample.
#[derive(Clone, Debug)]
struct Chunk<H: NativeHistogram> {
    encoding: Encoding,
    bits: BitWriter,
    hint: CounterResetHint,
    /// 0 once it is cut.
    count: u16,
    min_time: TimestampMs,
    max_time: TimestampMs,
    layout: Layout,
    last: State<H>,
    start_timestamp: StartTimestamp,
}

impl<H: NativeHistogram> HistogramEncoder<H> {
    /// An encoder without samples.
    ///
    /// # Errors
    /// Unsupported if the encoding is not one of `H`.
    pub fn new(encoding: Encoding) -> Result<Self> {
        ensure_kind::<H>(encoding)?;
        Ok(Self::with_encoding(encoding))
    }

    /// An encoder without samples; `encoding` must be one of `H`.
    pub(crate) fn with_encoding(encoding: Encoding) -> Self {
        debug_assert_eq!(encoding.value_kind(), Some(H::KIND));
        Self { encoding, max_samples: u16::MAX, chunk: None }
    }

    /// Finishes chunks when they have this many samples, `limit > 0`; at the latest when the encoding cannot count more.
    #[must_use]
    pub fn with_max_samples(mut self, limit: u16) -> Self {
        self.max_samples = limit;
        self
    }

    /// How many samples the open chunk has.
    #[must_use]
    pub fn sample_count(&self) -> u16 {
        self.chunk.as_ref().map_or(0, |chunk| chunk.count)
    }

    /// Appends a sample; an encoding without start timestamps drops `start_timestamp`. Timestamps should ascend, but any
    /// are taken.
    ///
    /// If the open chunk cannot take the sample, it is finished and returned, and the sample is the first of the next.
    ///
    /// # Errors
    /// Invalid if spans and buckets disagree or the schema is not one that Prometheus writes; the encoder stays as it
    /// was.
    pub fn push(
        &mut self,
        timestamp: TimestampMs,
        h: &H,
        start_timestamp: TimestampMs,
    ) -> Result<Option<EncodedChunk>> {
        let mut h = h.view();
        if is_stale_nan(h.sum) {
            h = View::empty(h.counter_reset_hint, h.sum);
        }
        ensure_sound(&h)?;
        let time = SampleTime { timestamp, start_timestamp };
        let Some(chunk) = &mut self.chunk else {
            self.chunk = Some(Chunk::start(self.encoding, first_hint(h.counter_reset_hint), time, &h));
            return Ok(None);
        };
        let fit = chunk.fit(&h);
        let open = (1..self.max_samples).contains(&chunk.count) && chunk.encoding == self.encoding;
        if open && chunk.append(time, &h, fit)? {
            return Ok(None);
        }
        let hint = match (h.counter_reset_hint, fit) {
            (CounterResetHint::Gauge, _) => CounterResetHint::Gauge,
            // A counter after a gauge. Prometheus does not compare them and yet writes this, the same bytes as here.
            (_, Fit::OtherType) if open && H::KIND == ValueKind::Histogram => CounterResetHint::NotCounterReset,
            (_, Fit::OtherType) if open => CounterResetHint::Unknown,
            (CounterResetHint::CounterReset, _) | (_, Fit::Reset) => CounterResetHint::CounterReset,
            (_, Fit::Append { .. }) => CounterResetHint::NotCounterReset,
            (_, Fit::OtherType | Fit::Unknown) => CounterResetHint::Unknown,
        };
        let finished = chunk.cut();
        self.chunk = Some(Chunk::start(self.encoding, hint, time, &h));
        Ok(finished)
    }

    /// Finishes the open chunk, if there is one. The next sample opens a new one, whose header will say how that sample
    /// compares with the last one.
    pub fn cut(&mut self) -> Option<EncodedChunk> {
        self.chunk.as_mut().and_then(Chunk::cut)
    }

    /// Takes another encoding for the next sample, one of `H`.
    pub(crate) fn set_encoding(&mut self, encoding: Encoding) {
        debug_assert_eq!(encoding.value_kind(), Some(H::KIND));
        self.encoding = encoding;
    }

    /// Forgets all samples: the next one is the first of another series.
    pub fn clear(&mut self) {
        self.chunk = None;
    }
}

/// What the header of a series' first chunk says.
fn first_hint(sample: CounterResetHint) -> CounterResetHint {
    match sample {
        CounterResetHint::Gauge | CounterResetHint::CounterReset => sample,
        CounterResetHint::Unknown | CounterResetHint::NotCounterReset => CounterResetHint::Unknown,
    }
}

fn ensure_sound<H: NativeHistogram>(h: &View<'_, H>) -> Result<()> {
    if !is_writable(h.schema) {
        return Err(Repr::Schema { schema: h.schema }.into());
    }
    for (sign, spans, buckets) in [
        ("positive", h.positive_spans, h.positive_buckets.len()),
        ("negative", h.negative_spans, h.negative_buckets.len()),
    ] {
        spans::check(spans, buckets).map_err(|reason| Repr::Histogram { sign, reason })?;
    }
    Ok(())
}

impl<H: NativeHistogram> Chunk<H> {
    /// Begins with this sample.
    fn start(encoding: Encoding, hint: CounterResetHint, time: SampleTime, h: &View<'_, H>) -> Self {
        let layout = Layout {
            schema: h.schema,
            zero_threshold: h.zero_threshold,
            positive_spans: h.positive_spans.to_vec(),
            negative_spans: h.negative_spans.to_vec(),
            custom_values: h.custom_values.to_vec(),
        };
        let mut bits = BitWriter::with_header(HEADER_LEN);
        layout.write(&mut bits);
        let last = State::write_first(&mut bits, time.timestamp, h);
        let mut chunk = Self {
            encoding,
            bits,
            hint,
            count: 0,
            min_time: time.timestamp,
            max_time: time.timestamp,
            layout,
            last,
            start_timestamp: StartTimestamp::default(),
        };
        chunk.finish_sample(time, 0);
        chunk
    }

    /// Writes what follows the fields of a sample, and counts it.
    fn finish_sample(&mut self, time: SampleTime, previous: TimestampMs) {
        let SampleTime { timestamp, start_timestamp } = time;
        if self.encoding.keeps_start_timestamps() {
            self.start_timestamp.write(&mut self.bits, self.count, start_timestamp, timestamp, previous);
        }
        self.count = self.count.saturating_add(1);
        self.min_time = self.min_time.min(timestamp);
        self.max_time = self.max_time.max(timestamp);
    }

    fn write(&mut self, time: SampleTime, h: &View<'_, H>) {
        let previous = self.last.timestamp.value();
        self.last.write_next(&mut self.bits, time.timestamp, h);
        self.finish_sample(time, previous);
    }

    fn write_header(&mut self) {
        let header = header(self.encoding, self.count, self.hint, self.start_timestamp.header());
        self.bits.overwrite(0, &header);
    }

    /// Takes the chunk out; what is left is good for comparing only.
    fn cut(&mut self) -> Option<EncodedChunk> {
        if self.count == 0 {
            return None;
        }
        self.write_header();
        let samples = mem::take(&mut self.count);
        let mut data = mem::take(&mut self.bits).into_bytes();
        data.shrink_to_fit();
        Some(EncodedChunk { encoding: self.encoding, min_time: self.min_time, max_time: self.max_time, samples, data })
    }

    fn fit(&self, h: &View<'_, H>) -> Fit {
        fit(self.hint == CounterResetHint::Gauge, &self.layout, &self.last, h)
    }

    /// Whether there is room for one sample more if the layout is to repeat this many values.
    fn has_room(&self, layout_values: usize) -> bool {
        self.count < self.encoding.max_samples() && usize::from(self.count) < max_samples(layout_values)
    }

    /// Appends a sample if it fits and there is room; says whether it did.
    fn append(&mut self, time: SampleTime, h: &View<'_, H>, fit: Fit) -> Result<bool> {
        let Fit::Append { positive, negative } = fit else { return Ok(false) };
        if positive.is_none() && negative.is_none() {
            let fits = self.has_room(self.layout.shared_values());
            if fits {
                self.write(time, h);
            }
            return Ok(fits);
        }
        let recode = positive.in_chunk || negative.in_chunk;
        let [positive, negative] = {
            // Which spans Prometheus takes where several describe the same buckets.
            let merge_both = self.hint == CounterResetHint::Gauge && (positive.in_sample || negative.in_sample);
            let layout = &self.layout;
            [(positive, &layout.positive_spans, h.positive_spans), (negative, &layout.negative_spans, h.negative_spans)]
                .map(|(missing, chunk, sample)| {
                    if !recode {
                        Some(Cow::Owned(chunk.clone()))
                    } else if missing.in_sample || merge_both {
                        spans::union(chunk, sample).map(Cow::Owned)
                    } else {
                        Some(Cow::Borrowed(sample))
                    }
                })
        };
        let (Some(positive), Some(negative)) = (positive, negative) else { return Ok(false) };
        let spans = positive.len().saturating_add(negative.len());
        if !self.has_room(spans.saturating_add(self.layout.custom_values.len())) {
            return Ok(false);
        }
        if recode {
            *self = self.recode(&positive, &negative)?;
        }
        let (positive_buckets, negative_buckets) = expanded(h, &positive, &negative);
        let (positive_buckets, negative_buckets) = (&positive_buckets, &negative_buckets);
        self.write(time, &View { positive_buckets, negative_buckets, ..*h });
        Ok(true)
    }

    /// The same samples with more buckets.
    fn recode(&mut self, positive_spans: &[Span], negative_spans: &[Span]) -> Result<Self> {
        self.write_header();
        let mut samples = HistogramDecoder::<H>::new(self.encoding, self.bits.bytes())?;
        let mut h = H::default();
        let mut recoded: Option<Self> = None;
        while let Some(time) = samples.next_into(&mut h)? {
            let h = h.view();
            let (positive_buckets, negative_buckets) = &expanded(&h, positive_spans, negative_spans);
            let h = View { positive_spans, negative_spans, positive_buckets, negative_buckets, ..h };
            match &mut recoded {
                None => recoded = Some(Self::start(self.encoding, self.hint, time, &h)),
                Some(chunk) => chunk.write(time, &h),
            }
        }
        Ok(recoded.unwrap_or_else(|| self.clone()))
    }
}

/// The buckets of a histogram, positive and negative, with empty ones where only the spans given have them.
fn expanded<H: NativeHistogram>(
    h: &View<'_, H>,
    positive: &[Span],
    negative: &[Span],
) -> (Vec<BucketOf<H>>, Vec<BucketOf<H>>) {
    (
        expand::<H::Bucket>(h.positive_spans, positive, h.positive_buckets),
        expand::<H::Bucket>(h.negative_spans, negative, h.negative_buckets),
    )
}
