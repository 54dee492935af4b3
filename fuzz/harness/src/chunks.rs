//! Chunks of every encoding.
//!
//! ```text
//! input = mode(u8) rest
//! mode  = bits 0-2: encoding; bits 3-6: samples that are decoded one by one before the bulk; bit 7: made
//! rest  = the chunk's data, or, if it is made: samples that are encoded, and damage to the chunk
//! ```
//!
//! Holds: all ways to decode a chunk give the same samples, or all fail; what decodes can be encoded and cut anew, and
//! decodes to the same again; aggregates split into chunks of which the same holds.

use std::{collections::BTreeMap, fmt::Debug, num::NonZeroU16};

use arbitrary::Unstructured;
use prometheus_chunks::{
    Aggregate, EncodedChunk, Encoding, FloatColumns, HistogramDecoder, HistogramEncoder, NativeHistogram,
    RechunkOptions, Rechunker, ValueKind, Xor2Decoder, Xor2Encoder, XorDecoder, XorEncoder, counter_reset_header,
    decode, decode_floats, decode_floats_in, sample_count, set_counter_reset_header,
};
use prometheus_model::{
    CounterResetHint, FloatHistogram, Histogram, STALE_NAN_BITS, Sample, Span, TimeRange, Value, is_stale_nan,
};

pub(crate) fn run(input: &[u8]) {
    let Some((&mode, rest)) = input.split_first() else { return };
    let encoding = Encoding::ALL[usize::from(mode & 7) % Encoding::ALL.len()];
    let singly = usize::from(mode >> 3 & 15);
    if mode & 0x80 == 0 {
        check(encoding, rest, singly);
    } else {
        // An input that is too short ends what is made of it.
        let _ = made(encoding, &mut Unstructured::new(rest), singly);
    }
}

/// Encodes samples, decodes them, damages the chunk.
fn made(encoding: Encoding, u: &mut Unstructured<'_>, singly: usize) -> arbitrary::Result<()> {
    let Some(kind) = encoding.value_kind() else { return Ok(()) };
    let mut samples: Vec<Sample> = Vec::new();
    for _ in 0..u.int_in_range(0..=40)? {
        let last = samples.last();
        let timestamp = time(u, last.map_or(0, |s| s.timestamp))?;
        let start_timestamp = if u.ratio(1, 4)? { time(u, timestamp)? } else { last.map_or(0, |s| s.start_timestamp) };
        let value = match (kind, last.map(|s| &s.value)) {
            (_, Some(value)) if u.ratio(1, 4)? => value.clone(),
            (ValueKind::Float, Some(Value::Float(last))) => Value::Float(float(u, *last)?),
            (ValueKind::Float, _) => Value::Float(float(u, 0.0)?),
            (ValueKind::Histogram, last) => {
                let last = if let Some(Value::Histogram(h)) = last { Some(&**h) } else { None };
                Value::Histogram(Box::new(histogram(u, last)?))
            }
            (ValueKind::FloatHistogram, last) => {
                let last = if let Some(Value::FloatHistogram(h)) = last { Some(&**h) } else { None };
                Value::FloatHistogram(Box::new(float_histogram(u, last)?))
            }
        };
        samples.push(Sample { timestamp, start_timestamp, value });
    }
    let (chunks, written) = encode(encoding, &samples);
    assert_same(&decode_all(&chunks), &written, encoding.keeps_start_timestamps());
    let Some(mut data) = chunks.into_iter().next().map(|chunk| chunk.data) else { return Ok(()) };
    while !u.is_empty() && !data.is_empty() {
        let at = u.choose_index(data.len())?;
        match u.arbitrary::<u8>()? {
            0 => data.truncate(at),
            flips => data[at] ^= flips,
        }
    }
    check(encoding, &data, singly);
    Ok(())
}

