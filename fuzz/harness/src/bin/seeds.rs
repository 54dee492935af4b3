//! Writes seed corpora to `fuzz/corpus/`, from `testdata/` and, if they are there, the shared fixtures.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Longer files make poor seeds.
const LONGEST: usize = 24 << 10;

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = std::env::var_os("PROMPARQUET_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let corpus = Corpus(root.join("fuzz/corpus"));
    corpus.chunks(&root.join("testdata/chunks"))?;
    corpus.indexes(&root.join("testdata/index"))?;
    corpus.yaml(&root.join("testdata/objstore-config"))?;
    corpus.written()?;
    corpus.promql()?;
    corpus.requests()?;
    corpus.calls()?;
    for file in [files_below(&root.join("fuzz/seeds"))?, files_below(&shared.join("fixtures"))?].concat() {
        corpus.fixture(&file)?;
    }
    Ok(())
}

/// The directory of all corpora.
struct Corpus(PathBuf);

impl Corpus {
    fn add(&self, target: &str, name: &str, parts: &[&[u8]]) -> Result<()> {
        let (directory, seed) = (self.0.join(target), parts.concat());
        if seed.len() <= LONGEST {
            fs::create_dir_all(&directory)?;
            fs::write(directory.join(name), seed)?;
        }
        Ok(())
    }

    /// Parameters of each endpoint, and a remote read of everything.
    fn requests(&self) -> Result<()> {
        let parameters = [
            "query=sum(rate(up[5m]))&timeout=1s&stats=all&explain=1&limit=3&lookback_delta=1m",
            "query=up&start=2025-01-01T00:00:00Z&end=1735690000.5&step=1m",
            "match[]=up&match[]=%7Ba=~%22b.*%22%7D&limit=1",
        ];
        for (n, parameters) in parameters.iter().enumerate() {
            for endpoint in (0..16_u8).filter(|endpoint| *endpoint != 5) {
                for how in [0, 16, 128, 176] {
                    self.add(
                        "http_request",
                        &format!("{n}-{endpoint}-{how}"),
                        &[&[endpoint | how], parameters.as_bytes()],
                    )?;
                }
            }
        }
        // Queries {1: start, 2: end, 3: [matcher {1: kind, 2: name, 3: value}]}, and the response types that are accepted.
        let matcher = b"\x08\x02\x12\x08__name__\x1a\x02.+";
        let query =
            [b"\x08\x00\x10\xff\xff\xff\xff\xff\x7f\x1a", &[u8::try_from(matcher.len())?][..], matcher].concat();
        let request = [b"\x0a", &[u8::try_from(query.len())?][..], &query].concat();
        self.add("http_request", "read-samples", &[&[5 | 32], &request])?;
        self.add("http_request", "read-chunks", &[&[5 | 32], &request, b"\x10\x01"])
    }

    /// Messages of each method: plain and compressed, framed by the target and by themselves.
    fn calls(&self) -> Result<()> {
        // A field of bytes, and one of a number.
        let bytes = |field: u8, content: &[u8]| [&[field << 3 | 2, content.len() as u8], content].concat();
        let number = |field: u8, value: u64| {
            let mut all = vec![field << 3];
            let mut rest = value;
            while rest >= 0x80 {
                all.push(rest.to_le_bytes()[0] | 0x80);
                rest >>= 7;
            }
            all.push(rest.to_le_bytes()[0]);
            all
        };
        let shard = bytes(13, &[number(1, 1), number(2, 3), number(3, 1), bytes(4, b"job")].concat());
        let hints = bytes(12, &[number(1, 60_000), bytes(2, &bytes(1, b"rate")), bytes(6, b"a")].concat());
        let matcher = |kind, name: &[u8], value: &[u8]| [number(1, kind), bytes(2, name), bytes(3, value)].concat();
        let at = 1_735_689_900;
        let query = |text: &[u8]| [bytes(1, text), number(2, at)].concat();
        let range = |text: &[u8]| [query(text), number(3, at + 300), number(4, 60)].concat();
        let sum: &[u8] = b"sum by (job) (rate({__name__=~\".+\"}[5m]))";
        for (n, (method, message)) in [
            (0, Vec::new()),
            (1, Vec::new()),
            (1, [bytes(3, &matcher(3, b"a", b"x.*")), number(8, 1), number(15, 1)].concat()),
            (1, [bytes(14, b"job"), vec![0x80, 1, 3], hints].concat()),
            (1, shard.clone()),
            (2, [bytes(7, b"job"), number(8, 2)].concat()),
            (3, [bytes(1, b"__name__"), bytes(7, &matcher(1, b"job", b""))].concat()),
            (4, query(b"{__name__=~\".+\"}")),
            (4, [query(sum), bytes(5, b"job"), number(7, 1), number(15, 10)].concat()),
            (4, [query(b"1"), number(3, 1), number(12, 600)].concat()),
            (5, range(sum)),
            (5, [range(b"{__name__=~\".+\"}"), shard].concat()),
            (6, Vec::new()),
            (7, bytes(7, b"*")),
            (8, bytes(4, b"thanos.Store")),
        ]
        .into_iter()
        .enumerate()
        {
            for how in [4, 5, 6, 12] {
                self.add("grpc_request", &format!("{n}-{how}"), &[&[method | 16, how], &message])?;
            }
            let head = [&[0][..], &u32::try_from(message.len())?.to_be_bytes()].concat();
            self.add("grpc_request", &format!("{n}-plain"), &[&[method, 0], &head, &message])?;
            self.add("grpc_request", &format!("{n}-cut"), &[&[method, 8], &head, &message[..message.len() / 2]])?;
        }
        Ok(())
    }

