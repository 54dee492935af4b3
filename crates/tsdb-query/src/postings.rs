//! From matchers to series.
//!
//! A matcher that a series without the label does not fit asks for the union of some values' postings lists; any other one
//! excludes such a union. Lists of values that the matcher names are looked up, others are found by trying all values of the
//! label. Both is done only where it pays: where fewer series are left than that would cost, the matcher is left for the
//! labels of these series to be checked with.

use std::ops::{ControlFlow, Range};

use prometheus_queryable::{MatchOp, Matcher, Result};
use prometheus_tsdb_block::BlockReader;
use prometheus_tsdb_index::{PostingsTable, SeriesEntry, SeriesRefs, SeriesRefsUnion};

use crate::error::{corrupt, of_block, of_index};

/// When lists are looked up, and when series are read and checked instead. Answers do not depend on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Costs {
    /// About how many bytes the entry of a series takes in an index.
    pub(crate) entry_bytes: u64,
    /// So many values are tried as fast as one series is read and checked.
    pub(crate) values_per_series: usize,
}

impl Default for Costs {
    fn default() -> Self {
        Self { entry_bytes: 256, values_per_series: 8 }
    }
}

impl Costs {
    /// Whether so many values are too many to be tried, if so many series are left.
    fn are_too_many(self, values: usize, series: &SeriesRefs) -> bool {
        values > series.len().saturating_mul(self.values_per_series)
    }

    /// Whether lists of so many bytes are too long to be read, if so many series are left.
    pub(crate) fn are_too_long(self, bytes: u64, series: &SeriesRefs) -> bool {
        bytes > self.entry_bytes.saturating_mul(series.len() as u64)
    }
}

/// Series that may fit.
#[derive(Debug)]
pub(crate) struct Candidates {
    pub(crate) refs: SeriesRefs,
    /// What is to be checked on their labels.
    pub(crate) rest: Vec<Matcher>,
}

impl Candidates {
    fn none() -> Self {
        Self { refs: SeriesRefs::default(), rest: Vec::new() }
    }

