//! Rows whose chunks are those of the source, byte for byte: most rows, as a rule.

use prometheus_chunks::{Encoding, Xor2Decoder, XorDecoder};
use prometheus_model::{Sample, TimeRange, TimestampMs};
use prometheus_tsdb_block::RawChunk;
use promparquet_schema::{DataColumns, cell};

use super::row::{RowCounts, column_of};

/// Decodes into what it used before.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    timestamps: Vec<TimestampMs>,
    values: Vec<f64>,
    samples: Vec<Sample>,
}

/// What decoding tells of a chunk.
struct Decoded {
    samples: u64,
    histograms: u64,
    first: TimestampMs,
    last: TimestampMs,
}

impl Decoder {
    /// None if it cannot be decoded, is empty, or has timestamps that do not ascend.
    fn decode(&mut self, encoding: u8, data: &[u8]) -> Option<Decoded> {
        let encoding = Encoding::try_from(encoding).ok()?;
        self.timestamps.clear();
        self.values.clear();
        self.samples.clear();
        let histograms = match encoding {
            Encoding::Xor => {
                XorDecoder::new(data).ok()?.decode_into(&mut self.timestamps, &mut self.values).ok()?;
                0
            }
            Encoding::Xor2 => {
                Xor2Decoder::new(data).ok()?.decode_into(&mut self.timestamps, &mut self.values).ok()?;
                0
            }
            _ => {
                prometheus_chunks::decode(encoding, data, &mut self.samples).ok()?;
                self.timestamps.extend(self.samples.iter().map(|sample| sample.timestamp));
                self.timestamps.len() as u64
            }
        };
        let (first, last) = (*self.timestamps.first()?, *self.timestamps.last()?);
        let ascending = self.timestamps.windows(2).all(|w| w[0] < w[1]);
        ascending.then_some(Decoded { samples: self.timestamps.len() as u64, histograms, first, last })
    }
}

/// Checks that the chunks of a row are those of its source, each once, with the same bytes; that they can be decoded; and
/// that their samples ascend from the first to the last, lie in `range`, in their columns, and between the times that are
/// written beside them. So the row has exactly the samples of the source, nothing of which was deleted.
///
/// None if anything is otherwise, which need not be wrong.
pub(super) fn unchanged<'a>(
    columns: DataColumns,
    cells: impl Iterator<Item = (u32, &'a [u8])>,
    source: &mut Vec<(TimestampMs, &RawChunk)>,
    range: TimeRange,
    decoder: &mut Decoder,
) -> Option<RowCounts> {
    let mut records = Vec::new();
    for (column, cell) in cells {
        let mut previous: Option<(u8, TimestampMs)> = None;
        for record in cell::records(cell) {
            let record = record.ok()?;
            if previous.is_some_and(|previous| previous >= (record.encoding, record.min_time)) {
                return None;
            }
            previous = Some((record.encoding, record.max_time));
            records.push((column, record));
        }
    }
    if records.is_empty() || records.len() != source.len() {
        return None;
    }
    records.sort_by_key(|(_, record)| record.min_time);
    source.sort_by_key(|(min_time, _)| *min_time);
    let mut counts = RowCounts { chunks: records.len() as u64, ..RowCounts::default() };
    let mut before: Option<TimestampMs> = None;
    for ((column, record), (_, chunk)) in records.iter().zip(&*source) {
        if record.encoding != chunk.encoding || record.data != &*chunk.data {
            return None;
        }
        let decoded = decoder.decode(record.encoding, record.data)?;
        let (first, last) = (decoded.first, decoded.last);
        let in_column = [first, last].iter().all(|t| column_of(columns, *t) == u64::from(*column));
        let fits = first == record.min_time && last == record.max_time && range.contains(first) && range.contains(last);
        if !fits || !in_column || before.is_some_and(|before| before >= first) {
            return None;
        }
        before = Some(last);
        counts.samples += decoded.samples;
        counts.histograms += decoded.histograms;
    }
    Some(counts)
}