/// All that must hold of any bytes.
fn check(encoding: Encoding, data: &[u8], singly: usize) {
    let _ = counter_reset_header(encoding, data);
    if encoding == Encoding::Aggregate {
        if let Ok(Aggregate { count, sum, min, max, counter }) = Aggregate::split(data) {
            for part in [count, sum, min, max, counter].into_iter().flatten() {
                assert_ne!(part.encoding, Encoding::Aggregate);
                check(part.encoding, part.data, singly);
            }
        }
        return;
    }
    let mut samples = Vec::new();
    let result = decode(encoding, data, &mut samples);
    let ok = result.is_ok();
    if let Err(error) = &result {
        assert!(!error.to_string().is_empty());
    }
    match encoding {
        Encoding::Xor => {
            xor(data, singly, &samples, ok);
            columns(encoding, data, singly, &samples, ok);
        }
        Encoding::Xor2 => {
            xor2(data, singly, &samples, ok);
            columns(encoding, data, singly, &samples, ok);
        }
        Encoding::Histogram | Encoding::HistogramSt => histograms::<Histogram>(encoding, data, &samples, ok),
        _ => histograms::<FloatHistogram>(encoding, data, &samples, ok),
    }
    if ok {
        assert_eq!(usize::from(sample_count(encoding, data).expect("a header that was decoded")), samples.len());
        again(encoding, &samples, singly);
    }
}

/// The timestamp, the value's bits and the start timestamp of a float.
fn flat(sample: &Sample) -> (i64, u64, i64) {
    let Value::Float(value) = sample.value else { panic!("{sample:?} in a chunk of floats") };
    (sample.timestamp, value.to_bits(), sample.start_timestamp)
}

fn xor(data: &[u8], singly: usize, samples: &[Sample], ok: bool) {
    let Ok(mut decoder) = XorDecoder::new(data) else { return assert!(!ok) };
    let mut found = Vec::new();
    for _ in 0..singly {
        match decoder.next_sample() {
            Ok(Some((timestamp, value))) => found.push((timestamp, value.to_bits(), 0)),
            Ok(None) => break,
            Err(_) => {
                assert!(!ok && found.len() == samples.len() && decoder.remaining() == 0);
                break;
            }
        }
    }
    let (mut timestamps, mut values) = (vec![7], vec![7.0]);
    let failed_before = decoder.remaining() == 0 && !ok;
    let result = decoder.decode_into(&mut timestamps, &mut values);
    assert_eq!(timestamps.len(), values.len());
    assert_eq!(result.is_ok(), ok || failed_before);
    found.extend(timestamps.iter().zip(&values).skip(1).map(|(t, v)| (*t, v.to_bits(), 0)));
    let same = found.iter().copied().eq(samples.iter().take(if ok { samples.len() } else { found.len() }).map(flat));
    assert!(same, "{found:?} instead of {samples:?}");
}

fn xor2(data: &[u8], singly: usize, samples: &[Sample], ok: bool) {
    let Ok(mut decoder) = Xor2Decoder::new(data) else { return assert!(!ok) };
    let has_starts = decoder.has_start_timestamps();
    assert!(has_starts || samples.iter().all(|s| s.start_timestamp == 0));
    let mut found = Vec::new();
    for _ in 0..singly {
        match decoder.next_sample() {
            Ok(Some(s)) => found.push((s.timestamp, s.value.to_bits(), s.start_timestamp)),
            Ok(None) => break,
            Err(_) => {
                assert!(!ok && found.len() == samples.len() && decoder.remaining() == 0);
                break;
            }
        }
    }
    let failed_before = decoder.remaining() == 0 && !ok;
    let (mut timestamps, mut values, mut starts) = (vec![7], vec![7.0], vec![7]);
    let (mut fewer_timestamps, mut fewer_values) = (vec![], vec![]);
    let without = decoder.clone().decode_into(&mut fewer_timestamps, &mut fewer_values);
    let result = decoder.decode_with_starts_into(&mut timestamps, &mut values, &mut starts);
    assert_eq!(timestamps.len(), starts.len());
    assert_eq!(timestamps.len(), values.len());
    assert_eq!((result.is_ok(), without.is_ok()), (ok || failed_before, ok || failed_before));
    assert_eq!(fewer_timestamps[..], timestamps[1..]);
    assert!(fewer_values.iter().map(|v| v.to_bits()).eq(values.iter().skip(1).map(|v| v.to_bits())));
    let bulk = timestamps.iter().zip(&values).zip(&starts).skip(1);
    found.extend(bulk.map(|((t, v), start)| (*t, v.to_bits(), *start)));
    let same = found.iter().copied().eq(samples.iter().take(if ok { samples.len() } else { found.len() }).map(flat));
    assert!(same, "{found:?} instead of {samples:?}");
}

