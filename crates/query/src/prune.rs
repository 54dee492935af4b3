//! Which rows a constraint can still hold for, by what is known without reading pages. It can only spare reading: rows that
//! are left are looked at, unless they are certain.

use promparquet_shard::ColumnChunk;

use crate::{constraint::Constraint, explain::ConstraintExplain, options::Pruning, rows::RowRanges};

/// What page bounds say of a constraint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pruned {
    /// Rows that fit.
    pub(crate) certain: RowRanges,
    /// Rows that must be looked at.
    pub(crate) uncertain: RowRanges,
}

impl Pruned {
    /// What is left to fit.
    pub(crate) fn possible(&self) -> RowRanges {
        self.certain.union(&self.uncertain)
    }
}

/// Prunes by the column index. `column` is `None` where the shard has no such label, of `rows` rows.
pub(crate) fn by_bounds(
    column: Option<ColumnChunk<'_>>,
    constraint: &Constraint,
    rows: u32,
    pruning: Pruning,
    explain: &mut ConstraintExplain,
) -> Pruned {
    let mut pruned = Pruned { certain: RowRanges::default(), uncertain: RowRanges::default() };
    let Some(column) = column else {
        explain.column_absent = true;
        if constraint.matches_absent() {
            pruned.certain = RowRanges::all(rows);
        }
        return pruned;
    };
    explain.pages = column.page_count();
    for (n, page) in column.pages().enumerate() {
        let bounds = column.bounds(n).filter(|_| pruning.bounds);
        let Some(bounds) = bounds else {
            pruned.uncertain.push(page.rows);
            continue;
        };
        if bounds.all_absent {
            if constraint.matches_absent() {
                explain.pages_certain += 1;
                pruned.certain.push(page.rows);
            } else {
                explain.pages_pruned_as_absent += 1;
            }
            continue;
        }
        let may_be_absent = bounds.absent != Some(0);
        let absent_fits = constraint.matches_absent() && may_be_absent;
        if !absent_fits && !constraint.may_match_within(bounds.min, bounds.max) {
            explain.pages_pruned_by_bounds += 1;
            continue;
        }
        // Bounds may be cut short, but what lies between equal ones can only be one value.
        let only_value = bounds.min.filter(|min| Some(*min) == bounds.max && !min.is_empty());
        let only_value = only_value.and_then(|value| std::str::from_utf8(value).ok());
        if !may_be_absent && only_value.is_some_and(|value| constraint.matches(value)) {
            explain.pages_certain += 1;
            pruned.certain.push(page.rows);
        } else {
            pruned.uncertain.push(page.rows);
        }
    }
    pruned
}
