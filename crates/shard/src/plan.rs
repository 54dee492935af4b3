//! Which bytes to read: no I/O, no decoding.

use std::{cmp::Reverse, collections::BinaryHeap, ops::Range};

/// Ranges that lie close together, joined, and which of them are in which joined one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Coalesced {
    /// Ascending; more than the gap lies between two of them, unless the one before is full.
    pub(crate) reads: Vec<Range<u64>>,
    /// For each range given, its read.
    pub(crate) read_of: Vec<usize>,
}

/// Joins ranges with at most `gap` bytes between them, into reads of at most `most` bytes (a single range may be longer).
pub(crate) fn coalesce(ranges: &[Range<u64>], gap: u64, most: u64) -> Coalesced {
    let mut order: Vec<usize> = (0..ranges.len()).collect();
    order.sort_by_key(|i| ranges.get(*i).map(|r| (r.start, r.end)));
    let mut reads: Vec<Range<u64>> = Vec::new();
    let mut read_of = vec![0; ranges.len()];
    for i in order {
        let Some(range) = ranges.get(i) else { continue };
        let joined = reads.last_mut().filter(|read| {
            range.start <= read.end.saturating_add(gap) && range.end.max(read.end).saturating_sub(read.start) <= most
        });
        match joined {
            Some(read) => read.end = read.end.max(range.end),
            None => reads.push(range.clone()),
        }
        if let Some(read) = read_of.get_mut(i) {
            *read = reads.len().saturating_sub(1);
        }
    }
    Coalesced { reads, read_of }
}

/// A column that is read page by page.
pub(crate) trait PagedColumn {
    /// The row that the pages planned so far end before.
    fn end(&self) -> u32;

    /// Length in bytes and end row of the `n`-th page after those planned so far; `None` after the last.
    fn page_ahead(&self, n: usize) -> Option<(u64, u32)>;
}

/// How many more pages to read of each column, so that all have the row `row` and as many after it as `budget_bytes`
/// allow. Columns advance together: the one that is furthest behind gets the next page.
pub(crate) fn pages_ahead<C: PagedColumn>(columns: &[C], row: u32, budget_bytes: u64) -> Vec<usize> {
    let mut ahead = vec![0; columns.len()];
    let mut behind: BinaryHeap<Reverse<(u32, usize)>> =
        columns.iter().enumerate().map(|(i, column)| Reverse((column.end(), i))).collect();
    let mut bytes = 0_u64;
    while let Some(Reverse((end, i))) = behind.pop() {
        let next = columns.get(i).zip(ahead.get_mut(i));
        // A column that is at its end is the one furthest behind: so are all.
        let Some((column, count)) = next else { break };
        let Some((length, page_end)) = column.page_ahead(*count) else { break };
        bytes = bytes.saturating_add(length);
        if end > row && bytes > budget_bytes {
            break;
        }
        *count = count.saturating_add(1);
        behind.push(Reverse((page_end.max(end.saturating_add(1)), i)));
    }
    ahead
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn coalesces_by_gap_and_size() {
        let plan = |ranges: &[Range<u64>], gap, most| {
            let c = coalesce(ranges, gap, most);
            (c.reads, c.read_of)
        };
        assert_eq!(plan(&[10..20, 0..5, 22..30], 2, 100), (vec![0..5, 10..30], vec![1, 0, 1]));
        assert_eq!(plan(&[0..10, 10..20, 20..30], 0, 20), (vec![0..20, 20..30], vec![0, 0, 1]));
        assert_eq!(plan(&[0..50, 1..2], 0, 20), (vec![0..50, 1..2], vec![0, 1]));
        assert_eq!(plan(&[], 0, 20), (vec![], vec![]));
    }

    proptest! {
        #[test]
        fn every_range_lies_in_its_read(starts in prop::collection::vec((0_u64..1000, 0_u64..50), 0..40), gap in 0_u64..30, most in 1_u64..300) {
            let ranges: Vec<_> = starts.iter().map(|(s, n)| *s..s + n).collect();
            let c = coalesce(&ranges, gap, most);
            for (range, read) in ranges.iter().zip(&c.read_of) {
                let read = &c.reads[*read];
                prop_assert!(read.start <= range.start && range.end <= read.end);
            }
        }
    }

    struct Pages {
        end: u32,
        pages: Vec<(u64, u32)>,
    }

    impl PagedColumn for Pages {
        fn end(&self) -> u32 {
            self.end
        }

        fn page_ahead(&self, n: usize) -> Option<(u64, u32)> {
            self.pages.get(n).copied()
        }
    }

    #[test]
    fn columns_advance_together_within_the_budget() {
        let columns = || {
            vec![
                Pages { end: 0, pages: vec![(10, 100)] },
                Pages { end: 0, pages: vec![(30, 25), (30, 50), (30, 75), (30, 100)] },
            ]
        };
        assert_eq!(pages_ahead(&columns(), 0, 0), [1, 1]);
        assert_eq!(pages_ahead(&columns(), 0, 75), [1, 2]);
        assert_eq!(pages_ahead(&columns(), 0, 1000), [1, 4]);
        // Only what is behind must come, whatever the budget.
        let mut columns = columns();
        columns[1].end = 25;
        columns[1].pages.remove(0);
        assert_eq!(pages_ahead(&columns, 25, 0), [1, 1]);
        assert_eq!(pages_ahead(&columns, 10, 0), [1, 0]);
        assert_eq!(pages_ahead::<Pages>(&[], 0, 0), [0; 0]);
    }
}
