//! The samples of a row, and whether its cells follow the layout.

use prometheus_model::{Sample, TimestampMs, Value};
use promparquet_schema::{DataColumns, cell};

/// What a row holds.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// Strictly ascending by time.
    pub(super) samples: Vec<Sample>,
    pub(super) counts: RowCounts,
}

/// How much a row holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct RowCounts {
    pub(super) samples: u64,
    pub(super) histograms: u64,
    pub(super) chunks: u64,
}

/// Decodes the cells of a row, given with the index of their data columns; the error is what is wrong with it.
pub(super) fn read_row<'a>(columns: DataColumns, cells: impl Iterator<Item = (u32, &'a [u8])>) -> Result<Row, String> {
    let mut row = Row::default();
    for (column, cell) in cells {
        let mut previous: Option<(u8, TimestampMs)> = None;
        for record in cell::records(cell) {
            let record = record.map_err(|e| format!("data column {column}: {e}"))?;
            let (min, max) = (record.min_time, record.max_time);
            let chunk = format!("data column {column}, chunk from {min} to {max}");
            let samples = super::decode(record.encoding, record.data).map_err(|e| format!("{chunk}: {e}"))?;
            let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
                return Err(format!("{chunk}: no samples"));
            };
            let (first, last) = (first.timestamp, last.timestamp);
            // Go writers begin with a last time of 0, and let it stand for chunks that are older than 1970.
            if first != min || last != max && !(last < 0 && max == 0) {
                return Err(format!("{chunk}: its samples are from {first} to {last}"));
            }
            if let Some(w) = samples.windows(2).find(|w| w[0].timestamp >= w[1].timestamp) {
                return Err(format!("{chunk}: a sample at {} after one at {}", w[1].timestamp, w[0].timestamp));
            }
            for t in [first, last] {
                let belongs = column_of(columns, t);
                if belongs != u64::from(column) {
                    return Err(format!("{chunk}: a sample at {t}, which belongs into column {belongs}"));
                }
            }
            // Where floats and histograms alternate, Go writers keep one chunk of each open: only chunks of the same
            // encoding follow each other.
            if previous.is_some_and(|previous| previous >= (record.encoding, first)) {
                return Err(format!("{chunk}: not in order of encoding and time"));
            }
            previous = Some((record.encoding, last));
            row.counts.chunks += 1;
            row.samples.extend(samples);
        }
    }
    row.samples.sort_by_key(|sample| sample.timestamp);
    if let Some(w) = row.samples.windows(2).find(|w| w[0].timestamp == w[1].timestamp) {
        return Err(format!("two samples at {}", w[0].timestamp));
    }
    row.counts.samples = row.samples.len() as u64;
    row.counts.histograms = row.samples.iter().filter(|sample| !matches!(sample.value, Value::Float(_))).count() as u64;
    Ok(row)
}

/// The layout's own words: times before the first column belong into it, all others by division.
pub(super) fn column_of(columns: DataColumns, t: TimestampMs) -> u64 {
    if t < columns.min_time() { 0 } else { t.abs_diff(columns.min_time()) / columns.duration_ms() }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use prometheus_chunks::XorEncoder;
    use prometheus_model::TimeRange;

    use super::*;

    fn columns() -> DataColumns {
        DataColumns::new(TimeRange::new(100, 400).unwrap(), NonZeroU64::new(100).unwrap()).unwrap()
    }

    fn put(cell: &mut Vec<u8>, min: i64, max: i64, times: &[i64]) {
        let mut encoder = XorEncoder::new();
        times.iter().for_each(|t| encoder.push(*t, 1.0).unwrap());
        cell::put_header(1, min, max, encoder.bytes().len() as u32, cell);
        cell.extend(encoder.bytes());
    }

    /// First and last time as the header says, and the timestamps.
    type Chunk<'a> = (i64, i64, &'a [i64]);

    fn read(cells: &[(u32, Vec<Chunk<'_>>)]) -> Result<Vec<i64>, String> {
        let encode = |chunks: &Vec<Chunk<'_>>| {
            let mut cell = Vec::new();
            chunks.iter().for_each(|(min, max, times)| put(&mut cell, *min, *max, times));
            cell
        };
        let cells: Vec<_> = cells.iter().map(|(column, chunks)| (*column, encode(chunks))).collect();
        let row = read_row(columns(), cells.iter().map(|(column, cell)| (*column, cell.as_slice())))?;
        Ok(row.samples.iter().map(|s| s.timestamp).collect())
    }

    #[test]
    fn good_rows() {
        let good = read(&[
            (0, vec![(100, 110, &[100, 110]), (120, 120, &[120])]),
            (1, vec![]),
            (2, vec![(300, 399, &[300, 399])]),
        ]);
        assert_eq!(good.unwrap(), [100, 110, 120, 300, 399]);
    }

    #[test]
    fn each_thing_that_can_be_wrong() {
        for (cells, expected) in [
            (vec![(0, vec![(150, 210, &[150, 210][..])])], "a sample at 210, which belongs into column 1"),
            (vec![(1, vec![(150, 160, &[150, 160][..])])], "a sample at 150, which belongs into column 0"),
            (vec![(0, vec![(150, 161, &[150, 160][..])])], "its samples are from 150 to 160"),
            (vec![(0, vec![(149, 160, &[150, 160][..])])], "its samples are from 150 to 160"),
            (vec![(0, vec![(150, 160, &[150, 155, 155, 160][..])])], "a sample at 155 after one at 155"),
            (vec![(0, vec![(150, 160, &[][..])])], "no samples"),
            (
                vec![(0, vec![(150, 160, &[150, 160][..]), (155, 165, &[155, 165][..])])],
                "not in order of encoding and time",
            ),
            (vec![(0, vec![(150, 160, &[150, 160][..])]), (0, vec![(160, 160, &[160][..])])], "two samples at 160"),
        ] {
            let error = read(&cells).unwrap_err();
            assert!(error.contains(expected), "expected {expected:?}, found {error:?}");
        }
        let mut cell = Vec::new();
        put(&mut cell, 150, 150, &[150]);
        cell.pop();
        assert!(read_row(columns(), [(0, cell.as_slice())].into_iter()).unwrap_err().contains("chunk cell at byte"));
    }
}
