//! Writes days as thanos-parquet-gateway lays them out, with the parquet crate's own writer.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use parquet::{
    basic::{Compression, ConvertedType, Encoding, Repetition, Type as Physical, ZstdLevel},
    column::writer::ColumnWriter,
    data_type::ByteArray,
    errors::ParquetError,
    file::{
        properties::{EnabledStatistics, WriterProperties, WriterVersion},
        writer::SerializedFileWriter,
    },
    schema::types::{ColumnPath, Type},
};
use prometheus_chunks::{EncodedChunk, RechunkOptions, Rechunker};
use prometheus_model::{Labels, Sample, TimestampMs};
use promparquet_schema::{
    Column, Layout,
    day::{self, DAY_MS, Day, DayMeta},
    day_cell, row_index,
};

/// A series with the chunks that it has in a day.
type Row<'a> = (&'a Labels, Vec<EncodedChunk>);

/// How days are written.
#[derive(Clone, Debug)]
pub struct DayOptions {
    /// Version of the layout: 0, 1 or 2.
    pub version: u32,
    /// Rows of a row group.
    pub row_group_rows: usize,
    /// Rows of a shard.
    pub shard_rows: usize,
    /// Rows of a page.
    pub page_rows: usize,
    /// Most samples of a chunk.
    pub chunk_samples: u16,
    /// Label by which rows are sorted first.
    pub sort_label: String,
}

impl Default for DayOptions {
    fn default() -> Self {
        let sort_label = "__name__".to_owned();
        Self { version: 2, row_group_rows: 1000, shard_rows: 6000, page_rows: 100, chunk_samples: 120, sort_label }
    }
}

/// The objects of a stream, by key: those of each UTC day that has a sample, and the stream's description.
///
/// As the Go gateway does, a sample of exactly midnight is written into both days, and chunks are cut by samples alone.
///
/// # Panics
/// If samples do not ascend, or the parquet crate refuses to write them.
#[must_use]
pub fn stream(series: &[(Labels, Vec<Sample>)], external: &Labels, options: &DayOptions) -> Vec<(String, Bytes)> {
    let times = || series.iter().flat_map(|(_, samples)| samples.iter().map(|sample| sample.timestamp));
    let days: BTreeSet<i64> = times()
        .flat_map(|t| [t.div_euclid(DAY_MS), (t - 1).div_euclid(DAY_MS)])
        .filter(|day| times().any(|t| (day * DAY_MS..=(day + 1) * DAY_MS).contains(&t)))
        .collect();
    let hash = day::stream_hash(external.iter());
    let mut objects = vec![(format!("{hash}/{}", day::STREAM_FILE), day::encode_external_labels(external).into())];
    for n in days {
        let start = n * DAY_MS;
        let date = date(n);
        let shards = shards(series, start, options);
        let of_day = Day::new(options.version.into(), start).expect("a version from 0 to 2");
        let meta = DayMeta { day: of_day, shards: shards.len() as u32 };
        let directory = if hash == 0 { date.clone() } else { format!("{hash}/{date}") };
        objects.push((format!("{directory}/{}", day::META_FILE), meta.encode().into()));
        for (i, [labels, chunks]) in shards.into_iter().enumerate() {
            objects.push((format!("{hash}/{date}/{i}.labels.parquet"), labels));
            objects.push((format!("{hash}/{date}/{i}.chunks.parquet"), chunks));
        }
    }
    objects
}

fn date(days: i64) -> String {
    let second = jiff::Timestamp::from_second(days * DAY_MS / 1000).expect("a year that jiff knows");
    second.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%d").to_string()
}

fn shards(series: &[(Labels, Vec<Sample>)], start: TimestampMs, options: &DayOptions) -> Vec<[Bytes; 2]> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for (labels, samples) in series {
        let max_samples_per_chunk = options.chunk_samples.try_into().expect("samples in a chunk");
        let mut rechunker = Rechunker::new(RechunkOptions { max_samples_per_chunk, ..RechunkOptions::default() });
        let mut chunks = Vec::new();
        for sample in samples.iter().filter(|sample| (start..=start + DAY_MS).contains(&sample.timestamp)) {
            chunks.extend(rechunker.push(sample).expect("samples that ascend"));
        }
        chunks.extend(rechunker.finish());
        if !chunks.is_empty() {
            rows.push((labels, chunks));
        }
    }
    let sort_value = |labels: &Labels| labels.get(&options.sort_label).unwrap_or_default().to_owned();
    rows.sort_by(|(a, _), (b, _)| sort_value(a).cmp(&sort_value(b)).then_with(|| a.cmp(b)));
    rows.chunks(options.shard_rows.max(1)).map(|rows| files(rows, start, options)).collect()
}

/// A column with its values.
enum Values {
    Label(Vec<Option<ByteArray>>),
    Cells(Vec<ByteArray>),
    Hashes(Vec<i64>),
}