    /// Whether a series fits what is to be checked.
    pub(crate) fn fits(&self, block: &BlockReader, entry: &SeriesEntry) -> Result<bool> {
        if self.rest.is_empty() {
            return Ok(true);
        }
        let symbols = block.symbols().map_err(of_block)?;
        let text = |symbol| symbols.get(symbol).map_err(|e| of_index(block.files().location(), e));
        for matcher in &self.rest {
            let mut value = "";
            for label in &entry.labels {
                if text(label.name)? == matcher.name() {
                    value = text(label.value)?;
                    break;
                }
            }
            if !matcher.matches(value) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Which values of its label a matcher is about: those that fit, if absent labels do not, or else those that do not.
enum Values<'m> {
    /// These.
    Named(Vec<&'m str>),
    All,
    /// To be found out.
    Unknown,
}

impl<'m> Values<'m> {
    fn of(matcher: &'m Matcher) -> Self {
        match matcher.op() {
            MatchOp::Equal | MatchOp::NotEqual if matcher.value().is_empty() => Self::All,
            MatchOp::Equal | MatchOp::NotEqual => Self::Named(vec![matcher.value()]),
            MatchOp::Regex | MatchOp::NotRegex => {
                let Some(regex) = matcher.regex() else { return Self::Unknown };
                if regex.matches_any_non_empty() {
                    return Self::All;
                }
                match regex.set() {
                    // If "" is among them, the matcher is about all values but these.
                    Some(set) if !regex.is_match("") => Self::Named(set.iter().map(String::as_str).collect()),
                    _ => Self::Unknown,
                }
            }
        }
    }
}

/// A matcher, and what it takes to look it up.
struct Lookup<'m> {
    matcher: &'m Matcher,
    values: Values<'m>,
    /// Values to be tried; 0 if those that matter are known.
    tries: usize,
    /// Where the lists are, once that is known.
    lists: Vec<Range<u64>>,
}

impl<'m> Lookup<'m> {
    fn new(matcher: &'m Matcher, table: &PostingsTable) -> Self {
        let values = Values::of(matcher);
        let (mut lists, mut tries) = (Vec::new(), 0);
        match &values {
            Values::Named(values) => {
                lists.extend(values.iter().filter_map(|value| table.postings_range(matcher.name(), value)));
            }
            Values::All | Values::Unknown => tries = table.values(matcher.name()).len(),
        }
        Self { matcher, values, tries, lists }
    }

    fn bytes(&self) -> u64 {
        self.lists.iter().fold(0, |sum, range| sum.saturating_add(range.end.saturating_sub(range.start)))
    }

    /// Finds the lists, if they are not known.
    fn find(&mut self, block: &BlockReader, table: &PostingsTable) -> Result<()> {
        if self.tries == 0 {
            return Ok(());
        }
        let wanted = !self.matcher.matches_absent();
        for list in table.lists(self.matcher.name()) {
            let (value, range) = list.map_err(|e| of_index(block.files().location(), e))?;
            if matches!(self.values, Values::All) || self.matcher.matches(value) == wanted {
                self.lists.push(range);
            }
        }
        self.tries = 0;
        Ok(())
    }

    fn read(&self, block: &BlockReader) -> Result<SeriesRefs> {
        read_union(block, &self.lists)
    }
}

/// The series of any of the lists.
fn read_union(block: &BlockReader, lists: &[Range<u64>]) -> Result<SeriesRefs> {
    let mut union = SeriesRefsUnion::default();
    let mut failed = None;
    let read = block.read_postings(lists, |_, postings| match union.add(postings) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(e) => {
            failed = Some(e);
            Ok(ControlFlow::Break(()))
        }
    });
    read.map_err(of_block)?;
    match failed {
        Some(e) => Err(of_index(block.files().location(), e)),
        None => Ok(union.finish()),
    }
}

/// Finds the series that fit, or a few more and what is to be checked on them.
pub(crate) fn candidates(block: &BlockReader, matchers: &[Matcher], costs: Costs) -> Result<Candidates> {
    let table = block.postings_table().map_err(of_block)?;
    let (mut includes, mut excludes) = (Vec::new(), Vec::new());
    for matcher in matchers {
        match (matcher.op(), matcher.regex()) {
            (MatchOp::Regex, Some(regex)) if regex.matches_everything() => continue,
            (MatchOp::NotRegex, Some(regex)) if regex.matches_everything() => return Ok(Candidates::none()),
            _ => {}
        }
        let lookup = Lookup::new(matcher, table);
        if matcher.matches_absent() {
            excludes.push(lookup);
        } else if lookup.tries == 0 && lookup.lists.is_empty() {
            return Ok(Candidates::none());
        } else {
            includes.push(lookup);
        }
    }
    let by_cost = |lookup: &Lookup<'_>| (lookup.tries, lookup.bytes());
    includes.sort_by_key(by_cost);
    excludes.sort_by_key(by_cost);

    let mut rest = Vec::new();
    let mut refs: Option<SeriesRefs> = None;
    for mut lookup in includes {
        if refs.as_ref().is_some_and(SeriesRefs::is_empty) {
            return Ok(Candidates::none());
        }
        if let Some(refs) = &refs
            && costs.are_too_many(lookup.tries, refs)
        {
            rest.push(lookup.matcher.clone());
            continue;
        }
        lookup.find(block, table)?;
        match &mut refs {
            None => refs = Some(lookup.read(block)?),
            Some(refs) if costs.are_too_long(lookup.bytes(), refs) => {
                rest.push(lookup.matcher.clone());
            }
            Some(refs) => refs.intersect(&lookup.read(block)?),
        }
    }
    let mut refs = match refs {
        Some(refs) => refs,
        None => match table.all_postings_range() {
            Some(range) => read_union(block, &[range])?,
            None if table.is_empty() => SeriesRefs::default(),
            None => {
                return Err(corrupt(block.files().location(), "a postings list of all series", "none in the index"));
            }
        },
    };
    for mut lookup in excludes {
        if refs.is_empty() {
            return Ok(Candidates::none());
        }
        if costs.are_too_many(lookup.tries, &refs) {
            rest.push(lookup.matcher.clone());
            continue;
        }
        lookup.find(block, table)?;
        if costs.are_too_long(lookup.bytes(), &refs) {
            rest.push(lookup.matcher.clone());
        } else {
            refs.subtract(&lookup.read(block)?);
        }
    }
    Ok(Candidates { refs, rest })
}
