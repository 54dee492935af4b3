//! Damaged indexes: a typed error or the identical answer, never a panic, a hang or memory without bound.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{fmt::Debug, io::Cursor, ops::Range};

use bytes::Bytes;
use prometheus_model::Labels;
use prometheus_tsdb_index::{
    ChunkMeta, ErrorKind, IndexReader, IndexWriter, Layout, MAX_SERIES_ENTRY_LEN, Postings, PostingsTable, Result,
    ScanStep, SeriesDecoder, SeriesEntry, SeriesRef, SeriesScanner, Symbols, Version,
};
use proptest::{collection, prelude::*};

/// A tiny index with padding, several chunks, long varints and a shared label.
fn tiny() -> Vec<u8> {
    let mut writer = IndexWriter::new(Cursor::new(Vec::new()));
    for symbol in ["", "1", "2", "a", "job", "x"] {
        writer.add_symbol(symbol).unwrap();
    }
    let chunk = |min_time, max_time, reference| ChunkMeta { min_time, max_time, reference };
    for (pairs, chunks) in [
        (
            vec![("a", "1"), ("job", "x")],
            vec![chunk(-5, 1_735_689_602_884, 8), chunk(1_735_689_602_885, i64::MAX, 4 << 32)],
        ),
        (vec![("a", "2")], vec![]),
        (vec![("a", "2"), ("job", "x")], vec![chunk(0, 0, 5 << 32)]),
    ] {
        writer.add_series_of(&Labels::from_pairs(pairs).unwrap(), &chunks).unwrap();
    }
    writer.finish().unwrap().0.into_inner()
}

/// All questions that can be put to an index, each with its answer or its error.
fn answers(index: Bytes) -> Vec<Result<String>> {
    fn text(answer: impl Debug) -> String {
        format!("{answer:?}")
    }
    let reader = match IndexReader::new(index) {
        Ok(reader) => reader,
        Err(e) => return vec![Err(e)],
    };
    let list = |name, value| reader.postings(name, value)?.iter().collect::<Result<Vec<_>>>().map(text);
    let mut answers = vec![
        reader.symbols().and_then(|s| s.iter().collect::<Result<Vec<_>>>().map(text)),
        reader.postings_table().and_then(|t| t.names().collect::<Result<Vec<_>>>().map(text)),
        reader.postings_table().and_then(|t| t.values("a").collect::<Result<Vec<_>>>().map(text)),
        list("", ""),
        list("a", "1"),
        list("a", "2"),
        list("job", "x"),
        list("job", "y"),
        reader.all_series().and_then(|s| s.collect::<Result<Vec<_>>>().map(text)),
    ];
    for series in SERIES {
        let mut entry = SeriesEntry::default();
        answers.push(
            reader.series(SeriesRef(series), &mut entry).and_then(|()| Ok((reader.labels(&entry)?, entry))).map(text),
        );
    }
    answers
}

/// References of the series of `tiny`.
const SERIES: [u64; 3] = [2, 5, 6];

#[test]
fn series_of_the_tiny_index() {
    let reader = IndexReader::new(tiny().into()).unwrap();
    let found: Vec<_> = reader.all_series().unwrap().map(|s| s.unwrap().0.0).collect();
    assert_eq!(found, SERIES);
}

#[test]
fn every_bit_flip() {
    let good = tiny();
    let expected: Vec<_> = answers(good.clone().into()).into_iter().map(Result::unwrap).collect();
    let (mut identical, mut failed) = (0, 0);
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let found = answers(bad.into());
        let mut errors = 0;
        for (found, expected) in found.iter().zip(&expected) {
            match found {
                Ok(found) => assert_eq!(found, expected, "bit {bit}"),
                Err(e) => {
                    let kind = e.kind();
                    assert!(
                        matches!(kind, ErrorKind::Corrupt | ErrorKind::Unsupported | ErrorKind::LimitExceeded),
                        "{bit}: {e}"
                    );
                    errors += 1;
                }
            }
        }
        if errors == 0 { identical += 1 } else { failed += 1 }
    }
    // All that may flip unnoticed: the bit that makes version 3 of version 2, and padding that nobody looks at, between
    // the series and the postings.
    let padding = expected_padding(&good);
    assert_eq!((identical, failed), (1 + 8 * padding, good.len() * 8 - 1 - 8 * padding));
}

