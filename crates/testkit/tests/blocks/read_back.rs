//! What a block holds is what its oracle says.

use std::{collections::BTreeMap, ops::ControlFlow, path::Path, sync::Arc};

use prometheus_chunks::{Encoding, counter_reset_header, decode};
use prometheus_model::{CounterResetHint, Labels, Sample};
use prometheus_tsdb_block::{BlockReader, ChunkRef, LocalBlock};
use promparquet_testkit::blocks::{BlockSpec, ErrorKind, FloatEncoding, canonical};

use crate::files;

const TWO_HOURS_MS: i64 = 7_200_000;

/// Reads a block, checking its chunks on the way.
fn read(dir: &Path, float: Encoding) -> Vec<(Labels, Vec<Sample>)> {
    let block = BlockReader::open(Arc::new(LocalBlock::open(dir).unwrap())).unwrap();
    let stats = block.check_index(1 << 20).unwrap();
    assert!(stats.matches(&block.meta().stats), "{stats:?}");
    let range = block.meta().time_range().unwrap();
    let symbols = block.symbols().unwrap();
    let (mut found, mut samples_of_meta) = (Vec::new(), 0);
    let visit = |_, entry: &prometheus_tsdb_index::SeriesEntry| {
        let pairs = entry.labels.iter().map(|l| (symbols.get(l.name).unwrap(), symbols.get(l.value).unwrap()));
        let labels = Labels::from_pairs(pairs).unwrap();
        let refs: Vec<_> = entry.chunks.iter().map(|c| ChunkRef(c.reference)).collect();
        assert!(!refs.is_empty(), "{labels}");
        let mut samples = Vec::new();
        for (chunk, meta) in block.read_chunks(&refs)?.iter().zip(&entry.chunks) {
            let encoding = Encoding::try_from(chunk.encoding).unwrap();
            assert!([float, Encoding::Histogram, Encoding::FloatHistogram].contains(&encoding));
            let first = samples.len();
            decode(encoding, &chunk.data, &mut samples).unwrap();
            assert!((1..=120).contains(&(samples.len() - first)), "{labels}");
            assert_eq!((samples[first].timestamp, samples.last().unwrap().timestamp), (meta.min_time, meta.max_time));
            assert_eq!(meta.min_time / TWO_HOURS_MS, meta.max_time / TWO_HOURS_MS, "{labels}");
            assert!(range.contains_closed(meta.min_time, meta.max_time), "{labels}");
        }
        assert!(samples.is_sorted_by(|a, b| a.timestamp < b.timestamp), "{labels}");
        samples_of_meta += samples.len() as u64;
        found.push((labels, samples));
        Ok(ControlFlow::Continue(()))
    };
    block.scan_series(1 << 20, visit).unwrap();
    assert_eq!(samples_of_meta, block.meta().stats.num_samples);
    found
}

/// Writes and reads a block, and compares it with its oracle.
fn check(spec: &BlockSpec) -> Vec<(Labels, Vec<Sample>)> {
    check_encoded(spec, Encoding::Xor)
}

fn check_encoded(spec: &BlockSpec, float: Encoding) -> Vec<(Labels, Vec<Sample>)> {
    let parent = tempfile::tempdir().unwrap();
    let found = read(&spec.write(parent.path()).unwrap(), float);
    let expected: Vec<_> = spec.oracle().collect();
    assert_eq!(found.len(), expected.len());
    for ((labels, samples), (expected_labels, expected_samples)) in found.iter().zip(&expected) {
        assert_eq!(labels, expected_labels);
        for (sample, expected) in samples.iter().zip(expected_samples) {
            assert_eq!(canonical(sample.clone()), canonical(expected.clone()), "{labels}");
        }
        assert_eq!(samples.len(), expected_samples.len(), "{labels}");
    }
    found
}

#[test]
fn presets() {
    assert_eq!(check(&BlockSpec::tiny()).len(), 5);
    assert_eq!(check(&BlockSpec::small()).len(), 500);
    assert_eq!(check(&BlockSpec::medium().series_count(701)).len(), 701);
    let day = check(&BlockSpec::day().series_count(97));
    assert_eq!(day.len(), 97);
    assert!(day.iter().filter(|(_, samples)| samples.len() > 2800).count() > 20);
    check(&BlockSpec::large().series_count(120));
}

#[test]
fn options() {
    for seed in 2..5 {
        check(&BlockSpec::small().seed(seed).series_count(300).churn(1.0).native_histograms(0.5));
    }
    check_encoded(&BlockSpec::small().float_encoding(FloatEncoding::Xor2), Encoding::Xor2);
    check(&BlockSpec::small().odd_series(false).churn(0.0).start(1_000_000_000_123).duration_ms(9_999_999));
    check(&BlockSpec::new(200).interval_ms(60).duration_ms(20_000));
    check(&BlockSpec::new(200).interval_ms(15_000).duration_ms(30_000));
    check(&BlockSpec::new(1));
}

#[test]
fn wide() {
    let spec = BlockSpec::new(400).duration_ms(300_000).extra_labels(1000, 4);
    let names: std::collections::BTreeSet<_> = check(&spec)
        .iter()
        .flat_map(|(labels, _)| labels.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>())
        .filter(|name| name.starts_with("label_extra_"))
        .collect();
    assert_eq!(names.len(), 1000);
}

