//! Sets of series, and what can be made of several.

use crate::{Postings, SeriesRef, error::Result};

/// A set of series: references, strictly ascending, four bytes each.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SeriesRefs(Vec<u32>);

impl SeriesRefs {
    /// How many series there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The references, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = SeriesRef> {
        self.0.iter().map(|series| SeriesRef(u64::from(*series)))
    }

    /// Up to `limit` references from position `start` on.
    pub fn window(&self, start: usize, limit: usize) -> impl ExactSizeIterator<Item = SeriesRef> {
        let rest = self.0.get(start..).unwrap_or_default();
        rest.iter().take(limit).map(|series| SeriesRef(u64::from(*series)))
    }

    /// The series of one postings list.
    ///
    /// # Errors
    /// `Corrupt` if the list does not ascend.
    pub fn from_postings(postings: &Postings) -> Result<Self> {
        let mut union = SeriesRefsUnion::default();
        union.add(postings)?;
        Ok(union.finish())
    }

    /// Keeps the series that `other` has, too.
    pub fn intersect(&mut self, other: &Self) {
        let mut rest = Ascending(&other.0);
        self.0.retain(|series| rest.has(*series));
    }

    /// Keeps the series that `other` does not have.
    pub fn subtract(&mut self, other: &Self) {
        let mut rest = Ascending(&other.0);
        self.0.retain(|series| !rest.has(*series));
    }

    /// Whether a list has one of the series.
    ///
    /// # Errors
    /// `Corrupt` if the list does not ascend, as far as it was looked at.
    pub fn intersects(&self, postings: &Postings) -> Result<bool> {
        let mut rest = Ascending(&self.0);
        for series in postings {
            // Fits: lists hold 32 bits.
            if rest.has(u32::try_from(series?.0).unwrap_or(u32::MAX)) {
                return Ok(true);
            }
            if rest.0.is_empty() {
                break;
            }
        }
        Ok(false)
    }
}

/// Collects the series of any of several lists, that come one after another.
#[derive(Clone, Default, Debug)]
pub struct SeriesRefsUnion(Vec<u32>);

impl SeriesRefsUnion {
    /// Adds the series of a list.
    ///
    /// # Errors
    /// `Corrupt` if the list does not ascend.
    pub fn add(&mut self, postings: &Postings) -> Result<()> {
        self.0.reserve(postings.len());
        for series in postings {
            // Fits: lists hold 32 bits.
            self.0.push(u32::try_from(series?.0).unwrap_or(u32::MAX));
        }
        Ok(())
    }

    /// All that were added.
    #[must_use]
    pub fn finish(mut self) -> SeriesRefs {
        // Lists of one label have no series in common, but each begins anew.
        if !self.0.is_sorted_by(|a, b| a < b) {
            self.0.sort_unstable();
            self.0.dedup();
        }
        SeriesRefs(self.0)
    }
}

/// The rest of an ascending list, that is asked for ascending references.
struct Ascending<'a>(&'a [u32]);

impl Ascending<'_> {
    fn has(&mut self, wanted: u32) -> bool {
        // Doubling steps, so that one long list costs a logarithm per reference, and two of equal length a step each.
        let mut step = 1_usize;
        while self.0.get(step).is_some_and(|series| *series < wanted) {
            step = step.saturating_mul(2);
        }
        let near = self.0.get(..step.saturating_add(1)).unwrap_or(self.0);
        let before = near.partition_point(|series| *series < wanted);
        self.0 = self.0.get(before..).unwrap_or_default();
        self.0.first() == Some(&wanted)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    /// The list's bytes in an index.
    fn list(refs: &BTreeSet<u32>) -> Postings {
        let mut payload = (refs.len() as u32).to_be_bytes().to_vec();
        refs.iter().for_each(|series| payload.extend(series.to_be_bytes()));
        let mut bytes = (payload.len() as u32).to_be_bytes().to_vec();
        let crc = crate::checksum::crc32c(&payload);
        bytes.extend(payload);
        bytes.extend(crc.to_be_bytes());
        Postings::parse(&Bytes::from(bytes), 0).unwrap()
    }

    fn set(refs: &BTreeSet<u32>) -> SeriesRefs {
        SeriesRefs::from_postings(&list(refs)).unwrap()
    }

    fn refs() -> impl Strategy<Value = BTreeSet<u32>> {
        prop_oneof![
            proptest::collection::btree_set(0..40_u32, 0..30),
            proptest::collection::btree_set(0..4000_u32, 0..300),
            proptest::collection::btree_set(any::<u32>(), 0..10),
        ]
    }

    proptest! {
        #[test]
        fn sets_are_sets(a in refs(), b in refs(), c in refs()) {
            let (mut both, mut only_a, mut any) = (set(&a), set(&a), SeriesRefsUnion::default());
            both.intersect(&set(&b));
            prop_assert_eq!(&both, &set(&(&a & &b)));
            only_a.subtract(&set(&b));
            prop_assert_eq!(&only_a, &set(&(&a - &b)));
            [&a, &b, &c].into_iter().for_each(|refs| any.add(&list(refs)).unwrap());
            let (any, all) = (any.finish(), &(&a | &b) | &c);
            prop_assert_eq!(&any, &set(&all));
            prop_assert_eq!(set(&a).intersects(&list(&b)).unwrap(), !a.is_disjoint(&b));
            let window: Vec<_> = any.window(2, 3).map(|series| series.0).collect();
            let expected: Vec<_> = all.into_iter().skip(2).take(3).map(u64::from).collect();
            prop_assert_eq!(window, expected);
        }
    }
}
