use std::io::{self, Cursor, SeekFrom};

use super::*;
use crate::{ErrorKind, IndexReader, SeriesEntry};

type Writer = IndexWriter<Cursor<Vec<u8>>>;

/// A writer with the symbols `"", a, b, c`.
fn writer() -> Writer {
    let mut writer = Writer::new(Cursor::new(Vec::new()));
    for symbol in ["", "a", "b", "c"] {
        writer.add_symbol(symbol).unwrap();
    }
    writer
}

fn labels<const N: usize>(pairs: [(u32, u32); N]) -> [LabelRef; N] {
    pairs.map(|(name, value)| LabelRef { name, value })
}

fn chunk(min_time: i64, max_time: i64, reference: u64) -> ChunkMeta {
    ChunkMeta { min_time, max_time, reference }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind, text: &str) {
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.to_string().contains(text)), (kind, true), "{error}");
}

#[test]
fn nothing_at_all() {
    let (sink, _) = Writer::new(Cursor::new(Vec::new())).finish().unwrap();
    let index = IndexReader::new(sink.into_inner().into()).unwrap();
    assert!(index.symbols().unwrap().is_empty() && index.postings_table().unwrap().is_empty());
    assert!(index.all_series().unwrap().next().is_none());
    assert!(index.all_postings().unwrap().is_empty() && index.layout().series().is_empty());
}

#[test]
fn symbols_out_of_order() {
    let mut writer = writer();
    refused(writer.add_symbol("c"), ErrorKind::Invalid, r#"symbol "c" does not sort after the previous "c""#);
    refused(writer.add_symbol("B"), ErrorKind::Invalid, "does not sort after");
    refused(writer.add_symbol(""), ErrorKind::Invalid, "does not sort after");
    writer.add_series(&labels([(1, 2)]), &[]).unwrap();
    refused(writer.add_symbol("d"), ErrorKind::Invalid, "after series");
    let mut first_is_empty = Writer::new(Cursor::new(Vec::new()));
    first_is_empty.add_symbol("").unwrap();
    refused(first_is_empty.add_symbol(""), ErrorKind::Invalid, "does not sort after");
}

#[test]
fn what_prometheus_would_refuse() {
    let mut w = writer();
    let first = w.add_series(&labels([(1, 2)]), &[chunk(0, 10, 50)]).unwrap();
    let bad_labels: [(&[LabelRef], &str); 8] = [
        (&[], "{} does not sort after the previous one, {a=\"b\"}"),
        (&labels([(1, 2)]), "does not sort after"),
        (&labels([(1, 1), (2, 1)]), "{a=\"a\", b=\"a\"} does not sort after"),
        (&labels([(2, 1), (1, 1)]), "label names are not ascending in {b=\"a\", a=\"a\"}"),
        (&labels([(2, 1), (2, 2)]), "label names are not ascending"),
        (&labels([(2, 4)]), "symbol 4 does not exist: there are 4"),
        (&labels([(0, 1)]), "empty name or value"),
        (&labels([(2, 0)]), "empty name or value in {b=\"\"}"),
    ];
    for (labels, text) in bad_labels {
        refused(w.add_series(labels, &[]), ErrorKind::Invalid, text);
    }
    let next = labels([(1, 3)]);
    let bad_chunks: [(&[ChunkMeta], &str); 5] = [
        (&[chunk(0, 10, 49)], "chunk reference 49 is less than one before, 50"),
        (&[chunk(0, 10, 60), chunk(11, 12, 59)], "chunk reference 59"),
        (&[chunk(10, 9, 60)], "ends at 9, before its start at 10"),
        (&[chunk(0, 10, 60), chunk(10, 12, 61)], "starts at 10, not after the end of the one before at 10"),
        (&[chunk(0, 10, 60), chunk(-5, -4, 61)], "starts at -5"),
    ];
    for (chunks, text) in bad_chunks {
        refused(w.add_series(&next, chunks), ErrorKind::Invalid, text);
    }
    let unknown = Labels::from_pairs([("zzz", "a")]).unwrap();
    refused(w.add_series_of(&unknown, &[]), ErrorKind::Invalid, "symbol \"zzz\" has not been added");

    // None of them left a trace.
    let second = w.add_series(&next, &[chunk(i64::MIN, i64::MAX, 50)]).unwrap();
    let index = IndexReader::new(w.finish().unwrap().0.into_inner().into()).unwrap();
    let all: Vec<_> = index.all_postings().unwrap().iter().map(Result::unwrap).collect();
    assert_eq!(all, [first, second]);
    let mut entry = SeriesEntry::default();
    index.series(second, &mut entry).unwrap();
    assert_eq!(entry.chunks, [chunk(i64::MIN, i64::MAX, 50)]);
    assert_eq!(index.postings("a", "b").unwrap().len(), 1);
}

#[test]
fn no_more_than_64_gib() {
    let mut w = writer();
    w.add_series(&labels([(1, 2)]), &[]).unwrap();
    // The last place where a series can start.
    w.sink.position = sink::MAX_LEN - 16;
    assert_eq!(w.add_series(&labels([(1, 3)]), &[]).unwrap(), SeriesRef(u64::from(u32::MAX) - 1));
    refused(w.add_series(&labels([(2, 1)]), &[]), ErrorKind::LimitExceeded, "the limit is 68719476720");
    refused(w.add_series(&labels([(2, 2)]), &[]), ErrorKind::Invalid, "cannot be continued");
}

/// Takes a number of bytes, then fails; may return others than it was given.
#[derive(Debug)]
struct BadSink {
    inner: Cursor<Vec<u8>>,
    room: usize,
    flip: Option<usize>,
}

impl Write for BadSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len().min(self.room);
        if len == 0 && !bytes.is_empty() {
            return Err(io::Error::other("disk full"));
        }
        self.room -= len;
        self.inner.write(&bytes[..len])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for BadSink {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let start = self.inner.position() as usize;
        let len = self.inner.read(out)?;
        if let Some(at) = self.flip.and_then(|at| at.checked_sub(start)).filter(|&at| at < len) {
            out[at] ^= 4;
        }
        Ok(len)
    }
}

impl Seek for BadSink {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

fn write_three_series(room: usize, flip: Option<usize>) -> Result<Vec<u8>> {
    let mut w = IndexWriter::new(BadSink { inner: Cursor::new(Vec::new()), room, flip });
    for symbol in ["a", "b", "c"] {
        w.add_symbol(symbol)?;
    }
    for pair in [(0, 0), (0, 1), (1, 0)] {
        w.add_series(&labels([pair]), &[chunk(0, 1, 8)])?;
    }
    Ok(w.finish()?.0.inner.into_inner())
}

#[test]
fn a_sink_that_fails() {
    let good = write_three_series(usize::MAX, None).unwrap();
    for room in 0..good.len() {
        refused(write_three_series(room, None), ErrorKind::Unavailable, "disk full");
    }
    assert_eq!(write_three_series(good.len(), None).unwrap(), good);
}

#[test]
fn a_sink_that_returns_other_bytes() {
    let good = write_three_series(usize::MAX, None).unwrap();
    let series = IndexReader::new(good.clone().into()).unwrap().layout().series();
    for at in 0..good.len() {
        match write_three_series(usize::MAX, Some(at)) {
            Ok(found) => assert!(found == good && !series.contains(&(at as u64)), "{at}"),
            Err(e) => assert!(e.kind() == ErrorKind::Corrupt && series.contains(&(at as u64)), "{at}: {e}"),
        }
    }
}
