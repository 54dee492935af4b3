//! Finds the rows of a row group that fit all constraints.
//!
//! What is known from the footer comes first and costs nothing: page bounds, and pages in which no row has the label. What is
//! left is read, the cheapest labels first; those that cost no more than a round trip are read together with them. Between
//! stages, rows that are out already spare pages of the labels that follow.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use bytes::Bytes;
use promparquet_shard::{ABSENT, ColumnChunk, Dictionary, FileKind, Page, ReadPlan, ReadSlot};

use crate::{
    cache::Key,
    compute::with_decoder,
    constraint::Constraint,
    error::{Error, Result},
    explain::{ConstraintExplain, RowGroupExplain, Stage},
    prune,
    question::{NeededDictionary, Question},
    row_memory::{RowLease, RowMemory},
    rows::RowRanges,
};

/// The rows that fit, and what was read on the way that later stages need.
#[derive(Clone, Default, Debug)]
pub(crate) struct Found {
    pub(crate) rows: Arc<RowRanges>,
    /// Pages of the row index, by number.
    pub(crate) row_index: BTreeMap<usize, Bytes>,
    /// Of the ranges of rows.
    _lease: Option<Arc<RowLease>>,
}

/// A constraint that is not decided for all rows yet.
struct Pending {
    /// Which of all.
    constraint: usize,
    column: usize,
    certain: RowRanges,
    uncertain: RowRanges,
}

/// A page that was planned, with what stands for its bytes.
type Planned = (Page, ReadSlot);

/// Finds the rows of `row_group` that fit all constraints. Row indexes of candidates are read along if that costs little
/// and `with_row_index` says that they are needed.
pub(crate) async fn search(
    question: &Question,
    row_group: usize,
    constraints: &Arc<[Constraint]>,
    text: &Arc<str>,
    with_row_index: bool,
) -> Result<Found> {
    let total = question.shard.labels_file().rows_of(row_group);
    let mut explain = RowGroupExplain { row_group, rows: total.into(), ..RowGroupExplain::default() };
    let key = Key::new(question.shard.instance_id(), row_group, text);
    let cached = question.cache.as_ref().and_then(|cache| cache.get(&key));
    let mut found = Found::default();
    match cached {
        Some(rows) => {
            explain.cached = true;
            found.rows = rows;
        }
        None => {
            let mut search = Search { question, row_group, constraints, explain: &mut explain, found: &mut found };
            let rows = Arc::new(search.run(total, with_row_index).await?);
            if let Some(cache) = &question.cache {
                cache.insert(key, Arc::clone(&rows));
            }
            found.rows = rows;
        }
    }
    found._lease = Some(Arc::new(question.row_memory.take(found.rows.memory_size() as u64)?));
    explain.rows_selected = found.rows.count();
    question.recorder.update(|shard| shard.row_groups.push(explain));
    Ok(found)
}

struct Search<'a> {
    question: &'a Question,
    row_group: usize,
    constraints: &'a Arc<[Constraint]>,
    explain: &'a mut RowGroupExplain,
    found: &'a mut Found,
}

