//! Files whose metadata mislead, and layouts that only other writers make: the answers are those of the rows.

use std::{collections::BTreeMap, sync::Arc};

use prometheus_model::{Labels, Sample, TimeRange};
use prometheus_queryable::{
    LabelHints, MatchOp, Matcher, MemoryQueryable, Queryable as _, SelectHints, Sharding, conformance::same_sample,
};
use promparquet_query::{Options, Pruning};
use promparquet_schema::{Column, chunks_file, labels_file};
use promparquet_shard::Shard;

use crate::{
    forge::{ForgedColumn, ForgedFile, Row, files, honest_record, record},
    shards::{NAME, Series, matcher, memory_bucket, queryable, runtime, select},
};

const HOUR: i64 = 3_600_000;

fn samples(range: std::ops::Range<i64>) -> Vec<(i64, f64)> {
    range.step_by(60_000).map(|t| (t, t as f64 / 7.0)).collect()
}

/// In label order.
fn rows() -> Vec<Row> {
    let cells = |n: i64| {
        let late = if n == 2 { Vec::new() } else { honest_record(&samples(HOUR..HOUR + 500_000 * (n + 1))) };
        vec![honest_record(&samples(n * 60_000..600_000)), late]
    };
    let labels: [Vec<(&str, &str)>; 7] = [
        vec![("job", "api")],
        vec![("__name__", "down"), ("pod", "a"), ("zone", "x")],
        vec![("__name__", "up"), ("job", "api"), ("pod", "a")],
        vec![("__name__", "up"), ("job", "api"), ("pod", "b"), ("zone", "x")],
        vec![("__name__", "up"), ("job", "db"), ("pod", "a"), ("zone", "y")],
        vec![("__name__", "up"), ("job", "web")],
        vec![("__name__", "up"), ("pod", "c"), ("zone", "x")],
    ];
    let mut rows: Vec<Row> = (0..).zip(labels).map(|(n, labels)| (labels, cells(n))).collect();
    rows.sort_by_key(labels_of);
    rows
}

fn labels_of(row: &Row) -> Labels {
    Labels::from_pairs(row.0.iter().copied().filter(|(_, value)| !value.is_empty())).unwrap()
}

fn times() -> TimeRange {
    TimeRange::new(0, 2 * HOUR).unwrap()
}

/// The series that rows hold; of samples at one time the first is kept.
fn expected(rows: &[Row]) -> Series {
    let mut all: BTreeMap<Labels, BTreeMap<i64, Sample>> = BTreeMap::new();
    for row in rows {
        let series = all.entry(labels_of(row)).or_default();
        for record in row.1.iter().flat_map(|cell| promparquet_schema::cell::records(cell)) {
            let mut samples = Vec::new();
            prometheus_chunks::decode(prometheus_chunks::Encoding::Xor, record.unwrap().data, &mut samples).unwrap();
            for sample in samples {
                series.entry(sample.timestamp).or_insert(sample);
            }
        }
    }
    all.into_iter().map(|(labels, samples)| (labels, samples.into_values().collect())).collect()
}

async fn open(files: &[ForgedFile; 2]) -> Arc<Shard> {
    let bucket = memory_bucket();
    bucket.put(&labels_file(NAME, 0), files[0].bytes()).await.unwrap();
    bucket.put(&chunks_file(NAME, 0), files[1].bytes()).await.unwrap();
    Arc::new(Shard::open(&bucket, NAME, 0).await.unwrap_or_else(|e| panic!("{e}")))
}

fn questions() -> Vec<Vec<Matcher>> {
    use MatchOp::{Equal, NotEqual, NotRegex, Regex};
    let one = [
        ("__name__", Equal, "up"),
        ("__name__", NotEqual, "up"),
        ("pod", Equal, "a"),
        ("pod", Equal, "no such pod"),
        ("pod", Equal, ""),
        ("pod", NotEqual, ""),
        ("pod", Regex, "a|c"),
        ("pod", NotRegex, "a|c"),
        ("zone", Regex, "x.*|"),
        ("zone", Regex, ".+"),
        ("zone", NotRegex, ".+"),
        ("job", Regex, "a.*"),
        ("gone", Equal, ""),
        ("gone", NotEqual, ""),
    ];
    let one = one.map(|(name, op, value)| matcher(name, op, value));
    let mut all = vec![Vec::new()];
    all.extend(one.iter().map(|m| vec![m.clone()]));
    for (i, a) in one.iter().enumerate() {
        all.extend(one[i + 1..].iter().map(|b| vec![a.clone(), b.clone()]));
    }
    all
}

