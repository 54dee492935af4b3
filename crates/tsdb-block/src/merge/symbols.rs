//! One numbering of the symbols of several blocks.

use std::{cmp::Reverse, collections::BinaryHeap};

use prometheus_tsdb_index::{LabelRef, Symbols};

use crate::{
    error::{Detail, Error, Result},
    files::BlockFile,
    reader::BlockReader,
};

/// The union of several symbol tables: sorted, each string once. Ordinals of the union order as the strings do.
///
/// For a single table it costs nothing; for several, four bytes for each of their symbols and eight for each of the
/// union's.
#[derive(Debug)]
pub struct MergedSymbols<'a> {
    tables: Vec<&'a Symbols>,
    /// Where the blocks lie, for messages.
    locations: Vec<&'a str>,
    /// For each table and ordinal, the ordinal in the union. Empty for a single table: there it is the same.
    to_union: Vec<Vec<u32>>,
    /// For each ordinal of the union, a table and the ordinal there. Empty for a single table.
    origins: Vec<(u32, u32)>,
}

impl<'a> MergedSymbols<'a> {
    /// The symbols of `blocks`, in their order.
    ///
    /// # Errors
    /// Those of [`BlockReader::symbols`].
    pub fn new(blocks: &'a [BlockReader]) -> Result<Self> {
        let tables = blocks.iter().map(BlockReader::symbols).collect::<Result<_>>()?;
        let locations = blocks.iter().map(|block| block.files().location()).collect();
        let mut merged = Self { tables, locations, to_union: Vec::new(), origins: Vec::new() };
        if merged.tables.len() == 1 {
            return Ok(merged);
        }
        // The tables are sorted and hold their symbols: `Symbols::parse` saw to that.
        let symbol = |table: &'a Symbols, ordinal| table.get_bytes(ordinal).ok();
        merged.to_union = merged.tables.iter().map(|table| Vec::with_capacity(table.len())).collect();
        let mut heap = BinaryHeap::new();
        let mut previous: Option<&[u8]> = None;
        for (table, number) in merged.tables.iter().zip(0_u32..) {
            heap.extend(symbol(table, 0).map(|first| Reverse((first, number, 0_u32))));
        }
        while let Some(Reverse((least, number, ordinal))) = heap.pop() {
            if previous != Some(least) {
                merged.origins.push((number, ordinal));
                previous = Some(least);
            }
            let union = u32::try_from(merged.origins.len().saturating_sub(1)).unwrap_or(u32::MAX);
            let at = number as usize;
            if let (Some(map), Some(table)) = (merged.to_union.get_mut(at), merged.tables.get(at)) {
                map.push(union);
                let next = ordinal.saturating_add(1);
                heap.extend(symbol(table, next).map(|following| Reverse((following, number, next))));
            }
        }
        Ok(merged)
    }

    /// How many symbols the union has.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.tables.as_slice() {
            [table] => table.len(),
            _ => self.origins.len(),
        }
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The symbol with this ordinal of the union.
    ///
    /// # Errors
    /// If there is none, or if it is not UTF-8.
    pub fn get(&self, ordinal: u32) -> Result<&'a str> {
        // For an ordinal that does not exist, the first table says so.
        let (number, ordinal) = match self.tables.as_slice() {
            [_] => (0, ordinal),
            _ => self.origins.get(ordinal as usize).copied().unwrap_or((0, u32::MAX)),
        };
        let table = self.tables.get(number as usize).ok_or_else(|| self.no_tables())?;
        table.get(ordinal).map_err(|source| {
            let location = self.locations.get(number as usize).copied().unwrap_or_default().into();
            Detail::Index { location, file: BlockFile::Index, source }.into()
        })
    }

    #[cold]
    fn no_tables(&self) -> Error {
        Detail::Argument { location: String::new(), message: "a symbol of no blocks".into() }.into()
    }

    /// Ordinal in the union of the string `symbol`, if any table has it.
    #[must_use]
    pub fn find(&self, symbol: &str) -> Option<u32> {
        match self.tables.as_slice() {
            [table] => table.find(symbol),
            tables => tables
                .iter()
                .zip(&self.to_union)
                .find_map(|(table, map)| map.get(table.find(symbol)? as usize).copied()),
        }
    }

    /// Renumbers labels of block `block` in place.
    pub fn renumber(&self, block: usize, labels: &mut [LabelRef]) {
        // A decoder has checked that the symbols exist.
        let Some(map) = self.to_union.get(block) else { return };
        for label in labels {
            for symbol in [&mut label.name, &mut label.value] {
                *symbol = map.get(*symbol as usize).copied().unwrap_or(u32::MAX);
            }
        }
    }

    /// Bytes that the union holds beside the tables themselves.
    #[must_use]
    pub fn memory_size(&self) -> usize {
        let maps: usize = self.to_union.iter().map(|map| map.capacity().saturating_mul(size_of::<u32>())).sum();
        maps.saturating_add(self.origins.capacity().saturating_mul(size_of::<(u32, u32)>()))
    }
}
