//! Sets of characters.

use regex_syntax::hir;

use crate::unicode;

/// A set of code points, surrogates included as in Go: ranges, both ends inclusive, ascending, that do not touch.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Class(Vec<(u32, u32)>);

const MAX: u32 = char::MAX as u32;

impl Class {
    /// The union of `ranges`.
    pub(crate) fn of(mut ranges: Vec<(u32, u32)>) -> Self {
        unite(&mut ranges);
        Self(ranges)
    }

    /// `c` and the characters of the same folding.
    pub(crate) fn same_fold(c: char) -> Self {
        Self(vec![(c.into(), c.into())]).folded()
    }

    pub(crate) fn any(newline: bool) -> Self {
        let newline_only = Self(vec![('\n'.into(), '\n'.into())]);
        if newline { Self(vec![(0, MAX)]) } else { newline_only.negated() }
    }

    pub(crate) fn ranges(&self) -> &[(u32, u32)] {
        &self.0
    }

    /// The only code point, if it is one.
    pub(crate) fn single(&self) -> Option<u32> {
        match *self.0 {
            [(low, high)] if low == high => Some(low),
            _ => None,
        }
    }

    pub(crate) fn is_everything(&self) -> bool {
        *self.0 == [(0, MAX)]
    }

    /// Adds what folds to the same as what is in it.
    pub(crate) fn folded(mut self) -> Self {
        let mut others = Vec::new();
        for &(low, high) in &self.0 {
            for (_, next) in unicode::folds(low, high) {
                // Going round until there is one that is in it: that one goes on itself.
                others.extend(
                    std::iter::successors(Some(next), |&next| unicode::next_fold(next))
                        .take_while(|&next| !self.contains(next))
                        .map(|next| (next, next)),
                );
            }
        }
        self.0.append(&mut others);
        unite(&mut self.0);
        self
    }

    fn contains(&self, c: u32) -> bool {
        self.0.get(self.0.partition_point(|&(_, high)| high < c)).is_some_and(|&(low, _)| low <= c)
    }

    /// How much work [`Class::folded`] is, in characters.
    pub(crate) fn fold_work(&self) -> usize {
        self.0.iter().map(|&(low, high)| unicode::folds(low, high).count()).sum()
    }

    pub(crate) fn negated(&self) -> Self {
        let mut ranges = Vec::with_capacity(self.0.len() + 1);
        let mut next = 0;
        for &(low, high) in &self.0 {
            if next < low {
                ranges.push((next, low - 1));
            }
            next = high + 1;
        }
        if next <= MAX {
            ranges.push((next, MAX));
        }
        Self(ranges)
    }

    pub(crate) fn without(&self, c: u32) -> Self {
        let mut ranges = self.negated().0;
        ranges.push((c, c));
        Self::of(ranges).negated()
    }

    pub(crate) fn union(mut self, other: &Self) -> Self {
        self.0.extend_from_slice(&other.0);
        unite(&mut self.0);
        self
    }

    /// The characters in ascending order. There may be a million of them.
    pub(crate) fn chars(&self) -> impl Iterator<Item = char> {
        self.0.iter().flat_map(|&(low, high)| low..=high).filter_map(char::from_u32)
    }

    /// The same without surrogates, which no string contains.
    pub(crate) fn to_hir(&self) -> hir::ClassUnicode {
        let (before, after) = ('\u{d7ff}', '\u{e000}');
        hir::ClassUnicode::new(self.0.iter().filter_map(|&(low, high)| {
            let low = char::from_u32(low).unwrap_or(after);
            let high = char::from_u32(high).unwrap_or(before);
            (low <= high).then(|| hir::ClassUnicodeRange::new(low, high))
        }))
    }
}

/// Sorts `ranges` and merges those that touch or overlap.
fn unite(ranges: &mut Vec<(u32, u32)>) {
    ranges.sort_unstable();
    ranges.dedup_by(|&mut (low, high), (_, kept)| {
        let touches = low <= kept.saturating_add(1);
        if touches {
            *kept = high.max(*kept);
        }
        touches
    });
}

/// The classes that `\d`, `[[:alpha:]]` and the like stand for: ASCII only, and ignoring case if `fold`.
pub(crate) fn ascii(name: &str, fold: bool) -> Option<Class> {
    let (name, negate) = match name.as_bytes() {
        [b'\\', b'D' | b'S' | b'W'] => (name.to_ascii_lowercase(), true),
        [b'[', b':', b'^', ..] => (name.replacen('^', "", 1), true),
        _ => (name.to_owned(), false),
    };
    let ranges: &[(char, char)] = match &*name {
        r"\d" | "[:digit:]" => &[('0', '9')],
        r"\s" => &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')],
        r"\w" | "[:word:]" => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        "[:alnum:]" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "[:alpha:]" => &[('A', 'Z'), ('a', 'z')],
        "[:ascii:]" => &[('\0', '\x7f')],
        "[:blank:]" => &[('\t', '\t'), (' ', ' ')],
        "[:cntrl:]" => &[('\0', '\x1f'), ('\x7f', '\x7f')],
        "[:graph:]" => &[('!', '~')],
        "[:lower:]" => &[('a', 'z')],
        "[:print:]" => &[(' ', '~')],
        "[:punct:]" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "[:space:]" => &[('\t', '\r'), (' ', ' ')],
        "[:upper:]" => &[('A', 'Z')],
        "[:xdigit:]" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        _ => return None,
    };
    let class = Class::of(ranges.iter().map(|&(low, high)| (low.into(), high.into())).collect());
    let class = if fold { class.folded() } else { class };
    Some(if negate { class.negated() } else { class })
}