/// Everything that can be asked, with and without pruning.
async fn check(what: &str, files: &[ForgedFile; 2], rows: &[Row]) {
    let shard = open(files).await;
    let series = expected(rows);
    let bounds = series.values().flatten().map(|s| s.timestamp);
    let (min, max) = (bounds.clone().min().unwrap(), bounds.max().unwrap());
    let memory = MemoryQueryable::new(series).unwrap();
    let mut plain = Options::default();
    plain.pruning = Pruning::NONE;
    let mut small = Options::default();
    small.window_series = 1.try_into().unwrap();
    small.window_bytes = 1.try_into().unwrap();
    let ranges = [
        TimeRange::ALL,
        TimeRange::new(min, min + 1).unwrap(),
        TimeRange::new(max, max + 1).unwrap(),
        TimeRange::new(min + 120_001, max - 120_000).unwrap(),
        TimeRange::new(max + 1, max + HOUR).unwrap(),
        TimeRange::new(min - HOUR, min).unwrap(),
    ];
    for options in [Options::default(), plain, small] {
        let store = queryable(vec![Arc::clone(&shard)], options);
        for matchers in questions() {
            let what = format!("{what}: {matchers:?}, {:?}", options.pruning);
            for range in ranges {
                let mut hints = SelectHints::new(range);
                let half = Sharding { index: 1, count: 2.try_into().unwrap() };
                for sharding in [None, Some(half)].into_iter().take(if range == TimeRange::ALL { 2 } else { 1 }) {
                    hints.sharding = sharding;
                    let found = select(&store, &matchers, &hints).await.unwrap_or_else(|e| panic!("{what}: {e}"));
                    let expected = select(&memory, &matchers, &hints).await.unwrap();
                    let names = |series: &Series| series.keys().map(ToString::to_string).collect::<Vec<_>>();
                    assert_eq!(names(&found), names(&expected), "{what}, {hints:?}");
                    for ((labels, found), expected) in found.iter().zip(expected.values()) {
                        let same = |(a, b): (&Sample, &Sample)| same_sample(a, b, true);
                        let is_same = found.len() == expected.len() && found.iter().zip(expected).all(same);
                        assert!(is_same, "{what}, {labels}, {hints:?}: {found:?}, not {expected:?}");
                    }
                }
            }
            let querier = store.querier(TimeRange::ALL).await.unwrap();
            let truth = memory.querier(TimeRange::ALL).await.unwrap();
            let all = LabelHints::default();
            // Row indexes name labels that are there but empty, too.
            if !rows.iter().flat_map(|(labels, _)| labels).any(|(_, value)| value.is_empty()) {
                let found = querier.label_names(&matchers, &all).await.unwrap().strings;
                assert_eq!(found, truth.label_names(&matchers, &all).await.unwrap().strings, "names, {what}");
            }
            for name in ["__name__", "pod", "zone", "gone"] {
                let found = querier.label_values(name, &matchers, &all).await.unwrap().strings;
                let expected = truth.label_values(name, &matchers, &all).await.unwrap().strings;
                assert_eq!(found, expected, "values of {name}, {what}");
            }
        }
    }
}

fn run(what: &str, rows: &[Row], change: impl Fn(&mut [ForgedFile; 2])) {
    for page_rows in [1, 3, 100] {
        let mut files = files(rows, times(), HOUR as u64, page_rows);
        change(&mut files);
        runtime().block_on(check(&format!("{what}, pages of {page_rows} rows"), &files, rows));
    }
}

#[test]
fn nothing_misleads() {
    run("honest", &rows(), |_| {});
}

