//! Writes the labels file of a shard.

use std::{ops::Range, sync::Arc};

use parquet::bloom_filter::Sbbf;
use prometheus_model::stable_hash;
use prometheus_tsdb_block::MergedSymbols;
use promparquet_schema::{Column, LABELS_SCHEMA_ROOT, row_index, series_hash_cell};
use rustc_hash::FxHashMap;
use snafu::ResultExt;

use crate::{
    control::Control,
    error::{Error, ParquetSnafu},
    options::Options,
    output::Output,
    parquet_file::{
        Compression, Compressor, FileColumn, FileWriter, Page, PageBounds, Spill, dictionary_page, label_page,
        lower_bound, prefix_page, upper_bound, value_page,
    },
    rows::{LABEL_BATCH_ROWS, LabelBatch, Rows, ShardJob, ShardRows, Source},
};

/// False positives of a bloom filter; about ten bits for each value, as in `parquet-go`.
const BLOOM_FILTER_FPP: f64 = 0.01;

/// Writes it; beyond `spill_after_bytes`, pages wait on disk.
pub(crate) fn write(job: ShardJob<'_>, spill_after_bytes: usize, output: &mut Output) -> Result<(), Error> {
    let ShardJob { source, rows, shard, data_columns, options, control } = job;
    let compression = options.labels_compression;
    let mut columns = Vec::with_capacity(shard.names.len() + 2);
    for &name in &shard.names {
        let label = source.symbols.get(name)?;
        columns.push(FileColumn { column: Column::Label(label.to_owned()), compression });
    }
    let has_name = |label: &String| {
        let symbol = source.symbols.find(label)?;
        shard.names.binary_search(&symbol).ok()
    };
    let sorting: Vec<usize> = options.sort_labels.iter().filter_map(has_name).collect();
    let with_bloom_filter: Vec<usize> = options.bloom_filter_labels.iter().filter_map(has_name).collect();
    columns.push(FileColumn { column: Column::RowIndex, compression });
    // Hashes are random bytes: compressing them would cost time and space.
    columns.push(FileColumn { column: Column::SeriesHash, compression: Compression::None });
    let spill = Spill { after_bytes: spill_after_bytes, dir: &options.temp_dir };
    let mut file = FileWriter::new(output, LABELS_SCHEMA_ROOT, columns, &sorting, data_columns, spill)?;
    let mut group = Group::new(source, shard, options)?;
    for range in &shard.row_groups {
        group.write(rows, range.clone(), &with_bloom_filter, control, &mut file)?;
    }
    file.finish()
}

/// The columns of one row group; reused for the next.
struct Group<'a> {
    source: &'a Source<'a>,
    /// For each symbol that is a label name of the shard, its column.
    column_of: Vec<u32>,
    labels: Vec<LabelColumn>,
    row_index: CellColumn,
    hashes: CellColumn,
    page_rows: u32,
    compressor: Compressor,
    plain: Compressor,
}

impl<'a> Group<'a> {
    fn new(source: &'a Source<'a>, shard: &ShardRows, options: &Options) -> Result<Self, Error> {
        let mut column_of = vec![0; source.symbols.len()];
        for (column, name) in (0..).zip(&shard.names) {
            column_of[*name as usize] = column;
        }
        Ok(Self {
            source,
            column_of,
            labels: shard.names.iter().map(|_| LabelColumn::default()).collect(),
            row_index: CellColumn::default(),
            hashes: CellColumn::default(),
            page_rows: options.label_page_rows(),
            compressor: Compressor::new(options.labels_compression)?,
            plain: Compressor::new(Compression::None)?,
        })
    }

    fn write(
        &mut self,
        rows: &Rows,
        range: Range<usize>,
        with_bloom_filter: &[usize],
        control: &Control,
        file: &mut FileWriter<'_>,
    ) -> Result<(), Error> {
        let mut labels = LabelBatch::default();
        let mut row_of_page = 0;
        let mut columns = Vec::new();
        for start in range.clone().step_by(LABEL_BATCH_ROWS) {
            control.check()?;
            let batch = start..(start + LABEL_BATCH_ROWS).min(range.end);
            labels.read(self.source, rows, batch.clone())?;
            for n in 0..batch.len() {
                columns.clear();
                let of_row = labels.of(n);
                for label in of_row {
                    let column = self.column_of[label.name as usize];
                    self.labels[column as usize].push(row_of_page, label.value);
                    columns.push(column);
                }
                // Columns are in byte order of the names, and so are labels.
                row_index::encode(&columns, &mut self.row_index.data);
                self.row_index.end_cell();
                let hash = self.hash(of_row)?;
                self.hashes.data.extend(series_hash_cell(hash));
                self.hashes.end_cell();
                row_of_page += 1;
                if row_of_page == self.page_rows {
                    self.end_page(row_of_page, file)?;
                    row_of_page = 0;
                }
            }
        }
        if row_of_page > 0 {
            self.end_page(row_of_page, file)?;
        }
        let symbols = self.source.symbols;
        for (i, column) in self.labels.iter_mut().enumerate() {
            let LabelColumn { entries, .. } = std::mem::take(column);
            let dictionary =
                dictionary_page(|| entries.iter().map(|symbol| symbols.get(*symbol)), &mut self.compressor)?;
            let with_bloom_filter = with_bloom_filter.contains(&i);
            let bloom_filter = with_bloom_filter.then(|| bloom_filter(&entries, symbols)).transpose()?;
            file.finish_column(i, Some(&dictionary), bloom_filter)?;
        }
        file.end_row_group(range.len() as u64)
    }

