//! Checksums of answers, and the answers that the Go library gave to the selects of its fixtures.
//!
//! ```text
//! series  = xxh64 of (name FF value FF)* FE sample*             labels in order; without samples if not asked for
//! sample  = 01 t value | 02 t histogram | 03 t histogram        t: i64; value: bits of the float
//! histogram = schema:i32 zero_threshold zero_count count sum buckets buckets n:u32 custom*      positive, negative buckets
//! buckets = (index:i32 count)* 7fffffff                         those that are not empty; counts absolute
//! ```
//!
//! Integers are little endian; what has no type is the bits of a float. An answer's checksum is the wrapping sum of its
//! series', or of the xxh64 of its strings. The README of the fixtures says the same.

use std::path::Path;

use prometheus_model::{Sample, Span, TimeRange, Value};
use prometheus_queryable::{
    LabelHints, MatchOp, Matcher, Queryable, Result, SelectHints, Series, SeriesData, SeriesSet,
};
use serde::Deserialize;
use xxhash_rust::xxh64::{Xxh64, xxh64};

/// What an answer holds.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Checksum {
    /// Series with samples; all of them where no samples are asked for. Or strings.
    pub series: u64,
    /// Samples in range.
    pub samples: u64,
    /// The sum.
    pub sum: u64,
}

/// Sums up a set of series. Those without samples in range do not count, unless the set has labels only.
///
/// # Errors
/// Those of the set, and of decoding its chunks.
pub async fn of_series(set: &mut dyn SeriesSet) -> Result<Checksum> {
    let mut all = Checksum::default();
    while let Some(batch) = set.next().await? {
        for series in &batch {
            let samples = series.samples()?;
            if samples.is_empty() && !matches!(series.data, SeriesData::Labels) {
                continue;
            }
            all.series += 1;
            all.samples += samples.len() as u64;
            all.sum = all.sum.wrapping_add(of_samples(series, &samples));
        }
    }
    Ok(all)
}

/// Sums up names or values of labels.
#[must_use]
pub fn of_strings(strings: &[String]) -> Checksum {
    let sum = strings.iter().fold(0_u64, |sum, string| sum.wrapping_add(xxh64(string.as_bytes(), 0)));
    Checksum { series: strings.len() as u64, samples: 0, sum }
}

fn of_samples(series: &Series, samples: &[Sample]) -> u64 {
    let mut hash = Xxh64::new(0);
    for text in series.labels.iter().flat_map(|(name, value)| [name, value]) {
        hash.update(text.as_bytes());
        hash.update(&[0xff]);
    }
    hash.update(&[0xfe]);
    for sample in samples {
        let kind = match &sample.value {
            Value::Float(_) => 1_u8,
            Value::Histogram(_) => 2,
            Value::FloatHistogram(_) => 3,
        };
        hash.update(&[kind]);
        hash.update(&sample.timestamp.to_le_bytes());
        match &sample.value {
            Value::Float(value) => floats(&mut hash, &[*value]),
            Value::Histogram(h) => {
                hash.update(&h.schema.to_le_bytes());
                floats(&mut hash, &[h.zero_threshold, h.zero_count as f64, h.count as f64, h.sum]);
                for (spans, deltas) in
                    [(&h.positive_spans, &h.positive_buckets), (&h.negative_spans, &h.negative_buckets)]
                {
                    let counts = deltas.iter().scan(0_i64, |count, delta| {
                        *count = count.wrapping_add(*delta);
                        Some(*count as f64)
                    });
                    buckets(&mut hash, spans, counts);
                }
                custom(&mut hash, &h.custom_values);
            }
            Value::FloatHistogram(h) => {
                hash.update(&h.schema.to_le_bytes());
                floats(&mut hash, &[h.zero_threshold, h.zero_count, h.count, h.sum]);
                buckets(&mut hash, &h.positive_spans, h.positive_buckets.iter().copied());
                buckets(&mut hash, &h.negative_spans, h.negative_buckets.iter().copied());
                custom(&mut hash, &h.custom_values);
            }
        }
    }
    hash.digest()
}

fn floats(hash: &mut Xxh64, values: &[f64]) {
    values.iter().for_each(|value| hash.update(&value.to_bits().to_le_bytes()));
}

fn custom(hash: &mut Xxh64, values: &[f64]) {
    hash.update(&(values.len() as u32).to_le_bytes());
    floats(hash, values);
}

fn buckets(hash: &mut Xxh64, spans: &[Span], counts: impl Iterator<Item = f64>) {
    let mut after = 0_i32;
    let indexes = spans.iter().flat_map(|span| {
        let start = after.wrapping_add(span.offset);
        after = start.wrapping_add(span.length.cast_signed());
        start..after
    });
    for (index, count) in indexes.zip(counts).filter(|(_, count)| *count != 0.0) {
        hash.update(&index.to_le_bytes());
        floats(hash, &[count]);
    }
    hash.update(&i32::MAX.to_le_bytes());
}