#[test]
fn references_outside_the_series() {
    let index = IndexReader::new(tiny().into()).unwrap();
    let Range { start, end } = index.layout().series();
    for series in [0, 1, end.div_ceil(16), u64::MAX / 16, u64::MAX] {
        let found = index.series(SeriesRef(series), &mut SeriesEntry::default());
        refused(found, ErrorKind::Corrupt, &format!("expected an offset in [{start}, {end})"));
    }
}

/// Bytes between the last series and the first postings list.
fn expected_padding(index: &[u8]) -> usize {
    let reader = IndexReader::new(Bytes::copy_from_slice(index)).unwrap();
    let first = reader.postings_table().unwrap().all_postings_range().unwrap().start;
    (first - reader.layout().series().end) as usize
}

#[test]
fn every_truncation() {
    let good: Bytes = tiny().into();
    for len in 0..good.len() {
        let found = answers(good.slice(..len));
        assert!(found.iter().all(|a| a.as_ref().is_err_and(|e| e.kind() == ErrorKind::Corrupt)), "{len}: {found:?}");
    }
    let layout = Layout::parse(&good, &good, good.len() as u64).unwrap();
    let (s, t) = (layout.symbols(), layout.postings_table());
    let symbols = |end| Symbols::parse(&good.slice(s.start as usize..end), Version::V2, s.start);
    let table = |end| PostingsTable::parse(&good.slice(t.start as usize..end), &layout);
    assert!((s.start as usize..s.end as usize).all(|end| symbols(end).is_err()));
    assert!((t.start as usize..t.end as usize).all(|end| table(end).is_err()));
    let decoder_symbols = symbols(s.end as usize).unwrap();
    let all = table(t.end as usize).unwrap().all_postings_range().unwrap();
    assert!(
        (all.start..all.end)
            .all(|end| { Postings::parse(&good.slice(all.start as usize..end as usize), all.start).is_err() })
    );
    let at = SERIES[0] * 16;
    let len = SeriesDecoder::entry_len(&good[at as usize..], at).unwrap().unwrap();
    for end in 0..len {
        let bytes = &good[at as usize..at as usize + end];
        let error = SeriesDecoder::new(&decoder_symbols).decode(bytes, at, &mut SeriesEntry::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}

/// Appends the checksum of `payload` and puts its length before it.
fn section(payload: &[u8]) -> Vec<u8> {
    let mut out = (payload.len() as u32).to_be_bytes().to_vec();
    out.extend_from_slice(payload);
    out.extend_from_slice(&crc_fast::crc32_iscsi(payload).to_be_bytes());
    out
}

fn series_entry(body: &[u8]) -> Vec<u8> {
    assert!((1..0x80).contains(&body.len()));
    let mut out = vec![body.len() as u8];
    out.extend_from_slice(body);
    out.extend_from_slice(&crc_fast::crc32_iscsi(body).to_be_bytes());
    out
}

fn tiny_symbols(version: Version) -> Symbols {
    Symbols::parse(&section(b"\0\0\0\x03\x01a\x01b\x02cc").into(), version, 5).unwrap()
}

#[track_caller]
fn refused<T: Debug>(result: Result<T>, kind: ErrorKind, text: &str) {
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.to_string().contains(text)), (kind, true), "{error}");
}

