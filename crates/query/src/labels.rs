//! Labels of the rows that were found.

use std::{cmp::Ordering, collections::BTreeSet, ops::Range, sync::Arc};

use bytes::Bytes;
use prometheus_model::{Labels, LabelsBuilder, stable_hash};
use prometheus_queryable::Projection;
use promparquet_schema::{Column, row_index};
use promparquet_shard::{ABSENT, ColumnChunk, Dictionary, FileKind, Page, ReadPlan, ValuePage};
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::{
    compute::with_decoder,
    error::{Error, Result},
    explain::Stage,
    presence::Presence,
    question::{NeededDictionary, Question},
    row_memory::RowLease,
    rows::RowRanges,
    search::Found,
};

/// Labels of some rows of a row group, as dictionary codes: some four bytes for each label.
#[derive(Clone, Default, Debug)]
pub(crate) struct LabelTable {
    /// The rows, ascending. A row's place here is its number in the table.
    rows: Vec<u32>,
    /// Columns that some row uses, ascending by name.
    columns: Vec<TableColumn>,
    /// Consecutive rows that use the same columns.
    runs: Vec<Run>,
    /// For each column that a run uses: the column, and where the codes of the run begin in it.
    cells: Vec<(u32, u32)>,
    /// Stable hashes of all labels of each row; empty if they were not asked for.
    hashes: Vec<u64>,
    /// Whether a value may be empty, which is none at all.
    has_empty: bool,
    /// Of all this.
    _lease: Option<Arc<RowLease>>,
}

#[derive(Clone, Debug)]
struct TableColumn {
    name: String,
    dictionary: Arc<Dictionary>,
    /// Codes of the rows that use the column, in order.
    codes: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Run {
    rows: Range<u32>,
    cells: Range<u32>,
}

/// What row indexes say of rows.
#[derive(Default)]
struct Shapes {
    /// Position of each used column in the file, ascending, with the rows that use it and how many they are.
    columns: Vec<(usize, RowRanges, u32)>,
    runs: Vec<Run>,
    cells: Vec<(u32, u32)>,
    /// About what all this takes.
    bytes: usize,
}

/// What of the labels is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) projection: Option<Arc<Projection>>,
    pub(crate) hashes: bool,
}

/// Reads the labels of the rows found.
pub(crate) async fn read(question: &Question, row_group: usize, found: Found, wanted: Wanted) -> Result<LabelTable> {
    let rows = Arc::clone(&found.rows);
    if rows.is_empty() {
        return Ok(LabelTable::default());
    }
    let indexes = read_row_indexes(question, row_group, &found, &wanted).await?;
    let bytes = indexes.bytes;
    let (task, keeps) = (question.clone(), wanted.projection.clone());
    let (table, columns) = question
        .compute(Stage::Labels, bytes, move || {
            let shapes = shapes(&task, row_group, &rows, &indexes.row_index, keeps.as_deref())?;
            // Hash and number of each row, its codes.
            let codes = shapes.columns.iter().map(|(.., codes)| u64::from(*codes)).sum::<u64>().saturating_mul(4);
            let of_rows = rows.count().saturating_mul(if indexes.hashes.is_empty() { 4 } else { 12 });
            let bytes = codes.saturating_add(of_rows).saturating_add(shapes.bytes as u64);
            let _lease = Some(Arc::new(task.row_memory.take(bytes)?));
            let hashes = hashes(&task, row_group, &rows, &indexes.hashes)?;
            let Shapes { columns, runs, cells, .. } = shapes;
            let rows = rows.iter().collect();
            Ok((LabelTable { rows, columns: Vec::new(), runs, cells, hashes, has_empty: false, _lease }, columns))
        })
        .await?;
    read_columns(question, row_group, table, columns).await
}

/// Pages of one column.
type Pages = Vec<(Page, Bytes)>;

struct RowIndexes {
    row_index: RowIndex,
    hashes: Pages,
    bytes: u64,
}

/// What says which columns the rows use.
enum RowIndex {
    Pages(Pages),
    /// The columns themselves, where there is no row index.
    Presence(Presence),
}