    fn hash(&self, labels: &[prometheus_tsdb_index::LabelRef]) -> Result<u64, Error> {
        let mut failed = None;
        let mut text = |symbol| match self.source.symbols.get(symbol) {
            Ok(text) => text.as_bytes(),
            Err(error) => {
                failed = Some(error);
                &[]
            }
        };
        let hash = stable_hash(labels.iter().map(|label| (text(label.name), text(label.value))));
        failed.map_or(Ok(hash), Err).map_err(Error::from)
    }

    fn end_page(&mut self, rows: u32, file: &mut FileWriter<'_>) -> Result<(), Error> {
        // Columns without a value are many where each series has few of the labels there are.
        let absent = Arc::new(label_page(rows, &[], &[], None, &mut self.compressor)?);
        for (i, column) in self.labels.iter_mut().enumerate() {
            if column.present.is_empty() {
                file.shared_page(i, &absent);
            } else {
                file.data_page(i, column.end_page(rows, self.source, &mut self.compressor)?)?;
            }
        }
        let (row_index, hashes) = (self.labels.len(), self.labels.len() + 1);
        let cells = &mut self.row_index;
        file.data_page(row_index, prefix_page(&cells.lengths, &cells.data, &mut self.compressor)?)?;
        cells.clear();
        let cells = &mut self.hashes;
        file.data_page(hashes, value_page(&cells.lengths, &cells.data, &mut self.plain)?)?;
        cells.clear();
        Ok(())
    }
}

fn bloom_filter(entries: &[u32], symbols: &MergedSymbols<'_>) -> Result<Box<Sbbf>, Error> {
    let filter = Sbbf::new_with_ndv_fpp(entries.len().max(1) as u64, BLOOM_FILTER_FPP);
    let mut filter = filter.context(ParquetSnafu { what: "bloom filter" })?;
    for entry in entries {
        filter.insert(symbols.get(*entry)?);
    }
    Ok(Box::new(filter))
}

/// A label column of the open row group. Values are symbols; their order is that of the strings.
#[derive(Default)]
struct LabelColumn {
    index_of: FxHashMap<u32, u32>,
    /// The dictionary, in the order in which values first came.
    entries: Vec<u32>,
    /// The last value and its index: neighbours often share it.
    last: Option<(u32, u32)>,
    present: Vec<u32>,
    indexes: Vec<u32>,
    /// Least and greatest value of the open page.
    bounds: Option<(u32, u32)>,
}

impl LabelColumn {
    fn push(&mut self, row: u32, value: u32) {
        let index = match self.last {
            Some((last, index)) if last == value => index,
            _ => {
                let next = self.entries.len() as u32; // at most one for each row
                let index = *self.index_of.entry(value).or_insert(next);
                if index == next {
                    self.entries.push(value);
                }
                let bounds = self.bounds.get_or_insert((value, value));
                *bounds = (bounds.0.min(value), bounds.1.max(value));
                self.last = Some((value, index));
                index
            }
        };
        self.present.push(row);
        self.indexes.push(index);
    }

    fn end_page(&mut self, rows: u32, source: &Source<'_>, compressor: &mut Compressor) -> Result<Page, Error> {
        let bounds = match self.bounds.take() {
            None => None,
            Some((min, max)) => {
                let (min, max) = (source.symbols.get(min)?, source.symbols.get(max)?);
                Some(PageBounds { min: lower_bound(min).0.to_owned(), max: upper_bound(max).0 })
            }
        };
        // Not kept for the next page: another column may be as long there, and all together longer than a page.
        let (present, indexes) = (std::mem::take(&mut self.present), std::mem::take(&mut self.indexes));
        // The next page's bounds must include its first value, even if it is the same as the last of this page.
        self.last = None;
        label_page(rows, &present, &indexes, bounds, compressor)
    }
}

/// A required column of the open row group.
#[derive(Default)]
struct CellColumn {
    lengths: Vec<u32>,
    data: Vec<u8>,
    ended: usize,
}

impl CellColumn {
    fn end_cell(&mut self) {
        self.lengths.push((self.data.len() - self.ended) as u32);
        self.ended = self.data.len();
    }

    fn clear(&mut self) {
        self.lengths.clear();
        self.data.clear();
        self.ended = 0;
    }
}
