//! Which columns rows use, where no row index says it: version 0 of a day's layout. All label columns are asked.

use promparquet_schema::{Column, row_index};
use promparquet_shard::{ABSENT, FileKind, ReadPlan};

use crate::{
    compute::with_decoder,
    error::Result,
    explain::Stage,
    question::{NeededDictionary, Question},
    row_memory::RowLease,
    rows::RowRanges,
};

/// For each label column that some row uses: its position, and a bit for each row, in order.
pub(crate) struct Presence {
    columns: Vec<(u32, Vec<u64>)>,
    _lease: RowLease,
}

impl Presence {
    /// Asks the columns. What is read is held for those who read the labels next.
    pub(crate) async fn read(question: &Question, row_group: usize, rows: &RowRanges) -> Result<Self> {
        let file = question.shard.labels_file();
        let mut plan = ReadPlan::default();
        let mut parts = Vec::new();
        for (position, _) in file.columns().iter().enumerate().filter(|(_, c)| matches!(c, Column::Label(_))) {
            let column = question.labels_chunk(row_group, position);
            let is_used = |n: &usize| column.bounds(*n).is_none_or(|bounds| !bounds.all_absent);
            let numbers = column.pages_of(rows.ranges());
            if !numbers.iter().any(is_used) {
                continue;
            }
            // Codes are checked against it.
            let dictionary = NeededDictionary::plan(column, &mut plan);
            let pages = numbers.into_iter().filter_map(|n| Some((n, column.page(n)?)));
            let pages = pages.map(|(n, page)| {
                let slot = is_used(&n).then(|| plan.add(FileKind::Labels, page.bytes.clone()));
                (page, slot)
            });
            let pages: Vec<_> = pages.collect();
            parts.push((position, dictionary, pages));
        }
        let words = usize::try_from(rows.count().div_ceil(64)).unwrap_or(usize::MAX);
        let _lease = question.row_memory.take((words as u64).saturating_mul(8).saturating_mul(parts.len() as u64))?;
        let bytes = question.read(Stage::Labels, &plan).await?;
        let total: u64 = plan.ranges(FileKind::Labels).iter().map(|r| r.end.saturating_sub(r.start)).sum();
        let (task, rows) = (question.clone(), rows.clone());
        let work = move || {
            let mut columns = Vec::with_capacity(parts.len());
            for (position, dictionary, pages) in parts {
                let column = task.labels_chunk(row_group, position);
                let mut bits = vec![0_u64; words];
                with_decoder(task.page_bytes(), |decoder| {
                    let dictionary = dictionary.get(column, decoder, &bytes)?;
                    // Pages ascend, so that rows come in order.
                    let mut number = 0_u32;
                    for (page, slot) in pages {
                        let within = rows.within(page.rows.clone());
                        let Some(slot) = slot else {
                            number = within.fold(number, |n, rows| n.saturating_add(rows.len() as u32));
                            continue;
                        };
                        let bytes = bytes.get(slot);
                        column.visit_codes(decoder, &page, &bytes, dictionary.len(), within, |_, codes| {
                            for code in codes {
                                if *code != ABSENT
                                    && let Some(word) = bits.get_mut((number / 64) as usize)
                                {
                                    *word |= 1 << (number % 64);
                                }
                                number = number.saturating_add(1);
                            }
                        })?;
                    }
                    Ok::<_, crate::Error>(())
                })?;
                columns.push((u32::try_from(position).unwrap_or(u32::MAX), bits));
            }
            Ok(Self { columns, _lease })
        };
        question.compute(Stage::Labels, total, work).await
    }

    /// Calls `visit` with each row and what a row index would say of it.
    pub(crate) fn visit(&self, rows: &RowRanges, mut visit: impl FnMut(u32, &[u8]) -> Result<()>) -> Result<()> {
        let (mut used, mut cell) = (Vec::new(), Vec::new());
        for (number, row) in rows.iter().enumerate() {
            used.clear();
            let is_used = |bits: &[u64]| bits.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1);
            used.extend(self.columns.iter().filter(|(_, bits)| is_used(bits)).map(|(position, _)| *position));
            cell.clear();
            row_index::encode(&used, &mut cell);
            visit(row, &cell)?;
        }
        Ok(())
    }

    /// What it takes.
    pub(crate) fn bytes(&self) -> u64 {
        self.columns.iter().map(|(_, bits)| bits.len() as u64 * 8).sum()
    }
}
