//! Chunks written by Prometheus' appenders: `testdata/chunks`, whose README states the format.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Debug,
    fs,
    path::PathBuf,
    str::FromStr,
};

use prometheus_chunks::{
    Encoding, ErrorKind, HistogramDecoder, RechunkOptions, Rechunker, counter_reset_header, sample_count,
    set_counter_reset_header,
};
use prometheus_model::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, Histogram, Sample, Span};

use crate::{At, Kind, decode, encode};

/// Chunks after a cut whose header differs: Prometheus claims that there was no counter reset although it did not
/// compare, the encoder says that nothing is known.
const NOT_COMPARED: [(Encoding, &[&str]); 4] = [
    (Encoding::Histogram, INTEGERS),
    (Encoding::HistogramSt, INTEGERS),
    (Encoding::FloatHistogram, FLOATS),
    (Encoding::FloatHistogramSt, FLOATS),
];
const INTEGERS: &[&str] = &["cut-gauge-hint-no-reset", "cut-gauge-stale-with-other-hint", "cut-gauge-to-counter"];
const FLOATS: &[&str] = &[
    "cut-counter-schema",
    "cut-counter-zero-threshold",
    "cut-gauge-hint-no-reset",
    "cut-gauge-stale-with-other-hint",
    "cut-gauge-to-counter",
];

struct Golden<H> {
    name: String,
    /// None stands for a cut.
    samples: Vec<Option<At<H>>>,
    chunks: HashMap<Encoding, Vec<Chunk<H>>>,
}

struct Chunk<H> {
    data: Vec<u8>,
    samples: Vec<At<H>>,
}

fn parse<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn float(text: &str) -> f64 {
    f64::from_bits(u64::from_str_radix(&format!("{text:0<16}"), 16).unwrap())
}

fn list<T>(text: &str, item: impl Fn(&str) -> T) -> Vec<T> {
    if text == "-" { vec![] } else { text.split(',').map(item).collect() }
}

fn spans(text: &str) -> Vec<Span> {
    list(text, |span| {
        let (offset, length) = span.split_once(':').unwrap();
        Span { offset: parse(offset), length: parse(length) }
    })
}

fn hint(text: &str) -> CounterResetHint {
    match text {
        "u" => CounterResetHint::Unknown,
        "r" => CounterResetHint::CounterReset,
        "n" => CounterResetHint::NotCounterReset,
        "g" => CounterResetHint::Gauge,
        _ => panic!("{text}"),
    }
}

fn unhex(text: &str) -> Vec<u8> {
    assert_eq!(text.len() % 2, 0);
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

trait Text: Kind {
    /// The fields of a line from the hint on.
    fn from_text(fields: &[&str]) -> Self;

    fn schema(&self) -> i32;
}

macro_rules! text {
    ($histogram:ident, $total:expr, $bucket:expr) => {
        impl Text for $histogram {
            fn from_text(f: &[&str]) -> Self {
                Self {
                    counter_reset_hint: hint(f[0]),
                    schema: parse(f[1]),
                    zero_threshold: float(f[2]),
                    zero_count: $total(f[3]),
                    count: $total(f[4]),
                    sum: float(f[5]),
                    positive_spans: spans(f[6]),
                    negative_spans: spans(f[7]),
                    positive_buckets: list(f[8], $bucket),
                    negative_buckets: list(f[9], $bucket),
                    custom_values: list(f[10], float),
                }
            }

            fn schema(&self) -> i32 {
                self.schema
            }
        }
    };
}

text!(Histogram, parse, parse);
text!(FloatHistogram, float, float);

fn goldens<H: Text>(file: &str) -> Vec<Golden<H>> {
    let corpus: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "testdata", "chunks", file].iter().collect();
    let text = fs::read_to_string(corpus).unwrap();
    let mut goldens: Vec<Golden<H>> = vec![];
    let mut before: Vec<&str> = vec![];
    let (mut t, mut st) = (0_i64, 0_i64);
    let mut encoding = Encoding::Xor;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        if let ["series", name] = words[..] {
            goldens.push(Golden { name: name.to_owned(), samples: vec![], chunks: HashMap::new() });
            (before, t, st) = (vec![], 0, 0);
            continue;
        }
        let golden = goldens.last_mut().unwrap();
        match words[..] {
            ["cut"] => golden.samples.push(None),
            ["chunk", byte, data] => {
                encoding = Encoding::try_from(parse::<u8>(byte)).unwrap();
                golden.chunks.entry(encoding).or_default().push(Chunk { data: unhex(data), samples: vec![] });
            }
            ["as-written", hints] => {
                for letter in 0..hints.len() {
                    let read: usize = golden.chunks[&encoding].iter().map(|chunk| chunk.samples.len()).sum();
                    let (t, st, mut h) = golden.samples.iter().flatten().nth(read).unwrap().clone();
                    *h.hint() = hint(&hints[letter..=letter]);
                    let st = if encoding.keeps_start_timestamps() { st } else { 0 };
                    golden.chunks.get_mut(&encoding).unwrap().last_mut().unwrap().samples.push((t, st, h));
                }
            }
            ["read", ref fields @ ..] => {
                let sample = (parse(fields[0]), parse(fields[1]), H::from_text(&fields[2..]));
                golden.chunks.get_mut(&encoding).unwrap().last_mut().unwrap().samples.push(sample);
            }
            _ => {
                before =
                    (0..13).map(|i| words.get(i).copied().filter(|&w| w != ".").unwrap_or_else(|| before[i])).collect();
                t = t.wrapping_add(parse(before[0]));
                st = st.wrapping_add(parse(before[1]));
                golden.samples.push(Some((t, st, H::from_text(&before[2..]))));
            }
        }
    }
    goldens
}

