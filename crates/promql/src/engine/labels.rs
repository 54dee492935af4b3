//! Labels of results.

use prometheus_model::{Labels, LabelsBuilder, METRIC_NAME};
use rustc_hash::FxHasher;
use std::hash::{Hash as _, Hasher as _};
use xxhash_rust::xxh64::Xxh64;

/// Whether a label says what a metric is: it goes when an operation makes something else of it.
pub(crate) fn is_metadata(name: &str) -> bool {
    matches!(name, METRIC_NAME | "__type__" | "__unit__")
}

/// The labels that `keep` wants.
pub(crate) fn filtered(labels: &Labels, mut keep: impl FnMut(&str) -> bool) -> Labels {
    if labels.iter().all(|(name, _)| keep(name)) {
        return labels.clone();
    }
    let mut builder = LabelsBuilder::default();
    for (name, value) in labels.iter().filter(|(name, _)| keep(name)) {
        push(&mut builder, name, value);
    }
    builder.finish()
}

/// Labels come in order from labels.
fn push(builder: &mut LabelsBuilder, name: &str, value: &str) {
    let pushed = builder.push(name, value);
    debug_assert!(pushed.is_ok(), "labels in order");
}

pub(crate) fn without_name(labels: &Labels) -> Labels {
    filtered(labels, |name| !is_metadata(name))
}

pub(crate) fn metric_name(labels: &Labels) -> &str {
    labels.get(METRIC_NAME).unwrap_or_default()
}

/// The labels with another value of one of them; without it if the value is empty.
pub(crate) fn with(labels: &Labels, name: &str, value: &str) -> Labels {
    with_all(labels, &[(name, value)])
}

/// The labels with other values of some of them; without those whose value is empty. Of equal names, the last counts.
pub(crate) fn with_all(labels: &Labels, changes: &[(&str, &str)]) -> Labels {
    let mut pairs: Vec<(&str, &str)> = labels.iter().filter(|(n, _)| changes.iter().all(|(c, _)| c != n)).collect();
    for (i, (name, value)) in changes.iter().enumerate() {
        if !value.is_empty() && changes.iter().skip(i + 1).all(|(later, _)| later != name) {
            pairs.push((name, value));
        }
    }
    pairs.sort_unstable();
    let mut builder = LabelsBuilder::default();
    pairs.into_iter().for_each(|(name, value)| push(&mut builder, name, value));
    builder.finish()
}

/// Which labels make series belong together. Names are sorted.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    names: Vec<String>,
    /// Whether `names` are those that do not count.
    without: bool,
}

impl Key {
    /// `by (names)` or `without (names)`; the latter leaves out the metric's name as well.
    pub(crate) fn grouping(names: &[String], without: bool) -> Self {
        let mut names = names.to_vec();
        if without {
            names.push(METRIC_NAME.to_owned());
        }
        names.sort_unstable();
        names.dedup();
        Self { names, without }
    }

    /// `on (names)` or `ignoring (names)`.
    pub(crate) fn matching(names: &[String], on: bool) -> Self {
        Self::grouping(names, !on)
    }

    /// All labels but these.
    pub(crate) fn all_but(names: &[&str]) -> Self {
        let mut names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        names.sort_unstable();
        Self { names, without: true }
    }

    pub(crate) fn keeps(&self, name: &str) -> bool {
        self.names.binary_search_by(|n| n.as_str().cmp(name)).is_ok() != self.without
    }

    fn pairs<'a>(&'a self, labels: &'a Labels) -> impl Iterator<Item = (&'a str, &'a str)> {
        labels.iter().filter(|(name, _)| self.keeps(name))
    }

    /// Equal for labels that belong together.
    pub(crate) fn hash(&self, labels: &Labels) -> u64 {
        let mut hasher = FxHasher::default();
        self.pairs(labels).for_each(|pair| pair.hash(&mut hasher));
        hasher.finish()
    }

    /// Whether labels belong together.
    pub(crate) fn equal(&self, a: &Labels, b: &Labels) -> bool {
        self.pairs(a).eq(self.pairs(b))
    }

    /// The labels that count.
    pub(crate) fn labels(&self, labels: &Labels) -> Labels {
        filtered(labels, |name| self.keeps(name))
    }
}

