//! What is written is read again: checked against maps that say the same the slow way.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Cursor,
};

use prometheus_model::{Labels, TimeRange};
use prometheus_tsdb_index::{
    ChunkMeta, IndexReader, IndexWriter, ScanStep, SeriesDecoder, SeriesEntry, SeriesRef, SeriesScanner, Symbols,
};
use proptest::{collection, prelude::*};

type Model = BTreeMap<Labels, Vec<ChunkMeta>>;

/// Few names and values, so that series share them; some long, some not ASCII.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]{1,2}", "[é名\u{0}]{1,2}", Just("x".repeat(200)), Just("y".repeat(20_000)), "[a-z]{1,9}"]
}

fn labels() -> impl Strategy<Value = Labels> {
    collection::btree_map(text(), text(), 1..6)
        .prop_map(|map| Labels::from_pairs(map.iter().map(|(n, v)| (&**n, &**v))).unwrap())
}

/// Gaps, durations and reference steps of chunks; large ones now and then.
fn steps() -> impl Strategy<Value = Vec<(i64, i64, u64)>> {
    let time = || prop_oneof![0..3i64, 0..100_000i64, 0..1i64 << 50];
    collection::vec((time(), time(), prop_oneof![0..2000u64, 0..1u64 << 40]), 0..8)
}

fn model() -> impl Strategy<Value = Model> {
    let start = prop_oneof![-10..10i64, Just(1_735_689_602_884), Just(i64::MIN), -(1i64 << 60)..1 << 60];
    collection::btree_map(labels(), (start, steps()), 0..25).prop_map(|map| {
        let mut reference = 8;
        map.into_iter()
            .map(|(labels, (start, steps))| {
                let mut time = start;
                let chunks = steps.into_iter().map(|(gap, duration, step)| {
                    let min_time = time + gap;
                    let max_time = min_time + duration;
                    time = max_time + 1;
                    reference += step;
                    ChunkMeta { min_time, max_time, reference }
                });
                (labels, chunks.collect())
            })
            .collect()
    })
}

fn symbols_of(model: &Model) -> BTreeSet<&str> {
    model.keys().flat_map(Labels::iter).flat_map(|(n, v)| [n, v]).collect()
}

fn write(model: &Model, postings_bytes: usize) -> (Vec<u8>, Vec<SeriesRef>) {
    let mut writer = IndexWriter::new(Cursor::new(Vec::new())).postings_bytes(postings_bytes);
    for (i, symbol) in symbols_of(model).into_iter().enumerate() {
        assert_eq!(writer.add_symbol(symbol).unwrap() as usize, i);
    }
    let refs = model.iter().map(|(labels, chunks)| writer.add_series_of(labels, chunks).unwrap()).collect();
    let (sink, len) = writer.finish().unwrap();
    assert_eq!(len, sink.get_ref().len() as u64);
    (sink.into_inner(), refs)
}

