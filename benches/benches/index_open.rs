//! Does opening an index depend on the number of series? And how fast are its parts?
//!
//! `open` must be flat from 1,000 to 100,000 series; `symbols` and `postings_table` grow with the number of distinct
//! strings and labels, and are read only when asked for. Series have 12 labels and 12 chunks each.
#![expect(clippy::unwrap_used, reason = "benchmark")]

use std::{hint::black_box, io::Cursor};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use prometheus_tsdb_index::{
    ChunkMeta, IndexReader, IndexWriter, LabelRef, Layout, ScanStep, SeriesDecoder, SeriesEntry, SeriesScanner,
};

const LABELS: u32 = 12;
const CHUNKS: u64 = 12;

/// Symbols are numbers, names the first of them. The last label tells series apart, others are shared by many.
fn write(series: u32) -> Bytes {
    let mut writer = IndexWriter::new(Cursor::new(Vec::new()));
    let symbols = LABELS + series;
    for symbol in 0..symbols {
        writer.add_symbol(&format!("a_label_or_value_{symbol:09}")).unwrap();
    }
    let mut reference = 8;
    for i in 0..series {
        let labels: Vec<_> = (0..LABELS)
            .map(|name| {
                let shared = i >> LABELS.saturating_sub(2 + name).min(20);
                LabelRef { name, value: LABELS + if name + 1 == LABELS { i } else { shared } }
            })
            .collect();
        let chunks: Vec<_> = (0..CHUNKS as i64)
            .map(|c| {
                reference += 150;
                let min_time = 1_735_689_602_884 + c * 1_800_000;
                ChunkMeta { min_time, max_time: min_time + 1_785_000, reference }
            })
            .collect();
        writer.add_series(&labels, &chunks).unwrap();
    }
    writer.finish().unwrap().0.into_inner().into()
}

fn benches(c: &mut Criterion) {
    for series in [1_000, 10_000, 100_000] {
        let index = write(series);
        let len = index.len() as u64;
        let mut group = c.benchmark_group("index");
        group.bench_function(BenchmarkId::new("open", series), |b| {
            b.iter(|| Layout::parse(black_box(&index[..5]), black_box(&index[index.len() - 52..]), len).unwrap());
        });
        group.bench_function(BenchmarkId::new("symbols", series), |b| {
            b.iter(|| IndexReader::new(index.clone()).unwrap().symbols().unwrap().len());
        });
        group.bench_function(BenchmarkId::new("postings_table", series), |b| {
            b.iter(|| IndexReader::new(index.clone()).unwrap().postings_table().unwrap().len());
        });
    }

    let index = write(100_000);
    let reader = IndexReader::new(index.clone()).unwrap();
    let decoder = SeriesDecoder::new(reader.symbols().unwrap());
    let mut entry = SeriesEntry::default();
    let mut group = c.benchmark_group("series");
    group.throughput(Throughput::Elements(100_000));
    group.bench_function("decode", |b| {
        b.iter(|| {
            scan(&index, reader.layout(), |offset, bytes| decoder.decode(bytes, offset, &mut entry).unwrap());
        });
    });
    group.bench_function("decode_labels", |b| {
        b.iter(|| {
            scan(&index, reader.layout(), |o, bytes| decoder.decode_labels(bytes, o, &mut entry.labels).unwrap());
        });
    });
    group.bench_function("decode_chunks", |b| {
        b.iter(|| {
            scan(&index, reader.layout(), |o, bytes| decoder.decode_chunks(bytes, o, &mut entry.chunks).unwrap());
        });
    });
    group.bench_function("checksum", |b| {
        b.iter(|| scan(&index, reader.layout(), |_, bytes| crc_fast::crc32_iscsi(&bytes[2..bytes.len() - 4]) as usize));
    });
    group.bench_function("write", |b| b.iter(|| write(100_000).len()));
    group.finish();
}

fn scan(index: &[u8], layout: &Layout, mut f: impl FnMut(u64, &[u8]) -> usize) {
    let mut scanner = SeriesScanner::new(layout);
    while let ScanStep::Entry { offset, bytes, .. } = scanner.next(index, 0).unwrap() {
        black_box(f(offset, bytes));
    }
}

criterion_group! { name = index; config = Criterion::default().sample_size(20); targets = benches }
criterion_main!(index);