async fn read_row_indexes(question: &Question, row_group: usize, found: &Found, wanted: &Wanted) -> Result<RowIndexes> {
    let Some(position) = question.shard.row_index_position() else {
        let presence = Presence::read(question, row_group, &found.rows).await?;
        let bytes = presence.bytes();
        return Ok(RowIndexes { row_index: RowIndex::Presence(presence), hashes: Vec::new(), bytes });
    };
    let mut plan = ReadPlan::default();
    let mut add = |column: ColumnChunk<'_>, known: &dyn Fn(usize) -> Option<Bytes>| -> Vec<_> {
        let pages = column.pages_of(found.rows.ranges()).into_iter();
        pages
            .filter_map(|n| {
                let page = column.page(n)?;
                let bytes = known(n).ok_or(()).map_err(|()| plan.add(FileKind::Labels, page.bytes.clone()));
                Some((page, bytes))
            })
            .collect()
    };
    let column = question.labels_chunk(row_group, position);
    let row_index = add(column, &|n| found.row_index.get(&n).cloned());
    let hash_column = question.shard.series_hash_position().filter(|_| wanted.hashes);
    let hashes = hash_column.map_or_else(Vec::new, |column| add(question.labels_chunk(row_group, column), &|_| None));
    let read = question.read(Stage::Labels, &plan).await?;
    let fill = |pages: Vec<(Page, std::result::Result<Bytes, _>)>| -> Pages {
        let bytes = |bytes: std::result::Result<Bytes, _>| bytes.unwrap_or_else(|slot| read.get(slot));
        pages.into_iter().map(|(page, slot)| (page, bytes(slot))).collect()
    };
    let (row_index, hashes) = (fill(row_index), fill(hashes));
    let bytes = row_index.iter().chain(&hashes).map(|(_, bytes)| bytes.len() as u64).sum();
    Ok(RowIndexes { row_index: RowIndex::Pages(row_index), hashes, bytes })
}

/// Calls `visit` with each row and its value. Pages hold all of the rows.
fn visit_values(
    question: &Question,
    column: ColumnChunk<'_>,
    rows: &RowRanges,
    pages: &Pages,
    mut visit: impl FnMut(u32, &[u8]) -> Result<()>,
) -> Result<()> {
    for (page, bytes) in pages {
        let values: ValuePage =
            with_decoder(question.page_bytes(), |decoder| column.decode_values(decoder, page, bytes))?;
        for row in rows.within(page.rows.clone()).flatten() {
            visit(row, values.get(row.saturating_sub(page.rows.start) as usize).unwrap_or_default())?;
        }
    }
    Ok(())
}

fn hashes(question: &Question, row_group: usize, rows: &RowRanges, pages: &Pages) -> Result<Vec<u64>> {
    let Some(position) = question.shard.series_hash_position().filter(|_| !pages.is_empty()) else {
        return Ok(Vec::new());
    };
    let column = question.labels_chunk(row_group, position);
    let mut hashes = Vec::with_capacity(usize::try_from(rows.count()).unwrap_or(0));
    visit_values(question, column, rows, pages, |row, value| match <[u8; 8]>::try_from(value) {
        Ok(hash) => {
            hashes.push(u64::from_be_bytes(hash));
            Ok(())
        }
        Err(_) => Err(column.corrupt(Some(row), "a hash of 8 bytes", format!("{} bytes", value.len())).into()),
    })?;
    Ok(hashes)
}