    /// The golden chunks: lines `chunk [<name>] <encoding byte> <data in hexadecimal>`.
    fn chunks(&self, directory: &Path) -> Result<()> {
        let encodings = [1, 2, 3, 4, 5, 6, 255];
        let mut aggregate = Vec::new();
        for file in files_below(directory)? {
            let text = fs::read_to_string(&file)?;
            for (i, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with("chunk ")) {
                let mut words = line.split_ascii_whitespace().rev();
                let (Some(data), Some(encoding)) = (words.next(), words.next()) else { continue };
                let data: Vec<u8> = (0..data.len() / 2)
                    .map(|i| u8::from_str_radix(&data[2 * i..2 * i + 2], 16))
                    .collect::<std::result::Result<_, _>>()?;
                let encoding: u8 = encoding.parse()?;
                let mode = encodings.iter().position(|e| *e == encoding).ok_or("an unknown encoding")?;
                let singly = u8::try_from(i % 16)? << 3;
                if data.len() < 1000 {
                    let name = format!("{}-{i}", file.file_stem().unwrap_or_default().display());
                    self.add("chunks", &name, &[&[u8::try_from(mode)? | singly], &data])?;
                    if data.len() < 100 && aggregate.len() < 300 {
                        aggregate.extend([u8::try_from(data.len())?, encoding]);
                        aggregate.extend(&data);
                    }
                }
            }
        }
        self.add("chunks", "aggregate", &[&[6], &aggregate])
    }

    fn indexes(&self, directory: &Path) -> Result<()> {
        for file in files_below(directory)?.iter().filter(|file| file.extension().is_some_and(|e| e == "index")) {
            let (name, bytes) = (file.file_stem().unwrap_or_default().to_string_lossy(), fs::read(file)?);
            for mode in [0, 1, 3, 9] {
                self.add("index", &format!("{name}-{mode}"), &[&[mode], &bytes])?;
                self.add("select", &format!("{name}-{mode}"), &[&[mode << 3], &[mode], &bytes])?;
            }
        }
        Ok(())
    }

    fn yaml(&self, directory: &Path) -> Result<()> {
        for file in files_below(directory)?.iter().filter(|file| file.extension().is_some_and(|e| e == "yaml")) {
            let name = file.file_stem().unwrap_or_default().to_string_lossy();
            self.add("objstore_yaml", &name, &[&fs::read(file)?])?;
        }
        Ok(())
    }

