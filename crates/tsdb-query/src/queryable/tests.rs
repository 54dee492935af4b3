use std::{collections::BTreeMap, ops::Range, sync::Mutex};

use bytes::Bytes;
use prometheus_model::{Labels, Sample, Value};
use prometheus_queryable::{
    MatchOp, SeriesData,
    conformance::{self, EPOCH, Options, SeriesList},
};
use prometheus_tsdb_block::{BlockFile, Interval, LocalBlock, MemoryBlock, Tombstones, write_block};
use prometheus_tsdb_index::SeriesRef;
use tempfile::TempDir;
use ulid::Ulid;

use super::*;
use crate::LimitExceeded;

const NARROW: ReadOptions = ReadOptions { max_gap_bytes: 0, max_run_bytes: 300, estimated_bytes: 20 };

/// Writes a block; the directory lives as long as the process.
fn block(series: &[(Labels, Vec<Sample>)]) -> Arc<LocalBlock> {
    let parent = tempfile::tempdir().unwrap();
    let ulid = Ulid::from_parts(1, 2);
    write_block(parent.path(), ulid, series).unwrap();
    let files = LocalBlock::open(parent.path().join(ulid.to_string())).unwrap();
    // Files that are open stay readable, but tombstones are opened late.
    KEPT.lock().unwrap().push(parent);
    Arc::new(files)
}

static KEPT: Mutex<Vec<TempDir>> = Mutex::new(Vec::new());

fn small_windows(series: usize, bytes: u64) -> BlockQueryOptions {
    BlockQueryOptions { window_series: series.try_into().unwrap(), window_bytes: bytes, ..BlockQueryOptions::default() }
}

/// Whatever is cheaper, the answers are the same.
#[tokio::test(flavor = "multi_thread")]
async fn conforms_at_any_costs() {
    let lookups = Costs { entry_bytes: u64::MAX, values_per_series: usize::MAX };
    let checks = Costs { entry_bytes: 0, values_per_series: 0 };
    let short_lists = Costs { entry_bytes: 2, values_per_series: usize::MAX };
    for (costs, options, reads, seed) in [
        (Costs::default(), BlockQueryOptions::default(), ReadOptions::default(), 1),
        (lookups, small_windows(3, 4 << 20), NARROW, 100),
        (checks, small_windows(10, 1000), ReadOptions::default(), 200),
        (short_lists, small_windows(1, 1), NARROW, 300),
    ] {
        let build = async |series: SeriesList| {
            let store = BlockQueryable::open_with(block(&series), reads).await.unwrap();
            Box::new(BlockQueryable { costs, ..store.with_options(options) }) as Box<dyn Queryable>
        };
        // The writer refuses blocks without series.
        let suite = Options { empty: false, stores: 4, seed, ..Options::default() };
        conformance::check(&suite, build).await.unwrap();
    }
}

