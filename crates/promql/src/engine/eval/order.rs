//! Sorting.

use std::cmp::Ordering;

use crate::engine::{column::Series, plan::SortOrder};

/// Sorts series by their first value, without those that have no float; or by labels.
pub(super) fn sort(series: &mut Vec<Series>, order: &SortOrder) {
    match order {
        SortOrder::Value { is_descending } => {
            for series in series.iter_mut() {
                series.column.histograms = Vec::new();
            }
            series.retain(|series| !series.column.is_empty());
            let value = |series: &Series| series.column.float(0).unwrap_or(f64::NAN);
            // NaN is last either way.
            series.sort_by(|a, b| {
                let (a, b) = (value(a), value(b));
                let by_value = a.partial_cmp(&b).map(|o| if *is_descending { o.reverse() } else { o });
                by_value.unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
            });
        }
        SortOrder::Labels { names, is_descending } => series.sort_by(|a, b| {
            let by_names = names.iter().map(|name| {
                let value = |series: &Series| series.labels.get(name).unwrap_or_default().to_owned();
                natural(&value(a), &value(b))
            });
            let order = by_names.fold(Ordering::Equal, Ordering::then).then_with(|| a.labels.cmp(&b.labels));
            if *is_descending { order.reverse() } else { order }
        }),
    }
}

/// Digits, or anything but digits.
fn chunks(text: &str) -> Vec<&str> {
    let mut chunks = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.bytes().next() {
        let is_digit = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != is_digit).unwrap_or(rest.len());
        let (chunk, after) = rest.split_at(end);
        chunks.push(chunk);
        rest = after;
    }
    chunks
}

/// Numbers within texts are compared as numbers: `a2` is before `a10`.
fn natural(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    if comes_first(a, b) { Ordering::Less } else { Ordering::Greater }
}

fn comes_first(a: &str, b: &str) -> bool {
    let (a, b) = (chunks(a), chunks(b));
    for (i, chunk) in a.iter().enumerate() {
        let Some(other) = b.get(i) else { return false };
        let (is_last, other_is_last) = (i + 1 == a.len(), i + 1 == b.len());
        let numbers = (chunk.parse::<i64>(), other.parse::<i64>());
        match numbers {
            (Ok(x), Ok(y)) if x != y => return x < y,
            (Ok(_), Ok(_)) => {}
            _ if chunk != other => return chunk < other,
            _ => {}
        }
        if is_last {
            return true;
        }
        if other_is_last {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_as_numbers() {
        let mut texts = ["a10", "a2", "b1", "a2b", "a", "2", "10", ""];
        texts.sort_by(|a, b| natural(a, b));
        assert_eq!(texts, ["2", "10", "a", "a2", "a2b", "a10", "b1", ""].map(|text| text));
    }
}
