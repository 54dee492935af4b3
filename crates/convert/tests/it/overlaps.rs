//! Blocks that overlap, repeat or complement each other, tombstones and time ranges, against the oracle.

use std::num::{NonZeroU16, NonZeroU64};

use prometheus_chunks::{Encoding, counter_reset_header};
use prometheus_model::{CounterResetHint, Histogram, Labels, Sample, Span, TimeRange, TimestampMs, Value};
use prometheus_tsdb_block::MemoryBlock;
use promparquet_convert::ErrorKind;
use promparquet_schema::cell;
use promparquet_testkit::blocks::{BlockSpec, FloatEncoding};

use crate::{
    blocks::{
        NAME, block_of, check, convert_to, converted, delete, files, float, floats, generated, give_labels, labels,
        merged, options,
    },
    fixtures::{Series, all_rows, assert_same, memory_bucket, runtime},
};

const MINUTE: i64 = 60_000;

fn range(start: i64, end: i64) -> TimeRange {
    TimeRange::new(start, end).unwrap()
}

fn spec() -> BlockSpec {
    BlockSpec::new(60).native_histograms(0.2).duration_ms(60 * MINUTE)
}

#[test]
fn the_same_block_twice_is_that_block() {
    let block = generated(&spec());
    runtime().block_on(async {
        let (once, twice) = (memory_bucket(), memory_bucket());
        let single = convert_to(&once, std::slice::from_ref(&block), None, &options()).await.unwrap();
        let double = convert_to(&twice, &[block.clone(), block.clone()], None, &options()).await.unwrap();
        assert!(files(&once).await == files(&twice).await, "other files");
        // Copies are recognised, not decoded.
        assert_eq!(double.chunks.decoded, single.chunks.decoded);
        assert!(double.chunks.duplicates >= single.chunks.passed_through);
        assert_eq!((single.series_in, double.series_in), (60, 60));
    });
}

#[test]
fn replicas_and_out_of_order_blocks() {
    let [first, second] = [0, 1].map(|n| generated(&spec().replica(n)));
    let late = generated(&spec().out_of_order());
    let main = generated(&spec());
    let xor2 = generated(&spec().float_encoding(FloatEncoding::Xor2).replica(2));
    let mut options = options();
    for column_minutes in [480, 7] {
        options.data_column_duration_ms = NonZeroU64::new(column_minutes * MINUTE as u64).unwrap();
        check(&[first.clone(), second.clone()], None, &options, "replicas");
        check(&[second.clone(), first.clone()], None, &options, "replicas, the other way round");
        let report = check(&[main.clone(), late.clone()], None, &options, "out of order");
        assert!(report.chunks.decoded > 0 && report.chunks.passed_through > 0);
        check(&[late.clone(), main.clone(), second.clone(), xor2.clone()], None, &options, "four blocks");
    }
}

#[test]
fn disjoint_blocks_with_other_symbols() {
    let hour = 60 * MINUTE;
    let blocks: Vec<_> = (0..3)
        .map(|n| generated(&spec().seed(n as u64 * 7 + 1).start(1_735_689_600_000 + n * hour).extra_labels(9, 2)))
        .collect();
    let mut options = options();
    options.sort_labels = vec!["job".into(), "nonexistent".into(), "__name__".into()];
    for reversed in [false, true] {
        let mut blocks = blocks.clone();
        if reversed {
            blocks.reverse();
        }
        let report = check(&blocks, None, &options, "disjoint");
        // Chunks that reach across a data column are cut; there is none here.
        assert_eq!(report.chunks.decoded, 0);
    }
    check(&[block_of(&[]), blocks[0].clone()], None, &options, "with an empty block");
}

fn named(name: &str) -> Labels {
    labels(&[("__name__", name)])
}

fn four_series() -> MemoryBlock {
    let series = |name: &str, from: i64| (named(name), floats(from..from + 1000, 10));
    block_of(&[series("a", 0), series("b", 1000), series("c", 2000), series("d", 3000)])
}