/// Go writers that are told to leave bounds out write empty ones.
#[test]
fn empty_bounds_of_labels() {
    run("empty bounds", &rows(), |[labels, _]| {
        for page in labels.columns.iter_mut().flat_map(|column| &mut column.pages) {
            (page.min, page.max) = (Vec::new(), Vec::new());
        }
    });
}

#[test]
fn columns_without_a_column_index() {
    for name in ["__name__", "pod", "zone"] {
        run(&format!("no column index of {name}"), &rows(), |[labels, _]| {
            labels.column(&Column::Label(name.into())).has_column_index = false;
        });
    }
    run("no column index at all", &rows(), |files| {
        files.iter_mut().flat_map(|file| &mut file.columns).for_each(|column| column.has_column_index = false);
    });
}

/// A label that no row has, as where all series of it were deleted, of which no column index tells.
#[test]
fn a_column_that_no_row_uses() {
    for has_column_index in [false, true] {
        run("an unused column", &rows(), |[labels, _]| {
            let none = vec![None; rows().len()];
            let mut column = ForgedColumn::labels("gone", &none, &[], 2);
            column.has_column_index = has_column_index;
            // Between `__name__` and `job`, whose row indexes therefore count one more.
            labels.columns.insert(1, column);
            let names: Vec<_> = labels.columns.iter().map(|column| column.column.clone()).collect();
            let indexes: Vec<_> = rows()
                .iter()
                .map(|(pairs, _)| {
                    let used = (0..).zip(&names).filter(
                        |(_, column)| matches!(column, Column::Label(name) if pairs.iter().any(|(n, _)| n == name)),
                    );
                    let mut cell = Vec::new();
                    promparquet_schema::row_index::encode(&used.map(|(i, _)| i).collect::<Vec<u32>>(), &mut cell);
                    cell
                })
                .collect();
            *labels.column(&Column::RowIndex) = ForgedColumn::values(Column::RowIndex, &indexes, 2);
        });
    }
}

/// Rows in another order than the metadata say, and in no order at all.
#[test]
fn wrong_sorting_columns() {
    let mut shuffled = rows();
    shuffled.reverse();
    shuffled.swap(1, 4);
    for rows in [rows(), shuffled] {
        run("sorting columns", &rows, |[labels, _]| labels.sorting = vec![(2, true), (0, false)]);
    }
}

/// Go writers take a block's exclusive end for its last time.
#[test]
fn an_empty_last_data_column() {
    run("an empty column", &rows(), |files| {
        let cells = vec![Vec::new(); rows().len()];
        files[1].columns.push(ForgedColumn::values(Column::Data(2), &cells, 3));
        let more = TimeRange::new(0, 2 * HOUR + 1).unwrap();
        let data = promparquet_schema::DataColumns::new(more, (HOUR as u64).try_into().unwrap()).unwrap();
        files.iter_mut().for_each(|file| file.data_columns = data);
    });
    // One that the metadata mention, and the file does not have.
    run("a missing column", &rows(), |files| {
        let more = TimeRange::new(0, 2 * HOUR + 1).unwrap();
        let data = promparquet_schema::DataColumns::new(more, (HOUR as u64).try_into().unwrap()).unwrap();
        files.iter_mut().for_each(|file| file.data_columns = data);
    });
}

#[test]
fn chunks_that_overlap_in_a_cell() {
    let mut rows = rows();
    for (n, (_, cells)) in rows.iter_mut().enumerate() {
        let mut late: Vec<_> = samples(300_000..900_000);
        late.iter_mut().for_each(|(t, v)| {
            *t += n as i64 % 2;
            *v += 1.0;
        });
        cells[0].extend(honest_record(&late));
        // Contained in both, and a copy of it.
        let copy = honest_record(&samples(300_000..420_000));
        cells[0].extend([&copy[..], &copy].concat());
    }
    run("overlapping chunks", &rows, |_| {});
}

#[test]
fn rows_of_the_same_labels() {
    let mut all = rows();
    for n in [1, 3, 5] {
        let mut copy = rows()[n].clone();
        copy.1[0] = honest_record(&samples(200_000..1_500_000));
        all.push(copy);
    }
    all.push(rows()[5].clone());
    run("unsorted copies", &all, |_| {});
    all.sort_by_key(labels_of);
    run("neighbours", &all, |_| {});
}

