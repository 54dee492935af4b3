//! The golden files of `schema-spec/`: a small shard, byte for byte, its footers spelled out, and what its rows hold.
//!
//! After a deliberate change of the layout: `PROMPARQUET_UPDATE_GOLDEN=1 cargo test -p promparquet-convert golden`.

use std::{
    collections::BTreeMap,
    fmt::Write,
    num::{NonZeroU32, NonZeroU64},
    path::{Path, PathBuf},
    sync::Arc,
};

use parquet::file::{metadata::ParquetMetaData, page_index::column_index::ColumnIndexMetaData};
use prometheus_model::{Histogram, Labels, Sample, Span, Value};
use prometheus_tsdb_block::write_block;
use promparquet_convert::{Compression, Control, Options, convert};
use promparquet_schema::{Column, cell};
use promparquet_shard::{ScanOptions, Shard, ShardFile};
use ulid::Ulid;

use crate::fixtures::{memory_bucket, open_block, runtime};

const MINUTE: i64 = 60_000;

fn float(t: i64, value: f64) -> Sample {
    Sample { timestamp: t, start_timestamp: 0, value: Value::Float(value) }
}

fn histogram(t: i64, count: u64) -> Sample {
    let histogram = Histogram {
        schema: 0,
        zero_threshold: 0.001,
        count: 2 * count,
        sum: count as f64 * 1.5,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![count as i64, 0],
        ..Histogram::default()
    };
    Sample { timestamp: t, start_timestamp: 0, value: Value::Histogram(Box::new(histogram)) }
}

/// Series with what a reader must get right: a missing name, names and values that are no identifiers, cells that are
/// empty, mixed or in both data columns.
fn series() -> Vec<(Labels, Vec<Sample>)> {
    let labels = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied()).unwrap();
    let mut mixed: Vec<_> = (0..3).map(|i| histogram(i * MINUTE, i as u64 + 1)).collect();
    mixed.extend((3..5).map(|i| float(i * MINUTE, 0.5)));
    let mut all = vec![
        (labels(&[("__name__", "up"), ("job", "api")]), (0..120).map(|i| float(i * MINUTE, 1.0)).collect()),
        (labels(&[("__name__", "up"), ("job", "db"), ("zone", "é/1")]), vec![float(61 * MINUTE, f64::NAN)]),
        (labels(&[("__name__", "mixed")]), mixed),
        (labels(&[("http.status", "200")]), vec![float(1, -0.0), float(2, f64::INFINITY)]),
    ];
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn options(compression: Compression) -> Options {
    let mut options = Options::default();
    options.name = "golden".into();
    options.row_group_rows = NonZeroU32::new(3).unwrap();
    options.data_column_duration_ms = NonZeroU64::new(60 * MINUTE as u64).unwrap();
    // Stored as it is, so that the bytes do not depend on the version of a codec.
    (options.labels_compression, options.chunks_compression) = (compression, compression);
    options
}

/// All that a footer says.
fn footer(file: &ShardFile) -> String {
    let metadata: &ParquetMetaData = file.metadata();
    let about = metadata.file_metadata();
    let mut text =
        format!("version {}, {} rows, schema root {:?}\n", about.version(), about.num_rows(), about.schema().name());
    for pair in about.key_value_metadata().unwrap() {
        writeln!(text, "key {} = {}", pair.key, pair.value.as_deref().unwrap_or_default()).unwrap();
    }
    for column in about.schema_descr().columns() {
        let (kind, repetition) = (column.physical_type(), column.self_type().get_basic_info().repetition());
        writeln!(text, "column {} {kind} {repetition} {:?}", column.name(), column.logical_type_ref()).unwrap();
    }
    let index = metadata.page_index().unwrap();
    for (g, group) in metadata.row_groups().iter().enumerate() {
        writeln!(text, "row group {g}: {} rows, sorted by {:?}", group.num_rows(), group.sorting_columns()).unwrap();
        for (c, chunk) in group.columns().iter().enumerate() {
            let encodings: Vec<_> = chunk.encodings().collect();
            writeln!(
                text,
                "  {}: {} values, {encodings:?}, {}, dictionary at {:?}, data at {}, {} bytes, bloom filter {}",
                chunk.column_path(),
                chunk.num_values(),
                chunk.compression(),
                chunk.dictionary_page_offset(),
                chunk.data_page_offset(),
                chunk.compressed_size(),
                chunk.bloom_filter_offset().is_some(),
            )
            .unwrap();
            let Some(ColumnIndexMetaData::BYTE_ARRAY(bounds)) = index.column_index(g, c) else {
                panic!("no column index")
            };
            for (p, page) in index.page_locations(g, c).unwrap().iter().enumerate() {
                let bound = |bound: Option<&[u8]>| bound.map(|b| b.escape_ascii().to_string());
                writeln!(
                    text,
                    "    page at {}, {} bytes, from row {}: {:?} to {:?}, {:?} nulls",
                    page.offset,
                    page.compressed_page_size,
                    page.first_row_index,
                    bound(bounds.min_value(p)),
                    bound(bounds.max_value(p)),
                    bounds.null_count(p),
                )
                .unwrap();
            }
        }
    }
    text
}