/// Faulty writers give a series in two pieces, one after the other.
#[test]
fn the_same_labels_twice_in_a_row() {
    let mut twice = four_series();
    // "c" becomes another "b".
    give_labels(&mut twice, 1, 2);
    let of = |times: &[(&str, std::ops::Range<i64>)]| -> Series {
        let mut all = Series::new();
        for (name, times) in times {
            all.entry(named(name)).or_default().extend(floats(times.clone(), 10));
        }
        all
    };
    let compare = |blocks: &[MemoryBlock], range: Option<TimeRange>, expected: Series, what: &str| {
        let (found, report) = converted(blocks, range, &options()).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_same(&found, &expected, false, what);
        assert_eq!(report.series(), expected.len() as u64, "{what}");
    };
    let (a, first, second, d) = (("a", 0..1000), ("b", 1000..2000), ("b", 2000..3000), ("d", 3000..4000));
    let all = of(&[a.clone(), first.clone(), second.clone(), d.clone()]);
    compare(std::slice::from_ref(&twice), None, all.clone(), "both");
    compare(&[twice.clone(), twice.clone()], None, all.clone(), "both, in two blocks");
    // The piece that is dropped must not lend its successor to the series before it.
    compare(&[twice.clone()], Some(range(500, 1000)), of(&[("a", 500..1000)]), "neither");
    compare(&[twice.clone()], Some(range(0, 1500)), of(&[a.clone(), ("b", 1000..1500)]), "the first");
    let mut deleted = twice.clone();
    delete(&mut deleted, &[(1, i64::MIN, i64::MAX)]);
    compare(&[deleted.clone()], None, of(&[a.clone(), second.clone(), d.clone()]), "the second");
    compare(&[deleted.clone(), twice.clone()], None, all, "the first only in the second block");
    delete(&mut deleted, &[(2, 2000, 2995)]);
    compare(&[deleted.clone()], None, of(&[a, first, d.clone()]), "the first, without the second");
    delete(&mut deleted, &[(0, 0, 9999), (1, 0, 9999)]);
    compare(&[deleted], None, of(&[second, d]), "nothing before the second");
}

/// The first chunk of the second piece is deleted: the one after it then follows a chunk of the first piece, of which its
/// claim that no counter was reset was not made.
#[test]
fn pieces_of_a_series_claim_nothing_about_each_other() {
    let histograms = |start: i64, counts: std::ops::Range<u64>| -> Vec<Sample> {
        let value = |count: u64| {
            Value::Histogram(Box::new(Histogram {
                count,
                sum: 1.0,
                positive_spans: vec![Span { offset: 0, length: 1 }],
                positive_buckets: vec![count as i64],
                ..Histogram::default()
            }))
        };
        let sample =
            |(i, count): (i64, u64)| Sample { timestamp: start + 10 * i, start_timestamp: 0, value: value(count) };
        (0..).zip(counts).map(sample).collect()
    };
    let mut block = block_of(&[
        (named("a"), floats(0..100, 10)),
        (named("b"), histograms(0, 5000..5010)),
        (named("c"), histograms(10_000, 0..200)),
    ]);
    give_labels(&mut block, 1, 2);
    delete(&mut block, &[(2, 10_000, 11_190)]);
    runtime().block_on(async {
        let bucket = memory_bucket();
        convert_to(&bucket, std::slice::from_ref(&block), None, &options()).await.unwrap();
        let rows = all_rows(&bucket, NAME, 1).await;
        let records: Vec<_> = cell::records(&rows[1].cells[0].1).map(Result::unwrap).collect();
        assert_eq!(records.iter().map(|r| r.min_time).collect::<Vec<_>>(), [0, 11_200]);
        let header = counter_reset_header(Encoding::Histogram, records[1].data).unwrap();
        assert_eq!(header, CounterResetHint::Unknown);
    });
}

#[test]
fn deleted_series() {
    let mut block = four_series();
    delete(&mut block, &[(0, 0, 2000), (1, 1000, 1500), (1, 1501, 1990), (2, 2100, 2200), (2, 2300, 2305)]);
    let expected = merged(std::slice::from_ref(&block), None);
    assert_eq!(expected.keys().map(|l| l.get("__name__").unwrap()).collect::<String>(), "cd");
    let report = check(std::slice::from_ref(&block), None, &options(), "deleted");
    assert_eq!((report.series_in, report.series()), (4, 2));
    // What is deleted from one block is still in the other, whichever comes first.
    let whole = four_series();
    check(&[block.clone(), whole.clone()], None, &options(), "deleted from the first");
    check(&[whole, block.clone()], None, &options(), "deleted from the second");
    check(&[block.clone(), block.clone()], None, &options(), "deleted from both");
    // All of it: no shard.
    delete(&mut block, &[(0, 0, 9999), (1, 0, 9999), (2, 0, 9999), (3, 0, 9999)]);
    nothing(&block, None);
    // Ends of chunks are deleted, so that only decoding tells whether something is left.
    let mut ends = block_of(&[(named("a"), [0, 50, 100].map(|t| float(t, 1.0)).to_vec())]);
    delete(&mut ends, &[(0, 0, 49), (0, 51, 100)]);
    assert_eq!(check(std::slice::from_ref(&ends), None, &options(), "ends").chunks.samples, 1);
    delete(&mut ends, &[(0, 0, 10), (0, 50, 50), (0, 60, 100)]);
    nothing(&ends, None);
}

