//! Chunks written by Prometheus' encoders: `testdata/chunks`, whose README states the format.

use std::{fs, path::PathBuf};

use prometheus_chunks::{Encoding, sample_count};

use crate::{Sample, bulk, encode, naive, stream};

fn corpus() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "testdata", "chunks"].iter().collect()
}

struct Golden {
    name: String,
    data: Vec<u8>,
    samples: Vec<Sample>,
}

fn unhex(text: &str) -> Vec<u8> {
    assert_eq!(text.len() % 2, 0);
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn goldens(file: &str, encoding: Encoding) -> Vec<Golden> {
    let text = fs::read_to_string(corpus().join(file)).unwrap();
    let mut goldens: Vec<Golden> = vec![];
    let mut before = Sample { timestamp: 0, bits: 0, start: 0 };
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        if let ["chunk", name, byte, data] = words[..] {
            assert_eq!(Encoding::try_from(byte.parse::<u8>().unwrap()).unwrap(), encoding);
            goldens.push(Golden { name: name.to_owned(), data: unhex(data), samples: vec![] });
            before = Sample { timestamp: 0, bits: 0, start: 0 };
            continue;
        }
        before.timestamp = before.timestamp.wrapping_add(words[0].parse().unwrap());
        if let Some(bits) = words.get(1) {
            before.bits = u64::from_str_radix(bits, 16).unwrap();
        }
        if let Some(start) = words.get(2) {
            before.start = before.start.wrapping_add(start.parse::<i64>().unwrap());
        }
        goldens.last_mut().unwrap().samples.push(before);
    }
    goldens
}

fn check(file: &str, encoding: Encoding, at_least: usize) {
    let goldens = goldens(file, encoding);
    assert!(goldens.len() >= at_least, "only {} chunks", goldens.len());
    for Golden { name, data, samples } in goldens {
        assert_eq!(usize::from(sample_count(encoding, &data).unwrap()), samples.len(), "{name}");
        assert_eq!(encode(encoding, &samples), data, "{name}: other bytes than Prometheus");
        assert_eq!(naive::decode(encoding, &data).as_ref(), Some(&samples), "{name}: the oracle is wrong");
        assert_eq!(stream(encoding, &data).unwrap(), samples, "{name}");
        for first in 0..4 {
            assert_eq!(bulk(encoding, &data, first).unwrap(), samples, "{name}, {first} first");
        }
    }
}

#[test]
fn xor() {
    check("xor.txt", Encoding::Xor, 80);
}

#[test]
fn xor2() {
    check("xor2.txt", Encoding::Xor2, 190);
}

#[test]
fn no_file_of_the_corpus_is_forgotten() {
    let known = ["README.md", "float_histogram.txt", "histogram.txt", "xor.txt", "xor2.txt"];
    for entry in fs::read_dir(corpus()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&&name[..]), "no test reads testdata/chunks/{name}");
    }
}