/// Works out which columns the rows use.
fn shapes(
    question: &Question,
    row_group: usize,
    rows: &RowRanges,
    row_index: &RowIndex,
    projection: Option<&Projection>,
) -> Result<Shapes> {
    let file = question.shard.labels_file();
    let count = u32::try_from(file.columns().len()).unwrap_or(u32::MAX);
    // For messages only, if there is none.
    let column = question.labels_chunk(row_group, question.shard.row_index_position().unwrap_or_default());
    let mut builder = ShapesBuilder::default();
    let mut indexes = Vec::new();
    let visit = |row: u32, cell: &[u8]| {
        if builder.extend(row, cell) {
            return Ok(());
        }
        question.row_memory.check(builder.shapes.bytes)?;
        builder.begin(row, cell, || {
            row_index::decode(cell, count, &mut indexes)
                .map_err(|e| column.corrupt(Some(row), "the columns of a row", e.to_string()))?;
            let mut used = Vec::with_capacity(indexes.len());
            for index in &indexes {
                match file.columns().get(*index as usize) {
                    Some(Column::Label(name)) => {
                        if projection.is_none_or(|projection| projection.keeps(name)) {
                            used.push(*index as usize);
                        }
                    }
                    other => {
                        let found = other.map_or_else(String::new, Column::name);
                        return Err(column.corrupt(Some(row), "label columns", found).into());
                    }
                }
            }
            Ok(used)
        })
    };
    match row_index {
        RowIndex::Pages(pages) => visit_values(question, column, rows, pages, visit)?,
        RowIndex::Presence(presence) => presence.visit(rows, visit)?,
    }
    Ok(builder.finish())
}

#[derive(Default)]
struct ShapesBuilder {
    shapes: Shapes,
    /// Cells seen, with the columns that they use, by position in the file.
    known: FxHashMap<Vec<u8>, Arc<[usize]>>,
    /// By position in the file, the number among used columns.
    numbers: FxHashMap<usize, u32>,
    /// The run that is open.
    cell: Vec<u8>,
    used: Arc<[usize]>,
    rows: Range<u32>,
}

impl ShapesBuilder {
    /// Adds the row to the open run, if it is the next one and uses the same columns.
    fn extend(&mut self, row: u32, cell: &[u8]) -> bool {
        let fits = row == self.rows.end && self.rows.start < self.rows.end && cell == self.cell;
        if fits {
            self.rows.end = row.saturating_add(1);
        }
        fits
    }

    fn begin(&mut self, row: u32, cell: &[u8], decode: impl FnOnce() -> Result<Vec<usize>>) -> Result<()> {
        self.close();
        let used = match self.known.get(cell) {
            Some(used) => Arc::clone(used),
            None => {
                let used: Arc<[usize]> = decode()?.into();
                // Shapes are few; where they are not, remembering them is no use.
                const MOST_KNOWN: usize = 4096;
                if self.known.len() < MOST_KNOWN {
                    self.known.insert(cell.to_owned(), Arc::clone(&used));
                }
                used
            }
        };
        self.cell.clear();
        self.cell.extend_from_slice(cell);
        self.used = used;
        self.rows = row..row.saturating_add(1);
        Ok(())
    }

    fn close(&mut self) {
        if self.rows.is_empty() {
            return;
        }
        let rows = std::mem::take(&mut self.rows);
        let length = rows.end.saturating_sub(rows.start);
        let first_cell = self.shapes.cells.len() as u32;
        for position in self.used.iter() {
            let next = u32::try_from(self.shapes.columns.len()).unwrap_or(u32::MAX);
            let number = *self.numbers.entry(*position).or_insert(next);
            if number == next {
                self.shapes.columns.push((*position, RowRanges::default(), 0));
            }
            let Some((_, users, codes)) = self.shapes.columns.get_mut(number as usize) else { continue };
            self.shapes.cells.push((number, *codes));
            users.push(rows.clone());
            *codes = codes.saturating_add(length);
        }
        let cells = first_cell..self.shapes.cells.len() as u32;
        let first = self.shapes.runs.last().map_or(0, |run| run.rows.end);
        // A run, and for each column a cell and a range of rows.
        self.shapes.bytes = self.shapes.bytes.saturating_add(16).saturating_add(self.used.len().saturating_mul(16));
        self.shapes.runs.push(Run { rows: first..first.saturating_add(length), cells });
    }

    fn finish(mut self) -> Shapes {
        self.close();
        self.shapes
    }
}

