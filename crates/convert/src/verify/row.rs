//! The samples of a row, and whether its cells follow the layout.

use prometheus_model::{Sample, TimestampMs, Value};
use promparquet_schema::{DataColumns, cell};

/// What a row holds.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// Strictly ascending by time.
    pub(super) samples: Vec<Sample>,
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
            row.chunks += 1;
            row.samples.extend(samples);
        }
    }
    row.samples.sort_by_key(|sample| sample.timestamp);
    if let Some(w) = row.samples.windows(2).find(|w| w[0].timestamp == w[1].timestamp) {
        return Err(format!("two samples at {}", w[0].timestamp));
    }
    row.histograms = row.samples.iter().filter(|sample| !matches!(sample.value, Value::Float(_))).count() as u64;
    Ok(row)
}

/// The layout's own words: times before the first column belong into it, all others by division.
fn column_of(columns: DataColumns, t: TimestampMs) -> u64 {
    if t < columns.min_time() { 0 } else { t.abs_diff(columns.min_time()) / columns.duration_ms() }
}
