//! Pages of label columns: optional and dictionary-encoded.
//!
//! ```text
//! levels  := runs of 1 bit          1 where the row has a value
//! body    := width: byte  runs of width bits: an index into the dictionary for each row that has a value
//! ```

use std::ops::Range;

use bytes::Bytes;

use crate::{
    column::ABSENT,
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
        let values = levels.skip_levels(skipped.into())?;
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

/// Reads the codes of many rows of a page at once.
#[derive(Clone, Debug)]
pub(crate) struct LabelCursor<'a> {
    levels: Hybrid<'a>,
    indexes: Hybrid<'a>,
    /// The row that is next.
    row: u32,
    /// Size of the dictionary.
    entries: u32,
}

impl<'a> LabelCursor<'a> {
    pub(crate) fn new(page: &'a LabelPage, entries: u32) -> Result<Self, Fault> {
        let levels = Hybrid::resume(&page.levels, 1, Position::default())?;
        let indexes = Hybrid::resume(&page.indexes, page.width, Position::default())?;
        Ok(Self { levels, indexes, row: 0, entries })
    }

    /// Appends the code of each row in `rows`, or [`ABSENT`]. They are not before those read last, and count from the
    /// start of the page.
    pub(crate) fn read(&mut self, rows: Range<u32>, codes: &mut Vec<u32>) -> Result<(), Fault> {
        let skipped = rows.start.saturating_sub(self.row);
        let values = self.levels.skip_levels(skipped.into())?;
        self.indexes.skip(values)?;
        let mut left = rows.end.saturating_sub(rows.start);
        while left > 0 {
            let (is_present, count) = self.levels.next_levels(left.into())?;
            let count = u32::try_from(count).unwrap_or(left).min(left);
            if is_present {
                let from = codes.len();
                self.indexes.read(count as usize, codes)?;
                let greatest = codes.iter().skip(from).fold(0, |greatest, code| greatest.max(*code));
                if greatest >= self.entries {
                    let expected = format!("an index into a dictionary of {} entries", self.entries);
                    return Err(Fault::corrupt(expected, greatest.to_string()));
                }
            } else {
                codes.extend(std::iter::repeat_n(ABSENT, count as usize));
            }
            left = left.saturating_sub(count);
        }
        self.row = rows.end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows 0, 3 and 4 of 6 have the entries 2, 0 and 1: levels bit-packed, indexes of 2 bits likewise.
    fn page() -> LabelPage {
        LabelPage::new(Bytes::from_static(&[3, 0b01_1001]), &Bytes::from_static(&[2, 3, 0b01_0010, 0]), 6).unwrap()
    }

    #[test]
    fn rows_in_order() {
        let mut page = page();
        let all: Vec<_> = (0..6).map(|_| page.take().unwrap()).collect();
        assert_eq!(all, [Some(2), None, None, Some(0), Some(1), None]);
        assert!(page.finish().is_ok());
    }

    #[test]
    fn many_rows_at_once() {
        let page = page();
        let read = |rows: &[(u32, u32)], entries| {
            let (mut cursor, mut codes) = (LabelCursor::new(&page, entries).unwrap(), Vec::new());
            rows.iter().try_for_each(|(start, end)| cursor.read(*start..*end, &mut codes)).map(|()| codes)
        };
        assert_eq!(read(&[(0, 6)], 3).unwrap(), [2, ABSENT, ABSENT, 0, 1, ABSENT]);
        assert_eq!(read(&[(0, 1), (3, 4), (4, 6)], 3).unwrap(), [2, 0, 1, ABSENT]);
        assert_eq!(read(&[(2, 4)], 1).unwrap(), [ABSENT, 0]);
        assert!(read(&[(0, 6)], 2).is_err() && read(&[(3, 5)], 1).is_err());
    }

    #[test]
    fn no_value_is_passed_over() {
        let mut page = page();
        assert_eq!(page.take().unwrap(), Some(2));
        page.advance(3).unwrap();
        assert_eq!(page.clone().take().unwrap(), Some(0));
        let fault = page.clone().advance(4).unwrap_err();
        assert!(format!("{fault:?}").contains("rows 3 to 4 of the page without a value"), "{fault:?}");
        assert!(page.finish().is_err());
    }

    #[test]
    fn a_page_without_values_needs_no_indexes() {
        let mut page = LabelPage::new(Bytes::from_static(&[200, 1, 0]), &Bytes::new(), 100).unwrap();
        assert_eq!(page.take().unwrap(), None);
        page.finish().unwrap();
        assert!(LabelPage::new(Bytes::new(), &Bytes::from_static(&[33]), 1).is_err());
    }
}
