//! What Go knows of characters: categories, scripts, and which characters are the same but for case.
//!
//! The tables are Go's own, not those of `regex-syntax`, whose Unicode is newer: a character that Go does not know yet
//! would match elsewhere.

mod tables;

use crate::class::{self, Class};

/// U+0345, which Go's table of what folds into the category LC lacks.
const YPOGEGRAMMENI: u32 = 0x345;

/// How names of categories and scripts are understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Names {
    /// As they are written. Prometheus parses label matchers with a fork of Go's parser that is older than what follows.
    Exact,
    /// Upper case is lower case, `_`, `-` and spaces do not count, and categories have long names, too: Go since 1.25. Which
    /// takes scripts only if there is no underscore in their names, by mistake; we take all.
    Loose,
}

/// The characters of the category or script `name`, and those of the same folding if `fold`.
pub(crate) fn named(name: &str, names: Names, fold: bool) -> Option<Class> {
    match names {
        Names::Exact => find(name, fold),
        Names::Loose => {
            let canonical = canonical(name);
            match &*canonical {
                "Assigned" => find("Cn", fold).map(|unassigned| unassigned.negated()),
                "Ascii" => class::ascii("[:ascii:]", fold),
                "Lc" => find("LC", fold),
                canonical => {
                    let alias = tables::ALIASES.iter().find(|(long, _)| *long == canonical).map(|(_, short)| *short);
                    find(canonical, fold).or_else(|| find(alias?, fold)).or_else(|| find(name, fold))
                }
            }
        }
    }
}

fn canonical(name: &str) -> String {
    let mut canonical: String = name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).collect();
    canonical.make_ascii_lowercase();
    if let Some(first) = canonical.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    canonical
}

fn find(name: &str, fold: bool) -> Option<Class> {
    if name == "Any" {
        return Some(Class::of(vec![(0, char::MAX.into())]));
    }
    let mut ranges = Vec::new();
    let mut known = false;
    for &(category, table) in tables::CATEGORIES {
        let parts = match name {
            "LC" => matches!(category, "Ll" | "Lt" | "Lu"),
            _ => category == name || name.len() == 1 && category.starts_with(name),
        };
        if parts {
            known = true;
            extend(&mut ranges, table);
        }
    }
    if !known {
        let script = tables::SCRIPTS.binary_search_by_key(&name, |&(script, _)| script).ok()?;
        extend(&mut ranges, tables::SCRIPTS.get(script)?.1);
    }
    let class = Class::of(ranges);
    if !fold {
        return Some(class);
    }
    let closed = class.folded();
    Some(if name == "LC" { closed.without(YPOGEGRAMMENI) } else { closed })
}

fn extend(ranges: &mut Vec<(u32, u32)>, table: &[u32]) {
    ranges.extend(table.as_chunks().0.iter().map(|&[low, high]| (low, high)));
}

/// The characters between `low` and `high`, inclusive, that have others of the same folding; each with the next of them.
pub(crate) fn folds(low: u32, high: u32) -> impl Iterator<Item = (u32, u32)> {
    let pairs = tables::FOLDS.as_chunks::<2>().0;
    let start = pairs.partition_point(|&[from, _]| from < low);
    let end = pairs.partition_point(|&[from, _]| from <= high);
    pairs.get(start..end).unwrap_or_default().iter().map(|&[from, to]| (from, to))
}

/// The next character of the same folding as `c`, if there are others. These are a handful at most.
pub(crate) fn next_fold(c: u32) -> Option<u32> {
    folds(c, c).next().map(|(_, next)| next)
}

/// Whether `c` is a letter or a decimal digit.
pub(crate) fn is_letter_or_digit(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric();
    }
    let c = u32::from(c);
    tables::CATEGORIES.iter().filter(|(category, _)| category.starts_with('L') || *category == "Nd").any(
        |(_, table)| {
            let ranges = table.as_chunks::<2>().0;
            ranges.get(ranges.partition_point(|&[_, high]| high < c)).is_some_and(|&[low, _]| low <= c)
        },
    )
}