/// Reads and decodes the columns that rows use.
async fn read_columns(
    question: &Question,
    row_group: usize,
    mut table: LabelTable,
    columns: Vec<(usize, RowRanges, u32)>,
) -> Result<LabelTable> {
    let materialized = columns.len() as u64;
    question.recorder.update(|explain| explain.label_columns = explain.label_columns.saturating_add(materialized));
    let mut plan = ReadPlan::default();
    let mut parts = Vec::with_capacity(columns.len());
    for (position, rows, count) in columns {
        let column = question.labels_chunk(row_group, position);
        let dictionary = NeededDictionary::plan(column, &mut plan);
        let pages: Vec<_> = column
            .pages_of(rows.ranges())
            .into_iter()
            .filter_map(|n| column.page(n))
            .map(|page| (page.clone(), plan.add(FileKind::Labels, page.bytes)))
            .collect();
        parts.push((position, rows, count, dictionary, pages));
    }
    let bytes = question.read(Stage::Labels, &plan).await?;
    let total: u64 = plan.ranges(FileKind::Labels).iter().map(|r| r.end.saturating_sub(r.start)).sum();
    let task = question.clone();
    question
        .compute(Stage::Labels, total, move || {
            let decode =
                |(position, rows, count, dictionary, pages): (usize, RowRanges, u32, NeededDictionary, Vec<_>)| {
                    let column = task.labels_chunk(row_group, position);
                    let dictionary =
                        with_decoder(task.page_bytes(), |decoder| dictionary.get(column, decoder, &bytes))?;
                    let pages: Pages = pages.into_iter().map(|(page, slot)| (page, bytes.get(slot))).collect();
                    decode_column(&task, column, &rows, count, dictionary, &pages)
                };
            // Handing a few kilobytes to other threads takes longer than decoding them.
            table.columns = if total > 64 << 10 {
                parts.into_par_iter().map(decode).collect::<Result<_>>()?
            } else {
                parts.into_iter().map(decode).collect::<Result<_>>()?
            };
            table.has_empty = table.columns.iter().any(|column| column.dictionary.has_empty());
            table.sort_columns();
            Ok(table)
        })
        .await
}

fn decode_column(
    question: &Question,
    column: ColumnChunk<'_>,
    rows: &RowRanges,
    count: u32,
    dictionary: Arc<Dictionary>,
    pages: &Pages,
) -> Result<TableColumn> {
    with_decoder(question.page_bytes(), |decoder| {
        let mut codes = Vec::with_capacity(count as usize);
        let mut absent = None;
        for (page, bytes) in pages {
            let within = rows.within(page.rows.clone());
            column.visit_codes(decoder, page, bytes, dictionary.len(), within, |first, found| {
                if let (None, Some(at)) = (absent, found.iter().position(|code| *code == ABSENT)) {
                    absent = Some(first.saturating_add(u32::try_from(at).unwrap_or(u32::MAX)));
                }
                codes.extend_from_slice(found);
            })?;
        }
        if let Some(row) = absent {
            return Err(column.corrupt(Some(row), "a value, as the row index says", "none").into());
        }
        let name = match question.shard.labels_file().columns().get(column.column()) {
            Some(Column::Label(name)) => name.clone(),
            _ => String::new(),
        };
        Ok(TableColumn { name, dictionary, codes })
    })
}

impl LabelTable {
    /// Row in the row group of a row of the table.
    pub(crate) fn row(&self, n: u32) -> u32 {
        self.rows.get(n as usize).copied().unwrap_or_default()
    }

    /// Columns came in the order in which rows use them; labels need them in that of names.
    fn sort_columns(&mut self) {
        let mut order: Vec<u32> = (0..self.columns.len() as u32).collect();
        order.sort_by(|a, b| self.name(*a).cmp(self.name(*b)));
        let mut rank = vec![0_u32; order.len()];
        for (to, from) in (0..).zip(&order) {
            if let Some(rank) = rank.get_mut(*from as usize) {
                *rank = to;
            }
        }
        for (column, _) in &mut self.cells {
            *column = rank.get(*column as usize).copied().unwrap_or_default();
        }
        self.columns.sort_by(|a, b| a.name.cmp(&b.name));
        // Row indexes ascend by position in the file, which is the order of names, so the cells of each run do now.
    }

    fn name(&self, column: u32) -> &str {
        self.columns.get(column as usize).map_or("", |column| &column.name)
    }

    fn run(&self, n: u32) -> Option<&Run> {
        self.runs.get(self.runs.partition_point(|run| run.rows.end <= n))
    }