fn check<H: Text>(file: &str, at_least: usize) {
    let goldens = goldens::<H>(file);
    assert!(goldens.len() >= at_least, "only {} series", goldens.len());
    for (encoding, names) in NOT_COMPARED.into_iter().filter(|(encoding, _)| H::ENCODINGS.contains(encoding)) {
        let mut not_compared = BTreeSet::new();
        for Golden { name, samples, chunks } in &goldens {
            let chunks = &chunks[&encoding];
            for chunk in chunks {
                assert_eq!(usize::from(sample_count(encoding, &chunk.data).unwrap()), chunk.samples.len(), "{name}");
                assert_eq!(decode::<H>(encoding, &chunk.data).unwrap(), chunk.samples, "{name}");
                let values = chunk.samples.iter().map(|(timestamp, start_timestamp, h)| Sample {
                    timestamp: *timestamp,
                    start_timestamp: *start_timestamp,
                    value: h.clone().into_value(),
                });
                let decoder = HistogramDecoder::<H>::new(encoding, &chunk.data).unwrap();
                assert!(decoder.map(Result::unwrap).eq(values), "{name}");
            }
            if name.starts_with("read-only") {
                assert!(
                    samples.iter().flatten().all(|(_, _, h)| h.schema() > 8 && h.schema() != CUSTOM_BUCKETS_SCHEMA)
                );
                assert_eq!(encode(encoding, samples).unwrap_err().kind(), ErrorKind::Invalid);
                continue;
            }
            let written = encode(encoding, samples).unwrap();
            assert_eq!(written.len(), chunks.len(), "{name}: number of chunks");
            for (i, (written, chunk)) in written.iter().zip(chunks).enumerate() {
                let mut data = written.data.clone();
                if written.data != chunk.data {
                    let before: usize = chunks[..i].iter().map(|chunk| chunk.samples.len()).sum();
                    let cuts = samples.iter().enumerate().filter(|(_, sample)| sample.is_none());
                    let after_cut = cuts.enumerate().any(|(cuts, (at, _))| at - cuts == before);
                    if after_cut && counter_reset_header(encoding, &data).unwrap() == CounterResetHint::Unknown {
                        set_counter_reset_header(encoding, &mut data, CounterResetHint::NotCounterReset).unwrap();
                        not_compared.insert(name.as_str());
                    }
                }
                assert_eq!(data, chunk.data, "{name}: other bytes than Prometheus in chunk {i}");
                let times: Vec<i64> = chunk.samples.iter().map(|&(t, _, _)| t).collect();
                assert_eq!((written.encoding, usize::from(written.samples)), (encoding, times.len()), "{name}");
                assert_eq!(Some(&written.min_time), times.iter().min(), "{name}");
                assert_eq!(Some(&written.max_time), times.iter().max(), "{name}");
            }
            if !encoding.keeps_start_timestamps() && samples.iter().flatten().is_sorted_by(|a, b| a.0 < b.0) {
                let options =
                    RechunkOptions { max_samples_per_chunk: u16::MAX.try_into().unwrap(), start_timestamps: false };
                let mut rechunker = Rechunker::new(options);
                let mut rechunked = vec![];
                for sample in samples {
                    rechunked.extend(match sample.clone() {
                        None => rechunker.cut(),
                        Some((timestamp, start_timestamp, h)) => {
                            rechunker.push(&Sample { timestamp, start_timestamp, value: h.into_value() }).unwrap()
                        }
                    });
                }
                rechunked.extend(rechunker.finish());
                assert_eq!(rechunked, written, "{name}: the rechunker's chunks");
            }
        }
        assert_eq!(not_compared, names.iter().copied().collect(), "{encoding}");
    }
}

#[test]
fn histograms() {
    check::<Histogram>("histogram.txt", 170);
}

#[test]
fn float_histograms() {
    check::<FloatHistogram>("float_histogram.txt", 170);
}
