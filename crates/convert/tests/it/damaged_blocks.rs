//! Damaged blocks: a typed error, or the very samples of the whole block; never others.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use object_store::memory::InMemory;
use prometheus_tsdb_block::{BlockFile, MemoryBlock};
use promparquet_convert::{Control, Error, ErrorKind, Options, convert};
use promparquet_objstore::Bucket;
use promparquet_testkit::blocks::BlockSpec;
use tokio::runtime::Runtime;

use crate::{
    blocks::{delete, generated, merged, options},
    fixtures::{Series, all_rows, assert_same, runtime, samples_of_rows},
};

type Files = BTreeMap<String, Bytes>;

/// Converts many blocks, one after the other.
struct Converter {
    runtime: Runtime,
    options: Options,
    good: Files,
    expected: Series,
}

impl Converter {
    fn new(block: &MemoryBlock) -> Self {
        let (runtime, options) = (runtime(), options());
        let good = convert_block(&runtime, block, &options).unwrap();
        Self { runtime, options, good, expected: merged(std::slice::from_ref(block), None) }
    }

    /// Whether the damage was noticed. If not, the samples are checked.
    fn notices(&self, block: &MemoryBlock, what: impl Fn() -> String) -> Option<Error> {
        match convert_block(&self.runtime, block, &self.options) {
            Err(error) => {
                let expected =
                    [ErrorKind::Corrupt, ErrorKind::Unsupported, ErrorKind::LimitExceeded, ErrorKind::NotFound];
                assert!(expected.contains(&error.kind()), "{}: {:?} {error}", what(), error.kind());
                let text = chain(&error);
                assert!(error.kind() == ErrorKind::LimitExceeded || text.contains("tiny-block"), "{}: {text}", what());
                Some(error)
            }
            Ok(files) if files == self.good => None,
            // Another time range in the meta makes other columns.
            Ok(files) => {
                let rows = self.runtime.block_on(async {
                    let bucket = bucket();
                    for (key, bytes) in &files {
                        bucket.put(key, bytes.clone()).await.unwrap();
                    }
                    all_rows(&bucket, &self.options.name, 1).await
                });
                assert_same(&samples_of_rows(&rows), &self.expected, false, &what());
                None
            }
        }
    }
}

/// The error and its sources, as callers print them.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

fn bucket() -> Bucket {
    Bucket::new(Arc::new(InMemory::new()), "memory://target")
}

fn convert_block(runtime: &Runtime, block: &MemoryBlock, options: &Options) -> Result<Files, Error> {
    runtime.block_on(async {
        let bucket = bucket();
        let block = prometheus_tsdb_block::BlockReader::open(Arc::new(block.clone()))?;
        let result = convert(vec![block], None, bucket.clone(), options.clone(), Arc::new(Control::default())).await;
        let files = crate::blocks::files(&bucket).await;
        match result {
            Ok(_) => Ok(files),
            Err(error) => {
                assert!(files.is_empty(), "files of a conversion that failed: {:?}", files.keys());
                Err(error)
            }
        }
    })
}

