//! What [`FileWriter`] writes, read by the `parquet` crate.

use std::{
    num::NonZeroU64,
    path::Path,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use parquet::{
    bloom_filter::Sbbf,
    file::{
        metadata::ParquetMetaData,
        properties::ReaderProperties,
        reader::{FileReader, SerializedFileReader},
        serialized_reader::ReadOptionsBuilder,
    },
    record::{Field, RowAccessor},
};
use prometheus_model::{TimeRange, stable_hash};
use promparquet_schema::{Column, DataColumns};
use proptest::prelude::*;

use super::*;
use crate::output::Output;

fn to_memory(write: impl FnOnce(&mut Output)) -> Bytes {
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&bytes);
    let mut output = Output::new(move |part| {
        sink.lock().unwrap().extend(part);
        Ok(())
    });
    write(&mut output);
    let len = output.finish().unwrap();
    let bytes = std::mem::take(&mut *bytes.lock().unwrap());
    assert_eq!(bytes.len() as u64, len);
    bytes.into()
}

fn spill(after_bytes: usize) -> Spill<'static> {
    Spill { after_bytes, dir: Path::new("/tmp") }
}

fn data_columns() -> DataColumns {
    DataColumns::new(TimeRange::new(0, 100).unwrap(), NonZeroU64::new(50).unwrap()).unwrap()
}

fn open(file: &Bytes) -> SerializedFileReader<Bytes> {
    let options = ReadOptionsBuilder::new()
        .with_page_index()
        .with_reader_properties(ReaderProperties::builder().set_read_bloom_filter(true).build())
        .build();
    SerializedFileReader::new_with_options(file.clone(), options).unwrap()
}

fn check_pages(metadata: &ParquetMetaData, file: &Bytes) {
    let index = metadata.page_index().unwrap();
    for (i, group) in metadata.row_groups().iter().enumerate() {
        for (j, column) in group.columns().iter().enumerate() {
            let locations = index.page_locations(i, j).unwrap();
            assert_eq!(locations[0].offset, column.data_page_offset());
            let (start, len) = column.byte_range();
            let last = locations.last().unwrap();
            assert_eq!((start + len) as i64, last.offset + i64::from(last.compressed_page_size));
            assert!(start + len < file.len() as u64);
            assert_eq!(index.column_index(i, j).unwrap().num_pages() as usize, locations.len());
        }
    }
}

/// Values of `n` rows: nulls, runs, and values that all differ.
fn label(row: u32) -> Option<String> {
    match row % 7 {
        0 => None,
        1 | 2 => Some(format!("v{}", row / 100)),
        _ => Some(format!("é{row}")),
    }
}

fn labels_file(compression: Compression, rows_per_group: &[u32], page_rows: u32) -> Bytes {
    to_memory(|output| {
        let columns = vec![
            FileColumn { column: Column::Label("a".into()), compression },
            FileColumn { column: Column::RowIndex, compression },
            FileColumn { column: Column::SeriesHash, compression: Compression::None },
        ];
        let mut writer = FileWriter::new(output, "root", columns, &[0], data_columns(), spill(0)).unwrap();
        let mut compressor = Compressor::new(compression).unwrap();
        let mut plain = Compressor::new(Compression::None).unwrap();
        let mut first = 0;
        for &rows in rows_per_group {
            let mut dictionary: Vec<String> = Vec::new();
            for start in (first..first + rows).step_by(page_rows as usize) {
                let end = (start + page_rows).min(first + rows);
                let (mut present, mut ids, mut values) = (Vec::new(), Vec::new(), Vec::new());
                for row in start..end {
                    let Some(value) = label(row) else { continue };
                    let id = dictionary.iter().position(|v| *v == value).unwrap_or_else(|| {
                        dictionary.push(value.clone());
                        dictionary.len() - 1
                    });
                    present.push(row - start);
                    ids.push(id as u32);
                    values.push(value);
                }
                let bounds = values.iter().min().map(|min| PageBounds {
                    min: lower_bound(min).0.to_owned(),
                    max: upper_bound(values.iter().max().unwrap()).0,
                });
                let page = label_page(end - start, &present, &ids, bounds, &mut compressor).unwrap();
                writer.data_page(0, page).unwrap();
                let cells: Vec<Vec<u8>> = (start..end).map(|row| row.to_string().into_bytes()).collect();
                let lengths: Vec<u32> = cells.iter().map(|c| c.len() as u32).collect();
                let page = prefix_page(&lengths, &cells.concat(), &mut compressor).unwrap();
                writer.data_page(1, page).unwrap();
                writer.data_page(2, value_page(&lengths, &cells.concat(), &mut plain).unwrap()).unwrap();
            }
            let mut bloom = Sbbf::new_with_ndv_fpp(dictionary.len() as u64, 0.01).unwrap();
            dictionary.iter().for_each(|v| bloom.insert(v.as_str()));
            let page =
                dictionary_page(|| dictionary.iter().map(|v| Ok::<_, crate::Error>(v.as_str())), &mut compressor)
                    .unwrap();
            writer.finish_column(0, Some(&page), Some(Box::new(bloom))).unwrap();
            writer.end_row_group(rows.into()).unwrap();
            first += rows;
        }
        writer.finish().unwrap();
    })
}

