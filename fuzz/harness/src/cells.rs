//! Cells, row indexes, footer keys and column names of shards; cells and descriptions of days and streams.
//!
//! ```text
//! input = mode(u8) rest
//! mode  = bits 0-1: 0 a chunk cell; 1 a row index, with bits 2-7 columns; 2 footer keys, split at newlines; 3 by bits 2-7: 1 a
//!         day's chunk cell, 2 its description, 3 a stream's, 4 a directory's name, else a column name
//! ```
//!
//! Holds: what is read is the same after it was written; time and columns map to each other.

use promparquet_schema::{
    Column, DataColumns, Layout, cell,
    day::{self, Day, DayMeta},
    day_cell, label_of_column, row_index,
};

pub(crate) fn run(input: &[u8]) {
    let Some((&mode, rest)) = input.split_first() else { return };
    match mode & 3 {
        0 => chunk_cell(rest),
        1 => row(rest, [0, 1, 64, 300, 70_000, u32::MAX][usize::from(mode >> 2) % 6]),
        2 => footer(&String::from_utf8_lossy(rest)),
        _ => match mode >> 2 {
            1 => day_chunk_cell(rest),
            2 => day_meta(rest),
            3 => stream(rest),
            4 => directory(&String::from_utf8_lossy(rest)),
            _ => name(&String::from_utf8_lossy(rest)),
        },
    }
}

fn day_chunk_cell(bytes: &[u8]) {
    let records: Vec<_> = day_cell::records(bytes).collect();
    let whole = records.iter().all(Result::is_ok);
    assert!(records.iter().rev().skip(1).all(Result::is_ok), "a record after an error");
    let mut written = Vec::new();
    for record in records.iter().flatten() {
        let length = u32::try_from(record.data.len()).expect("inputs are short");
        day_cell::put_header(record.encoding, record.min_time, record.max_time, length, &mut written);
        written.extend_from_slice(record.data);
    }
    assert!(bytes.starts_with(&written));
    assert_eq!(whole, written.len() == bytes.len());
}

fn day_meta(bytes: &[u8]) {
    for start in [0, 20_000 * day::DAY_MS] {
        let Ok(meta) = DayMeta::decode(bytes, start) else { continue };
        assert!(meta.shards > 0 && meta.day.version() <= 2 && meta.day.start() == start);
        assert_eq!(DayMeta::decode(&meta.encode(), start).ok(), Some(meta));
    }
}

fn stream(bytes: &[u8]) {
    let Some((hash, bytes)) = bytes.split_first_chunk() else { return };
    if let Ok(labels) = day::external_labels(bytes, u64::from_be_bytes(*hash)) {
        let hash = day::stream_hash(labels.iter());
        assert_eq!(day::external_labels(&day::encode_external_labels(&labels), hash).ok(), Some(labels));
    }
}

fn directory(name: &str) {
    if let Some(start) = day::start_of_directory(name) {
        assert!(Day::new(2, start).is_ok() && (8..=10).contains(&name.len()));
    }
    assert!(day::stream_of_directory(name).is_none_or(|hash| hash.to_string() == name));
}

fn chunk_cell(bytes: &[u8]) {
    let records: Vec<_> = cell::records(bytes).collect();
    let whole = records.iter().all(Result::is_ok);
    assert!(records.iter().rev().skip(1).all(Result::is_ok), "a record after an error");
    let records: Vec<_> = records.into_iter().flatten().collect();
    let mut written = Vec::new();
    for record in &records {
        let before = written.len();
        let length = u32::try_from(record.data.len()).expect("inputs are short");
        cell::put_header(record.encoding, record.min_time, record.max_time, length, &mut written);
        assert!(written.len() - before <= cell::MAX_HEADER_LEN);
        written.extend_from_slice(record.data);
    }
    // Varints may be longer than they need be, so the bytes can differ.
    assert!(written.len() <= bytes.len());
    assert!(!whole || written.len() < bytes.len() || written == bytes);
    assert!(cell::records(&written).map(Result::ok).eq(records.into_iter().map(Some)));
}

fn row(bytes: &[u8], columns: u32) {
    let mut found = vec![7];
    if row_index::decode(bytes, columns, &mut found).is_err() {
        return;
    }
    assert!(found.is_sorted_by(|a, b| a < b) && found.iter().all(|c| *c < columns));
    let (mut written, mut again) = (Vec::new(), Vec::new());
    row_index::encode(&found, &mut written);
    row_index::decode(&written, columns, &mut again).expect("what was written");
    assert_eq!(found, again);
}

fn footer(text: &str) {
    let pairs = text.split('\n').filter_map(|line| line.split_once('='));
    let Ok(columns) = DataColumns::from_metadata(pairs) else { return };
    let metadata = columns.to_metadata();
    assert!(metadata.iter().all(|(key, _)| DataColumns::is_key(key)));
    let again = DataColumns::from_metadata(metadata.iter().map(|(key, value)| (*key, value.as_str())));
    assert_eq!(again.ok(), Some(columns));
    let last = columns.count() - 1;
    assert_eq!((columns.index_of(columns.min_time()), columns.index_of(columns.max_time())), (0, last));
    assert_eq!((columns.index_of(i64::MIN), columns.index_of(i64::MAX)), (0, last));
    for index in [0, 1, last / 2, last.saturating_sub(1), last].into_iter().filter(|i| *i <= last) {
        let range = columns.range_of(index).expect("the range of a column that there is");
        assert!(range.start() <= range.last());
        assert_eq!(columns.index_of(range.start()), index);
        assert_eq!(columns.index_of(range.last().min(columns.max_time())), index);
    }
    assert_eq!(columns.range_of(columns.count()), None);
}

fn name(text: &str) {
    let label = label_of_column(text);
    if let Some(column) = Column::from_name(text) {
        assert_eq!(column.name(), text);
        assert_eq!(label, if let Column::Label(name) = &column { Some(name.as_str()) } else { None });
    } else {
        assert_eq!(label, None);
    }
    let of_day = Layout::Day(Day::new(2, 0).expect("a day"));
    if let Some(column) = of_day.column(text) {
        assert_eq!(of_day.name_of(&column), text);
    }
}
