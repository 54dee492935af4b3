//! Symbols and series of several blocks as one, against maps and sets.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::Arc,
};

use prometheus_model::{Labels, Sample, Value};
use prometheus_tsdb_block::{BlockReader, LocalBlock, MergedSeries, MergedSymbols, write_block};
use proptest::prelude::*;
use ulid::Ulid;

/// Series of a block: values of a few labels (an empty one is none), and how many samples.
type Block = BTreeMap<Labels, usize>;

fn block() -> impl Strategy<Value = Block> {
    let value = || prop::sample::select(vec!["", "", "a", "b", "ab", "\u{e9}", "a\u{0}", "name", "zz"]);
    let labels = prop::collection::vec(value(), 4).prop_map(|values| {
        let pairs = ["a", "name", "\u{e9}.b", "job"].into_iter().zip(values).filter(|(_, value)| !value.is_empty());
        Labels::from_pairs(pairs).unwrap()
    });
    prop::collection::btree_map(labels.prop_filter("some label", |labels| !labels.is_empty()), 1_usize..300, 1..12)
}

fn open(dir: &std::path::Path, number: usize, series: &Block) -> BlockReader {
    let sample = |t: usize| Sample { timestamp: t as i64 * 1000, start_timestamp: 0, value: Value::Float(t as f64) };
    let series: Vec<_> =
        series.iter().map(|(labels, count)| (labels.clone(), (0..*count).map(sample).collect::<Vec<_>>())).collect();
    let meta = write_block(dir, Ulid::from_parts(1, number as u128), &series).unwrap();
    BlockReader::open(Arc::new(LocalBlock::open(dir.join(meta.ulid.to_string())).unwrap())).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn several_blocks_are_the_union_of_them(blocks in prop::collection::vec(block(), 0..5), window in 1_u64..200, copy: bool) {
        let mut blocks = blocks;
        if copy && let Some(first) = blocks.first().cloned() {
            blocks.push(first);
        }
        let dir = tempfile::tempdir().unwrap();
        let readers: Vec<_> = (0..).zip(&blocks).map(|(number, block)| open(dir.path(), number, block)).collect();
        let symbols = MergedSymbols::new(&readers).unwrap();

        let mut union = BTreeSet::new();
        for table in readers.iter().map(|reader| reader.symbols().unwrap()) {
            union.extend((0..table.len() as u32).map(|ordinal| table.get(ordinal).unwrap().to_owned()));
        }
        prop_assert_eq!((symbols.len(), symbols.is_empty()), (union.len(), union.is_empty()));
        for (ordinal, symbol) in (0..).zip(&union) {
            prop_assert_eq!(symbols.get(ordinal).unwrap(), symbol);
            prop_assert_eq!(symbols.find(symbol), Some(ordinal));
        }
        prop_assert!(symbols.get(union.len() as u32).is_err() && symbols.get(u32::MAX).is_err());
        for other in ["no such symbol", "aa", "zzz"] {
            prop_assert_eq!(symbols.find(other), None);
        }

        let mut expected: BTreeMap<&Labels, Vec<(u32, usize)>> = BTreeMap::new();
        for (number, block) in (0..).zip(&blocks) {
            block.iter().for_each(|(labels, count)| expected.entry(labels).or_default().push((number, count.div_ceil(120))));
        }
        let mut merged = MergedSeries::new(&readers, &symbols, window).unwrap();
        for (labels, places) in expected {
            prop_assert!(merged.advance().unwrap());
            let pairs: Vec<_> = merged
                .labels()
                .iter()
                .map(|label| (symbols.get(label.name).unwrap(), symbols.get(label.value).unwrap()))
                .collect();
            prop_assert_eq!(&Labels::from_pairs(pairs).unwrap(), labels);
            let found: Vec<_> = merged.parts().map(|(part, chunks)| (part.block, chunks.len())).collect();
            prop_assert_eq!(found, places);
            // Each part is the series itself, in its block.
            for (part, chunks) in merged.parts() {
                let mut same = false;
                readers[part.block as usize]
                    .read_series(&[part.series], |_, _, entry| {
                        same = entry.chunks == chunks;
                        Ok(ControlFlow::Continue(()))
                    })
                    .unwrap();
                prop_assert!(same);
            }
        }
        prop_assert!(!merged.advance().unwrap() && !merged.advance().unwrap());
    }
}
