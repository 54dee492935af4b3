//! A whole index file.
//!
//! ```text
//! input = mode(u8) rest
//! mode  = bit 0: checksums are computed anew; bit 1: read as version 1; bit 2: assembled; bits 3-7: window of the scan
//! rest  = the index, or, if it is assembled: payloads of its sections, which get lengths, checksums and offsets
//! ```
//!
//! Holds: names, values, postings and series are read or refused; ways to the same entry give the same; a scan in small
//! windows finds what one in memory finds.

use std::ops::Range;

use arbitrary::Unstructured;
use bytes::Bytes;
use prometheus_model::TimeRange;
use prometheus_tsdb_index::{
    ErrorKind, IndexReader, Layout, Result, ScanStep, SeriesDecoder, SeriesEntry, SeriesRef, SeriesScanner, Version,
};

use crate::checksums::{crc32c, fix, put_uvarint, uvarint};

/// Lists may share their bytes, and series may be in many lists: work on one input is bounded.
const MOST_STEPS: usize = 20_000;

pub(crate) fn run(input: &[u8]) {
    let (Some(&mode), Some(bytes)) = (input.first(), bytes_of(input)) else { return };
    let reader = match mode & 2 {
        0 => IndexReader::new(bytes.clone()),
        _ => IndexReader::with_version(bytes.clone(), Version::V1),
    };
    match reader.and_then(|reader| read(&reader, &bytes, u64::from(mode >> 3))) {
        Ok(()) => {}
        Err(error) => {
            let expected = [ErrorKind::Corrupt, ErrorKind::Unsupported, ErrorKind::LimitExceeded, ErrorKind::Invalid];
            assert!(expected.contains(&error.kind()) && !error.to_string().is_empty(), "{error}");
        }
    }
}

/// The index of an input.
pub(crate) fn bytes_of(input: &[u8]) -> Option<Bytes> {
    let (&mode, rest) = input.split_first()?;
    if mode & 4 != 0 {
        return assemble(&mut Unstructured::new(rest), mode & 2 != 0).ok().map(Bytes::from);
    }
    let mut bytes = rest.to_vec();
    if mode & 1 != 0 {
        fix_checksums(&mut bytes);
    }
    Some(bytes.into())
}

/// Asks everything. The first error of each kind of question ends it; the other questions are asked nevertheless.
fn read(reader: &IndexReader, bytes: &Bytes, window: u64) -> Result<()> {
    let sections = [
        reader.layout().symbols(),
        reader.layout().series(),
        reader.layout().postings(),
        reader.layout().postings_table(),
    ];
    assert!(sections.iter().all(|s| s.start <= s.end && s.end <= bytes.len() as u64));
    let results = [symbols(reader), postings(reader), series(reader, bytes, window), reader.all_postings().map(drop)];
    results.into_iter().collect()
}

fn symbols(reader: &IndexReader) -> Result<()> {
    let symbols = reader.symbols()?;
    let mut previous: Option<&[u8]> = None;
    for ordinal in 0..symbols.len() {
        let ordinal = u32::try_from(ordinal).expect("symbols are counted in 32 bits");
        let found = symbols.get_bytes(ordinal)?;
        assert!(previous.is_none_or(|previous| previous < found));
        previous = Some(found);
        match symbols.get(ordinal) {
            Ok(text) => assert_eq!((text.as_bytes(), symbols.find(text)), (found, Some(ordinal))),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported),
        }
    }
    assert_eq!(symbols.get_bytes(u32::MAX).map_err(|e| e.kind()), Err(ErrorKind::Invalid));
    symbols.iter().try_for_each(|symbol| symbol.map(drop))
}