#[test]
fn symbols_with_a_good_checksum_but_wrong_contents() {
    let parse = |payload: &[u8]| Symbols::parse(&section(payload).into(), Version::V2, 5);
    refused(
        parse(b"\0\0\0\x02\x01b\x01a"),
        ErrorKind::Corrupt,
        "symbol at index offset 15: expected one that sorts after \"b\", found \"a\"",
    );
    refused(parse(b"\0\0\0\x02\x01a\x01a"), ErrorKind::Corrupt, "sorts after");
    refused(parse(b"\xff\xff\xff\xff\x01a"), ErrorKind::Corrupt, "at most 2, one for each byte, found 4294967295");
    refused(parse(b"\0\0\0\x01\x09a"), ErrorKind::Corrupt, "expected 9 bytes, found the end after 1");
    refused(
        parse(b"\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a"),
        ErrorKind::Corrupt,
        "symbol at index offset 23",
    );
    refused(parse(b"\0\0\0\x01\x01a\x01"), ErrorKind::Corrupt, "expected its end, found 1 more bytes");
    refused(parse(b""), ErrorKind::Corrupt, "number of symbols");
    let symbols = parse(b"\0\0\0\x02\x01a\x03b\xff\n").unwrap();
    refused(
        symbols.get(1).map(str::to_owned),
        ErrorKind::Unsupported,
        r#"symbol 1 at index offset 15 is not UTF-8: "b\xff\n""#,
    );
    assert_eq!((symbols.get(0).unwrap(), symbols.get_bytes(1).unwrap()), ("a", &b"b\xff\n"[..]));
    assert!(symbols.iter().nth(1).unwrap().is_err());
    refused(symbols.get(2).map(str::to_owned), ErrorKind::Invalid, "symbol 2 does not exist: there are 2");
}

#[test]
fn series_with_a_good_checksum_but_wrong_contents() {
    let v2 = tiny_symbols(Version::V2);
    let decode = |body: &[u8]| {
        let mut entry = SeriesEntry::default();
        SeriesDecoder::new(&v2).decode(&series_entry(body), 64, &mut entry).map(|_| entry)
    };
    assert_eq!(decode(&[1, 0, 1, 1, 2, 3, 4]).unwrap().chunks, [ChunkMeta { min_time: 1, max_time: 4, reference: 4 }]);
    refused(
        decode(&[1, 0, 3, 0]),
        ErrorKind::Corrupt,
        "label value at index offset 67: expected a reference to one of 3 symbols, found 3",
    );
    refused(
        decode(&[2, 1, 0, 0, 1, 0]),
        ErrorKind::Corrupt,
        "label name at index offset 68: expected names in strictly ascending order",
    );
    refused(decode(&[2, 1, 0, 1, 1, 0]), ErrorKind::Corrupt, "ascending");
    refused(decode(&[0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0]), ErrorKind::Corrupt, "number of labels");
    refused(decode(&[0, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0]), ErrorKind::Corrupt, "number of chunks");
    refused(decode(&[0, 0, 0]), ErrorKind::Corrupt, "expected its end, found 1 more bytes");
    refused(decode(&[0]), ErrorKind::Corrupt, "number of chunks at index offset 66");
    refused(
        decode(&[1, 0x80, 0x80, 0x80, 0x80, 0x10, 0, 0]),
        ErrorKind::Corrupt,
        "at most 4294967295, found 4294967296",
    );
    // From 0 back to -1: maximal duration.
    let back = [0, 1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 8];
    refused(
        decode(&back),
        ErrorKind::Corrupt,
        "chunk's max time at index offset 67: expected at least its min time 0, found -1",
    );

    let v1 = tiny_symbols(Version::V1);
    let mut labels = vec![];
    // In version 1 the symbols are at offsets 13, 15 and 17.
    SeriesDecoder::new(&v1).decode_labels(&series_entry(&[1, 15, 17, 0]), 64, &mut labels).unwrap();
    assert_eq!((labels[0].name, labels[0].value), (1, 2));
    for wrong in [0, 4, 5, 12, 14, 18, 20, 127] {
        let found = SeriesDecoder::new(&v1).decode_labels(&series_entry(&[1, 13, wrong, 0]), 64, &mut labels);
        refused(found, ErrorKind::Corrupt, "expected a reference to one of 3 symbols");
    }
}

#[test]
fn lengths_of_series_are_limited() {
    let with_bit_64 = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2];
    refused(SeriesDecoder::entry_len(&with_bit_64, 16), ErrorKind::Corrupt, "expected a varint of 64 bits");
    refused(SeriesDecoder::entry_len(&[0], 16), ErrorKind::Corrupt, "expected at least 1, found 0");
    refused(SeriesDecoder::entry_len(&[0xff; 10], 16), ErrorKind::Corrupt, "varint");
    refused(
        SeriesDecoder::entry_len(&[0xff, 0xff, 0xff, 0xff, 1], 16),
        ErrorKind::LimitExceeded,
        "the limit is 67108864",
    );
    assert_eq!(SeriesDecoder::entry_len(&[], 16).unwrap(), None);
    assert_eq!(SeriesDecoder::entry_len(&[0x80], 16).unwrap(), None);
    assert_eq!(SeriesDecoder::entry_len(&[0x80, 0x80, 0x80, 0x20], 16).unwrap(), Some(MAX_SERIES_ENTRY_LEN + 8));
}