/// Columns get all samples, or those inside a range, or stay as they were.
fn columns(encoding: Encoding, data: &[u8], at: usize, samples: &[Sample], ok: bool) {
    let before = (7, 7.0_f64.to_bits(), 0);
    let contents = |columns: &FloatColumns| -> Vec<(i64, u64, i64)> {
        let starts = columns.start_timestamps().map_or_else(|| vec![0; columns.len()], <[i64]>::to_vec);
        let floats = columns.timestamps().iter().zip(columns.values()).zip(starts);
        floats.map(|((t, v), start)| (*t, v.to_bits(), start)).collect()
    };
    let new = || {
        let mut columns = FloatColumns::with_start_timestamps();
        columns.push(7, 7.0, 0);
        columns
    };
    let mut whole = new();
    assert_eq!(decode_floats(encoding, data, &mut whole).is_ok(), ok);
    let all = samples.iter().map(flat).filter(|_| ok);
    assert!(contents(&whole).into_iter().eq([before].into_iter().chain(all)));

    let border = |i: usize| samples.get(i).map_or(0, |s| s.timestamp);
    let (a, b) = (border(at), border(samples.len() / 2));
    let Ok(range) = TimeRange::new(a.min(b), a.max(b)) else { return };
    let mut inside = new();
    if decode_floats_in(encoding, data, range, &mut inside).is_ok() {
        assert!(ok || samples.iter().any(|s| s.timestamp >= range.end()));
        let expected = samples.iter().map(flat).take_while(|s| s.0 < range.end()).filter(|s| s.0 >= range.start());
        assert!(contents(&inside).into_iter().eq([before].into_iter().chain(expected)));
    } else {
        assert!(!ok && contents(&inside) == [before]);
    }
}