/// All entries, as found in windows of `window` bytes.
fn scan(index: &[u8], reader: &IndexReader, window: u64) -> Vec<(SeriesRef, SeriesEntry)> {
    let end = reader.layout().series().end;
    let decoder = SeriesDecoder::new(reader.symbols().unwrap());
    let mut scanner = SeriesScanner::new(reader.layout());
    let (mut found, mut at) = (Vec::new(), 0..0);
    loop {
        match scanner.next(&index[at.start as usize..at.end as usize], at.start).unwrap() {
            ScanStep::Entry { series, offset, bytes } => {
                let mut entry = SeriesEntry::default();
                assert_eq!(SeriesDecoder::entry_len(bytes, offset).unwrap(), Some(bytes.len()));
                assert_eq!(decoder.decode(bytes, offset, &mut entry).unwrap(), bytes.len());
                found.push((series, entry));
            }
            ScanStep::Fetch(range) => {
                assert_eq!(range.start, scanner.position());
                assert!(!range.is_empty() && range.end <= end, "{range:?} reaches beyond {end}");
                assert!(!(at.start <= range.start && range.end <= at.end), "{range:?} is in the window {at:?}");
                at = range.start..(range.start + window).min(end).max(range.end);
            }
            ScanStep::Done => return found,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn reads_what_was_written(model in model(), window in 1..100u64, budget in 0..200usize) {
        let (bytes, refs) = write(&model, 1 << 20);
        prop_assert!(write(&model, budget).0 == bytes, "postings in several passes make another file");
        let index = IndexReader::new(bytes.clone().into()).unwrap();

        let symbols = index.symbols().unwrap();
        let expected = symbols_of(&model);
        prop_assert_eq!(symbols.iter().map(Result::unwrap).collect::<Vec<_>>(), Vec::from_iter(expected.iter().copied()));
        for (i, symbol) in expected.iter().enumerate() {
            prop_assert_eq!(symbols.find(symbol), Some(i as u32));
            prop_assert_eq!(symbols.get(i as u32).unwrap(), *symbol);
            let other = format!("{symbol}!");
            prop_assert_eq!(symbols.find(&other).is_some(), expected.contains(&*other));
        }
        prop_assert!(symbols.get(expected.len() as u32).is_err());

        let all: Vec<_> = index.all_series().unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(&scan(&bytes, &index, window), &all);
        let mut found = Model::new();
        for (series, entry) in &all {
            let mut again = SeriesEntry::default();
            index.series(*series, &mut again).unwrap();
            prop_assert_eq!(&again, entry);
            found.insert(index.labels(entry).unwrap(), entry.chunks.clone());
        }
        prop_assert_eq!(&found, &model);
        prop_assert_eq!(all.iter().map(|(series, _)| *series).collect::<Vec<_>>(), refs.clone());

        let mut postings: BTreeMap<(&str, &str), Vec<SeriesRef>> = BTreeMap::new();
        for (labels, series) in model.keys().zip(&refs) {
            for label in labels.iter() {
                postings.entry(label).or_default().push(*series);
            }
        }
        let list = |name: &str, value: &str| -> Vec<_> {
            index.postings(name, value).unwrap().iter().map(Result::unwrap).collect()
        };
        prop_assert_eq!(index.all_postings().unwrap().iter().map(Result::unwrap).collect::<Vec<_>>(), refs);
        let table = index.postings_table().unwrap();
        let names: BTreeSet<_> = postings.keys().map(|(name, _)| *name).collect();
        prop_assert_eq!(table.names().map(Result::unwrap).collect::<Vec<_>>(), Vec::from_iter(names));
        prop_assert_eq!(table.len(), postings.len());
        for ((name, value), refs) in &postings {
            prop_assert_eq!(&list(name, value), refs);
            prop_assert!(table.values(name).any(|v| v.unwrap() == *value));
            let range = table.lists(name).map(Result::unwrap).find(|(v, _)| v == value).map(|(_, range)| range);
            prop_assert_eq!(range, table.postings_range(name, value));
            prop_assert_eq!(table.values(name).len(), postings.keys().filter(|(n, _)| n == name).count());
        }
        prop_assert!(list("a", "no such value").is_empty() && table.values("").len() == 0 && table.lists("").len() == 0);
    }

    #[test]
    fn partial_decoding_agrees(model in model(), start: i32, length in 1..1000i64) {
        let (bytes, _) = write(&model, 0);
        let index = IndexReader::new(bytes.clone().into()).unwrap();
        let range = TimeRange::new(i64::from(start), i64::from(start) + length).unwrap();
        let decoder = SeriesDecoder::new(index.symbols().unwrap());
        let (mut labels, mut chunks, mut filtered) = (vec![], vec![], SeriesEntry::default());
        for item in index.all_series().unwrap() {
            let (series, entry) = item.unwrap();
            let offset = series.byte_offset(index.layout().version());
            let at = &bytes[offset as usize..];
            let len = decoder.decode_labels(at, offset, &mut labels).unwrap();
            prop_assert_eq!(decoder.decode_chunks(at, offset, &mut chunks).unwrap(), len);
            prop_assert_eq!(SeriesDecoder::entry_len(&at[..len.min(10)], offset).unwrap(), Some(len));
            prop_assert_eq!((&labels, &chunks), (&entry.labels, &entry.chunks));
            decoder.overlapping(range).decode(at, offset, &mut filtered).unwrap();
            chunks.retain(|c| range.start() <= c.max_time && c.min_time < range.end());
            prop_assert_eq!((&filtered.labels, &filtered.chunks), (&entry.labels, &chunks));
        }
    }
}

/// Sections fetched one by one, as from an object store, give the same as the index in memory.
#[test]
fn ranged_reads() {
    let labels = |v| Labels::from_pairs([("job", v), ("é", "ü")]).unwrap();
    let model: Model = [("a", 8), ("b", 9)]
        .map(|(v, reference)| (labels(v), vec![ChunkMeta { min_time: 1, max_time: 2, reference }]))
        .into();
    let index: bytes::Bytes = write(&model, 0).0.into();
    let fetch = |range: std::ops::Range<u64>| index.slice(range.start as usize..range.end as usize);
    let len = index.len() as u64;
    let layout = prometheus_tsdb_index::Layout::parse(&fetch(0..5), &fetch(len - 52..len), len).unwrap();
    let symbols = Symbols::parse(&fetch(layout.symbols()), layout.version(), layout.symbols().start).unwrap();
    assert_eq!(symbols.iter().map(Result::unwrap).collect::<Vec<_>>(), ["a", "b", "job", "é", "ü"]);
    let table = prometheus_tsdb_index::PostingsTable::parse(&fetch(layout.postings_table()), &layout).unwrap();
    let ranges = [("", ""), ("job", "a"), ("job", "b"), ("é", "ü")].map(|(n, v)| table.postings_range(n, v).unwrap());
    // Each list ends where the next one starts, the last with the section: nothing is fetched twice.
    assert!(ranges.windows(2).all(|w| w[0].end == w[1].start));
    assert_eq!(ranges[3].end, layout.postings().end);
    let list = prometheus_tsdb_index::Postings::parse(&fetch(ranges[1].clone()), ranges[1].start).unwrap();
    assert_eq!(list.iter().map(Result::unwrap).collect::<Vec<_>>().len(), 1);
    let head = *fetch(ranges[1].clone()).first_chunk().unwrap();
    assert_eq!(prometheus_tsdb_index::Postings::encoded_len(head), ranges[1].end - ranges[1].start);
}