#[test]
fn tables_with_a_good_checksum_but_wrong_contents() {
    let index = tiny();
    let layout = Layout::parse(&index, &index, index.len() as u64).unwrap();
    let first = layout.postings().start as u8 + 2;
    let parse = |payload: &[u8]| PostingsTable::parse(&section(payload).into(), &layout);
    let unsorted = parse(&[0, 0, 0, 2, 2, 1, b'b', 1, b'1', first, 2, 1, b'a', 1, b'\xff', first + 1]).unwrap();
    assert_eq!(unsorted.names().map(Result::unwrap).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(unsorted.postings_range("b", "1"), Some(u64::from(first)..layout.postings().end));
    refused(unsorted.values("a").next().unwrap(), ErrorKind::Unsupported, r#"is not UTF-8: "\xff""#);
    refused(
        parse(&[0, 0, 0, 2, 2, 1, b'b', 1, b'1', first, 2, 1, b'b', 1, b'1', first]),
        ErrorKind::Corrupt,
        r#"found "b"="1" twice"#,
    );
    refused(parse(&[0, 0, 0, 1, 3, 1, b'b', 1, b'1', first]), ErrorKind::Corrupt, "number of strings");
    refused(parse(&[0, 0, 0, 1, 2, 1, b'b', 1, b'1', 0]), ErrorKind::Corrupt, "offset of a postings list");
    refused(parse(&[0xff, 0xff, 0xff, 0xff, 2, 1, b'b', 1, b'1', first]), ErrorKind::Corrupt, "at most 1 in 6 bytes");
    refused(parse(&[0, 0, 0, 1, 2, 1, b'b', 1, b'1', first, 0]), ErrorKind::Corrupt, "1 more bytes");
    refused(parse(&[0, 0, 0, 2, 2, 1, b'b', 1, b'1', first, 2, 1]), ErrorKind::Corrupt, "label name at index offset");
}

#[test]
fn postings_with_a_good_checksum_but_wrong_contents() {
    let parse = |payload: &[u8]| Postings::parse(&section(payload).into(), 100);
    refused(
        parse(&[0, 0, 0, 2, 0, 0, 0, 1]),
        ErrorKind::Corrupt,
        "number of postings at index offset 104: expected a quarter of the 4",
    );
    refused(parse(&[0x40, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2]), ErrorKind::Corrupt, "found 1073741825");
    refused(parse(&[0, 0, 0, 0, 0]), ErrorKind::Corrupt, "number of postings");
    for second in [1, 2] {
        let list = parse(&[0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, second, 0, 0, 0, 9]).unwrap();
        let mut iter = list.iter();
        assert_eq!(iter.next().unwrap().unwrap(), SeriesRef(2));
        refused(iter.next().unwrap(), ErrorKind::Corrupt, "posting at index offset 112: expected a reference above 2");
        assert!(iter.next().is_none());
    }
}

#[test]
fn contents_tables_with_a_good_checksum_but_wrong_offsets() {
    let parse = |offsets: [u64; 6]| {
        let mut file = b"\xba\xaa\xd7\x00\x02".to_vec();
        file.resize(100, 0);
        let toc: Vec<u8> = offsets.iter().flat_map(|o| o.to_be_bytes()).collect();
        file.extend_from_slice(&toc);
        file.extend_from_slice(&crc_fast::crc32_iscsi(&toc).to_be_bytes());
        Layout::parse(&file, &file, file.len() as u64)
    };
    // In the order of the table: symbols, series, label indices, label offset table, postings, postings table.
    let layout = parse([5, 20, 30, 60, 40, 80]).unwrap();
    assert_eq!(
        (layout.symbols(), layout.series(), layout.postings(), layout.postings_table()),
        (5..20, 20..30, 40..60, 80..100)
    );
    let without = parse([5, 20, 0, 0, 40, 80]).unwrap();
    assert_eq!((without.series(), without.postings()), (20..40, 40..80));
    refused(
        parse([5, 20, 30, 60, 40, 101]),
        ErrorKind::Corrupt,
        "postings offset table at index offset 100: expected a value in [60, 100], found 101",
    );
    refused(parse([5, u64::MAX, 30, 60, 40, 80]), ErrorKind::Corrupt, "offset of the series");
    for missing in [0, 1, 4, 5] {
        let mut offsets = [5, 20, 30, 60, 40, 80];
        offsets[missing] = 0;
        refused(parse(offsets), ErrorKind::Corrupt, "found 0");
    }
    refused(parse([4, 20, 30, 60, 40, 80]), ErrorKind::Corrupt, "expected a value in [5, 100], found 4");
    refused(parse([5, 20, 50, 60, 40, 80]), ErrorKind::Corrupt, "offset of the postings");
}

#[test]
fn scans_notice_what_is_not_padding() {
    let good = tiny();
    let index = IndexReader::new(good.clone().into()).unwrap();
    let series = index.layout().series();
    let scan = |mut bytes: Vec<u8>, at: u64, byte: u8| {
        bytes[at as usize] = byte;
        let mut scanner = SeriesScanner::new(index.layout());
        loop {
            match scanner.next(&bytes, 0) {
                Ok(ScanStep::Entry { .. }) => {}
                Ok(step) => return Ok(format!("{step:?}")),
                Err(e) => return Err(e),
            }
        }
    };
    assert_eq!(scan(good.clone(), 0, 0).unwrap(), "Done");
    refused(scan(good.clone(), series.start, 1), ErrorKind::Corrupt, "expected an offset that is a multiple of 16");
    refused(scan(good, SERIES[2] * 16, 0x7f), ErrorKind::Corrupt, "end of a series entry");
}

proptest! {
    /// Anything with a good checksum: never a panic.
    #[test]
    fn no_panic(mut payload in collection::vec(prop_oneof![0..8u8, any::<u8>()], 4..120), count in 0..12u8, version in 0..2usize) {
        let version = [Version::V1, Version::V2][version];
        for with_count in [false, true] {
            if with_count {
                payload[..4].copy_from_slice(&[0, 0, 0, count]);
            }
            let _ = Symbols::parse(&section(&payload).into(), version, 5).map(|s| s.iter().count());
            let _ = Postings::parse(&section(&payload).into(), 5).map(|p| p.iter().count());
            let index = tiny();
            let layout = Layout::parse(&index, &index, index.len() as u64).unwrap();
            if let Ok(table) = PostingsTable::parse(&section(&payload).into(), &layout) {
                for name in table.names().flatten() {
                    for value in table.values(name).flatten() {
                        prop_assert!(table.postings_range(name, value).is_some_and(|r| r.start < r.end));
                    }
                }
            }
        }
        let symbols = tiny_symbols(version);
        let _ = SeriesDecoder::new(&symbols).decode(&series_entry(&payload), 0, &mut SeriesEntry::default());
        let _ = IndexReader::new(payload.into());
    }

    /// Several damaged bytes anywhere, found through any window: never a panic or a hang.
    #[test]
    fn damaged_scans_end(damage in collection::vec((0..250usize, any::<u8>()), 1..6), window in 1..64usize) {
        let mut index = tiny();
        let reader = IndexReader::new(index.clone().into()).unwrap();
        let end = reader.layout().series().end as usize;
        for (at, byte) in damage {
            let at = at % end;
            index[at] = byte;
        }
        let mut scanner = SeriesScanner::new(reader.layout());
        let mut at = 0..0;
        for _ in 0..10_000 {
            match scanner.next(&index[at.clone()], at.start as u64) {
                Ok(ScanStep::Fetch(range)) => {
                    prop_assert!(range.end <= end as u64);
                    at = range.start as usize..(range.start as usize + window).min(end).max(range.end as usize);
                }
                Ok(ScanStep::Entry { .. }) => {}
                Ok(ScanStep::Done) | Err(_) => return Ok(()),
            }
        }
        prop_assert!(false, "the scan does not end");
    }
}
