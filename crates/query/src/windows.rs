//! Which chunk pages are read together: planned for the whole select before the first of them is read.

use std::ops::Range;

use promparquet_shard::{Page, Shard};
use rustc_hash::FxHashSet;

/// A row of the answer: number of the row group among those asked, and number of the row among those found in it.
pub(crate) type Place = (u32, u32);

/// A page of a data column: number of the row group among those asked, number of the column among those asked, and number of
/// the page.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct PageKey {
    pub(crate) row_group: u32,
    pub(crate) column: u32,
    pub(crate) page: u32,
}

/// Consecutive rows of the answer, and the pages that hold their cells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Window {
    /// Positions in the order of the answer.
    pub(crate) rows: Range<usize>,
    /// Ascending.
    pub(crate) pages: Vec<PageKey>,
}

/// How large windows are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowSize {
    /// Bytes of pages that the window before does not have.
    pub(crate) bytes: u64,
    pub(crate) series: u32,
}

/// The data columns that a select reads.
#[derive(Debug)]
pub(crate) struct ChunkPages {
    /// For each row group asked, for each column asked, the pages.
    pages: Vec<Vec<Vec<Page>>>,
}

impl ChunkPages {
    /// Pages of these `columns` (positions in the chunks file) of these row groups.
    pub(crate) fn new(shard: &Shard, row_groups: &[usize], columns: &[usize]) -> Self {
        let file = shard.chunks_file();
        let of = |group: usize| columns.iter().map(|column| file.pages(group, *column).collect()).collect();
        Self { pages: row_groups.iter().map(|group| of(*group)).collect() }
    }

    pub(crate) fn page(&self, key: PageKey) -> Option<&Page> {
        self.pages.get(key.row_group as usize)?.get(key.column as usize)?.get(key.page as usize)
    }

    /// The page that holds a row.
    pub(crate) fn locate(&self, row_group: u32, column: u32, row: u32) -> Option<PageKey> {
        let pages = self.pages.get(row_group as usize)?.get(column as usize)?;
        let page = pages.partition_point(|page| page.rows.end <= row);
        (page < pages.len()).then_some(PageKey { row_group, column, page: u32::try_from(page).ok()? })
    }

    fn bytes(&self, key: PageKey) -> u64 {
        self.page(key).map_or(0, |page| page.bytes.end.saturating_sub(page.bytes.start))
    }

    fn new_bytes(&self, wanted: &[PageKey], before: &FxHashSet<PageKey>) -> u64 {
        wanted.iter().filter(|key| !before.contains(key)).map(|key| self.bytes(*key)).sum()
    }

    /// Cuts the answer into windows. `row_of` gives a row in its row group. A window never begins with a row of which
    /// `belongs_to_previous` says so.
    pub(crate) fn windows(
        &self,
        order: &[Place],
        size: WindowSize,
        row_of: impl Fn(Place) -> u32,
        belongs_to_previous: impl Fn(usize) -> bool,
    ) -> Vec<Window> {
        let columns = self.pages.first().map_or(0, Vec::len) as u32;
        let mut windows: Vec<Window> = Vec::new();
        let mut before: FxHashSet<PageKey> = FxHashSet::default();
        let mut held: FxHashSet<PageKey> = FxHashSet::default();
        // The page that each column was read from last: mostly that of the next row too.
        let mut last: Vec<Option<(PageKey, Range<u32>)>> = vec![None; columns as usize];
        let (mut start, mut bytes) = (0, 0_u64);
        let close = |rows: Range<usize>, held: &FxHashSet<PageKey>| {
            let mut pages: Vec<_> = held.iter().copied().collect();
            pages.sort_unstable();
            Window { rows, pages }
        };
        let mut missing = Vec::new();
        for (n, place) in order.iter().enumerate() {
            let row = row_of(*place);
            missing.clear();
            for (column, last) in (0..columns).zip(&mut last) {
                let known = last.as_ref().filter(|(key, rows)| key.row_group == place.0 && rows.contains(&row));
                if known.is_some() {
                    continue;
                }
                let key = self.locate(place.0, column, row);
                *last = key.and_then(|key| Some((key, self.page(key)?.rows.clone())));
                missing.extend(key.filter(|key| !held.contains(key)));
            }
            let is_full = bytes.saturating_add(self.new_bytes(&missing, &before)) > size.bytes
                || n - start >= size.series as usize;
            if n > start && is_full && !belongs_to_previous(n) {
                windows.push(close(start..n, &held));
                before = std::mem::take(&mut held);
                (start, bytes) = (n, 0);
                // Pages of the last row hold this one too, perhaps.
                missing.clear();
                missing.extend((0..columns).filter_map(|column| self.locate(place.0, column, row)));
            }
            bytes = bytes.saturating_add(self.new_bytes(&missing, &before));
            held.extend(missing.iter().copied());
        }
        if start < order.len() {
            windows.push(close(start..order.len(), &held));
        }
        windows
    }

    /// Bytes that reading the windows one after another takes.
    pub(crate) fn total_bytes(&self, windows: &[Window]) -> u64 {
        let mut sum = 0_u64;
        let mut before: &[PageKey] = &[];
        for window in windows {
            let new = window.pages.iter().filter(|key| before.binary_search(key).is_err());
            sum = new.fold(sum, |sum, key| sum.saturating_add(self.bytes(*key)));
            before = &window.pages;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Two row groups with two columns each; pages of the given rows, of 100 bytes each.
    fn pages(rows: &[Vec<u32>]) -> ChunkPages {
        let column = |ends: &Vec<u32>| {
            let mut start = 0;
            let page = |end: &u32| {
                let page =
                    Page { bytes: u64::from(start) * 100..u64::from(start) * 100 + 100, rows: start..start + end };
                start += end;
                page
            };
            ends.iter().map(page).collect::<Vec<_>>()
        };
        ChunkPages { pages: rows.chunks(2).map(|columns| columns.iter().map(column).collect()).collect() }
    }

    proptest! {
        #[test]
        fn windows_hold_what_their_rows_need(
            a in prop::collection::vec(1_u32..5, 1..6), b in prop::collection::vec(1_u32..5, 1..6),
            mut order in prop::collection::vec((0_u32..2, 0_u32..5), 0..40), sorted: bool, bytes in 0_u64..900, series in 1_u32..10,
        ) {
            let pages = pages(&[a.clone(), b.clone(), b, a]);
            if sorted {
                order.sort_unstable();
            }
            let size = WindowSize { bytes, series };
            let together = |n: usize| n % 7 == 3;
            let windows = pages.windows(&order, size, |(_, n)| n, together);
            let mut next = 0;
            for window in &windows {
                prop_assert_eq!(window.rows.start, next);
                prop_assert!(window.rows.start < window.rows.end);
                prop_assert!(window.rows.start == 0 || !together(window.rows.start));
                next = window.rows.end;
                let mut needed: Vec<_> = order[window.rows.clone()]
                    .iter()
                    .flat_map(|(group, row)| (0..2).filter_map(|column| pages.locate(*group, column, *row)))
                    .collect();
                needed.sort_unstable();
                needed.dedup();
                prop_assert_eq!(&window.pages, &needed);
            }
            prop_assert_eq!(next, order.len());
            prop_assert!(pages.total_bytes(&windows) >= 100 * windows.first().map_or(0, |w| w.pages.len() as u64));
        }
    }
}