/// Nothing is written, and the report has no shards.
fn nothing(block: &MemoryBlock, range: Option<TimeRange>) {
    runtime().block_on(async {
        let bucket = memory_bucket();
        let report = convert_to(&bucket, std::slice::from_ref(block), range, &options()).await.unwrap();
        assert_eq!((report.shards.len(), report.chunks.samples), (0, 0), "{range:?}");
        assert!(files(&bucket).await.is_empty(), "{range:?}");
    });
}

#[test]
fn ranges_without_samples() {
    let gap = [float(0, 1.0), float(10, 2.0), float(1000, 3.0)];
    let block = block_of(&[(named("a"), gap.to_vec()), (named("b"), gap[..2].to_vec())]);
    for (start, end) in [(11, 1000), (1, 10), (1001, 2000), (-10, 0), (i64::MIN, -1), (5000, i64::MAX)] {
        nothing(&block, Some(range(start, end)));
    }
    nothing(&block_of(&[]), None);
    nothing(&block_of(&[(named("a"), vec![])]), None);
    let report = check(std::slice::from_ref(&block), Some(range(11, 1001)), &options(), "the last sample");
    assert_eq!((report.series(), report.chunks.samples), (1, 1));
    runtime().block_on(async {
        let report = convert_to(&memory_bucket(), &[], None, &options()).await.unwrap();
        assert_eq!(report.shards.len(), 0);
    });
}

#[test]
fn ranges_that_cut_chunks() {
    let block = generated(&BlockSpec::tiny());
    let whole = merged(std::slice::from_ref(&block), None);
    let first = whole.values().map(|s| s[0].timestamp).min().unwrap();
    let mut options = options();
    for (n, start) in (first - 1..first + 30 * MINUTE).step_by(7 * MINUTE as usize - 1).enumerate() {
        options.max_samples_per_chunk = NonZeroU16::new([120, 7, 1][n % 3]).unwrap();
        options.data_column_duration_ms = NonZeroU64::new([MINUTE, 11 * MINUTE, 480 * MINUTE][n % 3] as u64).unwrap();
        for length in [1, MINUTE, 10 * MINUTE + 1, 40 * MINUTE] {
            let range = range(start, start + length);
            check(std::slice::from_ref(&block), Some(range), &options, &format!("{range:?}"));
        }
    }
}

fn samples(times: &[TimestampMs]) -> Vec<Sample> {
    times.iter().map(|t| float(*t, 1.5)).collect()
}

#[test]
fn times_before_1970_and_extreme_ones() {
    let one = |times: &[TimestampMs]| block_of(&[(named("a"), samples(times))]);
    check(&[one(&[-100_000_000, -5, -1, 0, 1, 7])], None, &options(), "before 1970");
    check(&[one(&[i64::MIN, i64::MIN + 1, i64::MIN + 100])], None, &options(), "the beginning of time");
    check(&[one(&[i64::MAX - 100, i64::MAX - 2, i64::MAX - 1])], None, &options(), "the end of time");
    let mut wide = options();
    for duration in [i64::MAX as u64, u64::MAX] {
        wide.data_column_duration_ms = NonZeroU64::new(duration).unwrap();
        check(&[one(&[i64::MIN, 0, i64::MAX - 1])], None, &wide, "all of time");
    }
    let error = converted(&[one(&[i64::MIN, 0, i64::MAX - 1])], None, &options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
    let error = converted(&[one(&[0, 400 * 24 * 3_600_000])], None, &{
        let mut options = options();
        options.data_column_duration_ms = NonZeroU64::new(3_600_000).unwrap();
        options
    });
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.to_string().contains("data columns of 3600000 ms, more than 8784"), "{error}");
    // No half-open range holds the last millisecond: that must not look as if it were converted.
    let last = one(&[i64::MAX - 2, i64::MAX]);
    let error = converted(std::slice::from_ref(&last), None, &options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains(&i64::MAX.to_string()), "{error}");
    // Unless it was asked for all but that.
    let (found, _) = converted(&[last], Some(range(0, i64::MAX)), &wide).unwrap();
    assert_eq!(found[&named("a")].len(), 1);
}
