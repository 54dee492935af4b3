//! Writes shards that no writer would: every number in them is the test's own.
//!
//! Files have one row group; pages are of version 2, without checksums.

use bytes::Bytes;
use prometheus_chunks::XorEncoder;
use prometheus_model::{Labels, TimeRange};
use promparquet_schema::{Column, DataColumns, cell, row_index, series_hash_cell};

pub(crate) const UNCOMPRESSED: i32 = 0;
const PLAIN: i32 = 0;
const RLE_DICTIONARY: i32 = 8;

/// A struct of Thrift's compact protocol.
#[derive(Default)]
struct Thrift {
    out: Vec<u8>,
    last: u8,
}

impl Thrift {
    fn field(mut self, id: u8, kind: u8) -> Self {
        self.out.push((id - self.last) << 4 | kind);
        self.last = id;
        self
    }

    fn i32(self, id: u8, value: i32) -> Self {
        let mut this = self.field(id, 5);
        varint(value.into(), &mut this.out);
        this
    }

    fn i64(self, id: u8, value: i64) -> Self {
        let mut this = self.field(id, 6);
        varint(value, &mut this.out);
        this
    }

    fn bool(self, id: u8, value: bool) -> Self {
        self.field(id, if value { 1 } else { 2 })
    }

    fn binary(self, id: u8, value: &[u8]) -> Self {
        let mut this = self.field(id, 8);
        binary(value, &mut this.out);
        this
    }

    fn whole(self, id: u8, value: Vec<u8>) -> Self {
        let mut this = self.field(id, 12);
        this.out.extend(value);
        this
    }

    /// A list of elements, each encoded.
    fn list(self, id: u8, kind: u8, elements: Vec<Vec<u8>>) -> Self {
        let mut this = self.field(id, 9);
        this.out.push(0xf0 | kind);
        uvarint(elements.len() as u64, &mut this.out);
        elements.into_iter().for_each(|element| this.out.extend(element));
        this
    }

    fn end(mut self) -> Vec<u8> {
        self.out.push(0);
        self.out
    }
}

fn uvarint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint(value: i64, out: &mut Vec<u8>) {
    uvarint((value << 1 ^ value >> 63) as u64, out);
}

fn binary(value: &[u8], out: &mut Vec<u8>) {
    uvarint(value.len() as u64, out);
    out.extend(value);
}