/// Bytes in memory.
pub(crate) fn bytes(labels: &Labels) -> u64 {
    let text: usize = labels.iter().map(|(name, value)| name.len() + value.len() + 2 * size_of::<u32>()).sum();
    (text + size_of::<Labels>()) as u64
}

/// A hash for tables in memory.
pub(crate) fn table_hash(labels: &Labels) -> u64 {
    let mut hasher = FxHasher::default();
    labels.hash(&mut hasher);
    hasher.finish()
}

/// The hash by which Prometheus' default build samples series for `limit_ratio`: XXH64 over the length and the bytes of
/// each name and value. Lengths from 255 on are a byte 255 and three bytes, lowest first.
pub(crate) fn sampling_hash(labels: &Labels) -> u64 {
    let mut hash = Xxh64::new(0);
    for text in labels.iter().flat_map(|(name, value)| [name, value]) {
        match u8::try_from(text.len()) {
            Ok(len) if len < 255 => hash.update(&[len]),
            _ => {
                let [a, b, c, ..] = (text.len() as u32).to_le_bytes(); // labels are shorter than that
                hash.update(&[255, a, b, c]);
            }
        }
        hash.update(text.as_bytes());
    }
    hash.digest()
}

/// Numbers of groups by the labels that make them.
#[derive(Debug)]
pub(crate) struct Groups {
    key: Key,
    /// For each hash the first group that has it.
    table: std::collections::HashMap<u64, usize, rustc_hash::FxBuildHasher>,
    /// For each group its labels, and the next group of the same hash.
    groups: Vec<(Labels, Option<usize>)>,
}

impl Groups {
    pub(crate) fn new(key: Key) -> Self {
        Self { key, table: std::collections::HashMap::default(), groups: Vec::new() }
    }

    pub(crate) const fn len(&self) -> usize {
        self.groups.len()
    }

    /// The number of the group of `labels`; the next number if it is the first of its group.
    pub(crate) fn number(&mut self, labels: &Labels) -> usize {
        let new = self.groups.len();
        let mut at = *self.table.entry(self.key.hash(labels)).or_insert(new);
        while let Some((group, next)) = self.groups.get_mut(at) {
            if self.key.equal(group, labels) {
                return at;
            }
            at = *next.get_or_insert(new);
        }
        self.groups.push((self.key.labels(labels), None));
        new
    }

    /// The number of the group of `labels`, if there is one.
    pub(crate) fn find(&self, labels: &Labels) -> Option<usize> {
        let mut at = self.table.get(&self.key.hash(labels)).copied();
        while let Some((group, next)) = at.and_then(|at| self.groups.get(at)) {
            if self.key.equal(group, labels) {
                return at;
            }
            at = *next;
        }
        None
    }

    /// The labels that the series of a group share.
    pub(crate) fn labels(&self, number: usize) -> Option<&Labels> {
        self.groups.get(number).map(|(labels, _)| labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).unwrap()
    }

    #[test]
    fn groups_are_numbered_as_they_come() {
        let mut groups = Groups::new(Key::grouping(&["b".to_owned(), "a".to_owned()], false));
        let sets = [
            (labels(&[("a", "1"), ("c", "1")]), 0),
            (labels(&[("a", "1"), ("b", "1")]), 1),
            (labels(&[("c", "2")]), 2),
            (labels(&[("a", "1"), ("c", "3")]), 0),
        ];
        for (labels, number) in &sets {
            assert_eq!(groups.number(labels), *number);
            assert_eq!(groups.find(labels), Some(*number));
        }
        assert_eq!((groups.len(), groups.find(&labels(&[("a", "9")]))), (3, None));
        assert_eq!(groups.labels(1), Some(&sets[1].0));
        let without = Key::grouping(&["a".to_owned()], true);
        assert_eq!(without.labels(&labels(&[("__name__", "x"), ("a", "1"), ("b", "2")])), labels(&[("b", "2")]));
    }

    #[test]
    fn labels_are_changed() {
        let base = labels(&[("a", "1"), ("b", "2")]);
        assert_eq!(with(&base, "a", ""), labels(&[("b", "2")]));
        assert_eq!(with(&base, "aa", "3"), labels(&[("a", "1"), ("aa", "3"), ("b", "2")]));
        assert_eq!(with_all(&base, &[("b", "x"), ("b", "")]), labels(&[("a", "1")]));
    }
}