    fn promql(&self) -> Result<()> {
        let queries = [
            "sum by (job, \"a b\") (rate(http_requests_total{code=~\"5..\", __name__!=\"x\"}[5m] offset -1h30m @ end()))",
            "a + bool on (b, c) group_left (d) fill_left (1e3) fill_right (-Inf) e unless ignoring () f ^ -2 ^ 0x1F",
            "max_over_time((foo or {\"my.metric\"})[1h:step() + 5m] @ start() offset max_of(5m, -(range())))[5m:]",
            "foo offset ++5m + 3 % 2 offset (step() * 2 ^ 3) anchored",
            "limit_ratio(0.5, -info(rate(foo smoothed[5m * 2]), {a=\"\\xc3\\xa9\"})) </ 'b' >/ `c` # d",
            "label_replace(histogram_quantile(NaN, start), \"a\", '$1', \"\\u00e9\\n\", \"(.*)\") atan2 017 == bool 1_000.5",
            "count_values without (bool) (\"n\", topk(1y2w3d4h5m6s7ms, foo)) and sum",
            "sum(foo bar) + on bar baz{a=b, c} @ offset [5m::",
        ];
        for (i, query) in queries.iter().enumerate() {
            for mode in [0, 0x1f] {
                self.add("promql_parse", &format!("query-{mode}-{i}"), &[&[mode], query.as_bytes()])?;
            }
        }
        // Samples of all kinds, then a query over them.
        let samples: Vec<u8> = (0..128_u8).map(|i| i.wrapping_mul(37)).collect();
        let evaluated = [
            "sum by (x) (rate(a_total[2m])) / on () group_left avg(b)",
            "histogram_quantile(0.9, {__name__=~\"h.*\"}) or histogram_avg(h) unless stddev_over_time(b[1m:5s])",
            "topk(2, a_total) + ignoring (y) fill (1) b and limitk(1, increase(a_total[1m] smoothed))",
            "label_replace(quantile_over_time(0.5, b[1m] offset 5s), \"x\", \"$1\", \"y\", \"(.*)\") > bool scalar(b @ end())",
            "info(irate(a_total[1m] anchored)) * count_values(\"v\", changes(h[5m])) </ 3",
            "absent_over_time(nothing{x=\"1\"}[1m]) or sort_desc(predict_linear(b[5m], 60)) - timestamp(a_total)",
        ];
        for (i, query) in evaluated.iter().enumerate() {
            for flags in [0, 3, 4, 8] {
                let head = [flags, 3, 14, 12, 128];
                self.add("promql_eval", &format!("query-{flags}-{i}"), &[&head, &samples, query.as_bytes()])?;
            }
        }
        let series = [
            "foo{a=\"b\", 'c.d'='e'} 1 _ _x3 stale -1.5+2x3 NaN 5m 1e3x2",
            "{\"my.metric\"} {{schema:1 sum:-0.3 count:3.1 z_bucket:7 z_bucket_w:0.05 buckets:[5.1 10] offset:-3}}x2",
            "foo {{}} {{schema:-53 custom_values:[1 Inf] counter_reset_hint:gauge}}+{{n_buckets:[1 2] n_offset:-5}}x1",
            "foo{a=~\"b\"} {{sum:1 sum:2 bogus:3 buckets:[1,",
        ];
        for (i, series) in series.iter().enumerate() {
            self.add("promql_parse", &format!("series-{i}"), &[&[0x20], series.as_bytes()])?;
            self.add("promql_parse", &format!("metric-{i}"), &[&[0x30], series.as_bytes()])?;
        }
        Ok(())
    }

    /// Short inputs that need no file.
    fn written(&self) -> Result<()> {
        for mode in 0..8_u8 {
            let made: Vec<u8> = (0..600_u32).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
            self.add("chunks", &format!("made-{mode}"), &[&[0x80 | mode], &made])?;
            self.add("index", &format!("assembled-{mode}"), &[&[mode << 3 | 5], &made[..400]])?;
        }
        for n in [3_u8, 7] {
            let bits: Vec<u8> = (0..20).map(|i| i * n).collect();
            self.add("rows", &n.to_string(), &[&[n, 20, 10], &bits])?;
        }
        self.add("cells", "cell", &[b"\x00\x01\xe8\x07\xd0\x0f\x03abc\x02\xe8\x07\xd0\x0f\x00"])?;
        for mode in 0..6 {
            self.add("cells", &format!("row-{mode}"), &[&[1 | mode << 2], b"\x08\x00\x02\x7e\x80\x01"])?;
        }
        self.add("cells", "footer", &[b"\x02data_col_duration_ms=28800000\nmaxT=86400000\nminT=0"])?;
        self.add(
            "cells",
            "negative",
            &[b"\x02minT=-9223372036854775808\nmaxT=0\ndata_col_duration_ms=9223372036854775807"],
        )?;
        for name in ["l___name__", "s_data_12", "s_col_indexes", "s_series_hash", "s_data_4294967295"] {
            self.add("cells", name, &[b"\x03", name.as_bytes()])?;
        }
        let patterns = [
            "",
            ".*",
            "foo|bar|",
            "^(?:web-.*|db[0-9]+)$",
            ".*foo.*bar.+",
            "(?i)straße|k",
            "(?P<n>a*?)(?:b{2,3}|[^\\w-]+)$",
            "\\Qa.b\\E\\x{1F600}\\101",
            "[[:alpha:]\\pN\\P{Greek}]{1,9}",
            "(?m-s:^a.$)",
            "\\bfoo\\B.{2,}",
            "((a?){30}){30}",
            "(?:(a|b)*c)+",
            "\\pL{300}",
        ];
        for (i, pattern) in patterns.iter().enumerate() {
            self.add("regex", &i.to_string(), &[&[u8::try_from(pattern.len())?], pattern.as_bytes(), b"foobar"])?;
        }
        self.add(
            "tombstones",
            "stones",
            &[b"\x01\x02\x02\x04\x02\x06\x08\x03\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"],
        )?;
        self.add(
            "meta",
            "thanos",
            &[br#"{"ulid":"01JGFSEP80VHQAZ8FEAQD9QWMS","minTime":1,"maxTime":9,"stats":{"numSamples":3,"x":1.5},
            "compaction":{"level":2,"sources":["01JGFSEP80VHQAZ8FEAQD9QWMS"],"parents":[{"ulid":
            "01JGFSEP80VHQAZ8FEAQD9QWMS","minTime":1,"maxTime":2}],"hints":["from-out-of-order"],"deletable":true,
            "failed":true},"version":1,"thanos":{"version":1,"labels":{"a":"b"},"downsample":{"resolution":300000},
            "source":"compactor","segment_files":["000001"],"files":[{"rel_path":"index","size_bytes":7},
            {"rel_path":"meta.json"}],"index_stats":{}},"more":null}"#],
        )
    }

