//! One series of several parts.

use prometheus_chunks::{Encoding, counter_reset_header, set_counter_reset_header};
use prometheus_model::{CounterResetHint, Sample, TimeRange, Value};

use crate::{
    error::{Error, ErrorKind, Result},
    series::{Chunk, Series, SeriesData},
};

/// Puts together what parts have of a series, the first one's first; nothing of nothing.
pub(crate) fn merge(mut parts: Vec<Series>) -> Result<Option<Series>> {
    if parts.len() < 2 {
        return Ok(parts.pop());
    }
    // A part that was asked for labels only, or one without samples, adds nothing to others.
    let has_samples = |series: &Series| match &series.data {
        SeriesData::Labels => false,
        SeriesData::Chunks(chunks) => !chunks.is_empty(),
        SeriesData::Samples(samples) => !samples.is_empty(),
    };
    if parts.iter().any(has_samples) {
        parts.retain(has_samples);
    } else {
        parts.truncate(1);
    }
    if parts.len() < 2 {
        return Ok(parts.pop());
    }
    let Some(first) = parts.first() else { return Ok(None) };
    let (labels, hash) = (first.labels.clone(), first.hash);
    let (start, end) = parts.iter().fold((first.range.start(), first.range.end()), |(start, end), part| {
        (start.min(part.range.start()), end.max(part.range.end()))
    });
    let range = TimeRange::new(start, end).unwrap_or(first.range);
    let data = match side_by_side(&parts, range)? {
        Some(chunks) => SeriesData::Chunks(chunks),
        None => SeriesData::Samples(by_sample(&parts)?),
    };
    Ok(Some(Series { labels, hash, range, data }))
}

/// The chunks of all parts, if they can stay as they are.
fn side_by_side(parts: &[Series], range: TimeRange) -> Result<Option<Vec<Chunk>>> {
    // The part that a chunk comes from, and as which of its chunks.
    let mut all: Vec<(usize, usize, &Chunk)> = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        let SeriesData::Chunks(chunks) = &part.data else { return Ok(None) };
        let fits = |chunk: &Chunk| part.range == range || part.range.contains_closed(chunk.min_time, chunk.max_time);
        if !chunks.iter().all(fits) {
            return Ok(None);
        }
        all.extend(chunks.iter().enumerate().map(|(ordinal, chunk)| (i, ordinal, chunk)));
    }
    all.sort_by_key(|(_, _, chunk)| (chunk.min_time, chunk.max_time));
    all.dedup_by(|(_, _, later), (_, _, kept)| later == kept);
    if all.array_windows().any(|[(_, _, a), (_, _, b)]| a.max_time >= b.min_time) {
        return Ok(None);
    }
    let mut previous = None;
    let mut chunks = Vec::with_capacity(all.len());
    for (part, ordinal, chunk) in all {
        let follows = previous.is_none_or(|previous| Some(previous) == ordinal.checked_sub(1).map(|o| (part, o)));
        previous = Some((part, ordinal));
        chunks.push(if follows { chunk.clone() } else { without_claim(chunk)? });
    }
    Ok(Some(chunks))
}

/// The chunk without its claim about a counter reset, which was made about another predecessor.
fn without_claim(chunk: &Chunk) -> Result<Chunk> {
    if matches!(chunk.encoding, Encoding::Xor | Encoding::Xor2 | Encoding::Aggregate) {
        return Ok(chunk.clone());
    }
    let corrupt = |e| Error::new(ErrorKind::Corrupt, e);
    match counter_reset_header(chunk.encoding, &chunk.data).map_err(corrupt)? {
        CounterResetHint::Unknown | CounterResetHint::Gauge => Ok(chunk.clone()),
        CounterResetHint::CounterReset | CounterResetHint::NotCounterReset => {
            let mut data = chunk.data.to_vec();
            set_counter_reset_header(chunk.encoding, &mut data, CounterResetHint::Unknown).map_err(corrupt)?;
            Ok(Chunk { data: data.into(), ..*chunk })
        }
    }
}

/// The samples of all parts; the first part's where several have one.
fn by_sample(parts: &[Series]) -> Result<Vec<Sample>> {
    let mut all = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        all.extend(part.samples()?.into_iter().enumerate().map(|(position, sample)| (i, position, sample)));
    }
    // Stable, and quick where the parts are in order of time.
    all.sort_by_key(|(_, _, sample)| sample.timestamp);
    all.dedup_by_key(|(_, _, sample)| sample.timestamp);
    let mut previous = None;
    let samples = all.into_iter().map(|(part, position, mut sample)| {
        if previous.is_none() || previous != position.checked_sub(1).map(|p| (part, p)) {
            forget_counter_reset(&mut sample.value);
        }
        previous = Some((part, position));
        sample
    });
    Ok(samples.collect())
}

/// Withdraws what a histogram claims about the sample before it.
pub(crate) fn forget_counter_reset(value: &mut Value) {
    let hint = match value {
        Value::Float(_) => return,
        Value::Histogram(histogram) => &mut histogram.counter_reset_hint,
        Value::FloatHistogram(histogram) => &mut histogram.counter_reset_hint,
    };
    if *hint != CounterResetHint::Gauge {
        *hint = CounterResetHint::Unknown;
    }
}