/// Floats and histograms; and the same with tombstones, which make chunks be decoded.
fn blocks() -> [(&'static str, MemoryBlock); 2] {
    let named = |block: MemoryBlock| {
        let mut named = MemoryBlock::new("tiny-block", []);
        named.files_mut().extend(block.clone().files_mut().iter().map(|(file, bytes)| (*file, bytes.clone())));
        named
    };
    let plain = named(generated(&BlockSpec::tiny()));
    let mut deleted = plain.clone();
    let start = BlockSpec::tiny().end() - 30 * 60_000;
    delete(&mut deleted, &[(0, start, start + 300_000), (1, start + 600_000, start + 900_000), (3, 0, i64::MAX)]);
    [("plain", plain), ("with tombstones", deleted)]
}

#[test]
fn every_flipped_bit_and_every_cut_of_every_file() {
    for (name, block) in blocks() {
        let converter = Converter::new(&block);
        assert!(converter.expected.len() >= 4);
        for (file, bytes) in block.clone().files_mut().iter() {
            let mut damaged = block.clone();
            let (mut noticed, mut harmless) = (0, 0);
            for bit in 0..bytes.len() * 8 {
                let mut changed = bytes.to_vec();
                changed[bit / 8] ^= 1 << (bit % 8);
                damaged.files_mut().insert(*file, changed.into());
                match converter.notices(&damaged, || format!("{name}: bit {bit} of {file}")) {
                    Some(_) => noticed += 1,
                    None => harmless += 1,
                }
            }
            for length in 0..bytes.len() {
                damaged.files_mut().insert(*file, bytes.slice(..length));
                let error = converter.notices(&damaged, || format!("{name}: {file} cut to {length} bytes"));
                // Of segments, bytes behind the last chunk may be missing; there are none. Of the meta, a line feed.
                let error = error.filter(|error| chain(error).contains(&file.to_string()));
                assert!(
                    error.is_some() || *file == BlockFile::Meta && length + 2 > bytes.len(),
                    "{file} of {length} bytes"
                );
            }
            eprintln!("{name}, {file}: {noticed} bits noticed, {harmless} without effect");
            if matches!(file, BlockFile::Segment(_) | BlockFile::Tombstones) {
                // All bytes that are read have a checksum. The header of a segment ends with three bytes of padding;
                // chunks of deleted series are not read.
                assert!(name != "plain" || harmless <= 24, "{harmless} of {file}");
            }
            assert!(noticed > harmless || *file == BlockFile::Meta || *file == BlockFile::Index, "{file}");
        }
    }
}

#[test]
fn missing_swapped_and_foreign_files() {
    let [(_, block), (_, deleted)] = blocks();
    let converter = Converter::new(&block);
    let (meta, index) = (BlockFile::Meta, BlockFile::Index);
    let (segment, tombstones) = (BlockFile::Segment(0), BlockFile::Tombstones);
    let bytes = |file| block.clone().files_mut()[&file].clone();
    let with = |file, bytes: Bytes| {
        let mut changed = block.clone();
        changed.files_mut().insert(file, bytes);
        changed
    };
    let patched = |file, offset: usize, value: u8| {
        let mut changed = bytes(file).to_vec();
        changed[offset] = value;
        with(file, changed.into())
    };
    let without = |file| {
        let mut changed = block.clone();
        changed.files_mut().remove(&file);
        changed
    };
    let json = |from: &str, to: &str| {
        let text = String::from_utf8(bytes(meta).to_vec()).unwrap();
        assert!(text.contains(from), "{text}");
        with(meta, text.replacen(from, to, 1).into())
    };
    let mut gap = block.clone();
    let moved = gap.files_mut().remove(&segment).unwrap();
    gap.files_mut().insert(BlockFile::Segment(1), moved);
    use ErrorKind::{Corrupt, NotFound, Unsupported};
    // What, the block, the kind of error, and what the message must say.
    let cases: Vec<(&str, MemoryBlock, ErrorKind, &[&str])> = vec![
        ("no meta", without(meta), NotFound, &["meta.json"]),
        ("no index", without(index), NotFound, &["index"]),
        ("no segment", without(segment), Corrupt, &["chunks/000001"]),
        ("a gap", gap, Corrupt, &["expected chunks/000001", "found chunks/000002"]),
        ("an empty meta", with(meta, Bytes::new()), Corrupt, &["meta.json"]),
        ("an empty index", with(index, Bytes::new()), Corrupt, &["index", "expected"]),
        ("an empty segment", with(segment, Bytes::new()), Corrupt, &["chunks/000001", "expected"]),
        ("empty tombstones", with(tombstones, Bytes::new()), Corrupt, &["tombstones", "expected"]),
        ("the index as segment", with(segment, bytes(index)), Corrupt, &["chunks/000001", "expected"]),
        ("the segment as index", with(index, bytes(segment)), Corrupt, &["index", "expected"]),
        ("the meta as tombstones", with(tombstones, bytes(meta)), Corrupt, &["tombstones", "expected"]),
        ("the index as meta", with(meta, bytes(index)), Corrupt, &["meta.json"]),
        ("meta of version 3", json("\"version\": 1", "\"version\": 3"), Unsupported, &["meta.json", "version", "3"]),
        ("index of version 9", patched(index, 4, 9), Unsupported, &["index", "version", "9"]),
        ("segment of version 7", patched(segment, 4, 7), Unsupported, &["chunks/000001", "version", "7"]),
        ("tombstones of version 2", patched(tombstones, 4, 2), Unsupported, &["tombstones", "version", "2"]),
    ];
    for (what, block, kind, expected) in cases {
        let error = converter.notices(&block, || what.to_owned()).unwrap_or_else(|| panic!("{what} is not noticed"));
        let text = chain(&error);
        assert_eq!(error.kind(), kind, "{what}: {text}");
        for part in expected {
            assert!(text.contains(part), "{what}: {part:?} expected in {text}");
        }
    }
    // A block without tombstones is whole; those of another block are believed, as long as they are sound.
    assert!(converter.notices(&without(tombstones), String::new).is_none());
    let foreign = with(tombstones, deleted.clone().files_mut()[&tombstones].clone());
    let files = convert_block(&converter.runtime, &foreign, &converter.options).unwrap();
    assert!(files != converter.good);
}
