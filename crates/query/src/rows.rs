//! Sets of rows of one row group.

use std::ops::Range;

/// Rows of a row group: ranges that ascend, hold a row at least, and neither overlap nor touch.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RowRanges(Vec<Range<u32>>);

impl RowRanges {
    /// The rows before `count`.
    #[must_use]
    pub fn all(count: u32) -> Self {
        let mut rows = Self::default();
        rows.push(0..count);
        rows
    }

    /// Adds rows that are not before any that are there. An empty range adds nothing.
    pub fn push(&mut self, rows: Range<u32>) {
        if rows.start >= rows.end {
            return;
        }
        match self.0.last_mut() {
            Some(last) if rows.start <= last.end => last.end = last.end.max(rows.end),
            _ => self.0.push(rows),
        }
    }

    /// The ranges, ascending.
    #[must_use]
    pub fn ranges(&self) -> &[Range<u32>] {
        &self.0
    }

    /// How many rows there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().map(|rows| u64::from(rows.end.saturating_sub(rows.start))).sum()
    }

    /// Whether there is no row.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rows, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().flat_map(Clone::clone)
    }

    /// The rows within `window`.
    pub fn within(&self, window: Range<u32>) -> impl Iterator<Item = Range<u32>> + '_ {
        let first = self.0.partition_point(|rows| rows.end <= window.start);
        let rest = self.0.get(first..).unwrap_or_default();
        let overlapping = rest.iter().take_while(move |rows| rows.start < window.end);
        overlapping.map(move |rows| rows.start.max(window.start)..rows.end.min(window.end))
    }

    /// Rows that are in both.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let mut both = Self::default();
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
            both.push(x.start.max(y.start)..x.end.min(y.end));
            if x.end < y.end {
                a.next();
            } else {
                b.next();
            }
        }
        both
    }

    /// Rows that are in one of them at least.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut either = Self::default();
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        loop {
            let next = match (a.peek(), b.peek()) {
                (Some(x), Some(y)) if x.start <= y.start => a.next(),
                (Some(_), None) => a.next(),
                (_, Some(_)) => b.next(),
                (None, None) => return either,
            };
            either.push(next.cloned().unwrap_or_default());
        }
    }

    /// Rows that are in this set and not in the other.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = Self::default();
        for rows in &self.0 {
            let mut start = rows.start;
            for gone in other.within(rows.clone()) {
                rest.push(start..gone.start);
                start = gone.end;
            }
            rest.push(start..rows.end);
        }
        rest
    }

    /// Bytes that it holds.
    #[must_use]
    pub const fn memory_size(&self) -> usize {
        self.0.capacity().saturating_mul(size_of::<Range<u32>>())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn of(set: &BTreeSet<u32>) -> RowRanges {
        let mut rows = RowRanges::default();
        set.iter().for_each(|row| rows.push(*row..row + 1));
        rows
    }

    proptest! {
        #[test]
        fn algebra_is_that_of_sets(a: BTreeSet<u8>, b: BTreeSet<u8>, from: u8, to: u8) {
            let (a, b): (BTreeSet<u32>, BTreeSet<u32>) =
                (a.into_iter().map(u32::from).collect(), b.into_iter().map(u32::from).collect());
            let (x, y) = (of(&a), of(&b));
            prop_assert_eq!(x.iter().collect::<BTreeSet<_>>(), a.clone());
            prop_assert_eq!(x.count(), a.len() as u64);
            prop_assert!(x.ranges().windows(2).all(|w| w[0].end < w[1].start));
            prop_assert_eq!(x.intersect(&y), of(&a.intersection(&b).copied().collect()));
            prop_assert_eq!(x.union(&y), of(&a.union(&b).copied().collect()));
            prop_assert_eq!(x.without(&y), of(&a.difference(&b).copied().collect()));
            let window = u32::from(from)..u32::from(to);
            let within: BTreeSet<u32> = x.within(window.clone()).flatten().collect();
            prop_assert_eq!(within, a.iter().copied().filter(|row| window.contains(row)).collect());
        }
    }
}