fn postings(reader: &IndexReader) -> Result<()> {
    let table = reader.postings_table()?;
    let (mut steps, mut labels) = (0, 0);
    let mut entry = SeriesEntry::default();
    let mut last_name: Option<&str> = None;
    for name in table.names() {
        let name = name?;
        assert!(last_name.is_none_or(|last| last < name) && !name.is_empty());
        last_name = Some(name);
        let mut last_value: Option<&str> = None;
        for value in table.values(name) {
            let value = value?;
            assert!(last_value.is_none_or(|last| last < value));
            last_value = Some(value);
            labels += 1;
            let range = table.postings_range(name, value).expect("the list of a label that the table names");
            let section = reader.layout().postings();
            assert!(section.start <= range.start && range.start <= range.end && range.end <= section.end);
            let Ok(list) = reader.postings(name, value) else { continue };
            let mut last = None;
            for series in list.iter() {
                let Ok(series) = series else { break };
                assert!(last < Some(series));
                last = Some(series);
                steps += 1;
                if steps < MOST_STEPS && reader.series(series, &mut entry).is_ok() {
                    steps += entry.labels.len() + entry.chunks.len();
                    let _ = reader.labels(&entry);
                }
                if steps >= MOST_STEPS {
                    return Ok(());
                }
            }
        }
    }
    assert_eq!(labels, table.len());
    assert!(reader.postings("\u{10ffff}no such name", "")?.is_empty());
    Ok(())
}

fn series(reader: &IndexReader, bytes: &Bytes, window: u64) -> Result<()> {
    let symbols = reader.symbols()?;
    let decoder = SeriesDecoder::new(symbols);
    let (mut found, mut entry, mut parts) = (Vec::new(), SeriesEntry::default(), SeriesEntry::default());
    let mut all = reader.all_series()?;
    let mut error = None;
    while let Some(series) = all.next_into(&mut entry) {
        match series {
            Ok(series) => found.push(series),
            Err(e) => {
                error = Some(e);
                break;
            }
        }
        let series = *found.last().expect("one was added");
        assert!(entry.labels.array_windows().all(|[a, b]| a.name < b.name));
        assert!(entry.chunks.iter().all(|c| c.min_time <= c.max_time));
        reader.series(series, &mut parts).expect("a series that the scan found");
        assert_eq!(parts, entry);
        let offset = series.byte_offset(reader.layout().version());
        let from = bytes.get(usize::try_from(offset).unwrap_or(usize::MAX)..).expect("an offset in the file");
        let len = decoder.decode_labels(from, offset, &mut parts.labels).expect("an entry that was decoded");
        assert_eq!(SeriesDecoder::entry_len(from, offset).ok().flatten(), Some(len));
        assert_eq!(decoder.decode_chunks(from, offset, &mut parts.chunks).ok(), Some(len));
        assert_eq!(parts, entry);
        if let Some(chunk) = entry.chunks.first()
            && let Ok(range) = TimeRange::new(chunk.min_time, chunk.max_time)
        {
            decoder.overlapping(range).decode(from, offset, &mut parts).expect("an entry that was decoded");
            let in_range =
                |c: &&prometheus_tsdb_index::ChunkMeta| c.min_time < range.end() && c.max_time >= range.start();
            assert!(parts.chunks.iter().eq(entry.chunks.iter().filter(in_range)));
        }
        let _ = reader.labels(&entry);
    }
    assert!(found.is_sorted_by(|a, b| a < b));
    let in_windows = scan(reader, bytes, window);
    match (error, in_windows) {
        (None, in_windows) => assert_eq!(in_windows.map_err(|e| e.to_string()), Ok(found)),
        (Some(error), Err(_)) => return Err(error),
        (Some(error), Ok(series)) => panic!("{series:?} instead of {error}"),
    }
    Ok(())
}

/// Scans with windows that are no longer than asked for, or `more` bytes longer.
fn scan(reader: &IndexReader, bytes: &Bytes, more: u64) -> Result<Vec<SeriesRef>> {
    let decoder = SeriesDecoder::new(reader.symbols()?);
    let (mut scanner, mut entry) = (SeriesScanner::new(reader.layout()), SeriesEntry::default());
    let end = reader.layout().series().end;
    let slice = |range: &Range<u64>| {
        let at = |offset| usize::try_from(offset).unwrap_or(usize::MAX);
        bytes.get(at(range.start)..at(range.end)).expect("a range within the section")
    };
    let (mut found, mut window) = (Vec::new(), scanner.position()..scanner.position());
    let mut fetched = 0;
    loop {
        match scanner.next(slice(&window), window.start)? {
            ScanStep::Entry { series, offset, bytes } => {
                decoder.decode(bytes, offset, &mut entry)?;
                found.push(series);
                fetched = 0;
            }
            ScanStep::Fetch(range) => {
                assert!(range.start < range.end && range.end <= end && range.start >= scanner.position());
                assert!(range != window, "the same window again");
                fetched += 1;
                assert!(fetched < 100, "no progress");
                window = range.start..range.end.saturating_add(more).min(end);
                // Padding is passed over a window at a time.
                if scanner.position() > range.start || slice(&window).iter().all(|b| *b == 0) {
                    fetched = 0;
                }
            }
            ScanStep::Done => return Ok(found),
        }
    }
}

