//! Indexes that Prometheus' library wrote, and what it says of ours.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeSet,
    fs,
    io::Cursor,
    path::{Path, PathBuf},
    process::Command,
};

use prometheus_model::Labels;
use prometheus_tsdb_index::{ChunkMeta, IndexReader, IndexWriter};
use serde_json::{Value, json};

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/index")
}

fn read_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// All that an index holds, in the form that `testdata/index/README.md` describes.
fn dump(index: &IndexReader) -> Vec<Value> {
    let mut lines: Vec<_> = index.symbols().unwrap().iter().map(|s| json!(["symbol", s.unwrap()])).collect();
    for item in index.all_series().unwrap() {
        let (series, entry) = item.unwrap();
        let labels: Vec<_> = index.labels(&entry).unwrap().iter().map(|(n, v)| json!([n, v])).collect();
        let chunks: Vec<_> = entry.chunks.iter().map(|c| json!([c.min_time, c.max_time, c.reference])).collect();
        lines.push(json!(["series", series.0, labels, chunks]));
    }
    let table = index.postings_table().unwrap();
    for name in table.names().map(Result::unwrap) {
        for value in table.values(name).map(Result::unwrap) {
            let postings = index.postings(name, value).unwrap();
            let refs: Vec<_> = postings.iter().map(|series| series.unwrap().0).collect();
            lines.push(json!(["postings", name, value, refs]));
        }
    }
    lines
}

/// Writes an index of the content that lines in the form of `dump` describe.
fn write(lines: &[Value], postings_bytes: usize) -> Vec<u8> {
    let mut writer = IndexWriter::new(Cursor::new(Vec::new())).postings_bytes(postings_bytes);
    for line in lines {
        match line[0].as_str().unwrap() {
            "symbol" => {
                writer.add_symbol(line[1].as_str().unwrap()).unwrap();
            }
            "series" => {
                let pair = |p: &'_ Value| (p[0].as_str().unwrap().to_owned(), p[1].as_str().unwrap().to_owned());
                let pairs: Vec<_> = line[2].as_array().unwrap().iter().map(pair).collect();
                let labels = Labels::from_pairs(pairs.iter().map(|(n, v)| (&**n, &**v))).unwrap();
                let chunk = |c: &Value| ChunkMeta {
                    min_time: c[0].as_i64().unwrap(),
                    max_time: c[1].as_i64().unwrap(),
                    reference: c[2].as_u64().unwrap(),
                };
                let chunks: Vec<_> = line[3].as_array().unwrap().iter().map(chunk).collect();
                assert_eq!(writer.add_series_of(&labels, &chunks).unwrap().0, line[1].as_u64().unwrap());
            }
            _ => {}
        }
    }
    writer.finish().unwrap().0.into_inner()
}

#[test]
fn corpus() {
    let mut known: BTreeSet<String> = ["README.md".into()].into();
    for name in ["empty", "mixed"] {
        let files = [format!("{name}.index"), format!("{name}.jsonl")];
        let [index, lines] = files.clone().map(|file| fs::read(testdata().join(file)).unwrap());
        known.extend(files);
        let lines = read_lines(std::str::from_utf8(&lines).unwrap());
        assert_eq!(dump(&IndexReader::new(index.clone().into()).unwrap()), lines, "{name}");
        for postings_bytes in [0, 500, 1 << 20] {
            assert!(write(&lines, postings_bytes) == index, "{name} with {postings_bytes} bytes for postings");
        }
    }
    let found: BTreeSet<_> =
        fs::read_dir(testdata()).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(found, known, "files that no test knows");
}

/// Prometheus' reader finds in an index of ours what we wrote, and its writer writes the same bytes.
#[test]
fn interop() {
    let Some(program) = std::env::var_os("PROMPARQUET_INDEX_INTEROP") else {
        eprintln!("SKIPPED: PROMPARQUET_INDEX_INTEROP does not name the program of testdata/interop/index");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let [ours, theirs] = ["ours", "theirs"].map(|file| dir.path().join(file));
    let file = fs::File::options().read(true).write(true).create_new(true).open(&ours).unwrap();
    let mut writer = IndexWriter::new(file).postings_bytes(100_000);
    let texts: Vec<_> = (0..30_000).map(|i| format!("{i:05}")).collect();
    for symbol in &texts {
        writer.add_symbol(symbol).unwrap();
    }
    for i in 0..20_000usize {
        let pairs = [("00001", &texts[i]), ("00002", &texts[i % 7]), ("00003", &texts[i / 100]), ("00004", &texts[9])];
        let pairs = pairs.iter().filter(|(n, _)| *n != "00003" || i % 3 == 0);
        let labels = Labels::from_pairs(pairs.map(|(n, v)| (*n, &***v))).unwrap();
        let chunks: Vec<_> = (0..i as i64 % 5)
            .map(|c| ChunkMeta { min_time: c * 1000, max_time: c * 1000 + 999, reference: 100 * i as u64 + c as u64 })
            .collect();
        writer.add_series_of(&labels, &chunks).unwrap();
    }
    let (_, len) = writer.finish().unwrap();
    let bytes = fs::read(&ours).unwrap();
    assert_eq!(len, bytes.len() as u64);

    let output = Command::new(&program).arg("dump").arg(&ours).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found = dump(&IndexReader::new(bytes.clone().into()).unwrap());
    assert!(read_lines(std::str::from_utf8(&output.stdout).unwrap()) == found);
    let output = Command::new(&program).arg("rewrite").args([&ours, &theirs]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(fs::read(&theirs).unwrap() == bytes, "Prometheus writes other bytes");
}