fn files(rows: &[Row<'_>], start: TimestampMs, options: &DayOptions) -> [Bytes; 2] {
    let layout = Layout::Day(Day::new(options.version.into(), start).expect("a version from 0 to 2"));
    let names: BTreeSet<&str> = rows.iter().flat_map(|(labels, _)| labels.iter().map(|(name, _)| name)).collect();
    let has_index = options.version >= 1;
    let mut labels = Vec::new();
    if has_index {
        let cell = |labels: &Labels| {
            let used = (1..).zip(&names).filter(|(_, name)| labels.get(name).is_some()).map(|(i, _)| i);
            let mut cell = Vec::new();
            row_index::encode(&used.collect::<Vec<u32>>(), &mut cell);
            ByteArray::from(cell)
        };
        labels.push((Column::RowIndex, Values::Cells(rows.iter().map(|(labels, _)| cell(labels)).collect())));
    }
    for name in &names {
        let values =
            rows.iter().map(|(labels, _)| labels.get(name).map(|value| ByteArray::from(value.as_bytes().to_vec())));
        labels.push((Column::Label((*name).to_owned()), Values::Label(values.collect())));
    }
    let cell = |chunks: &[EncodedChunk], column: i64| {
        let mut cell = Vec::new();
        for chunk in chunks.iter().filter(|c| c.min_time.rem_euclid(DAY_MS) / (DAY_MS / 3) == column) {
            let length = chunk.data.len() as u32;
            day_cell::put_header(chunk.encoding as u8, chunk.min_time, chunk.max_time, length, &mut cell);
            cell.extend(&chunk.data);
        }
        ByteArray::from(cell)
    };
    let mut chunks: Vec<_> = (0..3_u32)
        .map(|i| (Column::Data(i), Values::Cells(rows.iter().map(|(_, chunks)| cell(chunks, i.into())).collect())))
        .collect();
    if options.version >= 2 {
        // Any will do, since readers cannot know which one it is.
        let hashes = rows.iter().map(|(labels, _)| labels.stable_hash().rotate_left(7) as i64);
        chunks.push((Column::SeriesHash, Values::Hashes(hashes.collect())));
    }
    [labels, chunks].map(|columns| file(layout, &columns, options).expect("a file can be written").into())
}

fn file(layout: Layout, columns: &[(Column, Values)], options: &DayOptions) -> Result<Vec<u8>, ParquetError> {
    let mut fields = Vec::new();
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_data_page_row_count_limit(options.page_rows)
        .set_write_batch_size(1)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_compression(Compression::ZSTD(ZstdLevel::default()));
    for (column, _) in columns {
        let name = layout.name_of(column);
        let physical = if layout.is_integer(column) { Physical::INT64 } else { Physical::BYTE_ARRAY };
        let repetition = if column.is_optional() { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        let converted = if column.is_string() { ConvertedType::UTF8 } else { ConvertedType::NONE };
        let field = Type::primitive_type_builder(&name, physical).with_repetition(repetition);
        fields.push(Arc::new(field.with_converted_type(converted).build()?));
        let path = ColumnPath::from(name);
        properties = if column.is_string() {
            properties
                .set_column_dictionary_enabled(path.clone(), true)
                .set_column_statistics_enabled(path.clone(), EnabledStatistics::Page)
                .set_column_bloom_filter_enabled(path, *column == Column::Label("__name__".into()))
        } else if layout.is_integer(column) {
            properties.set_column_encoding(path, Encoding::PLAIN)
        } else {
            properties.set_column_encoding(path, Encoding::DELTA_LENGTH_BYTE_ARRAY)
        };
    }
    let schema = Type::group_type_builder("compressed").with_fields(fields).build()?;
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties.build()))?;
    let rows = columns.first().map_or(0, |(_, values)| match values {
        Values::Label(values) => values.len(),
        Values::Cells(values) => values.len(),
        Values::Hashes(values) => values.len(),
    });
    for first in (0..rows).step_by(options.row_group_rows.max(1)) {
        let rows = first..rows.min(first + options.row_group_rows.max(1));
        let mut group = writer.next_row_group()?;
        for (_, values) in columns {
            let Some(mut column) = group.next_column()? else { continue };
            match (column.untyped(), values) {
                (ColumnWriter::ByteArrayColumnWriter(column), Values::Label(values)) => {
                    let values = values.get(rows.clone()).unwrap_or_default();
                    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
                    let present: Vec<ByteArray> = values.iter().flatten().cloned().collect();
                    column.write_batch(&present, Some(&levels), None)?;
                }
                (ColumnWriter::ByteArrayColumnWriter(column), Values::Cells(values)) => {
                    column.write_batch(values.get(rows.clone()).unwrap_or_default(), None, None)?;
                }
                (ColumnWriter::Int64ColumnWriter(column), Values::Hashes(values)) => {
                    column.write_batch(values.get(rows.clone()).unwrap_or_default(), None, None)?;
                }
                _ => return Err(ParquetError::General("a column of another type".into())),
            }
            column.close()?;
        }
        group.close()?;
    }
    writer.into_inner()
}