/// Computes the checksums of all that has one, as far as it can be found.
fn fix_checksums(bytes: &mut [u8]) {
    let Some(toc) = bytes.len().checked_sub(Layout::TAIL_LEN) else { return };
    fix(bytes, toc, toc + 48);
    let offset = |bytes: &[u8], n: usize| {
        let at = bytes.get(toc + 8 * n..)?.first_chunk()?;
        usize::try_from(u64::from_be_bytes(*at)).ok().filter(|at| *at < toc)
    };
    let [symbols, series, postings, table] = [0, 1, 4, 5].map(|n| offset(bytes, n));
    for section in [symbols, table].into_iter().flatten() {
        fix_section(bytes, section);
    }
    let end = postings.unwrap_or(toc);
    let mut at = series.unwrap_or(toc);
    while at < end {
        let Some((len, prefix)) = uvarint(&bytes[at..end]).filter(|(len, _)| *len > 0) else {
            at += 1;
            continue;
        };
        let Some(body_end) = usize::try_from(len).ok().and_then(|len| (at + prefix).checked_add(len)) else { break };
        if body_end > end {
            break;
        }
        fix(bytes, at + prefix, body_end);
        at = (body_end + 4).next_multiple_of(16);
    }
    // The postings table comes after the lists, framed as they are.
    let mut at = postings.unwrap_or(toc).next_multiple_of(4);
    while at < toc
        && let Some(next) = fix_section(&mut bytes[..toc], at)
    {
        at = next.next_multiple_of(4);
    }
}

/// Computes the checksum of a length and as many bytes, and says where it ends.
fn fix_section(bytes: &mut [u8], at: usize) -> Option<usize> {
    let len = usize::try_from(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?)).ok()?;
    let end = at.checked_add(4)?.checked_add(len).filter(|end| *end <= bytes.len())?;
    fix(bytes, at + 4, end);
    end.checked_add(4)
}