/// A question of the fixtures (`select_results.json`) and its answer.
#[derive(Clone, Debug)]
pub struct SelectCase {
    /// How people call it.
    pub id: String,
    /// What is asked for.
    pub ask: Ask,
    /// Conditions on labels.
    pub matchers: Vec<Matcher>,
    /// Times asked for.
    pub range: TimeRange,
    /// The answer.
    pub expected: Checksum,
}

/// What a [`SelectCase`] asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// Series with their samples.
    Samples,
    /// Series without.
    Series,
    /// Names of labels.
    LabelNames,
    /// Values of this label.
    LabelValues(String),
}

#[derive(Deserialize)]
struct Record {
    id: String,
    kind: String,
    #[serde(default)]
    matchers: String,
    #[serde(default)]
    label: String,
    start: i64,
    end: i64,
    series: u64,
    samples: u64,
    checksum: String,
    #[serde(default)]
    values: Option<Vec<String>>,
}

impl SelectCase {
    /// Reads the cases of a file. The answers are those of a TSDB block where the Go library gives others: `""` is no value
    /// of a label.
    ///
    /// # Errors
    /// If the file cannot be read or is none of cases.
    pub fn load(file: &Path) -> Result<Vec<Self>, Box<dyn std::error::Error>> {
        let records: Vec<Record> = serde_json::from_slice(&std::fs::read(file)?)?;
        records.into_iter().map(Self::from_record).collect()
    }

    fn from_record(record: Record) -> Result<Self, Box<dyn std::error::Error>> {
        let ask = match record.kind.as_str() {
            "select" => Ask::Samples,
            "series" => Ask::Series,
            "label_names" => Ask::LabelNames,
            "label_values" => Ask::LabelValues(record.label),
            kind => return Err(format!("case {} is of the unknown kind {kind}", record.id).into()),
        };
        let mut sum = u64::from_str_radix(&record.checksum, 16)?;
        let mut series = record.series;
        if record.values.is_some_and(|values| values.iter().any(String::is_empty)) {
            (sum, series) = (sum.wrapping_sub(xxh64(b"", 0)), series - 1);
        }
        Ok(Self {
            ask,
            matchers: parse_selector(&record.matchers).ok_or_else(|| format!("no selector: {}", record.matchers))?,
            range: TimeRange::new(record.start, record.end.saturating_add(1))?,
            expected: Checksum { series, samples: record.samples, sum },
            id: record.id,
        })
    }

    /// Asks a store.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn ask(&self, store: &dyn Queryable) -> Result<Checksum> {
        let querier = store.querier(self.range).await?;
        let hints = match &self.ask {
            Ask::Samples => SelectHints::new(self.range),
            Ask::Series => SelectHints::series_only(self.range),
            Ask::LabelNames => {
                return Ok(of_strings(&querier.label_names(&self.matchers, &LabelHints::default()).await?.strings));
            }
            Ask::LabelValues(name) => {
                let values = querier.label_values(name, &self.matchers, &LabelHints::default()).await?;
                return Ok(of_strings(&values.strings));
            }
        };
        of_series(&mut *querier.select(&self.matchers, &hints).await?).await
    }
}

/// Reads `{name="value",...}`, with the operators of matchers and without escapes but `\"` and `\\`.
fn parse_selector(text: &str) -> Option<Vec<Matcher>> {
    let mut rest = match text.trim() {
        "" => return Some(Vec::new()),
        text => text.strip_prefix('{')?.strip_suffix('}')?,
    };
    let mut matchers = Vec::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_at(rest.find(['=', '!'])?);
        let (op, after) = [MatchOp::Regex, MatchOp::NotRegex, MatchOp::NotEqual, MatchOp::Equal]
            .into_iter()
            .find_map(|op| Some((op, after.strip_prefix(&op.to_string())?)))?;
        let mut chars = after.strip_prefix('"')?.char_indices();
        let (mut value, mut end) = (String::new(), None);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    end = Some(at);
                    break;
                }
                '\\' => value.push(chars.next()?.1),
                c => value.push(c),
            }
        }
        matchers.push(Matcher::new(name, op, value).ok()?);
        rest = after.get(end? + 2..)?;
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    Some(matchers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors() {
        let selector = r#"{__name__="up",job!="a,\"b}",x=~"c|d",y!~".*"}"#;
        let matchers: Vec<_> = parse_selector(selector).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(matchers, [r#"__name__="up""#, r#"job!="a,\"b}""#, r#"x=~"c|d""#, r#"y!~".*""#]);
        assert!(parse_selector("").unwrap().is_empty());
        assert!([r#"{a"b"}"#, r#"{a="b}"#, "a"].iter().all(|wrong| parse_selector(wrong).is_none()));
    }

    #[test]
    fn no_string_has_the_sum_of_nothing() {
        assert_eq!(of_strings(&[]), Checksum::default());
        assert_eq!(of_strings(&[String::new()]).sum, 0xef46_db37_51d8_e999);
    }
}