#[test]
fn an_out_of_order_block_overlaps() {
    let spec = BlockSpec::small();
    let late = spec.clone().out_of_order();
    let in_order: BTreeMap<_, _> = spec.oracle().collect();
    let late_series = check(&late);
    assert!(late_series.len() > 80 && late_series.len() < 250, "{}", late_series.len());
    let (mut again, mut between) = (0, 0);
    for (labels, samples) in late_series {
        let original = &in_order[&labels];
        for sample in samples {
            match original.binary_search_by_key(&sample.timestamp, |s| s.timestamp) {
                Ok(i) => {
                    assert_eq!(canonical(original[i].clone()), canonical(sample));
                    again += 1;
                }
                Err(_) => between += 1,
            }
        }
    }
    assert!(again > 1000 && between > 1000, "{again} {between}");
    let parent = tempfile::tempdir().unwrap();
    let written = late.write_with(parent.path(), |_| ()).unwrap();
    assert_eq!(written.meta.compaction.hints, ["from-out-of-order"]);
    assert_ne!(written.meta.ulid, spec.block_ulid());
}

#[test]
fn replicas_scrape_the_same_at_other_times() {
    let spec = BlockSpec::small().external_label("cluster", "a");
    let [first, second] = [0, 1].map(|number| check(&spec.clone().replica(number)));
    let labels = |series: &[(Labels, Vec<Sample>)]| series.iter().map(|(labels, _)| labels.clone()).collect::<Vec<_>>();
    assert_eq!(labels(&first), labels(&second));
    let differ = first.iter().zip(&second).filter(|(a, b)| a.1[0].timestamp != b.1[0].timestamp).count();
    assert!(differ > 450, "{differ}");

    let parent = tempfile::tempdir().unwrap();
    let meta = spec.replica(1).compaction_level(2).write_with(parent.path(), |_| ()).unwrap().meta;
    let external = meta.thanos.unwrap().labels;
    assert_eq!((&*external["cluster"], &*external["prometheus_replica"]), ("a", "r1"));
    assert_eq!((meta.compaction.level, meta.compaction.parents.len(), meta.compaction.sources.len()), (2, 1, 1));
}

#[test]
fn counter_resets_are_in_the_headers() {
    let parent = tempfile::tempdir().unwrap();
    let dir = BlockSpec::small().write(parent.path()).unwrap();
    let block = BlockReader::open(Arc::new(LocalBlock::open(dir).unwrap())).unwrap();
    let mut hints = Vec::new();
    let visit = |_, entry: &prometheus_tsdb_index::SeriesEntry| {
        let refs: Vec<_> = entry.chunks.iter().map(|c| ChunkRef(c.reference)).collect();
        for chunk in block.read_chunks(&refs)? {
            if let Ok(hint) = counter_reset_header(Encoding::try_from(chunk.encoding).unwrap(), &chunk.data) {
                hints.push(hint);
            }
        }
        Ok(ControlFlow::Continue(()))
    };
    block.scan_series(1 << 20, visit).unwrap();
    use CounterResetHint::{CounterReset, Gauge, NotCounterReset, Unknown};
    for hint in [Unknown, CounterReset, NotCounterReset, Gauge] {
        assert!(hints.contains(&hint), "{hint:?}");
    }
}

#[test]
fn the_same_specification_gives_the_same_bytes() {
    let parents = [1, 3].map(|threads| {
        let parent = tempfile::tempdir().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| BlockSpec::small().write(parent.path()).unwrap());
        parent
    });
    let [one, three] = parents.each_ref().map(|parent| files(parent.path()));
    assert_eq!(one.len(), 4, "{:?}", one.keys());
    assert!(one == three);

    let other = tempfile::tempdir().unwrap();
    BlockSpec::small().seed(2).write(other.path()).unwrap();
    assert!(files(other.path()) != one);
}

/// On any machine. Whoever changes the generator changes these numbers, and knows that recorded benchmarks no longer
/// compare.
#[test]
fn the_bytes_are_those_of_every_machine() {
    for (spec, expected) in [(BlockSpec::tiny(), TINY), (BlockSpec::small(), SMALL)] {
        let parent = tempfile::tempdir().unwrap();
        spec.write(parent.path()).unwrap();
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in files(parent.path()).into_values().flatten() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        assert_eq!(hash, expected, "{hash:#x}");
    }
}

const TINY: u64 = 0xb803_20c7_eb86_270d;
const SMALL: u64 = 0x3e11_b191_32b6_0762;

#[test]
fn nonsense_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let small = BlockSpec::small;
    for spec in [
        small().series_count(0),
        small().interval_ms(0),
        small().interval_ms(i64::MAX),
        small().duration_ms(-1),
        small().duration_ms(i64::MAX),
        small().start(-1),
        small().start(i64::MAX),
        small().churn(1.5),
        small().churn(f64::NAN),
        small().native_histograms(1.0),
        small().extra_labels(2, 3),
        small().extra_labels(u32::MAX, 3),
    ] {
        assert_eq!(spec.write(parent.path()).unwrap_err().kind(), ErrorKind::Invalid, "{spec:?}");
    }
    assert_eq!(files(parent.path()).len(), 0);
    BlockSpec::tiny().write(parent.path()).unwrap();
    assert_eq!(BlockSpec::tiny().write(parent.path()).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(BlockSpec::tiny().write("/proc/none").unwrap_err().kind(), ErrorKind::Unavailable);
}