/// An index of sections that are framed well; their contents are arbitrary, but begin as contents do.
fn assemble(u: &mut Unstructured<'_>, v1: bool) -> arbitrary::Result<Vec<u8>> {
    fn section(out: &mut Vec<u8>, payload: &[u8]) {
        out.extend(u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend(payload);
        out.extend(crc32c(payload));
    }
    fn number(u: &mut Unstructured<'_>) -> arbitrary::Result<u64> {
        Ok(match u.arbitrary::<u8>()? {
            255 => u.arbitrary()?,
            254 => u.arbitrary::<u32>()?.into(),
            small => small.into(),
        })
    }
    fn text(out: &mut Vec<u8>, text: &[u8]) {
        put_uvarint(out, text.len() as u64);
        out.extend(text);
    }
    let mut out = b"\xba\xaa\xd7\x00\x02".to_vec();
    let mut strings: Vec<Vec<u8>> = vec![Vec::new()];
    for _ in 0..u.int_in_range(0..=8)? {
        strings.push(u.arbitrary::<[u8; 2]>()?[..u.int_in_range(1..=2)?].to_vec());
    }
    if u.ratio(7, 8)? {
        strings.sort();
        strings.dedup();
    }
    let mut payload = u32::try_from(strings.len()).unwrap_or(u32::MAX).to_be_bytes().to_vec();
    let symbols_at = out.len() as u64;
    let symbol_offsets: Vec<u64> = strings
        .iter()
        .map(|string| {
            let at = symbols_at + 4 + payload.len() as u64;
            text(&mut payload, string);
            at
        })
        .collect();
    section(&mut out, &payload);

    let align = if v1 { 1 } else { 16 };
    out.resize(out.len().next_multiple_of(align), 0);
    let series_at = out.len() as u64;
    let mut series = Vec::new();
    for _ in 0..u.int_in_range(0..=6)? {
        let mut body = Vec::new();
        let labels = u.int_in_range(0..=3_u8)?;
        put_uvarint(&mut body, if u.ratio(1, 16)? { number(u)? } else { labels.into() });
        for _ in 0..2 * labels {
            let n = u.int_in_range(0..=10)?;
            let symbol = symbol_offsets.get(n).copied().filter(|_| v1).unwrap_or(n as u64);
            put_uvarint(&mut body, symbol);
        }
        let chunks = u.int_in_range(0..=3_u8)?;
        put_uvarint(&mut body, if u.ratio(1, 16)? { number(u)? } else { chunks.into() });
        for _ in 0..3 * chunks {
            put_uvarint(&mut body, number(u)?);
        }
        out.resize(out.len().next_multiple_of(align), 0);
        series.push(out.len() / align);
        put_uvarint(&mut out, body.len() as u64);
        out.extend(&body);
        out.extend(crc32c(&body));
    }

    out.resize(out.len().next_multiple_of(4), 0);
    let (postings_at, mut lists) = (out.len() as u64, Vec::new());
    for _ in 0..u.int_in_range(1..=5)? {
        let mut refs: Vec<u32> = Vec::new();
        for _ in 0..u.int_in_range(0..=4)? {
            let n: u8 = u.arbitrary()?;
            let known = series.get(usize::from(n)).and_then(|s| u32::try_from(*s).ok());
            refs.push(known.unwrap_or(n.into()));
        }
        if u.ratio(7, 8)? {
            refs.sort_unstable();
        }
        let count = u32::try_from(refs.len()).unwrap_or(u32::MAX);
        let payload: Vec<u8> = [count].iter().chain(&refs).flat_map(|n| n.to_be_bytes()).collect();
        lists.push(out.len() as u64);
        section(&mut out, &payload);
    }

    let table_at = out.len() as u64;
    let mut entries = vec![(vec![], vec![], lists[0])];
    for _ in 0..u.int_in_range(0..=6)? {
        let (name, value) = (u.choose(&strings)?.clone(), u.choose(&strings)?.clone());
        entries.push((name, value, if u.ratio(1, 16)? { number(u)? } else { *u.choose(&lists)? }));
    }
    if u.ratio(7, 8)? {
        entries.sort();
        entries.dedup_by(|a, b| (&a.0, &a.1) == (&b.0, &b.1));
    }
    let mut payload = u32::try_from(entries.len()).unwrap_or(u32::MAX).to_be_bytes().to_vec();
    for (name, value, offset) in &entries {
        put_uvarint(&mut payload, 2);
        text(&mut payload, name);
        text(&mut payload, value);
        put_uvarint(&mut payload, *offset);
    }
    section(&mut out, &payload);

    let toc: Vec<u8> =
        [symbols_at, series_at, 0, 0, postings_at, table_at].iter().flat_map(|n| n.to_be_bytes()).collect();
    out.extend(&toc);
    out.extend(crc32c(&toc));
    // A little damage, below the checksums, above them or to them.
    for _ in 0..u.arbitrary::<u8>()? % 4 {
        let at = u.choose_index(out.len())?;
        out[at] ^= u.arbitrary::<u8>()?;
        if u.ratio(3, 4)? {
            fix_checksums(&mut out);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Checksums that are computed anew are those that were there, and what is assembled can be read as a rule.
    #[test]
    fn good_files() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/index/mixed.index");
        let good = std::fs::read(path).expect("a golden index");
        let mut fixed = good.clone();
        fix_checksums(&mut fixed);
        assert_eq!(fixed, good);
        let reader = IndexReader::new(good.clone().into()).expect("a golden index");
        read(&reader, &good.into(), 7).expect("a golden index");

        let (mut opened, mut whole) = (0, 0);
        for seed in 0..200_u32 {
            let bytes: Vec<u8> =
                (0..300_u32).map(|i| (i + 1000 * seed).wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
            let index = Bytes::from(assemble(&mut Unstructured::new(&bytes), false).expect("enough bytes"));
            if let Ok(reader) = IndexReader::new(index.clone()) {
                opened += 1;
                whole += i32::from(read(&reader, &index, 7).is_ok());
            }
        }
        assert!(opened > 100 && whole > 0, "{opened} opened, {whole} whole");
    }
}