    fn fixture(&self, file: &Path) -> Result<()> {
        let bytes = fs::read(file)?;
        let directory = |up: usize| {
            let name = file.ancestors().nth(up).and_then(Path::file_name).unwrap_or_default();
            name.to_string_lossy().into_owned()
        };
        match directory(0).as_str() {
            "index" => {
                for question in (0..128).step_by(9) {
                    self.add("select", &format!("{}-{question}", directory(2)), &[&[question, 1], &bytes])?;
                }
                self.add("index", &directory(2), &[&[1], &bytes])
            }
            "meta.json" => self.add("meta", &directory(2), &[&bytes]),
            "tombstones" => {
                self.add("tombstones", &directory(2), &[&[0], &bytes])?;
                self.add("tombstones", &format!("{}-stones", directory(2)), &[&[1], &bytes[5..bytes.len() - 4]])
            }
            "000001" => {
                // The first chunks follow each other.
                let head = &bytes[..bytes.len().min(1500)];
                let mut refs = Vec::new();
                let mut at = 8;
                while at + 2 < head.len() {
                    refs.push(u16::try_from(at)?);
                    let (low, high) = (usize::from(head[at]), usize::from(head[at + 1]));
                    let (len, prefix) = if low < 0x80 { (low, 1) } else { (low & 0x7f | high << 7, 2) };
                    at += prefix + 1 + len + 4;
                }
                refs.pop();
                for mode in [0, 3, 0b1001_0111, 0b0110_1011] {
                    let parts: [&[u8]; 3] = [
                        &[mode, u8::try_from(refs.len())?],
                        &refs.iter().flat_map(|r| r.to_be_bytes()).collect::<Vec<_>>(),
                        head,
                    ];
                    self.add("segment", &format!("{}-{mode}", directory(3)), &parts)?;
                }
                Ok(())
            }
            name if name.ends_with(".labels.parquet") => {
                let chunks = fs::read(file.with_file_name(name.replace(".labels.", ".chunks.")))?;
                let name = format!("{}-{}-{name}", directory(2), directory(1));
                let ((labels, labels_footer), (chunks, chunks_footer)) = (split(&bytes)?, split(&chunks)?);
                for mode in [0, 1, 4, 15] {
                    let mut seed = vec![mode];
                    for part in [labels, labels_footer, chunks] {
                        // A file this long makes no seed anyway.
                        seed.extend(u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
                    }
                    for target in ["shard_footer", "shard_pages"] {
                        let parts = [&seed, labels, labels_footer, chunks, chunks_footer];
                        self.add(target, &format!("{name}-{mode}"), &parts)?;
                    }
                    for question in [0_u8, 16, 33, 50, 84, 21, 8].map(|q| q ^ mode) {
                        let parts = [&[question][..], &seed, labels, labels_footer, chunks, chunks_footer];
                        self.add("shard_select", &format!("{name}-{mode}-{question}"), &parts)?;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// A Parquet file's bytes before its footer, and the footer without its length.
fn split(file: &[u8]) -> Result<(&[u8], &[u8])> {
    let (rest, [l0, l1, l2, l3, ..]) = file.split_last_chunk::<8>().ok_or("a short file")?;
    let length = u32::from_le_bytes([*l0, *l1, *l2, *l3]);
    let body = rest.len().checked_sub(usize::try_from(length)?).ok_or("a footer longer than the file")?;
    Ok(rest.split_at(body))
}

fn files_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    if directory.is_dir() {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                files.extend(files_below(&path)?);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}