    fn cells(&self, run: &Run) -> &[(u32, u32)] {
        self.cells.get(run.cells.start as usize..run.cells.end as usize).unwrap_or_default()
    }

    /// Columns and codes of row `n`, ascending by name.
    fn entries(&self, n: u32) -> impl Iterator<Item = (&TableColumn, u32)> {
        let run = self.run(n);
        let offset = run.map_or(0, |run| n.saturating_sub(run.rows.start));
        let cells = run.map_or(&[][..], |run| self.cells(run));
        cells.iter().filter_map(move |(column, start)| {
            let column = self.columns.get(*column as usize)?;
            let code = column.codes.get(start.saturating_add(offset) as usize)?;
            Some((column, *code))
        })
    }

    /// Names and values of row `n`, ascending by name.
    fn pairs(&self, n: u32) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries(n).filter_map(|(column, code)| {
            let value = column.dictionary.get(code).filter(|value| !value.is_empty())?;
            Some((column.name.as_str(), value))
        })
    }

    /// Labels of row `n`.
    pub(crate) fn labels(&self, n: u32, builder: &mut LabelsBuilder) -> Result<Labels> {
        for (column, code) in self.entries(n) {
            let name = &column.name;
            let value = column.dictionary.text(code).map_err(|e| self.undecodable(n, name, &e.to_string()))?;
            // One that is empty is left out there.
            builder.push(name, value).map_err(|e| self.undecodable(n, name, &e.to_string()))?;
        }
        Ok(builder.finish())
    }

    #[cold]
    fn undecodable(&self, n: u32, name: &str, problem: &str) -> Error {
        let message = format!("label {name:?} of row {} is damaged: {problem}", self.row(n));
        prometheus_queryable::Error::new(prometheus_queryable::ErrorKind::Corrupt, message).into()
    }

    /// Stable hash of all labels of row `n`: from the file, or of the labels here, which must be all then.
    pub(crate) fn hash(&self, n: u32) -> u64 {
        match self.hashes.get(n as usize) {
            Some(hash) => *hash,
            None => stable_hash(self.pairs(n).map(|(name, value)| (name.as_bytes(), value))),
        }
    }

    /// Compares labels of a row with those of a row of another table, which may be this one.
    pub(crate) fn compare(&self, n: u32, other: &Self, m: u32) -> Ordering {
        if std::ptr::eq(self, other)
            && !self.has_empty
            && let (Some(a), Some(b)) = (self.run(n), self.run(m))
            && a.rows == b.rows
        {
            return self.compare_in_run(a, n, m);
        }
        self.pairs(n).cmp(other.pairs(m))
    }

    /// Rows of one run use the same columns, and mostly the same values.
    fn compare_in_run(&self, run: &Run, n: u32, m: u32) -> Ordering {
        let (n, m) = (n.saturating_sub(run.rows.start), m.saturating_sub(run.rows.start));
        for (column, start) in self.cells(run) {
            let Some(column) = self.columns.get(*column as usize) else { continue };
            let code =
                |offset: u32| column.codes.get(start.saturating_add(offset) as usize).copied().unwrap_or_default();
            let (a, b) = (code(n), code(m));
            if a != b {
                match column.dictionary.get(a).cmp(&column.dictionary.get(b)) {
                    Ordering::Equal => {}
                    order => return order,
                }
            }
        }
        Ordering::Equal
    }
}

/// Names of the labels that the rows found use.
pub(crate) async fn names(question: &Question, row_group: usize, found: Found) -> Result<BTreeSet<String>> {
    if found.rows.is_empty() {
        return Ok(BTreeSet::new());
    }
    let indexes = read_row_indexes(question, row_group, &found, &Wanted { projection: None, hashes: false }).await?;
    let task = question.clone();
    question
        .compute(Stage::Labels, indexes.bytes, move || {
            let shapes = shapes(&task, row_group, &found.rows, &indexes.row_index, None)?;
            let columns = task.shard.labels_file().columns();
            let name = |position: usize| match columns.get(position) {
                Some(Column::Label(name)) => Some(name.clone()),
                _ => None,
            };
            Ok(shapes.columns.iter().filter_map(|(position, ..)| name(*position)).collect())
        })
        .await
}