impl Search<'_> {
    async fn run(&mut self, total: u32, with_row_index: bool) -> Result<RowRanges> {
        let mut rows = RowRanges::all(total);
        let mut pending = Vec::new();
        for (n, constraint) in self.constraints.iter().enumerate() {
            let column = self.question.label_column(self.row_group, constraint.label());
            let (matchers, has_regex) = (constraint.to_string(), constraint.has_regex());
            let mut explain = ConstraintExplain { matchers, has_regex, ..ConstraintExplain::default() };
            let pruned = prune::by_bounds(column, constraint, total, self.question.options.pruning, &mut explain);
            self.explain.constraints.push(explain);
            rows = rows.intersect(&pruned.possible());
            if let Some(column) = column {
                let (certain, uncertain) = (pruned.certain, pruned.uncertain);
                pending.push(Pending { constraint: n, column: column.column(), certain, uncertain });
            }
        }
        self.retain_undecided(&mut pending, &rows);
        if self.question.options.pruning.bloom_filters && !self.ask_bloom_filters(&pending, &rows).await? {
            return Ok(RowRanges::default());
        }
        let mut stage = 0;
        while !rows.is_empty() && !pending.is_empty() {
            stage += 1;
            let taken = self.take_stage(&mut pending, &rows);
            rows = self.read_stage(taken, rows, stage, with_row_index).await?;
            self.retain_undecided(&mut pending, &rows);
        }
        Ok(rows)
    }

    fn retain_undecided(&self, pending: &mut Vec<Pending>, rows: &RowRanges) {
        pending.retain(|p| !p.uncertain.intersect(rows).is_empty());
    }

    fn column(&self, pending: &Pending) -> ColumnChunk<'_> {
        self.question.labels_chunk(self.row_group, pending.column)
    }

    /// Bytes that deciding a constraint takes.
    fn cost(&self, pending: &Pending, rows: &RowRanges) -> u64 {
        let column = self.column(pending);
        let pages = column.pages_of(pending.uncertain.intersect(rows).ranges());
        let pages = pages.into_iter().filter_map(|n| column.page(n)).map(|page| length(&page.bytes));
        let dictionary = column.dictionary().filter(|_| column.kept_dictionary().is_none());
        dictionary.map_or(0, |range| length(&range)).saturating_add(pages.sum())
    }

    /// Asks the bloom filters of labels that cost much more to read than they. Returns whether any row can fit still.
    async fn ask_bloom_filters(&mut self, pending: &[Pending], rows: &RowRanges) -> Result<bool> {
        let mut plan = ReadPlan::default();
        let mut asked = Vec::new();
        for p in pending {
            let Some(constraint) = self.constraints.get(p.constraint) else { continue };
            let Some(range) = self.column(p).bloom_filter() else { continue };
            let may_ask = constraint.values().is_some() && !constraint.matches_absent() && p.certain.is_empty();
            let worth = length(&range).saturating_add(self.question.costs.round_trip_bytes);
            if may_ask && self.cost(p, rows) > worth {
                asked.push((p, constraint, plan.add(FileKind::Labels, range)));
            }
        }
        let bytes = self.question.read(Stage::BloomFilters, &plan).await?;
        for (p, constraint, slot) in asked {
            let filter = self.column(p).decode_bloom_filter(&bytes.get(slot))?;
            let values = constraint.values().unwrap_or_default();
            if !values.iter().any(|value| filter.may_contain(value.as_bytes())) {
                if let Some(explain) = self.explain.constraints.get_mut(p.constraint) {
                    explain.pruned_by_bloom_filter = true;
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The cheapest constraint, and those that can be decided with it at the cost of less than a round trip.
    fn take_stage(&self, pending: &mut Vec<Pending>, rows: &RowRanges) -> Vec<Pending> {
        if !self.question.options.pruning.stages {
            return std::mem::take(pending);
        }
        let mut by_cost: Vec<_> = pending.drain(..).map(|p| (self.cost(&p, rows), p)).collect();
        by_cost.sort_by_key(|(cost, p)| (*cost, p.constraint));
        let mut sum = 0_u64;
        let mut taken = Vec::new();
        for (cost, p) in by_cost {
            sum = sum.saturating_add(cost);
            if taken.is_empty() || sum <= self.question.costs.round_trip_bytes {
                taken.push(p);
            } else {
                pending.push(p);
            }
        }
        taken
    }

    /// Decides the constraints taken for the rows that are left.
    async fn read_stage(
        &mut self,
        taken: Vec<Pending>,
        rows: RowRanges,
        stage: u32,
        with_row_index: bool,
    ) -> Result<RowRanges> {
        let mut plan = ReadPlan::default();
        let mut parts = Vec::new();
        for p in taken {
            let column = self.question.labels_chunk(self.row_group, p.column);
            let dictionary = NeededDictionary::plan(column, &mut plan);
            let wanted = p.uncertain.intersect(&rows);
            let pages = column.pages_of(wanted.ranges());
            let pages: Vec<Planned> = pages
                .into_iter()
                .filter_map(|n| column.page(n))
                .map(|page| (page.clone(), plan.add(FileKind::Labels, page.bytes)))
                .collect();
            if let Some(explain) = self.explain.constraints.get_mut(p.constraint) {
                explain.pages_read = pages.len();
                explain.stage = stage;
            }
            parts.push((p, dictionary, pages, wanted));
        }
        let row_index = if with_row_index { self.plan_row_index(&rows, &mut plan) } else { Vec::new() };
        let bytes = self.question.read(Stage::Search, &plan).await?;
        self.found.row_index.extend(row_index.into_iter().map(|(n, slot)| (n, bytes.get(slot))));

        let total: u64 = plan.ranges(FileKind::Labels).iter().map(length).sum();
        let (question, row_group, constraints) = (self.question.clone(), self.row_group, Arc::clone(self.constraints));
        let work = move || {
            let mut rows = rows;
            let mut explains = Vec::new();
            for (p, dictionary, pages, wanted) in parts {
                let Some(constraint) = constraints.get(p.constraint) else { continue };
                let column = question.labels_chunk(row_group, p.column);
                let pages: Vec<_> = pages.into_iter().map(|(page, slot)| (page, bytes.get(slot))).collect();
                let use_dictionary = question.options.pruning.dictionaries;
                let decided = with_decoder(question.page_bytes(), |decoder| {
                    let dictionary = dictionary.get(column, decoder, &bytes)?;
                    let mut verdicts = Verdicts::new(constraint, &dictionary, column, &question.row_memory);
                    let mut fitting = RowRanges::default();
                    let none_fits = use_dictionary && !verdicts.any_fits();
                    if !none_fits {
                        for (page, bytes) in &pages {
                            let within = wanted.within(page.rows.clone());
                            column.visit_codes(decoder, page, bytes, dictionary.len(), within, |first, codes| {
                                verdicts.visit(first, codes, &mut fitting);
                            })?;
                        }
                    }
                    verdicts.finish().map(|()| (fitting, dictionary.len(), none_fits))
                });
                let (fitting, entries, none_fits) = decided?;
                explains.push((p.constraint, entries, none_fits));
                rows = rows.intersect(&p.certain.union(&fitting));
            }
            Ok((rows, explains))
        };
        let (rows, explains) = self.question.compute(Stage::Search, total, work).await?;
        for (n, entries, none_fits) in explains {
            if let Some(explain) = self.explain.constraints.get_mut(n) {
                explain.dictionary_entries = entries;
                explain.pruned_by_dictionary = none_fits;
            }
        }
        Ok(rows)
    }

    /// Adds the pages of the row index that candidates lie in, if they are cheap.
    fn plan_row_index(&self, rows: &RowRanges, plan: &mut ReadPlan) -> Vec<(usize, ReadSlot)> {
        let Some(position) = self.question.shard.row_index_position() else { return Vec::new() };
        let column = self.question.labels_chunk(self.row_group, position);
        let pages: Vec<_> =
            column.pages_of(rows.ranges()).into_iter().filter_map(|n| Some((n, column.page(n)?))).collect();
        let cost: u64 = pages.iter().map(|(_, page)| length(&page.bytes)).sum();
        if !self.found.row_index.is_empty() || cost > self.question.costs.round_trip_bytes / 4 {
            return Vec::new();
        }
        pages.into_iter().map(|(n, page)| (n, plan.add(FileKind::Labels, page.bytes))).collect()
    }
}

fn length(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

/// Whether dictionary entries fit a constraint, found out when first asked.
struct Verdicts<'a> {
    constraint: &'a Constraint,
    dictionary: &'a Dictionary,
    column: ColumnChunk<'a>,
    /// By code.
    known: Vec<Verdict>,
    /// The only code that fits, if that is known.
    only: Option<u32>,
    absent_fits: bool,
    memory: &'a RowMemory,
    error: Option<Error>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Unknown,
    Fits,
    Not,
}

impl<'a> Verdicts<'a> {
    fn new(
        constraint: &'a Constraint,
        dictionary: &'a Dictionary,
        column: ColumnChunk<'a>,
        memory: &'a RowMemory,
    ) -> Self {
        let known = vec![Verdict::Unknown; dictionary.len()];
        let absent_fits = constraint.matches_absent();
        Self { constraint, dictionary, column, known, only: None, absent_fits, memory, error: None }
    }

    /// Whether any row can fit: decides all entries if the values that fit can be listed.
    fn any_fits(&mut self) -> bool {
        let Some(values) = self.constraint.values() else { return true };
        let mut fitting = 0_usize;
        for (code, verdict) in (0_u32..).zip(&mut self.known) {
            let entry = self.dictionary.get(code).unwrap_or_default();
            let fits = match values {
                [value] => value.as_bytes() == entry,
                _ => values.binary_search_by(|value| value.as_bytes().cmp(entry)).is_ok(),
            };
            *verdict = if fits { Verdict::Fits } else { Verdict::Not };
            if fits {
                fitting += 1;
                self.only = Some(code);
            }
        }
        if fitting != 1 || self.absent_fits {
            self.only = None;
        }
        fitting > 0 || self.absent_fits
    }

    fn visit(&mut self, first: u32, codes: &[u32], fitting: &mut RowRanges) {
        if self.error.is_some() {
            return;
        }
        self.error = self.memory.check(fitting.memory_size()).err();
        if let Some(only) = self.only {
            for (row, code) in (first..).zip(codes) {
                if *code == only {
                    fitting.push(row..row.saturating_add(1));
                }
            }
            return;
        }
        let mut start = None;
        let mut last = (ABSENT, self.absent_fits);
        for (row, code) in (first..).zip(codes) {
            if *code != last.0 {
                last = (*code, self.fits(*code));
            }
            match (last.1, start) {
                (true, None) => start = Some(row),
                (false, Some(from)) => {
                    fitting.push(from..row);
                    start = None;
                }
                _ => {}
            }
        }
        if let Some(from) = start {
            fitting.push(from..first.saturating_add(u32::try_from(codes.len()).unwrap_or(u32::MAX)));
        }
    }

    fn fits(&mut self, code: u32) -> bool {
        if code == ABSENT {
            return self.absent_fits;
        }
        let Some(known) = self.known.get_mut(code as usize) else { return false };
        if *known == Verdict::Unknown {
            let fits = match self.dictionary.text(code) {
                Ok(value) => self.constraint.matches(value),
                Err(e) => {
                    self.error = Some(self.column.corrupt(None, "label values in UTF-8", e.to_string()).into());
                    false
                }
            };
            *known = if fits { Verdict::Fits } else { Verdict::Not };
        }
        *known == Verdict::Fits
    }

    fn finish(self) -> Result<()> {
        self.error.map_or(Ok(()), Err)
    }
}