/// Go writers say 0 where the last sample of a chunk is before 1970.
#[test]
fn chunks_before_1970_that_claim_to_end_then() {
    let mut rows = rows();
    for (n, (_, cells)) in rows.iter_mut().enumerate() {
        let chunk = |from: i64, to: i64| {
            let samples = samples(from..to);
            let max = samples.last().unwrap().0.max(0);
            record(&samples, (samples[0].0, max))
        };
        let n = n as i64 * 60_000;
        cells[0] = [chunk(n - 3_000_000, -2_000_000), chunk(-1_900_000, -900_000)].concat();
        cells[1] = chunk(n, 700_000);
    }
    let times = TimeRange::new(-HOUR, HOUR).unwrap();
    for page_rows in [1, 3, 100] {
        runtime().block_on(check("before 1970", &files(&rows, times, HOUR as u64, page_rows), &rows));
    }
}

/// Version 1 of the layout: shards of a hash, and projections, without hashes in the file.
#[test]
fn without_hashes() {
    let without = |[labels, _]: &mut [ForgedFile; 2]| labels.columns.retain(|c| c.column != Column::SeriesHash);
    run("no hashes", &rows(), without);
    let mut files = files(&rows(), times(), HOUR as u64, 2);
    without(&mut files);
    runtime().block_on(async {
        let store = queryable(vec![open(&files).await], Options::default());
        let querier = store.querier(TimeRange::ALL).await.unwrap();
        assert!(!querier.honours_projection());
        let mut hints = SelectHints::new(TimeRange::ALL);
        hints.projection = Some(prometheus_queryable::Projection::Include(["pod".to_owned()].into()));
        assert_eq!(select(&store, &[], &hints).await.unwrap(), expected(&rows()));
    });
}

/// Entries that no row uses change no select, and no values asked for with a matcher. Without one, values are those of the
/// dictionary: so documented, since codes are many times as much to read, and no known writer leaves entries behind.
#[test]
fn entries_that_no_row_uses() {
    let rows = rows();
    let pods: Vec<_> =
        rows.iter().map(|(labels, _)| labels.iter().find(|(n, _)| *n == "pod").map(|(_, v)| *v)).collect();
    let mut files = files(&rows, times(), HOUR as u64, 2);
    let column = ForgedColumn::labels("pod", &pods, &["no such pod", "z"], 2);
    *files[0].column(&Column::Label("pod".into())) = column;
    runtime().block_on(async {
        let store = queryable(vec![open(&files).await], Options::default());
        let memory = MemoryQueryable::new(expected(&rows)).unwrap();
        let querier = store.querier(TimeRange::ALL).await.unwrap();
        let truth = memory.querier(TimeRange::ALL).await.unwrap();
        let all = LabelHints::default();
        for matchers in questions() {
            let hints = SelectHints::new(TimeRange::ALL);
            let found = select(&store, &matchers, &hints).await.unwrap();
            assert_eq!(found, select(&memory, &matchers, &hints).await.unwrap(), "{matchers:?}");
            let found = querier.label_values("pod", &matchers, &all).await.unwrap().strings;
            let expected = truth.label_values("pod", &matchers, &all).await.unwrap().strings;
            match matchers.is_empty() {
                false => assert_eq!(found, expected, "{matchers:?}"),
                true => assert_eq!(found, ["a", "b", "c", "no such pod", "z"]),
            }
        }
    });
}

/// An empty value is none, though the layout has none.
#[test]
fn empty_values_are_none() {
    let mut rows = rows();
    rows[2].0.push(("zone", ""));
    rows[5].0.insert(2, ("pod", ""));
    for (labels, _) in &mut rows {
        if !labels.iter().any(|(name, _)| *name == "aa") {
            labels.insert(usize::from(labels[0].0 == "__name__"), ("aa", ""));
        }
    }
    run("empty values", &rows, |_| {});
    let last = rows.len() - 1;
    rows[last].0[1].1 = "x";
    rows.sort_by_key(labels_of);
    run("some empty values", &rows, |_| {});
}