/// One line for each row.
async fn rows(shard: &Shard) -> String {
    let mut text = String::new();
    let mut scan = shard.scan(ScanOptions::default());
    while let Some(batch) = scan.next().await.unwrap() {
        for (row, labels) in batch.labels().iter().enumerate() {
            write!(text, "{labels} hash {:016x}", batch.series_hashes()[row]).unwrap();
            for (column, (time, _)) in shard.data_positions().iter().enumerate() {
                write!(text, " | {}", Column::Data(*time).name()).unwrap();
                for record in cell::records(batch.cell(row, column)) {
                    let r = record.unwrap();
                    let data: String = r.data.iter().map(|byte| format!("{byte:02x}")).collect();
                    write!(text, " [encoding {} from {} to {}: {data}]", r.encoding, r.min_time, r.max_time).unwrap();
                }
            }
            text.push('\n');
        }
    }
    text
}

#[test]
fn the_layout_is_the_one_written_down() {
    let dir = tempfile::tempdir().unwrap();
    let meta = write_block(dir.path(), Ulid::from_parts(1, 1), &series()).unwrap();
    let found = runtime().block_on(async {
        let bucket = memory_bucket();
        let block = open_block(&dir.path().join(meta.ulid.to_string()));
        let options = options(Compression::None);
        convert(vec![block], None, bucket.clone(), options, Arc::new(Control::default())).await.unwrap();
        let shard = Shard::open(&bucket, "golden", 0).await.unwrap();
        let mut found: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        for (name, file) in [("0.labels", shard.labels_file()), ("0.chunks", shard.chunks_file())] {
            let bytes = bucket.get(&format!("golden/{name}.parquet"), 1 << 20).await.unwrap().to_vec();
            let (parquet, text) = if name == "0.labels" {
                ("0.labels.parquet", "0.labels.footer.txt")
            } else {
                ("0.chunks.parquet", "0.chunks.footer.txt")
            };
            found.insert(parquet, bytes);
            found.insert(text, footer(file).into_bytes());
        }
        found.insert("rows.txt", rows(&shard).await.into_bytes());
        found
    });
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schema-spec/golden");
    if std::env::var_os("PROMPARQUET_UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(&golden).unwrap();
        for (name, bytes) in &found {
            std::fs::write(golden.join(name), bytes).unwrap();
        }
    }
    let known: Vec<PathBuf> = found.keys().map(|name| golden.join(name)).collect();
    for entry in std::fs::read_dir(&golden).unwrap() {
        let path = entry.unwrap().path();
        assert!(known.contains(&path), "{} is checked by no test", path.display());
    }
    for (name, bytes) in &found {
        let expected = std::fs::read(golden.join(name)).unwrap();
        match (std::str::from_utf8(&expected), std::str::from_utf8(bytes)) {
            (Ok(expected), Ok(found)) => assert_eq!(found, expected, "{name}"),
            _ => assert!(expected == *bytes, "{name} has other bytes"),
        }
    }
}
