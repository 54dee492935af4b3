//! Names and values of labels.

use std::{collections::BTreeSet, ops::ControlFlow};

use prometheus_queryable::{MatchOp, Matcher, Result};
use prometheus_tsdb_block::BlockReader;
use prometheus_tsdb_index::SeriesEntry;

use crate::{
    error::{of_block, of_index},
    postings::{Candidates, Costs, candidates},
};

/// Most series whose entries are read at a time.
const WINDOW: usize = 8192;

fn fits_everything(matcher: &Matcher) -> bool {
    matcher.op() == MatchOp::Regex && matcher.regex().is_some_and(|regex| regex.matches_everything())
}

/// Calls `f` with the entry of each series that fits.
fn each_entry(block: &BlockReader, candidates: &Candidates, mut f: impl FnMut(&SeriesEntry)) -> Result<()> {
    let mut at = 0_usize;
    while at < candidates.refs.len() {
        let window: Vec<_> = candidates.refs.window(at, WINDOW).collect();
        at = at.saturating_add(window.len());
        let mut failed = None;
        let read = block.read_series(&window, |_, _, entry| match candidates.fits(block, entry) {
            Ok(fits) => {
                if fits {
                    f(entry);
                }
                Ok(ControlFlow::Continue(()))
            }
            Err(e) => {
                failed = Some(e);
                Ok(ControlFlow::Break(()))
            }
        });
        read.map_err(of_block)?;
        if let Some(e) = failed {
            return Err(e);
        }
    }
    Ok(())
}

/// Names of the labels of the series that fit, ascending.
pub(crate) fn label_names(
    block: &BlockReader,
    matchers: &[Matcher],
    limit: usize,
    costs: Costs,
) -> Result<Vec<String>> {
    let failed = |e| of_index(block.files().location(), e);
    if matchers.iter().all(fits_everything) {
        let table = block.postings_table().map_err(of_block)?;
        return table.names().take(limit).map(|name| name.map(str::to_owned).map_err(failed)).collect();
    }
    let candidates = candidates(block, matchers, costs)?;
    // Symbols are sorted.
    let mut names = BTreeSet::new();
    each_entry(block, &candidates, |entry| names.extend(entry.labels.iter().map(|label| label.name)))?;
    strings(block, names, limit)
}

/// Values of the label `name` of the series that fit, ascending.
pub(crate) fn label_values(
    block: &BlockReader,
    name: &str,
    matchers: &[Matcher],
    limit: usize,
    costs: Costs,
) -> Result<Vec<String>> {
    let location = block.files().location();
    let (own, others): (Vec<_>, Vec<_>) = matchers.iter().partition(|matcher| matcher.name() == name);
    let table = block.postings_table().map_err(of_block)?;
    let mut lists = Vec::new();
    let mut bytes = 0_u64;
    for list in table.lists(name) {
        let (value, range) = list.map_err(|e| of_index(location, e))?;
        if own.iter().all(|matcher| matcher.matches(value)) {
            bytes = bytes.saturating_add(range.end.saturating_sub(range.start));
            lists.push((value, range));
        }
    }
    if others.into_iter().all(fits_everything) {
        return Ok(lists.into_iter().take(limit).map(|(value, _)| value.to_owned()).collect());
    }
    if lists.is_empty() {
        return Ok(Vec::new());
    }
    let candidates = candidates(block, matchers, costs)?;
    if !candidates.rest.is_empty() || costs.are_too_long(bytes, &candidates.refs) {
        let symbols = block.symbols().map_err(of_block)?;
        let Some(name) = symbols.find(name) else { return Ok(Vec::new()) };
        let mut values = BTreeSet::new();
        each_entry(block, &candidates, |entry| {
            values.extend(entry.labels.iter().find(|label| label.name == name).map(|label| label.value));
        })?;
        return strings(block, values, limit);
    }
    let (values, ranges): (Vec<_>, Vec<_>) = lists.into_iter().unzip();
    let (mut found, mut failed) = (BTreeSet::new(), None);
    let read = block.read_postings(&ranges, |place, postings| match candidates.refs.intersects(postings) {
        Ok(intersects) => {
            found.extend(intersects.then_some(place));
            Ok(ControlFlow::Continue(()))
        }
        Err(e) => {
            failed = Some(e);
            Ok(ControlFlow::Break(()))
        }
    });
    read.map_err(of_block)?;
    if let Some(e) = failed {
        return Err(of_index(location, e));
    }
    // Places are in the order of the values.
    let found = found.into_iter().filter_map(|place| values.get(place));
    Ok(found.take(limit).map(|value| (*value).to_owned()).collect())
}

fn strings(block: &BlockReader, symbols: BTreeSet<u32>, limit: usize) -> Result<Vec<String>> {
    let table = block.symbols().map_err(of_block)?;
    let text = |symbol| table.get(symbol).map(str::to_owned).map_err(|e| of_index(block.files().location(), e));
    // A label without a value is no label.
    let found = symbols.into_iter().map(text).filter(|text| text.as_ref().map_or(true, |text| !text.is_empty()));
    found.take(limit).collect()
}
