//! Series that have become the same.

use std::collections::HashMap;

use prometheus_model::Labels;
use rustc_hash::FxBuildHasher;

use super::column::Series;

/// Makes one of series with equal labels; `None` if two of them have a value at one step.
pub(crate) fn merge(series: Vec<Series>) -> Option<Vec<Series>> {
    let mut numbers: HashMap<Labels, usize, FxBuildHasher> = HashMap::default();
    let is_new = |numbers: &mut HashMap<Labels, usize, FxBuildHasher>, labels: &Labels, next: usize| {
        *numbers.entry(labels.clone()).or_insert(next)
    };
    let mut merged: Vec<Series> = Vec::with_capacity(series.len());
    for series in series {
        let number = is_new(&mut numbers, &series.labels, merged.len());
        match merged.get_mut(number) {
            Some(there) => {
                if !there.column.absorb(&series.column) {
                    return None;
                }
            }
            None => merged.push(series),
        }
    }
    Some(merged)
}

/// Whether labels occur twice.
pub(crate) fn has_same_labels(series: &[Series]) -> bool {
    let mut seen = std::collections::HashSet::with_capacity_and_hasher(series.len(), FxBuildHasher);
    series.iter().any(|series| !seen.insert(&series.labels))
}