fn histograms<H: NativeHistogram>(encoding: Encoding, data: &[u8], samples: &[Sample], ok: bool) {
    let Ok(mut decoder) = HistogramDecoder::<H>::new(encoding, data) else { return assert!(!ok) };
    // One histogram is used again and again: nothing of the last sample may stay in it.
    let (mut h, mut found) = (H::default(), 0);
    let result = loop {
        match decoder.next_into(&mut h) {
            Ok(Some(time)) => {
                let sample = Sample {
                    timestamp: time.timestamp,
                    start_timestamp: time.start_timestamp,
                    value: h.clone().into_value(),
                };
                assert_eq!(Some(&sample), samples.get(found));
                found += 1;
            }
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    assert_eq!((found, result, decoder.remaining()), (samples.len(), ok, 0));
    let hint = counter_reset_header(encoding, data).expect("a header that was decoded");
    let mut other = data.to_vec();
    for set in [CounterResetHint::Gauge, CounterResetHint::CounterReset, hint] {
        set_counter_reset_header(encoding, &mut other, set).expect("a header that was decoded");
        assert_eq!(counter_reset_header(encoding, &other).ok(), Some(set));
    }
    assert_eq!(other, data);
}

/// Encodes samples again, and cuts them anew.
fn again(encoding: Encoding, samples: &[Sample], options: usize) {
    let (chunks, written) = encode(encoding, samples);
    assert_same(&decode_all(&chunks), &written, encoding.keeps_start_timestamps());
    let options = RechunkOptions {
        max_samples_per_chunk: [1, 2, 3, 7, 120, 1000, u16::MAX, 30][options % 8].try_into().unwrap_or(NonZeroU16::MIN),
        start_timestamps: options >= 8,
    };
    let mut rechunker = Rechunker::new(options);
    let (mut chunks, mut written) = (Vec::new(), Vec::new());
    for sample in samples {
        if let Ok(finished) = rechunker.push(sample) {
            chunks.extend(finished);
            written.push(sample.clone());
        }
    }
    chunks.extend(rechunker.finish());
    for chunk in &chunks {
        assert!((1..=options.max_samples_per_chunk.get()).contains(&chunk.samples));
    }
    assert_same(&decode_all(&chunks), &written, options.start_timestamps);
}

/// Chunks of the samples, and those samples that could be encoded.
fn encode(encoding: Encoding, samples: &[Sample]) -> (Vec<EncodedChunk>, Vec<Sample>) {
    fn whole(encoding: Encoding, samples: &[Sample], data: Vec<u8>) -> (Vec<EncodedChunk>, Vec<Sample>) {
        let timestamps = || samples.iter().map(|s| s.timestamp);
        let (Some(min_time), Some(max_time)) = (timestamps().min(), timestamps().max()) else {
            return Default::default();
        };
        let count = sample_count(encoding, &data).expect("a chunk that was written");
        assert_eq!(usize::from(count), samples.len());
        (vec![EncodedChunk { encoding, min_time, max_time, samples: count, data }], samples.to_vec())
    }
    fn encode_histograms<H: NativeHistogram>(
        encoding: Encoding,
        samples: &[Sample],
        of: impl Fn(&Value) -> &H,
    ) -> (Vec<EncodedChunk>, Vec<Sample>) {
        let mut encoder = HistogramEncoder::<H>::new(encoding).expect("an encoding of this kind");
        let (mut chunks, mut written) = (Vec::new(), Vec::new());
        for sample in samples {
            // Not all that can be read may be written: some schemas.
            if let Ok(finished) = encoder.push(sample.timestamp, of(&sample.value), sample.start_timestamp) {
                chunks.extend(finished);
                written.push(sample.clone());
            }
        }
        chunks.extend(encoder.cut());
        (chunks, written)
    }
    match encoding {
        Encoding::Xor => {
            let mut encoder = XorEncoder::new();
            for (timestamp, bits, _) in samples.iter().map(flat) {
                encoder.push(timestamp, f64::from_bits(bits)).expect("no more samples than a chunk holds");
            }
            whole(encoding, samples, encoder.into_bytes())
        }
        Encoding::Xor2 => {
            let mut encoder = Xor2Encoder::new();
            for (timestamp, bits, start) in samples.iter().map(flat) {
                encoder.push(timestamp, f64::from_bits(bits), start).expect("no more samples than a chunk holds");
            }
            whole(encoding, samples, encoder.into_bytes())
        }
        Encoding::Histogram | Encoding::HistogramSt => encode_histograms(encoding, samples, |value| match value {
            Value::Histogram(h) => &**h,
            other => panic!("{other:?} in a chunk of histograms"),
        }),
        _ => encode_histograms(encoding, samples, |value| match value {
            Value::FloatHistogram(h) => &**h,
            other => panic!("{other:?} in a chunk of float histograms"),
        }),
    }
}

fn decode_all(chunks: &[EncodedChunk]) -> Vec<Sample> {
    let mut samples = Vec::new();
    for chunk in chunks {
        let before = samples.len();
        decode(chunk.encoding, &chunk.data, &mut samples).expect("a chunk that was written");
        let of_chunk = &samples[before..];
        assert_eq!(of_chunk.len(), usize::from(chunk.samples));
        // The first and the last, if the timestamps ascend.
        let timestamps = || of_chunk.iter().map(|s| s.timestamp);
        assert_eq!((timestamps().min(), timestamps().max()), (Some(chunk.min_time), Some(chunk.max_time)));
    }
    samples
}

/// The samples must be the same but for counter resets, for which buckets are written that are empty, and, where it is
/// not kept, for the start timestamp.
fn assert_same(found: &[Sample], expected: &[Sample], start_timestamps: bool) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let start = if start_timestamps { expected.start_timestamp } else { 0 };
        assert_eq!((found.timestamp, found.start_timestamp), (expected.timestamp, start));
        match (&found.value, &expected.value) {
            (Value::Float(found), Value::Float(expected)) => assert_eq!(found.to_bits(), expected.to_bits()),
            (Value::Histogram(found), Value::Histogram(expected)) => {
                assert_eq!(Meaning::of(found), Meaning::of(expected), "{found:?} instead of {expected:?}");
            }
            (Value::FloatHistogram(found), Value::FloatHistogram(expected)) => {
                assert_eq!(Meaning::of_float(found), Meaning::of_float(expected), "{found:?} instead of {expected:?}");
            }
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }
}

/// What a histogram says, however its buckets are laid out; nothing if it is stale.
#[derive(PartialEq, Debug)]
struct Meaning {
    schema: i32,
    zero_threshold: u64,
    /// Zero count, count.
    counts: [u64; 2],
    sum: u64,
    /// Buckets that are not empty, by index.
    positive: BTreeMap<i64, u64>,
    negative: BTreeMap<i64, u64>,
    custom: Vec<u64>,
}

impl Meaning {
    fn of(h: &Histogram) -> Option<Self> {
        let absolute = |deltas: &[i64]| -> Vec<u64> {
            let counts = deltas.iter().scan(0_i64, |count, delta| {
                *count = count.wrapping_add(*delta);
                Some(count.cast_unsigned())
            });
            counts.collect()
        };
        (!is_stale_nan(h.sum)).then(|| Self {
            schema: h.schema,
            // The encoding has no negative zero here.
            zero_threshold: (h.zero_threshold + 0.0).to_bits(),
            counts: [h.zero_count, h.count],
            sum: h.sum.to_bits(),
            positive: by_index(&h.positive_spans, &absolute(&h.positive_buckets)),
            negative: by_index(&h.negative_spans, &absolute(&h.negative_buckets)),
            custom: h.custom_values.iter().copied().map(bound).collect(),
        })
    }

    fn of_float(h: &FloatHistogram) -> Option<Self> {
        (!is_stale_nan(h.sum)).then(|| Self {
            schema: h.schema,
            zero_threshold: (h.zero_threshold + 0.0).to_bits(),
            counts: [h.zero_count.to_bits(), h.count.to_bits()],
            sum: h.sum.to_bits(),
            positive: by_index(&h.positive_spans, &bits(&h.positive_buckets)),
            negative: by_index(&h.negative_spans, &bits(&h.negative_buckets)),
            custom: h.custom_values.iter().copied().map(bound).collect(),
        })
    }
}

fn bits(floats: &[f64]) -> Vec<u64> {
    floats.iter().map(|v| v.to_bits()).collect()
}

/// A custom bound as it is kept: if its product with 1000 is a whole number once it is rounded, that number is.
fn bound(bound: f64) -> u64 {
    let thousandths = bound * 1000.0;
    let whole = (0.0..=33_554_430.0).contains(&thousandths) && thousandths.floor() == thousandths;
    if whole { (thousandths / 1000.0 + 0.0).to_bits() } else { bound.to_bits() }
}

fn by_index(spans: &[Span], counts: &[u64]) -> BTreeMap<i64, u64> {
    let (mut index, mut counts, mut found) = (0_i64, counts.iter(), BTreeMap::new());
    for span in spans {
        index += i64::from(span.offset);
        for _ in 0..span.length {
            let count = *counts.next().expect("as many buckets as the spans say");
            // Of floats, a negative zero too is an empty bucket.
            if count << 1 != 0 {
                found.insert(index, count);
            }
            index += 1;
        }
    }
    assert_eq!(counts.next(), None, "as many buckets as the spans say");
    found
}

fn time(u: &mut Unstructured<'_>, last: i64) -> arbitrary::Result<i64> {
    Ok(match u.arbitrary::<u8>()? % 8 {
        0 => u.arbitrary()?,
        1 => last.wrapping_add(u.arbitrary::<i32>()?.into()),
        2 => last.wrapping_add(u.arbitrary::<i16>()?.into()),
        _ => last.wrapping_add(u.arbitrary::<u8>()?.into()),
    })
}

fn float(u: &mut Unstructured<'_>, last: f64) -> arbitrary::Result<f64> {
    Ok(match u.arbitrary::<u8>()? % 6 {
        0 => f64::from_bits(u.arbitrary()?),
        1 => f64::from_bits(STALE_NAN_BITS),
        2 => f64::from_bits(last.to_bits() ^ u64::from(u.arbitrary::<u16>()?) << u.int_in_range(0..=48)?),
        3 => last,
        4 => last + 1.0,
        _ => f64::from(u.arbitrary::<i8>()?),
    })
}

fn spans(u: &mut Unstructured<'_>) -> arbitrary::Result<Vec<Span>> {
    (0..u.int_in_range(0..=3)?)
        .map(|i| {
            let offset = if i == 0 { i32::from(u.arbitrary::<i8>()?) } else { u.int_in_range(0..=5)? };
            Ok(Span { offset, length: u.int_in_range(0..=3)? })
        })
        .collect()
}

/// One item for each bucket; now and then one more, which is to be refused.
fn buckets<T>(
    u: &mut Unstructured<'_>,
    spans: &[Span],
    mut item: impl FnMut(&mut Unstructured<'_>) -> arbitrary::Result<T>,
) -> arbitrary::Result<Vec<T>> {
    let extra = u32::from(u.arbitrary::<u8>()? == 255);
    (0..spans.iter().map(|s| s.length).sum::<u32>() + extra).map(|_| item(u)).collect()
}

fn hint(u: &mut Unstructured<'_>) -> arbitrary::Result<CounterResetHint> {
    use CounterResetHint::{CounterReset, Gauge, NotCounterReset, Unknown};
    Ok(*u.choose(&[Unknown, Unknown, Unknown, CounterReset, NotCounterReset, Gauge])?)
}

fn schema(u: &mut Unstructured<'_>) -> arbitrary::Result<i32> {
    Ok(*u.choose(&[0, 1, -4, 8, -53, -53, 9, 52, -9])?)
}

fn histogram(u: &mut Unstructured<'_>, last: Option<&Histogram>) -> arbitrary::Result<Histogram> {
    let small = |u: &mut Unstructured<'_>| Ok(i64::from(u.arbitrary::<u8>()? % 16) - 4);
    if let Some(mut h) = last.filter(|_| u.ratio(3, 4).unwrap_or(false)).cloned() {
        // The next one of the same series: counts rise as a rule, and spans may change.
        h.count = h.count.wrapping_add(u.arbitrary::<u8>()?.into());
        h.sum = float(u, h.sum)?;
        h.counter_reset_hint = hint(u)?;
        if u.ratio(1, 3)? {
            h.positive_spans = spans(u)?;
            h.positive_buckets = buckets(u, &h.positive_spans, small)?;
        }
        if let Some(bucket) = h.positive_buckets.last_mut() {
            *bucket = bucket.wrapping_add(u.arbitrary::<i8>()?.into());
        }
        return Ok(h);
    }
    let schema = schema(u)?;
    let (positive_spans, negative_spans) = (spans(u)?, spans(u)?);
    Ok(Histogram {
        counter_reset_hint: hint(u)?,
        schema,
        zero_threshold: float(u, 0.001)?,
        zero_count: u.arbitrary::<u8>()?.into(),
        count: if u.ratio(1, 8)? { u.arbitrary()? } else { u.arbitrary::<u8>()?.into() },
        sum: float(u, 0.0)?,
        positive_buckets: buckets(u, &positive_spans, small)?,
        negative_buckets: buckets(u, &negative_spans, |u| u.arbitrary())?,
        positive_spans,
        negative_spans,
        custom_values: custom(u, schema)?,
    })
}

fn float_histogram(u: &mut Unstructured<'_>, last: Option<&FloatHistogram>) -> arbitrary::Result<FloatHistogram> {
    let small = |u: &mut Unstructured<'_>| Ok(f64::from(u.arbitrary::<u8>()? % 16));
    if let Some(mut h) = last.filter(|_| u.ratio(3, 4).unwrap_or(false)).cloned() {
        h.count += f64::from(u.arbitrary::<u8>()?);
        h.sum = float(u, h.sum)?;
        h.counter_reset_hint = hint(u)?;
        if u.ratio(1, 3)? {
            h.positive_spans = spans(u)?;
            h.positive_buckets = buckets(u, &h.positive_spans, small)?;
        }
        if let Some(bucket) = h.positive_buckets.last_mut() {
            *bucket += f64::from(u.arbitrary::<i8>()?);
        }
        return Ok(h);
    }
    let schema = schema(u)?;
    let (positive_spans, negative_spans) = (spans(u)?, spans(u)?);
    Ok(FloatHistogram {
        counter_reset_hint: hint(u)?,
        schema,
        zero_threshold: float(u, 0.001)?,
        zero_count: float(u, 1.0)?,
        count: float(u, 10.0)?,
        sum: float(u, 0.0)?,
        positive_buckets: buckets(u, &positive_spans, small)?,
        negative_buckets: buckets(u, &negative_spans, |u| float(u, 2.0))?,
        positive_spans,
        negative_spans,
        custom_values: custom(u, schema)?,
    })
}

fn custom(u: &mut Unstructured<'_>, schema: i32) -> arbitrary::Result<Vec<f64>> {
    let few = if schema == -53 { u.int_in_range(0..=6)? } else { 0 };
    (0..few).map(|_| float(u, 0.25)).collect()
}