#[tokio::test]
async fn external_labels_are_told() {
    let series =
        [(labels(&[("__name__", "up")]), vec![Sample { timestamp: 1, start_timestamp: 0, value: Value::Float(1.0) }])];
    let parent = tempfile::tempdir().unwrap();
    let ulid = Ulid::from_parts(1, 2);
    write_block(parent.path(), ulid, &series).unwrap();
    let dir = parent.path().join(ulid.to_string());
    let open =
        async || BlockQueryable::open(Arc::new(LocalBlock::open(&dir).unwrap())).await.unwrap().external_labels();
    assert!(open().await.unwrap().is_empty());
    let meta = std::fs::read_to_string(dir.join("meta.json")).unwrap();
    let write = |labels: &str| {
        let thanos = format!(r#"{{"thanos":{{"labels":{labels}}},"#);
        std::fs::write(dir.join("meta.json"), meta.replacen('{', &thanos, 1)).unwrap();
    };
    write(r#"{"replica":"b","cluster":"a","none":""}"#);
    assert_eq!(open().await.unwrap(), labels(&[("cluster", "a"), ("replica", "b")]));
    write(r#"{"":"a"}"#);
    let error = open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("external labels"), "{error}");
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

fn floats(count: i64) -> Vec<Sample> {
    let sample = |i| Sample { timestamp: EPOCH + i * 1000, start_timestamp: 0, value: Value::Float(i as f64) };
    (0..count).map(sample).collect()
}

async fn all(store: &BlockQueryable, matchers: &[Matcher], hints: &SelectHints) -> Result<Vec<Series>> {
    let querier = store.querier(TimeRange::ALL).await?;
    let mut set = querier.select(matchers, hints).await?;
    let mut found = Vec::new();
    while let Some(batch) = set.next().await? {
        found.extend(batch);
    }
    Ok(found)
}

#[tokio::test]
async fn deleted_samples_are_left_out() {
    let names = ["a", "b", "c"];
    let series = names.map(|name| (labels(&[("__name__", name)]), floats(300)));
    let files = block(&series);
    let index = BlockReader::open(files).unwrap();
    let mut refs = Vec::new();
    index
        .scan_series(1 << 20, |series, _| {
            refs.push(series);
            Ok(std::ops::ControlFlow::Continue(()))
        })
        .unwrap();
    // The whole of a; of b the second chunk and a bit around it; of c one sample.
    let interval = |min: i64, max: i64| Interval { min: EPOCH + min * 1000, max: EPOCH + max * 1000 };
    let deleted: Vec<(SeriesRef, Interval)> =
        vec![(refs[0], interval(0, 299)), (refs[1], interval(110, 250)), (refs[2], interval(7, 7))];
    let stones: Tombstones = deleted.clone().into_iter().collect();
    std::fs::write(std::path::Path::new(index.files().location()).join("tombstones"), stones.encode()).unwrap();
    let store = BlockQueryable::open(Arc::new(LocalBlock::open(index.files().location()).unwrap())).await.unwrap();
    let plain = SelectHints::new(TimeRange::ALL);
    let found = all(&store, &[], &plain).await.unwrap();
    let expected = |n: usize| -> Vec<_> {
        let is_deleted = |s: &Sample| deleted[n].1.min <= s.timestamp && s.timestamp <= deleted[n].1.max;
        floats(300).into_iter().filter(|sample| !is_deleted(sample)).collect()
    };
    assert_eq!(found.len(), 2);
    for (series, n) in found.iter().zip([1, 2]) {
        assert_eq!(series.labels, labels(&[("__name__", names[n])]));
        assert_eq!(series.samples().unwrap(), expected(n));
    }
    // The chunks that nothing was deleted from are those of the block.
    let SeriesData::Chunks(chunks) = &found[1].data else { panic!("{found:?}") };
    assert_eq!(chunks.iter().map(|c| (c.max_time - c.min_time) / 1000 + 1).collect::<Vec<_>>(), [120, 120, 60]);
    let only = SelectHints::series_only(TimeRange::ALL);
    assert_eq!(all(&store, &[], &only).await.unwrap().len(), 2);
    // Where everything is deleted there is nothing.
    let middle = TimeRange::new(EPOCH + 121_000, EPOCH + 200_000).unwrap();
    assert_eq!(all(&store, &[Matcher::equal("__name__", "b")], &SelectHints::new(middle)).await.unwrap().len(), 0);
}

#[tokio::test]
async fn limits_are_typed() {
    let series: Vec<_> = (0..20).map(|i| (labels(&[("a", &format!("{i:02}"))]), floats(10))).collect();
    let store = BlockQueryable::open(block(&series)).await.unwrap();
    let hints = SelectHints::new(TimeRange::ALL);
    let limited = |options| store.clone().with_options(options);
    let bytes: usize = all(&store, &[], &hints)
        .await
        .unwrap()
        .iter()
        .map(|series| match &series.data {
            SeriesData::Chunks(chunks) => chunks.iter().map(|chunk| chunk.data.len()).sum(),
            _ => 0,
        })
        .sum();
    for window in [1, 7, 100] {
        let options = |max_series, max_chunk_bytes| BlockQueryOptions {
            max_series,
            max_chunk_bytes,
            ..small_windows(window, 1 << 20)
        };
        assert_eq!(all(&limited(options(Some(20), Some(bytes as u64))), &[], &hints).await.unwrap().len(), 20);
        let error = all(&limited(options(Some(19), None)), &[], &hints).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert!(matches!(error.downcast_ref(), Some(LimitExceeded::Series { limit: 19, .. })), "{error}");
        let error = all(&limited(options(None, Some(bytes as u64 - 1))), &[], &hints).await.unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(LimitExceeded::ChunkBytes { .. })), "{error}");
        let first = SelectHints { limit: NonZeroUsize::new(5), ..hints.clone() };
        assert_eq!(all(&limited(options(Some(5), None)), &[], &first).await.unwrap().len(), 5);
    }
}

/// Counts what is read.
#[derive(Debug)]
struct Counted {
    inner: Arc<LocalBlock>,
    reads: Mutex<BTreeMap<BlockFile, (usize, u64)>>,
}

impl Counted {
    fn take(&self) -> Vec<(BlockFile, usize, u64)> {
        std::mem::take(&mut *self.reads.lock().unwrap()).into_iter().map(|(f, (n, b))| (f, n, b)).collect()
    }
}

impl BlockFiles for Counted {
    fn location(&self) -> &str {
        self.inner.location()
    }
    fn size(&self, file: BlockFile) -> prometheus_tsdb_block::Result<u64> {
        self.inner.size(file)
    }
    fn segments(&self) -> prometheus_tsdb_block::Result<Vec<u64>> {
        self.inner.segments()
    }
    fn read(&self, file: BlockFile, range: Range<u64>) -> prometheus_tsdb_block::Result<Bytes> {
        self.read_ranges(file, &[range]).map(|mut bytes| bytes.remove(0))
    }
    fn read_ranges(&self, file: BlockFile, ranges: &[Range<u64>]) -> prometheus_tsdb_block::Result<Vec<Bytes>> {
        let mut reads = self.reads.lock().unwrap();
        let (count, bytes) = reads.entry(file).or_default();
        *count += 1;
        *bytes += ranges.iter().map(|range| range.end - range.start).sum::<u64>();
        drop(reads);
        ranges.iter().map(|range| self.inner.read(file, range.clone())).collect()
    }
}

#[tokio::test]
async fn reads_only_what_it_needs() {
    let series: Vec<_> = (0..2000)
        .map(|i| {
            let pairs = [("__name__", format!("m{}", i / 100)), ("id", format!("{i:04}")), ("job", "x".into())];
            (labels(&pairs.each_ref().map(|(n, v)| (*n, &**v))), floats(50))
        })
        .collect();
    let files = Arc::new(Counted { inner: block(&series), reads: Mutex::default() });
    let store = BlockQueryable::open_with(Arc::clone(&files) as _, NARROW).await.unwrap();
    let of_metric = |more: &[Matcher]| [&[Matcher::equal("__name__", "m7")], more].concat();
    let hints = SelectHints::new(TimeRange::ALL);
    assert_eq!(all(&store, &of_metric(&[]), &hints).await.unwrap().len(), 100);
    files.take();

    // One list of one series; the long list of the job is not read, the ids are not tried.
    let one = of_metric(&[
        Matcher::equal("job", "x"),
        Matcher::equal("id", "0742"),
        Matcher::new("id", MatchOp::Regex, ".*4.*").unwrap(),
    ]);
    assert_eq!(all(&store, &one, &hints).await.unwrap().len(), 1);
    let reads = files.take();
    let index = reads.iter().find(|(file, ..)| *file == BlockFile::Index).unwrap();
    let chunks = reads.iter().find(|(file, ..)| *file == BlockFile::Segment(0)).unwrap();
    assert!(index.2 < 1500 && chunks.2 < 1000, "{reads:?}");

    // No chunks for labels, nothing at all for what the table tells.
    assert_eq!(all(&store, &one, &SelectHints::series_only(TimeRange::ALL)).await.unwrap().len(), 1);
    assert!(files.take().iter().all(|(file, ..)| *file == BlockFile::Index));
    assert!(all(&store, &of_metric(&[Matcher::equal("id", "none")]), &hints).await.unwrap().is_empty());
    let querier = store.querier(TimeRange::ALL).await.unwrap();
    let ids = Matcher::new("id", MatchOp::Regex, "00.*").unwrap();
    assert_eq!(querier.label_values("id", &[ids], &LabelHints::default()).await.unwrap().strings.len(), 100);
    assert_eq!(querier.label_names(&[], &LabelHints::default()).await.unwrap().strings, ["__name__", "id", "job"]);
    assert_eq!(files.take(), []);
}

/// One window ahead, whoever waits.
#[tokio::test]
async fn sets_that_are_not_read_do_not_read() {
    let series: Vec<_> = (0..500).map(|i| (labels(&[("a", &format!("{i:03}"))]), floats(10))).collect();
    let files = Arc::new(Counted { inner: block(&series), reads: Mutex::default() });
    let store = BlockQueryable::open_with(Arc::clone(&files) as _, NARROW).await.unwrap();
    let store = store.with_options(small_windows(10, 1 << 20));
    let querier = store.querier(TimeRange::ALL).await.unwrap();
    let mut set = querier.select(&[], &SelectHints::new(TimeRange::ALL)).await.unwrap();
    files.take();
    assert_eq!(set.next().await.unwrap().unwrap().len(), 9);
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let read = files.take().iter().find(|(file, ..)| *file == BlockFile::Segment(0)).map(|(_, _, bytes)| *bytes);
    // 19 chunks of some 40 bytes, each with what is read around it.
    assert!(read.is_some_and(|bytes| bytes < 4000), "{read:?}");
}

/// Some faulty writers give the labels of a series twice in a row.
#[tokio::test]
async fn series_given_twice_are_one() {
    let series: Vec<_> = ["1", "2", "3"].map(|value| (labels(&[("a", value)]), floats(10))).to_vec();
    let files = block(&series);
    let reader = BlockReader::open(Arc::clone(&files) as _).unwrap();
    let mut refs = Vec::new();
    let keep = |series, entry: &prometheus_tsdb_index::SeriesEntry| {
        refs.push((series, entry.labels[0].value));
        Ok(std::ops::ControlFlow::Continue(()))
    };
    reader.scan_series(1 << 20, keep).unwrap();
    let mut copy = MemoryBlock::copy_of(&*files).unwrap();
    let mut index = copy.files_mut()[&BlockFile::Index].to_vec();
    let patch = |index: &mut [u8], to: usize, value: u32| {
        // length, number of labels, name, value
        let at = refs[to].0.byte_offset(reader.layout().version()) as usize;
        let end = at + 1 + usize::from(index[at]);
        assert!(index[at + 1] == 1 && refs.iter().any(|(_, value)| *value == u32::from(index[at + 3])));
        index[at + 3] = value as u8;
        let crc = crc_fast::crc32_iscsi(&index[at + 1..end]);
        index[end..end + 4].copy_from_slice(&crc.to_be_bytes());
    };
    // The second has the first one's label, at the same times: chunks that overlap.
    patch(&mut index, 1, refs[0].1);
    copy.files_mut().insert(BlockFile::Index, index.clone().into());
    for window in [1, 2, 3, 100] {
        let store = BlockQueryable::open(Arc::new(MemoryBlock::copy_of(&copy).unwrap())).await.unwrap();
        let store = store.with_options(small_windows(window, 1 << 20));
        let found = all(&store, &[], &SelectHints::new(TimeRange::ALL)).await.unwrap();
        let found: Vec<_> = found.iter().map(|s| (s.labels.clone(), s.samples().unwrap())).collect();
        assert_eq!(found, [series[0].clone(), series[2].clone()]);
    }
    // Not in order: no answer.
    patch(&mut index, 1, refs[2].1);
    patch(&mut index, 2, refs[0].1);
    copy.files_mut().insert(BlockFile::Index, index.into());
    let store = BlockQueryable::open(Arc::new(copy)).await.unwrap();
    let error = all(&store, &[], &SelectHints::new(TimeRange::ALL)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

/// So they may be without the labels that have no value. (An input that fuzzing found.)
#[tokio::test]
async fn labels_without_value_are_none() {
    let series = [labels(&[("a", "1")]), labels(&[("a", "1"), ("b", "x")])].map(|labels| (labels, floats(10)));
    let files = block(&series);
    let reader = BlockReader::open(Arc::clone(&files) as _).unwrap();
    assert_eq!(reader.symbols().unwrap().find(""), Some(0));
    let mut second = 0;
    let keep = |series: SeriesRef, _: &prometheus_tsdb_index::SeriesEntry| {
        second = series.byte_offset(reader.layout().version()) as usize;
        Ok(std::ops::ControlFlow::Continue(()))
    };
    reader.scan_series(1 << 20, keep).unwrap();
    let mut copy = MemoryBlock::copy_of(&*files).unwrap();
    let mut index = copy.files_mut()[&BlockFile::Index].to_vec();
    // length, number of labels, name, value, name, value
    index[second + 5] = 0;
    let end = second + 1 + usize::from(index[second]);
    let crc = crc_fast::crc32_iscsi(&index[second + 1..end]);
    index[end..end + 4].copy_from_slice(&crc.to_be_bytes());
    copy.files_mut().insert(BlockFile::Index, index.into());
    let store = BlockQueryable::open(Arc::new(copy)).await.unwrap();
    let found = all(&store, &[], &SelectHints::new(TimeRange::ALL)).await.unwrap();
    let found: Vec<_> = found.iter().map(|s| (s.labels.clone(), s.samples().unwrap())).collect();
    assert_eq!(found, series[..1]);
}

/// Any answer to any damaged block is the right one or an error.
#[tokio::test]
async fn damage_is_an_error() {
    let series: Vec<_> = (0..6)
        .map(|i| {
            let pairs = [("a", format!("{i}")), ("b", format!("{}", i % 2))];
            (labels(&pairs.each_ref().map(|(n, v)| (*n, &**v))), floats(20))
        })
        .collect();
    let whole = MemoryBlock::copy_of(&*block(&series)).unwrap();
    let matchers = [Matcher::equal("b", "1"), Matcher::new("a", MatchOp::NotRegex, "[34]").unwrap()];
    let ask = async |files: MemoryBlock| -> Result<_> {
        let store = BlockQueryable::open(Arc::new(files)).await?;
        let found = all(&store, &matchers, &SelectHints::new(TimeRange::ALL)).await?;
        let found = found.iter().map(|s| Ok((s.labels.clone(), s.samples()?))).collect::<Result<Vec<_>>>()?;
        let querier = store.querier(TimeRange::ALL).await?;
        let names = querier.label_names(&matchers, &LabelHints::default()).await?;
        let values = querier.label_values("a", &matchers, &LabelHints::default()).await?;
        Ok((found, names, values))
    };
    let right = ask(MemoryBlock::copy_of(&whole).unwrap()).await.unwrap();
    assert_eq!(right.0, [series[1].clone(), series[5].clone()]);
    let mut errors = 0;
    for file in [BlockFile::Index, BlockFile::Segment(0)] {
        let size = whole.size(file).unwrap() as usize;
        for at in (0..size).step_by(3) {
            let mut damaged = MemoryBlock::copy_of(&whole).unwrap();
            let mut bytes = damaged.files_mut()[&file].to_vec();
            if at % 2 == 0 {
                bytes[at] ^= 1 << (at % 8);
            } else {
                bytes.truncate(at);
            }
            damaged.files_mut().insert(file, bytes.into());
            match ask(damaged).await {
                Ok(answer) => assert_eq!(answer, right, "{file} at {at}"),
                Err(e) => {
                    assert!(matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported), "{file} at {at}: {e}");
                    errors += 1;
                }
            }
        }
    }
    assert!(errors > 100, "{errors}");
}
