//! Names and values of labels.

use std::{collections::BTreeSet, sync::Arc};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use promparquet_schema::Column;
use promparquet_shard::{ABSENT, ColumnChunk, Dictionary, FileKind, ReadPlan};

use crate::{
    cache::Key,
    compute::with_decoder,
    constraint::Constraint,
    error::Result,
    explain::Stage,
    labels,
    question::{NeededDictionary, Question},
    rows::RowRanges,
    search,
};

/// Names of the labels of rows that fit.
pub(crate) async fn names(question: &Question, constraints: &Arc<[Constraint]>) -> Result<BTreeSet<String>> {
    let text = Key::text(constraints);
    let of_groups = (0..question.shard.row_groups()).map(|row_group| {
        let text = &text;
        Box::pin(async move {
            if let Some(names) = names_in_use(question, row_group).filter(|_| constraints.is_empty()) {
                return Ok(names);
            }
            let found = search::search(question, row_group, constraints, text, true).await?;
            question.quota.label_name_rows(found.rows.count())?;
            labels::names(question, row_group, found).await
        })
    });
    let of_groups: Vec<_> = of_groups.collect();
    let sets: Vec<BTreeSet<String>> =
        stream::iter(of_groups).buffered(question.options.concurrency.get()).try_collect().await?;
    Ok(sets.into_iter().flatten().collect())
}

/// Labels that some row of the row group has; `None` if a column index does not tell.
fn names_in_use(question: &Question, row_group: usize) -> Option<BTreeSet<String>> {
    let file = question.shard.labels_file();
    let mut names = BTreeSet::new();
    for (position, column) in file.columns().iter().enumerate() {
        let Column::Label(name) = column else { continue };
        let chunk = file.column_chunk(row_group, position);
        for n in 0..chunk.page_count() {
            if !chunk.bounds(n)?.all_absent {
                names.insert(name.clone());
                break;
            }
        }
    }
    Some(names)
}

/// Values of the label `name` of rows that fit.
pub(crate) async fn values(
    question: &Question,
    name: &str,
    constraints: &Arc<[Constraint]>,
) -> Result<BTreeSet<String>> {
    let text = Key::text(constraints);
    let of_groups = (0..question.shard.row_groups()).map(|row_group| {
        let text = &text;
        Box::pin(async move {
            let Some(column) = question.label_column(row_group, name).map(ColumnChunk::column) else {
                return Ok(BTreeSet::new());
            };
            if constraints.is_empty() {
                return values_of(question, row_group, column, None).await;
            }
            let found = search::search(question, row_group, constraints, text, false).await?;
            if found.rows.is_empty() {
                return Ok(BTreeSet::new());
            }
            question.quota.label_value_rows(found.rows.count())?;
            values_of(question, row_group, column, Some(found.rows)).await
        })
    });
    let of_groups: Vec<_> = of_groups.collect();
    let sets: Vec<BTreeSet<String>> =
        stream::iter(of_groups).buffered(question.options.concurrency.get()).try_collect().await?;
    Ok(sets.into_iter().flatten().collect())
}

/// Values that a column has in these rows; in all, if none are given: those of its dictionary then, without looking at the
/// codes, which are many times as much to read. No known writer leaves entries there that no row uses.
async fn values_of(
    question: &Question,
    row_group: usize,
    position: usize,
    rows: Option<Arc<RowRanges>>,
) -> Result<BTreeSet<String>> {
    let column = question.labels_chunk(row_group, position);
    let mut plan = ReadPlan::default();
    let dictionary = NeededDictionary::plan(column, &mut plan);
    if matches!(dictionary, NeededDictionary::None) {
        return Ok(BTreeSet::new());
    }
    let is_used = |n: &usize| column.bounds(*n).is_none_or(|bounds| !bounds.all_absent);
    let numbers = rows.as_ref().map_or_else(Vec::new, |rows| column.pages_of(rows.ranges()));
    let pages = numbers.into_iter().filter(is_used).filter_map(|n| column.page(n));
    let pages: Vec<_> = pages.map(|page| (page.clone(), plan.add(FileKind::Labels, page.bytes))).collect();
    let bytes = question.read(Stage::Labels, &plan).await?;
    let total: u64 = plan.ranges(FileKind::Labels).iter().map(|r| r.end.saturating_sub(r.start)).sum();
    let task = question.clone();
    question
        .compute(Stage::Labels, total, move || {
            let column = task.labels_chunk(row_group, position);
            with_decoder(task.page_bytes(), |decoder| {
                let dictionary = dictionary.get(column, decoder, &bytes)?;
                let Some(rows) = rows else {
                    return strings(column, &dictionary, |_| true);
                };
                let mut used = vec![false; dictionary.len()];
                for (page, slot) in &pages {
                    let within = rows.within(page.rows.clone());
                    column.visit_codes(decoder, page, &bytes.get(*slot), dictionary.len(), within, |_, codes| {
                        for code in codes.iter().filter(|code| **code != ABSENT) {
                            if let Some(used) = used.get_mut(*code as usize) {
                                *used = true;
                            }
                        }
                    })?;
                }
                strings(column, &dictionary, |code| used.get(code as usize).copied().unwrap_or_default())
            })
        })
        .await
}

fn strings(
    column: ColumnChunk<'_>,
    dictionary: &Dictionary,
    is_used: impl Fn(u32) -> bool,
) -> Result<BTreeSet<String>> {
    let mut strings = BTreeSet::new();
    for code in (0..u32::try_from(dictionary.len()).unwrap_or(u32::MAX)).filter(|code| is_used(*code)) {
        let value = dictionary.text(code).map_err(|e| column.corrupt(None, "label values in UTF-8", e.to_string()))?;
        if !value.is_empty() {
            strings.insert(value.to_owned());
        }
    }
    Ok(strings)
}