#[test]
fn labels_read_back() {
    for compression in [Compression::None, Compression::Snappy, Compression::Zstd(ZstdLevel::DEFAULT)] {
        for (groups, page_rows) in [(&[1000, 500][..], 128), (&[1], 1), (&[8, 9, 7], 8), (&[3000], 3000)] {
            let file = labels_file(compression, groups, page_rows);
            let reader = open(&file);
            check_pages(reader.metadata(), &file);
            let mut row = 0;
            for found in reader.get_row_iter(None).unwrap() {
                let found = found.unwrap();
                let expected = label(row).map_or(Field::Null, Field::Str);
                assert_eq!(found.get_column_iter().next().unwrap().1, &expected);
                for column in [1, 2] {
                    assert_eq!(found.get_bytes(column).unwrap().data(), row.to_string().as_bytes());
                }
                row += 1;
            }
            assert_eq!(row, groups.iter().sum::<u32>());
            let group = reader.get_row_group(0).unwrap();
            assert!(group.get_column_bloom_filter(1).is_none());
            let bloom = group.get_column_bloom_filter(0).unwrap();
            assert!((0..groups[0]).filter_map(label).all(|v| bloom.check(v.as_str())));
        }
    }
}

#[test]
fn pages_that_hardly_shrink_stay_as_they_are() {
    let mut compressor = Compressor::new(Compression::Zstd(ZstdLevel::FASTEST)).unwrap();
    let noise: Vec<u8> =
        (0..100_u64).flat_map(|n| stable_hash([(&n.to_le_bytes()[..], &[][..])]).to_le_bytes()).collect();
    let mut body_len = |data: &[u8]| value_page(&[data.len() as u32], data, &mut compressor).unwrap().body.len();
    // The length of the value takes some bytes too.
    assert!(body_len(&noise) > noise.len());
    assert!(body_len(&[&noise[..], &[0; 40]].concat()) > noise.len() + 40);
    assert!(body_len(&[&noise[..], &[0; 160]].concat()) < noise.len() + 60);
}

#[test]
fn a_flipped_page_byte_is_found_by_its_checksum() {
    let file = labels_file(Compression::None, &[100], 50);
    let hash = open(&file).metadata().row_group(0).column(2).clone();
    let (start, len) = hash.byte_range();
    let mut damaged = file.to_vec();
    damaged[(start + len - 1) as usize] ^= 1;
    let reader = open(&damaged.into());
    let mut rows = reader.get_row_iter(None).unwrap();
    assert!(rows.any(|row| row.is_err_and(|e| e.to_string().contains("CRC"))));
}

proptest! {
    #[test]
    fn data_columns_read_back_in_memory_and_spilled(
        cells in prop::collection::vec(
            // What does not shrink stays as it is.
            prop_oneof![prop::collection::vec(any::<u8>(), 0..300), (any::<u8>(), 0_usize..300).prop_map(|(b, n)| vec![b; n])],
            1..400,
        ),
        page_rows in 1_usize..100,
        spill_after in prop::sample::select(vec![0_usize, 500, usize::MAX]),
    ) {
        let file = to_memory(|output| {
            let compression = Compression::Zstd(ZstdLevel::FASTEST);
            let columns = (0..3).map(|i| FileColumn { column: Column::Data(i), compression }).collect();
            let mut writer = FileWriter::new(output, "root", columns, &[], data_columns(), spill(spill_after)).unwrap();
            let mut compressor = Compressor::new(compression).unwrap();
            for group in cells.chunks(150) {
                for page in group.chunks(page_rows) {
                    let lengths: Vec<u32> = page.iter().map(|c| c.len() as u32).collect();
                    for column in 0..3 {
                        let page = value_page(&lengths, &page.concat(), &mut compressor).unwrap();
                        writer.data_page(column, page).unwrap();
                    }
                }
                writer.end_row_group(group.len() as u64).unwrap();
            }
            writer.finish().unwrap();
        });
        let reader = open(&file);
        check_pages(reader.metadata(), &file);
        let key_values = reader.metadata().file_metadata().key_value_metadata().unwrap();
        let pairs = key_values.iter().map(|kv| (kv.key.as_str(), kv.value.as_deref().unwrap_or_default()));
        prop_assert_eq!(DataColumns::from_metadata(pairs).unwrap(), data_columns());
        let mut rows = reader.get_row_iter(None).unwrap();
        for cell in &cells {
            let row = rows.next().unwrap().unwrap();
            for column in 0..3 {
                prop_assert_eq!(row.get_bytes(column).unwrap().data(), &cell[..]);
            }
        }
        prop_assert!(rows.next().is_none());
    }
}
