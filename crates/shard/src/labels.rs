//! Pages of label columns: optional and dictionary-encoded.
//!
//! ```text
//! levels  := runs of 1 bit          1 where the row has a value
//! body    := width: byte  runs of width bits: an index into the dictionary for each row that has a value
//! ```

use bytes::Bytes;

use crate::{
    error::Fault,
    hybrid::{Hybrid, Position},
};

/// A page that is read row by row. It stays in its encoded form, since most columns have a value in few rows.
#[derive(Clone, Debug)]
pub(crate) struct LabelPage {
    levels: Bytes,
    indexes: Bytes,
    width: u32,
    rows: u32,
    /// The row that is next.
    row: u32,
    level: Position,
    index: Position,
}

impl LabelPage {
    pub(crate) fn new(levels: Bytes, body: &Bytes, rows: u32) -> Result<Self, Fault> {
        // A page without values may do without the width.
        let width: u32 = body.first().copied().unwrap_or(0).into();
        if width > 32 {
            return Err(Fault::corrupt("dictionary indexes of at most 32 bits", width.to_string()));
        }
        let indexes = body.slice(body.len().min(1)..);
        let (level, index) = (Position::default(), Position::default());
        Ok(Self { levels, indexes, width, rows, row: 0, level, index })
    }

    /// Goes on to `row` (counted from the start of the page), which is not before the next one. Rows that are passed
    /// over must have no value.
    pub(crate) fn advance(&mut self, row: u32) -> Result<(), Fault> {
        let skipped = row.saturating_sub(self.row);
        if skipped == 0 {
            return Ok(());
        }
        let mut levels = Hybrid::resume(&self.levels, 1, self.level)?;
        let values = levels.skip(skipped.into())?;
        if values != 0 {
            let rows = format!("rows {} to {} of the page without a value", self.row, row);
            return Err(Fault::corrupt(format!("{rows}, as the row index says"), format!("{values} values")));
        }
        self.level = levels.position(&self.levels);
        self.row = row;
        Ok(())
    }

    /// The dictionary index of the next row; `None` if it has no value.
    pub(crate) fn take(&mut self) -> Result<Option<u32>, Fault> {
        let mut levels = Hybrid::resume(&self.levels, 1, self.level)?;
        let present = levels.next()? != 0;
        self.level = levels.position(&self.levels);
        self.row = self.row.saturating_add(1);
        if !present {
            return Ok(None);
        }
        let mut indexes = Hybrid::resume(&self.indexes, self.width, self.index)?;
        let index = indexes.next()?;
        self.index = indexes.position(&self.indexes);
        Ok(Some(index))
    }

    /// Checks that the rows left have no value.
    pub(crate) fn finish(&mut self) -> Result<(), Fault> {
        self.advance(self.rows)
    }

    /// Bytes that it holds.
    pub(crate) fn memory_size(&self) -> u64 {
        (self.levels.len() as u64).saturating_add(self.indexes.len() as u64)
    }
}