fn encoded(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

/// A page, header and all.
#[derive(Clone)]
pub(crate) struct Page {
    pub(crate) bytes: Vec<u8>,
    pub(crate) rows: i64,
    pub(crate) min: Vec<u8>,
    pub(crate) max: Vec<u8>,
    pub(crate) nulls: i64,
}

/// A column of the row group.
#[derive(Clone)]
pub(crate) struct ForgedColumn {
    pub(crate) column: Column,
    pub(crate) codec: i32,
    pub(crate) dictionary: Option<Vec<u8>>,
    pub(crate) pages: Vec<Page>,
    pub(crate) has_column_index: bool,
}

/// A file.
#[derive(Clone)]
pub(crate) struct ForgedFile {
    pub(crate) columns: Vec<ForgedColumn>,
    /// What the footer says.
    pub(crate) rows: i64,
    pub(crate) data_columns: DataColumns,
    /// Columns by which rows are said to be sorted, and whether descending.
    pub(crate) sorting: Vec<(i32, bool)>,
}

/// A data page. `values` and `nulls` are what its header says.
pub(crate) fn data_page(
    levels: &[u8],
    body: &[u8],
    uncompressed: usize,
    encoding: i32,
    values: i64,
    nulls: i64,
) -> Vec<u8> {
    let inner = Thrift::default()
        .i32(1, values as i32)
        .i32(2, nulls as i32)
        .i32(3, values as i32)
        .i32(4, encoding)
        .i32(5, levels.len() as i32)
        .i32(6, 0)
        .bool(7, true);
    let header = Thrift::default()
        .i32(1, 3)
        .i32(2, (uncompressed + levels.len()) as i32)
        .i32(3, (body.len() + levels.len()) as i32)
        .whole(8, inner.end());
    [&header.end(), levels, body].concat()
}

/// A page of values without compression.
pub(crate) fn value_page(values: &[Vec<u8>]) -> Page {
    let body: Vec<u8> = values.iter().flat_map(|v| [&(v.len() as u32).to_le_bytes()[..], v].concat()).collect();
    let rows = values.len() as i64;
    Page { bytes: data_page(&[], &body, body.len(), PLAIN, rows, 0), rows, min: vec![], max: vec![], nulls: 0 }
}

pub(crate) fn dictionary_page(body: &[u8], uncompressed: usize, entries: i32) -> Vec<u8> {
    let inner = Thrift::default().i32(1, entries).i32(2, PLAIN);
    let header =
        Thrift::default().i32(1, 2).i32(2, uncompressed as i32).i32(3, body.len() as i32).whole(7, inner.end());
    [&header.end(), body].concat()
}

pub(crate) fn plain(values: &[&str]) -> Vec<u8> {
    values.iter().flat_map(|v| [&(v.len() as u32).to_le_bytes()[..], v.as_bytes()].concat()).collect()
}

/// A run of equal values of at most 8 bits.
pub(crate) fn run(count: u64, value: u8) -> Vec<u8> {
    encoded(|out| {
        uvarint(count << 1, out);
        out.push(value);
    })
}

/// A page of dictionary indexes; `None` is no value.
pub(crate) fn label_page(codes: &[Option<u8>], dictionary: &[&str]) -> Page {
    let levels: Vec<u8> = codes.iter().flat_map(|code| run(1, u8::from(code.is_some()))).collect();
    let mut body = vec![8];
    codes.iter().flatten().for_each(|code| body.extend(run(1, *code)));
    let (rows, nulls) = (codes.len() as i64, codes.iter().filter(|code| code.is_none()).count() as i64);
    let values = codes.iter().flatten().map(|code| dictionary[usize::from(*code)].as_bytes().to_vec());
    let (min, max) = (values.clone().min().unwrap_or_default(), values.max().unwrap_or_default());
    Page { bytes: data_page(&levels, &body, body.len(), RLE_DICTIONARY, rows, nulls), rows, min, max, nulls }
}

impl ForgedColumn {
    pub(crate) fn labels(name: &str, values: &[Option<&str>], unused: &[&str], page_rows: usize) -> Self {
        let mut dictionary: Vec<&str> = values.iter().flatten().copied().collect();
        dictionary.sort_unstable();
        dictionary.dedup();
        // In no order, as writers in passing make them.
        dictionary.reverse();
        dictionary.extend(unused);
        let code = |value: &str| dictionary.iter().position(|entry| *entry == value).unwrap() as u8;
        let codes: Vec<_> = values.iter().map(|value| value.map(code)).collect();
        let body = plain(&dictionary);
        Self {
            column: Column::Label(name.into()),
            codec: UNCOMPRESSED,
            dictionary: Some(dictionary_page(&body, body.len(), dictionary.len() as i32)),
            pages: codes.chunks(page_rows).map(|codes| label_page(codes, &dictionary)).collect(),
            has_column_index: true,
        }
    }

    pub(crate) fn values(column: Column, values: &[Vec<u8>], page_rows: usize) -> Self {
        let pages = values.chunks(page_rows).map(value_page).collect();
        Self { column, codec: UNCOMPRESSED, dictionary: None, pages, has_column_index: true }
    }
}

impl ForgedFile {
    pub(crate) fn bytes(&self) -> Bytes {
        let mut out = b"PAR1".to_vec();
        let mut places = Vec::new();
        for column in &self.columns {
            let start = out.len() as i64;
            out.extend(column.dictionary.iter().flatten());
            let first = out.len() as i64;
            let (mut row, mut locations) = (0, Vec::new());
            for page in &column.pages {
                let location = Thrift::default().i64(1, out.len() as i64).i32(2, page.bytes.len() as i32).i64(3, row);
                locations.push(location.end());
                out.extend(&page.bytes);
                row += page.rows;
            }
            places.push((start, first, out.len() as i64, locations));
        }
        let mut indexes = Vec::new();
        for (column, (.., locations)) in self.columns.iter().zip(&places) {
            let at = out.len() as i64;
            let pages = || column.pages.iter();
            let list = |of: fn(&Page) -> &Vec<u8>| pages().map(|page| encoded(|out| binary(of(page), out))).collect();
            let index = Thrift::default()
                .list(1, 2, pages().map(|page| vec![if page.nulls == page.rows { 1 } else { 2 }]).collect())
                .list(2, 8, list(|page| &page.min))
                .list(3, 8, list(|page| &page.max))
                .i32(4, 0)
                .list(5, 6, pages().map(|page| encoded(|out| varint(page.nulls, out))).collect());
            let column_index = index.end();
            let offset_index = Thrift::default().list(1, 12, locations.clone()).end();
            let lengths = (column_index.len() as i32, offset_index.len() as i32);
            out.extend(column_index);
            let offset_at = out.len() as i64;
            out.extend(offset_index);
            indexes.push((column.has_column_index.then_some((at, lengths.0)), (offset_at, lengths.1)));
        }
        let chunks = self.columns.iter().zip(&places).zip(&indexes);
        let chunks = chunks.map(|((column, (start, first, end, _)), (column_index, offset_index))| {
            let mut metadata = Thrift::default()
                .i32(1, 6)
                .list(2, 5, vec![encoded(|out| varint(RLE_DICTIONARY.into(), out))])
                .list(3, 8, vec![encoded(|out| binary(column.column.name().as_bytes(), out))])
                .i32(4, column.codec)
                .i64(5, self.rows)
                .i64(6, end - start)
                .i64(7, end - start)
                .i64(9, *first);
            if column.dictionary.is_some() {
                metadata = metadata.i64(11, *start);
            }
            let chunk = Thrift::default().i64(2, *start).whole(3, metadata.end());
            let chunk = chunk.i64(4, offset_index.0).i32(5, offset_index.1);
            match column_index {
                Some((at, length)) => chunk.i64(6, *at).i32(7, *length).end(),
                None => chunk.end(),
            }
        });
        let bytes = places.last().map_or(0, |(.., end, _)| end - 4);
        let mut group = Thrift::default().list(1, 12, chunks.collect()).i64(2, bytes).i64(3, self.rows);
        if !self.sorting.is_empty() {
            let sorting = |(column, descending): &(i32, bool)| {
                Thrift::default().i32(1, *column).bool(2, *descending).bool(3, true).end()
            };
            group = group.list(4, 12, self.sorting.iter().map(sorting).collect());
        }
        let root = Thrift::default().binary(4, b"root").i32(5, self.columns.len() as i32).end();
        let schema = self.columns.iter().map(|column| {
            let element = Thrift::default().i32(1, 6).i32(3, i32::from(column.column.is_optional()));
            element.binary(4, column.column.name().as_bytes()).end()
        });
        let pair =
            |(key, value): (&str, String)| Thrift::default().binary(1, key.as_bytes()).binary(2, value.as_bytes());
        let footer = Thrift::default()
            .i32(1, 2)
            .list(2, 12, std::iter::once(root).chain(schema).collect())
            .i64(3, self.rows)
            .list(4, 12, vec![group.end()])
            .list(5, 12, self.data_columns.to_metadata().map(|p| pair(p).end()).into())
            .end();
        out.extend(&footer);
        out.extend((footer.len() as u32).to_le_bytes());
        out.extend(b"PAR1");
        out.into()
    }

    pub(crate) fn column(&mut self, column: &Column) -> &mut ForgedColumn {
        self.columns.iter_mut().find(|c| c.column == *column).unwrap()
    }
}

/// A chunk of floats as a record of a cell, which claims these times.
pub(crate) fn record(samples: &[(i64, f64)], claims: (i64, i64)) -> Vec<u8> {
    let mut chunk = XorEncoder::new();
    samples.iter().for_each(|(t, v)| chunk.push(*t, *v).unwrap());
    encoded(|out| {
        cell::put_header(1, claims.0, claims.1, chunk.bytes().len() as u32, out);
        out.extend(chunk.bytes());
    })
}

/// A chunk of floats as a record of a cell.
pub(crate) fn honest_record(samples: &[(i64, f64)]) -> Vec<u8> {
    record(samples, (samples.first().unwrap().0, samples.last().unwrap().0))
}

/// A row: labels, of which those without a value are there but empty, and cells of the data columns.
pub(crate) type Row = (Vec<(&'static str, &'static str)>, Vec<Vec<u8>>);

/// The labels and the chunks file of these rows; data columns are of `duration_ms`.
pub(crate) fn files(rows: &[Row], times: TimeRange, duration_ms: u64, page_rows: usize) -> [ForgedFile; 2] {
    let mut names: Vec<&str> = rows.iter().flat_map(|(labels, _)| labels.iter().map(|(name, _)| *name)).collect();
    names.sort_unstable();
    names.dedup();
    let value = |labels: &[(&str, &'static str)], name: &str| labels.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
    let mut columns = Vec::new();
    for name in &names {
        let values: Vec<_> = rows.iter().map(|(labels, _)| value(labels, name)).collect();
        columns.push(ForgedColumn::labels(name, &values, &[], page_rows));
    }
    let indexes = rows.iter().map(|(labels, _)| {
        let used = (0..).zip(&names).filter(|(_, name)| value(labels, name).is_some()).map(|(i, _)| i);
        encoded(|out| row_index::encode(&used.collect::<Vec<u32>>(), out))
    });
    let hashes = rows.iter().map(|(labels, _)| {
        let labels = Labels::from_pairs(labels.iter().copied().filter(|(_, value)| !value.is_empty())).unwrap();
        series_hash_cell(labels.stable_hash()).to_vec()
    });
    columns.push(ForgedColumn::values(Column::RowIndex, &indexes.collect::<Vec<_>>(), page_rows));
    columns.push(ForgedColumn::values(Column::SeriesHash, &hashes.collect::<Vec<_>>(), page_rows));
    let data_columns = DataColumns::new(times, duration_ms.try_into().unwrap()).unwrap();
    let cells = (0..rows.iter().map(|(_, cells)| cells.len()).max().unwrap_or(0)).map(|n| {
        let cells: Vec<_> = rows.iter().map(|(_, cells)| cells.get(n).cloned().unwrap_or_default()).collect();
        ForgedColumn::values(Column::Data(n as u32), &cells, page_rows)
    });
    let rows = rows.len() as i64;
    let file = |columns| ForgedFile { columns, rows, data_columns, sorting: Vec::new() };
    [file(columns), file(cells.collect())]
}
